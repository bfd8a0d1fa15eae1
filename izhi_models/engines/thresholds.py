"""The voltages at which cells start, and send events: not all converters know them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from izhi_models.expr import Compare, Name, names, walk
from izhi_models.ir.evaluate import evaluate_scalar, initial_values
from izhi_models.network import Population


def values_at_start(population: Population) -> Mapping[str, float]:
    """Return what the names of the first cell stand for at the start [SI].

    Parameters
    ----------
    population : Population
    """
    dynamics = population.dynamics
    given = {item.name: 0.0 for item in dynamics.requirements} | population.values
    found = given | initial_values(dynamics, given, population.size)
    found |= {item.name: item.value for item in dynamics.constants}
    return {name: float(np.ravel(item)[0]) for name, item in found.items()}


def spike_threshold(population: Population) -> float | None:
    """Return the voltage above which a cell sends an event [V], or None if that tells nothing.

    Parameters
    ----------
    population : Population
    """
    changing = {item.name for item in population.dynamics.states}
    for condition in population.dynamics.conditions:
        for test in walk(condition.test) if condition.events else ():
            if not isinstance(test, Compare) or test.op not in {">", ">="}:
                continue
            if test.left == Name("v") and not names(test.right) & changing:
                return evaluate_scalar(test.right, values_at_start(population))
    return None
