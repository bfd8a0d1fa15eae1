"""Results as files of other tools: SONATA, NIX for Neo, and Neurodata Without Borders."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from izhi_models.errors import BackendError, Diagnostic
from izhi_models.files import replacing
from izhi_models.results import Results, Trace

Writer = Callable[[Results, Path], None]


def write_sonata(results: Results, path: Path) -> None:
    """Write all spikes as a SONATA file.

    Source: SONATA data format, developer guide, "Spike file format"; times in ms.

    Parameters
    ----------
    results : Results
    path : Path
    """
    sorting = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="i")
    with h5py.File(path, "w") as file:
        file.attrs["magic"] = np.uint32(0x0A7A)
        file.attrs["version"] = np.array([0, 1], dtype=np.uint32)
        spikes = file.create_group("spikes")
        for population, trains in results.spikes.items():
            group = spikes.create_group(_hdf5_name(population))
            group.attrs.create("sorting", 2, dtype=sorting)
            times = group.create_dataset("timestamps", (trains.count,), np.float64)
            times.attrs["units"] = "ms"
            cells = group.create_dataset("node_ids", (trains.count,), np.uint64)
            first = 0
            for times_s, indices in trains.blocks():
                last = first + len(indices)
                times[first:last] = times_s * 1e3
                cells[first:last] = indices
                first = last


def _hdf5_name(population: str) -> str:
    """Return a population's id as the name of a group, which has no slashes."""
    return population.replace("/", "_")


def write_neo(results: Results, path: Path) -> None:
    """Write everything as a NIX file, which is how Neo keeps its objects.

    Parameters
    ----------
    results : Results
    path : Path

    Raises
    ------
    BackendError
        The package nixio is not installed.
    """
    block = results.to_neo()
    block.annotations["provenance"] = json.dumps(block.annotations["provenance"])
    try:
        from neo.io import NixIO

        file = NixIO(str(path), "ow")
    except (ImportError, AssertionError) as error:
        raise _missing("nixio", "neo") from error
    with file:
        file.write_block(block)


def write_nwb(results: Results, path: Path) -> None:
    """Write everything as an NWB file: spikes as units, traces as time series in SI.

    Parameters
    ----------
    results : Results
    path : Path

    Raises
    ------
    BackendError
        The package pynwb is not installed.
    """
    try:
        from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    except ImportError as error:
        raise _missing("pynwb", "nwb") from error
    file = NWBFile(
        session_description="a simulation by izhi-models",
        identifier=str(uuid.uuid4()),
        session_start_time=datetime.now(UTC),
        notes=json.dumps(dict(results.provenance), default=str),
    )
    file.add_unit_column("population", "population of the model")
    file.add_unit_column("cell", "number of the cell in its population")
    end_s = results.start_s + results.duration_s
    for population, trains in results.spikes.items():
        for cell in range(trains.n_neurons):
            file.add_unit(
                spike_times=trains.of(cell),
                obs_intervals=[[results.start_s, end_s]],
                population=population,
                cell=cell,
            )
    taken: set[str] = set()
    for trace in results.traces:
        file.add_acquisition(TimeSeries(**_series(trace, taken)))
    with NWBHDF5IO(str(path), "w") as output:
        output.write(file)


def _series(trace: Trace, taken: set[str]) -> dict[str, Any]:
    """Return a time series; what NWB does not allow in a name is replaced."""
    stem = re.sub(r"[/:]", "_", trace.path)
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    cells = ", ".join(str(index) for index in trace.indices.tolist())
    return {
        "name": name,
        "data": np.asarray(trace.values),
        "unit": trace.si_unit,
        "timestamps": np.asarray(trace.times),
        "description": f"{trace.path}; one column for each of the cells {cells}",
    }


def _missing(package: str, extra: str) -> BackendError:
    hint = f"install it: pip install {package}, or this package with [{extra}]"
    return BackendError(Diagnostic(f"the package {package} is not installed", notes=(hint,)))


FORMATS: Mapping[str, tuple[str, Writer]] = MappingProxyType(
    {
        "sonata": ("{}_spikes.h5", write_sonata),
        "neo": ("{}.nix", write_neo),
        "nwb": ("{}.nwb", write_nwb),
    }
)


def write_results(results: Results, to: str, path: Path) -> Path:
    """Write results for another tool, whole or not at all.

    Parameters
    ----------
    results : Results
    to : str
        One of `FORMATS`.
    path : Path

    Raises
    ------
    InputError
        The file cannot be written.
    BackendError
        A package that writes the format is not installed.
    """
    with replacing(path) as temporary:
        # Some writers insist on the ending of the name.
        named = temporary.with_name(f"{temporary.name}{path.suffix}")
        try:
            FORMATS[to][1](results, named)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
    return path
