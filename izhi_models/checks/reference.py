"""A run against the reference interpreter, jNeuroML, on the same file.

Where the two differ, it is asked why. jNeuroML adds up its time, so that an edge or a delay may
come a step late; it reads what a parent reads a step or more late (gates of channels); it shows
the states of regimes a step late. All of these vanish with the step, so both are run at another
one: a difference that falls with the step is the reference's way of stepping, and is named; one
that does not is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.question import FINER, Question, skipped
from izhi_models.checks.report import Figure, Finding
from izhi_models.checks.trains import coincidence, van_rossum
from izhi_models.engines.jneuroml import Reference
from izhi_models.errors import BackendError, InputError, RunError
from izhi_models.ir.linearity import Coupling
from izhi_models.pipeline import Model
from izhi_models.results import Results
from izhi_models.units import display_unit

Floats = NDArray[np.float64]

_LEAST_FALL = 0.6  # of a difference, when the step becomes a quarter
_SAME = 1e-4  # of what is read as one unit, 1e-4 mV; a rounding error that has grown
_CALM = 0.9  # of the time up to the first spike
_SINGLE = 2e-7  # relative; the digits in the reference's files
_MOST_POINTS = 4000
_MOST_FIGURES = 8
_WHY = "see check.html for where; `izhi show` for the equations; `--rung equations` tells whose"


@dataclass(frozen=True, eq=False)
class _Pair:
    """One run of each."""

    ours: Results
    theirs: Reference
    dt_s: float


@dataclass(frozen=True)
class _Difference:
    """How far two traces are apart: at most, where first, and on average, in units for people."""

    largest: float
    mean: float
    first_s: float
    is_same: bool


def check_reference(
    question: Question, *, method: str = "auto", limit_s: float = 120.0
) -> tuple[list[Finding], list[Figure]]:
    """Compare a run with that of jNeuroML.

    Parameters
    ----------
    question : Question
        What jNeuroML is asked.
    method : str
    limit_s : float
        Seconds that one run of the reference may take.
    """
    if not question.is_asked:
        return question.left_out, []
    model, quantities, cells = question.model, question.quantities, question.cells
    try:
        pair = _pair(question, method, 1, limit_s)
    except (BackendError, RunError) as error:
        return [skipped(error.diagnostics[0].message)], []
    except InputError as error:
        return [Finding("reference", "fails", error.diagnostics[0].message)], []
    differing = [name for name in quantities if not _trace(pair, name, model).is_same]
    differing += [cell for cell in cells if not _same_spikes(pair, cell)]
    steps: tuple[_Pair, _Pair] | None = None
    if differing:
        # Where the reference is slow, its step is made longer instead.
        is_slow = question.seconds(1) > limit_s / (2 * FINER)
        try:
            other = _pair(question, method, 1 / FINER if is_slow else FINER, limit_s)
            steps = (other, pair) if is_slow else (pair, other)
        except (BackendError, RunError, InputError):
            steps = None

    def compare(steps: tuple[_Pair, _Pair] | None) -> list[Finding]:
        found = [_of_trace(model, pair, steps, name) for name in quantities]
        return found + [_of_spikes(model, pair, steps, cell) for cell in cells]

    findings = compare(steps)
    if steps is not None and any(item.verdict == "fails" for item in findings):
        # How many edges are late is chance, and may rise with a shorter step before it tells.
        factor = FINER * pair.dt_s / steps[1].dt_s
        try:
            finest = _pair(question, method, factor, limit_s)
            findings = compare((steps[0], finest))
        except (BackendError, RunError):
            pass  # what was found stands
    figures = [_figure(pair, name) for name in quantities[:_MOST_FIGURES]]
    return [*findings, *question.left_out], figures


def _pair(question: Question, method: str, factor: float, limit_s: float) -> _Pair:
    dt_s = question.model.step() / factor
    theirs = question.answer(factor, limit_s)
    run = question.model.compile(dt=dt_s, method=method)
    try:
        return _Pair(run.simulate(), theirs, dt_s)
    finally:
        run.close()


def _samples(pair: _Pair, name: str) -> tuple[Floats, Floats, float]:
    """Return ours, theirs, in units for people, and one such unit."""
    trace = pair.ours.trace_of_one(name)
    _, unit = display_unit(trace.dimension)
    ours = np.asarray(trace.values[:, 0], dtype=np.float64) / unit
    theirs = pair.theirs.traces[name] / unit
    n = min(ours.size, theirs.size)
    return ours[:n], theirs[:n], unit


def _trace(pair: _Pair, name: str, model: Model) -> _Difference:
    ours, theirs, _ = _samples(pair, name)
    end = _well_known(pair, name)
    ours, theirs = ours[:end], theirs[:end]
    limit = max(_SAME, 10 * _SINGLE * float(np.abs(theirs).max(initial=0.0)))
    gap = np.abs(ours - theirs)
    beyond = np.flatnonzero(gap > limit)
    first = float(beyond[0]) * pair.dt_s if beyond.size else np.inf
    return _Difference(float(gap.max(initial=0.0)), float(gap.mean()), first, not beyond.size)


def _well_known(pair: _Pair, name: str) -> int:
    """Return how many rows come before the tenth spike of the cell; after it, errors have grown."""
    cell = name.rpartition("/")[0]
    while cell and cell not in pair.theirs.spikes_s:
        cell = cell.rpartition("/")[0]
    times = pair.theirs.spikes_s.get(cell, np.empty(0))
    return round(times[9] / pair.dt_s) if times.size > 9 else pair.theirs.times_s.size


def _spikes(pair: _Pair, cell: str) -> tuple[Floats, Floats]:
    population, index = pair.ours.cell(cell)
    return pair.ours.spikes[population].of(index), pair.theirs.spikes_s[cell]


def _same_spikes(pair: _Pair, cell: str) -> bool:
    ours, theirs = _spikes(pair, cell)
    return ours.size == theirs.size and bool(np.all(np.abs(ours - theirs) < 0.5 * pair.dt_s))


def _of_trace(model: Model, pair: _Pair, steps: tuple[_Pair, _Pair] | None, name: str) -> Finding:
    now = _trace(pair, name, model)
    ours, theirs, _ = _samples(pair, name)
    unit = display_unit(pair.ours.trace_of_one(name).dimension)[0]
    if now.is_same:
        return Finding(name, "holds", f"equal: at most {now.largest:.1e} {unit} apart")
    if ours.size > 2 and _is_late(ours, theirs, _well_known(pair, name)):
        return Finding(
            name, "holds", "equal; jNeuroML shows it one step late (a state of a regime)"
        )
    if steps is None:
        return Finding(name, "skipped", "differs, and jNeuroML takes too long at another step")
    coarse, finer = steps
    before, then = _trace(coarse, name, model), _trace(finer, name, model)
    text = (
        f"{before.mean:.2g} {unit} apart on average with a step of {coarse.dt_s * 1e3:.4g} ms, "
        f"{then.mean:.2g} with {finer.dt_s * 1e3:.4g} ms; first beyond rounding at "
        f"{now.first_s * 1e3:.6g} ms"
    )
    if then.is_same or then.mean <= _LEAST_FALL * before.mean:
        return Finding(name, "holds", f"{text}: falls with the step ({_reason(model, name)})")
    if _spikes_account(coarse, finer, name):
        return Finding(name, "holds", f"{text}: spikes are a step or so apart, which falls too")
    return Finding(name, "fails", text, _WHY)


def _is_late(ours: Floats, theirs: Floats, end: int) -> bool:
    limit = max(_SAME, 10 * _SINGLE * float(np.abs(theirs).max(initial=0.0)))
    return bool(np.all(np.abs(ours[: end - 1] - theirs[1:end]) <= limit))


def _spikes_account(pair: _Pair, finer: _Pair, name: str) -> bool:
    """Return whether the difference of a cell is that its spikes are a little apart.

    So they must be found at a smaller step to be the same, and before the first one the
    difference must fall.
    """
    cell = name.rpartition("/")[0]
    while cell and cell not in pair.theirs.spikes_s:
        cell = cell.rpartition("/")[0]
    if not cell or not _converges(pair, finer, cell):
        return False
    first = min((train[0] for train in _spikes(finer, cell) if train.size), default=0.0)
    if first == 0.0:
        return False
    gaps = []
    for one in (pair, finer):
        ours, theirs, _ = _samples(one, name)
        rows = max(2, int(_CALM * first / one.dt_s))
        gaps.append(float(np.abs(ours[:rows] - theirs[:rows]).mean()))
    return gaps[1] <= max(_SAME, _LEAST_FALL * gaps[0])


def _reason(model: Model, name: str) -> str:
    population = model.network.populations.get(name.partition("[")[0].partition("/")[0])
    if population is None:
        return "rounding of its accumulated time"
    dynamics = population.dynamics
    if Coupling(dynamics).has_gates:
        return "jNeuroML's gates read v three steps late, and its integrator is of first order"
    if any("regime" in item.name for item in dynamics.states):
        return "jNeuroML shows and passes on the states of regimes late"
    return "jNeuroML adds up its time, so that edges and delays come late; or passes on values late"


def _converges(pair: _Pair, finer: _Pair, cell: str) -> bool:
    ours, theirs = _spikes(finer, cell)
    n = min(ours.size, theirs.size, 10)
    if abs(ours.size - theirs.size) > 1 and max(ours.size, theirs.size) <= 10:
        return False
    if n == 0:
        return ours.size + theirs.size <= 1
    fine = np.abs(ours[:n] - theirs[:n]).max()
    a, b = _spikes(pair, cell)
    n = min(a.size, b.size, n)
    coarse = np.abs(a[:n] - b[:n]).max() if n else np.inf
    return bool(fine <= max(_LEAST_FALL * coarse, 2 * finer.dt_s))


def _of_spikes(model: Model, pair: _Pair, steps: tuple[_Pair, _Pair] | None, cell: str) -> Finding:
    ours, theirs = _spikes(pair, cell)
    what = f"spikes of {cell}"
    if _same_spikes(pair, cell):
        return Finding(what, "holds", f"{ours.size} in the same steps")
    window = 2 * pair.dt_s
    gamma = coincidence(ours, theirs, window)
    distance = van_rossum(ours, theirs, 0.01)
    first = _first_apart(ours, theirs, window)
    text = (
        f"{ours.size} and {theirs.size}; {gamma:.0%} within {window * 1e3:g} ms, van Rossum "
        f"distance {distance:.2g} (10 ms)"
    )
    if np.isfinite(first):
        text += f"; first apart at {first * 1e3:.6g} ms"
    if steps is None:
        return Finding(what, "skipped", f"{text}; jNeuroML takes too long at another step")
    if _converges(*steps, cell):
        return Finding(what, "holds", f"{text}: falls with the step ({_reason(model, cell)})")
    return Finding(what, "fails", text, _WHY)


def _first_apart(ours: Floats, theirs: Floats, window_s: float) -> float:
    n = min(ours.size, theirs.size)
    apart = np.flatnonzero(np.abs(ours[:n] - theirs[:n]) > window_s)
    if apart.size:
        return float(min(ours[apart[0]], theirs[apart[0]]))
    longer = ours if ours.size > theirs.size else theirs
    return float(longer[n]) if longer.size > n else np.inf


def _figure(pair: _Pair, name: str) -> Figure:
    ours, theirs, _ = _samples(pair, name)
    stride = max(1, ours.size // _MOST_POINTS)
    symbol = display_unit(pair.ours.trace_of_one(name).dimension)[0]
    times = np.linspace(0.0, (ours.size - 1) * pair.dt_s, ours.size, dtype=np.float64)
    return Figure(
        name, times[::stride], ours[::stride], theirs[::stride], symbol, ("compiled", "jNeuroML")
    )
