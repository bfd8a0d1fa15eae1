"""What random numbers reach: names of a cell, and cells of a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from izhi_models.expr import Expr, is_random, names
from izhi_models.ir.dynamics import Dynamics
from izhi_models.network import Parts


def uncertain(dynamics: Dynamics) -> frozenset[str]:
    """Return the names of everything that follows from random numbers, after the start.

    Parameters
    ----------
    dynamics : Dynamics
        Flat.
    """
    found: set[str] = set()
    size = -1
    while len(found) > size:
        size = len(found)
        pairs: list[tuple[str, tuple[Expr, ...]]] = [
            (item.name, (item.value,)) for item in dynamics.derived
        ]
        pairs += [(item.state, (item.value,)) for item in dynamics.rates]
        pairs += [
            (item.state, (block.test, item.value))
            for block in dynamics.conditions
            for item in block.assignments
        ]
        pairs += [
            (item.state, (item.value,))
            for block in dynamics.on_events
            for item in block.assignments
        ]
        for name, expressions in pairs:
            if any(is_random(item) or names(item) & found for item in expressions):
                found.add(name)
    return frozenset(found)


def sends_uncertainly(dynamics: Dynamics, reached: frozenset[str]) -> bool:
    """Return whether the events of a cell follow from random numbers.

    Parameters
    ----------
    dynamics : Dynamics
    reached : frozenset of str
        See `uncertain`.
    """
    tests = [item.test for item in dynamics.conditions if item.events]
    return any(is_random(test) or names(test) & reached for test in tests)


def certain_cells(parts: Parts) -> dict[str, NDArray[np.bool_]]:
    """Return which cells of each population no random number of the run reaches.

    Parameters
    ----------
    parts : Parts
    """
    found = {
        name: np.full(item.size, not draws(item.dynamics))
        for name, item in parts.populations.items()
    }
    for source in parts.inputs:
        if draws(source.dynamics):
            found[source.population][source.cells] = False
    before = -1
    while (now := sum(int(item.sum()) for item in found.values())) != before:
        before = now
        for projection in (*parts.projections, *parts.axial):
            reached = ~found[projection.pre][projection.pre_cells]
            if draws(projection.dynamics):
                reached[:] = True
            found[projection.post][projection.post_cells[reached]] = False
    return found


def draws(dynamics: Dynamics) -> bool:
    """Return whether a dynamics draws random numbers, at its start or later."""
    return any(is_random(item) for item in dynamics.expressions())
