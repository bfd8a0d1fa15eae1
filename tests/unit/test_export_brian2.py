"""Scripts for Brian2, as far as it need not run."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import izhi_models
from izhi_models.errors import UnsupportedError
from izhi_models.exporters.brian2.words import (
    Identifiers,
    base_unit,
    is_reserved,
    one_unit,
    quantity,
)
from izhi_models.units import CURRENT, NONE, PER_TIME, TIME, VOLTAGE, Dimension
from tests.conftest import WriteModel

CONDUCTANCE = Dimension(m=-1, l=-2, t=3, i=2)


def test_export__brian2__has_equations_names_and_units(tmp_path: Path, write_model: WriteModel):
    (path,) = izhi_models.export(write_model(), "brian2", tmp_path / "model.py")
    text = path.read_text()
    assert "dv/dt = (0.04*(v**2/mV) + 5*v + (140 - U)*mV)/ms : volt\n" in text
    assert "dU/dt = a*((b*(v/mV) - U)/ms) : 1\n" in text
    assert '    "thresh": 30*mV,\n' in text
    assert '    threshold="v > thresh",\n' in text
    assert "DT = 0.1*ms  # step\nDURATION = 20*ms\n" in text
    assert "izhi" not in text.replace("izhikevich", "")


def test_export__brian2__imports_only_brian2_and_numpy(tmp_path: Path, write_model: WriteModel):
    (path,) = izhi_models.export(write_model(), "brian2", tmp_path / "m.py")
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {item.name for node in nodes if isinstance(node, ast.Import) for item in node.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert modules == {"sys", "pathlib", "numpy", "brian2"}


def test_export__words_of_brian2__are_no_names_of_the_script(
    tmp_path: Path, write_model: WriteModel
):
    types = """<ComponentType name="odd" extends="baseCell">
      <Parameter name="rand" dimension="none"/><Parameter name="mV" dimension="none"/>
      <Parameter name="lambda" dimension="none"/><Parameter name="x_post" dimension="none"/>
      <Parameter name="run" dimension="none"/>
      <Exposure name="i" dimension="none"/>
      <Dynamics><StateVariable name="i" dimension="none" exposure="i"/>
      <TimeDerivative variable="i" value="(rand + mV + lambda + x_post + run - i) / unit"/>
      </Dynamics><Constant name="unit" dimension="time" value="1ms"/>
      </ComponentType><odd id="cell" rand="1" mV="2" lambda="3" x_post="4" run="5"/>"""
    column = '<OutputColumn id="v" quantity="pop[0]/i"/>'
    output = f'<OutputFile id="out" fileName="v.dat">{column}</OutputFile>'
    path = write_model(types, outputs=output)
    (script,) = izhi_models.export(path, "brian2", tmp_path / "m.py")
    text = script.read_text()
    assert "dI/dt = (rand_2 + mV_2 + lambda_2 + x_post_2 + (run_2 - I))/ms : 1" in text


def test_export__cell_with_several_ports__is_refused(tmp_path: Path, write_model: WriteModel):
    types = """<ComponentType name="two" extends="baseCell">
      <EventPort name="a" direction="out"/><EventPort name="b" direction="out"/>
      <Dynamics><StateVariable name="x" dimension="none"/>
      <OnCondition test="x .gt. 1"><EventOut port="a"/></OnCondition>
      <OnCondition test="x .gt. 2"><EventOut port="b"/></OnCondition>
      </Dynamics></ComponentType><two id="cell"/>"""
    path = write_model(types, outputs="")
    with pytest.raises(UnsupportedError, match=r"several ports \(a, b\)"):
        izhi_models.export(path, "brian2", tmp_path / "m.py")
    assert not (tmp_path / "m.py").exists()


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (-0.065, VOLTAGE, "-65*mV"),
        (0.022, TIME, "22*ms"),
        (3.2e-12, CURRENT, "3.2*pA"),
        (5e-10, CONDUCTANCE, "0.5*nS"),
        (30.0, PER_TIME, "30*Hz"),
        (0.02, NONE, "0.02"),
        (7e-7, CONDUCTANCE.over(VOLTAGE), "0.7*nS/mV"),
        (1.2, Dimension(l=-3, n=1), "1.2*mM"),
        (3.0, Dimension(m=-1, l=-4, t=3, i=2), "0.3*mS/cm2"),
    ],
)
def test_quantity__is_written_in_units_of_neuroscience(
    value: float, dimension: Dimension, text: str
):
    assert quantity(value, dimension) == text


def test_base_unit__of_a_rate_of_voltage__is_named():
    assert base_unit(VOLTAGE.over(TIME)) == "volt/second"
    assert base_unit(NONE.over(VOLTAGE)) == "1/volt"


def test_one_unit__is_found_where_a_constant_is_one():
    assert one_unit(1e-3, VOLTAGE) == "mV"
    assert one_unit(1e-12, TIME) == "psecond"
    assert one_unit(2e-3, VOLTAGE) is None


def test_identifiers__are_unlike_each_other():
    make = Identifiers().make
    assert [make(name) for name in ("i", "i", "a/b", "a b", "3d")] == [
        "I", "i_2", "a_b", "a_b_2", "x3d",
    ]  # fmt: skip


WORDS = """
import brian2
from brian2.units.stdunits import stdunits
group = brian2.NeuronGroup(1, "dv/dt = -v/second : 1", threshold="v > 1", method="euler")
synapses = brian2.Synapses(group, group, "x : 1", on_pre="v_post += x")
words = {name for item in (group, synapses) for name in dir(item)}
words |= {*brian2.DEFAULT_FUNCTIONS, *brian2.DEFAULT_CONSTANTS, *brian2.DEFAULT_UNITS, *stdunits}
print(*words - {"v", "v_", "v_post", "x", "x_", "delay", "delay_"})
"""


@pytest.mark.skipif(importlib.util.find_spec("brian2") is None, reason="Brian2 is not installed")
def test_identifiers__avoid_all_words_of_brian2():
    done = subprocess.run([sys.executable, "-c", WORDS], capture_output=True, text=True, check=True)
    names = {name for name in done.stdout.split() if name.isidentifier() and name[0] != "_"}
    assert len(names) > 100
    assert {name for name in names if not is_reserved(name)} == set()
