"""Commands with a time limit, of which no process is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """How a command ended.

    Parameters
    ----------
    returncode : int or None
        Exit status; None if its time was over.
    stderr : str
    """

    returncode: int | None
    stderr: str


def run_limited(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
) -> Finished:
    """Run a command; when its time is over or it is interrupted, kill all that it started.

    Parameters
    ----------
    command : sequence of str
    folder : Path
        Where it runs.
    environment : mapping of str to str
        All of its environment.
    seconds : float
        Time limit. [s]
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # a compiler starts others: one group, which signals reach at once
    )
    try:
        stderr = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        _kill(process)
        return Finished(None, process.communicate()[1])
    except BaseException:
        _kill(process)
        process.communicate()
        raise
    return Finished(process.returncode, stderr)


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
