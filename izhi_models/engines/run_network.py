"""Runs a network in NEURON, on as many processes as MPI started.

It needs NEURON and NumPy only, and the folder in which it stands: `network.json`, which says what
there is, the connections as arrays, and the mechanisms, compiled by `nrnivmodl .`::

    python run_network.py
    mpirun -n 4 nrniv -mpi -python run_network.py

Each cell lives on one process, in turn, with the synapses on it. Spikes go to `spikes.dat`: number
of the cell, time in s. What is recorded goes to `traces.dat`: time in s, and values in SI.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

_ROWS = 2**18  # connections that are looked at in one go


class Network:
    """What of a network is on this process.

    Parameters
    ----------
    h : hoc interpreter of NEURON
    folder : Path
    """

    def __init__(self, h: Any, folder: Path) -> None:
        self.h = h
        self.folder = folder
        self.plan: dict[str, Any] = json.loads((folder / "network.json").read_text())
        self.pc = h.ParallelContext()
        self.n_processes = int(self.pc.nhost())
        self.process = int(self.pc.id())
        self.cells: dict[int, Any] = {}  # by number: the section, and its mechanism if it has one
        self.mechanisms: dict[int, Any] = {}
        self.kept = h.List()
        self.synapses: dict[tuple[str, int], Any] = {}
        self.shown: set[int] = set()
        self.handlers: list[Any] = []
        self.replayed: list[np.ndarray] = []
        self.traces: list[tuple[int, Any]] = []
        self.firsts = [item["first"] for item in self.plan["populations"]]

    def build(self) -> None:
        """Make cells, connections and inputs."""
        if "celsius" in self.plan:
            self.h.celsius = self.plan["celsius"]
        for number, population in enumerate(self.plan["populations"]):
            if "replayed" not in population:
                self._add_cells(self.firsts[number], population)
        for name, value in self.plan["ions"].items():
            setattr(self.h, name, value)
        self._replay()
        for item in self.plan["connections"]:
            self._connect(item)
        for item in self.plan["continuous"]:
            self._connect_continuously(item)
        for item in self.plan["inputs"]:
            self._add_inputs(item)
        for number, item in enumerate(self.plan["traces"]):
            self._record(number, item)

    def run(self) -> None:
        """Simulate, and write what was recorded."""
        h, pc = self.h, self.pc
        h.dt = self.plan["dt_ms"]
        h.steps_per_ms = 1.0 / h.dt
        h.tstop = self.plan["duration_ms"]
        times, numbers = h.Vector(), h.Vector()
        pc.spike_record(-1, times, numbers)
        pc.setup_transfer()
        pc.set_maxstep(max(10.0, 2 * h.dt))  # more than a step
        h.stdinit()
        # Half a step more, so that rounding of the time does not leave out the last.
        pc.psolve(self.plan["duration_ms"] + h.dt / 2)
        spikes = np.column_stack([numbers.as_numpy(), times.as_numpy()])
        spikes = np.concatenate([spikes, *self.replayed])
        traces = [(number, vector.as_numpy().copy()) for number, vector in self.traces]
        gathered = pc.py_gather((spikes, traces), 0)
        if self.process == 0:
            self._write(gathered)
        pc.barrier()

    # Cells

    def _own(self, first: int, size: int) -> range:
        """Return those of some cells that are on this process."""
        return range(
            first + (self.process - first) % self.n_processes, first + size, self.n_processes
        )

    def _add_cells(self, first: int, population: dict[str, Any]) -> None:
        h, cell = self.h, population["cell"]
        if "template" in cell:
            h.load_file(cell["file"])
        for number in self._own(first, population["size"]):
            if "template" in cell:
                made = getattr(h, cell["template"])()
                section = getattr(made, cell["root"])
                self._at_start(0, made.set_initial_v)
                self._at_start(1, made.set_initial_ion_properties)
                self.kept.append(made)
            else:
                section = h.Section(name=f"cell_{number}")
                section.L, section.diam = cell["length"], cell["diameter"]
                section.cm = cell["capacitance"]
                made = getattr(h, cell["mechanism"])(section(0.5))
                for name, value in cell["values"].items():
                    setattr(made, name, value)
                self.mechanisms[number] = made
                if "v" in population:
                    self._at_start(0, partial(setattr, section, "v", population["v"]))
            self.cells[number] = section
            self._send(number, population)

    def _at_start(self, moment: int, what: Callable[[], Any]) -> None:
        """Do something before mechanisms start (0), or after that (1)."""
        self.handlers.append(self.h.FInitializeHandler(moment, what))

    def _send(self, number: int, population: dict[str, Any]) -> None:
        """Let a cell send events under its number."""
        h, section = self.h, self.cells[number]
        if population["sends"] == "events":
            source = h.NetCon(self.mechanisms[number], None, sec=section)
        elif population["sends"] == "crossings":
            source = h.NetCon(section(0.5)._ref_v, None, sec=section)
            source.threshold = population["threshold"]
        else:
            return
        self.pc.set_gid2node(number, self.process)
        self.pc.cell(number, source)

    def _replay(self) -> None:
        """Send the events of cells that are not simulated, at the times that are known."""
        spikes = [np.empty((0, 2))]
        for first, population in zip(self.firsts, self.plan["populations"], strict=True):
            if "replayed" not in population:
                continue
            known = np.load(self.folder / population["replayed"])
            spikes.append(np.column_stack([first + known["cell"], known["time"]]))
            if population["sends"] and self.process == 0:
                self.replayed.append(spikes[-1])
        every = np.concatenate(spikes)
        every = every[np.argsort(every[:, 1], kind="stable")]
        self.pattern = self.h.PatternStim()
        self.times = self.h.Vector(every[:, 1]), self.h.Vector(every[:, 0])
        self.pattern.play(*self.times)

    # Connections

    def _rows(self, item: dict[str, Any]) -> Iterator[np.ndarray]:
        """Yield the connections of a projection to cells of this process."""
        whole = np.load(self.folder / item["file"], mmap_mode="r")
        last = self.firsts[item["post"]]
        for start in range(0, whole.size, _ROWS):
            rows = np.array(whole[start : start + _ROWS])
            yield rows[(last + rows["post"]) % self.n_processes == self.process]

    def _connect(self, item: dict[str, Any]) -> None:
        first, last = self.firsts[item["pre"]], self.firsts[item["post"]]
        mechanism = getattr(self.h, item["mechanism"])
        connect, keep = self.pc.gid_connect, self.kept.append
        for rows in self._rows(item):
            for pre, post, weight, delay in rows.tolist():
                key = item["mechanism"], last + post
                synapse = self.synapses.get(key) if item["is_shared"] else None
                if synapse is None:
                    synapse = mechanism(self.cells[last + post](0.5))
                    keep(synapse)
                    if item["is_shared"]:
                        self.synapses[key] = synapse
                made = connect(first + pre, synapse)
                made.weight[0] = weight
                made.delay = delay
                keep(made)

    def _connect_continuously(self, item: dict[str, Any]) -> None:
        """Show synapses the voltage of the cell at the other end."""
        first, last = self.firsts[item["pre"]], self.firsts[item["post"]]
        whole = np.load(self.folder / item["file"], mmap_mode="r")
        for pre in np.unique(whole["pre"]).tolist():
            if first + pre in self.cells and first + pre not in self.shown:
                section = self.cells[first + pre]
                self.pc.source_var(section(0.5)._ref_v, first + pre, sec=section)
                self.shown.add(first + pre)
        for rows in self._rows(item):
            for pre, post, weight, _ in rows.tolist():
                synapse = getattr(self.h, item["mechanism"])(self.cells[last + post](0.5))
                synapse.weight = weight
                self.pc.target_var(synapse, synapse._ref_vpeer, first + pre)
                self.kept.append(synapse)

    def _add_inputs(self, item: dict[str, Any]) -> None:
        first = self.firsts[item["population"]]
        for cell, weight in np.load(self.folder / item["file"]).tolist():
            if first + cell not in self.cells:
                continue
            made = getattr(self.h, item["mechanism"])(self.cells[first + cell](0.5))
            if weight != 1.0:
                made.weight = weight
            self.kept.append(made)

    # Results

    def _record(self, number: int, item: dict[str, Any]) -> None:
        cell = self.firsts[item["population"]] + item["cell"]
        if cell not in self.cells:
            return
        owner = self.cells[cell](0.5) if item["of"] == "section" else self.mechanisms[cell]
        reference = getattr(owner, f"_ref_{item['name']}")
        vector = self.h.Vector()
        vector.record(reference, sec=self.cells[cell])
        self.traces.append((number, vector))

    def _write(self, gathered: list[Any]) -> None:
        spikes = np.concatenate([own for own, _ in gathered])
        spikes = spikes[np.lexsort((spikes[:, 0], spikes[:, 1]))]
        with (self.folder / "spikes.dat").open("w") as file:
            file.writelines(f"{int(cell)}\t{time / 1e3:.9g}\n" for cell, time in spikes)
        if not self.plan["traces"]:
            return
        values = dict(item for _, own in gathered for item in own)
        columns = [values[n] * item["factor"] for n, item in enumerate(self.plan["traces"])]
        n_rows = min(column.size for column in columns)
        times = np.arange(n_rows) * self.plan["dt_ms"] / 1e3
        table = np.column_stack([times, *(column[:n_rows] for column in columns)])
        np.savetxt(self.folder / "traces.dat", table, fmt="%.12g", delimiter="\t")


def main() -> None:
    """Run the network of the folder in which this file stands."""
    folder = Path(__file__).resolve().parent
    os.chdir(folder)  # where NEURON looks for mechanisms
    from neuron import h

    h.load_file("stdrun.hoc")
    network = Network(h, folder)
    expected = os.environ.get("OMPI_COMM_WORLD_SIZE", "1")
    if str(network.n_processes) != expected:
        sys.exit(f"{expected} copies were started, of which none knows the others: nrniv -mpi")
    print(f"{network.n_processes} processes")
    network.build()
    network.run()
    network.pc.done()
    h.quit()


if __name__ == "__main__":
    main()
