"""What is recorded of a population: its spikes, and quantities over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InputError, InternalError
from izhi_models.results.stored import Stored
from izhi_models.units import Dimension, display_unit

# The SI unit of what is shown in a multiple of it.
_SI_SYMBOLS = {
    "ms": "s",
    "mV": "V",
    "pA": "A",
    "nS": "S",
    "pF": "F",
    "MOhm": "Ohm",
    "um": "m",
    "pC": "C",
}

# What is looked at in one go, of what may be larger than memory.
BLOCK_SPIKES = 2**20

Floats = NDArray[np.float64] | NDArray[np.float32]


@dataclass(eq=False)
class SpikeTrains:
    """The spikes of one population, as flat arrays in the order of time.

    They may lie in a file.

    Parameters
    ----------
    times_s : float array (count,)
        [s]
    indices : int array (count,)
        Neuron of each spike.
    n_neurons : int
        Size of the population, silent neurons included.
    duration_s : float
        How long they were recorded. [s]
    """

    times_s: NDArray[np.float64] | Stored
    indices: NDArray[np.integer[Any]] | Stored
    n_neurons: int
    duration_s: float

    def __post_init__(self) -> None:
        if self.times_s.shape != self.indices.shape or self.times_s.ndim != 1:
            raise InternalError(
                f"spikes with {self.times_s.shape} times and {self.indices.shape} neurons"
            )

    @property
    def count(self) -> int:
        """Number of spikes of all neurons."""
        return self.times_s.size

    @property
    def rate_hz(self) -> float:
        """Mean firing rate per neuron; 0 if nothing was simulated [Hz]."""
        span = self.n_neurons * self.duration_s
        return self.count / span if span > 0 else 0.0

    def blocks(self) -> Iterator[tuple[NDArray[np.float64], NDArray[np.integer[Any]]]]:
        """Yield all spikes as times [s] and neurons, a bounded number at once."""
        for start in range(0, self.count, BLOCK_SPIKES):
            part = slice(start, start + BLOCK_SPIKES)
            yield self.times_s[part], self.indices[part]

    def of(self, index: int) -> NDArray[np.float64]:
        """Return the spike times of one neuron in ascending order [s].

        The first call sorts the spikes of all neurons, and keeps them.

        Raises
        ------
        InputError
            If the population has no such neuron.
        """
        if not 0 <= index < self.n_neurons:
            raise InputError(f"neuron {index} does not exist: the population has {self.n_neurons}")
        times, bounds = self._by_neuron
        return times[bounds[index] : bounds[index + 1]]

    @cached_property
    def _by_neuron(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Times sorted by neuron, and where each neuron's begin."""
        times, indices = np.asarray(self.times_s), np.asarray(self.indices)
        order = np.argsort(indices, kind="stable")
        bounds = np.searchsorted(indices[order], np.arange(self.n_neurons + 1))
        return times[order], bounds


@dataclass(frozen=True, eq=False)
class Quantity:
    """A quantity of some neurons of a population.

    Parameters
    ----------
    population : str
        Empty for a quantity of the whole network, such as its temperature.
    variable : str
        Path below the cell: ``v``, ``i0/I``.
    dimension : Dimension
    indices : int array (n_recorded,)
        The neurons recorded.
    """

    population: str
    variable: str
    dimension: Dimension
    indices: NDArray[np.integer[Any]]

    @property
    def path(self) -> str:
        """LEMS path without an index: ``population/variable``."""
        return f"{self.population}/{self.variable}" if self.population else self.variable

    @property
    def si_unit(self) -> str:
        """Symbol of the unit of the values, ``V`` or ``kg m^2``; ``1`` without a dimension."""
        return _SI_SYMBOLS.get(display_unit(self.dimension)[0], str(self.dimension))


@dataclass(frozen=True, eq=False)
class Trace(Quantity):
    """A quantity over time. Times and values may lie in a file.

    Parameters
    ----------
    times : float array (n_rows,)
        Shared by traces that were sampled together. [s]
    values : float array (n_rows, n_recorded)
        [SI]
    """

    times: NDArray[np.float64] | Stored
    values: Floats | Stored

    def __post_init__(self) -> None:
        if self.indices.size == 0:
            raise InternalError(f"trace '{self.path}' of no neuron")
        if self.values.shape != (*self.times.shape, *self.indices.shape):
            raise InternalError(
                f"trace '{self.path}' has {self.values.shape} values for {self.times.shape} "
                f"times and {self.indices.shape} neurons"
            )

    def column(self, number: int) -> Trace:
        """Return the trace of one of the neurons recorded; nothing is copied or read."""
        one = slice(number, number + 1)
        values = self.values
        narrow = values.columns(one) if isinstance(values, Stored) else values[:, one]
        return replace(self, indices=self.indices[one], values=narrow)
