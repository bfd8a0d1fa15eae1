"""An ANNarchy Synapse as a ComponentType, and what differs between its connections.

An event does in the synapse what ``pre_spike`` does; what is added to ``g_target`` decays there,
or lasts one step. A spike of the cell on which a synapse sits is seen by a count that the cell
shows. Variables marked event-driven relax exactly, when something happens: in the time since the
last event, which ANNarchy takes one step too short where a spike arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import UnsupportedError
from izhi_models.expr import (
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Name,
    Negate,
    fold,
    is_random,
    names,
    rename,
    substitute,
)
from izhi_models.importers.definition import Definition
from izhi_models.importers.dimensions import MSEC, Claim, in_units
from izhi_models.importers.equations import (
    Equation,
    bounded,
    is_zero,
    read_equations,
    read_functions,
)
from izhi_models.importers.expressions import parse
from izhi_models.importers.neurons import (
    COUNT,
    LAST,
    Cell,
    Decay,
    declare_time,
)
from izhi_models.importers.order import blocks_before, held_values, in_order
from izhi_models.importers.typing import Typing
from izhi_models.importers.values import STEP, TIME, Context, Values, as_values, settled
from izhi_models.ir.differentiate import differentiate
from izhi_models.units import NONE, Dimension
from izhi_models.units import TIME as TIME_DIMENSION

_EVENT = "last_event_ms"
_SEEN = "spikes_seen"
_WEIGHT = "weight"
_NEVER = -10000.0
_STEP_BEFORE = Binary("-", Name(TIME), Name(STEP))


@dataclass
class Made:
    """What a projection's synapse became.

    Parameters
    ----------
    definition : Definition
        Its name is still open.
    parameters : dict of str to float
        That all connections share.
    apart : dict of str to array (n,)
        That differ between connections, in the order of the connections.
    """

    definition: Definition
    parameters: dict[str, float] = field(default_factory=dict)
    apart: dict[str, NDArray[np.float64]] = field(default_factory=dict)


class SynapseReader:
    """Reads the synapse of one spiking projection.

    Parameters
    ----------
    projection : ANNarchy.Projection
    context : Context
    sizes : int array (n_dendrites,)
        Numbers of connections onto each cell that has any.
    is_fresh : bool
        True before the first step.
    is_delayed : bool
        True if a spike of some connection arrives later than in the next step.

    Attributes
    ----------
    watched, reads_sender : set of str
        What it reads of the cell on which it sits, and of the one that sends, in every step.
    is_tunnel : bool
        True if it reads the cell that sends, and gets no events.
    """

    def __init__(
        self,
        projection: Any,
        context: Context,
        sizes: NDArray[np.int64],
        *,
        is_fresh: bool,
        is_delayed: bool,
    ) -> None:
        self.projection = projection
        self.synapse = projection.synapse_type
        self.context = context
        self.sizes = sizes
        self.is_fresh = is_fresh
        self.is_delayed = is_delayed
        self.sends_now = False
        self.where = f"synapse '{self.synapse.name}' of projection '{projection.name}'"
        self._refuse_structure()
        self._refuse_operation()
        self.functions = read_functions(self.synapse.functions, self.where, context.functions)
        self.equations = self._read(self.synapse.equations)
        self.arrival = self._read(self.synapse.pre_spike)
        self.post_spike = self._read(self.synapse.post_spike)
        text = self.synapse.description.get("raw_psp")
        self.psp = parse(text, f"{self.where}, psp", self.functions) if text else None
        self.renamed = self._renamed()
        if not projection.update:
            self.equations = [item for item in self.equations if item.method == "event-driven"]
        if not projection.plasticity:
            self.arrival, self.post_spike, self.equations = (
                [item for item in found if item.name != "w"]
                for found in (self.arrival, self.post_spike, self.equations)
            )
        self.event_driven = [item for item in self.equations if item.method == "event-driven"]
        self.running = in_order(item for item in self.equations if item.method != "event-driven")
        self.blocks = blocks_before(self.running)
        self.held = held_values(self.running, self._read_at_events())
        read = {name for expr in self._expressions() for name in names(expr)}
        self.reads_sender = {name.removeprefix("pre.") for name in read if name.startswith("pre.")}
        self.watched = self._watched()
        has_events = bool(self.arrival or self.post_spike)
        self.is_tunnel = bool(self.reads_sender) and not has_events
        changed = (*self.arrival, *self.post_spike, *self.equations)
        derived = {item.name for item in self.running if not item.is_ode} - self.held
        self.changed = {item.name for item in changed} - {"g_target"} - derived

    def _renamed(self) -> dict[str, str]:
        """Give other names to what is called as something of the cell or of NeuroML is.

        Returns
        -------
        dict of str to str
            From new to old names.
        """
        taken = {*self._watched(), _WEIGHT, TIME, MSEC, STEP, _EVENT, _SEEN}
        attributes = {*self.synapse.description["attributes"], "w"}
        found = {f"{name}_of_synapse": name for name in sorted(attributes & taken)}
        new = {old: f"{old}_of_synapse" for old in found.values()}
        self.equations, self.arrival, self.post_spike = (
            [item.renamed(new) for item in equations]
            for equations in (self.equations, self.arrival, self.post_spike)
        )
        self.psp = None if self.psp is None else rename(self.psp, new)
        return found

    def _read_at_events(self) -> set[str]:
        """Return what is read, or changed, when something arrives or is added up."""
        events = (*self.arrival, *self.post_spike)
        found = {item.name for item in events}
        found |= {name for item in events for name in names(item.value)}
        return found | (set() if self.psp is None else set(names(self.psp))) | {"w"}

    def _read(self, source: Any) -> list[Equation]:
        return read_equations(source or "", "synapse", self.where, self.functions)

    def _refuse_structure(self) -> None:
        for what in ("pruning", "creating"):
            rule = getattr(self.synapse, what, None)
            if rule:
                text = getattr(rule, "equation", rule)
                raise UnsupportedError(
                    f"{self.where}: {what} '{text}' makes or removes connections while the network "
                    "runs, which LEMS cannot say"
                )
        if getattr(self.synapse, "pre_axon_spike", None):
            raise UnsupportedError(
                f"{self.where}: pre_axon_spike '{self.synapse.pre_axon_spike}' needs a second kind "
                "of spike, and a cell of NeuroML has one"
            )

    def _refuse_operation(self) -> None:
        operation = getattr(self.synapse, "operation", "sum")
        if operation != "sum":
            raise UnsupportedError(
                f"{self.where}: its operation is '{operation}', and what arrives at a cell of LEMS "
                "is added up"
            )

    @property
    def is_continuous(self) -> bool:
        """True if it acts on the cell in every step."""
        return self.psp is not None

    def _expressions(self) -> list[Expr]:
        found = [item.value for item in (*self.equations, *self.arrival, *self.post_spike)]
        return [*found, *([self.psp] if self.psp else [])]

    def _watched(self) -> set[str]:
        read = {name for expr in self._expressions() for name in names(expr)}
        found = {name.removeprefix("post.") for name in read if name.startswith("post.")}
        if "t_post" in read:
            found.add(LAST)
        if self.post_spike:
            found.add(COUNT)
        return found

    def make(self, cell: Cell, targets: list[str], sender: Cell, listener: str) -> Made:
        """Return the type of the synapse on a cell.

        Parameters
        ----------
        cell : Cell
            On which it sits.
        targets : list of str
        sender : Cell
            That sends.
        listener : str
            Type of what is attached to the cell that sends, if the synapse reads it.
        """
        self.made = Made(Definition("@", "@_synapse"))
        self.definition = self.made.definition
        there, here = sender.definition.dimensions, cell.definition.dimensions
        self.exposures = cell.exposures
        known = {f"post.{name}": here[name] for name in self.watched}
        known |= {f"pre.{name}": there.get(name, NONE) for name in self.reads_sender}
        self._infer(known, [cell.exposures[cell.shown[target]] for target in targets])
        self.definition.declare("Property", _WEIGHT, defaultValue="1")
        declare_time(self.definition, self.context)
        for name in sorted(self.watched):
            self.definition.declare("Requirement", name, here[name])
        if self.is_tunnel:
            self.definition.peer(listener)
            for name in sorted(self.reads_sender):
                self.definition.select(f"pre_{name}", f"peer/{name}", there[name])
        self.start: list[tuple[str, Expr]] = []
        self._declare()
        shown = self._conductances(cell, targets)
        self._run()
        self._post()
        self.definition.on_start(self.start)
        for name, dimension in cell.exposures.items():
            nothing = in_units(ZERO, dimension)
            self.definition.derive(name, shown.get(name, nothing), dimension)
        return self.made

    def _infer(self, known: dict[str, Dimension], gathered: list[Dimension]) -> None:
        """Find the dimensions of what the synapse computes with; give equations units."""
        typing = Typing()
        lists = (self.event_driven, self.running, self.post_spike)
        typed = [[typing.equation(item) for item in items] for items in lists]
        others = [item for item in self.arrival if item.name != "g_target"]
        arriving = [typing.equation(item) for item in others]
        jumps = [self._added(item) for item in self.arrival if item.name == "g_target"]
        if not jumps and self.psp is None:
            jumps = [Name("w")]
        jumps = [reduce(partial(Binary, "+"), jumps)] if jumps else []
        known |= {"w": NONE, "pi": NONE}
        targets = {f"@{number}": dimension for number, dimension in enumerate(gathered)}
        added, psps = (
            [
                typing.claim(Claim(value, name, is_scaled=True))
                for value in values
                for name in targets
            ]
            for values in (jumps, [] if self.psp is None else [self.psp])
        )
        new = {old: name for name, old in self.renamed.items()}
        given = [new.get(item["name"], item["name"]) for item in self._parameters()]
        given += sorted(self.context.constants.keys() - {*given, "pi"})
        moving = [item.name for item in (*self.event_driven, *self.running) if item.is_ode]
        first = [*given, *(item.name for item in (*self.running, *others, *self.post_spike))]
        first = [name for name in first if name not in {*moving, "w"}]
        order = (first, [name for name in moving if name != "w"])
        self.dimensions = typing.infer(order, {**known, **targets}, {})
        self.event_driven, self.running, self.post_spike = ([item() for item in x] for x in typed)
        self.arrival = [item() for item in arriving]
        self.added, self.psps = ([item() for item in x] for x in (added, psps))

    def _parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.synapse.description["parameters"]
        return found

    # Names

    def _here(self, expr: Expr) -> Expr:
        values: dict[str, Expr] = {
            "t": Name(TIME),
            "dt": Name(STEP),
            "t_post": Name(LAST),
            "w": Name("w" if "w" in self.changed else _WEIGHT),
        }
        if self.sends_now:
            values["t_pre"] = _STEP_BEFORE
        for name in names(expr):
            if name.startswith("post."):
                values[name] = Name(name.removeprefix("post."))
            elif name.startswith("pre.") and self.is_tunnel:
                values[name] = Name(f"pre_{name.removeprefix('pre.')}")
            elif name.startswith("pre.") or (name == "t_pre" and name not in values):
                raise UnsupportedError(
                    f"{self.where}: it reads '{name}' of the cell that sends, of which an event of "
                    "NeuroML tells nothing"
                )
        found = substitute(expr, values)
        own = {*self.synapse.description["attributes"]}
        self.definition.declare_used(found, self.context.constants, own, self.dimensions)
        return found

    # Parameters and states

    def _values(self, name: str) -> Values:
        """Return the values of an attribute now: one, or one for each connection."""
        projection, count = self.projection, int(self.sizes.sum())
        is_relaxed = self._is_event_driven(name)
        name = self.renamed.get(name, name)
        is_old = projection.initialized and (self.is_fresh or not is_relaxed)
        value = (
            projection.get(name)
            if is_old
            else settled(projection.init[name], projection.init, count)
        )
        if isinstance(value, list) and value and isinstance(value[0], (list, np.ndarray)):
            return as_values(np.concatenate([np.ravel(item) for item in value]))
        array = np.ravel(np.asarray(value, dtype=np.float64))
        if array.size == self.sizes.size and array.size != count:
            array = np.repeat(array, self.sizes)  # one for each cell that is reached
        return as_values(array)

    def _is_event_driven(self, name: str) -> bool:
        return any(item.name == name for item in self.event_driven)

    def _give(self, name: str, values: Values) -> None:
        self._give_as(name, values, self.dimensions[name])

    def _give_as(self, name: str, values: Values, dimension: Dimension) -> None:
        self.definition.declare("Parameter", name, dimension)
        if isinstance(values, float):
            self.made.parameters[name] = values
        else:
            self.made.apart[name] = values

    def _state(self, name: str, values: Values) -> None:
        dimension = self.dimensions.get(name, NONE)
        self.definition.state(name, dimension)
        if isinstance(values, float) and values == 0.0:
            return
        start = self.definition.unused(f"{name}_start")
        self._give_as(start, values, dimension)
        self.start.append((name, Name(start)))

    def _declare(self) -> None:
        new = {old: name for name, old in self.renamed.items()}
        known = [item["name"] for item in self._parameters()]
        known = [new.get(name, name) for name in known if name != "w"]
        for name in known:
            (self._state if name in self.changed else self._give)(name, self._values(name))
        for name in sorted(self.changed - {*known, "w"}):
            self._state(name, self._values(name))
        if "w" in self.changed:
            self.definition.state("w")
            self.start.append(("w", Name(_WEIGHT)))
        if self.event_driven:
            self._state(_EVENT, _NEVER * self.context.dt_ms)

    # What it does

    def _conductances(self, cell: Cell, targets: list[str]) -> dict[str, Expr]:
        """Write what an event does; return what the cell is shown."""
        shown: dict[str, Expr] = {}
        assignments: list[tuple[str, Expr]] = []
        # What arrives has been sent in the step before, unless it has a delay.
        self.sends_now = not self.is_delayed
        for target, added in zip(targets, self.added, strict=False):
            state = self._conductance(cell.arriving[target], f"g_{target}", cell.shown[target])
            assignments.append((state, Binary("+", Name(state), self._here(added))))
            shown[cell.shown[target]] = Name(state)
        for target, psp in zip(targets, self.psps, strict=False):
            value = self._here(psp)
            before = shown.get(cell.shown[target])
            shown[cell.shown[target]] = value if before is None else Binary("+", before, value)
        relaxed = self._relaxed(_STEP_BEFORE)
        others = [(item.name, self._bounded(item)) for item in self.arrival]
        for _, value in (*assignments, *others):
            if is_random(value):
                raise UnsupportedError(
                    f"{self.where}: pre_spike '{self.synapse.pre_spike}' draws random numbers, "
                    "which a synapse of one connection cannot do here"
                )
        self.sends_now = False
        if not self.is_tunnel:
            self.definition.on_event([*relaxed, *assignments, *others])
        return shown

    def _added(self, item: Equation) -> Expr:
        """Return what ``g_target += ...`` adds."""
        if "unless_post" in item.flags or item.low is not None or item.high is not None:
            raise UnsupportedError(f"{self.where}: '{item.text}' with {', '.join(item.flags)}")
        match item.value:
            case Binary("+", Name("g_target"), added):
                return added
            case Binary("-", Name("g_target"), removed):
                return Negate(removed)
        raise UnsupportedError(
            f"{self.where}: '{item.text}' does not add to g_target, and what arrives at a cell of "
            "LEMS is added up"
        )

    def _conductance(self, decay: Decay | None, name: str, exposure: str) -> str:
        """Declare what has arrived at a target, which decays or lasts one step."""
        state = self.definition.unused(f"arrived_{name}")
        dimension = self.exposures[exposure]
        if decay is None:
            declare_pulse(self.definition, state, dimension)
            return state
        self.definition.state(state, dimension)
        values: dict[str, Expr] = {name: Name(state)}
        for parameter, value in decay.values.items():
            own = self.definition.unused(parameter)
            self._give_as(own, value, decay.dimensions[parameter])
            values[parameter] = Name(own)
        self.definition.rate(state, substitute(decay.rate, values), decay.method, decay.block)
        return state

    def _relaxed(self, now: Expr) -> list[tuple[str, Expr]]:
        """Return the event-driven variables at a time, with the time of the event noted."""
        found: list[tuple[str, Expr]] = []
        elapsed = in_units(Binary("-", now, Name(_EVENT)), TIME_DIMENSION)
        for item in self.event_driven:
            rate = self._here(item.value)
            slope = fold(differentiate(rate, item.name))
            steady = fold(Binary("/", substitute(rate, {item.name: ZERO}), slope))
            factor = Call("exp", Binary("*", slope, elapsed))
            rest = fold(substitute(rate, {item.name: ZERO}))
            if is_zero(rest):
                found.append((item.name, Binary("*", Name(item.name), factor)))
                continue
            away = Binary("+", Name(item.name), steady)
            found.append((item.name, Binary("-", Binary("*", away, factor), steady)))
        return [*found, (_EVENT, Name(TIME))] if found else []

    def _bounded(self, item: Equation, value: Expr | None = None) -> Expr:
        low, high = (
            None if bound is None else self._here(bound) for bound in (item.low, item.high)
        )
        value = bounded(self._here(item.value) if value is None else value, low, high)
        if "unless_post" in item.flags:
            raise UnsupportedError(
                f"{self.where}: 'unless_post' of '{item.text}' compares with the cell that sends, "
                "of which an event of NeuroML tells nothing"
            )
        return value

    def _run(self) -> None:
        """Write what is done in every step."""
        for number, item in enumerate(self.running):
            if item.is_ode:
                rate = self._then(item.value, number)
                self.definition.rate(item.name, rate, item.method, self.blocks[number])
                continue
            now = f"{item.name}_now" if item.name in self.held else item.name
            value = self._bounded(item, self._then(item.value, number))
            dimension = self.dimensions.get(item.name, NONE)
            self.definition.derive(now, value, dimension, shown=now == item.name, frozen=True)
        always = Compare(">=", Name("t"), Binary("*", ZERO, Name(MSEC)))
        for number, item in enumerate(self.running):
            if item.name in self.held:
                is_first = self.blocks[number] == 0
                value = Name(f"{item.name}_now") if is_first else self._bounded(item)
                self.definition.on_condition(always, [(item.name, value)])
            elif item.is_ode:
                self._limit(item)

    def _then(self, expr: Expr, number: int) -> Expr:
        """Return an expression as an equation reads it, after those before it."""
        before = {item.name for item in self.running[:number]} & self.held
        return self._here(substitute(expr, {name: Name(f"{name}_now") for name in before}))

    def _limit(self, item: Equation) -> None:
        for op, bound in (("<", item.low), (">", item.high)):
            if bound is not None:
                limit = self._here(bound)
                test = Compare(op, Name(item.name), limit)  # type: ignore[arg-type]
                self.definition.on_condition(test, [(item.name, limit)])

    def _post(self) -> None:
        """Write what a spike of the cell does on which it sits."""
        if not self.post_spike:
            return
        self._state(_SEEN, 0.0)
        assignments = self._relaxed(Name(TIME))
        assignments += [(item.name, self._bounded(item)) for item in self.post_spike]
        assignments.append((_SEEN, Name(COUNT)))
        self.definition.on_condition(Compare("!=", Name(COUNT), Name(_SEEN)), assignments)


def declare_pulse(definition: Definition, state: str, dimension: Dimension = NONE) -> None:
    """Declare a state that is gone one step after it was raised."""
    definition.state(state, dimension)
    step = Binary("*", Name(STEP), Name(MSEC))
    definition.rate(state, Binary("/", Binary("-", ZERO, Name(state)), step))
