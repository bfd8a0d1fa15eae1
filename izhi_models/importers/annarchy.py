"""Read an ANNarchy network into a LEMS document: types, components, and the network.

What differs between the cells of a population, parameters and present states, is attached to them:
one input for each cell and quantity, with the value as its weight. What differs between the
connections of a projection, besides weight and delay, needs a component each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import UnsupportedError
from izhi_models.expr import ZERO
from izhi_models.importers.connections import Connectivity, read_connectivity
from izhi_models.importers.definition import Definition
from izhi_models.importers.document import DocumentBuilder, Names
from izhi_models.importers.neurons import Cell, NeuronReader
from izhi_models.importers.sources import read_schedule, read_spikes
from izhi_models.importers.synapses import SynapseReader
from izhi_models.importers.values import read_context
from izhi_models.lems.elements import Document

PATH = Path("annarchy.xml")
_MOST = 20000  # components of one projection; each is a line or two of XML
# Populations and projections that are what their equations say.
_PLAIN = ("Population", "PoissonPopulation", "Projection", "CurrentInjection")


def read_annarchy(network: Any, length: str) -> Document:
    """Return an ANNarchy network as a document.

    Parameters
    ----------
    network : ANNarchy.Network
        Compiled or not. It is not changed.
    length : str
        For how long the document asks to simulate, ``"500 ms"``.

    Raises
    ------
    UnsupportedError
        If the network has what LEMS cannot say: which neuron, synapse or projection, and its text.
    """
    return _Reader(network).document(length)


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

    def __init__(self, network: Any) -> None:
        self.network = network
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
                cell = read_schedule(population, self.network, self.context)
                self._place(population, cell, "timed_array")
            elif kind in _PLAIN:
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
        reader = SynapseReader(projection, self.context, connectivity.sizes, is_fresh=self.is_fresh)
        return _Read(projection, reader, connectivity)

    # Populations

    def _population(self, population: Any) -> None:
        incoming = [item for item in self.read if item.projection.post.id == population.id]
        watched = {name for item in incoming for name in item.synapse.watched()}
        for item in self.read:
            if item.projection.pre.id == population.id:
                watched |= item.synapse.reads_sender
        cell = NeuronReader(
            population,
            self.context,
            connected=[name for item in incoming for name in item.targets],
            watched=watched,
            continuous={
                name for item in incoming if item.synapse.is_continuous for name in item.targets
            },
        ).read()
        name, label = self.ids[population.id], population.neuron_type.name
        wanted = f"{name}_neuron" if label.endswith("neuron") else label
        self._place(population, cell, wanted)

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
        starter = builder.add_cell_type(source.starter, "spike_starter", ())
        builder.add_population(first, builder.add_component(starter, f"{first}_cell", {}), (1,))
        arrival = builder.add_type(source.arrival, f"{kind}_arrival", kind)
        component = builder.add_component(arrival, f"{name}_arrival", {})
        own = builder.names.take(f"{first}_spikes")
        builder.connect(own, (first, name), component, source.connectivity)

    # Projections

    def _connect(self, item: _Read) -> None:
        projection, builder = item.projection, self.builder
        kind, cell = self.cells[projection.post.id]
        if set(item.targets) - cell.arriving.keys():
            raise UnsupportedError(
                f"projection '{projection.name}' ends in '{projection.post.name}', which has "
                "a schedule and takes no input"
            )
        sender, _ = self.cells[projection.pre.id]
        made = item.synapse.make(cell, item.targets, f"{sender}_synapse")
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
                listener = self._listener(projection.pre, item.synapse.reads_sender)
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

    def _listener(self, population: Any, read: set[str]) -> str:
        """Return the component at the end that sends, through which its variables are read."""
        kind, cell = self.cells[population.id]
        definition = Definition("", f"{kind}_synapse")
        definition.declare("Property", "weight", defaultValue="1")
        definition.peer("baseGradedSynapse")
        for name in sorted(read):
            definition.declare("Requirement", name)
        for exposure in cell.exposures:
            definition.derive(exposure, ZERO)
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
