"""The equations of an ANNarchy Neuron or Synapse, taken apart: names, rates, flags, bounds.

An equation for a derivative may be written in any form that is linear in it; it is solved for the
rate. Source: ANNarchy 5, manual, "Parser".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from izhi_models.errors import UnsupportedError
from izhi_models.expr import (
    ONE,
    ZERO,
    Binary,
    Compare,
    Expr,
    Name,
    Negate,
    Number,
    Select,
    fold,
    names,
    rename,
    substitute,
)
from izhi_models.importers.expressions import Function, Functions, parse
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate

_RATE = "_rate_"


@dataclass(frozen=True)
class Equation:
    """One equation.

    Parameters
    ----------
    name : str
        The variable that it determines.
    text : str
        As written.
    value : Expr
        The rate [1/ms], or the value.
    method : str
        By which a rate is integrated; empty for a value.
    low, high : Expr or None
        Bounds of the variable.
    locality : str
        ``local``, ``semiglobal`` or ``global``.
    flags : tuple of str
    """

    name: str
    text: str
    value: Expr
    method: str = ""
    low: Expr | None = None
    high: Expr | None = None
    locality: str = "local"
    flags: tuple[str, ...] = ()

    def renamed(self, new: Mapping[str, str]) -> Equation:
        """Return the equation with other names in it."""
        low, high = (None if item is None else rename(item, new) for item in (self.low, self.high))
        return replace(
            self,
            name=new.get(self.name, self.name),
            value=rename(self.value, new),
            low=low,
            high=high,
        )

    @property
    def is_ode(self) -> bool:
        """True if the value is a rate."""
        return bool(self.method)


def read_equations(source: Any, kind: str, where: str, functions: Functions) -> list[Equation]:
    """Read a block of equations.

    Parameters
    ----------
    source : str, ANNarchy.Variable or list of them
        As given to Neuron or Synapse.
    kind : {'neuron', 'synapse'}
    where : str
        For messages.
    functions : mapping of str to Function

    Raises
    ------
    UnsupportedError
        If an equation cannot be said in LEMS.
    """
    from ANNarchy.parser.StringManipulation import extract_flags, process_equations

    found = []
    for item in process_equations(_as_text(source, kind)):
        bounds, flags = extract_flags(item["constraint"])
        here = f"{where}, variable '{item['name']}'"
        limits = {
            side: parse(bounds[side], here, functions) for side in ("min", "max") if side in bounds
        }
        name, text = item["name"], item["eq"].strip()
        value, is_ode = _value(name, text, here, functions)
        found.append(
            Equation(
                name,
                text,
                value,
                _method(flags) if is_ode else "",
                limits.get("min"),
                limits.get("max"),
                _locality(flags),
                tuple(flags),
            )
        )
    return found


def _as_text(source: Any, kind: str) -> str:
    items = source if isinstance(source, list) else [source]
    texts = (item if isinstance(item, str) else item._to_string(kind) for item in items if item)
    return "\n".join(texts)


def _method(flags: list[str]) -> str:
    from ANNarchy.parser.Extraction import find_method

    return str(find_method({"flags": flags}))


def _locality(flags: list[str]) -> str:
    if "postsynaptic" in flags:
        return "semiglobal"
    return "global" if {"population", "projection"} & set(flags) else "local"


_DERIVATIVE = r"(?<![\w.])d\s*{name}\s*/\s*dt(?!\w)"
_ASSIGNMENT = re.compile(r"(?<![<>=!])([-+*/]?)=(?!=)")


def _value(name: str, text: str, where: str, functions: Functions) -> tuple[Expr, bool]:
    """Return the rate or the value that an equation gives, and whether it is a rate."""
    split = _ASSIGNMENT.search(text)
    if split is None:
        raise UnsupportedError(f"{where}: '{text}' is no equation")
    left, right = text[: split.start()], text[split.end() :]
    pattern = re.compile(_DERIVATIVE.format(name=re.escape(name)))
    if pattern.search(text) is None:
        value = parse(right, where, functions)
        if split[1]:
            value = Binary(split[1], Name(name), value)  # type: ignore[arg-type]
        return fold(value), False
    sides = [parse(pattern.sub(_RATE, side), where, functions) for side in (left, right)]
    rate = _solved(*sides)
    if rate is None:
        raise UnsupportedError(
            f"{where}: '{text}' is not linear in d{name}/dt, so it is not solved for it"
        )
    return fold(rate), True


def _solved(left: Expr, right: Expr) -> Expr | None:
    """Solve left = right for the rate."""
    ours, theirs = _linear(left), _linear(right)
    if ours is None or theirs is None:
        return None
    slope = _minus(ours[0], theirs[0])
    rest = _minus(theirs[1], ours[1])
    if slope == ZERO:
        return None
    return rest if slope == ONE else Binary("/", rest, slope)


def _linear(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return the factor of the rate in an expression, and what is added; None if not linear."""
    if _RATE not in names(expr):
        return ZERO, expr
    match expr:
        case Name():
            return ONE, ZERO
        case Negate(operand):
            inner = _linear(operand)
            return None if inner is None else (_minus(ZERO, inner[0]), _minus(ZERO, inner[1]))
        case Binary(op, left, right):
            ahead, behind = _linear(left), _linear(right)
            if ahead is None or behind is None:
                return None
            if op in "+-":
                join = _plus if op == "+" else _minus
                return join(ahead[0], behind[0]), join(ahead[1], behind[1])
            if op == "*" and ahead[0] == ZERO:
                return _times(behind[0], left), _times(left, behind[1])
            if op in "*/" and behind[0] == ZERO:
                scaled = _times if op == "*" else _over
                return scaled(ahead[0], right), scaled(ahead[1], right)
            return None
        case _:
            return None


