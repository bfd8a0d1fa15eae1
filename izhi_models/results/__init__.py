"""What a simulation gave: spikes and traces with units and provenance.

Everything is kept in SI, as LEMS writes it. Tables for people are in the units of
`units.display_unit`: mV, ms, pA.
"""

from izhi_models.results.collector import Collector
from izhi_models.results.parts import BLOCK_VALUES, Head, Part, Plan, Raster
from izhi_models.results.recorded import Floats, SpikeTrains, Trace
from izhi_models.results.results import Results
from izhi_models.results.stored import Stored

__all__ = [
    "BLOCK_VALUES",
    "Collector",
    "Floats",
    "Head",
    "Part",
    "Plan",
    "Raster",
    "Results",
    "SpikeTrains",
    "Stored",
    "Trace",
]
