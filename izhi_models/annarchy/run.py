"""Run a lowered network and decode what it gave.

The library counts steps and knows generated symbols in simulation units; here they become times,
paths and SI values again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.annarchy.build import Built, build
from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.library import Library
from izhi_models.annarchy.lower import Group, Lowering
from izhi_models.errors import Diagnostic, InputError, InternalError, RunError, suggest
from izhi_models.ir.evaluate import initial_values
from izhi_models.memory import shortage
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.units import TIME, from_simulation, to_simulation, to_simulation_array

# Between two looks at the clock and at the states: what is recorded at most, and what is
# computed at least, in steps of one cell, so that looking takes a small part of the time.
_CHUNK_VALUES = 2_000_000
_CHUNK_CELL_STEPS = 1_000_000
_CHUNKS = 50
_PARTS = 32
# For each cell and name: a value in the compiled code, and two while they are set up.
_BYTES_PER_VALUE = 24
_MAX_STEPS = 2.0**62  # they are counted in 64 bits


@dataclass(frozen=True)
class Recording:
    """One quantity to record.

    Parameters
    ----------
    population : str
    name : str
        Path below the cell, under which it is found in the results.
    cells : tuple of int
    variables : tuple of str
        Name in the dynamics of the population, for each cell.
    """

    population: str
    name: str
    cells: tuple[int, ...]
    variables: tuple[str, ...]


class Simulator:
    """A compiled network that can be run again and again.

    Parameters
    ----------
    lowering : Lowering
    recordings : sequence of Recording
    dt_s : float
        Length of a step. [s]
    seed : int
    progress : callable, optional
        Called with a line about what is being compiled.
    """

    def __init__(
        self,
        lowering: Lowering,
        recordings: Sequence[Recording],
        dt_s: float,
        seed: int,
        *,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.lowering = lowering
        self.recordings = tuple(recordings)
        self.dt_s = dt_s
        self.seed = seed
        _check_cells(lowering)
        self.built: Built = build(lowering.program, progress=progress)
        self._groups = list(lowering.groups)
        self._library = Library(self.built)
        self._library.create()
        self._library.initialize(to_simulation(dt_s, TIME), seed % 2**32)
        for number, link in enumerate(lowering.links):
            delays = link.delays_in_steps(dt_s)
            self._library.connect(number, link.pre, link.post, link.weights, delays, **link.values)
        self._start: list[dict[str, NDArray[np.float64]]] = []
        self._traces = self._plan()
        self._fresh = False

    def close(self) -> None:
        """Free the memory of the simulation."""
        self._library.close()

    def set(self, population: str, name: str, value: ArrayLike) -> None:
        """Change a parameter from now on.

        Initial values that depend on it follow with the next `reset`.

        Parameters
        ----------
        population : str
        name : str
            Name in the dynamics of the population.
        value : float or array (size,)
            [SI]

        Raises
        ------
        InputError
            If the population has no such parameter, or values or their number are wrong.
        """
        number = self.lowering.group_of(population)
        group = self._groups[number]
        index = [item.id for item in group.populations].index(population)
        member = group.populations[index]
        if name not in member.values:
            raise InputError(
                Diagnostic(
                    f"'{population}' has no parameter '{name}'", notes=suggest(name, member.values)
                )
            )
        array = np.asarray(value, dtype=np.float64)
        if array.ndim and array.shape != (member.size,):
            raise InputError(f"'{population}' has {member.size} cells, not {array.size}")
        if not np.isfinite(array).all():
            raise InputError(f"a value for '{name}' of '{population}' is not finite")
        if array.ndim and not isinstance(member.values[name], np.ndarray):
            symbol = group.symbols.get(name)
            if symbol is not None and symbol.is_global:
                raise InputError(
                    Diagnostic(
                        f"'{name}' is one value for all cells of '{population}'",
                        notes=("give one number; cells that differ need components that differ",),
                    )
                )
        values = {**member.values, name: array if array.ndim else float(array)}
        populations = list(group.populations)
        populations[index] = replace(member, values=values)
        self._groups[number] = replace(group, populations=tuple(populations))
        if self._library.step == 0:
            self._fresh = False  # initial values may depend on it
        elif name in group.symbols:
            self._set(number, group.symbols[name], self._groups[number].value(name))

    def parameter(self, population: str, name: str) -> NDArray[np.float64]:
        """Return a parameter of all cells of a population, SI, as a copy."""
        group = self._groups[self.lowering.group_of(population)]
        for item in group.populations:
            if item.id == population and name in item.values:
                return np.array(np.broadcast_to(np.asarray(item.values[name]), item.size))
        raise KeyError(name)

    def reset(self, seed: int | None = None) -> None:
        """Go back to t = 0, with the present parameters.

        Parameters
        ----------
        seed : int, optional
            A new seed for everything random.
        """
        if seed is not None:
            self.seed = seed
        self._library.reset(self.seed % 2**32)
        self._fresh = False

    def simulate(
        self, duration_s: float, progress: Callable[[float], None] | None = None
    ) -> Results:
        """Simulate from the present time on.

        Parameters
        ----------
        duration_s : float
            Rounded to whole steps. [s]
        progress : callable, optional
            Called with the time simulated so far. [s]

        Returns
        -------
        Results
            Of this stretch; row 0 is the state at its start.

        Raises
        ------
        InputError
            If that is less than a step.
        RunError
            If a state is not finite any more, or memory does not suffice.
        """
        n_steps = self._n_steps(duration_s)
        self._check_recording(n_steps)
        if not self._fresh:
            self.reset()
            self._initialize()
        first = self._library.step
        rows = [[row] for row in self._first_rows()]
        spikes: list[list[tuple[NDArray[np.int64], NDArray[np.int32]]]] = [[] for _ in self._groups]
        done = 0
        chunk = self._chunk(n_steps)
        before = self._states()
        while done < n_steps:
            steps = min(chunk, n_steps - done)
            self._library.run(steps)
            recorded = self._library.drain()
            for parts, trace in zip(rows, recorded.traces, strict=True):
                parts.append(trace.values)
            for found in recorded.spikes:
                spikes[found.neuron].append((found.steps, found.ranks))
            after = self._states()
            if not _all_finite(after):
                self._locate(before, steps)
            before = after
            done += steps
            if progress is not None:
                progress(done * self.dt_s)
        return self._decode(first, n_steps, rows, spikes)

    # Set-up

    def _plan(self) -> list[tuple[int, str, NDArray[np.int64]]]:
        """Tell the library what to record: group, variable and cells of each trace."""
        wanted: dict[tuple[int, str], set[int]] = {}
        for item in self.recordings:
            number = self.lowering.group_of(item.population)
            group = self.lowering.groups[number]
            first = group.first(item.population)
            for cell, variable in zip(item.cells, item.variables, strict=True):
                if not group.symbols[variable].is_parameter:
                    wanted.setdefault((number, variable), set()).add(first + cell)
        planned = []
        for (number, variable), cells in wanted.items():
            ranks = np.array(sorted(cells), dtype=np.int64)
            group = self.lowering.groups[number]
            everything = ranks.size == group.size
            symbol = group.symbols[variable].symbol
            self._library.record(number, [symbol], None if everything else ranks)
            planned.append((number, variable, ranks))
        for number in range(len(self.lowering.groups)):
            if self.lowering.program.neurons[number].spike is not None:
                self._library.record_spikes(number)
        return planned

    def _initialize(self) -> None:
        self._start = []
        for number, group in enumerate(self._groups):
            values = {name: group.value(name) for name in group.populations[0].values}
            seed = self.seed % 2**63 + number
            start = initial_values(group.dynamics, values, group.size, seed)
            self._check_start(group, start)
            self._start.append(start)
            for name, symbol in group.symbols.items():
                if name in values:
                    self._set(number, symbol, values[name])
                elif name in start:
                    self._set(number, symbol, start[name])
            for name, value in group.literals.items():
                self._library.set(number, name, value)
        self._fresh = True

    def _set(self, number: int, symbol: Symbol, values: NDArray[np.float64]) -> None:
        if symbol.is_global or (values.size and np.all(values == values[0])):
            value = to_simulation(float(values[0]), symbol.dimension)
            self._library.set(number, symbol.symbol, value)
            return
        self._library.set(number, symbol.symbol, to_simulation_array(values, symbol.dimension))

    # Running

    def _n_steps(self, duration_s: float) -> int:
        ratio = duration_s / self.dt_s
        if ratio > _MAX_STEPS:
            raise InputError(f"{ratio:.3g} steps are more than can be counted")
        n_steps = round(ratio)
        if n_steps < 1:
            raise InputError(
                f"a duration of {duration_s * 1e3:g} ms is shorter than "
                f"a step of {self.dt_s * 1e3:g} ms"
            )
        return n_steps

    def _chunk(self, n_steps: int) -> int:
        width = sum(ranks.size for _, _, ranks in self._traces) or 1
        cells = sum(group.size for group in self._groups)
        steps = max(-(-n_steps // _CHUNKS), _CHUNK_CELL_STEPS // cells)
        return max(1, min(_CHUNK_VALUES // width, steps))

    def _check_recording(self, n_steps: int) -> None:
        width = sum(ranks.size for _, _, ranks in self._traces)
        # Twice while parts are joined, and once by recording.
        lacking = shortage(3.0 * 8 * width * n_steps)
        if lacking is not None:
            raise RunError(
                Diagnostic(
                    f"recording {width:.3g} values in each of {n_steps:.3g} steps {lacking}",
                    notes=("record fewer quantities, or for a shorter time",),
                )
            )

    def _states(self) -> list[dict[str, NDArray[Any]]]:
        """Return all states that move, by symbol; everything else follows from them."""
        return [
            {
                symbol.symbol: self._library.get(number, symbol.symbol)
                for _, symbol in _moving(group)
            }
            for number, group in enumerate(self._groups)
        ]

    def _check_start(self, group: Group, start: Mapping[str, NDArray[np.float64]]) -> None:
        for name, _ in _moving(group):
            bad = np.flatnonzero(~np.isfinite(start[name]))
            if bad.size:
                raise RunError(self._not_finite(group, name, int(bad[0])))

    def _locate(self, before: list[dict[str, NDArray[Any]]], steps: int) -> None:
        """Repeat the last steps, in ever smaller parts, up to the first that breaks a state."""
        self._fresh = False
        found = self._first_not_finite()
        if steps == 1:
            raise RunError(found)
        start = self._library.step - steps
        self._restore(before, start)
        part = -(-steps // _PARTS)
        for done in range(0, steps, part):
            before = self._states()
            self._library.run(min(part, steps - done))
            if not _all_finite(self._states()):
                self._locate(before, min(part, steps - done))
        raise RunError(found)  # it did not come again, and is late by less than `steps`

    def _restore(self, states: list[dict[str, NDArray[Any]]], step: int) -> None:
        for number, values in enumerate(states):
            for symbol, array in values.items():
                self._library.set(number, symbol, array)
        self._library.rewind(step)

    def _first_not_finite(self) -> Diagnostic:
        for number, group in enumerate(self._groups):
            for name, symbol in _moving(group):
                bad = np.flatnonzero(~np.isfinite(self._library.get(number, symbol.symbol)))
                if bad.size:
                    return self._not_finite(group, name, int(bad[0]))
        raise InternalError("all states are finite")

    def _not_finite(self, group: Group, name: str, cell: int) -> Diagnostic:
        for item in group.populations:
            if cell < item.size:
                break
            cell -= item.size
        step = self._library.step
        notes = [f"its equations: izhi show, component '{item.component}'"]
        if step > 0:
            notes.insert(0, f"try a smaller step than {self.dt_s * 1e3:g} ms, or another method")
        return Diagnostic(
            f"'{name}' of {item.id}[{cell}] is not finite at t = {step * self.dt_s * 1e3:g} ms",
            notes=tuple(notes),
        )

    # Decoding

    def _first_rows(self) -> list[NDArray[Any]]:
        rows: list[NDArray[Any]] = []
        for number, variable, ranks in self._traces:
            symbol = self._groups[number].symbols[variable]
            if self._library.step == 0 and variable in self._start[number]:
                start = self._start[number][variable][ranks]
                scale = to_simulation(1.0, symbol.dimension)
                rows.append((start * scale)[np.newaxis, :])
            else:
                rows.append(self._library.get(number, symbol.symbol)[ranks][np.newaxis, :])
        return rows

    def _decode(
        self,
        first: int,
        n_steps: int,
        rows: list[list[NDArray[Any]]],
        spikes: list[list[tuple[NDArray[np.int64], NDArray[np.int32]]]],
    ) -> Results:
        n_rows = n_steps + 1 if self.recordings else 0
        times = step_times(np.arange(first, first + n_rows), self.dt_s)
        values: dict[tuple[int, str], tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        for (number, variable, ranks), parts in zip(self._traces, rows, strict=True):
            dimension = self._groups[number].symbols[variable].dimension
            joined = np.concatenate(parts).astype(np.float64, copy=False)
            values[number, variable] = (ranks, from_simulation(joined, dimension))
        traces = [self._trace(item, times, values) for item in self.recordings]
        duration = n_steps * self.dt_s
        return Results(
            duration_s=duration,
            dt_s=self.dt_s,
            spikes=self._spike_trains(spikes, duration),
            traces=traces,
            start_s=float(step_times(np.array(first), self.dt_s)),
            components={
                item.id: item.component for group in self._groups for item in group.populations
            },
        )

    def _trace(
        self,
        item: Recording,
        times: NDArray[np.float64],
        values: Mapping[tuple[int, str], tuple[NDArray[np.int64], NDArray[np.float64]]],
    ) -> Trace:
        number = self.lowering.group_of(item.population)
        group = self._groups[number]
        first = group.first(item.population)
        columns = np.empty((times.size, len(item.cells)))
        for column, (cell, variable) in enumerate(zip(item.cells, item.variables, strict=True)):
            if (number, variable) in values:
                ranks, table = values[number, variable]
                columns[:, column] = table[:, np.searchsorted(ranks, first + cell)]
            elif variable in self._start[number]:
                columns[:, column] = self._start[number][variable][first + cell]
            else:
                columns[:, column] = group.value(variable)[first + cell]
        dimension = group.dynamics.dimensions()[item.variables[0]]
        return Trace(item.population, item.name, dimension, np.array(item.cells), times, columns)

    def _spike_trains(
        self,
        spikes: list[list[tuple[NDArray[np.int64], NDArray[np.int32]]]],
        duration_s: float,
    ) -> dict[str, SpikeTrains]:
        trains = {}
        for number, group in enumerate(self._groups):
            if self.lowering.program.neurons[number].spike is None:
                continue
            steps = np.concatenate([part[0] for part in spikes[number]])
            ranks = np.concatenate([part[1] for part in spikes[number]])
            firsts = np.array([group.first(item.id) for item in group.populations])
            owners = np.searchsorted(firsts, ranks, side="right") - 1
            order = np.argsort(owners, kind="stable")
            bounds = np.searchsorted(owners[order], np.arange(firsts.size + 1))
            for index, item in enumerate(group.populations):
                own = order[bounds[index] : bounds[index + 1]]
                # The spike belongs to the state at the end of the step.
                times = step_times(steps[own] + 1, self.dt_s)
                cells = ranks[own] - firsts[index]
                trains[item.id] = SpikeTrains(times, cells, item.size, duration_s)
        return {name: trains[name] for name in self.lowering.order if name in trains}


def _check_cells(lowering: Lowering) -> None:
    """Refuse a network that does not fit into memory, before it is compiled."""
    n_values = sum(group.size * len(group.dynamics.dimensions()) for group in lowering.groups)
    lacking = shortage(float(n_values) * _BYTES_PER_VALUE)
    if lacking is not None:
        n_cells = sum(group.size for group in lowering.groups)
        raise RunError(Diagnostic(f"a network of {n_cells:.3g} cells {lacking}"))


def _moving(group: Group) -> list[tuple[str, Symbol]]:
    """Return the states that move, with their symbols."""
    states = (item.name for item in group.dynamics.states)
    symbols = ((name, group.symbols.get(name)) for name in states)
    return [(name, item) for name, item in symbols if item is not None and not item.is_parameter]


def _all_finite(states: list[dict[str, NDArray[Any]]]) -> bool:
    return all(np.isfinite(array).all() for values in states for array in values.values())


def step_times(steps: NDArray[np.int64], dt_s: float) -> NDArray[np.float64]:
    """Return the times of numbered steps, in s, as close as a float can be to n * dt."""
    per_second = round(1.0 / dt_s)
    if abs(per_second * dt_s - 1.0) < 1e-12:
        # A quotient of whole numbers is rounded once; dt itself already was.
        return np.asarray(steps / per_second)
    return np.asarray(steps * dt_s)
