"""Tell whether two expressions mean the same, whatever their text is.

Conditions and choices are compared by structure; arithmetic by structure, or else by its values
for many names far apart in size, which no two different formulas of a model share.
"""

from __future__ import annotations

import numpy as np

from izhi_models.expr import Compare, Expr, Logic, Select, fold, is_random, names, walk
from izhi_models.ir.evaluate import evaluate_array

_N_POINTS = 512
_DECADES = 12.0
_RTOL = 1e-9  # rounding, with terms that cancel to some digits


def is_same(first: Expr, second: Expr) -> bool:
    """Return whether two expressions mean the same.

    Parameters
    ----------
    first, second : Expr
    """
    return _same(fold(first), fold(second))


def _same(first: Expr, second: Expr) -> bool:
    if first == second:
        return True
    match first, second:
        case (Compare(a, left, right), Compare(b, other_left, other_right)):
            return a == b and _same(left, other_left) and _same(right, other_right)
        case (Logic(a, left, right), Logic(b, other_left, other_right)):
            return a == b and _same(left, other_left) and _same(right, other_right)
        case (Select(test, then, otherwise), Select(other_test, other_then, other_otherwise)):
            return (
                _same(test, other_test)
                and _same(then, other_then)
                and _same(otherwise, other_otherwise)
            )
    return _is_arithmetic(first) and _is_arithmetic(second) and _same_values(first, second)


def _is_arithmetic(expr: Expr) -> bool:
    return not is_random(expr) and not any(
        isinstance(item, Compare | Logic | Select) for item in walk(expr)
    )


def _same_values(first: Expr, second: Expr) -> bool:
    if names(first) != names(second):
        return False
    random = np.random.default_rng(1)
    # Half of the points near 1, where functions have their shape; half far apart, so that no
    # term is lost beside another.
    spread = np.where(np.arange(_N_POINTS) % 2, _DECADES, 0.5)
    scope = {
        name: 10.0 ** (random.uniform(-1.0, 1.0, _N_POINTS) * spread)
        * random.choice((-1.0, 1.0, 1.0), _N_POINTS)
        for name in sorted(names(first))
    }
    a, b = (evaluate_array(item, scope, _N_POINTS, random) for item in (first, second))
    finite = np.isfinite(a) & np.isfinite(b)
    # Where a sum cancels, rounding is as large as the rest: a few such points say nothing.
    near = np.isclose(a[finite], b[finite], rtol=_RTOL, atol=0.0)
    same = np.array_equal(np.isnan(a), np.isnan(b))
    return bool(same and finite.any() and near.mean() > 0.98)
