"""The equations of a cell or synapse as a person would write them down.

A dynamics is flat: each quantity that a component exposes to its parent is a variable, and what
a morphology or a channel without gates says about itself is computed from parameters. Here
what never changes becomes a parameter, other names for a quantity go, and what is only a
factor of something else stands there. No operation is reordered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.equations import euler_rate
from izhi_models.errors import InternalError, UnsupportedError
from izhi_models.exporters.brian2.printing import EDGE
from izhi_models.expr import (
    CONDITIONS,
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Select,
    children,
    fold,
    is_random,
    names,
    rebuild,
    rename,
    substitute,
    walk,
)
from izhi_models.ir.dimensions import DimensionFault, check_expression, dimension_of
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME, Assignment, Derived, OnEvent, Variable
from izhi_models.ir.evaluate import evaluate_array
from izhi_models.ir.step import Block, Step
from izhi_models.network import WEIGHT
from izhi_models.units import NONE, TIME, Dimension

Values = dict[str, float | NDArray[np.float64]]
Change = Callable[[Expr], Expr]

_SMALL = 5  # nodes of an expression that is put where it is read


@dataclass(frozen=True)
class Equations:
    """What a cell or synapse does.

    Parameters
    ----------
    states : tuple of Variable
    definitions : tuple of Derived
        In order of dependency.
    rates : dict of str to Expr
        Time derivatives of the states that move.
    blocks : tuple of Block
    on_events : tuple of OnEvent
    values : dict of str to float or array (n,)
        Of everything that never changes. [SI]
    dimensions : dict of str to Dimension
        Of all names.
    instead : dict of str to str
        What stands now for names that went.
    """

    states: tuple[Variable, ...]
    definitions: tuple[Derived, ...]
    rates: dict[str, Expr]
    blocks: tuple[Block, ...]
    on_events: tuple[OnEvent, ...]
    values: Values
    dimensions: Mapping[str, Dimension]
    instead: dict[str, str] = field(default_factory=dict)

    def map(self, change: Change) -> Equations:
        """Return them with a change of each expression."""
        return self.map_equations(change).map_actions(change)

    def map_equations(self, change: Change) -> Equations:
        """Return them with a change of each definition and rate."""
        return replace(
            self,
            definitions=tuple(replace(d, value=change(d.value)) for d in self.definitions),
            rates={state: change(value) for state, value in self.rates.items()},
        )

    def map_actions(self, change: Change) -> Equations:
        """Return them with a change of each test and assignment."""
        return replace(
            self,
            blocks=tuple(
                replace(b, test=change(b.test), assignments=_mapped(b.assignments, change))
                for b in self.blocks
            ),
            on_events=tuple(
                replace(e, assignments=_mapped(e.assignments, change)) for e in self.on_events
            ),
        )

    def actions(self) -> Iterator[Expr]:
        """Yield the expressions of tests and assignments."""
        for block in self.blocks:
            yield block.test
            yield from (item.value for item in block.assignments)
        for event in self.on_events:
            yield from (item.value for item in event.assignments)

    def expressions(self) -> Iterator[Expr]:
        """Yield all expressions."""
        yield from (item.value for item in self.definitions)
        yield from self.rates.values()
        yield from self.actions()


def _mapped(assignments: tuple[Assignment, ...], change: Change) -> tuple[Assignment, ...]:
    return tuple(replace(item, value=change(item.value)) for item in assignments)


def tidied(
    step: Step, values: Values, dimensions: Mapping[str, Dimension], n: int, kept: frozenset[str]
) -> Equations:
    """Return the equations of a step by forward Euler.

    Parameters
    ----------
    step : Step
    values : dict of str to float or array (n,)
        Parameters; those that events or other cells set are left out. [SI]
    dimensions : mapping of str to Dimension
        Of all names.
    n : int
        Number of cells.
    kept : frozenset of str
        Variables that are recorded, or read by synapses.
    """
    rates = {item.state: euler_rate(item.state, item.value) for item in step.advances}
    found = Equations(
        step.states,
        step.definitions,
        {state: rate for state, rate in rates.items() if rate is not None},
        step.blocks,
        step.on_events,
        {**values, **{item.name: item.value for item in step.constants}},
        dimensions,
    )
    if len(found.rates) < len(rates):
        raise InternalError("an advance is no step of forward Euler")
    faults = {item.message for expr in found.expressions() for item in _faults(expr, dimensions)}
    if faults:
        raise UnsupportedError(f"Brian2 refuses dimensions that differ: {min(faults)}")
    found = _with_edges(found)
    found = _with_values(found, {item.name for item in step.parameters}, n)
    found = _without_aliases(found, kept)
    found = _with_small_parts(found, kept)
    return _without_unread(found, kept)


def _faults(expr: Expr, dimensions: Mapping[str, Dimension]) -> Iterator[DimensionFault]:
    if not isinstance(expr, CONDITIONS):
        yield from check_expression(expr, dimensions)


# The end of the step in comparisons


def _with_edges(equations: Equations) -> Equations:
    """Let comparisons of times read the end of the step as it is past rounding."""
    timed: dict[str, Expr] = {}
    for item in equations.definitions:
        value = substitute(item.value, timed)
        if TIME_NAME in names(value) and not is_random(value):
            timed[item.name] = value

    def change(expr: Expr) -> Expr:
        if isinstance(expr, Compare) and _is_of_time(expr, equations.dimensions):
            seen = substitute(expr, timed)
            if TIME_NAME in names(seen) and isinstance(seen, Compare):
                return _at_edge(seen)
        below = children(expr)
        return rebuild(expr, tuple(change(child) for child in below)) if below else expr

    return equations.map(change)


def _is_of_time(test: Compare, dimensions: Mapping[str, Dimension]) -> bool:
    return TIME in (dimension_of(test.left, dimensions), dimension_of(test.right, dimensions))


def _at_edge(test: Compare) -> Expr:
    if test.op in ("==", "!="):
        apart = Call("abs", Binary("-", test.left, test.right))
        close = Binary("*", Number(1e-8), Name(STEP_NAME))
        return Compare("<" if test.op == "==" else ">=", apart, close)
    return substitute(test, {TIME_NAME: Name(EDGE)})


# What never changes


def _with_values(equations: Equations, parameters: set[str], n: int) -> Equations:
    """Compute what follows from parameters alone; put plain numbers where they are read."""
    values = dict(equations.values)
    scope = {name: np.broadcast_to(value, n).astype(float) for name, value in values.items()}
    numbers = dict(_literals(values, parameters, equations.dimensions))
    numbers |= _exponents(equations, values)
    definitions = []
    for item in equations.definitions:
        value = simplified(substitute(item.value, numbers))
        if isinstance(value, Number) and (value == ZERO or item.dimension == NONE):
            numbers[item.name] = value
        elif names(item.value) <= scope.keys() and not is_random(item.value):
            found = evaluate_array(item.value, scope, n, np.random.default_rng(0))
            scope[item.name] = found
            values[item.name] = single(found)
            numbers |= _literals({item.name: values[item.name]}, set(), equations.dimensions)
            definitions.append(replace(item, value=value))
        else:
            definitions.append(replace(item, value=value))
    kept = tuple(item for item in definitions if item.name not in values)
    found_all = replace(equations, definitions=kept, values=values)
    return found_all.map(lambda expr: simplified(substitute(expr, numbers)))


def _literals(
    values: Mapping[str, float | NDArray[np.float64]],
    parameters: set[str],
    dimensions: Mapping[str, Dimension],
) -> Iterator[tuple[str, Expr]]:
    """Yield what reads best as a number: zeros, small whole numbers, weights of 1 of inputs."""
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            continue
        if name in parameters and not (value == 1.0 and name.endswith(f"/{WEIGHT}")):
            continue
        whole = float(value).is_integer() and abs(value) < 1e6
        if value == 0.0 or (dimensions[name] == NONE and whole):
            yield name, Number(value)


def _exponents(
    equations: Equations, values: Mapping[str, float | NDArray[np.float64]]
) -> dict[str, Expr]:
    """Return the whole numbers that occur as exponents only, such as instances of a gate."""
    as_exponent: dict[str, int] = {}
    for expr in equations.expressions():
        for node in walk(expr):
            match node:
                case Binary("^", _, Name(name)):
                    as_exponent[name] = as_exponent.get(name, 0) + 1
    return {
        name: Number(value)
        for name, count in as_exponent.items()
        if isinstance(value := values.get(name), float)
        and value.is_integer()
        and count == sum(_count(expr, name) for expr in equations.expressions())
    }


def single(values: NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Return a number where all values are equal."""
    return float(values[0]) if values.size and np.all(values == values[0]) else values


