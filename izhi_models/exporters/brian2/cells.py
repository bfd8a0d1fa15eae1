"""Populations of one structure as a `NeuronGroup` of Brian2.

A step of the model is done as Brian2 does one: `groups` advances all states at once, from rates at
the start of the step, then `thresholds` and `resets`. What has to be taken at the start of the
step, since it is read at its end or drawn at random, is set before `groups`. A condition that
sends nothing is an event of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from izhi_models.annarchy.lower import Group
from izhi_models.annarchy.start import start_of
from izhi_models.errors import UnsupportedError
from izhi_models.exporters.brian2.paths import Paths, one_line, shortest
from izhi_models.exporters.brian2.printing import EDGE, Printer
from izhi_models.exporters.brian2.tidy import Equations, Values, single, tidied
from izhi_models.exporters.brian2.words import Identifiers, base_unit, one_unit, quantity
from izhi_models.expr import Binary, Expr, Name, is_random, names, substitute
from izhi_models.ir.dynamics import (
    STEP_NAME,
    TIME_NAME,
    Assignment,
    Derived,
    OnEvent,
)
from izhi_models.ir.passes import drop_unused
from izhi_models.ir.rewrite import map_expressions
from izhi_models.ir.step import Block, Step, make_step
from izhi_models.units import TIME, Dimension

T_END = "t_end = t + dt*(1 + 1e-8) : second  # end of the step, past rounding"

_SPIKE = "spike"

# How Brian2 calls our methods; it has no exponential midpoint, and its fourth order is closest.
METHODS: Mapping[str, str] = {
    "euler": "euler",
    "exponential_euler": "exponential_euler",
    "exponential_midpoint": "rk4",
    "midpoint": "rk2",
    "rk4": "rk4",
}


@dataclass
class Cells:
    """One `NeuronGroup`.

    Parameters
    ----------
    identifier : str
        Of the group in the script.
    group : Group
        The populations.
    equations : Equations
    method : str
        Of Brian2.
    held : tuple of Derived
        Computed once at the start of each step.
    each : frozenset of str
        Parameters with a value for each cell.
    sums : dict of str to Dimension
        What synapses of single connections add up in each step.
    paths : Paths
    start : dict of str to float or array (n,)
        Initial values of states and variables. [SI]
    names : dict of str to str
        Identifiers of all of these.
    functions : set of str
        Functions that Brian2 does not have.
    """

    identifier: str
    group: Group
    equations: Equations
    method: str
    held: tuple[Derived, ...]
    each: frozenset[str]
    sums: dict[str, Dimension]
    paths: Paths
    start: Values
    names: dict[str, str] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        known = [item.name for item in self.equations.states]
        known += [item.name for item in (*self.equations.definitions, *self.held)]
        known += [*self.equations.values, *self.sums]
        readable = {name: self.paths.readable(name) for name in dict.fromkeys(known)}
        ends = shortest(readable.values())
        make = Identifiers().make
        for name, path in readable.items():
            value = self.equations.values.get(name)
            unit = None
            if isinstance(value, float) and name not in self.each and self._is_constant(name):
                unit = one_unit(value, self.equations.dimensions[name])
            self.names[name] = unit or make(ends[path])

    def _is_constant(self, name: str) -> bool:
        return any(item.name == name for item in self.group.dynamics.constants)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.group.size

    @property
    def variables(self) -> frozenset[str]:
        """The names that are variables of the group, and not of its namespace."""
        found = {item.name for item in self.equations.states} | self.each | self.sums.keys()
        found |= {item.name for item in (*self.equations.definitions, *self.held)}
        return frozenset(found)

    @property
    def shared(self) -> dict[str, float]:
        """What all cells have in common, by name, in SI."""
        return {
            name: value
            for name, value in self.equations.values.items()
            if name not in self.each and isinstance(value, float)
        }

    @property
    def sends(self) -> bool:
        """Whether its cells send spikes."""
        return any(_is_sending(block) for block in self.equations.blocks)

    def now(self, name: str) -> str:
        """Return what stands for a name of the dynamics."""
        found = self.group.dynamics.exposed(name) or name
        return self.equations.instead.get(found, found)

    def printer(self, time: str = "t + dt", suffix: str = "") -> Printer:
        """Return what prints expressions of the cells.

        Parameters
        ----------
        time : str
            What stands for the time.
        suffix : str
            Of variables: ``_post`` in a synapse.
        """
        own = self.variables
        found = {
            name: f"{identifier}{suffix}" if name in own else identifier
            for name, identifier in self.names.items()
        }
        return Printer(found, self.equations.dimensions, time, self.functions)


def make_cells(
    identifier: str,
    number: int,
    group: Group,
    paths: Paths,
    *,
    method: str,
    seed: int,
    kept: frozenset[str],
    arrivals: frozenset[str],
    sums: Mapping[str, Sequence[str]],
    read: frozenset[str],
) -> Cells:
    """Return the `NeuronGroup` of some populations.

    Parameters
    ----------
    identifier : str
    number : int
        Of the group, from which random initial values follow.
    group : Group
    paths : Paths
    method : str
        Of Brian2.
    seed : int
    kept : frozenset of str
        Names in the dynamics that are recorded.
    arrivals : frozenset of str
        Parameters that stand for events that arrive.
    sums : mapping of str to sequence of str
        Parameters that synapses of single connections set, and the names of their parts.
    read : frozenset of str
        Names that synapses of single connections read.
    """
    dynamics = group.dynamics
    wanted = frozenset(dynamics.exposed(name) or name for name in kept | read)
    split = {name: _total([Name(part) for part in parts]) for name, parts in sums.items()}
    used = drop_unused(dynamics, wanted)
    used = map_expressions(used, lambda expr: substitute(expr, split))
    dimensions = {**dynamics.dimensions(), EDGE: TIME, STEP_NAME: TIME}
    parts = {part: dimensions[name] for name, found in sums.items() for part in found}
    dimensions |= parts
    values: Values = {
        item.name: single(group.value(item.name))
        for item in used.parameters
        if item.name not in arrivals and item.name not in sums
    }
    start = start_of(group, number, seed)
    step = make_step(used, "euler", wanted)
    resting = _resting(step) - wanted
    step = replace(step, states=tuple(item for item in step.states if item.name not in resting))
    values |= {name: single(start[name]) for name in sorted(resting)}
    equations = tidied(step, values, dimensions, group.size, wanted)
    equations, held = with_held(equations, method)
    each = {name for name, value in equations.values.items() if isinstance(value, np.ndarray)}
    return Cells(
        identifier,
        group,
        equations,
        method,
        held,
        frozenset(each | (wanted & equations.values.keys())),
        parts,
        paths,
        {name: single(value) for name, value in start.items()},
    )


def _resting(step: Step) -> set[str]:
    """Return the states that keep the value that they start with."""
    moving = {item.state for item in step.advances}
    blocks: tuple[Block | OnEvent, ...] = (*step.blocks, *step.on_events)
    moving |= {item.state for block in blocks for item in block.assignments}
    return {item.name for item in step.states} - moving


def _total(parts: Sequence[Expr]) -> Expr:
    total = parts[0]
    for part in parts[1:]:
        total = Binary("+", total, part)
    return total


# What is taken at the start of the step


def with_held(equations: Equations, method: str) -> tuple[Equations, tuple[Derived, ...]]:
    """Separate the definitions that have to be computed once at the start of the step.

    Parameters
    ----------
    equations : Equations
    method : str
        Of Brian2.
    """
    is_euler = method == "euler"
    acting = {name for expr in equations.actions() for name in names(expr)}
    rates = dict(equations.rates)
    drawn = []
    for state, rate in equations.rates.items():
        if is_random(rate):
            name = f"{state}/rate"
            drawn.append(Derived(name, equations.dimensions[state].over(TIME), rate))
            rates[state] = Name(name)
    dimensions = {**equations.dimensions, **{item.name: item.dimension for item in drawn}}
    definitions = (*equations.definitions, *drawn)
    changing = {item.name for item in equations.states}
    timed = {TIME_NAME, EDGE}
    held, kept, copies = [], [], {}
    for item in definitions:
        read = names(item.value)
        if read & timed:
            timed.add(item.name)
        if read - timed - equations.values.keys() - {STEP_NAME}:
            changing.add(item.name)
        is_varying = item.name in changing
        is_read = is_euler and item.name in acting and is_varying
        is_input = not is_euler and item.name in timed and not is_varying
        if is_random(item.value) or is_read or is_input:
            held.append(item)
        else:
            kept.append(item)
            if item.name in acting and is_varying:
                copies[item.name] = f"{item.name}@start"
                held.append(Derived(copies[item.name], item.dimension, Name(item.name)))
                dimensions[copies[item.name]] = item.dimension
    found = replace(
        equations, definitions=tuple(kept), rates=rates, dimensions=dimensions
    ).map_actions(lambda expr: substitute(expr, {old: Name(new) for old, new in copies.items()}))
    return found, tuple(held)


# Text


def model_lines(cells: Cells) -> list[str]:
    """Return the equations of the group, one per line."""
    equations = cells.equations
    printer = cells.printer("t + dt" if cells.method == "euler" else "t")
    if cells.method != "euler":  # it takes rates at times inside the step
        equations = equations.map_equations(_at_stage)
    name = cells.names
    lines = []
    for item in equations.states:
        unit = base_unit(item.dimension)
        rate = equations.rates.get(item.name)
        if rate is None:
            lines.append(f"{name[item.name]} : {unit}{_comment(cells, item.name)}")
        else:
            text = printer.text(rate, item.dimension.over(TIME))
            lines.append(f"d{name[item.name]}/dt = {text} : {unit}{_comment(cells, item.name)}")
    for definition in equations.definitions:
        text = printer.text(definition.value, definition.dimension)
        unit = base_unit(definition.dimension)
        lines.append(f"{name[definition.name]} = {text} : {unit}{_comment(cells, definition.name)}")
    acting = (*equations.expressions(), *(item.value for item in cells.held))
    if any(EDGE in names(expr) for expr in acting):
        lines.append(T_END)
    for held in cells.held:
        unit = base_unit(held.dimension)
        lines.append(f"{name[held.name]} : {unit}  # set at the start of each step")
    for sum_, dimension in cells.sums.items():
        lines.append(f"{name[sum_]} : {base_unit(dimension)}  # sum over the connections of a cell")
    for parameter in sorted(cells.each):
        unit = base_unit(equations.dimensions[parameter])
        lines.append(f"{name[parameter]} : {unit} (constant){_comment(cells, parameter)}")
    if _flags(cells):
        lines.append("sends : boolean")
    return lines


def _at_stage(expr: Expr) -> Expr:
    return substitute(expr, {EDGE: Name(TIME_NAME)})


def _comment(cells: Cells, name: str) -> str:
    """Say what an identifier stands for, where that is not plain."""
    readable = cells.paths.readable(name)
    is_plain = re.sub(r"\W+", "_", readable) == cells.names[name]
    return "" if is_plain else f"  # {one_line(readable)}"


def namespace_lines(cells: Cells) -> list[str]:
    """Return the items of the namespace of the group."""
    found = []
    for name, value in cells.shared.items():
        if cells.names[name] == one_unit(value, cells.equations.dimensions[name]):
            continue
        text = quantity(value, cells.equations.dimensions[name])
        found.append(f'"{cells.names[name]}": {text},{_comment(cells, name)}')
    return found


def held_lines(cells: Cells) -> list[str]:
    """Return what is set at the start of each step."""
    time = "t + dt" if cells.method == "euler" else "t + dt/2"
    printer = cells.printer(time)
    lines = []
    for item in cells.held:
        value = item.value
        if cells.method != "euler":
            value = _at_stage(value)
        lines += printer.statements(cells.names[item.name], value, item.dimension)
    return lines


@dataclass(frozen=True)
class Event:
    """A condition of a group, and what it does.

    Parameters
    ----------
    name : str
    test : str
    code : list of str
    """

    name: str
    test: str
    code: list[str]


def events(cells: Cells) -> tuple[list[Event], Event | None, list[Event]]:
    """Return the events before the spike, the spike, and those after it, in order.

    Parameters
    ----------
    cells : Cells

    Raises
    ------
    UnsupportedError
        If a cell sends events on more than one port.
    """
    blocks = cells.equations.blocks
    ports = {port for block in blocks for port in block.events if "/" not in port}
    if len(ports) > 1:
        listed = ", ".join(sorted(ports))
        raise UnsupportedError(f"a cell sends events on several ports ({listed})")
    sending = [number for number, block in enumerate(blocks) if _is_sending(block)]
    if _flags(cells):
        found = [_event(cells, number, block) for number, block in enumerate(blocks)]
        for number in sending:
            found[number].code.append("sends = True")
        return found, Event(_SPIKE, "sends", ["sends = False"]), []
    before: list[Event] = []
    after: list[Event] = []
    spike = None
    for number, block in enumerate(blocks):
        event = _event(cells, number, block)
        if number in sending:
            spike = replace(event, name=_SPIKE)
        else:
            (before if spike is None else after).append(event)
    return before, spike, after


def _event(cells: Cells, number: int, block: Block) -> Event:
    printer = cells.printer()
    code = assignment_lines(block.assignments, printer)
    return Event(f"condition_{number + 1}", printer.text(block.test), code)


def _is_sending(block: Block) -> bool:
    return any("/" not in port for port in block.events)


def _flags(cells: Cells) -> bool:
    """Return whether several conditions send, so that a flag has to tell of the spike."""
    return sum(_is_sending(block) for block in cells.equations.blocks) > 1


def assignment_lines(assignments: Iterable[Assignment], printer: Printer) -> list[str]:
    """Return assignments, each seeing those before it."""
    lines = []
    for item in assignments:
        left = printer.names[item.state]
        match item.value:
            case Binary("+" | "-" as op, Name(state), change) if state == item.state:
                operator, value = f"{op}=", change
            case _:
                operator, value = "=", item.value
        lines += printer.statements(left, value, printer.dimensions[item.state], operator)
    return lines
