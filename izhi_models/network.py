"""Networks as arrays: populations of equal cells, and what is attached to them.

No object per neuron or connection, no input or output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import Dynamics
from izhi_models.units import Dimension

Values = dict[str, float | NDArray[np.float64]]


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
    """

    id: str
    component: str
    dynamics: Dynamics
    values: Values
    size: int
    positions: NDArray[np.float64] | None = None
    attached: tuple[Placed, ...] = ()


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
    pre_cells, post_cells : int array (n,)
    weights : array (n,)
    delays : array (n,)
        [s]
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
    """Populations and shared quantities.

    Parameters
    ----------
    id : str
    populations : dict of str to Population
        In the order of the file.
    shared : dict of str to (Dimension, float)
        Quantities of the network that cells may require, such as its temperature. [SI]
    """

    id: str
    populations: dict[str, Population] = field(default_factory=dict)
    shared: dict[str, tuple[Dimension, float]] = field(default_factory=dict)

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


def attach(population: Population, inputs: Sequence[Input]) -> Population:
    """Return the population with inputs made part of its dynamics.

    Inputs of one structure share a slot as long as no cell has two of them. A slot that some
    cells lack is switched off there by a parameter, so that the population stays whole.

    Parameters
    ----------
    population : Population
    inputs : sequence of Input
        All for this population.
    """
    slots = _assign_slots(population.size, inputs)
    attached: list[Attached] = []
    placed: list[Placed] = []
    values: Values = dict(population.values)
    for number, slot in enumerate(slots):
        place = f"{slot.source.attachment}[{number}]"
        present = np.zeros(population.size)
        for cells in slot.cells:
            present[cells] = 1.0
        switch = None if present.all() else f"{place}/present"
        if switch is not None:
            values[switch] = present
        attached.append(Attached(slot.source.attachment, slot.source.dynamics, place, switch))
        values.update(_slot_values(place, slot, population.size))
        placed.extend(
            Placed(source.id, int(source.cells[i]), place)
            for source, members in slot.inputs
            for i in members
        )
    return replace(
        population,
        dynamics=compose(population.dynamics, attached),
        values=values,
        attached=tuple(placed),
    )


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
