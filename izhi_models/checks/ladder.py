"""The ladder of checks of one file: each rung can be asked for by itself."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from izhi_models.checks.equations import check_equations
from izhi_models.checks.invariants import check_invariants
from izhi_models.checks.published import check_expected
from izhi_models.checks.question import Question
from izhi_models.checks.reference import check_reference
from izhi_models.checks.report import CheckReport, Figure, Finding, Rung
from izhi_models.checks.spec import check_spec
from izhi_models.checks.trajectory import check_trajectory
from izhi_models.errors import Diagnostic, InputError, suggest
from izhi_models.ir.step import METHODS
from izhi_models.library import find_model
from izhi_models.pipeline import Model, Progress, load, quiet

_PACKAGES = ("izhi-models", "ANNarchy", "pyNeuroML", "numpy", "scipy")

Found = tuple[list[Finding], list[Figure]]


@dataclass(frozen=True)
class _Request:
    """What all rungs are given."""

    model: Model
    method: str
    tolerance_s: float | None
    expected: Sequence[Path]
    seed: int
    question: Question


def _spec(request: _Request) -> Found:
    return check_spec(request.model, method=request.method), []


def _equations(request: _Request) -> Found:
    return check_equations(request.model, method=request.method, seed=request.seed), []


def _trajectory(request: _Request) -> Found:
    return check_trajectory(
        request.model,
        method=request.method,
        tolerance_s=request.tolerance_s,
        seed=request.seed,
    )


def _reference(request: _Request) -> Found:
    return check_reference(request.question, method=request.method)


def _expected(request: _Request) -> Found:
    return check_expected(request.model, request.expected, method=request.method), []


def _invariants(request: _Request) -> Found:
    return check_invariants(request.model, method=request.method, seed=request.seed), []


_LADDER: dict[str, Callable[[_Request], Found]] = {
    "spec": _spec,
    "equations": _equations,
    "trajectory": _trajectory,
    "reference": _reference,
    "expected": _expected,
    "invariants": _invariants,
}
RUNGS: tuple[str, ...] = tuple(_LADDER)


def check(
    path: str | Path,
    rungs: Iterable[str] = RUNGS,
    *,
    method: str = "auto",
    tolerance: str | float | None = None,
    expected: Iterable[str | Path] = (),
    seed: int = 1234,
    progress: Progress = quiet,
) -> CheckReport:
    """Check a model file, and what is made of it, against its specification.

    Parameters
    ----------
    path : str or Path
        A file, or the name of a model.
    rungs : iterable of str
        Of `RUNGS`: ``spec``, the file itself; ``equations``, each step of the compiled program
        against the interpreter of the equations; ``trajectory``, the run against the solution in
        continuous time; ``reference``, the run against jNeuroML; ``expected``, published results;
        ``invariants``, what holds whatever the random numbers are. All if left out.
    method : str
        Integrator, as `Model.compile` takes it.
    tolerance : str or float, optional
        How far spikes may be from the solution, ``"0.1 ms"``; the rung `trajectory` finds the
        step. A number is in seconds.
    expected : iterable of str or Path
        Test files (``.omt``); those beside the model that name it if left out.
    seed : int
        Of the random states of the rung `equations`.
    progress : callable, optional
        Called with the name of the rung.

    Returns
    -------
    CheckReport
        ``check("model.xml").raise_if_failed()`` is all that a test needs.

    Raises
    ------
    InputError
        If the file cannot be run, or an argument is wrong.
    """
    chosen = list(dict.fromkeys(rungs))
    for name in chosen:
        if name not in _LADDER:
            raise InputError(Diagnostic(f"unknown rung '{name}'", notes=suggest(name, RUNGS)))
    if method not in METHODS:
        raise InputError(Diagnostic(f"unknown method '{method}'", notes=suggest(method, METHODS)))
    file = find_model(str(path))
    model = load(file)
    tolerance_s = None if tolerance is None else model.seconds(tolerance, "tolerance")
    tests = [Path(item) for item in expected]
    request = _Request(model, method, tolerance_s, tests, seed, Question(model))
    with request.question if "reference" in chosen else nullcontext():
        done = list(_climb(request, chosen, progress))
    provenance = {
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "method": method,
        "seed": seed,
        "step_ms": model.step() * 1e3,
    }
    return CheckReport(file, tuple(done), provenance)


def _climb(request: _Request, chosen: Collection[str], progress: Progress) -> Iterator[Rung]:
    for name in RUNGS:
        if name in chosen:
            progress(name, 0.0)
            start = time.perf_counter()
            findings, figures = _LADDER[name](request)
            seconds = time.perf_counter() - start
            yield Rung(name, tuple(findings), tuple(figures), seconds)
