"""A compiled program, loaded and driven.

Nothing of ANNarchy is imported. The code keeps its simulation in global variables, so every
`Library` loads a file of its own, which is deleted as soon as it is loaded: several libraries of
one program live side by side and share nothing.

A step with number k leads from time k*dt to (k+1)*dt. What is recorded in it is the state after it.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.annarchy.build import Built
from izhi_models.annarchy.native import (
    INT_MAX,
    check,
    column,
    int_array,
    load,
    memory,
    too_large,
    unload,
)
from izhi_models.annarchy.wiring import Block, connect, real_numbers
from izhi_models.errors import InternalError


@dataclass(frozen=True)
class Trace:
    """Values of one variable, recorded since the last `Library.drain`.

    Parameters
    ----------
    owner : int
        Number of the population or projection.
    symbol : str
        Name of the variable.
    values : array (n_rows, n_ranks)
        One row per recorded step, one column per recorded cell or connection. [unit of the
        variable]
    """

    owner: int
    symbol: str
    values: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Spikes:
    """Spikes of one population, recorded since the last `Library.drain`.

    Parameters
    ----------
    neuron : int
        Number of the population.
    steps : int array (n_spikes,)
        Numbers of the steps, ascending.
    ranks : int array (n_spikes,)
        The cell of each spike.
    """

    neuron: int
    steps: NDArray[np.int64]
    ranks: NDArray[np.int32]


@dataclass(frozen=True)
class Recorded:
    """What `Library.drain` returns, each in the order in which recording was asked for."""

    traces: tuple[Trace, ...]
    spikes: tuple[Spikes, ...]


class Engine(Protocol):
    """What runs a program: `Library`, or ANNarchy itself."""

    can_rewind: bool

    @property
    def step(self) -> int:
        """Number of steps since the start."""

    def create(self) -> None:
        """Make the populations."""

    def initialize(self, dt_ms: float, seed: int) -> None:
        """Set the step and the seed."""

    def set(self, neuron: int, symbol: str, value: ArrayLike) -> None:
        """Set a parameter or variable."""

    def get(self, neuron: int, symbol: str) -> NDArray[np.floating[Any]]:
        """Return a parameter or variable."""

    def connect_blocks(
        self,
        projection: int,
        size: int,
        blocks: Callable[[], Iterable[Block]],
        **values: ArrayLike,
    ) -> None:
        """Make all connections of a projection."""

    def set_connections(self, projection: int, symbol: str, value: ArrayLike) -> None:
        """Set a variable of all connections."""

    def get_connections(self, projection: int, symbol: str) -> NDArray[np.floating[Any]]:
        """Return a variable of all connections, if it can be recorded."""

    def record_connections(
        self,
        projection: int,
        symbols: Sequence[str],
        numbers: Sequence[int] | NDArray[np.integer[Any]],
        period_steps: int = 1,
    ) -> None:
        """Record variables of connections."""

    def record(
        self,
        neuron: int,
        symbols: Sequence[str],
        ranks: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        period_steps: int = 1,
    ) -> None:
        """Record variables."""

    def record_spikes(self, neuron: int) -> None:
        """Record the spikes of a population."""

    def run(self, n_steps: int) -> None:
        """Simulate."""

    def drain(self) -> Recorded:
        """Return what was recorded since the last call."""

    def reset(self, seed: int | None = None) -> None:
        """Go back to time 0."""

    def rewind(self, step: int) -> None:
        """Go back to the start of the last `run`, if `can_rewind`."""

    def close(self) -> None:
        """Free all memory."""


class Library:
    """One simulation of a compiled program.

    Call `create`, `initialize`, `connect` for the projections, and `set` for all parameters and
    variables, which are 0 before; then `record`, and any number of `run`, `drain` and `reset`.
    `close` frees all memory; so does the end of a `with` block or the garbage collector.

    Parameters
    ----------
    built : Built

    Raises
    ------
    BackendError
        The system cannot load the library.
    """

    can_rewind = True

    def __init__(self, built: Built) -> None:
        self._program = built.program
        self._dtype = np.dtype(np.float32 if built.program.precision == "float" else np.float64)
        self._code = load(built)
        self._finalizer = weakref.finalize(self, unload, self._code, built.program.threads)
        self._sizes: tuple[int, ...] = ()
        self._views: list[dict[str, NDArray[Any]]] = []
        self._initial: list[tuple[NDArray[Any], NDArray[Any]]] = []
        self._traces: list[tuple[int, str, int]] = []
        self._trains: list[int] = []
        self._connected: dict[int, int] = {}
        self._observed: set[int] = set()
        self._seed = 0
        self._step = 0
        self._start_of_run = 0

    @property
    def step(self) -> int:
        """Number of steps since `initialize` or `reset`."""
        return self._step

    def create(self, sizes: Sequence[int] | None = None) -> None:
        """Make the populations.

        Parameters
        ----------
        sizes : sequence of int, optional
            Number of cells of each population; the program's own sizes if omitted.
        """
        self._verify(not self._sizes, "create was called twice")
        chosen = tuple(item.size for item in self._program.neurons) if sizes is None else sizes
        fit = len(chosen) == len(self._program.neurons) and all(
            1 <= size <= INT_MAX for size in chosen
        )
        self._verify(fit, f"sizes {chosen} for {len(self._program.neurons)} populations")
        self._sizes = tuple(int(size) for size in chosen)
        check(self._code.izhi_create(int_array(self._sizes), self._program.threads))

    def initialize(self, dt_ms: float, seed: int) -> None:
        """Allocate all parameters and variables, with value 0.

        Parameters
        ----------
        dt_ms : float
            Length of a step. [ms]
        seed : int
            Of the random numbers, 0 to 2**32 - 1.
        """
        self._verify(bool(self._sizes) and not self._views, "initialize comes once, after create")
        self._verify(dt_ms > 0 and 0 <= seed < 2**32, f"step {dt_ms}, seed {seed}")
        self._seed = seed
        check(self._code.izhi_initialize(dt_ms, seed))
        for number, neuron in enumerate(self._program.neurons):
            views = {
                symbol: self._map(number, member) for member, symbol in enumerate(neuron.symbols)
            }
            self._views.append(views)
            self._initial += [(views[name], views[name].copy()) for name in neuron.variables]

    def set(self, neuron: int, symbol: str, value: ArrayLike) -> None:
        """Set a parameter or variable.

        Parameters
        ----------
        neuron : int
            Number of the population.
        symbol : str
            Name of the parameter or variable.
        value : float or array (n_cells,)
            One value for all cells, or one for each; a global parameter takes a single one.

        Raises
        ------
        RunError
            A finite value is beyond the range of single precision.
        """
        view = self._view(neuron, symbol)
        values = np.asarray(value, dtype=np.float64)
        fit = values.ndim == 0 or values.shape == view.shape
        self._verify(fit, f"{symbol!r} has shape {view.shape}, not {values.shape}")
        try:
            with np.errstate(over="raise"):
                view[:] = values
        except FloatingPointError as error:
            raise too_large() from error

    def get(self, neuron: int, symbol: str) -> NDArray[np.floating[Any]]:
        """Return the present values of a parameter or variable.

        Returns
        -------
        array (n_cells,)
            A copy; of length 1 for a global parameter.
        """
        return self._view(neuron, symbol).copy()

    def connect(
        self,
        projection: int,
        pre_ranks: NDArray[np.integer[Any]],
        post_ranks: NDArray[np.integer[Any]],
        weights: ArrayLike,
        delays_steps: int | NDArray[np.integer[Any]] = 1,
        **values: ArrayLike,
    ) -> None:
        """Make all connections of a projection, which had none or others before.

        Arrays may be in any order, which stays that of `get_connections`. The arrays of integers
        are int32 or int64, the others float32 or float64; contiguous ones are not copied.

        Parameters
        ----------
        projection : int
            Number of the projection.
        pre_ranks, post_ranks : int array (n_connections,)
            The cells of each connection.
        weights : float or array (n_connections,)
            A single one if the projection has one weight.
        delays_steps : int or int array (n_connections,)
            A spike of step k arrives in step k + delay; at least 1, at most 65535 if they differ.
        values : float or array (n_connections,)
            Parameters and variables of the synapse, by symbol; 0 if omitted.

        Raises
        ------
        RunError
            There is not enough memory, or a value is beyond the range of single precision.
        """
        block = Block(
            np.asarray(pre_ranks),
            np.asarray(post_ranks),
            real_numbers(weights),
            np.atleast_1d(delays_steps),
        )
        self.connect_blocks(projection, block.pre.size, lambda: (block,), **values)

    def connect_blocks(
        self,
        projection: int,
        size: int,
        blocks: Callable[[], Iterable[Block]],
        **values: ArrayLike,
    ) -> None:
        """Make all connections of a projection as `connect` does, out of blocks.

        Besides the connections themselves this takes the memory of one block.

        Parameters
        ----------
        projection : int
            Number of the projection.
        size : int
            Of all blocks together.
        blocks : callable
            Returns the same blocks each time; it is called twice.
        values : float or array (size,)
            See `connect`.

        Raises
        ------
        RunError
            There is not enough memory, or a value is beyond the range of single precision.
        """
        self._verify(bool(self._views) and self._step == 0, "connect comes at time 0")
        self._verify(0 <= projection < len(self._program.projections), f"projection {projection}")
        self._verify(0 <= size <= INT_MAX, f"{size} connections")
        self._verify(projection not in self._observed, f"projection {projection} is recorded")
        item = self._program.projections[projection]
        self._connected.pop(projection, None)
        connect(
            self._code,
            projection,
            item,
            (self._sizes[item.pre], self._sizes[item.post]),
            size,
            blocks,
        )
        self._connected[projection] = size
        for symbol, value in values.items():
            self.set_connections(projection, symbol, value)

    def set_connections(self, projection: int, symbol: str, value: ArrayLike) -> None:
        """Set the weight, a parameter or a variable of all connections.

        Parameters
        ----------
        projection : int
            Number of the projection.
        symbol : str
            `w` or a symbol of the synapse.
        value : float or array (n_connections,)
            One value for all, or one for each, in the order in which they were given.

        Raises
        ------
        RunError
            A finite value is beyond the range of single precision.
        """
        member, size = self._connection_member(projection, symbol)
        values = real_numbers(value)
        fit = values.shape in ((size,), (1,))
        self._verify(fit, f"{symbol!r} has {size} values, not {values.shape}")
        check(self._code.izhi_set(projection, member, column(values)), "the connections")

    def get_connections(self, projection: int, symbol: str) -> NDArray[np.floating[Any]]:
        """Return the weight, a parameter or a variable of all connections.

        Returns
        -------
        array (n_connections,)
            In the order in which they were given; of length 1 for what is one for all.
        """
        member, size = self._connection_member(projection, symbol)
        values = np.empty(size, self._dtype)
        self._code.izhi_get(projection, member, values.ctypes.data)
        return values

    def record(
        self,
        neuron: int,
        symbols: Sequence[str],
        ranks: Sequence[int] | NDArray[np.integer[Any]] | None = None,
        period_steps: int = 1,
    ) -> None:
        """Record variables from now on, after the steps that end at multiples of the period.

        Parameters
        ----------
        neuron : int
            Number of the population.
        symbols : sequence of str
            Names of variables.
        ranks : sequence of int, optional
            Cells to record; all if omitted.
        period_steps : int
            Steps from row to row; the first row is the state at the time `period_steps` * dt.
        """
        self._verify(1 <= period_steps <= INT_MAX, f"period {period_steps}")
        chosen, count = self._selection(neuron, ranks)
        members = self._program.neurons[neuron].symbols
        for symbol in symbols:
            width = self._view(neuron, symbol).size if chosen is None else count
            member = members.index(symbol)
            check(self._code.izhi_record_trace(neuron, member, chosen, count, period_steps))
            self._traces.append((neuron, symbol, width))

    def record_connections(
        self,
        projection: int,
        symbols: Sequence[str],
        numbers: Sequence[int] | NDArray[np.integer[Any]],
        period_steps: int = 1,
    ) -> None:
        """Record variables of connections from now on, in the steps in which `record` does.

        Parameters
        ----------
        projection : int
            Number of the projection, which gets no other connections then.
        symbols : sequence of str
            Names that have a value for each connection.
        numbers : sequence of int
            Connections to record, as they were given.
        period_steps : int
            Steps from row to row.
        """
        self._verify(1 <= period_steps <= INT_MAX, f"period {period_steps}")
        chosen = [int(number) for number in numbers]
        for symbol in symbols:
            member, size = self._connection_member(projection, symbol)
            is_single = symbol in self._program.projections[projection].single
            self._verify(not is_single, f"{symbol!r} is one value for all connections")
            fit = bool(chosen) and 0 <= min(chosen) <= max(chosen) < size
            self._verify(fit, f"connections {chosen} of {size}")
            status = self._code.izhi_record_connections(
                projection, member, int_array(chosen), len(chosen), period_steps
            )
            check(status)
            self._traces.append((projection, symbol, len(chosen)))
        self._observed.add(projection)

    def record_spikes(
        self, neuron: int, ranks: Sequence[int] | NDArray[np.integer[Any]] | None = None
    ) -> None:
        """Record the spikes of a population from now on.

        Parameters
        ----------
        neuron : int
            Number of the population.
        ranks : sequence of int, optional
            Cells to record; all if omitted.
        """
        chosen, count = self._selection(neuron, ranks)
        check(self._code.izhi_record_spikes(neuron, chosen, count))
        self._trains.append(neuron)

    def run(self, n_steps: int) -> None:
        """Simulate.

        Parameters
        ----------
        n_steps : int

        Raises
        ------
        RunError
            Recording takes more memory than there is.
        """
        self._verify(bool(self._views), "run comes after initialize")
        self._verify(0 <= n_steps <= INT_MAX, f"{n_steps} steps")
        if self._step == 0:
            for view, start in self._initial:
                start[:] = view
        check(self._code.izhi_run(n_steps))
        self._start_of_run = self._step
        self._step += n_steps

    def drain(self) -> Recorded:
        """Return what was recorded since the last call, and forget it."""
        self._verify(bool(self._views), "drain comes after initialize")
        size = ctypes.c_int64()
        traces = []
        for index, (owner, symbol, width) in enumerate(self._traces):
            address = self._code.izhi_trace(index, size)
            values = memory(address, size.value, self._dtype).copy()
            traces.append(Trace(owner, symbol, values.reshape(-1, width)))
        spikes = []
        for index, neuron in enumerate(self._trains):
            address = self._code.izhi_spike_steps(index, size)
            steps = memory(address, size.value, np.dtype(np.int64)).copy()
            address = self._code.izhi_spike_ranks(index)
            ranks = memory(address, size.value, np.dtype(np.int32)).copy()
            spikes.append(Spikes(neuron, steps, ranks))
        self._code.izhi_clear()
        return Recorded(tuple(traces), tuple(spikes))

    def reset(self, seed: int | None = None) -> None:
        """Go back to time 0.

        All variables get the values they had when time was last 0, the random numbers start anew,
        spikes on their way and what was recorded are forgotten; parameters keep their present
        values.

        Parameters
        ----------
        seed : int, optional
            A new seed, 0 to 2**32 - 1; the present one if omitted.
        """
        self._verify(bool(self._views), "reset comes after initialize")
        if seed is not None:
            self._verify(0 <= seed < 2**32, f"seed {seed}")
            self._seed = seed
        if self._step > 0:
            for view, start in self._initial:
                view[:] = start
        check(self._code.izhi_reset(self._seed))
        self._step = self._start_of_run = 0

    def rewind(self, step: int) -> None:
        """Set time, random numbers and connections back to the start of the last `run`.

        With the variables of the cells set back too, the same steps can be repeated, for example
        one by one.

        Parameters
        ----------
        step : int
            The value of `step` before that run.
        """
        self._verify(bool(self._views), "rewind comes after initialize")
        self._verify(step == self._start_of_run, f"the last run did not start at step {step}")
        if step < self._step:
            check(self._code.izhi_rewind())
            self._step = step

    def close(self) -> None:
        """Free all memory; the library cannot be used any more."""
        self._views.clear()
        self._initial.clear()
        self._finalizer()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _verify(self, holds: bool, message: str) -> None:
        if not self._finalizer.alive:
            raise InternalError("the library is closed")
        if not holds:
            raise InternalError(message)

    def _view(self, neuron: int, symbol: str) -> NDArray[Any]:
        self._verify(0 <= neuron < len(self._views), f"population {neuron} does not exist yet")
        self._verify(symbol in self._views[neuron], f"{symbol!r} is not known")
        return self._views[neuron][symbol]

    def _connection_member(self, projection: int, symbol: str) -> tuple[int, int]:
        """Return the number of a quantity of connections, and how many values it has."""
        self._verify(projection in self._connected, f"projection {projection} is not connected")
        item = self._program.projections[projection]
        self._verify(symbol in item.symbols, f"{symbol!r} is not known")
        size = 1 if symbol in item.single else self._connected[projection]
        return item.symbols.index(symbol), size

    def _map(self, neuron: int, member: int) -> NDArray[Any]:
        size = ctypes.c_int64()
        address = self._code.izhi_view(neuron, member, size)
        return memory(address, size.value, self._dtype)

    def _selection(
        self, neuron: int, ranks: Sequence[int] | NDArray[np.integer[Any]] | None
    ) -> tuple[Any, int]:
        self._verify(0 <= neuron < len(self._views), f"population {neuron} does not exist yet")
        if ranks is None:
            return None, 0
        chosen = [int(rank) for rank in ranks]
        fit = chosen and min(chosen) >= 0 and max(chosen) < self._sizes[neuron]
        self._verify(bool(fit), f"ranks {chosen} of {self._sizes[neuron]} cells")
        return int_array(chosen), len(chosen)
