"""The solutions that NeuroML's examples converge to, as the step goes to zero.

`python -m tests.conformance.converged [NAME...]` computes them and writes `converged.json`. Every
spike is computed with two small steps, by Runge-Kutta where the equations allow it, and
extrapolated to none; and the reference interpreter, run with the step of the example and with a
quarter of it, must be on its way there, or nothing is written.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import izhi_models
from izhi_models.checks.expected import Expected, compare, read_expected
from izhi_models.errors import IzhiError
from izhi_models.pipeline import Model
from izhi_models.results import Results
from tests.conformance.comparison import crossings, spikes_of
from tests.conformance.reference import extract_examples, run_jneuroml, spiking_cells

FILE = Path(__file__).with_name("converged.json")
PUBLISHED = Path(__file__).with_name("expected")

# Spikes that random numbers make; they have no converged times.
NOISY = {
    "Ex14": ("pop_spikes1", "pop_spikes2"),
    "Ex16": ("spikeGenPoissonPop", "spikeGenRefPoissonPop", "spikeGenRandomPop"),
    "Ex23": ("iafPop", "pynnPop", "hhpop"),
}
# Forward Euler, where Runge-Kutta evaluates an exponential beyond its cutoff; and steps that are
# not smaller still, where there are very many, or a delay may have 65535 at most.
PLAIN = {"Ex8": 256}
COARSER = {"Ex15": 8, "Ex16": 8, "Ex26": 8, "Ex27": 8}


def key_of(path: Path) -> str:
    """Return the short name of an example: Ex4a."""
    return path.stem.split("_")[2]


def published(key: str) -> Expected | None:
    """Return what is published for an example."""
    path = PUBLISHED / f"{key.lower()}.omt"
    return read_expected(path) if path.exists() else None


# Quantities watched for upward crossings of 0 V, as results and as the reference name them.
WATCHED = {"Ex17": ("hhpop[0]/v", "net1/hhpop[0]/v")}


def reference_times(path: Path, step: str | None = None) -> dict[str, np.ndarray]:
    """Return what `spike_times` does, from a run of the reference."""
    names = WATCHED.get(key_of(path))
    run = run_jneuroml(path, step=step, record=names[1:] if names else ())
    found = {cell: run.spikes[cell] for cell in certain_cells(path)}
    if names:
        found[names[0]] = crossings(run.times, run.traces[names[1]], 0.0)
    return found


def spike_times(path: Path, results: Results) -> dict[str, np.ndarray]:
    """Return the spikes of an example by cell, or crossings by quantity. [s]"""
    found = {cell: spikes_of(results, cell) for cell in certain_cells(path)}
    for name in WATCHED.get(key_of(path), ())[:1]:
        trace = results.trace(name)
        found[name] = crossings(trace.times[:], trace.values[:, 0], 0.0)
    return found


def load_times(key: str) -> dict[str, np.ndarray]:
    """Return the converged times of an example by cell, and what is published. [s]"""
    known = json.loads(FILE.read_text())[key]
    return {name: np.array(times) for name, times in known.items()}


def certain_cells(path: Path) -> list[str]:
    """Return the cells of an example that send events, but for those that are random."""
    noisy = NOISY.get(key_of(path), ())
    return [cell for cell in spiking_cells(path) if re.split(r"[\[/]", cell)[0] not in noisy]


def times_of(path: Path, model: Model, results: Results) -> dict[str, np.ndarray]:
    """Return spike times [s] by cell, and what is published by ``published/NAME``."""
    found = spike_times(path, results)
    expected = published(key_of(path))
    if expected is not None:
        plan = model.experiment.simulation
        assert plan is not None
        for item in compare(expected, plan, results):
            if item.expectation.observable == "spike times":
                name = f"published/{item.expectation.experiment}"
                found[name] = np.array(item.found) / _scale(item.expectation.where)
    return found


def _scale(where: object) -> float:
    scaling = getattr(where, "scaling", 1.0)
    return float(scaling[0] if isinstance(scaling, tuple) else scaling)


def converge(path: Path) -> dict[str, list[float]]:
    """Return the converged times of an example."""
    key = key_of(path)
    model = izhi_models.load(path)
    plan = model.experiment.simulation
    assert plan is not None
    finest = PLAIN.get(key, COARSER.get(key, 16))
    runs = []
    for part in (finest // 2, finest):
        method = "euler" if key in PLAIN else "rk4"
        run = model.compile(dt=plan.step_s / part, method=method)
        runs.append(times_of(path, model, run.simulate()))
        run.close()
    coarse, fine = runs
    limits = {}
    for name, times in fine.items():
        assert times.size == coarse[name].size, f"{key} {name}: {times.size} spikes"
        limits[name] = 2 * times - coarse[name]
    _verify(path, plan.step_s, limits)
    return {name: [round(float(item), 9) for item in times] for name, times in limits.items()}


def _verify(path: Path, step: float, limits: Mapping[str, np.ndarray]) -> None:
    """Refuse a limit that the reference does not approach."""
    whole = reference_times(path)
    quarter = reference_times(path, f"{step * 250:.10g}ms")
    for cell, first in whole.items():
        second = quarter[cell]
        if not first.size == second.size == limits[cell].size:
            print(f"{key_of(path)} {cell}: {first.size}, {second.size}, {limits[cell].size} spikes")
            continue
        gaps = np.abs(first - limits[cell]), np.abs(second - limits[cell])
        end = certain(gaps[0])
        far, near = (item[:end].max(initial=0.0) for item in gaps)
        print(f"{key_of(path)} {cell}: {far / step:.2f} steps, with a quarter {near / step:.2f}")
        # Each spike of a cell that is reset is late by up to one step of its run.
        assert near < 0.5 * far + (1 + first.size / 4) * step


def certain(errors: np.ndarray) -> int:
    """Return how many spikes the reference has followed the solution before it lost it.

    One cell of Ex8 is chaotic: 2 ms off, a shorter distance says nothing.
    """
    lost = np.flatnonzero(errors > 2e-3)
    return int(lost[0]) if lost.size else errors.size


def main(names: list[str]) -> None:
    """Compute the examples of the given names, or all that can be run."""
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(extract_examples(Path(folder)).glob("LEMS_NML2_Ex*.xml")):
            if (names and key_of(path) not in names) or not path.exists():
                continue
            try:
                known[key_of(path)] = converge(path)
            except IzhiError as error:
                print(f"{key_of(path)}: {error}")
            FILE.write_text(json.dumps(known, sort_keys=True).replace("], ", "],\n") + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
