"""Starts the programs that are compared, and holds what they measure."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass
class Measured:
    """A line of the table. Times are medians in seconds."""

    work: str
    ours: str = ""
    ours_before: str = ""  # load and build
    other: str = ""
    other_before: str = ""
    factor: float | None = None
    wanted: str = ""
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class Program:
    """A process that does a run whenever it is asked to."""

    def __init__(self, script: str, *arguments: object, env: dict[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **(env or {})},
        )
        self.runs: list[dict[str, Any]] = []
        try:
            self.facts = self._answer()
        except RuntimeError:
            self.close()
            raise

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout or ():
            if line.startswith("{"):
                return dict(json.loads(line))
        self._log.seek(0)
        lines = self._log.read().strip().splitlines() or ["it ended"]
        raise RuntimeError(lines[-1])

    def run(self, length_ms: float = 1000.0) -> dict[str, Any]:
        """Do one run."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"run {length_ms}\n")
            self._process.stdin.flush()
        self.runs.append(self._answer())
        return self.runs[-1]

    def median(self, key: str = "seconds") -> float:
        """Return the median over the runs."""
        return statistics.median(item[key] for item in self.runs)

    def before(self) -> str:
        """Return the times of loading and building."""
        known = {**self.facts, **(self.runs[-1] if self.runs else {})}
        return ", ".join(f"{name} {known[name]:.3g}" for name in ("load", "build") if name in known)

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


@dataclass(frozen=True)
class Timed:
    """How long a command took, and its exit status."""

    seconds: float
    status: int


def timed(command: Sequence[str], folder: Path, **env: str) -> Timed:
    """Run a command in a folder."""
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **env},
    )
    return Timed(time.perf_counter() - start, done.returncode)
