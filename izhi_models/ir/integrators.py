"""How the states of one step advance, by method.

A method adds definitions for what it computes inside the step, and gives each moving state its
new value. Names with ``@`` are those of intermediate quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from izhi_models.expr import (
    ONE,
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Name,
    Number,
    Select,
    children,
    fold,
    names,
    rebuild,
    rename,
    substitute,
)
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME, Assignment, Derived, Dynamics
from izhi_models.ir.linearity import Coupling, following, linear_slope, moving_rates
from izhi_models.units import NONE, TIME, Dimension

Change = Callable[[Expr], Expr]

TIME_STEP = Name(STEP_NAME)
HALF = Number(0.5)


@dataclass
class Advance:
    """What a method adds to a step.

    Parameters
    ----------
    definitions : list of Derived
        After those of the dynamics, in order.
    assignments : list of Assignment
        New values of the states, all from the same start.
    """

    definitions: list[Derived] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)


def _added(state: str, move: Expr) -> Expr:
    return Binary("+", Name(state), move)


def forward(state: str, slope: Expr) -> Assignment:
    """Return what moves a state along a slope over the step."""
    return Assignment(state, _added(state, Binary("*", TIME_STEP, slope)))


def euler(dynamics: Dynamics) -> Advance:
    """Forward Euler: x + dt * rate, the rate from the start of the step."""
    return Advance([], [forward(state, rate) for state, rate in moving_rates(dynamics).items()])


# Exponential Euler


def exponential_euler(dynamics: Dynamics) -> Advance:
    """Exact relaxation of every state whose rate is linear in it, all else held over the step.

    x + dt * rate * phi(a * dt) with phi(z) = (exp(z) - 1) / z and a the derivative of the rate.
    Other states advance by forward Euler. Source: Rush and Larsen, IEEE Trans. Biomed. Eng. 25,
    389 (1978), there for gates; it holds for any such state.
    """
    advance = Advance()
    derived = {item.name: item for item in dynamics.derived}
    for state, rate in moving_rates(dynamics).items():
        slope = linear_slope(rate, state, derived)
        if slope is None or slope == ZERO:
            advance.assignments.append(forward(state, rate))
            continue
        exponent, factor = f"{state}@exponent", f"{state}@relaxation"
        advance.definitions += [
            Derived(exponent, NONE, Binary("*", slope, TIME_STEP)),
            Derived(factor, NONE, relaxation(Name(exponent))),
        ]
        advance.assignments.append(forward(state, Binary("*", rate, Name(factor))))
    return advance


def relaxation(exponent: Expr) -> Expr:
    """Return (exp(z) - 1) / z, near 0 by its series, to 1e-12."""
    series: Expr = ONE
    for divisor in (4.0, 3.0, 2.0):
        series = Binary("+", ONE, Binary("*", Binary("/", exponent, Number(divisor)), series))
    exact = Binary("/", Binary("-", Call("exp", exponent), ONE), exponent)
    return Select(Compare("<", Call("abs", exponent), Number(1e-3)), series, exact)


# Runge-Kutta


def midpoint(dynamics: Dynamics) -> Advance:
    """Explicit midpoint method, second order."""
    stages = _Stages(dynamics)
    first = stages.slopes(1, {}, ONE)
    second = stages.slopes(2, stages.states(2, first, HALF), HALF)
    return stages.advance({state: Name(slope) for state, slope in second.items()})


def rk4(dynamics: Dynamics) -> Advance:
    """Classical Runge-Kutta method, fourth order."""
    stages = _Stages(dynamics)
    first = stages.slopes(1, {}, ONE)
    second = stages.slopes(2, stages.states(2, first, HALF), HALF)
    third = stages.slopes(3, stages.states(3, second, HALF), HALF)
    fourth = stages.slopes(4, stages.states(4, third, ONE), ZERO)
    return stages.advance(
        {
            state: weighted(first[state], second[state], third[state], fourth[state])
            for state in first
        }
    )


def weighted(first: str, second: str, third: str, fourth: str) -> Expr:
    """Return (k1 + 2 k2 + 2 k3 + k4) / 6."""
    inner = Binary("*", Number(2.0), Binary("+", Name(second), Name(third)))
    total = Binary("+", Binary("+", Name(first), inner), Name(fourth))
    return Binary("/", total, Number(6.0))


class _Stages:
    """Evaluates rates at states and times inside the step.

    What depends on a moving state or the time is computed again in each stage where it differs,
    under a name of its own. Comparisons with the time are made for the middle of the step in all
    stages: a switch acts on whole steps, so that an edge between two steps costs no order.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        self.rates = moving_rates(dynamics)
        self.dimensions: dict[str, Dimension] = dynamics.dimensions()
        self.result = Advance()
        derived = {item.name: item for item in dynamics.derived}
        varying = set(following({TIME_NAME, *self.rates}, derived))
        self.varying = [item for item in dynamics.derived if item.name in varying]
        self.computed = {(item.name, item.value): item.name for item in self.varying}

    def states(self, stage: int, slopes: Mapping[str, str], part: Expr) -> dict[str, str]:
        """Define states reached with given slopes after a part of the step; return their names."""
        return {
            state: self.define(
                f"{state}@{stage}",
                self.dimensions[state],
                Binary("+", Name(state), Binary("*", _part_of_step(part), Name(slope))),
            )
            for state, slope in slopes.items()
        }

    def slopes(self, stage: int, reached: Mapping[str, str], before_end: Expr) -> dict[str, str]:
        """Define the rates at given states, a part of the step before its end."""
        here = self.at(stage, reached, before_end, self.rates.values())
        return {
            state: self.define(
                f"{state}@slope{stage}", self.dimensions[state].over(TIME), here(rate)
            )
            for state, rate in self.rates.items()
        }

    def at(
        self, stage: int, reached: Mapping[str, str], before_end: Expr, wanted: Iterable[Expr]
    ) -> Callable[[Expr], Expr]:
        """Define what some expressions read at given states, a part of the step before its end.

        Returns
        -------
        callable
            From an expression to what it is there.
        """
        here = dict(reached)
        time = _time_before_end(before_end)
        needed = self._needed(wanted)
        for item in self.varying:
            if item.name not in needed:
                continue
            value = rename(_at_time(item.value, time), here)
            name = self.computed.setdefault((item.name, value), f"{item.name}@{stage}")
            if name == f"{item.name}@{stage}":
                self.define(name, item.dimension, value)
            here[item.name] = name
        return lambda expr: rename(_at_time(expr, time), here)

    def _needed(self, wanted: Iterable[Expr]) -> set[str]:
        needed = {name for expr in wanted for name in names(expr)}
        for item in reversed(self.varying):
            if item.name in needed:
                needed |= names(item.value)
        return needed

    def define(self, name: str, dimension: Dimension, value: Expr) -> str:
        """Add a definition; return its name."""
        self.result.definitions.append(Derived(name, dimension, value))
        return name

    def advance(self, slopes: Mapping[str, Expr]) -> Advance:
        """Return all definitions, and new states by given slopes."""
        self.result.assignments = [forward(state, slope) for state, slope in slopes.items()]
        return self.result


