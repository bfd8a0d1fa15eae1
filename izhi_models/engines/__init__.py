"""Other simulators: a model goes there in words that they understand, and results come back."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from izhi_models.engines.prepare import recordable, to_results
from izhi_models.engines.refuse import refuse_known
from izhi_models.engines.simulators import Run, in_eden, in_jneuroml, in_netpyne, in_neuron
from izhi_models.engines.words import write_for
from izhi_models.exporters.request import Request
from izhi_models.results import Results

ENGINES: Mapping[str, Run] = MappingProxyType(
    {"jneuroml": in_jneuroml, "neuron": in_neuron, "netpyne": in_netpyne, "eden": in_eden}
)


@dataclass(frozen=True)
class Found:
    """What another simulator gave.

    Parameters
    ----------
    results : Results
    lacking : tuple of str
        Paths of the file that it does not bring back: only jNeuroML looks inside synapses and
        inputs.
    """

    results: Results
    lacking: tuple[str, ...] = ()


def run_elsewhere(
    request: Request, engine: str, *, processes: int = 1, limit_s: float = 3600.0
) -> Found:
    """Run a model in another simulator, and return what it gave under the names of the model.

    Parameters
    ----------
    request : Request
    engine : str
        One of `ENGINES`.
    processes : int
        Among which the network is shared.
    limit_s : float
        Seconds after which a program is given up.

    Raises
    ------
    BackendError
        If the simulator is not installed.
    RunError
        If it fails.
    UnsupportedError
        If it cannot run the model, or is known to run it wrong.
    """
    refuse_known(request, engine)
    kept = request.recordings
    if engine != "jneuroml":
        kept = tuple(item for item in kept if recordable(request, item, engine))
    known = {(item.population, item.name) for item in kept}
    lacking = tuple(
        path
        for path, item in request.experiment.quantities.items()
        if (item.population, item.name) not in known
    )
    request = replace(request, recordings=kept)
    with tempfile.TemporaryDirectory(prefix="izhi-") as folder:
        prepared = write_for(request, engine, Path(folder), limit_s)
        found = ENGINES[engine](prepared, processes, limit_s)
        return Found(to_results(request, prepared, found), lacking)


__all__ = ["ENGINES", "Found", "run_elsewhere"]
