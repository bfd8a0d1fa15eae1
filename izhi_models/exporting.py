"""Write a model for another tool: what is asked for is made a request to an exporter."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from izhi_models.annarchy.program import Precision
from izhi_models.exporters import TARGETS, Request
from izhi_models.ir.step import METHODS
from izhi_models.pipeline import PRECISIONS, Model, check_choice, listed, load


def export(
    model: Model | str | Path,
    to: str,
    path: str | Path | None = None,
    *,
    duration: str | float | None = None,
    dt: str | float | None = None,
    method: str = "auto",
    seed: int | None = None,
    precision: Precision = "double",
    record: str | Iterable[str] = (),
    keep_rules: bool = False,
) -> tuple[Path, ...]:
    """Write a model for another tool.

    Parameters
    ----------
    model : Model, str or Path
        A model, or what `load` takes.
    to : str
        One of `izhi_models.exporters.TARGETS`.
    path : str or Path, optional
        The main file; others may stand beside it. Named after the model if left out, and in the
        working folder.
    duration : str or float, optional
        Such as ``"500 ms"``; a number is in seconds. What the file asks for if left out.
    dt, method, seed, precision, record
        See `Model.compile`.
    keep_rules : bool
        Write rules that connect as such, and not what they make: NeuroML only.

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
    """
    check_choice("target", to, TARGETS)
    whole = model if isinstance(model, Model) else load(model)
    request = request_of(
        whole,
        duration=duration,
        dt=dt,
        method=method,
        seed=seed,
        precision=precision,
        record=record,
        keep_rules=keep_rules,
    )
    target = TARGETS[to]
    return target.write(request, Path(target.name_of(request.name) if path is None else path))


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

    For arguments and what is raised see `export`.
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
