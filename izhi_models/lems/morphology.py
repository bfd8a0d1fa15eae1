"""The shape of a cell as compartments: their areas, and the conductances between them.

Pure geometry: lengths in um, areas in um2, resistances in units of resistivity per um.

An unbranched group of segments, a cable, is divided into parts of equal length, each one
compartment, whose potential stands at its middle; a segment in no such group is a cable by itself.
Between the middles of neighbours lies the resistance of the frusta in between. Where several
cables meet at an end, the point between them has no membrane, and its potential follows from
those around it: it is eliminated.

Source: NeuroML 2, segment, segmentGroup, property numberInternalDivisions; Hines and Carnevale,
Neural Computation 9, 1179 (1997), the discretisation of NEURON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Segment:
    """A frustum, or a sphere if both ends are one point.

    Parameters
    ----------
    id : int
    proximal, distal : (float, float, float)
        [um]
    proximal_diameter, distal_diameter : float
        [um]
    parent : int, optional
        None for the root.
    fraction : float
        Where along the parent it begins: 0 at its proximal, 1 at its distal end.
    """

    id: int
    proximal: Point
    distal: Point
    proximal_diameter: float
    distal_diameter: float
    parent: int | None = None
    fraction: float = 1.0

    @property
    def length(self) -> float:
        """Length [um]; a sphere counts as the cylinder of equal area, as long as it is wide."""
        return math.dist(self.proximal, self.distal) or self.distal_diameter

    @property
    def is_sphere(self) -> bool:
        """True if both ends are one point."""
        return self.proximal == self.distal

    def at(self, fraction: float) -> tuple[Point, float]:
        """Return a point along the segment, and the diameter there [um]."""
        point = tuple(
            a + fraction * (b - a) for a, b in zip(self.proximal, self.distal, strict=True)
        )
        return (point[0], point[1], point[2]), self._diameter(fraction)

    def _diameter(self, fraction: float) -> float:
        return self.proximal_diameter + fraction * (self.distal_diameter - self.proximal_diameter)

    def area(self, start: float = 0.0, end: float = 1.0) -> float:
        """Return the area of the membrane between two fractions [um2], without the ends."""
        r1, r2 = self._diameter(start) / 2.0, self._diameter(end) / 2.0
        return math.pi * (r1 + r2) * math.hypot(r1 - r2, (end - start) * self.length)

    def resistance(self, start: float = 0.0, end: float = 1.0) -> float:
        """Return the axial resistance between two fractions, for a resistivity of 1 [1/um]."""
        r1, r2 = self._diameter(start) / 2.0, self._diameter(end) / 2.0
        return (end - start) * self.length / (math.pi * r1 * r2)


@dataclass(frozen=True)
class Piece:
    """A part of a segment: a range of fractions."""

    segment: int
    start: float
    end: float


@dataclass(frozen=True)
class Cable:
    """Segments in a row, from the root on, divided into parts of equal length.

    Parameters
    ----------
    segments : tuple of Segment
    divisions : int
    """

    segments: tuple[Segment, ...]
    divisions: int = 1

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """Where the segments begin, and the last one ends (n_segments + 1,) [um]."""
        return np.cumsum([0.0, *(item.length for item in self.segments)])

    @property
    def length(self) -> float:
        """Length of the whole [um]."""
        return float(self.bounds[-1])

    def place(self, segment: int, fraction: float) -> float:
        """Return how far along the cable a point of one of its segments is, from 0 to 1."""
        number = [item.id for item in self.segments].index(segment)
        if fraction == 1.0 and number == len(self.segments) - 1:
            return 1.0
        reached = self.bounds[number] + fraction * self.segments[number].length
        return float(reached / self.length)

    def division(self, place: float) -> int:
        """Return the part in which a place is."""
        # A place that rounding has put just before a bound belongs behind it.
        return min(int(place * self.divisions + 1e-9), self.divisions - 1)

    def pieces(self, start: float, end: float) -> list[Piece]:
        """Return what lies between two places."""
        low, high = start * self.length, end * self.length
        found = []
        for item, begin in zip(self.segments, self.bounds[:-1], strict=True):
            first = max((low - begin) / item.length, 0.0)
            last = min((high - begin) / item.length, 1.0)
            if last - first > 1e-12:
                found.append(Piece(item.id, float(first), float(last)))
        return found


@dataclass(frozen=True)
class Compartment:
    """A part of a cable.

    Parameters
    ----------
    cable : int
    division : int
        Number of the part.
    pieces : tuple of Piece
    area : float
        [um2]
    length : float
        [um]
    middle : (int, float)
        Segment and fraction where its potential stands.
    """

    cable: int
    division: int
    pieces: tuple[Piece, ...]
    area: float
    length: float
    middle: tuple[int, float]


@dataclass(frozen=True)
class Morphology:
    """Segments, and the cables that they form.

    Parameters
    ----------
    segments : mapping of int to Segment
        Each after its parent.
    cables : sequence of Cable
        Each segment is in one.
    """

    segments: Mapping[int, Segment]
    cables: Sequence[Cable]
    _cable_of: dict[int, int] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        owners = {item.id: n for n, cable in enumerate(self.cables) for item in cable.segments}
        object.__setattr__(self, "_cable_of", owners)

    @cached_property
    def root(self) -> Segment:
        """The segment without a parent."""
        return next(item for item in self.segments.values() if item.parent is None)

    @cached_property
    def _firsts(self) -> list[int]:
        return [0, *np.cumsum([cable.divisions for cable in self.cables]).tolist()]

    @cached_property
    def compartments(self) -> tuple[Compartment, ...]:
        """All compartments, cable by cable."""
        return tuple(
            self._compartment(number, division)
            for number, cable in enumerate(self.cables)
            for division in range(cable.divisions)
        )

    def _compartment(self, number: int, division: int) -> Compartment:
        cable = self.cables[number]
        pieces = cable.pieces(division / cable.divisions, (division + 1) / cable.divisions)
        middle = cable.pieces((division + 0.5) / cable.divisions, 1.0)[0]
        return Compartment(
            number,
            division,
            tuple(pieces),
            sum(self.segments[item.segment].area(item.start, item.end) for item in pieces),
            cable.length / cable.divisions,
            (middle.segment, middle.start),
        )

    def compartment_at(self, segment: int, fraction: float) -> int:
        """Return the number of the compartment that holds a point of a segment."""
        number = self._cable_of[segment]
        cable = self.cables[number]
        return self._firsts[number] + cable.division(cable.place(segment, fraction))

    def distance(self, segment: int, fraction: float) -> float:
        """Return the length of the path from the proximal end of the root to a point [um]."""
        return self._starts[segment] + fraction * self.segments[segment].length

    @cached_property
    def _starts(self) -> dict[int, float]:
        starts: dict[int, float] = {}
        for number, item in self.segments.items():
            starts[number] = 0.0
            if item.parent is not None:
                parent = self.segments[item.parent]
                starts[number] = starts[item.parent] + item.fraction * parent.length
        return starts

    def conductances(self, resistivity: Mapping[int, float]) -> dict[tuple[int, int], float]:
        """Return the conductance between each pair of neighbouring compartments.

        Parameters
        ----------
        resistivity : mapping of int to float
            Of each segment.

        Returns
        -------
        dict of (int, int) to float
            By the numbers of the compartments, the smaller first. [um per unit of resistivity]
        """

        def between(cable: Cable, start: float, end: float) -> float:
            return sum(
                resistivity[item.segment]
                * self.segments[item.segment].resistance(item.start, item.end)
                for item in cable.pieces(start, end)
            )

        found: dict[tuple[int, int], float] = {}
        # What meets at each end of a cable: a compartment, and the conductance from its middle.
        ends: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for number, cable in enumerate(self.cables):
            first, n = self._firsts[number], cable.divisions
            for division in range(n - 1):
                middles = (division + 0.5) / n, (division + 1.5) / n
                found[first + division, first + division + 1] = 1.0 / between(cable, *middles)
            ends.setdefault((number, 1), []).append(
                (first + n - 1, 1.0 / between(cable, 1.0 - 0.5 / n, 1.0))
            )
            own = (first, 1.0 / between(cable, 0.0, 0.5 / n))
            joint = self._joint(number)
            if isinstance(joint, int):  # in the middle of a compartment
                _add(found, joint, own[0], own[1])
            else:
                ends.setdefault(joint, []).append(own)
        for meeting in ends.values():
            total = sum(conductance for _, conductance in meeting)
            for place, (one, here) in enumerate(meeting):
                for other, there in meeting[:place]:
                    _add(found, one, other, here * there / total)
        return found

    def _joint(self, number: int) -> int | tuple[int, int]:
        """Return to what a cable is joined: a compartment, or an end (0 or 1) of a cable."""
        first = self.cables[number].segments[0]
        if first.parent is None:
            return number, 0
        parent = self._cable_of[first.parent]
        place = self.cables[parent].place(first.parent, first.fraction)
        if place >= 1.0:
            return parent, 1
        if place <= 0.0:
            return self._joint(parent)
        return self._firsts[parent] + self.cables[parent].division(place)


def _add(found: dict[tuple[int, int], float], one: int, other: int, conductance: float) -> None:
    pair = (min(one, other), max(one, other))
    found[pair] = found.get(pair, 0.0) + conductance
