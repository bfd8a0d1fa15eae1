"""Lower event connections to arrays.

Source: NeuroML 2, projection with connection and connectionWD; synapticConnection and
synapticConnectionWD.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, raise_if_errors
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lower import lower_part
from izhi_models.lems.targets import (
    attachment_of,
    check_gathered,
    find_cell,
    find_population,
)
from izhi_models.network import Population, Projection

# Where a network keeps its event connections.
EVENT_PLACES = ("projections", "synapticConnections")


@dataclass
class _Rows:
    """Connections of one kind between two populations."""

    first: Component
    pre: list[int] = field(default_factory=list)
    post: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


def lower_projections(
    model: Model, network: Component, populations: dict[str, Population]
) -> list[Projection]:
    """Lower all event connections of a network.

    Parameters
    ----------
    model : Model
    network : Component
    populations : dict of str to Population
        With the cells' own dynamics.

    Returns
    -------
    list of Projection
        One for each file element ``projection``, or group of equal ``synapticConnection``.

    Raises
    ------
    InputError
        If a population, cell, port or synapse is not there, or a delay is negative.
    UnsupportedError
        If a connection ends on a segment of a cell that has several.
    """
    faults: list[Diagnostic] = []
    lowered: list[Projection] = []
    for component in network.children.get("projections", ()):
        try:
            lowered.extend(_lower_projection(model, component, populations))
        except InputError as error:
            faults.extend(error.diagnostics)
    try:
        singles = network.children.get("synapticConnections", [])
        lowered.extend(_lower_singles(model, singles, populations))
    except InputError as error:
        faults.extend(error.diagnostics)
    raise_if_errors(faults)
    return lowered


def _lower_projection(
    model: Model, component: Component, populations: dict[str, Population]
) -> Iterator[Projection]:
    ends = {
        name: find_population(component, name, populations).id
        for name in ("presynapticPopulation", "postsynapticPopulation")
    }
    synapse = model.reference(component, "synapse")
    groups: dict[tuple[str, str, str], _Rows] = {}
    faults: list[Diagnostic] = []
    for _, connection in component.all_children():
        if "preCellId" not in connection.type.paths:
            continue  # a rule, which is no connection
        try:
            _add(groups, connection, ("preCellId", "postCellId"), populations)
        except InputError as error:
            faults.extend(error.diagnostics)
    raise_if_errors(faults)
    for (pre, post, _), rows in groups.items():
        for found, name in ((pre, "presynapticPopulation"), (post, "postsynapticPopulation")):
            if found != ends[name]:
                raise InputError(
                    Diagnostic(
                        f"the connection is to '{found}', but the {name} is '{ends[name]}'",
                        rows.first.span,
                        ("are pre and post swapped?",),
                    )
                )
        yield _projection(model, component.id, synapse, (pre, post), rows, populations)


def _lower_singles(
    model: Model, components: list[Component], populations: dict[str, Population]
) -> Iterator[Projection]:
    kinds: dict[str, dict[tuple[str, str, str], _Rows]] = {}
    for component in components:
        if "synapse" not in component.type.references:
            raise UnsupportedError(
                Diagnostic(
                    f"<{component.element.tag}> sends events to a cell without a synapse, "
                    "which cannot be run",
                    component.span,
                )
            )
        groups = kinds.setdefault(component.texts.get("synapse", ""), {})
        _add(groups, component, ("from", "to"), populations)
    for groups in kinds.values():
        for (pre, post, _), rows in groups.items():
            synapse = model.reference(rows.first, "synapse")
            name = f"{pre} to {post} by {synapse.id}"
            yield _projection(model, name, synapse, (pre, post), rows, populations)


def _add(
    groups: dict[tuple[str, str, str], _Rows],
    connection: Component,
    ends: tuple[str, str],
    populations: dict[str, Population],
) -> None:
    pre, pre_cell = find_cell(connection, ends[0], populations)
    post, post_cell = find_cell(connection, ends[1], populations)
    delay = connection.values.get("delay", 0.0)
    if delay < 0.0:
        raise InputError(
            Diagnostic("a delay cannot be negative", connection.element.attribute_span("delay"))
        )
    key = (pre.id, post.id, connection.texts.get("destination", ""))
    _refuse_segments(connection)
    rows = groups.setdefault(key, _Rows(connection))
    rows.pre.append(pre_cell)
    rows.post.append(post_cell)
    rows.weights.append(connection.values.get("weight", 1.0))
    rows.delays.append(delay)


def _refuse_segments(connection: Component) -> None:
    for name in ("preSegmentId", "postSegmentId"):
        if connection.texts.get(name, "0") != "0":
            raise UnsupportedError(
                Diagnostic(
                    "a connection to a segment other than 0 cannot be run",
                    connection.element.attribute_span(name),
                )
            )


def _projection(
    model: Model,
    name: str,
    synapse: Component,
    ends: tuple[str, str],
    rows: _Rows,
    populations: dict[str, Population],
) -> Projection:
    pre, post = populations[ends[0]], populations[ends[1]]
    if not _sends(pre):
        raise InputError(
            Diagnostic(
                f"'{pre.component}', a {pre.dynamics.name}, sends no events",
                rows.first.span,
                ("its ComponentType has no EventOut",),
            )
        )
    attachment = attachment_of(rows.first, post)
    check_gathered(rows.first, synapse, post, attachment)
    lowered = lower_part(model, synapse)
    return Projection(
        id=name,
        pre=pre.id,
        post=post.id,
        synapse=synapse.id,
        attachment=attachment,
        dynamics=lowered.dynamics,
        values=dict(lowered.values),
        pre_cells=np.array(rows.pre, dtype=np.int32),
        post_cells=np.array(rows.post, dtype=np.int32),
        weights=np.array(rows.weights),
        delays=np.array(rows.delays),
        has_weights="weight" in rows.first.type.parameters,
        span=rows.first.span,
    )


def _sends(population: Population) -> bool:
    dynamics = population.dynamics
    sent = {port for block in dynamics.conditions for port in block.events}
    sent |= {port for block in dynamics.on_events for port in block.events}
    return not sent.isdisjoint(dynamics.out_ports)
