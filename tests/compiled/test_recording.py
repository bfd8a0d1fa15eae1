"""What is recorded, how often, and where it is kept while it comes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import izhi_models
from izhi_models.annarchy import run as simulator
from izhi_models.cli import commands
from izhi_models.errors import RunError
from izhi_models.results import Results, parts

CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
OTHER = CELL.replace('id="cell"', 'id="other"').replace('c="-50"', 'c="-65"')
PULSES = "".join(
    f'<pulseGeneratorDL id="pulse{n}" delay="{n}ms" duration="80ms" amplitude="15"/>'
    for n in range(4)
)
# The cells differ; both populations become one neuron, whose cells are recorded in part.
NETWORK = (
    '<population id="pop" component="cell" size="4"/><population id="more" component="other" '
    'size="4"/>'
    + "".join(
        f'<explicitInput target="{name}[{n}]" input="pulse{n}"/>'
        for name in ("pop", "more")
        for n in range(4)
    )
)
LENGTH = 'length="100ms" step="0.1ms" target="net"'
OUTPUTS = (
    '<OutputFile id="o" fileName="v.dat"><OutputColumn id="v" quantity="pop[1]/v"/>'
    '<OutputColumn id="a" quantity="pop[1]/a"/></OutputFile>'
    '<EventOutputFile id="e" fileName="v.spikes" format="ID_TIME">'
    '<EventSelection id="7" select="pop[0]" eventPort="spike"/>'
    '<EventSelection id="8" select="more[1]" eventPort="spike"/></EventOutputFile>'
)
IZHI = Path(sys.executable).with_name("izhi")


@pytest.fixture
def model(write_model) -> izhi_models.Model:
    return izhi_models.load(write_model(CELL + OTHER + PULSES, NETWORK, LENGTH, OUTPUTS))


def assert_same(first: Results, second: Results) -> None:
    assert [item.path for item in first.traces] == [item.path for item in second.traces]
    for one, two in zip(first.traces, second.traces, strict=True):
        assert one.values.dtype == two.values.dtype
        for name in ("indices", "times", "values"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert list(first.spikes) == list(second.spikes)
    for name, trains in first.spikes.items():
        np.testing.assert_array_equal(trains.times_s, second.spikes[name].times_s)
        np.testing.assert_array_equal(trains.indices, second.spikes[name].indices)


def test_record__period__keeps_the_rows_at_its_multiples(model):
    full = model.compile(record=["pop/v", "more/U"]).simulate()
    asked = ["pop/v", "more[1:3]/U@0.3 ms", "more[0,3]/U@100 ms"]
    some = model.compile(record=asked, every="1 ms").simulate()
    every_ms = some["pop/v"]
    np.testing.assert_allclose(every_ms.time, np.arange(101), rtol=1e-12)
    np.testing.assert_array_equal(every_ms, full["pop/v"][::10])
    # The file asks for this cell in each step.
    np.testing.assert_array_equal(some["pop[1]/v"], full["pop[1]/v"])
    finer = some["more[2]/U"]
    np.testing.assert_allclose(finer.time, np.arange(0, 1001, 3) / 10, rtol=1e-12)
    np.testing.assert_array_equal(finer, full["more[2]/U"][::3])
    np.testing.assert_array_equal(some["more[3]/U"], full["more[3]/U"][::1000])
    assert sorted({cell for item in some.traces for cell in item.indices}) == [0, 1, 2, 3]


def test_record__period_that_no_stretch_begins_with__goes_on_where_it_was(model):
    full = model.compile(record="pop/v").simulate()
    run = model.compile(record="pop/v", every=0.7e-3)
    stretches = [run.simulate(length) for length in ("0.5 ms", "0.1 ms", "9.4 ms")]
    times = np.concatenate([item.trace("pop/v").times for item in stretches])
    np.testing.assert_allclose(times, np.arange(0, 100, 7) * 1e-4, rtol=1e-12)
    values = np.concatenate([item.si("pop/v") for item in stretches])
    np.testing.assert_array_equal(values, full.si("pop/v")[:100:7])


@pytest.mark.parametrize("precision", ["double", "float"])
def test_file__results__are_those_in_memory_bit_for_bit(model, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(simulator, "_CHUNK_VALUES", 500)  # some 50 steps at once
    monkeypatch.setattr(parts, "BLOCK_VALUES", 700)
    monkeypatch.setattr(simulator, "_SMALL_BYTES", 0)
    asked = ["pop/v", "more/U@0.3ms", "pop[1]/pulse1/I"]
    run = model.compile(record=asked, precision=precision)
    kept = run.simulate()
    run.reset()
    streamed = run.simulate(file=tmp_path / "r.h5", provenance={"seed": 1})
    assert streamed.provenance == {"seed": 1}
    assert kept.spikes["pop"].count > 20
    assert kept.trace("pop/v").values.dtype == (np.float32 if precision == "float" else np.float64)
    assert_same(kept, streamed)
    assert_same(kept, Results.load(tmp_path / "r.h5"))
    kept.save(tmp_path / "later.h5")
    assert_same(kept, Results.load(tmp_path / "later.h5"))
    later, again = run.simulate("1 ms"), Results.load(tmp_path / "r.h5")
    assert (later.start_s, again.start_s) == (pytest.approx(0.1), 0.0)


def test_izhi_run__results_that_stay_in_the_file__give_the_same_outputs(
    write_model, tmp_path, monkeypatch
):
    path = write_model(CELL + OTHER + PULSES, NETWORK, LENGTH, OUTPUTS)
    names = ("v.dat", "v.spikes", "traces.png", "raster.png", "results.h5")
    written = []
    for small in (2**25, 0):
        monkeypatch.setattr(simulator, "_SMALL_BYTES", small)
        out = str(tmp_path / str(small))
        arguments = ["run", str(path), "--out", out, "--record", "pop/v", "--every", "1 ms"]
        done = CliRunner().invoke(commands, arguments)
        assert done.exit_code == 0, done.output
        written.append([(Path(out) / name).read_bytes() for name in names])
    for name, first, second in zip(names[:-1], *(item[:-1] for item in written), strict=True):
        assert first == second, name
    with h5py.File(tmp_path / "0" / "results.h5") as file:  # as any reader of HDF5 sees it
        assert file["traces/pop%2Fv/values"].shape == (1001, 1)
        assert file["traces/pop%2Fv@2/values"].shape == (101, 4)
        assert file["traces/pop%2Fv@2/times"][-1] == pytest.approx(0.1)
        assert np.all(np.diff(file["spikes/pop/times"]) >= 0)


def test_izhi_run__more_than_memory_holds__needs_no_more_memory(write_model, tmp_path):
    network = '<population id="pop" component="cell" size="2000"/>'
    path = write_model(network=network, outputs="")
    peaks = []
    for steps in (200, 30_000):
        code = (
            "import resource, sys; from izhi_models.cli import commands\n"
            "commands.main(sys.argv[1:], standalone_mode=False)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
        )
        length = ["--duration", f"{steps / 10} ms", "--record", "pop/v", "--quiet"]
        command = [sys.executable, "-c", code, "run", str(path), "--out", str(tmp_path / "out")]
        done = subprocess.run([*command, *length], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    recorded = 2000 * 30_000 * 8
    assert (tmp_path / "out/results.h5").stat().st_size > recorded
    # A chunk of 16 MB is there up to four times (in the library, which doubles its room, copied,
    # and in SI), and twice the 32 MB that fill a row of tiles.
    assert peaks[1] - peaks[0] < 150e6 < recorded / 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_izhi_run__interrupted__leaves_nothing(write_model, tmp_path, number, code):
    out = tmp_path / "new" / "out"
    command = [
        IZHI,
        "run",
        write_model(),
        "--out",
        out,
        "--duration",
        "20000 s",
        "--record",
        "pop/v",
    ]
    arguments = [str(item) for item in (*command, "--every", "1 s")]

    def heed() -> None:  # a shell in the background has its jobs ignore interrupts
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = {item.name for item in tmp_path.iterdir()}
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        while not list(tmp_path.glob(".izhi-*/.izhi-*")):
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.strip() in ("stopped", "")
    assert {item.name for item in tmp_path.iterdir()} == before


def test_run__disk_or_memory_too_small__is_refused_before_the_start(model, tmp_path, monkeypatch):
    run = model.compile(record="pop/v")
    with pytest.raises(RunError, match=r"recording \d+ values .* GiB of memory"):
        run.simulate("1e8 s")
    # 8 bytes of 5 values and a time in 1001 rows
    free = 6 * 8 * 1001
    for room, fits in ((free - 1, False), (free, True)):
        usage = shutil._ntuple_diskusage(room, 0, room)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, found=usage: found)
        run.reset()
        if fits:
            run.simulate(file=tmp_path / "r.h5")
        else:
            with pytest.raises(RunError, match="GiB of disk"):
                run.simulate(file=tmp_path / "r.h5")
            assert not (tmp_path / "r.h5").exists()
