"""What a lowered network starts with, in the units of a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.links import Link
from izhi_models.annarchy.lower import Group
from izhi_models.expr import names
from izhi_models.ir.dynamics import Derived
from izhi_models.ir.evaluate import evaluate_array, initial_values
from izhi_models.network import PEER, WEIGHT
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
    invariants = {
        group.symbols[item.name].symbol: _invariant(group, item)
        for item in group.invariants
        if item.name in group.symbols
    }
    return {**found, **invariants, **group.literals}


def parameter_values(group: Group, name: str) -> dict[str, float | NDArray[np.float64]]:
    """Return what a program is given of one parameter: itself, and what follows from it.

    Parameters
    ----------
    group : Group
    name : str
        Of the parameter in the dynamics.

    Returns
    -------
    dict of str to float or array (size,)
        By symbol, as in `member_values`.
    """
    invariants = {item.name: item for item in group.invariants}
    return {
        group.symbols[item].symbol: (
            _invariant(group, invariants[item])
            if item in invariants
            else scaled(group.value(item), group.symbols[item])
        )
        for item in group.reading(name)
    }


def _invariant(group: Group, item: Derived) -> float | NDArray[np.float64]:
    """Return the value of an invariant, from parameters in simulation units."""
    dimensions = group.dynamics.dimensions()
    is_global = group.symbols[item.name].is_global
    scope = {
        name: np.atleast_1d(
            scaled(group.value(name), Symbol("", dimensions[name], True, is_global))
        )
        for name in names(item.value)
    }
    n = max(array.size for array in scope.values())
    values = evaluate_array(item.value, scope, n, np.random.default_rng(0))
    return values if n > 1 else float(values[0])


def start_of_connections(
    link: Link,
    ranks: NDArray[np.intp],
    groups: Sequence[Group],
    starts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    """Return all values of synapses that each connection has for itself, at t = 0.

    Parameters
    ----------
    link : Link
    ranks : int array (n,)
        Connections.
    groups : sequence of Group
    starts : sequence of mapping of str to array
        From `start_of`, for each of them. [SI]

    Returns
    -------
    dict of str to array (n,)
        Parameters, states and derived variables, by name in the dynamics. [SI]
    """
    members, whole = link.members, link.whole()
    owners = np.searchsorted(link.firsts, ranks, side="right") - 1
    values = {
        name: np.array([item.values[name] for item in members], dtype=np.float64)[owners]
        for name in members[0].values
    }
    if WEIGHT in values:
        values[WEIGHT] = np.broadcast_to(whole.weights, whole.pre.shape)[ranks]
    given = dict(values)
    for item in members[0].dynamics.requirements:
        is_peer = item.name.startswith(PEER)
        number = link.definition.pre if is_peer else link.definition.post
        group, cells = groups[number], (whole.pre if is_peer else whole.post)[ranks]
        shown = item.name.removeprefix(PEER)
        name = group.dynamics.exposed(shown) or shown
        known = starts[number].get(name)
        given[item.name] = (group.value(name) if known is None else known)[cells]
    return {**values, **initial_values(members[0].dynamics, given, ranks.size)}


def states_from_cells(
    link: Link,
    groups: Sequence[Group],
    starts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    """Return the initial states of synapses that read their cells at the start.

    For arguments see `start_of_connections`.

    Returns
    -------
    dict of str to array (n_connections,)
        By symbol; empty where all follows from the synapse itself. [simulation units]
    """
    dynamics = link.members[0].dynamics if link.members else None
    if dynamics is None or not (dynamics.start and dynamics.requirements):
        return {}
    found = start_of_connections(link, np.arange(link.size), groups, starts)
    begun = {item.state for item in dynamics.start} & link.symbols.keys()
    symbols = {name: link.symbols[name] for name in begun}
    return {
        symbol.symbol: to_simulation_array(found[name], symbol.dimension)
        for name, symbol in symbols.items()
    }


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
