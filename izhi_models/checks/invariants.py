"""What holds of a stochastic model whatever its random numbers are.

Over several seeds: intervals and numbers of spikes of NeuroML's random sources against what they
declare; states of cells and inputs that draw, at the start and later, against the interpreter;
connections that rules draw against those of the same rules done plainly, pair by pair. All tests
of a file together fail for a sound model once in ten thousand files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.chance import draws
from izhi_models.checks.compiled import Compiled
from izhi_models.checks.oracle import Cell, Oracle
from izhi_models.checks.report import Finding
from izhi_models.checks.sources import DECLARED, Intervals
from izhi_models.checks.statistics import (
    independent,
    of_count,
    of_distribution,
    same_distribution,
    same_mean,
)
from izhi_models.expr import is_random
from izhi_models.ir.evaluate import Interpreter
from izhi_models.lems.rules import find_rules
from izhi_models.lems.simulation import lower_experiment
from izhi_models.lems.structure import lower_rules
from izhi_models.network import Population, Projection
from izhi_models.pipeline import Model

Floats = NDArray[np.float64]
Place = tuple[str, int, str]
Samples = dict[Place, Floats]

FALSE_ALARMS = 1e-4  # for all tests of a file together
_SEEDS = 5
_INTERVALS = 2000  # of a source, if they can be had
_LEAST_INTERVALS = 50
_LONGEST = 100.0  # times as long as the file says
_MOST_CELL_STEPS = 2e7
_MOST_PAIRS = 4e6
_RUNS, _COPIES = 200, 2000  # of cells that draw, and of the interpreter
_MOST_STEPS = 400
_MOST_TRIED = 20  # cells of a population, to find one that draws
_MOST_PAIRED = 100  # pairs of populations
_HINT = "a fault of this package, not of the model: please report it with the file"


@dataclass
class _Tests:
    """All tests so far: what is tested, what was seen, and the probability of it."""

    done: list[tuple[str, str, float]] = field(default_factory=list)

    def add(self, what: str, seen: str, probability: float) -> None:
        self.done.append((what, seen, probability))

    def findings(self) -> Iterator[Finding]:
        """Yield what was found; the more tests there are, the less likely must a failure be."""
        for what, seen, probability in self.done:
            text = f"{seen}; by chance with a probability of {probability:.2g}"
            if probability < FALSE_ALARMS / len(self.done):
                yield Finding(what, "fails", text, _HINT)
            else:
                yield Finding(what, "holds", text)


def check_invariants(model: Model, *, method: str = "auto", seed: int = 1234) -> list[Finding]:
    """Check a stochastic model over several seeds.

    Parameters
    ----------
    model : Model
    method : str
    seed : int
        The first; those that follow are the next.
    """
    network, tests = model.network, _Tests()
    declared = network.projections if network.parts is None else network.parts.projections
    found = [item for projection in declared for item in _sane(projection.kept())]
    random = [
        item
        for item in network.populations.values()
        if any(is_random(expr) for expr in item.dynamics.expressions())
    ]
    if not random and network.seed is None:
        return [*found, Finding("invariants", "skipped", "the model draws no random numbers")]
    if network.seed is not None:
        found += _rules(model, tests, seed)
    if random:
        found += _sources(model, tests, method, seed)
        if network.parts is not None:
            found += _states(model, tests, method, seed)
    return [*found, *tests.findings()]


def _sane(projection: Projection) -> Iterator[Finding]:
    """Check what a rule or a file has made of a projection."""
    place = f"connections of {projection.id}"
    if not projection.size:
        return
    if not (np.isfinite(projection.weights).all() and np.isfinite(projection.delays).all()):
        yield Finding(place, "fails", "weights or delays are not finite", "look at the rule")
        return
    if (projection.delays < 0).any():
        yield Finding(
            place, "fails", f"a delay of {projection.delays.min():g} s", "look at the rule"
        )
        return
    degrees = np.bincount(projection.post_cells)
    yield Finding(
        place,
        "holds",
        f"{projection.size}, {degrees.min()} to {degrees.max()} at a cell, weights "
        f"{projection.weights.min():.4g} to {projection.weights.max():.4g}, delays "
        f"{projection.delays.min() * 1e3:.4g} to {projection.delays.max() * 1e3:.4g} ms",
    )


# Rules


def _rules(model: Model, tests: _Tests, seed: int) -> Iterator[Finding]:
    """Compare what rules draw with what they draw when each pair is tried."""
    network, target = model.network, model.experiment.target.network
    if network.parts is None or target is None:
        yield Finding("rules", "skipped", "the parts of the network are not kept")
        return
    populations = network.parts.populations
    pairs = max(item.size for item in populations.values()) ** 2
    if pairs > _MOST_PAIRS:
        yield Finding("rules", "skipped", f"{pairs:g} pairs of cells are too many to try each")
        return
    rules = find_rules(target)
    drawn: dict[str, list[Projection]] = {}
    plain: dict[str, list[Projection]] = {}
    for number in range(_SEEDS):
        now = lower_experiment(model.declarations, seed + number).network.parts
        made = lower_rules(
            model.declarations, rules, populations, seed + number, is_plain=True
        ).projections
        for item in made:
            plain.setdefault(item.id, []).append(item.kept())
        for item in now.projections if now is not None else ():
            if item.id in plain:
                drawn.setdefault(item.id, []).append(item.kept())
    random = np.random.default_rng(seed)
    for name, ours in drawn.items():
        theirs = plain[name]
        sizes = {"pre": populations[ours[0].pre].size, "post": populations[ours[0].post].size}
        yield from _differs_by_seed(name, ours)
        seen: list[tuple[str, Callable[[list[Projection]], Floats]]] = [
            ("connections onto a cell", partial(_degrees, sizes, "post")),
            ("connections from a cell", partial(_degrees, sizes, "pre")),
            ("weights", partial(_all, "weights")),
            ("delays", partial(_all, "delays")),
        ]
        for what, values in seen:
            a, b = values(ours), values(theirs)
            probability = same_distribution(a, b, random)
            if what.startswith("connections"):
                probability = min(1.0, 2.0 * min(probability, same_mean(a, b)))
            text = f"{a.mean():.4g} on average, {b.mean():.4g} pair by pair"
            tests.add(f"{what} of {name}", text, probability)


def _differs_by_seed(name: str, projections: list[Projection]) -> Iterator[Finding]:
    first, second = projections[:2]
    is_same = first.size == second.size and all(
        np.array_equal(getattr(first, item), getattr(second, item))
        for item in ("pre_cells", "post_cells", "weights", "delays")
    )
    is_drawn = any(item.size > 1 and np.ptp(item.weights) > 0 for item in (first, second))
    if is_same and is_drawn:
        yield Finding(f"connections of {name}", "fails", "two seeds give the same", _HINT)


def _degrees(sizes: dict[str, int], end: str, projections: list[Projection]) -> Floats:
    """Return how many connections each cell has at one end of a projection, over all seeds."""
    counts = [
        np.bincount(getattr(item, f"{end}_cells"), minlength=sizes[end]) for item in projections
    ]
    return np.concatenate(counts).astype(np.float64)


def _all(what: str, projections: list[Projection]) -> Floats:
    values = [np.broadcast_to(getattr(item, what), item.size) for item in projections]
    return np.concatenate(values) if any(item.size for item in values) else np.zeros(1)


# Sources


def _sources(model: Model, tests: _Tests, method: str, seed: int) -> Iterator[Finding]:
    """Compare the spikes of NeuroML's random sources with what these declare."""
    declared = {
        item.id: intervals
        for item in model.network.populations.values()
        if (intervals := _declared(model, item)) is not None
    }
    plan = model.experiment.simulation
    if plan is None or not declared:
        return
    wanted_s = max(
        _INTERVALS * item.mean_s / (_SEEDS * model.network.populations[name].size)
        for name, item in declared.items()
    )
    cell_steps = _MOST_CELL_STEPS / _SEEDS / model.network.n_neurons
    duration_s = min(max(plan.length_s, wanted_s), _LONGEST * plan.length_s)
    duration_s = min(duration_s, cell_steps * model.step())
    run = model.compile(method=method, seed=seed)
    trains: dict[str, list[list[Floats]]] = {name: [] for name in declared}
    try:
        for number in range(_SEEDS):
            run.reset(seed + number)
            results = run.simulate(duration_s)
            for name, found in trains.items():
                spikes = results.spikes[name]
                found.append([spikes.of(n) for n in range(spikes.n_neurons)])
    finally:
        run.close()
    _apart(trains, tests)
    for name, found in trains.items():
        yield from _of_source(name, declared[name], found, duration_s, model.step(), tests)


