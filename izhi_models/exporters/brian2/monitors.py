"""What is recorded, as `StateMonitor` of Brian2: few monitors, and where each trace is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = Callable[[str, NDArray[Any]], str]


@dataclass(frozen=True)
class Variable:
    """What a monitor can record.

    Parameters
    ----------
    owner : str
        Identifier of the group or the synapses.
    size : int
        Number of cells or connections there.
    name : str
        Identifier of the variable.
    is_state : bool
        Whether it is a state, whose value at the end of the step counts; what follows from states
        is computed at the start.
    """

    owner: str
    size: int
    name: str
    is_state: bool


@dataclass(frozen=True)
class Column:
    """One column of one trace.

    Parameters
    ----------
    label : str
        Of the trace.
    period : int
        In steps.
    cell : int
        In its population.
    variable : Variable
    place : int
        Number of the cell or connection in the owner.
    """

    label: str
    period: int
    cell: int
    variable: Variable
    place: int


def monitor_lines(columns: Iterable[Column], numbers: Numbers) -> tuple[list[str], list[str]]:
    """Return the lines that make monitors, and the items of the list of traces.

    Parameters
    ----------
    columns : iterable of Column
    numbers : callable
        Returns the text of an array, given a name for it.
    """
    wanted: dict[Variable, set[int]] = {}
    traces: dict[tuple[str, int, Variable], list[Column]] = {}
    for item in columns:
        wanted.setdefault(item.variable, set()).add(item.place)
        traces.setdefault((item.label, item.period, item.variable), []).append(item)
    lines, monitor_of = _monitors(wanted, numbers)
    items = []
    for (label, period, variable), found in traces.items():
        there = numbers(f"{label}_there", np.array([item.place for item in found]))
        here = numbers(f"{label}_here", np.array([item.cell for item in found]))
        items.append(
            f'("{label}", {monitor_of[variable]}, "{variable.name}", {there}, {period}, {here}),'
        )
    return lines, items


def _monitors(
    wanted: dict[Variable, set[int]], numbers: Numbers
) -> tuple[list[str], dict[Variable, str]]:
    """Return monitors, each of all variables of which the same cells are recorded."""
    shared: dict[tuple[str, bool, tuple[int, ...]], list[Variable]] = {}
    for variable, places in wanted.items():
        key = (variable.owner, variable.is_state, tuple(sorted(places)))
        shared.setdefault(key, []).append(variable)
    names = _names([owner for owner, _, _ in shared])
    lines, found = [], {}
    for (owner, is_state, chosen), variables in shared.items():
        name = next(names)
        found.update(dict.fromkeys(variables, name))
        listed = ", ".join(f'"{item.name}"' for item in variables)
        which = (
            "True"
            if len(chosen) == variables[0].size
            else numbers(f"{name}_cells", np.array(chosen))
        )
        when = 'when="end"' if is_state else 'when="before_groups", order=1'
        lines.append(f"{name} = StateMonitor({owner}, [{listed}], record={which}, {when})")
    return lines, found


def _names(owners: list[str]) -> Iterator[str]:
    for place, owner in enumerate(owners):
        count = owners[: place + 1].count(owner)
        yield f"{owner}_trace" + (f"_{count}" if owners.count(owner) > 1 else "")