def simplified(expr: Expr) -> Expr:
    """Return an expression with constant parts evaluated, for finite operands."""
    return fold(_simplified(fold(expr)))


def _simplified(expr: Expr) -> Expr:
    below = children(expr)
    if below:
        expr = fold(rebuild(expr, tuple(_simplified(child) for child in below)))
    match expr:
        case Binary("*", Number(0.0), _) | Binary("*" | "/", Number(0.0), _):
            return ZERO
        case Binary("*", _, Number(0.0)):
            return ZERO
        case Select(outer, first, Select(inner, then, last)) if first == last and _excludes(
            inner, outer
        ):
            return Select(inner, then, last)
        case Select(Compare() as outer, first, Select(Compare() as inner, then, _)) if _excludes(
            inner, outer
        ):
            return Select(outer, first, then)
        case _:
            return expr


_OPPOSITES = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


def _excludes(condition: Expr, other: Expr) -> bool:
    """Return whether one condition says that another does not hold."""
    if isinstance(condition, Logic) and condition.op == "and":
        return _excludes(condition.left, other) or _excludes(condition.right, other)
    if not (isinstance(condition, Compare) and isinstance(other, Compare)):
        return False
    same = (condition.left, condition.right) == (other.left, other.right)
    return same and _OPPOSITES[condition.op] == other.op


