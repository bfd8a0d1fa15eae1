import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import quantities as pq

from izhi_models.errors import InputError, InternalError
from izhi_models.results import Collector, Part, Plan, Raster, Results, SpikeTrains, Trace
from izhi_models.results.hdf5 import writing
from izhi_models.results.parts import plan_of
from izhi_models.units import _DISPLAY, CURRENT, NONE, VOLTAGE, Dimension, display_unit

TIMES = np.array([0.0, 0.0001, 0.0002, 0.0003])  # [s]
VOLTS = np.array([[-0.065, -0.07], [-0.06, -0.071], [-0.055, -0.072], [-0.05, -0.073]])
AMPERES = np.array([[0.0], [1e-11], [1e-11], [0.0]])


@pytest.fixture
def results() -> Results:
    spikes = {
        "pop": SpikeTrains(np.array([0.1, 0.2, 0.3]), np.array([0, 2, 2]), 4, 0.5),
        "silent": SpikeTrains(np.empty(0), np.empty(0, dtype=np.int32), 2, 0.5),
    }
    traces = [
        Trace("pop", "v", VOLTAGE, np.array([0, 5]), TIMES, VOLTS),
        Trace("pop", "i0/I", CURRENT, np.array([0]), TIMES, AMPERES),
        Trace("other", "v", VOLTAGE, np.array([3]), TIMES, VOLTS[:, :1].astype(np.float32)),
        Trace("", "temperature", Dimension(k=1), np.array([0]), TIMES, np.full((4, 1), 305.0)),
    ]
    return Results(
        0.5, 0.0001, spikes, traces, {"pop": "izh"}, {"seed": 7, "files": {"a.nml": "00ff"}}
    )


# Paths


def test_path_of_a_cell_gives_its_column_in_mv_over_ms(results):
    table = results["pop[5]/v"]
    assert table.dims == ("time",)
    assert table.attrs == {"units": "mV", "long_name": "pop[5]/v"}
    assert table.time.attrs["units"] == "ms"
    np.testing.assert_allclose(table.values, [-70, -71, -72, -73], rtol=1e-15)  # one rounding
    assert int(table.cell) == 5


def test_times_are_found_as_they_are_written(results):
    # 0.0003 s / 1 ms is 0.3 only after rounding.
    assert float(results["pop[0]/v"].sel(time=0.3)) == pytest.approx(-50, rel=1e-15)


def test_path_without_an_index_gives_all_recorded_cells(results):
    table = results["pop/v"]
    assert table.dims == ("time", "cell")
    assert table.cell.values.tolist() == [0, 5]
    assert float(table.sel(cell=5).isel(time=1)) == pytest.approx(-71, rel=1e-15)


def test_path_below_a_cell_names_an_attached_input(results):
    table = results["pop[0]/i0/I"]
    assert table.attrs["units"] == "pA"
    np.testing.assert_allclose(table.values, [0, 10, 10, 0], rtol=1e-15)


def test_path_of_a_population_list_names_the_component(results):
    np.testing.assert_array_equal(results.si("pop/5/izh/v"), VOLTS[:, 1])
    np.testing.assert_array_equal(results.si("pop/0/izh/i0/I"), AMPERES[:, 0])


def test_quantity_of_the_network_has_no_cell(results):
    table = results["temperature"]
    assert table.dims == ("time",)
    assert table.attrs["units"] == "K"
    assert results.si("temperature").shape == (4,)


def test_si_values_are_those_recorded_without_a_copy(results):
    assert np.shares_memory(results.si("pop[5]/v"), VOLTS)
    np.testing.assert_array_equal(results.si("pop[5]/v"), VOLTS[:, 1])
    np.testing.assert_array_equal(results.si("pop/v"), VOLTS)


def test_single_precision_stays_single(results):
    assert results.si("other[3]/v").dtype == np.float32
    assert results["other[3]/v"].dtype == np.float32


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("pop1[0]/v", "did you mean 'pop[0]/v'"),
        ("pop[0]/V", "did you mean 'pop[0]/v'"),
        ("pop[1]/v", "'pop/v' was recorded for the cells 0, 5"),
        ("pop[99999999999999999999999]/v", "known here: other/v, pop/i0/I, pop/v, temperature"),
        ("pop/0/wrong/v", "known here: other/v, pop/i0/I, pop/v, temperature"),
        ("pop[0]", "did you mean 'pop[0]/v'"),
        ("", "known here: other/v, pop/i0/I, pop/v, temperature"),
        ("pop[0]/v/", "did you mean 'pop[0]/v'"),
    ],
)
def test_unknown_path_is_refused_with_what_was_meant(results, path, hint):
    with pytest.raises(InputError) as caught:
        results[path]
    assert f"'{path}' was not recorded" in str(caught.value) and hint in str(caught.value)


