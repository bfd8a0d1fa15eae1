"""Comparisons with the simulated time that rounding cannot turn."""

from __future__ import annotations

from izhi_models.expr import (
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Name,
    Negate,
    Number,
    children,
    names,
    rebuild,
)
from izhi_models.ir.dimensions import dimension_of
from izhi_models.ir.dynamics import TIME_NAME, Dynamics
from izhi_models.ir.rewrite import map_expressions
from izhi_models.units import TIME, Dimension

TIME_TOLERANCE = 1e-14
_LARGEST_TOLERANCE = 1e-6  # above it, `x < tolerance * t` is taken for the user's


def exact_times(dynamics: Dynamics, tolerance: float = TIME_TOLERANCE) -> Dynamics:
    """Make comparisons of times hold as they would without rounding.

    An edge at 22 ms belongs to the step that ends at 22 ms, whatever the step; compared as
    floating-point numbers, the end of that step may come out before or after the edge. (The
    reference interpreter, which adds the step up, is one step late for 20 to 90 % of edges.) So
    times that differ by less than ``tolerance * t`` are equal.

    A comparison such as ``t > lastSpikeTime + refract`` changes its truth once, at an instant,
    and whether it is strict matters at that instant only. A step that ends there has reached it:
    ``t > a`` and ``t >= a`` hold from that step on, ``t < a`` and ``t <= a`` until then. A
    refractory period of 5 ms then lasts 5 ms, for any step, and not one step more. Where the
    direction in which the two sides move is not plain, a strict comparison stays strict.

    The end of step n is n * dt: the rounding of dt and of the product leave it within 1 ulp, or
    2.3e-16 relative, and a sum such as delay + duration adds about as much. 1e-14 is far above
    that and far below any step. It also stays below the 1e-12 s by which spikeGenerator looks
    ahead, for 100 s.

    Concerns comparisons with the dimension of time that read the time, also through derived
    variables. ``t > 0`` needs no tolerance. Applied again, it sets the new tolerance.

    Parameters
    ----------
    dynamics : Dynamics
    tolerance : float
        Relative; larger where the time has less precision.
    """
    known = dynamics.dimensions()
    timed = _timed(dynamics)
    if not timed:
        return dynamics

    def change(expr: Expr) -> Expr:
        if isinstance(expr, Compare):
            return _compare(expr, timed, known, tolerance)
        below = children(expr)
        return rebuild(expr, tuple(change(child) for child in below)) if below else expr

    return map_expressions(dynamics, change)


def _timed(dynamics: Dynamics) -> set[str]:
    """Return the names that follow the simulated time."""
    owned = (dynamics.derived, dynamics.states, dynamics.parameters, dynamics.constants)
    if any(item.name == TIME_NAME for group in owned for item in group):
        return set()
    timed = {TIME_NAME}
    grows = True
    while grows:
        new = {item.name for item in dynamics.derived if names(item.value) & timed} - timed
        timed |= new
        grows = bool(new)
    return timed


def _compare(test: Compare, timed: set[str], known: dict[str, Dimension], tolerance: float) -> Expr:
    left, right = test.left, test.right
    if not names(test) & timed or {left, right} == {Name(TIME_NAME), ZERO}:
        return test
    if TIME not in (dimension_of(left, known), dimension_of(right, known)):
        return test
    margin: Expr = Binary("*", Number(tolerance), Name(TIME_NAME))
    if _is_margin(right):
        return Compare(
            test.op, left, Negate(margin) if isinstance(right, Negate) else margin, test.place
        )
    difference: Expr = left if right == ZERO else Binary("-", left, right)
    match _direction(difference, timed), test.op:
        case 1, "<" | "<=":
            return Compare("<", difference, Negate(margin), test.place)
        case 1, ">" | ">=":
            return Compare(">=", difference, Negate(margin), test.place)
        case -1, "<" | "<=":
            return Compare("<=", difference, margin, test.place)
        case -1, ">" | ">=":
            return Compare(">", difference, margin, test.place)
    match test.op:
        case "<" | ">=":
            return Compare(test.op, difference, Negate(margin), test.place)
        case ">" | "<=":
            return Compare(test.op, difference, margin, test.place)
        case "==":
            return Compare("<=", Call("abs", difference), margin, test.place)
        case "!=":
            return Compare(">", Call("abs", difference), margin, test.place)


def _direction(expr: Expr, timed: set[str]) -> int | None:
    """Return 1 if an expression grows as the time does, -1 if it falls, 0 without time.

    None if it cannot be told.
    """
    if not names(expr) & timed:
        return 0
    match expr:
        case Name(name) if name == TIME_NAME:
            return 1
        case Negate(operand):
            inner = _direction(operand, timed)
            return None if inner is None else -inner
        case Binary("+" | "-" as op, left, right):
            first, second = _direction(left, timed), _direction(right, timed)
            if first is None or second is None:
                return None
            second = second if op == "+" else -second
            return first + second if abs(first + second) < 2 and first * second == 0 else None
        case _:
            return None


def _is_margin(expr: Expr) -> bool:
    match expr:
        case Negate(operand):
            return _is_margin(operand)
        case Binary("*", Number(factor), Name(name)):
            return name == TIME_NAME and 0 < factor <= _LARGEST_TOLERANCE
        case _:
            return False
