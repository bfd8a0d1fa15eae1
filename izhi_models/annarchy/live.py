"""Programs run by ANNarchy's own code, on the processor or on a GPU.

`LiveLibrary` has the methods of `library.Library`; behind them is a live ANNarchy network, made of
the same definitions as an exported script, in another process.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.annarchy.library import Recorded, Spikes, Trace
from izhi_models.annarchy.live_worker import Setup
from izhi_models.annarchy.plain import to_plain
from izhi_models.annarchy.program import Program
from izhi_models.annarchy.script import CONNECT, FLAGS
from izhi_models.annarchy.texts import words
from izhi_models.annarchy.wiring import Block
from izhi_models.annarchy.write import write_parts
from izhi_models.errors import BackendError, Diagnostic, InternalError, UnsupportedError

PARADIGMS = ("openmp", "cuda")


class LiveLibrary:
    """One simulation of a program by ANNarchy itself.

    Parameters
    ----------
    program : Program
    paradigm : {'openmp', 'cuda'}

    Raises
    ------
    BackendError
        There is no CUDA compiler, or no device.
    UnsupportedError
        ANNarchy writes no valid code for GPUs for a synapse of the program.

    Attributes
    ----------
    folder : Path
        Where ANNarchy generates and compiles.
    """

    can_rewind = False  # events on their way cannot be read out of ANNarchy

    def __init__(self, program: Program, paradigm: str) -> None:
        if paradigm == "cuda":
            _check_synapses(program)
            check_cuda()
        self._plain = to_plain(program)
        self._program = program
        self._paradigm = paradigm
        self.folder = Path(tempfile.mkdtemp(prefix="izhi-live-"))
        self._cleanup = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._dt_ms = 0.0
        self._seed = 0
        self._values: dict[tuple[int, str], float | NDArray[np.float64]] = {
            (self._number(owner), symbol): value
            for (owner, symbol), value in self._plain.numbers.items()
            if any(item.symbol == owner for item in program.neurons)
        }
        self._connections: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._delays: dict[str, int] = {}
        self._records: list[tuple[int, str, list[int] | None, int]] = []
        self._recorded: list[list[Any]] = []
        self.step = 0

    def _number(self, owner: str) -> int:
        return [item.symbol for item in self._program.neurons].index(owner)

    def create(self) -> None:
        """Do nothing: the populations have the sizes of the program."""

    def initialize(self, dt_ms: float, seed: int) -> None:
        """Set the step [ms] and the seed."""
        self._dt_ms, self._seed = dt_ms, seed

    def set(self, neuron: int, symbol: str, value: ArrayLike) -> None:
        """Set a parameter or variable; see `Library.set`."""
        array = np.asarray(value, dtype=np.float64)
        size = self._program.neurons[neuron].size
        is_single = array.ndim == 0 or array.size == 1 != size
        self._values[neuron, symbol] = float(array.reshape(-1)[0]) if is_single else array
        if self._process is not None:
            self._call("set", neuron, symbol, self._values[neuron, symbol])

    def get(self, neuron: int, symbol: str) -> NDArray[np.float64]:
        """Return a parameter or variable; see `Library.get`."""
        if self._process is not None:
            return np.asarray(self._call("get", neuron, symbol))
        value = self._values.get((neuron, symbol), 0.0)
        return np.array(np.broadcast_to(value, self._program.neurons[neuron].size))

    def connect_blocks(
        self,
        projection: int,
        size: int,
        blocks: Callable[[], Iterable[Block]],
        **values: ArrayLike,
    ) -> None:
        """Make all connections of a projection; see `Library.connect_blocks`.

        Raises
        ------
        UnsupportedError
            Their delays differ, and ANNarchy's code for GPUs has one for a projection.
        """
        if size == 0:
            return
        item = self._program.projections[projection]
        whole = [
            (
                block.pre,
                block.post,
                *np.broadcast_arrays(block.weights, block.delays, block.pre)[:2],
            )
            for block in blocks()
        ]
        pre_ranks, post_ranks, weights, steps = map(np.concatenate, zip(*whole, strict=True))
        if self._paradigm == "cuda" and np.any(steps != steps[0]):
            pre, post = self._program.neurons[item.pre], self._program.neurons[item.post]
            raise UnsupportedError(
                Diagnostic(
                    f"connections from {pre.symbol} to {post.symbol} have delays of {steps.min()} "
                    f"to {steps.max()} steps, and ANNarchy's CUDA code has one for all",
                    notes=("use equal delays, or --paradigm openmp",),
                )
            )
        arguments = (pre_ranks, post_ranks, weights, steps)
        own = {
            name: array if np.ndim(array := np.asarray(value, float)) else float(array)
            for name, value in values.items()
        }
        numbers = {
            name: number
            for (owner, name), number in self._plain.numbers.items()
            if owner == item.symbol
        }
        self._connections.append((item.symbol, arguments, {**own, **numbers}))
        source = self._program.neurons[item.pre].symbol
        self._delays[source] = max(self._delays.get(source, 1), int(steps.max()))

    def set_connections(self, projection: int, symbol: str, value: ArrayLike) -> None:
        """Set a variable of all connections, before they are made; see `Library`."""
        name = self._program.projections[projection].symbol
        array = np.asarray(value, float)
        for owner, _, values in self._connections:
            if owner == name:
                values[symbol] = array if array.ndim else float(array)

    def get_connections(self, projection: int, symbol: str) -> NDArray[np.float64]:
        """Raise an error: see `record_connections`."""
        raise InternalError(f"{symbol} of projection {projection} cannot be read")

    def record_connections(
        self,
        projection: int,
        symbols: Sequence[str],
        numbers: Sequence[int] | NDArray[Any],
        period_steps: int = 1,
    ) -> None:
        """Refuse to record what ANNarchy's own code does not compute in time.

        It does the equations of a synapse after those of the cells.

        Raises
        ------
        UnsupportedError
        """
        raise UnsupportedError(
            Diagnostic(
                "nothing can be recorded inside synapses that each connection has for itself with "
                f"--paradigm {self._paradigm}",
                notes=(f"leave --paradigm {self._paradigm} out, or record the cells",),
            )
        )

    def record(
        self,
        neuron: int,
        symbols: Sequence[str],
        ranks: Sequence[int] | NDArray[Any] | None = None,
        period_steps: int = 1,
    ) -> None:
        """Record variables; see `Library.record`."""
        chosen = None if ranks is None else [int(rank) for rank in ranks]
        self._records += [(neuron, symbol, chosen, period_steps) for symbol in symbols]

    def record_spikes(self, neuron: int) -> None:
        """Record the spikes of a population."""
        self._records.append((neuron, "spike", None, 1))

    def run(self, n_steps: int) -> None:
        """Simulate.

        Raises
        ------
        BackendError
            ANNarchy or a compiler fails.
        """
        if self._process is None:
            self._start()
        self._recorded.append(self._call("run", n_steps))
        self.step += n_steps

    def drain(self) -> Recorded:
        """Return what was recorded since the last call; see `Library.drain`."""
        traces, spikes = [], []
        for place, (neuron, symbol, ranks, _) in enumerate(self._records):
            parts = [part[place] for part in self._recorded]
            if symbol == "spike":
                pairs = np.concatenate([np.empty((0, 2), np.int64), *parts])
                steps, cells = pairs[:, 0].copy(), pairs[:, 1].astype(np.int32)
                spikes.append(Spikes(neuron, steps, cells))
            else:
                width = self._program.neurons[neuron].size if ranks is None else len(ranks)
                values = [np.reshape(part, (-1, width)) for part in parts]
                empty = np.empty((0, width))
                traces.append(Trace(neuron, symbol, np.concatenate([empty, *values])))
        self._recorded = []
        return Recorded(tuple(traces), tuple(spikes))

    def reset(self, seed: int | None = None) -> None:
        """Go back to time 0; what is compiled is kept. Parameters keep their values."""
        self._stop()
        self._seed = self._seed if seed is None else seed
        self._recorded = []
        self.step = 0

    def rewind(self, step: int) -> None:
        """Raise an error: see `can_rewind`."""
        raise InternalError(f"no way back to step {step}")

    def close(self) -> None:
        """End the process, and delete what was compiled."""
        self._stop()
        self._cleanup()

    def _start(self) -> None:
        settings: dict[str, Any] = {}
        if self._program.precision == "float":
            settings["dtype"] = "float32"
        if self._program.threads > 1:
            settings["num_threads"] = self._program.threads
        setup = Setup(
            "\n".join([*CONNECT, *write_parts(self._plain.program)]),
            self._paradigm,
            FLAGS,
            settings,
            self._dt_ms,
            self._seed,
            tuple(item.symbol for item in self._program.neurons),
            tuple(self._connections),
            self._delays,
            tuple(self._records),
            self._values,
        )
        roots = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        # ANNarchy finds CMake and Python on the PATH.
        paths = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "izhi_models.annarchy.live_worker"],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(roots),
                "PATH": os.pathsep.join(paths),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._finalizer = weakref.finalize(self, _end, self._process)
        self._call("start", setup)

    def _call(self, method: str, *arguments: Any) -> Any:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise InternalError("the process of ANNarchy does not run")
        try:
            pickle.dump((method, arguments), process.stdin)
            process.stdin.flush()
            result, error = pickle.load(process.stdout)
        except (OSError, EOFError) as broken:
            self._stop()
            raise BackendError("the process of ANNarchy ended unexpectedly") from broken
        if error is not None:
            self._stop()
            first, *rest = error.splitlines()
            raise BackendError(
                Diagnostic(f"ANNarchy ({self._paradigm}) failed: {first}", notes=tuple(rest[-12:]))
            )
        return result

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process = None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _check_synapses(program: Program) -> None:
    """Refuse what gives two arguments of one name in ANNarchy's CUDA code."""
    for projection in program.projections:
        synapse = projection.synapse
        if synapse is None or synapse.psp is None:
            continue
        by_events = {word for text in synapse.pre_spike for word in words(text)}
        shared = by_events & words(synapse.psp) & set(synapse.symbols)
        if shared:
            post = program.neurons[projection.post].symbol
            raise UnsupportedError(
                Diagnostic(
                    f"each connection to {post} has a synapse of its own, which events change and "
                    f"the cell reads in every step ({', '.join(sorted(shared))}); ANNarchy's CUDA "
                    "code for that does not compile",
                    notes=("leave --paradigm cuda out",),
                )
            )


def check_cuda() -> None:
    """Refuse to go on without a CUDA compiler, its random numbers, and a device.

    Raises
    ------
    BackendError
    """
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        raise BackendError(
            Diagnostic(
                "nvcc not found: the CUDA compiler is needed for --paradigm cuda",
                notes=("install the CUDA toolkit and put its folder bin on the PATH",),
            )
        )
    if device_count() == 0:
        raise BackendError(
            Diagnostic(
                "no CUDA device found",
                notes=(
                    "run where an NVIDIA GPU and its driver are (nvidia-smi lists them), or leave "
                    "--paradigm cuda out",
                ),
            )
        )


def device_count() -> int:
    """Return how many CUDA devices the driver has; 0 without a driver."""
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except OSError:
        return 0
    return count.value
