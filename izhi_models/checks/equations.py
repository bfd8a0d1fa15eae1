"""The compiled program against the interpreter, step by step from many states.

A fault of the translation can hide behind a calm trajectory. So cells are set to random states,
again and again and at times at which inputs switch, and each step of the compiled program is
compared with that of the interpreter of `oracle`, which shares nothing with what merges, sums and
translates. After each step the interpreter goes on from the compiled state: no difference grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.cables import check_cables
from izhi_models.checks.chance import sends_uncertainly
from izhi_models.checks.compiled import Compiled, Spikes
from izhi_models.checks.oracle import (
    MAX_CONNECTIONS,
    Cell,
    Oracle,
    Own,
    arrivals,
    arrivals_at,
    chosen_cells,
    read_at_other_end,
)
from izhi_models.checks.recorded import check_recorded
from izhi_models.checks.report import Finding
from izhi_models.expr import Binary, Compare, Expr, Name, Number, children, is_random, names
from izhi_models.ir.counting import counts_events
from izhi_models.ir.dynamics import TIME_NAME, Dynamics
from izhi_models.ir.evaluate import Interpreter, evaluate_scalar
from izhi_models.pipeline import Model

Floats = NDArray[np.float64]

# Rounding of one step, amplified by exponentials and by sums in another order.
TOLERANCE = 1e-9
CELLS = 6
_ROUNDS = 4
_LEAST_STEPS, _MOST_STEPS = 12, 120
_WATCHED_STEPS = 400
_MOST_EDGES = 6
_CELL_STEPS = 4000  # done by the interpreter in all
_STRAIGHT = 1e-9  # relative; what is left where a line has been followed to its zero
_GRID = 1e-3  # of a step
_FARTHEST = 20.0  # times the present time
_HINT = (
    "a fault of this package, not of the model: the program that was compiled does not mean what "
    "`izhi show` shows; please report it with the file"
)


@dataclass
class Worst:
    """The largest difference of one variable.

    Parameters
    ----------
    gap : float
        [SI]
    step : int
    cell : int
    ours, expected : float
        [SI]
    """

    gap: float = 0.0
    step: int = 0
    cell: int = 0
    ours: float = 0.0
    expected: float = 0.0


@dataclass
class _Tally:
    """All differences so far, by population and variable, relative to its largest value."""

    oracle: Oracle
    dt_s: float
    scale: dict[tuple[str, str], float] = field(default_factory=dict)
    worst: dict[tuple[str, str], Worst] = field(default_factory=dict)
    spikes: dict[str, list[str]] = field(default_factory=dict)
    n_steps: dict[str, int] = field(default_factory=dict)
    n_spikes: dict[str, int] = field(default_factory=dict)

    def compare(self, cell: Cell, name: str, step: int, ours: float, expected: float) -> None:
        key = (cell.population, name)
        sizes = [abs(item) for item in (ours, expected) if np.isfinite(item)]
        self.scale[key] = max([self.scale.get(key, 0.0), *sizes])
        if ours == expected or (np.isnan(ours) and np.isnan(expected)):
            gap = 0.0
        elif not (np.isfinite(ours) and np.isfinite(expected)):
            gap = np.inf
        else:
            gap = abs(ours - expected)
        found = self.worst.setdefault(key, Worst())
        if gap > found.gap:
            self.worst[key] = Worst(gap, step, cell.index, ours, expected)

    def findings(self) -> Iterator[Finding]:
        for (population, name), item in self.worst.items():
            place = f"{self.oracle.label(population)}/{name}"
            relative = item.gap / self.scale[population, name] if item.gap else 0.0
            if relative <= TOLERANCE:
                yield Finding(place, "holds", f"relative difference up to {relative:.1e}")
                continue
            yield Finding(
                place,
                "fails",
                f"relative difference {relative:.3g} in the step that ends at "
                f"{item.step * self.dt_s * 1e3:.6g} ms: {item.ours:.9g} in "
                f"{self.oracle.label(population, item.cell)}, expected {item.expected:.9g}",
                _HINT,
            )
        for population, faults in self.spikes.items():
            counted = f"{self.n_spikes.get(population, 0)} in {self.n_steps[population]} steps"
            what = f"events of {self.oracle.label(population)}"
            if faults:
                yield Finding(what, "fails", faults[0], _HINT)
            else:
                yield Finding(what, "holds", counted)


def check_equations(model: Model, *, method: str = "auto", seed: int = 1234) -> list[Finding]:
    """Compare the compiled program with the interpreter.

    Parameters
    ----------
    model : Model
    method : str
        Integrator, as `Model.compile` takes it.
    seed : int
        Of the random states.
    """
    network = model.network
    if network.parts is None:
        return [Finding("equations", "skipped", "the parts of the network are not kept")]
    dt_s = model.step()
    oracle = Oracle(network, network.parts.kept(), dt_s)
    recordings = model.recordings()
    lowering = model.lower(recordings, method=method)
    with Compiled(lowering, dt_s, seed) as compiled:
        comparison = _Comparison(oracle, compiled, method, np.random.default_rng(seed))
        comparison.start()
        plan = model.experiment.simulation
        end = round(plan.length_s / dt_s) if plan else 10 * _WATCHED_STEPS
        comparison.run(end)
        found = [*comparison.tally.findings(), *comparison.left_out]
    return [*found, *check_recorded(lowering, recordings, dt_s, end, seed), *check_cables(model)]


class _Comparison:
    def __init__(
        self, oracle: Oracle, compiled: Compiled, method: str, random: np.random.Generator
    ) -> None:
        self.oracle = oracle
        self.compiled = compiled
        self.random = random
        self.tally = _Tally(oracle, compiled.dt_s)
        self.left_out: list[Finding] = []
        self.sent: dict[int, Spikes] = {}
        self.method = method
        self.cells: list[tuple[Cell, Interpreter]] = []
        n_populations = len(oracle.parts.populations)
        for name in oracle.parts.populations:
            most = max(1, min(CELLS, 48 // n_populations))
            chosen = chosen_cells(oracle, name, most)
            if not chosen:
                reason = f"each cell has more than {MAX_CONNECTIONS} connections"
                self.left_out.append(Finding(f"{name}", "skipped", reason))
            for index in chosen:
                cell = oracle.cell(name, index)
                self.cells.append((cell, cell.interpreter(compiled.dt_s, method)))
        self.ranges: dict[tuple[str, str], Floats] = {}

    def start(self) -> None:
        """Compare initial values, where they are not random."""
        for cell, interpreter in self.cells:
            drawn = _drawn(cell.dynamics)
            for name, here in self._compared(cell):
                ours = float(self.compiled.values(cell.population, name)[cell.index])
                is_state = any(item.name == here for item in cell.dynamics.states)
                if is_state and not drawn:
                    self.tally.compare(cell, name, 0, ours, float(interpreter.value(here)[0]))
            self.tally.spikes.setdefault(cell.population, [])
            self.tally.n_steps.setdefault(cell.population, 0)

    def run(self, end: int) -> None:
        """Compare at the start, and at the times at which something switches."""
        window = self._window()
        self._watch(min(_WATCHED_STEPS, end))
        self.compiled.reset()
        self.sent.clear()
        edges = self._edges(end)
        rounds = _CELL_STEPS // max(1, window * len(edges) * len(self.cells))
        if rounds == 0:
            edges = edges[:: -(-len(edges) * window * len(self.cells) // _CELL_STEPS)]
        for edge in edges:
            first = max(self.compiled.step, edge - window // 2)
            if first > self.compiled.step:
                self._free(first - self.compiled.step)
            for _ in range(min(max(rounds, 1), _ROUNDS)):
                self._scatter()
                for _ in range(window):
                    self._step()

    def _window(self) -> int:
        """Return how many steps to compare, so that events arrive whatever their delay."""
        delays = [source.delay for cell, _ in self.cells for source in cell.sources]
        delays += [int(item) for cell, _ in self.cells for own in cell.own for item in own.delays]
        return int(np.clip(2 + 2 * max(delays, default=0), _LEAST_STEPS, _MOST_STEPS))

    def _free(self, n_steps: int) -> None:
        first = self.compiled.step
        for number, spikes in enumerate(self.compiled.run(n_steps)):
            if spikes:
                self.sent[first + number] = spikes

    def _watch(self, n_steps: int) -> None:
        """Let the network run, and keep the range of each state."""
        for _ in range(10):
            self._free(max(1, n_steps // 10))
            for population in {cell.population for cell, _ in self.cells}:
                for name in self.compiled.names(population):
                    values = self.compiled.values(population, name)
                    values = values[np.isfinite(values)]
                    if values.size:
                        key = (population, name)
                        both = (*self.ranges.get(key, ()), values.min(), values.max())
                        self.ranges[key] = np.array([min(both), max(both)])

    def _edges(self, end: int) -> list[int]:
        """Return the steps near which to compare: now, and where comparisons with time change."""
        times = {
            round(time / self.compiled.dt_s)
            for cell, _ in self.cells
            for time in switching_times(cell.dynamics, cell.values)
        }
        inside = sorted(item for item in times if self.compiled.step < item <= end)
        if len(inside) > _MOST_EDGES:
            inside = inside[:: -(-len(inside) // _MOST_EDGES)]
        return [self.compiled.step, *inside]

    # States

    def _scatter(self) -> None:
        """Set all cells to random states, and synapses to their start."""
        self.compiled.clear_connections()
        for name in self.oracle.parts.populations:
            sample = next((cell for cell, _ in self.cells if cell.population == name), None)
            if sample is None:
                continue
            population = self.compiled.population(name)
            shared = {item.name for item in population.dynamics.states}
            choices = discrete_values(sample.dynamics)
            limits = thresholds(sample.dynamics, sample.values)
            for state in self.compiled.names(name):
                if state not in shared:
                    continue
                here = sample.names.get(state)
                size = population.size
                # Synapses that have seen as many spikes as the cell has sent start at none.
                if here is None or counts_events(population.dynamics, state):
                    values = self.compiled.start(name, state)
                elif here in choices:
                    values = self.random.choice(choices[here], size)
                else:
                    values = self._drawn(name, state, limits.get(here, ()), size)
                self.compiled.set(name, state, values)
            self._near_edges(name, sample)
        for cell, interpreter in self.cells:
            fresh = cell.interpreter(self.compiled.dt_s, self.method)
            for item in cell.dynamics.states:
                interpreter.set(item.name, fresh.value(item.name))
            for own in cell.own:
                self._restart(own.synapses)
            self._follow(cell, interpreter)

    def _near_edges(self, population: str, sample: Cell) -> None:
        """Let times that states keep, such as those of last spikes, end within the next steps.

        Half of the cells, so that what depends on such a time is seen on both sides of its edge.
        """
        for name, here in self._compared(sample):
            ahead = edge_states(sample.dynamics, sample.values, here)
            if ahead is None:
                continue
            values = self.compiled.values(population, name)
            chosen = self.random.random(values.size) < 0.5
            steps = self.compiled.step + self.random.integers(1, _LEAST_STEPS, values.size)
            times = self.compiled.dt_s * steps.astype(np.float64)
            # The edge itself, without the margins that a comparison has for rounding; and no time
            # that is so far from now that its own rounding is as large as they are.
            grid = self.compiled.dt_s * _GRID
            edges = np.rint(ahead(times) / grid) * grid
            chosen &= np.abs(edges) <= _FARTHEST * times
            values[chosen] = edges[chosen]
            self.compiled.set(population, name, values)

    def _restart(self, synapses: Interpreter) -> None:
        for name, values in synapses.start.items():
            synapses.set(name, values)

    def _drawn(self, population: str, name: str, limits: Sequence[float], size: int) -> Floats:
        low, high = self.ranges.get((population, name), np.zeros(2))
        low, high = min([low, *limits]), max([high, *limits])
        margin = 0.2 * (high - low) or 0.2 * abs(high)
        return self.random.uniform(low - margin, high + margin, size)

    def _follow(self, cell: Cell, interpreter: Interpreter) -> None:
        """Go on from the compiled state."""
        states = {item.name for item in cell.dynamics.states}
        for name, here in self._compared(cell):
            if here in states:
                interpreter.set(here, self.compiled.values(cell.population, name)[cell.index])

    def _compared(self, cell: Cell) -> list[tuple[str, str]]:
        return [
            (name, cell.names[name])
            for name in self.compiled.names(cell.population)
            if name in cell.names
        ]

    # Steps

    def _step(self) -> None:
        step = self.compiled.step
        expected: list[bool] = []
        for cell, interpreter in self.cells:
            self._sum_own(cell, interpreter, step)
            interpreter.n_done = step
            sent = interpreter.advance(arrivals(cell, step, self.sent))
            expected.append(any("/" not in port for port in sent))
        (spikes,) = self.compiled.run(1)
        self.sent[step] = spikes
        for cell, _ in self.cells:
            self._advance_own(cell, step)
        for (cell, interpreter), spiked in zip(self.cells, expected, strict=True):
            self._tell_spikes(cell, step, spiked, spikes)
            for name, here in self._compared(cell):
                if here not in cell.uncertain:
                    ours = float(self.compiled.values(cell.population, name)[cell.index])
                    value = float(interpreter.value(here)[0])
                    self.tally.compare(cell, name, step + 1, ours, value)
            self._follow(cell, interpreter)

    def _sum_own(self, cell: Cell, interpreter: Interpreter, step: int) -> None:
        """Let events arrive at each connection's own synapse; give the cell what they add up to."""
        totals: dict[str, float] = {}
        for own in cell.own:
            projection, synapses = own.projection, own.synapses
            self._show_cells(cell, own)
            synapses.n_done = step
            ports = dict.fromkeys(
                item.port for item in projection.dynamics.on_events if "/" not in item.port
            )
            cells = list(arrivals_at(own, step, self.sent))
            states = [item.name for item in synapses.dynamics.states]
            before = {name: synapses.value(name).copy() for name in states}
            synapses.receive(dict.fromkeys(ports, cells))
            for number, place in enumerate(own.places):
                for name in states:
                    raised = synapses.value(name)[number] - before[name][number]
                    here = f"{place}/{name}"
                    interpreter.set(here, interpreter.value(here) + raised)
            for parameter, variable in own.totals.items():
                total = totals.get(parameter, 0.0)
                totals[parameter] = total + float(synapses.value(variable).sum())
        for parameter, total in totals.items():
            interpreter.set(parameter, total)

    def _advance_own(self, cell: Cell, step: int) -> None:
        """Do the step of each connection's own synapse, after those of the cells."""
        for own in cell.own:
            self._show_cells(cell, own)
            own.synapses.n_done = step
            own.synapses.advance()

    def _show_cells(self, cell: Cell, own: Own) -> None:
        """Give synapses what they read of the cells at their ends, as it is now."""
        peers = read_at_other_end(own.projection)
        for item in own.projection.dynamics.requirements:
            if item.name in peers:
                values = self.compiled.values(own.projection.pre, peers[item.name])
                own.synapses.set(item.name, values[own.projection.pre_cells[own.chosen]])
            else:
                value = self.compiled.values(cell.population, item.name)[cell.index]
                own.synapses.set(item.name, value)

    def _tell_spikes(self, cell: Cell, step: int, expected: bool, spikes: Spikes) -> None:
        found = cell.index in spikes.get(cell.population, ())
        name = cell.population
        self.tally.n_steps[name] += 1
        self.tally.n_spikes[name] = self.tally.n_spikes.get(name, 0) + int(found)
        if found != expected and not sends_uncertainly(cell.dynamics, cell.uncertain):
            what = "sends an event that it should not" if found else "should send an event"
            time_ms = (step + 1) * self.compiled.dt_s * 1e3
            self.tally.spikes[name].append(
                f"{self.oracle.label(name, cell.index)} {what} at {time_ms:.6g} ms"
            )


