"""Write a model for another tool: what is asked for is made a request to an exporter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from izhi_models.agreement import Agreement, agreements
from izhi_models.annarchy.program import Precision
from izhi_models.engines import run_elsewhere
from izhi_models.engines.targets import ENGINE_TARGETS
from izhi_models.errors import Diagnostic, InputError
from izhi_models.exporters import TARGETS, Request, Target
from izhi_models.exporters.results import FORMATS, write_results
from izhi_models.ir.step import METHODS
from izhi_models.pipeline import PRECISIONS, Model, check_choice, listed, load
from izhi_models.places import RECORD, RESULTS
from izhi_models.replaying import with_chance
from izhi_models.results import Results

ALL_TARGETS: Mapping[str, Target] = MappingProxyType({**TARGETS, **ENGINE_TARGETS})


_DEFAULTS = {"method": "auto", "precision": "double", "record": ()}


def export(
    model: Model | Results | str | Path,
    to: str,
    path: str | Path | None = None,
    *,
    run: bool = False,
    tell: Callable[[Agreement], None] = lambda _: None,
    **options: Any,
) -> tuple[Path, ...]:
    """Write a model, or results, for another tool.

    Parameters
    ----------
    model : Model, Results, str or Path
        A model, what `load` takes, or a folder of results: then the model is written as it was
        run, with the same parameters, seed, step and duration. For a format of results, these or
        where they are.
    to : str
        One of `ALL_TARGETS`, or of the formats of results, `izhi_models.exporters.results.FORMATS`.
    path : str or Path, optional
        The main file, or the folder for a simulator; other files may stand beside it. Named after
        the model if left out, and in the working folder.
    run : bool
        Run it in the other simulator first, and write it only if the spikes are the same: for
        NEURON, NetPyNE and EDEN.
    tell : callable, optional
        Called with how well the spikes of each population agree.
    **options
        See `request_of`.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        If an argument is wrong, or a file cannot be written.
    UnsupportedError
        If the target cannot express the model.
    BackendError
        If a package that writes the format is not installed.
    CheckError
        If the other simulator gives other spikes.
    """
    check_choice("target", to, (*ALL_TARGETS, *FORMATS))
    if to in FORMATS:
        return (_recorded(model, to, path),)
    if isinstance(model, Results):
        hint = f"they can be written as {', '.join(FORMATS)}"
        raise InputError(Diagnostic(f"results are no model for '{to}'", notes=(hint,)))
    if not isinstance(model, Model) and Path(model).is_dir():
        whole, made = open_results(Path(model))
        asked = {name: item for name, item in options.items() if item != _DEFAULTS.get(name)}
        options = {**made, **asked}
    else:
        whole = model if isinstance(model, Model) else load(model)
    request = request_of(whole, **options)
    if request.keep_rules and to != "neuroml":
        raise InputError(f"'{to}' knows no rules, so they cannot be kept")
    if to in ENGINE_TARGETS:
        request = with_chance(whole, request, to)
    if run:
        if to not in ENGINE_TARGETS:
            hint = f"it goes with {', '.join(ENGINE_TARGETS)}"
            raise InputError(Diagnostic(f"'{to}' cannot be run", notes=(hint,)))
        other = run_elsewhere(request, to).results
        own = whole.compile(dt=request.dt_s, seed=request.seed).simulate(request.duration_s)
        for item in agreements(own, other, to):
            tell(item)
        request = replace(request, is_checked=True)
    target = ALL_TARGETS[to]
    return target.write(request, Path(target.name_of(request.name) if path is None else path))


def _recorded(source: Model | Results | str | Path, to: str, path: str | Path | None) -> Path:
    """Write results in a format of their own."""
    if isinstance(source, Results):
        name = FORMATS[to][0].format("results")
        return write_results(source, to, Path(name if path is None else path))
    if isinstance(source, Model):
        hint = "give a folder of results, or what `simulate` returned"
        raise InputError(Diagnostic(f"'{to}' is a format of results, not of models", notes=(hint,)))
    place = Path(source)
    if place.is_file() and place.name != RESULTS:
        hint = "give the folder that a run has written"
        raise InputError(Diagnostic(f"'{place}' holds no results", notes=(hint,)))
    file = place / RESULTS if place.is_dir() else place
    name = FORMATS[to][0].format(file.resolve().parent.name)
    return write_results(Results.load(file), to, Path(name if path is None else path))


def open_results(folder: Path) -> tuple[Model, dict[str, Any]]:
    """Return the model of a folder of results, and how it was run, as `request_of` takes it.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        If it holds no results, or a file of the model has changed since.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        path, hashes = record["model"], record["sha256"]
        step, seed, settings = record["dt_s"], record["seed"], record["set"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            Diagnostic(f"'{folder}' holds no results", notes=(f"there is no {RECORD} of a run",))
        ) from None
    model = load(path, set=settings)
    for document in model.declarations.own_documents():
        name = str(document.source.path)
        if hashes.get(name) != document.sha256:
            raise InputError(f"'{name}' has changed since '{folder}' was made")
    made = {name: record[name] for name in _DEFAULTS if name in record}
    # The steps add up to a time that is no round number any more.
    n_steps = round(Results.load(folder / RESULTS).duration_s / step)
    seconds = float(Decimal(repr(step)) * n_steps)
    return model, {"dt": step, "seed": seed, "duration": seconds, **made}


def request_of(
    model: Model,
    *,
    duration: str | float | None = None,
    dt: str | float | None = None,
    method: str = "auto",
    seed: int | None = None,
    precision: Precision = "double",
    record: str | Iterable[str] = (),
    keep_rules: bool = False,
) -> Request:
    """Return what is asked for as a request, to an exporter or another simulator.

    Parameters
    ----------
    model : Model
    duration : str or float, optional
        Such as ``"500 ms"``; a number is in seconds. What the file asks for if left out.
    dt, method, seed, precision, record
        See `Model.compile`.
    keep_rules : bool
        Write rules that connect as such, and not what they make: NeuroML only.

    Raises
    ------
    InputError
        If an argument is wrong.
    """
    check_choice("method", method, METHODS)
    check_choice("precision", precision, PRECISIONS)
    duration_s, step_s, seed = model.duration(duration), model.step(dt), model.seed(seed)
    drawn = model.drawn_from(seed, {})
    asked = tuple(listed(record))
    return Request(
        model.path.name.split(".")[0],
        drawn.experiment,
        tuple(drawn.recordings(asked, None, step_s)),
        step_s,
        duration_s,
        seed,
        method,
        precision,
        asked,
        keep_rules,
    )
