"""How much memory there is, to refuse what cannot fit before it is tried."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of a container; versions 2 and 1
_GIB = 2**30


def shortage(needed_bytes: float) -> str | None:
    """Return how far memory is from sufficing, in words, or None if it suffices.

    Parameters
    ----------
    needed_bytes : float
    """
    available = available_bytes()
    if needed_bytes <= available:
        return None
    return f"needs {needed_bytes / _GIB:.3g} GiB of memory, and there are {available / _GIB:.3g}"


def available_bytes() -> int:
    """Return the memory of the machine, or of the container in which this process runs."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_container_limits()])


def _container_limits() -> Iterator[int]:
    for name in _LIMITS:
        with suppress(OSError, ValueError):  # not this version, or no limit
            yield int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii"))
