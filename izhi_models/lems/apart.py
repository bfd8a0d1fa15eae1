"""Connections to a segment that are recorded one by one: ``pop[0]/3/synapses:ampa:1/g``.

Connections through one synapse act on a compartment as one. Those that a path names are given a
synapse for themselves, under a name that no file can have.

Source: the paths of NeuroML's examples of cells with several segments: list, synapse, and the
place among the connections through it that end on the segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from izhi_models.lems.targets import CELL
from izhi_models.network import Population, Projection

_MEMBER = re.compile(r"/(?P<segment>\d+)/(?:[^:/]+:)?(?P<synapse>[^:/]+):(?P<number>\d+)/")


@dataclass(frozen=True)
class Watched:
    """One connection of a cell.

    Parameters
    ----------
    population : str
    cell : int
    segment : int
    synapse : str
    number : int
        Place among the connections through the synapse to the segment.
    """

    population: str
    cell: int
    segment: int
    synapse: str
    number: int

    @property
    def name(self) -> str:
        """The name of the synapse that it has for itself."""
        return f"{self.synapse}:{self.segment}:{self.number}"


def watched(paths: Iterable[str], populations: Mapping[str, Population]) -> list[Watched]:
    """Return the connections to segments that paths name.

    Parameters
    ----------
    paths : iterable of str
        Others are passed over.
    populations : mapping of str to Population
    """
    found: dict[Watched, None] = {}
    for path in paths:
        for cell in CELL.finditer(path):
            population = populations.get(cell["population"])
            member = _MEMBER.match(path, cell.end())
            if member and population is not None and population.compartments is not None:
                index = int(cell["index"] or cell["instance"])
                number = int(member["number"])
                segment = int(member["segment"])
                one = Watched(population.id, index, segment, member["synapse"], number)
                found[one] = None
    return list(found)


def set_apart(
    projections: Sequence[Projection], wanted: Sequence[Watched], n_cells: Mapping[str, int]
) -> list[Projection]:
    """Return projections from which some connections are taken, each as one of its own.

    Parameters
    ----------
    projections : sequence of Projection
        With `Projection.post_segments`; cells are numbered in blocks.
    wanted : sequence of Watched
        Connections that are not there are passed over.
    n_cells : mapping of str to int
        Of each population.
    """
    taken: dict[int, dict[int, Watched]] = {}
    for one in wanted:
        found = _find(projections, one, n_cells)
        if found is not None:
            taken.setdefault(found[0], {})[found[1]] = one
    result: list[Projection] = []
    for place, projection in enumerate(projections):
        own = taken.get(place)
        if own is None:
            result.append(projection)
            continue
        kept = np.ones(projection.size, dtype=bool)
        kept[list(own)] = False
        if kept.any():
            result.append(projection.some(np.flatnonzero(kept)))
        for number, one in own.items():
            apart = projection.some(np.array([number]))
            result.append(replace(apart, synapse=one.name))
    return result


def _find(
    projections: Sequence[Projection], one: Watched, n_cells: Mapping[str, int]
) -> tuple[int, int] | None:
    """Return the place of a connection: its projection, and its number in that."""
    before = 0
    for place, projection in enumerate(projections):
        if projection.post == one.population and projection.synapse == one.synapse:
            segments = projection.post_segments
            on_cell = projection.post_cells % n_cells[one.population] == one.cell
            here = np.flatnonzero(on_cell & (segments == one.segment))
            if one.number - before < here.size:
                return place, int(here[one.number - before])
            before += here.size
    return None
