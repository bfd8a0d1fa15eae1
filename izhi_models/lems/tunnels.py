"""Lower gap junctions and analogue synapses: connections that read the cell at the other end.

Source: NeuroML 2, electricalProjection and continuousProjection with their connections; LEMS,
Tunnel: each end gets a component, which reads its peer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, raise_if_errors
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lists import Gathered, Rows, check_list, count
from izhi_models.lems.lower import lower_part
from izhi_models.lems.order import Places
from izhi_models.lems.targets import (
    End,
    Sites,
    attachment_of,
    check_gathered,
    check_index,
    check_site,
    find_population,
    read_path,
    without_site,
)
from izhi_models.network import PEER, Block, Listed, Population, Projection

CONTINUOUS_PLACES = ("electricalProjection", "continuousProjection")

_ENDS = (
    End("preCell", "preSegment", "preFractionAlong"),
    End("postCell", "postSegment", "postFractionAlong"),
)
_POPULATIONS = ("presynapticPopulation", "postsynapticPopulation")


class _Group:
    """The cells that one component is attached to, and those that it reads.

    Parameters
    ----------
    first : Component
    read, cells : Sites
    """

    def __init__(self, first: Component, read: Sites, cells: Sites) -> None:
        self.first = first
        self.read = read
        self.cells = cells
        self.weights = Gathered(np.float64)
        self.has_weights = False
        self.numbers: list[NDArray[np.int64]] = []


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
    places = Places(network)
    for place in CONTINUOUS_PLACES:
        for component in network.children.get(place, ()):
            yield from _lower_projection(model, component, populations, places.order(component))


def _lower_projection(
    model: Model, component: Component, populations: dict[str, Population], order: int
) -> Iterator[Projection]:
    ends = [find_population(component, name, populations) for name in _POPULATIONS]
    groups: dict[tuple[int, str], _Group] = {}
    faults: list[Diagnostic] = []
    number = 0
    for _, connection in component.all_children():
        following = number + count([connection])
        try:
            cells = _cells(connection, ends, populations)
        except InputError as error:
            faults.extend(error.diagnostics)
            continue
        for end, name in enumerate(_components(connection)):
            key = (end, connection.texts.get(name, ""))
            if key not in groups:
                own, other = (Sites(ends[item], _ENDS[item]) for item in (end, 1 - end))
                groups[key] = _Group(connection, other, own)
            group = groups[key]
            group.cells.add(connection, cells[end])
            group.read.add(connection, cells[1 - end])
            group.weights.add(connection, "weight", connection.values.get("weight", 1.0))
            group.has_weights |= "weight" in connection.type.parameters
            group.numbers.append(np.arange(number, following))
        number = following
    raise_if_errors(faults)
    for (end, _), group in groups.items():
        yield replace(
            _projection(model, component, group, end, ends), order=_order(group, order, end, ends)
        )


def _order(group: _Group, first: int, end: int, ends: list[Population]) -> NDArray[np.int64]:
    """Return when each was made: connection by connection, the first end before the second."""
    if ends[0].id != ends[1].id:
        return np.array([first])  # so no cell has both
    found: NDArray[np.int64] = first + 2 * np.concatenate(group.numbers) + end
    return found


def _cells(
    connection: Component, ends: list[Population], populations: dict[str, Population]
) -> list[int]:
    """Return the numbers of the two cells; those of the rows that follow are right as well."""
    pairs = tuple(zip(_ENDS, ends, strict=True))
    cells = [_cell(connection, end.cell, population, populations) for end, population in pairs]

    def check(item: Component) -> None:
        for end, population in pairs:
            cell = _cell(item, end.cell, population, populations)
            check_index(item, end.cell, population, cell)
        for end, population in pairs:
            check_site(item, population, end)

    def wrong(rows: Rows) -> NDArray[np.bool_]:
        outside = rows.outside({end.cell: population.size - 1 for end, population in pairs})
        for end, population in pairs:
            outside = outside | without_site(rows, population, end)
        return outside

    check_list(connection, check, wrong)
    return cells


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
    """Return the number of a cell: an index, or a path in connections between instances.

    Whether the population is so large is left open.
    """
    if name in connection.values or re.fullmatch(r"\d+", connection.texts.get(name, "")):
        return int(connection.values.get(name, connection.texts.get(name, 0)))
    found, index = read_path(connection, name, populations)
    if found.id != population.id:
        raise InputError(
            Diagnostic(
                f"the cell is in '{found.id}', but the projection is with '{population.id}'",
                connection.element.attribute_span(name),
            )
        )
    return index


def _projection(
    model: Model, component: Component, group: _Group, end: int, ends: list[Population]
) -> Projection:
    attribute = _components(group.first)[end]
    synapse = model.reference(group.first, attribute)
    cell = ends[end]
    attachment = attachment_of(group.first, cell)
    check_gathered(group.first, synapse, cell, attachment)
    lowered = lower_part(model, synapse)
    reads = any(item.name.startswith(PEER) for item in lowered.dynamics.requirements)
    if lowered.dynamics.on_events and not reads:
        raise InputError(
            Diagnostic(
                f"'{synapse.id}', a {synapse.type.name}, waits for events, and "
                f"<{group.first.element.tag}> sends none",
                group.first.element.attribute_span(attribute),
                ("write a <projection>",),
            )
        )
    return Projection(
        id=component.id,
        pre=ends[1 - end].id,
        post=cell.id,
        synapse=synapse.id,
        attachment=attachment,
        dynamics=lowered.dynamics,
        values=dict(lowered.values),
        connections=Listed(
            Block(group.read.array(), group.cells.array(), group.weights.shortest(), np.zeros(1))
        ),
        has_weights=group.has_weights,
        is_continuous=True,
        span=group.first.span,
    )
