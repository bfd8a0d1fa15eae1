"""What draws random numbers, for a simulator that would draw others: the events that it sent here.

A source of events that nothing acts on, and an input that sends random events to a synapse of its
own, are the same wherever they are drawn. They are drawn once, by the compiled code, and replayed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from izhi_models.engines.parts import parts_of
from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.request import Request
from izhi_models.expr import is_random
from izhi_models.ir.dynamics import Dynamics
from izhi_models.lems.targets import sent_ports
from izhi_models.network import (
    WEIGHT,
    Block,
    Input,
    Listed,
    Parts,
    Population,
    Projection,
    spread,
)

_DRIVEN = ("poissonFiringSynapse", "transientPoissonFiringSynapse", "timedSynapticInput")


def random_sources(request: Request) -> list[str]:
    """Return the populations that send events by chance, whatever happens to them.

    Parameters
    ----------
    request : Request
    """
    parts = parts_of(request)
    if parts is None:
        return []
    reached = {item.post for item in parts.projections} | {item.population for item in parts.inputs}
    return [
        name
        for name, item in parts.populations.items()
        if _is_random(item.dynamics) and sent_ports(item.dynamics) and name not in reached
    ]


def random_inputs(request: Request) -> list[Input]:
    """Return the inputs that send events to a synapse of their own, those of a kind as one.

    Parameters
    ----------
    request : Request
    """
    parts = parts_of(request)
    components = request.experiment.model.components
    groups: dict[tuple[str, str, str], list[Input]] = {}
    for item in () if parts is None else parts.inputs:
        if components[item.id].type.name in _DRIVEN:
            groups.setdefault((item.id, item.population, item.attachment), []).append(item)
    return [_joined(items) for items in groups.values()]


def _joined(items: list[Input]) -> Input:
    weights = spread(
        [np.asarray(item.values.get(WEIGHT, 1.0), dtype=float).reshape(-1) for item in items],
        [item.cells.size for item in items],
    )
    cells = np.concatenate([item.cells for item in items])
    return replace(items[0], cells=cells, values={WEIGHT: weights})


def name_of(source: Input) -> str:
    """Return a name for what an input sends, by which it is replayed.

    Parameters
    ----------
    source : Input
    """
    return f"{source.id} of {source.population}"


def refuse_chance(request: Request, engine: str) -> None:
    """Raise `UnsupportedError` if a model draws what cannot be replayed.

    Parameters
    ----------
    request : Request
    engine : str
    """
    for name, dynamics in _drawing(request, engine):
        if _is_random(dynamics):
            message = f"'{name}' draws random numbers, and {engine} would draw others"
            hint = "take --engine jneuroml, whose statistics are the same"
            raise UnsupportedError(Diagnostic(message, notes=(hint,)))


def _drawing(request: Request, engine: str) -> Iterator[tuple[str, Dynamics]]:
    """Yield what the simulator would run itself."""
    network = request.experiment.network
    parts = parts_of(request)
    if parts is None or engine != "neuron":
        yield from ((item.id, item.dynamics) for item in network.populations.values())
        return
    replayed = random_sources(request)
    inputs = {item.id for item in random_inputs(request)}
    for population in parts.populations.values():
        if population.id not in replayed:
            yield population.id, population.dynamics
    yield from ((item.id, item.dynamics) for item in parts.inputs if item.id not in inputs)
    yield from ((item.synapse, item.dynamics) for item in parts.projections)


def _is_random(dynamics: Dynamics) -> bool:
    return any(is_random(item) for item in dynamics.expressions())


def as_projections(request: Request, parts: Parts) -> Parts:
    """Make of random inputs connections from cells that are replayed.

    Parameters
    ----------
    request : Request
    parts : Parts
    """
    random = [item for item in random_inputs(request) if name_of(item) in request.replayed]
    populations, projections = dict(parts.populations), list(parts.projections)
    for item in random:
        name, size = name_of(item), item.cells.size
        populations[name] = Population(name, "", Dynamics(""), {}, size)
        component = request.experiment.model.components[item.id]
        synapse = request.experiment.model.reference(component, "synapse")
        weights = np.asarray(item.values[WEIGHT])
        cells = np.arange(size, dtype=np.int32), item.cells.astype(np.int32)
        block = Block(*cells, weights, np.zeros(1))
        made = Projection(
            name, name, item.population, synapse.id, "", Dynamics(""), {}, Listed(block)
        )
        projections.append(made)
    names = {item.id for item in random}
    inputs = tuple(item for item in parts.inputs if item.id not in names)
    return replace(parts, populations=populations, inputs=inputs, projections=tuple(projections))
