"""What simulators, or the converters to them, are known to get wrong without a word."""

from __future__ import annotations

from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.request import Request
from izhi_models.exporters.used import used_components
from izhi_models.expr import is_random
from izhi_models.lems.components import Component
from izhi_models.lems.rules import find_rules

# Types that are lost or wrong, and what happens, by engine. Each was tried out.
_WRONG: dict[str, dict[str, str]] = {
    "neuron": {
        "doubleSynapse": "the second of its synapses is lost where there are delays",
        "ionChannelKS": "its states are not those of the equations",
        "hindmarshRose1984Cell": "its states grow without bounds",
        "adExIaFCell": "its spikes are not seen",
    },
    "netpyne": {
        "doubleSynapse": "the second of its synapses is lost where there are delays",
        "ionChannelKS": "its states are not those of the equations",
        "hindmarshRose1984Cell": "its states grow without bounds",
        "adExIaFCell": "its spikes are not seen",
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
        "IF_cond_exp",
        "alphaSynapse",
        "cell",
        "expTwoSynapse",
        "fitzHughNagumo1969Cell",
        "fitzHughNagumoCell",
        "ionChannelHH",
        "pointCellCondBased",
        "rampGeneratorDL",
        "spikeGenerator",
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
    return sorted(used - _TRIED[engine])


def refuse_known(request: Request, engine: str) -> None:
    """Raise `UnsupportedError` if an engine would run something else than the model.

    Parameters
    ----------
    request : Request
    engine : str
    """
    if engine == "jneuroml":
        return
    network = request.experiment.network
    for population in network.populations.values():
        if any(is_random(item) for item in population.dynamics.expressions()):
            message = (
                f"'{population.id}' draws random numbers, which {engine} does not run, or "
                "with other numbers"
            )
            raise UnsupportedError(Diagnostic(message, notes=("take --engine jneuroml",)))
    for component in _used(request):
        for kind, why in _WRONG[engine].items():
            if component.type.is_a(kind):
                message = f"{engine} cannot run '{component.id}', a {component.type.name}: {why}"
                raise UnsupportedError(Diagnostic(message, component.span))


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
