"""Measures between two spike trains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def coincidence(first: Floats, second: Floats, window_s: float) -> float:
    """Return the part of spikes that have a partner in the other train, 1 for equal trains.

    Parameters
    ----------
    first, second : array
        Ascending times. [s]
    window_s : float
        Largest distance of partners.

    Source: Kistler, Gerstner and van Hemmen, Neural Comput. 9, 1015 (1997), without the
    correction for chance, which the small window makes negligible.
    """
    if first.size + second.size == 0:
        return 1.0
    i = j = pairs = 0
    while i < first.size and j < second.size:
        if abs(first[i] - second[j]) <= window_s:
            pairs += 1
            i += 1
            j += 1
        elif first[i] < second[j]:
            i += 1
        else:
            j += 1
    return 2.0 * pairs / float(first.size + second.size)


def van_rossum(first: Floats, second: Floats, tau_s: float) -> float:
    """Return the distance of van Rossum: 1 for each spike that the other train lacks.

    Parameters
    ----------
    first, second : array
        Times. [s]
    tau_s : float
        Time constant of the kernel.

    Source: van Rossum, Neural Comput. 13, 751 (2001), squared and times 2.
    """

    def overlap(a: Floats, b: Floats) -> float:
        return float(np.exp(-np.abs(a[:, None] - b[None, :]) / tau_s).sum())

    return max(0.0, overlap(first, first) + overlap(second, second) - 2.0 * overlap(first, second))
