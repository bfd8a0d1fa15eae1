"""How much memory and disk there is, to refuse what cannot fit before it is tried."""

from __future__ import annotations

import os
import shutil
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


def disk_shortage(path: Path, needed_bytes: float) -> str | None:
    """Return how far a disk is from sufficing, in words, or None if it suffices.

    Parameters
    ----------
    path : Path
        Of a file, which need not exist.
    needed_bytes : float
    """
    folder = next(item for item in path.absolute().parents if item.exists())
    free = shutil.disk_usage(folder).free
    if needed_bytes <= free:
        return None
    return f"needs {needed_bytes / _GIB:.3g} GiB of disk, and {free / _GIB:.3g} are free"


def available_bytes() -> int:
    """Return the memory of the machine, or of the container in which this process runs."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_container_limits()])


def _container_limits() -> Iterator[int]:
    for name in _LIMITS:
        with suppress(OSError, ValueError):  # not this version, or no limit
            yield int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii"))
