"""Many files at once: every LEMS file that runs something, and every OMV test, with one verdict."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from izhi_models.checks.expected import Expected, read_expected
from izhi_models.checks.ladder import check
from izhi_models.checks.published import SUFFIX
from izhi_models.checks.report import CheckReport, Verdict
from izhi_models.errors import InputError, IzhiError, UnsupportedError
from izhi_models.lems.validate import validate

_RUNNABLE = (".xml", ".nml", ".json", ".yaml", ".h5")
_SIZE = 65536  # of the beginning of a file in which a Simulation is looked for


@dataclass(frozen=True)
class Conformance:
    """What became of one file.

    Parameters
    ----------
    path : Path
    verdict : {'holds', 'doubtful', 'fails', 'skipped'}
        Skipped if the file cannot be run.
    told : str
        Why it fails or is skipped.
    seconds : float
    """

    path: Path
    verdict: Verdict
    told: str
    seconds: float


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files to check: given ones, and those in given folders and below.

    Parameters
    ----------
    paths : iterable of Path

    Raises
    ------
    InputError
        If one does not exist, or there are none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(sorted(item for item in path.rglob("*") if _is_wanted(item)))
        elif path.exists():
            found[path] = None
        else:
            raise InputError(f"'{path}' does not exist")
    if not found:
        raise InputError("no LEMS file with a Simulation, and no OMV test, is there")
    return list(found)


def _is_wanted(path: Path) -> bool:
    if path.suffix == SUFFIX:
        return True
    if path.suffix != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b"<Simulation" in file.read(_SIZE)


def conform(
    paths: Iterable[Path], rungs: Sequence[str], *, method: str = "auto", workers: int = 1
) -> Iterator[Conformance]:
    """Check files side by side; what one compiles, the others take from the cache.

    Parameters
    ----------
    paths : iterable of Path
        Files; an OMV test is the check of its target with what it expects.
    rungs : sequence of str
    method : str
    workers : int
        Processes.

    Yields
    ------
    Conformance
        In the order of the files.
    """
    waiting = list(paths)
    while waiting:
        done = 0
        try:
            with _processes(workers) as executor:
                futures = [executor.submit(_one, path, tuple(rungs), method) for path in waiting]
                for future in futures:
                    yield future.result()
                    done += 1
        except BrokenProcessPool:
            # Nobody knows whose process died: the next one is tried alone.
            yield _alone(waiting[done], tuple(rungs), method)
            done += 1
        waiting = waiting[done:]


def _processes(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _alone(path: Path, rungs: tuple[str, ...], method: str) -> Conformance:
    try:
        with _processes(1) as executor:
            return executor.submit(_one, path, rungs, method).result()
    except BrokenProcessPool:
        return Conformance(path, "fails", "the process that ran it died", 0.0)


def _one(path: Path, rungs: tuple[str, ...], method: str) -> Conformance:
    start = time.perf_counter()
    try:
        verdict, told = _test(path, method) if path.suffix == SUFFIX else _file(path, rungs, method)
    except UnsupportedError as error:
        verdict, told = "skipped", error.diagnostics[0].message
    except IzhiError as error:
        verdict, told = "fails", error.diagnostics[0].message
    except Exception as error:  # a fault of this package must not hide what the other files do
        verdict, told = "fails", f"{type(error).__name__}: {error}"
    return Conformance(path, verdict, told, time.perf_counter() - start)


def _test(path: Path, method: str) -> tuple[Verdict, str]:
    """Do what an OMV test asks for."""
    expected = read_expected(path)
    if expected.is_validation:
        return _validate(expected)
    if expected.target.suffix not in _RUNNABLE:
        return "skipped", f"'{expected.target.name}' is for the engine {expected.engine}"
    return _verdict(check(expected.target, ["expected"], method=method, expected=[path]))


def _validate(expected: Expected) -> tuple[Verdict, str]:
    """Validate all files that a test names, by a pattern or one by one."""
    files = sorted(expected.target.parent.glob(expected.target.name))
    if not files:
        raise InputError(f"no file '{expected.target}'")
    found = [(file, item) for file in files for item in validate(file)]
    faults = [(file, item) for file, item in found if item.severity == "error"]
    if faults:
        file, first = faults[0]
        return "fails", f"{file.name}: {first.message}"
    return "holds", f"{len(files)} valid"


def _file(path: Path, rungs: tuple[str, ...], method: str) -> tuple[Verdict, str]:
    return _verdict(check(path, rungs, method=method))


def _verdict(report: CheckReport) -> tuple[Verdict, str]:
    verdicts = {rung.verdict for rung in report.rungs}
    order: tuple[Verdict, ...] = ("fails", "doubtful", "holds")
    verdict: Verdict = next((item for item in order if item in verdicts), "skipped")
    told = [
        f"{rung.name}: {item.what}: {item.measured}"
        for rung in report.rungs
        for item in rung.findings
        if item.verdict == verdict != "holds"
    ]
    return verdict, "; ".join(told[:2])
