"""`izhi run` from the file to the last picture, as a user sees it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from izhi_models.cli import commands
from izhi_models.results import Results

IZHI = Path(sys.executable).with_name("izhi")
CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
PULSE = '<pulseGeneratorDL id="pulse" delay="5ms" duration="80ms" amplitude="15"/>'
NETWORK = (
    '<population id="pop" component="cell" size="2"/>'
    '<explicitInput target="pop[0]" input="pulse"/><explicitInput target="pop[1]" input="pulse"/>'
)
OUTPUTS = (
    '<Display id="d" title="membrane" timeScale="1ms" xmin="0" xmax="100" ymin="-80" ymax="40">'
    '<Line id="v" quantity="pop[0]/v" scale="1mV" timeScale="1ms" color="#112233"/></Display>'
    '<OutputFile id="o" fileName="sub/v.dat"><OutputColumn id="v" quantity="pop[0]/v"/>'
    '<OutputColumn id="u" quantity="pop[1]/U"/></OutputFile>'
    '<EventOutputFile id="e" fileName="v.spikes" format="ID_TIME">'
    '<EventSelection id="7" select="pop[0]" eventPort="spike"/>'
    '<EventSelection id="8" select="pop[1]" eventPort="spike"/></EventOutputFile>'
)
LENGTH = 'length="100ms" step="0.1ms" target="net"'
FILES = {"d.png", "results.h5", "run.json", "sub/v.dat", "v.spikes"}


def by_hand(n_steps: int = 1000, dt: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward Euler of the cell above, in ms and mV: v and u at all times, and spike times.

    The current of a step is that at its end. Source: Izhikevich (2003), equations 1 to 3.
    """
    v, u = -70.0, 0.2 * -70.0
    rows, spikes = [(v, u)], []
    for step in range(1, n_steps + 1):
        current = 15.0 if round(5 / dt) <= step < round(85 / dt) else 0.0
        dv = 0.04 * v * v + 5 * v + 140 - u + current
        du = 0.02 * (0.2 * v - u)
        v, u = v + dt * dv, u + dt * du
        if v > 30.0:
            v, u = -50.0, u + 2.0
            spikes.append(step * dt)
        rows.append((v, u))
    return np.array(rows)[:, 0], np.array(rows)[:, 1], np.array(spikes)


