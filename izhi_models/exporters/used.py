"""What of the declarations of a model has to go with it: components, and types of users."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Element
from izhi_models.lems.rules import below


def used_components(
    model: Model, names: Iterable[str], without: Container[int] = frozenset()
) -> list[Component]:
    """Return top-level components, and those to which they refer, also through others.

    Parameters
    ----------
    model : Model
    names : iterable of str
        Ids of the first ones.
    without : container of int
        Components not to look into, by `id` of their elements.

    Returns
    -------
    list of Component
        In the order of the files.
    """
    rest = {name for name in names if name in model.components}
    found: set[str] = set()
    while rest:
        name = rest.pop()
        found.add(name)
        rest |= mentioned(model, model.components[name], without) - found
    return [item for name, item in model.components.items() if name in found]


def mentioned(
    model: Model, component: Component, without: Container[int] = frozenset()
) -> set[str]:
    """Return the ids of the top-level components that a component names anywhere.

    For arguments see `used_components`.
    """
    words = {
        text
        for element in _elements(component.element, without)
        for name, text in element.attributes.items()
        if name != "id"
    }
    return words & model.components.keys() - {component.id}


def _elements(element: Element, without: Container[int]) -> Iterator[Element]:
    yield element
    for child in element.children:
        if id(child) not in without:
            yield from _elements(child, without)


def used_types(
    model: Model, components: Iterable[Component], without: Container[int] = frozenset()
) -> list[Element]:
    """Return the ComponentTypes of users that components need, in the order of the files.

    For arguments see `used_components`.
    """
    names = {
        item.type.name
        for component in components
        for item in component.walk()
        if id(item.element) not in without
    }
    rest = [name for name in names if not _is_core(model, name)]
    found: set[str] = set()
    while rest:
        name = rest.pop()
        if name in found:
            continue
        found.add(name)
        element = model.types.types[name].element
        words = {text for item in (element, *below(element)) for text in item.attributes.values()}
        rest += [word for word in words & model.types.types.keys() if not _is_core(model, word)]
    return [item for name, item in model.types.elements.items() if name in found]


def _is_core(model: Model, name: str) -> bool:
    return model.types.types[name].element.document.is_core
