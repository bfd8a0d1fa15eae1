"""Lower a network to arrays: populations, and inputs attached to their cells.

Source: NeuroML 2, network, population, populationList, explicitInput, inputList.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, raise_if_errors
from izhi_models.ir.passes import order_derived
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lower import lower_component, lower_part
from izhi_models.lems.targets import attachment_of, check_gathered, find_cell
from izhi_models.network import Input, Network, Population, Values, attach

_SUPPORTED = {"populations", "explicitInputs", "inputs", "regions"}


def lower_network(model: Model, network: Component) -> Network:
    """Lower a network to populations with their inputs.

    Parameters
    ----------
    model : Model
    network : Component
        Of a type that extends ``network``.
    """
    faults: list[Diagnostic] = []
    for place, child in network.all_children():
        if place not in _SUPPORTED:
            raise UnsupportedError(
                Diagnostic(f"<{child.element.tag}> cannot be run: no connections yet", child.span)
            )
    populations: dict[str, Population] = {}
    for component in network.children.get("populations", ()):
        try:
            populations[component.id] = _lower_population(model, component)
        except InputError as error:
            faults.extend(error.diagnostics)
    inputs: list[Input] = []
    for place, lower in (("explicitInputs", _lower_explicit), ("inputs", _lower_list)):
        for component in network.children.get(place, ()):
            try:
                inputs.extend(lower(model, component, populations))
            except InputError as error:
                faults.extend(error.diagnostics)
    raise_if_errors(faults)
    shared = {
        item.name: (item.dimension, network.values[item.name])
        for item in network.type.parameters.values()
        if item.name in network.values and item.dimension is not None
    }
    finished = {
        name: _finish(attach(item, [entry for entry in inputs if entry.population == name]), model)
        for name, item in populations.items()
    }
    return Network(network.id, finished, shared)


def _finish(population: Population, model: Model) -> Population:
    dynamics = order_derived(population.dynamics)
    return replace(population, dynamics=dynamics)


def _lower_population(model: Model, component: Component) -> Population:
    cell = model.reference(component, "component")
    if not cell.type.dynamics:
        raise InputError(
            Diagnostic(
                f"'{cell.id}' is a {cell.type.name}: it has no dynamics to simulate",
                component.element.attribute_span("component"),
            )
        )
    _refuse_compartments(cell)
    instances = component.children.get("instances", [])
    _check_numbers(instances)
    size = len(instances) if instances else _size(component)
    lowered = lower_component(model, cell)
    values: Values = dict(lowered.values)
    return Population(component.id, cell.id, lowered.dynamics, values, size, _positions(instances))


def _refuse_compartments(cell: Component) -> None:
    # The definition of <cell> adds the areas of all segments into one compartment, and says of
    # itself that this is right for a single segment only.
    for morphology in cell.children.get("morphology", ()):
        segments = morphology.children.get("segments", [])
        if len(segments) > 1:
            raise UnsupportedError(
                Diagnostic(
                    f"'{cell.id}' has {len(segments)} segments, and only cells of one can be run",
                    segments[1].span,
                    ("NEURON runs it, through: pynml FILE -neuron -run",),
                )
            )


def _check_numbers(instances: list[Component]) -> None:
    for number, instance in enumerate(instances):
        if instance.id != str(number):
            raise InputError(
                Diagnostic(
                    f"instance '{instance.id}' stands at place {number}",
                    instance.element.attribute_span("id"),
                    ("number the instances of a population 0, 1, 2, ... in order",),
                )
            )


def _size(component: Component) -> int:
    value = component.values.get("size")
    if value is None:
        try:
            value = float(component.texts.get("size", ""))
        except ValueError:
            value = 0.0
    size = round(value)
    if size < 1 or size != value:
        span = component.element.attribute_span("size")
        raise InputError(
            Diagnostic(
                f"population '{component.id}' has the size {value:g}, expected a whole number > 0",
                span,
            )
        )
    return size


def _positions(instances: list[Component]) -> np.ndarray | None:
    rows = []
    for instance in instances:
        places = instance.children.get("location")
        if not places:
            return None
        rows.append([places[0].values.get(axis, 0.0) for axis in "xyz"])
    return np.array(rows) if rows else None


# Inputs


def _lower_explicit(
    model: Model, component: Component, populations: dict[str, Population]
) -> list[Input]:
    source = model.reference(component, "input")
    population, cell = find_cell(component, "target", populations)
    return [_lower_input(model, component, source, population, [cell], {})]


def _lower_list(
    model: Model, component: Component, populations: dict[str, Population]
) -> list[Input]:
    source = model.reference(component, "component")
    groups: dict[tuple[str, str], tuple[list[int], list[float], Component]] = {}
    for _, entry in component.all_children():
        population, cell = find_cell(entry, "target", populations)
        key = (population.id, entry.texts.get("destination", ""))
        cells, weights, _ = groups.setdefault(key, ([], [], entry))
        cells.append(cell)
        weights.append(entry.values.get("weight", 1.0))
    lowered = []
    for (name, _), (cells, weights, entry) in groups.items():
        weighted = any(weight != 1.0 for weight in weights)
        override: Values = {"weight": np.array(weights)} if weighted else {}
        lowered.append(_lower_input(model, entry, source, populations[name], cells, override))
    return lowered


def _lower_input(
    model: Model,
    component: Component,
    source: Component,
    population: Population,
    cells: list[int],
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
        np.array(cells, dtype=np.int64),
    )
