"""Everything that `izhi run` does: run a model and write all files and pictures."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from izhi_models.annarchy.program import Precision
from izhi_models.engines import run_elsewhere
from izhi_models.engines.refuse import untried
from izhi_models.errors import Diagnostic, InputError, RunError
from izhi_models.exporting import request_of
from izhi_models.files import replacing
from izhi_models.memory import disk_shortage
from izhi_models.output import BYTES_PER_NUMBER, write_outputs
from izhi_models.pipeline import Model, Progress, Run, load, quiet, timed
from izhi_models.places import PICTURES, RECORD, RESULTS, resolve_outputs
from izhi_models.replaying import with_chance
from izhi_models.results import Results
from izhi_models.rounding import rounded_length
from izhi_models.simulation import Display, Simulation, without_quantities
from izhi_models.stability import unstable_states

OWN = "annarchy"
PACKAGES = ("izhi-models", "ANNarchy", "pyNeuroML", "numpy", "scipy")


@dataclass(frozen=True)
class Settings:
    """What a run is asked for.

    Parameters
    ----------
    out : Path
        Folder for all files.
    duration, dt : str or None
        As `Run.simulate` and `Model.compile` take them.
    seed : int or None
    threads : int
    precision : {'double', 'float'}
    paradigm : {'openmp', 'cuda'}
    engine : str
        The simulator, `OWN` or one of `izhi_models.engines.ENGINES`.
    processes : int
        Among which it shares the network.
    method : str
    record : tuple of str
        Paths to record besides those of the file.
    every : str or None
        Their period, as `Model.compile` takes it.
    plot : bool
    command : tuple of str
        The command line, for the record.
    set : mapping of str to str
        Values for parameters, as `load` takes them.
    """

    out: Path
    duration: str | None = None
    dt: str | None = None
    seed: int | None = None
    threads: int = 1
    precision: Precision = "double"
    paradigm: str = "openmp"
    engine: str = OWN
    processes: int = 1
    method: str = "auto"
    record: tuple[str, ...] = ()
    every: str | None = None
    plot: bool = True
    command: tuple[str, ...] = ()
    set: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a run gave, and where it is.

    Parameters
    ----------
    results : Results
    files, pictures : tuple of Path
    timings : dict of str to float
        [s]
    was_cached : bool
        True if nothing had to be compiled.
    warnings : tuple of Diagnostic
    """

    results: Results
    files: tuple[Path, ...]
    pictures: tuple[Path, ...]
    timings: dict[str, float]
    was_cached: bool
    warnings: tuple[Diagnostic, ...]


def execute(path: str, settings: Settings, progress: Progress = quiet) -> Report:
    """Read, compile, simulate, and write every file that the model declares.

    Parameters
    ----------
    path : str
        A file, or the name of a model.
    settings : Settings
    progress : callable, optional
        Called with the name of the stage and the fraction done.

    Raises
    ------
    IzhiError
        Nothing is written then.
    """
    progress("read", 0.0)
    model = load(path, set=settings.set)
    plan = model.experiment.simulation
    duration_s = model.duration(settings.duration)
    anchor = _existing_folder(settings.out)
    if plan:
        resolve_outputs(plan, settings.out)
    if settings.engine == OWN and settings.processes > 1:
        hint = "--engine neuron shares a network among processes; so does netpyne"
        raise InputError(Diagnostic("the compiled code runs in one process", notes=(hint,)))
    if settings.engine != OWN:
        return _execute_elsewhere(model, settings, anchor, progress)
    run = model.compile(
        dt=settings.dt,
        method=settings.method,
        seed=settings.seed,
        threads=settings.threads,
        precision=settings.precision,
        paradigm=settings.paradigm,
        record=settings.record,
        every=settings.every,
        progress=progress,
    )
    _check_disk(run, duration_s, settings.out)
    with _staged(settings.out, anchor) as folder:
        results = run.simulate(
            duration_s,
            file=folder / RESULTS,
            provenance=_provenance(model, run, settings),
            progress=progress,
        )
        progress("write", 0.0)
        written = _write(model, plan, results, folder, settings, run.timings)
    run.close()
    rounded = rounded_length(duration_s, run.simulator.dt_s)
    unstable = unstable_states(model.network, run.simulator.dt_s, settings.method)
    warnings = (*model.experiment.warnings, *run.warnings, *rounded, *unstable)
    return Report(results, *written, run.timings, run.was_cached, warnings)


def _execute_elsewhere(
    model: Model, settings: Settings, anchor: Path, progress: Progress
) -> Report:
    """Do the same with another simulator."""
    _refuse_own_options(settings)
    request = request_of(
        model,
        duration=settings.duration,
        dt=settings.dt,
        seed=settings.seed,
        record=settings.record,
    )
    timings = dict(model.timings)
    progress(f"running {settings.engine}", 0.0)
    with timed(timings, "simulate"):
        request = with_chance(model, request, settings.engine)
        found = run_elsewhere(request, settings.engine, processes=settings.processes)
    provenance = {
        **_origin(model, settings),
        "seed": request.seed,
        "dt_s": request.dt_s,
        "engine": settings.engine,
        "processes": settings.processes,
    }
    results = replace(found.results, provenance=provenance)
    plan = model.experiment.simulation
    with _staged(settings.out, anchor) as folder:
        results.save(folder / RESULTS)
        results = Results.load(folder / RESULTS)
        shown = without_quantities(plan, found.lacking) if plan else None
        written = _write(model, shown, results, folder, settings, timings)
    warnings = list(model.experiment.warnings)
    unknown = untried(request, settings.engine)
    if unknown:
        told = f"{settings.engine} has not been tried with {', '.join(unknown)}"
        hint = f"izhi export FILE --to {settings.engine} --run compares it with the compiled code"
        warnings.append(Diagnostic(told, notes=(hint,), severity="warning"))
    if found.lacking:
        told = f"{settings.engine} does not bring back {', '.join(found.lacking)}"
        warnings.append(Diagnostic(told, severity="warning"))
    return Report(results, *written, timings, False, tuple(warnings))


