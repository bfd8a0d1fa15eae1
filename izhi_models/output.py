"""The files that a Simulation declares: tables of quantities, and lists of events.

Values are in SI and separated by tabs, with a tab at the end of each row of a table, as the
reference interpreter writes them, so that its readers read these files too. Numbers have 12
significant digits, where the reference interpreter rounds to single precision (about 7).

Source: LEMS for NeuroML 2, Simulation.xml: OutputFile, EventOutputFile.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from heapq import merge
from pathlib import Path

import numpy as np

from izhi_models.errors import Diagnostic, InputError, InternalError, noted, raise_if_errors
from izhi_models.files import replacing
from izhi_models.places import resolve_outputs
from izhi_models.results import BLOCK_VALUES, Floats, Results, SpikeTrains, Stored, Trace
from izhi_models.simulation import EventOutputFile, OutputFile, Simulation

NUMBER = "%.12g"
BYTES_PER_NUMBER = 18  # about: 12 digits, sign, point, exponent, tab
VALUES_PER_BLOCK = 2**14  # written at once; what may lie in a file is read in larger blocks

_EVENT_ROWS = {
    "TIME_ID": f"%(time){NUMBER[1:]}\t%(id)s\n",
    "ID_TIME": f"%(id)s\t%(time){NUMBER[1:]}\n",
}

Write = Callable[[Path], None]


def write_outputs(simulation: Simulation, results: Results, directory: Path) -> tuple[Path, ...]:
    """Write all files that a simulation declares, or none if one of them cannot be.

    Parameters
    ----------
    simulation : Simulation
    results : Results
    directory : Path
        Where; created if need be.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        If a name leaves the directory or occurs twice, if a quantity was not recorded, or if the
        system refuses to write. All faults but the last at once.
    """
    places = resolve_outputs(simulation, directory)
    writers: dict[Path, Write] = {}
    faults: list[Diagnostic] = []
    for path, output in places.items():
        try:
            if isinstance(output, OutputFile):
                writers[path] = _plan_table(output, results)
            else:
                writers[path] = _plan_events(output, results)
        except InputError as error:
            faults += [replace(item, span=item.span or output.span) for item in error.diagnostics]
    raise_if_errors(faults)
    for path, write in writers.items():
        write(path)
    return tuple(writers)


def _plan_table(output: OutputFile, results: Results) -> Write:
    """Return what writes a table, once every quantity is known to be recorded."""
    faults: list[Diagnostic] = []
    traces: list[Trace] = []
    for _, quantity in output.columns:
        with noted(faults):
            traces.append(results.trace_of_one(quantity))
    raise_if_errors(faults)
    if not traces:
        steps = np.arange(round(results.duration_s / results.dt_s) + 1)
        every_step = results.start_s + steps * results.dt_s
        return partial(write_table, times=every_step, columns=())
    times = traces[0].times
    if not all(trace.times is times or np.array_equal(trace.times, times) for trace in traces):
        raise InternalError(f"the quantities of '{output.id}' were recorded at different times")
    return partial(write_table, times=times, columns=[trace.values for trace in traces])


def _plan_events(output: EventOutputFile, results: Results) -> Write:
    """Return what writes a list of events, once every cell is known to be recorded."""
    faults: list[Diagnostic] = []
    if output.format not in _EVENT_ROWS:
        hint = f"write one of {', '.join(_EVENT_ROWS)}"
        faults.append(Diagnostic(f"unknown format '{output.format}'", notes=(hint,)))
    cells: list[tuple[str, int]] = []
    for _, select, _ in output.selections:
        with noted(faults):
            cells.append(results.cell(select))
    raise_if_errors(faults)
    chosen: dict[str, dict[int, list[int]]] = {}
    for source, (population, index) in enumerate(cells):
        chosen.setdefault(population, {}).setdefault(index, []).append(source)
    trains = [(results.spikes[population], sources) for population, sources in chosen.items()]
    ids = [name for name, _, _ in output.selections]
    return partial(write_events, trains=trains, ids=ids, row=_EVENT_ROWS[output.format])


def write_table(path: Path, times: Floats | Stored, columns: Sequence[Floats | Stored]) -> None:
    """Write times and quantities, one row per time.

    Parameters
    ----------
    path : Path
    times : float array (n_rows,)
        [s]
    columns : sequence of float array (n_rows,) or (n_rows, 1)
        [SI]
    """
    width = 1 + len(columns)
    row = f"{NUMBER}\t" * width + "\n"
    n_read, n_rows = max(1, BLOCK_VALUES // width), max(1, VALUES_PER_BLOCK // width)
    with replacing(path) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        for start in range(0, len(times), n_read):
            part = slice(start, start + n_read)
            block = np.stack([np.ravel(item[part]) for item in (times, *columns)], axis=1)
            # One format for many rows: an order of magnitude faster than a call per row.
            for first in range(0, len(block), n_rows):
                some = block[first : first + n_rows]
                file.write(row * len(some) % tuple(some.ravel().tolist()))


def write_events(
    path: Path,
    trains: Sequence[tuple[SpikeTrains, Mapping[int, Sequence[int]]]],
    ids: Sequence[str],
    row: str,
) -> None:
    """Write events in the order of time, those of one time in the order of their sources.

    Parameters
    ----------
    path : Path
    trains : sequence of (SpikeTrains, mapping of int to sequence of int)
        Populations with the numbers of the sources that stand for each of some neurons.
    ids : sequence of str
        Name of each source in the file.
    row : str
        Format of a row with the fields ``time`` and ``id``.
    """
    events = merge(*(_events(*item) for item in trains))
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(row % {"time": time, "id": ids[source]} for time, source in events)


def _events(
    trains: SpikeTrains, sources: Mapping[int, Sequence[int]]
) -> Iterator[tuple[float, int]]:
    """Yield time and source of the events of a population, in this order."""
    pairs = [(cell, number) for cell, numbers in sources.items() for number in numbers]
    cells, numbers = np.array(sorted(pairs)).T
    bounds = np.searchsorted(cells, np.arange(trains.n_neurons + 1))
    first, counts = bounds[:-1], np.diff(bounds)
    late: list[tuple[float, int]] = []
    for times, spiked in trains.blocks():
        repeats = counts[spiked]
        # The sources of each spike follow each other, from the first of its cell on.
        places = np.arange(repeats.sum()) + np.repeat(
            first[spiked] - np.cumsum(repeats) + repeats, repeats
        )
        found = zip(np.repeat(times, repeats).tolist(), numbers[places].tolist(), strict=True)
        events = sorted([*late, *found])
        # The next block may have more of the last time.
        whole = bisect_left(events, (float(times[-1]), -1))
        yield from events[:whole]
        late = events[whole:]
    yield from late
