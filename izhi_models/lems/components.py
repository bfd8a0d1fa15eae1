"""Components: what a file declares, bound to types, with values in SI.

Source: LEMS, element Component and its short form, in which the tag names the type or the place
in the parent. An attribute ``type`` names the type where the tag names the place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from izhi_models.errors import Diagnostic, InputError, Note, Span, suggest
from izhi_models.lems.constants import share_constants
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.lists import Rows, as_in_rows, check_ids, row_values
from izhi_models.lems.read import core_file_of, read_with_includes
from izhi_models.lems.tables import Table
from izhi_models.lems.types import ComponentType, Declaration, TypeSystem, resolve_types
from izhi_models.units import NONE, QUANTITY, Dimension, Quantity, parse_quantity

# Root elements that are no components. Source: LEMS, element Lems; NeuroML 2 schema.
_LANGUAGE = {
    "Include",
    "include",
    "Target",
    "Constant",
    "Dimension",
    "Unit",
    "ComponentType",
    "Assertion",
}
# Free text and metadata, whose content has no meaning for a simulation.
METADATA = {"notes", "annotation", "property"}
# Attributes that any component may have. Source: NeuroML 2 schema, types Base and Standalone.
_COMMON = {"id", "type", "extends", "name", "description", "metaid", "neuroLexId"}


@dataclass(eq=False)
class Component:
    """One component of a file.

    Parameters
    ----------
    id : str
        Empty if the element has none.
    type : ComponentType
    element : Element
    parent : Component or None
    values : dict of str to float
        Parameters and properties. [SI]
    texts : dict of str to str
        Attributes that the type declares as Text, Path, Link or reference, as written.
    children : dict of str to list of Component
        By the place that the type declares, places in order of first appearance.
    rows : Rows or None
        What follows it in a list, equal but for its numbers.
    """

    id: str
    type: ComponentType
    element: Element
    parent: Component | None = None
    values: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    children: dict[str, list[Component]] = field(default_factory=dict)
    rows: Rows | None = None

    def __repr__(self) -> str:
        return f"<{self.type.name} '{self.id}'>"

    @property
    def span(self) -> Span:
        """Where the component is declared."""
        return self.element.span

    def all_children(self) -> Iterator[tuple[str, Component]]:
        """Yield the place and the component of each child."""
        for place, components in self.children.items():
            for component in components:
                yield place, component

    def walk(self) -> Iterator[Component]:
        """Yield the component and all below it, parents first."""
        yield self
        for _, child in self.all_children():
            yield from child.walk()


@dataclass
class Model:
    """Everything that a file and its includes declare.

    Parameters
    ----------
    path : Path
    documents : list of Document
        Included files first.
    types : TypeSystem
    components : dict of str to Component
        Top-level components by id.
    target : str or None
        The component that ``<Target>`` names.
    faults : list of Diagnostic
        What was wrong; components with faults are incomplete.
    lowered : dict
        What `lems.lower` has made of components, so that it is made once for all that use one.
    """

    path: Path
    documents: list[Document]
    types: TypeSystem
    components: dict[str, Component] = field(default_factory=dict)
    target: str | None = None
    target_element: Element | None = None
    faults: list[Diagnostic] = field(default_factory=list)
    lowered: dict[tuple[str, int], Any] = field(default_factory=dict, repr=False, compare=False)

    def of_type(self, name: str) -> list[Component]:
        """Return the top-level components that are of a type, or extend it."""
        return [item for item in self.components.values() if item.type.is_a(name)]

    def targeted(self, wanted: str) -> Component | None:
        """Return a component by id, or a Simulation that a component holds."""
        parts = (part for item in self.components.values() for part in item.walk())
        nested = (item for item in parts if item.id == wanted and item.type.is_a("Simulation"))
        return self.components.get(wanted) or next(nested, None)

    def own_documents(self) -> list[Document]:
        """Return the documents that are not NeuroML's own."""
        return [document for document in self.documents if not document.is_core]

    def reference(self, component: Component, name: str) -> Component:
        """Return the component to which an attribute refers.

        Parameters
        ----------
        component : Component
        name : str
            A ComponentReference or Link of its type.

        Raises
        ------
        InputError
            If the attribute is missing, or nothing has that id.
        """
        wanted = component.texts.get(name)
        if wanted is None:
            raise InputError(
                Diagnostic(f"<{component.element.tag}> lacks '{name}'", component.span)
            )
        declaration = component.type.references.get(name) or component.type.links[name]
        local = declaration.element.get("local") == "true" or declaration.kind == "Link"
        return self.named(component, name, self._ids_of(declaration), local=local)

    def named(
        self,
        component: Component,
        attribute: str,
        known: Iterable[str] = (),
        *,
        local: bool = False,
    ) -> Component:
        """Return the component whose id an attribute holds.

        Parameters
        ----------
        component : Component
        attribute : str
        known : iterable of str
            Ids to offer if there is none.
        local : bool
            Search what encloses the component before the top level.

        Raises
        ------
        InputError
            If nothing has that id.
        """
        wanted = component.texts[attribute]
        found = self.find(wanted, component, local=local)
        if found is None:
            raise InputError(
                Diagnostic(
                    f"no component has the id '{wanted}'",
                    component.element.attribute_span(attribute),
                    suggest(wanted, known or self.components),
                )
            )
        return found

    def find(
        self, component_id: str, seen_from: Component | None = None, *, local: bool = False
    ) -> Component | None:
        """Return a component by id.

        Parameters
        ----------
        component_id : str
        seen_from : Component, optional
            Where the reference stands; its enclosing components are searched too.
        local : bool
            Search those before the top level.
        """
        if not local and component_id in self.components:
            return self.components[component_id]
        scope = seen_from
        while scope is not None:
            for _, child in scope.all_children():
                if child.id == component_id:
                    return child
            scope = scope.parent
        return self.components.get(component_id)

    def _ids_of(self, declaration: Declaration) -> list[str]:
        wanted = declaration.type
        near = [key for key, item in self.components.items() if item.type.is_a(wanted)]
        return near or list(self.components)


