"""Lower event connections to arrays.

Source: NeuroML 2, projection with connection and connectionWD; synapticConnection and
synapticConnectionWD.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, noted, raise_if_errors
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lists import Gathered, Rows, check_list, count
from izhi_models.lems.lower import lower_part
from izhi_models.lems.order import Places
from izhi_models.lems.tables import Numbers
from izhi_models.lems.targets import (
    End,
    Sites,
    attachment_of,
    check_gathered,
    check_site,
    find_cell,
    find_population,
    read_path,
    without_site,
)
from izhi_models.network import Block, Listed, Population, Projection

# Where a network keeps its event connections.
EVENT_PLACES = ("projections", "synapticConnections")


_ENDS = (
    End("preCellId", "preSegmentId", "preFractionAlong"),
    End("postCellId", "postSegmentId", "postFractionAlong"),
)
_SINGLE_ENDS = (
    End("from", "preSegmentId", "preFractionAlong"),
    End("to", "postSegmentId", "postFractionAlong"),
)


class _Group:
    """Connections of one kind between two populations.

    Parameters
    ----------
    first : Component
    pre, post : Sites
    """

    def __init__(self, first: Component, pre: Sites, post: Sites) -> None:
        self.first = first
        self.pre = pre
        self.post = post
        self.weights = Gathered(np.float64)
        self.delays = Gathered(np.float64)
        self.has_weights = False
        self._orders: list[int] = []
        self._counts: list[int] = []

    def come(self, connection: Component, order: int) -> None:
        """Note when a connection comes, with the rows that follow it."""
        self._orders.append(order)
        self._counts.append(count([connection]))

    def order(self) -> NDArray[np.int64]:
        """Return when each of the connections (n,) comes, or all of them (1,)."""
        found = np.array(self._orders)
        return found[:1] if (found == found[0]).all() else np.repeat(found, self._counts)


def lower_projections(
    model: Model, network: Component, populations: dict[str, Population]
) -> list[Projection]:
    """Lower the projections of a network, as far as they list their connections.

    Parameters
    ----------
    model : Model
    network : Component
    populations : dict of str to Population
        With the cells' own dynamics.

    Returns
    -------
    list of Projection
        One for each file element ``projection``.

    Raises
    ------
    InputError
        If a population, cell, port or synapse is not there, or a delay is negative.
    UnsupportedError
        If a connection ends on a segment of a cell that has none.
    """
    faults: list[Diagnostic] = []
    lowered: list[Projection] = []
    places = Places(network)
    for component in network.children.get("projections", ()):
        with noted(faults):
            lowered.extend(
                _lower_projection(model, component, populations, places.order(component))
            )
    raise_if_errors(faults)
    return lowered


def _lower_projection(
    model: Model, component: Component, populations: dict[str, Population], order: int
) -> Iterator[Projection]:
    ends = {
        name: find_population(component, name, populations).id
        for name in ("presynapticPopulation", "postsynapticPopulation")
    }
    synapse = model.reference(component, "synapse")
    groups: dict[tuple[str, str, str], _Group] = {}
    faults: list[Diagnostic] = []
    for _, connection in component.all_children():
        if "preCellId" not in connection.type.paths:
            continue  # a rule, which is no connection
        try:
            _add(groups, connection, _ENDS, populations, order)
        except InputError as error:
            faults.extend(error.diagnostics)
    raise_if_errors(faults)
    for (pre, post, _), group in groups.items():
        for found, name in ((pre, "presynapticPopulation"), (post, "postsynapticPopulation")):
            if found != ends[name]:
                raise InputError(
                    Diagnostic(
                        f"the connection is to '{found}', but the {name} is '{ends[name]}'",
                        group.first.span,
                        ("are pre and post swapped?",),
                    )
                )
        yield _projection(model, component.id, synapse, (pre, post), group, populations)


def lower_singles(
    model: Model, network: Component, populations: dict[str, Population]
) -> Iterator[Projection]:
    """Yield a projection for each group of equal ``synapticConnection`` of a network.

    For arguments and what is raised see `lower_projections`.
    """
    places = Places(network)
    kinds: dict[str, dict[tuple[str, str, str], _Group]] = {}
    faults: list[Diagnostic] = []
    for component in network.children.get("synapticConnections", ()):
        if "synapse" not in component.type.references:
            raise UnsupportedError(
                Diagnostic(
                    f"<{component.element.tag}> sends events to a cell without a synapse, "
                    "which cannot be run",
                    component.span,
                    ("write <synapticConnection from=... to=... synapse=...>",),
                )
            )
        groups = kinds.setdefault(component.texts.get("synapse", ""), {})
        try:
            _add(groups, component, _SINGLE_ENDS, populations, places.order(component))
        except InputError as error:
            faults.extend(error.diagnostics)
    raise_if_errors(faults)
    for groups in kinds.values():
        for (pre, post, _), group in groups.items():
            synapse = model.reference(group.first, "synapse")
            name = f"{pre} to {post} by {synapse.id}"
            yield _projection(model, name, synapse, (pre, post), group, populations)


def _add(
    groups: dict[tuple[str, str, str], _Group],
    connection: Component,
    ends: tuple[End, End],
    populations: dict[str, Population],
    order: int,
) -> None:
    found = [read_path(connection, end.cell, populations) for end in ends]
    (pre, pre_cell), (post, post_cell) = found

    def wrong(rows: Rows) -> NDArray[np.bool_]:
        outside = rows.outside({ends[0].cell: pre.size - 1, ends[1].cell: post.size - 1})
        outside = outside | _negative(rows.column("delay"))
        return outside | without_site(rows, pre, ends[0]) | without_site(rows, post, ends[1])

    check_list(connection, lambda item: _check(item, ends, populations), wrong)
    key = (pre.id, post.id, connection.texts.get("destination", ""))
    if key not in groups:
        groups[key] = _Group(connection, Sites(pre, ends[0]), Sites(post, ends[1]))
    group = groups[key]
    group.pre.add(connection, pre_cell)
    group.post.add(connection, post_cell)
    group.weights.add(connection, "weight", connection.values.get("weight", 1.0))
    group.has_weights |= "weight" in connection.type.parameters
    group.delays.add(connection, "delay", connection.values.get("delay", 0.0))
    group.come(connection, order)


def _check(
    connection: Component, ends: tuple[End, End], populations: dict[str, Population]
) -> None:
    found = [find_cell(connection, end.cell, populations)[0] for end in ends]
    if connection.values.get("delay", 0.0) < 0.0:
        raise InputError(
            Diagnostic("a delay cannot be negative", connection.element.attribute_span("delay"))
        )
    for population, end in zip(found, ends, strict=True):
        check_site(connection, population, end)


def _negative(delays: Numbers | None) -> NDArray[np.bool_]:
    return np.zeros(1, dtype=bool) if delays is None else delays < 0.0


def _projection(
    model: Model,
    name: str,
    synapse: Component,
    ends: tuple[str, str],
    group: _Group,
    populations: dict[str, Population],
) -> Projection:
    pre, post = populations[ends[0]], populations[ends[1]]
    if not _sends(pre):
        raise InputError(
            Diagnostic(
                f"'{pre.component}', a {pre.dynamics.name}, sends no events",
                group.first.span,
                ("its ComponentType has no EventOut",),
            )
        )
    attachment = attachment_of(group.first, post)
    check_gathered(group.first, synapse, post, attachment)
    lowered = lower_part(model, synapse)
    return Projection(
        id=name,
        pre=pre.id,
        post=post.id,
        synapse=synapse.id,
        attachment=attachment,
        dynamics=lowered.dynamics,
        values=dict(lowered.values),
        connections=Listed(
            Block(
                group.pre.array(),
                group.post.array(),
                group.weights.shortest(),
                group.delays.shortest(),
            )
        ),
        has_weights=group.has_weights,
        order=group.order(),
        span=group.first.span,
        post_segments=group.post.segments(),
    )


def _sends(population: Population) -> bool:
    dynamics = population.dynamics
    sent = {port for block in dynamics.conditions for port in block.events}
    sent |= {port for block in dynamics.on_events for port in block.events}
    return not sent.isdisjoint(dynamics.out_ports)
