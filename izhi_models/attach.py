"""Make inputs and synapses part of the cells, in slots that cells share.

A slot is one attached dynamics in the dynamics of a cell; each cell has its own parameters in it.
Inputs of one structure take as few slots as the cell with most of them needs, and so do synapse
components of one structure whose connections act on a cell as one. Cells that lack the input of
a slot switch it off; a synapse at which nothing arrives gives nothing, exactly. Synapses that
each connection has for itself only need their sum: one slot for each list of the cell. Where only
a part of them can be summed, that part is in a slot, and the rest says what an event counts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.expr import ONE, ZERO, names
from izhi_models.ir.aggregate import Aggregate, Arrival, NotAggregable, value_at_zero
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import TIME_NAME, Dynamics, Variable
from izhi_models.ir.passes import order_derived
from izhi_models.ir.receive import arriving, receive
from izhi_models.network import Input, Placed, Population, Projection
from izhi_models.slots import Component, Kind, Needs, Structures, share

_SUM = "@sum"  # no name in a file has an @
_ABSENT = -1  # in place of the number of a slot


def attach(
    populations: Iterable[Population],
    inputs: Sequence[Input] = (),
    projections: Sequence[Projection] = (),
) -> tuple[list[Population], list[Projection]]:
    """Return populations with inputs and synapses made part of their dynamics.

    Parameters
    ----------
    populations : iterable of Population
        With the dynamics of the cells alone.
    inputs : sequence of Input
    projections : sequence of Projection
        A component that occurs again, here or among inputs, has the same dynamics.

    Returns
    -------
    list of Population, list of Projection
        In the order given. Populations that can be simulated as one have equal dynamics. A
        projection whose cells have its synapse in different slots becomes one for each slot.
    """
    structures = Structures()
    ports: dict[str, dict[str, None]] = {}
    for projection in projections:
        if projection.port:
            ports.setdefault(projection.post, {})[projection.port] = None
    receiving = [_receiving(item, tuple(ports.get(item.id, ()))) for item in populations]
    needs = {item.id: Needs(item, structures, ports.get(item.id, ())) for item in receiving}
    for source in inputs:
        needs[source.population].add_input(source)
    for projection in projections:
        needs[projection.post].add_projection(projection)
    clusters: dict[str, _Cluster] = {}
    finished: dict[str, Population] = {}
    for members in share(list(needs.values())):
        cluster = _Cluster(members, structures)
        clusters |= dict.fromkeys(cluster.cells, cluster)
        finished |= {item.id: item for item in cluster.populations()}
    return (
        [finished[name] for name in needs],
        [part for item in projections for part in clusters[item.post].connect(item)],
    )


def _receiving(population: Population, ports: tuple[str, ...]) -> Population:
    """Return a population whose cells get events themselves, on some of their ports."""
    if not ports:
        return population
    nothing = {arriving(port): 0.0 for port in ports}  # before the start
    return replace(
        population,
        dynamics=order_derived(receive(population.dynamics, ports)),
        values={**population.values, **nothing},
    )


@dataclass(frozen=True)
class _InputPart:
    """The inputs of a list that are in one slot: their numbers in the list, and their cells."""

    source: Input
    chosen: NDArray[np.intp]
    cells: NDArray[np.int64]

    def value(self, name: str) -> float | NDArray[np.float64]:
        """Return the values of a parameter."""
        value = self.source.values[name]
        return value[self.chosen] if isinstance(value, np.ndarray) else value


class _Cluster:
    """Populations that get the same slots; their cells are numbered one after another."""

    def __init__(self, members: Sequence[Needs], structures: Structures) -> None:
        self.members = {item.population.id: item for item in members}
        self.structures = structures
        self.cell = members[0].population.dynamics
        self.cells: dict[str, slice] = {}
        self.size = 0
        for item in members:
            end = self.size + item.population.size
            self.cells[item.population.id] = slice(self.size, end)
            self.size = end
        self.attached: list[Attached] = []
        self.values = {item.population.id: dict(item.population.values) for item in members}
        self.placed: dict[str, list[Placed]] = {name: [] for name in self.cells}
        self.places: dict[Kind, list[str]] = {}
        self.chosen: dict[Kind, dict[str, NDArray[np.int16]]] = {}
        self.partial: set[Kind] = set()  # in which each connection has a synapse all the same
        for kind in dict.fromkeys(kind for item in members for kind in item.inputs):
            self._add_inputs(kind)
        for kind in dict.fromkeys(kind for item in members for kind in item.synapses):
            self._add_synapses(kind)

    def populations(self) -> Iterator[Population]:
        """Yield the populations with all that is attached."""
        composed = order_derived(without_unread(compose(self.cell, self.attached)))
        for item in self.members.values():
            population = item.population
            dynamics = composed
            if population.dynamics.name != composed.name:
                dynamics = replace(composed, name=population.dynamics.name)
            yield replace(
                population,
                dynamics=dynamics,
                values=self.values[population.id],
                attached=tuple(self.placed[population.id]),
                synapses=self._synapses(self.cells[population.id]),
            )

    def connect(self, projection: Projection) -> Iterator[Projection]:
        """Yield a projection to one of the populations with what it adds to, slot by slot."""
        if projection.size == 0:
            yield projection
            return
        if projection.port:
            yield replace(projection, arrivals=(Arrival(arriving(projection.port), ONE),))
            return
        kind = self.members[projection.post].kind(projection)
        places = self.places[kind]
        summed = self.structures.sum(projection, self.cell)
        if isinstance(summed, NotAggregable):
            shown = self._gathered(kind)
            moving = [name for name in shown if not _is_always_zero(projection.dynamics, name)]
            # What adds nothing is there all the same: it can be recorded.
            own = {f"{places[0]}/{name}{_SUM}": name for name in moving or shown[:1]}
            yield replace(projection, own=own, reasons=summed.reasons)
            return
        owner = self.members[projection.post].owner(projection)
        slots = self.chosen[kind][owner][self.cells[projection.post]]
        used = sorted(set(slots.tolist()) - {_ABSENT})
        for slot in used:
            place = places[slot]
            arrivals = (replace(item, name=f"{place}/{item.name}") for item in summed.arrivals)
            part = projection
            if len(used) > 1:
                part = projection.onto(slots == slot)
            if part.size:
                yield replace(part, arrivals=tuple(arrivals), reasons=summed.reasons)

    def _place(self, attachment: str) -> str:
        return f"{attachment}[{len(self.attached)}]"

    def _set(self, name: str, values: float | NDArray[np.float64]) -> None:
        """Set a parameter of all cells."""
        for population, cells in self.cells.items():
            self.values[population][name] = (
                values[cells] if isinstance(values, np.ndarray) else values
            )

    def _gathered(self, kind: Kind) -> list[str]:
        return [item.exposure for item in self.cell.gathers if item.attachment == kind.attachment]

    # Inputs

    def _add_inputs(self, kind: Kind) -> None:
        """Attach inputs of one structure, each cell's first in the first slot, and so on."""
        sources = [source for item in self.members.values() for source in item.inputs.get(kind, ())]
        cells = [source.cells + self.cells[source.population].start for source in sources]
        ranks = _occurrence(np.concatenate(cells))
        numbers = np.split(ranks, np.cumsum([item.size for item in cells])[:-1])
        for rank in range(int(ranks.max()) + 1):
            parts = []
            for source, number, every in zip(sources, numbers, cells, strict=True):
                chosen = np.flatnonzero(number == rank)
                if chosen.size:
                    parts.append(_InputPart(source, chosen, every[chosen]))
            self._add_input_slot(kind.attachment, parts)

    def _add_input_slot(self, attachment: str, parts: Sequence[_InputPart]) -> None:
        place = self._place(attachment)
        present = np.zeros(self.size)
        for part in parts:
            present[part.cells] = 1.0
        switch = None if present.all() else f"{place}/present"
        if switch is not None:
            self._set(switch, present)
        source = parts[0].source
        self.attached.append(Attached(attachment, source.dynamics, place, switch))
        for name, value in source.values.items():
            # Cells without this input take the first one's values: they are valid, and not used.
            first = value[0] if isinstance(value, np.ndarray) else value
            array = np.full(self.size, first)
            for part in parts:
                array[part.cells] = part.value(name)
            self._set(f"{place}/{name}", array)
        for part in parts:
            placed = (
                Placed(part.source.id, int(cell), place) for cell in part.source.cells[part.chosen]
            )
            self.placed[part.source.population].extend(placed)

    # Synapses

    def _add_synapses(self, kind: Kind) -> None:
        example = next(
            item.examples[kind] for item in self.members.values() if kind in item.examples
        )
        summed = self.structures.sum(example, self.cell)
        if isinstance(summed, NotAggregable):
            self._attach_currents(kind, example)
        else:
            self._attach_sums(kind, summed)

    def _attach_currents(self, kind: Kind, example: Projection) -> None:
        """Attach what the synapses of all connections add up to, as numbers from outside."""
        known = example.dynamics.dimensions()
        sums = {
            name: Variable(f"{name}{_SUM}", known[example.dynamics.exposed(name) or name])
            for name in self._gathered(kind)
        }
        dynamics = Dynamics(
            example.dynamics.name,
            parameters=tuple(sums.values()),
            exposures=tuple((name, item.name) for name, item in sums.items()),
        )
        place = self._place(kind.attachment)
        self.places[kind] = [place]
        self.attached.append(Attached(kind.attachment, dynamics, place))
        for item in sums.values():
            self._set(f"{place}/{item.name}", 0.0)

    def _attach_sums(self, kind: Kind, summed: Aggregate) -> None:
        components = self._components(kind)
        self.chosen[kind] = _choose({name: item.present for name, item in components.items()})
        table = list(components.values())
        n_slots = 1 + max(int(slots.max()) for slots in self.chosen[kind].values())
        self.places[kind] = []
        if summed.reasons:
            self.partial.add(kind)
        for slot in range(n_slots):
            place = self._place(kind.attachment)
            self.places[kind].append(place)
            self.attached.append(Attached(kind.attachment, summed.dynamics, place))
            for arrival in summed.arrivals:
                self._set(f"{place}/{arrival.name}", 0.0)  # nothing arrives before the start
            owners = np.full(self.size, _ABSENT)
            for number, slots in enumerate(self.chosen[kind].values()):
                owners[slots == slot] = number
            # Where nothing can arrive, the values of a component that others have here are as good.
            owners[owners == _ABSENT] = owners.max()
            for population, cells in self.cells.items():
                own = owners[cells]
                is_uniform = bool((own == own[0]).all())
                for item in summed.dynamics.parameters:
                    if item.name in table[0].values:
                        values = np.array([float(entry.values[item.name]) for entry in table])
                        self.values[population][f"{place}/{item.name}"] = (
                            float(values[own[0]]) if is_uniform else values[own]
                        )

    def _components(self, kind: Kind) -> dict[str, Component]:
        """Return the synapse components of one structure, with their cells in all populations."""
        components: dict[str, Component] = {}
        for item in self.members.values():
            cells = self.cells[item.population.id]
            for name, own in item.synapses.get(kind, {}).items():
                whole = components.setdefault(
                    name, Component(own.values, np.zeros(self.size, dtype=np.bool_))
                )
                whole.present[cells] = own.present
        return components

    def _synapses(self, cells: slice) -> dict[str, dict[str, NDArray[np.int32]]]:
        """Return where some cells have the synapses that act as one."""
        found: dict[str, dict[str, NDArray[np.int32]]] = {}
        for kind in self.chosen.keys() - self.partial:
            for name, slots in self.chosen[kind].items():
                own = slots[cells]
                for slot in np.unique(own[own >= 0]):
                    chosen = np.flatnonzero(own == slot).astype(np.int32)
                    found.setdefault(name, {})[self.places[kind][slot]] = chosen
        return found


