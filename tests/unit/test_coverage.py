"""The table of NeuroML's types, against the definitions themselves and models that break."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from izhi_models.cli import commands
from izhi_models.coverage import Coverage, cover, table, to_markdown
from izhi_models.lems.read import core_archive

README = Path(__file__).parents[2] / "README.md"
MARK = "<!-- izhi coverage --format markdown -->\n"


@pytest.fixture(scope="module")
def rows() -> dict[str, Coverage]:
    return {item.name: item for item in cover()}


def test_every_type_of_neuroml_is_there(rows):
    declared = set()
    with zipfile.ZipFile(core_archive()) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"NeuroML2CoreTypes/.*\.xml", name):
                text = re.sub(r"(?s)<!--.*?-->", "", archive.read(name).decode())
                declared |= set(re.findall(r"<ComponentType\s+name=\"([^\"]+)\"", text))
    assert rows.keys() == declared


def test_what_is_abstract_is_what_nobody_can_write(rows):
    # The names of NeuroML's bases begin so, but for these, which its descriptions call bases.
    others = {"gate", "KSState", "KSTransition", "concentrationModel", "point3DWithDiam"}
    abstract = {name for name, item in rows.items() if item.status == "abstract"}
    assert abstract == others | {name for name in rows if name.startswith("base")}
    assert "unknown" not in {item.status for item in rows.values()}


def test_approximations_and_refusals_say_how_and_what_instead(rows):
    assert rows["stdpSynapse"].status == "approximated"
    assert "does not learn" in rows["stdpSynapse"].notes[0]
    assert rows["explicitConnection"].status == "refused"
    assert "synapticConnection" in rows["explicitConnection"].notes[0]
    assert rows["channelPopulation"].status == "supported"
    assert "write a channelDensity" in rows["channelPopulation"].notes[0]
    for item in rows.values():
        assert bool(item.notes) or item.status not in ("approximated", "refused"), item.name


def test_a_type_whose_model_breaks_is_refused_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / "refused").mkdir()
    broken = shutil.copy(Path(table._FOLDER) / "simulation.xml", tmp_path)
    text = Path(broken).read_text()
    Path(broken).write_text(text.replace('cells[0]/v"/>', 'cells[0]/w"/>'))
    monkeypatch.setattr(table, "_FOLDER", tmp_path)
    found = {item.name: item for item in cover()}
    assert found["OutputColumn"].status == "refused"
    assert "has no variable 'w'" in found["OutputColumn"].notes[0]


def test_readme_has_what_the_command_prints(rows):
    text = README.read_text()
    assert text.count(MARK) == 1
    assert text.split(MARK)[1].startswith(to_markdown(list(rows.values())))


def test_command__json_and_text__have_every_type(rows):
    printed = CliRunner().invoke(commands, ["coverage", "--format", "json"])
    assert printed.exit_code == 0
    found = json.loads(printed.stdout)
    assert [item["name"] for item in found] == list(rows)
    assert {item["status"] for item in found} == {item.status for item in rows.values()}
    shown = CliRunner().invoke(commands, ["coverage"], env={"COLUMNS": "200"})
    assert all(name in shown.stdout for name in rows)
