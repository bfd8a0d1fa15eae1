"""Lower a Simulation: which network to run, for how long, and what to record and draw.

Source: LEMS, Simulation, Display, Line, OutputFile, EventOutputFile; NeuroML 2, paths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from izhi_models.attach import attach
from izhi_models.errors import (
    Diagnostic,
    InputError,
    Span,
    UnsupportedError,
    raise_if_errors,
    suggest,
)
from izhi_models.lems.components import Component, Model
from izhi_models.lems.holders import Target, find_target, lower_holders
from izhi_models.lems.instances import networks_of
from izhi_models.lems.lower import lower_component
from izhi_models.lems.network import DEFAULT_SEED, lower_network
from izhi_models.lems.paths import Paths, Quantity
from izhi_models.lems.selection import select_cells
from izhi_models.network import Network, Parts, Population, Values
from izhi_models.simulation import (
    Display,
    EventOutputFile,
    Line,
    OutputFile,
    Simulation,
)
from izhi_models.units import QUANTITY

# Types of what a Simulation may hold and nothing reads: settings of other simulators.
IGNORED = ("Meta",)
_LINES = "lines"  # where a type has what is drawn


@dataclass(frozen=True)
class Experiment:
    """A network, and what a file wants done with it.

    Parameters
    ----------
    network : Network
    simulation : Simulation or None
        None for a file that declares none.
    quantities : dict of str to Quantity
        Every path that the simulation records.
    sources : dict of str to (str, int)
        Every path from which it records events, as population and index.
    model : Model
    target : Target
    warnings : tuple of Diagnostic
    """

    network: Network
    simulation: Simulation | None
    quantities: dict[str, Quantity]
    sources: dict[str, tuple[str, int]]
    model: Model
    target: Target
    warnings: tuple[Diagnostic, ...] = ()

    def resolve(self, path: str) -> list[Quantity]:
        """Resolve a path that may select cells: ``pop[0]/v``, ``pop[0:9]/v``, ``pop/v`` for all.

        Raises
        ------
        InputError
            If the path leads nowhere.
        """
        paths = Paths(self.model, self.network, self.target)
        selected = select_cells(path, self.network.populations)
        return [paths.quantity(path)] if selected is None else paths.quantities_of(*selected, path)


def lower_experiment(model: Model, seed: int | None = None) -> Experiment:
    """Lower what a file wants run: its target, or its only network.

    Parameters
    ----------
    model : Model
        Without errors among its faults.
    seed : int, optional
        Of what the rules of the network draw; that of the Simulation if left out, else 1234.

    Raises
    ------
    InputError
        If there is nothing to run, or a target, path or population is wrong.
    UnsupportedError
        If the network has what cannot be run.
    """
    raise_if_errors(model.faults)
    warnings = tuple(item for item in model.faults if item.severity == "warning")
    simulation = _find_simulation(model)
    if simulation is None:
        network = _only_network(model)
        drawn = DEFAULT_SEED if seed is None else seed
        lowered = lower_network(model, network, drawn)
        return Experiment(lowered, None, {}, {}, model, Target(network, network), warnings)
    component = model.reference(simulation, "target")
    target = find_target(component)
    if target is None:
        raise InputError(
            Diagnostic(
                f"the target '{component.id}' is a {component.type.name}: it has no dynamics",
                simulation.element.attribute_span("target"),
                suggest(component.id, [item.id for item in networks_of(model)]),
            )
        )
    plan = _plan(simulation)
    if seed is None:
        seed = DEFAULT_SEED if plan.seed is None else plan.seed
    if target.network is None:
        lowered = _lower_alone(model, component, simulation)
    else:
        paths = [item.texts["quantity"] for item in simulation.walk() if "quantity" in item.texts]
        holders = lower_holders(model, target)
        lowered = lower_network(model, target.network, seed, holders, paths)
    resolved = Paths(model, lowered, target)
    resolved.resolve(simulation)
    return Experiment(
        lowered,
        resolved.in_plan(plan),
        resolved.quantities,
        resolved.sources,
        model,
        target,
        warnings,
    )


def _lower_alone(model: Model, component: Component, simulation: Component) -> Network:
    """Lower a component that runs by itself to a network of one cell."""
    lowered = lower_component(model, component)
    values: Values = dict(lowered.values)
    alone = Population(component.id, component.id, lowered.dynamics, values, 1)
    (whole,), _ = attach([alone])
    raise_if_errors(
        Diagnostic(
            f"nothing provides the '{item.name}' that '{component.id}' requires",
            simulation.element.attribute_span("target"),
            ("make it a part of a component that shows it",),
        )
        for item in whole.dynamics.requirements
    )
    parts = Parts({component.id: alone}, (), ())
    return Network(component.id, {component.id: whole}, parts=parts)


def _find_simulation(model: Model) -> Component | None:
    if model.target is not None:
        found = model.targeted(model.target)
        if found is None:
            raise InputError(
                Diagnostic(
                    f"no component has the id '{model.target}'",
                    _target_span(model),
                    suggest(model.target, [item.id for item in model.of_type("Simulation")]),
                )
            )
        below = [item for item in found.walk() if item.type.is_a("Simulation")]
        if len(below) > 1:
            listed = ", ".join(f"'{item.id}'" for item in below)
            raise UnsupportedError(
                Diagnostic(
                    f"'{found.id}' holds several Simulations ({listed}), and one is run at a time",
                    _target_span(model),
                    (f'write <Target component="{below[0].id}"/>',),
                )
            )
        if below:
            return below[0]
        if not found.type.is_a("Simulation"):
            raise InputError(
                Diagnostic(
                    f"'{found.id}' is a {found.type.name}, not a Simulation",
                    _target_span(model),
                )
            )
        return found
    simulations = model.of_type("Simulation")
    return simulations[0] if simulations else None


def _target_span(model: Model) -> Span | None:
    element = model.target_element
    return element.attribute_span("component") if element else None


def _only_network(model: Model) -> Component:
    networks = networks_of(model)
    if len(networks) == 1:
        return networks[0]
    if not networks:
        cells = [item.id for item in model.of_type("baseCell")]
        hint = f"it declares {', '.join(cells[:5])}: put them into a network" if cells else ""
        raise InputError(
            Diagnostic(
                f"{model.path} declares no network and no Simulation: there is nothing to run",
                notes=(hint,) if hint else (),
            )
        )
    listed = ", ".join(item.id for item in networks)
    raise InputError(
        Diagnostic(f"{model.path} declares several networks ({listed}): write a Simulation")
    )


# Simulation


def _plan(simulation: Component) -> Simulation:
    return Simulation(
        id=simulation.id,
        length_s=_positive(simulation, "length"),
        step_s=_positive(simulation, "step"),
        target=simulation.texts.get("target", ""),
        seed=_seed(simulation),
        displays=tuple(
            _display(item, _region(simulation) if place == "outputs" else item)
            for place, item in simulation.all_children()
            if place == "displays" or (place == "outputs" and _LINES in item.type.children)
        ),
        outputs=tuple(
            _output(item)
            for item in simulation.children.get("outputs", ())
            if _LINES not in item.type.children
        ),
        event_outputs=tuple(_event_output(item) for item in simulation.children.get("events", ())),
    )


def _positive(simulation: Component, name: str) -> float:
    value = simulation.values.get(name)
    if value is None or value <= 0.0:
        raise InputError(
            Diagnostic(
                f"a Simulation needs a {name} greater than zero",
                simulation.element.attribute_span(name),
                (f'write {name}="10ms"',),
            )
        )
    return value


def _seed(simulation: Component) -> int | None:
    text = simulation.texts.get("seed")
    if text is None:
        return None
    if not re.fullmatch(r"-?\d+", text):
        raise InputError(
            Diagnostic(
                f"the seed '{text}' is no whole number", simulation.element.attribute_span("seed")
            )
        )
    return int(text)


def _region(simulation: Component) -> Component:
    """Return the Display that a Simulation names, of those that what holds it has."""
    holder = simulation.parent
    for item in holder.children.get("displays", ()) if holder is not None else ():
        if item.id == simulation.texts.get("display"):
            return item
    return simulation


def _display(component: Component, region: Component) -> Display:
    values = region.values
    scale = _scale(component, "timeScale", 1.0)
    name = component.id or region.id
    return Display(
        id=name,
        title=component.texts.get("title") or region.texts.get("title", name),
        xmin=values.get("xmin", 0.0),
        xmax=values.get("xmax", 0.0),
        ymin=values.get("ymin", 0.0),
        ymax=values.get("ymax", 0.0),
        time_scale_s=scale,
        lines=tuple(_line(item, scale) for item in component.children.get("lines", ())),
        span=component.span,
    )


def _line(component: Component, time_scale: float) -> Line:
    return Line(
        id=component.id,
        quantity=component.texts.get("quantity", ""),
        scale=_scale(component, "scale", 1.0),
        scale_unit=_scale_unit(component.element.get("scale") or "1"),
        color=component.texts.get("color", ""),
        time_scale_s=_scale(component, "timeScale", time_scale),
    )


def _scale(component: Component, name: str, default: float) -> float:
    value = component.values.get(name, default)
    if value == 0.0:
        raise InputError(
            Diagnostic(
                f"'{name}' is 0, and values are divided by it",
                component.element.attribute_span(name),
            )
        )
    return value


def _scale_unit(text: str) -> str:
    """Return the name of the unit of a scale: ``mV`` for 1mV, ``10 mV`` for 10mV."""
    match = QUANTITY.fullmatch(text)
    if match is None or not match[2]:
        return ""
    return match[2] if float(match[1]) == 1.0 else f"{match[1]} {match[2]}"


def _file_name(component: Component) -> str:
    name = component.texts.get("fileName")
    if not name:
        raise InputError(Diagnostic(f"<{component.element.tag}> lacks 'fileName'", component.span))
    return name


def _output(component: Component) -> OutputFile:
    return OutputFile(
        id=component.id,
        file_name=_file_name(component),
        path=component.texts.get("path", ""),
        columns=tuple(
            (item.id, item.texts.get("quantity", ""))
            for item in component.children.get("outputColumn", ())
        ),
        span=component.element.attribute_span("fileName"),
    )


def _event_output(component: Component) -> EventOutputFile:
    return EventOutputFile(
        id=component.id,
        file_name=_file_name(component),
        path=component.texts.get("path", ""),
        format=component.texts.get("format", "ID_TIME"),
        selections=tuple(
            (item.id, item.texts.get("select", ""), item.texts.get("eventPort", ""))
            for item in component.children.get("eventSelection", ())
        ),
        span=component.element.attribute_span("fileName"),
    )
