"""Values that are set in place of those in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import izhi_models
from izhi_models.cli import commands
from izhi_models.errors import InputError

FILE = """<Lems>
<Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Inputs.xml"/>
<Include file="Simulation.xml"/>
<izhikevichCell id="iz" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>
<izhikevichCell id="quick" extends="iz" a="0.1"/>
<pulseGeneratorDL id="step" delay="0ms" duration="1ms" amplitude="3"/>
<network id="net"><population id="P" component="iz" size="3"/>
<population id="Q" component="quick" size="2"/><explicitInput target="P[2]" input="step"/></network>
<Simulation id="sim" length="10ms" step="0.1ms" target="net"/></Lems>"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file.xml"
    file.write_text(FILE)
    return file


def test_a_path_sets_what_it_names_and_all_that_follows(path):
    model = izhi_models.load(path, set={"Q/size": "7", "net/P/size": 4, "amplitude": "5"})
    sizes = {name: item.size for name, item in model.network.populations.items()}
    assert sizes == {"P": 4, "Q": 7}
    placed = model.network.populations["P"]
    (amplitude,) = [value for name, value in placed.values.items() if name.endswith("amplitude")]
    assert np.all(amplitude == 5.0)
    assert model.settings == {"Q/size": "7", "net/P/size": 4, "amplitude": "5"}


def test_a_text_has_a_unit_and_a_number_is_si(path):
    for value in ("-65 mV", "-0.065V", -0.065):
        model = izhi_models.load(path, set={"iz/v0": value})
        assert model.network.populations["P"].values["v0"] == pytest.approx(-0.065, rel=1e-15)


def test_what_is_made_from_a_component_follows_where_it_says_nothing_else(path):
    model = izhi_models.load(path, set={"iz/d": "6", "iz/a": "0.05"})
    values = model.network.populations["Q"].values
    assert (values["d"], values["a"]) == (6.0, 0.1)


def test_times_of_the_simulation_can_be_set(path):
    plan = izhi_models.load(path, set={"length": "20 ms", "step": "0.2ms"}).experiment.simulation
    assert plan is not None
    assert (plan.length_s, plan.step_s) == (0.02, 0.0002)


@pytest.mark.parametrize(
    ("name", "value", "part", "hint"),
    [
        ("d", "1", "'d' may be iz/d, quick/d", "write more of the path"),
        ("size", "1", "'size' may be net/P/size, net/Q/size", "write more of the path"),
        ("R/size", "1", "no component has the id 'R'", ""),
        ("quik/d", "1", "no component has the id 'quik'", "did you mean 'quick'?"),
        ("P/sice", "1", "'P' has no parameter 'sice'", "did you mean 'size'?"),
        ("P/component", "quick", "'P' has no parameter 'component'", ""),
        ("amplitud", "1", "nothing in the file has a parameter 'amplitud'", "'amplitude'"),
        ("iz/v0", "3", "'iz/v0' needs the dimension voltage, not '3'", "V, mV"),
        ("iz/v0", "3 pA", "'iz/v0' needs the dimension voltage, not '3 pA'", "V, mV"),
        ("iz/v0", "much", "iz/v0: 'much' is no quantity", ""),
        ("P/size", "0", "expected a whole number", "set by P/size=0"),
        ("P/size", "2.5", "expected a whole number", "set by P/size=2.5"),
        ("P/size", "2", "there is no cell 2", ""),
        ("length", "0 ms", "a time greater than 0", "set by length=0 ms"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(path, name, value, part, hint):
    with pytest.raises(InputError) as caught:
        izhi_models.load(path, set={name: value})
    told = "\n".join(item.render() for item in caught.value.diagnostics)
    assert part in told
    assert hint in told


@pytest.mark.parametrize("text", ["size", "=3", "size=", "P/size=1 --set P/size=2"])
def test_the_command_line_wants_a_name_and_a_value_once(path, text):
    arguments = ["run", str(path), "--set", *text.split(" ")]
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code == 2
    assert "--set" in done.output


def test_faults_of_the_file_are_told_before_those_of_what_is_set(path):
    path.write_text(FILE.replace('component="iz"', 'component="izz"'))
    with pytest.raises(InputError, match="no component has the id 'izz'"):
        izhi_models.load(path, set={"R/size": "1"})
