"""Networks as arrays: populations of equal cells, and what is attached to them.

No object per neuron or connection, no input or output. Connections come in blocks: as many as
memory could barely hold twice are not held at all, but made anew whenever somebody needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Span
from izhi_models.ir.aggregate import Arrival
from izhi_models.ir.dynamics import Dynamics
from izhi_models.units import Dimension

Values = dict[str, float | NDArray[np.float64]]

PEER = "peer/"  # before the name of what a synapse reads at the other end. Source: gapJunction
WEIGHT = "weight"  # the property that a connection sets. Source: NeuroML 2, connectionWD
_ROWS = 2**18  # of a block of arrays that are there anyway


@dataclass(frozen=True)
class Compartments:
    """Where the compartments of a population of cells are found.

    The cells of the population are the compartments with the root, number 0. The others are cells
    of populations beside it.

    Parameters
    ----------
    size : int
        Number of cells.
    place : callable
        Returns the number of the compartment at a fraction of a segment.
    has_segment : callable
        Tells whether a cell has a segment.
    owners : tuple of str
        The population of each compartment.
    ranks : int32 array (n_compartments,)
        Its place among the compartments there: a block of `size` cells.
    fastest_hz : float
        The greatest sum of a compartment's axial conductances over its capacitance. [1/s]
    """

    size: int
    place: Callable[[int, float], int]
    has_segment: Callable[[int], bool]
    owners: tuple[str, ...]
    ranks: NDArray[np.int32]
    fastest_hz: float


@dataclass(frozen=True)
class Population:
    """Cells of one structure.

    Parameters
    ----------
    id : str
    component : str
        Id of the cell's component.
    dynamics : Dynamics
        Flat; with everything that is attached.
    values : dict of str to float or array (size,)
        Parameter values; a number is shared by all cells. [SI]
    size : int
    positions : array (size, 3), optional
        As written in the file.
    attached : tuple of Placed
        What is attached to which cell.
    synapses : dict of str to dict of str to int array
        Where the synapses of each component that act on a cell as one are found: places in the
        dynamics, each with the cells for which it is this one.
    compartments : Compartments, optional
        Of cells that have several.
    part_of : str
        The population of the cells whose compartments these are, if it is another.
    """

    id: str
    component: str
    dynamics: Dynamics
    values: Values
    size: int
    positions: NDArray[np.float64] | None = None
    attached: tuple[Placed, ...] = ()
    synapses: dict[str, dict[str, NDArray[np.int32]]] = field(default_factory=dict)
    compartments: Compartments | None = field(default=None, compare=False, repr=False)
    part_of: str = ""


@dataclass(frozen=True)
class Input:
    """One component attached to some cells of a population.

    Parameters
    ----------
    id : str
        Id of the component, ``pulse0``.
    population : str
    attachment : str
        Name of the list of the cell to which it is attached.
    dynamics : Dynamics
    values : dict of str to float or array (n_cells,)
        [SI]
    cells : int array (n_cells,)
        A cell may occur more than once.
    """

    id: str
    population: str
    attachment: str
    dynamics: Dynamics
    values: Values
    cells: NDArray[np.int64]


def _last() -> NDArray[np.int64]:
    return np.array([np.iinfo(np.int64).max])


@dataclass(frozen=True)
class Block:
    """Some connections.

    Parameters
    ----------
    pre, post : int32 array (n,)
        Cells.
    weights : array (n,) or (1,)
        A single one stands for all.
    delays : array (n,) or (1,)
        Likewise. [s]
    """

    pre: NDArray[np.int32]
    post: NDArray[np.int32]
    weights: NDArray[np.float64]
    delays: NDArray[np.float64]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Block:
        """Return some of the connections."""
        return Block(
            self.pre[chosen],
            self.post[chosen],
            self.weights[chosen] if self.weights.size == self.pre.size else self.weights,
            self.delays[chosen] if self.delays.size == self.pre.size else self.delays,
        )


class Connections(Protocol):
    """The connections of a projection, in their order."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def weight(self) -> float | None:
        """The weight that all have and that is kept as one, or None."""

    @property
    def delay(self) -> float | None:
        """Likewise the delay [s]."""

    def blocks(self) -> Iterator[Block]:
        """Yield all connections, the same each time."""

    def reached(self, n_cells: int) -> NDArray[np.bool_]:
        """Tell which of so many postsynaptic cells have a connection."""

    def onto(self, cells: NDArray[np.bool_]) -> Connections:
        """Return the connections to some of the postsynaptic cells."""


