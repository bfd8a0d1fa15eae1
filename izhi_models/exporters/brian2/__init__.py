"""Models as scripts for Brian2, which need neither this package nor the XML."""

from __future__ import annotations

from pathlib import Path

from izhi_models.exporters.brian2.script import write_script
from izhi_models.exporters.request import Request


def write_brian2(request: Request, path: Path) -> tuple[Path, ...]:
    """Write a model as a script for Brian2, and its long arrays into a file beside it.

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
        Brian2 cannot express the model.
    """
    return write_script(request).write(path)