def _apart(trains: dict[str, list[list[Floats]]], tests: _Tests) -> None:
    """Test that cells do not draw the same numbers: by the first spikes of pairs of them."""
    firsts = {
        name: np.array([[train[0] if train.size else np.inf for train in run] for run in runs])
        for name, runs in trains.items()
    }
    for name, values in firsts.items():
        half = values.shape[1] // 2
        if half:
            _pair_apart(f"cells of {name}", values[:, :half], values[:, half : 2 * half], tests)
    for first, second in islice(combinations(firsts, 2), _MOST_PAIRED):
        n = min(firsts[first].shape[1], firsts[second].shape[1])
        _pair_apart(f"{first} and {second}", firsts[first][:, :n], firsts[second][:, :n], tests)


def _pair_apart(what: str, first: Floats, second: Floats, tests: _Tests) -> None:
    probability = independent(first.ravel(), second.ravel())
    tests.add(f"{what} draw apart", f"ranks of {first.size} pairs", probability)


def _declared(model: Model, population: Population) -> Intervals | None:
    component = model.declarations.components.get(population.component)
    kinds = () if component is None else component.type.ancestors
    kind = next((item for item in kinds if item in DECLARED), None)
    if kind is None or any(isinstance(item, np.ndarray) for item in population.values.values()):
        return None
    values = {name: float(value) for name, value in population.values.items()}
    try:
        return DECLARED[kind](values)
    except (KeyError, ZeroDivisionError):  # a type of the user that derives them in another way
        return None


