"""Models as scripts for NEST, which need neither this package nor the XML."""

from __future__ import annotations

from pathlib import Path

from izhi_models.exporters.nest.script import write_script
from izhi_models.exporters.request import Request


def write_nest(request: Request, path: Path) -> tuple[Path, ...]:
    """Write a model as a script for NEST, and its long arrays into a file beside it.

    Cells and synapses are models that NEST has; what would need one of NESTML is refused.

    Parameters
    ----------
    request : Request
    path : Path
        The script, which ends in `.py`; the file beside it ends in `.npz`.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        The path does not end in `.py`, or a file cannot be written.
    UnsupportedError
        NEST has no model for a part of the network: names all of these.
    """
    return write_script(request).write(path)
