"""Runs a model through the public interface: `python ours.py FILE THREADS [PRECISION]`."""

from __future__ import annotations

import importlib.metadata
import sys
import time

from report import Report

import izhi_models


def main(path: str, threads: int, precision: str = "double") -> None:
    """Load, compile and simulate; every run starts anew."""
    report = Report("izhi", importlib.metadata.version("izhi-models"))
    with report.stage("load"):
        model = izhi_models.load(path)
    with report.stage("build"):
        run = model.compile(precision=precision, threads=threads)
    for length in report.turns():
        run.reset()
        run.simulate("1 ms")  # draws initial values, which the others do as they build
        start = time.perf_counter()
        results = run.simulate(f"{length:g} ms")
        # Spikes are told apart by population when they are first read.
        spikes = sum(trains.times_s.size for trains in results.spikes.values())
        seconds = time.perf_counter() - start
        report.ran(seconds, spikes)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
