"""The networks written by hand for Brian2's C++: `python hand_brian2.py NETWORK THREADS`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import brian2 as b2
import numpy as np
from report import Report


def pulse_coupled() -> tuple[b2.NeuronGroup, list[b2.Synapses]]:
    """Return the network of Izhikevich (2003)."""
    cells = b2.NeuronGroup(
        1000,
        """
        dv/dt = (0.04*v**2 + 5*v + 140 - u + arrived + noise)/ms : 1
        du/dt = a*(b*v - u)/ms : 1
        arrived : 1
        noise : 1
        a : 1 (constant)
        b : 1 (constant)
        c : 1 (constant)
        d : 1 (constant)
        sigma : 1 (constant)
        """,
        threshold="v >= 30",
        reset="v = c; u += d",
        method="euler",
    )
    cells.run_regularly("noise = sigma*randn()", when="start")
    cells.run_regularly("arrived = 0", when="after_groups")
    random = np.random.default_rng(1)
    r = random.random(1000)
    exc = np.arange(1000) < 800
    cells.a = np.where(exc, 0.02, 0.02 + 0.08 * r)
    cells.b = np.where(exc, 0.2, 0.25 - 0.05 * r)
    cells.c = np.where(exc, -65 + 15 * r**2, -65)
    cells.d = np.where(exc, 8 - 6 * r**2, 2)
    cells.sigma = np.where(exc, 5, 2)
    cells.v = -65
    cells.u = "b*v"
    synapses = b2.Synapses(cells, cells, "w : 1", on_pre="arrived_post += w")
    synapses.connect()
    synapses.w = "rand()*(0.5*int(i < 800) - int(i >= 800))"
    return cells, [synapses]


def iaf(arrays: dict[str, np.ndarray]) -> tuple[b2.NeuronGroup, list]:
    """Return a network of conductance-based cells."""
    cells = b2.NeuronGroup(
        int(arrays["n_cells"]),
        """
        dv/dt = (10*(-60 - v) + ge*(0 - v) + gi*(-80 - v) + drive*int(t < stop))/200/ms
            : 1 (unless refractory)
        dge/dt = -ge/(5*ms) : 1
        dgi/dt = -gi/(10*ms) : 1
        drive : 1 (constant)
        """,
        threshold="v > -50",
        reset="v = -60",
        refractory=5 * b2.ms,
        method="euler",
        namespace={"stop": float(arrays["drive_ms"]) * b2.ms},
    )
    cells.v = -60
    cells.drive = arrays["drive"] * 1e3
    n_exc = int(arrays["n_cells"]) * 4 // 5
    parts = []
    for target, chosen in (("ge", arrays["pre"] < n_exc), ("gi", arrays["pre"] >= n_exc)):
        synapses = b2.Synapses(cells, cells, "w : 1", on_pre=f"{target}_post += w", delay=b2.ms)
        synapses.connect(i=arrays["pre"][chosen], j=arrays["post"][chosen])
        synapses.w = arrays["weight"][chosen]
        parts.append(synapses)
    return cells, parts


def main(path: str, threads: int) -> None:
    """Build and simulate; each run is a process of the compiled program."""
    report = Report("Brian2", b2.__version__)
    name = Path(path).name
    arrays = None if name == "pulse_coupled" else dict(np.load(f"{path}.npz"))
    with tempfile.TemporaryDirectory() as folder:
        b2.set_device("cpp_standalone", build_on_run=False)
        if threads > 1:
            b2.prefs.devices.cpp_standalone.openmp_threads = threads
        b2.defaultclock.dt = (1.0 if arrays is None else float(arrays["step_ms"])) * b2.ms
        with report.stage("load"):
            cells, synapses = pulse_coupled() if arrays is None else iaf(arrays)
            monitor = b2.SpikeMonitor(cells)
            network = b2.Network(cells, *synapses, monitor)
            network.run(1 * b2.second)
        with report.stage("build"):
            b2.device.build(directory=folder, compile=True, run=False)
        for _ in report.turns():
            b2.device.run(folder, with_output=False)
            # Its own measurement, which leaves the making of synapses out.
            report.ran(float(b2.device._last_run_time), int(monitor.num_spikes))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
