"""What a model draws by chance, drawn here for another simulator, which replays it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from izhi_models.engines.chance import name_of, random_inputs, random_sources
from izhi_models.exporters.request import Request
from izhi_models.network import Input
from izhi_models.pipeline import Model
from izhi_models.places import RESULTS
from izhi_models.results import Results, SpikeTrains, Trace

_ROWS = 4096  # of a trace that are looked at in one go


def with_chance(model: Model, request: Request, engine: str) -> Request:
    """Return a request with the events that random sources send here: for NEURON.

    Parameters
    ----------
    model : Model
    request : Request
    engine : str
        One of `izhi_models.engines.ENGINES`.
    """
    sources, inputs = random_sources(request), random_inputs(request)
    if engine != "neuron" or not (sources or inputs):
        return request
    paths = [path for item in inputs for path in _clocks(item)]
    run = model.compile(dt=request.dt_s, seed=request.seed, record=paths)
    with tempfile.TemporaryDirectory(prefix="izhi-") as folder:
        results = run.simulate(request.duration_s, file=Path(folder) / RESULTS)
        run.close()
        replayed = {name: _in_memory(results.spikes[name]) for name in sources}
        replayed |= {name_of(item): _events(results, item) for item in inputs}
    return replace(request, replayed=replayed)


def _numbered(source: Input) -> Iterator[tuple[int, int]]:
    """Yield the cell of each input, and how many of its kind the cell has before it."""
    seen: dict[int, int] = {}
    for cell in source.cells.tolist():
        seen[cell] = seen.get(cell, -1) + 1
        yield cell, seen[cell]


def _clock(source: Input, cell: str, number: int) -> str:
    """Return the path of the time since the last event."""
    return f"{source.population}{cell}/{source.attachment}:{source.id}:{number}/tsince"


def _clocks(source: Input) -> list[str]:
    return [_clock(source, f"[{cell}]", number) for cell, number in _numbered(source)]


def _events(results: Results, source: Input) -> SpikeTrains:
    """Return the events of inputs: their clocks start anew."""
    places = {pair: place for place, pair in enumerate(_numbered(source))}
    times, owners = [np.empty(0)], [np.empty(0, dtype=np.int32)]
    for number in sorted({number for _, number in places}):
        trace = results.trace(_clock(source, "", number))
        order = np.array([places.get((cell, number), -1) for cell in trace.indices.tolist()])
        for when, column in _restarts(trace):
            chosen = order[column] >= 0
            times.append(when[chosen])
            owners.append(order[column][chosen].astype(np.int32))
    every, cells = np.concatenate(times), np.concatenate(owners)
    first = np.argsort(every, kind="stable")
    return SpikeTrains(every[first], cells[first], len(places), results.duration_s)


def _restarts(trace: Trace) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield when values do not grow [s], and in which columns."""
    n_rows = trace.times.shape[0]
    for start in range(0, n_rows - 1, _ROWS):
        rows = slice(start, start + _ROWS + 1)
        row, column = np.nonzero(np.diff(trace.values[rows], axis=0) <= 0.0)
        yield trace.times[rows][1:][row], column


def _in_memory(trains: SpikeTrains) -> SpikeTrains:
    return replace(trains, times_s=trains.times_s[:], indices=trains.indices[:])
