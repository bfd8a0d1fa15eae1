"""Models written for other tools: one module and one line of `TARGETS` for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from izhi_models.exporters.annarchy import write_annarchy
from izhi_models.exporters.request import Request


class Exporter(Protocol):
    """Writes a model for one target."""

    def __call__(self, request: Request, path: Path) -> tuple[Path, ...]:
        """Write the model, and return all files that were written.

        Parameters
        ----------
        request : Request
        path : Path
            The main file; others stand beside it.

        Raises
        ------
        InputError
            The file cannot be written; nothing is left behind.
        UnsupportedError
            The target cannot express the model.
        """


TARGETS: Mapping[str, Exporter] = MappingProxyType({"annarchy": write_annarchy})

__all__ = ["TARGETS", "Exporter", "Request"]
