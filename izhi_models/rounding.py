"""What a step makes of times that are no multiples of it: delays and the length of a run.

A spike arrives in a whole number of steps, at least one, and a run has whole steps, so both are
rounded. Other times, such as the edge of a pulse or a spike of a `spikeArray`, belong to the step
that ends at or after them; nothing is rounded there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic
from izhi_models.network import Projection

# A change below this part of a step is the writing of the number, in single precision too.
_SLIGHT = 1e-3
_DIVISORS = (2, 4, 5, 10, 20, 25, 50, 100)
_TOLD_APART = 3  # projections


def in_steps(delays_s: NDArray[np.float64], dt_s: float) -> NDArray[np.int32]:
    """Return delays as numbers of steps, at least one: a spike acts in a later step.

    Parameters
    ----------
    delays_s : array (n,)
        [s]
    dt_s : float
        Length of a step. [s]
    """
    steps = delays_s / dt_s
    np.rint(steps, out=steps)
    np.maximum(steps, 1.0, out=steps)
    return steps.astype(np.int32)


@dataclass
class _Rounded:
    """What becomes of the delays of a projection; times are in steps."""

    projection: Projection
    count: int = 0
    largest: float = 0.0
    first: float = 0.0
    divisors: tuple[int, ...] = _DIVISORS

    def add(self, delays: NDArray[np.float64], step_s: float, n_connections: int) -> None:
        """Count delays (n,) in seconds, or one (1,) that all of the connections have."""
        exact = delays / step_s
        change = np.abs(in_steps(delays, step_s) - exact)
        moved = (change > _SLIGHT) & (delays > 0.0)
        if not moved.any():
            return
        found = exact[moved]
        if not self.count:
            self.first = float(found[0])
        self.count += n_connections if delays.size == 1 else found.size
        self.largest = max(self.largest, float(change[moved].max()))
        self.divisors = tuple(n for n in self.divisors if _is_whole(found * n))


def _is_whole(numbers: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(np.rint(numbers) - numbers) <= _SLIGHT))


def rounded_delays(projections: Iterable[Projection], step_s: float) -> Iterator[Diagnostic]:
    """Yield a warning for each projection with delays that a step changes.

    A delay of 0 means the next step anyway. Of many projections, the first are told apart.

    Parameters
    ----------
    projections : iterable of Projection
    step_s : float
        [s]
    """
    found = [item for item in (_look_at(each, step_s) for each in projections) if item.count]
    for item in found[:_TOLD_APART]:
        is_one = item.count == 1 or item.projection.connections.delay is not None
        message = (_one if is_one else _several)(item, step_s)
        yield Diagnostic(message, item.projection.span, (_hint([item], step_s),), "warning")
    rest = found[_TOLD_APART:]
    if rest:
        largest_ms = max(item.largest for item in rest) * step_s * 1e3
        counted = sum(item.count for item in rest)
        yield Diagnostic(
            f"{counted} delays in {len(rest)} more projections are rounded too, by up to "
            f"{largest_ms:.3g} ms",
            rest[0].projection.span,
            (_hint(rest, step_s),),
            "warning",
        )


def _look_at(projection: Projection, step_s: float) -> _Rounded:
    found = _Rounded(projection)
    connections = projection.connections
    if projection.is_continuous:
        return found
    if connections.delay is not None:
        found.add(np.array([connections.delay]), step_s, connections.size)
        return found
    for block in connections.blocks():
        found.add(block.delays, step_s, block.pre.size)
    return found


def _one(item: _Rounded, step_s: float) -> str:
    step_ms = step_s * 1e3
    start = f"the delay of {item.first * step_ms:.6g} ms in '{item.projection.id}'"
    if item.first < 1.0:
        return (
            f"{start} is shorter than the step of {step_ms:g} ms: the event acts in the next step"
        )
    taken_ms = np.rint(item.first) * step_ms
    return f"{start} is no multiple of the step of {step_ms:g} ms: it is taken as {taken_ms:.6g} ms"


def _several(item: _Rounded, step_s: float) -> str:
    size, step_ms = item.projection.size, step_s * 1e3
    which = f"all {size}" if item.count == size else f"{item.count} of {size}"
    return (
        f"{which} delays in '{item.projection.id}' are no multiples of the step of {step_ms:g} ms: "
        f"they are rounded to whole steps, by up to {item.largest * step_ms:.3g} ms"
    )


def _hint(items: list[_Rounded], step_s: float) -> str:
    """Return a step that changes none of the delays, if there is one that is not much shorter."""
    common = set(_DIVISORS).intersection(*(item.divisors for item in items))
    if not common:
        return "a shorter step changes them less: --dt"
    return f'a step of which they are multiples: --dt "{step_s * 1e3 / min(common):.10g} ms"'


def rounded_length(duration_s: float, step_s: float) -> Iterator[Diagnostic]:
    """Yield a warning if a run does not end with a step.

    Parameters
    ----------
    duration_s, step_s : float
        [s]
    """
    steps = duration_s / step_s
    if abs(round(steps) - steps) > _SLIGHT:
        step_ms = step_s * 1e3
        yield Diagnostic(
            f"{duration_s * 1e3:.10g} ms is no multiple of the step of {step_ms:g} ms: "
            f"{round(steps) * step_ms:.10g} ms are simulated",
            severity="warning",
        )
