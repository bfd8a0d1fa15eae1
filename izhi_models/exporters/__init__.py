"""Models written for other tools: one module and one line of `TARGETS` for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from izhi_models.exporters.annarchy import write_annarchy
from izhi_models.exporters.brian2 import write_brian2
from izhi_models.exporters.nest import write_nest
from izhi_models.exporters.neuroml import write_neuroml
from izhi_models.exporters.neuroml_hdf5 import write_neuroml_hdf5
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


@dataclass(frozen=True)
class Target:
    """Where a model can go.

    Parameters
    ----------
    write : Exporter
    file : str
        Name of the main file, with ``{}`` for that of the model.
    """

    write: Exporter
    file: str

    def name_of(self, model: str) -> str:
        """Return the name of the main file of a model, if nobody gives another."""
        return self.file.format(model.removeprefix("LEMS_"))


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "annarchy": Target(write_annarchy, "{}.py"),
        "brian2": Target(write_brian2, "{}.py"),
        "nest": Target(write_nest, "{}.py"),
        "neuroml": Target(write_neuroml, "LEMS_{}.xml"),
        "neuroml-hdf5": Target(write_neuroml_hdf5, "LEMS_{}.xml"),
    }
)

__all__ = ["TARGETS", "Exporter", "Request", "Target"]
