"""The dimensions of the quantities of an ANNarchy neuron or synapse, as far as equations tell.

ANNarchy's numbers have no units, but rates are per ms. What a sum adds, a choice chooses from and
a comparison compares is alike, and a rate is like its variable over time: linear equations for the
exponents of each name and each number. What they leave open has no dimension; parameters and what
follows from others take one rather than what is integrated or arrives.

Numbers in equations are quantities where that is needed, of ms, mV and nA, and what else is
consistent with these: nF, uS, Mohm. In ``0.04*v^2 + 5*v + 140`` all three are, if v is a voltage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from izhi_models.errors import InternalError
from izhi_models.expr import (
    CONDITIONS,
    ONE,
    Binary,
    Call,
    Expr,
    Name,
    Negate,
    Number,
    Select,
    children,
    rebuild,
    substitute,
)
from izhi_models.units import CURRENT, NONE, PER_TIME, TIME, VOLTAGE, Dimension

MSEC, MVOLT, NAMP = "MSEC", "MVOLT", "NAMP"
UNITS: Mapping[str, tuple[Dimension, str]] = {
    MSEC: (TIME, "1 ms"),
    MVOLT: (VOLTAGE, "1 mV"),
    NAMP: (CURRENT, "1 nA"),
}
"""Constants of one unit."""

TIMES = frozenset({"t", "dt", "t_last", "t_post", "t_pre"})
"""Names of numbers of ms, which are times where they are given a unit."""

CONDUCTANCE = CURRENT.over(VOLTAGE)
CAPACITANCE = CONDUCTANCE.times(TIME)
_CORE = {
    NONE: ("none", ""),
    TIME: ("time", "ms"),
    PER_TIME: ("per_time", "per_ms"),
    VOLTAGE: ("voltage", "mV"),
    NONE.over(VOLTAGE): ("per_voltage", "per_mV"),
    CURRENT: ("current", "nA"),
    CONDUCTANCE: ("conductance", "uS"),
    CAPACITANCE: ("capacitance", "nF"),
    VOLTAGE.over(CURRENT): ("resistance", "Mohm"),
}
_BASES = ("voltage", "mV"), ("current", "nA"), ("time", "ms")

_MOST_LENIENT = 2


@dataclass(frozen=True)
class Claim:
    """An expression of which something is known.

    Parameters
    ----------
    expr : Expr
        Zero or more names are of this neuron or synapse; a condition, or a value.
    name : str
        What has its dimension; empty for a condition, and for what has none.
    is_rate : bool
        True if it is the rate of that.
    is_scaled : bool
        True if it may be a number of units of that.
    """

    expr: Expr
    name: str = ""
    is_rate: bool = False
    is_scaled: bool = False


@dataclass(frozen=True)
class Typed:
    """Dimensions of names, and expressions that agree with them.

    Parameters
    ----------
    dimensions : dict of str to Dimension
        Others have none.
    values : list of Expr
        Of the claims, with units; they may read the names of `UNITS`.
    """

    dimensions: dict[str, Dimension]
    values: list[Expr]


def infer(
    claims: Sequence[Claim],
    order: tuple[Sequence[str], Sequence[str]],
    known: Mapping[str, Dimension],
    told: Mapping[str, Dimension],
) -> Typed:
    """Find dimensions with which all expressions agree.

    Parameters
    ----------
    claims : sequence of Claim
    order : (sequence of str, sequence of str)
        Names that rather have a dimension than a number that they are multiplied by, and those
        that rather have none; the first ones of each rather than the last.
    known : mapping of str to Dimension
        Of names of other cells.
    told : mapping of str to Dimension
        What a documentation says; left out if equations contradict it.
    """
    times = dict.fromkeys(TIMES - {"dt"}, TIME)
    for given in ({**told, **times}, times):
        for leniency in range(_MOST_LENIENT + 1):
            found = _System(claims, order, known, given, leniency).solution()
            if found is not None:
                return found
    alone = dict.fromkeys((*order[0], *order[1], *TIMES), NONE)
    bare = _System(claims, order, known, alone, _MOST_LENIENT, is_bare=True).solution()
    if bare is None:
        raise InternalError("equations without dimensions contradict each other")
    return bare


_Form = dict[str, Fraction]
_UNIT = ("@voltage", "@current", "@time")


class _System:
    """Linear equations between exponents; forms are sums of names, each times a number.

    Parameters
    ----------
    claims, order, known
        See `infer`.
    given : mapping of str to Dimension
    leniency : int
        From 1 on, what a function is of may be a quantity that counts as a number; from 2 on, a
        rate may be a number of units of its variable over time.
    is_bare : bool
        Whether nothing of its own has a dimension.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        order: tuple[Sequence[str], Sequence[str]],
        known: Mapping[str, Dimension],
        given: Mapping[str, Dimension],
        leniency: int,
        *,
        is_bare: bool = False,
    ) -> None:
        self.leniency = leniency
        self.known = known
        self.given = given
        self.is_bare = is_bare
        self.order = order
        self.rows: list[_Form] = []
        self.standing: dict[str, Expr] = {}  # numbers that are a term of a sum
        self.factors: dict[str, Expr] = {}
        self.marked = [self._claim(claim) for claim in claims]

    # Collecting

    def _claim(self, claim: Claim) -> tuple[Expr, str]:
        """Note what a claim says; return its expression with marks, and the mark of a factor."""
        if isinstance(claim.expr, CONDITIONS):
            return self._walk(claim.expr)[0], ""
        expr, form = self._walk(claim.expr, stands=not claim.is_scaled)
        mark = ""
        if claim.is_scaled or (claim.is_rate and self.leniency > 1):
            mark = self._mark(self.factors, Number(1.0))
            form = _sum(form, {mark: Fraction(1)})
        wanted = self._named(claim.name)[1] if claim.name else {}
        if claim.is_rate:
            wanted = _sum(wanted, _form(PER_TIME))
        self.rows.append(_sum(form, wanted, -1))
        return expr, mark

    def _mark(self, kind: dict[str, Expr], expr: Expr) -> str:
        name = f"#{len(self.standing) + len(self.factors)}"
        kind[name] = expr
        return name

    def _named(self, name: str) -> tuple[Expr, _Form]:
        if name in self.known:
            dimension = self.known[name]
            if self.is_bare:
                return in_units(Name(name), NONE.over(dimension)), {}
            return Name(name), _form(dimension)
        if name in TIMES and not self.is_bare:
            mark = self._mark(self.factors, Name(name))
            form = {mark: Fraction(1)}
            if name in self.given:
                self.rows.append(_sum(form, _form(self.given[name]), -1))
            return Name(mark), form
        if name in self.given:
            return Name(name), _form(self.given[name])
        return Name(name), {name: Fraction(1)}

    def _walk(self, expr: Expr, *, stands: bool = True) -> tuple[Expr, _Form]:
        """Return an expression with marks for its numbers, and what its dimension is.

        Parameters
        ----------
        expr : Expr
        stands : bool
            Whether it is a whole term.
        """
        match expr:
            case Number(value):
                if self.is_bare and value:
                    return expr, {}
                mark = self._mark(self.standing if stands or not value else self.factors, expr)
                return Name(mark), {mark: Fraction(1)}
            case Name(name):
                return self._named(name)
            case Negate(operand):
                inner, form = self._walk(operand, stands=stands)
                return Negate(inner), form
            case Binary("+" | "-", left, right):
                (ahead, one), (behind, two) = self._walk(left), self._walk(right)
                self.rows.append(_sum(one, two, -1))
                return Binary(expr.op, ahead, behind), one
            case Binary("*" | "/", left, right):
                ahead, one = self._walk(left, stands=False)
                behind, two = self._walk(right, stands=False)
                return Binary(expr.op, ahead, behind), _sum(one, two, 1 if expr.op == "*" else -1)
            case Binary("^", base, Number(power)) if power == int(power):
                inner, form = self._walk(base, stands=False)
                return Binary("^", inner, expr.right), _sum({}, form, int(power))
            case Call("sqrt", operand):
                inner, form = self._walk(operand)
                return Call("sqrt", inner), _sum({}, form, Fraction(1, 2))
            case Call("abs" | "random", operand):
                inner, form = self._walk(operand, stands=stands)
                return rebuild(expr, (inner,)), form
            case Select(condition, then, otherwise):
                test, _ = self._walk(condition)
                (ahead, one), (behind, two) = self._walk(then), self._walk(otherwise)
                self.rows.append(_sum(one, two, -1))
                return Select(test, ahead, behind), one
        below = [self._walk(item) for item in children(expr)]
        forms = [form for _, form in below]
        if isinstance(expr, CONDITIONS):
            if len(forms) == 2:
                self.rows.append(_sum(forms[0], forms[1], -1))
        else:
            below = [self._bare(*item) for item in below]
        return (rebuild(expr, tuple(item for item, _ in below)) if below else expr), {}

    def _bare(self, expr: Expr, form: _Form) -> tuple[Expr, _Form]:
        """Return what a function is of, which has no dimension."""
        if self.leniency > 0 and form:
            mark = self._mark(self.factors, ONE)
            expr, form = Binary("*", expr, Name(mark)), _sum(form, {mark: Fraction(1)})
        self.rows.append(form)
        return expr, {}

    # Solving

    def solution(self) -> Typed | None:
        """Return dimensions and expressions; None if expressions contradict each other."""
        columns = (*self.standing, *self.order[0], *self.factors, *self.order[1])
        values = _solve(self.rows, columns)
        if values is None:
            return None
        marks = {
            name: in_units(expr, values.get(name, NONE))
            for name, expr in (*self.standing.items(), *self.factors.items())
        }
        own = (*self.order[0], *self.order[1])
        dimensions = {name: self.given.get(name, values.get(name, NONE)) for name in own}
        return Typed(
            dimensions,
            [
                in_units(substitute(expr, marks), values.get(mark, NONE))
                for expr, mark in self.marked
            ],
        )


