"""Models out of networks of other simulators, with what they have learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from izhi_models.errors import InputError, raise_if_errors
from izhi_models.importers.annarchy import read_annarchy
from izhi_models.lems.components import bind_model
from izhi_models.lems.read import with_includes
from izhi_models.lems.simulation import lower_experiment
from izhi_models.lems.validate import find_faults
from izhi_models.pipeline import Model, timed


def from_annarchy(
    network: Any, *, duration: str | float = "1 s", core_types: bool = False
) -> Model:
    """Read a network of ANNarchy 5, as it is now, compiled or not.

    Equations become ComponentTypes of LEMS, with the numbers of ANNarchy and the dimensions that
    follow from them; weights, parameters and states are those of the moment, which becomes t = 0.
    ANNarchy does not tell which spikes are on their way, how much of a refractory period is left,
    and when an event-driven variable was last computed: none, none, and these start again.

    Parameters
    ----------
    network : ANNarchy.Network
        It is not changed.
    duration : str or float
        How long the model asks to simulate, ``"500 ms"``; a number is in seconds.
    core_types : bool
        True to take NeuroML's own IF_curr_exp, IF_curr_alpha, IF_cond_exp, IF_cond_alpha and
        SpikeSourcePoisson for ANNarchy's, where all cells of a population are alike, and what ends
        there are plain weights. Their equations are the same, but not the steps, so that spikes
        agree to the order of the step only; and they start as after a reset.

    Returns
    -------
    Model
        As `load` returns it, with the step of the network.

    Raises
    ------
    UnsupportedError
        If the network has what LEMS cannot say: which neuron, synapse or projection, and its text.
    InputError
        If it is no network, or the duration no time.
    """
    if not hasattr(network, "get_populations"):
        raise InputError(f"{type(network).__name__} is no ANNarchy.Network")
    length = duration if isinstance(duration, str) else f"{float(duration)!r} s"
    timings: dict[str, float] = {}
    path = Path("annarchy.xml")
    with timed(timings, "read"):
        document = read_annarchy(network, length, core_types=core_types)
        declarations = bind_model(path, with_includes(document, path))
        found = find_faults(declarations)
        raise_if_errors(found)
    with timed(timings, "resolve"):
        experiment = replace(lower_experiment(declarations), warnings=tuple(found))
    return Model(path, declarations, experiment, timings)
