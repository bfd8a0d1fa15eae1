"""The programs of the benchmark side by side: each does a run when it is told to.

A program prints a line of JSON when it is ready, and one after each run; `run 1000` on its
standard input asks for one, of so many ms of the model. So the runs of two programs can take turns
on one machine.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Report:
    """What one program prints.

    Parameters
    ----------
    name, version : str
    """

    def __init__(self, name: str, version: str) -> None:
        self._known: dict[str, object] = {"program": name, "version": version}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note how many seconds a stage of the preparation takes."""
        start = time.perf_counter()
        yield
        self._known[name] = time.perf_counter() - start

    def note(self, **facts: object) -> None:
        """Tell more facts when the program is ready."""
        self._known.update(facts)

    def turns(self) -> Iterator[float]:
        """Yield how many ms are wanted, as often as a run is."""
        print(json.dumps({**self._known, "peak": peak()}), flush=True)
        for line in sys.stdin:
            yield float(line.split()[1])

    def ran(self, seconds: float, spikes: int, **more: float) -> None:
        """Print what a run took."""
        print(
            json.dumps({"seconds": seconds, "spikes": spikes, "peak": peak(), **more}), flush=True
        )


def peak(*, reset: bool = False) -> int:
    """Return the most memory that this process has held, in bytes; `reset` forgets it before."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    # Not by getrusage: its peak is at least that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
