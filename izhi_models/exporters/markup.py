"""XML that is to be written: elements, text taken over as it stands, and long lists from arrays.

Numbers are written with the fewest digits that read back as the same double. Lists are written in
blocks, so that they need no memory to speak of, whatever their length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InternalError
from izhi_models.lems.components import Component
from izhi_models.lems.elements import Element
from izhi_models.lems.tables import Table, around_number

MARK = "\0"  # in an attribute, in place of a number of a list; no XML has it
_INDENT = "    "
_ROWS = 2**14  # of a list that are written at once
_PIECE = 2**16  # characters that are looked at in one go
# What holds text instead of elements, or elements of others. Source: NeuroML 2 schema.
FREE = ("notes", "annotation")
_TAG = re.compile(r"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")


@dataclass
class Markup:
    """An element.

    Parameters
    ----------
    tag : str
    attributes : dict of str to str
    children : list of Markup, Verbatim or Listing
    """

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def lines(self, indent: str = "", *, outline: bool = False) -> Iterator[str]:
        """Yield the text, of which each piece ends with a line.

        Parameters
        ----------
        indent : str
        outline : bool
            Write of each list its first element only.
        """
        if not self.children:
            yield f"{indent}<{self._opening()}/>\n"
            return
        yield f"{indent}<{self._opening()}>\n"
        for child in self.children:
            yield from child.lines(indent + _INDENT, outline=outline)
        yield f"{indent}</{self.tag}>\n"

    def _opening(self) -> str:
        written = (f" {name}={quoteattr(text)}" for name, text in self.attributes.items())
        return self.tag + "".join(written)

    def walk(self) -> Iterator[Markup]:
        """Yield the element and all below it, without lists."""
        yield self
        for child in self.children:
            if isinstance(child, Markup):
                yield from child.walk()


@dataclass(frozen=True)
class Verbatim:
    """Text as it stands in a file.

    Parameters
    ----------
    text : str
        Without a line end, and indented as if it stood at the margin.
    """

    text: str

    def lines(self, indent: str = "", *, outline: bool = False) -> Iterator[str]:
        """Yield the text: see `Markup.lines`."""
        for line in self.text.split("\n"):
            yield f"{indent}{line}\n" if line else "\n"


Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Listing:
    """Elements that differ in their numbers only.

    Parameters
    ----------
    blocks : callable
        Returns some of them at a time: an element, the number of elements, and columns (n,) or
        (1,) by attribute. In the element, `MARK` stands in these attributes for the number.
    """

    blocks: Callable[[], Iterable[tuple[Markup, int, Columns]]]

    def lines(self, indent: str = "", *, outline: bool = False) -> Iterator[str]:
        """Yield the text: see `Markup.lines`."""
        for form, size, columns in self.blocks():
            yield from _rows(form, 1 if outline else size, columns, indent)
            if outline:
                return


Node = Markup | Verbatim | Listing


def _rows(form: Markup, size: int, columns: Columns, indent: str) -> Iterator[str]:
    """Yield elements of one form."""
    varying: list[NDArray[Any]] = []
    text = "".join(_filled(form, columns, varying).lines(indent))
    template = text.replace("%", "%%").replace(MARK, "%s")
    for start in range(0, size, _ROWS):
        n = min(_ROWS, size - start)
        cells = np.empty((n, len(varying)), dtype=object)
        for place, column in enumerate(varying):
            cells[:, place] = number_texts(column[start : start + n])
        yield template * n % tuple(cells.ravel().tolist())


def _filled(form: Markup, columns: Columns, varying: list[NDArray[Any]]) -> Markup:
    """Return an element with all numbers put in that do not vary, and note those that do."""
    attributes = {}
    for name, text in form.attributes.items():
        column = columns.get(name)
        if column is not None and column.size == 1:
            text = text.replace(MARK, number_texts(column)[0])
        elif column is not None:
            varying.append(column)
        attributes[name] = text
    children = [
        _filled(item, columns, varying) if isinstance(item, Markup) else item
        for item in form.children
    ]
    return Markup(form.tag, attributes, children)


def number_text(value: float) -> str:
    """Return a number with the fewest digits, as the NeuroML schema allows it."""
    text = repr(value)
    return text.removesuffix(".0").replace("e+", "e")


def number_texts(values: NDArray[Any]) -> list[str]:
    """Return numbers as texts: see `number_text`."""
    if values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    distinct = np.unique(values)
    if distinct.size > values.size // 4:
        return [number_text(value) for value in values.tolist()]
    texts = np.array([number_text(value) for value in distinct.tolist()], dtype=object)
    found: list[str] = texts[np.searchsorted(distinct, values)].tolist()
    return found


# Elements that were read


Changes = Mapping[int, "Markup | None"]


def markup_of(
    element: Element, tag: str | None = None, changes: Changes = MappingProxyType({})
) -> Markup:
    """Return an element as it was read, or as what was set has changed it.

    Parameters
    ----------
    element : Element
    tag : str, optional
        Another than that of the element.
    changes : mapping of int to Markup or None
        What to write in place of elements below it, by `id` of the object; None to leave one out.
    """
    children: list[Node] = []
    for child in element.children:
        if id(child) in changes:
            changed = changes[id(child)]
            children += [] if changed is None else [changed]
            continue
        if child.tag in FREE:
            children.append(Verbatim(source_text(child)))
            continue
        made = markup_of(child, changes=changes)
        children.append(made)
        if child.rows is not None:
            children.append(_listing(made, child.rows))
    return Markup(tag or element.tag, dict(element.attributes), children)


def component_markup(component: Component, changes: Changes = MappingProxyType({})) -> Markup:
    """Return a component in the short form: see `markup_of`."""
    element = component.element
    if element.tag != "Component":
        return markup_of(element, changes=changes)
    made = markup_of(element, component.type.name, changes)
    del made.attributes["type"]
    return made


def _listing(markup: Markup, table: Table) -> Listing:
    form = _with_places(markup, table.columns)
    return Listing(lambda: [(form, table.size, table.columns)])


def _with_places(markup: Markup, columns: Columns) -> Markup:
    """Return an element with `MARK` in place of the numbers that a table has."""
    attributes = dict(markup.attributes)
    for name in columns.keys() & attributes.keys():
        before, after = around_number(name, attributes[name])
        attributes[name] = f"{before}{MARK}{after}"
    children = [
        _with_places(item, columns) if isinstance(item, Markup) else item
        for item in markup.children
    ]
    return Markup(markup.tag, attributes, children)


def source_text(element: Element) -> str:
    """Return an element as it stands in its file, moved to the margin."""
    source = element.document.source.text
    start = element.document.offset(element.start)
    text = source[start : start + _length(source, start)].replace("\r\n", "\n")
    first, *rest = text.split("\n")
    line_start = source.rfind("\n", 0, start) + 1
    margin = start - line_start if not source[line_start:start].strip() else 0
    kept = [line[min(margin, len(line) - len(line.lstrip())) :].rstrip() for line in rest]
    return "\n".join([first, *kept])


class _Ended(Exception):
    """The element is closed, by the tag at a byte offset."""


def _length(text: str, start: int) -> int:
    """Return how many characters the element takes that starts at an offset."""
    opening = _TAG.match(text, start)
    if opening is not None and opening[0].endswith("/>"):
        return len(opening[0])
    parser = expat.ParserCreate(encoding="utf-8")
    depth = 0

    def opened(*_: object) -> None:
        nonlocal depth
        depth += 1

    def closed(*_: object) -> None:
        nonlocal depth
        depth -= 1
        if depth == 0:
            raise _Ended(parser.CurrentByteIndex)

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    fed = b""
    for first in range(start, len(text), _PIECE):
        piece = text[first : first + _PIECE].encode("utf-8")
        fed += piece
        try:
            parser.Parse(piece)
        except _Ended as ended:
            return len(fed[: fed.index(b">", *ended.args) + 1].decode("utf-8"))
    raise InternalError("an element has no end")
