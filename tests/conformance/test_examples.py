"""NeuroML's own examples against the reference interpreter and against the converged solution.

A recorded value of the reference is rounded to single precision, 7 digits, when it is written:
4e-6 mV at 70 mV, far below every tolerance here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.results import Results
from tests.conformance.reference import Reference, extract_examples, quantities, run_jneuroml


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extract_examples(tmp_path_factory.mktemp("examples"))


def simulate(path: Path) -> Results:
    run = izhi_models.load(path).compile(record=quantities(path))
    try:
        return run.simulate()
    finally:
        run.close()


def crossings(times: np.ndarray, values: np.ndarray, threshold: float) -> np.ndarray:
    """Return the times of upward crossings, interpolated between samples."""
    above = values > threshold
    before = np.flatnonzero(~above[:-1] & above[1:])
    fraction = (threshold - values[before]) / (values[before + 1] - values[before])
    return times[before] + fraction * (times[before + 1] - times[before])


def spikes_of(results: Results, cell: str) -> np.ndarray:
    population, index = results.cell(cell)
    return results.spikes[population].of(index)


def test_izhikevich_cells_of_ex2_equal_the_reference(examples: Path) -> None:
    path = examples / "LEMS_NML2_Ex2_Izh.xml"
    reference, results = run_jneuroml(path), simulate(path)
    for cell, expected in reference.spikes.items():
        # Both put a spike at the end of its step, so the step is the same if the time is.
        np.testing.assert_allclose(spikes_of(results, cell), expected, rtol=0, atol=1e-9)
    for quantity, expected in reference.traces.items():
        cell = quantity.split("/")[0]
        tenth = np.searchsorted(reference.times, [*reference.spikes[cell], 1.0][:10][-1])
        got = results.si(quantity)[: tenth + 1]
        # 1e-4 mV; U and I have no unit and the size of mV.
        atol = 1e-7 if quantity.endswith("/v") else 1e-4
        np.testing.assert_allclose(got, expected[: tenth + 1], rtol=0, atol=atol)


def test_fitzhugh_nagumo_of_ex9_equals_the_reference(examples: Path) -> None:
    path = examples / "LEMS_NML2_Ex9_FN.xml"
    reference, results = run_jneuroml(path), simulate(path)
    for quantity, expected in reference.traces.items():
        # No events and no lag in this model, so only the rounding of the written file is left.
        np.testing.assert_allclose(results.si(quantity), expected, rtol=0, atol=2e-6)


def errors_of_spikes(found: np.ndarray, converged: np.ndarray) -> np.ndarray:
    assert found.size == converged.size
    return np.abs(found - converged)


@pytest.mark.parametrize(
    ("name", "fine_step"),
    [("LEMS_NML2_Ex0_IaF.xml", "0.00025ms"), ("LEMS_NML2_Ex8_AdEx.xml", "0.00125ms")],
)
def test_spikes_are_as_close_to_the_converged_ones_as_the_reference(
    examples: Path, name: str, fine_step: str
) -> None:
    path = examples / name
    reference, converged = run_jneuroml(path), run_jneuroml(path, step=fine_step)
    results = simulate(path)
    assert reference.spikes
    for cell in reference.spikes:
        ours = errors_of_spikes(spikes_of(results, cell), converged.spikes[cell])
        theirs = errors_of_spikes(reference.spikes[cell], converged.spikes[cell])
        # One cell of Ex8 is chaotic: from where the reference itself has lost the solution by
        # more than 2 ms, a shorter distance says nothing.
        lost = np.flatnonzero(theirs > 2e-3)
        end = int(lost[0]) if lost.size else theirs.size
        assert end >= 3
        # No method can place a spike better than to a step.
        assert ours[:end].max() <= max(theirs[:end].max(), results.dt_s), cell


def test_pinsky_rinzel_of_ex22_is_as_close_to_the_converged_solution_as_the_reference(
    examples: Path,
) -> None:
    path = examples / "LEMS_NML2_Ex22_PinskyRinzelCA3.xml"
    reference, converged = run_jneuroml(path), run_jneuroml(path, step="0.0005ms")
    results = simulate(path)
    times = reference.times

    def spikes(run: Reference | Results) -> np.ndarray:
        is_ours = isinstance(run, Results)
        values = run.si("prApop[0]/Vs") if is_ours else run.traces["prApop[0]/Vs"]
        return crossings(times if is_ours else run.times, values, 0.0)

    expected = spikes(converged)
    assert expected.size == 5
    ours = errors_of_spikes(spikes(results), expected).max()
    theirs = errors_of_spikes(spikes(reference), expected).max()
    assert ours <= max(theirs, results.dt_s), f"{ours} s, the reference {theirs} s"