def izhi(*arguments: object) -> Result:
    """Run the command in this process; a traceback fails the test."""
    result = CliRunner().invoke(commands, [str(item) for item in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def files_below(folder: Path) -> set[str]:
    return {str(item.relative_to(folder)) for item in folder.rglob("*") if item.is_file()}


@pytest.fixture
def spiking(write_model) -> Path:
    return write_model(CELL + PULSE, NETWORK, LENGTH, OUTPUTS)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_run__simulation__writes_what_it_declares_and_nothing_else(spiking, elsewhere):
    result = izhi("run", spiking)
    assert result.exit_code == 0, result.output
    assert files_below(elsewhere) == {f"results/model/{name}" for name in FILES}
    assert (elsewhere / "results/model/d.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"pop: 2 neurons, \d+ spikes, [\d.]+ Hz", lines[0])
    assert lines[1].startswith("simulated 100 ms (compiled ")
    assert {line.removeprefix("wrote results/model/") for line in lines[2:]} == FILES


def test_run__tables__are_in_si_from_the_initial_state_on(spiking, elsewhere):
    izhi("run", spiking, "--out", "out", "--no-plot")
    text = (elsewhere / "out/sub/v.dat").read_text(encoding="ascii")
    rows = np.array([line.split("\t") for line in text.splitlines()])
    assert rows.shape == (1001, 4)  # time, two columns, nothing after the last tab
    assert set(rows[:, 3]) == {""}
    times, v, u = rows[:, :3].astype(float).T
    np.testing.assert_allclose(times, np.arange(1001) * 1e-4, rtol=1e-12)
    expected_v, expected_u, spikes = by_hand()
    # Sums are rounded in another order, and each spike multiplies that, by up to 1e4.
    np.testing.assert_allclose(v, expected_v * 1e-3, rtol=0, atol=1e-11)
    np.testing.assert_allclose(u, expected_u, rtol=0, atol=1e-8)
    digits = [len(re.sub(r"e.*|\D", "", item).lstrip("0")) for item in rows[1:, 1]]
    assert np.median(digits) >= 9
    assert 3 < spikes.size < 30
    events = np.loadtxt(elsewhere / "out/v.spikes", ndmin=2)
    assert set(events[:, 0]) == {7.0, 8.0}
    for cell in (7.0, 8.0):
        np.testing.assert_allclose(events[events[:, 0] == cell, 1], spikes * 1e-3, rtol=1e-9)


def test_run__results_file__holds_all_with_units_and_provenance(spiking, tmp_path):
    out = tmp_path / "out"
    assert izhi("run", spiking, "--out", out, "--seed", 7, "--record", "pop/v").exit_code == 0
    results = Results.load(out / "results.h5")
    assert results["pop/v"].shape == (1001, 2)
    assert results["pop/v"].attrs["units"] == "mV"
    np.testing.assert_allclose(results["pop[0]/v"], by_hand()[0], rtol=0, atol=1e-8)
    assert results.spikes["pop"].n_neurons == 2
    assert results.provenance["seed"] == 7


def test_run__record_of_the_run__says_how_it_was_made(spiking, tmp_path):
    out = tmp_path / "out"
    izhi("run", spiking, "--out", out, "--seed", 7)
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert record["seed"] == 7
    assert record["dt_s"] == 1e-4
    assert {"izhi-models", "ANNarchy", "pyNeuroML", "python"} <= record["versions"].keys()
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["command"][0] == "izhi"
    hashes = record["sha256"]
    assert hashes[str(spiking)] == hashlib.sha256(spiking.read_bytes()).hexdigest()
    for name in ("Cells.xml", "Networks.xml", "Inputs.xml", "Simulation.xml"):
        assert any(key.endswith(f"/{name}") for key in hashes)
    stages = record["seconds"]
    assert set(stages) == {"read", "resolve", "lower", "build", "simulate", "write", "draw"}
    assert all(0 <= seconds < 600 for seconds in stages.values())


def test_run__quiet_and_no_plot__prints_nothing_and_draws_nothing(spiking, tmp_path):
    result = izhi("run", spiking, "--out", tmp_path / "out", "--quiet", "--no-plot")
    assert (result.exit_code, result.output) == (0, "")
    assert files_below(tmp_path / "out") == FILES - {"d.png"}


def test_run__json__prints_warnings_only(write_model, tmp_path):
    cell = CELL.replace("/>", ' colour="red"/>')
    path = write_model(cell + PULSE, NETWORK, LENGTH, OUTPUTS)
    result = izhi("run", path, "--out", tmp_path / "out", "--no-plot", "--format", "json")
    assert result.exit_code == 0
    (warning,) = json.loads(result.stdout)
    assert warning["severity"] == "warning"
    assert "'colour'" in warning["message"]


def test_run__duration_and_step__replace_those_of_the_file(spiking, tmp_path):
    izhi("run", spiking, "--out", tmp_path / "out", "--duration", "40 ms", "--dt", "0.05ms")
    table = np.loadtxt(tmp_path / "out/sub/v.dat")
    assert table.shape == (801, 3)
    np.testing.assert_allclose(table[-1, 0], 0.04, rtol=1e-12)
    np.testing.assert_allclose(table[:, 1], by_hand(800, 0.05)[0] * 1e-3, rtol=0, atol=1e-11)


def test_run__again__replaces_its_files_and_leaves_others(spiking, tmp_path):
    out = tmp_path / "out"
    izhi("run", spiking, "--out", out, "--no-plot")
    (out / "mine.txt").write_text("keep", encoding="utf-8")
    (out / "v.spikes").write_text("old", encoding="utf-8")
    result = izhi("run", spiking, "--out", out, "--no-plot")
    assert "compiled before" in result.stdout
    assert files_below(out) == FILES - {"d.png"} | {"mine.txt"}
    assert (out / "v.spikes").read_text(encoding="utf-8") != "old"


def test_run__two_threads__give_the_same_files(spiking, tmp_path):
    for threads in (1, 2):
        result = izhi("run", spiking, "--out", tmp_path / str(threads), "--threads", threads)
        assert result.exit_code == 0, result.output
    for name in ("sub/v.dat", "v.spikes", "d.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_run__single_precision__has_the_same_spikes(spiking, tmp_path):
    izhi("run", spiking, "--out", tmp_path / "out", "--precision", "float")
    events = np.loadtxt(tmp_path / "out/v.spikes", ndmin=2)
    expected = by_hand()[2] * 1e-3
    own = events[events[:, 0] == 7, 1]
    assert own.size == expected.size
    # Single precision holds v to 4e-6 mV; near the threshold v rises by mV in a step, so that
    # a spike moves by a step at most.
    np.testing.assert_allclose(own, expected, rtol=0, atol=1.01e-4)


DECAY = (
    '<ComponentType name="own" extends="baseCell"><Exposure name="v" dimension="none"/>'
    '<Parameter name="tau" dimension="time"/><Dynamics>'
    '<StateVariable name="v" dimension="none" exposure="v"/>'
    '<OnStart><StateAssignment variable="v" value="1"/></OnStart>'
    '<TimeDerivative variable="v" value="-v / tau"/></Dynamics></ComponentType>'
    '<own id="cell" tau="10ms"/>'
)


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4), ("exponential_euler", None)]
)
def test_run__each_method__converges_as_it_should(write_model, tmp_path, method, order):
    path = write_model(DECAY, simulation='length="20ms" step="2ms" target="net"')
    worst = []
    for step in ("2ms", "1ms"):
        out = tmp_path / step
        result = izhi("run", path, "--out", out, "--method", method, "--dt", step, "--no-plot")
        assert result.exit_code == 0, result.output
        times, v = np.loadtxt(out / "v.dat").T
        worst.append(np.abs(v - np.exp(-times / 0.01)).max())
    if order is None:
        assert max(worst) < 1e-12  # exact, the rate being linear; 12 digits are written
    else:
        # Half the step, 2^order less error; the next term of the error is a tenth of it.
        assert np.log2(worst[0] / worst[1]) == pytest.approx(order, rel=0.1)


def test_run__network_without_simulation__records_spikes_and_v(tmp_path):
    path = tmp_path / "two.net.nml"
    path.write_text(
        '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">'
        f'{CELL}{PULSE}<network id="net">{NETWORK}</network></neuroml>',
        encoding="utf-8",
    )
    out = tmp_path / "out"
    result = izhi("run", path, "--duration", "100 ms", "--dt", "0.1 ms", "--out", out)
    assert result.exit_code == 0, result.output
    assert files_below(out) == {"results.h5", "run.json", "traces.png", "raster.png"}
    results = Results.load(out / "results.h5")
    v, _, spikes = by_hand()
    np.testing.assert_allclose(results.si("pop/v")[:, 1], v * 1e-3, rtol=0, atol=1e-11)
    np.testing.assert_allclose(results.spikes["pop"].of(1), spikes * 1e-3, rtol=1e-9)


def test_run__name_of_a_model__runs_it(elsewhere):
    result = izhi("run", "izhikevich2003_RS", "--no-plot")
    assert result.exit_code == 0, result.output
    assert (elsewhere / "results/izhikevich2003_RS/results.h5").exists()


def test_run__several_files__have_a_folder_each(spiking, tmp_path):
    second = tmp_path / "second.xml"
    shutil.copy(spiking, second)
    result = izhi("run", spiking, second, "--out", tmp_path / "out", "--no-plot")
    assert result.exit_code == 0, result.output
    for name in ("model", "second"):
        assert files_below(tmp_path / "out" / name) == FILES - {"d.png"}


def test_run__one_of_several_files_fails__runs_the_others(spiking, tmp_path):
    bad, missing = tmp_path / "bad.xml", tmp_path / "missing.xml"
    bad.write_text('<Lems>\n<unknownType id="a"/></Lems>')
    out = tmp_path / "out"
    result = izhi("run", bad, spiking, missing, "--out", out, "--no-plot")
    assert result.exit_code == 2
    assert files_below(out) == {f"model/{name}" for name in FILES - {"d.png"}}
    faults = (f"{bad}:2:1: error: unknown ComponentType", f"2 of 3 files failed: {bad}, {missing}")
    assert [result.stderr.count(text) for text in faults] == [1, 1]
    as_json = izhi("run", bad, spiking, missing, "--out", out, "--no-plot", "--format", "json")
    assert as_json.exit_code == 2
    assert len(json.loads(as_json.stdout)) == 2


GROWTH = (
    '<ComponentType name="own" extends="baseCell"><Exposure name="v" dimension="none"/>'
    '<Parameter name="k" dimension="per_time"/><Parameter name="v0" dimension="none"/>'
    '<Dynamics><StateVariable name="w" dimension="none"/>'
    '<StateVariable name="v" dimension="none" exposure="v"/><OnStart>'
    '<StateAssignment variable="v" value="{start}"/></OnStart>'
    '<TimeDerivative variable="v" value="k * v^3"/></Dynamics></ComponentType>'
    '<own id="calm" k="1per_s" v0="1"/><own id="cell" k="1per_ms" v0="1"/>'
)
TWO = '<population id="calm" component="calm" size="3"/>'


def test_run__variable_that_grows_without_bound__is_named_with_the_time(write_model, tmp_path):
    path = write_model(GROWTH.format(start="v0"), TWO + NETWORK[: NETWORK.index("<explicit")])
    result = izhi("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 5
    v, step = 1.0, 0
    with np.errstate(over="ignore", invalid="ignore"):
        while np.isfinite(v):
            v, step = v + 0.1 * np.float64(v) ** 3, step + 1
    assert f"'v' of pop[0] is not finite at t = {step * 0.1:g} ms" in result.stderr
    assert "smaller step" in result.stderr
    assert not (tmp_path / "out").exists()


def test_run__start_that_is_no_number__is_found_at_once(write_model, tmp_path):
    path = write_model(GROWTH.format(start="ln(v0 - 2)"), TWO + NETWORK[: NETWORK.index("<expl")])
    result = izhi("run", path, "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert "'v' of calm[0] is not finite at t = 0 ms" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--duration", "0.01ms"], 2, "a duration of 0.01 ms is shorter than a step of 0.1 ms"),
        (["--dt", "300ms"], 2, "is shorter than a step of 300 ms"),
        (["--duration", "1e9s"], 5, "GiB of disk"),
        (["--duration", "1e30s"], 2, "more than can be counted"),
    ],
)
def test_run__time_that_cannot_be_simulated__is_refused(spiking, tmp_path, options, code, message):
    result = izhi("run", spiking, "--out", tmp_path / "out", *options)
    assert result.exit_code == code
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", ["-5", str(2**70)])
def test_run__any_whole_number__is_a_seed(spiking, tmp_path, seed):
    result = izhi("run", spiking, "--out", tmp_path / "out", "--seed", seed, "--no-plot")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out/run.json").read_text(encoding="utf-8"))
    assert record["seed"] == int(seed)


