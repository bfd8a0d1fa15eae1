"""What NeuroML declares of its random spike sources: the distribution of their intervals.

Source: NeuroML 2, descriptions of spikeGeneratorPoisson, spikeGeneratorRefPoisson,
spikeGeneratorRandom and SpikeSourcePoisson.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Intervals:
    """The declared intervals of a source, all independent of each other.

    Parameters
    ----------
    mean_s, deviation_s : float
    cumulative : callable
        The distribution function, of times in s.
    start_s, end_s : float
        When spikes are sent.
    text : str
        For people.
    """

    mean_s: float
    deviation_s: float
    cumulative: Callable[[Floats], Floats]
    text: str
    start_s: float = 0.0
    end_s: float = np.inf


def _exponential(least_s: float, mean_s: float, text: str, *window: float) -> Intervals:
    """Return intervals that are exponential above a shortest one."""
    scale = mean_s - least_s

    def cumulative(times: Floats) -> Floats:
        found: Floats = -np.expm1(-np.maximum(times - least_s, 0.0) / scale)
        return found

    return Intervals(mean_s, scale, cumulative, text, *window)


def _poisson(values: Mapping[str, float]) -> Intervals:
    rate = values["averageRate"]
    return _exponential(0.0, 1.0 / rate, f"Poisson, {rate:g} Hz")


def _refractory(values: Mapping[str, float]) -> Intervals:
    rate, least = values["averageRate"], values["minimumISI"]
    return _exponential(least, 1.0 / rate, f"Poisson, {rate:g} Hz, from {least * 1e3:g} ms on")


def _uniform(values: Mapping[str, float]) -> Intervals:
    low, high = values["minISI"], values["maxISI"]

    def cumulative(times: Floats) -> Floats:
        return np.clip((times - low) / (high - low), 0.0, 1.0)

    text = f"even from {low * 1e3:g} to {high * 1e3:g} ms"
    return Intervals((low + high) / 2, (high - low) / np.sqrt(12.0), cumulative, text)


def _window(values: Mapping[str, float]) -> Intervals:
    rate, start = values["rate"], values["start"]
    return _exponential(0.0, 1.0 / rate, f"Poisson, {rate:g} Hz", start, start + values["duration"])


DECLARED: Mapping[str, Callable[[Mapping[str, float]], Intervals]] = {
    "spikeGeneratorPoisson": _poisson,
    "spikeGeneratorRefPoisson": _refractory,
    "spikeGeneratorRandom": _uniform,
    "SpikeSourcePoisson": _window,
}