def read_model(path: Path) -> Model:
    """Read a file and all that it includes, and bind its components to their types.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Model
        With `faults` filled; nothing is raised for faults of components.

    Raises
    ------
    InputError
        If a file cannot be read, is not well-formed, or its types cannot be resolved.
    """
    return bind_model(path, read_with_includes(path))


def bind_model(path: Path, documents: list[Document]) -> Model:
    """Bind the components of documents that were read to their types.

    Parameters
    ----------
    path : Path
        The file that includes all others.
    documents : list of Document
        Included files first.

    Returns
    -------
    Model
        With `faults` filled; nothing is raised for faults of components.

    Raises
    ------
    InputError
        If the types cannot be resolved.
    """
    model = Model(path, documents, resolve_types(documents))
    model.faults += share_constants(model.types, documents)
    for document in documents:
        for element in document.root.children:
            if element.tag == "Target":
                model.target = element.get("component")
                model.target_element = element
            elif element.tag not in _LANGUAGE and element.tag not in METADATA:
                _add_top_level(model, element)
    for component in list(model.components.values()):
        for item in component.walk():
            _check_references(model, item)
    return model


def _add_top_level(model: Model, element: Element) -> None:
    type_name = element.get("type") if element.tag == "Component" else element.tag
    if not type_name:
        model.faults.append(Diagnostic(f"<{element.tag}> lacks 'type'", element.span))
        return
    resolved = _type_of(model, element, type_name)
    if resolved is None:
        return
    component = _bind(model, element, resolved, None)
    if not component.id:
        model.faults.append(Diagnostic(f"<{element.tag}> lacks 'id'", element.span))
    elif component.id in model.components:
        model.faults.append(_duplicate(component, model.components[component.id]))
    else:
        model.components[component.id] = component


def _duplicate(second: Component, first: Component) -> Diagnostic:
    return Diagnostic(
        f"the id '{second.id}' is used twice",
        second.element.attribute_span("id"),
        (Note("first used here", first.element.attribute_span("id")),),
    )