def _time_before_end(part: Expr) -> Expr:
    return fold(Binary("-", Name(TIME_NAME), _part_of_step(part)))


def _part_of_step(part: Expr) -> Expr:
    return ZERO if part == ZERO else fold(Binary("*", part, TIME_STEP))


def _at_time(expr: Expr, time: Expr) -> Expr:
    """Return the expression for another time than the end of the step."""
    if isinstance(expr, Compare):
        return substitute(expr, {TIME_NAME: _time_before_end(HALF)})
    if isinstance(expr, Name):
        return time if expr.id == TIME_NAME else expr
    below = children(expr)
    return rebuild(expr, tuple(_at_time(child, time) for child in below)) if below else expr


# Exponential midpoint


def exponential_midpoint(dynamics: Dynamics) -> Advance:
    """Midpoint method with exact relaxation of every state whose rate is linear in it.

    Second order, with one evaluation of the gates: the states on which they depend, v, go to the
    middle of the step; there the gates are advanced over the whole of it; then the others are,
    with the gates half way. The occupancies of a kinetic scheme, which are linear in each other,
    are advanced together by the implicit midpoint rule, which keeps their sum.

    Source: Boergers and Nectow, SIAM J. Sci. Comput. 35, B623 (2013), exponential time
    differencing for Hodgkin-Huxley-like equations; Hines, Int. J. Biomed. Comput. 15, 69 (1984),
    for gates and v at interleaved times.
    """
    return _ExponentialMidpoint(dynamics).advance()


