"""A run against the solution in continuous time: does it converge, of which order, how close is it.

A step that means what the equations say has an error that falls with the step: by 2 when the step
is halved for forward Euler, by 4 for a method of second order. A fault does not fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.recorder import Recording
from izhi_models.annarchy.run import Simulator
from izhi_models.checks.chance import certain_cells
from izhi_models.checks.continuous import Solution, System
from izhi_models.checks.oracle import Cell, Oracle
from izhi_models.checks.report import Figure, Finding
from izhi_models.checks.smoothness import first_kink
from izhi_models.ir.linearity import Coupling
from izhi_models.lems.axial import INFLOW
from izhi_models.pipeline import Model
from izhi_models.results import Results
from izhi_models.units import display_unit

Floats = NDArray[np.float64]

ORDERS = {"euler": 1, "exponential_euler": 1, "exponential_midpoint": 2, "midpoint": 2, "rk4": 4}
# Of an order, within which a method counts as of this order.
LEAST_ORDERS = {1: 0.85, 2: 1.8, 4: 3.5}
_FACTORS = (1, 2, 4)
_FINER = (8, 16)
_FAR = 0.01  # relative; beyond it, an error is not yet what its order says
_LEAST_ROWS = 4
_MOST_DELAY = 2**15  # steps
_FINEST = 256
_MOST_S = 0.3
_MOST_STATES = 300
_MOST_CELLS = 3  # of a population without connections
_SPIKES = 10
_ROUNDING = 1e-7  # relative; what both sides leave, so that less is no error
_LEAST_FALL = 0.7  # of the error, when the step becomes a quarter
_MOST_POINTS = 4000


State = tuple[str, int, str]


@dataclass(frozen=True)
class _Error:
    """Errors of one run: of each state, relative to its range, and of spikes [s]."""

    states: dict[State, float]
    spikes: dict[tuple[str, int], Floats | None]


def check_trajectory(
    model: Model, *, method: str = "auto", tolerance_s: float | None = None, seed: int = 1234
) -> tuple[list[Finding], list[Figure]]:
    """Compare runs at falling steps with the solution in continuous time.

    Parameters
    ----------
    model : Model
    method : str
        Integrator, as `Model.compile` takes it.
    tolerance_s : float, optional
        How far spikes may be from those of the solution: the step that achieves it is searched.
    seed : int
    """
    network = model.network
    if network.parts is None:
        return [_skipped("the parts of the network are not kept")], []
    oracle = Oracle(network, network.parts.kept(), model.step())
    reason = _not_solvable(oracle)
    if reason:
        return [_skipped(reason)], []
    certain = certain_cells(oracle.parts)
    if not any(item.any() for item in certain.values()):
        return [_skipped("random numbers reach all cells")], []
    cells = list(_cells(oracle, certain))
    left_out = [
        Finding(name, "skipped", f"random numbers reach {n} of its {own.size} cells")
        for name, own in certain.items()
        if (n := int((~own).sum()))
    ]
    states = {
        (item.population, item.index, state.name)
        for item in cells
        for state in item.dynamics.states
    }
    read = {peer for cell in cells for peer in cell.peers.values()}
    if not read <= states:
        return [_skipped("synapses read what another cell derives")], []
    n_states = len(states)
    if n_states > _MOST_STATES:
        return [_skipped(f"{n_states} states are too many to integrate independently")], []
    comparison = _Comparison(model, oracle, cells, method, seed)
    try:
        comparison.solve()
    except ArithmeticError as error:
        return [_skipped(f"the solution cannot be integrated: {error}")], []
    return [*comparison.findings(tolerance_s), *left_out], comparison.figures()


def _skipped(reason: str) -> Finding:
    return Finding("trajectory", "skipped", reason)


def _not_solvable(oracle: Oracle) -> str:
    total = sum(item.size for item in oracle.parts.projections)
    if total > 2 * _MOST_STATES:
        return f"{total} connections are too many to integrate independently"
    return ""


def _cells(oracle: Oracle, certain: Mapping[str, NDArray[np.bool_]]) -> Iterator[Cell]:
    """Yield all cells that are connected, and some of each other population, if not random."""
    connected: dict[str, set[int]] = {name: set() for name in oracle.parts.populations}
    for item in (*oracle.parts.projections, *oracle.parts.axial):
        connected[item.pre] |= set(item.pre_cells.tolist())
        connected[item.post] |= set(item.post_cells.tolist())
    for name in oracle.parts.populations:
        chosen = connected[name] or set(np.flatnonzero(certain[name])[:_MOST_CELLS].tolist())
        for index in sorted(item for item in chosen if certain[name][item]):
            yield oracle.cell(name, index, apart=False)


class _Comparison:
    def __init__(
        self, model: Model, oracle: Oracle, cells: list[Cell], method: str, seed: int
    ) -> None:
        self.model = model
        self.oracle = oracle
        self.cells = cells
        self.groups = _components(cells)
        self.dt_s = model.step()
        self.seed = seed
        self.delays = {
            (cell.population, cell.index, source.port): source.delay_s
            for cell in cells
            for source in cell.sources
        }
        plan, network = model.experiment.simulation, model.network
        length = plan.length_s if plan else _MOST_S
        self.n_steps = max(1, round(min(length, _MOST_S) / self.dt_s))
        self.method = method
        compared = {
            (cell.population, cell.index, name) for cell in cells for name in self._moving(cell)
        }
        self.compared = sorted(compared)
        together: dict[tuple[str, str], list[int]] = {}
        for population, index, name in self.compared:
            together.setdefault((population, name), []).append(index)
        recordings = [
            Recording(population, name, tuple(indices), (name,) * len(indices))
            for (population, name), indices in together.items()
        ]
        self.lowering = model.lower(recordings, method=method)
        self.recordings = recordings
        # Delays that differ are kept in a number of steps that has a limit.
        longest = max(
            (float(item.delays.max(initial=0.0)) for item in network.projections), default=0.0
        )
        self.finer = [item for item in _FINER if longest * item / self.dt_s < _MOST_DELAY]
        self.runs: dict[int, Results] = {}
        self.errors: dict[int, _Error] = {}

    def _moving(self, cell: Cell) -> list[str]:
        """Return the states of the cell itself that rates move."""
        states = {item.state for item in cell.dynamics.rates}
        lowered = self.model.network.populations[cell.population].dynamics
        known = {item.name for item in lowered.states}
        return [name for name, here in cell.names.items() if here in states and name in known]

    def solve(self) -> None:
        """Integrate each set of cells that are connected."""
        times = np.arange(self.n_steps + 1, dtype=np.float64) * self.dt_s
        self.solution = Solution(times, {})
        for cells in self.groups:
            found = System(cells, self.delays).solve(times)
            self.solution.states |= found.states
            self.solution.spikes_s |= found.spikes_s
            self.solution.changes_s += found.changes_s
            self.solution.breaks_s += found.breaks_s

    def run(self, factor: int) -> Results:
        """Run at a fraction of the step."""
        if factor not in self.runs:
            simulator = Simulator(self.lowering, self.recordings, self.dt_s / factor, self.seed)
            try:
                self.runs[factor] = simulator.simulate(self.n_steps * self.dt_s)
            finally:
                simulator.close()
        return self.runs[factor]

    def findings(self, tolerance_s: float | None) -> list[Finding]:
        """Compare."""
        found: list[Finding] = []
        for cell in self.cells:
            found += self._of_states(cell)
            if not self.oracle.parts.populations[cell.population].part_of:
                found += self._of_spikes(cell)
        if tolerance_s is not None:
            found.append(self._step_for(tolerance_s))
        return found

    def _of_states(self, cell: Cell) -> Iterator[Finding]:
        """Tell of the states of a cell whether their errors fall, and by which order."""
        place = self.oracle.label(cell.population, cell.index)
        expected = self._order(cell)
        worst: tuple[float, str, list[float]] | None = None
        for name in self._moving(cell):
            key = (cell.population, cell.index, name)
            series = self._series(key, expected)
            if max(series) <= _ROUNDING:
                continue
            if series[-1] > max(_ROUNDING, _LEAST_FALL * series[0]):
                yield Finding(
                    f"{place}/{name}",
                    "fails",
                    f"error {series[0]:.3g} of its range at the step, {series[-1]:.3g} at "
                    f"{self.dt_s / self._factors[len(series) - 1] * 1e3:.3g} ms: it does not "
                    "converge to the solution of the equations",
                    "the rung `equations` says which variable of which step is wrong",
                )
                return
            orders = _orders(series)
            if orders and orders[-1] < LEAST_ORDERS[expected]:
                yield self._low(cell, name, orders, expected, series[-1])
                return
            if worst is None or series[0] > worst[0]:
                worst = (series[0], name, orders)
        if worst is None:
            yield Finding(f"{place}, states", "holds", "exact to rounding")
            return
        text = f"error {worst[0]:.2g} of its range; {_told(worst[2], expected)}"
        yield Finding(f"{place}/{worst[1]}", "holds", text)

    @property
    def _factors(self) -> tuple[int, ...]:
        """By which the step may be divided."""
        return (*_FACTORS, *self.finer)

    def _series(self, key: State, expected: int) -> list[float]:
        """Return the errors of a state at shorter and shorter steps.

        An order that is low may only be so at long steps, so it is looked for at shorter ones.
        """
        series: list[float] = []
        for factor in self._factors:
            series.append(self._error(factor).states[key])
            orders = _orders(series)
            is_known = not orders or orders[-1] >= LEAST_ORDERS[expected]
            if len(series) >= len(_FACTORS) and (is_known or series[-1] <= _ROUNDING):
                break
        return series

    def _low(
        self, cell: Cell, name: str, orders: list[float], expected: int, error: float
    ) -> Finding:
        """Tell of an order that is too low; there may be a reason for it in the model."""
        what = f"{self.oracle.label(cell.population, cell.index)}/{name}"
        reason = self._roughness(cell)
        if reason:
            return Finding(what, "holds", f"{_told(orders, expected)}, which {reason} does not let")
        if error > _FAR:
            text = f"{_told(orders, expected)}, with an error of {error:.2g} of its range"
            return Finding(
                what, "doubtful", f"{text}: too large to tell", "try a smaller step: --dt"
            )
        return Finding(
            what,
            "fails",
            f"{_told(orders, expected)}, though nothing in the equations switches meanwhile",
            "a fault of the integrator: `--method euler` tells whether the equations are right",
        )

    def _roughness(self, cell: Cell) -> str:
        """Return what of the model is not smooth before the first spike; empty if nothing is.

        A spike at the very start; an edge of an input inside a step, which acts on the whole of
        it; or a choice that changes in the equations of the cell, or of one that reaches it. Edges
        between two steps cost no order.
        """
        rows = self._smooth_rows()
        if rows < _LEAST_ROWS:
            return "a spike or an event at the start"
        for time in self.solution.breaks_s:
            steps = time / self.dt_s
            if 0 < steps < rows and abs(steps - round(steps)) > 1e-6:
                return f"an edge inside a step, at {time * 1e3:.9g} ms,"
        for one in next(group for group in self.groups if cell in group):
            key = (one.population, one.index)
            read = {item.name: (*key, item.name) for item in one.dynamics.states} | one.peers
            states = {name: self.solution.states[place][:rows] for name, place in read.items()}
            times = self.solution.times_s[:rows]
            kink = first_kink(one.dynamics, one.values, times, states)
            if kink is not None:
                place = self.oracle.label(*key)
                return f"a choice in the equations of {place} at {kink * 1e3:.6g} ms"
        return ""

    def _order(self, cell: Cell) -> int:
        # A synapse that each connection has for itself is held while the cell does a step.
        if any(
            item.is_own and item.size and INFLOW not in item.own
            for item in self.model.network.projections
        ):
            return 1
        if self.method != "auto":
            return ORDERS[self.method]
        lowered = self.model.network.populations[cell.population].dynamics
        return 2 if lowered.inflows or Coupling(lowered).has_gates else 1

    def _of_spikes(self, cell: Cell) -> Iterator[Finding]:
        key = (cell.population, cell.index)
        expected = np.array(self.solution.spikes_s.get(key, ()))
        series = [self._error(factor).spikes[key] for factor in _FACTORS]
        counts = [self._spikes(factor, key).size for factor in _FACTORS]
        if not expected.size and not any(counts):
            return
        what = f"spikes of {cell.population}[{cell.index}]"
        shown = [f"{item.max() * 1e3:.3g}" if item is not None else "?" for item in series]
        text = f"{expected.size} spikes, the first {min(_SPIKES, expected.size)} within " + (
            f"{shown[0]} ms at the step, {shown[1]} at half, {shown[2]} at a quarter of it"
        )
        if self._spikes_converge(key, series):
            yield Finding(what, "holds", text)
        else:
            last_ms = self.dt_s / self._factors[-1] * 1e3
            yield Finding(
                what,
                "fails",
                f"{text}, and no nearer at {last_ms:.3g} ms: not those of the solution",
                "the rung `equations` says which variable of which step is wrong",
            )

    def _spikes_converge(self, key: tuple[str, int], series: list[Floats | None]) -> bool:
        """Return whether spikes come as near as a step lets them, or ever nearer.

        A spike, and what starts at it, may come a step late, and so at each of them; how near
        they are at one step is partly chance, so that a failure is asked for at shorter ones.
        """
        coarse = max([float(item.max()) for item in series if item is not None], default=np.inf)
        for factor in (_FACTORS[-1], *self.finer):
            distances = series[-1] if factor == _FACTORS[-1] else self._distance(factor, key)
            if distances is None:
                continue
            allowed = max(4, 2 * distances.size) * self.dt_s / factor
            fall = _LEAST_FALL * _FACTORS[-1] / factor
            if distances.max() <= max(allowed, fall * coarse if coarse < np.inf else 0.0):
                return True
        expected = len(self.solution.spikes_s.get(key, ()))
        found = self._spikes(self._factors[-1], key).size
        return series[-1] is None and abs(found - expected) <= 1 and expected > _SPIKES

    def _error(self, factor: int) -> _Error:
        """Return the errors of the run at a fraction of the step."""
        if factor not in self.errors:
            self.errors[factor] = self._errors(factor)
        return self.errors[factor]

    def _errors(self, factor: int) -> _Error:
        results = self.run(factor)
        rows = self._smooth_rows()
        times = self.solution.times_s
        # What was recorded at other times is as far from the solution as can be.
        is_timely = all(
            item.times.shape[0] == (times.size - 1) * factor + 1
            and np.allclose(item.times[:][::factor], times, rtol=0.0, atol=1e-3 * self.dt_s)
            for item in results.traces
        )
        states = {}
        for population, index, name in self.compared:
            ours = results.si(f"{population}[{index}]/{name}")[::factor][:rows]
            exact = self.solution.states[population, index, name][:rows]
            whole = self.solution.states[population, index, name]
            size = float(np.ptp(whole)) or float(np.abs(whole).max()) or 1.0
            gap = float(np.abs(ours - exact).max()) / size if is_timely else 1.0
            states[population, index, name] = gap
        spikes = {}
        for cell in self.cells:
            key = (cell.population, cell.index)
            spikes[key] = self._distance(factor, key)
        return _Error(states, spikes)

    def _smooth_rows(self) -> int:
        """Return how many rows come well before the first spike of any cell.

        Inputs may switch on before: they do so at the end of a step.
        """
        times = [item[0] for item in self.solution.spikes_s.values() if item]
        switches = np.array(self.solution.breaks_s or [-1.0])
        changes = [
            time
            for time in self.solution.changes_s
            if time > self.dt_s and np.abs(switches - time).min() > self.dt_s
        ]
        first = min([*times, *changes, float(self.solution.times_s[-1])])
        before = max([time for time in self.solution.breaks_s if time < first], default=0.0)
        return max(2, int((before + 0.8 * (first - before)) / self.dt_s))

    def _spikes(self, factor: int, key: tuple[str, int]) -> Floats:
        trains = self.run(factor).spikes.get(key[0])
        return np.empty(0) if trains is None else trains.of(key[1])

    def _distance(self, factor: int, key: tuple[str, int]) -> Floats | None:
        """Return how far the first spikes are from the solution; None if some are missing."""
        ours = self._spikes(factor, key)
        exact = np.array(self.solution.spikes_s.get(key, ()))
        n = min(_SPIKES, exact.size)
        # The last one may lie beyond the end of the run.
        if abs(ours.size - exact.size) > 1 and min(ours.size, exact.size) < n:
            return None
        n = min(n, ours.size)
        return np.abs(ours[:n] - exact[:n]) if n else None

    def _step_for(self, tolerance_s: float) -> Finding:
        what = f"spikes within {tolerance_s * 1e3:g} ms"
        keys = [(cell.population, cell.index) for cell in self.cells]
        factor = 1
        while factor <= _FINEST:
            distances = [
                self._distance(factor, key) for key in keys if self.solution.spikes_s.get(key)
            ]
            if all(item is not None and item.max() <= tolerance_s for item in distances):
                step_ms = self.dt_s / factor * 1e3
                return Finding(what, "holds", f"with a step of {step_ms:.6g} ms: --dt")
            factor *= 2
        return Finding(
            what,
            "fails",
            f"not even with a step of {self.dt_s / _FINEST * 1e3:.3g} ms",
            "try --method midpoint, or a tolerance that the model allows",
        )

    def figures(self) -> list[Figure]:
        """Return v, or the first state, of each cell."""
        found = []
        for cell in self.cells[:8]:
            states = self._moving(cell)
            if not states:
                continue
            name = next((item for item in ("v", "V") if item in states), states[0])
            key = (cell.population, cell.index)
            results = self.run(1)
            ours = np.asarray(results.si(f"{cell.population}[{cell.index}]/{name}"), np.float64)
            exact = self.solution.states[cell.population, cell.index, name]
            symbol, scale = display_unit(
                results.trace(f"{cell.population}[{cell.index}]/{name}").dimension
            )
            stride = max(1, ours.size // _MOST_POINTS)
            found.append(
                Figure(
                    f"{self.oracle.label(*key)}/{name}",
                    self.solution.times_s[::stride],
                    ours[::stride] / scale,
                    exact[::stride] / scale,
                    symbol,
                    ("compiled", "solution"),
                    (self._spikes(1, key), np.array(self.solution.spikes_s.get(key, ()))),
                )
            )
        return found


def _told(orders: list[float], expected: int) -> str:
    if not orders:
        return f"too small to tell the order, expected {expected}"
    return f"order {', '.join(f'{item:.2f}' for item in orders)}, expected {expected}"


def _orders(series: list[float]) -> list[float]:
    """Return the order between steps that follow each other, as far as errors are known."""
    return [float(np.log2(a / b)) for a, b in pairwise(series) if b > _ROUNDING]


def _components(cells: list[Cell]) -> list[list[Cell]]:
    """Return the cells in sets that no connection joins."""
    owner = {(cell.population, cell.index): number for number, cell in enumerate(cells)}
    for cell in cells:
        joined = [(source.population, source.cell) for source in cell.sources]
        for other in (*joined, *((name, index) for name, index, _ in cell.peers.values())):
            old, new = owner[cell.population, cell.index], owner[other]
            owner = {key: new if number == old else number for key, number in owner.items()}
    groups: dict[int, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(owner[cell.population, cell.index], []).append(cell)
    return list(groups.values())
