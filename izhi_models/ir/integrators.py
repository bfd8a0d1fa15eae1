"""How the states of one step advance, by method.

A method adds definitions for what it computes inside the step, and gives each moving state its
new value. Names with ``@`` are those of intermediate quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME, Assignment, Derived, Dynamics
from izhi_models.units import NONE, TIME, Dimension

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


def _rates(dynamics: Dynamics) -> dict[str, Expr]:
    """Return the rates of the states that move."""
    return {item.state: item.value for item in dynamics.rates if fold(item.value) != ZERO}


def _forward(state: str, slope: Expr) -> Assignment:
    return Assignment(state, Binary("+", Name(state), Binary("*", TIME_STEP, slope)))


def euler(dynamics: Dynamics) -> Advance:
    """Forward Euler: x + dt * rate, the rate from the start of the step."""
    return Advance([], [_forward(state, rate) for state, rate in _rates(dynamics).items()])


# Exponential Euler


def exponential_euler(dynamics: Dynamics) -> Advance:
    """Exact relaxation of every state whose rate is linear in it, all else held over the step.

    x + dt * rate * phi(a * dt) with phi(z) = (exp(z) - 1) / z and a the derivative of the rate.
    Other states advance by forward Euler. Source: Rush and Larsen, IEEE Trans. Biomed. Eng. 25,
    389 (1978), there for gates; it holds for any such state.
    """
    advance = Advance()
    derived = {item.name: item for item in dynamics.derived}
    for state, rate in _rates(dynamics).items():
        slope = _linear_slope(state, rate, derived)
        if slope is None:
            advance.assignments.append(_forward(state, rate))
            continue
        exponent, factor = f"{state}@exponent", f"{state}@relaxation"
        advance.definitions += [
            Derived(exponent, NONE, Binary("*", slope, TIME_STEP)),
            Derived(factor, NONE, _relaxation(Name(exponent))),
        ]
        advance.assignments.append(_forward(state, Binary("*", rate, Name(factor))))
    return advance


def _linear_slope(state: str, rate: Expr, derived: Mapping[str, Derived]) -> Expr | None:
    """Return the derivative of a rate by its own state; None if it is 0 or not proved constant."""
    slopes: dict[str, Expr | None] = {state: ONE}
    for name in _following({state}, derived):
        slopes[name] = _total_derivative(derived[name].value, slopes)
    slope = _total_derivative(rate, slopes)
    return None if slope == ZERO else slope


def _total_derivative(expr: Expr, slopes: Mapping[str, Expr | None]) -> Expr | None:
    """Return the derivative of what is linear in names with known derivatives, else None."""
    total: Expr = ZERO
    for name in sorted(names(expr) & slopes.keys()):
        inner = slopes[name]
        try:
            outer = differentiate(expr, name)
        except NotDifferentiableError:
            return None
        if inner is None or names(outer) & slopes.keys():
            return None
        if ZERO not in (inner, outer):
            total = fold(Binary("+", total, Binary("*", outer, inner)))
    return total


def _relaxation(exponent: Expr) -> Expr:
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
            state: _weighted(first[state], second[state], third[state], fourth[state])
            for state in first
        }
    )


def _weighted(first: str, second: str, third: str, fourth: str) -> Expr:
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
        self.rates = _rates(dynamics)
        self.dimensions: dict[str, Dimension] = dynamics.dimensions()
        self.result = Advance()
        derived = {item.name: item for item in dynamics.derived}
        varying = set(_following({TIME_NAME, *self.rates}, derived))
        self.varying = [item for item in dynamics.derived if item.name in varying]
        self.computed = {(item.name, item.value): item.name for item in self.varying}

    def states(self, stage: int, slopes: Mapping[str, str], part: Expr) -> dict[str, str]:
        """Define states reached with given slopes after a part of the step; return their names."""
        reached = {}
        for state, slope in slopes.items():
            reached[state] = f"{state}@{stage}"
            move = Binary("*", fold(Binary("*", part, TIME_STEP)), Name(slope))
            self._define(reached[state], self.dimensions[state], Binary("+", Name(state), move))
        return reached

    def slopes(self, stage: int, reached: Mapping[str, str], before_end: Expr) -> dict[str, str]:
        """Define the rates at given states, a part of the step before its end."""
        here = dict(reached)
        time = _time_before_end(before_end)
        for item in self.varying:
            value = rename(_at_time(item.value, time), here)
            name = self.computed.setdefault((item.name, value), f"{item.name}@{stage}")
            if name == f"{item.name}@{stage}":
                self._define(name, item.dimension, value)
            here[item.name] = name
        slopes = {}
        for state, rate in self.rates.items():
            slopes[state] = f"{state}@slope{stage}"
            dimension = self.dimensions[state].over(TIME)
            self._define(slopes[state], dimension, rename(_at_time(rate, time), here))
        return slopes

    def advance(self, slopes: Mapping[str, Expr]) -> Advance:
        """Return all definitions, and new states by given slopes."""
        self.result.assignments = [_forward(state, slope) for state, slope in slopes.items()]
        return self.result

    def _define(self, name: str, dimension: Dimension, value: Expr) -> None:
        self.result.definitions.append(Derived(name, dimension, value))


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


def _following(changed: set[str], derived: Mapping[str, Derived]) -> list[str]:
    """Return the derived variables, in order of dependency, that follow some names."""
    found = set(changed)
    following = []
    for name, item in derived.items():
        if names(item.value) & found:
            found.add(name)
            following.append(name)
    return following


METHODS: Mapping[str, Callable[[Dynamics], Advance]] = {
    "euler": euler,
    "exponential_euler": exponential_euler,
    "midpoint": midpoint,
    "rk4": rk4,
}
