"""The ladder of checks on small models: what holds, what fails, and what is said of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from izhi_models.checks import check, ladder, question
from izhi_models.checks import conform as conform_module
from izhi_models.checks.conform import Conformance
from izhi_models.checks.trains import coincidence, van_rossum
from izhi_models.cli import commands
from izhi_models.engines.jneuroml import find_java
from izhi_models.errors import CheckError, InputError
from izhi_models.ir import methods
from tests.conftest import WriteModel

IAF = (
    '<iafCell id="cell" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="{C}" '
    'leakConductance="10nS"/>'
)
PULSE = '<pulseGenerator id="pulse" delay="2ms" duration="50ms" amplitude="150pA"/>'
NETWORK = (
    '<population id="pop" component="cell" size="1"/><explicitInput target="pop[0]" input="pulse"/>'
)
RUN = 'length="30ms" step="0.1ms" target="net"'


@pytest.fixture
def model(write_model: WriteModel) -> Path:
    return write_model(IAF.format(C="0.1nF") + PULSE, NETWORK, RUN)


def test_a_sound_model_holds_on_all_rungs_that_can_be_asked(model: Path) -> None:
    report = check(model, ["spec", "equations", "trajectory"], tolerance="0.1 ms")
    report.raise_if_failed()
    assert [rung.verdict for rung in report.rungs] == ["holds", "holds", "holds"]
    (events,) = [item for item in report.rung("equations").findings if "events" in item.what]
    assert int(events.measured.split()[0]) > 0  # the random states lead to spikes
    assert "--dt" in report.rung("trajectory").findings[-1].measured


@pytest.mark.parametrize(("method", "least", "most"), [("euler", 0.85, 1.15), ("midpoint", 1.8, 9)])
def test_the_order_of_convergence_is_that_of_the_method(
    model: Path, method: str, least: float, most: float
) -> None:
    report = check(model, ["trajectory"], method=method)
    (found,) = [item for item in report.rung("trajectory").findings if item.what == "pop[0]/v"]
    orders = found.measured.split("order ")[1].split(", expected")[0].split(", ")
    assert all(least <= float(order) <= most for order in orders), found.measured


def test_an_order_that_is_too_low_fails(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods.METHODS, "midpoint", methods.METHODS["euler"])
    with pytest.raises(CheckError, match=r"pop\[0\]/v: order 1\.0.*expected 2, though nothing"):
        check(model, ["trajectory"], method="midpoint").raise_if_failed()


def test_an_edge_inside_a_step_excuses_the_order(write_model: WriteModel) -> None:
    inside = PULSE.replace('"2ms"', '"2.0333333ms"')
    path = write_model(IAF.format(C="0.1nF") + inside, NETWORK, RUN)
    report = check(path, ["trajectory"], method="midpoint")
    report.raise_if_failed()
    assert (
        "an edge inside a step, at 2.0333333 ms" in report.rung("trajectory").findings[0].measured
    )


def test_cells_that_read_each_other_are_solved_together(write_model: WriteModel) -> None:
    junction = '<gapJunction id="gap" conductance="3nS"/>'
    network = NETWORK.replace('size="1"', 'size="2"') + (
        '<electricalProjection id="e" presynapticPopulation="pop" postsynapticPopulation="pop">'
        '<electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>'
        "</electricalProjection>"
    )
    path = write_model(IAF.format(C="0.1nF") + PULSE + junction, network, RUN)
    report = check(path, ["equations", "trajectory"])
    report.raise_if_failed()
    (passive,) = [item for item in report.rung("trajectory").findings if "pop[1]" in item.what]
    assert "order 1.0" in passive.measured  # it moves by the other cell alone


def test_cells_that_no_random_number_reaches_are_compared(write_model: WriteModel) -> None:
    noise = '<spikeGeneratorPoisson id="noise" averageRate="50 Hz"/>'
    path = write_model(
        IAF.format(C="0.1nF") + PULSE + noise,
        NETWORK + '<population id="source" component="noise" size="2"/>',
        RUN,
    )
    report = check(path, ["trajectory"])
    told = {item.what: item for item in report.rung("trajectory").findings}
    assert told["pop[0]/v"].verdict == "holds"
    assert told["source"].measured == "random numbers reach 2 of its 2 cells"


def test_a_capacitance_below_zero_and_a_step_too_long_are_told(write_model: WriteModel) -> None:
    negative = write_model(IAF.format(C="-0.1nF") + PULSE, NETWORK, RUN)
    with pytest.raises(CheckError, match=r"pop/C.*outside what it can physically be"):
        check(negative, ["spec"]).raise_if_failed()
    slow = write_model(IAF.format(C="0.1nF") + PULSE, NETWORK, RUN.replace("0.1ms", "25ms"))
    with pytest.raises(CheckError, match="time constant 10 ms, step 25 ms"):
        check(slow, ["spec"]).raise_if_failed()


def test_published_results_are_compared(model: Path) -> None:
    # Closed formula: v relaxes towards -45 mV with 10 ms, from -60 mV, and from -65 mV after the
    # spike at -50 mV.
    times = [2 + 10 * np.log(15 / 5.5), 2 + 10 * np.log(15 / 5) + 10 * np.log(20 / 5.5)]
    (model.parent / "a.mep").write_text(
        f"experiments:\n  e:\n    expected:\n      spike times: [{times[0]}, {times[1]}]\n"
    )
    text = (
        "target: model.xml\nengine: jNeuroML\nmep: a.mep\nexperiments:\n  e:\n    observables:\n"
        "      spike times:\n        file:\n          path: v.dat\n          columns: [0, 1]\n"
        "          scaling: [1000, 1000]\n        spike detection:\n"
        "          method: threshold\n          threshold: -50.5\n        tolerance: {}\n"
    )
    (model.parent / "a.omt").write_text(text.format("0.02"))
    assert check(model, ["expected"]).rung("expected").verdict == "holds"
    # The times are known to a step of 0.1 ms.
    (model.parent / "a.omt").write_text(text.format("0.00001"))
    (found,) = check(model, ["expected"]).rung("expected").findings
    assert found.verdict == "doubtful" and "steps, and a step is the time" in found.measured

    def publish(late_ms: float) -> None:
        (model.parent / "a.mep").write_text(
            "experiments:\n  e:\n    expected:\n"
            f"      spike times: [{times[0]}, {times[1] + late_ms}]\n"
        )

    publish(0.5)  # as late as a simulator that adds up its time may be with two spikes
    (found,) = check(model, ["expected"]).rung("expected").findings
    assert found.verdict == "doubtful" and "as a simulator of first order" in found.measured
    publish(5.0)  # as another model
    with pytest.raises(CheckError, match=r"expected: a\.omt: e, spike times"):
        check(model, ["expected"]).raise_if_failed()


def test_the_command_writes_a_report_and_fails_with_its_own_code(
    write_model: WriteModel, tmp_path: Path
) -> None:
    path = write_model(IAF.format(C="-0.1nF") + PULSE, NETWORK, RUN)
    out = tmp_path / "out"
    done = CliRunner().invoke(commands, ["check", str(path), "--rung", "spec", "--out", str(out)])
    assert done.exit_code == 6
    assert "outside what it can physically be" in done.output
    found = json.loads((out / "check.json").read_text())
    assert found["holds"] is False
    assert [rung["name"] for rung in found["rungs"]] == ["spec"]
    page = (out / "check.html").read_text()
    assert "outside what it can physically be" in page


def test_the_page_holds_its_figures(model: Path, tmp_path: Path) -> None:
    arguments = ["check", str(model), "--rung", "trajectory", "--out", str(tmp_path), "--quiet"]
    assert CliRunner().invoke(commands, arguments).exit_code == 0
    assert "data:image/png;base64," in (tmp_path / "check.html").read_text()


def test_a_rung_that_does_not_exist_is_refused(model: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'equations'"):
        check(model, ["equation"])


def test_measures_of_spike_trains() -> None:
    train, later = np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2004, 0.3])
    assert coincidence(train, train, 1e-6) == 1.0
    assert coincidence(train, later, 1e-4) == pytest.approx(4 / 6)
    assert coincidence(train, train[:2], 1e-4) == pytest.approx(4 / 5)
    assert van_rossum(train, train, 0.01) == pytest.approx(0.0, abs=1e-12)
    # A spike too many, far from all others, counts 1.
    assert van_rossum(train, train[:2], 0.001) == pytest.approx(1.0, rel=1e-6)


def test_all_files_of_a_folder_are_checked_and_one_that_fails_is_told(
    write_model: WriteModel, tmp_path: Path
) -> None:
    write_model(IAF.format(C="0.1nF") + PULSE, NETWORK, RUN, name="sound.xml")
    write_model(IAF.format(C="-0.1nF") + PULSE, NETWORK, RUN, name="wrong.xml")
    (tmp_path / "other.xml").write_text("<nothing/>")
    arguments = ["conform", str(tmp_path), "--rung", "spec", "--format", "json"]
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code == 6
    found = {Path(item["path"]).name: item for item in json.loads(done.output)}
    assert {name: item["verdict"] for name, item in found.items()} == {
        "sound.xml": "holds",
        "wrong.xml": "fails",
    }
    assert "outside what it can physically be" in found["wrong.xml"]["told"]


def test_a_tree_with_tests_and_broken_files_gives_one_table(
    write_model: WriteModel, tmp_path: Path
) -> None:
    write_model(IAF.format(C="0.1nF") + PULSE, NETWORK, RUN, name="LEMS/sound.xml")
    tests = tmp_path / "LEMS" / "test"
    tests.mkdir()
    (tests / ".test.runs.omt").write_text("target: ../sound.xml\nengine: jNeuroML\n")
    (tests / ".test.all.omt").write_text('target: "../*.xml"\nengine: jNeuroML_validate\n')
    (tests / ".test.nrn.omt").write_text("target: sound.hoc\nengine: NEURON\n")
    (tests / ".test.lost.omt").write_text("target: ../lost.xml\nengine: jNeuroML\n")
    (tests / ".test.cut.omt").write_text("target: [\n")
    (tmp_path / "cut.xml").write_text('<Lems><Simulation id="s"')
    (tmp_path / "binary.xml").write_bytes(b"\x00<Simulation")
    arguments = ["conform", str(tmp_path), "--workers", "2", "--format", "json"]
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code == 6
    found = {Path(item["path"]).name: item for item in json.loads(done.output)}
    assert {name: item["verdict"] for name, item in found.items()} == {
        "sound.xml": "holds",
        ".test.runs.omt": "holds",
        ".test.all.omt": "holds",
        ".test.nrn.omt": "skipped",
        ".test.lost.omt": "fails",
        ".test.cut.omt": "fails",
        "cut.xml": "fails",
        "binary.xml": "fails",
    }
    assert "engine NEURON" in found[".test.nrn.omt"]["told"]
    # The test that lies in a folder beside a model is found from the model too.
    (test,) = check(tmp_path / "LEMS" / "sound.xml", ["expected"]).rung("expected").findings
    assert test.what == ".test.runs.omt"


def test_a_file_whose_process_dies_does_not_stop_the_others(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_model(name=f"{name}.xml") for name in ("a", "deadly", "c")]
    monkeypatch.setattr(conform_module, "_one", _die_of_one)
    found = list(conform_module.conform(paths, ["spec"], workers=2))
    assert [item.verdict for item in found] == ["holds", "fails", "holds"]
    assert found[1].told == "the process that ran it died"


def _die_of_one(path: Path, rungs: tuple[str, ...], method: str) -> Conformance:
    if path.stem == "deadly":
        os._exit(1)
    return Conformance(path, "holds", "", 0.0)


@pytest.mark.skipif(find_java() is None, reason="no Java for jNeuroML")
def test_jneuroml_ends_with_a_check_that_is_interrupted_and_leaves_nothing(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[question.Started] = []

    class Kept(question.Started):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            started.append(self)

    def interrupted(*_: object, **__: object) -> None:
        assert started and all(run._process.poll() is None for run in started)  # they run meanwhile
        raise KeyboardInterrupt

    monkeypatch.setattr(question, "Started", Kept)
    monkeypatch.setattr(ladder, "check_spec", interrupted)
    with pytest.raises(KeyboardInterrupt):
        check(model)
    assert all(run._process.poll() is not None for run in started)
    assert not any(run._out.exists() for run in started)
    assert list(model.parent.iterdir()) == [model]
