"""Compare the results of two simulations: how they were made, spikes, and traces, path by path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.differences.report import Difference, both
from izhi_models.checks.trains import coincidence, unpaired, van_rossum
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.units import display_unit

Floats = NDArray[np.float64]

_ROUNDING = 1e-3  # of a step: within it, times of two runs are the same
_KERNEL_S = 0.01  # of the distance of van Rossum
_APART_S = 1.0  # between the trains of two cells, far more than any kernel or window
_VALUES = 2**22  # of a trace that are compared at once
# What no run shares with another, and says nothing about what it did.
_PASSING = ("command", "cached", "seconds", "program")


@dataclass(frozen=True)
class Limits:
    """How far results may be apart and be equal.

    Parameters
    ----------
    spikes_s : float
        [s]
    relative : float
        Of the largest value of a trace.
    """

    spikes_s: float
    relative: float


def compare_results(
    first: Results, second: Results, limits: Limits
) -> tuple[list[Difference], list[str]]:
    """Compare results.

    Parameters
    ----------
    first, second : Results
    limits : Limits

    Returns
    -------
    list of Difference, list of str
        The second says what was compared.
    """
    found = list(_made(first, second))
    spans = [(item.start_s, item.start_s + item.duration_s) for item in (first, second)]
    common = (max(start for start, _ in spans), min(end for _, end in spans))
    step_s = max(first.dt_s, second.dt_s)
    if any(
        abs(end - common[number]) > _ROUNDING * step_s
        for span in spans
        for number, end in enumerate(span)
    ):
        found.append(Difference("time", "simulated", both(_span, *spans), "compared in both"))
    found += _only("spikes", first.spikes, second.spikes)
    populations = [name for name in first.spikes if name in second.spikes]
    for name in populations:
        pair = first.spikes[name], second.spikes[name]
        found += _of_spikes(name, *pair, common, limits.spikes_s, step_s)
    ours, theirs = _by_path(first.traces), _by_path(second.traces)
    found += _only("trace", ours, theirs)
    paths = [path for path in ours if path in theirs]
    for path in paths:
        found += _of_trace(path, ours[path], theirs[path], limits.relative, step_s)
    return found, [f"spikes of {len(populations)} populations", f"{len(paths)} traces"]


def _span(span: tuple[float, float]) -> str:
    return f"{span[0] * 1e3:g} to {span[1] * 1e3:g} ms"


def _only(kind: str, first: Iterable[str], second: Iterable[str]) -> Iterator[Difference]:
    for name in first:
        if name not in second:
            yield Difference(kind, name, ("recorded", ""))
    for name in second:
        if name not in first:
            yield Difference(kind, name, ("", "recorded"))


def _made(first: Results, second: Results) -> Iterator[Difference]:
    """Tell how the two were made in different ways."""
    sides = [
        _flat({"dt_s": item.dt_s, "components": item.components, **item.provenance})
        for item in (first, second)
    ]
    for name in dict.fromkeys((*sides[0], *sides[1])):
        a, b = (side.get(name, "") for side in sides)
        if a != b and name.partition("/")[0] not in _PASSING:
            yield Difference("provenance", name, (a, b), counts=False)


def _flat(data: Mapping[str, Any], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{above}{name}/")
        else:
            found[f"{above}{name}"] = str(value)
    return found


# Spikes


def _of_spikes(
    name: str,
    first: SpikeTrains,
    second: SpikeTrains,
    common: tuple[float, float],
    tolerance_s: float,
    step_s: float,
) -> Iterator[Difference]:
    if first.n_neurons != second.n_neurons:
        sizes = both(lambda item: f"{item.n_neurons} cells", first, second)
        yield Difference("spikes", name, sizes)
        return
    tick_s = _ROUNDING * step_s
    trains = [_within(item, common, tick_s) for item in (first, second)]
    lines = _lines(trains, tick_s)
    lonely = unpaired(lines[0], lines[1], tolerance_s / tick_s + 1)
    if not any(item.any() for item in lonely):
        return
    alone = np.concatenate([item[own] for item, own in zip(trains, lonely, strict=True)])
    earliest = alone[np.argmin(alone["time"])]
    near_s = max(step_s, tolerance_s)
    near = coincidence(lines[0], lines[1], near_s / tick_s + 1)
    distance = van_rossum(lines[0] / 1.0, lines[1] / 1.0, _KERNEL_S / tick_s)
    yield Difference(
        "spikes",
        name,
        both(lambda item: f"{item.size} spikes", *trains),
        f"first apart at {earliest['time'] * 1e3:.6g} ms in cell {earliest['cell']}; "
        f"{near:.1%} within {near_s * 1e3:g} ms; van Rossum distance {distance:.3g} (10 ms)",
    )


def _within(trains: SpikeTrains, common: tuple[float, float], slack_s: float) -> NDArray[Any]:
    """Return the spikes of the time that both have, by cell and time."""
    times, cells = np.asarray(trains.times_s), np.asarray(trains.indices)
    inside = (times >= common[0] - slack_s) & (times <= common[1] + slack_s)
    found = np.empty(int(inside.sum()), dtype=[("cell", np.int64), ("time", np.float64)])
    found["cell"], found["time"] = cells[inside], times[inside]
    order: NDArray[np.intp] = np.lexsort((found["time"], found["cell"]))
    return found[order]


def _lines(trains: list[NDArray[Any]], tick_s: float) -> list[NDArray[np.int64]]:
    """Return the spikes of all cells as one train each, in ticks, those of no two cells near."""
    last = max(float(item["time"].max(initial=0.0)) for item in trains)
    span = int((last + _APART_S) / tick_s)
    return [
        item["cell"] * span + np.rint(item["time"] / tick_s).astype(np.int64) for item in trains
    ]


# Traces


def _by_path(traces: Iterable[Trace]) -> dict[str, Trace]:
    """Return traces by path; those of one path at other times have a number."""
    found: dict[str, Trace] = {}
    for trace in sorted(traces, key=lambda item: -item.times.shape[0]):
        same = sum(path.partition("@")[0] == trace.path for path in found)
        found[trace.path + (f"@{same + 1}" if same else "")] = trace
    return found


@dataclass
class _Largest:
    """What is farthest apart so far, and what is first beyond a limit."""

    gap: float = 0.0
    size: float = 0.0
    row: int = 0
    column: int = 0


def _of_trace(
    path: str, first: Trace, second: Trace, relative: float, step_s: float
) -> Iterator[Difference]:
    if first.dimension != second.dimension:
        yield Difference(
            "trace", path, both(str, first.dimension, second.dimension), "of dimension"
        )
        return
    cells, *columns = np.intersect1d(first.indices, second.indices, return_indices=True)
    if cells.size < max(first.indices.size, second.indices.size):
        sizes = both(lambda item: f"{item.indices.size} cells", first, second)
        yield Difference("trace", path, sizes, f"{cells.size} of them in both")
    rows = _common_rows(np.asarray(first.times), np.asarray(second.times), _ROUNDING * step_s)
    if not cells.size or not rows[0].size:
        yield Difference("trace", path, by="no sample at the same time in both")
        return
    largest = _Largest()
    for start, gaps, size in _gaps(first, second, rows, columns):
        largest.size = max(largest.size, size)
        most = int(np.argmax(gaps))
        if gaps.flat[most] > largest.gap:
            row, column = np.unravel_index(most, gaps.shape)
            largest.gap, largest.row = float(gaps.flat[most]), start + int(row)
            largest.column = int(column)
    limit = relative * largest.size
    if largest.gap <= limit:
        return
    begins = next(
        start + int(np.flatnonzero((gaps > limit).any(axis=1))[0])
        for start, gaps, _ in _gaps(first, second, rows, columns)
        if (gaps > limit).any()
    )
    symbol, unit = display_unit(first.dimension)
    times_ms = np.asarray(first.times)[rows[0]] * 1e3
    yield Difference(
        "trace",
        path,
        both(lambda item: f"{item.times.shape[0]} samples", first, second),
        f"at most {largest.gap / unit:.4g} {symbol or '1'} apart, at {times_ms[largest.row]:.6g} "
        f"ms in cell {cells[largest.column]}; first at {times_ms[begins]:.6g} ms",
    )


def _common_rows(
    first: Floats, second: Floats, slack_s: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows at which both were sampled."""
    if not first.size or not second.size:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    places = np.clip(np.searchsorted(second, first - slack_s), 0, second.size - 1)
    same = np.abs(second[places] - first) <= slack_s
    return np.flatnonzero(same), places[same]


def _gaps(
    first: Trace,
    second: Trace,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    columns: list[NDArray[np.intp]],
) -> Iterator[tuple[int, Floats, float]]:
    """Yield how far samples are apart, some at once, with the first row and the largest value."""
    step = max(1, _VALUES // max(first.indices.size, second.indices.size))
    for start in range(0, rows[0].size, step):
        parts = [
            _part(trace, own[start : start + step], column)
            for trace, own, column in zip((first, second), rows, columns, strict=True)
        ]
        gaps = np.abs(parts[0] - parts[1])
        gaps[(parts[0] == parts[1]) | (np.isnan(parts[0]) & np.isnan(parts[1]))] = 0.0
        gaps[np.isnan(gaps)] = np.inf
        finite = [item[np.isfinite(item)] for item in parts]
        size = max(float(np.abs(item).max(initial=0.0)) for item in finite)
        yield start, gaps, size


def _part(trace: Trace, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    block = np.asarray(trace.values[int(rows[0]) : int(rows[-1]) + 1], dtype=np.float64)
    part: Floats = block[rows - rows[0]][:, columns]
    return part