def _form(dimension: Dimension) -> _Form:
    exponents = _exponents(dimension)
    return {name: Fraction(item) for name, item in zip(_UNIT, exponents, strict=True) if item}


def _exponents(dimension: Dimension) -> tuple[int, int, int]:
    """Return the exponents of voltage, current and time."""
    return dimension.m, dimension.i + dimension.m, dimension.t + 3 * dimension.m


def _sum(one: _Form, two: _Form, times: int | Fraction = 1) -> _Form:
    found = dict(one)
    for name, value in two.items():
        found[name] = found.get(name, Fraction(0)) + times * value
        if not found[name]:
            del found[name]
    return found


def _solve(rows: Iterable[_Form], columns: Sequence[str]) -> dict[str, Dimension] | None:
    """Solve for columns, the first ones by the last, which are 0 if nothing else follows.

    Returns
    -------
    dict of str to Dimension or None
        None if there is no solution in whole numbers.
    """
    pending = [row for row in rows if row]
    solved: dict[str, _Form] = {}
    for column in columns:
        pivot = next((row for row in pending if column in row), None)
        if pivot is None:
            continue
        pending.remove(pivot)
        value = _sum({}, {name: item for name, item in pivot.items() if name != column}, -1)
        value = _sum({}, value, 1 / pivot[column])
        pending = [_replaced(row, column, value) for row in pending]
        solved = {name: _replaced(form, column, value) for name, form in solved.items()}
        solved[column] = value
        pending = [row for row in pending if row]
    if pending:
        return None
    found: dict[str, Dimension] = {}
    for name, form in solved.items():
        exponents = [form.get(unit, Fraction(0)) for unit in _UNIT]
        if any(item.denominator != 1 for item in exponents):
            return None
        voltage, current, time = (int(item) for item in exponents)
        found[name] = VOLTAGE.power(voltage).times(CURRENT.power(current)).times(TIME.power(time))
    return found


