"""Dimensions of expressions: checking them, and changing to the units of simulations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from izhi_models.errors import InternalError
from izhi_models.expr import (
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Negate,
    Number,
    Place,
    Select,
    fold,
    to_text,
)
from izhi_models.ir.dynamics import Assignment, Dynamics, OnCondition, OnEvent
from izhi_models.units import NONE, TIME, Dimension, display_unit, simulation_power, to_simulation

# Checking


@dataclass(frozen=True)
class DimensionFault:
    """Two dimensions that differ and should not.

    Parameters
    ----------
    message : str
    place : tuple of int, optional
        Of the wrong part, as offsets into the text of the expression.
    expected, found : Dimension
    where : str
        Whose expression it is: ``derived i``, ``rate v``, ``start v``, ``entry v``,
        ``assignment v`` or ``test``.
    """

    message: str
    place: Place | None
    expected: Dimension
    found: Dimension
    where: str = ""


def check_dimensions(dynamics: Dynamics) -> Iterator[DimensionFault]:
    """Yield what is wrong with the dimensions in a dynamics.

    A rate has the dimension of its state over time; an assignment and a derived variable have
    the declared one; a literal 0 has any.

    Parameters
    ----------
    dynamics : Dynamics
    """
    known = dynamics.dimensions()
    for where, expr, expected in _sites(dynamics, known):
        for fault in check_expression(expr, known, expected):
            yield replace(fault, where=where)


def _sites(
    dynamics: Dynamics, known: Mapping[str, Dimension]
) -> Iterator[tuple[str, Expr, Dimension | None]]:
    for derived in dynamics.derived:
        yield f"derived {derived.name}", derived.value, derived.dimension
    regimes = dynamics.regimes
    for rate in (*dynamics.rates, *(item for regime in regimes for item in regime.rates)):
        dimension = known.get(rate.state)
        expected = None if dimension is None else dimension.over(TIME)
        yield f"rate {rate.state}", rate.value, expected
    yield from _assigned("start", dynamics.start, known)
    blocks: list[OnCondition | OnEvent] = [*dynamics.conditions, *dynamics.on_events]
    for regime in regimes:
        yield from _assigned("entry", regime.on_entry, known)
        blocks += [*regime.conditions, *regime.on_events]
    for block in blocks:
        if isinstance(block, OnCondition):
            yield "test", block.test, None
        yield from _assigned("assignment", block.assignments, known)


def _assigned(
    kind: str, assignments: tuple[Assignment, ...], known: Mapping[str, Dimension]
) -> Iterator[tuple[str, Expr, Dimension | None]]:
    for item in assignments:
        yield f"{kind} {item.state}", item.value, known.get(item.state)


def check_expression(
    expr: Expr, known: Mapping[str, Dimension | None], expected: Dimension | None = None
) -> Iterator[DimensionFault]:
    """Yield what is wrong with the dimensions in one expression.

    Sums and comparisons need equal dimensions. A whole number as exponent multiplies them;
    any other power needs dimensionless operands. abs and random keep a dimension, sqrt halves
    it, other functions need and give a dimensionless number.

    Parameters
    ----------
    expr : Expr
    known : mapping of str to Dimension or None
        Dimensions of names; None, or a name that is missing, matches all.
    expected : Dimension, optional
        What the whole expression must have.
    """
    checker = _Checker(known)
    found = checker.dimension(expr)
    yield from checker.faults
    if expected is not None and found is not None and found != expected:
        message = f"'{to_text(expr)}' {_in_units(found)}, expected {_unit(expected)}"
        yield DimensionFault(message, expr.place, expected, found)


def dimension_of(expr: Expr, known: Mapping[str, Dimension | None]) -> Dimension | None:
    """Return the dimension of an expression; None if it cannot be told."""
    return _Checker(known).dimension(expr)


class _Checker:
    """Finds dimensions from the leaves up; after a fault the dimension counts as unknown."""

    def __init__(self, known: Mapping[str, Dimension | None]) -> None:
        self.known = known
        self.faults: list[DimensionFault] = []

    def dimension(self, expr: Expr) -> Dimension | None:
        match expr:
            case Number(value):
                return NONE if value else None
            case Name(name):
                return self.known.get(name)
            case Negate(operand):
                return self.dimension(operand)
            case Binary("+" | "-", left, right):
                return self._equal(left, right, "a sum")
            case Binary("^"):
                return self._power(expr)
            case Binary(op, left, right):
                first, second = self.dimension(left), self.dimension(right)
                if first is None or second is None:
                    return None
                return first.times(second) if op == "*" else first.over(second)
            case Call():
                return self._call(expr)
            case Compare(_, left, right):
                self._equal(left, right, "a comparison")
                return None
            case Logic(_, left, right):
                self.dimension(left)
                self.dimension(right)
                return None
            case Select(condition, then, otherwise):
                self.dimension(condition)
                return self._equal(then, otherwise, "a choice")

    def _equal(self, left: Expr, right: Expr, what: str) -> Dimension | None:
        first, second = self.dimension(left), self.dimension(right)
        if first is None or second is None:
            return second if first is None else first
        if first == second:
            return first
        message = (
            f"'{to_text(left)}' {_in_units(first)}, but '{to_text(right)}' {_in_units(second)}: "
            f"{what} needs equal dimensions"
        )
        self.faults.append(DimensionFault(message, right.place, first, second))
        return None

    def _power(self, expr: Binary) -> Dimension | None:
        base = self.dimension(expr.left)
        exponent = fold(expr.right)
        if isinstance(exponent, Number) and exponent.value.is_integer():
            return None if base is None else base.power(int(exponent.value))
        self._dimensionless(expr.left, base, "only a whole power may be taken of it")
        self._dimensionless(expr.right, self.dimension(expr.right), "an exponent is dimensionless")
        return NONE

    def _call(self, expr: Call) -> Dimension | None:
        argument = self.dimension(expr.argument)
        if expr.function in ("abs", "random"):
            return argument
        if expr.function == "sqrt" and argument is not None:
            if all(exponent % 2 == 0 for exponent in argument):
                return Dimension(*(exponent // 2 for exponent in argument))
            self._dimensionless(expr.argument, argument, "it has no square root")
            return None
        self._dimensionless(
            expr.argument, argument, f"the argument of {expr.function} is dimensionless"
        )
        return NONE

    def _dimensionless(self, expr: Expr, found: Dimension | None, reason: str) -> None:
        if found is not None and found != NONE:
            message = f"'{to_text(expr)}' {_in_units(found)}: {reason}"
            self.faults.append(DimensionFault(message, expr.place, NONE, found))


def _unit(dimension: Dimension) -> str:
    """Return a unit that people know, as an example of a dimension."""
    if dimension == NONE:
        return "no unit"
    symbol = display_unit(dimension)[0]
    integral = dimension.times(TIME)
    if symbol == str(dimension) and display_unit(integral)[0] != str(integral):
        return f"{display_unit(integral)[0]} per time"
    return symbol


def _in_units(dimension: Dimension) -> str:
    return "has no unit" if dimension == NONE else f"is in {_unit(dimension)}"


# Units of simulations


def rescale(dynamics: Dynamics) -> Dynamics:
    """Return the dynamics for values in simulation units instead of SI.

    Those units are consistent, so equations with consistent dimensions stay as they are.
    Elsewhere, where a literal number stands for a quantity in SI, factors are put in so that
    the meaning in SI is kept: a rate ``-x/2`` of a dimensionless x is per second, ``exp(v)`` takes
    v in volt. Constants are converted.

    Parameters
    ----------
    dynamics : Dynamics
        In SI.
    """
    powers = {name: simulation_power(item) for name, item in dynamics.dimensions().items()}
    scale = _Scale(powers)

    def assigned(assignments: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
        return tuple(
            replace(item, value=scale.to(item.value, powers[item.state])) for item in assignments
        )

    if dynamics.regimes:
        raise InternalError(f"'{dynamics.name}' still has regimes")
    per_time = simulation_power(NONE.over(TIME))
    return replace(
        dynamics,
        constants=tuple(
            replace(item, value=to_simulation(item.value, item.dimension))
            for item in dynamics.constants
        ),
        derived=tuple(
            replace(item, value=scale.to(item.value, powers[item.name]))
            for item in dynamics.derived
        ),
        rates=tuple(
            replace(item, value=scale.to(item.value, powers[item.state] + per_time))
            for item in dynamics.rates
        ),
        start=assigned(dynamics.start),
        conditions=tuple(
            replace(
                item,
                test=scale.convert(item.test)[0],
                assignments=assigned(item.assignments),
            )
            for item in dynamics.conditions
        ),
        on_events=tuple(
            replace(item, assignments=assigned(item.assignments)) for item in dynamics.on_events
        ),
    )


class _Scale:
    """Converts expressions, given the power of ten of each name's simulation unit in SI.

    A converted expression comes with such a power too: its SI value is its value times 10 to it.
    None stands for any, which is right for the literal 0 only.
    """

    def __init__(self, powers: Mapping[str, int]) -> None:
        self.powers = powers

    def to(self, expr: Expr, power: int) -> Expr:
        """Return the expression in units of ten to `power`."""
        converted, own = self.convert(expr)
        return converted if own is None else _shifted(converted, own - power)

    def convert(self, expr: Expr) -> tuple[Expr, int | None]:
        match expr:
            case Number(value):
                return expr, 0 if value else None
            case Name(name):
                return expr, self._power_of(name)
            case Negate(operand):
                converted, power = self.convert(operand)
                return replace(expr, operand=converted), power
            case Binary("+" | "-", left, right) | Compare(_, left, right):
                first, second, power = self._alike(left, right)
                return replace(expr, left=first, right=second), power
            case Binary("^"):
                return self._raised(expr)
            case Binary(op, left, right):
                first, first_power = self.convert(left)
                second, second_power = self.convert(right)
                result = replace(expr, left=first, right=second)
                if first_power is None or second_power is None:
                    return result, first_power if op == "/" else None
                return result, first_power + (second_power if op == "*" else -second_power)
            case Call():
                return self._called(expr)
            case Logic(_, left, right):
                first, second = self.convert(left)[0], self.convert(right)[0]
                return replace(expr, left=first, right=second), 0
            case Select(condition, then, otherwise):
                first, second, power = self._alike(then, otherwise)
                test = self.convert(condition)[0]
                return replace(expr, condition=test, then=first, otherwise=second), power

    def _power_of(self, name: str) -> int:
        if name not in self.powers:
            raise InternalError(f"'{name}' has no dimension")
        return self.powers[name]

    def _alike(self, left: Expr, right: Expr) -> tuple[Expr, Expr, int | None]:
        first, first_power = self.convert(left)
        second, second_power = self.convert(right)
        if first_power is None or second_power is None:
            return first, second, second_power if first_power is None else first_power
        return first, _shifted(second, second_power - first_power), first_power

    def _raised(self, expr: Binary) -> tuple[Expr, int | None]:
        exponent = fold(expr.right)
        if isinstance(exponent, Number) and exponent.value.is_integer():
            base, power = self.convert(expr.left)
            return replace(expr, left=base), (power or 0) * int(exponent.value)
        return replace(expr, left=self.to(expr.left, 0), right=self.to(expr.right, 0)), 0

    def _called(self, expr: Call) -> tuple[Expr, int | None]:
        argument, power = self.convert(expr.argument)
        if expr.function in ("abs", "random"):
            return replace(expr, argument=argument), power
        if expr.function == "sqrt" and power is not None and power % 2 == 0:
            return replace(expr, argument=argument), power // 2
        if expr.function == "H":  # a step does not see the size of its argument
            return replace(expr, argument=argument), 0
        return replace(expr, argument=_shifted(argument, power or 0)), 0


def _shifted(expr: Expr, power: int) -> Expr:
    """Return the expression times ten to `power`; literals are shifted as decimals, exactly."""
    if power == 0:
        return expr
    if isinstance(expr, Number):
        return Number(float(Decimal(repr(expr.value)).scaleb(power)), expr.place)
    factor = Number(float(f"1e{abs(power)}"))
    return Binary("*" if power > 0 else "/", expr, factor)
