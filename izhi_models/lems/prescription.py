"""What a ComponentType says of how it is to be integrated: ``<Meta for="izhi-models" .../>``.

An attribute with the name of a method lists states; ``order`` lists states in turns, ``v u, g``;
``frozen`` lists derived variables that keep their value inside a method. Other tools pass over
Meta, as LEMS 0.7.6 wants it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from izhi_models.errors import Diagnostic, suggest
from izhi_models.ir.dynamics import Derived, Rate
from izhi_models.ir.prescribed import PRESCRIBED
from izhi_models.lems.elements import Element

READER = "izhi-models"
ORDER, FROZEN = "order", "frozen"


def is_prescription(element: Element) -> bool:
    """Tell whether a Meta is for this package."""
    return element.tag == "Meta" and element.get("for") == READER


def prescribe(
    element: Element, rates: Mapping[str, Rate], derived: Mapping[str, Derived]
) -> tuple[dict[str, Rate], dict[str, Derived]]:
    """Return rates and derived variables with what a Meta says of them.

    Parameters
    ----------
    element : Element
        Checked; one for another tool says nothing.
    rates : mapping of str to Rate
    derived : mapping of str to Derived
    """
    found, known = dict(rates), dict(derived)
    if not is_prescription(element):
        return found, known
    for method in PRESCRIBED:
        for state in (element.get(method) or "").split():
            found[state] = replace(found[state], method=method)
    for turn, states in enumerate((element.get(ORDER) or "").split(",")):
        for state in states.split():
            found[state] = replace(found[state], turn=turn)
    for name in (element.get(FROZEN) or "").split():
        known[name] = replace(known[name], is_frozen=True)
    return found, known


def check_prescription(
    element: Element, moving: set[str], derived: set[str]
) -> Iterator[Diagnostic]:
    """Yield what is wrong with a Meta for this package.

    Parameters
    ----------
    element : Element
    moving, derived : set of str
        States with a TimeDerivative, and derived variables.
    """
    words = (*PRESCRIBED, ORDER, FROZEN)
    for attribute, text in element.attributes.items():
        if attribute == "for":
            continue
        if attribute not in words:
            span = element.name_span(attribute)
            message = f"'{attribute}' is no method of integration"
            yield Diagnostic(message, span, suggest(attribute, words))
            continue
        known = derived if attribute == FROZEN else moving
        what = "no DerivedVariable" if attribute == FROZEN else "no state with a TimeDerivative"
        for name in text.replace(",", " ").split():
            if name not in known:
                span = element.attribute_span(attribute)
                yield Diagnostic(f"'{name}' is {what}", span, suggest(name, known))
