"""Exporters, as far as nothing has to be compiled."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import izhi_models
from izhi_models.cli import commands
from izhi_models.errors import InputError
from tests.conftest import CELL, WriteModel

SCRIPTS = ("annarchy", "brian2", "nest")
HOSTILE = ('a"""b', "a\nimport os", "a\\", "a'); exit(", "{0}", "%(local_index)s")


def test_export__annarchy__is_a_script_with_names_and_units(
    tmp_path: Path, write_model: WriteModel
):
    written = izhi_models.export(write_model(), "annarchy", tmp_path / "out" / "model.py")
    assert written == (tmp_path / "out" / "model.py",)
    text = written[0].read_text()
    ast.parse(text)
    assert '"thresh": ann.Parameter(30.0, "global"),  # thresh [mV]' in text
    assert '"a": ann.Parameter(0.02, "global"),  # a\n' in text
    assert "pop_ = net.create(\n    2,\n" in text
    assert "DT = 0.1  # step [ms]" in text
    assert "DURATION = 20.0  # [ms]" in text
    assert "izhi" not in re.sub("izhikevich", "", text)


def test_export__imports__only_annarchy_and_numpy(tmp_path: Path, write_model: WriteModel):
    (path,) = izhi_models.export(write_model(), "annarchy", tmp_path / "m.py")
    imported = {
        item.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for item in node.names
    }
    assert imported == {"sys", "ANNarchy", "numpy"}


@pytest.mark.parametrize("target", SCRIPTS)
def test_export__long_arrays__stand_in_a_file_beside(
    tmp_path: Path, write_model: WriteModel, target: str
):
    pulses = "".join(
        f'<pulseGeneratorDL id="i{k}" delay="{k}ms" duration="9ms" amplitude="10"/>'
        for k in range(20)
    )
    targets = "".join(f'<explicitInput target="pop[{k}]" input="i{k}"/>' for k in range(20))
    population = '<population id="pop" component="cell" size="20"/>'
    path = write_model(CELL + pulses, population + targets)
    written = izhi_models.export(path, target, tmp_path / "m.py")
    assert written == (tmp_path / "m.py", tmp_path / "m.npz")
    assert 'arrays = np.load(path.with_suffix(".npz"))' in written[0].read_text()


@pytest.mark.parametrize("target", SCRIPTS)
@pytest.mark.parametrize("name", HOSTILE)
def test_export__name_of_the_file__cannot_become_code(
    tmp_path: Path, write_model: WriteModel, name: str, target: str
):
    (script,) = izhi_models.export(write_model(name=f"{name}.xml"), target, tmp_path / "m.py")
    tree = ast.parse(script.read_text())
    (reference,) = izhi_models.export(write_model(), target, tmp_path / "n.py")
    plain = ast.parse(reference.read_text())
    assert ast.dump(ast.Module(tree.body[1:], [])) == ast.dump(ast.Module(plain.body[1:], []))


def test_export__unknown_target__offers_the_known_ones(write_model: WriteModel):
    with pytest.raises(InputError, match=r"unknown target 'anarchy'\n.*'annarchy'"):
        izhi_models.export(write_model(), "anarchy", "x.py")
    with pytest.raises(InputError, match=r"unknown target 'matlab'\n  known here: annarchy, "):
        izhi_models.export(write_model(), "matlab")


def test_export_command__writes_what_it_says(tmp_path: Path, write_model: WriteModel):
    arguments = ["export", str(write_model()), "--to", "annarchy", "--dt", "0.5 ms"]
    result = CliRunner().invoke(commands, [*arguments, "--out", str(tmp_path / "m.py")])
    assert result.exit_code == 0
    assert "DT = 0.5 " in (tmp_path / "m.py").read_text()


def test_export_command__name_without_py__is_refused(tmp_path: Path, write_model: WriteModel):
    path = tmp_path / "m.txt"
    arguments = ["export", str(write_model()), "--to", "annarchy", "--out", str(path)]
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 2
    assert "give a name that ends in .py" in result.stderr
    assert not path.exists()


def test_export__neuroml__has_the_constants_of_the_file(tmp_path: Path, write_model: WriteModel):
    types = (
        '<Constant name="two" symbol="two" dimension="none" value="2"/>'
        '<Constant name="four" symbol="four" dimension="none" value="2 * two"/>'
        '<ComponentType name="own" extends="baseCell"><Exposure name="v" dimension="none"/>'
        '<Dynamics><DerivedVariable name="v" exposure="v" dimension="none" value="four"/>'
        '</Dynamics></ComponentType><own id="cell"/>'
    )
    path = write_model(types)
    izhi_models.export(path, "neuroml", tmp_path / "out" / "LEMS_m.xml")
    again = izhi_models.load(tmp_path / "out" / "LEMS_m.xml").dump("ir")
    assert "four = 4\n" in again
    assert again == izhi_models.load(path).dump("ir")
