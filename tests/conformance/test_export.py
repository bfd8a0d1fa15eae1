"""NeuroML's examples and the models of the package, exported: the same to all who read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.execute import Settings, execute
from izhi_models.lems.read import core_archive
from izhi_models.library import models_folder
from izhi_models.pipeline import load
from tests.conformance.reference import (
    LEMS,
    extract_examples,
    java,
    run_jneuroml,
)
from tests.round_trip import assert_same

OWN = sorted((models_folder() / "simulations").glob("*.xml"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """Return the exports of all examples and models, by what they were made from."""
    folder = tmp_path_factory.mktemp("export")
    examples = sorted(extract_examples(folder).glob("LEMS_*.xml"))
    assert len(examples) == 31, LEMS
    return {
        path: izhi_models.export(path, "neuroml", folder / "out" / path.name)[0]
        for path in (*examples, *OWN)
    }


def test_exports_are_read_as_what_they_were_made_from(exported: dict[Path, Path]) -> None:
    # Equal networks become equal programs with equal numbers, so they send equal spikes.
    for path, written in exported.items():
        assert_same(load(written), load(path))


def test_jneuroml_finds_no_fault_in_any_document(exported: dict[Path, Path]) -> None:
    documents = sorted({path.parent for path in exported.values()}.pop().glob("*.nml"))
    assert len(documents) == len(exported)
    command = [java(), "-jar", core_archive(), "-validate", *documents]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Validated {len(documents)} files: All valid and no warnings" in done.stdout


# One of each: lists of connections, instances, types of users, PyNN's cells, gap junctions.
@pytest.mark.parametrize("name", ["Ex12_Net2", "Ex13_Instances", "Ex10_Q10", "Ex19_GapJunctions"])
def test_jneuroml_runs_an_export_as_the_original(exported: dict[Path, Path], name: str) -> None:
    path = next(item for item in exported if item.stem == f"LEMS_NML2_{name}")
    runs = [run_jneuroml(item) for item in (path, exported[path])]
    for key, trace in runs[0].traces.items():
        np.testing.assert_array_equal(runs[1].traces[key], trace)
    for key, times in runs[0].spikes.items():
        np.testing.assert_array_equal(runs[1].spikes[key], times)


def test_results_are_exported_as_the_model_that_gave_them(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path / "run", "200 ms", seed=5, plot=False, set={"E/size": "80", "I/size": "20"}
    )
    first = execute("pulse_coupled", settings).results
    (written,) = izhi_models.export(tmp_path / "run", "neuroml", tmp_path / "LEMS_net.xml")
    again = load(written).compile().simulate()
    assert again.duration_s == 0.2
    for name, trains in first.spikes.items():
        np.testing.assert_array_equal(again.spikes[name].times_s, trains.times_s)
        np.testing.assert_array_equal(again.spikes[name].indices, trains.indices)


def test_a_network_of_rules_sends_the_same_spikes_from_its_export(tmp_path: Path) -> None:
    model = load("pulse_coupled", set={"E/size": "80", "I/size": "20"})
    written = izhi_models.export(model, "neuroml", tmp_path / "LEMS_net.xml", seed=3)
    direct = model.compile(seed=3).simulate("200 ms")
    again = load(written[0]).compile().simulate("200 ms")
    for name, trains in direct.spikes.items():
        assert trains.count > 0
        np.testing.assert_array_equal(again.spikes[name].times_s, trains.times_s)
        np.testing.assert_array_equal(again.spikes[name].indices, trains.indices)
