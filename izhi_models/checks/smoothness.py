"""Where a solution passes a kink of its equations: there no method has its order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from izhi_models.expr import Call, Expr, Select, is_random, names, walk
from izhi_models.ir.dynamics import TIME_NAME, Dynamics
from izhi_models.ir.evaluate import evaluate_array, evaluate_truth

Floats = NDArray[np.float64]

_KINKED = ("abs", "H")


def first_kink(
    dynamics: Dynamics, values: Mapping[str, float], times_s: Floats, states: Mapping[str, Floats]
) -> float | None:
    """Return when [s] a choice in the equations first changes along a solution.

    A choice is a Case, or one of the functions that are not smooth, if states decide it: what the
    time alone decides is an edge, and at a time that is known. None if none changes.

    Parameters
    ----------
    dynamics : Dynamics
        Flat and ordered.
    values : mapping of str to float
        Parameters. [SI]
    times_s : array (n,)
    states : mapping of str to array (n,)
        And requirements. [SI]
    """
    n = times_s.size
    scope = {name: np.full(n, value) for name, value in values.items()}
    scope |= {item.name: np.full(n, item.value) for item in dynamics.constants}
    scope |= {TIME_NAME: times_s, **states}
    random = np.random.default_rng(0)
    first = n
    moving = set(states)
    for name, expr in _expressions(dynamics):
        for node in walk(expr):
            if isinstance(node, Select) and names(node.condition) & moving:
                chosen = evaluate_truth(node.condition, scope, n, random)
            elif isinstance(node, Call) and node.function in _KINKED and names(node) & moving:
                chosen = evaluate_array(node.argument, scope, n, random) > 0
            else:
                continue
            changes = _lasting_changes(chosen)
            if changes.size:
                first = min(first, int(changes[0]) + 1)
        if name is not None:
            scope[name] = evaluate_array(expr, scope, n, random)
            if names(expr) & moving:
                moving.add(name)
    return float(times_s[first]) if first < n else None


def _lasting_changes(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where a choice changes for more than one row.

    What is chosen at one row alone is the limit of a rate that is 0/0 there, and no kink.
    """
    inner = chosen.copy()
    if chosen.size > 2:
        alone = (chosen[1:-1] != chosen[:-2]) & (chosen[1:-1] != chosen[2:])
        inner[1:-1][alone] = ~chosen[1:-1][alone]
        inner[0], inner[-1] = inner[1], inner[-2]
    return np.flatnonzero(inner[1:] != inner[:-1])


def _expressions(dynamics: Dynamics) -> Iterator[tuple[str | None, Expr]]:
    """Yield what rates are made of, each after what it reads; derived variables with a name."""
    yield from ((item.name, item.value) for item in dynamics.derived if not is_random(item.value))
    yield from ((None, item.value) for item in dynamics.rates)