def _refuse_own_options(settings: Settings) -> None:
    """Raise `InputError` for what only the compiled code can be asked for."""
    default = Settings(settings.out)
    for name in ("threads", "precision", "paradigm", "method", "every"):
        if getattr(settings, name) != getattr(default, name):
            raise InputError(f"--{name} is for the engine '{OWN}' only")


def _write(
    model: Model,
    plan: Simulation | None,
    results: Results,
    folder: Path,
    settings: Settings,
    timings: dict[str, float],
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Write what the model declares and how it was made; return files and pictures in place."""
    with timed(timings, "write"):
        files = list(write_outputs(plan, results, folder) if plan else ())
    with timed(timings, "draw"):
        pictures = _draw(model, plan, results, folder) if settings.plot else ()
    record = {**results.provenance, "seconds": _rounded(timings)}
    text = json.dumps(record, indent=2) + "\n"
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(text, encoding="utf-8")
    files += [folder / RESULTS, folder / RECORD]

    def placed(paths: Iterable[Path]) -> tuple[Path, ...]:
        return tuple(settings.out / item.relative_to(folder) for item in paths)

    return placed(files), placed(pictures)


def _check_disk(run: Run, duration_s: float, out: Path) -> None:
    """Refuse to start what would fill the disk."""
    plan = run.model.experiment.simulation
    columns = sum(1 + len(item.columns) for item in plan.outputs) if plan else 0
    text = columns * duration_s / run.simulator.dt_s * BYTES_PER_NUMBER
    lacking = disk_shortage(out / RESULTS, run.simulator.bytes_of(duration_s) + text)
    if lacking is not None:
        hint = "record fewer cells, or with a longer period (--every), or a shorter time"
        raise RunError(Diagnostic(f"what this run writes {lacking}", notes=(hint,)))


def _existing_folder(out: Path) -> Path:
    """Return the folder, or the nearest above it that exists, if it can be written."""
    anchor = next(item for item in (out, *out.absolute().parents) if item.exists())
    if not anchor.is_dir():
        raise InputError(f"'{anchor}' is a file, so '{out}' cannot be a folder")
    if not os.access(anchor, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to '{anchor}': Permission denied")
    return anchor


@contextmanager
def _staged(out: Path, anchor: Path) -> Iterator[Path]:
    """Give a folder whose files move to `out` when the block ends well: all of them, or none."""
    try:
        with tempfile.TemporaryDirectory(prefix=".izhi-", dir=anchor) as name:
            folder = Path(name).resolve()
            try:
                yield folder
            except InputError as error:
                raise InputError(*(_at(item, folder, out) for item in error.diagnostics)) from error
            for path in sorted(item for item in folder.rglob("*") if item.is_file()):
                place = out / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
    except OSError as error:
        raise InputError(f"cannot write to '{out}': {error.strerror or error}") from error


def _at(item: Diagnostic, folder: Path, out: Path) -> Diagnostic:
    return replace(item, message=item.message.replace(str(folder), str(out)))


def _origin(model: Model, settings: Settings) -> dict[str, Any]:
    return {
        "model": str(model.path),
        "command": list(settings.command),
        "set": model.settings,
        "versions": {
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            "python": platform.python_version(),
        },
        "sha256": {str(item.source.path): item.sha256 for item in model.declarations.documents},
    }


def _provenance(model: Model, run: Run, settings: Settings) -> dict[str, Any]:
    return {
        **_origin(model, settings),
        "seed": run.simulator.seed,
        "dt_s": run.simulator.dt_s,
        "record": _recorded(settings),
        "method": settings.method,
        "precision": settings.precision,
        "paradigm": settings.paradigm,
        "threads": settings.threads,
        "program": run.simulator.built.key if run.simulator.built else None,
        "cached": run.was_cached,
    }


def _recorded(settings: Settings) -> list[str]:
    """Return what was recorded besides, each with its period if it has one."""
    period = "" if settings.every is None else f"@{settings.every}"
    return [item if "@" in item else f"{item}{period}" for item in settings.record]


def _rounded(timings: dict[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 4) for stage, seconds in timings.items()}


def _draw(model: Model, plan: Simulation | None, results: Results, out: Path) -> tuple[Path, ...]:
    from izhi_models import plots

    displays: tuple[Display, ...] = ()
    if plan:
        displays = plan.displays
        if abs(results.duration_s - plan.length_s) > results.dt_s:
            displays = tuple(item.fitted(plan.length_s, results.duration_s) for item in displays)
    traces, raster = (out / name for name in PICTURES)
    written = list(plots.write_displays(displays, results, out))
    if results.traces and not displays:
        plots.save_figure(plots.draw_traces(results), traces)
        written.append(traces)
    # What a network does is seen in its spikes; cells by themselves in what the file draws.
    has_spikes = any(trains.count for trains in results.spikes.values())
    if has_spikes and (model.network.projections or not displays):
        plots.save_figure(plots.draw_raster(results, displays), raster)
        written.append(raster)
    return tuple(written)
