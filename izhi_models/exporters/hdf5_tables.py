"""Lists of a network as tables of numbers, which is how NeuroML's HDF5 format keeps them.

Source: NeuroML 2, HDF5 format, as libNeuroML reads it: the names of the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InternalError, UnsupportedError
from izhi_models.exporters.markup import MARK, Columns, Listing, Markup, Node
from izhi_models.lems.targets import CELL
from izhi_models.units import Unit, parse_quantity

_WITHOUT_MEANING = {"metaid", "neuroLexId"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
    attributes : tuple of str
        Of the elements, that hold it in lists of several kinds.
    default : float, optional
        What an element without it means. A column of nothing else is left out.
    is_kept : bool
        Keep it nevertheless if an element says it.
    """

    name: str
    attributes: tuple[str, ...]
    default: float | None = None
    is_kept: bool = False


def _end(end: str, *cells: str) -> tuple[Column, ...]:
    return (
        Column(f"{end}_cell_id", cells),
        Column(f"{end}_segment_id", (f"{end}SegmentId", f"{end}Segment"), 0.0),
        Column(f"{end}_fraction_along", (f"{end}FractionAlong",), 0.5),
    )


_WEIGHT = Column("weight", ("weight",), 1.0, is_kept=True)
PLACES = tuple(Column(axis, (axis,), 0.0, is_kept=True) for axis in "xyz")
CONNECTIONS = (
    *_end("pre", "preCellId", "preCell", "from"),
    *_end("post", "postCellId", "postCell", "to"),
    _WEIGHT,
    Column("delay", ("delay",), 0.0, is_kept=True),
)
INPUTS = (
    Column("target_cell_id", ("target",)),
    Column("segment_id", ("segmentId",), 0.0),
    Column("fraction_along", ("fractionAlong",), 0.5),
    _WEIGHT,
)


def blocks(children: Iterable[Node]) -> Iterator[tuple[Markup, int, Columns]]:
    """Yield the elements of a list, as `Listing.blocks` does; text is passed over."""
    for child in children:
        if isinstance(child, Listing):
            yield from child.blocks()
        elif isinstance(child, Markup):
            yield child, 1, {}


class Table:
    """Rows that are gathered.

    Parameters
    ----------
    name : str
        What the list is called, for messages.
    columns : tuple of Column
    words : set of str
        Attributes that are not in the table, but the same for all of it.
    units : mapping of str to Unit
    """

    def __init__(
        self, name: str, columns: tuple[Column, ...], words: set[str], units: Mapping[str, Unit]
    ) -> None:
        self._name = name
        self._columns = columns
        self._units = units
        known = {attribute for column in columns for attribute in column.attributes}
        self._known = known | words | _WITHOUT_MEANING | {"id"}
        self._parts: dict[str, list[NDArray[Any]]] = {column.name: [] for column in columns}
        self._given: set[str] = set()
        self._ids: list[NDArray[Any]] = []
        self._sizes: list[int] = []

    @property
    def size(self) -> int:
        """Number of rows."""
        return sum(self._sizes)

    def add(self, form: Markup, size: int, columns: Columns) -> None:
        """Add elements of one form: see `Listing`.

        Raises
        ------
        UnsupportedError
            If they say what the format does not hold.
        """
        texts = {name: text for item in form.walk() for name, text in item.attributes.items()}
        unknown = sorted(texts.keys() - self._known)
        if unknown:
            raise UnsupportedError(
                f"<{form.tag}> of '{self._name}' has '{unknown[0]}', "
                "which NeuroML's HDF5 format does not hold"
            )
        for column in self._columns:
            name = next((item for item in column.attributes if item in texts), None)
            if name is None:
                values = np.array([column.default], dtype=np.float64)
            else:
                values = self._numbers(name, texts[name], columns.get(name))
                self._given.add(column.name)
            self._parts[column.name].append(values)
        self._ids.append(self._id_numbers(texts.get("id", ""), size, columns.get("id")))
        self._sizes.append(size)

    def _id_numbers(self, text: str, size: int, numbers: NDArray[Any] | None) -> NDArray[Any]:
        if numbers is None and text.isdecimal():
            return np.array([int(text)])
        return np.arange(self.size, self.size + size) if numbers is None else numbers

    def _numbers(self, name: str, text: str, numbers: NDArray[Any] | None) -> NDArray[Any]:
        """Return the numbers of an attribute, (n,) or (1,)."""
        if name == "delay":
            return self._milliseconds(text, numbers)
        return np.array([_number(text)]) if numbers is None else numbers

    def _milliseconds(self, text: str, numbers: NDArray[Any] | None) -> NDArray[Any]:
        """Return times such that the same seconds are read again, as far as there are any."""
        symbol = parse_quantity(text.replace(MARK, "1"), self._units).symbol
        if numbers is None:
            numbers = np.array([float(text.strip().removesuffix(symbol))])
        if symbol == "ms":
            return numbers
        distinct, which = np.unique(numbers, return_inverse=True)
        seconds = (self._units[symbol].to_si(repr(value)) for value in distinct.tolist())
        return np.array([float(Decimal(repr(item)).scaleb(3)) for item in seconds])[which]

    def columns(self, always: Iterable[str] = ()) -> dict[str, NDArray[Any]]:
        """Return the numbers by column, (n,) or (1,), of those columns that say anything.

        Parameters
        ----------
        always : iterable of str
            Columns to return in any case.
        """
        found = {}
        wanted = set(always)
        ids = self._joined(self._ids)
        if "id" in wanted or not np.array_equal(ids, np.arange(self.size)):
            found["id"] = ids
        for column in self._columns:
            parts = self._parts[column.name]
            says_more = any((part != column.default).any() for part in parts)
            if (
                says_more
                or column.name in wanted
                or (column.is_kept and column.name in self._given)
            ):
                found[column.name] = self._joined(parts)
        return found

    def _joined(self, parts: list[NDArray[Any]]) -> NDArray[Any]:
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(
            [np.broadcast_to(part, n) for part, n in zip(parts, self._sizes, strict=True)]
        )


def _number(text: str) -> float:
    """Return a number, or that of a cell in a path."""
    path = CELL.fullmatch(text)
    return float(text if path is None else path["index"] or path["instance"])


def population_of(path: str) -> str:
    """Return the population in the path of a cell."""
    found = CELL.fullmatch(path.replace(MARK, "0"))
    if found is None:
        raise InternalError(f"'{path}' is no path of a cell")
    return found["population"]
