"""A few of the planted faults; `scripts/mutations` plants all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import izhi_models
from tests.mutations.faults import FAULTS, Fault
from tests.mutations.model import write_models
from tests.mutations.plant import plant

CHOSEN = (
    "weights are dropped",
    "only the first assignment of a reset",
    "delays are a step longer",
    "an input is lost",
    "half a step of Euler",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


@pytest.mark.parametrize("rung", ["equations", "trajectory"])
def test_what_has_no_fault_holds(folder: Path, rung: str) -> None:
    outcome = plant(None, rung, "", write_models(folder), folder / "cache")
    assert outcome.verdict == "holds", outcome.told


@pytest.mark.parametrize(
    "fault", [item for item in FAULTS if item.name in CHOSEN], ids=lambda item: item.name
)
def test_a_fault_is_caught_by_its_rung(folder: Path, fault: Fault) -> None:
    outcome = plant(fault, fault.rung, fault.model, write_models(folder), folder / "cache")
    assert outcome.verdict == "fails", outcome.told


def test_every_fault_can_be_planted() -> None:
    package = Path(izhi_models.__file__).parent
    for fault in FAULTS:
        assert (package / fault.file).read_text(encoding="utf-8").count(fault.old) == 1, fault.name
