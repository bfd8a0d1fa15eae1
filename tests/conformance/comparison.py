"""What the comparisons with the reference interpreter share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import numpy as np

import izhi_models
from izhi_models.pipeline import Run
from izhi_models.results import Results
from izhi_models.units import display_unit
from tests.conformance.reference import Reference, quantities

SECONDS = {"ms": (1e-3, -3), "s": (1.0, 0)}


@dataclass(frozen=True)
class Edge:
    """An instant at which an input switches, counted in steps.

    The reference adds up its time, ``t += dt``, and compares: it may switch a step late.
    """

    place: str
    kind: str
    nominal: int
    reference: int

    @property
    def is_moved(self) -> bool:
        return self.nominal != self.reference


def accumulated_times(step_s: float, n_steps: int) -> np.ndarray:
    """Return the times of the reference, from that of step 0 on."""
    return np.concatenate([[0.0], np.add.accumulate(np.full(n_steps, step_s))])


def late_ends(spikes: np.ndarray, refractory_s: float, step_s: float) -> np.ndarray:
    """Return how many steps too long the reference is refractory after each spike.

    It ends that in the first step with ``t > t_spike + refractory``, for its rounded times.

    Parameters
    ----------
    spikes : int array (n,)
        Steps.
    refractory_s, step_s : float
    """
    nominal = round(refractory_s / step_s)
    times = accumulated_times(step_s, spikes.max() + 2 * nominal)
    ends = np.searchsorted(times, times[spikes] + refractory_s, side="right")
    return ends - spikes - nominal


def edges(path: Path, *, step: str | None = None) -> list[Edge]:
    """Return the edges, within the run, of all inputs that have a delay and a duration."""
    model = izhi_models.load(path)
    simulation = next(iter(model.declarations.of_type("Simulation")))
    step_text = step or simulation.element.attributes["step"]
    step_s, exact_step = _seconds(step_text)
    length = _seconds(simulation.element.attributes["length"])[1]
    times = accumulated_times(step_s, int(length / exact_step))
    found = []
    for population in model.network.populations.values():
        for placed in population.attached:
            given = model.declarations.components[placed.id].element.attributes
            if "delay" not in given:
                continue
            start, exact_start = _seconds(given["delay"])
            duration, exact_duration = _seconds(given["duration"])
            for kind, time, exact in (
                ("start", start, exact_start),
                ("end", duration + start, exact_duration + exact_start),
            ):
                nominal = (exact / exact_step).to_integral_value(ROUND_CEILING)
                if exact <= length:
                    reference = int(np.searchsorted(times, time))
                    place = f"{population.id}[{placed.cell}]/{placed.id}"
                    found.append(Edge(place, kind, int(nominal), reference))
    return found


def _seconds(text: str) -> tuple[float, Decimal]:
    """Return a time as the reference computes it, number * 10^power, and exactly. [s]"""
    number, unit = re.fullmatch(r"([\d.]+)\s*(\w+)", text).groups()
    factor, power = SECONDS[unit]
    return float(number) * factor, Decimal(number).scaleb(power)


def move(run: Run, moved: Iterable[Edge]) -> None:
    """Put the edges of pulses where the reference has them."""
    for edge in moved:
        shift = (edge.reference - edge.nominal) * run.simulator.dt_s
        # A pulse is given by its start and its duration.
        shifts = (
            {"delay": shift, "duration": -shift} if edge.kind == "start" else {"duration": shift}
        )
        for name, change in shifts.items():
            path = f"{edge.place}/{name}"
            found = run.model.parameter(path)
            ((variable, cells),) = found.cells.items()
            assert cells is not None
            present = float(run.simulator.parameter(found.population, variable)[cells[0]])
            run.set(path, present + change)


def simulate(path: Path, *, step: str | None = None, moved: Iterable[Edge] = ()) -> Results:
    """Run a file and record every quantity that it names.

    Parameters
    ----------
    path : Path
    step : str, optional
        Another step than that of the file.
    moved : iterable of Edge
        Edges to put where the reference has them.
    """
    run = izhi_models.load(path).compile(dt=step, record=quantities(path))
    try:
        move(run, moved)
        return run.simulate()
    finally:
        run.close()


def spikes_of(results: Results, cell: str) -> np.ndarray:
    population, index = results.cell(cell)
    return results.spikes[population].of(index)


def to_steps(times: np.ndarray, step_s: float) -> np.ndarray:
    """Return the numbers of the steps at whose ends the times are."""
    return np.rint(times / step_s).astype(np.int64)


def assert_equal(results: Results, reference: Reference) -> None:
    """Compare all spikes by their steps, and all samples up to each cell's tenth spike."""
    for cell, expected in reference.spikes.items():
        np.testing.assert_array_equal(
            to_steps(spikes_of(results, cell), results.dt_s),
            to_steps(expected, results.dt_s),
            err_msg=cell,
        )
    for quantity, expected in reference.traces.items():
        cell = quantity.split("/")[0]
        end = [*reference.spikes.get(cell, ()), np.inf][:10][-1]
        rows = reference.times < end + 0.5 * results.dt_s
        # A ten-thousandth of what is read as one, 1e-4 mV, for a rounding error that grows until
        # the tenth spike; or the last of the 7 digits in the reference's file.
        unit = display_unit(results.trace(quantity).dimension)[1]
        atol = max(1e-4 * unit, 2e-7 * np.abs(expected).max())
        np.testing.assert_allclose(
            results.si(quantity)[rows], expected[rows], rtol=0, atol=atol, err_msg=quantity
        )


def spike_errors(found: np.ndarray, converged: np.ndarray) -> np.ndarray:
    """Return how far each spike is from where the solution has it. [s]"""
    assert found.size == converged.size
    return np.abs(found - converged)


def crossings(times: np.ndarray, values: np.ndarray, threshold: float) -> np.ndarray:
    """Return the times of upward crossings, interpolated between samples."""
    above = values > threshold
    before = np.flatnonzero(~above[:-1] & above[1:])
    fraction = (threshold - values[before]) / (values[before + 1] - values[before])
    return times[before] + fraction * (times[before + 1] - times[before])
