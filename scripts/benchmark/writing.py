"""Writes a network that was read: `python writing.py WRITER FILE OUT`, HDF5 if OUT ends in .h5."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from report import Report, peak


def main(writer: str, path: str, out: str) -> None:
    """Write once, and say how much memory that took on top of the network."""
    is_hdf5 = out.endswith(".h5")
    package = "izhi-models" if writer == "izhi" else "libNeuroML"
    report = Report(writer, importlib.metadata.version(package))
    if writer == "izhi":
        import izhi_models
        from izhi_models.exporting import export  # here, so that importing it is not measured

        target = "neuroml-hdf5" if is_hdf5 else "neuroml"
        network = izhi_models.load(path)
        before = peak(reset=True)
        with report.stage("write"):
            main_file = Path(out).with_suffix(".xml")
            written = export(network, target, main_file, duration="1 s")[-1]
    else:
        import neuroml.utils  # noqa: F401 - its writer of HDF5 uses it without importing it
        from neuroml.loaders import read_neuroml2_file
        from neuroml.writers import NeuroMLHdf5Writer, NeuroMLWriter

        document = read_neuroml2_file(path)
        before = peak(reset=True)
        with report.stage("write"):
            (NeuroMLHdf5Writer if is_hdf5 else NeuroMLWriter).write(document, out)
        written = Path(out)
    report.note(above=peak() - before, bytes=written.stat().st_size)
    for _ in report.turns():
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
