"""Kinetic schemes as rates of the occupancies of their states.

Source: LEMS, KineticScheme: nodes hold a state variable, edges lead from node to node with a
forward and a reverse rate. The occupancies start in the first node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from izhi_models.errors import Diagnostic, InputError
from izhi_models.expr import ONE, ZERO, Binary, Expr, Name
from izhi_models.ir.dynamics import Assignment, Dynamics, Rate
from izhi_models.lems.components import Component
from izhi_models.lems.elements import Element

Parts = Sequence[tuple[str, Component]]


def add_kinetics(dynamics: Dynamics, scheme: Element, parts: Parts) -> Dynamics:
    """Return the dynamics with the rates of a kinetic scheme.

    Each edge carries ``forward * occupancy(source) - reverse * occupancy(target)`` from its
    source to its target.

    Parameters
    ----------
    dynamics : Dynamics
        Of the component that declares the scheme, its parts composed in.
    scheme : Element
        ``<KineticScheme>``.
    parts : sequence of (str, Component)
        Places and parts of the component.

    Raises
    ------
    InputError
        If the scheme lacks an attribute, or an edge leads to no node.
    """
    nodes = _members(parts, _get(scheme, "nodes"))
    edges = _members(parts, _get(scheme, "edges"))
    variable = _get(scheme, "stateVariable")
    occupancy = {part.id: f"{place}/{variable}" for place, part in nodes}
    flows: dict[str, Expr] = {}
    for place, edge in edges:
        source = _node(edge, _get(scheme, "edgeSource"), occupancy)
        target = _node(edge, _get(scheme, "edgeTarget"), occupancy)
        forward = Name(f"{place}/{_get(scheme, 'forwardRate')}")
        reverse = Name(f"{place}/{_get(scheme, 'reverseRate')}")
        flow = Binary("-", Binary("*", forward, Name(source)), Binary("*", reverse, Name(target)))
        flows[source] = Binary("-", flows.get(source, ZERO), flow)
        flows[target] = Binary("+", flows.get(target, ZERO), flow)
    start = tuple(
        Assignment(name, ONE if number == 0 else ZERO)
        for number, name in enumerate(occupancy.values())
    )
    rates = tuple(Rate(name, value) for name, value in flows.items())
    return replace(dynamics, rates=(*dynamics.rates, *rates), start=(*dynamics.start, *start))


def _get(scheme: Element, name: str) -> str:
    value = scheme.get(name)
    if value is None:
        raise InputError(Diagnostic(f"<KineticScheme> lacks '{name}'", scheme.span))
    return value


def _members(parts: Parts, name: str) -> list[tuple[str, Component]]:
    return [(place, part) for place, part in parts if place.partition("[")[0] == name]


def _node(edge: Component, attribute: str, occupancy: dict[str, str]) -> str:
    node = edge.texts.get(attribute, "")
    if node not in occupancy:
        raise InputError(
            Diagnostic(
                f"'{node}' is no state of the scheme",
                edge.element.attribute_span(attribute),
                (f"its states are {', '.join(occupancy)}",),
            )
        )
    return occupancy[node]
