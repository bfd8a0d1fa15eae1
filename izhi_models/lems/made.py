"""Elements of a list that come from arrays, not from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from izhi_models.errors import Source
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.tables import Numbers, Table


def table_after_first(
    place: Path, size: int, columns: Mapping[str, Numbers], write: Callable[[int], str]
) -> Table:
    """Return all elements of a list but the first, which stands in a document as such.

    Parameters
    ----------
    place : Path
        For messages, in which the line is the number of the element.
    size : int
        Number of elements, the first included.
    columns : mapping of str to array (size,)
        Their numbers by attribute; of a cell's path, that of the cell.
    write : callable
        Returns an element, by its number, as XML.
    """

    def make(row: int) -> Element:
        text = "\n" * row + write(row)
        return Document(Source(place, text), [text.encode("utf-8")]).root

    table = Table(make)
    table.append(np.arange(1, size), {name: numbers[1:] for name, numbers in columns.items()})
    table.close()
    return table
