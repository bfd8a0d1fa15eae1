"""Cells of several compartments against NEURON."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.results import Results
from tests.conformance import neuron
from tests.conformance.comparison import crossings
from tests.conformance.reference import extract_examples


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    examples = extract_examples(tmp_path_factory.mktemp("examples"))
    return izhi_models.load(examples / neuron.EXAMPLE).compile().simulate()


def path_of(cell: int, segment: int) -> str:
    return f"pop0/{cell}/MultiCompCell/{segment}/v"


def crossed_ms(results: Results, cell: int, segment: int) -> np.ndarray:
    path = path_of(cell, segment)
    times = np.asarray(results.trace(path).times)
    return crossings(times, results.si(path), neuron.THRESHOLD) * 1e3


def test_ex25_spikes_as_in_neuron_in_all_segments(
    results: Results, record_property: Callable[[str, object], None]
) -> None:
    farthest, count = 0.0, 0
    stored = json.loads(neuron.FILE.read_text(encoding="utf-8"))
    for cell, expected in stored.items():
        for segment, times in enumerate(expected["spikes_ms"]):
            found = crossed_ms(results, int(cell), segment)
            # NEURON's own error with this step is 0.013 ms at the end: see its convergence.
            np.testing.assert_allclose(found, times, rtol=0, atol=0.02)
            farthest = max(farthest, float(np.abs(found - times).max(initial=0.0)))
            count += found.size
        # A spike is sent in the step that ends after v has crossed.
        sent = results.spikes["pop0"].of(int(cell)) * 1e3 - crossed_ms(results, int(cell), 0)
        assert sent.min() >= -1e-9
        assert sent.max() <= results.dt_s * 1e3 + 1e-9
    record_property(
        "example",
        f"Ex25    all cells, all segments             {count:5} spikes, off by {farthest:.4f} ms "
        "from NEURON's solution",
    )


def test_ex25_rests_and_responds_as_in_neuron(results: Results) -> None:
    stored = json.loads(neuron.FILE.read_text(encoding="utf-8"))
    for cell, expected in stored.items():
        for time in ("5", "19.9"):
            row = round(float(time) * 1e-3 / results.dt_s)
            found = [results.si(path_of(int(cell), n))[row] * 1e3 for n in range(4)]
            # Of NEURON's 0.0002 ms per step; what is asked for is 0.1 mV.
            np.testing.assert_allclose(found, expected["v_mV"][time], rtol=0, atol=0.002)
    # The cell that gets synapses on its dendrites, below the threshold.
    for time in ("22", "24"):
        row = round(float(time) * 1e-3 / results.dt_s)
        found = [results.si(path_of(1, n))[row] * 1e3 for n in range(4)]
        np.testing.assert_allclose(found[:2], stored["1"]["v_mV"][time][:2], rtol=0, atol=0.05)


def test_each_connection_to_a_segment_is_recorded_by_itself(results: Results) -> None:
    # Each rises by the events of its own presynaptic cell only.
    onsets = []
    for member in ("AMPA:0", "AMPA:1", "NMDA:0", "NMDA:1"):
        path = f"pop0/1/MultiCompCell/3/synapses:{member}/g"
        values = results.si(path)
        onsets.append(results.trace(path).times[np.flatnonzero(values > 0.0)[0]])
    first, second = (results.spikes["pop0"].of(cell)[0] for cell in (0, 2))
    for onset, sent in zip(onsets, (first, second, first, second), strict=True):
        assert 0.0 < onset - sent < 2.5 * results.dt_s


@pytest.mark.skipif(
    importlib.util.find_spec("neuron") is None, reason="needs NEURON: pip install neuron"
)
def test_what_is_stored_is_what_neuron_gives(tmp_path: Path) -> None:
    stored = json.loads(neuron.FILE.read_text(encoding="utf-8"))
    for cell, table in enumerate(neuron.run_neuron(tmp_path, 5 * neuron.STEP_MS)):
        for segment, times in enumerate(stored[str(cell)]["spikes_ms"]):
            found = crossings(table[:, 0], table[:, 1 + segment], neuron.THRESHOLD) * 1e3
            # First order: with 5 times the step, 5 times the error of 0.013 ms at the end.
            np.testing.assert_allclose(found, times, rtol=0, atol=0.07)
