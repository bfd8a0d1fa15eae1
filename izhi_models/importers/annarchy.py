"""Read an ANNarchy network into a LEMS document: types, components, and the network.

What differs between the cells of a population, parameters and present states, is attached to them:
one input for each cell and quantity, with the value as its weight. What differs between the
connections of a projection, besides weight and delay, needs a component each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import UnsupportedError
from izhi_models.expr import ZERO, Name
from izhi_models.importers.connections import Connectivity, read_connectivity
from izhi_models.importers.core_types import CoreCell, core_cell
from izhi_models.importers.definition import Definition
from izhi_models.importers.dimensions import in_units
from izhi_models.importers.document import DocumentBuilder, Names
from izhi_models.importers.neurons import Cell, NeuronReader
from izhi_models.importers.schedules import read_schedule
from izhi_models.importers.shared import SharedReader, shared_equations
from izhi_models.importers.sources import read_spikes, read_timed_array
from izhi_models.importers.synapses import SynapseReader
from izhi_models.importers.values import read_context
from izhi_models.lems.elements import Document

PATH = Path("annarchy.xml")
_MOST = 20000  # components of one projection; each is a line or two of XML
# Populations and projections that are what their equations say.
_PLAIN = ("Population", "PoissonPopulation", "Projection", "CurrentInjection")
# Populations of which some parameters change at given times: where the values are, by parameter.
_SCHEDULED = {
    "TimedPoissonPopulation": {"proba": "rates"},
    "HomogeneousCorrelatedSpikeTrains": {"mu": "mu_list", "sigma": "sigma_list"},
}


def read_annarchy(network: Any, length: str, *, core_types: bool = False) -> Document:
    """Return an ANNarchy network as a document.

    Parameters
    ----------
    network : ANNarchy.Network
        Compiled or not. It is not changed.
    length : str
        For how long the document asks to simulate, ``"500 ms"``.
    core_types : bool
        Whether to take cells of NeuroML that mean the same in continuous time.

    Raises
    ------
    UnsupportedError
        If the network has what LEMS cannot say: which neuron, synapse or projection, and its text.
    """
    return _Reader(network, core_types=core_types).document(length)


@dataclass(frozen=True)
class _Read:
    """A projection with its connections."""

    projection: Any
    synapse: SynapseReader
    connectivity: Connectivity

    @property
    def targets(self) -> list[str]:
        found = self.projection.target
        return list(found) if isinstance(found, list) else [found]


class _Reader:
    """Reads one network."""

    def __init__(self, network: Any, *, core_types: bool) -> None:
        self.network = network
        self.core_types = core_types
        self.core: dict[int, CoreCell] = {}
        self.context = read_context(network)
        self.is_fresh = not network.compiled or float(network.time) == 0.0
        names = Names()
        self.ids = {item.id: names.take(item.name) for item in network.get_populations()}
        self.projections = {item.id: names.take(item.name) for item in network.get_projections()}
        self.builder = DocumentBuilder(PATH, names)
        self.cells: dict[int, tuple[str, Cell]] = {}
        self.read = [self._read(item) for item in network.get_projections()]

    def document(self, length: str) -> Document:
        for population in self.network.get_populations():
            kind = type(population).__name__
            if kind == "SpikeSourceArray":
                self._spike_source(population)
            elif kind == "TimedArray":
                cell = read_timed_array(population, self.network, self.context)
                self._place(population, cell, "timed_array")
            elif kind in _PLAIN or kind in _SCHEDULED:
                self._population(population)
            else:
                raise UnsupportedError(
                    f"population '{population.name}' is a {kind}, whose code is not in equations"
                )
        for item in self.read:
            if item.connectivity.pre.size and item.projection.transmission:
                self._connect(item)
        return self.builder.document(self.context.dt_ms, length)

    def _read(self, projection: Any) -> _Read:
        kind = type(projection).__name__
        if kind not in _PLAIN:
            raise UnsupportedError(
                f"projection '{projection.name}' is a {kind}, whose code is not in equations"
            )
        connectivity = read_connectivity(projection, self.network)
        reader = SynapseReader(
            projection,
            self.context,
            connectivity.sizes,
            is_fresh=self.is_fresh,
            is_delayed=connectivity.delays_ms.max(initial=0.0) > 1.5 * self.context.dt_ms,
        )
        return _Read(projection, reader, connectivity)

    # Populations

    def _population(self, population: Any) -> None:
        incoming = [item for item in self.read if item.projection.post.id == population.id]
        if self.core_types and self._takes_core_type(population, incoming):
            return
        watched = {name for item in incoming for name in item.synapse.watched}
        for item in self.read:
            if item.projection.pre.id == population.id:
                watched |= item.synapse.reads_sender
        lists = _SCHEDULED.get(type(population).__name__, {})
        schedules = {
            name: read_schedule(population, getattr(population, key), self.network, self.context)
            for name, key in lists.items()
        }
        equations = shared_equations(population, self.context)
        shared = None
        if equations:
            shared = SharedReader(population, self.context, equations, schedules).read()
        cell = NeuronReader(
            population,
            self.context,
            connected=[name for item in incoming for name in item.targets],
            watched=watched,
            continuous={
                name for item in incoming if item.synapse.is_continuous for name in item.targets
            },
            schedules=schedules,
            common={}
            if shared is None
            else {item.name: shared.definition.dimensions[item.name] for item in equations},
        ).read()
        name, label = self.ids[population.id], population.neuron_type.name
        wanted = f"{name}_neuron" if label.endswith("neuron") else label
        self._place(population, cell, wanted)
        if shared is not None:
            self._share(population, shared)

    def _takes_core_type(self, population: Any, incoming: list[_Read]) -> bool:
        """Add a population of cells of NeuroML, if there are such cells."""
        outgoing = [item for item in self.read if item.projection.pre.id == population.id]
        ends = ([item.projection for item in items] for items in (incoming, outgoing))
        found = core_cell(population, *ends)
        if found is None:
            return False
        self.core[population.id] = found
        self.cells[population.id] = found.kind, Cell(Definition("", found.kind))
        name = self.ids[population.id]
        component = self.builder.add_core(found.kind, f"{name}_cell", found.attributes)
        self.builder.add_population(name, component, population.geometry)
        return True

    def _connect_core(self, item: _Read, cell: CoreCell) -> None:
        projection, builder = item.projection, self.builder
        ends = (self.ids[projection.pre.id], self.ids[projection.post.id])
        for target in item.targets:
            synapse = cell.synapses[target]
            component = builder.add_core(
                synapse.kind, f"{ends[1]}_{target}", synapse.attributes, again=True
            )
            name = self.projections[projection.id]
            own = name if len(item.targets) == 1 else builder.names.take(f"{name}_{target}")
            signed = replace(item.connectivity, weights=synapse.sign * item.connectivity.weights)
            builder.connect(own, ends, component, signed)

    def _share(self, population: Any, shared: Cell) -> None:
        """Connect the cells of a population with one that computes what they have in common."""
        kind, cell = self.cells[population.id]
        name, builder = self.ids[population.id], self.builder
        source = builder.add_cell_type(shared.definition, f"{kind}_shared", {})
        own = builder.names.take(f"{name}_shared")
        component = builder.add_component(source, f"{own}_cell", shared.parameters)
        builder.add_population(own, component, (1,))
        definition = Definition("", f"{kind}_synapse")
        definition.declare("Property", "weight", defaultValue="1")
        definition.peer(f"{source}_synapse")
        for read in cell.common:
            definition.select(f"pre_{read}", f"peer/{read}", cell.exposures[read])
        for exposure, dimension in cell.exposures.items():
            is_read = exposure in cell.common
            value = Name(f"pre_{exposure}") if is_read else in_units(ZERO, dimension)
            definition.derive(exposure, value, dimension)
        reader = builder.add_type(definition, f"{kind}_of_shared")
        size = population.size
        builder.tunnel(
            builder.names.take(f"{own}_read"),
            (own, name),
            (
                self._listener((source, shared), set(cell.common)),
                builder.add_component(reader, f"{own}_reader", {}),
            ),
            Connectivity(
                np.zeros(size, dtype=np.int32),
                np.arange(size, dtype=np.int32),
                np.ones(size),
                np.zeros(size),
                np.ones(size, dtype=np.int64),
            ),
        )

    def _place(self, population: Any, cell: Cell, wanted: str) -> None:
        name = self.ids[population.id]
        kind = self.builder.add_cell_type(cell.definition, wanted, cell.exposures)
        self.cells[population.id] = kind, cell
        component = self.builder.add_component(kind, f"{name}_cell", cell.parameters)
        self.builder.add_population(name, component, population.geometry)
        for quantity, values in cell.apart.items():
            self.builder.attach_values(name, kind, quantity, cell.exposures, values)

    def _spike_source(self, population: Any) -> None:
        source = read_spikes(population, self.network, self.context)
        self._place(population, source.cell, "spike_relay")
        name, builder = self.ids[population.id], self.builder
        if not source.connectivity.pre.size:
            return
        kind = self.cells[population.id][0]
        first = builder.names.take(f"{name}_start")
        starter = builder.add_cell_type(source.starter, "spike_starter", {})
        builder.add_population(first, builder.add_component(starter, f"{first}_cell", {}), (1,))
        arrival = builder.add_type(source.arrival, f"{kind}_arrival", kind)
        component = builder.add_component(arrival, f"{name}_arrival", {})
        own = builder.names.take(f"{first}_spikes")
        builder.connect(own, (first, name), component, source.connectivity)

    # Projections

    def _connect(self, item: _Read) -> None:
        projection, builder = item.projection, self.builder
        if projection.post.id in self.core:
            self._connect_core(item, self.core[projection.post.id])
            return
        kind, cell = self.cells[projection.post.id]
        if set(item.targets) - cell.arriving.keys():
            raise UnsupportedError(
                f"projection '{projection.name}' ends in '{projection.post.name}', which has "
                "a schedule and takes no input"
            )
        sender, sending = self.cells[projection.pre.id]
        made = item.synapse.make(cell, item.targets, sending, f"{sender}_synapse")
        label = projection.synapse_type.name
        word = {"Event-driven synapse": "event", "-": "weighted_sum"}.get(label, label)
        synapse = builder.add_type(made.definition, f"{kind}_{word}", kind)
        ends = (self.ids[projection.pre.id], self.ids[projection.post.id])
        name = self.projections[projection.id]
        groups = self._groups(item.synapse.where, made.apart)
        for number, (values, chosen) in enumerate(groups):
            own = name if len(groups) == 1 else builder.names.take(f"{name}_{number}")
            component = builder.add_component(
                synapse, f"{own}_synapse", {**made.parameters, **values}
            )
            some = item.connectivity.take(chosen)
            if item.synapse.is_tunnel:
                self._check_delays(item)
                listener = self._listener((sender, sending), item.synapse.reads_sender)
                builder.tunnel(own, ends, (listener, component), some)
            else:
                builder.connect(own, ends, component, some)

    def _check_delays(self, item: _Read) -> None:
        longest = item.connectivity.delays_ms.max()
        if longest > 1.5 * self.context.dt_ms:
            raise UnsupportedError(
                f"{item.synapse.where}: a delay of {longest:g} ms, and what reads the cell at the "
                "other end has none in LEMS"
            )

    def _listener(self, sending: tuple[str, Cell], read: set[str]) -> str:
        """Return the component at the end that sends, through which its variables are read."""
        kind, cell = sending
        definition = Definition("", f"{kind}_synapse")
        definition.declare("Property", "weight", defaultValue="1")
        definition.peer("baseGradedSynapse")
        for name in sorted(read):
            definition.declare("Requirement", name, cell.definition.dimensions[name])
        for exposure, dimension in cell.exposures.items():
            definition.derive(exposure, in_units(ZERO, dimension), dimension)
        listener = self.builder.add_type(definition, f"{kind}_{'_'.join(sorted(read))}")
        component = f"of_{listener}"
        if component not in self.builder.names.taken:
            self.builder.add_component(listener, component, {})
        return component

    def _groups(
        self, where: str, apart: Mapping[str, NDArray[np.float64]]
    ) -> list[tuple[dict[str, float], NDArray[np.intp] | slice]]:
        """Return the connections that have the same values, with these."""
        if not apart:
            return [({}, slice(None))]
        table, which = np.unique(
            np.stack(list(apart.values()), axis=1), axis=0, return_inverse=True
        )
        if len(table) > _MOST:
            raise UnsupportedError(
                f"{where}: {', '.join(apart)} differ between connections in {len(table)} ways; "
                f"each takes a component, of which there may be {_MOST}"
            )
        order = np.argsort(which.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(which.ravel(), minlength=len(table)))
        rows = np.split(order, ends[:-1])
        return [
            (dict(zip(apart, map(float, values), strict=True)), chosen)
            for values, chosen in zip(table, rows, strict=True)
        ]
