"""What an input or a connection is attached to: the cell, the list of the cell, the exposure.

Source: NeuroML 2, paths; LEMS, Attachments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, suggest
from izhi_models.ir.dynamics import Dynamics, OnCondition, OnEvent
from izhi_models.lems.components import Component
from izhi_models.lems.lists import Gathered, Rows
from izhi_models.lems.segments import read_fraction
from izhi_models.network import Population

# A cell in a path: pop[0], ../pop[0], pop/0/component.
CELL = re.compile(
    r"(?:\.\./)*(?P<population>[^\[\]/]+)"
    r"(?:\[(?P<index>\d+)\]|/(?P<instance>\d+)(?:/(?P<component>[^/]+))?)"
)

_MIDDLE = 0.5  # of a segment, where no fraction is given


def find_cell(
    component: Component, attribute: str, populations: dict[str, Population]
) -> tuple[Population, int]:
    """Resolve the path of a cell, such as ``pop[0]`` or ``../pop/0/cell``.

    Parameters
    ----------
    component : Component
    attribute : str
        That holds the path.
    populations : dict of str to Population

    Returns
    -------
    Population, int

    Raises
    ------
    InputError
        If there is no such cell.
    """
    population, index = read_path(component, attribute, populations)
    check_index(component, attribute, population, index)
    return population, index


def read_path(
    component: Component, attribute: str, populations: dict[str, Population]
) -> tuple[Population, int]:
    """Do as `find_cell`, but leave open whether the population is so large.

    Raises
    ------
    InputError
        If there is no such population, or its cells are others.
    """
    text = component.texts.get(attribute, "")

    def fault(message: str, *notes: str) -> InputError:
        return InputError(Diagnostic(message, component.element.attribute_span(attribute), notes))

    match = CELL.fullmatch(text)
    if match is None:
        raise fault(f"'{text}' is no path of a cell", "write population[0]")
    name = match["population"]
    if name not in populations:
        raise fault(f"no population has the id '{name}'", *suggest(name, populations))
    population = populations[name]
    if match["component"] not in (None, population.component):
        raise fault(
            f"the cells of '{name}' are '{population.component}', not '{match['component']}'"
        )
    return population, int(match["index"] or match["instance"])


def check_index(component: Component, attribute: str, population: Population, index: int) -> None:
    """Raise unless a population has a cell.

    Parameters
    ----------
    component : Component
    attribute : str
        That names the cell.
    population : Population
    index : int

    Raises
    ------
    InputError
    """
    if index >= population.size:
        raise InputError(
            Diagnostic(
                f"'{population.id}' has {population.size} cells, numbered from 0: "
                f"there is no cell {index}",
                component.element.attribute_span(attribute),
            )
        )


@dataclass(frozen=True)
class End:
    """The attributes that name a cell and a place on it.

    Parameters
    ----------
    cell, segment, fraction : str
    """

    cell: str
    segment: str
    fraction: str


class Sites:
    """Where on the cells of a population inputs or connections of a list end.

    Parameters
    ----------
    population : Population
    end : End
    """

    def __init__(self, population: Population, end: End) -> None:
        self.population = population
        self.end = end
        self._cells = Gathered(np.int32)
        self._segments = Gathered(np.int32)
        self._fractions = Gathered(np.float64)

    def add(self, component: Component, cell: int) -> None:
        """Add the site of a component, checked, and those of the rows that follow it."""
        self._cells.add(component, self.end.cell, cell)
        if self.population.compartments is not None:
            segment = component.element.get(self.end.segment) or "0"
            self._segments.add(component, self.end.segment, int(segment))
            fraction = read_fraction(component, self.end.fraction, _MIDDLE)
            self._fractions.add(component, self.end.fraction, fraction)

    def segments(self) -> NDArray[np.int32] | None:
        """Return the segments (n,), or None for cells of one compartment."""
        return None if self.population.compartments is None else self._segments.array()

    def array(self) -> NDArray[np.int32]:
        """Return the numbers of the cells (n,), those of compartments in blocks.

        The number of a cell, plus that of the compartment times the number of cells.
        """
        cells: NDArray[np.int32] = self._cells.array()
        compartments = self.population.compartments
        if compartments is None:
            return cells
        sites = np.stack([self._segments.array(), self._fractions.array()], axis=1)
        distinct, which = np.unique(sites, axis=0, return_inverse=True)
        places = [compartments.place(int(segment), at) for segment, at in distinct.tolist()]
        found = np.array(places, dtype=np.int32)[which.reshape(-1)]
        return cells + found * np.int32(compartments.size)


def check_site(component: Component, population: Population, end: End) -> None:
    """Raise unless a cell has the place that an input or a connection names.

    Parameters
    ----------
    component : Component
    population : Population
    end : End

    Raises
    ------
    InputError
        If a cell of several compartments has no such segment.
    UnsupportedError
        If a cell of one has not.
    """
    text = component.element.get(end.segment) or "0"
    compartments = population.compartments
    if compartments is None:
        if text != "0":
            what = "an input" if end.segment == "segmentId" else "a connection"
            message = f"{what} to a segment other than 0 cannot be run"
            span = component.element.attribute_span(end.segment)
            raise UnsupportedError(Diagnostic(message, span))
        return
    read_fraction(component, end.fraction, _MIDDLE)
    if not text.isdecimal() or not compartments.has_segment(int(text)):
        message = f"'{population.component}' has no segment {text}"
        raise InputError(Diagnostic(message, component.element.attribute_span(end.segment)))


def without_site(rows: Rows, population: Population, end: End) -> NDArray[np.bool_]:
    """Tell for each row (n,) or (1,) whether `check_site` would raise.

    Parameters
    ----------
    rows : Rows
    population : Population
    end : End
    """
    segments = rows.column(end.segment)
    if segments is None:
        return np.zeros(1, dtype=bool)
    compartments = population.compartments
    if compartments is None:
        return np.asarray(segments != 0)
    known = [item for item in np.unique(segments) if compartments.has_segment(int(item))]
    return ~np.isin(segments, known)


def find_population(
    component: Component, attribute: str, populations: dict[str, Population]
) -> Population:
    """Return the population whose id an attribute holds.

    Parameters
    ----------
    component : Component
    attribute : str
    populations : dict of str to Population

    Raises
    ------
    InputError
        If there is no such population.
    """
    name = component.texts.get(attribute, "")
    if name not in populations:
        span = component.element.attribute_span(attribute)
        raise InputError(
            Diagnostic(f"no population has the id '{name}'", span, suggest(name, populations))
        )
    return populations[name]


def sent_ports(dynamics: Dynamics) -> set[str]:
    """Return the ports of a cell, not of its parts, on which it sends events.

    Parameters
    ----------
    dynamics : Dynamics
        Without regimes.
    """
    blocks: tuple[OnCondition | OnEvent, ...] = (*dynamics.conditions, *dynamics.on_events)
    return {port for block in blocks for port in block.events if "/" not in port}


def attachment_of(
    component: Component, population: Population, attribute: str = "destination"
) -> str:
    """Return the list of a cell to which something is attached.

    Parameters
    ----------
    component : Component
        Input or connection.
    population : Population
    attribute : str
        That names the list, if the component has it; else it is the first.

    Raises
    ------
    InputError
        If the cell has no list, or none of this name.
    """
    names = [item.name for item in population.dynamics.attachments]
    wanted = component.texts.get(attribute)
    if wanted in names:
        return wanted
    if not names:
        raise InputError(
            Diagnostic(
                f"'{population.component}', a {population.dynamics.name}, takes no inputs",
                component.span,
                ("its ComponentType has no Attachments",),
            )
        )
    if wanted:
        raise InputError(
            Diagnostic(
                f"'{population.component}' has no attachments '{wanted}'",
                component.element.attribute_span(attribute),
                suggest(wanted, names),
            )
        )
    return names[0]


def check_gathered(
    component: Component, source: Component, population: Population, attachment: str
) -> None:
    """Raise unless a component exposes what the cell adds up.

    Parameters
    ----------
    component : Component
        Input or connection.
    source : Component
        What is attached.
    population : Population
    attachment : str

    Raises
    ------
    InputError
    """
    for gather in population.dynamics.gathers:
        if gather.attachment != attachment or gather.exposure in source.type.exposures:
            continue
        shown = ", ".join(source.type.exposures) or "nothing"
        raise InputError(
            Diagnostic(
                f"'{source.id}', a {source.type.name}, exposes {shown}, but "
                f"{population.dynamics.name} adds up '{gather.exposure}'",
                component.element.span,
                (f"take an input that exposes '{gather.exposure}'",),
            )
        )
