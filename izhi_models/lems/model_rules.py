"""Check components: references, the parts of networks and cells, simulations.

These are the rules that neither the schema nor the types can say. Source: NeuroML 2, validity
tests 10000 to 10070 of its reference validator; LEMS, Simulation.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator

from izhi_models.errors import Diagnostic, Note, suggest
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lists import as_in_rows, count
from izhi_models.lems.targets import CELL

# Attributes without which a component of the type means nothing, though the type does not say so.
_NEEDED = {
    "Simulation": ("length", "step"),
    "OutputFile": ("fileName",),
    "EventOutputFile": ("fileName", "format"),
    "EventSelection": ("eventPort",),
}
# Their ids name what is recorded.
_LABELLED = ("Line", "OutputFile", "OutputColumn", "EventOutputFile", "EventSelection")
_FORMATS = ("ID_TIME", "TIME_ID")
_ENDS = (
    ("presynapticPopulation", ("preCellId", "preCell")),
    ("postsynapticPopulation", ("postCellId", "postCell")),
)
# Types whose definition lacks what their name says. Source: Synapses.xml, which says "NOT YET
# WORKING", and Cells.xml, where these densities have the constant current 0.
_NO_CURRENT = "carries no current: it needs a cell with a morphology"
_PLACEHOLDERS = {
    "stdpSynapse": "transmits as an expTwoSynapse does, and does not learn",
    "channelDensityNonUniform": _NO_CURRENT,
    "channelDensityNonUniformNernst": _NO_CURRENT,
    "channelDensityNonUniformGHK": _NO_CURRENT,
}
# A group of segments that every cell has. Source: NeuroML 2, segmentGroup.
_EVERYWHERE = "all"


def check_model(model: Model) -> Iterator[Diagnostic]:
    """Yield what is wrong with the components that a file and its includes declare.

    Parameters
    ----------
    model : Model
    """
    for component in model.components.values():
        for item in component.walk():
            yield from _check_needed(item)
            if item.type.is_a("network"):
                yield from _check_network(item)
            elif item.type.is_a("cell"):
                yield from _check_cell(item)
            elif item.type.is_a("Simulation"):
                yield from _check_simulation(item)
            elif item.type.is_a("EventOutputFile"):
                yield from _check_format(item)
            yield from _check_placeholder(item)
    yield from _check_circles(model)
    yield from _check_target(model)


def _check_placeholder(component: Component) -> Iterator[Diagnostic]:
    for name, what in _PLACEHOLDERS.items():
        if what is _NO_CURRENT and _has_shape(component):
            continue
        if component.type.is_a(name):
            yield Diagnostic(
                f"'{component.id}' {what}",
                component.span,
                (f"{name} is a placeholder in the definition of NeuroML",),
                "warning",
            )


def _has_shape(component: Component) -> bool:
    """Tell whether a component is part of a cell whose segments give it a meaning."""
    owner = component.parent
    while owner is not None and not owner.type.is_a("baseCell"):
        owner = owner.parent
    shapes = owner.children.get("morphology", ()) if owner is not None else ()
    return any(item.children.get("segments") for item in shapes)


def _check_needed(component: Component) -> Iterator[Diagnostic]:
    resolved = component.type
    needed = [*resolved.paths]
    for ancestor in resolved.ancestors:
        needed += _NEEDED.get(ancestor, ())
    given = {name for name, text in component.texts.items() if text}
    given |= {name for name, text in component.element.attributes.items() if text}
    missing = [f"'{name}'" for name in dict.fromkeys(needed) if name not in given]
    if missing:
        yield Diagnostic(f"<{component.element.tag}> lacks {', '.join(missing)}", component.span)
    if resolved.name in _LABELLED and not component.id:
        yield Diagnostic(
            f"<{component.element.tag}> lacks 'id'",
            component.span,
            ("what it records is named by the id",),
            "warning",
        )


def _check_circles(model: Model) -> Iterator[Diagnostic]:
    """Check that no component contains itself through what its Structure instantiates."""
    graph = {name: set(_contained(model, item)) for name, item in model.components.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
        steps = " -> ".join(reversed(circle))
        yield Diagnostic(f"a component contains itself: {steps}", model.components[circle[0]].span)


def _contained(model: Model, component: Component) -> Iterator[str]:
    for item in component.walk():
        structure = item.type.structure
        for instance in structure.find("ChildInstance") if structure else ():
            wanted = item.texts.get(instance.get("component") or "")
            if wanted in model.components:
                yield wanted


# Networks


def _check_network(network: Component) -> Iterator[Diagnostic]:
    populations = {item.id: item for item in network.children.get("populations", ())}
    first: dict[str, tuple[str, Component]] = {}
    for place, item in network.all_children():
        other_place, other = first.setdefault(item.id, (place, item))
        # Inside one list the binding of components has found it.
        if item.id and other_place != place:
            yield Diagnostic(
                f"the id '{item.id}' is used twice in the network '{network.id}'",
                item.element.attribute_span("id"),
                (Note("first used here", other.element.attribute_span("id")),),
            )
        if item.type.is_a("basePopulation"):
            yield from _check_size(item)
        for name in ("presynapticPopulation", "postsynapticPopulation", "population"):
            wanted = item.texts.get(name)
            if wanted is not None and wanted not in populations:
                span = item.element.attribute_span(name)
                notes = suggest(wanted, populations)
                yield Diagnostic(f"no population has the id '{wanted}'", span, notes)
        yield from _check_ends(item)


def _check_size(population: Component) -> Iterator[Diagnostic]:
    size = population.element.get("size")
    instances = population.children.get("instances", ())
    if size is not None and instances and size.strip() != str(count(instances)):
        yield Diagnostic(
            f"'size' is '{size}', but there are {count(instances)} instances",
            population.element.attribute_span("size"),
            ("the instances count",),
            "warning",
        )
    value = population.values.get("size", 1.0)
    if not instances and (value < 1.0 or value % 1.0 != 0.0):
        span = population.element.attribute_span("size")
        yield Diagnostic(f"'size' is '{size}', expected a whole number, 1 or more", span)


def _check_ends(projection: Component) -> Iterator[Diagnostic]:
    """Check that connections join cells of the populations that their projection names."""
    for end, names in _ENDS:
        population = projection.texts.get(end)
        if population is None:
            continue
        for _, connection in projection.all_children():
            for name in names:
                cell = CELL.fullmatch(connection.texts.get(name, ""))
                if cell and cell["population"] != population:
                    told = Diagnostic(
                        f"'{cell[0]}' is no cell of '{population}'",
                        connection.element.attribute_span(name),
                        (Note(f"the {end}", projection.element.attribute_span(end)),),
                    )
                    yield as_in_rows(told, count([connection]) - 1)


# Cells


def _check_cell(cell: Component) -> Iterator[Diagnostic]:
    for morphology in cell.children.get("morphology", ()):
        segments = {item.id for item in morphology.children.get("segments", ())}
        groups = {item.id for item in morphology.children.get("segmentGroups", ())}
        yield from _check_roots(morphology)
        for item in cell.walk():
            for name, known in (("segment", segments), ("segmentGroup", {*groups, _EVERYWHERE})):
                wanted = item.texts.get(name)
                if wanted is not None and wanted not in known:
                    span = item.element.attribute_span(name)
                    notes = suggest(wanted, known)
                    yield Diagnostic(f"no {name} has the id '{wanted}'", span, notes)


def _check_roots(morphology: Component) -> Iterator[Diagnostic]:
    segments = morphology.children.get("segments", [])
    roots = [item for item in segments if not item.children.get("parent")]
    for item in roots[1:]:
        note = Note("the first is here", roots[0].span)
        yield Diagnostic("two segments have no parent", item.span, (note,))
    if segments and not roots:
        yield Diagnostic("every segment has a parent: none is the root", morphology.span)


# Simulations


def _check_target(model: Model) -> Iterator[Diagnostic]:
    element = model.target_element
    if element is None or not model.target:
        return
    if model.targeted(model.target) is None:
        span = element.attribute_span("component")
        simulations = [item.id for item in model.of_type("Simulation")]
        notes = suggest(model.target, simulations or model.components)
        yield Diagnostic(f"no component has the id '{model.target}'", span, notes)


def _check_simulation(simulation: Component) -> Iterator[Diagnostic]:
    length, step = simulation.values.get("length"), simulation.values.get("step")
    for name, value in (("length", length), ("step", step)):
        if value is not None and value <= 0.0:
            span = simulation.element.attribute_span(name)
            text = simulation.element.get(name)
            yield Diagnostic(f"'{name}' is '{text}', expected a time greater than 0", span)
    if length is not None and step is not None and 0.0 < length < step:
        yield Diagnostic(
            "the simulation is shorter than one step",
            simulation.element.attribute_span("length"),
            (Note("the step is given here", simulation.element.attribute_span("step")),),
        )
    seed = simulation.texts.get("seed")
    if seed is not None and not re.fullmatch(r"\s*-?\d+\s*", seed):
        span = simulation.element.attribute_span("seed")
        yield Diagnostic(f"'seed' is '{seed}', expected a whole number", span)


def _check_format(output: Component) -> Iterator[Diagnostic]:
    text = output.texts.get("format")
    if text is not None and text not in _FORMATS:
        yield Diagnostic(
            f"'format' is '{text}', expected {' or '.join(_FORMATS)}",
            output.element.attribute_span("format"),
        )
