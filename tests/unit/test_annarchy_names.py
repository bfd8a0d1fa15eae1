from pathlib import Path

import pytest

from izhi_models.annarchy.build import annarchy_folder
from izhi_models.annarchy.names import Identifiers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("v", "v"),
        ("synapses/tauDecay", "synapses_tauDecay"),
        ("size", "size_"),  # a member of ANNarchy's classes
        ("volatile", "volatile_"),  # C++
        ("lambda", "lambda_"),  # Python
        ("EOF", "EOF_"),  # a macro
        ("g_Na", "gNa"),  # ANNarchy's sums of inputs start like this
        ("2nd", "x2nd"),
        ("''); import os #", "import_os"),
        ("µ", "x_"),
        ("", "x_"),
    ],
)
def test_an_identifier_resembles_the_name_and_is_no_foreign_word(name: str, expected: str):
    found = Identifiers(annarchy_folder()).make(name)
    assert found == expected
    assert found.isidentifier() and found.isascii()


def test_identifiers_differ_and_none_is_the_derivative_of_another():
    identifiers = Identifiers(annarchy_folder(), ["s_1"])
    found = [identifiers.make(name) for name in ("s_1", "u/x", "u_x", "du", "u", "q_z", "dq_z")]
    assert len({*found, "s_1"}) == 8
    assert not {f"d{name}" for name in found} & set(found)


def test_words_are_those_of_the_package(tmp_path: Path):
    for folder in ("generator", "parser", "include", "intern", "core"):
        (tmp_path / folder).mkdir()
    for name in ("Population.py", "Projection.py"):
        (tmp_path / "core" / name).write_text("own_word = 1")
    assert Identifiers(tmp_path).make("own_word") == "own_word_"
    assert Identifiers(tmp_path).make("size") == "size"
