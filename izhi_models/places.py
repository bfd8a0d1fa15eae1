"""Where the files go that a Simulation declares, and those of every run.

A file of this kind may come from anyone, so it names files below one directory only.

Source: LEMS for NeuroML 2, Simulation.xml: OutputFile, EventOutputFile.
"""

from __future__ import annotations

import re
from pathlib import Path

from izhi_models.errors import Diagnostic, InputError, Note, Span, raise_if_errors
from izhi_models.simulation import EventOutputFile, OutputFile, Simulation

RESULTS = "results.h5"
RECORD = "run.json"
PICTURES = ("traces.png", "raster.png")

_ABSOLUTE = re.compile(r"/|[A-Za-z]:")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_MODEL_SUFFIXES = {".xml", ".nml"}

Output = OutputFile | EventOutputFile


def resolve_outputs(simulation: Simulation, directory: Path) -> dict[Path, Output]:
    """Return the place of each file that a simulation declares. Nothing is written.

    Parameters
    ----------
    simulation : Simulation
    directory : Path

    Raises
    ------
    InputError
        If a name is not allowed (see `resolve_output`), is that of another file of a run, or
        occurs twice. All faults at once.
    """
    drawn = [f"{item.id}.png" for item in simulation.displays if item.id.isidentifier()]
    taken = {(directory / name).resolve() for name in (RESULTS, RECORD, *PICTURES, *drawn)}
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
