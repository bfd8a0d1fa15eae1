"""Networks as arrays: populations of equal cells, and what is attached to them.

No object per neuron or connection, no input or output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Span
from izhi_models.ir.aggregate import Arrival
from izhi_models.ir.dynamics import Dynamics
from izhi_models.units import Dimension

Values = dict[str, float | NDArray[np.float64]]

PEER = "peer/"  # before the name of what a synapse reads at the other end. Source: gapJunction
WEIGHT = "weight"  # the property that a connection sets. Source: NeuroML 2, connectionWD


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
    pre_cells, post_cells : int32 array (n,)
    weights : array (n,) or (1,)
        A single one stands for all connections, and is kept so.
    delays : array (n,) or (1,)
        Likewise. [s]
    has_weights : bool
        False where the connections are of a kind without weights: all are 1 then.
    is_continuous : bool
        True where the synapse reads the cell at the other end instead of getting its events.
    arrivals : tuple of Arrival
        What it adds to in the dynamics of the postsynaptic population, once it is part of that;
        by full name, with what each event counts.
    own : dict of str to str
        Where each connection needs a synapse of its own: the sums in the dynamics of the
        postsynaptic population, by full name, and the exposure of the synapse that is added.
    reasons : tuple of str
        Why it does, for people.
    span : Span, optional
        Where it is declared.
    post_segments : int32 array (n,), optional
        On which segment each ends, on cells of several compartments.
    """

    id: str
    pre: str
    post: str
    synapse: str
    attachment: str
    dynamics: Dynamics
    values: Values
    pre_cells: NDArray[np.int32]
    post_cells: NDArray[np.int32]
    weights: NDArray[np.float64]
    delays: NDArray[np.float64]
    has_weights: bool = True
    is_continuous: bool = False
    arrivals: tuple[Arrival, ...] = ()
    own: dict[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)
    post_segments: NDArray[np.int32] | None = None

    @property
    def size(self) -> int:
        """Number of connections."""
        return self.pre_cells.size

    def some(self, chosen: NDArray[np.intp]) -> Projection:
        """Return some of the connections, by their numbers."""
        segments = self.post_segments
        return replace(
            self,
            pre_cells=self.pre_cells[chosen],
            post_cells=self.post_cells[chosen],
            weights=self.weights if self.weights.size == 1 else self.weights[chosen],
            delays=self.delays if self.delays.size == 1 else self.delays[chosen],
            post_segments=None if segments is None else segments[chosen],
        )


@dataclass(frozen=True)
class Placed:
    """Where a component that is attached to a cell is found in its dynamics."""

    id: str
    cell: int
    place: str


@dataclass(frozen=True)
class Parts:
    """A network as its file declares it, before anything is made part of the cells.

    Parameters
    ----------
    populations : dict of str to Population
        With the dynamics of the cells alone.
    inputs : tuple of Input
    projections : tuple of Projection
    """

    populations: dict[str, Population]
    inputs: tuple[Input, ...]
    projections: tuple[Projection, ...]


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
        What it was made of, for who wants to make it in another way; None if what holds the
        network shows its cells quantities, or cells have several compartments.
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
