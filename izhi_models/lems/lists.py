"""Components of a list as arrays, after the first ones, which say with words what all are.

What is wrong is found in the arrays, and told of components that are made for it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from izhi_models.errors import Diagnostic, InputError, raise_if_errors
from izhi_models.lems.tables import Numbers, shortest
from izhi_models.units import Unit, parse_quantity

if TYPE_CHECKING:
    from izhi_models.lems.components import Component
    from izhi_models.lems.tables import Table

_TOLD = 20  # faults of one kind that are told of one list
_AT_ONCE = 2**16  # numbers that are Python objects at the same time


@dataclass(frozen=True)
class Rows:
    """What follows a component in a list. All that is not here is as in that component.

    Parameters
    ----------
    table : Table
    values : dict of str to array (n,) or (1,)
        Parameters and properties. [SI]
    component : callable
        Makes the component of a row: for messages.
    """

    table: Table
    values: dict[str, NDArray[np.float64]]
    component: Callable[[int], Component]

    @property
    def size(self) -> int:
        """Number of components."""
        return self.table.size

    def column(self, attribute: str) -> Numbers | None:
        """Return the numbers (n,) or (1,) of an attribute, or None if it has none.

        Parameters
        ----------
        attribute : str
            A quantity, in SI, or the path of a cell: its number.
        """
        return self.values.get(attribute, self.table.columns.get(attribute))

    def share(self, attribute: str, numbers: NDArray[Any]) -> None:
        """Take the numbers of an attribute from an array that was made of them.

        So a list of millions is in memory once.

        Parameters
        ----------
        attribute : str
        numbers : array (n,)
            Equal to those of the attribute.
        """
        own = self.column(attribute)
        if own is None or own.dtype != numbers.dtype or own.size != numbers.size:
            return
        for columns in (self.values, self.table.columns):
            if columns.get(attribute) is own:
                columns[attribute] = numbers

    def outside(self, limits: Mapping[str, int]) -> NDArray[np.bool_]:
        """Tell for each row (n,) or (1,) whether a number is greater than it may be.

        Parameters
        ----------
        limits : mapping of str to int
            The greatest number, by attribute.
        """
        found = np.zeros(1, dtype=bool)
        for attribute, limit in limits.items():
            column = self.column(attribute)
            if column is not None:
                found = found | (column > limit)
        return found

    def faults(
        self, found: NDArray[np.bool_], explain: Callable[[Component], object]
    ) -> list[Diagnostic]:
        """Return what is wrong with the components of some rows; of many, the first.

        Parameters
        ----------
        found : bool array (n,) or (1,)
            Where something is wrong.
        explain : callable
            Raises `InputError` for such a component.
        """
        told: list[Diagnostic] = []
        chosen = np.flatnonzero(np.broadcast_to(found, self.size))
        for row in chosen[:_TOLD].tolist():
            try:
                explain(self.component(row))
            except InputError as error:
                told.extend(error.diagnostics)
        return _with_count(told, chosen.size)


def check_list(
    component: Component,
    check: Callable[[Component], object],
    find: Callable[[Rows], NDArray[np.bool_]],
) -> None:
    """Check a component and the rows that follow it.

    Parameters
    ----------
    component : Component
    check : callable
        Raises `InputError` for a component that is wrong.
    find : callable
        Tells for which rows (n,) or (1,) it would.

    Raises
    ------
    InputError
        With all faults; of many, the first.
    """
    faults: list[Diagnostic] = []
    try:
        check(component)
    except InputError as error:
        faults.extend(error.diagnostics)
    if component.rows is not None:
        found = find(component.rows)
        if found.any():
            faults.extend(component.rows.faults(found, check))
    raise_if_errors(faults)


def as_in_rows(fault: Diagnostic, n_rows: int) -> Diagnostic:
    """Say with a fault of an element how many follow that are written as it is.

    Parameters
    ----------
    fault : Diagnostic
    n_rows : int
    """
    more = "1 more that follows is" if n_rows == 1 else f"{n_rows} more that follow are"
    return replace(fault, notes=(*fault.notes, f"{more} written so")) if n_rows else fault


def _with_count(told: list[Diagnostic], n_found: int) -> list[Diagnostic]:
    """Say with the last of the faults how many there are besides."""
    if n_found > _TOLD and told:
        more = f"{n_found - _TOLD} more of the list are wrong in such a way"
        told[-1] = replace(told[-1], notes=(*told[-1].notes, more))
    return told


def row_values(
    first: Component, table: Table, units: Mapping[str, Unit]
) -> dict[str, NDArray[np.float64]]:
    """Return the values of the rows of a table.

    Parameters
    ----------
    first : Component
        The one before them, which has the same units.
    table : Table
    units : mapping of str to Unit

    Returns
    -------
    dict of str to array (n,) or (1,)
        [SI]
    """
    values: dict[str, NDArray[np.float64]] = {}
    for name in first.values.keys() & table.columns.keys():
        numbers = table.columns[name].astype(np.float64, copy=False)
        symbol = parse_quantity(first.element.attributes[name], units).symbol
        values[name] = _to_si(numbers, units[symbol]) if symbol else numbers
    return values


def _to_si(numbers: NDArray[np.float64], unit: Unit) -> NDArray[np.float64]:
    """Scale numbers as they would be one by one, each rounded once."""
    scaled = np.empty_like(numbers)
    for start in range(0, numbers.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        distinct, which = np.unique(numbers[part], return_inverse=True)
        scaled[part] = np.array([unit.to_si(repr(number)) for number in distinct.tolist()])[which]
    return scaled


def count(components: Sequence[Component]) -> int:
    """Return how many components a list has, with those in rows."""
    return sum(1 + (item.rows.size if item.rows is not None else 0) for item in components)


class Gathered:
    """Numbers of the components of a list, in order.

    Parameters
    ----------
    dtype : data type
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = dtype
        self._blocks: list[list[float] | tuple[Rows, str, NDArray[Any]]] = []

    def add(self, component: Component, attribute: str, own: float) -> None:
        """Add a number of a component, and those of the rows that follow it.

        Parameters
        ----------
        component : Component
        attribute : str
            Of which the rows have numbers; else they have that of the component.
        own : float
            The number of the component.
        """
        if not self._blocks or not isinstance(self._blocks[-1], list):
            self._blocks.append([])
        self._blocks[-1].append(own)  # type: ignore[union-attr]
        if component.rows is not None:
            column = component.rows.column(attribute)
            shown = np.array([own]) if column is None else column
            self._blocks.append((component.rows, attribute, shown))

    def array(self) -> NDArray[Any]:
        """Return the numbers (n,)."""
        sizes = [len(block) if isinstance(block, list) else block[0].size for block in self._blocks]
        numbers = np.empty(sum(sizes), self._dtype)
        start = 0
        for block, size in zip(self._blocks, sizes, strict=True):
            part = numbers[start : start + size]
            start += size
            if isinstance(block, list):
                part[:] = block
            else:
                rows, attribute, column = block
                part[:] = column
                rows.share(attribute, part)
        return numbers

    def shortest(self) -> NDArray[Any]:
        """Return the numbers (n,), or the one (1,) that all have."""
        return shortest(self.array())


