"""NeuroML's own examples against the reference interpreter and against the converged solution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conformance.comparison import (
    assert_equal,
    crossings,
    edges,
    late_ends,
    simulate,
    spike_errors,
    spikes_of,
    to_steps,
)
from tests.conformance.reference import extract_examples, run_jneuroml


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extract_examples(tmp_path_factory.mktemp("examples"))


@pytest.mark.parametrize("name", ["LEMS_NML2_Ex2_Izh", "LEMS_NML2_Ex9_FN"])
def test_cells_without_regimes_equal_the_reference(examples: Path, name: str) -> None:
    path = examples / f"{name}.xml"
    assert [edge for edge in edges(path) if edge.is_moved] == []
    assert_equal(simulate(path), run_jneuroml(path))


def test_ex0_equals_the_reference_but_for_its_long_refractory_periods(examples: Path) -> None:
    path = examples / "LEMS_NML2_Ex0_IaF.xml"
    results, reference = simulate(path), run_jneuroml(path)
    for cell, spikes in reference.spikes.items():
        ours = to_steps(spikes_of(results, cell), results.dt_s)
        theirs = to_steps(spikes, results.dt_s)
        late = np.zeros(theirs.size, dtype=np.int64)
        if "Ref" in cell:
            late = late_ends(theirs, 5.0 * 0.001, 0.005 * 0.001)
            assert late[:2].tolist() == [1, 1]
        np.testing.assert_array_equal(theirs - ours, [0, *np.cumsum(late)[:-1]], err_msg=cell)
    for cell in ("iafTauPop[0]", "iafPop[0]"):
        np.testing.assert_allclose(
            results.si(f"{cell}/v"),
            reference.traces[f"{cell}/v"],
            rtol=0,
            atol=1e-7,  # 1e-4 mV; the file of the reference is rounded to 8e-6 mV
        )


# The regimes of adExIaFCell compute w from the new v in the reference, so no sample is equal.
def test_pulses_of_ex8_start_late_in_the_reference(examples: Path) -> None:
    moved = [edge for edge in edges(examples / "LEMS_NML2_Ex8_AdEx.xml") if edge.is_moved]
    assert [(edge.place, edge.kind, edge.reference - edge.nominal) for edge in moved] == [
        ("adExPop4[0]/pulseGen2", "start", 1),
        ("adExPop4[0]/pulseGen2", "end", 1),
    ]


@pytest.mark.parametrize(
    ("name", "fine_step"),
    [("LEMS_NML2_Ex0_IaF", "0.00025ms"), ("LEMS_NML2_Ex8_AdEx", "0.00125ms")],
)
def test_spikes_are_as_close_to_the_converged_ones_as_the_reference(
    examples: Path, name: str, fine_step: str
) -> None:
    path = examples / f"{name}.xml"
    reference = run_jneuroml(path)
    converged = run_jneuroml(path, step=fine_step, record=())
    results = simulate(path)
    assert reference.spikes
    for cell in reference.spikes:
        ours = spike_errors(spikes_of(results, cell), converged.spikes[cell])
        theirs = spike_errors(reference.spikes[cell], converged.spikes[cell])
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
    quantity = "prApop[0]/Vs"
    results, reference = simulate(path), run_jneuroml(path)
    converged = run_jneuroml(path, step="0.0005ms", record=[quantity])
    times = np.arange(reference.times.size) * results.dt_s
    expected = crossings(converged.times, converged.traces[quantity], 0.0)
    assert expected.size == 5
    ours = spike_errors(crossings(times, results.si(quantity), 0.0), expected).max()
    theirs = spike_errors(crossings(times, reference.traces[quantity], 0.0), expected).max()
    assert ours <= max(theirs, results.dt_s), f"{ours} s, the reference {theirs} s"
