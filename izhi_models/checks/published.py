"""The published results of a model, from the test files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from izhi_models.checks.expected import Outcome, Table, compare, read_expected
from izhi_models.checks.report import Finding
from izhi_models.errors import InputError, UnsupportedError
from izhi_models.pipeline import Model
from izhi_models.results import Results

SUFFIX = ".omt"
_SHOWN = 6
_STEPS = 2.5  # two, with the rounding of what is published
# The reference interpreter reads gates up to 3 steps late, and adds a step or so to each
# refractory period and delay.
_ACCIDENTS = 4.0
_STEPS_LATE = 3.0
_FINER = 8  # of the step, where published results are not met


def find_tests(path: Path) -> list[Path]:
    """Return the test files beside a model, or in a folder there, that name it as their target."""
    found = []
    beside = (item for pattern in ("", "*/") for item in path.parent.glob(f"{pattern}*{SUFFIX}"))
    for test in sorted(beside):
        try:
            target = read_expected(test).target
        except (InputError, UnsupportedError):
            continue
        if target.resolve() == path.resolve():
            found.append(test)
    return found


def check_expected(model: Model, tests: Sequence[Path], *, method: str = "auto") -> list[Finding]:
    """Compare a run with published results.

    What is not met is asked at a shorter step too: published results are those of a simulator at
    its step, with its ways, and may be farther from the solution than the run is.

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
    results = _run(model, method, 1)
    others: list[Results] = []
    found = []
    for test in chosen:
        expected = read_expected(test)
        if not expected.expectations:
            found.append(Finding(test.name, "holds", "runs, and no more is expected"))
            continue
        outcomes = compare(expected, plan, results)
        if not others and not all(item.passed for item in outcomes):
            others = [_run(model, method, _FINER), _run(model, "euler", 1)]
        solved = [compare(expected, plan, item) for item in others or (results, results)]
        for outcome, solution, plain in zip(outcomes, *solved, strict=True):
            excuse = "" if outcome.passed else _excuse(outcome, solution, plain, model.step())
            found.append(_told(test, outcome, excuse))
    return found


def _run(model: Model, method: str, factor: int) -> Results:
    run = model.compile(method=method, dt=model.step() / factor)
    try:
        return run.simulate()
    finally:
        run.close()


def _told(test: Path, outcome: Outcome, excuse: str) -> Finding:
    item = outcome.expectation
    what = f"{test.name}: {item.experiment}, {item.observable}"
    limit = f"{outcome.error:.2g} apart at most, relative, {item.tolerance:g} allowed"
    if outcome.passed:
        return Finding(what, "holds", limit)
    if excuse:
        return Finding(what, "doubtful", f"{limit}; but {excuse}")
    found = ", ".join(f"{value:.5g}" for value in outcome.found[:_SHOWN])
    wanted = ", ".join(f"{value:.5g}" for value in item.values[:_SHOWN])
    return Finding(
        what,
        "fails",
        f"{len(outcome.found)} values ({found}), expected {len(item.values)} ({wanted}); {limit}",
        "try a smaller step: --dt; the rung `trajectory` tells how far it is from the solution",
    )


def _excuse(outcome: Outcome, solution: Outcome, plain: Outcome, step_s: float) -> str:
    """Return why published results that are not met need not be; empty if they need.

    A run cannot tell the time of a spike better than to a step, and what it starts may come
    another one later. Beyond that, the run must be nearer to the solution than what is published,
    and that as near as a simulator of first order comes at the step: another model is farther.
    """
    item = outcome.expectation
    step = 0.0
    if item.observable == "spike times":
        where = item.where
        step = step_s * (where.scaling[0] if isinstance(where, Table) else where.scaling)
        if len(outcome.found) == len(item.values):
            steps = _distance(outcome.found, item.values) / step
            if steps < _STEPS:
                return f"that is {steps:.2g} steps, and a step is the time of a spike"
    if len(outcome.found) != len(solution.found):
        return ""
    if abs(len(item.values) - len(solution.found)) > 1:
        return ""
    ours, published, euler = (
        _distance(values, solution.found) for values in (outcome.found, item.values, plain.found)
    )
    limit = _ACCIDENTS * euler + _STEPS_LATE * step * len(item.values)
    if ours <= published <= limit:
        return (
            f"from those at a shorter step this run is {ours:.3g} away, and the published "
            f"{published:.3g}, as a simulator of first order is at this step"
        )
    return ""


def _distance(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Return how far values are apart at most, as far as both go."""
    return max((abs(a - b) for a, b in zip(first, second, strict=False)), default=0.0)
