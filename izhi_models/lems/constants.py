"""Constants that a file declares for all of its ComponentTypes.

Source: LEMS, Constant as a child of Lems: expressions know it by its symbol. One without a unit is
in SI units of its dimension.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from izhi_models.errors import Diagnostic, InputError
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.types import ComponentType, Declaration, TypeSystem
from izhi_models.units import NONE, parse_quantity

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_EXPRESSIONS = ("value", "test", "condition")
_NAMED = ("parameters", "derived_parameters", "properties", "constants", "requirements")


def share_constants(system: TypeSystem, documents: Iterable[Document]) -> list[Diagnostic]:
    """Give each type the constants of the files that it reads and does not declare.

    Parameters
    ----------
    system : TypeSystem
    documents : iterable of Document

    Returns
    -------
    list of Diagnostic
        What is wrong with them.
    """
    faults: list[Diagnostic] = []
    for element in (item for document in documents for item in document.root.find("Constant")):
        attribute = "dimension"
        try:
            dimension = system.dimension(element.get(attribute))
            attribute = "value"
            quantity = parse_quantity(element.get(attribute) or "", system.units)
        except InputError as error:
            first = error.diagnostics[0]
            span = element.attribute_span(attribute)
            faults.append(Diagnostic(first.message, span, first.notes))
            continue
        if quantity.dimension not in (NONE, dimension):
            found = system.dimension_name(quantity.dimension)
            message = f"'{element.get('value')}' has the dimension {found}"
            wanted = f"expected {system.dimension_name(dimension or NONE)}"
            faults.append(Diagnostic(message, element.attribute_span("value"), (wanted,)))
            continue
        symbol = element.get("symbol") or element.get("name") or ""
        for resolved in system.types.values():
            if symbol in _read(resolved) and symbol not in _declared(resolved):
                constant = Declaration("Constant", symbol, element, dimension)
                resolved.constants[symbol] = constant
    return faults


def _read(resolved: ComponentType) -> set[str]:
    """Return the names in the expressions of a type, inherited ones too."""
    blocks = (*resolved.dynamics, *(item.element for item in resolved.derived_parameters.values()))
    elements = (item for block in blocks for item in _walk(block))
    texts = (item.get(name) or "" for item in elements for name in _EXPRESSIONS)
    return {word for text in texts for word in _WORD.findall(text)}


def _declared(resolved: ComponentType) -> set[str]:
    elements = (item for block in resolved.dynamics for item in _walk(block))
    own = {item.get("name") or "" for item in elements}
    return own | {name for table in _NAMED for name in getattr(resolved, table)}


def _walk(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _walk(child)
