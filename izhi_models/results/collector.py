"""Results gathered in memory as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.results.parts import Part, Plan
from izhi_models.results.recorded import SpikeTrains, Trace
from izhi_models.results.results import Results

_Spikes = tuple[NDArray[np.float64], NDArray[np.integer[Any]]]


class _Trains(Mapping[str, SpikeTrains]):
    """The spikes of all populations, which are told apart as soon as those of one are asked for.

    Parameters
    ----------
    plan : Plan
    parts : sequence of sequence of (float array, int array)
        What came of each raster.
    """

    def __init__(self, plan: Plan, parts: Sequence[Sequence[_Spikes]]) -> None:
        self._plan = plan
        self._parts = parts

    def __getitem__(self, name: str) -> SpikeTrains:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plan.spikes)

    def __len__(self) -> int:
        return len(self._plan.spikes)

    @cached_property
    def _known(self) -> dict[str, SpikeTrains]:
        known: dict[str, SpikeTrains] = {}
        for raster, parts in zip(self._plan.rasters, self._parts, strict=True):
            times = np.concatenate([np.empty(0), *(item[0] for item in parts)])
            cells = np.concatenate([np.empty(0, np.int32), *(item[1] for item in parts)])
            for name, own, of in raster.split(times, cells):
                known[name] = SpikeTrains(own, of, *self._plan.spikes[name])
        self._parts = ()
        return known


class Collector:
    """Gathers parts in memory.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._times = [np.empty(n) for n in plan.n_rows]
        self._values = [
            np.empty((plan.n_rows[item.axis], item.indices.size), item.dtype)
            for item in plan.traces
        ]
        self._rows = [0] * len(plan.n_rows)
        self._spikes: list[list[_Spikes]] = [[] for _ in plan.rasters]

    def add(self, part: Part) -> None:
        """Take what comes next."""
        rows = [
            slice(start, start + more.size)
            for start, more in zip(self._rows, part.times, strict=True)
        ]
        for axis, more in enumerate(part.times):
            self._times[axis][rows[axis]] = more
            self._rows[axis] += more.size
        for head, table, values in zip(self._plan.traces, self._values, part.values, strict=True):
            table[rows[head.axis]] = values
        for number, found in part.spikes.items():
            self._spikes[number].append(found)

    def results(self, provenance: Mapping[str, Any]) -> Results:
        """Return what was gathered.

        Parameters
        ----------
        provenance : mapping of str to any
        """
        plan = self._plan
        traces = [
            Trace(
                head.population,
                head.variable,
                head.dimension,
                head.indices,
                self._times[head.axis],
                values,
            )
            for head, values in zip(plan.traces, self._values, strict=True)
        ]
        return Results(
            plan.duration_s,
            plan.dt_s,
            _Trains(plan, self._spikes),
            traces,
            plan.components,
            provenance,
            plan.start_s,
        )
