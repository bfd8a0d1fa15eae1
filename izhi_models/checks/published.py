"""The published results of a model, from the test files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from izhi_models.checks.expected import Outcome, compare, read_expected
from izhi_models.checks.report import Finding
from izhi_models.errors import InputError, UnsupportedError
from izhi_models.pipeline import Model

SUFFIX = ".omt"
_SHOWN = 6


def find_tests(path: Path) -> list[Path]:
    """Return the test files beside a model that name it as their target."""
    found = []
    for test in sorted((*path.parent.glob(f"*{SUFFIX}"), *path.parent.glob(f".*{SUFFIX}"))):
        try:
            target = read_expected(test).target
        except (InputError, UnsupportedError):
            continue
        if target.resolve() == path.resolve():
            found.append(test)
    return found


def check_expected(model: Model, tests: Sequence[Path], *, method: str = "auto") -> list[Finding]:
    """Compare a run with published results.

    Parameters
    ----------
    model : Model
    tests : sequence of Path
        ``.omt`` files; those beside the model if empty.
    method : str
    """
    plan = model.experiment.simulation
    chosen = list(tests) or find_tests(model.path)
    if plan is None or not chosen:
        return [Finding("published results", "skipped", "no .omt file names this model")]
    run = model.compile(method=method)
    try:
        results = run.simulate()
    finally:
        run.close()
    found = []
    for test in chosen:
        expected = read_expected(test)
        if not expected.expectations:
            found.append(Finding(test.name, "holds", "runs, and no more is expected"))
        outcomes = compare(expected, plan, results)
        found += [_told(test, item) for item in outcomes]
    return found


def _told(test: Path, outcome: Outcome) -> Finding:
    item = outcome.expectation
    what = f"{test.name}: {item.experiment}, {item.observable}"
    limit = f"{outcome.error:.2g} apart at most, relative, {item.tolerance:g} allowed"
    if outcome.passed:
        return Finding(what, "holds", limit)
    found = ", ".join(f"{value:.5g}" for value in outcome.found[:_SHOWN])
    wanted = ", ".join(f"{value:.5g}" for value in item.values[:_SHOWN])
    return Finding(
        what,
        "fails",
        f"{len(outcome.found)} values ({found}), expected {len(item.values)} ({wanted}); {limit}",
        "try a smaller step: --dt; the rung `trajectory` tells how far it is from the solution",
    )
