"""Lower a Simulation: which network to run, for how long, and what to record and draw.

Source: LEMS, Simulation, Display, Line, OutputFile, EventOutputFile; NeuroML 2, paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from izhi_models.attach import attach
from izhi_models.errors import (
    Diagnostic,
    InputError,
    Span,
    UnsupportedError,
    raise_if_errors,
    suggest,
)
from izhi_models.lems.apart import watched
from izhi_models.lems.components import Component, Model
from izhi_models.lems.holders import Target, find_target, lower_holders
from izhi_models.lems.lower import contained, lower_component, variable_of
from izhi_models.lems.network import DEFAULT_SEED, lower_network
from izhi_models.lems.selection import select_cells
from izhi_models.lems.spread import component_of
from izhi_models.lems.targets import sent_ports
from izhi_models.network import Network, Parts, Population, Projection, Values
from izhi_models.simulation import (
    Display,
    EventOutputFile,
    Line,
    OutputFile,
    Simulation,
)
from izhi_models.units import QUANTITY


@dataclass(frozen=True)
class Quantity:
    """A recorded variable of one cell.

    Parameters
    ----------
    path : str
        As written.
    population : str
    index : int
    name : str
        The path below the cell: ``v``, ``i0/I``.
    variable : str
        Name in the population's dynamics.
    is_whole : bool
        True for a quantity of the target itself, of no cell; any cell carries it.
    """

    path: str
    population: str
    index: int
    name: str
    variable: str
    is_whole: bool = False


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
        paths = _Paths(self.model, self.network, self.target)
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
                suggest(component.id, [item.id for item in model.of_type("network")]),
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
    resolved = _Paths(model, lowered, target)
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
        found = model.components.get(model.target)
        if found is None:
            raise InputError(
                Diagnostic(
                    f"no component has the id '{model.target}'",
                    _target_span(model),
                    suggest(model.target, [item.id for item in model.of_type("Simulation")]),
                )
            )
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
    networks = model.of_type("network")
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
        displays=tuple(_display(item) for item in simulation.children.get("displays", ())),
        outputs=tuple(_output(item) for item in simulation.children.get("outputs", ())),
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


def _display(component: Component) -> Display:
    values = component.values
    scale = _scale(component, "timeScale", 1.0)
    return Display(
        id=component.id,
        title=component.texts.get("title", component.id),
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


# Paths

# A member of a list of attachments: pulse0, pulse0[1], synapses:ampa:0.
_MEMBER = re.compile(r"(?:[^:\[\]]+:)?(?P<id>[^:\[\]]+)(?:\[(?P<number>\d+)\]|:\d+)?")


@dataclass
class _Paths:
    """Resolves the paths of a simulation and gathers what is wrong with them."""

    model: Model
    lowered: Network
    target: Target
    quantities: dict[str, Quantity] = field(default_factory=dict)
    sources: dict[str, tuple[str, int]] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)
    places: dict[str, dict[tuple[str, int], list[str]]] = field(default_factory=dict)
    ending: dict[str, dict[str, list[Projection]]] = field(default_factory=dict)

    def resolve(self, simulation: Component) -> None:
        """Resolve every quantity and event source below a Simulation."""
        for component in simulation.walk():
            if "quantity" in component.texts:
                self._guarded(self._quantity, component, "quantity")
            elif "select" in component.texts:
                self._guarded(self._source, component, "select")
                if "eventPort" in component.texts:
                    self._check_port(component)
        raise_if_errors(self.faults)

    def _guarded(self, resolve: Callable[[str], None], component: Component, name: str) -> None:
        try:
            resolve(component.texts[name])
        except (InputError, UnsupportedError) as error:
            first = error.diagnostics[0]
            span = component.element.attribute_span(name)
            placed = Diagnostic(first.message, span, first.notes)
            if isinstance(error, UnsupportedError):
                raise UnsupportedError(placed) from None
            self.faults.append(placed)

    def in_plan(self, plan: Simulation) -> Simulation:
        """Return the plan with paths that start at the network, as results name them."""

        def displayed(display: Display) -> Display:
            lines = (replace(item, quantity=self._inside(item.quantity)) for item in display.lines)
            return replace(display, lines=tuple(lines))

        return replace(
            plan,
            displays=tuple(displayed(item) for item in plan.displays),
            outputs=tuple(
                replace(
                    item, columns=tuple((key, self._inside(path)) for key, path in item.columns)
                )
                for item in plan.outputs
            ),
            event_outputs=tuple(
                replace(
                    item,
                    selections=tuple(
                        (key, self._inside(path), port) for key, path, port in item.selections
                    ),
                )
                for item in plan.event_outputs
            ),
        )

    def _inside(self, path: str) -> str:
        owner, _, rest = self.target.split(path, self.lowered.populations)
        return rest if owner is None else path

    def _check_port(self, selection: Component) -> None:
        source = self.sources.get(self._inside(selection.texts["select"]))
        if source is None:  # a fault already
            return
        dynamics = self.lowered.populations[source[0]].dynamics
        sent = sent_ports(dynamics)
        port = selection.texts["eventPort"]
        if port not in sent:
            span = selection.element.attribute_span("eventPort")
            message = f"'{dynamics.name}' sends no events on a port '{port}'"
            self.faults.append(Diagnostic(message, span, suggest(port, sent)))

    def _source(self, path: str) -> None:
        path = self._inside(path)
        population, index, rest = self._cell(path)
        if rest and rest[0].isdecimal() and len(rest) == 1:
            owner, place = self._compartment(population, index, int(rest[0]))
            if owner.id != population.id or place != index:
                raise UnsupportedError(
                    Diagnostic(
                        f"the spikes of a cell are those of its root, and not of segment {rest[0]}",
                        notes=(f"record {path}/v",),
                    )
                )
        elif rest:
            raise InputError(Diagnostic(f"'{path}' is no path of a cell"))
        if not population.dynamics.out_ports:
            raise InputError(
                Diagnostic(
                    f"'{population.component}', a {population.dynamics.name}, sends no events"
                )
            )
        self.sources[path] = (population.id, index)

    def _quantity(self, path: str) -> None:
        self.quantities[self._inside(path)] = self.quantity(path)

    def quantity(self, path: str) -> Quantity:
        """Resolve the path of one quantity of one cell, or of the target itself."""
        owner, prefix, inside = self.target.split(path, self.lowered.populations)
        if owner is not None:
            variable = prefix + self._below(owner, inside.split("/"))
            carrier = next(iter(self.lowered.populations))
            return Quantity(path, carrier, 0, path, variable, is_whole=True)
        path = inside
        population, index, rest = self._cell(path)
        segment, rest = (rest[0], rest[1:]) if rest and rest[0].isdecimal() else (None, rest)
        apart = self._apart(path, population, index) if segment is not None else None
        if apart is not None and len(rest) > 1:
            population, index, name = apart
            connections = self._ending(population)[name]
            variable = self._of_synapse(population, index, connections, rest[1:])
            return Quantity(path, population.id, index, path, variable, is_whole=True)
        if segment is not None:
            population, index = self._compartment(population, index, int(segment))
        if not rest:
            raise InputError(
                Diagnostic(f"'{path}' names a cell, not a quantity", notes=(f"write {path}/v",))
            )
        cell = component_of(self.model, population)
        variable = self._variable(cell, population, index, rest)
        if segment is not None:  # a compartment is no cell of its own to who looks at results
            return Quantity(path, population.id, index, path, variable, is_whole=True)
        return Quantity(path, population.id, index, "/".join(rest), variable)

    def _apart(
        self, path: str, population: Population, index: int
    ) -> tuple[Population, int, str] | None:
        """Return the compartment with a connection that has a synapse for itself, and its name."""
        for one in watched([path], {population.id: population}):
            for item in self.lowered.projections:
                owner = self.lowered.populations[item.post]
                if item.synapse == one.name and population.id in (owner.id, owner.part_of):
                    found = item.post_cells[item.post_cells % population.size == index]
                    if found.size:
                        return owner, int(found[0]), one.name
        return None

    def _compartment(
        self, population: Population, index: int, segment: int
    ) -> tuple[Population, int]:
        """Return the compartment in the middle of a segment, where segments are recorded."""
        compartments = population.compartments
        if compartments is None and segment == 0:
            return population, index
        if compartments is None or not compartments.has_segment(segment):
            raise InputError(Diagnostic(f"'{population.component}' has no segment {segment}"))
        place = compartments.place(segment, 0.5)
        rank = int(compartments.ranks[place])
        owner = self.lowered.populations[compartments.owners[place]]
        return owner, rank * compartments.size + index

    def quantities_of(
        self, population: Population, cells: Sequence[int], path: str
    ) -> list[Quantity]:
        """Resolve the path of one quantity of some cells."""
        _, _, rest = path.partition("/")
        paths = [f"{population.id}[{cell}]/{rest}" for cell in cells]
        if "/" in rest:  # what is attached may differ from cell to cell
            return [self.quantity(path) for path in paths]
        first = self.quantity(paths[0])
        named = zip(paths, cells, strict=True)
        return [replace(first, path=path, index=cell) for path, cell in named]

    def _cell(self, path: str) -> tuple[Population, int, list[str]]:
        """Split a path into population, index and the steps inside the cell."""
        steps = path.split("/")
        match = re.fullmatch(r"(.+?)\[(\d+)\]", steps[0])
        name = match[1] if match else steps[0]
        population = self.lowered.populations.get(name)
        if population is None:
            raise InputError(
                Diagnostic(
                    f"no population has the id '{name}'",
                    notes=suggest(name, self.lowered.populations),
                )
            )
        if match:
            index, rest = int(match[2]), steps[1:]
        elif len(steps) > 1 and steps[1].isdecimal():
            # populationList: the step after the number names the component of the instance.
            index, rest = int(steps[1]), steps[3:]
            if steps[2:3] != [population.component]:
                hint = f"write {name}/{index}/{population.component}/..."
                raise InputError(
                    Diagnostic(f"'{path}' does not name the component of the cell", notes=(hint,))
                )
        else:
            raise InputError(Diagnostic(f"'{path}' names no cell", notes=(f"write {name}[0]/...",)))
        if index >= population.size:
            raise InputError(
                Diagnostic(
                    f"'{name}' has {population.size} cells, numbered from 0: "
                    f"there is no cell {index}"
                )
            )
        return population, index, rest

    def _variable(
        self, cell: Component, population: Population, index: int, steps: list[str]
    ) -> str:
        match = _MEMBER.fullmatch(steps[0])
        name, number = (match["id"], int(match["number"] or 0)) if match else ("", 0)
        places = self._places(population).get((name, index), [])
        if number < len(places) and len(steps) > 1:
            return f"{places[number]}/" + self._below(self.model.components[name], steps[1:])
        connections = self._ending(population).get(name)
        if connections is not None and len(steps) > 1:
            return self._of_synapse(population, index, connections, steps[1:])
        if steps[0] in cell.type.attachments and len(steps) > 2:
            # The list may be named before its member: synapses/pulse0/i.
            return self._variable(cell, population, index, steps[1:])
        return self._below(cell, steps)

    def _of_synapse(
        self, population: Population, index: int, connections: list[Projection], steps: list[str]
    ) -> str:
        """Resolve a path into a synapse, which all connections of a cell through it share."""
        synapse = connections[0].synapse
        if any(item.own for item in connections):
            raise UnsupportedError(
                Diagnostic(
                    f"nothing inside '{synapse}' can be recorded: each connection has its own",
                    notes=("record the cell",),
                )
            )
        blocks = (block for item in connections for block in item.connections.blocks())
        count = sum(int((block.post == index).sum()) for block in blocks)
        if count != 1:
            raise InputError(
                Diagnostic(
                    f"{population.id}[{index}] has {count} connections through '{synapse}'",
                    notes=("they share one synapse, so no single one can be recorded",),
                )
            )
        component = self.model.components[synapse.partition(":")[0]]
        places = population.synapses[synapse]
        place = next(place for place, cells in places.items() if index in cells)
        variable = f"{place}/{self._below(component, steps)}"
        if variable not in population.dynamics.dimensions():
            raise InputError(
                Diagnostic(f"'{'/'.join(steps)}' of '{synapse}' has no part in what it does")
            )
        return variable

    def _ending(self, population: Population) -> dict[str, list[Projection]]:
        """Return the projections that end in a population, by their synapse."""
        if not self.ending:
            for item in self.lowered.projections:
                own = self.ending.setdefault(item.post, {})
                own.setdefault(item.synapse, []).append(item)
        return self.ending.get(population.id, {})

    def _places(self, population: Population) -> dict[tuple[str, int], list[str]]:
        """Return where the components are that are attached, by their id and the cell."""
        if population.id not in self.places:
            places = self.places[population.id] = {}
            for item in population.attached:
                places.setdefault((item.id, item.cell), []).append(item.place)
        return self.places[population.id]

    def _below(self, part: Component, steps: list[str]) -> str:
        prefix = ""
        for step in steps[:-1]:
            parts = contained(self.model, part)
            found = [(place, item) for place, item in parts if step in (place, item.id)]
            if not found:
                known = [item.id or place for place, item in parts]
                raise InputError(
                    Diagnostic(
                        f"'{part.type.name}' has no part '{step}'", notes=suggest(step, known)
                    )
                )
            place, part = found[0]
            prefix += f"{place}/"
        name = variable_of(self.model, part, steps[-1])
        if name is None:
            raise InputError(
                Diagnostic(
                    f"'{part.type.name}' has no variable '{steps[-1]}'",
                    notes=suggest(steps[-1], {*part.type.exposures, *part.values} - {steps[-1]}),
                )
            )
        return prefix + name
