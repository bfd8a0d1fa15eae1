"""The words of LEMS: which attributes and children each element of the language has.

Source: LEMS 0.7.6, schema; ``Super``, ``PathParameter`` and ``If`` are words of the reference
interpreter, and ``number`` of ``If`` is our own.
Components are no part of the language: their words are those of their types.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from izhi_models.errors import Diagnostic, suggest
from izhi_models.lems.elements import Element

# May stand on any element.
_ANYWHERE = {"description", "id"}


@dataclass(frozen=True)
class Form:
    """What an element may have.

    Parameters
    ----------
    required, optional : tuple of str
        Attributes.
    children : tuple of str
        Tags of the elements that may stand inside.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


def _form(required: str = "", optional: str = "", children: str = "") -> Form:
    return Form(tuple(required.split()), tuple(optional.split()), tuple(children.split()))


_ACTIONS = "StateAssignment EventOut Transition"
_CONNECTING = "With ForEach If EventConnection Tunnel MultiInstantiate ChildInstance"

# Direct children of <Lems> that declare something.
DECLARATIONS: dict[str, Form] = {
    "Target": _form("component", "reportFile timesFile"),
    "Assertion": _form("dimension matches"),
    "Constant": _form("name value", "symbol dimension"),
    "Dimension": _form("name", "m l t i k n j"),
    "Unit": _form("symbol dimension", "name power scale offset"),
    "ComponentType": _form(
        "name",
        "extends",
        "Parameter DerivedParameter IndexParameter IntegerParameter PathParameter Property "
        "Constant Fixed Exposure Requirement ComponentRequirement InstanceRequirement "
        "Child Children Attachments "
        "ComponentReference Link Path Text EventPort Dynamics Behavior Structure Simulation About "
        "Meta Procedure",
    ),
}

# Elements inside a ComponentType.
FORMS: dict[str, Form] = {
    "Parameter": _form("name", "dimension"),
    "DerivedParameter": _form("name", "value select dimension"),
    "IndexParameter": _form("name"),
    "IntegerParameter": _form("name"),
    "PathParameter": _form("name"),
    "Property": _form("name", "dimension defaultValue"),
    "Constant": _form("name value", "dimension symbol"),
    "Fixed": _form("parameter value"),
    "Exposure": _form("name", "dimension"),
    "Requirement": _form("name", "dimension"),
    "ComponentRequirement": _form("name"),
    "InstanceRequirement": _form("name type"),
    "Child": _form("name type"),
    "Children": _form("name", "type min max"),
    "Attachments": _form("name type"),
    "ComponentReference": _form("name type", "local"),
    "Link": _form("name type"),
    "Path": _form("name"),
    "Text": _form("name"),
    "EventPort": _form("name direction"),
    "Dynamics": _form(
        "",
        "simultaneous",
        "StateVariable DerivedVariable ConditionalDerivedVariable TimeDerivative OnStart "
        "OnCondition OnEvent Regime KineticScheme Super",
    ),
    "StateVariable": _form("name", "dimension exposure"),
    "DerivedVariable": _form("name", "dimension exposure value select reduce required"),
    "ConditionalDerivedVariable": _form("name", "dimension exposure", "Case"),
    "Case": _form("value", "condition"),
    "TimeDerivative": _form("variable value"),
    "OnStart": _form(children="StateAssignment"),
    "OnEntry": _form(children="StateAssignment"),
    "OnCondition": _form("test", "", _ACTIONS),
    "OnEvent": _form("port", "", _ACTIONS),
    "StateAssignment": _form("variable value"),
    "EventOut": _form("port"),
    "Transition": _form("regime"),
    "Regime": _form("name", "initial", "StateVariable TimeDerivative OnEntry OnCondition OnEvent"),
    "KineticScheme": _form(
        "name nodes stateVariable edges edgeSource edgeTarget forwardRate reverseRate",
        "dependency step",
    ),
    "Super": _form(),
    "Structure": _form("", "", _CONNECTING),
    "ForEach": _form("instances as", "", _CONNECTING),
    "If": _form("test", "number", _CONNECTING),
    "With": _form("as", "instance list index"),
    "EventConnection": _form(
        "from to", "sourcePort targetPort receiver receiverContainer delay", "Assign"
    ),
    "Tunnel": _form("name endA endB componentA componentB", "", "Assign"),
    "Assign": _form("property value"),
    "ChildInstance": _form("component"),
    "MultiInstantiate": _form("component number"),
    "Simulation": _form("", "", "Run DataDisplay DataWriter EventWriter Record EventRecord"),
    "Run": _form("component variable increment total"),
    "DataDisplay": _form("title dataRegion"),
    "DataWriter": _form("path fileName"),
    "EventWriter": _form("path fileName format"),
    "Record": _form("quantity", "timeScale scale color destination"),
    "EventRecord": _form("quantity eventPort"),
}
FORMS["Behavior"] = FORMS["Dynamics"]


def check_language(root: Element) -> Iterator[Diagnostic]:
    """Yield what is wrong with the elements of the language in a document.

    Parameters
    ----------
    root : Element
        ``<Lems>`` or ``<neuroml>``.
    """
    for element in root.children:
        form = DECLARATIONS.get(element.tag)
        if form is not None:
            yield from _check_element(element, form)


def _check_element(element: Element, form: Form) -> Iterator[Diagnostic]:
    missing = [name for name in form.required if not element.get(name)]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        yield Diagnostic(f"<{element.tag}> lacks {listed}", element.span)
    known = {*form.required, *form.optional}
    for name in element.attributes:
        if name not in known and name not in _ANYWHERE and ":" not in name:
            yield _unknown_attribute(element, name, known)
    for child in element.children:
        if child.tag not in form.children:
            # The elements of a ComponentType itself are checked where types are resolved.
            if element.tag != "ComponentType" and form.children:
                yield Diagnostic(
                    f"<{child.tag}> has no meaning inside <{element.tag}>",
                    child.span,
                    suggest(child.tag, form.children),
                )
        elif child.tag in FORMS:
            yield from _check_element(child, FORMS[child.tag])


def _unknown_attribute(element: Element, name: str, known: set[str]) -> Diagnostic:
    # What nobody reads does no harm, unless it is a slip for what somebody does.
    misspelt = difflib.get_close_matches(name, known - element.attributes.keys())
    return Diagnostic(
        f"<{element.tag}> has no attribute '{name}'",
        element.name_span(name),
        suggest(name, known) if misspelt else (*suggest(name, known), "it is not read"),
        "error" if misspelt else "warning",
    )
