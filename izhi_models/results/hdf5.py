"""Results as an HDF5 file that says what it holds.

``spikes/<population>/{times,indices}`` and ``traces/<path>/{times,values,indices}``, each
dataset over time with an attribute ``units``. Traces that were sampled together share one
dataset of times (a hard link). The first axis of each dataset over time can grow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InputError
from izhi_models.files import replacing
from izhi_models.results.recorded import SpikeTrains, Trace
from izhi_models.units import Dimension

FORMAT = "izhi-models results"
FORMAT_VERSION = 1

# The parts of a Results in the order of its fields: duration and step [s], spikes, traces,
# components, provenance, start [s].
Parts = tuple[
    float,
    float,
    Mapping[str, SpikeTrains],
    Sequence[Trace],
    Mapping[str, str],
    Mapping[str, Any],
    float,
]


def write_hdf5(path: Path, parts: Parts) -> None:
    """Write the parts of a Results to a file, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    duration_s, dt_s, spikes, traces, components, provenance, start_s = parts
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["duration_s"] = duration_s
        file.attrs["dt_s"] = dt_s
        file.attrs["start_s"] = start_s
        # Text, not attributes: an attribute holds 64 kB at most.
        file["components"] = json.dumps(dict(components))
        file["provenance"] = json.dumps(dict(provenance), default=str)
        _write_spikes(file.create_group("spikes", track_order=True), spikes)
        _write_traces(file.create_group("traces", track_order=True), traces)


def read_hdf5(path: Path) -> Parts:
    """Read what `write_hdf5` wrote.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    if not path.exists():
        raise InputError(f"there is no file '{path}'")
    try:
        with h5py.File(path, "r") as file:
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
                _read_spikes(file["spikes"]),
                _read_traces(file["traces"]),
                json.loads(file["components"].asstr()[()]),
                json.loads(file["provenance"].asstr()[()]),
                float(file.attrs["start_s"]),
            )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"'{path}' cannot be read as results: {error}") from error


def _group_name(path: str) -> str:
    """Return a path as one HDF5 name; a slash or a lone dot would mean a place."""
    return quote(path, safe="[] ").replace(".", "%2E")


def _write_array(
    group: h5py.Group, name: str, array: NDArray[Any], units: str, *, compress: bool = True
) -> h5py.Dataset:
    """Write an array whose first axis can grow.

    Times and indices shrink 3 to 15 times in about 10 ms/MB; computed values shrink by a quarter
    and take longer than the rest of the file, so they are written as they are.
    """
    row = array.shape[1:]
    rows_per_chunk = 2**16 // max(1, int(np.prod(row)))
    dataset = group.create_dataset(
        name,
        data=array,
        chunks=(max(1, min(len(array), rows_per_chunk)), *row),
        maxshape=(None, *row),
        **({"compression": "gzip", "compression_opts": 1, "shuffle": True} if compress else {}),
    )
    dataset.attrs["units"] = units
    return dataset


def _write_spikes(group: h5py.Group, spikes: Mapping[str, SpikeTrains]) -> None:
    for population, trains in spikes.items():
        own = group.create_group(_group_name(population))
        own.attrs["population"] = population
        own.attrs["n_neurons"] = trains.n_neurons
        own.attrs["duration_s"] = trains.duration_s
        _write_array(own, "times", trains.times_s, "s")
        _write_array(own, "indices", trains.indices, "1")


def _read_spikes(group: h5py.Group) -> dict[str, SpikeTrains]:
    return {
        str(own.attrs["population"]): SpikeTrains(
            own["times"][()],
            own["indices"][()],
            int(own.attrs["n_neurons"]),
            float(own.attrs["duration_s"]),
        )
        for own in group.values()
    }


def _write_traces(group: h5py.Group, traces: Sequence[Trace]) -> None:
    written: list[tuple[NDArray[np.float64], h5py.Dataset]] = []
    for trace in traces:
        own = group.create_group(_group_name(trace.path))
        own.attrs["population"] = trace.population
        own.attrs["variable"] = trace.variable
        own.attrs["dimension"] = trace.dimension
        shared = (item for times, item in written if np.array_equal(times, trace.times))
        times = next(shared, None)
        if times is None:
            times = _write_array(own, "times", trace.times, "s")
            written.append((trace.times, times))
        else:
            own["times"] = times
        _write_array(own, "values", trace.values, trace.si_unit, compress=False)
        own["indices"] = trace.indices


def _read_traces(group: h5py.Group) -> tuple[Trace, ...]:
    shared: dict[int, NDArray[np.float64]] = {}
    traces = []
    for own in group.values():
        address = h5py.h5o.get_info(own["times"].id).addr
        if address not in shared:
            shared[address] = own["times"][()]
        traces.append(
            Trace(
                str(own.attrs["population"]),
                str(own.attrs["variable"]),
                Dimension(*(int(exponent) for exponent in own.attrs["dimension"])),
                own["indices"][()],
                shared[address],
                own["values"][()],
            )
        )
    return tuple(traces)
