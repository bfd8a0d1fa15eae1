"""What simulators, or the converters to them, are known to get wrong without a word."""

from __future__ import annotations

from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.request import Request
from izhi_models.expr import is_random
from izhi_models.lems.components import Component

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
    from izhi_models.exporters.used import used_components

    target = request.experiment.target.component
    return used_components(request.experiment.model, [target.id])