class _ExponentialMidpoint:
    def __init__(self, dynamics: Dynamics) -> None:
        self.coupling = Coupling(dynamics)
        self.rates = self.coupling.rates
        self.stages = _Stages(dynamics)

    def advance(self) -> Advance:
        units = self.coupling.apart
        gates = {state for unit in units for state in unit}
        others = {state for state in self.rates if state not in gates}
        start = self.stages.at(1, {}, ONE, self._read(others))
        middle = {state: self._half_way(state, start) for state in self._ordered(others)}
        inside = self.stages.at(2, middle, HALF, self._read(gates))
        slopes: dict[str, Expr] = {}
        for unit in units:
            slopes |= self._solved(unit, inside) if len(unit) > 1 else self._relaxed(unit, inside)
        mean = self.stages.states(3, {name: self._slope(name, slopes) for name in slopes}, HALF)
        there = self.stages.at(3, {**middle, **mean}, HALF, self._read(others))
        for state in self._ordered(others):
            slopes[state] = self._moved(state, middle[state], there)
        return self.stages.advance({state: slopes[state] for state in self.rates})

    def _ordered(self, states: set[str]) -> list[str]:
        return [state for state in self.rates if state in states]

    def _read(self, states: set[str]) -> list[Expr]:
        """Return all that is evaluated to advance some states."""
        found = [self.rates[state] for state in states]
        found += [self.coupling.slopes[item] for item in states if item in self.coupling.slopes]
        for unit in self.coupling.apart:
            if len(unit) > 1 and unit[0] in states:
                found += (self.coupling.matrix(unit) or {}).values()
        return found

    def _slope(self, state: str, slopes: dict[str, Expr]) -> str:
        name = self._define(state, "slope", self._per_time(state), slopes[state])
        slopes[state] = Name(name)
        return name

    def _per_time(self, state: str) -> Dimension:
        return self.stages.dimensions[state].over(TIME)

    def _define(self, state: str, what: str, dimension: Dimension, value: Expr) -> str:
        return self.stages.define(f"{state}@{what}", dimension, value)

    def _factor(self, state: str, what: str, point: Change, part: Expr) -> Expr:
        """Return what a rate is multiplied by when the state relaxes in a part of the step."""
        value = Binary("*", point(self.coupling.slopes[state]), _part_of_step(part))
        exponent = self._define(state, f"exponent{what}", NONE, value)
        return Name(self._define(state, f"relaxation{what}", NONE, relaxation(Name(exponent))))

    def _half_way(self, state: str, start: Change) -> str:
        rate = start(self.rates[state])
        if state in self.coupling.slopes:
            rate = Binary("*", rate, self._factor(state, "1", start, HALF))
        move = Binary("*", _part_of_step(HALF), rate)
        return self._define(state, "2", self.stages.dimensions[state], _added(state, move))

    def _relaxed(self, unit: tuple[str, ...], inside: Change) -> dict[str, Expr]:
        (state,) = unit
        factor = self._factor(state, "2", inside, ONE)
        return {state: Binary("*", inside(self.rates[state]), factor)}

    def _moved(self, state: str, middle: str, there: Change) -> Expr:
        """Return the slope over the step from a rate in its middle."""
        rate = there(self.rates[state])
        if state not in self.coupling.slopes:
            return rate
        # What the rate would be with the state itself at the start of the step.
        back = Binary("-", Name(state), Name(middle))
        moved = Binary("+", rate, Binary("*", there(self.coupling.slopes[state]), back))
        return Binary("*", moved, self._factor(state, "3", there, ONE))

    def _solved(self, unit: tuple[str, ...], inside: Change) -> dict[str, Expr]:
        """Return slopes k of (1 - dt/2 J) k = rate, by elimination without exchange of rows.

        The columns of a kinetic scheme's J add up to 0, so that the diagonal dominates.
        """
        entries = self.coupling.matrix(unit) or {}
        left: dict[tuple[str, str], Expr] = {(state, state): ONE for state in unit}
        for place, slope in entries.items():
            scaled = Binary("*", _part_of_step(HALF), inside(slope))
            left[place] = self._entry(place, "a", Binary("-", left.get(place, ZERO), scaled))
        right: dict[str, Expr] = {
            state: Name(self._define(state, "rate", self._per_time(state), inside(rate)))
            for state, rate in ((state, self.rates[state]) for state in unit)
        }

        def value(row: str, what: str, expr: Expr) -> Expr:
            return Name(self._define(row, what, self._per_time(row), expr))

        return eliminate(unit, left, right, self._entry, value)

    def _entry(self, place: tuple[str, str], what: str, value: Expr) -> Expr:
        row, column = place
        dimensions = self.stages.dimensions
        dimension = dimensions[row].over(dimensions[column])
        return Name(self.stages.define(f"{row}@{column}@{what}", dimension, fold(value)))