# Names that say nothing new


def _without_aliases(equations: Equations, kept: frozenset[str]) -> Equations:
    """Let one name stand for each quantity: the outermost."""
    defined = {item.name for item in equations.definitions}
    better: dict[str, str] = {}  # of definitions
    same: dict[str, str] = {}  # as states and parameters
    for item in equations.definitions:
        if not isinstance(item.value, Name):
            continue
        origin = item.value.id
        if origin in defined and origin not in same:
            root = better.get(origin, origin)
            chosen = min(root, item.name, key=lambda name: (name not in kept, name.count("/")))
            better |= dict.fromkeys({origin, root, item.name}, chosen)
            better = {name: chosen if to == root else to for name, to in better.items()}
        elif item.name not in kept:
            same[item.name] = same.get(origin, origin)
    settled = {name: to for name, to in better.items() if name != to}
    states = {item.name for item in equations.states}
    constant = {name: to for name, to in same.items() if to not in states and to != TIME_NAME}
    renamed = equations.map(lambda expr: rename(expr, {**settled, **constant}))
    renamed = renamed.map_equations(lambda expr: rename(expr, same))
    definitions: dict[str, Derived] = {}
    for old, item in zip(equations.definitions, renamed.definitions, strict=True):
        name = settled.get(old.name, old.name)
        if item.value != Name(name) and name not in definitions:
            definitions[name] = replace(item, name=name)
    return replace(renamed, definitions=_ordered(definitions), instead={**settled, **same})


def _ordered(definitions: dict[str, Derived]) -> tuple[Derived, ...]:
    """Return definitions after those that they read."""
    found: dict[str, Derived] = {}

    def add(item: Derived) -> None:
        for name in sorted(names(item.value) & definitions.keys() - found.keys()):
            add(definitions[name])
        found[item.name] = item

    for item in definitions.values():
        if item.name not in found:
            add(item)
    return tuple(found.values())


def _with_small_parts(equations: Equations, kept: frozenset[str]) -> Equations:
    """Put short definitions that one expression reads once where they are read."""
    acting = {name for expr in equations.actions() for name in names(expr)}
    for name in [item.name for item in equations.definitions]:
        value = next(item.value for item in equations.definitions if item.name == name)
        if name in kept | acting or is_random(value) or _size(value) > _SMALL:
            continue
        uses = sum(_count(expr, name) for expr in equations.expressions())
        if uses == 1:
            others = tuple(item for item in equations.definitions if item.name != name)
            put = partial(_put, name, value)
            equations = replace(equations, definitions=others).map_equations(put)
    return equations


def _put(name: str, value: Expr, expr: Expr) -> Expr:
    return substitute(expr, {name: value})


def _size(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def _count(expr: Expr, name: str) -> int:
    return sum(item == Name(name) for item in walk(expr))


def _without_unread(equations: Equations, kept: frozenset[str]) -> Equations:
    """Drop what nothing reads."""
    read = {equations.instead.get(name, name) for name in kept}
    for expr in (*equations.rates.values(), *equations.actions()):
        read |= names(expr)
    definitions = []
    for item in reversed(equations.definitions):
        if item.name in read:
            definitions.append(item)
            read |= names(item.value)
    return replace(
        equations,
        definitions=tuple(reversed(definitions)),
        values={name: value for name, value in equations.values.items() if name in read},
    )