@dataclass(frozen=True)
class Listed:
    """Connections that are kept as arrays."""

    whole: Block

    @property
    def size(self) -> int:
        """How many there are."""
        return self.whole.pre.size

    @property
    def weight(self) -> float | None:
        """The weight that all have and that is kept as one, or None."""
        return float(self.whole.weights[0]) if self.whole.weights.size == 1 else None

    @property
    def delay(self) -> float | None:
        """Likewise the delay [s]."""
        return float(self.whole.delays[0]) if self.whole.delays.size == 1 else None

    def blocks(self) -> Iterator[Block]:
        """Yield all connections."""
        for first in range(0, self.size, _ROWS):
            yield self.whole.take(slice(first, first + _ROWS))

    def reached(self, n_cells: int) -> NDArray[np.bool_]:
        """Tell which of so many postsynaptic cells have a connection."""
        found = np.zeros(n_cells, dtype=np.bool_)
        found[self.whole.post] = True
        return found

    def onto(self, cells: NDArray[np.bool_]) -> Listed:
        """Return the connections to some of the postsynaptic cells."""
        return Listed(self.whole.take(cells[self.whole.post]))


@dataclass(frozen=True)
class Drawn:
    """Connections that a rule makes anew each time.

    Parameters
    ----------
    size : int
    weight, delay : float or None
        See `Connections`.
    cells : bool array (n_cells,)
        The postsynaptic cells that have a connection.
    draw : callable
        Returns the same connections each time, in blocks.
    """

    size: int
    weight: float | None
    delay: float | None
    cells: NDArray[np.bool_]
    draw: Callable[[], Iterator[Block]]

    def blocks(self) -> Iterator[Block]:
        """Yield all connections, the same each time."""
        for block in self.draw():
            chosen = block.take(self.cells[block.post])
            yield replace(
                chosen,
                weights=chosen.weights if self.weight is None else np.array([self.weight]),
                delays=chosen.delays if self.delay is None else np.array([self.delay]),
            )

    def reached(self, n_cells: int) -> NDArray[np.bool_]:
        """Tell which of the postsynaptic cells have a connection."""
        return self.cells[:n_cells]

    def onto(self, cells: NDArray[np.bool_]) -> Drawn:
        """Return the connections to some of the postsynaptic cells."""
        chosen = replace(self, cells=self.cells & cells)
        return replace(chosen, size=sum(block.pre.size for block in chosen.blocks()))


def joined(arrays: Iterable[NDArray[Any]], dtype: type = np.int32) -> NDArray[Any]:
    """Join arrays; a single one, which may take much of the memory, is not copied."""
    parts = list(arrays)
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def spread(arrays: Iterable[NDArray[np.float64]], sizes: Iterable[int]) -> NDArray[np.float64]:
    """Join values of connections, where an array of one value stands for all of its part.

    One value that all of them have stays one.
    """
    parts, counts = list(arrays), list(sizes)
    if len(parts) == 1:
        return parts[0]
    if all(item.size == 1 for item in parts):
        firsts = joined(parts, np.float64)
        if firsts.size and (firsts == firsts[0]).all():
            return firsts[:1]
    spreads = (np.broadcast_to(*pair) for pair in zip(parts, counts, strict=True))
    return joined(spreads, np.float64)


def join(blocks: Iterable[Block]) -> Block:
    """Return blocks of connections as one."""
    parts = list(blocks)
    sizes = [item.pre.size for item in parts]
    return Block(
        joined(item.pre for item in parts),
        joined(item.post for item in parts),
        spread((item.weights for item in parts), sizes),
        spread((item.delays for item in parts), sizes),
    )


