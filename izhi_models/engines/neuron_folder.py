"""A folder that runs a network in NEURON: mechanisms, connections as arrays, and a script.

The mechanisms are those that jNeuroML writes of a small model with one of each kind of parts. The
script, `run_network.py`, makes of them the whole network, on as many processes as are asked for.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from izhi_models.engines import run_network
from izhi_models.engines.chance import as_projections
from izhi_models.engines.mechanisms import detach, mend, reads_weight
from izhi_models.engines.neuron_parts import NeuronParts, read_parts
from izhi_models.engines.parts import parts_of
from izhi_models.engines.prepare import Prepared, record, recorded_paths
from izhi_models.engines.programs import convert
from izhi_models.engines.prototype import reduce
from izhi_models.engines.thresholds import spike_threshold, values_at_start
from izhi_models.engines.translate import Translation, translate
from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.neuroml import collect, write_collected
from izhi_models.exporters.request import Request
from izhi_models.lems.components import Model
from izhi_models.lems.targets import sent_ports
from izhi_models.network import WEIGHT, Parts, Population, Projection

NETWORK = Path(run_network.__file__).name
_STEP = 1 + 1e-6  # An event acts in the next step at the earliest; NEURON wants a little more.
_CONNECTION = [("pre", "<i4"), ("post", "<i4"), ("weight", "<f8"), ("delay", "<f8")]
_INPUT = [("cell", "<i4"), ("weight", "<f8")]
_REPLAYED = [("cell", "<i4"), ("time", "<f8")]


def prepare_network(request: Request, folder: Path, limit_s: float) -> Prepared:
    """Write what runs a network in NEURON.

    Parameters
    ----------
    request : Request
        Of a network with `Network.parts`.
    folder : Path
    limit_s : float
        Seconds after which jNeuroML is given up.

    Raises
    ------
    BackendError
        If there is no Java.
    RunError
        If jNeuroML fails.
    UnsupportedError
        If the network cannot be said in NEURON's words.
    """
    lowered = parts_of(request)
    if lowered is None:
        raise UnsupportedError("a network of cells with several compartments has no such parts")
    lowered = _simple(request.experiment.model, as_projections(request, lowered))
    parts = collect(request)
    found = translate(request, parts)
    quantities, cells = recorded_paths(request, found)
    small = reduce(request, parts, found, lowered)
    spiking = [name for name in small.populations if sent_ports(lowered.populations[name].dynamics)]
    own = tuple(f"{found.names.populations[name]}[0]" for name in spiking)
    record(parts, small.quantities, own)
    with tempfile.TemporaryDirectory(prefix="izhi-") as name:
        main = write_collected(request, parts, Path(name) / "LEMS_model.xml")[0]
        script = main.with_name("LEMS_model_nrn.py")
        convert(main, "-neuron", script, limit_s=limit_s)
        made = read_parts(script.read_text(encoding="utf-8"))
        folder.mkdir(parents=True, exist_ok=True)
        for item in sorted([*Path(name).glob("*.mod"), *Path(name).glob("*.hoc")]):
            text = item.read_text(encoding="utf-8")
            (folder / item.name).write_text(mend(detach(text), request.dt_s), encoding="utf-8")
    _Writer(request, folder, lowered, found, made).write()
    shutil.copyfile(run_network.__file__, folder / NETWORK)
    return Prepared(folder / NETWORK, quantities, cells)


def _simple(model: Model, lowered: Parts) -> Parts:
    """Make of connections through two synapses connections through each, and drop silent ones."""

    def each(item: Projection) -> Iterator[Projection]:
        component = model.components[item.synapse]
        if component.type.is_a("doubleSynapse"):
            for name in ("synapse1", "synapse2"):
                yield from each(replace(item, synapse=model.reference(component, name).id))
        elif not component.type.is_a("silentSynapse"):
            yield item

    projections = tuple(one for item in lowered.projections for one in each(item))
    return replace(lowered, projections=projections)


@dataclass(frozen=True)
class _Writer:
    request: Request
    folder: Path
    lowered: Parts
    found: Translation
    made: NeuronParts

    def write(self) -> None:
        """Write the arrays, and the plan that names them."""
        connections = [item for item in self.lowered.projections if not item.is_continuous]
        continuous = [item for item in self.lowered.projections if item.is_continuous]
        plan: dict[str, Any] = {
            "dt_ms": self.request.dt_s * 1e3,
            "duration_ms": self.request.duration_s * 1e3,
            "populations": list(self._populations()),
            "connections": [self._connected(n, item) for n, item in enumerate(connections)],
            "continuous": [
                self._connected(n, item) for n, item in enumerate(continuous, len(connections))
            ],
            "inputs": list(self._inputs()),
            "traces": list(self._traces()),
            "ions": self.made.ions,
        }
        if self.made.celsius is not None:
            plan["celsius"] = self.made.celsius
        text = json.dumps(plan, indent=1) + "\n"
        (self.folder / "network.json").write_text(text, encoding="utf-8")

    @property
    def _numbers(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(self.lowered.populations)}

    def _populations(self) -> Iterator[dict[str, Any]]:
        """Yield populations; the cells that send events are numbered before the others."""
        populations = self.lowered.populations
        sending = [name for name, item in populations.items() if sent_ports(item.dynamics)]
        first, firsts = 0, {}
        for name in (*sending, *(name for name in populations if name not in sending)):
            firsts[name] = first
            first += populations[name].size
        for name, population in populations.items():
            told: dict[str, Any] = {"name": name, "size": population.size, "first": firsts[name]}
            if name in self.request.replayed:
                trains = self.request.replayed[name]
                rows = np.empty(trains.count, dtype=_REPLAYED)
                rows["cell"], rows["time"] = trains.indices[:], trains.times_s[:] * 1e3
                told["replayed"] = self._save(f"replayed_{firsts[name]}", rows)
                yield told | {"sends": "events" if name in sending else ""}
                continue
            cells = self.made.populations[self.found.names.populations[name]]
            told |= {"cell": cells.cell, "sends": cells.sends}
            known = values_at_start(population)
            if cells.sends == "crossings":
                told["threshold"] = _threshold(population)
            if "v" in known and "mechanism" in cells.cell:
                # A cell that starts above its threshold sends an event at once: it has to cross it.
                told["v"] = min(known["v"] * 1e3, told.get("threshold", np.inf) - 1.0)
            yield told

    def _connected(self, number: int, item: Projection) -> dict[str, Any]:
        dtype = np.dtype(_CONNECTION)
        name = f"connections_{number}.npy"
        rows = np.lib.format.open_memmap(self.folder / name, "w+", dtype, (item.size,))
        start = 0
        for block in item.connections.blocks():
            part = rows[start : start + block.pre.size]
            part["pre"], part["post"], part["weight"] = block.pre, block.post, block.weights
            part["delay"] = np.maximum(block.delays, self.request.dt_s * _STEP) * 1e3
            start += block.pre.size
        rows.flush()
        mechanism = self.found.component(item.synapse)
        text = self._text(mechanism)
        return {
            "pre": self._numbers[item.pre],
            "post": self._numbers[item.post],
            "mechanism": mechanism,
            "is_shared": self._is_sum(item) and not reads_weight(text),
            "file": name,
        }

    def _is_sum(self, item: Projection) -> bool:
        """Tell whether one synapse of a cell can stand for all connections."""
        every = self.request.experiment.network.projections
        known = [one for one in every if one.synapse == item.synapse]
        return bool(known) and not any(one.own for one in known)

    def _text(self, mechanism: str) -> str:
        path = self.folder / f"{mechanism}.mod"
        if not path.exists():
            components = self.request.experiment.model.components
            old = next(name for name in components if self.found.component(name) == mechanism)
            raise UnsupportedError(f"jNeuroML makes no mechanism of '{old}' for NEURON")
        return path.read_text(encoding="utf-8")

    def _inputs(self) -> Iterator[dict[str, Any]]:
        number = 0
        for item in self.lowered.inputs:
            weights = np.broadcast_to(np.asarray(item.values.get(WEIGHT, 1.0)), item.cells.shape)
            mechanism = self.found.component(item.id)
            text = self._text(mechanism)
            if (weights != 1.0).any() and not reads_weight(text):
                message = f"weights of the input '{item.id}' would be lost in NEURON"
                raise UnsupportedError(Diagnostic(message))
            yield self._input(number, item.population, mechanism, item.cells, weights)
            number += 1
        for population, component in self.found.constants.items():
            cells = np.arange(self.lowered.populations[population].size)
            mechanism = self.found.component(component)
            yield self._input(number, population, mechanism, cells, np.ones(cells.shape))
            number += 1

    def _input(
        self, number: int, population: str, mechanism: str, cells: np.ndarray, weights: np.ndarray
    ) -> dict[str, Any]:
        rows = np.empty(cells.size, dtype=_INPUT)
        rows["cell"], rows["weight"] = cells, weights
        return {
            "population": self._numbers[population],
            "mechanism": mechanism,
            "file": self._save(f"inputs_{number}", rows),
        }

    def _save(self, stem: str, rows: np.ndarray) -> str:
        np.save(self.folder / f"{stem}.npy", rows)
        return f"{stem}.npy"

    def _traces(self) -> Iterator[dict[str, Any]]:
        for item, recorded in zip(self.request.recordings, self.made.recorded, strict=True):
            for cell in item.cells:
                yield {
                    "population": self._numbers[item.population],
                    "cell": int(cell),
                    "of": recorded.of,
                    "name": recorded.name,
                    "factor": recorded.factor,
                }


def _threshold(population: Population) -> float:
    """Return the voltage above which a cell sends an event [mV]."""
    found = spike_threshold(population)
    if found is None:
        message = f"the voltage does not tell when a cell of '{population.id}' sends an event"
        raise UnsupportedError(Diagnostic(message))
    return found * 1e3