def test_trace_of_one_refuses_several_cells(results):
    with pytest.raises(InputError, match=r"write one cell: pop\[0\]/v"):
        results.trace_of_one("pop/v")


@pytest.mark.parametrize("path", ["pop[2]", "pop/2/izh"])
def test_cell_of_spikes(results, path):
    assert results.cell(path) == ("pop", 2)


@pytest.mark.parametrize("path", ["pop[4]", "pop", "pop[0]/v", "pop/0/other", "popp[0]", "nope[0]"])
def test_no_cell_of_spikes(results, path):
    with pytest.raises(InputError):
        results.cell(path)


# Spikes


def test_spikes_of_one_neuron_are_in_order(results):
    assert results.spikes["pop"].of(2).tolist() == [0.2, 0.3]
    assert results.spikes["pop"].of(1).tolist() == []


def test_rate_counts_silent_neurons(results):
    # 3 spikes of 4 neurons in 0.5 s
    assert results.spikes["pop"].count == 3
    assert results.spikes["pop"].rate_hz == 1.5
    assert results.spikes["silent"].rate_hz == 0.0
    assert SpikeTrains(np.empty(0), np.empty(0, int), 3, 0.0).rate_hz == 0.0


@pytest.mark.parametrize("index", [-1, 4])
def test_spikes_of_no_neuron(results, index):
    with pytest.raises(InputError, match="the population has 4"):
        results.spikes["pop"].of(index)


# Our own faults


def test_shapes_that_do_not_fit_are_our_fault():
    with pytest.raises(InternalError, match="pop/v"):
        Trace("pop", "v", VOLTAGE, np.array([0]), TIMES, VOLTS)
    with pytest.raises(InternalError, match="no neuron"):
        Trace("pop", "v", VOLTAGE, np.empty(0, int), TIMES, np.empty((4, 0)))
    with pytest.raises(InternalError):
        SpikeTrains(np.zeros(2), np.zeros(3, int), 1, 1.0)
    trace = Trace("pop", "v", VOLTAGE, np.array([0, 5]), TIMES, VOLTS)
    with pytest.raises(InternalError, match="two traces"):
        Results(1.0, 1.0, traces=[trace, trace])


# Files


def assert_equal(first: Results, second: Results) -> None:
    assert (first.duration_s, first.dt_s) == (second.duration_s, second.dt_s)
    assert first.start_s == second.start_s
    assert dict(first.components) == dict(second.components)
    assert dict(first.provenance) == dict(second.provenance)
    assert list(first.spikes) == list(second.spikes)
    for population, trains in first.spikes.items():
        other = second.spikes[population]
        np.testing.assert_array_equal(trains.times_s, other.times_s)
        np.testing.assert_array_equal(trains.indices, other.indices)
        assert (trains.n_neurons, trains.duration_s) == (other.n_neurons, other.duration_s)
    assert [trace.path for trace in first.traces] == [trace.path for trace in second.traces]
    for trace, other in zip(first.traces, second.traces, strict=True):
        assert (trace.population, trace.variable) == (other.population, other.variable)
        assert trace.dimension == other.dimension
        assert trace.values.dtype == other.values.dtype
        for name in ("indices", "times", "values"):
            np.testing.assert_array_equal(getattr(trace, name), getattr(other, name))


def test_saved_results_load_back_equal(results, tmp_path):
    results.save(tmp_path / "new" / "r.h5")
    assert_equal(Results.load(tmp_path / "new" / "r.h5"), results)


def test_empty_results_load_back_equal(tmp_path):
    trace = Trace("p", "v", VOLTAGE, np.array([0, 1]), np.empty(0), np.empty((0, 2)))
    empty = Results(0.0, 1e-4, {"p": SpikeTrains(np.empty(0), np.empty(0, int), 0, 0.0)}, [trace])
    empty.save(tmp_path / "r.h5")
    assert_equal(Results.load(tmp_path / "r.h5"), empty)


def test_names_that_hdf5_reads_as_places_are_kept(tmp_path):
    names = [".", "..", "a/b", "50%", "ä ö", "a%2Fb"]
    odd = Results(
        1.0,
        1e-4,
        {name: SpikeTrains(np.array([0.1]), np.array([0]), 1, 1.0) for name in names},
        [Trace(name, "x", NONE, np.array([0]), TIMES, AMPERES) for name in names],
    )
    odd.save(tmp_path / "r.h5")
    assert_equal(Results.load(tmp_path / "r.h5"), odd)