def _drawn(dynamics: Dynamics) -> bool:
    return any(is_random(item.value) for item in dynamics.start)


def _compares(expr: Expr) -> Iterator[Compare]:
    if isinstance(expr, Compare):
        yield expr
    for child in children(expr):
        yield from _compares(child)


def _evaluated(expr: Expr, known: Mapping[str, float]) -> float | None:
    return evaluate_scalar(expr, known) if names(expr) <= known.keys() else None


def thresholds(dynamics: Dynamics, values: Mapping[str, float]) -> dict[str, list[float]]:
    """Return, for each state, the numbers with which it is compared.

    Parameters
    ----------
    dynamics : Dynamics
    values : mapping of str to float
        Parameters. [SI]
    """
    return _limits(dynamics, values, {item.name for item in dynamics.states})


def switching_times(dynamics: Dynamics, values: Mapping[str, float]) -> list[float]:
    """Return the times [s] with which the simulated time is compared."""
    found = _limits(dynamics, values, {TIME_NAME}).get(TIME_NAME, [])
    return [time for time in found if np.isfinite(time) and time >= 0]


def edge_states(
    dynamics: Dynamics, values: Mapping[str, float], state: str
) -> Callable[[Floats], Floats] | None:
    """Return the value of a state with which a comparison with the time turns at a given time.

    None if the state is compared with the time nowhere, or not in a straight line.

    Parameters
    ----------
    dynamics : Dynamics
    values : mapping of str to float
        Parameters. [SI]
    state : str
    """
    known = {item.name: item.value for item in dynamics.constants} | dict(values)
    for compare in (item for expr in dynamics.expressions() for item in _compares(expr)):
        if not {state, TIME_NAME} <= names(compare):
            continue
        difference = Binary("-", compare.left, compare.right)
        points = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
        found = [
            _evaluated(difference, {**known, TIME_NAME: time, state: value})
            for time, value in points
        ]
        if any(item is None for item in found):
            continue
        base, per_time, per_state, both = (float(item or 0.0) for item in found)
        slope, weight = per_time - base, per_state - base
        is_straight = abs(both - base - slope - weight) <= _STRAIGHT * (abs(slope) + abs(weight))
        if weight and slope and is_straight:
            return partial(_solved, base, slope, weight)
    return None


