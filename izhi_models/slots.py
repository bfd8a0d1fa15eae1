"""Which populations get the same slots for what is attached to their cells, and how many.

Populations of one cell structure are simulated as one if their cells have the same slots. A slot
costs all cells that have it, used or not; a neuron of its own costs its loops in each step, and
time of compilation. `share` weighs one against the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from izhi_models.expr import Call, names, walk
from izhi_models.ir.aggregate import Aggregate, NotAggregable, inlined
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.partial import aggregate_currents
from izhi_models.ir.passes import order_derived
from izhi_models.ir.prescribed import is_prescribed
from izhi_models.network import WEIGHT, Input, Population, Projection, Values

# What a neuron costs in each step besides its cells, for each of those that it may be connected
# with, in operations of expressions; and each takes some tenths of a second to compile. Measured:
# a neuron takes 60 ns, a projection 10 ns, an operation 0.01 ns where parameters are constants
# and 0.04 where they differ from cell to cell.
CLASS_WORK = 2000
_CALL_WORK = 10  # of a function or a random number


@dataclass(frozen=True)
class Kind:
    """What can share slots.

    Parameters
    ----------
    attachment : str
        Name of the list of the cell.
    structure : int
        Number of the dynamics.
    source : {'input', 'sum', 'own'}
        An input, synapses that act as one, or synapses of single connections, which all need
        the same: the sum of what they give.
    """

    attachment: str
    structure: int
    source: str


class Structures:
    """Numbers equal dynamics, and decides once for each how it is attached."""

    def __init__(self) -> None:
        self._numbers: dict[Dynamics, int] = {}
        self._components: dict[str, int] = {}
        self._work: dict[int, float] = {}
        self._sums: dict[tuple[int, frozenset[str], bool, bool], Aggregate | NotAggregable] = {}
        self._owners: dict[tuple[object, ...], str] = {}

    def number(self, component: str, dynamics: Dynamics) -> int:
        """Return the number of the dynamics of a component."""
        if component not in self._components:
            number = self._numbers.setdefault(dynamics, len(self._numbers))
            self._components[component] = number
            self._work.setdefault(number, _work(dynamics))
        return self._components[component]

    def work(self, kind: Kind) -> float:
        """Return what a slot costs a cell in a step, in operations."""
        return 1.0 if kind.source == "own" else self._work[kind.structure]

    def sum(self, projection: Projection, cell: Dynamics) -> Aggregate | NotAggregable:
        """Return what replaces the synapses of a projection on a cell."""
        gathered = frozenset(gathered_over(cell, projection.attachment))
        number = self.number(projection.synapse, projection.dynamics)
        key = (number, gathered, projection.is_continuous, is_prescribed(cell))
        if key not in self._sums:
            self._sums[key] = self._summed(projection, cell, gathered)
        return self._sums[key]

    @staticmethod
    def _summed(
        projection: Projection, cell: Dynamics, gathered: frozenset[str]
    ) -> Aggregate | NotAggregable:
        dynamics = projection.dynamics
        if projection.is_continuous:
            return NotAggregable(("it reads the cell at the other end of each connection",))
        if is_prescribed(cell) and _follows_cell(dynamics, gathered):
            return NotAggregable(("the cell holds what arrives while it does a step, as it says",))
        return aggregate_currents(dynamics, frozenset({WEIGHT}), gathered)

    def owner(self, projection: Projection, summed: Aggregate) -> str:
        """Return the component whose slots on a cell the synapses of a projection share.

        It is their own, unless each connection has what differs between components.
        """
        if not summed.reasons:
            return projection.synapse
        number = self.number(projection.synapse, projection.dynamics)
        values = (projection.values.get(item.name) for item in summed.dynamics.parameters)
        return self._owners.setdefault((number, *values), projection.synapse)


def _follows_cell(dynamics: Dynamics, gathered: frozenset[str]) -> bool:
    """Tell whether what a synapse shows changes with the cell within a step."""
    values = inlined(order_derived(dynamics))
    required = {item.name for item in dynamics.requirements}
    shown = {dynamics.exposed(name) or name for name in gathered}
    return any(names(values[name]) & required for name in shown & values.keys())


def _work(dynamics: Dynamics) -> float:
    nodes = (node for expression in dynamics.expressions() for node in walk(expression))
    return float(sum(_CALL_WORK if isinstance(node, Call) else 1 for node in nodes))


def gathered_over(cell: Dynamics, attachment: str) -> list[str]:
    """Return the exposures that a cell adds up over a list."""
    return [item.exposure for item in cell.gathers if item.attachment == attachment]


@dataclass(frozen=True)
class Component:
    """A synapse component, and which cells have connections through it."""

    values: Values
    present: NDArray[np.bool_]


class Needs:
    """What is attached to one population."""

    def __init__(
        self, population: Population, structures: Structures, ports: Collection[str] = ()
    ) -> None:
        self.population = population
        self.structures = structures
        # Compartments of one cell differ in what they have, and so do cells in where events come.
        cell = population.id if population.part_of or ports else population.component
        self.structure = structures.number(cell, population.dynamics)
        self.inputs: dict[Kind, list[Input]] = {}
        self.synapses: dict[Kind, dict[str, Component]] = {}
        self.examples: dict[Kind, Projection] = {}

    def add_input(self, source: Input) -> None:
        """Note an input."""
        number = self.structures.number(source.id, source.dynamics)
        kind = Kind(source.attachment, number, "input")
        self.inputs.setdefault(kind, []).append(source)

    def add_projection(self, projection: Projection) -> None:
        """Note the synapses of a projection."""
        if projection.size == 0 or projection.port:
            return
        kind = self.kind(projection)
        self.examples.setdefault(kind, projection)
        component = self.synapses.setdefault(kind, {}).setdefault(
            self.owner(projection),
            Component(projection.values, np.zeros(self.population.size, dtype=np.bool_)),
        )
        component.present[projection.connections.reached(self.population.size)] = True

    def kind(self, projection: Projection) -> Kind:
        """Return which slots a projection needs."""
        summed = self.structures.sum(projection, self.population.dynamics)
        if isinstance(summed, NotAggregable):
            return Kind(projection.attachment, -1, "own")
        number = self.structures.number(projection.synapse, projection.dynamics)
        return Kind(projection.attachment, number, "sum")

    def owner(self, projection: Projection) -> str:
        """Return the component by which a projection finds its slots."""
        summed = self.structures.sum(projection, self.population.dynamics)
        if isinstance(summed, NotAggregable):
            return projection.synapse
        return self.structures.owner(projection, summed)

    def counts(self) -> dict[Kind, int]:
        """Return how many slots of each kind are needed: as many as by the neediest cell."""
        counts = {}
        for kind, inputs in self.inputs.items():
            cells = np.concatenate([item.cells for item in inputs])
            counts[kind] = int(np.bincount(cells).max())
        for kind, components in self.synapses.items():
            present = np.zeros(self.population.size, dtype=np.int32)
            for component in components.values():
                present += component.present
            counts[kind] = min(1, present.max()) if kind.source == "own" else int(present.max())
        return counts


# Which populations get the same slots


class _Layout:
    """Populations of one cell structure, and the slots that all of them would get."""

    def __init__(self, needs: Needs) -> None:
        self.structures = needs.structures
        self.members = [needs]
        self.counts = needs.counts()
        self.size = needs.population.size
        self.components = {name for known in needs.synapses.values() for name in known}

    @property
    def n_slots(self) -> int:
        """Number of slots."""
        return sum(self.counts.values())

    def vain(self, other: _Layout) -> float:
        """Return the operations done in vain if both got the same slots."""
        total = 0.0
        for kind in self.counts.keys() | other.counts.keys():
            more = other.counts.get(kind, 0) - self.counts.get(kind, 0)
            cells = self.size if more > 0 else other.size
            total += cells * abs(more) * self.structures.work(kind)
        return total

    def distance(self, other: _Layout) -> tuple[int, float]:
        """Return how badly another fits: parameters of one component in a slot remain constants."""
        return len(other.components - self.components), self.vain(other)

    def add(self, other: _Layout) -> None:
        """Let the populations of another join."""
        self.members += other.members
        self.size += other.size
        self.components |= other.components
        for kind, count in other.counts.items():
            self.counts[kind] = max(count, self.counts.get(kind, 0))


def share(needs: Sequence[Needs]) -> list[list[Needs]]:
    """Return the populations in groups that get the same slots.

    Populations that need the same are one group, so that it does not matter how a network divides
    its cells into populations. Each group, those with most slots first, joins the one that fits
    best of those with which less is done in vain than a neuron of its own costs.
    """
    alike: dict[tuple[object, ...], _Layout] = {}
    for item in needs:
        alone = _Layout(item)
        counts, components = frozenset(alone.counts.items()), frozenset(alone.components)
        key = item.structure, counts, components
        if key in alike:
            alike[key].add(alone)
        else:
            alike[key] = alone
    layouts: dict[int, list[_Layout]] = {}
    for group in sorted(alike.values(), key=lambda item: -item.n_slots):
        known = layouts.setdefault(group.members[0].structure, [])
        fitting = [item for item in known if item.vain(group) <= CLASS_WORK * len(known)]
        if fitting:
            min(fitting, key=lambda item: item.distance(group)).add(group)
        else:
            known.append(group)
    place = {item.population.id: number for number, item in enumerate(needs)}
    return [
        sorted(layout.members, key=lambda item: place[item.population.id])
        for known in layouts.values()
        for layout in known
    ]
