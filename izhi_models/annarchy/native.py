"""The C interface of a compiled program: loads it, passes arrays in and out, checks statuses."""

from __future__ import annotations

import _ctypes
import ctypes
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.build import Built, cache_directory
from izhi_models.errors import BackendError, Diagnostic, RunError

INT_MAX = 2**31 - 1
_TOO_LARGE_A_NUMBER = 2  # what the driver returns; anything else but 0 is lack of memory


class _Column(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("bytes", ctypes.c_int), ("size", ctypes.c_int64))


def load(built: Built) -> ctypes.CDLL:
    """Load a copy of a library of its own.

    Raises
    ------
    BackendError
        The system cannot load it.
    """
    if built.program.threads > 1:
        # Waiting threads that spin slow down everything else; the runtime reads this once.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    code = _open(built.image)
    number, pointer, size = ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64)
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "create": (number, [pointer, number]),
        "initialize": (number, [ctypes.c_double, ctypes.c_long]),
        "start_connecting": (number, [number, ctypes.c_int64]),
        "count": (number, [number, pointer, pointer, pointer]),
        "arrange": (number, [number]),
        "place": (number, [number, pointer, pointer, pointer, number, pointer]),
        "finish_connecting": (number, [number]),
        "set": (number, [number, number, pointer]),
        "get": (None, [number, number, pointer]),
        "view": (pointer, [number, number, size]),
        "record_trace": (number, [number, number, pointer, ctypes.c_int64, number]),
        "record_connections": (number, [number, number, pointer, ctypes.c_int64, number]),
        "record_spikes": (number, [number, pointer, ctypes.c_int64]),
        "run": (number, [number]),
        "trace": (pointer, [number, size]),
        "spike_steps": (pointer, [number, size]),
        "spike_ranks": (pointer, [number]),
        "clear": (None, []),
        "reset": (number, [ctypes.c_long]),
        "rewind": (number, []),
        "delete": (None, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(code, f"izhi_{name}")
        function.restype = result
        function.argtypes = arguments
    return code


def _open(image: bytes) -> ctypes.CDLL:
    failures = []
    for directory in (None, cache_directory()):  # some systems execute nothing from /tmp
        try:
            with tempfile.TemporaryDirectory(prefix="izhi-", dir=directory) as folder:
                path = Path(folder) / "library.so"
                path.write_bytes(image)
                return ctypes.CDLL(str(path))
        except OSError as error:
            failures.append(str(error))
    raise BackendError(Diagnostic("the compiled program cannot be loaded", notes=(*failures,)))


def unload(code: ctypes.CDLL, threads: int) -> None:
    """Free all memory of a library."""
    code.izhi_delete()
    if threads == 1:  # the threads of OpenMP go on to exist, so their code must
        _ctypes.dlclose(code._handle)


def check(status: int, purpose: str = "the simulation") -> None:
    """Raise what a status stands for.

    Raises
    ------
    RunError
        There was not enough memory, or a value beyond the range of single precision.
    """
    if status == _TOO_LARGE_A_NUMBER:
        raise too_large()
    if status != 0:
        notes = ("record fewer variables or cells, or less often",)
        raise RunError(Diagnostic(f"not enough memory for {purpose}", notes=notes))


def too_large() -> RunError:
    """Return the error of a value beyond the range of single precision."""
    return RunError(
        Diagnostic(
            "a value is too large for single precision",
            notes=("single precision holds values up to 3.4e38, double precision up to 1.8e308",),
        )
    )


def column(values: NDArray[Any]) -> Any:
    """Return the address of an array's description; the array must be contiguous and stay."""
    return ctypes.byref(_Column(values.ctypes.data, values.itemsize, values.size))


def int_array(values: Sequence[int]) -> Any:
    """Return numbers as an array of C."""
    return (ctypes.c_int * len(values))(*values)


def memory(address: int | None, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return memory of the loaded code as an array that does not own it."""
    if address is None or size == 0:
        return np.empty(0, dtype)
    memory = (ctypes.c_char * (size * dtype.itemsize)).from_address(address)
    return np.frombuffer(memoryview(memory), dtype)
