"""Constants that a file declares for all of its ComponentTypes.

Source: LEMS, Constant as a child of Lems: expressions know it by its symbol. One without a unit is
in SI units of its dimension. Its value may be an expression of those that were declared before it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping

from izhi_models.errors import Diagnostic, InputError
from izhi_models.expr import ExpressionSyntaxError, Name, is_random, parse_expression
from izhi_models.ir.evaluate import evaluate_scalar
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.expression_rules import Scope
from izhi_models.lems.types import ComponentType, Declaration, TypeSystem
from izhi_models.units import NONE, Dimension, parse_quantity

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
    scope = Scope(system, "Lems")
    values: dict[str, float] = {}
    for element in (item for document in documents for item in document.root.find("Constant")):
        try:
            dimension = system.dimension(element.get("dimension"))
        except InputError as error:
            scope.faults.append(_at(error, element, "dimension"))
            continue
        value = _value(element, dimension, scope, values)
        if value is None:
            continue
        symbol = element.get("symbol") or element.get("name") or ""
        scope.known[symbol], values[symbol] = dimension, value
        number = {**element.attributes, "value": repr(value)}
        plain = Element(element.tag, number, element.document, element.start)
        for resolved in system.types.values():
            if symbol in _read(resolved) and symbol not in _declared(resolved):
                resolved.constants[symbol] = Declaration("Constant", symbol, plain, dimension)
    return scope.faults


def _value(
    element: Element, dimension: Dimension | None, scope: Scope, values: Mapping[str, float]
) -> float | None:
    """Return what a constant is worth [SI]; None if it is wrong, which the scope notes."""
    text = element.get("value") or ""
    system = scope.system
    try:
        quantity = parse_quantity(text, system.units)
    except InputError as error:
        if not _is_expression(text, scope.known):
            scope.faults.append(_at(error, element, "value"))
            return None
        n_faults = len(scope.faults)
        expression = scope.check_number(element, "value", dimension, "Constant")
        if expression is None or len(scope.faults) > n_faults:
            return None
        value = evaluate_scalar(expression, values)
        if not math.isfinite(value):
            _refuse(scope, element, f"'{text}' is {value}", "expected a finite number")
            return None
        return value
    if quantity.dimension not in (NONE, dimension):
        found = system.dimension_name(quantity.dimension)
        wanted = f"expected {system.dimension_name(dimension or NONE)}"
        _refuse(scope, element, f"'{text}' has the dimension {found}", wanted)
        return None
    return quantity.value


def _is_expression(text: str, known: Container[str]) -> bool:
    """Tell whether a text reads as an expression of constants, and not as a faulty quantity."""
    try:
        expression = parse_expression(text)
    except ExpressionSyntaxError:
        return False
    is_one_word = isinstance(expression, Name) and expression.id not in known
    return not is_one_word and not is_random(expression)


def _refuse(scope: Scope, element: Element, message: str, hint: str) -> None:
    scope.faults.append(Diagnostic(message, element.attribute_span("value"), (hint,)))


def _at(error: InputError, element: Element, attribute: str) -> Diagnostic:
    first = error.diagnostics[0]
    return Diagnostic(first.message, element.attribute_span(attribute), first.notes)


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
