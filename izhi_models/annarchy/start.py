"""What a lowered network starts with, in the units of a simulation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.lower import Group
from izhi_models.ir.evaluate import initial_values
from izhi_models.units import to_simulation, to_simulation_array


def start_of(group: Group, number: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return the states and derived variables of all cells of a group at t = 0.

    Parameters
    ----------
    group : Group
    number : int
        Its number in the lowering.
    seed : int
        Of the network.

    Returns
    -------
    dict of str to array (size,)
        By name in the dynamics. [SI]
    """
    values = {name: group.value(name) for name in group.populations[0].values}
    return initial_values(group.dynamics, values, group.size, seed % 2**63 + number)


def member_values(
    group: Group, start: Mapping[str, NDArray[np.float64]]
) -> dict[str, float | NDArray[np.float64]]:
    """Return all parameters and initial values of a population of a program.

    Parameters
    ----------
    group : Group
    start : mapping of str to array (size,)
        From `start_of`. [SI]

    Returns
    -------
    dict of str to float or array (size,)
        By symbol; a number where all cells have the same. [simulation units]
    """
    known = {name: group.value(name) for name in group.populations[0].values}
    known = {**start, **known}
    found = {
        symbol.symbol: scaled(known[name], symbol)
        for name, symbol in group.symbols.items()
        if name in known
    }
    return {**found, **group.literals}


def scaled(values: NDArray[np.float64], symbol: Symbol) -> float | NDArray[np.float64]:
    """Return the values of a quantity in simulation units.

    Parameters
    ----------
    values : array (size,)
        [SI]
    symbol : Symbol

    Returns
    -------
    float or array (size,)
        A number where all are equal, or one holds for all cells.
    """
    if symbol.is_global or (values.size and np.all(values == values[0])):
        return to_simulation(float(values[0]), symbol.dimension)
    return to_simulation_array(values, symbol.dimension)
