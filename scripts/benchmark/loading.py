"""Reads a file of a network: `python loading.py LOADER FILE`."""

from __future__ import annotations

import importlib.metadata
import sys

from report import Report


def main(loader: str, path: str) -> None:
    """Read once, and say how many connections there are."""
    package = "izhi-models" if loader == "izhi" else "libNeuroML"
    report = Report(loader, importlib.metadata.version(package))
    if loader == "izhi":
        import izhi_models

        with report.stage("load"):
            projections = izhi_models.load(path).network.projections
        sizes = [item.pre_cells.size for item in projections]
    else:
        import neuroml.utils  # noqa: F401 - its loader of HDF5 uses it without importing it
        from neuroml.loaders import read_neuroml2_file

        with report.stage("load"):
            document = read_neuroml2_file(path, optimized=loader == "libNeuroML, optimized")
        sizes = [
            len(item.connection_wds) or len(item.connections)
            for item in document.networks[0].projections
        ]
    report.note(connections=sum(sizes))
    for _ in report.turns():
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
