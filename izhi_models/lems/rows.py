"""The arrays of rules: the cells to which loops have come, and the connections that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Span
from izhi_models.expr import names
from izhi_models.ir.aggregate import Aggregate, aggregate
from izhi_models.lems.elements import Element
from izhi_models.lems.lower import Lowered
from izhi_models.network import (
    WEIGHT,
    Block,
    Connections,
    Drawn,
    Input,
    Listed,
    Population,
    Projection,
    Values,
    join,
)

KEPT = 2**20  # connections of a rule; more are made again when they are needed


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


class _Same:
    """The number that all connections have, or None.

    Parameters
    ----------
    value : float
        Of no connections.
    """

    def __init__(self, value: float) -> None:
        self.value: float | None = value
        self._is_first = True

    def add(self, values: NDArray[np.float64]) -> None:
        """Note the numbers of some connections."""
        if self._is_first:
            self.value, self._is_first = float(values[0]), False
        if self.value is not None and not (values == self.value).all():
            self.value = None


@dataclass
class Sink:
    """The connections of one EventConnection.

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
    port : str
        Of the postsynaptic cell, where there is no receiver.
    kept : list of Block or None
        The connections; None if there are so many that they had better be made again.
    weight, delay : _Same
    count : int
        How many there are.
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
    port: str = ""
    kept: list[Block] | None = field(default_factory=list)
    weight: _Same = field(default_factory=lambda: _Same(1.0))
    delay: _Same = field(default_factory=lambda: _Same(0.0))
    count: int = 0

    def __post_init__(self) -> None:
        self.reached = np.zeros(self.post.size, dtype=np.bool_)

    @property
    def sends(self) -> bool:
        """True if these are connections; else what is attached gets no events: it is an input."""
        return bool(self.port) or receives(self.lowered)

    def add(self, block: Block) -> None:
        """Note connections, and keep them unless there are too many."""
        if block.pre.size == 0:
            return
        self.count += block.pre.size
        self.reached[block.post] = True
        self.weight.add(block.weights)
        self.delay.add(block.delays)
        if self.count > KEPT and self.sends:
            self.kept = None
        if self.kept is not None:
            self.kept.append(block)


def receives(lowered: Lowered) -> bool:
    """Tell whether an event does anything, so that this is a synapse and no input."""
    return any(item.assignments or item.events for item in lowered.dynamics.on_events)


def is_silent_at_zero(lowered: Lowered, gathered: frozenset[str]) -> bool:
    """Tell whether a connection of weight 0 has no effect: each arrival counts a weight."""
    summed = aggregate(lowered.dynamics, frozenset({WEIGHT}), gathered)
    return isinstance(summed, Aggregate) and all(
        WEIGHT in names(item.weight) for item in summed.arrivals
    )


def to_projection(
    name: str, sink: Sink, span: Span, draw: Callable[[], Iterator[Block]]
) -> Projection:
    """Return the connections of a rule.

    Parameters
    ----------
    name : str
    sink : Sink
    span : Span
    draw : callable
        Makes the connections again.
    """
    connections: Connections
    if sink.kept is None:
        connections = Drawn(sink.count, sink.weight.value, sink.delay.value, sink.reached, draw)
    else:
        connections = Listed(_whole(sink))
    return Projection(
        id=name,
        pre=sink.pre.id,
        post=sink.post.id,
        synapse=sink.receiver,
        attachment=sink.attachment,
        dynamics=sink.lowered.dynamics,
        values=dict(sink.lowered.values),
        connections=connections,
        has_weights=sink.has_weights,
        span=span,
        port=sink.port,
    )


def _whole(sink: Sink) -> Block:
    """Return all connections that are kept, with single values where they are equal."""
    whole = join(sink.kept or ())
    weight, delay = sink.weight.value, sink.delay.value
    return replace(
        whole,
        weights=whole.weights if weight is None else np.array([weight]),
        delays=whole.delays if delay is None else np.array([delay]),
    )


def to_input(sink: Sink) -> Input:
    """Return what a rule has attached."""
    values: Values = dict(sink.lowered.values)
    whole = _whole(sink)
    cells = whole.post.astype(np.int64)
    if sink.has_weights:
        values[WEIGHT] = np.broadcast_to(whole.weights, cells.shape)
    return Input(
        sink.receiver,
        sink.post.id,
        sink.attachment,
        sink.lowered.dynamics,
        values,
        cells,
    )
