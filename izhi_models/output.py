"""The files that a Simulation declares: tables of quantities, and lists of events.

Values are in SI and separated by tabs, with a tab at the end of each row of a table, as the
reference interpreter writes them, so that its readers read these files too. Numbers have 12
significant digits, where the reference interpreter rounds to single precision (about 7).

A file of this kind may come from anyone, so it names files below one directory only.

Source: LEMS for NeuroML 2, Simulation.xml: OutputFile, EventOutputFile.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from heapq import merge
from pathlib import Path

import numpy as np

from izhi_models.errors import Diagnostic, InputError, InternalError, Note, Span, raise_if_errors
from izhi_models.files import replacing
from izhi_models.results import BLOCK_VALUES, Floats, Results, SpikeTrains, Stored, Trace
from izhi_models.simulation import EventOutputFile, OutputFile, Simulation

NUMBER = "%.12g"
BYTES_PER_NUMBER = 18  # about: 12 digits, sign, point, exponent, tab
VALUES_PER_BLOCK = 2**14  # written at once; what may lie in a file is read in larger blocks

_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_MODEL_SUFFIXES = {".xml", ".nml"}

_EVENT_ROWS = {
    "TIME_ID": f"%(time){NUMBER[1:]}\t%(id)s\n",
    "ID_TIME": f"%(id)s\t%(time){NUMBER[1:]}\n",
}

Output = OutputFile | EventOutputFile
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


def resolve_outputs(
    simulation: Simulation, directory: Path, reserved: Collection[str] = ()
) -> dict[Path, Output]:
    """Return the place of each file that a simulation declares. Nothing is written.

    Parameters
    ----------
    simulation : Simulation
    directory : Path
    reserved : collection of str
        Names in the directory that are not to be used.

    Raises
    ------
    InputError
        If a name is not allowed (see `resolve_output`) or occurs twice. All faults at once.
    """
    taken = {(directory / name).resolve() for name in reserved}
    places: dict[Path, Output] = {}
    faults: list[Diagnostic] = []
    outputs: tuple[Output, ...] = (*simulation.outputs, *simulation.event_outputs)
    for output in outputs:
        try:
            path = resolve_output(directory, output.file_name, output.path, output.span)
        except InputError as error:
            faults += error.diagnostics
            continue
        if path in taken or path in places:
            name = path.relative_to(directory.resolve())
            notes: tuple[Note, ...] = ()
            if path in places:
                first = places[path]
                notes = (Note(f"'{first.id}' writes it too", first.span),)
            faults.append(Diagnostic(f"the name '{name}' is taken", output.span, notes))
        places[path] = output
    raise_if_errors(faults)
    return places


def resolve_output(
    directory: Path, file_name: str, path: str = "", span: Span | None = None
) -> Path:
    """Return the place of an output file, which is always below `directory`.

    Parameters
    ----------
    directory : Path
    file_name, path : str
        As the file has them; `path` is the directory in which `file_name` lies.
    span : Span, optional
        Where they are declared.

    Raises
    ------
    InputError
        If a name is empty, absolute or hidden, leaves the directory by ``..`` or a link, has a
        backslash or a control character, or belongs to a model.
    """

    def refuse(reason: str) -> InputError:
        shown = f"{path}/{file_name}" if path else file_name
        hint = "write a plain name below the output directory: results/v.dat"
        return InputError(Diagnostic(f"output file {shown!r} {reason}", span, (hint,)))

    if not file_name.strip() or file_name.endswith("/"):
        raise refuse("has no name")
    for text in (path, file_name):
        if _FORBIDDEN.search(text):
            raise refuse("has a backslash or a control character in its name")
        if _ABSOLUTE.match(text):
            raise refuse("is absolute")
    place = Path(path, file_name)
    if any(part.startswith(".") and part != ".." for part in place.parts):
        raise refuse("is hidden")
    try:
        root = directory.resolve()
        resolved = (root / place).resolve()
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before 3.13
        raise refuse("leads through a loop of links") from error
    if resolved == root or not resolved.is_relative_to(root):
        raise refuse(f"is outside of '{root}'")
    if resolved.suffix.lower() in _MODEL_SUFFIXES and resolved.exists():
        raise refuse("would replace a model")
    return resolved


def _plan_table(output: OutputFile, results: Results) -> Write:
    """Return what writes a table, once every quantity is known to be recorded."""
    faults: list[Diagnostic] = []
    traces: list[Trace] = []
    for _, quantity in output.columns:
        try:
            traces.append(results.trace_of_one(quantity))
        except InputError as error:
            faults += error.diagnostics
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
        try:
            cells.append(results.cell(select))
        except InputError as error:
            faults += error.diagnostics
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
