"""Folders for other simulators: the model in their words, and what jNeuroML's converters make."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from izhi_models.engines.prepare import recordable
from izhi_models.engines.refuse import refuse_known, untried
from izhi_models.engines.words import write_for
from izhi_models.errors import Diagnostic, InputError, UnsupportedError
from izhi_models.exporters import Exporter, Request, Target

_LIMIT_S = 3600.0


def write_folder(request: Request, path: Path, engine: str) -> tuple[Path, ...]:
    """Write a model for a simulator.

    Parameters
    ----------
    request : Request
    path : Path
        A folder, which must not exist.
    engine : {'neuron', 'netpyne', 'eden'}

    Returns
    -------
    tuple of Path
        The files written: the script that runs it comes first, or the LEMS file for EDEN.

    Raises
    ------
    InputError
        If the folder exists already, or cannot be written.
    UnsupportedError
        If the simulator is known to run the model wrong, or has not been tried with a part of it
        and `Request.is_checked` does not say that it was.
    """
    if path.exists():
        raise InputError(Diagnostic(f"'{path}' exists", notes=("name another folder: --out PATH",)))
    refuse_known(request, engine)
    unknown = untried(request, engine)
    if unknown and not request.is_checked:
        listed = ", ".join(unknown)
        hint = "--run runs it there, and writes it if the spikes are the same"
        raise UnsupportedError(
            Diagnostic(f"{engine} has not been tried with {listed}", notes=(hint,))
        )
    kept = tuple(item for item in request.recordings if recordable(request, item, engine))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".izhi-", dir=path.parent) as name:
            folder = Path(name) / path.name
            first = write_for(replace(request, recordings=kept), engine, folder, _LIMIT_S).main
            rest = sorted(item for item in folder.iterdir() if item != first)
            folder.rename(path)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror or error}") from error
    return tuple(path / item.name for item in (first, *rest))


def _for(engine: str) -> Exporter:
    def write(request: Request, path: Path) -> tuple[Path, ...]:
        return write_folder(request, path, engine)

    return write


ENGINE_TARGETS: Mapping[str, Target] = MappingProxyType(
    {name: Target(_for(name), f"{{}}_{name}") for name in ("neuron", "netpyne", "eden")}
)
