"""Derivatives of expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from izhi_models.expr import (
    ONE,
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Name,
    Negate,
    Number,
    Select,
    fold,
    names,
)


class NotDifferentiableError(ValueError):
    """The derivative cannot be written as an expression."""


def differentiate(expr: Expr, name: str) -> Expr:
    """Return the derivative of an expression with respect to a name, all others held.

    A choice is differentiated branch by branch. A derivative without `name` in it proves that
    the expression is linear in `name`.

    Parameters
    ----------
    expr : Expr
        A number, not a condition.
    name : str

    Raises
    ------
    NotDifferentiableError
        If `name` is inside H, ceil, factorial or random, or chooses between branches of equal
        derivative, which may differ by a jump.
    """
    return fold(_derivative(expr, name))


def _derivative(expr: Expr, name: str) -> Expr:
    if name not in names(expr):
        return ZERO
    match expr:
        case Name():
            return ONE
        case Negate(operand):
            return Negate(_derivative(operand, name))
        case Binary("+" | "-" as op, left, right):
            return _sum(op, _derivative(left, name), _derivative(right, name))
        case Binary("*", left, right):
            return _sum(
                "+",
                _product(_derivative(left, name), right),
                _product(left, _derivative(right, name)),
            )
        case Binary("/", left, right):
            outer = _quotient(_derivative(left, name), right)
            inner = _product(left, _derivative(right, name))
            return _sum("-", outer, _quotient(inner, Binary("^", right, Number(2.0))))
        case Binary(_, base, exponent):
            return _power(base, exponent, name)
        case Call(function, argument):
            if function not in _CHAIN:
                raise NotDifferentiableError(f"{function} has no derivative")
            return _product(_CHAIN[function](argument), _derivative(argument, name))
        case Select(condition, then, otherwise):
            first, second = (fold(_derivative(item, name)) for item in (then, otherwise))
            if first == second and name in names(condition):
                raise NotDifferentiableError("the expression may jump")
            return Select(condition, first, second)
        case _:
            raise NotDifferentiableError("a condition has no derivative")


def _power(base: Expr, exponent: Expr, name: str) -> Expr:
    lower = Binary("^", base, fold(Binary("-", exponent, ONE)))
    by_base = _product(_product(exponent, lower), _derivative(base, name))
    if name not in names(exponent):
        return by_base
    whole = _product(Binary("^", base, exponent), Call("ln", base))
    return _sum("+", by_base, _product(whole, _derivative(exponent, name)))


_CHAIN: Mapping[str, Callable[[Expr], Expr]] = {
    "sin": lambda u: Call("cos", u),
    "cos": lambda u: Negate(Call("sin", u)),
    "tan": lambda u: Binary("/", ONE, Binary("^", Call("cos", u), Number(2.0))),
    "sinh": lambda u: Call("cosh", u),
    "cosh": lambda u: Call("sinh", u),
    "tanh": lambda u: Binary("-", ONE, Binary("^", Call("tanh", u), Number(2.0))),
    "exp": lambda u: Call("exp", u),
    "sqrt": lambda u: Binary("/", Number(0.5), Call("sqrt", u)),
    "ln": lambda u: Binary("/", ONE, u),
    "log": lambda u: Binary("/", ONE, u),
    "abs": lambda u: Select(Compare("<", u, ZERO), Number(-1.0), ONE),
}


def _sum(op: str, left: Expr, right: Expr) -> Expr:
    if right == ZERO:
        return left
    if left == ZERO:
        return right if op == "+" else Negate(right)
    return Binary("+" if op == "+" else "-", left, right)


def _product(left: Expr, right: Expr) -> Expr:
    if ZERO in (left, right):
        return ZERO
    if left == ONE:
        return right
    return left if right == ONE else Binary("*", left, right)


def _quotient(left: Expr, right: Expr) -> Expr:
    return ZERO if left == ZERO else Binary("/", left, right)
