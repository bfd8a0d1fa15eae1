"""A run against the solution in continuous time: does it converge, of which order, how close is it.

A step that means what the equations say has an error that falls with the step: by 2 when the step
is halved for forward Euler, by 4 for a method of second order. A fault does not fall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.recorder import Recording
from izhi_models.annarchy.run import Simulator
from izhi_models.checks.continuous import Solution, System
from izhi_models.checks.oracle import Cell, Oracle
from izhi_models.checks.report import Figure, Finding
from izhi_models.expr import is_random
from izhi_models.ir.linearity import Coupling
from izhi_models.pipeline import Model
from izhi_models.results import Results
from izhi_models.units import display_unit

Floats = NDArray[np.float64]

ORDERS = {"euler": 1, "exponential_euler": 1, "exponential_midpoint": 2, "midpoint": 2, "rk4": 4}
_FACTORS = (1, 2, 4)
_FINEST = 256
_MOST_S = 0.3
_MOST_STATES = 300
_MOST_CELLS = 3  # of a population without connections
_SPIKES = 10
_ROUNDING = 1e-7  # relative; what both sides leave, so that less is no error
_LEAST_FALL = 0.7  # of the error, when the step becomes a quarter
_MOST_POINTS = 4000


@dataclass(frozen=True)
class _Error:
    """Errors of one run: of each state, relative to its range, and of spikes [s]."""

    states: dict[tuple[str, int, str], float]
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
        return [_skipped("what holds the network shows it quantities")], []
    oracle = Oracle(network, network.parts.kept(), model.step())
    reason = _not_solvable(oracle)
    if reason:
        return [_skipped(reason)], []
    cells = list(_cells(oracle))
    if any(is_random(item) for cell in cells for item in cell.dynamics.expressions()):
        return [_skipped("the model draws random numbers")], []
    n_states = sum(len(cell.dynamics.states) for cell in cells)
    if n_states > _MOST_STATES:
        return [_skipped(f"{n_states} states are too many to integrate independently")], []
    comparison = _Comparison(model, oracle, cells, method, seed)
    try:
        comparison.solve()
    except ArithmeticError as error:
        return [_skipped(f"the solution cannot be integrated: {error}")], []
    return comparison.findings(tolerance_s), comparison.figures()


def _skipped(reason: str) -> Finding:
    return Finding("trajectory", "skipped", reason)


def _not_solvable(oracle: Oracle) -> str:
    if any(item.is_continuous for item in oracle.parts.projections):
        return "synapses read the cell at the other end"
    total = sum(item.size for item in oracle.parts.projections)
    if total > 2 * _MOST_STATES:
        return f"{total} connections are too many to integrate independently"
    return ""


def _cells(oracle: Oracle) -> Iterator[Cell]:
    """Yield all cells that are connected, and some of each other population."""
    connected: dict[str, set[int]] = {name: set() for name in oracle.parts.populations}
    for item in oracle.parts.projections:
        connected[item.pre] |= set(item.pre_cells.tolist())
        connected[item.post] |= set(item.post_cells.tolist())
    for name, population in oracle.parts.populations.items():
        chosen = connected[name] or set(range(min(population.size, _MOST_CELLS)))
        for index in sorted(chosen):
            yield oracle.cell(name, index, apart=False)


class _Comparison:
    def __init__(
        self, model: Model, oracle: Oracle, cells: list[Cell], method: str, seed: int
    ) -> None:
        self.model = model
        self.cells = cells
        self.dt_s = model.step()
        self.seed = seed
        self.delays = {
            (cell.population, cell.index, source.port): source.delay_s
            for cell in cells
            for source in cell.sources
        }
        plan = model.experiment.simulation
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
        self.runs: dict[int, Results] = {}

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
        for cells in _components(self.cells):
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
        errors = [self._errors(factor) for factor in _FACTORS]
        found: list[Finding] = []
        for cell in self.cells:
            found += self._of_states(cell, errors)
            found += self._of_spikes(cell, errors)
        if tolerance_s is not None:
            found.append(self._step_for(tolerance_s))
        return found

    def _of_states(self, cell: Cell, errors: list[_Error]) -> Iterator[Finding]:
        worst: tuple[float, str] | None = None
        order = self._order(cell)
        for name in self._moving(cell):
            series = [item.states[cell.population, cell.index, name] for item in errors]
            if max(series) > _ROUNDING and (worst is None or series[0] > worst[0]):
                worst = (series[0], name)
            if max(series[1:]) > _ROUNDING and series[2] > _LEAST_FALL * series[0]:
                yield Finding(
                    f"{cell.population}[{cell.index}]/{name}",
                    "fails",
                    f"error {series[0]:.3g} of its range at the step, {series[2]:.3g} at a quarter "
                    f"of it: it does not converge to the solution of the equations",
                    "the rung `equations` says which variable of which step is wrong",
                )
        place = f"{cell.population}[{cell.index}]"
        if worst is None:
            yield Finding(f"{place}, states", "holds", "exact to rounding")
            return
        series = [item.states[cell.population, cell.index, worst[1]] for item in errors]
        orders = [np.log2(a / b) for a, b in pairwise(series) if b > 0]
        text = ", ".join(f"{item:.2f}" for item in orders)
        yield Finding(
            f"{place}/{worst[1]}",
            "holds",
            f"error {series[0]:.2g} of its range; order {text}, expected {order}",
        )

    def _order(self, cell: Cell) -> int:
        if self.method != "auto":
            return ORDERS[self.method]
        lowered = self.model.network.populations[cell.population].dynamics
        return 2 if Coupling(lowered).has_gates else 1

    def _of_spikes(self, cell: Cell, errors: list[_Error]) -> Iterator[Finding]:
        key = (cell.population, cell.index)
        expected = np.array(self.solution.spikes_s.get(key, ()))
        series = [item.spikes[key] for item in errors]
        counts = [self._spikes(factor, key).size for factor in _FACTORS]
        if not expected.size and not any(counts):
            return
        what = f"spikes of {cell.population}[{cell.index}]"
        shown = [f"{item.max() * 1e3:.3g}" if item is not None else "?" for item in series]
        text = f"{expected.size} spikes, the first {min(_SPIKES, expected.size)} within " + (
            f"{shown[0]} ms at the step, {shown[1]} at half, {shown[2]} at a quarter of it"
        )
        fine = series[2]
        coarse = series[0]
        if fine is None:
            verdict = abs(counts[2] - expected.size) <= 1 and expected.size > _SPIKES
            yield Finding(
                what,
                "holds" if verdict else "fails",
                f"{counts[2]} spikes at a quarter of the step, {expected.size} in the solution",
                "" if verdict else "try a smaller step; see the traces in check.html",
            )
            return
        # A spike, and what starts at it, may come a step late, and so at each of them.
        limit = max(4, 2 * fine.size) * self.dt_s / _FACTORS[-1]
        if coarse is not None:
            limit = max(limit, _LEAST_FALL * float(coarse.max()))
        if fine.max() <= limit:
            yield Finding(what, "holds", text)
        else:
            yield Finding(
                what,
                "fails",
                f"{text}: spike {int(fine.argmax()) + 1} does not converge",
                "the rung `equations` says which variable of which step is wrong",
            )

    def _errors(self, factor: int) -> _Error:
        results = self.run(factor)
        rows = self._smooth_rows()
        states = {}
        for population, index, name in self.compared:
            ours = results.si(f"{population}[{index}]/{name}")[::factor][:rows]
            exact = self.solution.states[population, index, name][:rows]
            whole = self.solution.states[population, index, name]
            size = float(np.ptp(whole)) or float(np.abs(whole).max()) or 1.0
            states[population, index, name] = float(np.abs(ours - exact).max()) / size
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
            results = self.run(1)
            ours = np.asarray(results.si(f"{cell.population}[{cell.index}]/{name}"), np.float64)
            exact = self.solution.states[cell.population, cell.index, name]
            symbol, scale = display_unit(
                results.trace(f"{cell.population}[{cell.index}]/{name}").dimension
            )
            stride = max(1, ours.size // _MOST_POINTS)
            key = (cell.population, cell.index)
            found.append(
                Figure(
                    f"{cell.population}[{cell.index}]/{name}",
                    self.solution.times_s[::stride],
                    ours[::stride] / scale,
                    exact[::stride] / scale,
                    symbol,
                    ("compiled", "solution"),
                    (self._spikes(1, key), np.array(self.solution.spikes_s.get(key, ()))),
                )
            )
        return found


def _components(cells: list[Cell]) -> list[list[Cell]]:
    """Return the cells in sets that no connection joins."""
    owner = {(cell.population, cell.index): number for number, cell in enumerate(cells)}
    for cell in cells:
        for source in cell.sources:
            old = owner[cell.population, cell.index]
            new = owner[source.population, source.cell]
            owner = {key: new if number == old else number for key, number in owner.items()}
    groups: dict[int, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(owner[cell.population, cell.index], []).append(cell)
    return list(groups.values())