def test_long_provenance_is_kept(tmp_path):
    # More than the 64 kB that an HDF5 attribute holds.
    long = Results(1.0, 1e-4, provenance={"files": {f"{i}.nml": "f" * 64 for i in range(2000)}})
    long.save(tmp_path / "r.h5")
    assert Results.load(tmp_path / "r.h5").provenance == long.provenance


def test_file_says_what_it_holds(results, tmp_path):
    results.save(tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5") as file:
        assert file.attrs["dt_s"] == 0.0001
        assert file["traces/pop%2Fv/values"].attrs["units"] == "V"
        assert file["traces/pop%2Fi0%2FI/values"].attrs["units"] == "A"
        assert file["traces/pop%2Fv/times"].attrs["units"] == "s"
        assert file["spikes/pop"].attrs["n_neurons"] == 4
        np.testing.assert_array_equal(file["spikes/pop/times"], [0.1, 0.2, 0.3])


def test_common_times_are_stored_once_and_shared_again(results, tmp_path):
    results.save(tmp_path / "r.h5")
    loaded = Results.load(tmp_path / "r.h5")
    assert loaded.trace("pop/v").times is loaded.trace("other/v").times


def test_rows_can_be_appended_to_a_file(results, tmp_path):
    results.save(tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "a") as file:
        for name in ("traces/pop%2Fv/values", "traces/pop%2Fv/times", "spikes/pop/times"):
            size = file[name].shape[0]
            file[name].resize(size + 10, axis=0)
            assert file[name].shape[0] == size + 10


def test_failed_save_leaves_the_old_file_and_nothing_else(results, tmp_path):
    path = tmp_path / "r.h5"
    path.write_text("old")
    broken = Results(1.0, 1e-4, spikes={"pop": None})
    with pytest.raises(AttributeError):
        broken.save(path)
    assert [item.name for item in tmp_path.iterdir()] == ["r.h5"]
    assert path.read_text() == "old"


def test_save_where_a_file_is_in_the_way(results, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        results.save(tmp_path / "file" / "r.h5")


def test_load_of_other_files_is_refused(tmp_path):
    path = tmp_path / "r.h5"
    with pytest.raises(InputError, match="there is no file"):
        Results.load(path)
    path.write_text("<neuroml/>")
    with pytest.raises(InputError, match="cannot be read as results"):
        Results.load(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="holds no results"):
        Results.load(path)


def test_load_of_a_newer_or_damaged_file_is_refused(results, tmp_path):
    path = tmp_path / "r.h5"
    results.save(path)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(InputError, match="update izhi-models"):
        Results.load(path)
    results.save(path)
    with h5py.File(path, "a") as file:
        del file["traces/pop%2Fv/values"]
    with pytest.raises(InputError, match="cannot be read as results"):
        Results.load(path)


def test_only_the_part_of_a_file_that_is_asked_for_is_read(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    times, values = np.arange(4000) * 1e-4, rng.standard_normal((4000, 500))
    trace = Trace("pop", "v", VOLTAGE, np.arange(500), times, values)
    Results(0.4, 1e-4, traces=[trace]).save(tmp_path / "r.h5")
    loaded = Results.load(tmp_path / "r.h5")
    read = []
    original = h5py.Dataset.__getitem__

    def counted(self, key, *rest):
        found = original(self, key, *rest)
        read.append(np.size(found))
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    table = loaded["pop/v"]
    assert table.shape == (4000, 500)
    assert sum(read) == 4000  # the times
    some = table.sel(time=slice(100, 150), cell=[7, 30])
    np.testing.assert_array_equal(some, values[1000:1501][:, [7, 30]] / 1e-3)
    np.testing.assert_array_equal(table.isel(time=-1, cell=-1), values[-1, -1] / 1e-3)
    np.testing.assert_array_equal(loaded.trace("pop[499]/v").values[5:7], values[5:7, 499:])
    np.testing.assert_array_equal(loaded["pop[3]/v"][::10], values[::10, 3] / 1e-3)
    # The first asked for a span of cells; the last may have read one column.
    assert sum(read) < 4000 + 501 * 24 + 1 + 2 + 4000 + 10
    np.testing.assert_array_equal(loaded["pop/v"], values / 1e-3)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_file_written_in_parts_is_that_written_at_once(tmp_path, size):
    at_once, in_parts = tmp_path / "1.h5", tmp_path / "2.h5"
    n_rows, cells = 2 * 2**16 + 11, np.arange(3)
    times, values = np.arange(n_rows) * 1e-4, np.arange(3.0 * n_rows).reshape(-1, 3)
    spikes = SpikeTrains(times[::5], np.arange(times[::5].size) % 3, 3, 1.0)
    whole = Results(
        13.0, 1e-4, {"p": spikes}, [Trace("p", "v", VOLTAGE, cells, times, values)], {"p": "c"}
    )
    whole.save(at_once)
    plan, _ = plan_of(whole)
    with writing(in_parts, plan, {}) as add:
        for rows in np.array_split(np.arange(n_rows), size):
            part = slice(rows[0], rows[-1] + 1)
            own = slice(-(-rows[0] // 5), rows[-1] // 5 + 1)
            some = (spikes.times_s[own], spikes.indices[own])
            add(Part((times[part],), (values[part],), {0: some}))
    assert_equal(Results.load(in_parts), whole)
    assert_equal(Results.load(at_once), whole)


def test_spikes_of_several_populations_are_told_apart():
    raster = Raster(("a", "", "b"), np.array([0, 2, 5], dtype=np.int32))
    times, cells = np.array([0.1, 0.1, 0.2, 0.3, 0.3]), np.array([1, 5, 3, 0, 6], dtype=np.int32)
    plan = Plan(1.0, 0.1, spikes={"b": (2, 1.0), "a": (2, 1.0)}, rasters=(raster,))
    collector = Collector(plan)
    for part in (slice(0, 2), slice(2, 5)):
        collector.add(Part((), (), {0: (times[part], cells[part])}))
    found = collector.results({}).spikes
    assert list(found) == ["b", "a"]
    assert [item.times_s.tolist() for item in found.values()] == [[0.1, 0.3], [0.1, 0.3]]
    assert [item.indices.tolist() for item in found.values()] == [[0, 1], [1, 0]]
    with pytest.raises(InternalError, match="order of time"):
        list(raster.split(times[::-1], cells))


def test_path_recorded_at_different_times_gives_the_finest_of_a_cell(tmp_path):
    traces = [
        Trace("pop", "v", VOLTAGE, np.arange(2), TIMES[::2], VOLTS[::2]),
        Trace("pop", "v", VOLTAGE, np.array([1]), TIMES, VOLTS[:, 1:]),
    ]
    both = Results(0.5, 0.0001, traces=traces)
    both.save(tmp_path / "r.h5")
    for found in (both, Results.load(tmp_path / "r.h5")):
        assert found["pop/v"].shape == (2, 2)
        np.testing.assert_array_equal(found.si("pop[0]/v"), VOLTS[::2, 0])
        np.testing.assert_array_equal(found.si("pop[1]/v"), VOLTS[:, 1])
        assert found["pop/v@0.1 ms"].shape == (4, 1)
        np.testing.assert_array_equal(found.si("pop[1]/v@200us"), VOLTS[::2, 1])
        with pytest.raises(
            InputError, match=r"not recorded every 1ms\n  it was every 0.1 ms, 0.2 ms"
        ):
            found["pop/v@1ms"]
        with pytest.raises(InputError, match="unknown unit 'mV'"):
            found["pop/v@1mV"]
        with pytest.raises(InputError, match="'3' is no time"):
            found["pop/v@3"]
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["traces/pop%2Fv/values"].shape == (2, 2)
        assert file["traces/pop%2Fv@2/values"].shape == (4, 1)


def test_path_with_a_period_gives_what_hides_behind_the_trace_of_every_step(tmp_path):
    traces = [
        Trace("pop", "v", VOLTAGE, np.array([1]), TIMES, VOLTS[:, 1:]),
        Trace("pop", "v", VOLTAGE, np.array([1]), TIMES[::2], VOLTS[::2, 1:]),
    ]
    found = Results(0.5, 0.0001, traces=traces)
    assert found["pop/v"].shape == (4, 1)
    assert found["pop/v@0.2ms"].shape == (2, 1)
    assert found["pop[1]/v@0.2ms"].time.values.tolist() == [0.0, 0.2]


def test_many_spikes_take_no_objects(tmp_path):
    count = 5_000_000
    times = np.arange(count) * 1e-5
    indices = np.arange(count, dtype=np.int32) % 1000
    Results(50.0, 1e-5, {"pop": SpikeTrains(times, indices, 1000, 50.0)}).save(tmp_path / "r.h5")
    loaded = Results.load(tmp_path / "r.h5").spikes["pop"]
    tracemalloc.start()
    assert loaded.count == count
    assert loaded.rate_hz == count / 1000 / 50.0
    assert sum(block.size for block, _ in loaded.blocks()) == count
    _, peak = tracemalloc.get_traced_memory()
    np.testing.assert_array_equal(loaded.of(999), times[999::1000])
    _, sorted_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A block has 2**20 times and neurons of 12 bytes; the one before is there while it is read.
    assert peak < 3 * 12 * 2**20
    # Sorting has times and neurons, both once more in order, and the order: 40 bytes of each.
    assert sorted_peak < 48 * count


def test_results_in_a_file_that_is_replaced_stay_as_they_were(results, tmp_path):
    results.save(tmp_path / "r.h5")
    loaded = Results.load(tmp_path / "r.h5")
    Results(1.0, 1e-4).save(tmp_path / "r.h5")
    assert_equal(loaded, results)


# Neo


def test_neo_block_has_a_train_per_neuron_and_a_signal_per_trace(results):
    segment = results.to_neo().segments[0]
    assert len(segment.spiketrains) == 6
    train = segment.spiketrains[2]
    assert (train.annotations["population"], train.annotations["index"]) == ("pop", 2)
    np.testing.assert_allclose(train.rescale("s").magnitude, [0.2, 0.3], rtol=1e-15)
    assert train.t_stop == 500 * pq.ms
    signal = segment.analogsignals[0]
    assert signal.name == "pop/v"
    assert signal.units == pq.mV
    # The period is a difference of times divided by their number: a few roundings.
    assert float(signal.sampling_period.rescale("ms")) == pytest.approx(0.1, rel=1e-12)
    np.testing.assert_allclose(signal.rescale("V").magnitude, VOLTS, rtol=1e-15)
    assert signal.array_annotations["index"].tolist() == [0, 5]


def test_neo_block_carries_the_provenance(results):
    assert results.to_neo().annotations["provenance"]["seed"] == 7
    odd = Results(1.0, 1e-4, provenance={"file": Path("a.nml")})
    assert odd.to_neo().annotations["provenance"] == {"file": "a.nml"}


def test_neo_accepts_a_spike_at_the_rounded_end():
    late = 0.1 * 3  # 0.30000000000000004
    trains = SpikeTrains(np.array([late]), np.array([0]), 1, 0.3)
    block = Results(0.3, 0.1, {"pop": trains}).to_neo()
    assert len(block.segments[0].spiketrains[0]) == 1


def test_continued_simulation_keeps_its_start(tmp_path):
    trains = SpikeTrains(np.array([1.1, 1.4]), np.array([0, 0]), 1, 0.5)
    trace = Trace("pop", "v", VOLTAGE, np.array([0]), 1.0 + TIMES, np.zeros((4, 1)))
    later = Results(0.5, 0.0001, {"pop": trains}, [trace], start_s=1.0)
    later.save(tmp_path / "r.h5")
    segment = Results.load(tmp_path / "r.h5").to_neo().segments[0]
    for part in (segment.spiketrains[0], segment.analogsignals[0]):
        assert part.t_start == 1000 * pq.ms
    assert segment.spiketrains[0].t_stop == 1500 * pq.ms


def test_neo_signal_of_uneven_times_is_irregular():
    times = np.array([0.0, 0.1, 0.5])
    trace = Trace("pop", "v", VOLTAGE, np.array([0]), times, np.zeros((3, 1)))
    segment = Results(0.5, 0.1, traces=[trace]).to_neo().segments[0]
    assert not segment.analogsignals
    signal = segment.irregularlysampledsignals[0]
    np.testing.assert_allclose(signal.times.rescale("s").magnitude, times, rtol=1e-15)


@pytest.mark.parametrize("dimension", [*_DISPLAY, Dimension(m=1, l=-3), Dimension(m=2, t=-1)])
def test_neo_units_are_those_shown(dimension):
    trace = Trace("pop", "x", dimension, np.array([0]), TIMES[:1], np.ones((1, 1)))
    signal = Results(1.0, 1.0, traces=[trace]).to_neo().segments[0].analogsignals[0]
    base = (pq.kg, pq.m, pq.s, pq.A, pq.K, pq.mol, pq.cd)
    si = pq.dimensionless
    for unit, exponent in zip(base, dimension, strict=True):
        si = si * unit**exponent
    # The table of units and the package quantities agree on the size of one unit.
    assert float(signal[0, 0].rescale(si)) == pytest.approx(1.0, rel=1e-12)
    assert float(signal[0, 0]) == pytest.approx(1 / display_unit(dimension)[1], rel=1e-12)


def test_heavy_packages_are_imported_only_when_used():
    code = (
        "import sys, izhi_models.results, izhi_models.plots, izhi_models.output;"
        "print([m for m in ('xarray', 'neo', 'h5py', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
