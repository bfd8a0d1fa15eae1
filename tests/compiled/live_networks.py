"""Networks made in ANNarchy for tests, and how their spikes compare with those of the model."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import izhi_models
from izhi_models.pipeline import Model
from izhi_models.results import Results


@contextlib.contextmanager
def quiet_annarchy(folder: Path) -> Iterator[ModuleType]:
    """Import ANNarchy, which reads the command line and writes into the working folder."""
    before = sys.argv
    sys.argv = ["test"]
    try:
        with contextlib.chdir(folder):
            import ANNarchy

            yield ANNarchy
    finally:
        sys.argv = before


@dataclass
class Watched:
    """A network with monitors of the spikes of its populations, and of a variable of each.

    Parameters
    ----------
    network : ANNarchy.Network
    variables : dict of str to str
        What is recorded of the first cell, by population.
    core_types : bool
        Whether to read it with types of NeuroML, too.
    """

    network: Any
    variables: dict[str, str] = field(default_factory=dict)
    core_types: bool = False

    def __post_init__(self) -> None:
        self.monitors = {}
        for population in self.network.get_populations():
            watched = ["spike"] if population.neuron_type.type == "spike" else []
            if population.name in self.variables:
                watched.append(self.variables[population.name])
            if watched:
                self.monitors[population.name] = self.network.monitor(population, watched)

    def run(self, folder: Path, duration_ms: float) -> None:
        """Compile the network, read it, and let both run."""
        # What is compiled runs for moments: no time is spent on making it fast.
        self.network.compile(directory=str(folder / "annarchy"), compiler_flags="-O0", silent=True)
        duration = f"{duration_ms} ms"
        self.model: Model = izhi_models.from_annarchy(self.network, duration=duration)
        if self.core_types:
            self.standard: Model = izhi_models.from_annarchy(
                self.network, duration=duration, core_types=True
            )
        self.network.simulate(duration_ms)
        self.results: Results = self.model.compile(
            record=[f"{name}[0]/{variable}" for name, variable in self.variables.items()]
        ).simulate()
        self.spikes = {
            name: monitor.get("spike")
            for name, monitor in self.monitors.items()
            if "spike" in monitor.variables
        }
        self.traces = {
            name: np.asarray(self.monitors[name].get(variable))
            for name, variable in self.variables.items()
        }

    def live_steps(self, name: str) -> list[list[int]]:
        """Return the steps in which each cell has spiked in ANNarchy, which names their start."""
        spikes = self.spikes[name]
        size = self.network.get_population(name).size
        return [sorted(int(step) + 1 for step in spikes.get(cell, [])) for cell in range(size)]

    def model_steps(self, name: str) -> list[list[int]]:
        """Return the steps in which each cell has spiked in the model."""
        return steps_of(self.results, name, self.network.dt, self.network.get_population(name).size)

    def largest_difference(self, name: str) -> float:
        """Return by how much the recorded variable differs, both at the ends of steps."""
        size = self.network.get_population(name).size
        live = self.traces[name].reshape(-1, size)[:, 0]
        model = np.asarray(self.results[f"{name}[0]/{self.variables[name]}"])
        return float(np.abs(live - model[1 : live.size + 1]).max())


def steps_of(results: Results, name: str, dt_ms: float, size: int) -> list[list[int]]:
    """Return the steps in which each cell of a population has spiked."""
    trains = (results.spikes[name].of(cell) for cell in range(size))
    return [np.rint(train * 1e3 / dt_ms).astype(int).tolist() for train in trains]
