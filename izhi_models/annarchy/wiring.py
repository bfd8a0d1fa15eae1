"""Make the connections of a projection in a compiled program, block by block.

They are stored by presynaptic cell, so they are gone through twice: to count, and to put them in
their places. Nothing but a block is held besides.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.annarchy.native import INT_MAX, check, column
from izhi_models.annarchy.program import WEIGHT, Projection
from izhi_models.errors import InternalError

_MAX_DELAY = 2**16 - 1  # of connections whose delays differ


@dataclass(frozen=True)
class Block:
    """Some connections of a projection.

    Parameters
    ----------
    pre, post : int array (n,)
        The cells of each.
    weights : array (n,) or (1,)
    delays : int array (n,) or (1,)
        In steps.
    """

    pre: NDArray[np.integer[Any]]
    post: NDArray[np.integer[Any]]
    weights: NDArray[np.floating[Any]]
    delays: NDArray[np.integer[Any]]


def connect(
    code: ctypes.CDLL,
    projection: int,
    definition: Projection,
    ends: tuple[int, int],
    size: int,
    blocks: Callable[[], Iterable[Block]],
) -> None:
    """Make all connections of a projection; if that fails it has none.

    Parameters
    ----------
    code : ctypes.CDLL
        From `native.load`.
    projection : int
        Its number.
    definition : izhi_models.annarchy.program.Projection
    ends : (int, int)
        Numbers of cells of its two populations.
    size : int
        Of all blocks together.
    blocks : callable
        Returns the same blocks each time; it is called twice.

    Raises
    ------
    RunError
        There is not enough memory, or a weight is beyond the range of single precision.
    """
    purpose = f"{size} connections"
    weight, is_single = definition.symbols.index(WEIGHT), WEIGHT in definition.single
    _verify(0 <= size <= INT_MAX, purpose)
    check(code.izhi_start_connecting(projection, size), purpose)
    try:
        shortest, longest = INT_MAX, 1
        for _, ends_and_delays in _verified(blocks(), ends, size):
            check(code.izhi_count(projection, *map(column, ends_and_delays)), purpose)
            delays = ends_and_delays[2]
            shortest = min(shortest, int(delays.min(initial=INT_MAX)))
            longest = max(longest, int(delays.max(initial=1)))
        fit = longest <= _MAX_DELAY or shortest == longest
        _verify(fit and longest <= INT_MAX, f"delays from {shortest} to {longest} steps")
        check(code.izhi_arrange(projection), purpose)
        for block, ends_and_delays in _verified(blocks(), ends, size):
            weights = np.ascontiguousarray(block.weights)
            n = ends_and_delays[0].size
            fit = weights.shape == (1,) or (weights.shape == (n,) and not is_single)
            _verify(fit, f"{n} connections with {weights.shape} weights")
            columns = (*map(column, ends_and_delays), weight, column(weights))
            check(code.izhi_place(projection, *columns), purpose)
            if is_single:
                check(code.izhi_set(projection, weight, column(weights)), purpose)
        check(code.izhi_finish_connecting(projection), purpose)
    except BaseException:
        code.izhi_start_connecting(projection, 0)
        raise


def _verified(
    blocks: Iterable[Block], ends: tuple[int, int], size: int
) -> Iterator[tuple[Block, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]]:
    """Yield each block with its cells and delays, contiguous."""
    found = 0
    for block in blocks:
        pre, post = np.ascontiguousarray(block.pre), np.ascontiguousarray(block.post)
        delays = np.ascontiguousarray(block.delays)
        for ranks, n_cells in zip((pre, post), ends, strict=True):
            fit = ranks.ndim == 1 and ranks.dtype in (np.int32, np.int64)
            _verify(fit, f"ranks are an array {ranks.dtype} {ranks.shape}")
            fit = bool(ranks.min(initial=0) >= 0 and ranks.max(initial=0) < n_cells)
            _verify(fit, f"ranks beyond {n_cells} cells")
        _verify(pre.size == post.size, f"{pre.size} and {post.size} ranks")
        fit = delays.dtype in (np.int32, np.int64) and delays.shape in (pre.shape, (1,))
        _verify(fit, f"delays are an array {delays.dtype} {delays.shape}")
        _verify(bool(delays.min(initial=1) >= 1), "a delay below one step")
        found += pre.size
        _verify(found <= size, f"more than {size} connections")
        yield block, (pre, post, delays)
    _verify(found == size, f"{found} of {size} connections")


def _verify(holds: bool, message: str) -> None:
    if not holds:
        raise InternalError(message)


def real_numbers(values: ArrayLike) -> NDArray[Any]:
    """Return an array (n,) of float32 or float64, as it is if it is one.

    Parameters
    ----------
    values : float or array (n,)
    """
    array = np.asarray(values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    return np.ascontiguousarray(np.atleast_1d(array))
