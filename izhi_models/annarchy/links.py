"""Lower event connections: which sums arrive at which neurons, and from where.

All projections between two neurons of a program that add to the same sum become one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.program import Projection as Definition
from izhi_models.annarchy.program import Synapse, Weights
from izhi_models.annarchy.synapses import lower_synapse
from izhi_models.expr import Expr, Name, names
from izhi_models.network import PEER, WEIGHT, Projection
from izhi_models.slots import Structures

Targets = dict[str, str]
Readable = Callable[[str, str], str]
_Members = list[tuple[Projection, Expr]]
_Number = TypeVar("_Number", np.int32, np.float64)


@dataclass(frozen=True)
class Ends:
    """Where a population's cells are in a program.

    Parameters
    ----------
    neuron : int
        Number of the neuron.
    first : int
        Number of the population's first cell in it.
    """

    neuron: int
    first: int


@dataclass(frozen=True)
class Link:
    """One projection of a program, and the connections that it stands for.

    Parameters
    ----------
    definition : izhi_models.annarchy.program.Projection
    pre, post : int array (n,)
        Cells of the program's neurons.
    weights : array (n,) or (1,)
    delays_s : array (n,) or (1,)
        [s]
    values : dict of str to float or array (n,)
        Parameters and initial values of the synapse by symbol, in simulation units.
    """

    definition: Definition
    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weights: NDArray[np.float64]
    delays_s: NDArray[np.float64]
    values: dict[str, float | NDArray[np.float64]] = field(default_factory=dict)

    def delays_in_steps(self, dt_s: float) -> NDArray[np.int32]:
        """Return delays as numbers of steps, at least one: a spike acts in a later step."""
        steps = self.delays_s / dt_s
        np.rint(steps, out=steps)
        np.maximum(steps, 1.0, out=steps)
        return steps.astype(np.int32)


def name_targets(
    projections: Sequence[Projection], ends: dict[str, Ends], n_neurons: int
) -> list[Targets]:
    """Return, for each neuron, the symbols of the sums that arrive there.

    Parameters
    ----------
    projections : sequence of Projection
        Connected.
    ends : dict of str to Ends
        By population.
    n_neurons : int
        Of the program.

    Returns
    -------
    list of dict of str to str
        Symbol by name in the neuron's dynamics.
    """
    found: list[set[str]] = [set() for _ in range(n_neurons)]
    for projection in projections:
        names_there = (*(item.name for item in projection.arrivals), *projection.own)
        found[ends[projection.post].neuron].update(names_there)
    return [{name: f"in_{n}" for n, name in enumerate(sorted(item))} for item in found]


def lower_links(
    projections: Sequence[Projection],
    ends: dict[str, Ends],
    targets: list[Targets],
    readable: Readable,
) -> list[Link]:
    """Return the projections of a program with their connections.

    Parameters
    ----------
    projections : sequence of Projection
        Connected.
    ends : dict of str to Ends
    targets : list of dict of str to str
        From `name_targets`.
    readable : callable
        Returns the symbol behind what a population exposes.
    """
    sums: dict[tuple[int, int, str], _Members] = {}
    own: dict[tuple[int, int, str, str, int], _Members] = {}
    structures = Structures()
    for projection in projections:
        pre, post = ends[projection.pre].neuron, ends[projection.post].neuron
        for arrival in projection.arrivals:
            place = (pre, post, targets[post][arrival.name])
            sums.setdefault(place, []).append((projection, arrival.weight))
        for name, exposure in projection.own.items():
            structure = structures.number(projection.synapse, projection.dynamics)
            key = (pre, post, targets[post][name], exposure, structure)
            own.setdefault(key, []).append((projection, Name(WEIGHT)))
    links: list[Link] = []
    # In an order of their own, so that the order in a file leads to no other program.
    for (pre, post, target, exposure, _), members in sorted(own.items(), key=_ends_and_sum):
        synapse, values = _own_synapse([item for item, _ in members], exposure, readable)
        definition = Definition(
            f"own_{len(links)}", pre, post, target, _kind_of_weights(members), synapse
        )
        links.append(_link(definition, members, ends, values))
    for number, ((pre, post, target), members) in enumerate(
        sorted(sums.items(), key=_ends_and_sum)
    ):
        definition = Definition(f"sum_{number}", pre, post, target, _kind_of_weights(members))
        links.append(_link(definition, members, ends, {}))
    return links


def _ends_and_sum(entry: tuple[tuple[Any, ...], _Members]) -> tuple[Any, ...]:
    return entry[0][:4]


def _kind_of_weights(members: _Members) -> Weights:
    """Tell whether connections need a weight each; equal numbers are no reason."""
    weights = [_weights(*member) for member in members]
    if len(members) == 1:
        return "one" if weights[0].size == 1 else "each"
    weighted = [item for item, weight in members if WEIGHT in names(weight) and item.has_weights]
    return "each" if weighted else "one"


def _own_synapse(
    members: Sequence[Projection], exposure: str, readable: Readable
) -> tuple[Synapse, dict[str, float | NDArray[np.float64]]]:
    """Return the synapse of each connection, and its values, which differ between components."""
    first = members[0]
    cells = {}
    for item in first.dynamics.requirements:
        is_peer = item.name.startswith(PEER)
        population = first.pre if is_peer else first.post
        symbol = readable(population, item.name.removeprefix(PEER))
        cells[item.name] = f"{'pre' if is_peer else 'post'}.{symbol}"
    components = {item.synapse: item.values for item in members}
    lowered = lower_synapse(first.dynamics, list(components.values()), exposure, cells)
    if len(components) == 1:
        return lowered.definition, dict(lowered.values[0])
    numbers = {name: number for number, name in enumerate(components)}
    owners = np.repeat([numbers[item.synapse] for item in members], [item.size for item in members])
    return lowered.definition, {
        symbol: np.array([values[symbol] for values in lowered.values])[owners]
        for symbol in lowered.values[0]
    }


def _link(
    definition: Definition,
    members: _Members,
    ends: dict[str, Ends],
    values: dict[str, float | NDArray[np.float64]],
) -> Link:
    sizes = [item.size for item, _ in members]
    weights = [_weights(*member) for member in members]
    return Link(
        definition,
        _joined([_moved(item.pre_cells, ends[item.pre].first) for item, _ in members]),
        _joined([_moved(item.post_cells, ends[item.post].first) for item, _ in members]),
        weights[0] if definition.weights == "one" else _spread(weights, sizes),
        _spread([item.delays for item, _ in members], sizes),
        values,
    )


def _weights(projection: Projection, weight: Expr) -> NDArray[np.float64]:
    """Return what each event counts: a product of the parameters that vary, or 1."""
    is_weighted = projection.has_weights and WEIGHT in names(weight)
    return projection.weights if is_weighted else np.ones(1)


def _moved(cells: NDArray[np.int32], first: int) -> NDArray[np.int32]:
    return cells + np.int32(first) if first else cells


def _joined(arrays: Sequence[NDArray[_Number]]) -> NDArray[_Number]:
    """Join arrays; a single one, which may take much of the memory, is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _spread(arrays: Sequence[NDArray[np.float64]], sizes: Sequence[int]) -> NDArray[np.float64]:
    """Join values of connections, where an array of one value stands for all of its part."""
    if len(arrays) == 1:
        return arrays[0]
    if all(item.size == 1 for item in arrays):
        firsts = np.concatenate(arrays)
        return firsts[:1] if (firsts == firsts[0]).all() else np.repeat(firsts, sizes)
    return np.concatenate([np.broadcast_to(*pair) for pair in zip(arrays, sizes, strict=True)])
