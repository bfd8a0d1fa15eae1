"""Whether another simulator gives the same spikes and traces as the compiled code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from izhi_models.errors import CheckError, Diagnostic
from izhi_models.results import Results, Trace

# Methods differ from simulator to simulator, and so by some steps does the time of a spike; that
# adds up over a train. Beyond it, the networks are not the same.
TOLERANCE_S = 1.5e-3
DRIFT = 0.01
# What of a trace's range remains where its spikes come in time: one step of a fast variable.
SHARE = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How well the spikes of a population, or its traces, agree.

    Parameters
    ----------
    name : str
        A population, or a path.
    count : int
        Spikes.
    farthest_s : float
        The greatest difference of two times. [s]
    share : float, optional
        Of a trace: the greatest difference as part of its range.
    """

    name: str
    count: int = 0
    farthest_s: float = 0.0
    share: float | None = None

    def __str__(self) -> str:
        if self.share is not None:
            return f"{self.name}: at most {self.share:.3g} of its range off"
        return f"{self.name}: {self.count} spikes, at most {self.farthest_s * 1e3:.3g} ms off"


def agreements(own: Results, other: Results, name: str) -> Iterator[Agreement]:
    """Yield how well the spikes of each population, and the traces, agree.

    Spikes so near the end that the other simulator may send them later do not count. A trace may be
    as much early or late as a spike.

    Parameters
    ----------
    own, other : Results
        Of the compiled code, and of another simulator.
    name : str
        Of that simulator.

    Raises
    ------
    CheckError
        With the first cell whose spikes differ in number, or by more than 1.5 ms and 1 % of the
        time at which they come; or the first trace that is not the same; or if there is nothing to
        compare.
    """
    traces = [item for item in other.traces if item.path in {known.path for known in own.traces}]
    if not traces and not any(trains.count for trains in own.spikes.values()):
        raise _differs(f"there are no spikes to compare with those of {name}, and no traces")
    for population, trains in own.spikes.items():
        cells = range(trains.n_neurons)
        found = other.spikes[population]
        farthest = [
            _apart(f"{population}[{n}]", trains.of(n), found.of(n), own.duration_s, name)
            for n in cells
        ]
        yield Agreement(population, trains.count, max(farthest, default=0.0))
    for item in traces:
        yield _trace_agreement(own.trace(item.path), item, name)


def _apart(where: str, expected: Floats, found: Floats, duration_s: float, name: str) -> float:
    """Return how far spikes are apart."""
    n = min(expected.size, found.size)
    off = np.abs(found[:n] - expected[:n])
    wrong = np.flatnonzero(off > _tolerance(expected[:n]))
    if wrong.size:
        first = int(wrong[0])
        raise _differs(
            f"{where}: spike {first} is at {found[first] * 1e3:.6g} ms in {name}, "
            f"expected {expected[first] * 1e3:.6g} ms within "
            f"{_tolerance(expected[first]) * 1e3:.3g} ms"
        )
    rest = np.concatenate([expected[n:], found[n:]])
    if (rest < duration_s - _tolerance(duration_s)).any():
        raise _differs(f"{where} sends {found.size} spikes in {name}, expected {expected.size}")
    return float(off.max(initial=0.0))


def _tolerance(times_s: Floats | float) -> Floats:
    return np.asarray(TOLERANCE_S + DRIFT * np.asarray(times_s))


def _trace_agreement(own: Trace, other: Trace, name: str) -> Agreement:
    n = min(own.times.shape[0], other.times.shape[0])
    expected, found = (np.asarray(item.values[:n], dtype=np.float64) for item in (own, other))
    step_s = float(own.times[1] - own.times[0]) if n > 1 else 1.0
    reach = int(_tolerance(float(own.times[n - 1])) / step_s)
    off = np.maximum(_outside(found, expected, reach), _outside(expected, found, reach))
    share = off / np.maximum(np.ptp(expected, axis=0), np.abs(expected).max(axis=0) * 1e-3)
    if (off.max(axis=0) > 0.0).any() and np.nanmax(share) > SHARE:
        row, column = np.unravel_index(int(np.nanargmax(share)), share.shape)
        raise _differs(
            f"{own.path} of cell {own.indices[column]} is {found[row, column]:.6g} at "
            f"{float(own.times[row]) * 1e3:.6g} ms in {name}, expected {expected[row, column]:.6g}"
        )
    return Agreement(own.path, share=float(np.nanmax(share)) if off.any() else 0.0)


def _outside(values: Floats, of: Floats, reach: int) -> Floats:
    """Return how far values are outside what others are within some rows."""
    size = 2 * reach + 1
    above = values - maximum_filter1d(of, size, axis=0, mode="nearest")
    below = minimum_filter1d(of, size, axis=0, mode="nearest") - values
    outside: Floats = np.maximum(np.maximum(above, below), 0.0)
    return outside


def _differs(message: str) -> CheckError:
    return CheckError(Diagnostic(message, notes=("nothing was written",)))
