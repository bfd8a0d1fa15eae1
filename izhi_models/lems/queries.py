"""Parameters that are looked up among the components: ``<DerivedParameter select="...">``.

A path leads from a component through its references, children and parent (``..``) to a parameter,
``species/valence``; or to the one component of a type, anywhere, that has an attribute,
``//potential[species=channel/species]/reversal``. What the attribute equals is a path as well, or a
word in quotes.

Source: LEMS, DerivedParameter.
"""

from __future__ import annotations

import re

from izhi_models.errors import Diagnostic, InputError, suggest
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Element

_ANYWHERE = re.compile(r"//(?P<type>\w+)(?:\[\s*(?P<attribute>\w+)\s*=\s*(?P<value>[^\]]+?)\s*\])?")


def select_parameter(model: Model, component: Component, element: Element) -> tuple[Component, str]:
    """Return the component that a derived parameter is looked up in, and its name there.

    Parameters
    ----------
    model : Model
    component : Component
        Of the type that declares it.
    element : Element
        The DerivedParameter.

    Raises
    ------
    InputError
        If the path leads nowhere, or to several components.
    """
    path = element.get("select") or ""
    head, _, name = path.rpartition("/")
    anywhere = _ANYWHERE.fullmatch(head)
    try:
        found = _search(model, component, anywhere) if anywhere else _follow(model, component, head)
        known = {**found.values, **found.type.derived_parameters, **found.type.constants}
        if name not in known:
            hints = suggest(name, known)
            raise InputError(Diagnostic(f"<{found.element.tag}> has no '{name}'", None, hints))
    except InputError as error:
        first = error.diagnostics[0]
        message = f"'{path}' in '{component.id or component.type.name}': {first.message}"
        raise InputError(
            Diagnostic(message, element.attribute_span("select"), first.notes)
        ) from None
    return found, name


def holder_of(component: Component, name: str) -> Component | None:
    """Return the part of that name that one of what holds a component has, or None."""
    above = component.parent
    while above is not None and len(above.children.get(name, ())) != 1:
        above = above.parent
    return above.children[name][0] if above is not None else None


def _search(model: Model, component: Component, wanted: re.Match[str]) -> Component:
    """Return the one component of a type that has the attribute."""
    named = [part for item in model.components.values() for part in item.walk()]
    found = [item for item in named if item.type.is_a(wanted["type"])]
    if wanted["attribute"]:
        value = _word(model, component, wanted["value"])
        found = [item for item in found if item.texts.get(wanted["attribute"]) == value]
    if len(found) != 1:
        raise InputError(f"{len(found)} components fit, and one is needed")
    return found[0]


def _word(model: Model, component: Component, text: str) -> str:
    """Return a word in quotes, or the id or text at the end of a path."""
    if text[0] in "'\"":
        return text.strip(text[0])
    head, _, name = text.rpartition("/")
    owner = _follow(model, component, head)
    if name not in owner.texts:
        raise InputError(
            Diagnostic(f"<{owner.element.tag}> has no '{name}'", None, suggest(name, owner.texts))
        )
    return owner.texts[name]


def _follow(model: Model, component: Component, path: str) -> Component:
    for step in filter(None, path.split("/")):
        below = {place: items for place, items in component.children.items() if len(items) == 1}
        if step == ".." and component.parent is not None:
            component = component.parent
        elif step in below:
            (component,) = below[step]
        elif step in component.texts:
            component = model.named(component, step, local=True)
        else:
            known = suggest(step, [*below, *component.texts])
            raise InputError(
                Diagnostic(f"<{component.element.tag}> leads to no '{step}'", None, known)
            )
    return component