def _choose(present: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.int16]]:
    """Return the slot of each component at each cell.

    There are as many slots as the cell with most components needs. A component gets the same slot
    at all its cells if one is free at all of them.
    """
    counts = sum(item.astype(np.int16) for item in present.values())
    used = np.zeros((int(np.max(counts)), np.size(counts)), dtype=np.bool_)
    result = {}
    for name, mask in present.items():
        cells = np.flatnonzero(mask)
        taken = used[:, cells]
        free = np.flatnonzero(~taken.any(axis=1))
        chosen = np.full(cells.size, free[0]) if free.size else np.argmin(taken, axis=0)
        used[chosen, cells] = True
        slots = np.full(mask.size, _ABSENT, dtype=np.int16)
        slots[cells] = chosen
        result[name] = slots
    return result


def _is_always_zero(dynamics: Dynamics, exposure: str) -> bool:
    """Tell whether an exposure is said to be 0."""
    variable = dynamics.exposed(exposure)
    return any(
        item.name == variable and value_at_zero(item.value, ()) == ZERO for item in dynamics.derived
    )


def without_unread(dynamics: Dynamics) -> Dynamics:
    """Return a dynamics without requirements that nothing reads; nor is time itself required.

    Parameters
    ----------
    dynamics : Dynamics
        Flat.
    """
    read = {name for expression in dynamics.expressions() for name in names(expression)}
    kept = (item for item in dynamics.requirements if item.name in read - {TIME_NAME})
    return replace(dynamics, requirements=tuple(kept))


def _occurrence(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each entry has occurred before it."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.r_[0, np.flatnonzero(np.diff(ordered)) + 1]
    counts = np.diff(np.r_[first, ordered.size])
    result = np.empty(cells.size, dtype=np.int64)
    result[order] = np.arange(ordered.size) - np.repeat(first, counts)
    return result
