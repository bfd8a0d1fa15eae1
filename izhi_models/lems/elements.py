"""Elements of XML that know their place.

Document type entities and external entities are refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from xml.parsers import expat

import numpy as np

from izhi_models.errors import Diagnostic, InputError, Note, Source, Span
from izhi_models.lems.tables import ROW, ListReader, Table


class Element:
    """One XML element.

    Parameters
    ----------
    tag : str
        As written, with its prefix if it has one.
    attributes : dict of str to str
    document : Document
    start : int
        Byte offset of its ``<`` in the UTF-8 form of the document.
    """

    __slots__ = ("attributes", "children", "document", "rows", "start", "tag")

    def __init__(self, tag: str, attributes: dict[str, str], document: Document, start: int):
        self.tag = tag
        self.attributes = attributes
        self.document = document
        self.start = start
        self.children: list[Element] = []
        self.rows: Table | None = None  # what follows it, equal but for its numbers

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}>"

    def get(self, name: str) -> str | None:
        """Return the value of an attribute, or None."""
        return self.attributes.get(name)

    def find(self, tag: str) -> Iterator[Element]:
        """Yield the direct children with this tag."""
        return (child for child in self.children if child.tag == tag)

    @property
    def span(self) -> Span:
        """The opening tag's name, with its ``<``."""
        start = self.document.offset(self.start)
        return Span(self.document.source, start, start + 1 + len(self.tag))

    def attribute_span(self, name: str, place: tuple[int, int] | None = None) -> Span:
        """Return the span of an attribute's value, or of a part of it.

        Parameters
        ----------
        name : str
            If the element has no such attribute, the span of the element is returned.
        place : tuple of int, optional
            Start and end in the decoded value.
        """
        text = self.document.source.text
        start = self.document.offset(self.start)
        for match in _ATTRIBUTE.finditer(text, start + 1 + len(self.tag)):
            if match["end"]:
                break
            if match["name"] == name:
                first, last = match.span("double" if match["double"] is not None else "single")
                if place is not None:
                    first, last = _inside(text[first:last], first, place)
                return Span(self.document.source, first, last)
        return self.span

    def name_span(self, name: str) -> Span:
        """Return the span of the name of an attribute that the element has."""
        value = self.attribute_span(name)
        start = value.source.text.rfind(name, 0, value.start)
        return Span(value.source, start, start + len(name))


_ATTRIBUTE = re.compile(
    r"""\s*(?:(?P<end>/?>)|(?P<name>[^\s=/>]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'))"""
)
_REFERENCE = re.compile(r"&[^;]*;|\r\n|.", re.DOTALL)


def _inside(raw: str, first: int, place: tuple[int, int]) -> tuple[int, int]:
    """Map offsets in a decoded attribute value to offsets in the raw text."""
    starts = [match.start() for match in _REFERENCE.finditer(raw)]
    starts.append(len(raw))
    last = len(starts) - 1
    return first + starts[min(place[0], last)], first + starts[min(place[1], last)]


class Document:
    """One file as elements.

    Parameters
    ----------
    source : Source
    chunks : iterable of bytes
        The text in UTF-8.
    is_core : bool
        True for NeuroML's own ComponentTypes.

    Attributes
    ----------
    root : Element
    outline : bytearray
        The text without the rows of tables, but with their line ends.
    sha256 : str
    """

    def __init__(self, source: Source, chunks: Iterable[bytes], *, is_core: bool = False) -> None:
        self.source = source
        self.is_core = is_core
        self._continuations = np.empty(0, dtype=np.int64)  # bytes that begin no character
        parser = _Parser(self)
        self.sha256 = self._parse(parser, chunks)
        self.root = parser.finish()
        self.outline = parser.outline

    def _parse(self, parser: _Parser, chunks: Iterable[bytes]) -> str:
        lists = ListReader(parser)
        digest = hashlib.sha256()
        length = 0
        for chunk, is_last in _with_last(chunks):
            digest.update(chunk)
            if not chunk.isascii():
                codes = np.frombuffer(chunk, dtype=np.uint8)
                found = np.flatnonzero((codes & 0xC0) == 0x80) + length
                self._continuations = np.append(self._continuations, found)
            length += len(chunk)
            lists.read(chunk, is_last=is_last)
        return digest.hexdigest()

    def offset(self, byte: int) -> int:
        """Return the character offset of a byte offset."""
        # The XML parser may stop inside a character.
        return byte - int(np.searchsorted(self._continuations, byte, side="right"))

    def element_at(self, start: int) -> Element:
        """Return a copy of the element of a list that starts at a byte offset."""
        first = self.offset(start)
        text = self.source.text[first : first + 2**16].encode("utf-8")
        match = ROW.match(text)
        if match is None:
            raise InputError(f"{self.source.path} was changed while it was read")
        parser = _Parser(self, start)
        parser.parse(match[0])
        return parser.finish()


