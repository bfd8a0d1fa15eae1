"""The faults that the tests of `izhi check` plant."""

from __future__ import annotations

from pathlib import Path

import pytest

import izhi_models
from tests.mutations.faults import FAULTS, Fault

PACKAGE = Path(izhi_models.__file__).parent


@pytest.mark.parametrize("fault", FAULTS, ids=lambda item: item.name)
def test_each_fault_has_one_place(fault: Fault) -> None:
    assert (PACKAGE / fault.file).read_text(encoding="utf-8").count(fault.old) == 1