def eliminate(
    unit: tuple[str, ...],
    left: dict[tuple[str, str], Expr],
    right: dict[str, Expr],
    entry: Callable[[tuple[str, str], str, Expr], Expr],
    value: Callable[[str, str, Expr], Expr],
) -> dict[str, Expr]:
    """Return the unknowns of linear equations, by elimination without exchange of rows.

    Parameters
    ----------
    unit : tuple of str
        The unknowns.
    left : dict of (str, str) to Expr
        Entries by row and column; those that are not there are 0. Changed.
    right : dict of str to Expr
        Changed.
    entry, value : callable
        Define an intermediate entry or value of a row, by a word for it, and return its name.
    """
    for step, pivot in enumerate(unit):
        later = unit[step + 1 :]
        for row in (item for item in later if (item, pivot) in left):
            ratio = Binary("/", left[row, pivot], left[pivot, pivot])
            factor = entry((row, pivot), f"f{step}", ratio)
            for column in (item for item in later if (pivot, item) in left):
                change = Binary("*", factor, left[pivot, column])
                less = Binary("-", left.get((row, column), ZERO), change)
                left[row, column] = entry((row, column), f"a{step}", less)
            less = Binary("-", right[row], Binary("*", factor, right[pivot]))
            right[row] = value(row, f"rate{step}", less)
    found: dict[str, Expr] = {}
    for step, row in reversed(list(enumerate(unit))):
        rest = right[row]
        for column in (item for item in unit[step + 1 :] if (row, item) in left):
            rest = Binary("-", rest, Binary("*", left[row, column], found[column]))
        found[row] = value(row, "solved", Binary("/", rest, left[row, row]))
    return found


def with_inflows_ahead(dynamics: Dynamics) -> Dynamics:
    """Return the dynamics with what flows in read in the middle of the step by all rates."""
    ahead: dict[str, Expr] = {now: Name(then) for now, then in dynamics.inflows}
    return replace(
        dynamics,
        rates=tuple(replace(item, value=substitute(item.value, ahead)) for item in dynamics.rates),
    )
