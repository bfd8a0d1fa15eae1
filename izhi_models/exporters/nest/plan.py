"""What nodes and connections of NEST a network becomes; everything that has none is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.lower import Group, kinds_of
from izhi_models.annarchy.start import start_of
from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.nest.cells import recognise
from izhi_models.exporters.nest.equations import Floats, equations_of
from izhi_models.exporters.nest.firing import NoModelError
from izhi_models.exporters.nest.membrane import Cell
from izhi_models.exporters.nest.models import Choice, choose
from izhi_models.exporters.nest.sources import (
    Train,
    Wave,
    distinct,
    is_source,
    random_train,
    shower,
    spike_steps,
    waves,
)
from izhi_models.exporters.nest.synapses import Kernel, Plasticity, Synapse, read_synapse
from izhi_models.exporters.request import Request
from izhi_models.network import WEIGHT, Input, Network, Parts, Population, Projection
from izhi_models.rounding import in_steps

_INSTEAD = (
    "Brian2 takes any equations: --to brian2",
    "in NEST, these would have to be written in NESTML and compiled with it",
)


@dataclass(frozen=True)
class Nodes:
    """Cells of one population that are one model.

    Parameters
    ----------
    cells : int array (n,)
    choice : Choice
        With parameters of all cells of the population.
    """

    cells: NDArray[np.intp]
    choice: Choice


@dataclass
class Planned:
    """A population.

    Parameters
    ----------
    population : Population
        With the dynamics of the cells alone.
    cell : Cell, optional
        None for a source of spikes.
    train : Train or list of int array, optional
        Its law, or the numbers of steps for each cell.
    drive, second : array (n,), optional
        A constant current besides that of its cells, and what is added to it in the second step
        alone, in which no generator of NEST can act. [pA]
    nodes : list of Nodes
    """

    population: Population
    cell: Cell | None = None
    train: Train | list[NDArray[np.int64]] | None = None
    drive: Floats = field(default_factory=lambda: np.zeros(0))
    second: Floats = field(default_factory=lambda: np.zeros(0))
    nodes: list[Nodes] = field(default_factory=list)

    @property
    def sends(self) -> bool:
        """Whether it sends spikes."""
        return self.cell is None or self.cell.sends


@dataclass(frozen=True)
class Wired:
    """Connections to one kind of receptor.

    Parameters
    ----------
    id, pre, post, synapse : str
    pre_cells, post_cells : int array (n,)
    weights : array (n,)
        In NEST's units.
    delays : int array (n,)
        In steps.
    receptors : int array (n,)
    plasticity : Plasticity or None
    """

    id: str
    pre: str
    post: str
    synapse: str
    pre_cells: NDArray[np.int32]
    post_cells: NDArray[np.int32]
    weights: Floats
    delays: NDArray[np.int32]
    receptors: NDArray[np.int32]
    plasticity: Plasticity | None


@dataclass(frozen=True)
class Showered:
    """Spikes of an input, through a synapse of its own, to each of some cells.

    Parameters
    ----------
    id, population : str
    train : Train or int array
        Numbers of steps in the second case, the same for all cells.
    cells : int array (n,)
    links : tuple of (array (n,), int array (n,))
        Weights in NEST's units, and receptors.
    """

    id: str
    population: str
    train: Train | NDArray[np.int64]
    cells: NDArray[np.int64]
    links: tuple[tuple[Floats, NDArray[np.int32]], ...]


@dataclass
class Plan:
    """A network in the words of NEST.

    Parameters
    ----------
    populations : dict of str to Planned
    currents : list of (Input, Wave, array (n,))
        With NEST's pA for 1 at each cell.
    showers : list of Showered
    wired : list of Wired
    is_late : bool
        Whether a delay is too short for NEST.
    """

    populations: dict[str, Planned]
    currents: list[tuple[Input, Wave, Floats]] = field(default_factory=list)
    showers: list[Showered] = field(default_factory=list)
    wired: list[Wired] = field(default_factory=list)
    is_late: bool = False


def make_plan(request: Request) -> Plan:
    """Return what a network becomes in NEST.

    Parameters
    ----------
    request : Request

    Raises
    ------
    UnsupportedError
        With everything that NEST has no model for.
    """
    network = request.experiment.network
    parts = network.parts
    if parts is None or parts.axial or parts.holders:
        raise UnsupportedError(*_whole(request))
    return _Planner(request, network, parts).plan()


def _whole(request: Request) -> list[Diagnostic]:
    """Return why the parts of a network cannot be looked at one by one."""
    cells = {
        item.component: len(item.compartments.owners)
        for item in request.experiment.network.populations.values()
        if item.compartments is not None and len(item.compartments.owners) > 1
    }
    if not cells:
        target = request.experiment.target.component
        message = f"'{target.id}' shows quantities to the network that it holds"
        return [Diagnostic(f"NEST cannot be told that {message}", target.span, _INSTEAD)]
    faults = []
    for name, count in cells.items():
        component = request.experiment.model.components.get(name)
        message = f"NEST has no built-in model for '{name}': it has {count} compartments"
        span = None if component is None else component.span
        faults.append(Diagnostic(message, span, _INSTEAD))
    return faults


class _Planner:
    def __init__(self, request: Request, network: Network, parts: Parts) -> None:
        self.request = request
        self.network = network
        self.parts = parts
        self.model = request.experiment.model
        self.n_steps = round(request.duration_s / request.dt_s)
        self.faults: list[Diagnostic] = []
        self.synapses: dict[tuple[str, str], Synapse] = {}
        self.arriving: dict[str, dict[Kernel, NDArray[np.bool_]]] = {}
        self.named: dict[str, dict[str, None]] = {}
        self.projections: list[tuple[Projection, Synapse]] = []
        self.showers: list[tuple[Input, Synapse, Train | NDArray[np.int64]]] = []
        self.currents: list[Input] = []

    def plan(self) -> Plan:
        """Return the plan."""
        starts = dict(self._starts())
        plan = Plan({})
        for item in self.parts.populations.values():
            found = self._population(item, starts[item.id])
            if found is not None:
                plan.populations[item.id] = found
                self.arriving[item.id] = {}
        for projection in self.parts.projections:
            self._projection(projection, plan)
        for source in self.parts.inputs:
            self._input(source, plan)
        self._raise()
        for planned in plan.populations.values():
            self._choose(planned)
        self._raise()
        for projection, synapse in self.projections:
            plan.wired += self._wired(projection, synapse, plan)
        for source, synapse, train in self.showers:
            plan.showers.append(self._showered(source, synapse, train, plan))
        for source in self.currents:
            self._current(source, plan)
        self._raise()
        return plan

    def _raise(self) -> None:
        if self.faults:
            raise UnsupportedError(*self.faults)

    def _refuse(self, id_: str, kind: str, error: NoModelError) -> None:
        component = self.model.components.get(id_)
        span = None if component is None else component.span
        message = f"NEST has no built-in model for '{id_}' ({kind}): {error}"
        fault = Diagnostic(message, span, _INSTEAD)
        if fault not in self.faults:
            self.faults.append(fault)

    def _starts(self) -> Iterator[tuple[str, dict[str, Floats]]]:
        """Yield the initial values of each population, those of a run of this package."""
        for number, (dynamics, populations) in enumerate(kinds_of(self.network).items()):
            group = Group(tuple(populations), dynamics, {})
            start = start_of(group, number, self.request.seed)
            for item in populations:
                first = group.first(item.id)
                yield (
                    item.id,
                    {name: value[first : first + item.size] for name, value in start.items()},
                )

    # Cells

    def _population(self, item: Population, start: dict[str, Floats]) -> Planned | None:
        shared = {name: value for name, (_, value) in self.network.shared.items()}
        values = {**shared, **item.values}
        component = self.model.components.get(item.component)
        try:
            if component is not None:
                single = {k: float(v) for k, v in values.items() if isinstance(v, int | float)}
                train = random_train(component, single, self.request.dt_s)
                if train is not None:
                    return Planned(item, train=train)
            sends = any("/" not in port for c in item.dynamics.conditions for port in c.events)
            states = {state.name for state in item.dynamics.states}
            keep = frozenset() if sends else frozenset({"v", "V"} & states)
            equations = equations_of(item.dynamics, values, item.size, start, keep)
            try:
                cell = recognise(item.dynamics, equations, start, self.request.dt_s * 1e3)
            except NoModelError:
                if not (sends and is_source(item)):
                    raise
                steps = spike_steps(component, item, self.request.dt_s, self.n_steps)
                return Planned(item, train=steps)
            return Planned(item, cell, drive=np.zeros(item.size), second=np.zeros(item.size))
        except NoModelError as error:
            self._refuse(item.component, item.dynamics.name, error)
            return None

    def _choose(self, planned: Planned) -> None:
        """Find a model for all cells of a population, or for those with the same receptors."""
        cell, population = planned.cell, planned.population
        if cell is None:
            return
        arriving = self.arriving[population.id]
        dt_ms = self.request.dt_s * 1e3
        everyone = np.arange(population.size)
        try:
            planned.nodes = [Nodes(everyone, choose(cell, list(arriving), dt_ms))]
            return
        except NoModelError:
            table = np.array(list(arriving.values())).reshape(len(arriving), population.size).T
        rows, numbers = distinct(table)
        try:
            for number, row in enumerate(rows):
                own = [item for item, has in zip(arriving, row, strict=True) if has]
                cells = np.flatnonzero(numbers == number)
                planned.nodes.append(Nodes(cells, choose(cell, own, dt_ms)))
        except NoModelError as error:
            names = ", ".join(self.named.get(population.id, ()))
            told = NoModelError(f"{error}; it gets {names}") if names else error
            self._refuse(population.component, population.dynamics.name, told)

    # What arrives

    def _synapse(self, item: Projection, planned: Planned) -> Synapse | None:
        """Return what an event does at cells; None if that is nothing."""
        cell, population = planned.cell, planned.population
        if cell is None or cell.gather is None or cell.gather.attachment != item.attachment:
            return None
        key = (population.id, item.synapse)
        if key not in self.synapses:
            voltages = (
                need.name
                for need in item.dynamics.requirements
                if population.dynamics.exposed(need.name) == cell.membrane
            )
            self.synapses[key] = read_synapse(
                item.dynamics, item.values, cell.gather.exposure, next(voltages, cell.membrane)
            )
        return self.synapses[key]

    def _note(
        self, synapse: Synapse, name: str, population: str, cells: NDArray[np.integer[Any]]
    ) -> None:
        """Note the receptors of a synapse, which has a name, at cells."""
        size = self.parts.populations[population].size
        self.named.setdefault(population, {})[name] = None
        for kernel in synapse.kernels:
            known = self.arriving[population].setdefault(
                kernel.receptor, np.zeros(size, dtype=np.bool_)
            )
            known[cells] = True

    def _projection(self, item: Projection, plan: Plan) -> None:
        """Note the receptors of a projection that has an effect."""
        pre, post = plan.populations.get(item.pre), plan.populations.get(item.post)
        if pre is None or post is None or not item.size:
            return
        item = item.kept()
        try:
            if item.is_continuous:
                raise NoModelError(
                    "it acts all the time, which none of these cells can have in NEST"
                )
            if not pre.sends:
                return
            if item.port:
                raise NoModelError("its events reach the cell itself, without a synapse")
            synapse = self._synapse(item, post)
        except NoModelError as error:
            name = item.synapse or item.id
            self._refuse(name, item.dynamics.name or "events", error)
            return
        if synapse is not None:
            self._note(synapse, item.synapse, item.post, item.post_cells)
            self.projections.append((item, synapse))

    def _routes(
        self, planned: Planned, kernel: Kernel
    ) -> tuple[Floats, NDArray[np.int32], bool, bool]:
        """Return NEST's weight for 1 at each cell, the receptor, and whether it is signed."""
        size = planned.population.size
        scale, receptor = np.zeros(size), np.zeros(size, dtype=np.int32)
        is_signed = is_pulse = True
        for nodes in planned.nodes:
            route = nodes.choice.routes.get(kernel.receptor)
            if route is not None:
                scale[nodes.cells] = route.scale[nodes.cells]
                receptor[nodes.cells] = route.receptor
                is_signed, is_pulse = route.is_signed, route.is_pulse
        return scale, receptor, is_signed, is_pulse

    def _wired(self, item: Projection, synapse: Synapse, plan: Plan) -> Iterator[Wired]:
        post = plan.populations[item.post]
        is_weighted = item.has_weights and synapse.is_weighted
        weights = np.broadcast_to(item.weights if is_weighted else np.ones(1), item.size)
        steps = np.broadcast_to(in_steps(item.delays, self.request.dt_s), item.size)
        for kernel in synapse.kernels:
            scale, receptor, is_signed, is_pulse = self._routes(post, kernel)
            sizes = weights * kernel.size
            if not is_signed and np.any(sizes < 0.0):
                error = NoModelError("a conductance below 0, from a negative weight or size")
                self._refuse(item.synapse, item.dynamics.name, error)
                return
            if not is_pulse:
                plan.is_late |= bool(np.any(steps == 1))
            yield Wired(
                item.id or item.synapse,
                item.pre,
                item.post,
                item.synapse,
                item.pre_cells,
                item.post_cells,
                sizes * scale[item.post_cells],
                steps if is_pulse else np.maximum(steps - 1, 1),
                receptor[item.post_cells],
                synapse.plasticity,
            )

    # Inputs

    def _input(self, item: Input, plan: Plan) -> None:
        """Note an input, and the receptors of one that sends spikes."""
        planned = plan.populations.get(item.population)
        if planned is None or planned.cell is None or planned.cell.gather is None:
            return
        gather = planned.cell.gather
        if gather.attachment != item.attachment:
            return
        try:
            found = shower(self.model, item, self.request.dt_s, self.n_steps)
            if found is None:
                self.currents.append(item)
                return
            lowered = found.synapse
            synapse = read_synapse(lowered.dynamics, dict(lowered.values), gather.exposure)
            if synapse.plasticity is not None:
                raise NoModelError("its synapse has plasticity")
        except NoModelError as error:
            self._refuse(item.id, item.dynamics.name, error)
            return
        self._note(synapse, item.id, item.population, item.cells)
        self.showers.append((item, synapse, found.train))

    def _showered(
        self, item: Input, synapse: Synapse, train: Train | NDArray[np.int64], plan: Plan
    ) -> Showered:
        planned = plan.populations[item.population]
        weights = np.broadcast_to(np.asarray(item.values.get(WEIGHT, 1.0)), item.cells.size)
        links = []
        for kernel in synapse.kernels:
            scale, receptor, is_signed, _ = self._routes(planned, kernel)
            sizes = weights * kernel.size
            if not is_signed and np.any(sizes < 0.0):
                error = NoModelError("a conductance below 0, from a negative weight or size")
                self._refuse(item.id, item.dynamics.name, error)
            links.append((sizes * scale[item.cells], receptor[item.cells]))
        return Showered(item.id, item.population, train, item.cells, tuple(links))

    def _current(self, item: Input, plan: Plan) -> None:
        planned = plan.populations[item.population]
        cell = planned.cell
        if cell is None or cell.gather is None:
            return
        try:
            for wave in waves(item, cell.gather.exposure, self.request.dt_s, self.n_steps):
                gains = wave.factors * cell.current[wave.cells]
                np.add.at(planned.drive, wave.cells, wave.pieces[0].value * gains)
                if len(wave.pieces) > 1 and wave.pieces[1].first == 1:
                    change = wave.pieces[1].value - wave.pieces[0].value
                    np.add.at(planned.second, wave.cells, change * gains)
                if len(wave.pieces) > 1 and gains.any():
                    acting = gains != 0.0
                    some = replace(wave, cells=wave.cells[acting], factors=wave.factors[acting])
                    plan.currents.append((item, some, gains[acting]))
        except NoModelError as error:
            self._refuse(item.id, item.dynamics.name, error)
