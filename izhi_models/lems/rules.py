"""Which components of a network make connections by a rule."""

from __future__ import annotations

from collections.abc import Iterator

from izhi_models.lems.components import Component
from izhi_models.lems.elements import Element


def find_rules(network: Component) -> list[Component]:
    """Return the components of a network whose Structure makes connections by a rule.

    They are the network itself, its children, and theirs.
    """
    found = [network] if _is_rule(network, loops=False) else []
    for place, children in network.children.items():
        for child in children:
            if _is_rule(child, loops=_is_core(network, place)):
                found.append(child)
            for inner, items in child.children.items():
                if not _is_core(child, inner):
                    found.extend(item for item in items if _is_rule(item, loops=False))
    return found


def _is_core(owner: Component, place: str) -> bool:
    """Tell whether NeuroML declares a place, so that what it is for is known."""
    declared = owner.type.children.get(place) or owner.type.child.get(place)
    return declared is not None and declared.element.document.is_core


def _is_rule(component: Component, *, loops: bool) -> bool:
    """Tell whether a Structure connects; only by ForEach or If where `loops` is wanted."""
    structure = component.type.structure
    if structure is None:
        return False
    wanted = {"ForEach", "If"} if loops else {"EventConnection"}
    return any(item.tag in wanted for item in below(structure))


def below(element: Element) -> Iterator[Element]:
    """Yield all elements inside of one."""
    for child in element.children:
        yield child
        yield from below(child)


def loops_around(block: Element, wanted: Element) -> list[Element]:
    """Return the ForEach elements inside a block that an element stands in, outermost first."""
    for child in block.children:
        if wanted in below(child):
            own = [child] if child.tag == "ForEach" else []
            return own + loops_around(child, wanted)
    return []
