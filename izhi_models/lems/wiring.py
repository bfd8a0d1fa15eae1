"""Event connections inside a component: from a part to the whole, and back.

Source: LEMS, Structure with With and EventConnection, without a receiver.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from izhi_models.errors import Diagnostic, InputError
from izhi_models.ir.compose import connect
from izhi_models.ir.dynamics import Dynamics
from izhi_models.lems.components import Component
from izhi_models.lems.elements import Element
from izhi_models.lems.types import ComponentType

Parts = Sequence[tuple[str, Component]]


def wire_parts(dynamics: Dynamics, component: Component, parts: Parts) -> Dynamics:
    """Return the dynamics of a component with its internal event connections made.

    Parameters
    ----------
    dynamics : Dynamics
        Of the component, its parts composed in.
    component : Component
    parts : sequence of (str, Component)
        Places and parts.

    Raises
    ------
    InputError
        If a connection names an instance or a port that is not there.
    """
    wires = [*_wires(component, "", component, parts)]
    for place, part in parts:
        wires += _wires(part, f"{place}/", component, parts)
    # What the whole sends on is wired first, so that a part's event finds the chain complete.
    wires.sort(key=lambda wire: "/" in wire[0])
    for source, target in wires:
        dynamics = connect(dynamics, source, target)
    return dynamics


def _wires(
    owner: Component, prefix: str, whole: Component, parts: Parts
) -> Iterator[tuple[str, str]]:
    """Yield source and target port of each connection in one component's Structure."""
    structure = owner.type.structure
    if structure is None:
        return
    aliases = {item.get("as") or "": item for item in structure.find("With")}
    for connection in structure.find("EventConnection"):
        if connection.get("receiver") is not None:
            continue
        ends = []
        for attribute, direction, port in (
            ("from", "out", connection.get("sourcePort")),
            ("to", "in", connection.get("targetPort")),
        ):
            alias = aliases.get(connection.get(attribute) or "")
            if alias is None:
                raise InputError(
                    Diagnostic(
                        f"nothing is called '{connection.get(attribute)}' here",
                        connection.attribute_span(attribute),
                    )
                )
            found = _instance(alias, owner, prefix, whole, parts)
            if found is None:
                break
            place, kind = found
            ends.append(place + _port(kind, direction, port, connection))
        else:
            yield ends[0], ends[1]


def _instance(
    alias: Element, owner: Component, prefix: str, whole: Component, parts: Parts
) -> tuple[str, ComponentType] | None:
    """Return the place and type of an instance; None if it lies outside of the whole."""
    name = alias.get("instance") or ""
    if name == "this":
        return prefix, owner.type
    if name == "parent":
        return ("", whole.type) if prefix else None
    if owner is not whole:
        return None
    path = owner.texts.get(name, name)
    step = path.removeprefix("./")
    for place, part in parts:
        if step in (place, part.id):
            return f"{place}/", part.type
    raise InputError(
        Diagnostic(
            f"'{path}' is no part of '{owner.id}'",
            owner.element.attribute_span(name),
            (f"its parts are {', '.join(part.id or place for place, part in parts)}",),
        )
    )


def _port(kind: ComponentType, direction: str, name: str | None, connection: Element) -> str:
    ports = [
        port.name for port in kind.ports.values() if port.element.get("direction") == direction
    ]
    if name in ports:
        return name
    if name is None and ports:
        return ports[0]
    wanted = f"port '{name}'" if name else f"'{direction}' port"
    raise InputError(Diagnostic(f"'{kind.name}' has no {wanted}", connection.span))
