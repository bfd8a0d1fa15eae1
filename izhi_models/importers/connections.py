"""The connections of an ANNarchy projection as arrays, whatever connector and format made them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import UnsupportedError

_DRAWN = ("Random", "Random Convergent", "Random Divergent")


@dataclass(frozen=True)
class Connectivity:
    """Connections, ordered by the cell that receives.

    Parameters
    ----------
    pre, post : int32 array (n,)
    weights : array (n,)
    delays_ms : array (n,)
        [ms]
    sizes : int array (n_dendrites,)
        Numbers of connections onto each cell that has any.
    """

    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weights: NDArray[np.float64]
    delays_ms: NDArray[np.float64]
    sizes: NDArray[np.int64]

    def take(self, chosen: NDArray[np.intp] | slice) -> Connectivity:
        """Return some of the connections."""
        return replace(
            self,
            pre=self.pre[chosen],
            post=self.post[chosen],
            weights=self.weights[chosen],
            delays_ms=self.delays_ms[chosen],
        )


def read_connectivity(projection: Any, network: Any) -> Connectivity:
    """Return the connections of a projection with the weights and delays that they have now.

    Before the network is compiled ANNarchy has not made them: its connector is asked then, and
    what it draws at random it draws again when it compiles.

    Parameters
    ----------
    projection : ANNarchy.Projection
    network : ANNarchy.Network

    Raises
    ------
    UnsupportedError
        If it has no connections, or none that could be listed.
    """
    if projection.initialized:
        posts, rows = projection.post_ranks, projection.pre_ranks
        weights, delays = projection.w, projection.delay
    else:
        posts, rows, weights, delays = _made(projection, network)
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    size = int(sizes.sum())
    return Connectivity(
        _flat(rows, size, np.int32),
        np.repeat(np.asarray(posts, dtype=np.int32), sizes),
        _flat(weights, size, np.float64),
        _flat(delays, size, np.float64),
        sizes,
    )


def _made(projection: Any, network: Any) -> tuple[Any, Any, Any, Any]:
    """Ask the connector of a projection that is not compiled."""
    method = projection._connection_method
    if method is None:
        raise UnsupportedError(f"projection '{projection.name}' has no connections yet")
    arguments = [projection.pre, projection.post]
    if projection.connector_name in _DRAWN:
        arguments.append(copy.deepcopy(network.default_rng))
    lists = method(*arguments, *projection._connection_args)
    delays = [[max(step, 1) * network.dt for step in row] for row in lists.delay]
    return lists.post_rank, lists.pre_rank, lists.w, delays


def _flat(values: Any, size: int, kind: type) -> NDArray[Any]:
    """Return numbers that are kept as one, one for each cell, or one for each connection."""
    if np.isscalar(values):
        return np.full(size, values, dtype=kind)
    rows: list[NDArray[Any]] = [np.ravel(np.asarray(row, dtype=kind)) for row in values]
    whole = np.concatenate(rows) if rows else np.empty(0, dtype=kind)
    if whole.size != size and whole.size and (whole == whole[0]).all():
        return np.full(size, whole[0], dtype=kind)
    return whole
