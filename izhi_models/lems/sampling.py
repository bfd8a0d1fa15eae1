"""Choices at random out of many, at the cost of what is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SPARSE = 0.25  # up to this part of all it costs less to draw what is chosen than to test all


def bernoulli(total: int, chance: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Return which of many are chosen, each with one probability, in order.

    Parameters
    ----------
    total : int
    chance : float
        Above 0, up to 1.
    random : numpy.random.Generator

    Returns
    -------
    int array
        From 0 to `total` - 1; the gaps between them are geometrically distributed.
    """
    last = -1
    parts: list[NDArray[np.int64]] = []
    while last < total:
        expected = (total - last) * chance
        gaps = random.geometric(chance, int(expected + 4.0 * math.sqrt(expected)) + 4)
        places = last + np.cumsum(np.minimum(gaps, total + 1))
        parts.append(places)
        last = int(places[-1])
    chosen = np.concatenate(parts)
    return chosen[: np.searchsorted(chosen, total)]


def distinct(
    n_rows: int,
    n: int,
    count: int,
    accept: Callable[[NDArray[np.int32]], NDArray[np.bool_]],
    random: np.random.Generator,
) -> NDArray[np.int32] | None:
    """Choose different numbers for each row, all acceptable sets with equal probability.

    Parameters
    ----------
    n_rows : int
    n : int
        The numbers are from 0 to n - 1.
    count : int
        How many in each row.
    accept : callable
        Tells which of the numbers (n_rows, m) may be chosen.
    random : numpy.random.Generator

    Returns
    -------
    int array (n_rows, count) or None
        In order in each row. None if it takes so many draws that all had better be tested.
    """
    draws = int(1.25 * count + 5.0 * math.sqrt(count)) + 5
    while draws < SPARSE * n:
        drawn = random.integers(n, size=(n_rows, draws), dtype=np.int32)
        order = np.argsort(drawn, axis=1, kind="stable")
        ordered = np.take_along_axis(drawn, order, axis=1)
        again = np.zeros(drawn.shape, dtype=np.bool_)
        np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        good = accept(drawn) & ~again
        rank = np.cumsum(good, axis=1, dtype=np.int32)
        if (rank[:, -1] >= count).all():
            return np.sort(drawn[good & (rank <= count)].reshape(n_rows, count), axis=1)
        draws *= 2
    return None


def per_group(
    groups: NDArray[np.int32], count: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """Choose so many places of each group.

    Parameters
    ----------
    groups : int array (n,)
        In order. Each group has `count` places or more.
    count : int
    random : numpy.random.Generator

    Returns
    -------
    int array
        Places in the array, in order.
    """
    keys = random.random(groups.size)
    _, starts, sizes = np.unique(groups, return_index=True, return_counts=True)
    if (sizes == sizes[0]).all() and 0 < count < sizes[0]:
        nearest = np.argpartition(keys.reshape(starts.size, -1), count, axis=1)[:, :count]
        return np.sort((starts[:, np.newaxis] + nearest).ravel())
    order = np.lexsort((keys, groups))
    return np.sort(order[(starts[:, np.newaxis] + np.arange(count)).ravel()])
