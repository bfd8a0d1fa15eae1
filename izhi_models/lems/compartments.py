"""Lower a cell of several compartments: each to a cell of one segment, by the types of the file.

NeuroML defines `cell` for a single segment. A compartment is such a cell: of one cylinder with its
area and length, with the properties of the groups that hold it. What flows along the cell comes
on top: the current from its neighbours, ``inflow - conductance * v``, where `inflow` sums the
products of conductance and potential of the neighbours.

Source: NeuroML 2, cell, biophysicalProperties, variableParameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, UnsupportedError
from izhi_models.ir.dynamics import Dynamics
from izhi_models.lems.axial import CONDUCTANCE, INFLOW, START, with_inflow
from izhi_models.lems.components import Component, Model
from izhi_models.lems.densities import density_at, non_uniform, uniform
from izhi_models.lems.lower import Lowered, contained, lower_component, parameter_values
from izhi_models.lems.morphology import Compartment
from izhi_models.lems.segments import Region, n_divisions, read_morphology

# Types that compartments approximate, and how.
APPROXIMATED = {
    "segment": "is one compartment, or part of one if its unbranched section is; each section has "
    "as many as its numberInternalDivisions says",
    "property": "is read as the numberInternalDivisions of a segmentGroup, and nowhere else",
}
_UM = 1e-6
# Of what is given for groups, what stands last holds; of the rest, all.
_SINGLE = ("initMembPotential", "spikeThresh", "specificCapacitances")
_MEMBRANE = ("membraneProperties", "membraneProperties2CaPools")
_INSIDE = ("intracellularProperties", "intracellularProperties2CaPools")


@dataclass(frozen=True)
class Kind:
    """Compartments of one dynamics.

    Parameters
    ----------
    component : Component
        The cell that stands for one of them.
    lowered : Lowered
    members : int array (n,)
        Numbers of compartments, in order.
    values : dict of str to array (n,)
        Parameters of the members. [SI]
    """

    component: Component
    lowered: Lowered
    members: NDArray[np.int32]
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Divided:
    """A cell as compartments.

    Parameters
    ----------
    region : Region
    order : int array (n,)
        Place of each compartment of the morphology; that of the root comes first.
    kinds : tuple of Kind
        The first one is that of the root.
    pairs : int array (n_pairs, 2)
        Neighbours.
    conductances : array (n_pairs,)
        Between them. [S]
    fastest_hz : float
        The greatest sum of a compartment's conductances over its capacitance. [1/s]
    """

    region: Region
    order: NDArray[np.int32]
    kinds: tuple[Kind, ...]
    pairs: NDArray[np.int32]
    conductances: NDArray[np.float64]
    fastest_hz: float

    @property
    def size(self) -> int:
        """Number of compartments."""
        return self.order.size

    def place(self, segment: int, fraction: float) -> int:
        """Return the number of the compartment at a point of a segment."""
        return int(self.order[self.region.morphology.compartment_at(segment, fraction)])


def divide(model: Model, cell: Component) -> Divided | None:
    """Return a cell as compartments, or None if it is one as it stands.

    Parameters
    ----------
    model : Model
    cell : Component

    Raises
    ------
    InputError
        If its morphology is wrong.
    UnsupportedError
        If a property is missing, or a group ends inside a compartment.
    """
    key = ("divide", id(cell))
    if key not in model.lowered:
        model.lowered[key] = (cell, _divide(model, cell))
    found: Divided | None = model.lowered[key][1]
    return found


def _divide(model: Model, cell: Component) -> Divided | None:
    parts = dict(contained(model, cell))
    shape = parts.get("morphology")
    if shape is None or not shape.type.is_a("morphology"):
        return None
    n_segments = len(shape.children.get("segments", ()))
    if n_segments < 2 and n_divisions(shape) == 1 and not any(map(non_uniform, cell.walk())):
        return None
    region = read_morphology(shape)
    return _Divider(model, cell, parts, region).divide()


class _Divider:
    def __init__(
        self, model: Model, cell: Component, parts: Mapping[str, Component], region: Region
    ) -> None:
        self.model = model
        self.cell = cell
        self.region = region
        self.shape = parts["morphology"]
        self.properties = {
            place: item for place, item in parts.items() if place.startswith("biophysical")
        }
        self.compartments = region.morphology.compartments
        self.order = self._order()

    def divide(self) -> Divided:
        """Return the cell as compartments."""
        self._check_numbers()
        pairs, conductances = self._neighbours()
        total = np.zeros(self.order.size)
        np.add.at(total, pairs[:, 0], conductances)
        np.add.at(total, pairs[:, 1], conductances)
        kinds = self._kinds(total, self._inflow(pairs, conductances))
        return Divided(self.region, self.order, kinds, pairs, conductances, self._fastest(total))

    def _order(self) -> NDArray[np.int32]:
        root = self.region.morphology.compartment_at(self.region.morphology.root.id, 0.5)
        order = np.arange(len(self.compartments), dtype=np.int32)
        order[: root + 1] = np.roll(order[: root + 1], -1)
        order[root], order[:root] = 0, np.arange(1, root + 1)
        return order

    # Properties

    def _given(self, places: Sequence[str], name: str) -> list[Component]:
        return [
            item
            for properties in self.properties.values()
            for place in places
            for owner in properties.children.get(place, ())
            for item in owner.children.get(name, ())
        ]

    def _last(self, places: Sequence[str], name: str, tag: str) -> dict[int, Component]:
        """Return what holds for each segment of what is given for groups."""
        found: dict[int, Component] = {}
        for item in self._given(places, name):
            found.update(dict.fromkeys(self.region.group(item), item))
        for number in self.region.morphology.segments:
            if number not in found:
                raise UnsupportedError(
                    Diagnostic(
                        f"nothing gives a {tag} for segment {number} of '{self.cell.id}'",
                        self.cell.span,
                        (f'write <{tag} segmentGroup="all" value="..."/>',),
                    )
                )
        return found

    def _check_numbers(self) -> None:
        """Refuse numbers of channels of which nobody says where they are."""
        for given in self._given(_MEMBRANE, "populations"):
            segments = ({item.segment for item in one.pieces} for one in self.compartments)
            if sum(self._holds(given, item) for item in segments) > 1:
                raise UnsupportedError(
                    Diagnostic(
                        f"'{self.cell.id}' has {len(self.compartments)} compartments, and a "
                        f"{given.type.name} does not say how many channels each has",
                        given.span,
                        ("write a channelDensity",),
                    )
                )

    def _neighbours(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        if len(self.compartments) == 1:
            return np.empty((0, 2), dtype=np.int32), np.empty(0)
        resistivity = self._last(_INSIDE, "resistivity", "resistivity")
        by_segment = {number: item.values["value"] / _UM for number, item in resistivity.items()}
        for number, item in resistivity.items():
            if not by_segment[number] > 0.0:
                span = item.element.attribute_span("value")
                raise InputError(Diagnostic("a resistivity must be greater than 0", span))
        found = self.region.morphology.conductances(by_segment)
        pairs = self.order[np.array(list(found), dtype=np.int32).reshape(-1, 2)]
        return pairs, np.array(list(found.values()))

    def _fastest(self, total: NDArray[np.float64]) -> float:
        capacitance = self._last(_MEMBRANE, "specificCapacitances", "specificCapacitance")
        rates = [
            total[self.order[number]]
            / (item.area * _UM**2 * capacitance[item.middle[0]].values["value"])
            for number, item in enumerate(self.compartments)
        ]
        return float(max(rates))

    # Compartments as cells

    def _inflow(
        self, pairs: NDArray[np.int32], conductances: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what flows into each compartment from its neighbours at t = 0, in A."""
        given = self._last(_MEMBRANE, "initMembPotential", "initMembPotential")
        potential = np.empty(self.order.size)
        for number, item in enumerate(self.compartments):
            potential[self.order[number]] = given[item.middle[0]].values["value"]
        inflow = np.zeros(self.order.size)
        for own, other in ((0, 1), (1, 0)):
            np.add.at(inflow, pairs[:, own], conductances * potential[pairs[:, other]])
        return inflow

    def _kinds(self, total: NDArray[np.float64], inflow: NDArray[np.float64]) -> tuple[Kind, ...]:
        """Return the compartments by their dynamics, that of the root first."""
        found: dict[Dynamics, list[_Member]] = {}
        known: dict[tuple[int, ...], tuple[Component, Lowered]] = {}
        for number in np.argsort(self.order).tolist():
            compartment = self.compartments[number]
            chosen = self._chosen(compartment)
            key = tuple(sorted(chosen))
            if key not in known:
                component = self._one(chosen)
                lowered = lower_component(self.model, component)
                known[key] = component, replace(lowered, dynamics=with_inflow(lowered.dynamics))
            component, lowered = known[key]
            place = int(self.order[number])
            values = {
                **lowered.values,
                CONDUCTANCE: total[place],
                START: inflow[place],
                INFLOW: 0.0,
            }
            values |= self._size(component, compartment)
            values |= self._varying(component, compartment)
            found.setdefault(lowered.dynamics, []).append(
                _Member(place, component, lowered, values)
            )
        return tuple(_kind(members) for members in found.values())

    def _chosen(self, compartment: Compartment) -> set[int]:
        """Return what is given for a compartment, by the ids of the objects."""
        chosen: set[int] = set()
        segments = {item.segment for item in compartment.pieces}
        for owner in self._owners():
            for name, given in owner.children.items():
                fitting = [id(item) for item in given if self._holds(item, segments)]
                if name == "spikeThresh" and not fitting:
                    fitting = [id(item) for item in given]
                if name != "resistivity":
                    chosen.update(fitting[-1:] if name in _SINGLE else fitting)
        return chosen

    def _holds(self, given: Component, segments: set[int]) -> bool:
        group = self.region.group(non_uniform(given) or given)
        inside = segments & group
        if inside and inside != segments:
            raise UnsupportedError(
                Diagnostic(
                    f"a compartment of '{self.cell.id}' is made of segments "
                    f"{', '.join(map(str, sorted(segments)))}, and this holds for "
                    f"{', '.join(map(str, sorted(inside)))} only",
                    given.span,
                    ("divide the cable into more parts, or give it for whole cables",),
                )
            )
        return bool(inside)

    def _owners(self) -> Iterator[Component]:
        for properties in self.properties.values():
            for place in (*_MEMBRANE, *_INSIDE):
                yield from properties.children.get(place, ())

    def _one(self, chosen: set[int]) -> Component:
        """Return the cell of one segment that has what was chosen."""

        def only(owner: Component) -> Component:
            children = {
                name: [uniform(self.model, item) for item in given if id(item) in chosen]
                for name, given in owner.children.items()
            }
            return replace(
                owner, children={name: items for name, items in children.items() if items}
            )

        properties = {
            place: [
                replace(
                    item,
                    children={
                        name: [only(owner) for owner in owners]
                        for name, owners in item.children.items()
                    },
                )
            ]
            for place, item in self.properties.items()
        }
        return replace(
            self.cell,
            children={**self.cell.children, "morphology": [self._segment()], **properties},
        )

    def _segment(self) -> Component:
        """Return a morphology of one cylinder, of no size yet."""
        segment = self.shape.children["segments"][0]
        distal = segment.children["distal"][0]
        point = dict.fromkeys(("x", "y", "z"), 0.0) | {"diameter": 1.0}
        ends = {
            place: [replace(distal, type=self.model.types.types[place], values=dict(point))]
            for place in ("proximal", "distal")
        }
        return replace(self.shape, children={"segments": [replace(segment, children=ends)]})

    def _size(self, cell: Component, compartment: Compartment) -> dict[str, float]:
        """Return the parameters of the cylinder as long as a compartment, with its area."""
        segment = cell.children["morphology"][0].children["segments"][0]
        diameter = compartment.area / (math.pi * compartment.length)
        end = segment.children["distal"][0]
        end = replace(
            end, values={"x": compartment.length, "y": 0.0, "z": 0.0, "diameter": diameter}
        )
        place = "morphology/segments[0]/distal"
        declared = (*end.type.parameters, *end.type.derived_parameters)
        values = parameter_values(self.model, end)
        return {f"{place}/{name}": values[name] for name in declared}

    def _varying(self, cell: Component, compartment: Compartment) -> dict[str, float]:
        """Return the densities that are given as functions of the place."""
        values = {}
        for properties in self.properties:
            for membrane in _MEMBRANE:
                for owner in cell.children[properties][0].children.get(membrane, ()):
                    for number, item in enumerate(owner.children.get("channelDensities", ())):
                        place = f"{properties}/{membrane}/channelDensities[{number}]"
                        for name, value in density_at(item, self.region, compartment):
                            values[f"{place}/{name}"] = value
        return values


@dataclass(frozen=True)
class _Member:
    place: int
    component: Component
    lowered: Lowered
    values: dict[str, float]


def _kind(members: Sequence[_Member]) -> Kind:
    first = members[0]
    return Kind(
        first.component,
        first.lowered,
        np.array([item.place for item in members], dtype=np.int32),
        {name: np.array([item.values[name] for item in members]) for name in first.values},
    )
