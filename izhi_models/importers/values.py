"""Numbers out of an ANNarchy network: parameters and present states of populations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.importers.expressions import Function

Values = float | NDArray[np.float64]

TIME = "time_ms"
STEP = "step_ms"
"""Names of ANNarchy's time, and of the length of a step, in everything that is read."""


@dataclass(frozen=True)
class Context:
    """What all equations of a network may read.

    Parameters
    ----------
    dt_ms : float
        Length of a step. [ms]
    constants : mapping of str to float
    functions : mapping of str to Function
    """

    dt_ms: float
    constants: Mapping[str, float]
    functions: Mapping[str, Function]


def read_context(network: Any) -> Context:
    """Return what all equations of an ANNarchy network may read.

    Parameters
    ----------
    network : ANNarchy.Network
    """
    from ANNarchy.intern.GlobalObjects import GlobalObjectManager

    from izhi_models.importers.equations import read_functions

    functions: dict[str, Function] = {}
    for _, text in GlobalObjectManager().get_functions():
        functions = read_functions(text, "the network", functions)
    constants = {"pi": math.pi}
    constants |= {item.name: float(item.value) for item in network.get_constants()}
    return Context(float(network.dt), constants, functions)


def population_values(population: Any, name: str) -> Values:
    """Return the values of a parameter or variable now; one number where all cells share it.

    Parameters
    ----------
    population : ANNarchy.Population
    name : str

    Returns
    -------
    float or array (size,)
    """
    if population.initialized:
        try:
            return as_values(population.get(name))
        except AttributeError:  # some populations of C++ hide their variables
            return as_values(getattr(population.cyInstance, name))
    return as_values(settled(population.init[name], population.init, population.size))


def settled(value: Any, others: Mapping[str, Any], size: int) -> Any:
    """Return an initial value that is drawn at random, or that of another attribute, as numbers.

    Parameters
    ----------
    value : object
        As ANNarchy keeps it before a network is compiled.
    others : mapping of str to object
        Those of all attributes.
    size : int
        How many are drawn.
    """
    while isinstance(value, str) and value in others:
        value = others[value]
    if hasattr(value, "get_values"):
        return value.get_values(size)
    return getattr(value, "value", value)


def as_values(value: Any) -> Values:
    """Return numbers as an array, or as one where all are equal."""
    array = np.asarray(value, dtype=np.float64).ravel()
    return float(array[0]) if array.size and (array == array[0]).all() else array