def _type_of(model: Model, element: Element, name: str) -> ComponentType | None:
    """Return the type of an element, where an attribute ``type`` may name a more special one."""
    resolved = model.types.types.get(name)
    override = element.get("type")
    if override and (resolved is None or "type" not in resolved.attributes()):
        if override in model.types.types:
            return model.types.types[override]
        name = override
        resolved = None
    if resolved is None:
        span = element.attribute_span("type") if override else element.span
        known = [*model.types.types, *({"Target", "Include"} if not override else ())]
        file = core_file_of(name)
        notes = (f'write <Include file="{file}"/>',) if file else suggest(name, known)
        model.faults.append(Diagnostic(f"unknown ComponentType '{name}'", span, notes))
    return resolved


def _bind(
    model: Model, element: Element, resolved: ComponentType, parent: Component | None
) -> Component:
    component = Component(element.get("id") or "", resolved, element, parent)
    prototype = element.get("extends")
    if prototype is not None:
        _copy_prototype(model, component, prototype)
    _bind_attributes(model, component)
    for child in element.children:
        if child.tag not in METADATA:
            _bind_child(model, component, child)
    _check_child_ids(model, component)
    return component


def _copy_prototype(model: Model, component: Component, prototype: str) -> None:
    source = model.components.get(prototype)
    if source is None:
        model.faults.append(
            Diagnostic(
                f"no component has the id '{prototype}'",
                component.element.attribute_span("extends"),
                suggest(prototype, model.components),
            )
        )
        return
    component.values.update(source.values)
    component.texts.update(source.texts)
    component.children.update({place: list(items) for place, items in source.children.items()})


def _bind_attributes(model: Model, component: Component) -> None:
    resolved, element = component.type, component.element
    quantities = {**resolved.parameters, **resolved.index_parameters, **resolved.properties}
    words = {**resolved.texts, **resolved.paths, **resolved.links, **resolved.references}
    words.update(resolved.path_parameters)
    words.update(resolved.child)
    for name, text in element.attributes.items():
        if name in quantities:
            _bind_quantity(model, component, quantities[name], text, element)
        elif name in words:
            component.texts[name] = text
        elif name not in _COMMON and not name.startswith(("xmlns", "xsi:", "rdf:")):
            model.faults.append(_unknown_attribute(component, name))
    for name, declaration in resolved.properties.items():
        default = declaration.element.get("defaultValue")
        if name not in component.values and default is not None:
            _bind_quantity(model, component, declaration, default, declaration.element)
    for name, declaration in resolved.fixed.items():
        target = resolved.parameters.get(name)
        if target is not None:
            text = declaration.element.get("value") or ""
            _bind_quantity(model, component, target, text, declaration.element)
    _check_missing(model, component)


def _unknown_attribute(component: Component, name: str) -> Diagnostic:
    # The schema allows attributes that no type reads; one that is nearly right is a slip.
    known = component.type.attributes()
    misspelt = difflib.get_close_matches(name, known - component.element.attributes.keys())
    return Diagnostic(
        f"'{component.type.name}' has no attribute '{name}'",
        component.element.name_span(name),
        suggest(name, known) if misspelt else (*suggest(name, known), "it is not read"),
        "error" if misspelt else "warning",
    )


def _check_missing(model: Model, component: Component) -> None:
    # Displays and the like have parameters that may be left out; only dynamics needs all.
    if not component.type.dynamics and not component.type.structure:
        return
    missing = [name for name in component.type.parameters if name not in component.values]
    given = component.element.attributes
    missing = [name for name in missing if name not in given]
    if missing and component.type.name != "Simulation":
        listed = ", ".join(f"'{name}'" for name in missing)
        model.faults.append(
            Diagnostic(
                f"<{component.element.tag}> lacks {listed}",
                component.span,
                (f"'{component.type.name}' needs {', '.join(component.type.parameters)}",),
            )
        )


