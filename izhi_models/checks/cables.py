"""Cells of several compartments as arrays, against the segments that the file lists.

The compartments of a cell have the area of its segments, what flows from one to a neighbour
is missed there, and what ends on a segment is at a compartment of this segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

from izhi_models.checks.report import Finding
from izhi_models.lems.axial import AXIAL_UNIT, CONDUCTANCE
from izhi_models.lems.components import Component
from izhi_models.lems.lower import contained
from izhi_models.network import Compartments, Parts, Population
from izhi_models.pipeline import Model

_ROUNDING = 1e-9  # relative; of sums in another order
_FRACTIONS = np.linspace(0.0, 1.0, 201)
_END = "morphology/segments[0]/distal"  # of a compartment, which is one cylinder
_Point = Mapping[str, float]
_HINT = "a fault of this package, not of the model: please report it with the file"


def check_cables(model: Model) -> Iterator[Finding]:
    """Yield what was found of each population of cells that have several compartments.

    Parameters
    ----------
    model : Model
        With the parts of its network.
    """
    parts = model.network.parts
    if parts is None:
        return
    for population in parts.populations.values():
        if population.compartments is not None:
            faults = list(_faults(model, parts, population, population.compartments))
            what = f"compartments of {population.id}"
            n = len(population.compartments.owners)
            if faults:
                yield Finding(what, "fails", "; ".join(faults), _HINT)
            else:
                text = f"{n} with the area of the segments; currents between them add up to 0"
                yield Finding(what, "holds", text)


def _faults(
    model: Model, parts: Parts, population: Population, compartments: Compartments
) -> Iterator[str]:
    owners = [parts.populations[name] for name in dict.fromkeys(compartments.owners)]
    declared = _area(model, model.declarations.components[population.component])
    found = sum(_areas(item) for item in owners) / population.size
    if not math.isclose(found, declared, rel_tol=_ROUNDING):
        yield f"an area of {found:.9g} um2 in all, expected {declared:.9g} um2"
    yield from _currents(parts, owners)
    yield from _places(parts, owners, compartments)


def _area(model: Model, cell: Component) -> float:
    """Return the area of a cell [um2]: of each segment that of a frustum, or a sphere.

    Source: NeuroML 2, segment.
    """
    listed = dict(contained(model.declarations, cell))["morphology"].children["segments"]
    segments = {item.id: item for item in listed}

    def ends(item: Component) -> tuple[_Point, _Point]:
        last = item.children["distal"][0].values
        begun = item.children.get("proximal")
        if begun:
            return begun[0].values, last
        parent = item.children["parent"][0]
        first, second = ends(segments[parent.element.get("segment") or ""])
        at = float(parent.element.get("fractionAlong") or 1.0)
        return {name: first[name] + at * (second[name] - first[name]) for name in second}, last

    total = 0.0
    for item in listed:
        start, end = ends(item)
        length = math.dist(*([place[axis] for axis in "xyz"] for place in (start, end)))
        r1, r2 = start["diameter"] / 2.0, end["diameter"] / 2.0
        is_sphere = length == 0.0 and r1 == r2
        total += 4.0 * math.pi * r1**2 if is_sphere else _frustum(r1, r2, length)
    return total


def _frustum(r1: float, r2: float, length: float) -> float:
    return math.pi * (r1 + r2) * math.hypot(length, r1 - r2)


def _areas(population: Population) -> float:
    diameter, length = (population.values[f"{_END}/{name}"] for name in ("diameter", "x"))
    return float(np.sum(np.broadcast_to(math.pi * diameter * length, population.size)))


def _currents(parts: Parts, owners: list[Population]) -> Iterator[str]:
    """Tell where what flows out of a compartment is not what flows into its neighbours."""
    names = [item.id for item in owners]
    into: dict[tuple[str, int], dict[tuple[str, int], float]] = {}
    for item in parts.axial:
        if item.post not in names:
            continue
        unit = float(np.asarray(item.values[AXIAL_UNIT]))
        weights = np.broadcast_to(item.weights, item.size) * unit
        rows = zip(item.pre_cells.tolist(), item.post_cells.tolist(), weights, strict=True)
        for pre, post, weight in rows:
            near = into.setdefault((item.post, post), {})
            near[item.pre, pre] = near.get((item.pre, pre), 0.0) + float(weight)
    for population in owners:
        own = np.broadcast_to(population.values[CONDUCTANCE], population.size)
        for cell, conductance in enumerate(own.tolist()):
            place = (population.id, cell)
            near = into.get(place, {})
            if not math.isclose(sum(near.values()), conductance, rel_tol=_ROUNDING):
                yield f"{place[0]}[{cell}] loses what its neighbours do not give it"
                return
            for other, weight in near.items():
                back = into.get(other, {}).get(place, 0.0)
                if not math.isclose(weight, back, rel_tol=_ROUNDING):
                    yield f"between {place} and {other} flows another current than back"
                    return


def _places(parts: Parts, owners: list[Population], compartments: Compartments) -> Iterator[str]:
    """Tell of connections to segments that end at a compartment of others."""

    @cache
    def of_segment(segment: int) -> set[int]:
        return {compartments.place(segment, at) for at in _FRACTIONS.tolist()}

    numbers = {
        (name, int(rank)): number
        for number, (name, rank) in enumerate(
            zip(compartments.owners, compartments.ranks, strict=True)
        )
    }
    names = {item.id for item in owners}
    for item in parts.projections:
        if item.post not in names or item.post_segments is None:
            continue
        ends = zip(item.post_cells.tolist(), item.post_segments.tolist(), strict=True)
        for cell, segment in ends:
            number = numbers.get((item.post, cell // compartments.size))
            if number not in of_segment(segment):
                yield f"a connection of {item.id} to segment {segment} ends at compartment {number}"
                return
