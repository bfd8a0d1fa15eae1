"""What is recorded of a run: from the library's numbers and units to paths and SI.

Several recordings may share what the library records, and one recording may take its columns
from several variables, since cells differ in what is attached to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.library import Engine
from izhi_models.annarchy.lower import Lowering
from izhi_models.network import Connection
from izhi_models.results import Floats, Head, Part, Plan, Raster
from izhi_models.units import Dimension, from_simulation


@dataclass(frozen=True)
class Recording:
    """One quantity to record.

    Parameters
    ----------
    population : str
    name : str
        Path below the cell, under which it is found in the results.
    cells : tuple of int
    variables : tuple of str
        Name in the dynamics of the population, for each cell.
    period : int
        Steps from row to row: those are kept whose number is a multiple.
    is_whole : bool
        True for a quantity of no population, which the cell only carries.
    connections : tuple of (Connection or None)
        For each cell, the connection in whose own synapse the name is; empty if there is none.
    """

    population: str
    name: str
    cells: tuple[int, ...]
    variables: tuple[str, ...]
    period: int = 1
    is_whole: bool = False
    connections: tuple[Connection | None, ...] = ()

    def columns(self) -> Iterator[tuple[int, str, Connection | None]]:
        """Yield the cell, the name and the connection of each value."""
        connections = self.connections or (None,) * len(self.cells)
        return zip(self.cells, self.variables, connections, strict=True)


def recorded_names(recordings: Iterable[Recording]) -> dict[str, set[str]]:
    """Return the names in each population's dynamics that are recorded."""
    names: dict[str, set[str]] = {}
    for item in recordings:
        own = names.setdefault(item.population, set())
        own.update(name for _, name, connection in item.columns() if connection is None)
    return names


def recorded_inside(recordings: Iterable[Recording]) -> dict[int, set[str]]:
    """Return the names that are recorded in the synapses of single connections, by projection."""
    names: dict[int, set[str]] = {}
    for item in recordings:
        for _, name, connection in item.columns() if item.connections else ():
            if connection is not None:
                names.setdefault(connection.projection, set()).add(name)
    return names


@dataclass(frozen=True)
class Source:
    """A variable or parameter of a group, or of the connections of a link, in some steps."""

    number: int
    variable: str
    period: int
    is_link: bool = False


@dataclass(frozen=True)
class _Share:
    """The columns of a recording that come from one variable, and the cells or connections."""

    source: Source
    columns: NDArray[np.intp]
    ranks: NDArray[np.intp]


Values = Callable[[Source, NDArray[np.intp]], NDArray[np.floating[Any]]]