def _bind_quantity(
    model: Model, component: Component, declaration: Declaration, text: str, element: Element
) -> None:
    attribute = {"Property": "defaultValue", "Fixed": "value"}.get(element.tag, declaration.name)
    try:
        quantity = parse_quantity(text, model.types.units)
    except InputError as error:
        first = error.diagnostics[0]
        bare = declaration.dimension == NONE and QUANTITY.fullmatch(text) is None
        notes = ("write a bare number: 0.5",) if bare else first.notes
        model.faults.append(Diagnostic(first.message, element.attribute_span(attribute), notes))
        return
    wanted = declaration.dimension
    if wanted is not None and quantity.dimension != wanted:
        span = element.attribute_span(attribute)
        model.faults.append(_wrong_dimension(model.types, declaration.name, quantity, wanted, span))
        return
    component.values[declaration.name] = quantity.value


def _wrong_dimension(
    types: TypeSystem, name: str, quantity: Quantity, wanted: Dimension, span: Span
) -> Diagnostic:
    found = types.dimension_name(quantity.dimension)
    expected = types.dimension_name(wanted)
    fitting = [unit.symbol for unit in types.units.values() if unit.dimension == wanted]
    what = f"'{quantity.symbol}' is a unit of {found}" if quantity.symbol else "it has no unit"
    hint = f"units of {expected}: {', '.join(fitting[:8])}" if fitting else "write a bare number"
    return Diagnostic(f"'{name}' needs the dimension {expected}, but {what}", span, (hint,))


def _bind_child(model: Model, parent: Component, element: Element) -> None:
    placed = _place_of(model, parent, element)
    if placed is None:
        return
    place, resolved = placed
    told = len(model.faults)
    child = _bind(model, element, resolved, parent)
    parent.children.setdefault(place, []).append(child)
    if element.rows is not None:
        model.faults[told:] = [as_in_rows(item, element.rows.size) for item in model.faults[told:]]
        if resolved.element.document.is_core:
            child.rows = _bind_rows(model, child, element.rows)
        else:  # it may read what a table does not keep
            for row in range(element.rows.size):
                _bind_child(model, parent, element.rows.element(row))


def _bind_rows(model: Model, first: Component, table: Table) -> Rows:
    def component(row: int) -> Component:
        return _bind(model, table.element(row), first.type, first.parent)

    return Rows(table, row_values(first, table, model.types.units), component)


def _place_of(
    model: Model, parent: Component, element: Element
) -> tuple[str, ComponentType] | None:
    """Find where in its parent an element belongs, and its type."""
    places = {**parent.type.child, **parent.type.children}
    if element.tag in places:
        resolved = _type_of(model, element, places[element.tag].type)
        return (element.tag, resolved) if resolved else None
    name = element.tag
    if name not in model.types.types:
        name = element.get("type") or name
    if name not in model.types.types:
        known = {*places, *_types_for(model.types, places.values())}
        model.faults.append(
            Diagnostic(
                f"<{element.tag}> has no meaning inside <{parent.element.tag}>",
                element.span,
                suggest(element.tag, known),
            )
        )
        return None
    resolved = _type_of(model, element, name)
    if resolved is None:
        return None
    for place, declaration in places.items():
        if declaration.type == "Component" or resolved.is_a(declaration.type):
            return place, resolved
    model.faults.append(
        Diagnostic(
            f"<{element.tag}> is not allowed inside <{parent.element.tag}>",
            element.span,
            suggest(element.tag, _types_for(model.types, places.values())),
        )
    )
    return None


def _types_for(types: TypeSystem, places: Iterable[Declaration]) -> set[str]:
    wanted = {place.type for place in places}
    return {item.name for item in types.types.values() if wanted & set(item.ancestors)}


def _check_child_ids(model: Model, component: Component) -> None:
    for components in component.children.values():
        if any(child.rows is not None for child in components):
            model.faults.extend(check_ids(components, _duplicate))
            continue
        seen: dict[str, Component] = {}
        for child in components:
            # Instances of a population are numbered; other lists name their members.
            if child.id and child.id in seen:
                model.faults.append(_duplicate(child, seen[child.id]))
            seen.setdefault(child.id, child)


def _check_references(model: Model, component: Component) -> None:
    for name in (*component.type.references, *component.type.links):
        try:
            model.reference(component, name)
        except InputError as error:
            model.faults.extend(error.diagnostics)
