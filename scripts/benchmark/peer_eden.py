"""Runs the same file in EDEN: `python peer_eden.py FILE THREADS`."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from eden_simulator import embeden
from report import Report


def main(path: str, threads: int) -> None:
    """Run the file, which writes its spikes; each run is a process that does all of it."""
    report = Report("EDEN", importlib.metadata.version("eden-simulator"))
    for _ in report.turns():
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [embeden.get_exe_path(), "nml", path, "gcc"],
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"},
                capture_output=True,
                text=True,
                check=True,
            )
            (spikes,) = Path(folder).glob("*.spikes")
            with spikes.open(encoding="ascii") as rows:
                n_spikes = sum(1 for _ in rows)
        # Its own measurement, which leaves reading and compiling out.
        found = re.search(r"Run: ([\d.]+)", done.stdout)
        report.ran(float(found[1]) if found else float("nan"), n_spikes)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