def run_apart(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(IZHI), "run", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


def test_run__without_activated_environment__compiles_and_leaks_nothing(spiking, elsewhere):
    # Another python3 comes first, the environment's programs are not on the PATH, no input.
    other = elsewhere.parent / "bin"
    other.mkdir()
    for name in ("python", "python3", "cmake"):
        (other / name).write_text("#!/bin/sh\necho wrong python >&2\nexit 1\n", encoding="utf-8")
        (other / name).chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if key in ("HOME", "CXX", "TMPDIR")}
    done = run_apart(
        spiking,
        cwd=elsewhere,
        stdin=subprocess.DEVNULL,
        env={
            **kept,
            "PATH": f"{other}:/usr/local/bin:/usr/bin:/bin",
            "IZHI_CACHE_DIR": str(elsewhere.parent / "cache"),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    starts = ("pop: ", "simulated 100 ms (compiled now)", "wrote results/model/")
    assert all(line.startswith(starts) for line in done.stdout.splitlines())
    assert files_below(elsewhere) == {f"results/model/{name}" for name in FILES}


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_run__closed_stream__does_not_matter(spiking, tmp_path, closed):
    command = f'exec "$0" run "$1" --out "$2" --no-plot {closed}<&-'
    arguments = ["sh", "-c", command, str(IZHI), str(spiking), str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert files_below(tmp_path / "out") == FILES - {"d.png"}


@pytest.mark.parametrize("compiler", ["/bin/false", "no-such-compiler"])
def test_run__compiler_that_fails__is_one_message(spiking, tmp_path, monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    monkeypatch.setenv("IZHI_CACHE_DIR", str(tmp_path / "cache"))
    result = izhi("run", spiking, "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert compiler.rpartition("/")[2] in result.stderr
    assert not (tmp_path / "out").exists()


def test_run__disk_that_is_full__leaves_the_folder_as_it_was(spiking, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "v.spikes").write_text("old", encoding="utf-8")
    izhi("run", spiking, "--out", tmp_path / "other", "--no-plot")  # compiled from here on
    limit = 1_000_000  # more than the compiled program, less than the table

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = run_apart(spiking, "--out", out, "--duration", "20 s", "--no-plot", preexec_fn=restrict)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: cannot write '{out}/")
    assert "Traceback" not in done.stderr
    assert [item.name for item in out.iterdir()] == ["v.spikes"]
    assert (out / "v.spikes").read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_run__folder_that_is_read_only__is_refused_before_anything_is_compiled(spiking, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    result = izhi("run", spiking, "--out", out)
    assert result.exit_code == 2
    assert "Permission denied" in result.stderr


def test_run__on_a_terminal__shows_how_far_it_is(write_model, tmp_path):
    path = write_model(CELL + PULSE, NETWORK, LENGTH, outputs="")
    command = [str(IZHI), "run", str(path), "--out", str(tmp_path / "out"), "--no-plot"]
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*command, "--duration", "60 s", "--dt", "1e-3 ms"],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:  # the other end was closed
                break
            if not part:
                break
            shown += part
    os.close(controller)
    assert process.returncode == 0
    text = shown.decode("utf-8", errors="replace")
    done = {int(item) for item in re.findall(r"simulated (\d+)[\d.]* of 60000 ms", text)}
    assert len(done) > 1
    assert re.search(r"\d+%", text)
