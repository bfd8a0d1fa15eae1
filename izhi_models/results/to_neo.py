"""Results as objects of Neo, which tools for electrophysiology read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import neo
import numpy as np
import quantities as pq
from numpy.typing import NDArray

from izhi_models.results.recorded import SpikeTrains, Trace
from izhi_models.units import Dimension, display_unit


def to_block(
    spikes: Mapping[str, SpikeTrains],
    traces: Sequence[Trace],
    dt_s: float,
    provenance: Mapping[str, Any],
    start_s: float,
) -> neo.Block:
    """Return a block with one segment that holds all spikes and traces.

    Parameters
    ----------
    spikes : mapping of str to SpikeTrains
    traces : sequence of Trace
    dt_s : float
        Sampling period of a trace of one row. [s]
    provenance : mapping of str to any
        Becomes an annotation of the block.
    start_s : float
        Start of the spike trains. [s]
    """
    segment = neo.Segment(name="simulation")
    for population, trains in spikes.items():
        segment.spiketrains.extend(_spike_trains(population, trains, start_s))
    for trace in traces:
        times = np.asarray(trace.times)
        if _is_regular(times):
            segment.analogsignals.append(_regular_signal(trace, times, dt_s))
        else:
            segment.irregularlysampledsignals.append(_irregular_signal(trace, times))
    # Neo takes plain data only: what is none becomes text.
    plain = json.loads(json.dumps(dict(provenance), default=str))
    block = neo.Block(name="izhi-models", provenance=plain)
    block.segments.append(segment)
    return block


def _spike_trains(population: str, trains: SpikeTrains, start_s: float) -> list[neo.SpikeTrain]:
    # Neo refuses a spike after the end, and the last step may round to just after it.
    stop_s = max(start_s + trains.duration_s, float(trains.times_s[-1]) if trains.count else 0.0)
    return [
        neo.SpikeTrain(
            trains.of(index) * 1e3,
            units=pq.ms,
            t_start=start_s * 1e3 * pq.ms,
            t_stop=stop_s * 1e3 * pq.ms,
            name=f"{population}[{index}]",
            population=population,
            index=index,
        )
        for index in range(trains.n_neurons)
    ]


def _is_regular(times: NDArray[np.float64]) -> bool:
    steps = np.diff(times)
    # Times are multiples of the step, rounded: a millionth of a step is far above that.
    return bool(steps.size == 0 or np.ptp(steps) <= 1e-6 * steps[0])


def _regular_signal(trace: Trace, times: NDArray[np.float64], dt_s: float) -> neo.AnalogSignal:
    rows = times.size
    period_s = (times[-1] - times[0]) / (rows - 1) if rows > 1 else dt_s
    return neo.AnalogSignal(
        _channels(trace),
        t_start=(times[0] if rows else 0.0) * 1e3 * pq.ms,
        sampling_period=period_s * 1e3 * pq.ms,
        **_labels(trace),
    )


def _irregular_signal(trace: Trace, times: NDArray[np.float64]) -> neo.IrregularlySampledSignal:
    return neo.IrregularlySampledSignal(times * 1e3 * pq.ms, _channels(trace), **_labels(trace))


def _channels(trace: Trace) -> pq.Quantity:
    scale = display_unit(trace.dimension)[1]
    return pq.Quantity(np.asarray(trace.values) / scale, _spell_unit(trace.dimension))


def _spell_unit(dimension: Dimension) -> str:
    """Return the display unit as the package `quantities` spells it."""
    symbol = display_unit(dimension)[0]
    symbol = {"MOhm": "Mohm", "pC": "pA*s"}.get(symbol, symbol)
    symbol = symbol.replace(" ", "*").replace("^", "**")
    return re.sub(r"(?<=m)2", "**2", symbol) or "dimensionless"


def _labels(trace: Trace) -> dict[str, Any]:
    return {
        "name": trace.path,
        "population": trace.population,
        "variable": trace.variable,
        "array_annotations": {"index": trace.indices},
    }
