"""NeuroML's examples and the models of the package, exported: the same to all who read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import UnsupportedError
from izhi_models.execute import Settings, execute
from izhi_models.lems.read import core_archive
from izhi_models.library import models_folder
from izhi_models.pipeline import Model, load
from izhi_models.results import Results
from tests.conformance.reference import (
    LEMS,
    extract_examples,
    java,
    run_jneuroml,
)
from tests.round_trip import assert_same, assert_same_results

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


HELD = "LEMS_NML2_Ex17_Tissue"  # its network is in a component of the user


def test_exports_send_the_same_spikes_bit_for_bit(
    exported: dict[Path, Path], tmp_path: Path
) -> None:
    for path, written in exported.items():
        model = load(path)
        direct = simulated(model)
        copies = [written]
        if path.stem == HELD:
            with pytest.raises(UnsupportedError, match="all that HDF5 holds"):
                izhi_models.export(model, "neuroml-hdf5", tmp_path / path.name)
        else:
            copies.append(izhi_models.export(model, "neuroml-hdf5", tmp_path / path.name)[0])
        kept = izhi_models.export(model, "neuroml", tmp_path / "k" / path.name, keep_rules=True)
        for copy in (*copies, kept[0]):
            assert_same_results(simulated(load(copy)), direct)


def simulated(model: Model) -> Results:
    run = model.compile()
    try:
        return run.simulate()
    finally:
        run.close()


def test_jneuroml_finds_no_fault_in_any_document(exported: dict[Path, Path]) -> None:
    documents = sorted({path.parent for path in exported.values()}.pop().glob("*.nml"))
    assert len(documents) == len(exported)
    command = [java(), "-jar", core_archive(), "-validate", *documents]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Validated {len(documents)} files: All valid and no warnings" in done.stdout


# One of each: lists of connections, instances, channels, what holds a network, gap junctions.
@pytest.mark.parametrize(
    "name", ["Ex12_Net2", "Ex13_Instances", "Ex10_Q10", "Ex17_Tissue", "Ex19_GapJunctions"]
)
def test_jneuroml_runs_an_export_as_the_original(exported: dict[Path, Path], name: str) -> None:
    path = next(item for item in exported if item.stem == f"LEMS_NML2_{name}")
    runs = [run_jneuroml(item) for item in (path, exported[path])]
    assert runs[0].traces
    for key, trace in runs[0].traces.items():
        np.testing.assert_array_equal(runs[1].traces[key], trace)
    for key, times in runs[0].spikes.items():
        np.testing.assert_array_equal(runs[1].spikes[key], times)


@pytest.mark.parametrize("target", ["neuroml", "neuroml-hdf5"])
def test_results_are_exported_as_the_model_that_gave_them(tmp_path: Path, target: str) -> None:
    settings = Settings(
        tmp_path / "run",
        "200 ms",
        dt="0.5 ms",
        seed=5,
        plot=False,
        record=("E[0:2]/v",),
        set={"E/size": "80", "I/size": "20", "excitatory/noise": "6"},
    )
    first = execute("pulse_coupled", settings).results
    written = izhi_models.export(tmp_path / "run", target, tmp_path / "LEMS_net.xml")
    again = load(written[0]).compile().simulate()
    assert (again.duration_s, again.dt_s) == (0.2, 0.5e-3)
    assert first.spikes["E"].count > 0
    assert_same_results(again, first)


def test_a_network_of_rules_sends_the_same_spikes_from_its_export(tmp_path: Path) -> None:
    model = load("pulse_coupled", set={"E/size": "80", "I/size": "20"})
    written = izhi_models.export(model, "neuroml", tmp_path / "LEMS_net.xml", seed=3)
    direct = model.compile(seed=3).simulate("200 ms")
    again = load(written[0]).compile().simulate("200 ms")
    assert all(trains.count > 0 for trains in direct.spikes.values())
    assert_same_results(again, direct)
