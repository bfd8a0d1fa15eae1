from pathlib import Path

import numpy as np
import pytest
from pyneuroml.utils.simdata import load_sim_data_from_lems_file

from izhi_models.errors import InputError, Source, Span
from izhi_models.output import (
    VALUES_PER_BLOCK,
    write_outputs,
    write_table,
)
from izhi_models.places import resolve_output, resolve_outputs
from izhi_models.results import Results, SpikeTrains, Trace, recorded
from izhi_models.simulation import EventOutputFile, OutputFile, Simulation
from izhi_models.units import VOLTAGE

TIMES = np.array([0.0, 5e-6, 1e-5])
VOLTS = np.array([[-0.065, -0.05], [-0.0649999, -0.07], [-0.06499967123456789, -0.07]])


@pytest.fixture
def results() -> Results:
    spikes = SpikeTrains(
        np.array([0.01, 0.02705, 0.02705, 0.03575]), np.array([2, 0, 1, 1]), 3, 0.1
    )
    trace = Trace("pop", "v", VOLTAGE, np.array([0, 1]), TIMES, VOLTS)
    return Results(1e-5, 5e-6, {"pop": spikes}, [trace], {"pop": "iaf"})


def simulation(*outputs: OutputFile | EventOutputFile) -> Simulation:
    return Simulation(
        "sim",
        1e-5,
        5e-6,
        "net",
        outputs=tuple(item for item in outputs if isinstance(item, OutputFile)),
        event_outputs=tuple(item for item in outputs if isinstance(item, EventOutputFile)),
    )


def table(name: str, *quantities: str, path: str = "") -> OutputFile:
    return OutputFile("of0", name, path, tuple((str(i), q) for i, q in enumerate(quantities)))


def events(name: str, form: str, *cells: tuple[str, str]) -> EventOutputFile:
    return EventOutputFile("ev0", name, "", form, tuple((i, cell, "spike") for i, cell in cells))


# Tables


def test_table_has_the_layout_of_the_reference_interpreter(results, tmp_path):
    # jNeuroML 0.14: time first, tabs, one after the last number too, first row the initial state.
    write_outputs(simulation(table("v.dat", "pop[0]/v", "pop/1/iaf/v")), results, tmp_path)
    lines = (tmp_path / "v.dat").read_bytes().decode("ascii").split("\n")
    assert lines[0] == "0\t-0.065\t-0.05\t"
    assert lines[1] == "5e-06\t-0.0649999\t-0.07\t"
    assert lines[2] == "1e-05\t-0.0649996712346\t-0.07\t"
    assert lines[3:] == [""]


