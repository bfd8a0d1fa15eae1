"""What each simulator is given: the model in its words, in a folder."""

from __future__ import annotations

from pathlib import Path

from izhi_models.engines.mechanisms import mend
from izhi_models.engines.neuron_folder import prepare_network
from izhi_models.engines.prepare import Prepared, prepare
from izhi_models.engines.programs import convert
from izhi_models.exporters.request import Request

_CONVERSIONS = {"neuron": ("-neuron", "_nrn.py"), "netpyne": ("-netpyne", "_netpyne.py")}


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
    if engine == "neuron" and request.experiment.network.parts is not None:
        return prepare_network(request, folder, limit_s)
    prepared = prepare(request, folder, as_declared=engine == "jneuroml")
    if engine not in _CONVERSIONS:
        return prepared
    option, ending = _CONVERSIONS[engine]
    script = prepared.main.with_name(f"{prepared.main.stem}{ending}")
    convert(prepared.main, option, script, limit_s=limit_s)
    for item in folder.glob("*.mod"):
        text = mend(item.read_text(encoding="utf-8"), request.dt_s)
        item.write_text(text, encoding="utf-8")
    return Prepared(script, prepared.quantities, prepared.cells)
