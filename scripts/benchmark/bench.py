"""Measures this package beside other simulators, and prints a table.

`scripts/bench [ROW...]`. Programs that are compared run in turn on the same machine, with the same
step and one thread unless the table says otherwise; each figure is the median of the runs. What is
slow elsewhere runs once, or fewer steps, and its line says so; what is not installed is named.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import networks
from programs import Measured, Program, in_turn, timed

import izhi_models
from izhi_models.lems.read import core_archive

Rows = Iterator[Measured]
IZHI = [sys.executable, "-c", "from izhi_models.cli import main; main()", "run"]


def against(
    work: str,
    ours: Sequence[object],
    peer: tuple[str, str, Sequence[object]],
    wanted: float,
    runs: int,
    *,
    once_ms: float | None = None,
    per_event: bool = False,
    bound: float = 0.1,
) -> Measured:
    """Compare one network here and elsewhere.

    Parameters
    ----------
    peer : name, script, arguments
    wanted : float
        Times as fast.
    once_ms : float, optional
        What is slow runs once only, for so long; its time is scaled to a second.
    per_event : bool
        Compare the times per synaptic event, where random numbers differ.
    bound : float
        How far the numbers of spikes may differ.
    """
    name, script, arguments = peer
    line = Measured(f"{work}, {name}", wanted=f">= {wanted:g}")
    programs: list[Program] = []
    try:
        programs.append(Program("ours.py", *ours))
        programs.append(Program(script, *arguments))
        here, there = programs
        if once_ms is None:
            in_turn(programs, runs)
            spikes = here.median("spikes"), there.median("spikes")
        else:
            in_turn([here], runs)
            done = there.run(once_ms)
            check = here.run(once_ms)["spikes"]
            here.runs.pop()
            spikes = check, done["spikes"]
            line.note = f"theirs {once_ms:g} ms, once" + ("" if once_ms == 1000 else ", scaled")
    except RuntimeError as error:
        line.note = f"not measured: {error}"
        return line
    finally:
        for program in programs:
            program.close()
    seconds = here.median(), there.median() * 1000.0 / (once_ms or 1000.0)
    line.ours, line.other = f"{seconds[0]:.4g}", f"{seconds[1]:.4g}"
    line.ours_before, line.other_before = here.before(), there.before()
    line.factor = seconds[1] / seconds[0]
    parts = [line.note] if line.note else []
    parts.append(f"{spikes[0]:.0f} and {spikes[1]:.0f} spikes")
    if not all(spikes) or abs(spikes[0] / spikes[1] - 1.0) > bound:
        parts.append(f"NOT THE SAME WORK: they may differ by {bound:.0%}")
    if per_event and all(spikes):
        line.factor *= spikes[0] / spikes[1]
        parts.append("per synaptic event")
    line.note = "; ".join(parts)
    line.details = {"izhi": {**here.facts, "runs": here.runs}}
    line.details[name] = {**there.facts, "runs": there.runs}
    return line


def alone(path: Path, runs: int, *arguments: object) -> Program:
    """Run a model here only."""
    program = Program("ours.py", path, 1, *arguments)
    try:
        in_turn([program], runs)
    finally:
        program.close()
    return program


def pulse(folder: Path, runs: int) -> Rows:
    """Run the network of Izhikevich (2003): 1000 cells, 1 000 000 synapses, 1 s at 1 ms."""
    network, bound = "pulse_coupled", 0.25  # random numbers differ
    hand = ("ANNarchy", "hand_annarchy.py", (network, 1))
    for kind, least in (("double", 2.8), ("float", 4.5)):
        yield against(f"pulse, {kind}", (network, 1, kind), hand, least, runs, bound=bound)
    for name, script in (("Brian2", "hand_brian2.py"), ("NEST", "hand_nest.py")):
        found = [
            against(
                f"pulse, best of 1 and 2 threads there ({threads})",
                (network, 1),
                (name, script, (network, threads)),
                1.0,
                runs,
                per_event=True,
                bound=bound,
            )
            for threads in (1, 2)
        ]
        yield min(found, key=lambda line: line.factor or float("inf"))


def _iaf(network: networks.Iaf, peers: dict[str, tuple[float, float | None]]) -> Callable:
    hand: dict[str, tuple[str, ...]] = {
        "NEST": ("hand_nest.py",),
        "ANNarchy": ("hand_annarchy.py",),
        "ANNarchy, fastest format": ("hand_annarchy.py", "fastest"),
        "Brian2": ("hand_brian2.py",),
    }

    def row(folder: Path, runs: int) -> Rows:
        path = networks.write_iaf(network, folder)
        for name, (wanted, once_ms) in peers.items():
            peer: tuple[str, str, Sequence[object]] = (name, "from_file.py", (name, path, 1))
            if name in hand:
                script, *more = hand[name]
                peer = (name, script, (folder / network.name, 1, *more))
            yield against(network.name, (path, 1), peer, wanted, runs, once_ms=once_ms)

    return row


coba = _iaf(
    networks.COBA,
    {
        "jNeuroML": (10_000, 20.0),
        "NEURON": (250, 100.0),
        "EDEN": (70, 200.0),
        "NEST": (35, 1000.0),
        "ANNarchy": (1.8, None),
        "ANNarchy, fastest format": (1.0, None),
        "Brian2": (1.2, None),
    },
)
iaf10k = _iaf(
    networks.IAF_10K,
    {
        "EDEN": (150, 100.0),
        "NEST": (40, 1000.0),
        "ANNarchy": (1.7, None),
        "ANNarchy, fastest format": (1.0, None),
        "Brian2": (1.1, None),
    },
)


def whole(folder: Path, runs: int) -> Rows:
    """Time whole commands, from the file to the spikes on the disk, compiled before."""
    for network, wanted, turns in ((networks.COBA, 4.0, runs), (networks.IAF_10K, 8.0, 1)):
        path = networks.write_iaf(network, folder)
        out = folder / f"whole-{network.name}"
        command = [*IZHI, str(path), "--no-plot", "--quiet", "--out", str(out)]
        line = Measured(f"{network.name}, file to spikes on disk, EDEN", wanted=f">= {wanted:g}")
        timed(command, folder)  # compiles
        ours, theirs = [], []
        for turn in range(runs):
            ours.append(timed(command, folder).seconds)
            if turn < turns and not line.note:
                try:
                    theirs.append(_whole_of_eden(path))
                except RuntimeError as error:
                    line.note = f"not measured: {error}"
        line.ours = f"{statistics.median(ours):.4g}"
        if theirs:
            seconds = statistics.median(item["whole"] for item in theirs)
            line.other, line.factor = f"{seconds:.4g}", seconds / statistics.median(ours)
            spikes = sum(not row.startswith("#") for row in _rows(out / f"{network.name}.spikes"))
            line.note = f"{spikes} and {theirs[0]['spikes']} spikes; theirs {len(theirs)} times"
        yield line


def _whole_of_eden(path: Path) -> dict:
    program = Program("from_file.py", "EDEN", path, 1)
    try:
        return program.run()
    finally:
        program.close()


def _rows(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").splitlines()


def _izhikevich(n_cells: int, n_inputs: int, folder: Path) -> Path:
    types = izhi_models.load("pulse_coupled").path.parent
    return networks.write_izhikevich(n_cells, n_inputs, types, folder)


def realtime(folder: Path, runs: int) -> Rows:
    """Run 10 000 Izhikevich cells with 100 synapses each, 1 s at 1 ms."""
    program = alone(_izhikevich(10_000, 100, folder), runs)
    seconds = program.median()
    line = Measured("10 000 Izhikevich cells x 100, 1 s at 1 ms", f"{seconds:.4g}")
    line.ours_before, line.wanted = program.before(), "< 0.2 s"
    line.note = f"{program.median('spikes'):.0f} spikes"
    yield line


def growth(folder: Path, runs: int) -> Rows:
    """Take the time per synaptic event as the network grows."""
    before = None
    for n_cells in (1_000, 10_000, 100_000):
        program = alone(_izhikevich(n_cells, 100, folder), runs)
        event = program.median() / (program.median("spikes") * 100) * 1e9
        line = Measured(f"growth, {n_cells} cells x 100", f"{program.median():.4g}")
        line.ours_before, line.note = program.before(), f"{event:.3g} ns per synaptic event"
        if before is not None:
            line.factor = event / before
            line.note += "; factor: against the line before"
        before = event
        yield line


def memory(folder: Path, runs: int) -> Rows:
    """Take how the peak of the process grows by 10 000 000 synapses."""
    for precision, wanted in (("double", 24), ("float", 16)):
        low, high = (
            alone(_izhikevich(10_000, inputs, folder), 1, precision).runs[-1]["peak"]
            for inputs in (10, 1000)
        )
        each = (high - low) / (10_000 * 990)
        line = Measured(f"memory, 1e7 synapses, {precision}", f"{each:.3g} bytes each")
        line.wanted = f"< {wanted}"
        yield line


def loading(folder: Path, runs: int) -> Rows:
    """Load 1 000 000 connectionWD from XML and from HDF5."""
    networks.write_iaf(networks.IAF_10K, folder)
    xml = folder / "iaf10k.net.nml"
    _, hdf5 = izhi_models.export(xml, "neuroml-hdf5", folder / "LEMS_iaf10k.xml", duration="1 s")
    for kind, path, loader, wanted in (
        ("XML", xml, "libNeuroML", ">= 8, here < 300 MB"),
        ("HDF5", hdf5, "libNeuroML", "> 1"),
        ("HDF5", hdf5, "libNeuroML, optimized", "> 1"),
    ):
        line = Measured(f"load 1e6 connectionWD from {kind}, {loader}", wanted=wanted)
        ours = [_loaded("izhi", path) for _ in range(runs)]
        seconds = statistics.median(item["load"] for item in ours)
        line.ours, line.ours_before = f"{seconds:.4g}", f"peak {ours[0]['peak'] / 1e6:.0f} MB"
        try:
            other = _loaded(loader, path)
        except RuntimeError as error:
            line.note = f"not measured: {error}"
        else:
            line.other, line.factor = f"{other['load']:.4g}", other["load"] / seconds
            line.other_before = f"peak {other['peak'] / 1e6:.0f} MB"
            count = f"{ours[0]['connections']} and {other['connections']} connections"
            line.note = f"theirs once; {count}"
        yield line


def _loaded(loader: str, path: Path) -> dict:
    program = Program("loading.py", loader, path)
    program.close()
    return program.facts


def writing(folder: Path, runs: int) -> Rows:
    """Write 1 000 000 connectionWD as XML and as HDF5."""
    networks.write_iaf(networks.IAF_10K, folder)
    source = folder / "iaf10k.net.nml"
    for kind, name, wanted in (("XML", "out.nml", "< 8 s"), ("HDF5", "out.nml.h5", "< 1 s")):
        line = Measured(f"write 1e6 connectionWD as {kind}, libNeuroML", wanted=wanted)
        ours = [_written("izhi", source, folder / name) for _ in range(runs)]
        seconds = statistics.median(item["write"] for item in ours)
        line.ours, line.ours_before = f"{seconds:.4g}", f"{ours[0]['above'] / 1e6:.0f} MB on top"
        try:
            other = _written("libNeuroML", source, folder / f"their-{name}")
        except RuntimeError as error:
            line.note = f"not measured: {error}"
        else:
            line.other, line.factor = f"{other['write']:.4g}", other["write"] / seconds
            line.other_before = f"{other['above'] / 1e6:.0f} MB on top"
            sizes = " and ".join(f"{item['bytes'] / 1e6:.1f} MB" for item in (ours[0], other))
            line.note = f"theirs once; files of {sizes}"
        yield line


def _written(writer: str, source: Path, out: Path) -> dict:
    program = Program("writing.py", writer, source, out)
    program.close()
    return program.facts


def connectome(folder: Path, runs: int) -> Rows:
    """Run the same cells as few and as many populations and projections."""
    cold, warm, programs = [], [], []
    for is_split in (False, True):
        path = networks.write_connectome(folder, is_split=is_split)
        cache = {"IZHI_CACHE_DIR": str(folder / f"cache-{path.stem}")}
        first = Program("ours.py", path, 1, env=cache)
        first.close()
        cold.append(first.facts)
        programs.append(Program("ours.py", path, 1, env=cache))
        warm.append(programs[-1].facts)
    in_turn(programs, runs)
    for program in programs:
        program.close()
    joined, split = programs
    work = "connectome, 300 populations and 6000 projections"
    figures = (
        ("simulate", split.median(), joined.median()),
        ("build cold", cold[1]["build"], cold[0]["build"]),
    )
    for name, many, few in figures:
        line = Measured(f"{work}, {name}", f"{many:.4g}", other=f"{few:.4g}", factor=many / few)
        line.other_before, line.wanted = "here, as 3 and 12", "0.8 to 1.2"
        line.note = f"{split.median('spikes'):.0f} and {joined.median('spikes'):.0f} spikes"
        yield line
    for name, facts, wanted in (("cold", cold[1], "< 15 s"), ("warm", warm[1], "< 3 s")):
        total = facts["load"] + facts["build"]
        yield Measured(f"{work}, load and build {name}", f"{total:.4g}", wanted=wanted)


def compilation(folder: Path, runs: int) -> Rows:
    """Build 1, 20 and 100 populations of one structure, without the cache."""
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
        line = Measured(f"build {count} populations of one structure", f"{seconds:.4g}")
        line.factor, line.wanted = seconds / first, "0.8 to 1.2"
        yield line


def examples(folder: Path, runs: int) -> Rows:
    """Run all of NeuroML's LEMS examples in one command, without pictures."""
    with zipfile.ZipFile(core_archive()) as archive:
        names = [
            name
            for name in archive.namelist()
            if re.fullmatch(r"(LEMSexamples|examples)/[^/]+\.(xml|nml)", name)
        ]
        archive.extractall(folder, names)
    files = [str(folder / name) for name in sorted(names) if "/LEMS_" in name]
    out = folder / "examples-out"
    command = [*IZHI, *files, "--no-plot", "--quiet", "--out", str(out)]
    for name in ("cold", "warm"):
        done = timed(command, folder, IZHI_CACHE_DIR=str(folder / "examples-cache"))
        ran = sum(1 for _ in out.glob("*/run.json"))
        work = f"{ran} of {len(files)} LEMSexamples, {name}"
        line = Measured(work, f"{done.seconds:.4g}", note="whole command, once")
        line.wanted = {"cold": "<= 240 s", "warm": "<= 60 s"}[name]
        if done.status:
            line.note += f"; it ended with status {done.status}"
        yield line