def check_ids(
    components: Sequence[Component], tell: Callable[[Component, Component], Diagnostic]
) -> list[Diagnostic]:
    """Return a fault for each component of a list with rows whose id was used before.

    Parameters
    ----------
    components : sequence of Component
        Ids that are no plain numbers are passed over.
    tell : callable
        Makes the fault, of the component and the first one with its id.
    """
    gathered = Gathered(np.int64)
    for component in components:
        gathered.add(component, "id", _plain_number(component.id))
    ids = gathered.array()
    if (np.diff(ids) > 0).all():  # numbered in order, as nearly all are
        return []
    _, firsts, which = np.unique(ids, return_index=True, return_inverse=True)
    first = firsts[which]
    again = np.flatnonzero((first != np.arange(ids.size)) & (ids >= 0))
    starts = list(itertools.accumulate((count([item]) for item in components), initial=0))

    def member(index: int) -> Component:
        number = bisect.bisect_right(starts, index) - 1
        component, row = components[number], index - starts[number] - 1
        return component if row < 0 or component.rows is None else component.rows.component(row)

    told = [tell(member(index), member(int(first[index]))) for index in again[:_TOLD].tolist()]
    return _with_count(told, again.size)


def _plain_number(text: str) -> int:
    """Return the number that a text is, or -1."""
    return int(text) if text.isdecimal() and text == str(int(text)) else -1
