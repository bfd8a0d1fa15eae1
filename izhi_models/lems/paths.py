"""Resolve the paths of a simulation: which variable of which cell, or of which of its synapses.

Source: NeuroML 2, paths; LEMS, Line, OutputColumn and EventSelection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, raise_if_errors, suggest
from izhi_models.lems.apart import watched
from izhi_models.lems.components import Component, Model
from izhi_models.lems.holders import Target
from izhi_models.lems.lower import contained, variable_of
from izhi_models.lems.order import Made
from izhi_models.lems.spread import component_of
from izhi_models.lems.targets import sent_ports
from izhi_models.network import Connection, Network, Population, Projection
from izhi_models.simulation import Display, Simulation

# A member of a list of attachments: pulse0, pulse0[1], synapses:ampa:0.
_MEMBER = re.compile(
    r"(?:(?P<list>[^:\[\]]+):)?(?P<id>[^:\[\]]+)(?:\[(?P<number>\d+)\]|:(?P<place>\d+))?"
)


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
        Name in the population's dynamics, or in that of the synapse.
    connection : Connection or None
        That has a synapse of its own, in which the variable is.
    is_whole : bool
        True for a quantity of the target itself, of no cell; any cell carries it.
    """

    path: str
    population: str
    index: int
    name: str
    variable: str
    connection: Connection | None = None
    is_whole: bool = False


def _no_part(steps: list[str], synapse: str) -> InputError:
    return InputError(Diagnostic(f"'{'/'.join(steps)}' of '{synapse}' has no part in what it does"))


@dataclass
class Paths:
    """Resolves the paths of a simulation and gathers what is wrong with them."""

    model: Model
    lowered: Network
    target: Target
    quantities: dict[str, Quantity] = field(default_factory=dict)
    sources: dict[str, tuple[str, int]] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)
    places: dict[str, dict[tuple[str, int], list[str]]] = field(default_factory=dict)
    ending: dict[str, dict[str, list[Projection]]] = field(default_factory=dict)
    made: dict[tuple[str, str, str], Made] = field(default_factory=dict)

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
            variable, connection = self._at_synapse(population, index, 0, connections, rest[1:])
            return Quantity(path, population.id, index, path, variable, connection, is_whole=True)
        if segment is not None:
            population, index = self._compartment(population, index, int(segment))
        if not rest:
            raise InputError(
                Diagnostic(f"'{path}' names a cell, not a quantity", notes=(f"write {path}/v",))
            )
        cell = component_of(self.model, population)
        variable, connection = self._variable(cell, population, index, rest)
        # A compartment is no cell of its own to who looks at results.
        name = "/".join(rest) if segment is None else path
        whole = segment is not None
        return Quantity(path, population.id, index, name, variable, connection, is_whole=whole)

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
    ) -> tuple[str, Connection | None]:
        match = _MEMBER.fullmatch(steps[0])
        name = match["id"] if match else ""
        number = int(match["number"] or match["place"] or 0) if match else 0
        places = self._places(population).get((name, index), [])
        if number < len(places) and len(steps) > 1:
            part = self.model.components[name]
            return f"{places[number]}/" + self._below(part, steps[1:]), None
        connections = self._ending(population).get(name, [])
        if match and match["list"]:
            connections = [item for item in connections if item.attachment == match["list"]]
        if connections and len(steps) > 1:
            return self._at_synapse(population, index, number, connections, steps[1:])
        if steps[0] in cell.type.attachments and len(steps) > 2:
            # The list may be named before its member: synapses/pulse0/i.
            return self._variable(cell, population, index, steps[1:])
        return self._below(cell, steps), None

    def _at_synapse(
        self,
        population: Population,
        index: int,
        number: int,
        connections: list[Projection],
        steps: list[str],
    ) -> tuple[str, Connection | None]:
        """Resolve a path into a synapse of a cell."""
        if any(item.is_own for item in connections):
            return self._of_connection(population, index, number, connections[0], steps)
        return self._of_synapse(population, index, connections, steps), None

    def _of_connection(
        self,
        population: Population,
        index: int,
        number: int,
        example: Projection,
        steps: list[str],
    ) -> tuple[str, Connection]:
        """Resolve a path into a synapse that each connection has for itself."""
        key = (population.id, example.attachment, example.synapse)
        if key not in self.made:
            self.made[key] = Made(self.lowered.projections, *key)
        connections = self.made[key].of_cell(index)
        if number >= len(connections):
            noun = "connection" if len(connections) == 1 else "connections"
            raise InputError(
                Diagnostic(
                    f"{population.id}[{index}] has {len(connections)} {noun} through "
                    f"'{example.synapse}', numbered from 0: there is no {number}"
                )
            )
        component = self.model.components[example.synapse.partition(":")[0]]
        variable = self._below(component, steps)
        if variable not in example.dynamics.dimensions():
            raise _no_part(steps, example.synapse)
        return variable, connections[number]

    def _of_synapse(
        self, population: Population, index: int, connections: list[Projection], steps: list[str]
    ) -> str:
        """Resolve a path into a synapse, which all connections of a cell through it share."""
        synapse = connections[0].synapse
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
            raise _no_part(steps, synapse)
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
