"""ComponentTypes with inheritance, and the dimensions and units they use.

Source: LEMS, elements Dimension, Unit and ComponentType. A type inherits everything that its
ancestors declare; a Dynamics or Structure of its own replaces the inherited one, unless the
Dynamics contains ``<Super/>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from izhi_models.errors import Diagnostic, InputError, Note, suggest
from izhi_models.lems.elements import Document, Element
from izhi_models.units import NONE, Dimension, Unit

# Elements of a ComponentType, and the table of the type in which their declarations are kept.
_TABLES = {
    "Parameter": "parameters",
    "DerivedParameter": "derived_parameters",
    "IndexParameter": "index_parameters",
    "IntegerParameter": "index_parameters",
    "PathParameter": "path_parameters",
    "Property": "properties",
    "Constant": "constants",
    "Fixed": "fixed",
    "Exposure": "exposures",
    "Requirement": "requirements",
    "ComponentRequirement": "component_requirements",
    "InstanceRequirement": "instance_requirements",
    "Child": "child",
    "Children": "children",
    "Attachments": "attachments",
    "ComponentReference": "references",
    "Link": "links",
    "Path": "paths",
    "Text": "texts",
    "EventPort": "ports",
}
_BLOCKS = {"Dynamics", "Behavior", "Structure", "Simulation", "About", "Meta", "Procedure"}
# What has a value under its name; a type that extends another may say anew how it gets it.
_VALUED = ("Parameter", "DerivedParameter", "IndexParameter", "Property", "Constant")
_TYPED = ("child", "children", "attachments", "references", "links")


@dataclass(frozen=True)
class Declaration:
    """One named element of a ComponentType.

    Parameters
    ----------
    kind : str
        Tag of the element: ``Parameter``, ``Exposure``, ...
    name : str
    element : Element
    dimension : Dimension or None
        None where the declaration admits any dimension.
    """

    kind: str
    name: str
    element: Element = field(compare=False)
    dimension: Dimension | None = NONE

    @property
    def type(self) -> str:
        """The ComponentType that a child, attachment or reference must have; empty if any."""
        return self.element.get("type") or ""


Table = dict[str, Declaration]


@dataclass
class ComponentType:
    """A type with everything that it inherits.

    Parameters
    ----------
    name : str
    element : Element
    ancestors : tuple of str
        The type itself first, then what it extends, up to the root.
    """

    name: str
    element: Element
    ancestors: tuple[str, ...]
    parameters: Table = field(default_factory=dict)
    derived_parameters: Table = field(default_factory=dict)
    index_parameters: Table = field(default_factory=dict)
    path_parameters: Table = field(default_factory=dict)
    properties: Table = field(default_factory=dict)
    constants: Table = field(default_factory=dict)
    fixed: Table = field(default_factory=dict)
    exposures: Table = field(default_factory=dict)
    requirements: Table = field(default_factory=dict)
    component_requirements: Table = field(default_factory=dict)
    instance_requirements: Table = field(default_factory=dict)
    child: Table = field(default_factory=dict)
    children: Table = field(default_factory=dict)
    attachments: Table = field(default_factory=dict)
    references: Table = field(default_factory=dict)
    links: Table = field(default_factory=dict)
    paths: Table = field(default_factory=dict)
    texts: Table = field(default_factory=dict)
    ports: Table = field(default_factory=dict)
    dynamics: tuple[Element, ...] = ()
    structure: Element | None = None

    def is_a(self, name: str) -> bool:
        """Tell whether this type is, or extends, the named one."""
        return name in self.ancestors

    def attributes(self) -> set[str]:
        """Return the names of the attributes that a component of this type may have."""
        tables = (
            self.parameters,
            self.index_parameters,
            self.path_parameters,
            self.properties,
            self.references,
            self.links,
            self.paths,
            self.texts,
        )
        return {name for table in tables for name in table}

    def table(self, kind: str) -> Table:
        """Return the declarations made by elements with this tag."""
        table: Table = getattr(self, _TABLES[kind])
        return table


@dataclass
class TypeSystem:
    """All dimensions, units and types of a set of documents."""

    dimensions: dict[str, Dimension] = field(default_factory=lambda: {"none": NONE})
    units: dict[str, Unit] = field(default_factory=dict)
    types: dict[str, ComponentType] = field(default_factory=dict)
    elements: dict[str, Element] = field(default_factory=dict)

    def dimension(self, name: str | None) -> Dimension | None:
        """Return a dimension by name; None for ``*``, which stands for any.

        Raises
        ------
        InputError
            If no dimension has this name.
        """
        if name is None:
            return NONE
        if name == "*":
            return None
        if name not in self.dimensions:
            raise InputError(
                Diagnostic(f"unknown dimension '{name}'", notes=suggest(name, self.dimensions))
            )
        return self.dimensions[name]

    def dimension_name(self, dimension: Dimension) -> str:
        """Return the name under which a dimension was declared, or its base units."""
        for name, known in self.dimensions.items():
            if known == dimension:
                return name
        return str(dimension)


def resolve_types(documents: Iterable[Document]) -> TypeSystem:
    """Collect dimensions, units and ComponentTypes, and resolve inheritance.

    Parameters
    ----------
    documents : iterable of Document
        Included files before those that include them.

    Raises
    ------
    InputError
        With every fault found: unknown dimensions or base types, duplicate names, circular
        inheritance, malformed numbers.
    """
    system = TypeSystem()
    faults: list[Diagnostic] = []
    documents = list(documents)
    for document in documents:
        _collect_dimensions(system, document, faults)
    for document in documents:
        _collect_units(system, document, faults)
        _collect_types(system, document, faults)
    for name in system.elements:
        _resolve(system, name, (), faults)
    if faults:
        raise InputError(*faults)
    return system


def _collect_dimensions(system: TypeSystem, document: Document, faults: list[Diagnostic]) -> None:
    for element in document.root.find("Dimension"):
        name = element.get("name") or ""
        exponents: dict[str, int] = {}
        for base in Dimension._fields:
            text = element.get(base)
            if text is not None:
                try:
                    exponents[base] = int(text)
                except ValueError:
                    faults.append(
                        Diagnostic(
                            f"exponent '{text}' of dimension '{name}' is no whole number",
                            element.attribute_span(base),
                        )
                    )
        system.dimensions[name] = Dimension(**exponents)


def _collect_units(system: TypeSystem, document: Document, faults: list[Diagnostic]) -> None:
    for element in document.root.find("Unit"):
        try:
            dimension = system.dimension(element.get("dimension"))
        except InputError as error:
            faults.append(_at(error, element, "dimension"))
            continue
        power = _number(element, "power", "0", faults)
        scale = _number(element, "scale", "1", faults)
        offset = _number(element, "offset", "0", faults)
        symbol = element.get("symbol") or ""
        system.units[symbol] = Unit(symbol, dimension or NONE, int(power), scale, offset)


def _number(element: Element, name: str, default: str, faults: list[Diagnostic]) -> Decimal:
    """Return a number of a Unit; a power of ten is whole, and in the range of double precision."""
    text = element.get(name) or default
    whole = name == "power"
    try:
        number = Decimal(text)
        if number.is_finite() and (not whole or (number == int(number) and abs(number) <= 300)):
            return number
    except InvalidOperation:
        pass
    wanted = "a whole number from -300 to 300" if whole else "a number"
    span = element.attribute_span(name)
    faults.append(Diagnostic(f"'{name}' is '{text}', expected {wanted}", span))
    return Decimal(default)


def _collect_types(system: TypeSystem, document: Document, faults: list[Diagnostic]) -> None:
    for element in document.root.find("ComponentType"):
        name = element.get("name")
        if not name:
            faults.append(Diagnostic("<ComponentType> lacks 'name'", element.span))
        elif name in system.elements:
            faults.append(
                Diagnostic(
                    f"ComponentType '{name}' is defined twice",
                    element.attribute_span("name"),
                    (Note("first defined here", system.elements[name].attribute_span("name")),),
                )
            )
        else:
            system.elements[name] = element


def _resolve(
    system: TypeSystem, name: str, chain: tuple[str, ...], faults: list[Diagnostic]
) -> ComponentType:
    if name in system.types:
        return system.types[name]
    element = system.elements[name]
    base_name = element.get("extends")
    base: ComponentType | None = None
    if base_name:
        if base_name in (*chain, name):
            steps = " -> ".join([*chain, name, base_name])
            faults.append(
                Diagnostic(f"circular inheritance: {steps}", element.attribute_span("extends"))
            )
        elif base_name not in system.elements:
            faults.append(
                Diagnostic(
                    f"unknown ComponentType '{base_name}'",
                    element.attribute_span("extends"),
                    suggest(base_name, system.elements),
                )
            )
        else:
            base = _resolve(system, base_name, (*chain, name), faults)
    resolved = ComponentType(name, element, (name, *(base.ancestors if base else ())))
    if base is not None:
        for table in _TABLES.values():
            getattr(resolved, table).update(getattr(base, table))
        resolved.dynamics = base.dynamics
        resolved.structure = base.structure
    _declare(system, resolved, faults)
    system.types[name] = resolved
    return resolved


def _declare(system: TypeSystem, resolved: ComponentType, faults: list[Diagnostic]) -> None:
    own: dict[str, Element] = {}
    for element in resolved.element.children:
        if element.tag in _TABLES:
            _declare_one(system, resolved, element, own, faults)
        elif element.tag in ("Dynamics", "Behavior"):
            extends = any(element.find("Super"))
            resolved.dynamics = (*resolved.dynamics, element) if extends else (element,)
        elif element.tag == "Structure":
            resolved.structure = element
        elif element.tag not in _BLOCKS:
            faults.append(
                Diagnostic(
                    f"unknown element <{element.tag}> in a ComponentType",
                    element.span,
                    suggest(element.tag, (*_TABLES, *_BLOCKS)),
                )
            )


def _declare_one(
    system: TypeSystem,
    resolved: ComponentType,
    element: Element,
    own: dict[str, Element],
    faults: list[Diagnostic],
) -> None:
    attribute = "parameter" if element.tag == "Fixed" else "name"
    name = element.get(attribute)
    if not name:
        faults.append(Diagnostic(f"<{element.tag}> lacks '{attribute}'", element.span))
        return
    quantity = element.tag not in ("Exposure", "Requirement", "EventPort", "Text", "Fixed")
    if quantity and name in own and not element.document.is_core:
        faults.append(
            Diagnostic(
                f"'{name}' is declared twice in ComponentType '{resolved.name}'",
                element.attribute_span("name"),
                (Note("first declared here", own[name].attribute_span("name")),),
            )
        )
        return
    if quantity:
        own[name] = element
    try:
        dimension = system.dimension(element.get("dimension"))
    except InputError as error:
        faults.append(_at(error, element, "dimension"))
        return
    if element.tag in _VALUED:  # also what was inherited as another kind
        for kind in _VALUED:
            resolved.table(kind).pop(name, None)
    resolved.table(element.tag)[name] = Declaration(element.tag, name, element, dimension)


def _at(error: InputError, element: Element, attribute: str) -> Diagnostic:
    """Give the first diagnostic of an error the place of an attribute."""
    first = error.diagnostics[0]
    return Diagnostic(first.message, element.attribute_span(attribute), first.notes)


def check_type_references(system: TypeSystem) -> Iterable[Diagnostic]:
    """Yield a diagnostic for each child, attachment or reference of a type that is not known."""
    for resolved in system.types.values():
        if resolved.element.document.is_core:
            continue
        tables: Mapping[str, Any] = vars(resolved)
        for table in _TYPED:
            for declaration in tables[table].values():
                wanted = declaration.type
                if wanted and wanted != "Component" and wanted not in system.types:
                    yield Diagnostic(
                        f"unknown ComponentType '{wanted}'",
                        declaration.element.attribute_span("type"),
                        suggest(wanted, system.types),
                    )