def _of_source(
    name: str,
    declared: Intervals,
    runs: list[list[Floats]],
    duration_s: float,
    dt_s: float,
    tests: _Tests,
) -> Iterator[Finding]:
    if all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True)) and any(
        item.size for item in runs[0]
    ):
        yield Finding(f"spikes of {name}", "fails", "two seeds give the same", _HINT)
        return
    trains = [train for run in runs for train in run]
    times = np.concatenate(trains)
    end_s = min(declared.end_s, duration_s)
    early = times < declared.start_s - dt_s
    late = times > declared.end_s + 1.5 * dt_s
    if early.any() or late.any():
        outside = f"{int((early | late).sum())} spikes before or after the time declared"
        yield Finding(f"spikes of {name}", "fails", outside, _HINT)
    span_s = end_s - declared.start_s
    if span_s <= 0:
        return
    ratio = declared.deviation_s / declared.mean_s
    # Of a renewal process that starts with a whole interval. Source: Cox, Renewal Theory (1962),
    # 4.1 and 4.2.
    each = max(0.0, span_s / declared.mean_s + (ratio**2 - 1.0) / 2.0)
    expected = len(trains) * each
    intervals = np.concatenate([np.diff(item, prepend=declared.start_s) for item in trains])
    if expected < _LEAST_INTERVALS:
        yield Finding(f"spikes of {name}", "skipped", f"{times.size} are too few to tell")
        return
    deviation = ratio * np.sqrt(len(trains) * span_s / declared.mean_s) + 0.5
    seen = f"{times.size} in {len(trains)} trains of {span_s:.3g} s, {expected:.5g} expected"
    tests.add(f"spikes of {name}", seen, of_count(times.size, expected, deviation))
    # The last interval of a train is cut, and the long ones more often: so the first ones count.
    certain = max(0, int(each - 4.0 * ratio * np.sqrt(each)))
    bounds = np.cumsum([item.size for item in trains])[:-1]
    sample = np.concatenate([item[:certain] for item in np.split(intervals, bounds)])
    if not sample.size:
        return
    seen = f"{sample.mean() * 1e3:.4g} ms on average, declared {declared.mean_s * 1e3:.4g} ms: "
    seen += declared.text
    tests.add(f"intervals of {name}", seen, of_distribution(sample, declared.cumulative, dt_s))


