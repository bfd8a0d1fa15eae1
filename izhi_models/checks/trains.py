"""Measures between two spike trains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def coincidence(first: NDArray[Any], second: NDArray[Any], window: float) -> float:
    """Return the part of spikes that have a partner in the other train, 1 for equal trains.

    Parameters
    ----------
    first, second : array
        Ascending times, in any unit.
    window : float
        Largest distance of partners.

    Source: Kistler, Gerstner and van Hemmen, Neural Comput. 9, 1015 (1997), without the
    correction for chance, which the small window makes negligible.
    """
    if first.size + second.size == 0:
        return 1.0
    alone = sum(int(item.sum()) for item in unpaired(first, second, window))
    return 1.0 - alone / float(first.size + second.size)


def unpaired(
    first: NDArray[Any], second: NDArray[Any], window: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which spikes of two trains have no partner in the other.

    Parameters
    ----------
    first, second : array
        Ascending times, in any unit.
    window : float
        Largest distance of partners.
    """
    alone = np.ones(first.size, dtype=bool), np.ones(second.size, dtype=bool)
    if first.size == second.size and bool(np.all(np.abs(first - second) <= window)):
        alone[0][:], alone[1][:] = False, False
        return alone
    ours, theirs = first.tolist(), second.tolist()
    i = j = 0
    while i < len(ours) and j < len(theirs):
        if abs(ours[i] - theirs[j]) <= window:
            alone[0][i] = alone[1][j] = False
            i += 1
            j += 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    return alone


def van_rossum(first: Floats, second: Floats, tau: float) -> float:
    """Return the distance of van Rossum: 1 for each spike that the other train lacks.

    Parameters
    ----------
    first, second : array
        Times, in any unit.
    tau : float
        Time constant of the kernel.

    Source: van Rossum, Neural Comput. 13, 751 (2001), squared and times 2; summed as by Houghton
    and Kreuz, Network 23, 48 (2012), so that it takes one pass.
    """
    times = np.concatenate([first, second])
    signs = np.concatenate([np.ones(first.size), -np.ones(second.size)])
    order = np.argsort(times, kind="stable")
    decays = np.exp(-np.diff(times[order], prepend=times[order[:1]]) / tau).tolist()
    before = total = 0.0  # what the kernels of all earlier spikes add up to, and the distance
    for sign, decay in zip(signs[order].tolist(), decays, strict=True):
        before *= decay
        total += sign * (sign + 2.0 * before)
        before += sign
    return max(0.0, float(total))
