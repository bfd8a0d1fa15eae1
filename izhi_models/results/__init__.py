"""What a simulation gave: spikes and traces with units and provenance.

Everything is kept in SI, as LEMS writes it. Tables for people are in the units of
`units.display_unit`: mV, ms, pA.
"""

from izhi_models.results.recorded import Floats, SpikeTrains, Trace
from izhi_models.results.results import Results

__all__ = ["Floats", "Results", "SpikeTrains", "Trace"]
