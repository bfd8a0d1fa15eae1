"""What holds of a stochastic model whatever its random numbers are.

Rates of sources against the declared ones over several seeds, and the weights, delays and numbers
of connections that rules draw: finite, in range, and not the same for another seed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.report import Finding
from izhi_models.expr import is_random
from izhi_models.network import Population, Projection
from izhi_models.pipeline import Model

_SEEDS = 5
_SIGMAS = 5.0  # of a sound model, less than one in a million is further off
_LEAST_SPIKES = 20
_MOST_CELL_STEPS = 5e7
_RATES = ("averageRate", "rate")


def check_invariants(model: Model, *, method: str = "auto", seed: int = 1234) -> list[Finding]:
    """Check a stochastic model over several seeds.

    Parameters
    ----------
    model : Model
    method : str
    seed : int
        The first; those that follow are the next.
    """
    network = model.network
    random = [
        item
        for item in network.populations.values()
        if any(is_random(expr) for expr in item.dynamics.expressions())
    ]
    found = [item for projection in network.projections for item in _connections(projection.kept())]
    if not random and network.seed is None:
        return [*found, Finding("invariants", "skipped", "the model draws no random numbers")]
    plan = model.experiment.simulation
    if plan is not None and random:
        steps = _SEEDS * plan.length_s / model.step() * network.n_neurons
        if steps > _MOST_CELL_STEPS:
            return [*found, Finding("rates", "skipped", "too large to run for several seeds")]
        found += list(_rates(model, random, method, seed))
    return found


def _connections(projection: Projection) -> Iterator[Finding]:
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


def _rates(model: Model, random: list[Population], method: str, seed: int) -> Iterator[Finding]:
    trains: dict[str, list[list[NDArray[np.float64]]]] = {item.id: [] for item in random}
    run = model.compile(method=method, seed=seed)
    duration = 0.0
    try:
        for number in range(_SEEDS):
            run.reset(seed + number)
            results = run.simulate()
            duration = results.duration_s
            for item in random:
                if item.id in results.spikes:
                    spikes = results.spikes[item.id]
                    trains[item.id].append([spikes.of(n) for n in range(item.size)])
    finally:
        run.close()
    for item in random:
        if trains[item.id]:
            yield _rate(item, trains[item.id], duration)


def _rate(
    population: Population, trains: list[list[NDArray[np.float64]]], duration_s: float
) -> Finding:
    """Compare the rate of all runs with the declared one, within what chance allows."""
    place = f"rate of {population.id}"
    counts = np.array([sum(train.size for train in run) for run in trains])
    if counts.sum() < _LEAST_SPIKES:
        return Finding(place, "skipped", f"{counts.sum()} spikes are too few to tell a rate")
    spans = [np.diff(train) for run in trains for train in run if train.size > 1]
    intervals = np.concatenate(spans) if spans else np.empty(0)
    variation = float(intervals.std() / intervals.mean()) if intervals.size else 1.0
    observed = counts.sum() / (len(trains) * population.size * duration_s)
    text = f"{observed:.4g} Hz over {len(trains)} seeds, intervals vary by {variation:.2g}"
    if len(trains) > 1 and all(
        np.array_equal(a, b) for a, b in zip(trains[0], trains[1], strict=True)
    ):
        return Finding(place, "fails", "two seeds give the same spikes", "report it with the file")
    declared = next((population.values[key] for key in _RATES if key in population.values), None)
    if declared is None:
        return Finding(place, "holds", text)
    wanted = float(np.mean(declared))
    # Of n spikes of a renewal process the number varies by the variation of its intervals.
    spread = max(variation, 1e-3) * np.sqrt(counts.sum()) / counts.sum() * wanted
    if abs(observed - wanted) <= _SIGMAS * spread + 1.0 / (
        population.size * duration_s * len(trains)
    ):
        return Finding(place, "holds", f"{text}; declared {wanted:.4g} Hz")
    return Finding(
        place,
        "fails",
        f"{text}; declared {wanted:.4g} Hz, and {_SIGMAS * spread:.2g} Hz are chance",
        "try a smaller step: a source sends one event in a step at most",
    )
