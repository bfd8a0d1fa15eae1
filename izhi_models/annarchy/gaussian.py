"""Finds normally distributed random numbers in expressions.

LEMS draws uniform random numbers only; a normal one is written as two of them, by the
transformation of Box & Muller (1958), Ann. Math. Stat. 29:610, for example

    sqrt(-2 * ln(1 - random(1))) * cos(6.283185307 * random(1))
"""

from __future__ import annotations

import math
from functools import reduce
from typing import cast

from izhi_models.expr import RANDOM, Binary, Call, Expr, Negate, Number

_PRECISION = 1e-6  # of the 2 pi of the file, whose digits somebody has chosen


def without_normal(expr: Expr) -> Expr | None:
    """Return a product without two factors that make a normal random number.

    Parameters
    ----------
    expr : Expr

    Returns
    -------
    Expr or None
        By what a number of mean 0 and standard deviation 1 is multiplied; None if the expression
        has no such factors.
    """
    factor, parts = _product(expr)
    radius = next((item for item in parts if _is_radius(item)), None)
    turn = next((item for item in parts if _is_turn(item)), None)
    if radius is None or turn is None:
        return None
    rest = (item for item in parts if item is not radius and item is not turn)
    return reduce(lambda left, right: Binary("*", left, right), rest, cast(Expr, Number(factor)))


def _product(expr: Expr) -> tuple[float, list[Expr]]:
    """Split a product into a number and other factors."""
    match expr:
        case Number(value):
            return value, []
        case Negate(operand):
            factor, parts = _product(operand)
            return -factor, parts
        case Binary("*", left, right):
            first, ahead = _product(left)
            second, behind = _product(right)
            return first * second, ahead + behind
        case _:
            return 1.0, [expr]


def _is_radius(expr: Expr) -> bool:
    match expr:
        case Call("sqrt", argument):
            factor, parts = _product(argument)
            return factor == -2.0 and len(parts) == 1 and _is_logarithm(parts[0])
        case _:
            return False


def _is_logarithm(expr: Expr) -> bool:
    match expr:
        case Call("ln" | "log", Binary("-", Number(1.0), argument) | argument):
            return _product(argument)[0] == 1.0 and _uniform(argument) == 1.0
        case _:
            return False


def _is_turn(expr: Expr) -> bool:
    match expr:
        case Call("cos" | "sin", argument):
            width = _uniform(argument)
            return width is not None and math.isclose(width, 2.0 * math.pi, rel_tol=_PRECISION)
        case _:
            return False


def _uniform(expr: Expr) -> float | None:
    """Return the width of a uniform random number, or None if it is something else."""
    factor, parts = _product(expr)
    match parts:
        case [Call(function, Number(width))] if function == RANDOM:
            return factor * width
        case _:
            return None
