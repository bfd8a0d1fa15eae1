"""The arrays of rules: the cells to which loops have come, and the connections that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Span
from izhi_models.expr import names
from izhi_models.ir.aggregate import Aggregate, aggregate
from izhi_models.lems.elements import Element
from izhi_models.lems.lower import Lowered
from izhi_models.network import WEIGHT, Input, Population, Projection, Values


@dataclass(frozen=True)
class Rows:
    """The cells to which the loops have come, as columns of equal length.

    Parameters
    ----------
    n : int
    cells : dict of str to (Population, int array (n,))
        By the name of the loop.
    group : int array (n,), optional
        Which run of the innermost loop a row belongs to; None if a run is in several blocks.
    groups : int
        Number of runs.
    """

    n: int = 1
    cells: dict[str, tuple[Population, NDArray[np.int32]]] = field(default_factory=dict)
    group: NDArray[np.int32] | None = None
    groups: int = 0

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Rows:
        """Return some of the rows."""
        cells = {name: (item, values[chosen]) for name, (item, values) in self.cells.items()}
        group = None if self.group is None else self.group[chosen]
        return Rows(np.arange(self.n)[chosen].size, cells, group, self.groups)

    def blocks(self, size: float) -> Iterator[Rows]:
        """Yield the rows in parts of at most so many, or of one."""
        at_once = max(1, int(size))
        for start in range(0, self.n, at_once):
            yield self.take(slice(start, start + at_once))

    def times(self, name: str, population: Population, first: int, last: int) -> Rows:
        """Return each row with each of the cells `first` to `last` of a population."""
        count = last - first
        cells = {key: (item, np.repeat(old, count)) for key, (item, old) in self.cells.items()}
        cells[name] = population, np.tile(np.arange(first, last, dtype=np.int32), self.n)
        whole = count == population.size
        group = np.repeat(np.arange(self.n, dtype=np.int32), count) if whole else None
        return Rows(self.n * count, cells, group, self.n)

    def pick(
        self,
        name: str,
        population: Population,
        rows: NDArray[np.int64],
        numbers: NDArray[np.int32],
    ) -> Rows:
        """Return some rows, each with one of the cells of a population."""
        found = replace(self, group=None).take(rows)
        return replace(found, cells={**found.cells, name: (population, numbers)})

    def bind(self, name: str, population: Population, cell: int) -> Rows:
        """Return the rows with one cell more, the same in each."""
        column = np.full(self.n, cell, dtype=np.int32)
        return replace(self, cells={**self.cells, name: (population, column)})


@dataclass
class Sink:
    """The connections of one EventConnection, in blocks.

    Parameters
    ----------
    pre, post : Population
    receiver : str
        Id of the component of the synapse or input.
    lowered : Lowered
    attachment : str
    has_weights : bool
    drops : bool
        True if a connection of weight 0 does nothing.
    loop : Element or None
        The innermost ForEach.
    bound : float
        How many connections there can be.
    """

    pre: Population
    post: Population
    receiver: str
    lowered: Lowered
    attachment: str
    has_weights: bool
    drops: bool
    loop: Element | None
    bound: float
    sources: list[NDArray[np.int32]] = field(default_factory=list)
    cells: list[NDArray[np.int32]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)
    delays: list[NDArray[np.float64]] = field(default_factory=list)
    count: int = 0


def receives(lowered: Lowered) -> bool:
    """Tell whether an event does anything, so that this is a synapse and no input."""
    return any(item.assignments or item.events for item in lowered.dynamics.on_events)


def is_silent_at_zero(lowered: Lowered, gathered: frozenset[str]) -> bool:
    """Tell whether a connection of weight 0 has no effect: each arrival counts a weight."""
    summed = aggregate(lowered.dynamics, frozenset({WEIGHT}), gathered)
    return isinstance(summed, Aggregate) and all(
        WEIGHT in names(item.weight) for item in summed.arrivals
    )


def _joined(blocks: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Return one array, and let the blocks go."""
    whole = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int32)
    blocks.clear()
    return whole


def _values(blocks: list[NDArray[np.float64]], sizes: list[int]) -> NDArray[np.float64]:
    """Return the values of all connections, or one if they are equal, and let the blocks go."""
    first = next((block[0] for block in blocks if block.size), 1.0)
    if all((block == first).all() for block in blocks):
        blocks.clear()
        return np.array([first])
    spread = [np.broadcast_to(block, size) for block, size in zip(blocks, sizes, strict=True)]
    blocks.clear()
    return np.concatenate(spread)


def to_projection(name: str, sink: Sink, span: Span) -> Projection:
    """Return the connections of a rule, and let their blocks go."""
    sizes = [block.size for block in sink.cells]
    return Projection(
        id=name,
        pre=sink.pre.id,
        post=sink.post.id,
        synapse=sink.receiver,
        attachment=sink.attachment,
        dynamics=sink.lowered.dynamics,
        values=dict(sink.lowered.values),
        pre_cells=_joined(sink.sources),
        post_cells=_joined(sink.cells),
        weights=_values(sink.weights, sizes),
        delays=_values(sink.delays, sizes),
        has_weights=sink.has_weights,
        span=span,
    )


def to_input(sink: Sink) -> Input:
    """Return what a rule has attached, and let its blocks go."""
    values: Values = dict(sink.lowered.values)
    sizes = [block.size for block in sink.cells]
    cells = _joined(sink.cells).astype(np.int64)
    if sink.has_weights:
        values[WEIGHT] = np.broadcast_to(_values(sink.weights, sizes), cells.shape)
    return Input(
        sink.receiver,
        sink.post.id,
        sink.attachment,
        sink.lowered.dynamics,
        values,
        cells,
    )
