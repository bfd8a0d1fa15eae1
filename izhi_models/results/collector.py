"""Results gathered in memory as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.results.parts import Part, Plan
from izhi_models.results.recorded import SpikeTrains, Trace
from izhi_models.results.results import Results


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
        self._spikes: dict[str, list[tuple[NDArray[np.float64], NDArray[np.integer[Any]]]]] = {
            name: [] for name in plan.spikes
        }

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
        for name, found in part.spikes.items():
            self._spikes[name].append(found)

    def results(self, provenance: Mapping[str, Any]) -> Results:
        """Return what was gathered.

        Parameters
        ----------
        provenance : mapping of str to any
        """
        plan = self._plan
        spikes = {}
        for name, (size, duration_s) in plan.spikes.items():
            found = self._spikes[name]
            times = np.concatenate([np.empty(0), *(item[0] for item in found)])
            neurons = np.concatenate([np.empty(0, np.int32), *(item[1] for item in found)])
            spikes[name] = SpikeTrains(times, neurons, size, duration_s)
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
            spikes,
            traces,
            plan.components,
            provenance,
            plan.start_s,
        )
