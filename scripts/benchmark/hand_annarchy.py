"""The networks written by hand for ANNarchy: `python hand_annarchy.py NETWORK THREADS [fastest]`.

`pulse_coupled` is ANNarchy's own example of that name, all settings left as they are there. The
others leave ANNarchy's storage of connections as it is too, or take the fastest of its formats.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from report import Report

ARGUMENTS, sys.argv = sys.argv[1:], sys.argv[:1]  # ANNarchy reads them too

import ANNarchy as ann

IAF = {
    "parameters": {
        "el": -60.0, "vt": -50.0, "vr": -60.0, "c": 200.0, "gl": 10.0,
        "ee": 0.0, "ei": -80.0, "te": 5.0, "ti": 10.0, "drive": ann.Parameter(0.0, "local"),
    },
    "equations": """
        dv/dt = (gl*(el - v) + g_exc*(ee - v) + g_inh*(ei - v) + drive)/c : init=-60.0
        dg_exc/dt = -g_exc/te
        dg_inh/dt = -g_inh/ti
    """,
    "spike": "v > vt",
    "reset": "v = vr",
    "refractory": 5.0,
}  # fmt: skip


def pulse_coupled(network: ann.Network) -> ann.Population:
    """Return the population of the network of Izhikevich (2003)."""
    cells = network.create(1000, ann.Izhikevich)
    exc, inh = cells[:800], cells[800:]
    r_exc, r_inh = np.random.random(800), np.random.random(200)
    exc.noise, inh.noise = 5.0, 2.0
    exc.a, inh.a = 0.02, 0.02 + 0.08 * r_inh
    exc.b, inh.b = 0.2, 0.25 - 0.05 * r_inh
    exc.c, inh.c = -65.0 + 15.0 * r_exc**2, -65.0
    exc.d, inh.d = 8.0 - 6.0 * r_exc**2, 2.0
    exc.v, inh.v = -65.0, -65.0
    exc.u, inh.u = exc.v * exc.b, inh.v * inh.b
    network.connect(exc, cells, "exc").all_to_all(weights=ann.Uniform(0.0, 0.5))
    network.connect(inh, cells, "inh").all_to_all(weights=ann.Uniform(0.0, 1.0))
    return cells


FASTEST = {"storage_format": "csr", "storage_order": "pre_to_post"}


def iaf(
    network: ann.Network, arrays: dict[str, np.ndarray], storage: dict[str, str]
) -> ann.Population:
    """Return the population of a network of conductance-based cells."""
    from scipy.sparse import coo_matrix

    n_cells = int(arrays["n_cells"])
    n_exc = n_cells * 4 // 5
    cells = network.create(n_cells, ann.Neuron(**IAF))
    cells.drive = arrays["drive"] * 1e3
    for target, chosen in (("exc", arrays["pre"] < n_exc), ("inh", arrays["pre"] >= n_exc)):
        ends = arrays["pre"][chosen], arrays["post"][chosen]
        weights = coo_matrix((arrays["weight"][chosen], ends), shape=(n_cells, n_cells))
        projection = network.connect(cells, cells, target)
        projection.from_sparse(weights.tocsc(), delays=1.0, **storage)
    return cells


def main(path: str, threads: int, storage: dict[str, str]) -> None:
    """Build and simulate; the runs follow each other."""
    report = Report("ANNarchy", ann.__release__)
    name = Path(path).name
    arrays = None if name == "pulse_coupled" else dict(np.load(f"{path}.npz"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        if threads > 1:
            ann.setup(num_threads=threads)
        network = ann.Network(dt=1.0 if arrays is None else float(arrays["step_ms"]))
        with report.stage("load"):
            cells = pulse_coupled(network) if arrays is None else iaf(network, arrays, storage)
        with report.stage("build"):
            network.compile(silent=True)
        monitor = network.monitor(cells, ["spike"])
        for _ in report.turns():
            start = time.perf_counter()
            if arrays is None:
                network.simulate(1000.0)
            else:
                cells.drive = arrays["drive"] * 1e3
                network.simulate(float(arrays["drive_ms"]))
                cells.drive = 0.0
                network.simulate(1000.0 - float(arrays["drive_ms"]))
            seconds = time.perf_counter() - start
            report.ran(seconds, sum(map(len, monitor.get("spike").values())))


if __name__ == "__main__":
    main(ARGUMENTS[0], int(ARGUMENTS[1]), FASTEST if "fastest" in ARGUMENTS else {})
