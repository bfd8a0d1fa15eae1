"""Results written for other tools, read back by the readers that these come with."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import izhi_models
from izhi_models.cli import commands
from izhi_models.errors import BackendError, InputError
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.units import VOLTAGE
from tests.conftest import WriteModel

STEPS = np.array([0.0, 1e-4, 2e-4])  # [s]
VALUES = np.array([[-0.065, -0.07], [-0.06, -0.071], [0.03, -0.072]])  # [V]


@pytest.fixture
def results() -> Results:
    spikes = {
        "E": SpikeTrains(np.array([1e-4, 1e-4, 2e-4]), np.array([2, 0, 2]), 3, 3e-4),
        "I": SpikeTrains(np.array([]), np.array([], dtype=np.int32), 1, 3e-4),
    }
    trace = Trace("E", "v", VOLTAGE, np.array([0, 2]), STEPS, VALUES)
    return Results(3e-4, 1e-4, spikes, (trace,), provenance={"seed": 5})


def test_sonata__read_by_libsonata(results: Results, tmp_path: Path) -> None:
    libsonata = pytest.importorskip("libsonata", reason="libsonata is not installed")
    (path,) = izhi_models.export(results, "sonata", tmp_path / "out" / "s.h5")
    reader = libsonata.SpikeReader(str(path))
    assert set(reader.get_population_names()) == {"E", "I"}
    assert reader["E"].sorting == "by_time"
    assert reader["E"].time_units == "ms"
    cells, times = zip(*reader["E"].get(), strict=True)
    assert sorted(zip(times, cells, strict=True)) == [(0.1, 0), (0.1, 2), (0.2, 2)]
    assert reader["I"].get() == []


def test_sonata__is_laid_out_as_the_guide_says(results: Results, tmp_path: Path) -> None:
    (path,) = izhi_models.export(results, "sonata", tmp_path / "s.h5")
    with h5py.File(path) as file:
        assert file.attrs["magic"] == 0x0A7A
        assert file["spikes/E/timestamps"].attrs["units"] == "ms"
        assert file["spikes/E/node_ids"].dtype == np.uint64


def test_neo__read_by_neo(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("nixio", reason="nixio is not installed")
    from neo.io import NixIO

    (path,) = izhi_models.export(results, "neo", tmp_path / "s.nix")
    with NixIO(str(path), "ro") as file:
        (segment,) = file.read_block().segments
    trains = {train.name: train for train in segment.spiketrains}
    assert set(trains) == {"E[0]", "E[1]", "E[2]", "I[0]"}
    np.testing.assert_allclose(trains["E[2]"].rescale("s").magnitude, [1e-4, 2e-4], rtol=1e-12)
    (signal,) = segment.analogsignals
    np.testing.assert_allclose(signal.rescale("V").magnitude, VALUES, rtol=1e-12)  # by units


def test_nwb__read_by_pynwb(results: Results, tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed")
    (path,) = izhi_models.export(results, "nwb", tmp_path / "s.nwb")
    with pynwb.NWBHDF5IO(str(path), "r") as file:
        found = file.read()
        units = found.units.to_dataframe()
        series = found.acquisition["E_v"]
        assert series.unit == "V"
        np.testing.assert_array_equal(series.data[:], VALUES)
        np.testing.assert_array_equal(series.timestamps[:], STEPS)
    assert list(zip(units["population"], units["cell"], strict=True)) == [
        ("E", 0), ("E", 1), ("E", 2), ("I", 0),
    ]  # fmt: skip
    np.testing.assert_array_equal(units["spike_times"][2], [1e-4, 2e-4])
    assert len(units["spike_times"][1]) == 0


def test_export_command__results__are_written_under_the_name_of_their_folder(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    results.save(tmp_path / "run" / "results.h5")
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(commands, ["export", "run", "--to", "sonata"])
    assert told.exit_code == 0, told.output
    assert told.output == "wrote run_spikes.h5\n"
    with h5py.File(tmp_path / "run_spikes.h5") as file:
        np.testing.assert_array_equal(file["spikes/E/node_ids"][:], [2, 0, 2])


def test_export__model_as_results__is_refused(tmp_path: Path, write_model: WriteModel) -> None:
    with pytest.raises(InputError, match="holds no results"):
        izhi_models.export(write_model(), "sonata", tmp_path / "s.h5")
    with pytest.raises(InputError, match="a format of results, not of models"):
        izhi_models.export(izhi_models.load(write_model()), "nwb", tmp_path / "s.nwb")
    assert not (tmp_path / "s.h5").exists()


def test_export__results_as_a_model__are_refused(results: Results) -> None:
    with pytest.raises(InputError, match="results are no model for 'brian2'"):
        izhi_models.export(results, "brian2", "x.py")


def test_export__missing_package__is_named(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynwb", None)
    with pytest.raises(BackendError, match=r"pynwb is not installed\n.*with \[nwb\]"):
        izhi_models.export(results, "nwb", tmp_path / "s.nwb")
    assert not list(tmp_path.iterdir())
