"""Check what ComponentTypes declare, and the names in their Structure.

Source: LEMS, elements ComponentType and Structure.
"""

from __future__ import annotations

from collections.abc import Iterator

from izhi_models.errors import Diagnostic, InputError, suggest
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.expression_rules import Scope
from izhi_models.lems.types import ComponentType, Declaration, Table, TypeSystem
from izhi_models.units import NONE, TIME, parse_quantity

# Tables whose names an attribute of Structure may give.
_INSTANCES = (
    "paths",
    "path_parameters",
    "links",
    "references",
    "texts",
    "child",
    "children",
    "attachments",
    "component_requirements",
    "instance_requirements",
)
_LISTS = ("component_requirements", "links", "references", "child", "children", "paths")
_COMPONENTS = ("references", "links", "child", "children", "component_requirements", "paths")
_NUMBERS = ("parameters", "index_parameters", "derived_parameters", "properties", "constants")

# Which declarations the value of an attribute may name. Ports and containers are texts that a
# component may leave out, so any name is legal there.
_NAMED: dict[tuple[str, str], tuple[str, ...]] = {
    ("With", "instance"): _INSTANCES,
    ("With", "list"): _LISTS,
    ("With", "index"): _NUMBERS,
    ("ForEach", "instances"): _INSTANCES,
    ("EventConnection", "receiver"): _COMPONENTS,
    ("Tunnel", "componentA"): _COMPONENTS,
    ("Tunnel", "componentB"): _COMPONENTS,
    ("ChildInstance", "component"): _COMPONENTS,
    ("MultiInstantiate", "component"): _COMPONENTS,
    ("MultiInstantiate", "number"): _NUMBERS,
}
# Attributes that name what With or ForEach declared.
_ALIASES = (
    ("EventConnection", "from"),
    ("EventConnection", "to"),
    ("Tunnel", "endA"),
    ("Tunnel", "endB"),
)
_SELF = ("this", "parent")


def check_declarations(system: TypeSystem, resolved: ComponentType) -> Iterator[Diagnostic]:
    """Yield what is wrong with the values and directions that a type declares.

    Parameters
    ----------
    system : TypeSystem
    resolved : ComponentType
    """
    own = resolved.element.children
    for table, attribute in (("constants", "value"), ("properties", "defaultValue")):
        declared: Table = getattr(resolved, table)
        for item in declared.values():
            if item.element in own:
                yield from _check_quantity(system, item, attribute)
    for item in resolved.fixed.values():
        if item.element in own and item.name not in resolved.parameters:
            yield Diagnostic(
                f"'{resolved.name}' has no parameter '{item.name}' to fix",
                item.element.attribute_span("parameter"),
                suggest(item.name, resolved.parameters),
            )
    for item in resolved.ports.values():
        direction = item.element.get("direction")
        if item.element in own and direction and direction not in ("in", "out"):
            span = item.element.attribute_span("direction")
            yield Diagnostic(f"the direction of a port is 'in' or 'out', not '{direction}'", span)
    yield from _check_derived_parameters(system, resolved)


def _check_quantity(system: TypeSystem, item: Declaration, attribute: str) -> Iterator[Diagnostic]:
    text = item.element.get(attribute)
    if not text:
        return
    span = item.element.attribute_span(attribute)
    try:
        quantity = parse_quantity(text, system.units)
    except InputError as error:
        first = error.diagnostics[0]
        yield Diagnostic(first.message, span, first.notes)
        return
    if item.dimension is not None and quantity.dimension != item.dimension:
        found = system.dimension_name(quantity.dimension)
        wanted = system.dimension_name(item.dimension)
        message = f"'{item.name}' has the dimension {wanted}, but '{text}' has {found}"
        yield Diagnostic(message, span)


def _check_derived_parameters(system: TypeSystem, resolved: ComponentType) -> Iterator[Diagnostic]:
    scope = _numbers(system, resolved)
    for item in resolved.derived_parameters.values():
        if item.element in resolved.element.children:
            if bool(item.element.get("value")) == bool(item.element.get("select")):
                message = "a <DerivedParameter> needs a 'value' or a 'select', and not both"
                yield Diagnostic(message, item.element.span)
            scope.check_number(item.element, "value", item.dimension, f"'{item.name}'")
    yield from scope.faults


