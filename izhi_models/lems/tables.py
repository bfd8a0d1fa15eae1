"""Long lists of equal elements, read into arrays in place of objects.

Connections, inputs and instances come in lists whose elements differ only in their numbers. The
first two of a list are read as all elements are; those that follow and are written in the same
way, byte for byte but for the numbers, are taken out of the text before the XML parser sees them.
What the first ones say with words, all say: it is checked there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InternalError

if TYPE_CHECKING:
    from izhi_models.lems.elements import Element

Numbers = NDArray[np.float64] | NDArray[np.int32]

# Elements that come in lists. Source: NeuroML 2, Networks.xml and Inputs.xml.
_LISTED = (
    "connection|connectionWD|synapticConnection|synapticConnectionWD"
    "|electricalConnection(?:Instance(?:W)?)?|continuousConnection(?:Instance(?:W)?)?"
    "|input|inputW"
)
ROW = re.compile(
    rf"<(?:{_LISTED})\s[^<>]*/>"
    r"|<instance(?:\s[^<>]*)?>\s*<location\s[^<>]*/>\s*</instance\s*>".encode()
)
_ATTRIBUTE = re.compile(rb'([^\s=<>"/]+)\s*=\s*"([^"]*)"')
_NUMBER = re.compile(rb"-?\d[\d.]*(?:[eE][-+]?\d+)?")

_WHOLE = rb"(?:0|[1-9]\d{0,8})"
_DECIMAL = rb"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE]-?\d+)?"
_FRACTION = rb"(?:0(?:\.\d+)?|1(?:\.0+)?|\.\d+)"
# What comes before a number, the number, and what comes after it, by attribute.
_CELL = (re.compile(rb"(.*?[\[/]|)(" + _WHOLE + rb")((?:\]|/[A-Za-z_]\w*/?)?)"), _WHOLE)
_INDEX = (re.compile(rb"()(" + _WHOLE + rb")()"), _WHOLE)
_QUANTITY = (re.compile(rb"()(" + _DECIMAL + rb")(\s*[^\s\d]*)"), _DECIMAL)
_PLACE = (re.compile(rb"()(" + _FRACTION + rb")()"), _FRACTION)
_FORMS = {
    "id": _INDEX,
    **dict.fromkeys(("preCellId", "postCellId", "preCell", "postCell"), _CELL),
    **dict.fromkeys(("from", "to", "target"), _CELL),
    **dict.fromkeys(("preSegmentId", "postSegmentId", "preSegment", "postSegment"), _INDEX),
    "segmentId": _INDEX,
    **dict.fromkeys(("weight", "delay", "x", "y", "z"), _QUANTITY),
    **dict.fromkeys(("fractionAlong", "preFractionAlong", "postFractionAlong"), _PLACE),
}
_LONGEST = 2**16  # bytes of a row
_EXACT = 2**53  # whole numbers up to here are exact in double precision
_EXACT_POWER = 22  # and so are powers of ten


@dataclass(frozen=True)
class _Field:
    """One number in each row.

    Parameters
    ----------
    name : str
        Of the attribute.
    form : bytes
        Pattern of the number.
    quote : int
        Number of the quote, within a row, that opens the value.
    before, after : int
        Bytes of the value around the number.
    """

    name: str
    form: bytes
    quote: int
    before: int
    after: int


class Layout:
    """How the elements of a list are written.

    Parameters
    ----------
    rows : pattern
        Matches as many rows as follow each other.
    fields : tuple of _Field
    n_quotes, n_angles : int
        Of these characters, in one row.
    """

    def __init__(
        self, rows: re.Pattern[bytes], fields: tuple[_Field, ...], n_quotes: int, n_angles: int
    ) -> None:
        self.rows = rows
        self.fields = fields
        self.n_quotes = n_quotes
        self.n_angles = n_angles

    def read(self, text: bytes) -> tuple[NDArray[np.int64], dict[str, Numbers]]:
        """Return where rows start, and their numbers by attribute.

        Parameters
        ----------
        text : bytes
            Whole rows.
        """
        codes = np.frombuffer(text, dtype=np.uint8)
        quotes = np.flatnonzero(codes == ord('"')).reshape(-1, self.n_quotes)
        starts = np.flatnonzero(codes == ord("<"))[:: self.n_angles]
        columns: dict[str, Numbers] = {}
        for field in self.fields:
            first = quotes[:, field.quote] + 1 + field.before
            last = quotes[:, field.quote + 1] - field.after
            read = _whole_numbers if field.form is _WHOLE else _decimals
            columns[field.name] = read(codes, first, last)
        return starts, columns


def layout_of(row: bytes) -> Layout | None:
    """Return the layout of an element, or None if it is not written plainly.

    Parameters
    ----------
    row : bytes
        The whole element.
    """
    if not row.isascii() or any(mark in row for mark in (b"'", b"&", b"<!")):
        return None
    pattern, end = [rb"\s*"], 0
    fields: list[_Field] = []
    for attribute in _ATTRIBUTE.finditer(row):
        name, value = attribute[1].decode(), attribute[2]
        form = _FORMS.get(name)
        if form is None or any(field.name == name for field in fields):
            continue
        parts = form[0].fullmatch(value)
        if parts is None:
            return None
        start = attribute.start(2)
        pattern += [re.escape(row[end : start + parts.end(1)]), form[1]]
        end = start + parts.start(3)
        quote = row.count(b'"', 0, start) - 1
        fields.append(_Field(name, form[1], quote, parts.end(1), len(parts[3])))
    pattern.append(re.escape(row[end:]))
    rows = re.compile(b"(?:" + b"".join(pattern) + b")*+")
    return Layout(rows, tuple(fields), row.count(b'"'), row.count(b"<"))


def around_number(attribute: str, value: str) -> tuple[str, str]:
    """Return what stands before and after the number in an attribute of which tables have one.

    Parameters
    ----------
    attribute : str
    value : str
        Of the element before the table.
    """
    parts = _FORMS[attribute][0].fullmatch(value.encode())
    if parts is None:
        raise InternalError(f"{attribute}='{value}' holds no number of a list")
    return parts[1].decode(), parts[3].decode()


def _whole_numbers(
    codes: NDArray[np.uint8], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the numbers that are written from `first` up to `last`."""
    found = np.zeros(first.size, dtype=np.int32)
    for place in range(int((last - first).max())):
        at = first + place
        more = at < last
        digit = codes[np.where(more, at, first)] - np.uint8(ord("0"))
        found = np.where(more, found * 10 + digit, found).astype(np.int32)
    return found


