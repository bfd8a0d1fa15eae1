"""Many files at once: every LEMS file that runs something, and every OMV test, with one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from izhi_models.checks.expected import read_expected
from izhi_models.checks.ladder import check
from izhi_models.checks.published import SUFFIX
from izhi_models.checks.report import Verdict
from izhi_models.errors import InputError, IzhiError, UnsupportedError

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
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        futures = [executor.submit(_one, path, tuple(rungs), method) for path in paths]
        for future in futures:
            yield future.result()


def _one(path: Path, rungs: tuple[str, ...], method: str) -> Conformance:
    try:
        if path.suffix == SUFFIX:
            report = check(read_expected(path).target, ["expected"], method=method, expected=[path])
        else:
            report = check(path, rungs, method=method)
    except UnsupportedError as error:
        return Conformance(path, "skipped", error.diagnostics[0].message, 0.0)
    except IzhiError as error:
        return Conformance(path, "fails", error.diagnostics[0].message, 0.0)
    failures = [
        f"{rung.name}: {item.what}: {item.measured}"
        for rung in report.rungs
        for item in rung.failures
    ]
    verdicts = {rung.verdict for rung in report.rungs}
    order: tuple[Verdict, ...] = ("fails", "doubtful", "holds")
    verdict: Verdict = next((item for item in order if item in verdicts), "skipped")
    seconds = sum(rung.seconds for rung in report.rungs)
    return Conformance(path, verdict, "; ".join(failures[:2]), seconds)