def check_assertions(system: TypeSystem, document: Document) -> Iterator[Diagnostic]:
    """Yield where a file says of its dimensions what does not hold.

    Parameters
    ----------
    system : TypeSystem
    document : Document
    """
    scope = Scope(system, "Lems", dict(system.dimensions))
    for element in document.root.find("Assertion"):
        wanted = system.dimensions.get(element.get("dimension") or "")
        if wanted is None:
            name = element.get("dimension") or ""
            message = f"unknown dimension '{name}'"
            hints = suggest(name, system.dimensions)
            yield Diagnostic(message, element.attribute_span("dimension"), hints)
        else:
            scope.check_number(element, "matches", wanted, f"'{element.get('dimension')}'")
    yield from scope.faults


def check_structure(system: TypeSystem, resolved: ComponentType) -> Iterator[Diagnostic]:
    """Yield what is wrong with names and expressions in the Structure that a type itself declares.

    Parameters
    ----------
    system : TypeSystem
    resolved : ComponentType
    """
    structure = resolved.structure
    if structure is not None and structure in resolved.element.children:
        scope = _numbers(system, resolved)
        yield from _check_instructions(resolved, structure, set(), scope)
        yield from scope.faults


def _numbers(system: TypeSystem, resolved: ComponentType) -> Scope:
    """Return the scope of the numbers that a type declares."""
    scope = Scope(system, resolved.name)
    for table in _NUMBERS:
        declared: Table = getattr(resolved, table)
        scope.known.update({name: item.dimension for name, item in declared.items()})
    return scope


def _check_instructions(
    resolved: ComponentType, block: Element, outer: set[str], scope: Scope
) -> Iterator[Diagnostic]:
    aliases = {*outer, *(item.get("as") or "" for item in block.find("With"))}
    for element in block.children:
        for (tag, attribute), tables in _NAMED.items():
            name = element.get(attribute)
            if tag == element.tag and name:
                known = {key for table in tables for key in getattr(resolved, table)}
                yield from _check_name(resolved, element, attribute, name, known | aliases)
        for tag, attribute in _ALIASES:
            name = element.get(attribute)
            if tag == element.tag and name and name not in aliases and name not in _SELF:
                yield Diagnostic(
                    f"nothing is known as '{name}' here",
                    element.attribute_span(attribute),
                    (*suggest(name, aliases), f'write <With instance="..." as="{name}"/> before'),
                )
        if element.tag == "With" and not element.get("instance") and not element.get("list"):
            yield Diagnostic("<With> lacks 'instance', or 'list' and 'index'", element.span)
        _check_expressions(element, scope, aliases)
        if element.tag in ("ForEach", "If"):
            inner = {*aliases, element.get("as") or ""} if element.tag == "ForEach" else aliases
            # The name of what leads to a population stands for the population's number.
            population = (element.get("instances") or "").rpartition("/")[2]
            scope.known.setdefault(population, NONE)
            yield from _check_instructions(resolved, element, inner, scope)


def _check_expressions(element: Element, scope: Scope, aliases: set[str]) -> None:
    """Check the expressions of a rule, in which loops stand for the numbers of their cells."""
    local = Scope(scope.system, scope.type_name, {**scope.known, **dict.fromkeys(aliases, NONE)})
    if element.tag == "If":
        local.check_condition(element, "test")
        local.check_number(element, "number", NONE, "'number'")
    elif element.tag == "EventConnection":
        local.check_number(element, "delay", TIME, "'delay'")
        for assign in element.find("Assign"):
            local.check_number(assign, "value", None, "'value'")
    scope.faults.extend(local.faults)


def _check_name(
    resolved: ComponentType, element: Element, attribute: str, name: str, known: set[str]
) -> Iterator[Diagnostic]:
    # A path leads out of the type, and only a network tells where to.
    if "/" in name or "[" in name or name in known or name in _SELF:
        return
    yield Diagnostic(
        f"'{resolved.name}' declares nothing with the name '{name}'",
        element.attribute_span(attribute),
        suggest(name, known),
    )
