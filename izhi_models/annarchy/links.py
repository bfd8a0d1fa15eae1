"""Lower event connections: which sums arrive at which neurons, and from where.

All projections between two neurons of a program that add to the same sum become one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.program import Projection as Definition
from izhi_models.annarchy.program import Weights
from izhi_models.annarchy.synapses import ConnectionSynapse, lower_synapse
from izhi_models.expr import Expr, Name, names
from izhi_models.network import PEER, WEIGHT, Projection

Targets = dict[str, str]
Readable = Callable[[str, str], str]


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
    delays_s : array (n,)
        [s]
    values : dict of str to float
        Parameters and initial values of the synapse by symbol, in simulation units.
    """

    definition: Definition
    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weights: NDArray[np.float64]
    delays_s: NDArray[np.float64]
    values: dict[str, float] = field(default_factory=dict)

    def delays_in_steps(self, dt_s: float) -> NDArray[np.int32]:
        """Return delays as numbers of steps, at least one: a spike acts in a later step."""
        return np.maximum(np.rint(self.delays_s / dt_s), 1.0).astype(np.int32)


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
    targets: list[Targets] = [{} for _ in range(n_neurons)]
    for projection in projections:
        found = targets[ends[projection.post].neuron]
        for name in (*(item.name for item in projection.arrivals), *projection.own):
            found.setdefault(name, f"in_{len(found)}")
    return targets


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
    kinds: dict[tuple[int, int, str], list[tuple[Projection, Expr]]] = {}
    links: list[Link] = []
    for projection in projections:
        pre, post = ends[projection.pre].neuron, ends[projection.post].neuron
        for arrival in projection.arrivals:
            key = (pre, post, targets[post][arrival.name])
            kinds.setdefault(key, []).append((projection, arrival.weight))
        for name, exposure in projection.own.items():
            synapse = _own_synapse(projection, exposure, readable)
            definition = Definition(
                f"own_{len(links)}", pre, post, targets[post][name], synapse=synapse.definition
            )
            links.append(_link(definition, [(projection, Name(WEIGHT))], ends, synapse.values))
    for number, ((pre, post, target), members) in enumerate(kinds.items()):
        weighted = any(names(weight) and item.has_weights for item, weight in members)
        weights: Weights = "each" if weighted else "one"
        definition = Definition(f"sum_{number}", pre, post, target, weights=weights)
        links.append(_link(definition, members, ends, {}))
    return links


def _own_synapse(projection: Projection, exposure: str, readable: Readable) -> ConnectionSynapse:
    cells = {}
    for item in projection.dynamics.requirements:
        is_peer = item.name.startswith(PEER)
        population = projection.pre if is_peer else projection.post
        symbol = readable(population, item.name.removeprefix(PEER))
        cells[item.name] = f"{'pre' if is_peer else 'post'}.{symbol}"
    return lower_synapse(projection.dynamics, projection.values, exposure, cells)


def _link(
    definition: Definition,
    members: Sequence[tuple[Projection, Expr]],
    ends: dict[str, Ends],
    values: dict[str, float],
) -> Link:
    weighted = definition.weights == "each"
    return Link(
        definition,
        np.concatenate([item.pre_cells + ends[item.pre].first for item, _ in members]),
        np.concatenate([item.post_cells + ends[item.post].first for item, _ in members]),
        np.concatenate([_weights(*member) for member in members]) if weighted else np.ones(1),
        np.concatenate([item.delays for item, _ in members]),
        values,
    )


def _weights(projection: Projection, weight: Expr) -> NDArray[np.float64]:
    """Return what each event counts: a product of the parameters that vary, or 1."""
    return projection.weights if WEIGHT in names(weight) else np.ones(projection.size)
