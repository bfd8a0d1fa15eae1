"""Lower a network to arrays: populations, and what is attached to their cells.

Source: NeuroML 2, network, population, populationList, explicitInput, inputList.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from izhi_models.attach import attach
from izhi_models.errors import (
    Diagnostic,
    InputError,
    Span,
    UnsupportedError,
    noted,
    raise_if_errors,
    suggest,
)
from izhi_models.ir.dynamics import RESERVED, Dynamics, Variable
from izhi_models.lems.apart import set_apart, watched
from izhi_models.lems.compartments import divide
from izhi_models.lems.components import Component, Model
from izhi_models.lems.connections import EVENT_PLACES, lower_projections, lower_singles
from izhi_models.lems.holders import drive
from izhi_models.lems.instances import instances_of, populations_of
from izhi_models.lems.lists import Gathered, Rows, check_list, count
from izhi_models.lems.lower import lower_component, lower_part, reserved
from izhi_models.lems.rules import find_rules
from izhi_models.lems.spread import spread, with_compartments
from izhi_models.lems.structure import Made, lower_rules
from izhi_models.lems.targets import (
    End,
    Sites,
    attachment_of,
    check_gathered,
    check_site,
    find_cell,
    read_path,
    sent_ports,
    without_site,
)
from izhi_models.lems.tunnels import CONTINUOUS_PLACES, lower_tunnels
from izhi_models.memory import shortage
from izhi_models.network import Holder, Input, Network, Parts, Population, Projection, Values
from izhi_models.units import Dimension

_TEMPERATURE = Dimension(k=1)
_END = End("target", "segmentId", "fractionAlong")
DEFAULT_SEED = 1234  # that of the reference interpreter
_BYTES_PER_NAME = 24  # a value for each cell, and two while they are set up
# Types of what a network may hold and nothing reads: instances say where cells are.
IGNORED = ("region",)
_SUPPORTED = {
    "populations",
    "explicitInputs",
    "inputs",
    "regions",
    *EVENT_PLACES,
    *CONTINUOUS_PLACES,
}


def lower_network(
    model: Model,
    network: Component,
    seed: int = DEFAULT_SEED,
    holders: Sequence[Holder] = (),
    recorded: Sequence[str] = (),
) -> Network:
    """Lower a network to populations with their inputs.

    Parameters
    ----------
    model : Model
    network : Component
        Of a type that extends ``network``.
    seed : int
        Of what its rules draw.
    holders : sequence of Holder
        What holds the network and shows it quantities: see `lems.holders`.
    recorded : sequence of str
        Paths that will be recorded, as far as they are known: see `lems.apart`.
    """
    rules = find_rules(network)
    _refuse_other_parts(network, rules)
    populations = _lower_populations(model, network)
    inputs, listed, made = _lower_connections(model, network, rules, populations, seed)
    shared = {
        item.name: (item.dimension, network.values[item.name])
        for item in network.type.parameters.values()
        if item.name in network.values and item.dimension is not None
    }
    projections = set_apart(
        listed,
        watched(recorded, populations),
        {name: item.size for name, item in populations.items()},
    )
    whole = spread(model, populations, inputs, projections)
    finished, connected = attach(whole.populations, whole.inputs, whole.projections)
    finished = [drive(item, holders) for item in finished]
    connected.extend(whole.axial)
    _check_cells(finished, shared, network)
    alone = {item.id: item for item in whole.populations}
    parts = Parts(
        alone, tuple(whole.inputs), tuple(whole.projections), tuple(whole.axial), tuple(holders)
    )
    named = {item.id: item for item in finished}
    return Network(network.id, named, tuple(connected), shared, seed if made.drawn else None, parts)


def _refuse_other_parts(network: Component, rules: Sequence[Component]) -> None:
    """Raise unless all parts of a network are known, or rules."""
    ruled = {id(item) for rule in rules for item in (rule, rule.parent)}
    declared = populations_of(network)
    for place, child in network.all_children():
        if place not in _SUPPORTED and id(child) not in ruled and child not in declared:
            raise UnsupportedError(Diagnostic(f"<{child.element.tag}> cannot be run", child.span))


def _lower_populations(model: Model, network: Component) -> dict[str, Population]:
    faults: list[Diagnostic] = []
    populations: dict[str, Population] = {}
    for component in populations_of(network):
        with noted(faults):
            populations[component.id] = _lower_population(model, component)
    raise_if_errors(faults)
    if not populations:
        raise InputError(Diagnostic(f"'{network.id}' has no population", network.span))
    return populations


def _lower_connections(
    model: Model,
    network: Component,
    rules: Sequence[Component],
    populations: dict[str, Population],
    seed: int,
) -> tuple[list[Input], list[Projection], Made]:
    """Return the inputs and projections, and of these what rules made."""
    faults: list[Diagnostic] = []
    inputs: list[Input] = []
    for place, lower in (("explicitInputs", _lower_explicit), ("inputs", _lower_list)):
        for component in network.children.get(place, ()):
            with noted(faults):
                inputs.extend(lower(model, component, populations))
    projections: list[Projection] = []
    made = Made()
    with noted(faults):
        projections.extend(lower_projections(model, network, populations))
    with noted(faults):  # what rules make comes where it would come if projections listed it
        made = lower_rules(model, rules, populations, seed)
        projections.extend(made.projections)
    for connect in (lower_singles, lower_tunnels):
        with noted(faults):
            projections.extend(connect(model, network, populations))
    raise_if_errors(faults)
    inputs.extend(made.inputs)
    return inputs, projections, made


def _check_cells(
    populations: Iterable[Population],
    shared: Mapping[str, tuple[Dimension, float]],
    network: Component,
) -> None:
    """Raise unless cells get what they require, and send events on one port at most."""
    faults: list[Diagnostic] = []
    for item in populations:
        for requirement in item.dynamics.requirements:
            if requirement.name not in shared:
                faults.append(_unmet(requirement, item, network))
        _refuse_ports(item.dynamics, item, network)
    raise_if_errors(faults)


def execute_rules(model: Model, network: Component, seed: int) -> Made:
    """Return what the rules of a network make, in a run with this seed.

    Parameters
    ----------
    model : Model
        Whose network can be lowered.
    network : Component
    seed : int
    """
    populations = {item.id: _lower_population(model, item) for item in populations_of(network)}
    return lower_rules(model, find_rules(network), populations, seed)


def _refuse_ports(dynamics: Dynamics, population: Population, network: Component) -> None:
    ports = sent_ports(dynamics)
    if len(ports) > 1:
        raise UnsupportedError(
            Diagnostic(
                f"'{population.component}' sends events on several ports "
                f"({', '.join(sorted(ports))}), and only cells with one can be run",
                _component_span(population, network),
            )
        )


def _component_span(population: Population, network: Component) -> Span:
    name = population.part_of or population.id
    component = next(item for item in populations_of(network) if item.id == name)
    return component.element.attribute_span(instances_of(component).cell)


def _unmet(requirement: Variable, population: Population, network: Component) -> Diagnostic:
    hint = "the cell, or what is attached to it, reads it"
    if requirement.dimension == _TEMPERATURE:
        hint += ': write <network type="networkWithTemperature" temperature="32 degC" ...>'
    return Diagnostic(
        f"nothing provides the '{requirement.name}' that '{population.component}' requires",
        _component_span(population, network),
        (hint,),
    )


def _lower_population(model: Model, component: Component) -> Population:
    names = instances_of(component)
    cell = model.reference(component, names.cell)
    if not cell.type.dynamics:
        raise InputError(
            Diagnostic(
                f"'{cell.id}' is a {cell.type.name}: it has no dynamics to simulate",
                component.element.attribute_span(names.cell),
            )
        )
    _check_time(cell)
    instances = component.children.get("instances", [])
    _check_numbers(instances)
    size = count(instances) if instances else _size(component, names.size)
    divided = divide(model, cell)
    lowered = lower_component(model, cell) if divided is None else divided.kinds[0].lowered
    _check_memory(
        component, names.size, size * (1 if divided is None else divided.size), lowered.dynamics
    )
    values: Values = dict(lowered.values)
    population = Population(
        component.id, cell.id, lowered.dynamics, values, size, _positions(instances)
    )
    return with_compartments(population, divided)


def _check_time(cell: Component) -> None:
    for block in cell.type.dynamics:
        for element in block.children:
            if element.tag.endswith("DerivedVariable") and element.get("name") in RESERVED:
                raise InputError(reserved(element))


def _check_numbers(instances: list[Component]) -> None:
    number = 0
    for instance in instances:
        _check_number(instance, number)
        number += 1
        if instance.rows is None:
            continue
        ids = instance.rows.column("id")
        wanted = number + np.arange(instance.rows.size)
        for row in () if ids is None else np.flatnonzero(ids != wanted)[:1].tolist():
            _check_number(instance.rows.component(row), number + row)
        number += instance.rows.size


def _check_number(instance: Component, number: int) -> None:
    if instance.id not in ("", str(number)):
        raise InputError(
            Diagnostic(
                f"instance '{instance.id}' stands at place {number}",
                instance.element.attribute_span("id"),
                ("number the instances of a population 0, 1, 2, ... in order",),
            )
        )


def _size(component: Component, name: str) -> int:
    value = component.values.get(name)
    if value is None:
        try:
            value = float(component.texts.get(name, ""))
        except ValueError:
            value = 0.0
    size = round(value)
    if size < 1 or size != value:
        span = component.element.attribute_span(name)
        raise InputError(
            Diagnostic(
                f"population '{component.id}' has the size {value:g}, expected a whole number > 0",
                span,
            )
        )
    return size


def _check_memory(component: Component, name: str, size: int, dynamics: Dynamics) -> None:
    lacking = shortage(float(size) * _BYTES_PER_NAME * len(dynamics.dimensions()))
    if lacking is not None:
        raise InputError(
            Diagnostic(
                f"population '{component.id}' of {size:.3g} cells {lacking}",
                component.element.attribute_span(name),
            )
        )


def _positions(instances: list[Component]) -> NDArray[np.float64] | None:
    axes = {axis: Gathered(np.float64) for axis in "xyz"}
    for instance in instances:
        places = instance.children.get("location")
        if not places:
            return None
        for axis, gathered in axes.items():
            gathered.add(instance, axis, places[0].values.get(axis, 0.0))
    return np.stack([item.array() for item in axes.values()], axis=1) if instances else None


# Inputs


def _lower_explicit(
    model: Model, component: Component, populations: dict[str, Population]
) -> list[Input]:
    source = model.reference(component, "input")
    population, cell = find_cell(component, "target", populations)
    return [_lower_input(model, component, source, population, np.array([cell]), {})]


def _lower_list(
    model: Model, component: Component, populations: dict[str, Population]
) -> list[Input]:
    source = model.reference(component, "component")
    owner = component.texts.get("population")
    if owner is not None and owner not in populations:
        span = component.element.attribute_span("population")
        hint = suggest(owner, populations)
        raise InputError(Diagnostic(f"no population has the id '{owner}'", span, hint))
    groups: dict[tuple[str, str], tuple[Sites, Gathered, Component]] = {}
    faults: list[Diagnostic] = []
    for _, entry in component.all_children():
        try:
            population, cell = _input_cell(entry, owner, populations)
        except InputError as error:
            faults.extend(error.diagnostics)
            continue
        key = (population.id, entry.texts.get("destination", ""))
        new = (Sites(population, _END), Gathered(np.float64), entry)
        cells, weights, _ = groups.setdefault(key, new)
        cells.add(entry, cell)
        weights.add(entry, "weight", entry.values.get("weight", 1.0))
    raise_if_errors(faults)
    lowered = []
    for (name, _), (cells, weights, entry) in groups.items():
        factors = weights.array()
        override: Values = {"weight": factors} if (factors != 1.0).any() else {}
        population = populations[name]
        chosen = cells.array().astype(np.int64)
        lowered.append(_lower_input(model, entry, source, population, chosen, override))
    return lowered


def _input_cell(
    entry: Component, owner: str | None, populations: dict[str, Population]
) -> tuple[Population, int]:
    """Return the cell of an entry of an inputList; those of the rows that follow are right too."""
    population, cell = read_path(entry, "target", populations)
    if owner not in (None, population.id):
        raise InputError(
            Diagnostic(
                f"'{population.id}' is not '{owner}', the population of this list",
                entry.element.attribute_span("target"),
            )
        )

    def check(item: Component) -> None:
        find_cell(item, "target", populations)
        check_site(item, population, _END)

    def wrong(rows: Rows) -> NDArray[np.bool_]:
        outside = rows.outside({"target": population.size - 1})
        return outside | without_site(rows, population, _END)

    check_list(entry, check, wrong)
    return population, cell


def _lower_input(
    model: Model,
    component: Component,
    source: Component,
    population: Population,
    cells: NDArray[np.int64],
    override: Values,
) -> Input:
    lowered = lower_part(model, source)
    attachment = attachment_of(component, population)
    check_gathered(component, source, population, attachment)
    values: Values = {**lowered.values, **override}
    unknown = override.keys() - lowered.values.keys()
    if unknown:
        raise InputError(
            Diagnostic(
                f"'{source.type.name}' has no weight to set",
                component.element.attribute_span("weight"),
                ("use <input> in place of <inputW>",),
            )
        )
    return Input(
        source.id,
        population.id,
        attachment,
        lowered.dynamics,
        values,
        cells,
    )
