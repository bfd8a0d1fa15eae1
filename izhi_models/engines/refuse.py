"""What simulators, or the converters to them, are known to get wrong without a word."""

from __future__ import annotations

from izhi_models.engines.chance import refuse_chance
from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.request import Request
from izhi_models.exporters.used import used_components
from izhi_models.lems.components import Component
from izhi_models.lems.rules import find_rules

# Types that are lost or wrong, and what happens, by engine. Each was tried out.
_WRONG: dict[str, dict[str, str]] = {
    "neuron": {"pinskyRinzelCA3Cell": "its currents come in other units than its voltages"},
    "netpyne": {
        "doubleSynapse": "the second of its synapses is lost where there are delays",
        "adExIaFCell": "its spikes are not seen",
        "pinskyRinzelCA3Cell": "its currents come in other units than its voltages",
        "baseGradedSynapse": "connections that are not events are lost",
        "cell": "its conductances come a million times too small",
    },
    "eden": {"doubleSynapse": "it is left out"},
}


# Types with which an engine was tried, and gave the spikes that the equations give.
_SHARED = {
    "network",
    "iafCell",
    "iafRefCell",
    "iafTauCell",
    "iafTauRefCell",
    "izhikevichCell",
    "izhikevich2007Cell",
    "expOneSynapse",
    "gapJunction",
    "pulseGenerator",
    "pulseGeneratorDL",
}
_TRIED: dict[str, set[str]] = {
    "neuron": _SHARED
    | {
        "EIF_cond_alpha_isfa_ista",
        "EIF_cond_exp_isfa_ista",
        "HH_cond_exp",
        "IF_cond_alpha",
        "IF_cond_exp",
        "IF_curr_alpha",
        "IF_curr_exp",
        "SpikeSourcePoisson",
        "adExIaFCell",
        "alphaCondSynapse",
        "alphaCurrSynapse",
        "alphaCurrentSynapse",
        "alphaSynapse",
        "blockingPlasticSynapse",
        "cell",
        "compoundInput",
        "decayingPoolConcentrationModel",
        "doubleSynapse",
        "expCondSynapse",
        "expCurrSynapse",
        "expThreeSynapse",
        "expTwoSynapse",
        "fitzHughNagumo1969Cell",
        "fitzHughNagumoCell",
        "fixedFactorConcentrationModel",
        "gradedSynapse",
        "hindmarshRose1984Cell",
        "ionChannelHH",
        "ionChannelKS",
        "ionChannelPassive",
        "linearGradedSynapse",
        "networkWithTemperature",
        "pointCellCondBased",
        "poissonFiringSynapse",
        "rampGenerator",
        "rampGeneratorDL",
        "silentSynapse",
        "sineGenerator",
        "spikeArray",
        "spikeGenerator",
        "spikeGeneratorPoisson",
        "spikeGeneratorRandom",
        "spikeGeneratorRefPoisson",
        "stdpSynapse",
        "timedSynapticInput",
        "transientPoissonFiringSynapse",
        "voltageClampTriple",
    },
    "netpyne": {
        "network",
        "iafCell",
        "izhikevichCell",
        "izhikevich2007Cell",
        "expOneSynapse",
        "pulseGenerator",
        "pulseGeneratorDL",
    },
    "eden": _SHARED | {"fitzHughNagumo1969Cell", "fitzHughNagumoCell"},
}


def untried(request: Request, engine: str) -> list[str]:
    """Return the types of a model with which an engine has not been tried.

    Parameters
    ----------
    request : Request
    engine : str
    """
    used = {item.type.name for item in _used(request)}
    return sorted(used - _TRIED.get(engine, used))


def refuse_known(request: Request, engine: str) -> None:
    """Raise `UnsupportedError` if an engine would run something else than the model.

    Parameters
    ----------
    request : Request
    engine : str
    """
    if engine == "jneuroml":
        return
    refuse_chance(request, engine)
    for component in _used(request):
        for kind, why in _WRONG[engine].items():
            if component.type.is_a(kind):
                message = f"{engine} cannot run '{component.id}', a {component.type.name}: {why}"
                raise UnsupportedError(Diagnostic(message, component.span))
        if engine != "eden" and component.type.is_a("pointCellCondBased"):
            _refuse_kinetics(request, component, engine)


def _refuse_kinetics(request: Request, cell: Component, engine: str) -> None:
    model = request.experiment.model
    for channel in used_components(model, [cell.id]):
        if channel.type.is_a("ionChannelKS"):
            message = f"{engine} cannot run '{channel.id}' in the {cell.type.name} '{cell.id}'"
            hint = "jNeuroML leaves its kinetic scheme out; in a <cell> it does not"
            raise UnsupportedError(Diagnostic(message, channel.span, (hint,)))


def _used(request: Request) -> list[Component]:
    """Return the components that a network needs, once its rules are connections."""
    experiment = request.experiment
    network = experiment.network
    names = {experiment.target.component.id, *(item.synapse for item in network.projections)}
    for population in network.populations.values():
        names |= {population.component, *(item.id for item in population.attached)}
    target = experiment.target.network
    rules = [] if target is None else find_rules(target)
    dropped = {id(item.element) for item in rules}
    return used_components(experiment.model, names, dropped)
