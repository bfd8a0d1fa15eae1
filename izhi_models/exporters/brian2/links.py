"""Projections as `Synapses` of Brian2.

A synapse whose sum obeys one dynamics is part of the equations of the cell, and its connections
add to that; any other is a `Synapses` object with equations of its own, whose currents are summed
in each step. What arrives does so before `groups`; the equations of a synapse follow those of the
cells, after `resets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.links import Part
from izhi_models.errors import UnsupportedError
from izhi_models.exporters.brian2.cells import T_END, Cells, assignment_lines, with_held
from izhi_models.exporters.brian2.monitors import Variable
from izhi_models.exporters.brian2.paths import shortest
from izhi_models.exporters.brian2.printing import EDGE, Printer
from izhi_models.exporters.brian2.tidy import Equations, Values, simplified, tidied
from izhi_models.exporters.brian2.words import Identifiers, base_unit, quantity
from izhi_models.expr import ONE, ZERO, Binary, Expr, Name, Select, is_random, names, substitute
from izhi_models.ir.dynamics import STEP_NAME, Assignment, Derived, Dynamics
from izhi_models.ir.evaluate import initial_values
from izhi_models.ir.passes import drop_unused, order_derived
from izhi_models.ir.rewrite import map_expressions
from izhi_models.ir.step import make_step
from izhi_models.network import PEER, WEIGHT, Block, Network, Projection, join
from izhi_models.units import NONE, TIME

WEIGHT_LINE = "weight : 1 (constant)"


@dataclass
class Link:
    """One `Synapses` object.

    Parameters
    ----------
    members : list of Projection
    pre, post : int
        Numbers of the groups.
    own : bool
        Whether each connection has equations.
    is_weighted : bool
        Whether its code reads weights.
    number : int
    ranks : int array (n,)
        Where each connection of the members is in the script.
    recorded : dict of str to Variable
        What can be recorded at each connection.
    """

    members: list[Projection]
    pre: int
    post: int
    own: bool
    is_weighted: bool
    number: int = 0
    ranks: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    recorded: dict[str, Variable] = field(default_factory=dict)

    def part_of(self, name: str) -> str:
        """Return the name of its part of a sum in the postsynaptic cells."""
        return f"{name}#{self.number}"

    def whole(self, firsts: Mapping[str, int]) -> Block:
        """Return all connections between cells of the groups."""
        return join(
            block
            for item in self.members
            for block in Part(
                item.connections, firsts[item.pre], firsts[item.post], self.is_weighted
            ).blocks()
        )


def find_links(network: Network, number_of: Mapping[str, int]) -> list[Link]:
    """Return the `Synapses` objects of a network: projections that do the same are one.

    Parameters
    ----------
    network : Network
    number_of : mapping of str to int
        The group of each population.
    """
    found: dict[tuple[object, ...], Link] = {}
    key: tuple[object, ...]
    for item in network.projections:
        if not item.size:
            continue
        ends = (number_of[item.pre], number_of[item.post])
        if item.is_own:
            given = (*sorted(item.own.items()), *((a.name, a.weight) for a in item.arrivals))
            key = (*ends, item.synapse, given)
            found.setdefault(key, Link([], *ends, own=True, is_weighted=item.has_weights))
            found[key].members.append(item)
            found[key].is_weighted |= item.has_weights
        elif item.arrivals:
            weighted = item.has_weights and any(WEIGHT in names(a.weight) for a in item.arrivals)
            key = (*ends, tuple((a.name, a.weight) for a in item.arrivals), weighted)
            found.setdefault(key, Link([], *ends, own=False, is_weighted=weighted))
            found[key].members.append(item)
    return [replace(link, number=number) for number, link in enumerate(found.values(), 1)]


@dataclass
class Written:
    """The texts of one `Synapses` object.

    Parameters
    ----------
    model : list of str
        Its equations.
    on_pre : list of str
        What an arriving spike does.
    namespace : list of str
    start : dict of str to str
        Initial values by identifier.
    sums : list of str
        Identifiers of the variables of the postsynaptic cells that it sets.
    after : list of str
        What is done at the end of each step.
    moves : bool
        Whether it has differential equations.
    held : list of str
        What is set before these.
    variables : dict of str to (str, bool)
        Identifiers of what is recorded, and whether these are states.
    seen : list of str
        What is set for that at the start of each step.
    functions : frozenset of str
        Functions that Brian2 does not have.
    """

    model: list[str] = field(default_factory=list)
    on_pre: list[str] = field(default_factory=list)
    namespace: list[str] = field(default_factory=list)
    start: dict[str, str] = field(default_factory=dict)
    sums: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    moves: bool = False
    held: list[str] = field(default_factory=list)
    functions: frozenset[str] = frozenset()
    variables: dict[str, tuple[str, bool]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)


def write_arrivals(link: Link, post: Cells) -> Written:
    """Return what spikes add to the equations of the postsynaptic cells.

    Parameters
    ----------
    link : Link
        With equations in the cells.
    post : Cells
    """
    counts = {
        item.name: item.weight if link.is_weighted else ONE for item in link.members[0].arrivals
    }
    lines, namespace = _effects(counts, {WEIGHT: "weight"}, post)
    return Written([WEIGHT_LINE] if link.is_weighted else [], lines, namespace)


def _effects(
    counts: Mapping[str, Expr], own_names: Mapping[str, str], post: Cells
) -> tuple[list[str], list[str]]:
    """Return what an event does in the cells, and the constants that it reads.

    Parameters
    ----------
    counts : mapping of str to Expr
        What it counts, by arrival.
    own_names : mapping of str to str
        Identifiers of what these read.
    post : Cells
    """
    printer = post.printer(suffix="_post")
    printer.names = {**printer.names, **own_names}
    lines = []
    used: set[str] = set()
    for event in post.equations.on_events:
        for item in event.assignments:
            if not names(item.value) & counts.keys():
                continue
            operator, value = _effect(item, counts, post)
            used |= names(value)
            text = printer.text(value, post.equations.dimensions[item.state])
            lines.append(f"{printer.names[item.state]} {operator} {text}")
    return lines, [
        f'"{post.names[name]}": {quantity(value, post.equations.dimensions[name])},'
        for name, value in post.shared.items()
        if name in used
    ]


def _effect(item: Assignment, counts: Mapping[str, Expr], post: Cells) -> tuple[str, Expr]:
    """Return what one event does to a state: it adds to it, or sets it to what it was not."""
    others = {
        name: ZERO for name in names(item.value) if name not in post.names and name not in counts
    }
    value = simplified(substitute(item.value, {**counts, **others}))
    terms = list(_terms(value))
    rest = [term for term in terms if term != Name(item.state)]
    if len(rest) < len(terms) and rest:
        total = reduce(lambda left, right: Binary("+", left, right), rest)
        if item.state not in names(total):
            return "+=", total
    return "=", value


def _terms(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Binary("+", left, right):
            yield from _terms(left)
            yield from _terms(right)
        case _:
            yield expr


def write_own(link: Link, pre: Cells, post: Cells, recorded: frozenset[str]) -> Written:
    """Return the equations of synapses of single connections.

    Parameters
    ----------
    link : Link
        With equations of its own.
    pre, post : Cells
    recorded : frozenset of str
        Names in the dynamics that are to be recorded.

    Raises
    ------
    UnsupportedError
        If it draws random numbers.
    """
    item = link.members[0]
    exposed = {
        name: item.dynamics.exposed(exposure) or exposure for name, exposure in item.own.items()
    }
    counts = {
        arrival.name: Derived(f"count@{number}", arrival.dimension, arrival.weight)
        for number, arrival in enumerate(item.arrivals)
    }
    asked = {name: item.dynamics.exposed(name) or name for name in recorded}
    counted = [count.name for count in counts.values()]
    kept = frozenset((*exposed.values(), *asked.values(), *counted))
    derived = (*item.dynamics.derived, *counts.values())
    ordered = order_derived(replace(item.dynamics, derived=derived))
    used = drop_unused(ordered, kept)
    if any(is_random(expr) for expr in used.expressions()):
        raise UnsupportedError(f"'{item.synapse}' draws random numbers at each connection")
    outside = _outside(item, pre, post)
    if link.is_weighted:
        outside[WEIGHT] = "weight"
    else:
        used = map_expressions(used, lambda expr: substitute(expr, {WEIGHT: ONE}))
    known = {**item.values, **_resting(item, pre, post)}
    values: Values = {
        parameter.name: known[parameter.name]
        for parameter in (*used.parameters, *used.requirements)
        if parameter.name not in outside and parameter.name != WEIGHT
    }
    dimensions = {**used.dimensions(), EDGE: TIME, STEP_NAME: TIME, WEIGHT: NONE}
    equations = tidied(make_step(used, "euler", kept), values, dimensions, 1, kept)
    arriving = tuple(event for event in equations.on_events if "/" not in event.port)
    equations, held = with_held(replace(equations, on_events=()), "euler")
    taken = ("delay", *pre.names.values(), *post.names.values())
    writer = _Writer(replace(equations, on_events=arriving), held, outside, taken)
    found = writer.written()
    for sum_, variable in exposed.items():
        target = f"{post.names[link.part_of(sum_)]}_post"
        text, unit = writer.exposed(variable)
        found.model.append(f"{target} = {text} : {unit} (summed)")
        found.sums.append(target)
    texts = {name: writer.exposed(name)[0] for name in counted}
    if counted:
        given = {name: Name(count.name) for name, count in counts.items()}
        lines, namespace = _effects(given, texts, post)
        found.on_pre = [*lines, *found.on_pre]
        found.namespace += namespace
    _show(found, writer, equations, held, asked)
    found.functions = frozenset(writer.functions)
    found.namespace += [f'"{name}": {name},' for name in sorted(writer.functions)]
    found.start |= _start(item, ordered, equations, writer)
    return found


def _start(
    item: Projection, ordered: Dynamics, equations: Equations, writer: _Writer
) -> dict[str, str]:
    """Return the states that do not start with 0, and what with."""
    known = {WEIGHT: 1.0, **item.values, **dict.fromkeys(_required(item), 0.0)}
    values = initial_values(ordered, known, 1)
    start = {state: float(values[state.name][0]) for state in equations.states}
    return {
        writer.names[state.name]: quantity(value, state.dimension)
        for state, value in start.items()
        if value
    }


def _show(
    found: Written,
    writer: _Writer,
    equations: Equations,
    held: Sequence[Derived],
    asked: Mapping[str, str],
) -> None:
    """Add what a monitor reads of the quantities that are asked for, by name."""
    states = {state.name for state in equations.states}
    derived: dict[str, Expr] = {}
    for definition in (*held, *equations.definitions):
        derived[definition.name] = substitute(definition.value, derived)
    for name, variable in asked.items():
        there = equations.instead.get(variable, variable)
        if there in states:
            found.variables[name] = (writer.names[there], True)
        elif there in derived:
            seen = writer.make(f"{there}_seen")  # a monitor cannot look through to the cells
            dimension = equations.dimensions[there]
            found.model.append(f"{seen} : {base_unit(dimension)}")
            found.seen.append(f"{seen} = {writer.printer.text(derived[there], dimension)}")
            found.variables[name] = (seen, False)


def _required(item: Projection) -> list[str]:
    return [requirement.name for requirement in item.dynamics.requirements]


def _outside(item: Projection, pre: Cells, post: Cells) -> dict[str, str]:
    """Return what stands for the variables of cells that a synapse reads."""
    found = {}
    for name in _required(item):
        cells, suffix = (pre, "_pre") if name.startswith(PEER) else (post, "_post")
        there = cells.now(name.removeprefix(PEER))
        if there in cells.variables:
            found[name] = f"{cells.names[there]}{suffix}"
    return found


def _resting(item: Projection, pre: Cells, post: Cells) -> dict[str, float]:
    """Return the values of what a synapse requires of cells in which it never changes."""
    found = {}
    for name in _required(item):
        cells = pre if name.startswith(PEER) else post
        there = cells.group.dynamics.exposed(name.removeprefix(PEER)) or name.removeprefix(PEER)
        found[name] = float(np.ravel(cells.start.get(there, 0.0))[0])
    return found


class _Writer:
    """Writes the equations of synapses of single connections."""

    def __init__(
        self,
        equations: Equations,
        held: tuple[Derived, ...],
        outside: Mapping[str, str],
        taken: Iterable[str],
    ) -> None:
        self.equations = equations
        self.held = held
        known = [item.name for item in equations.states]
        known += [item.name for item in (*equations.definitions, *held)]
        known += equations.values
        ends = shortest(known)
        self.make = Identifiers(taken).make
        own = {name: self.make(ends[name]) for name in known}
        self.names = {**own, **outside}
        self.functions: set[str] = set()
        self.printer = Printer(self.names, equations.dimensions, functions=self.functions)

    def written(self) -> Written:
        """Return all but what cells add up."""
        found = Written(moves=bool(self.equations.rates))
        found.model = list(self._model())
        found.on_pre = list(self._on_pre())
        printer = self.printer
        for item in self.held:
            found.held.append(
                f"{self.names[item.name]} = {printer.text(item.value, item.dimension)}"
            )
        for block in self.equations.blocks:
            for action in block.assignments:
                before = Name(action.state)
                value = Select(block.test, action.value, before)
                text = printer.text(value, printer.dimensions[action.state])
                found.after.append(f"{self.names[action.state]} = {text}")
        for name, fixed in self.equations.values.items():
            text = quantity(float(np.ravel(fixed)[0]), printer.dimensions[name])
            found.namespace.append(f'"{self.names[name]}": {text},')
        return found

    def _model(self) -> Iterator[str]:
        if WEIGHT in self.names:
            yield WEIGHT_LINE
        for item in self.equations.states:
            rate = self.equations.rates.get(item.name)
            unit, name = base_unit(item.dimension), self.names[item.name]
            if rate is None:
                yield f"{name} : {unit}"
            else:
                text = self.printer.text(rate, item.dimension.over(TIME))
                yield f"d{name}/dt = {text} : {unit} (clock-driven)"
        for definition in self.equations.definitions:
            text = self.printer.text(definition.value, definition.dimension)
            yield f"{self.names[definition.name]} = {text} : {base_unit(definition.dimension)}"
        for held in self.held:
            yield f"{self.names[held.name]} : {base_unit(held.dimension)}"
        if any(EDGE in names(expr) for expr in self.equations.expressions()):
            yield T_END

    def _on_pre(self) -> Iterator[str]:
        """Yield what an arriving spike does; what is derived keeps its value meanwhile."""
        defined = {item.name: item for item in self.equations.definitions}
        for event in self.equations.on_events:
            printer = Printer(dict(self.names), self.equations.dimensions, functions=self.functions)
            read = {name for item in event.assignments for name in names(item.value)}
            for name in sorted(read & defined.keys()):
                local = f"{self.names[name]}_now"
                value = self.printer.text(defined[name].value, defined[name].dimension)
                yield f"{local} = {value}"
                printer.names = {**printer.names, name: local}
            yield from assignment_lines(event.assignments, printer)

    def exposed(self, variable: str) -> tuple[str, str]:
        """Return the text of what cells add up, and its unit."""
        name = self.equations.instead.get(variable, variable)
        dimension = self.equations.dimensions[variable]
        known = name in self.names
        text = self.names[name] if known else self.printer.text(ZERO, dimension)
        return text, base_unit(dimension)