# States


def _states(model: Model, tests: _Tests, method: str, seed: int) -> Iterator[Finding]:
    """Compare what draws in cells and inputs with the interpreter, at the start and later."""
    network = model.network
    if network.parts is None:
        yield Finding("states", "skipped", "the parts of the network are not kept")
        return
    oracle = Oracle(network, network.parts.kept(), model.step())
    cells = list(_drawing(oracle))
    if not cells:
        return
    allowed = _MOST_CELL_STEPS / _RUNS / network.n_neurons
    if allowed < 1:
        yield Finding("states", "skipped", f"too many cells to run {_RUNS} times")
        return
    n_steps = int(min(_MOST_STEPS, allowed))
    ours = _sampled(model, cells, n_steps, method, seed)
    random = np.random.default_rng(seed)
    _states_apart(ours, tests)
    for cell in cells:
        copies = Interpreter(cell.dynamics, cell.values, _COPIES, model.step(), seed, method)
        for when, steps in (("at the start", 0), (f"after {n_steps} steps", n_steps)):
            for _ in range(steps):
                copies.advance()
            for (population, index, name), values in ours[bool(steps)].items():
                if (population, index) != (cell.population, cell.index):
                    continue
                theirs = copies.value(cell.names[name])
                if np.ptp(theirs) == 0.0 and np.ptp(values) == 0.0:
                    continue
                if bool(steps) or _is_known(cell, name):
                    seen = f"{values.mean():.6g} on average, the equations give {theirs.mean():.6g}"
                    tests.add(
                        f"{population}/{name} {when}",
                        seen,
                        same_distribution(values, theirs, random),
                    )


def _states_apart(ours: tuple[Samples, Samples], tests: _Tests) -> None:
    """Test that populations do not draw the same numbers, by what they have over all seeds."""
    for when, samples in zip(("at the start", "later"), ours, strict=True):
        drawn = {place: values for place, values in samples.items() if np.ptp(values) > 0.0}
        first_of = {population: place for place in reversed(drawn) for population in place[:1]}
        for (one, first), (two, second) in islice(combinations(first_of.items(), 2), _MOST_PAIRED):
            probability = independent(drawn[first], drawn[second])
            what = f"{one}/{first[2]} and {two}/{second[2]} {when}"
            tests.add(f"{what} draw apart", f"ranks of {drawn[first].size} pairs", probability)


def _is_known(cell: Cell, name: str) -> bool:
    """Return whether a name is that of a state, which has a value at the start."""
    return any(item.name == cell.names[name] for item in cell.dynamics.states)


def _drawing(oracle: Oracle) -> Iterator[Cell]:
    """Yield cells that draw, one of each population, if nothing comes to them from others."""
    for name in oracle.parts.populations:
        alone = np.flatnonzero(oracle.n_connections(name) == 0)[:_MOST_TRIED]
        for index in alone.tolist():
            cell = oracle.cell(name, index)
            if draws(cell.dynamics):
                yield cell
                break


def _sampled(
    model: Model, cells: list[Cell], n_steps: int, method: str, seed: int
) -> tuple[Samples, Samples]:
    """Return the states of cells over many seeds, at the start and after some steps."""
    found: tuple[dict[Place, list[float]], dict[Place, list[float]]] = ({}, {})
    lowering = model.lower(model.recordings(), method=method)
    for number in range(_RUNS):
        with Compiled(lowering, model.step(), seed + number) as compiled:
            for side, steps in zip(found, (0, n_steps), strict=True):
                compiled.run(steps)
                for cell in cells:
                    for name in compiled.names(cell.population):
                        if name in cell.names:
                            value = float(compiled.values(cell.population, name)[cell.index])
                            place = (cell.population, cell.index, name)
                            side.setdefault(place, []).append(value)
    start, later = ({key: np.array(item) for key, item in side.items()} for side in found)
    return start, later
