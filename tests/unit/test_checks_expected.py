from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from izhi_models.checks.expected import Events, Table, compare, read_expected
from izhi_models.errors import InputError, UnsupportedError
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.simulation import EventOutputFile, OutputFile, Simulation
from izhi_models.units import VOLTAGE

OMT = """target: ../model.xml
engine: jNeuroML
mep: .test.mep
experiments:
  cell:
    observables:
      spike times:
        file: {path: ../out/v.dat, columns: [0, 2], scaling: [1000, 1000]}
        spike detection: {method: METHOD, threshold: -20}
        tolerance: 0.01
  events:
    observables:
      spike times: {spiketimes file: {path: ../v.spikes, format: ID_TIME, id: 7}, tolerance: 0}
      spike rate: {spiketimes file: {path: ../v.spikes, format: ID_TIME, id: 7}}
"""
MEP = """system: a cell
experiments:
  cell:
    expected:
      spike times: [2, 5.0]
  events:
    expected:
      spike times: [0.002, 0.005]
      spike rate: 350
"""
# Volts every ms: above -20 mV from 2 and 5 ms on, maxima at 3 and 6 ms.
V = np.array([-70, -30, -10, 10, -50, -10, 0, -60]) * 1e-3
PLAN = Simulation(
    "sim",
    0.007,
    0.001,
    "net",
    outputs=(OutputFile("o", "v.dat", "out", (("u", "pop[0]/u"), ("v", "pop[0]/v"))),),
    event_outputs=(EventOutputFile("e", "v.spikes", "", "ID_TIME", (("7", "pop[0]", "spike"),)),),
)


def write(folder: Path, omt: str = OMT, mep: str = MEP, method: str = "threshold") -> Path:
    (folder / "omv").mkdir(exist_ok=True)
    (folder / "omv" / ".test.mep").write_text(mep)
    path = folder / "omv" / "test.omt"
    path.write_text(omt.replace("METHOD", method))
    return path


def results() -> Results:
    times = np.arange(V.size) * 1e-3
    trace = Trace("pop", "v", VOLTAGE, np.array([0]), times, V[:, np.newaxis])
    trains = SpikeTrains(np.array([0.002, 0.005]), np.array([0, 0]), 1, 0.007)
    return Results(0.007, 0.001, {"pop": trains}, (trace,))


def test_expectations_are_read_with_their_files_relative_to_the_target(tmp_path: Path) -> None:
    expected = read_expected(write(tmp_path))
    assert expected.target == tmp_path / "omv" / ".." / "model.xml"
    times, events, rate = expected.expectations
    assert times.where == Table("out/v.dat", 2, (1000.0, 1000.0), "threshold", -20.0)
    assert times.values == (2.0, 5.0)
    assert events.where == Events("v.spikes", "7")
    assert (events.tolerance, rate.tolerance) == (0.0, 0.1)
    assert times.span.line == 8


def test_spikes_are_found_at_the_threshold_and_in_event_files(tmp_path: Path) -> None:
    times, events, rate = compare(read_expected(write(tmp_path)), PLAN, results())
    assert times.found == pytest.approx((2.0, 5.0))
    assert events.found == (0.002, 0.005)
    # One interval of 3 ms; 5 % off of what is expected.
    assert rate.found == pytest.approx((1000 / 3,))
    assert rate.error == pytest.approx(1 - 1000 / 3 / 350)
    assert all(item.passed for item in (times, events, rate))


def test_maxima_are_spikes_where_the_file_says_so(tmp_path: Path) -> None:
    expected = read_expected(write(tmp_path, method="derivative"))
    times = compare(expected, PLAN, results())[0]
    assert times.found == pytest.approx((3.0, 6.0))
    assert not times.passed
    assert times.error == pytest.approx(0.5)


def test_another_number_of_spikes_does_not_pass(tmp_path: Path) -> None:
    expected = read_expected(write(tmp_path, mep=MEP.replace("[2, 5.0]", "[2, 5.0, 6]")))
    times = compare(expected, PLAN, results())[0]
    assert times.error == np.inf
    assert not times.passed


def test_a_file_may_ask_only_that_the_model_runs(tmp_path: Path) -> None:
    path = write(tmp_path, omt="target: model.xml\nengine: jNeuroML\n")
    assert read_expected(path).expectations == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("target: ../model.xml\n", "", "test.omt:1:1: error: 'target' is missing"),
        ("tolerance: 0.01", "tolerance: small", "test.omt:10:20: error: 'small' is no number"),
        ("columns: [0, 2]", "columns: [1, 2]", "the time in column 0"),
        ("METHOD", "thresold", "did you mean 'threshold'"),
        (".test.mep", "gone.mep", "cannot read"),
        ("mep: .test.mep", "mep: [", "no YAML"),
        ("  cell:\n", "  other:\n", "'other' is missing"),
        ("  cell:\n", "  cell: 3\n  other:\n", "5:9: error: expected names with values"),
        (OMT, "", "is empty"),
        (OMT, "[" * 5000, "nested too deep"),
    ],
)
def test_a_fault_in_a_file_is_shown(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_expected(write(tmp_path, omt=OMT.replace(old, new)))
    assert message in str(caught.value)


def test_what_cannot_be_observed_is_said(tmp_path: Path) -> None:
    omt, mep = (item.replace("spike rate", "resting") for item in (OMT, MEP))
    path = write(tmp_path, omt=omt, mep=mep)
    with pytest.raises(UnsupportedError, match="'resting' cannot be compared"):
        read_expected(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("out/v.dat", "out/w.dat", "writes no file 'out/w.dat'"),
        ("columns: [0, 2]", "columns: [0, 3]", "has 2 columns beside the time"),
        ("id: 7, ", "id: 8, ", "has no id '8'"),
        ("../v.spikes", "../w.spikes", "writes no file 'w.spikes'"),
    ],
)
def test_a_file_that_the_simulation_does_not_write_is_a_fault(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = OMT.replace("id: 7}", "id: 7, }").replace(old, new)
    with pytest.raises(InputError, match=message):
        compare(read_expected(write(tmp_path, omt=text)), PLAN, results())
