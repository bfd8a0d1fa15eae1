"""A small model with one of each kind of a network's parts, for a converter to translate.

jNeuroML writes some lines of a script for each connection, and as many are lost on the way as it
takes memory for: a converter that sees one cell of a population, and one connection through a
synapse, says all there is to know of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from izhi_models.engines.chance import random_inputs, random_sources
from izhi_models.engines.prepare import renamed
from izhi_models.engines.translate import Translation
from izhi_models.exporters.markup import Markup
from izhi_models.exporters.neuroml import Collected
from izhi_models.exporters.request import Request
from izhi_models.network import Parts

_CLOCK, _SILENT = "clock_izhi", "silent_izhi"


@dataclass(frozen=True)
class Prototype:
    """What stands for what.

    Parameters
    ----------
    populations : tuple of str
        Names of the populations of the model that are simulated.
    quantities : tuple of str
        Paths that are recorded in the small model, one for each recording of the request.
    """

    populations: tuple[str, ...]
    quantities: tuple[str, ...]


def reduce(request: Request, parts: Collected, found: Translation, lowered: Parts) -> Prototype:
    """Leave one of each kind of a model's parts.

    Parameters
    ----------
    request : Request
    parts : Collected
        Of the translated model; changed.
    found : Translation
    lowered : Parts
        The network.
    """
    every = [*parts.document, *parts.rest]
    name = request.experiment.target.component.id
    network = next(item for item in every if item.attributes["id"] == found.component(name))
    _drop_replayed(request, parts, found)
    simulated = [item for item in lowered.populations if item not in request.replayed]
    kept = {found.names.populations[item] for item in simulated}
    populations = [
        Markup(item.tag, {**item.attributes, "size": "1"})
        for item in network.children
        if isinstance(item, Markup) and item.tag == "population" and item.attributes["id"] in kept
    ]
    for item in populations:
        item.attributes.pop("type", None)
    parts.document.append(Markup("spikeGenerator", {"id": _CLOCK, "period": "1s"}))
    parts.document.append(Markup("silentSynapse", {"id": _SILENT}))
    clock = {"id": f"{_CLOCK}_pop", "component": _CLOCK, "size": "1"}
    network.children = [
        *populations,
        Markup("population", clock),
        *_connections(request, lowered, found),
        *_inputs(lowered, found),
    ]
    quantities = tuple(
        f"{found.names.populations[item.population]}[0]/{renamed(item, found)}"
        for item in request.recordings
    )
    return Prototype(tuple(simulated), quantities)


def _drop_replayed(request: Request, parts: Collected, found: Translation) -> None:
    """Drop components that are replayed: NEURON's compiler refuses what draws random numbers."""
    network = request.experiment.network
    sources = {network.populations[name].component for name in random_sources(request)}
    inputs = {item.id for item in random_inputs(request)}
    dropped = {found.component(name) for name in sources | inputs}
    for components in (parts.document, parts.rest):
        components[:] = [item for item in components if item.attributes["id"] not in dropped]


def _connections(request: Request, lowered: Parts, found: Translation) -> Iterator[Markup]:
    """Yield a projection for each synapse; events come from a clock."""
    seen = set()
    for item in lowered.projections:
        synapse = found.component(item.synapse)
        if synapse in seen:
            continue
        seen.add(synapse)
        post = found.names.populations[item.post]
        name = f"kind{len(seen)}"
        if not item.is_continuous:
            yield _events(name, post, synapse)
        elif request.experiment.model.components[item.synapse].type.is_a("gapJunction"):
            yield _continuous(name, "electrical", post, {"synapse": synapse})
        else:
            ends = {"preComponent": _SILENT, "postComponent": synapse}
            yield _continuous(name, "continuous", post, ends)


def _events(name: str, post: str, synapse: str) -> Markup:
    ends = {"preCellId": f"../{_CLOCK}_pop[0]", "postCellId": f"../{post}[0]"}
    connection = Markup("connectionWD", {"id": "0", **ends, "weight": "1", "delay": "1ms"})
    attributes = {"presynapticPopulation": f"{_CLOCK}_pop", "postsynapticPopulation": post}
    return Markup("projection", {"id": name, **attributes, "synapse": synapse}, [connection])


def _continuous(name: str, kind: str, cells: str, synapses: dict[str, str]) -> Markup:
    ends = {"preCell": "0", "postCell": "0"}
    connection = Markup(f"{kind}Connection", {"id": "0", **ends, **synapses})
    attributes = {"presynapticPopulation": cells, "postsynapticPopulation": cells}
    return Markup(f"{kind}Projection", {"id": name, **attributes}, [connection])


def _inputs(lowered: Parts, found: Translation) -> Iterator[Markup]:
    """Yield a list for each input."""
    pairs = [(item.id, item.population) for item in lowered.inputs]
    pairs += [(component, population) for population, component in found.constants.items()]
    seen = set()
    for component, population in pairs:
        mechanism = found.component(component)
        if mechanism in seen:
            continue
        seen.add(mechanism)
        name = found.names.populations[population]
        target = Markup("input", {"id": "0", "target": f"../{name}[0]", "destination": "synapses"})
        attributes = {"id": f"list{len(seen)}", "component": mechanism, "population": name}
        yield Markup("inputList", attributes, [target])
