from pathlib import Path

import pytest

from izhi_models.annarchy.build import Built
from izhi_models.annarchy.library import Library
from izhi_models.annarchy.program import Equation, Neuron, Program
from izhi_models.errors import BackendError


def test_library__not_loadable__says_so_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("IZHI_CACHE_DIR", str(tmp_path))
    neuron = Neuron("pop_0", (), (Equation("v_1", "v_1 = 1.0", False),), None, (), 3)
    built = Built(Program((neuron,)), "key", Path("key"), b"no library", 0.0, True)
    with pytest.raises(BackendError, match="cannot be loaded"):
        Library(built)
    assert [item.name for item in tmp_path.rglob("*")] == ["programs"]
