"""Runs NEURON on NeuroML's example of cells with several compartments, as jNeuroML exports it.

`python -m tests.conformance.neuron` writes `neuron.json`: when v crosses -20 mV upwards at each
segment of each cell, and v of the segments at some times. It needs the package neuron, version 9,
and a C compiler. The step is 1/25 of that of the file: the errors of NEURON's implicit Euler are
of the first order, and 0.05 ms after 100 ms still with 1/5.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from izhi_models.lems.read import core_archive
from tests.conformance.comparison import crossings
from tests.conformance.reference import extract_examples, java

FILE = Path(__file__).with_name("neuron.json")
EXAMPLE = "LEMS_NML2_Ex25_MultiComp.xml"
THRESHOLD = -0.02  # V, the spikeThresh of the example
STEP_MS = 0.0002
TIMES_MS = (5.0, 19.9, 22.0, 24.0)  # at rest, before the first pulse, and in the first spikes
N_CELLS, N_SEGMENTS = 3, 4


def run_neuron(folder: Path, step_ms: float) -> list[np.ndarray]:
    """Return the table of each cell: times [s], and v of each segment [V]."""
    path = extract_examples(folder) / EXAMPLE
    here = path.parent
    subprocess.run(
        [java(), "-jar", core_archive(), path.name, "-neuron", "-nogui"],
        cwd=here,
        check=True,
        capture_output=True,
    )
    script = here / f"{path.stem}_nrn.py"
    text, count = re.subn(r"dt=0\.005\b", f"dt={step_ms}", script.read_text(encoding="utf-8"))
    assert count >= 1
    script.write_text(text, encoding="utf-8")
    (here / "results").mkdir()
    binaries = Path(sys.executable).parent
    compiler = shutil.which("nrnivmodl", path=f"{binaries}{os.pathsep}{os.environ['PATH']}")
    assert compiler is not None
    for command in ([compiler, "."], [sys.executable, script.name, "-nogui"]):
        subprocess.run(command, cwd=here, check=True, capture_output=True)
    return [np.loadtxt(here / "results" / f"ex25_{cell}.dat") for cell in range(N_CELLS)]


def main() -> None:
    """Write what NEURON gives."""
    with tempfile.TemporaryDirectory() as folder:
        tables = run_neuron(Path(folder), STEP_MS)
    found = {
        str(cell): {
            "spikes_ms": [
                np.round(crossings(table[:, 0], table[:, column], THRESHOLD) * 1e3, 4).tolist()
                for column in range(1, N_SEGMENTS + 1)
            ],
            "v_mV": {
                f"{time:g}": [
                    round(float(np.interp(time * 1e-3, table[:, 0], table[:, column])) * 1e3, 4)
                    for column in range(1, N_SEGMENTS + 1)
                ]
                for time in TIMES_MS
            },
        }
        for cell, table in enumerate(tables)
    }
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
