"""Results as an HDF5 file that says what it holds, for any reader of HDF5.

| | |
|---|---|
| attributes of the file | ``format``, ``format_version``, ``duration_s``, ``dt_s``, ``start_s`` |
| ``components`` | JSON: the component of each population |
| ``provenance`` | JSON: versions, seed, command, hashes of the files |
| ``spikes/<population>/times`` | (count,), in s, ascending |
| ``spikes/<population>/indices`` | (count,), the cell of each spike |
| ``traces/<path>/values`` | (n_rows, n_recorded), in SI, float32 if the run was |
| ``traces/<path>/times`` | (n_rows,), in s; one dataset for traces sampled together (hard link) |
| ``traces/<path>/indices`` | (n_recorded,), the cell of each column |

Each dataset over time has an attribute ``units``, and its first axis can grow. Groups of spikes
have the attributes ``population``, ``n_neurons`` and ``duration_s``; those of traces
``population``, ``variable`` and ``dimension`` (seven exponents). Names are quoted as in a URL, so
that ``pop/v`` is ``pop%2Fv``; a second trace of one path, at other times, is ``pop%2Fv@2``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InputError
from izhi_models.files import replacing
from izhi_models.results.parts import Part, Plan
from izhi_models.results.recorded import SpikeTrains, Trace
from izhi_models.results.stored import Stored
from izhi_models.units import Dimension

FORMAT = "izhi-models results"
FORMAT_VERSION = 1

# The parts of a Results in the order of its fields: duration and step [s], spikes, traces,
# components, provenance, start [s].
Fields = tuple[
    float,
    float,
    Mapping[str, SpikeTrains],
    Sequence[Trace],
    Mapping[str, str],
    Mapping[str, Any],
    float,
]

# A tile of a table: half a megabyte, so that neither the trace of one cell nor the cells at one
# time need all of it.
_TILE_VALUES = 2**16
_TILE_SPIKES = 2**14


@contextmanager
def writing(
    path: Path, plan: Plan, provenance: Mapping[str, Any]
) -> Iterator[Callable[[Part], None]]:
    """Give what writes part after part to a file, which is there when the block ends well.

    Parameters
    ----------
    path : Path
    plan : Plan
    provenance : mapping of str to any

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as temporary, _Disk(temporary) as disk, h5py.File(disk, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["duration_s"] = plan.duration_s
        file.attrs["dt_s"] = plan.dt_s
        file.attrs["start_s"] = plan.start_s
        # Text, not attributes: an attribute holds 64 kB at most.
        file["components"] = json.dumps(dict(plan.components))
        file["provenance"] = json.dumps(dict(provenance), default=str)
        writer = _Writer(file, plan)

        def add(part: Part) -> None:
            writer.add(part)
            disk.verify()

        yield add
        writer.finish()
        file.flush()
        disk.verify()


class _Disk(FileIO):
    """A file that takes what HDF5 writes even if the disk does not, and says so when asked.

    The HDF5 library crashes when it closes a file that it could not write.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all, or nothing any more after an error."""
        rest = memoryview(data).cast("B")
        try:
            while rest and self._error is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._error = error
        return memoryview(data).nbytes

    def truncate(self, size: int | None = None) -> int:
        """Set the length, if the disk takes it."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = error
            return size or 0

    def verify(self) -> None:
        """Raise the error that there was, if any."""
        if self._error is not None:
            raise self._error


class _Writer:
    """The groups of a file that grow."""

    def __init__(self, file: h5py.File, plan: Plan) -> None:
        self._heads = plan.traces
        self._rasters = plan.rasters
        self._groups = []
        traces = file.create_group("traces", track_order=True)
        for head in plan.traces:
            own = traces.create_group(_new_name(traces, head.path))
            own.attrs["population"] = head.population
            own.attrs["variable"] = head.variable
            own.attrs["dimension"] = head.dimension
            own["indices"] = head.indices
            self._groups.append(own)
        self._values = [
            _Growing(
                own,
                "values",
                head.si_unit,
                np.empty((0, head.indices.size), head.dtype),
                plan.block_rows,
                compress=False,
            )
            for own, head in zip(self._groups, plan.traces, strict=True)
        ]
        first = {head.axis: own for own, head in zip(self._groups, plan.traces, strict=True)}
        self._times = [
            _Growing(first[axis], "times", "s", np.empty(0), _TILE_VALUES)
            for axis in range(len(plan.n_rows))
        ]
        self._spikes = {}
        spikes = file.create_group("spikes", track_order=True)
        for population, (size, duration_s) in plan.spikes.items():
            own = spikes.create_group(_quoted(population))
            own.attrs["population"] = population
            own.attrs["n_neurons"] = size
            own.attrs["duration_s"] = duration_s
            self._spikes[population] = (
                _Growing(own, "times", "s", np.empty(0), _TILE_SPIKES),
                _Growing(own, "indices", "1", np.empty(0, np.int32), _TILE_SPIKES),
            )

    def add(self, part: Part) -> None:
        for axis, times in zip(self._times, part.times, strict=True):
            axis.add(times)
        for table, values in zip(self._values, part.values, strict=True):
            table.add(values)
        for number, spikes in part.spikes.items():
            for population, *found in self._rasters[number].split(*spikes):
                for dataset, more in zip(self._spikes[population], found, strict=True):
                    dataset.add(more)

    def finish(self) -> None:
        for dataset in (*self._times, *self._values, *chain(*self._spikes.values())):
            dataset.finish()
        for head, own in zip(self._heads, self._groups, strict=True):
            if "times" not in own:
                own["times"] = self._times[head.axis].dataset


class _Growing:
    """A dataset that grows by whole tiles: a part of one would be written again and again.

    Times and indices shrink 3 to 15 times in about 10 ms/MB; computed values shrink by a quarter
    and take longer than the rest of the file, so they are written as they are.
    """

    def __init__(
        self,
        group: h5py.Group,
        name: str,
        units: str,
        empty: NDArray[Any],
        rows: int,
        *,
        compress: bool = True,
    ) -> None:
        self._group = group
        self._name = name
        self._units = units
        self._rows = min(rows, _TILE_VALUES)
        self._compress = compress
        self._waiting = [empty]
        self._n_waiting = 0
        self.dataset: h5py.Dataset | None = None

    def add(self, more: NDArray[Any]) -> None:
        """Write what fills tiles, and keep the rest until it does."""
        self._waiting.append(more)
        self._n_waiting += len(more)
        if self._n_waiting >= self._rows:
            joined = np.concatenate(self._waiting)
            whole = len(joined) // self._rows * self._rows
            self._write(joined[:whole])
            self._waiting = [joined[whole:].copy()]
            self._n_waiting -= whole

    def finish(self) -> None:
        """Write the rest."""
        if self._n_waiting or self.dataset is None:
            self._write(np.concatenate(self._waiting))

    def _write(self, rows: NDArray[Any]) -> None:
        if self.dataset is None:
            self.dataset = self._create(rows)
        start = len(self.dataset)
        self.dataset.resize(start + len(rows), axis=0)
        self.dataset[start:] = rows

    def _create(self, rows: NDArray[Any]) -> h5py.Dataset:
        tile = max(1, min(len(rows), self._rows))
        width = tuple(min(size, max(1, _TILE_VALUES // tile)) for size in rows.shape[1:])
        dataset = self._group.create_dataset(
            self._name,
            (0, *rows.shape[1:]),
            rows.dtype,
            chunks=(tile, *width),
            maxshape=(None, *rows.shape[1:]),
            **({"compression": "gzip", "compression_opts": 1} if self._compress else {}),
            shuffle=self._compress,
        )
        dataset.attrs["units"] = self._units
        return dataset


def read_hdf5(path: Path) -> Fields:
    """Return what `writing` wrote; spikes and traces stay in the file until they are asked for.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    if not path.exists():
        raise InputError(f"there is no file '{path}'")
    try:
        file = h5py.File(path, "r")  # is closed with the last of its datasets
        if file.attrs.get("format") != FORMAT:
            raise InputError(f"'{path}' holds no results of a simulation")
        version = int(file.attrs["format_version"])
        if version > FORMAT_VERSION:
            raise InputError(
                f"'{path}' is of format {version}, expected {FORMAT_VERSION} at most: "
                "update izhi-models"
            )
        return (
            float(file.attrs["duration_s"]),
            float(file.attrs["dt_s"]),
            _read_spikes(file["spikes"], path),
            _read_traces(file["traces"], path),
            json.loads(file["components"].asstr()[()]),
            json.loads(file["provenance"].asstr()[()]),
            float(file.attrs["start_s"]),
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"'{path}' cannot be read as results: {error}") from error


def _quoted(name: str) -> str:
    """Return a path as one HDF5 name; a slash or a lone dot would mean a place."""
    return quote(name, safe="[] ").replace(".", "%2E")


def _new_name(group: h5py.Group, path: str) -> str:
    name, number = _quoted(path), 1
    while (f"{name}@{number}" if number > 1 else name) in group:
        number += 1
    return f"{name}@{number}" if number > 1 else name


def _read_spikes(group: h5py.Group, path: Path) -> dict[str, SpikeTrains]:
    return {
        str(own.attrs["population"]): SpikeTrains(
            Stored(own["times"], path),
            Stored(own["indices"], path),
            int(own.attrs["n_neurons"]),
            float(own.attrs["duration_s"]),
        )
        for own in group.values()
    }


def _read_traces(group: h5py.Group, path: Path) -> tuple[Trace, ...]:
    shared: dict[int, Stored] = {}
    traces = []
    for own in group.values():
        address = h5py.h5o.get_info(own["times"].id).addr
        times = shared.setdefault(address, Stored(own["times"], path))
        traces.append(
            Trace(
                str(own.attrs["population"]),
                str(own.attrs["variable"]),
                Dimension(*(int(exponent) for exponent in own.attrs["dimension"])),
                own["indices"][()],
                times,
                Stored(own["values"], path),
            )
        )
    return tuple(traces)
