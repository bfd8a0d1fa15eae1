"""Run a lowered network, in chunks of steps, and pass on what it gives.

The library counts steps and knows generated symbols in simulation units; here, and in `recorder`,
they become times, paths and SI values again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.annarchy.build import Built, build
from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.library import Engine, Library
from izhi_models.annarchy.links import Link, blocks_in_steps
from izhi_models.annarchy.lower import Group, Lowering
from izhi_models.annarchy.recorder import Recorder, Recording, Source
from izhi_models.annarchy.start import (
    member_values,
    parameter_values,
    start_of,
    start_of_connections,
    states_from_cells,
)
from izhi_models.errors import Diagnostic, InputError, InternalError, RunError, suggest
from izhi_models.memory import disk_shortage, shortage
from izhi_models.results import Collector, Part, Plan, Results
from izhi_models.units import TIME, from_simulation, to_simulation

# Between two looks at the clock and at the states: what is recorded at most; what is computed at
# least, in steps of one cell, so that looking takes a small part of the time, and at most, since
# each cell might spike in each step; and how long that should take, so that an interrupt is heard.
_CHUNK_VALUES = 2_000_000
_CHUNK_CELL_STEPS = 1_000_000
_MAX_CHUNK_CELL_STEPS = 20_000_000
_CHUNK_S = 0.2
_SMALL_BYTES = 2**25
_PARTS = 32
# For each cell and name: a value in the compiled code, and two while they are set up.
_BYTES_PER_VALUE = 24
_MAX_STEPS = 2.0**62  # they are counted in 64 bits


class Simulator:
    """A compiled network that can be run again and again.

    Parameters
    ----------
    lowering : Lowering
    recordings : sequence of Recording
    dt_s : float
        Length of a step. [s]
    seed : int
    engine : Engine, optional
        What runs the program; a compiled `Library` if left out.
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
        engine: Engine | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.lowering = lowering
        self.dt_s = dt_s
        self.seed = seed
        _check_cells(lowering)
        self.built: Built | None = None
        if engine is None:
            self.built = build(lowering.program, progress=progress)
            engine = Library(self.built)
        self._groups = list(lowering.groups)
        self._library = engine
        self._library.create()
        self._library.initialize(to_simulation(dt_s, TIME), seed % 2**32)
        for number, link in enumerate(lowering.links):
            blocks = partial(blocks_in_steps, link, dt_s)
            self._library.connect_blocks(number, link.size, blocks, **link.values)
        self._start: list[dict[str, NDArray[np.float64]]] = []
        self._recorder = Recorder(lowering, recordings, dt_s, self._library)
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
        is_global = any(group.symbols[item].is_global for item in group.reading(name))
        if is_global and (array.ndim or len(group.populations) > 1):
            whose = f"all cells of '{population}'" if array.ndim else "all cells with this synapse"
            raise InputError(
                Diagnostic(
                    f"'{name}' is one value for {whose}",
                    notes=("name it in per_cell when compiling, so that each cell has its own",),
                )
            )
        values = {**member.values, name: array if array.ndim else float(array)}
        populations = list(group.populations)
        populations[index] = replace(member, values=values)
        self._groups[number] = replace(group, populations=tuple(populations))
        if self._library.step == 0:
            self._fresh = False  # initial values may depend on it
        else:
            for symbol, present in parameter_values(self._groups[number], name).items():
                self._library.set(number, symbol, present)

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
        self,
        duration_s: float,
        progress: Callable[[float], None] | None = None,
        file: Path | None = None,
        provenance: Mapping[str, Any] = MappingProxyType({}),
    ) -> Results:
        """Simulate from the present time on.

        Parameters
        ----------
        duration_s : float
            Rounded to whole steps. [s]
        progress : callable, optional
            Called with the time simulated so far. [s]
        file : Path, optional
            Where results go as they come, so that they need no memory; they are kept in memory
            if left out.
        provenance : mapping of str to any
            For the results.

        Returns
        -------
        Results
            Of this stretch; row 0 is the state at its start.

        Raises
        ------
        InputError
            If that is less than a step, or the file cannot be written.
        RunError
            If a state is not finite any more, or memory or disk does not suffice.
        """
        n_steps = self._n_steps(duration_s)
        if not self._fresh:
            self.reset()
            self._initialize()
        plan = self._recorder.plan(self._library.step, n_steps)
        _check_room(plan, file)
        collector = Collector(plan) if file is None or self._is_small(plan, n_steps) else None
        with ExitStack() as stack:
            sinks: list[Callable[[Part], None]] = []
            if collector is not None:
                sinks.append(collector.add)
            if file is not None:
                from izhi_models.results.hdf5 import writing

                sinks.append(stack.enter_context(writing(file, plan, provenance)))
            self._advance(n_steps, sinks, progress)
        if collector is not None:
            return collector.results(provenance)
        return Results.load(cast(Path, file))

    def bytes_of(self, duration_s: float) -> float:
        """Return the size of the traces that a simulation is going to give."""
        return self._recorder.plan(self._library.step, self._n_steps(duration_s)).n_bytes

    # Set-up

    def _initialize(self) -> None:
        self._start = []
        for number, group in enumerate(self._groups):
            start = start_of(group, number, self.seed)
            self._check_start(group, start)
            self._start.append(start)
            for name, value in member_values(group, start).items():
                self._library.set(number, name, value)
        for number, link in enumerate(self.lowering.links):
            states = states_from_cells(link, self._groups, self._start)
            for name, values in states.items():
                self._library.set_connections(number, name, values)
        self._fresh = True

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

    def _advance(
        self,
        n_steps: int,
        sinks: Sequence[Callable[[Part], None]],
        progress: Callable[[float], None] | None,
    ) -> None:
        """Run, and pass on what is recorded."""
        part = self._recorder.start(self._library.step, self._present)
        for add in sinks:
            add(part)
        cells = sum(group.size for group in self._groups)
        kept = _CHUNK_VALUES / max(self._recorder.width, 1e-9)
        most = max(1, int(min(kept, _MAX_CHUNK_CELL_STEPS / cells)))
        chunk = max(1, _CHUNK_CELL_STEPS // cells)
        done = 0
        before = self._states()
        while done < n_steps:
            steps = min(chunk, most, n_steps - done)
            first = self._library.step
            started = time.monotonic()
            self._library.run(steps)
            part = self._recorder.part(first, steps)
            for add in sinks:
                add(part)
            after = self._states()
            if not _all_finite(after):
                self._locate(before, steps)
            before = after
            done += steps
            if time.monotonic() - started < _CHUNK_S / 4:
                chunk = min(4 * chunk, most)
            if progress is not None:
                progress(done * self.dt_s)

    def _is_small(self, plan: Plan, n_steps: int) -> bool:
        """Return whether results are faster kept than read again from their file."""
        cells = sum(group.size for group in self._groups)
        return plan.n_bytes < _SMALL_BYTES and cells * n_steps < _MAX_CHUNK_CELL_STEPS

    def _present(self, source: Source, ranks: NDArray[np.intp]) -> NDArray[np.floating[Any]]:
        """Return the values of a source at some cells or connections as they are now, SI."""
        number, name = source.number, source.variable
        if source.is_link:
            return self._present_inside(self.lowering.links[number], source, ranks)
        group = self._groups[number]
        symbol = group.symbols[name]
        starts = name in self._start[number]
        if not symbol.is_parameter and (self._library.step > 0 or not starts):
            found = self._library.get(number, symbol.symbol)[ranks]
            return from_simulation(found, symbol.dimension)
        return (self._start[number][name] if starts else group.value(name))[ranks]

    def _present_inside(
        self, link: Link, source: Source, ranks: NDArray[np.intp]
    ) -> NDArray[np.floating[Any]]:
        symbol = link.symbols.get(source.variable)
        if symbol is None or self._library.step == 0:
            return start_of_connections(link, ranks, self._groups, self._start)[source.variable]
        found = self._library.get_connections(source.number, symbol.symbol)[ranks]
        return from_simulation(found, symbol.dimension)

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
        if steps == 1 or not self._library.can_rewind:
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


def _check_room(plan: Plan, file: Path | None) -> None:
    """Refuse results that do not fit, before they are simulated."""
    lacking = shortage(plan.n_bytes) if file is None else disk_shortage(file, plan.n_bytes)
    if lacking is not None:
        width = sum(item.indices.size for item in plan.traces)
        raise RunError(
            Diagnostic(
                f"recording {width:.3g} values over {plan.duration_s / plan.dt_s:.3g} steps "
                f"{lacking}",
                notes=('record less: fewer cells, every "1 ms" only, or for a shorter time',),
            )
        )


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
