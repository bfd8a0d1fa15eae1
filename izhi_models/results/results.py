"""What a simulation gave, addressed by LEMS paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, InternalError, suggest
from izhi_models.results.recorded import Floats, SpikeTrains, Trace
from izhi_models.units import display_unit

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


@dataclass(frozen=True, eq=False)
class Results:
    """What a simulation gave.

    ``results["pop[0]/v"]`` is the table of one neuron, ``results["pop/v"]`` that of all neurons
    recorded.

    Parameters
    ----------
    duration_s, dt_s : float
        Simulated time and time step. [s]
    spikes : mapping of str to SpikeTrains
        By population.
    traces : sequence of Trace
        Each path once.
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

    def __post_init__(self) -> None:
        if len(self._by_path) != len(self.traces):
            raise InternalError("two traces of one path")

    @cached_property
    def _by_path(self) -> dict[str, Trace]:
        return {trace.path: trace for trace in self.traces}

    def trace(self, path: str) -> Trace:
        """Return the trace at a LEMS path: of one neuron, or of all recorded.

        Parameters
        ----------
        path : str
            ``pop[0]/v``, ``pop/0/component/v``, ``pop[0]/i0/I``; ``pop/v`` for all neurons;
            ``temperature`` for a quantity of the whole network.

        Raises
        ------
        InputError
            If nothing was recorded under this path.
        """
        if path in self._by_path:
            return self._by_path[path]
        population, index, variable = self._split(path)
        trace = self._by_path.get(f"{population}/{variable}")
        if trace is None:
            cell = "" if index is None else f"[{index}]"
            known = (
                f"{item.population}{cell}/{item.variable}" if item.population else item.path
                for item in self.traces
            )
            raise InputError(Diagnostic(f"'{path}' was not recorded", notes=suggest(path, known)))
        columns = np.flatnonzero(trace.indices == index)[:1]
        if not columns.size:
            raise InputError(
                Diagnostic(
                    f"'{path}' was not recorded",
                    notes=(f"'{trace.path}' was recorded for the cells {_abridge(trace.indices)}",),
                )
            )
        start = int(columns[0])
        # A slice, not an index array: a view of one column, no copy.
        one = slice(start, start + 1)
        return Trace(
            trace.population,
            trace.variable,
            trace.dimension,
            trace.indices[one],
            trace.times,
            trace.values[:, one],
        )

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
        values = self.trace(path).values
        return values if self._names_all(path) else values[:, 0]

    def __getitem__(self, path: str) -> xr.DataArray:
        """Return a labelled table in units for people, with the time in ms.

        Parameters
        ----------
        path : str
            See `trace`. One neuron has the dimension time; all have time and cell.
        """
        import xarray as xr

        trace = self.trace(path)
        units, scale = display_unit(trace.dimension)
        # To a picosecond, so that a time may be looked up as it is written: sel(time=0.3).
        times_ms = np.round(trace.times / 1e-3, 9)
        coords = {
            "time": ("time", times_ms, {"units": "ms", "long_name": "time"}),
            "cell": ("cell", trace.indices),
        }
        table = xr.DataArray(
            trace.values / scale,
            coords,
            ("time", "cell"),
            name=trace.variable,
            attrs={"units": units, "long_name": path},
        )
        return table if self._names_all(path) else table.isel(cell=0)

    def _names_all(self, path: str) -> bool:
        """Return whether a path of a trace stands for all neurons recorded."""
        return path in self._by_path and self._by_path[path].population != ""

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
        from izhi_models.results.hdf5 import write_hdf5

        write_hdf5(
            Path(path),
            (
                self.duration_s,
                self.dt_s,
                self.spikes,
                self.traces,
                self.components,
                self.provenance,
                self.start_s,
            ),
        )

    @classmethod
    def load(cls, path: Path | str) -> Results:
        """Read what `save` wrote.

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
