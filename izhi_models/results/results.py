"""What a simulation gave, addressed by LEMS paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, InternalError, suggest
from izhi_models.results.parts import plan_of
from izhi_models.results.recorded import Floats, SpikeTrains, Trace
from izhi_models.units import TIME, Unit, parse_quantity

if TYPE_CHECKING:
    import neo
    import xarray as xr
    from matplotlib.figure import Figure

# population[index]/variable, population/index/component/variable, population/variable, variable.
# Source: NeuroML 2, paths; the second form is that of a populationList.
_CELL = re.compile(r"(?P<population>[^\[\]/]+)\[(?P<index>\d{1,9})\](?:/(?P<variable>.+))?")
_INSTANCE = re.compile(
    r"(?P<population>[^\[\]/]+)/(?P<index>\d{1,9})/(?P<component>[^/]+)(?:/(?P<variable>.+))?"
)
# Units of a period in a path.
_TIMES = {
    item.symbol: item for item in (Unit("s", TIME), Unit("ms", TIME, -3), Unit("us", TIME, -6))
}


@dataclass(frozen=True, eq=False)
class Results:
    """What a simulation gave.

    ``results["pop[0]/v"]`` is the table of one neuron, ``results["pop/v"]`` that of all neurons
    recorded, ``results["pop/v@1ms"]`` that of those recorded with this period.

    Parameters
    ----------
    duration_s, dt_s : float
        Simulated time and time step. [s]
    spikes : mapping of str to SpikeTrains
        By population.
    traces : sequence of Trace
        A path may come again at other times: some cells in every step, all cells now and then.
    components : mapping of str to str
        Id of the component of each population. Needed for paths in the form of a populationList,
        ``pop/0/component/v``.
    provenance : mapping of str to any
        Versions, seed, command, hashes of the files, times of the stages: plain data.
    start_s : float
        Time at which these results begin; not 0 for a simulation that was continued. [s]
    """

    duration_s: float
    dt_s: float
    spikes: Mapping[str, SpikeTrains] = field(default_factory=dict)
    traces: Sequence[Trace] = ()
    components: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    start_s: float = 0.0

    def __repr__(self) -> str:
        counts = (f"{name}: {trains.count} spikes" for name, trains in self.spikes.items())
        paths = dict.fromkeys(trace.path for trace in self.traces)
        return f"<Results of {self.duration_s * 1e3:g} ms ({', '.join((*counts, *paths))})>"

    def __post_init__(self) -> None:
        for traces in self._by_path.values():
            for trace, other in pairwise(traces):
                if trace.times is other.times:
                    raise InternalError(f"two traces of '{trace.path}' at the same times")

    @cached_property
    def _by_path(self) -> dict[str, list[Trace]]:
        """The traces of each path, the finest first."""
        found: dict[str, list[Trace]] = {}
        for trace in sorted(self.traces, key=lambda item: -item.times.shape[0]):
            found.setdefault(trace.path, []).append(trace)
        return found

    def trace(self, path: str) -> Trace:
        """Return the trace at a LEMS path: of one neuron, or of all recorded.

        Where a path was recorded at different times, that of one neuron is the finest, that of
        all the one of most neurons, of two with as many the finest. Another has its period in the
        path.

        Parameters
        ----------
        path : str
            ``pop[0]/v``, ``pop/0/component/v``, ``pop[0]/i0/I``; ``pop/v`` for all neurons;
            ``temperature`` for a quantity of the whole network; ``pop/v@1ms`` for what was
            recorded with this period.

        Raises
        ------
        InputError
            If nothing was recorded under this path.
        """
        period = ""
        if not self._is_recorded(path):
            path, _, period = path.partition("@")
        if path in self._by_path:
            found = self._with_period(self._by_path[path], period)
            return max(found, key=lambda item: item.indices.size)
        population, index, variable = self._split(path)
        traces = self._by_path.get(f"{population}/{variable}")
        if traces is not None:
            traces = self._with_period(traces, period)
        else:
            cell = "" if index is None else f"[{index}]"
            known = (
                f"{item.population}{cell}/{item.variable}" if item.population else item.path
                for item in self.traces
            )
            raise InputError(Diagnostic(f"'{path}' was not recorded", notes=suggest(path, known)))
        for trace in traces:
            columns = np.flatnonzero(trace.indices == index)
            if columns.size:
                return trace.column(int(columns[0]))
        cells = np.unique(np.concatenate([trace.indices for trace in traces]))
        raise InputError(
            Diagnostic(
                f"'{path}' was not recorded",
                notes=(f"'{traces[0].path}' was recorded for the cells {_abridge(cells)}",),
            )
        )

    def _is_recorded(self, path: str) -> bool:
        """Return whether a path is one as it stands, without a period after an @."""
        population, _, variable = self._split(path)
        return path in self._by_path or f"{population}/{variable}" in self._by_path

    def _with_period(self, traces: list[Trace], text: str) -> list[Trace]:
        """Return those of the traces of a path that were recorded with a period, if one is given.

        The first two times tell the period. A single row goes with any.
        """
        if not text:
            return traces
        period = parse_quantity(text, _TIMES)
        if period.dimension != TIME:
            raise InputError(Diagnostic(f"'{text}' is no time", notes=("write @1ms",)))
        steps = {id(item): np.diff(item.times[:2]) for item in traces}
        found = [item for item in traces if np.allclose(steps[id(item)], period.value, rtol=1e-6)]
        if not found:
            known = ", ".join(f"{1e3 * step[0]:.6g} ms" for step in steps.values())
            raise InputError(
                Diagnostic(
                    f"'{traces[0].path}' was not recorded every {text.strip()}",
                    notes=(f"it was every {known}",),
                )
            )
        return found

    def trace_of_one(self, path: str) -> Trace:
        """Return the trace at a LEMS path that stands for one neuron, or for the whole network.

        Parameters
        ----------
        path : str
            See `trace`.

        Raises
        ------
        InputError
            If nothing was recorded under this path, or of several neurons.
        """
        trace = self.trace(path)
        if trace.indices.size != 1:
            hint = f"write one cell: {trace.population}[{trace.indices[0]}]/{trace.variable}"
            raise InputError(Diagnostic(f"'{path}' stands for several cells", notes=(hint,)))
        return trace

    def si(self, path: str) -> Floats:
        """Return plain values: (n_rows,) for one neuron, (n_rows, n_recorded) for all [SI].

        Parameters
        ----------
        path : str
            See `trace`.
        """
        values = np.asarray(self.trace(path).values)
        return values if self._names_all(path) else values[:, 0]

    def __getitem__(self, path: str) -> xr.DataArray:
        """Return a labelled table in units for people, with the time in ms.

        Of results in a file only the rows and cells are read that the table is asked for.

        Parameters
        ----------
        path : str
            See `trace`. One neuron has the dimension time; all have time and cell.
        """
        from izhi_models.results.labelled import to_table

        table = to_table(self.trace(path), path)
        return table if self._names_all(path) else table.isel(cell=0)

    def _names_all(self, path: str) -> bool:
        """Return whether a path of a trace stands for all neurons recorded."""
        path = path.partition("@")[0]
        return path in self._by_path and self._by_path[path][0].population != ""

    def cell(self, path: str) -> tuple[str, int]:
        """Return population and index of a cell whose spikes were recorded.

        Parameters
        ----------
        path : str
            ``pop[0]`` or ``pop/0/component``.

        Raises
        ------
        InputError
            If there is no such cell.
        """
        population, index, variable = self._split(path)
        if population not in self.spikes:
            raise InputError(
                Diagnostic(
                    f"no spikes were recorded of '{path}'", notes=suggest(population, self.spikes)
                )
            )
        size = self.spikes[population].n_neurons
        if index is None or variable is not None or index >= size:
            raise InputError(
                Diagnostic(
                    f"'{path}' is no cell of '{population}'",
                    notes=(f"its cells are {population}[0] to {population}[{size - 1}]",),
                )
            )
        return population, index

    def _split(self, path: str) -> tuple[str, int | None, str | None]:
        """Return population, index and path below the cell, as far as `path` names them."""
        match = _CELL.fullmatch(path)
        if match is None:
            match = _INSTANCE.fullmatch(path)
            if match and self.components.get(match["population"]) != match["component"]:
                match = None
        if match is None:
            population, _, variable = path.partition("/")
            return population, None, variable or None
        return match["population"], int(match["index"]), match["variable"]

    def to_neo(self) -> neo.Block:
        """Return a Neo block with one segment.

        It holds one SpikeTrain per neuron, annotated with population and index, and one signal
        per trace, whose channels are annotated with the index of the neuron.
        """
        from izhi_models.results.to_neo import to_block

        return to_block(self.spikes, self.traces, self.dt_s, self.provenance, self.start_s)

    def plot(self, what: Literal["traces", "spikes"] | None = None) -> Figure:
        """Draw what was recorded, in units for people.

        Parameters
        ----------
        what : {'traces', 'spikes'}, optional
            Curves over time, or a raster with rates; traces if there are any, when left out.

        Returns
        -------
        matplotlib.figure.Figure
            Not shown yet: a notebook shows it, `savefig` writes it.
        """
        from izhi_models import plots

        what = what or ("traces" if self.traces else "spikes")
        return plots.draw_traces(self) if what == "traces" else plots.draw_raster(self)

    def save(self, path: Path | str) -> None:
        """Write everything to an HDF5 file, whole or not at all.

        Parameters
        ----------
        path : Path or str
            A file of this name is replaced.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        from izhi_models.results.hdf5 import writing

        plan, parts = plan_of(self)
        with writing(Path(path), plan, self.provenance) as add:
            for part in parts:
                add(part)

    @classmethod
    def load(cls, path: Path | str) -> Results:
        """Open what `save` or a simulation wrote; values are read when they are asked for.

        Parameters
        ----------
        path : Path or str

        Raises
        ------
        InputError
            If the file cannot be read, or holds something else.
        """
        from izhi_models.results.hdf5 import read_hdf5

        return cls(*read_hdf5(Path(path)))


def _abridge(indices: NDArray[np.integer[Any]]) -> str:
    shown = ", ".join(str(index) for index in indices[:8])
    return shown if indices.size <= 8 else f"{shown}, … ({indices.size} in all)"
