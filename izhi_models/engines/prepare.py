"""Files for a simulator: the model in its words, which records what is to be brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from izhi_models.annarchy.recorder import Recording
from izhi_models.engines.jneuroml import Reference
from izhi_models.engines.translate import Translation, translate
from izhi_models.exporters.markup import Markup
from izhi_models.exporters.neuroml import Collected, collect, write_collected
from izhi_models.exporters.request import Request
from izhi_models.exporters.simulation import cell_path
from izhi_models.lems.targets import sent_ports
from izhi_models.network import Population
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.units import Dimension

TRACES = "traces.dat"
SPIKES = "spikes.dat"
_OUTPUTS = ("Display", "OutputFile", "EventOutputFile")
_PICO = 1e-12


@dataclass(frozen=True)
class Prepared:
    """Files for a simulator, and what they record.

    Parameters
    ----------
    main : Path
        The LEMS file.
    quantities : tuple of str
        Paths in the files, column by column.
    cells : tuple of str
        Cells whose spikes are recorded.
    """

    main: Path
    quantities: tuple[str, ...]
    cells: tuple[str, ...]


def recordable(request: Request, recording: Recording, engine: str) -> bool:
    """Tell whether other simulators can record a quantity: of cells, and not of what is attached.

    Parameters
    ----------
    request : Request
    recording : Recording
    engine : str
    """
    model, network = request.experiment.model, request.experiment.network
    if recording.is_whole or any(recording.connections):
        return False
    if recording.population in request.replayed:
        return False
    if engine == "netpyne" and recording.name != "v":
        return False  # its converter does not tell it in which mechanism the rest is
    kind = model.components[network.populations[recording.population].component].type
    if kind.is_a("cell") and recording.name == "spiking":
        return False  # which is the simulator's own affair
    return not any(
        variable.startswith(tuple(f"{name}[" for name in kind.attachments))
        for variable in recording.variables
    )


def prepare(request: Request, folder: Path, *, as_declared: bool = False) -> Prepared:
    """Write a model for a simulator.

    Parameters
    ----------
    request : Request
    folder : Path
    as_declared : bool
        Leave the model in its own words: for the reference interpreter.

    Raises
    ------
    UnsupportedError
        If it cannot be said in the words of the simulator.
    """
    parts = collect(request)
    found = Translation(parts) if as_declared else translate(request, parts)
    quantities, cells = recorded_paths(request, found)
    record(parts, quantities, cells)
    main = write_collected(request, parts, folder / "LEMS_model.xml")[0]
    return Prepared(main, quantities, cells)


def recorded_paths(request: Request, found: Translation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths of quantities and cells that are recorded, in a translated model.

    Parameters
    ----------
    request : Request
    found : Translation
    """
    quantities = tuple(_translated(path, item, found) for path, item, _ in _columns(request))
    return quantities, tuple(found.names.path(path) for path, _, _ in _cells(request))


def _columns(request: Request) -> list[tuple[str, Recording, int]]:
    """Return the paths of what is recorded of single cells, with the recording and its column."""
    populations = request.experiment.network.populations
    found = []
    for item in request.recordings:
        for number, cell in enumerate(item.cells):
            path = item.name
            if not item.is_whole:
                path = f"{cell_path(populations[item.population], cell)}/{item.name}"
            found.append((path, item, number))
    return found


def _cells(request: Request) -> list[tuple[str, Population, int]]:
    return [
        (cell_path(population, cell), population, cell)
        for population in request.experiment.network.populations.values()
        if not population.part_of and sent_ports(population.dynamics)
        for cell in range(population.size)
    ]


def _translated(path: str, recording: Recording, found: Translation) -> str:
    below = renamed(recording, found)
    return found.names.path(f"{path.removesuffix(recording.name)}{below}")


def renamed(recording: Recording, found: Translation) -> str:
    """Return the path below a cell of what is recorded, in a translated model.

    Parameters
    ----------
    recording : Recording
    found : Translation
    """
    if recording.population in found.recovery_offsets and recording.name == "U":
        return "u"
    return recording.name


