"""Lower gap junctions and analogue synapses: connections that read the cell at the other end.

Source: NeuroML 2, electricalProjection and continuousProjection with their connections; LEMS,
Tunnel: each end gets a component, which reads its peer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from izhi_models.errors import Diagnostic, InputError, raise_if_errors
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lower import lower_part
from izhi_models.lems.targets import (
    attachment_of,
    check_gathered,
    find_cell,
    find_population,
)
from izhi_models.network import Population, Projection

CONTINUOUS_PLACES = ("electricalProjection", "continuousProjection")

_ENDS = ("preCell", "postCell")
_POPULATIONS = ("presynapticPopulation", "postsynapticPopulation")


@dataclass
class _Rows:
    """The cells that one component is attached to, and those that it reads."""

    first: Component
    read: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


def lower_tunnels(
    model: Model, network: Component, populations: dict[str, Population]
) -> Iterator[Projection]:
    """Yield, for each projection of a network and each of its ends, what is attached there.

    Parameters
    ----------
    model : Model
    network : Component
    populations : dict of str to Population

    Raises
    ------
    InputError
        If a population, cell or component is not there.
    """
    for place in CONTINUOUS_PLACES:
        for component in network.children.get(place, ()):
            yield from _lower_projection(model, component, populations)


def _lower_projection(
    model: Model, component: Component, populations: dict[str, Population]
) -> Iterator[Projection]:
    ends = [find_population(component, name, populations) for name in _POPULATIONS]
    groups: dict[tuple[int, str], _Rows] = {}
    faults: list[Diagnostic] = []
    for _, connection in component.all_children():
        try:
            cells = [
                _cell(connection, name, population, populations)
                for name, population in zip(_ENDS, ends, strict=True)
            ]
        except InputError as error:
            faults.extend(error.diagnostics)
            continue
        for end, name in enumerate(_components(connection)):
            key = (end, connection.texts.get(name, ""))
            rows = groups.setdefault(key, _Rows(connection))
            rows.cells.append(cells[end])
            rows.read.append(cells[1 - end])
            rows.weights.append(connection.values.get("weight", 1.0))
    raise_if_errors(faults)
    for (end, _), rows in groups.items():
        yield _projection(model, component, rows, end, ends)


def _components(connection: Component) -> tuple[str, str]:
    """Return the attributes that name what is attached to the first and the second cell."""
    if "synapse" in connection.type.references:
        return "synapse", "synapse"
    return "preComponent", "postComponent"


def _cell(
    connection: Component,
    name: str,
    population: Population,
    populations: dict[str, Population],
) -> int:
    """Return the number of a cell: an index, or a path in connections between instances."""
    if name in connection.values or re.fullmatch(r"\d+", connection.texts.get(name, "")):
        index = int(connection.values.get(name, connection.texts.get(name, 0)))
        if index < population.size:
            return index
        raise InputError(
            Diagnostic(
                f"'{population.id}' has {population.size} cells, numbered from 0: "
                f"there is no cell {index}",
                connection.element.attribute_span(name),
            )
        )
    found, index = find_cell(connection, name, populations)
    if found.id != population.id:
        raise InputError(
            Diagnostic(
                f"the cell is in '{found.id}', but the projection is with '{population.id}'",
                connection.element.attribute_span(name),
            )
        )
    return index


def _projection(
    model: Model, component: Component, rows: _Rows, end: int, ends: list[Population]
) -> Projection:
    synapse = model.reference(rows.first, _components(rows.first)[end])
    cell = ends[end]
    attachment = attachment_of(rows.first, cell)
    check_gathered(rows.first, synapse, cell, attachment)
    lowered = lower_part(model, synapse)
    return Projection(
        id=component.id,
        pre=ends[1 - end].id,
        post=cell.id,
        synapse=synapse.id,
        attachment=attachment,
        dynamics=lowered.dynamics,
        values=dict(lowered.values),
        pre_cells=np.array(rows.read, dtype=np.int32),
        post_cells=np.array(rows.cells, dtype=np.int32),
        weights=np.array(rows.weights),
        delays=np.zeros(len(rows.cells)),
        has_weights="weight" in rows.first.type.parameters,
        is_continuous=True,
        span=rows.first.span,
    )
