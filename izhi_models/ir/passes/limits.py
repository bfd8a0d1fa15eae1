"""Quotients that are 0/0 at a point where they have a limit, such as x / (1 - exp(-x)).

Rates of channels have this form, and a voltage may lie on the point: at the start it often does.
By l'Hopital's rule the limit is the quotient of the derivatives, which is put there; a true pole
stays one. What is divided by 1 + exp(-x) has no such point, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

from izhi_models.expr import (
    ONE,
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Negate,
    Number,
    Select,
    children,
    fold,
    is_random,
    names,
    rebuild,
    walk,
)
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import Derived, Dynamics

# Relative to its terms, where the denominator has lost half of its digits by cancellation; the
# limit is as good as the quotient there.
_NEAR = 1e-8
_ROUNDING = 1e-14


def fill_limits(dynamics: Dynamics) -> Dynamics:
    """Return the dynamics with the limits of quotients where they are 0/0.

    A quotient is left as it is under a choice that tests for such a point already.

    Parameters
    ----------
    dynamics : Dynamics
        Of one component; derived variables in any order.
    """
    filler = _Filler(dynamics)
    return replace(
        dynamics,
        derived=tuple(
            replace(item, value=filler.fill(item.value, frozenset())) for item in dynamics.derived
        ),
        rates=tuple(
            replace(item, value=filler.fill(item.value, frozenset())) for item in dynamics.rates
        ),
    )


class _Floor(IntEnum):
    """The least value that an expression may have, as far as it is known."""

    UNKNOWN = 0
    ZERO = 1
    POSITIVE = 2

    @classmethod
    def of(cls, value: float) -> _Floor:
        return cls.POSITIVE if value > 0.0 else cls.ZERO if value == 0.0 else cls.UNKNOWN


@dataclass
class _Filler:
    dynamics: Dynamics
    derived: Mapping[str, Derived] = field(init=False)
    changing: frozenset[str] = field(init=False)
    slopes: dict[tuple[str, str], Expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.derived = {item.name: item for item in self.dynamics.derived}
        moving = (*self.dynamics.states, *self.dynamics.requirements)
        self.changing = frozenset(item.name for item in moving)

    def fill(self, expr: Expr, tested: frozenset[str]) -> Expr:
        """Return an expression with limits; `tested` are names that a choice above tests."""
        if isinstance(expr, Select):
            inner = tested | _compared(expr.condition)
            return Select(
                self.fill(expr.condition, tested),
                self.fill(expr.then, inner),
                self.fill(expr.otherwise, inner),
            )
        above, below = _factors(expr)
        filled = self._filled(expr, above, below, tested) if below else None
        if filled is not None:
            return filled
        parts = children(expr)
        return rebuild(expr, tuple(self.fill(item, tested) for item in parts)) if parts else expr

    def _filled(
        self, expr: Expr, above: list[Expr], below: list[Expr], tested: frozenset[str]
    ) -> Expr | None:
        for place, divisor in enumerate(below):
            terms = self._terms(divisor)
            if not terms or not self._calls(divisor) or is_random(expr):
                continue
            if self._floor(divisor) is _Floor.POSITIVE:
                continue
            divided = _joined("*", above)
            for name in sorted(self._bases(divisor) & self._bases(divided)):
                if tested & self._reached(divisor):
                    break
                try:
                    slopes = self._slope(divided, name), self._slope(divisor, name)
                except NotDifferentiableError:
                    continue
                if ZERO in slopes:
                    continue
                others = [*below[:place], *below[place + 1 :]]
                return _chosen(expr, (divided, divisor), terms, slopes, others)
        return None

    def _terms(self, divisor: Expr) -> tuple[Expr, ...]:
        """Return what may cancel in a divisor, or vanish; nothing of one that seldom does."""
        named = divisor
        while isinstance(named, Name) and named.id in self.derived:
            named = self.derived[named.id].value
        match named:
            case Binary("+" | "-", left, right):
                return left, right
            case Call():
                return (divisor,)
            case _:
                return ()

    def _floor(self, expr: Expr) -> _Floor:
        """Return what is known of the least value, also past rounding: exp may give 0."""
        match expr:
            case Number(value):
                return _Floor.of(value)
            case Name(name) if name in self.derived:
                return self._floor(self.derived[name].value)
            case Name(name):
                known = (item.value for item in self.dynamics.constants if item.name == name)
                return _Floor.of(next(known, -1.0))
            case Call("exp" | "cosh" | "abs" | "sqrt", _):
                return _Floor.ZERO
            case Binary("+", left, right):
                floors = self._floor(left), self._floor(right)
                return max(floors) if min(floors) > _Floor.UNKNOWN else _Floor.UNKNOWN
            case Binary("*" | "/", left, right):
                return min(self._floor(left), self._floor(right))
            case _:
                return _Floor.UNKNOWN

    def _calls(self, expr: Expr) -> bool:
        """Return whether a function is in an expression or in what it reads."""
        read = (self.derived[name].value for name in self._reached(expr) & self.derived.keys())
        return any(isinstance(node, Call) for item in (expr, *read) for node in walk(item))

    def _reached(self, expr: Expr) -> frozenset[str]:
        """Return the names in an expression and in all that it reads."""
        reached: set[str] = set()
        pending = set(names(expr))
        while pending:
            name = pending.pop()
            reached.add(name)
            if name in self.derived:
                pending |= names(self.derived[name].value) - reached
        return frozenset(reached)

    def _bases(self, expr: Expr) -> frozenset[str]:
        return self._reached(expr) & self.changing

    def _slope(self, expr: Expr, base: str) -> Expr:
        """Return the derivative by a state or requirement, through derived variables."""
        total = differentiate(expr, base)
        for name in sorted(names(expr) & self.derived.keys() - {base}):
            if (name, base) not in self.slopes:
                self.slopes[name, base] = self._slope(self.derived[name].value, base)
            inner = self.slopes[name, base]
            if inner != ZERO:
                outer = differentiate(expr, name)
                total = fold(Binary("+", total, Binary("*", outer, inner)))
        return fold(total)


def _chosen(
    expr: Expr,
    quotient: tuple[Expr, Expr],
    terms: tuple[Expr, ...],
    slopes: tuple[Expr, Expr],
    others: list[Expr],
) -> Expr:
    """Return the limit where divided and divisor vanish together, else the expression."""
    divided, divisor = quotient
    limit: Expr = Binary("/", slopes[0], slopes[1])
    scale: Expr = Call("abs", terms[0])
    for item in terms[1:]:
        scale = Binary("+", scale, Call("abs", item))
    size = Call("abs", divisor)
    near = Compare("<=", size, Binary("*", Number(_NEAR), scale))
    room = Binary("+", size, Binary("*", Number(_ROUNDING), scale))
    allowed = Binary("*", Number(2.0), Binary("*", Call("abs", limit), room))
    vanishes = Compare("<=", Call("abs", divided), allowed)
    return Select(Logic("and", near, vanishes), _joined("/", [limit, *others]), expr)


def _joined(op: Literal["*", "/"], parts: list[Expr]) -> Expr:
    whole = parts[0] if parts else ONE
    for item in parts[1:]:
        whole = Binary(op, whole, item)
    return whole


def _factors(expr: Expr) -> tuple[list[Expr], list[Expr]]:
    """Return the factors above and below the line of a product of quotients."""
    match expr:
        case Binary("*", left, right):
            above, below = _factors(left)
            more, less = _factors(right)
            return [*above, *more], [*below, *less]
        case Binary("/", left, right):
            above, below = _factors(left)
            less, more = _factors(right)
            return [*above, *more], [*below, *less]
        case Negate(operand):
            above, below = _factors(operand)
            return [Number(-1.0), *above], below
        case _:
            return [expr], []


def _compared(condition: Expr) -> frozenset[str]:
    """Return the names that a condition tests for equality with something."""
    if isinstance(condition, Compare):
        return names(condition) if condition.op in ("==", "!=") else frozenset()
    return frozenset[str]().union(*(_compared(item) for item in children(condition)))
