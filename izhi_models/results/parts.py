"""Results as they come: a plan of what is recorded, then part after part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InternalError
from izhi_models.results.recorded import Floats, Quantity, SpikeTrains, Trace

if TYPE_CHECKING:
    from izhi_models.results.results import Results

# Values of all traces that are kept at once.
BLOCK_VALUES = 2**22


@dataclass(frozen=True, eq=False)
class Head(Quantity):
    """What a trace is of, before it has values.

    Parameters
    ----------
    axis : int
        Number of its time axis.
    dtype : dtype
    """

    axis: int
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Raster:
    """Populations whose spikes come together, their cells numbered one after another.

    Parameters
    ----------
    names : tuple of str
        Empty for cells whose spikes nobody asked for.
    firsts : int array (n_names,)
        Number of each one's first cell, ascending from 0.
    """

    names: tuple[str, ...]
    firsts: NDArray[np.int32]

    def split(
        self, times: NDArray[np.float64], cells: NDArray[np.integer[Any]]
    ) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.integer[Any]]]]:
        """Yield name, times and neurons of each population, in the order of time.

        Parameters
        ----------
        times : float array (n_spikes,)
            [s]
        cells : int array (n_spikes,)

        Raises
        ------
        InternalError
            If times do not ascend.
        """
        if np.any(times[1:] < times[:-1]):
            raise InternalError("spikes that are not in the order of time")
        if len(self.names) == 1:
            if self.names[0]:
                yield self.names[0], times, cells
            return
        owners = np.searchsorted(self.firsts, cells, side="right") - 1
        # Short numbers are sorted by their digits, several times faster.
        order = np.argsort(owners.astype(np.min_scalar_type(len(self.names))), kind="stable")
        bounds = np.searchsorted(owners[order], np.arange(len(self.names) + 1)).tolist()
        times, cells = times[order], (cells - self.firsts[owners])[order]
        for name, (start, end) in zip(self.names, pairwise(bounds), strict=True):
            if name:
                yield name, times[start:end], cells[start:end]


@dataclass(frozen=True)
class Plan:
    """What a simulation is going to give.

    Parameters
    ----------
    duration_s, dt_s, start_s : float
        As `Results` has them. [s]
    components : mapping of str to str
        Component of each population.
    traces : tuple of Head
    n_rows : tuple of int
        Length of each time axis.
    spikes : mapping of str to (int, float)
        Size of each population whose spikes are recorded, and for how long. [s]
    rasters : tuple of Raster
        How the spikes come.
    """

    duration_s: float
    dt_s: float
    start_s: float = 0.0
    components: Mapping[str, str] = field(default_factory=dict)
    traces: tuple[Head, ...] = ()
    n_rows: tuple[int, ...] = ()
    spikes: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    rasters: tuple[Raster, ...] = ()

    @property
    def block_rows(self) -> int:
        """Number of rows of all traces that are kept at once."""
        return max(1, BLOCK_VALUES // max(1, sum(item.indices.size for item in self.traces)))

    @property
    def n_bytes(self) -> float:
        """Size of all traces."""
        tables = (
            float(self.n_rows[item.axis]) * item.indices.size * item.dtype.itemsize
            for item in self.traces
        )
        return sum(tables) + 8.0 * sum(self.n_rows)


@dataclass(frozen=True)
class Part:
    """What was recorded since the part before.

    Parameters
    ----------
    times : tuple of float array (n_rows,)
        More of each time axis. [s]
    values : tuple of float array (n_rows, n_recorded)
        More of each trace. [SI]
    spikes : mapping of int to (float array, int array)
        More times [s] and cells, by number of the raster.
    """

    times: tuple[NDArray[np.float64], ...]
    values: tuple[Floats, ...]
    spikes: Mapping[int, tuple[NDArray[np.float64], NDArray[np.integer[Any]]]]


def plan_of(results: Results) -> tuple[Plan, Iterator[Part]]:
    """Return results that are there already as a plan and its parts.

    Parameters
    ----------
    results : Results
    """
    traces, spikes = tuple(results.traces), results.spikes
    axes: list[NDArray[np.float64]] = []
    heads = []
    for trace in traces:
        times = np.asarray(trace.times)
        same = (n for n, known in enumerate(axes) if np.array_equal(known, times))
        axis = next(same, len(axes))
        axes += [times] if axis == len(axes) else []
        heads.append(
            Head(
                trace.population,
                trace.variable,
                trace.dimension,
                trace.indices,
                axis,
                trace.values.dtype,
            )
        )
    plan = Plan(
        results.duration_s,
        results.dt_s,
        results.start_s,
        results.components,
        tuple(heads),
        tuple(times.size for times in axes),
        {name: (trains.n_neurons, trains.duration_s) for name, trains in spikes.items()},
        tuple(Raster((name,), np.zeros(1, np.int32)) for name in spikes),
    )

    return plan, _parts(plan, axes, traces, spikes)


def _parts(
    plan: Plan,
    axes: Sequence[NDArray[np.float64]],
    traces: Sequence[Trace],
    spikes: Mapping[str, SpikeTrains],
) -> Iterator[Part]:
    step = plan.block_rows
    for start in range(0, max(plan.n_rows, default=0), step):
        rows = slice(start, start + step)
        yield Part(
            tuple(times[rows] for times in axes), tuple(item.values[rows] for item in traces), {}
        )
    no_times = tuple(times[:0] for times in axes)
    no_values = tuple(item.values[:0] for item in traces)
    for number, trains in enumerate(spikes.values()):
        for block in trains.blocks():
            yield Part(no_times, no_values, {number: block})
