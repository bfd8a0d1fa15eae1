"""The networks written by hand for NEST: `python hand_nest.py NETWORK THREADS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nest
import numpy as np
from report import Report


def pulse_coupled() -> nest.NodeCollection:
    """Return the cells of the network of Izhikevich (2003)."""
    r = np.random.default_rng(1).random(1000)
    exc = nest.Create("izhikevich", 800)
    inh = nest.Create("izhikevich", 200)
    exc.set({"a": 0.02, "b": 0.2, "c": -65 + 15 * r[:800] ** 2, "d": 8 - 6 * r[:800] ** 2})
    inh.set({"a": 0.02 + 0.08 * r[800:], "b": 0.25 - 0.05 * r[800:], "c": -65.0, "d": 2.0})
    for cells, sigma, low, high in ((exc, 5.0, 0.0, 0.5), (inh, 2.0, -1.0, 0.0)):
        cells.V_m = -65.0
        cells.U_m = -65.0 * np.array(cells.b)
        nest.Connect(nest.Create("noise_generator", params={"std": sigma, "dt": 1.0}), cells)
        weight = nest.random.uniform(low, high)
        nest.Connect(cells, exc + inh, syn_spec={"weight": weight, "delay": 1.0})
    return exc + inh


def iaf(arrays: dict[str, np.ndarray]) -> nest.NodeCollection:
    """Return the cells of a network of conductance-based cells."""
    n_exc = int(arrays["n_cells"]) * 4 // 5
    cells = nest.Create(
        "iaf_cond_exp",
        int(arrays["n_cells"]),
        params={
            "E_L": -60.0, "V_th": -50.0, "V_reset": -60.0, "V_m": -60.0, "C_m": 200.0,
            "g_L": 10.0, "t_ref": 5.0, "E_ex": 0.0, "E_in": -80.0,
            "tau_syn_ex": 5.0, "tau_syn_in": 10.0,
        },
    )  # fmt: skip
    sign = np.where(arrays["pre"] < n_exc, 1.0, -1.0)  # which of the two conductances
    nest.Connect(
        arrays["pre"].astype(np.int64) + cells[0].global_id,
        arrays["post"].astype(np.int64) + cells[0].global_id,
        "one_to_one",
        {"weight": sign * arrays["weight"], "delay": np.full(sign.size, 1.0)},
    )
    return cells


def main(path: str, threads: int) -> None:
    """Build and simulate; the runs follow each other."""
    report = Report("NEST", nest.__version__)
    name = Path(path).name
    arrays = None if name == "pulse_coupled" else dict(np.load(f"{path}.npz"))
    nest.set_verbosity("M_ERROR")
    nest.resolution = 1.0 if arrays is None else float(arrays["step_ms"])
    nest.local_num_threads = threads
    with report.stage("load"):
        cells = pulse_coupled() if arrays is None else iaf(arrays)
        recorder = nest.Create("spike_recorder")
        nest.Connect(cells, recorder)
    with report.stage("build"):
        nest.Prepare()
        nest.Cleanup()
    for length in report.turns():
        recorder.n_events = 0
        start = time.perf_counter()
        if arrays is None:
            nest.Simulate(length)
        else:
            cells.I_e = arrays["drive"] * 1e3
            nest.Simulate(min(float(arrays["drive_ms"]), length))
            cells.I_e = 0.0
            if length > float(arrays["drive_ms"]):
                nest.Simulate(length - float(arrays["drive_ms"]))
        report.ran(time.perf_counter() - start, int(recorder.n_events))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
