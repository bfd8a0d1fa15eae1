"""Models run by NEURON, NetPyNE and EDEN, through jNeuroML's converters."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from izhi_models.engines.jneuroml import Floats, Reference, read_table, run_jneuroml
from izhi_models.engines.neuron_folder import NETWORK
from izhi_models.engines.prepare import SPIKES, TRACES, Prepared
from izhi_models.engines.programs import find_program, run_program
from izhi_models.errors import BackendError, Diagnostic, RunError, UnsupportedError

_MPI_LIBRARY = "MPI_LIB_NRN_PATH"
_BY_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

Run = Callable[[Prepared, int, float], Reference]


def in_jneuroml(prepared: Prepared, processes: int, limit_s: float) -> Reference:
    """Run a model in the reference interpreter.

    Parameters
    ----------
    prepared : Prepared
    processes : int
        One.
    limit_s : float
        Seconds after which it is given up.

    Raises
    ------
    BackendError
        If a program is missing.
    RunError
        If it fails.
    UnsupportedError
        If the simulator cannot run it.
    """
    _refuse_processes("jneuroml", processes)
    return run_jneuroml(prepared.main, prepared.quantities, prepared.cells, limit_s=limit_s)


def in_neuron(prepared: Prepared, processes: int, limit_s: float) -> Reference:
    """Run a model in NEURON, on as many processes as are asked for: see `in_jneuroml`."""
    compile_mechanisms(prepared.main.parent, limit_s)
    return run_neuron(prepared, processes, limit_s)


def run_neuron(prepared: Prepared, processes: int, limit_s: float) -> Reference:
    """Run a script for NEURON beside compiled mechanisms: see `in_jneuroml`."""
    find_program("nrnivmodl", "neuron")
    if processes > 1 and prepared.main.name != NETWORK:
        message = "cells of several compartments run in one process of NEURON"
        raise UnsupportedError(Diagnostic(message, notes=("take --engine netpyne",)))
    output = _run_script(prepared, processes, "NEURON", limit_s)
    told = re.search(r"^(\d+) processes$", output, re.MULTILINE)
    _check_shared("NEURON", processes, told)
    return _read(prepared, output, "NEURON")


def in_netpyne(prepared: Prepared, processes: int, limit_s: float) -> Reference:
    """Run a model in NetPyNE, on as many processes as are asked for: see `in_jneuroml`."""
    if find_spec("netpyne") is None:
        raise BackendError(Diagnostic("NetPyNE is not installed", notes=("pip install netpyne",)))
    compile_mechanisms(prepared.main.parent, limit_s)
    return run_netpyne(prepared, processes, limit_s)


def run_netpyne(prepared: Prepared, processes: int, limit_s: float) -> Reference:
    """Run a script for NetPyNE beside compiled mechanisms: see `in_jneuroml`."""
    output = _run_script(prepared, processes, "NetPyNE", limit_s)
    _check_shared("NetPyNE", processes, re.search(r"(\d+) workers", output))
    return _read(prepared, output, "NetPyNE")


def _run_script(prepared: Prepared, processes: int, what: str, limit_s: float) -> str:
    """Run a script for NEURON, shared among processes, and return what it printed."""
    script = prepared.main
    command: list[str | Path] = [sys.executable, script.name]
    environment = {"MPLBACKEND": "Agg", **_ONE_THREAD}
    if processes == 1:
        command.append("-nogui")  # with which NetPyNE would leave without a word to MPI
    else:
        # nrniv -mpi, since plain Python would run as many copies of the whole network.
        mpirun = find_program("mpirun", "openmpi")
        nrniv = find_program("nrniv", "neuron")
        command = [mpirun, "--oversubscribe", "-n", str(processes), nrniv, "-mpi", "-python"]
        command.append(script.name)
        environment |= _BY_ROOT if os.geteuid() == 0 else {}
        environment |= _mpi_library(mpirun)
    return run_program(command, script.parent, what, limit_s=limit_s, environment=environment)


def _check_shared(what: str, processes: int, told: re.Match[str] | None) -> None:
    if processes > 1 and (told is None or int(told[1]) != processes):
        raise RunError(f"{what} did not share the network among {processes} processes")


def _mpi_library(mpirun: Path) -> dict[str, str]:
    """Return where NEURON finds MPI, if it lies beside its program and not where it is sought."""
    if _MPI_LIBRARY in os.environ:
        return {}
    found = sorted((mpirun.parent.parent / "lib").glob("libmpi.so.*"))
    return {_MPI_LIBRARY: str(found[0])} if found else {}


def in_eden(prepared: Prepared, processes: int, limit_s: float) -> Reference:
    """Run a model in EDEN: see `in_jneuroml`."""
    _refuse_processes("eden", processes)
    folder = prepared.main.parent
    eden = find_program("eden", "eden-simulator")
    command: list[str | Path] = [eden, "nml", prepared.main.name]
    try:
        # Its threads spin, which is slow where other programs run.
        output = run_program(command, folder, "EDEN", limit_s=limit_s, environment=_ONE_THREAD)
    except RunError as error:
        if "crashed" not in error.diagnostics[0].message:
            raise
        hint = "the released EDEN crashes on models with exp and the like; one built here does not"
        raise UnsupportedError(Diagnostic("EDEN crashed on this model", notes=(hint,))) from None
    return _read(prepared, output, "EDEN")


def compile_mechanisms(folder: Path, limit_s: float) -> None:
    """Compile the mechanisms of a folder for NEURON.

    Parameters
    ----------
    folder : Path
    limit_s : float

    Raises
    ------
    BackendError
        If NEURON, or a compiler, is not installed.
    UnsupportedError
        If its compiler refuses a mechanism.
    """
    nrnivmodl = find_program("nrnivmodl", "neuron")
    if not any(folder.glob("*.mod")):
        return
    for program in ("make", (os.environ.get("CXX") or "g++").split()[0]):
        if shutil.which(program) is None:
            hint = "install make and a C++ compiler"
            message = f"there is no '{program}', with which NEURON compiles mechanisms"
            raise BackendError(Diagnostic(message, notes=(hint,)))
    try:
        run_program([nrnivmodl, "."], folder, "nrnivmodl", limit_s=limit_s)
    except RunError as error:
        hint = "NEURON's compiler refuses what jNeuroML wrote"
        message = f"NEURON cannot run this model: {error.diagnostics[0].message}"
        raise UnsupportedError(Diagnostic(message, notes=(hint,))) from None


def _refuse_processes(engine: str, processes: int) -> None:
    if processes > 1:
        message = f"the engine '{engine}' runs in one process"
        raise UnsupportedError(Diagnostic(message, notes=("take --engine neuron",)))


def _read(prepared: Prepared, output: str, what: str) -> Reference:
    """Read what a simulator wrote, and refuse what it is known to write when it failed."""
    folder = prepared.main.parent
    traces: dict[str, Floats] = {}
    times = np.empty(0)
    if prepared.quantities:
        table = _table(folder / TRACES, len(prepared.quantities) + 1, what, output)
        times = table[:, 0]
        traces = {name: table[:, n + 1] for n, name in enumerate(prepared.quantities)}
        for name, values in traces.items():
            if not np.isfinite(values).all():
                raise RunError(f"{what}: '{name}' is not finite")
            if name.endswith("/v") and values.size > 1 and not values.any():
                raise RunError(f"{what} gives v = 0 throughout for '{name}': it lost the cell")
    spikes = np.empty((0, 2))
    if prepared.cells:
        spikes = _table(folder / SPIKES, 2, what, output)
    numbers = spikes[:, 0].astype(int)
    return Reference(
        times,
        traces,
        {cell: np.sort(spikes[numbers == n, 1]) for n, cell in enumerate(prepared.cells)},
    )


def _table(path: Path, columns: int, what: str, output: str) -> Floats:
    if not path.exists():
        last = [line for line in output.splitlines() if line.strip()][-1:]
        raise RunError(f"{what} wrote no results: {' '.join(last)}")
    return read_table(path, columns)
