"""Tables with labels and units for people, read from a file only where they are looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from izhi_models.results.recorded import Trace
from izhi_models.results.stored import Stored
from izhi_models.units import display_unit


def to_table(trace: Trace, path: str) -> xr.DataArray:
    """Return a trace over time [ms] and cell, in the unit that people read.

    Parameters
    ----------
    trace : Trace
    path : str
        Becomes the long name.
    """
    units, scale = display_unit(trace.dimension)
    # To a picosecond, so that a time may be looked up as it is written: sel(time=0.3).
    times_ms = np.round(np.asarray(trace.times) / 1e-3, 9)
    coords = {
        "time": ("time", times_ms, {"units": "ms", "long_name": "time"}),
        "cell": ("cell", trace.indices),
    }
    values = trace.values
    data: Any = (
        indexing.LazilyIndexedArray(_Scaled(values, scale))
        if isinstance(values, Stored)
        else values / scale
    )
    return xr.DataArray(
        xr.Variable(("time", "cell"), data),
        coords,
        name=trace.variable,
        attrs={"units": units, "long_name": path},
    )


class _Scaled(BackendArray):
    """Values of a file in another unit."""

    def __init__(self, values: Stored, scale: float) -> None:
        self.values = values
        self.scale = scale
        self.shape = values.shape
        self.dtype = values.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        support = indexing.IndexingSupport.OUTER_1VECTOR
        return np.asarray(indexing.explicit_indexing_adapter(key, self.shape, support, self._read))

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return np.asarray(self.values[key] / self.scale)
