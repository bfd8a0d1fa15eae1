"""Networks as arrays: populations of equal cells, and what is attached to them.

No object per neuron or connection, no input or output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Span
from izhi_models.ir.aggregate import Aggregate, Arrival, NotAggregable, aggregate
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import Dynamics, Variable
from izhi_models.units import Dimension

Values = dict[str, float | NDArray[np.float64]]

PEER = "peer/"  # before the name of what a synapse reads at the other end. Source: gapJunction
WEIGHT = "weight"  # the property that a connection sets. Source: NeuroML 2, connectionWD


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
    synapses : dict of str to str
        Where the synapse of each component is found in the dynamics.
    """

    id: str
    component: str
    dynamics: Dynamics
    values: Values
    size: int
    positions: NDArray[np.float64] | None = None
    attached: tuple[Placed, ...] = ()
    synapses: dict[str, str] = field(default_factory=dict)


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
    span : Span, optional
        Where it is declared.
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
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def size(self) -> int:
        """Number of connections."""
        return self.pre_cells.size


@dataclass(frozen=True)
class Placed:
    """Where a component that is attached to a cell is found in its dynamics."""

    id: str
    cell: int
    place: str


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
    """

    id: str
    populations: dict[str, Population] = field(default_factory=dict)
    projections: tuple[Projection, ...] = ()
    shared: dict[str, tuple[Dimension, float]] = field(default_factory=dict)
    seed: int | None = None

    @property
    def n_neurons(self) -> int:
        """Number of cells in all populations."""
        return sum(population.size for population in self.populations.values())


@dataclass
class _Slot:
    """One attached dynamics, and the cells that have it."""

    source: Input
    cells: list[NDArray[np.int64]] = field(default_factory=list)
    inputs: list[tuple[Input, NDArray[np.intp]]] = field(default_factory=list)


def attach(
    population: Population, inputs: Sequence[Input], projections: Sequence[Projection] = ()
) -> tuple[Population, list[Projection]]:
    """Return the population with inputs and synapses made part of its dynamics.

    Inputs of one structure share a slot as long as no cell has two of them. A slot that some
    cells lack is switched off there by a parameter, so that the population stays whole.
    Connections through one synapse component share one synapse per cell where that is exact;
    else the cell gets the sum of what its connections' own synapses expose.

    Parameters
    ----------
    population : Population
    inputs : sequence of Input
        All for this population.
    projections : sequence of Projection
        All that end in this population.

    Returns
    -------
    Population, list of Projection
        The projections with what they add to.
    """
    parts = _Parts(population)
    for slot in _assign_slots(population.size, inputs):
        parts.add_input(slot)
    connected = [parts.add_projection(item) for item in projections]
    finished = replace(
        population,
        dynamics=compose(population.dynamics, parts.attached),
        values=parts.values,
        attached=tuple(parts.placed),
        synapses={synapse: place for (_, synapse), (place, _) in parts.synapses.items()},
    )
    return finished, connected


class _Parts:
    """What is attached to the cells of one population, in order."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.attached: list[Attached] = []
        self.placed: list[Placed] = []
        self.values: Values = dict(population.values)
        self.synapses: dict[tuple[str, str], tuple[str, Aggregate | NotAggregable]] = {}

    def _place(self, attachment: str) -> str:
        return f"{attachment}[{len(self.attached)}]"

    def add_input(self, slot: _Slot) -> None:
        """Attach an input to all cells, switched off where it is not present."""
        size = self.population.size
        place = self._place(slot.source.attachment)
        present = np.zeros(size)
        for cells in slot.cells:
            present[cells] = 1.0
        switch = None if present.all() else f"{place}/present"
        if switch is not None:
            self.values[switch] = present
        source = slot.source
        self.attached.append(Attached(source.attachment, source.dynamics, place, switch))
        self.values.update(_slot_values(place, slot, size))
        self.placed.extend(
            Placed(item.id, int(item.cells[i]), place)
            for item, members in slot.inputs
            for i in members
        )

    def add_projection(self, projection: Projection) -> Projection:
        """Attach the synapse of a projection, unless another one uses it already."""
        key = (projection.attachment, projection.synapse)
        if key not in self.synapses:
            place = self._place(projection.attachment)
            summed = self._aggregate(projection)
            self.synapses[key] = (place, summed)
            if isinstance(summed, Aggregate):
                self._attach_sum(projection, place, summed)
            else:
                self._attach_currents(projection, place)
        place, summed = self.synapses[key]
        if isinstance(summed, Aggregate):
            arrivals = (replace(item, name=f"{place}/{item.name}") for item in summed.arrivals)
            return replace(projection, arrivals=tuple(arrivals))
        own = {f"{place}/{name}{_SUM}": name for name in self._gathered(projection)}
        return replace(projection, own=own)

    def _attach_sum(self, projection: Projection, place: str, summed: Aggregate) -> None:
        self.attached.append(Attached(projection.attachment, summed.dynamics, place))
        for arrival in summed.arrivals:
            self.values[f"{place}/{arrival.name}"] = 0.0  # nothing arrives before the start
        for item in summed.dynamics.parameters:
            if item.name in projection.values:
                self.values[f"{place}/{item.name}"] = projection.values[item.name]

    def _attach_currents(self, projection: Projection, place: str) -> None:
        """Attach what the synapses of all connections add up to, as a number from outside."""
        known = projection.dynamics.dimensions()
        sums = [
            (name, Variable(f"{name}{_SUM}", known[projection.dynamics.exposed(name) or name]))
            for name in self._gathered(projection)
        ]
        dynamics = Dynamics(
            projection.dynamics.name,
            parameters=tuple(item for _, item in sums),
            exposures=tuple((name, item.name) for name, item in sums),
        )
        self.attached.append(Attached(projection.attachment, dynamics, place))
        self.values.update({f"{place}/{item.name}": 0.0 for _, item in sums})

    def _gathered(self, projection: Projection) -> list[str]:
        """Return the exposures that the cell adds up."""
        return [
            item.exposure
            for item in self.population.dynamics.gathers
            if item.attachment == projection.attachment
        ]

    def _aggregate(self, projection: Projection) -> Aggregate | NotAggregable:
        if projection.is_continuous:
            return NotAggregable(("it reads the cell at the other end of each connection",))
        gathered = frozenset(self._gathered(projection))
        return aggregate(projection.dynamics, frozenset({WEIGHT}), gathered)


