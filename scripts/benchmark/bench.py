"""Measures this package beside other simulators, and prints a table.

`scripts/bench [--runs N] [--only WORD] [--out FOLDER]`. Programs that are compared run in turn on
the same machine, with the same step and one thread unless the table says otherwise; each figure is
the median of the runs. What is not installed is named in its row.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import networks

import izhi_models

HERE = Path(__file__).parent

_MODULES = {
    "hand_annarchy.py": "ANNarchy",
    "hand_brian2.py": "brian2",
    "hand_nest.py": "nest",
    "peer_eden.py": "eden_simulator",
}


@dataclass
class Measured:
    """A line of the table. Times are medians in seconds."""

    work: str
    ours: str
    other: str = ""
    factor: float | None = None
    wanted: str = ""
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class Program:
    """A process that does a run whenever it is asked to."""

    def __init__(self, script: str, *arguments: object, env: dict[str, str] | None = None) -> None:
        self.name = script
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.facts = self._answer()
        self.runs: list[dict[str, Any]] = []

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout or ():
            if line.startswith("{"):
                return dict(json.loads(line))
        self._log.seek(0)
        lines = self._log.read().strip().splitlines() or ["it ended"]
        raise RuntimeError(lines[-1])

    def run(self) -> None:
        """Do one run."""
        if self._process.stdin is not None:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        self.runs.append(self._answer())

    def median(self, key: str = "seconds") -> float:
        """Return the median over the runs."""
        return statistics.median(item[key] for item in self.runs)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def in_turn(programs: Sequence[Program], runs: int) -> None:
    """Let programs run in turn, after one run each that is not counted."""
    for number in range(runs + 1):
        for program in programs:
            program.run()
            if number == 0:
                program.runs.clear()


def against(
    work: str,
    ours: Sequence[object],
    peer: tuple[str, Sequence[object]],
    wanted: float,
    runs: int,
    *,
    per_spike: bool = False,
    bound: float = 0.1,
) -> Measured:
    """Compare one network here and elsewhere.

    `bound` is how far the numbers of spikes may differ. Where the equations of two programs are
    not the same, times are compared `per_spike`.
    """
    script, arguments = peer
    name = _MODULES[script]
    line = Measured(work, "", name, wanted=f">= {wanted:g}")
    programs: list[Program] = []
    try:
        programs.append(Program("ours.py", *ours))
        programs.append(Program(script, *arguments))
        in_turn(programs, runs)
    except RuntimeError as error:
        line.note = f"not measured: {error}"
        return line
    finally:
        for program in programs:
            program.close()
    times = [item.median() for item in programs]
    spikes = [item.median("spikes") for item in programs]
    line.ours, line.other = f"{times[0]:.4g}", f"{name} {times[1]:.4g}"
    scale = spikes[0] / spikes[1] if per_spike else 1.0
    line.factor = times[1] / times[0] * scale
    line.note = f"{spikes[0]:.0f} and {spikes[1]:.0f} spikes"
    if per_spike:
        line.note += ", per spike"
    if abs(spikes[0] / spikes[1] - 1.0) > bound:
        line.note += f": not the same work, they differ by more than {bound:.0%}"
    line.details = {item.name: {**item.facts, "runs": item.runs} for item in programs}
    return line


def pulse_coupled(folder: Path, runs: int) -> list[Measured]:
    """Compare the network of Izhikevich (2003): 1000 cells, 1 000 000 synapses, 1 s at 1 ms."""
    name, lines = "pulse-coupled, 1e6 synapses", []
    for precision, wanted in (("double", 2.8), ("float", 4.5)):
        ours = ("pulse_coupled", 1, precision)
        lines.append(
            against(
                f"{name}, {precision}",
                ours,
                ("hand_annarchy.py", ("pulse_coupled", 1)),
                wanted,
                runs,
                bound=0.25,
            )
        )
    for script in ("hand_brian2.py", "hand_nest.py"):
        for threads in (1, 2):
            lines.append(
                against(
                    f"{name}, theirs with {threads} thread{'s' if threads > 1 else ''}",
                    ("pulse_coupled", 1),
                    (script, ("pulse_coupled", threads)),
                    1.0,
                    runs,
                    per_spike=True,
                    bound=0.25,
                )
            )
    return lines


def conductances(folder: Path, runs: int) -> list[Measured]:
    """Compare two networks of conductance-based cells, 1 s at 0.1 ms."""
    lines = []
    wanted = {
        networks.COBA: {"peer_eden.py": 70, "hand_nest.py": 35, "hand_annarchy.py": 1.8,
                        "hand_brian2.py": 1.2},
        networks.IAF_10K: {"peer_eden.py": 150, "hand_nest.py": 40, "hand_annarchy.py": 1.7,
                           "hand_brian2.py": 1.1},
    }  # fmt: skip
    for network, peers in wanted.items():
        path = networks.write_iaf(network, folder)
        work = f"{network.n_cells} iafCells, {network.n_cells * network.n_inputs} synapses"
        for script, factor in peers.items():
            file = path if script == "peer_eden.py" else folder / network.name
            slow = script in ("peer_eden.py", "hand_nest.py")
            few = min(runs, 2) if slow else runs  # they take up to minutes
            lines.append(against(work, (path, 1), (script, (file, 1)), factor, few))
        lines.append(whole_process(network, path, 4.0 if network is networks.COBA else 8.0))
    return lines


def whole_process(network: networks.Iaf, path: Path, wanted: float) -> Measured:
    """Compare whole commands: from the file to the spikes on the disk, compiled before."""
    line = Measured(f"{network.name}, file to spikes on disk", "", wanted=f">= {wanted:g}")
    with tempfile.TemporaryDirectory() as folder:
        start = "from izhi_models.cli import main; main()"
        izhi = [sys.executable, "-c", start, "run", str(path), "--no-plot", "--quiet"]
        _timed([*izhi, "--out", f"{folder}/a"], folder)  # compiles
        ours = _timed([*izhi, "--out", f"{folder}/b"], folder)
        try:
            from eden_simulator import embeden
        except ImportError as error:
            return Measured(line.work, f"{ours:.4g}", "EDEN", wanted=line.wanted, note=str(error))
        os.environ["OMP_NUM_THREADS"] = "1"
        eden = _timed([embeden.get_exe_path(), "nml", str(path), "gcc"], folder)
        del os.environ["OMP_NUM_THREADS"]
    line.ours, line.other, line.factor = f"{ours:.4g}", f"EDEN {eden:.4g}", eden / ours
    return line


def _timed(command: list[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def alone(path: Path | str, runs: int, *arguments: object) -> Program:
    """Run a model here only."""
    program = Program("ours.py", path, 1, *arguments)
    in_turn([program], runs)
    program.close()
    return program


def real_time(folder: Path, runs: int) -> list[Measured]:
    """Run 10 000 Izhikevich cells for 1 s, and see how the time grows with the network."""
    lines, per_event = [], []
    for n_cells in (1_000, 10_000, 100_000):
        path = networks.write_izhikevich(
            n_cells, 100, izhi_models.load("pulse_coupled").path.parent, folder
        )
        program = alone(path, runs)
        events = program.median("spikes") * 100
        per_event.append(program.median() / events)
        work = f"{n_cells} Izhikevich cells, 100 synapses each, 1 s at 1 ms"
        line = Measured(work, f"{program.median():.4g}", note=f"{per_event[-1] * 1e9:.3g} ns/event")
        if n_cells == 10_000:
            line.factor, line.wanted = 1.0 / program.median(), ">= 5 x real time"
        if n_cells > 1_000:
            line.note += f", {per_event[-1] / per_event[-2]:.2f} x the one before"
        line.details = {"izhi": {**program.facts, "runs": program.runs}}
        lines.append(line)
    return lines


def memory(folder: Path, runs: int) -> list[Measured]:
    """Build and run 10 000 000 synapses; what each takes at the peak of the process."""
    lines = []
    for precision, wanted in (("double", 24), ("float", 16)):
        peaks = []
        for n_inputs in (10, 1000):
            path = networks.write_izhikevich(
                10_000, n_inputs, izhi_models.load("pulse_coupled").path.parent, folder
            )
            peaks.append(alone(path, 1, precision).runs[-1]["peak"])
        each = (peaks[1] - peaks[0]) / (10_000 * 990)
        lines.append(
            Measured(f"1e7 synapses, {precision}", f"{each:.3g} bytes each", wanted=f"< {wanted}")
        )
    return lines


def loading(folder: Path, runs: int) -> list[Measured]:
    """Load 1 000 000 connections from XML here and with libNeuroML."""
    path = folder / "iaf10k.net.nml"
    if not path.exists():
        networks.write_iaf(networks.IAF_10K, folder)
    code = {
        "izhi": f"import izhi_models; izhi_models.load({str(path)!r})",
        "libNeuroML": f"from neuroml.loaders import read_neuroml2_file as r; r({str(path)!r})",
    }
    times = {name: _timed([sys.executable, "-c", text], str(folder)) for name, text in code.items()}
    ours, other = times["izhi"], times["libNeuroML"]
    return [
        Measured(
            "load 1e6 connectionWD from XML", f"{ours:.4g}", f"libNeuroML {other:.4g}", other / ours
        )
    ]


def connectome(folder: Path, runs: int) -> list[Measured]:
    """Run the same cells as few and as many populations and projections."""
    joined, split = (
        alone(networks.write_connectome(folder, is_split=is_split), runs)
        for is_split in (False, True)
    )
    names = ("load", "build")
    facts = [
        ", ".join(f"{name} {item.facts[name]:.3g}" for name in names) for item in (split, joined)
    ]
    return [
        Measured(
            "300 populations, 6000 projections against 3 and 12",
            f"{split.median():.4g} ({facts[0]})",
            f"{joined.median():.4g} ({facts[1]})",
            joined.median() / split.median(),
            note=f"{split.median('spikes'):.0f} and {joined.median('spikes'):.0f} spikes",
        )
    ]


def compilation(folder: Path, runs: int) -> list[Measured]:
    """Compile 1, 20 and 100 populations of one structure, without the cache."""
    lines = []
    first = 0.0
    for count in (1, 20, 100):
        path = networks.write_populations(count, folder)
        times = []
        for _ in range(min(runs, 3)):
            with tempfile.TemporaryDirectory() as cache:
                program = Program("ours.py", path, 1, env={"IZHI_CACHE_DIR": cache})
                program.close()
            times.append(program.facts["build"])
        seconds = statistics.median(times)
        first = first or seconds
        lines.append(
            Measured(
                f"compile {count} populations of one structure",
                f"{seconds:.4g}",
                factor=seconds / first,
                wanted="0.8 to 1.2",
            )
        )
    return lines


PARTS: dict[str, Callable[[Path, int], list[Measured]]] = {
    "pulse": pulse_coupled,
    "iaf": conductances,
    "realtime": real_time,
    "memory": memory,
    "loading": loading,
    "connectome": connectome,
    "compile": compilation,
}


def main() -> None:
    """Run the parts that were asked for, print and save the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each program [5]")
    parser.add_argument("--only", nargs="*", choices=PARTS, help="parts to measure [all]")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="[results/bench]")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    lines: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or PARTS:
            for line in PARTS[name](Path(folder), options.runs):
                lines.append(line)
                print(_row(line), file=sys.stderr, flush=True)
    head = "| work | here [s] | elsewhere [s] | factor | wanted | |\n|---|---|---|---|---|---|"
    table = "\n".join([head, *map(_row, lines)]) + "\n"
    (options.out / "bench.md").write_text(table, encoding="utf-8")
    content = {"machine": platform.platform(), "lines": [asdict(item) for item in lines]}
    (options.out / "bench.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    print(table)


def _row(line: Measured) -> str:
    factor = "" if line.factor is None else f"{line.factor:.3g}"
    return f"| {line.work} | {line.ours} | {line.other} | {factor} | {line.wanted} | {line.note} |"


if __name__ == "__main__":
    main()