def _with_last(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each chunk, and whether it is the last one."""
    held: bytes | None = None
    for chunk in chunks:
        if held is not None:
            yield held, False
        held = chunk
    yield held or b"", True


_UNCLOSED = (expat.errors.XML_ERROR_TAG_MISMATCH, expat.errors.XML_ERROR_NO_ELEMENTS)
_AMPERSAND = re.compile(r"&\w*$")
# The schema validator allows no more, and what walks elements may recurse.
_MAX_DEPTH = 200


def _what_to_write(span: Span) -> tuple[str, ...]:
    """Return how a character is written that stands for markup; empty if it is another."""
    text = span.source.text
    if text[span.start : span.end] == "<":
        return ("write &lt; for <, or .lt. in an expression",)
    if _AMPERSAND.search(text, max(0, span.start - 20), span.start):
        return ("write &amp; for &, or .and. in an expression",)
    return ()


class _Parser:
    """Makes elements of XML that comes in pieces."""

    def __init__(self, document: Document, offset: int = 0) -> None:
        self._document = document
        self._offset = offset  # bytes that the parser has not seen
        self._read = 0  # bytes that it has
        self._stack: list[Element] = []
        self._closed: list[Element] = []  # the last one
        self.outline = bytearray()
        self._expat = expat.ParserCreate(encoding="utf-8")
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.EntityDeclHandler = self._refuse
        self._expat.ExternalEntityRefHandler = self._refuse  # type: ignore[assignment]

    def parse(self, text: bytes) -> None:
        """Parse the next piece of the text."""
        self.outline += text
        self._read += len(text)
        self._feed(text)

    def skip(self, text: bytes) -> None:
        """Leave out the next piece of the text, between two elements."""
        self.outline += b"\n" * text.count(b"\n")
        self._offset += len(text)

    def closed_at(self, start: int) -> Element | None:
        """Return the element that ends all that was parsed, if it starts at a byte offset."""
        return next((item for item in self._closed if item.start == start), None)

    def element(self, start: int) -> Element:
        """Return the element of a list that starts at a byte offset, once all is read."""
        return self._document.element_at(start)

    def finish(self) -> Element:
        """Return the root once all is parsed."""
        self._feed(b"", is_last=True)
        return self._closed[0]

    def _feed(self, text: bytes, *, is_last: bool = False) -> None:
        try:
            self._expat.Parse(text, is_last)
        except expat.ExpatError as error:
            offset = self._offset + min(self._expat.ErrorByteIndex, self._read)
            reason = expat.errors.messages[error.code]
            span = self._span(offset)
            notes: tuple[Note | str, ...] = ()
            if self._stack and reason in _UNCLOSED:
                notes = (Note("not closed yet", self._stack[-1].span),)
            elif reason == expat.errors.XML_ERROR_INVALID_TOKEN:
                notes = _what_to_write(span)
            raise InputError(Diagnostic(f"not well-formed XML: {reason}", span, notes)) from None

    def _span(self, byte: int) -> Span:
        offset = self._document.offset(byte)
        return Span(self._document.source, offset, offset + 1)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        start = self._offset + self._expat.CurrentByteIndex
        element = Element(tag, attributes, self._document, start)
        if len(self._stack) == _MAX_DEPTH:
            raise InputError(
                Diagnostic(f"elements are nested deeper than {_MAX_DEPTH} levels", element.span)
            )
        if self._stack:
            self._stack[-1].children.append(element)
        self._stack.append(element)

    def _end(self, _: str) -> None:
        self._closed = [self._stack.pop()]

    def _refuse(self, *_: object) -> None:
        raise InputError(
            Diagnostic(
                "entity declarations are not read",
                self._span(self._offset + self._expat.CurrentByteIndex),
                ("write the text itself in place of the entity",),
            )
        )
