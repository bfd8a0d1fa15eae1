"""Compare ComponentTypes: dimensions, and equations as expressions.

Source: LEMS, element ComponentType with Dynamics and Structure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from izhi_models.checks.differences.expressions import is_same
from izhi_models.checks.differences.report import Difference
from izhi_models.expr import Expr, ExpressionSyntaxError, parse_expression, to_text
from izhi_models.lems.elements import Element
from izhi_models.lems.types import ComponentType, Declaration, TypeSystem
from izhi_models.units import Dimension, parse_quantity

_TABLES = (
    "parameters",
    "derived_parameters",
    "properties",
    "constants",
    "exposures",
    "requirements",
    "child",
    "children",
    "attachments",
    "references",
    "links",
    "ports",
)
_EXPRESSIONS = ("value", "condition", "test")
_MUTE = ("description", "extends")
# Parts of a Dynamics whose order means nothing, and what tells one from the others.
_NAMED = {
    "StateVariable": "name",
    "DerivedVariable": "name",
    "ConditionalDerivedVariable": "name",
    "TimeDerivative": "variable",
    "KineticScheme": "name",
    "Regime": "name",
}

_Value = Expr | Dimension | float | str | None


@dataclass(frozen=True)
class _Meaning:
    """What an element says, apart from how it is written."""

    tag: str
    values: dict[str, _Value]
    parts: tuple[_Meaning, ...] = ()

    def __str__(self) -> str:
        words = [f"{name}={_shown(value)}" for name, value in self.values.items()]
        if len(self.values) > 1 and "value" in self.values:
            words = [_shown(self.values["value"])]
        return " ".join([*words, *(f"[{part.tag} {part}]" for part in self.parts)])


def compare_types(
    first: ComponentType, second: ComponentType, systems: tuple[TypeSystem, TypeSystem]
) -> Iterator[Difference]:
    """Yield the differences of two ComponentTypes of one name, inherited parts included.

    Parameters
    ----------
    first, second : ComponentType
    systems : tuple of TypeSystem
        To which each belongs: names of dimensions and units are those of the file.
    """
    ours, theirs = _meanings(first, systems[0]), _meanings(second, systems[1])
    for label in dict.fromkeys((*ours, *theirs)):
        a, b = ours.get(label), theirs.get(label)
        if a is None or b is None or not _equal(a, b):
            yield Difference("equation", f"{first.name}: {label}", (_told(a), _told(b)))


def _told(meaning: _Meaning | None) -> str:
    return "" if meaning is None else str(meaning) or "is there"


def _meanings(of: ComponentType, system: TypeSystem) -> dict[str, _Meaning]:
    found = {
        f"{item.kind} {item.name}": _declared(item, system)
        for table in _TABLES
        for item in getattr(of, table).values()
    }
    for block in of.dynamics:
        found |= _block(block, system, "")
    if of.structure is not None:
        found["Structure"] = _meaning(of.structure, system)
    return found


def _declared(item: Declaration, system: TypeSystem) -> _Meaning:
    values: dict[str, _Value] = {"dimension": item.dimension}
    for name in ("type", "direction", "defaultValue"):
        if item.element.get(name) is not None:
            values[name] = item.element.get(name)
    text = item.element.get("value")
    if item.kind == "Constant" and text is not None:
        values["value"] = parse_quantity(text, system.units).value
    elif text is not None:
        values["value"] = _value("value", text, system)
    return _Meaning(item.kind, values)


def _block(block: Element, system: TypeSystem, above: str) -> dict[str, _Meaning]:
    """Return the parts of a Dynamics or a Regime by a name that says what each is."""
    found: dict[str, _Meaning] = {}
    numbers: Counter[str] = Counter()
    for element in block.children:
        if element.tag == "Super":
            continue
        if element.tag in _NAMED:
            label = f"{element.tag} {element.get(_NAMED[element.tag])}"
        else:
            numbers[element.tag] += 1
            label = f"{element.tag} {numbers[element.tag]}"
        if element.tag == "Regime":
            found[above + label] = _Meaning("Regime", {"initial": element.get("initial")})
            found |= _block(element, system, f"{above}{label}, ")
        else:
            found[above + label] = _meaning(element, system)
    return found


def _meaning(element: Element, system: TypeSystem) -> _Meaning:
    return _Meaning(
        element.tag,
        {
            name: _value(name, text, system)
            for name, text in sorted(element.attributes.items())
            if name not in _MUTE
        },
        tuple(_meaning(child, system) for child in element.children),
    )


def _value(name: str, text: str, system: TypeSystem) -> _Value:
    if name == "dimension":
        return system.dimension(text)
    if name in _EXPRESSIONS:
        try:
            return parse_expression(text)
        except ExpressionSyntaxError:  # such as the text of a Property
            return text.strip()
    return text


def _equal(first: _Meaning, second: _Meaning) -> bool:
    if (first.tag, first.values.keys()) != (second.tag, second.values.keys()):
        return False
    if len(first.parts) != len(second.parts):
        return False
    return all(_same(value, second.values[name]) for name, value in first.values.items()) and all(
        _equal(a, b) for a, b in zip(first.parts, second.parts, strict=True)
    )


def _same(first: _Value, second: _Value) -> bool:
    if isinstance(first, Expr) and isinstance(second, Expr):
        return is_same(first, second)
    return first == second


def _shown(value: _Value) -> str:
    if isinstance(value, Expr):
        return to_text(value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
