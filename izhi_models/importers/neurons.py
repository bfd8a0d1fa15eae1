"""An ANNarchy Neuron as a ComponentType, step for step.

ANNarchy's step: what arrives is added to ``g_target``; equations are done in the order written,
rates in a row all from the same state; then the spike condition, and what a spike resets. A value
is a DerivedVariable, unless an equation before it, or itself, reads it: that has the value of the
step before, so it is a state, set at the end of each step. What is the neuron's own has the
dimension that `dimensions` finds; what is added to it, such as the time of the last spike, are
numbers of ms.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from izhi_models.errors import UnsupportedError
from izhi_models.expr import (
    FALSE,
    ONE,
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Select,
    is_random,
    names,
    substitute,
)
from izhi_models.importers.definition import Definition
from izhi_models.importers.dimensions import MSEC, UNITS, Claim, in_units
from izhi_models.importers.equations import (
    Equation,
    bounded,
    is_proportional,
    read_equations,
    read_functions,
)
from izhi_models.importers.expressions import parse_condition, truncated
from izhi_models.importers.order import blocks_before, held_values, in_order
from izhi_models.importers.schedules import Schedule
from izhi_models.importers.typing import DURATION, Typing, told_of
from izhi_models.importers.values import (
    STEP,
    TIME,
    Context,
    Values,
    as_values,
    population_values,
)
from izhi_models.units import NONE, Dimension

COUNT = "spikes_sent"
LAST = "last_spike_ms"
_ACTIVE = "is_active"
_PERIOD = "refractory_ms"
_NEVER = -10000.0  # steps before the start at which a cell has spiked last, says ANNarchy


@dataclass(frozen=True)
class Decay:
    """How what has arrived at a target decays, where each synapse can do it for itself.

    Parameters
    ----------
    rate : Expr
        In the target's name and `values`.
    method : str
    values : dict of str to float
    dimensions : dict of str to Dimension
        Of these.
    block : int
        Which of the blocks of rates it belongs to.
    """

    rate: Expr
    method: str
    values: dict[str, float]
    dimensions: dict[str, Dimension]
    block: int


@dataclass
class Cell:
    """What a population's neuron became.

    Parameters
    ----------
    definition : Definition
        Its name is still open.
    parameters : dict of str to float
        Of the component.
    apart : dict of str to array (size,)
        What differs between cells, by exposure of what is attached to them.
    arriving : dict of str to (Decay or None)
        Targets, and how what arrives there decays; in one step if None.
    shown : dict of str to str
        What synapses expose of each target.
    common : list of str
        What all cells of a population have in common, and is attached to them.
    """

    definition: Definition
    parameters: dict[str, float] = field(default_factory=dict)
    apart: dict[str, Any] = field(default_factory=dict)
    arriving: dict[str, Decay | None] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    common: list[str] = field(default_factory=list)

    @property
    def exposures(self) -> dict[str, Dimension]:
        """Everything that what is attached exposes."""
        names_there = (*self.shown.values(), *self.apart, *self.common)
        return {name: self.definition.dimensions[name] for name in names_there}

    def give(self, name: str, values: Values, dimension: Dimension = NONE) -> None:
        """Declare a value of the component, or of each cell."""
        if isinstance(values, float):
            self.definition.declare("Parameter", name, dimension)
            self.parameters[name] = values
        else:
            self.definition.gather(name, f"synapses[*]/{name}", dimension)
            self.apart[name] = values


def declare_time(definition: Definition, context: Context) -> None:
    """Declare ANNarchy's time, that of the start of a step, and the length of a step, in ms.

    It is a whole number of steps, times the step: comparisons with it then hold in the same steps.
    """
    definition.declare("Constant", STEP, value=repr(context.dt_ms))
    passed = Binary("/", Binary("/", Name("t"), Name(MSEC)), Name(STEP))
    whole = Call("ceil", Binary("-", passed, Number(1.5)))
    definition.derive(TIME, Binary("*", Name(STEP), whole), shown=False)


_NO_SCHEDULES: Mapping[str, Schedule] = MappingProxyType({})
_NO_DIMENSIONS: Mapping[str, Dimension] = MappingProxyType({})


class NeuronReader:
    """Reads the neuron of one population.

    Parameters
    ----------
    population : ANNarchy.Population
    context : Context
    connected : collection of str
        Targets of projections to it.
    watched : collection of str
        Variables that synapses read of it; `COUNT` and `LAST` are made if they are among them.
    continuous : collection of str
        Targets to which synapses add something in every step.
    schedules : mapping of str to Schedule
        Of parameters that change at given times.
    common : mapping of str to Dimension, optional
        What all cells share, if a cell of its own computes it.
    """

    def __init__(
        self,
        population: Any,
        context: Context,
        connected: Collection[str],
        watched: Collection[str],
        continuous: Collection[str],
        schedules: Mapping[str, Schedule] = _NO_SCHEDULES,
        common: Mapping[str, Dimension] = _NO_DIMENSIONS,
    ) -> None:
        self.population = population
        self.neuron = population.neuron_type
        self.description = self.neuron.description
        self.context = context
        self.connected = connected
        self.watched = watched
        self.continuous = continuous
        self.schedules = schedules
        self.common = common
        self.where = f"neuron '{self.neuron.name}' of population '{population.name}'"
        self.functions = read_functions(self.neuron.functions, self.where, context.functions)
        self.is_spiking = self._sends()
        self.equations = self._equations()
        self.resets = self._read(self.neuron.reset) if self.is_spiking else []
        self._check_common()
        self.condition: Expr | None = None
        if self.is_spiking:
            where = f"{self.where}, spike"
            self.condition = parse_condition(self.neuron.spike, where, self.functions)
        self.targets = self._targets()
        self.cell = Cell(Definition("@", "baseSpikingCell"))
        self.definition = self.cell.definition
        self._check_own_names()
        self.reset_names = {item.name for item in self.resets}
        # What synapses read is the value at the end of the step.
        self.held = held_values(self.equations, self.reset_names | {*watched})
        self.blocks = blocks_before(self.equations)
        self.dimensions = self._infer()

    def _check_own_names(self) -> None:
        own = {*self.description["attributes"]}
        taken = sorted(own & {TIME, STEP, COUNT, LAST, _ACTIVE, _PERIOD, "weight", *UNITS})
        if taken:
            raise UnsupportedError(
                f"{self.where}: the name '{taken[0]}' means something else in the model: "
                "choose another"
            )
        if not self.population.enabled:
            raise UnsupportedError(f"population '{self.population.name}' is disabled")

    def _sends(self) -> bool:
        return bool(self.neuron.type == "spike")

    def _targets(self) -> list[str]:
        return sorted({*self.description["targets"], *self.connected})

    def _given(self) -> list[str]:
        """Return the names of its parameters."""
        return [item["name"] for item in self.description["parameters"]]

    def _check_common(self) -> None:
        for item in self.resets:
            if item.name in self.common:
                raise UnsupportedError(
                    f"{self.where}, reset '{item.text}': '{item.name}' is one random variable of "
                    "all cells, which a spike of one cannot change in LEMS"
                )

    def _read(self, source: Any) -> list[Equation]:
        return read_equations(source or "", "neuron", self.where, self.functions)

    def _equations(self) -> list[Equation]:
        """Return the equations in the order in which they are done: those of all cells first."""
        found = self._read(self.neuron.equations)
        # Populations of Poisson neurons declare sums that nothing adds to.
        found = [item for item in found if not item.name.startswith("_sum_")]
        return in_order(item for item in found if item.name not in self.common)

    def _infer(self) -> dict[str, Dimension]:
        """Find the dimensions of what the neuron computes with; give equations units."""
        typing = Typing()
        equations = [typing.equation(item) for item in self.equations]
        resets = [typing.equation(item) for item in self.resets]
        spike = None if self.condition is None else typing.claim(Claim(self.condition))
        moving = [item.name for item in self.equations if item.is_ode]
        arriving = [f"{word}_{t}" for t in self.targets for word in ("g", "sum")]
        arriving += [f"sum({t})" for t in self.targets]
        given = self._given()
        given += sorted(self.context.constants.keys() - {*self.description["attributes"], "pi"})
        first = [*given, *(item.name for item in self.equations)]
        last = [*arriving, *moving]
        first = [name for name in first if name not in last]
        told = told_of(self.population)
        if isinstance(self.neuron.refractory, str):
            told = {self.neuron.refractory: DURATION, **told}
        found = typing.infer((first, last), {"pi": NONE, **self.common}, told)
        self.equations = [item() for item in equations]
        self.resets = [item() for item in resets]
        self.condition = None if spike is None else spike()
        return found

    def read(self) -> Cell:
        """Return the cell.

        Raises
        ------
        UnsupportedError
            If LEMS has no words for something.
        """
        declare_time(self.definition, self.context)
        self.definition.attach("synapses", "@_synapse")
        self.start: list[tuple[str, Expr]] = []
        self.inflow: dict[str, tuple[str, str]] = {}
        self._parameters()
        for name, dimension in self.common.items():
            self.definition.gather(name, f"synapses[*]/{name}", dimension)
            self.cell.common.append(name)
        self._arrivals()
        self._refractory()
        self._variables()
        self._end_of_step()
        self.definition.on_start(self.start)
        return self.cell

    # What it is made of

    def _state(self, name: str, values: Values | None = None) -> None:
        """Declare a state with the value that it has now."""
        dimension = self.dimensions.get(name, NONE)
        self.definition.state(name, dimension)
        values = population_values(self.population, name) if values is None else values
        if not (isinstance(values, float) and values == 0.0):
            start = self.definition.unused(f"{name}_start")
            self.cell.give(start, values, dimension)
            self.start.append((name, Name(start)))

    def _parameters(self) -> None:
        for name in self._given():
            if name in self.reset_names:
                self._state(name)
            elif name in self.schedules:
                value = self.schedules[name].value(self.cell, name)
                self.definition.derive(name, value, shown=False)
            else:
                values = population_values(self.population, name)
                self.cell.give(name, values, self.dimensions[name])

    def _arrivals(self) -> None:
        for target in self.targets:
            name = self.cell.shown[target] = self._exposure(target)
            number = next((n for n, e in enumerate(self.equations) if e.name == name), None)
            decay = None
            if number is not None and target not in self.continuous:
                decay = self._decay(self.equations[number], number)
            self.cell.arriving[target] = decay
            word = f"sum({target})" if name.startswith("sum_") else name
            dimension = self.dimensions[name] = self.dimensions[word]
            if number is None or decay is not None:
                self.definition.gather(name, f"synapses[*]/{name}", dimension)
                continue
            # A state of the cell, to which what arrives is added before anything else.
            arriving, now = (self.definition.unused(f"{name}_{word}") for word in ("in", "now"))
            self.definition.gather(arriving, f"synapses[*]/{name}", dimension)
            self.inflow[name] = (arriving, now)

    def _exposure(self, target: str) -> str:
        """Return under which name a target is read."""
        summed = any(f"sum({target})" in names(item.value) for item in self.equations)
        return f"sum_{target}" if summed or not self.is_spiking else f"g_{target}"

    def _decay(self, item: Equation, number: int) -> Decay | None:
        """Return how a target decays, if each synapse can do so for itself."""
        if not item.is_ode or item.low or item.high or item.name in self.reset_names:
            return None
        if self.population.initialized and np.any(population_values(self.population, item.name)):
            return None
        own = names(item.value) - {item.name} - UNITS.keys()
        values: dict[str, float] = {}
        parameters = {*self._given()}
        for name in own:
            if name in self.context.constants and name not in self.description["attributes"]:
                values[name] = self.context.constants[name]
                continue
            found = population_values(self.population, name) if name in parameters else None
            if name in self.reset_names or not isinstance(found, float):
                return None
            values[name] = found
        if is_random(item.value) or not is_proportional(item.value, item.name):
            return None
        dimensions = {name: self.dimensions[name] for name in values}
        return Decay(item.value, item.method, values, dimensions, self.blocks[number])

    def _refractory(self) -> None:
        """Declare when a cell stands still after a spike, if it does."""
        self.mask: Expr | None = None
        period = self._period()
        if period is None and not {LAST, "t_last"} & self._read_names():
            return
        self._state(LAST, _NEVER * self.context.dt_ms)
        if period is None:
            return
        self.mask = Name(_ACTIVE)
        passed = Binary("-", Name(TIME), Name(LAST))
        half = Binary("*", Number(0.5), Name(STEP))
        over = Compare(">", passed, Binary("+", period, half))
        self.definition.derive(_ACTIVE, Select(over, ONE, ZERO), shown=False)

    def _read_names(self) -> set[str]:
        read = {name for item in self.equations for name in names(item.value)}
        return read | {name for item in self.resets for name in names(item.value)} | {*self.watched}

    def _period(self) -> Expr | None:
        """Return how long a cell stands still, in whole steps [ms]; None if it does not."""
        said = self.neuron.refractory or self.description.get("refractory")
        if said is None:
            return None
        step = Name(STEP)
        if isinstance(said, str):
            parameters = {*self._given()}
            if said in parameters - self.reset_names:
                found = population_values(self.population, said)
                if isinstance(found, float) and int(found / self.context.dt_ms) == 0:
                    return None
            time = in_units(Name(said), NONE.over(self.dimensions.get(said, NONE)))
            return Binary("*", step, truncated(Binary("/", time, step)))
        steps = as_values(self._refractory_steps(said))
        if not np.any(steps):
            return None
        self.cell.give(_PERIOD, steps * self.context.dt_ms)
        return Name(_PERIOD)

    def _refractory_steps(self, said: Any) -> Any:
        """Return the numbers of steps for which cells stand still."""
        if self.population.initialized:
            # The property `refractory` calls what compiled populations do not have.
            return getattr(self.population.cyInstance, "refractory", 0)
        drawn = said.get_values(self.population.size) if hasattr(said, "get_values") else said
        return np.trunc(np.asarray(drawn, dtype=np.float64) / self.context.dt_ms)

    # Equations

    def _here(self, expr: Expr, number: int | None = None) -> Expr:
        """Return an expression as it is read by an equation, or at the end of the step."""
        values: dict[str, Expr] = {
            "t": Name(TIME),
            "dt": Name(STEP),
            "t_last": Name(LAST),
        }
        for target in self.targets:
            values[f"sum({target})"] = Name(f"sum_{target}")
        if number is not None:
            values |= {name: Name(now) for name, (_, now) in self.inflow.items()}
            before = (item.name for item in self.equations[:number])
            values |= {name: Name(f"{name}_now") for name in before if name in self.held}
        found = substitute(expr, values)
        self._check_names(found)
        return found

    def _check_names(self, expr: Expr) -> None:
        own = {*self.description["attributes"]}
        self.definition.declare_used(expr, self.context.constants, own, self.dimensions)
        known = self.definition.names | self._declared_later() | UNITS.keys()
        unknown = sorted(names(expr) - known)
        if unknown:
            raise UnsupportedError(f"{self.where}: nothing is called '{unknown[0]}'")

    def _declared_later(self) -> set[str]:
        found = {item.name for item in self.equations}
        return found | {f"{name}_now" for name in self.held} | {*self.cell.shown.values()}

    def _variables(self) -> None:
        moving = [item.name for item in self.equations if item.is_ode]
        decaying = {f"g_{t}" for t, decay in self.cell.arriving.items() if decay is not None}
        for name in (*moving, *(item for item in self.inflow if item not in moving)):
            if name not in decaying:
                self._state(name)
        for name in self.held - {*moving, *self.inflow}:
            self._state(name)
        for name, (arriving, now) in self.inflow.items():
            total = Binary("+", Name(name), Name(arriving))
            self.definition.derive(now, total, self.dimensions[name], shown=False)
        for number, item in enumerate(self.equations):
            if item.name in decaying:
                continue
            value = self._here(item.value, number)
            if item.is_ode:
                masked = self._masked(item.name, value)
                self.definition.rate(item.name, masked, item.method, self.blocks[number])
                continue
            name = f"{item.name}_now" if item.name in self.held else item.name
            value, dimension = self._bounded(item, value), self.dimensions[item.name]
            self.definition.derive(name, value, dimension, shown=name == item.name, frozen=True)

    def _bounded(self, item: Equation, value: Expr) -> Expr:
        low, high = (
            None if limit is None else self._here(limit) for limit in (item.low, item.high)
        )
        return bounded(value, low, high)

    def _masked(self, name: str, value: Expr) -> Expr:
        if self.mask is None or name.startswith("g_"):
            return value
        return Binary("*", self.mask, value)

    # The end of the step

    def _end_of_step(self) -> None:
        """Write what is done on the new state: arrivals, bounds, held values, spikes."""
        for name, (arriving, _) in self.inflow.items():
            total = Binary("+", Name(name), Name(arriving))
            nothing = in_units(ZERO, self.dimensions[name])
            self.definition.on_condition(Compare("!=", Name(arriving), nothing), [(name, total)])
        inlined: dict[str, Expr] = {}
        for number, item in enumerate(self.equations):
            if item.is_ode:
                self._bounds(item)
                continue
            # What follows rates is computed from the new state.
            value = self._bounded(item, self._here(item.value))
            value = substitute(value, inlined)
            if item.name in self.held:
                now = Name(f"{item.name}_now") if self.blocks[number] == 0 else value
                always = Compare(">=", Name("t"), Binary("*", ZERO, Name(MSEC)))
                test = always if self.mask is None else Compare("==", self.mask, ONE)
                self.definition.on_condition(test, [(item.name, now)])
            elif self.blocks[number] > 0:
                inlined[item.name] = value
        if self.is_spiking:
            self._spike(inlined)

    def _bounds(self, item: Equation) -> None:
        if item.low is not None:
            low = self._here(item.low)
            self.definition.on_condition(Compare("<", Name(item.name), low), [(item.name, low)])
        if item.high is not None:
            high = self._here(item.high)
            self.definition.on_condition(Compare(">", Name(item.name), high), [(item.name, high)])

    def _spike(self, inlined: dict[str, Expr]) -> None:
        if self.neuron.axon_spike:
            raise UnsupportedError(
                f"{self.where}: its axon_spike '{self.neuron.axon_spike}' sends a second kind of "
                "spike, and a cell of NeuroML has one"
            )
        test = substitute(self._here(self.condition or FALSE), inlined)
        if self.mask is not None:
            test = Logic("and", test, Compare("==", self.mask, ONE))
        assignments = [
            (item.name, substitute(self._here(item.value), inlined)) for item in self.resets
        ]
        if LAST in self.definition.names:
            assignments.append((LAST, Name(TIME)))
        if COUNT in self.watched:
            self.definition.state(COUNT)
            assignments.append((COUNT, Binary("+", Name(COUNT), ONE)))
        self.definition.on_condition(test, assignments, sends=True)