def _plus(left: Expr, right: Expr) -> Expr:
    return right if left == ZERO else fold(Binary("+", left, right))


def _minus(left: Expr, right: Expr) -> Expr:
    return left if right == ZERO else fold(Binary("-", left, right))


def _times(left: Expr, right: Expr) -> Expr:
    return ZERO if ZERO in (left, right) else fold(Binary("*", left, right))


def _over(left: Expr, right: Expr) -> Expr:
    return ZERO if left == ZERO else fold(Binary("/", left, right))


def read_functions(source: str | None, where: str, known: Functions) -> dict[str, Function]:
    """Read functions that a user has defined, ``f(x, y) = ...``, one in a line.

    Parameters
    ----------
    source : str or None
    where : str
    known : mapping of str to Function
        That they may call; each may call those before it.
    """
    from ANNarchy.parser.StringManipulation import process_equations

    found = dict(known)
    for item in process_equations(source or ""):
        head, _, body = item["eq"].partition("=")
        name, _, arguments = head.partition("(")
        listed = tuple(part.strip() for part in arguments.split(")")[0].split(","))
        here = f"{where}, function '{name.strip()}'"
        found[name.strip()] = Function(listed, parse(body, here, found))
    return found


def bounded(value: Expr, low: Expr | None, high: Expr | None) -> Expr:
    """Return a value, or the bound that it has passed."""
    if low is not None:
        value = Select(Compare("<", value, low), low, value)
    if high is not None:
        value = Select(Compare(">", value, high), high, value)
    return value


def is_proportional(rate: Expr, name: str) -> bool:
    """Tell whether a rate is a number times the variable, so that sums of it obey the same."""
    try:
        slope = differentiate(rate, name)
    except NotDifferentiableError:
        return False
    rest = fold(substitute(rate, {name: ZERO}))
    return name not in names(slope) and is_zero(rest)


def is_zero(expr: Expr) -> bool:
    """Tell whether an expression is 0 for all finite values."""
    match expr:
        case Number(value):
            return value == 0.0
        case Binary("*", left, right):
            return is_zero(left) or is_zero(right)
        case Binary("/", left, _):
            return is_zero(left)
        case Binary("+" | "-", left, right):
            return is_zero(left) and is_zero(right)
        case _:
            operand = getattr(expr, "operand", None)
            return operand is not None and is_zero(operand)