def record(parts: Collected, quantities: tuple[str, ...], cells: tuple[str, ...]) -> None:
    """Record quantities and the spikes of cells, and nothing else.

    Parameters
    ----------
    parts : Collected
        Changed.
    quantities, cells : tuple of str
        Paths.
    """
    simulation = parts.simulation
    simulation.children = [
        item
        for item in simulation.children
        if not (isinstance(item, Markup) and item.tag in _OUTPUTS)
    ]
    if quantities:
        columns = [
            Markup("OutputColumn", {"id": f"c{number}", "quantity": path})
            for number, path in enumerate(quantities)
        ]
        file = Markup("OutputFile", {"id": "traces", "fileName": TRACES}, [*columns])
        simulation.children.append(file)
    if cells:
        selections = [
            Markup("EventSelection", {"id": str(number), "select": path, "eventPort": "spike"})
            for number, path in enumerate(cells)
        ]
        attributes = {"id": "events", "fileName": SPIKES, "format": "ID_TIME"}
        simulation.children.append(Markup("EventOutputFile", attributes, [*selections]))


def to_results(request: Request, prepared: Prepared, found: Reference) -> Results:
    """Return what a simulator gave as results, under the names of the model.

    Parameters
    ----------
    request : Request
    prepared : Prepared
    found : Reference
        By the paths of the files.
    """
    populations = request.experiment.network.populations
    columns = dict(zip(_columns_of(request), prepared.quantities, strict=True))
    traces = []
    for item in request.recordings:
        paths = [columns[item, number] for number in range(len(item.cells))]
        values = np.stack([found.traces[path] for path in paths], axis=1)
        dimension = _dimension(request, item)
        if item.name == "U" and any(path.endswith("/u") for path in paths):
            values = values / _PICO + _recovery_offset(request, item.population)
        owner = "" if item.is_whole else item.population
        cells = np.array([0] if item.is_whole else item.cells)
        traces.append(Trace(owner, item.name, dimension, cells, found.times_s, values))
    return Results(
        duration_s=request.duration_s,
        dt_s=request.dt_s,
        spikes=_trains(request, prepared, found.spikes_s),
        traces=traces,
        components={name: item.component for name, item in populations.items()},
    )


def _dimension(request: Request, recording: Recording) -> Dimension:
    network = request.experiment.network
    _, variable, connection = next(recording.columns())
    if connection is not None:
        return network.projections[connection.projection].dynamics.dimensions()[variable]
    return network.populations[recording.population].dynamics.dimensions()[variable]


def _columns_of(request: Request) -> list[tuple[Recording, int]]:
    return [(item, number) for _, item, number in _columns(request)]


def _recovery_offset(request: Request, population: str) -> float:
    values = request.experiment.model.components[
        request.experiment.network.populations[population].component
    ].values
    return values["b"] * values["v0"] * 1e3


def _trains(
    request: Request, prepared: Prepared, spikes_s: Mapping[str, np.ndarray]
) -> dict[str, SpikeTrains]:
    times: dict[str, list[np.ndarray]] = {}
    numbers: dict[str, list[np.ndarray]] = {}
    for (_, population, cell), path in zip(_cells(request), prepared.cells, strict=True):
        own = spikes_s[path]
        times.setdefault(population.id, []).append(own)
        numbers.setdefault(population.id, []).append(np.full(own.size, cell, dtype=np.int32))
    trains = {}
    for name, population in request.experiment.network.populations.items():
        if population.part_of:
            continue
        every = np.concatenate(times.get(name, [np.empty(0)]))
        cells = np.concatenate(numbers.get(name, [np.empty(0, dtype=np.int32)]))
        order = np.lexsort((cells, every))
        trains[name] = SpikeTrains(every[order], cells[order], population.size, request.duration_s)
    return trains
