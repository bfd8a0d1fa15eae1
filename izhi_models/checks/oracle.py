"""The interpreter of single cells, each with every input and synapse of its own: nothing is shared.

The back end merges populations, puts inputs into slots and sums synapses before it compiles. Here
none of that is done: a cell is composed with each of its inputs and one synapse for each of its
connections, and `ir.evaluate` does its steps. What reaches a cell from others, events and what a
synapse reads at the other end, is given from outside, so that a few cells of a large network can
be checked alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from izhi_models.attach import without_unread
from izhi_models.checks.chance import uncertain
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import Dynamics, Variable
from izhi_models.ir.evaluate import Interpreter
from izhi_models.ir.passes import exact_times, order_derived
from izhi_models.ir.prescribed import is_prescribed
from izhi_models.ir.rewrite import rename_all
from izhi_models.lems.axial import AXIAL_READ, AXIAL_UNIT, INFLOW, with_neighbours
from izhi_models.lems.holders import drive
from izhi_models.network import PEER, WEIGHT, Network, Parts, Population, Projection, Values

Floats = NDArray[np.float64]
Sent = Mapping[str, NDArray[np.int32]]

MAX_CONNECTIONS = 400  # of one cell; more are composed too slowly
_SUM = "@total"


@dataclass(frozen=True)
class Source:
    """From where events come to a place of a cell.

    Parameters
    ----------
    population : str
    cell : int
    delay : int
        Steps from the end of the step of the spike; at least 1.
    delay_s : float
        As the file gives it. [s]
    port : str
        In port of the cell as composed.
    """

    population: str
    cell: int
    delay: int
    delay_s: float
    port: str


@dataclass
class Own:
    """Synapses of one projection on one cell that are integrated for each connection.

    They are not part of the cell's step. What they add up to is held over it; or, where they only
    say what an event counts, the cell has a synapse for each connection, without events, whose
    states are raised by as much as an event raises these.

    Parameters
    ----------
    projection : Projection
    chosen : int array (n,)
        Numbers of the connections.
    synapses : Interpreter
    totals : dict of str to str
        Exposure that is added, by parameter of the cell.
    delays : int array (n,)
        Empty where no events come.
    places : tuple of str
        Of the synapses in the cell that these raise.
    """

    projection: Projection
    chosen: NDArray[np.intp]
    synapses: Interpreter
    totals: dict[str, str]
    delays: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    places: tuple[str, ...] = ()


@dataclass
class Cell:
    """One cell as it is composed, and where to find its parts in the lowered population.

    Parameters
    ----------
    population : str
    index : int
    dynamics : Dynamics
    values : dict of str to float
        Parameters. [SI]
    names : dict of str to str
        Names of states and variables here, by those in the lowered population.
    sources : list of Source
    own : list of Own
    peers : dict of str to (str, int, str)
        What synapses read of other cells, where they are not kept apart: requirement, and
        population, cell and name there.
    uncertain : frozenset of str
        What follows from random numbers.
    """

    population: str
    index: int
    dynamics: Dynamics
    values: dict[str, float]
    names: dict[str, str]
    sources: list[Source] = field(default_factory=list)
    own: list[Own] = field(default_factory=list)
    peers: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    uncertain: frozenset[str] = frozenset()

    def interpreter(self, dt_s: float, method: str) -> Interpreter:
        """Return what does the steps of the cell."""
        return Interpreter(self.dynamics, self.values, 1, dt_s, method=method)


@dataclass(frozen=True)
class _Kind:
    """What is attached to some cells: of one structure, with the values of one of them."""

    attachment: str
    dynamics: Dynamics
    values: dict[str, float]
    is_input: bool


@dataclass(frozen=True)
class Oracle:
    """Composes cells of a network one by one.

    Parameters
    ----------
    network : Network
        With its parts.
    parts : Parts
    dt_s : float
    """

    network: Network
    parts: Parts
    dt_s: float

    @cached_property
    def kinds(self) -> dict[str, list[_Kind]]:
        """What is attached to any of the cells that are lowered as those of a population."""
        alike: list[tuple[Dynamics, list[_Kind]]] = []
        found: dict[str, list[_Kind]] = {}
        for name, population in self.network.populations.items():
            shared = next((item for key, item in alike if key == population.dynamics), [])
            alike.append((population.dynamics, shared))
            found[name] = shared
        for source in self.parts.inputs:
            kind = _Kind(source.attachment, source.dynamics, _of(source.values, 0), True)
            _add_new(found[source.population], kind)
        for projection in self.parts.projections:
            if not projection.size or projection.port:
                continue
            dynamics = projection.dynamics
            if self.keeps_apart(projection):
                if not self.raises(projection):
                    continue
                dynamics = _without_events(dynamics)
            values = _connection(projection, 0)
            _add_new(found[projection.post], _Kind(projection.attachment, dynamics, values, False))
        return found

    def label(self, population: str, index: int | None = None) -> str:
        """Return how a population, or a cell of it, is called: compartments by those of the cell.

        Parameters
        ----------
        population : str
        index : int, optional
        """
        owner = self.parts.populations[population].part_of
        if not owner:
            return population if index is None else f"{population}[{index}]"
        whole = self.parts.populations[owner].compartments
        if whole is None or index is None:
            return f"compartments of {owner} ({population.removeprefix(owner)[1:]})"
        rank, cell = divmod(index, whole.size)
        numbers = [n for n, name in enumerate(whole.owners) if name == population]
        number = next(n for n in numbers if whole.ranks[n] == rank)
        return f"compartment {number} of {owner}[{cell}]"

    def n_connections(self, population: str) -> NDArray[np.int64]:
        """Return how many connections end at each cell of a population."""
        size = self.parts.populations[population].size
        counts = np.zeros(size, dtype=np.int64)
        for item in self.parts.projections:
            if item.post == population:
                counts += np.bincount(item.post_cells, minlength=size)
        return counts

    def cell(self, population: str, index: int, *, apart: bool = True) -> Cell:
        """Compose one cell.

        Parameters
        ----------
        population : str
        index : int
        apart : bool
            Whether to keep synapses apart from the cell's step that the lowered network does.
        """
        builder = _Builder(self, self.parts.populations[population], index, apart)
        return builder.build()

    def keeps_apart(self, projection: Projection) -> bool:
        """Return whether the lowered network has a synapse for each connection of a projection."""
        key = _key(projection)
        return any(item.is_own for item in self.network.projections if _key(item) == key)

    def raises(self, projection: Projection) -> bool:
        """Return whether synapses of a projection that are apart only say what an event counts."""
        key = _key(projection)
        return any(item.arrivals for item in self.network.projections if _key(item) == key)


def _add_new(kinds: list[_Kind], kind: _Kind) -> None:
    if not any(
        (item.attachment, item.dynamics) == (kind.attachment, kind.dynamics) for item in kinds
    ):
        kinds.append(kind)


def _without_events(dynamics: Dynamics) -> Dynamics:
    return replace(dynamics, on_events=(), conditions=())


def _key(projection: Projection) -> tuple[str, str, str, str]:
    return (projection.id, projection.pre, projection.post, projection.synapse)


class _Builder:
    def __init__(self, oracle: Oracle, population: Population, index: int, apart: bool) -> None:
        self.apart = apart
        self.oracle = oracle
        self.population = population
        self.index = index
        self.attached: list[Attached] = []
        self.values: dict[str, float] = _of(population.values, index)
        self.values |= {name: value for name, (_, value) in oracle.network.shared.items()}
        self.names: dict[str, str] = {}
        self.sources: list[Source] = []
        self.own: list[Own] = []
        self.peers: dict[str, tuple[str, int, str]] = {}

    def build(self) -> Cell:
        self._add_inputs()
        for projection in self.oracle.parts.projections:
            if projection.post != self.population.id:
                continue
            chosen = np.flatnonzero(projection.post_cells == self.index)
            if self.apart and chosen.size and self.oracle.keeps_apart(projection):
                self._add_own(projection, chosen)
            else:
                for number in chosen.tolist():
                    self._add_connection(projection, number)
        if self.apart:
            self._add_silent()
        composed = without_unread(compose(self._among_neighbours(), self.attached))
        driven = drive(
            replace(self.population, dynamics=composed, values=dict(self.values)),
            self.oracle.parts.holders,
        )
        whole = exact_times(order_derived(driven.dynamics))
        known = {item.name for item in whole.states} | {item.name for item in whole.derived}
        own = {name for name in known if not self._is_attached(name)}
        return Cell(
            self.population.id,
            self.index,
            whole,
            _of(driven.values, self.index),
            {**dict(zip(own, own, strict=True)), **self._shared_names(known)},
            self.sources,
            self.own,
            self.peers,
            uncertain(whole),
        )

    def _among_neighbours(self) -> Dynamics:
        """Return the dynamics of the cell; a compartment reads its neighbours, or is told."""
        cell = self.population.dynamics
        near: dict[str, float] = {}
        for projection in self.oracle.parts.axial:
            if projection.post != self.population.id:
                continue
            chosen = np.flatnonzero(projection.post_cells == self.index)
            if self.apart:
                self._add_axial(projection, chosen)
                continue
            for number in chosen.tolist():
                requirement = f"{INFLOW}@{len(near)}"
                of_one = _connection(projection, number)
                near[requirement] = of_one[WEIGHT] * of_one[AXIAL_UNIT]
                neighbour = int(projection.pre_cells[number])
                self.peers[requirement] = (projection.pre, neighbour, AXIAL_READ)
        if self.apart or not cell.inflows:
            return cell
        return with_neighbours(cell, near)

    def _add_axial(self, projection: Projection, chosen: NDArray[np.intp]) -> None:
        """Let a compartment be told what flows in from its neighbours."""
        if chosen.size:
            totals = dict(projection.own)
            self.own.append(Own(projection, chosen, self._synapses(projection, chosen), totals))

    def _is_attached(self, name: str) -> bool:
        return any(name.startswith(f"{item.place}/") for item in self.attached)

    def _shared_names(self, known: set[str]) -> dict[str, str]:
        """Return the names of what inputs have, by the slots of the lowered population."""
        return {
            f"{slot}/{name.removeprefix(f'{place}/')}": name
            for place, slot in self.names.items()
            for name in known
            if name.startswith(f"{place}/")
        }

    def _place(self, attachment: str) -> str:
        return f"{attachment}[{len(self.attached)}]"

    def _add(self, attachment: str, dynamics: Dynamics, values: Mapping[str, float]) -> str:
        place = self._place(attachment)
        self.attached.append(Attached(attachment, dynamics, place))
        self.values |= {f"{place}/{name}": value for name, value in values.items()}
        return place

    def _add_inputs(self) -> None:
        lowered = self.oracle.network.populations[self.population.id]
        free: dict[str, list[str]] = {}
        for item in lowered.attached:
            if item.cell == self.index:
                free.setdefault(item.id, []).append(item.place)
        for source in self.oracle.parts.inputs:
            if source.population != self.population.id:
                continue
            for number in np.flatnonzero(source.cells == self.index).tolist():
                place = self._add(source.attachment, source.dynamics, _of(source.values, number))
                if free.get(source.id):
                    self.names[place] = free[source.id].pop(0)

    def _add_silent(self) -> None:
        """Add what cells lowered with this one have and it lacks, so that it gives nothing.

        Methods choose by what is there: by whether a rate is linear, which NMDA's is not.
        """
        for kind in self.oracle.kinds[self.population.id]:
            key = (kind.attachment, kind.dynamics)
            if any((item.attachment, item.dynamics) == key for item in self.attached):
                continue
            place = self._add(kind.attachment, kind.dynamics, kind.values)
            if kind.is_input:
                absent = f"{place}/absent"
                self.attached[-1] = replace(self.attached[-1], present=absent)
                self.values[absent] = 0.0

    def _add_connection(self, projection: Projection, number: int) -> None:
        for port in self._add_synapse(projection, number):
            self.sources.append(
                Source(
                    projection.pre,
                    int(projection.pre_cells[number]),
                    int(_delays(projection, self.oracle.dt_s)[number]),
                    float(np.broadcast_to(projection.delays, projection.size)[number]),
                    port,
                )
            )

    def _add_synapse(self, projection: Projection, number: int) -> list[str]:
        """Add what a connection has at the cell; return at which ports its events arrive."""
        if projection.port:
            return [projection.port]
        dynamics = projection.dynamics
        peers = read_at_other_end(projection)
        if peers:
            own = {name: f"{name}@{len(self.attached)}" for name in peers}
            dynamics = rename_all(dynamics, own, {})
            cell = int(projection.pre_cells[number])
            for name, read in peers.items():
                self.peers[own[name]] = (projection.pre, cell, read)
        place = self._add(projection.attachment, dynamics, _connection(projection, number))
        ports = dict.fromkeys(item.port for item in dynamics.on_events if "/" not in item.port)
        return [f"{place}/{port}" for port in ports]

    def _add_own(self, projection: Projection, chosen: NDArray[np.intp]) -> None:
        """Keep synapses apart from the cell, as far as the lowered network does."""
        dynamics = projection.dynamics
        synapses = self._synapses(projection, chosen)
        delays = _delays(projection, self.oracle.dt_s)[chosen]
        totals: dict[str, str] = {}
        places: tuple[str, ...] = ()
        if self.oracle.raises(projection):
            silent = _without_events(dynamics)
            places = tuple(
                self._add(projection.attachment, silent, _connection(projection, number))
                for number in chosen.tolist()
            )
        else:
            totals = self._gathered_outside(projection)
        self.own.append(Own(projection, chosen, synapses, totals, delays, places))

    def _gathered_outside(self, projection: Projection) -> dict[str, str]:
        """Let the cell gather numbers; return the exposures whose sums they are."""
        dynamics = projection.dynamics
        known = dynamics.dimensions()
        exposures = [
            item.exposure
            for item in self.population.dynamics.gathers
            if item.attachment == projection.attachment
        ]
        outside = Dynamics(
            dynamics.name,
            parameters=tuple(
                Variable(f"{name}{_SUM}", known[dynamics.exposed(name) or name])
                for name in exposures
            ),
            exposures=tuple((name, f"{name}{_SUM}") for name in exposures),
        )
        place = self._add(
            projection.attachment, outside, {f"{name}{_SUM}": 0.0 for name in exposures}
        )
        return {f"{place}/{name}{_SUM}": dynamics.exposed(name) or name for name in exposures}

    def _synapses(self, projection: Projection, chosen: NDArray[np.intp]) -> Interpreter:
        dynamics = projection.dynamics
        each = [_connection(projection, number) for number in chosen.tolist()]
        values = {name: np.array([item[name] for item in each]) for name in each[0]}
        values |= {item.name: np.zeros(chosen.size) for item in dynamics.requirements}
        return Interpreter(
            exact_times(order_derived(dynamics)),
            values,
            chosen.size,
            self.oracle.dt_s,
            method="auto" if is_prescribed(dynamics) else "euler",
        )


def _of(values: Values, number: int) -> dict[str, float]:
    """Return the values of one cell or input."""
    return {
        name: float(value[number]) if isinstance(value, np.ndarray) else float(value)
        for name, value in values.items()
    }


def _connection(projection: Projection, number: int) -> dict[str, float]:
    values = _of(projection.values, number)
    if projection.has_weights:
        weights = projection.weights
        values[WEIGHT] = float(weights[number] if weights.size > 1 else weights[0])
    else:
        values.setdefault(WEIGHT, 1.0)
    return values


def _delays(projection: Projection, dt_s: float) -> NDArray[np.int64]:
    """Return delays in steps: an event acts in the next step at the earliest."""
    steps = np.maximum(np.rint(projection.delays / dt_s), 1.0).astype(np.int64)
    return np.broadcast_to(steps, projection.size)


def read_at_other_end(projection: Projection) -> dict[str, str]:
    """Return what a synapse reads of the presynaptic cell, by requirement."""
    return {
        item.name: item.name.removeprefix(PEER)
        for item in projection.dynamics.requirements
        if item.name.startswith(PEER)
    }


def chosen_cells(oracle: Oracle, population: str, most: int) -> list[int]:
    """Return the cells to look at: those with the most and the fewest connections, and others.

    Parameters
    ----------
    oracle : Oracle
    population : str
    most : int
        Number of cells at most.
    """
    counts = oracle.n_connections(population)
    fit = np.flatnonzero(counts <= MAX_CONNECTIONS)
    if fit.size <= most:
        return [int(item) for item in fit]
    ordered = fit[np.argsort(counts[fit], kind="stable")]
    places = np.unique(np.linspace(0, fit.size - 1, most).round().astype(int))
    return sorted({int(item) for item in ordered[places]})


def arrivals(cell: Cell, step: int, sent: Mapping[int, Sent]) -> dict[str, list[int]]:
    """Return the ports of a cell at which events arrive in a step, once per event.

    Parameters
    ----------
    cell : Cell
    step : int
    sent : mapping of int to mapping of str to int array
        Cells that sent in each step so far, by population.
    """
    found: dict[str, list[int]] = {}
    for source in cell.sources:
        cells = sent.get(step - source.delay, {}).get(source.population, ())
        if source.cell in cells:
            found.setdefault(source.port, []).append(0)
    return found


def arrivals_at(own: Own, step: int, sent: Mapping[int, Sent]) -> Iterable[int]:
    """Return at which of a cell's own synapses an event arrives in a step."""
    if not own.delays.size:
        return
    pre = own.projection.pre_cells[own.chosen]
    for number, (cell, delay) in enumerate(zip(pre.tolist(), own.delays.tolist(), strict=True)):
        if cell in sent.get(step - delay, {}).get(own.projection.pre, ()):
            yield number
