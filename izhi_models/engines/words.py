"""What each simulator is given: the model in its words, in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from izhi_models.engines.mechanisms import mend
from izhi_models.engines.neuron_folder import prepare_network
from izhi_models.engines.parts import parts_of
from izhi_models.engines.prepare import Prepared, prepare
from izhi_models.engines.programs import convert
from izhi_models.engines.thresholds import spike_threshold
from izhi_models.engines.translate import POPULATION
from izhi_models.exporters.request import Request

_CONVERSIONS = {"neuron": ("-neuron", "_nrn.py"), "netpyne": ("-netpyne", "_netpyne.py")}


# In NetPyNE's script, before it makes cells: it knows the thresholds of some types only.
_THRESHOLDS = """
from netpyne.cell import CompartCell

THRESHOLDS = {known}


def associate(cell, threshold=None):
    known = THRESHOLDS.get(cell.tags["pop"])
    for section in cell.secs.values() if known is not None else ():
        section["threshold"] = known
    associate_gid(cell, threshold)


associate_gid = CompartCell.associateGid
CompartCell.associateGid = associate
"""
_AFTER = "from neuron import h\n"


def write_for(request: Request, engine: str, folder: Path, limit_s: float) -> Prepared:
    """Write a model for a simulator.

    Parameters
    ----------
    request : Request
    engine : {'jneuroml', 'neuron', 'netpyne', 'eden'}
    folder : Path
    limit_s : float
        Seconds after which a converter is given up.

    Returns
    -------
    Prepared
        Its file is a script for NEURON and NetPyNE, and else the LEMS file.

    Raises
    ------
    BackendError
        If there is no Java.
    RunError
        If jNeuroML fails.
    UnsupportedError
        If the model cannot be said in the words of the simulator.
    """
    if engine == "neuron" and parts_of(request) is not None:
        return prepare_network(request, folder, limit_s)
    prepared = prepare(request, folder, as_declared=engine == "jneuroml")
    if engine not in _CONVERSIONS:
        return prepared
    option, ending = _CONVERSIONS[engine]
    script = prepared.main.with_name(f"{prepared.main.stem}{ending}")
    convert(prepared.main, option, script, limit_s=limit_s)
    if engine == "netpyne":
        _set_thresholds(request, script)
    for item in folder.glob("*.mod"):
        text = mend(item.read_text(encoding="utf-8"), request.dt_s)
        item.write_text(text, encoding="utf-8")
    return Prepared(script, prepared.quantities, prepared.cells)


def _set_thresholds(request: Request, script: Path) -> None:
    parts = parts_of(request)
    populations = {} if parts is None else parts.populations
    known = {
        f"{name}{POPULATION}": value * 1e3
        for name, item in populations.items()
        if (value := spike_threshold(item)) is not None
    }
    text = script.read_text(encoding="utf-8")
    added = _THRESHOLDS.replace("{known}", json.dumps(known))
    script.write_text(text.replace(_AFTER, _AFTER + added, 1), encoding="utf-8")
