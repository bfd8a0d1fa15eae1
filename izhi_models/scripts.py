"""A Python script that a model is written as, with its long arrays in a file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError
from izhi_models.files import replacing


@dataclass(frozen=True)
class Script:
    """A script and what it reads.

    Parameters
    ----------
    text : str
        Python source.
    arrays : dict of str to array
        What `arrays[...]` in the script reads from the file of the same name that ends in
        `.npz`; empty if it reads none.
    """

    text: str
    arrays: dict[str, NDArray[Any]]

    def write(self, path: Path) -> tuple[Path, ...]:
        """Write the script, and its arrays if it has any: both files or none.

        Parameters
        ----------
        path : Path
            Ends in `.py`.

        Returns
        -------
        tuple of Path
            The files written.

        Raises
        ------
        InputError
            The path does not end in `.py`, or a file cannot be written.
        """
        if path.suffix != ".py":
            hint = "give a name that ends in .py"
            raise InputError(Diagnostic(f"'{path}' is no name of a script", notes=(hint,)))
        with replacing(path) as temporary:
            temporary.write_text(self.text, encoding="utf-8")
            if not self.arrays:
                return (path,)
            data = path.with_suffix(".npz")
            with replacing(data) as beside, beside.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **self.arrays)
        return path, data