@dataclass(frozen=True)
class Projection:
    """Event connections from one population to another through one synapse component.

    Parameters
    ----------
    id : str
    pre, post : str
        Populations.
    synapse : str
        Id of the component.
    attachment : str
        Name of the list of the postsynaptic cell.
    dynamics : Dynamics
        Of the synapse.
    values : dict of str to float
        [SI]
    connections : Connections
    has_weights : bool
        False where the connections are of a kind without weights: all are 1 then.
    is_continuous : bool
        True where the synapse reads the cell at the other end instead of getting its events.
    arrivals : tuple of Arrival
        What it adds to in the dynamics of the postsynaptic population, once it is part of that;
        by full name, with what each event counts.
    own : dict of str to str
        Where a synapse of each connection acts in each step: the sums in the dynamics of the
        postsynaptic population, by full name, and the exposure of the synapse that is added.
    reasons : tuple of str
        Why each connection needs a synapse of its own, for people; empty if it needs none. It
        says what an event counts, if there are arrivals.
    order : int64 array (n,) or (1,)
        When each connection was made: paths count those of a cell so. A single one stands for all;
        of equal ones, the first comes first.
    span : Span, optional
        Where it is declared.
    post_segments : int32 array (n,), optional
        On which segment each ends, on cells of several compartments.
    port : str
        Of the postsynaptic cell, where events go to that itself: synapse, attachment and dynamics
        are empty then.
    """

    id: str
    pre: str
    post: str
    synapse: str
    attachment: str
    dynamics: Dynamics
    values: Values
    connections: Connections
    has_weights: bool = True
    is_continuous: bool = False
    arrivals: tuple[Arrival, ...] = ()
    own: dict[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    order: NDArray[np.int64] = field(default_factory=_last)
    span: Span | None = field(default=None, compare=False, repr=False)
    post_segments: NDArray[np.int32] | None = None
    port: str = ""

    @property
    def size(self) -> int:
        """Number of connections."""
        return self.connections.size

    @property
    def is_own(self) -> bool:
        """True if each connection has a synapse of its own, or part of one."""
        return bool(self.reasons)

    @property
    def pre_cells(self) -> NDArray[np.int32]:
        """Presynaptic cells (n,) of all connections, made anew where they are not kept."""
        return self._whole.pre

    @property
    def post_cells(self) -> NDArray[np.int32]:
        """Likewise the postsynaptic cells (n,)."""
        return self._whole.post

    @property
    def weights(self) -> NDArray[np.float64]:
        """Weights (n,) or, where a single one stands for all connections, (1,)."""
        known = self.connections.weight
        return self._whole.weights if known is None else np.array([known])

    @property
    def delays(self) -> NDArray[np.float64]:
        """Delays (n,) or, where a single one stands for all connections, (1,) [s]."""
        known = self.connections.delay
        return self._whole.delays if known is None else np.array([known])

    @property
    def _whole(self) -> Block:
        connections = self.connections
        return connections.whole if isinstance(connections, Listed) else join(connections.blocks())

    def kept(self) -> Projection:
        """Return it with its connections as arrays, for those who look at them again and again."""
        return replace(self, connections=Listed(self._whole))

    def onto(self, cells: NDArray[np.bool_]) -> Projection:
        """Return the connections to some of the postsynaptic cells."""
        if isinstance(self.connections, Listed):
            return self.some(np.flatnonzero(cells[self.post_cells]))
        return replace(self, connections=self.connections.onto(cells))

    def some(self, chosen: NDArray[np.intp]) -> Projection:
        """Return some of the connections, by their numbers."""
        segments = self.post_segments
        return replace(
            self,
            connections=Listed(self._whole.take(chosen)),
            order=self.order if self.order.size == 1 else self.order[chosen],
            post_segments=None if segments is None else segments[chosen],
        )


@dataclass(frozen=True)
class Connection:
    """One connection: the number of its projection in the network, and its own there."""

    projection: int
    number: int


@dataclass(frozen=True)
class Placed:
    """Where a component that is attached to a cell is found in its dynamics."""

    id: str
    cell: int
    place: str


@dataclass(frozen=True)
class Holder:
    """What holds a network and shows its cells quantities.

    Parameters
    ----------
    name : str
        Under which cells carry it.
    dynamics : Dynamics
    values : dict of str to float
        [SI]
    """

    name: str
    dynamics: Dynamics
    values: Values


@dataclass(frozen=True)
class Parts:
    """A network before anything is made part of the cells.

    Parameters
    ----------
    populations : dict of str to Population
        As the file declares them, with the dynamics of the cells alone; cells of several
        compartments as these.
    inputs : tuple of Input
    projections : tuple of Projection
    axial : tuple of Projection
        The currents along cells of several compartments.
    holders : tuple of Holder
        From the innermost out.
    """

    populations: dict[str, Population]
    inputs: tuple[Input, ...]
    projections: tuple[Projection, ...]
    axial: tuple[Projection, ...] = ()
    holders: tuple[Holder, ...] = ()

    @property
    def has_compartments(self) -> bool:
        """Whether cells have several compartments."""
        return any(item.compartments is not None for item in self.populations.values())

    def kept(self) -> Parts:
        """Return them with all connections as arrays."""
        return replace(self, projections=tuple(item.kept() for item in self.projections))


@dataclass(frozen=True)
class Network:
    """Populations, their connections, and shared quantities.

    Parameters
    ----------
    id : str
    populations : dict of str to Population
        In the order of the file.
    projections : tuple of Projection
    shared : dict of str to (Dimension, float)
        Quantities of the network that cells may require, such as its temperature. [SI]
    seed : int or None
        From which connections were drawn; None if none were.
    parts : Parts, optional
        What it was made of, for who wants to make it in another way.
    """

    id: str
    populations: dict[str, Population] = field(default_factory=dict)
    projections: tuple[Projection, ...] = ()
    shared: dict[str, tuple[Dimension, float]] = field(default_factory=dict)
    seed: int | None = None
    parts: Parts | None = field(default=None, compare=False, repr=False)

    @property
    def n_neurons(self) -> int:
        """Number of cells in all populations."""
        return sum(population.size for population in self.populations.values())