_SUM = "@sum"  # no name in a file has an @


def _assign_slots(size: int, inputs: Sequence[Input]) -> list[_Slot]:
    slots: list[_Slot] = []
    kinds: dict[tuple[str, Dynamics], list[_Slot]] = {}
    taken: dict[tuple[str, Dynamics], NDArray[np.int64]] = {}
    for source in inputs:
        kind = (source.attachment, source.dynamics)
        count = taken.setdefault(kind, np.zeros(size, dtype=np.int64))
        ranks = _occurrence(source.cells) + count[source.cells]
        np.add.at(count, source.cells, 1)
        own = kinds.setdefault(kind, [])
        for rank in range(int(ranks.max()) + 1):
            if rank == len(own):
                own.append(_Slot(source))
                slots.append(own[-1])
            members = np.flatnonzero(ranks == rank)
            if members.size:
                own[rank].cells.append(source.cells[members])
                own[rank].inputs.append((source, members))
    return slots


def _occurrence(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each entry has occurred before it."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
    counts = np.diff(np.r_[first, ordered.size])
    result = np.empty(cells.size, dtype=np.int64)
    result[order] = np.arange(ordered.size) - np.repeat(first, counts)
    return result


def _slot_values(place: str, slot: _Slot, size: int) -> Mapping[str, float | NDArray[np.float64]]:
    values: Values = {}
    for name in slot.source.values:
        # Cells without this input take the first one's values: they are valid, and not used.
        array = np.full(size, _first(slot.source.values[name]))
        for source, members in slot.inputs:
            value = source.values[name]
            array[source.cells[members]] = (
                value[members] if isinstance(value, np.ndarray) else value
            )
        values[f"{place}/{name}"] = array
    return values


def _first(value: float | NDArray[np.float64]) -> float:
    return float(value[0]) if isinstance(value, np.ndarray) else value
