"""An array in a file, of which only the parts that are asked for are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InputError


class Stored:
    """An array in a file, which stays open while it is used.

    It has a shape and takes indices as an array does, and numpy reads it whole.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of one or two axes.
    path : Path
        Where it is, for messages.
    columns : slice
        Those that are meant, of two axes. Neither open nor reversed.
    """

    def __init__(self, dataset: Any, path: Path, columns: slice | None = None) -> None:
        self._dataset = dataset
        self._path = path
        self._columns = columns
        self.dtype: np.dtype[Any] = dataset.dtype
        self.shape: tuple[int, ...] = dataset.shape
        if columns is not None:
            self.shape = (self.shape[0], len(range(*columns.indices(self.shape[1]))))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            if self._columns is None:
                found = self._dataset[key]
            else:
                rows, columns = key if isinstance(key, tuple) else (key, slice(None))
                found = self._dataset[rows, self._columns][..., columns]
        except OSError as error:
            raise InputError(f"'{self._path}' cannot be read: {error}") from error
        return cast(NDArray[Any], found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[()] if self._columns is None else self[:], dtype=dtype)

    def columns(self, chosen: slice) -> Stored:
        """Return some columns of a table of which all were meant; nothing is read."""
        return Stored(self._dataset, self._path, chosen)