class Recorder:
    """Tells a library what to record, and decodes what it gives.

    Parameters
    ----------
    lowering : Lowering
    recordings : sequence of Recording
    dt_s : float
        Length of a step. [s]
    library : Engine
        Initialized.
    """

    def __init__(
        self, lowering: Lowering, recordings: Sequence[Recording], dt_s: float, library: Engine
    ) -> None:
        self._lowering = lowering
        self._recordings = tuple(recordings)
        self._dt_s = dt_s
        self._library = library
        self._dtype = np.dtype(np.float32 if lowering.program.precision == "float" else np.float64)
        self._axes = list(dict.fromkeys(item.period for item in recordings))
        self._shares = [self._share(item) for item in recordings]
        self._ranks: dict[Source, NDArray[np.intp]] = {}
        self._symbols: dict[Source, Symbol] = {}
        self._fixed: list[Floats | None] = []
        self._rasters = tuple(self._find_rasters())
        self._record()

    @property
    def width(self) -> float:
        """Number of values recorded in a step, on average."""
        return sum(ranks.size / source.period for source, ranks in self._ranks.items())

    def plan(self, first: int, n_steps: int) -> Plan:
        """Return what some steps are going to give.

        Parameters
        ----------
        first : int
            Number of the first step.
        n_steps : int
        """
        duration_s = n_steps * self._dt_s
        groups = self._lowering.groups
        neurons = self._lowering.program.neurons
        sizes = {
            item.id: item.size
            for neuron, group in zip(neurons, groups, strict=True)
            for item in group.populations
            if neuron.spike is not None and not item.part_of
        }
        return Plan(
            duration_s=duration_s,
            dt_s=self._dt_s,
            start_s=float(step_times(np.array(first), self._dt_s)),
            components={
                item.id: item.component
                for group in groups
                for item in group.populations
                if not item.part_of
            },
            traces=tuple(self._heads()),
            n_rows=tuple(len(_rows(first, first + n_steps, period)) for period in self._axes),
            spikes={
                name: (sizes[name], duration_s) for name in self._lowering.order if name in sizes
            },
            rasters=self._rasters,
        )

    def start(self, first: int, values: Values) -> Part:
        """Return the rows of the present state, where it is their turn.

        Parameters
        ----------
        first : int
            Number of the next step.
        values : callable
            Returns the values of a source at some cells or connections. [SI]
        """
        tables: list[Floats] = []
        self._fixed = []
        for item, shares in zip(self._recordings, self._shares, strict=True):
            row = np.empty((1, len(item.cells)), self._dtype)
            for share in shares:
                row[0, share.columns] = values(share.source, share.ranks)
            recorded = [share for share in shares if share.source in self._ranks]
            self._fixed.append(None if len(recorded) == len(shares) else row)
            tables.append(row[: len(_rows(first, first, item.period))])
        times = (self._times(_rows(first, first, period)) for period in self._axes)
        return Part(tuple(times), tuple(tables), {})

    def part(self, first: int, n_steps: int) -> Part:
        """Return what was recorded in the last steps.

        Parameters
        ----------
        first : int
            Number of the first of them.
        n_steps : int
        """
        drained = self._library.drain()
        tables = {}
        for source, trace in zip(self._ranks, drained.traces, strict=True):
            tables[source] = from_simulation(trace.values, self._symbols[source].dimension)
        rows = [_rows(first + 1, first + n_steps, period) for period in self._axes]
        return Part(
            tuple(self._times(item) for item in rows),
            tuple(
                self._table(number, len(rows[self._axes.index(item.period)]), tables)
                for number, item in enumerate(self._recordings)
            ),
            {
                # The spike belongs to the state at the end of the step.
                number: (self._times(item.steps + 1), item.ranks)
                for number, item in enumerate(drained.spikes)
            },
        )

    def _share(self, item: Recording) -> list[_Share]:
        group = self._lowering.group_of(item.population)
        first = self._lowering.groups[group].first(item.population)
        if not item.connections:
            cells = first + np.array(item.cells, dtype=np.intp)
            names, which = np.unique(item.variables, return_inverse=True)
            chosen = [np.flatnonzero(which == index) for index in range(names.size)]
            return [
                _Share(Source(group, name, item.period), columns, cells[columns])
                for name, columns in zip(names.tolist(), chosen, strict=True)
            ]
        found: dict[Source, tuple[list[int], list[int]]] = {}
        for column, (cell, name, connection) in enumerate(item.columns()):
            if connection is None:
                source, rank = Source(group, name, item.period), first + cell
            else:
                link, start = self._lowering.link_of(connection.projection)
                source = Source(link, name, item.period, is_link=True)
                rank = start + connection.number
            columns, ranks = found.setdefault(source, ([], []))
            columns.append(column)
            ranks.append(rank)
        return [
            _Share(source, np.array(columns, dtype=np.intp), np.array(ranks, dtype=np.intp))
            for source, (columns, ranks) in found.items()
        ]

    def _symbol(self, source: Source) -> Symbol | None:
        """Return what the library can record of a source; None for what stays as it is."""
        if source.is_link:
            return self._lowering.links[source.number].symbols.get(source.variable)
        symbol = self._lowering.groups[source.number].symbols[source.variable]
        return None if symbol.is_parameter else symbol

    def _record(self) -> None:
        wanted: dict[Source, list[NDArray[np.intp]]] = {}
        for share in (share for shares in self._shares for share in shares):
            symbol = self._symbol(share.source)
            if symbol is not None:
                self._symbols[share.source] = symbol
                wanted.setdefault(share.source, []).append(share.ranks)
        for source, parts in wanted.items():
            ranks = self._ranks[source] = np.unique(np.concatenate(parts))
            symbols = [self._symbols[source].symbol]
            if source.is_link:
                self._library.record_connections(source.number, symbols, ranks, source.period)
            else:
                group = self._lowering.groups[source.number]
                chosen = None if ranks.size == group.size else ranks
                self._library.record(source.number, symbols, chosen, source.period)
        for number, neuron in enumerate(self._lowering.program.neurons):
            if neuron.spike is not None:
                self._library.record_spikes(number)

    def _heads(self) -> list[Head]:
        heads = []
        for item in self._recordings:
            dimension = self._dimension(item)
            axis = self._axes.index(item.period)
            cells = np.array(item.cells)
            owner = "" if item.is_whole else item.population
            heads.append(Head(owner, item.name, dimension, cells, axis, self._dtype))
        return heads

    def _dimension(self, item: Recording) -> Dimension:
        _, name, connection = next(item.columns())
        if connection is None:
            dynamics = self._lowering.groups[self._lowering.group_of(item.population)].dynamics
        else:
            number, _ = self._lowering.link_of(connection.projection)
            dynamics = self._lowering.links[number].members[0].dynamics
        return dynamics.dimensions()[name]

    def _table(self, number: int, n_rows: int, tables: dict[Source, NDArray[Any]]) -> Floats:
        shares = self._shares[number]
        if len(shares) == 1 and shares[0].source in tables:
            table = tables[shares[0].source]
            if np.array_equal(shares[0].ranks, self._ranks[shares[0].source]):
                return table
        fixed = self._fixed[number]
        found = np.empty((n_rows, len(self._recordings[number].cells)), self._dtype)
        if fixed is not None:
            found[:] = fixed
        for share in shares:
            if share.source in tables:
                places = np.searchsorted(self._ranks[share.source], share.ranks)
                found[:, share.columns] = tables[share.source][:, places]
        return found

    def _find_rasters(self) -> Iterator[Raster]:
        """Yield the populations of each neuron that spikes, in the order of the recordings."""
        for neuron, group in zip(
            self._lowering.program.neurons, self._lowering.groups, strict=True
        ):
            if neuron.spike is not None:
                names = ("" if item.part_of else item.id for item in group.populations)
                firsts = [group.first(item.id) for item in group.populations]
                yield Raster(tuple(names), np.array(firsts, dtype=np.int32))

    def _times(self, steps: range | NDArray[np.int64]) -> NDArray[np.float64]:
        if isinstance(steps, range):
            steps = np.arange(steps.start, steps.stop, steps.step, dtype=np.int64)
        return step_times(steps, self._dt_s)


def _rows(first: int, last: int, period: int) -> range:
    """Return the multiples of a period from the first number to the last."""
    return range(-(-first // period) * period, last + 1, period)


def step_times(steps: NDArray[np.int64], dt_s: float) -> NDArray[np.float64]:
    """Return the times of numbered steps, in s, as close as a float can be to n * dt."""
    per_second = round(1.0 / dt_s)
    if abs(per_second * dt_s - 1.0) < 1e-12:
        # A quotient of whole numbers is rounded once; dt itself already was.
        return np.asarray(steps / per_second)
    return np.asarray(steps * dt_s)