def test_table_is_finer_than_single_precision(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.standard_normal(1000) * 10.0 ** rng.integers(-15, 6, 1000)
    write_table(tmp_path / "x.dat", np.arange(1000.0), [values])
    read = np.loadtxt(tmp_path / "x.dat")[:, 1]
    # 12 digits: half a unit of the last is at most 5e-12 of the number.
    np.testing.assert_allclose(read, values, rtol=5e-12, atol=0)


@pytest.mark.parametrize("n_rows", [0, 1, VALUES_PER_BLOCK // 3, VALUES_PER_BLOCK + 1])
def test_table_of_any_length_is_whole(tmp_path, n_rows):
    times = np.arange(n_rows) / 1024
    write_table(tmp_path / "x.dat", times, [times + 1, (times - 1).astype(np.float32)])
    read = np.array((tmp_path / "x.dat").read_text().split(), dtype=float).reshape(-1, 3)
    # Multiples of 1/1024 below 32 have at most 12 digits, so they come back as they were.
    np.testing.assert_array_equal(read, np.stack([times, times + 1, times - 1], axis=1))


def test_table_without_columns_has_the_times(results, tmp_path):
    # jNeuroML writes the times alone, too.
    write_outputs(simulation(table("t.dat")), results, tmp_path)
    assert (tmp_path / "t.dat").read_text() == "0\t\n5e-06\t\n1e-05\t\n"


def test_pyneuroml_reads_what_is_written(results, tmp_path):
    (tmp_path / "LEMS.xml").write_text(
        '<Lems><Simulation id="sim">'
        '<OutputFile id="of0" fileName="out/v.dat">'
        '<OutputColumn id="a" quantity="pop[0]/v"/><OutputColumn id="b" quantity="pop[1]/v"/>'
        "</OutputFile>"
        '<EventOutputFile id="ev0" fileName="out/s.spikes" format="TIME_ID">'
        '<EventSelection id="4" select="pop[1]"/></EventOutputFile>'
        "</Simulation></Lems>"
    )
    asked = simulation(
        table("out/v.dat", "pop[0]/v", "pop[1]/v"),
        events("out/s.spikes", "TIME_ID", ("4", "pop[1]")),
    )
    write_outputs(asked, results, tmp_path)
    traces, spikes = load_sim_data_from_lems_file(
        str(tmp_path / "LEMS.xml"), str(tmp_path), get_events=True, get_traces=True
    )
    np.testing.assert_allclose(traces["out/v.dat"]["pop[0]/v"], VOLTS[:, 0], rtol=5e-12)
    assert traces["out/v.dat"]["t"] == TIMES.tolist()
    assert spikes["out/s.spikes"]["pop[1]"] == [0.02705, 0.03575]


# Events


def test_events_are_in_order_of_time_then_of_the_file(results, tmp_path):
    cells = (("b", "pop[1]"), ("a", "pop/0/iaf"), ("c", "pop[2]"))
    asked = simulation(events("1.spikes", "TIME_ID", *cells), events("2.spikes", "ID_TIME", *cells))
    write_outputs(asked, results, tmp_path)
    first = "0.01\tc\n0.02705\tb\n0.02705\ta\n0.03575\tb\n"
    assert (tmp_path / "1.spikes").read_text() == first
    swapped = ["\t".join(reversed(line.split("\t"))) for line in first.splitlines()]
    assert (tmp_path / "2.spikes").read_text().splitlines() == swapped


def test_events_of_one_time_keep_the_order_of_the_file(tmp_path):
    times = np.repeat([0.1, 0.2], 500)
    spikes = SpikeTrains(times, np.tile(np.arange(500), 2), 500, 1.0)
    order = np.random.default_rng(1).permutation(500)
    asked = simulation(events("e", "ID_TIME", *((str(i), f"pop[{i}]") for i in order)))
    write_outputs(asked, Results(1.0, 1e-4, {"pop": spikes}), tmp_path)
    expected = [f"{i}\t{time}" for time in (0.1, 0.2) for i in order]
    assert (tmp_path / "e").read_text().splitlines() == expected


def test_events_of_many_blocks_are_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "BLOCK_SPIKES", 3)
    rng = np.random.default_rng(1)
    spikes = {
        name: SpikeTrains(np.sort(rng.integers(0, 9, 40)) / 8, rng.integers(0, 4, 40), 4, 1.0)
        for name in ("one", "two")
    }
    cells = [("two", 3), ("one", 0), ("two", 1), ("one", 0), ("one", 2)]
    asked = events("e", "ID_TIME", *((str(n), f"{pop}[{i}]") for n, (pop, i) in enumerate(cells)))
    write_outputs(simulation(asked), Results(1.0, 1 / 8, spikes), tmp_path)
    expected = sorted(
        (time, number) for number, (pop, i) in enumerate(cells) for time in spikes[pop].of(i)
    )
    assert len(expected) > 30
    lines = (tmp_path / "e").read_text().splitlines()
    assert lines == [f"{number}\t{time:.12g}" for time, number in expected]


def test_file_without_events_is_empty(results, tmp_path):
    write_outputs(simulation(events("e.spikes", "ID_TIME")), results, tmp_path)
    assert (tmp_path / "e.spikes").read_bytes() == b""


def test_percent_in_an_id_is_kept(results, tmp_path):
    write_outputs(simulation(events("e", "ID_TIME", ("%s%(x)d", "pop[2]"))), results, tmp_path)
    assert (tmp_path / "e").read_text() == "%s%(x)d\t0.01\n"


# Faults


def test_all_faults_at_once_and_nothing_written(results, tmp_path):
    asked = simulation(
        table("good.dat", "pop[0]/v"),
        table("bad.dat", "pop[0]/w", "pop[7]/v", "pop/v"),
        events("bad.spikes", "TIME", ("0", "pop[9]")),
    )
    with pytest.raises(InputError) as caught:
        write_outputs(asked, results, tmp_path)
    text = str(caught.value)
    for part in ("'pop[0]/w'", "'pop[7]/v'", "several cells", "format 'TIME'", "'pop[9]'"):
        assert part in text
    assert not list(tmp_path.iterdir())


def test_two_outputs_to_one_file_are_refused(results, tmp_path):
    asked = simulation(table("a/x.dat", "pop[0]/v"), events("x.dat", "ID_TIME"))
    write_outputs(asked, results, tmp_path / "differ")
    asked = simulation(table("x.dat", path="a"), events("a/./b/../x.dat", "ID_TIME"))
    with pytest.raises(InputError, match=r"the name 'a/x.dat' is taken\n.*'of0' writes it too"):
        write_outputs(asked, results, tmp_path)


def test_reserved_name_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'results.h5' is taken"):
        resolve_outputs(simulation(table("./results.h5")), tmp_path)


def test_fault_shows_its_place(tmp_path):
    text = '<OutputFile id="of0" fileName="/etc/x"/>'
    start = text.index("/etc")
    span = Span(Source(Path("LEMS.xml"), text), start, start + 6)
    asked = OutputFile("of0", "/etc/x", "", (), span)
    with pytest.raises(InputError, match=r"LEMS.xml:1:32: error: output file '/etc/x' is absolute"):
        resolve_outputs(simulation(asked), tmp_path)


@pytest.mark.parametrize(
    ("name", "path", "reason"),
    [
        ("/etc/passwd", "", "absolute"),
        ("x.dat", "/tmp", "absolute"),
        ("C:x.dat", "", "absolute"),
        ("c:/x.dat", "", "absolute"),
        ("..\\x.dat", "", "backslash"),
        ("\\\\host\\x", "", "backslash"),
        ("a\x00b", "", "control"),
        ("a\nb", "", "control"),
        ("../x.dat", "", "outside"),
        ("a/../../x.dat", "", "outside"),
        ("x.dat", "..", "outside"),
        ("../inside/../../x.dat", "", "outside"),
        ("", "", "no name"),
        ("  ", "", "no name"),
        ("results/", "", "no name"),
        (".", "", "outside"),
        ("..", "", "outside"),
        (".bashrc", "", "hidden"),
        ("hooks/post-commit", ".git", "hidden"),
    ],
)
def test_name_that_is_not_below_the_directory_is_refused(tmp_path, name, path, reason):
    (tmp_path / "inside").mkdir()
    with pytest.raises(InputError, match=reason) as caught:
        resolve_output(tmp_path / "inside", name, path)
    assert "results/v.dat" in str(caught.value)


def test_link_out_of_the_directory_is_refused(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "folder").symlink_to(outside)
    (inside / "file.dat").symlink_to(outside / "file.dat")
    for name in ("folder/x.dat", "file.dat"):
        with pytest.raises(InputError, match="outside"):
            resolve_output(inside, name)
    (inside / "loop").symlink_to(inside / "loop")
    with pytest.raises(InputError):
        write_table(resolve_output(inside, "loop/x.dat"), TIMES, [])


def test_model_is_not_replaced(tmp_path):
    (tmp_path / "cell.nml").write_text("<neuroml/>")
    with pytest.raises(InputError, match="would replace a model"):
        resolve_output(tmp_path, "cell.nml")


def test_plain_names_are_below_the_directory(tmp_path):
    root = tmp_path.resolve()
    assert resolve_output(tmp_path, "./results/ex27_v.dat") == root / "results" / "ex27_v.dat"
    assert resolve_output(tmp_path, "v.dat", "sub/dir") == root / "sub" / "dir" / "v.dat"
    assert resolve_output(tmp_path, "a/../v..dat") == root / "v..dat"


def test_refusal_of_the_system_leaves_nothing(results, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_outputs(simulation(table("taken", "pop[0]/v")), results, tmp_path)
    with pytest.raises(InputError, match="cannot write"):
        write_outputs(simulation(table("taken/x/v.dat", "pop[0]/v")), results, tmp_path)
    with pytest.raises(InputError, match="too long"):
        write_outputs(simulation(table("v" * 300, "pop[0]/v")), results, tmp_path)
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["taken", "x"]


def test_file_is_readable_as_any_other(results, tmp_path):
    (tmp_path / "plain").write_text("")
    write_outputs(simulation(table("v.dat", "pop[0]/v")), results, tmp_path)
    assert (tmp_path / "v.dat").stat().st_mode == (tmp_path / "plain").stat().st_mode
