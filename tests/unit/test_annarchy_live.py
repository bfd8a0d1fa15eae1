"""Running by ANNarchy's own code, as far as nothing is compiled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import izhi_models
from izhi_models.annarchy import live
from izhi_models.cli import commands
from izhi_models.errors import BackendError, InputError, UnsupportedError
from tests.conftest import CELL, WriteModel

SYNAPSE = '<expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="5ms"/>'
IAF = (
    '<iafCell id="cell" leakReversal="-60mV" thresh="-50mV" reset="-70mV" C="200pF" '
    'leakConductance="10nS"/>'
)
DELAYS = (
    '<population id="pop" component="cell" size="2"/>'
    '<projection id="p" presynapticPopulation="pop" postsynapticPopulation="pop" synapse="s">'
    '<connectionWD id="0" preCellId="../pop[0]" postCellId="../pop[1]" weight="1" delay="1ms"/>'
    '<connectionWD id="1" preCellId="../pop[1]" postCellId="../pop[0]" weight="1" delay="3ms"/>'
    "</projection>"
)


@pytest.fixture
def nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a file called nvcc on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nvcc").write_text("")
    (folder / "nvcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_cuda__without_a_compiler__says_what_to_install(
    write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"nvcc not found.*\n.*install the CUDA toolkit"):
        izhi_models.load(write_model()).compile(paradigm="cuda")


def test_cuda__without_a_device__is_one_error_and_leaves_nothing(
    write_model: WriteModel, tmp_path: Path, nvcc: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "device_count", lambda: 0)
    out = tmp_path / "out"
    arguments = ["run", str(write_model()), "--paradigm", "cuda", "--out", str(out)]
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 4
    assert "error: no CUDA device found" in result.stderr
    assert "leave --paradigm cuda out" in result.stderr
    assert not out.exists()


def test_cuda__delays_that_differ__are_refused_by_name(
    write_model: WriteModel, nvcc: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "device_count", lambda: 1)
    model = izhi_models.load(write_model(IAF + SYNAPSE, DELAYS))
    with pytest.raises(UnsupportedError, match="delays of 10 to 30 steps"):
        model.compile(paradigm="cuda")


def test_cuda__synapse_that_events_and_cell_share__is_refused_by_name(
    write_model: WriteModel, nvcc: None, monkeypatch: pytest.MonkeyPatch
):
    """ANNarchy's CUDA code has two arguments of one name for it: nvcc refuses that."""
    monkeypatch.setattr(live, "device_count", lambda: 1)
    synapse = (
        '<ComponentType name="tired" extends="baseVoltageDepSynapse">'
        '<Constant name="unit" dimension="current" value="1pA"/>'
        '<Constant name="tau" dimension="time" value="5ms"/>'
        '<Dynamics><StateVariable name="g" dimension="none"/>'
        '<DerivedVariable name="i" dimension="current" exposure="i" value="unit * g * g"/>'
        '<TimeDerivative variable="g" value="-g / tau"/>'
        '<OnEvent port="in"><StateAssignment variable="g" value="1 + 0.5 * g"/></OnEvent>'
        '</Dynamics></ComponentType><tired id="s"/>'
    )
    network = DELAYS.replace("3ms", "1ms")
    model = izhi_models.load(write_model(IAF + synapse, network))
    with pytest.raises(UnsupportedError, match=r"a synapse of its own.*does not compile"):
        model.compile(paradigm="cuda")


def test_paradigm__unknown__offers_the_known_ones(write_model: WriteModel):
    with pytest.raises(InputError, match=r"unknown paradigm 'cud'\n.*'cuda'"):
        izhi_models.load(write_model(CELL)).compile(paradigm="cud")