def _solved(base: float, slope: float, weight: float, times: Floats) -> Floats:
    values: Floats = -(base + slope * times) / weight
    return values


def _limits(
    dynamics: Dynamics, values: Mapping[str, float], wanted: set[str]
) -> dict[str, list[float]]:
    constants = {item.name: item.value for item in dynamics.constants}
    found: dict[str, list[float]] = {}
    for compare in (item for expr in dynamics.expressions() for item in _compares(expr)):
        for name in names(compare) & wanted:
            # Where a difference is 0 that is a straight line in the name.
            difference = Binary("-", compare.left, compare.right)
            at_0 = _evaluated(difference, {**constants, **values, name: 0.0})
            at_1 = _evaluated(difference, {**constants, **values, name: 1.0})
            if at_0 is None or at_1 is None or at_0 == at_1:
                continue
            zero = at_0 / (at_0 - at_1)
            there = evaluate_scalar(difference, {**constants, **values, name: zero})
            if abs(there) <= _STRAIGHT * (abs(at_0) + abs(at_1)):
                found.setdefault(name, []).append(zero)
    return found


def discrete_values(dynamics: Dynamics) -> dict[str, list[float]]:
    """Return the values of the states that only ever get plain numbers, such as regimes."""
    moving = {item.state for item in dynamics.rates}
    found: dict[str, set[float]] = {}
    other: set[str] = set(moving)
    assignments = [*dynamics.start]
    assignments += [item for block in dynamics.conditions for item in block.assignments]
    assignments += [item for block in dynamics.on_events for item in block.assignments]
    for item in assignments:
        match item.value:
            case Number(value):
                found.setdefault(item.state, {0.0}).add(value)
            case Name(name) if name == item.state:
                pass
            case _:
                other.add(item.state)
    return {name: sorted(values) for name, values in found.items() if name not in other}