def hh(folder: Path, runs: int) -> Rows:
    """Run one Hodgkin-Huxley <cell> for 1 000 000 steps."""
    path = networks.write_hh(folder)
    peer = ("jNeuroML", "from_file.py", ("jNeuroML", path, 1))
    yield against("HH cell, 1e6 steps", (path, 1), peer, 20, runs, once_ms=1000.0)


ROWS: dict[str, Callable[[Path, int], Rows]] = {
    "pulse": pulse,
    "realtime": realtime,
    "coba": coba,
    "iaf10k": iaf10k,
    "whole": whole,
    "loading": loading,
    "writing": writing,
    "memory": memory,
    "growth": growth,
    "connectome": connectome,
    "compile": compilation,
    "examples": examples,
    "hh": hh,
}

HEAD = (
    "| work | here [s] | load, build | elsewhere [s] | load, build | factor | wanted | |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Measure the rows that were asked for, print and save the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} [all]")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each program [5]")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="[results/bench]")
    options = parser.parse_args()
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    lines: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.rows or ROWS:
            for line in _tried(name, Path(folder), options.runs):
                lines.append(line)
                print(_row(line), file=sys.stderr, flush=True)
                _save(lines, options.out)
    print((options.out / "bench.md").read_text(encoding="utf-8"))


def _tried(name: str, folder: Path, runs: int) -> Rows:
    """Measure a row; what ends it early is told in a line of its own."""
    try:
        yield from ROWS[name](folder, runs)
    except (RuntimeError, OSError) as error:
        yield Measured(name, note=f"not measured: {error}")


def _save(lines: Sequence[Measured], folder: Path) -> None:
    table = "\n".join([HEAD, *map(_row, lines)]) + "\n"
    (folder / "bench.md").write_text(table, encoding="utf-8")
    content = {"machine": platform.platform(), "lines": [asdict(item) for item in lines]}
    (folder / "bench.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _row(line: Measured) -> str:
    factor = "" if line.factor is None else f"{line.factor:.3g}"
    cells = (line.work, line.ours, line.ours_before, line.other, line.other_before, factor)
    return f"| {' | '.join(cells)} | {line.wanted} | {line.note} |"


if __name__ == "__main__":
    main()