def _decimals(
    codes: NDArray[np.uint8], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the decimal numbers, rounded once, that are written from `first` up to `last`."""
    size = first.size
    digits = np.zeros(size, dtype=np.int64)
    decimals = np.zeros(size, dtype=np.int64)
    after_point = np.zeros(size, dtype=bool)
    slow = last - first > 18  # may not fit
    for place in range(int(min((last - first).max(), 18))):
        at = first + place
        code = np.where(at < last, codes[np.minimum(at, last - 1)], 0)
        is_digit = (code >= ord("0")) & (code <= ord("9"))
        digits = np.where(is_digit, digits * 10 + (code - ord("0")), digits)
        decimals += is_digit & after_point
        after_point |= code == ord(".")
        slow |= (code == ord("e")) | (code == ord("E"))
    slow |= (digits > _EXACT) | (decimals > _EXACT_POWER)
    values = digits / 10.0 ** np.minimum(decimals, _EXACT_POWER)  # both exact, so rounded once
    values[codes[first] == ord("-")] *= -1.0
    text = codes.data
    for row in np.flatnonzero(slow).tolist():
        values[row] = float(bytes(text[first[row] : last[row]]))
    return values


class Table:
    """The elements that follow one of a list and are written as it is.

    Parameters
    ----------
    make : callable
        Makes the element that starts at a byte offset.
    """

    def __init__(self, make: Callable[[int], Element]) -> None:
        self._make = make
        self.size = 0
        self.columns: dict[str, Numbers] = {}
        self._first = 0  # where the first row starts
        self._further: NDArray[np.unsignedinteger[Any]] = np.empty(0, dtype=np.uint32)
        self._blocks: list[tuple[NDArray[np.int64], dict[str, Numbers]]] = []

    def element(self, row: int) -> Element:
        """Make the element of a row, for messages, or where the list has a meaning of its own."""
        return self._make(self._first + int(self._further[row]))

    def append(self, starts: NDArray[np.int64], columns: dict[str, Numbers]) -> None:
        """Add rows, until `close` is called.

        Parameters
        ----------
        starts : int array (n,)
            Byte offsets of their ``<``, ascending.
        columns : dict of str to array (n,)
            Their numbers by attribute; of a cell's path, that of the cell.
        """
        self._blocks.append((starts, {name: shortest(item) for name, item in columns.items()}))
        self.size += starts.size

    def close(self) -> None:
        """Make one array of each column; of size 1 where all rows have the same number."""
        sizes = [starts.size for starts, _ in self._blocks]
        for name in tuple(self._blocks[0][1]):
            parts = [columns.pop(name) for _, columns in self._blocks]
            if all(part.size == 1 and part[0] == parts[0][0] for part in parts):
                self.columns[name] = parts[0]
            else:
                whole = [np.broadcast_to(part, n) for part, n in zip(parts, sizes, strict=True)]
                self.columns[name] = np.concatenate(whole)
        starts = np.concatenate([starts for starts, _ in self._blocks])
        self._first = int(starts[0])
        starts -= self._first
        self._further = starts.astype(np.min_scalar_type(int(starts[-1])))
        self._blocks.clear()


def shortest(numbers: Numbers) -> Numbers:
    """Return numbers (n,), or the one (1,) that all are.

    Parameters
    ----------
    numbers : array (n,)
        At least one.
    """
    return numbers[:1].copy() if (numbers == numbers[0]).all() else numbers


class Parser(Protocol):
    """An XML parser that can leave out what stands between two elements."""

    def parse(self, text: bytes) -> None:
        """Parse the next piece of the text."""

    def skip(self, text: bytes) -> None:
        """Leave out the next piece of the text."""

    def closed_at(self, start: int) -> Element | None:
        """Return the element that ends all that was parsed, if it starts at a byte offset."""

    def element(self, start: int) -> Element:
        """Return the element that starts at a byte offset, once all is read."""


class ListReader:
    """Takes the rows of lists out of a text on its way to an XML parser.

    Parameters
    ----------
    parser : Parser
    """

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._offset = 0  # of what is next, in bytes
        self._rest = b""  # it may be part of a row
        self._form = b""  # how the last row was written
        self._layout: Layout | None = None
        self._open: tuple[Element, Layout] | None = None

    def read(self, text: bytes, *, is_last: bool) -> None:
        """Read the next piece of the text."""
        text, self._rest = self._rest + text, b""
        place = 0
        while True:
            if self._open is not None:
                place = self._take_rows(text, place, *self._open)
                if len(text) - place < _LONGEST and not is_last:
                    self._rest = text[place:]
                    return
                self._close()
            row = ROW.search(text, place)
            if row is None:
                self._pass_on(text[place:])
                return
            start = self._offset + row.start() - place
            follows = not text[place : row.start()].strip()
            self._pass_on(text[place : row.end()])
            place = row.end()
            self._recognise(row[0], start, follows=follows)

    def _recognise(self, row: bytes, start: int, *, follows: bool) -> None:
        """Open a table if a row follows one that is written the same way."""
        element = self._parser.closed_at(start)
        form = _NUMBER.sub(b"0", row)
        if element is None or form != self._form or not follows:
            self._form = form
            return
        if self._layout is None or not self._layout.rows.fullmatch(row):
            self._layout = layout_of(row)
        if self._layout is not None:
            self._open = (element, self._layout)

    def _take_rows(self, text: bytes, place: int, element: Element, layout: Layout) -> int:
        """Add the rows that come next to the table, and return where they end."""
        match = layout.rows.match(text, place)
        rows = match[0] if match else b""
        if rows:
            starts, columns = layout.read(rows)
            if element.rows is None:
                element.rows = Table(self._parser.element)
            element.rows.append(starts + self._offset, columns)
            self._parser.skip(rows)
            self._offset += len(rows)
        return place + len(rows)

    def _close(self) -> None:
        if self._open is not None and self._open[0].rows is not None:
            self._open[0].rows.close()
        self._open = None

    def _pass_on(self, text: bytes) -> None:
        self._parser.parse(text)
        self._offset += len(text)
