"""The compiled program, driven step by step, with every state in reach, by population and in SI."""

from __future__ import annotations

from functools import partial
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.build import build
from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.library import Library
from izhi_models.annarchy.links import blocks_in_steps
from izhi_models.annarchy.lower import Group, Lowering
from izhi_models.annarchy.program import WEIGHT
from izhi_models.annarchy.start import member_values, start_of
from izhi_models.network import Population
from izhi_models.units import TIME, from_simulation, to_simulation, to_simulation_array

Floats = NDArray[np.float64]
Spikes = dict[str, NDArray[np.int32]]


class Compiled:
    """A compiled network at t = 0, with the states that it starts from.

    Parameters
    ----------
    lowering : Lowering
    dt_s : float
        Length of a step. [s]
    seed : int
    """

    def __init__(self, lowering: Lowering, dt_s: float, seed: int) -> None:
        self.lowering = lowering
        self.dt_s = dt_s
        self._library = Library(build(lowering.program))
        self._library.create()
        self._library.initialize(to_simulation(dt_s, TIME), seed % 2**32)
        self._start = []
        for number, link in enumerate(lowering.links):
            blocks = partial(blocks_in_steps, link, dt_s)
            self._library.connect_blocks(number, link.size, blocks, **link.values)
        for number, group in enumerate(lowering.groups):
            self._start.append(start_of(group, number, seed))
            for name, value in member_values(group, self._start[-1]).items():
                self._library.set(number, name, value)
            self._library.record_spikes(number)

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self._library.step

    def names(self, population: str) -> list[str]:
        """Return what changes in a population and can be seen: states, and what is recorded."""
        group = self._group(population)[1]
        return [name for name, symbol in group.symbols.items() if not symbol.is_parameter]

    def values(self, population: str, name: str) -> Floats:
        """Return the present values of a state or variable, one per cell, SI."""
        number, group, symbol = self._symbol(population, name)
        values = from_simulation(self._library.get(number, symbol.symbol), symbol.dimension)
        return np.array(values, dtype=np.float64)[self._cells(group, population)]

    def set(self, population: str, name: str, values: Floats) -> None:
        """Give the cells of a population other values of a state, SI."""
        number, group, symbol = self._symbol(population, name)
        present = np.array(self._library.get(number, symbol.symbol), dtype=np.float64)
        present[self._cells(group, population)] = to_simulation_array(values, symbol.dimension)
        self._library.set(number, symbol.symbol, present)

    def start(self, population: str, name: str) -> Floats:
        """Return the values of a state or derived variable at t = 0, SI."""
        number, group = self._group(population)
        return self._start[number][name][self._cells(group, population)]

    def clear_connections(self) -> None:
        """Set the synapses that each connection has for itself back to their start."""
        for number, link in enumerate(self.lowering.links):
            changing = link.definition.changing
            if WEIGHT in changing:
                self._library.set_connections(number, WEIGHT, link.whole().weights)
            for symbol, value in link.values.items():
                if symbol in changing:
                    self._library.set_connections(number, symbol, value)

    def run(self, n_steps: int) -> list[Spikes]:
        """Simulate; return the cells that spiked, by step and population."""
        first = self._library.step
        self._library.run(n_steps)
        found: list[Spikes] = [{} for _ in range(n_steps)]
        for spikes in self._library.drain().spikes:
            group = self.lowering.groups[spikes.neuron]
            for population in group.populations:
                own = self._cells(group, population.id)
                chosen = (spikes.ranks >= own.start) & (spikes.ranks < own.stop)
                for step, rank in zip(spikes.steps[chosen], spikes.ranks[chosen], strict=True):
                    sent = found[int(step) - first]
                    sent[population.id] = np.append(
                        sent.get(population.id, np.empty(0, np.int32)), rank - own.start
                    )
        return found

    def reset(self) -> None:
        """Go back to t = 0."""
        self._library.reset()

    def population(self, name: str) -> Population:
        """Return a population as it was lowered."""
        return next(item for item in self._group(name)[1].populations if item.id == name)

    def close(self) -> None:
        """Free all memory."""
        self._library.close()

    def __enter__(self) -> Compiled:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _group(self, population: str) -> tuple[int, Group]:
        number = self.lowering.group_of(population)
        return number, self.lowering.groups[number]

    def _symbol(self, population: str, name: str) -> tuple[int, Group, Symbol]:
        number, group = self._group(population)
        return number, group, group.symbols[group.dynamics.exposed(name) or name]

    @staticmethod
    def _cells(group: Group, population: str) -> slice:
        first = group.first(population)
        size = next(item.size for item in group.populations if item.id == population)
        return slice(first, first + size)
