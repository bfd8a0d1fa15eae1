"""Models as scripts for Brian2, which need neither this package nor the XML."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from izhi_models.errors import Diagnostic, InputError
from izhi_models.exporters.brian2.script import write_script
from izhi_models.exporters.request import Request
from izhi_models.files import replacing


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
    if path.suffix != ".py":
        raise InputError(
            Diagnostic(f"'{path}' is no name of a script", notes=("give a name that ends in .py",))
        )
    script = write_script(request)
    with replacing(path) as temporary:
        temporary.write_text(script.text, encoding="utf-8")
        if not script.arrays:
            return (path,)
        data = path.with_suffix(".npz")
        with replacing(data) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **script.arrays)
    return path, data
