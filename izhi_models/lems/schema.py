"""Check NeuroML documents against the NeuroML 2 schema.

The schema comes out of the archive that pyNeuroML installs. The validator of libxml2 finds what is
wrong, but its words are for programmers and its positions are lines without columns: both are made
here. Files with the root ``<Lems>`` follow no schema; there the ComponentTypes say what is allowed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from lxml import etree

from izhi_models.errors import Diagnostic, Source, Span, suggest
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.read import schema_text

NAMESPACE = "http://www.neuroml.org/schema/neuroml2"

# What a value of a schema type looks like, in words.
_TYPES = {
    "NonNegativeInteger": "a whole number, 0 or more",
    "PositiveInteger": "a whole number, 1 or more",
    "DoubleGreaterThanZero": "a number greater than 0",
    "ZeroToOne": "a number from 0 to 1",
    "ZeroOrOne": "0 or 1",
    "xs:double": "a number",
    "xs:float": "a number",
    "xs:boolean": "true or false",
}
# What is said of an element's content.
_CONTENT = {
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": "text inside <{tag}> has no meaning",
    "SCHEMAV_CVC_TYPE_3_1_2": "<{tag}> holds text and no elements",
}
_DEFINITION = "ComponentType"  # by LEMS, which allows more in it than the schema
_ID_PATTERN = "[a-zA-Z_][a-zA-Z0-9_]*"
# Every element may have these; they are no help to one who left another out.
_METADATA = {"notes", "property", "annotation"}


@functools.lru_cache(maxsize=1)
def _schema() -> Any:
    return etree.XMLSchema(etree.fromstring(schema_text()))


@functools.lru_cache(maxsize=1)
def document_order() -> dict[str, int]:
    """Return the places of the elements that may stand in ``<neuroml>``, which have an order."""
    root = etree.fromstring(schema_text())
    names = {"xs": "http://www.w3.org/2001/XMLSchema"}
    (document,) = root.findall("xs:complexType[@name='NeuroMLDocument']", names)
    order: dict[str, int] = {}
    for item in document.iter("{*}element", "{*}group"):
        group = f"xs:group[@name='{item.get('ref')}']//xs:element"
        for element in root.findall(group, names) if item.get("ref") else (item,):
            order.setdefault(element.get("name"), len(order))
    return order


@functools.lru_cache(maxsize=1)
def network_order() -> dict[str, int]:
    """Return the places of the elements that may stand in ``<network>``, which have an order."""
    root = etree.fromstring(schema_text())
    names = {"xs": "http://www.w3.org/2001/XMLSchema"}
    own = root.findall("xs:complexType[@name='Network']//xs:element", names)
    # Those that any element may have come first. Source: NeuroML 2 schema, type Standalone.
    first = ("notes", "property", "annotation")
    return {name: n for n, name in enumerate((*first, *(item.get("name") for item in own)))}


def is_valid(text: str) -> bool:
    """Tell whether a NeuroML document is as the schema allows it.

    Parameters
    ----------
    text : str
    """
    document = Document(Source(Path("document"), text), [text.encode("utf-8")])
    return next(check_schema(document), None) is None


def check_schema(document: Document, own: Collection[str] = ()) -> Iterator[Diagnostic]:
    """Yield what the schema does not allow in a document.

    The rows of tables are left out: each is written as the element before them. So are elements
    of types that the schema cannot know, which their definitions check: a warning tells of them.

    Parameters
    ----------
    document : Document
        Anything but a root ``<neuroml>`` is passed over.
    own : collection of str
        Names of ComponentTypes that are not NeuroML's.
    """
    if document.root.tag != "neuroml":
        return
    if document.root.get("xmlns") != NAMESPACE:
        yield _wrong_namespace(document.root)
        return
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
    )
    try:
        tree = etree.fromstring(bytes(document.outline), parser)
    except etree.XMLSyntaxError as error:
        yield Diagnostic(f"not well-formed XML: {error.msg}", _line_span(document, error.lineno))
        return
    foreign = list(_foreign(document.root, own))
    if foreign:
        yield _tell_foreign(foreign)
    own = {*own, _DEFINITION}
    _prune(tree, own)
    schema = _schema()
    if schema.validate(tree):
        return
    missing: dict[Element, list[str]] = {}
    for entry in schema.error_log:
        element = _element_at(document.root, entry.path or "/*", own)
        if entry.type_name == "SCHEMAV_CVC_COMPLEX_TYPE_4":
            missing.setdefault(element, []).append(_attribute(entry.message))
        else:
            yield _in_words(element, entry.type_name, entry.message)
    for element, names in missing.items():
        listed = ", ".join(f"'{name}'" for name in names)
        yield Diagnostic(f"<{element.tag}> lacks {listed}", element.span)


def _is_own(tag: str, kind: str | None, own: Collection[str]) -> bool:
    return tag in own or kind in own


def _foreign(element: Element, own: Collection[str]) -> Iterator[Element]:
    """Yield the outermost elements of types that the schema does not know."""
    for child in element.children:
        if _is_own(child.tag, child.get("type"), own):
            yield child
        else:
            yield from _foreign(child, own)


def _tell_foreign(found: list[Element]) -> Diagnostic:
    first = found[0]
    name = first.get("type") or first.tag
    more = "" if len(found) == 1 else f", and {len(found) - 1} more such elements"
    return Diagnostic(
        f"'{name}' is a type of your own, which NeuroML's schema does not know{more}",
        first.span,
        ("it runs; for tools that validate, put it into a file with the root <Lems>",),
        severity="warning",
    )


def _prune(tree: Any, own: Collection[str]) -> None:
    """Take the elements of types that the schema does not know out of a tree."""
    found = [
        item
        for item in tree.iterdescendants("*")
        if _is_own(etree.QName(item).localname, item.get("type"), own)
    ]
    for item in found:
        item.getparent().remove(item)


def _wrong_namespace(root: Element) -> Diagnostic:
    found = root.get("xmlns")
    return Diagnostic(
        f"<neuroml> of another namespace, '{found}'" if found else "<neuroml> without a namespace",
        root.attribute_span("xmlns"),
        (f'write <neuroml xmlns="{NAMESPACE}" ...>',),
    )


def _line_span(document: Document, line: int) -> Span:
    lines = document.source.text.split("\n")
    start = sum(len(item) + 1 for item in lines[: line - 1])
    indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    return Span(document.source, start + indent, start + len(lines[line - 1].rstrip()))


def _element_at(root: Element, path: str, own: Collection[str]) -> Element:
    """Follow a path such as ``/*/*[3]/rdf:RDF``; ``*`` counts all elements but own ones."""
    element = root
    for step in path.split("/")[2:]:
        name, _, number = step.removesuffix("]").partition("[")
        below = [
            child for child in element.children if not _is_own(child.tag, child.get("type"), own)
        ]
        if name != "*":
            below = [child for child in below if child.tag == name]
        element = below[int(number or 1) - 1]
    return element


def _attribute(message: str) -> str:
    found = re.search(r"[Aa]ttribute '([^']+)'", message)
    return found[1] if found else ""


def _in_words(element: Element, kind: str, message: str) -> Diagnostic:
    if kind == "SCHEMAV_ELEMENT_CONTENT":
        return _wrong_content(element, message)
    name = _attribute(message)
    if name not in element.attributes:
        known = _CONTENT.get(kind)
        text = known.format(tag=element.tag) if known else _plain(message)
        return Diagnostic(text, element.span)
    if kind == "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1":
        return Diagnostic(f"<{element.tag}> has no attribute '{name}'", element.name_span(name))
    return _wrong_value(element, name, message)


def _wrong_content(element: Element, message: str) -> Diagnostic:
    expected = re.findall(r"\{[^}]*\}(\w+)", message.partition("Expected is")[2])
    useful = [f"<{name}>" for name in expected if name not in _METADATA]
    if "Missing child" in message:
        return Diagnostic(f"<{element.tag}> lacks {' or '.join(useful)}", element.span)
    known = f"expected here: {', '.join(useful)}" if useful else "nothing more is expected here"
    return Diagnostic(
        f"<{element.tag}> is not expected here",
        element.span,
        (known, "the NeuroML schema fixes the order of elements"),
    )


def _wrong_value(element: Element, name: str, message: str) -> Diagnostic:
    value = element.attributes[name]
    span = element.attribute_span(name)
    expected, hint = _expected(message, value)
    return Diagnostic(f"'{name}' is '{value}', expected {expected}", span, hint)


def _expected(message: str, value: str) -> tuple[str, tuple[str, ...]]:
    """Return what a value should be, and a hint, from what the validator says of it."""
    if choice := re.search(r"not an element of the set \{(.*)\}", message):
        choices = re.findall(r"'([^']*)'", choice[1])
        return f"one of {', '.join(choices)}", suggest(value, choices) if len(choices) > 2 else ()
    if known := re.search(r"atomic type '(?:\{[^}]*\})?([^']+)'", message):
        return _TYPES.get(known[1], f"a value of type {known[1]}"), ()
    if pattern := re.search(r"not accepted by the pattern '(.*)'", message):
        return _expected_by_pattern(pattern[1])
    return _plain(message), ()


def _expected_by_pattern(pattern: str) -> tuple[str, tuple[str, ...]]:
    if pattern == _ID_PATTERN:
        return "an id: letters, digits and _, no digit first", ()
    if units := re.search(r"\[\\s\]\*\(([\w|]+)\)$", pattern):
        return f"a number and a unit, one of {units[1].replace('|', ', ')}", ()
    if pattern.startswith("-?([0-9]*"):
        return "a bare number", ()
    if pattern.startswith(r"(\.\./)?"):
        return "the path of a cell", ("write population[0] or ../population/0/component",)
    return f"text of the form {pattern}", ()


def _plain(message: str) -> str:
    return re.sub(r"\{[^}]*\}", "", message)