def _replaced(form: _Form, name: str, value: _Form) -> _Form:
    if name not in form:
        return form
    rest = {other: item for other, item in form.items() if other != name}
    return _sum(rest, value, form[name])


# Units


def in_units(expr: Expr, dimension: Dimension) -> Expr:
    """Return a number as a quantity in ms, mV and nA.

    Parameters
    ----------
    expr : Expr
    dimension : Dimension
    """
    for name, exponent in zip((MVOLT, NAMP, MSEC), _exponents(dimension), strict=True):
        for _ in range(abs(exponent)):
            expr = Binary("*" if exponent > 0 else "/", expr, Name(name))
    return expr


def dimension_name(dimension: Dimension) -> str:
    """Return the name of a dimension: that of NeuroML, or one of its own.

    Parameters
    ----------
    dimension : Dimension
        Of voltage, current and time.
    """
    return _words(dimension, 0)


def unit_name(dimension: Dimension) -> str:
    """Return the symbol of the unit in which ANNarchy's numbers of a dimension are."""
    return _words(dimension, 1)


def unit_power(dimension: Dimension) -> int:
    """Return the power of ten of that unit in SI."""
    voltage, current, time = _exponents(dimension)
    return -3 * voltage - 9 * current - 3 * time


def is_core(dimension: Dimension) -> bool:
    """Tell whether NeuroML has a name for a dimension."""
    return dimension in _CORE


def _words(dimension: Dimension, place: int) -> str:
    if dimension in _CORE:
        return _CORE[dimension][place]
    above: list[str] = []
    below: list[str] = []
    for words, exponent in zip(_BASES, _exponents(dimension), strict=True):
        word = words[place] if abs(exponent) == 1 else f"{words[place]}{abs(exponent)}"
        if exponent:
            (above if exponent > 0 else below).append(word)
    return "_".join([*above, *(["per", *below] if below else [])])
