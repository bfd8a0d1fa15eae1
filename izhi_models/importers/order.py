"""In which order equations are done, and which values are there before they are computed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from izhi_models.expr import names
from izhi_models.importers.equations import Equation

_LOCALITIES = ("global", "semiglobal", "local")


def in_order(equations: Iterable[Equation]) -> list[Equation]:
    """Return equations as they are done: those that many share first, else as written."""
    return sorted(equations, key=lambda item: _LOCALITIES.index(item.locality))


def held_values(equations: Sequence[Equation], read: Collection[str]) -> set[str]:
    """Return the values, not rates, that are read before they are computed, or by others.

    Parameters
    ----------
    equations : sequence of Equation
        In order.
    read : collection of str
        What others read or change, at any time.
    """
    held = set()
    for number, item in enumerate(equations):
        before = {name for other in equations[: number + 1] for name in names(other.value)}
        if not item.is_ode and item.name in before | {*read}:
            held.add(item.name)
    return held


def blocks_before(equations: Sequence[Equation]) -> list[int]:
    """Return for each equation how many blocks of rates are done before it.

    Rates in a row, of one locality, are all taken from the same state.
    """
    found: list[int] = []
    blocks = 0
    last: Equation | None = None
    for item in equations:
        if last is not None and last.is_ode:
            blocks += not item.is_ode or item.locality != last.locality
        found.append(blocks)
        last = item
    return found
