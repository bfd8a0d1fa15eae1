import gc
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from izhi_models.annarchy.build import Built, build
from izhi_models.annarchy.library import Library
from izhi_models.annarchy.program import Equation, Neuron, Program, ProgramParameter
from izhi_models.annarchy.write import write_definitions
from izhi_models.errors import BackendError, InternalError, RunError

IZHIKEVICH = Neuron(
    symbol="pop_0",
    parameters=(
        ProgramParameter("a_1", is_global=False),
        ProgramParameter("b_2", is_global=True),
        ProgramParameter("d_3", is_global=False),
    ),
    equations=(
        Equation("i_4", "i_4 = ite(t + dt >= d_3, 15.0, 0.0)", is_ode=False),
        Equation("v_5", "dv_5/dt = 0.04*v_5^2 + 5.0*v_5 + 140.0 - u_6 + i_4", is_ode=True),
        Equation("u_6", "du_6/dt = a_1*(b_2*v_5 - u_6)", is_ode=True),
    ),
    spike="v_5 > 30.0",
    reset=("v_5 = -50.0", "u_6 += 2.0"),
    size=4,
)
# Never spikes.
DRAW = Neuron(
    symbol="pop_1",
    parameters=(ProgramParameter("k_1", is_global=True),),
    equations=(
        Equation("r_2", "r_2 = Normal(k_1, 2.0)", is_ode=False),
        Equation("r_3", "r_3 = 2.0*r_2", is_ode=False),
    ),
    spike=None,
    reset=(),
    size=3,
)
PROGRAM = Program((IZHIKEVICH, DRAW))
A = np.array([0.02, 0.05, 0.1, 0.2])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("a cache")
        patch.setenv("IZHI_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def built(cache):
    return build(PROGRAM)


def start(built: Built, seed: int = 1) -> Library:
    library = Library(built)
    library.create()
    library.initialize(dt_ms=0.1, seed=seed)
    for symbol, value in {"a_1": A, "b_2": 0.2, "d_3": 20.0, "v_5": -70.0, "u_6": -14.0}.items():
        library.set(0, symbol, value)
    library.set(1, "k_1", 1.0)
    return library


def euler(n_steps: int, real: type = float) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Forward Euler by hand: v after each step, and (step, cell) of each spike."""
    a, dt = A.astype(real), real(0.1)
    v, u = np.full(4, -70.0, real), np.full(4, -14.0, real)
    rows, spikes = [], []
    for step in range(n_steps):
        i = real(15.0) if step * 0.1 + 0.1 >= 20.0 else real(0.0)
        dv = real(0.04) * v**2 + real(5.0) * v + real(140.0) - u + i
        du = a * (real(0.2) * v - u)
        v, u = v + dt * dv, u + dt * du
        for cell in np.flatnonzero(v > 30.0):
            spikes.append((step, int(cell)))
            v[cell] = -50.0
            u[cell] += 2.0
        rows.append(v.copy())
    return np.array(rows), spikes


def test_run__izhikevich__is_forward_euler(built):
    with start(built) as library:
        library.record(0, ["v_5"])
        library.record_spikes(0)
        library.run(10_000)
        recorded = library.drain()
    v, spikes = euler(10_000)
    (trace,), (train,) = recorded.traces, recorded.spikes
    assert len(spikes) > 100
    assert list(zip(train.steps, train.ranks, strict=True)) == spikes
    # The same operations in the same order.
    np.testing.assert_array_equal(trace.values, v)


def test_run__float__is_forward_euler_in_single_precision():
    single = build(replace(PROGRAM, precision="float"))
    with start(single) as library:
        library.record(0, ["v_5"])
        library.run(400)
        (trace,) = library.drain().traces
        assert library.get(0, "a_1").dtype == np.float32
        with pytest.raises(RunError, match="too large for single precision"):
            library.set(0, "v_5", 1e39)
    assert trace.values.dtype == np.float32
    # Single precision holds v to 4e-6 mV; some hundred steps and spikes multiply it by 1e3.
    np.testing.assert_allclose(trace.values, euler(400, np.float32)[0], rtol=0, atol=5e-3)


def test_run__two_threads__gives_the_same_numbers(built):
    traces = []
    for item in (built, build(replace(PROGRAM, threads=2))):
        with start(item) as library:
            library.record(0, ["v_5", "u_6"])
            library.record_spikes(0)
            library.run(500)
            traces.append(library.drain())
    one, two = traces
    for left, right in zip(one.traces, two.traces, strict=True):
        np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(one.spikes[0].steps, two.spikes[0].steps)
    np.testing.assert_array_equal(one.spikes[0].ranks, two.spikes[0].ranks)


def test_run__normal__has_its_mean_and_deviation(built):
    with start(built) as library:
        library.record(1, ["r_2", "r_3"])
        library.run(10_000)
        once, twice = (item.values for item in library.drain().traces)
    # 30000 draws: five standard errors of the mean and of the deviation.
    assert once.mean() == pytest.approx(1.0, abs=5 * 2.0 / np.sqrt(30_000))
    assert once.std() == pytest.approx(2.0, abs=5 * 2.0 / np.sqrt(2 * 30_000))
    np.testing.assert_array_equal(twice, 2.0 * once)


def test_run__drawn_numbers__are_distributed_as_they_should():
    uniform = Equation("u_4", "u_4 = Uniform(2.0, 5.0)", is_ode=False)
    neuron = replace(DRAW, equations=(*DRAW.equations, uniform))
    for precision in ("double", "float"):
        with Library(build(Program((neuron,), precision))) as library:
            library.create([10_000])
            library.initialize(0.1, 7)
            library.record(0, ["r_2", "u_4"])
            library.run(100)
            normal, uniform_found = (item.values for item in library.drain().traces)
        # A right generator fails with the probability of the threshold.
        scaled = normal.ravel().astype(float) / 2.0
        assert stats.kstest(scaled, "norm").pvalue > 1e-4
        assert stats.kstest((uniform_found.ravel().astype(float) - 2) / 3, "uniform").pvalue > 1e-4
        assert uniform_found.min() >= 2.0
        assert uniform_found.max() <= 5.0
        # The tail is drawn in a way of its own, beyond 3.65 deviations.
        tail = np.abs(scaled) > 3.66
        expected = 2 * stats.norm.sf(3.66)
        assert stats.binomtest(int(tail.sum()), scaled.size, expected).pvalue > 1e-4
        excess = stats.kstest(np.abs(scaled[tail]), stats.truncnorm(3.66, np.inf).cdf)
        assert excess.pvalue > 1e-4
        # One draw says nothing of the next: correlations of 1e6 pairs are below five errors.
        for lag in (1, 2, 10_000):
            assert abs(np.corrcoef(scaled[:-lag], scaled[lag:])[0, 1]) < 5e-3


def test_run__seed__decides_the_random_numbers(built):
    draws = []
    for seed in (1, 1, 2**32 - 1):
        with start(built, seed) as library:
            library.run(1)
            draws.append(library.get(1, "r_2").tolist())
    assert draws[0] == draws[1] != draws[2]


def test_reset__after_a_run__repeats_it(built):
    with start(built) as library:
        library.record(0, ["v_5"])
        library.record(1, ["r_2"])
        library.record_spikes(0)
        runs = []
        for _ in range(2):
            library.run(300)
            library.run(100)
            assert library.step == 400
            runs.append(library.drain())
            library.reset()
            assert library.step == 0
    for left, right in zip(runs[0].traces, runs[1].traces, strict=True):
        np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(runs[0].spikes[0].steps, runs[1].spikes[0].steps)


def test_reset__after_a_change__keeps_parameters_and_restores_variables(built):
    with start(built) as library:
        library.run(10)
        library.set(0, "a_1", 0.3)
        library.set(0, "v_5", 7.0)
        library.reset()
        assert library.get(0, "a_1").tolist() == [0.3] * 4
        assert library.get(0, "v_5").tolist() == [-70.0] * 4
        library.set(0, "v_5", -65.0)  # a new initial value
        library.run(10)
        library.reset()
        assert library.get(0, "v_5").tolist() == [-65.0] * 4


def test_reset__with_a_seed__draws_as_if_it_was_the_first(built):
    with start(built, seed=1) as library, start(built, seed=2) as other:
        library.run(3)
        library.reset(2)
        library.run(3)
        other.run(3)
        assert library.get(1, "r_2").tolist() == other.get(1, "r_2").tolist()


def test_rewind__with_the_variables__repeats_the_last_run(built):
    with start(built) as library:
        library.run(300)
        v, u = library.get(0, "v_5"), library.get(0, "u_6")
        library.run(100)
        expected = library.get(0, "v_5").tolist(), library.get(1, "r_2").tolist()
        with pytest.raises(InternalError):
            library.rewind(299)
        library.set(0, "v_5", v)
        library.set(0, "u_6", u)
        library.rewind(300)
        assert library.step == 300
        for _ in range(100):
            library.run(1)
        assert (library.get(0, "v_5").tolist(), library.get(1, "r_2").tolist()) == expected


def test_record__ranks_and_period__selects_rows_and_columns(built):
    with start(built) as library:
        library.record(0, ["v_5"])
        library.record(0, ["v_5", "u_6"], ranks=[3, 1], period_steps=7)
        library.record_spikes(0)
        library.record_spikes(0, ranks=np.array([2]))
        library.run(400)
        full, some, other = library.drain().traces
        assert library.drain().traces[0].values.shape == (0, 4)
        library.run(1)
        assert library.drain().traces[0].values.shape == (1, 4)
        library.reset()
        library.run(400)
        every, one = library.drain().spikes
    assert (some.symbol, other.symbol) == ("v_5", "u_6")
    np.testing.assert_array_equal(some.values, full.values[6::7, [3, 1]])
    assert some.values.shape == (400 // 7, 2)
    assert set(one.ranks) == {2}
    np.testing.assert_array_equal(one.steps, every.steps[every.ranks == 2])


def test_record__population_that_never_spikes__gives_no_spikes(built):
    with start(built) as library:
        library.record_spikes(1)
        library.run(100)
        assert library.drain().spikes[0].steps.tolist() == []


def test_library__two_of_one_program__share_nothing(built):
    first, second = start(built), start(built)
    second.set(0, "a_1", 0.3)
    first.run(400)
    assert second.step == 0
    assert second.get(0, "v_5").tolist() == [-70.0] * 4
    expected = first.get(0, "v_5")
    second.run(10)
    second.close()
    np.testing.assert_array_equal(first.get(0, "v_5"), expected)
    first.run(1)
    first.close()


def test_library__many_in_turn__leave_nothing_loaded(built):
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc to see what is loaded")
    for _ in range(5):
        start(built).run(1)
    gc.collect()
    before = Path("/proc/self/maps").read_text().count("library.so")
    for _ in range(5):
        start(built).run(1)
    gc.collect()
    assert Path("/proc/self/maps").read_text().count("library.so") <= before


@pytest.mark.parametrize(
    "misuse",
    [
        lambda library: library.set(0, "a_1", [1.0, 2.0]),
        lambda library: library.set(0, "a_1", np.ones((2, 2))),
        lambda library: library.set(0, "b_2", [1.0, 2.0, 3.0, 4.0]),
        lambda library: library.set(0, "q_9", 1.0),
        lambda library: library.set(2, "a_1", 1.0),
        lambda library: library.set(-1, "a_1", 1.0),
        lambda library: library.record(0, ["v_5"], ranks=[4]),
        lambda library: library.record(0, ["v_5"], ranks=[-1]),
        lambda library: library.record(0, ["v_5"], ranks=[]),
        lambda library: library.record(0, ["v_5"], period_steps=0),
        lambda library: library.record(0, ["q_9"]),
        lambda library: library.record_spikes(2),
        lambda library: library.run(-1),
        lambda library: library.create(),
        lambda library: library.initialize(0.1, 1),
    ],
)
def test_library__misuse__is_refused_and_harmless(built, misuse):
    with start(built) as library:
        with pytest.raises(InternalError):
            misuse(library)
        library.run(1)
        assert library.get(0, "a_1").tolist() == A.tolist()


def test_library__wrong_order__is_refused(built):
    library = Library(built)
    for call in (
        lambda: library.initialize(0.1, 1),
        lambda: library.run(1),
        lambda: library.get(0, "v_5"),
        lambda: library.create([4]),
        lambda: library.create([4, 0]),
    ):
        with pytest.raises(InternalError):
            call()
    library.create()
    with pytest.raises(InternalError):
        library.initialize(0.0, 1)
    library.close()
    with pytest.raises(InternalError, match="closed"):
        library.initialize(0.1, 1)


def test_run__recording_beyond_memory__is_an_error_and_harmless(built):
    with Library(built) as library:
        library.create([10_000, 1])
        library.initialize(0.1, 1)
        library.record(0, ["v_5"])
        with pytest.raises(RunError, match="not enough memory"):
            library.run(2**31 - 1)  # 170 TB, more than a process can address
        assert library.step == 0
        library.run(1)
        assert library.drain().traces[0].values.shape == (1, 10_000)


def test_build__again__is_cached_for_any_size(built):
    larger = Program((replace(IZHIKEVICH, size=1000), *PROGRAM.neurons[1:]))
    again = build(larger)
    assert again.cached
    assert again.image == built.image
    with Library(again) as library:
        library.create()
        library.initialize(0.1, 1)
        assert library.get(0, "v_5").shape == (1000,)


def test_build__anywhere__is_quiet_and_writes_nothing_there(tmp_path, monkeypatch, capfd):
    (tmp_path / "numpy.py").write_text("raise SystemExit('a file of the user was imported')")
    (tmp_path / "ANNarchy.py").write_text("raise SystemExit('a file of the user was imported')")
    monkeypatch.chdir(tmp_path)
    stages = []
    build(Program((DRAW,)), progress=stages.append)
    assert stages == ["generating code", "compiling"]
    assert Path.cwd() == tmp_path
    assert {file.name for file in tmp_path.iterdir()} == {"numpy.py", "ANNarchy.py"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.0 + ite(t > 1.0, 2.0)", "'ite' with 2 arguments"),
        ("(t > 1.0", "parentheses"),
        ("k_1 * / 2.0", "'/' is no operand"),
        ("k_1 2.0", "'2.0' found"),
        ("exp(k_1, 2.0)", "'exp' with 2 arguments"),
    ],
)
def test_build__bad_definition__reports_cause_and_definition(value, message, capfd):
    neuron = replace(DRAW, equations=(Equation("x_2", f"x_2 = {value}", False),))
    with pytest.raises(BackendError) as caught:
        build(Program((neuron,)))
    assert message in str(caught.value)
    assert f"x_2 = {value}" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("precision", "rounding"), [("double", 2.3e-16), ("float", 1.2e-7)])
def test_run__numbers_and_powers__are_those_written(precision, rounding):
    formulas = {
        "x_2": "2.0^3^0.5*k_1 - -k_1^2 - (k_1 - (1.0 - k_1))/2.0/3.0",
        "x_3": "0.000000001234567890123*k_1",
        "x_4": "1.234567890123e-12*k_1",
        "x_5": "12345678901.0*k_1 + 0.1234567890123456",
        "x_6": "2.0*k_1^5 + 1.5*k_1^3 + (k_1 + 1.0)^4",
        "x_7": "1.0/k_1^2 + 3.0/k_1^3",
        "x_8": "k_1^0.5 + k_1^40",
        "x_9": "tanh(k_1) + log(k_1) + abs(sqrt(k_1) + exp(-k_1))",
    }
    values = np.array([0.5, 1.25, 2.0])
    equations = tuple(Equation(name, f"{name} = {text}", False) for name, text in formulas.items())
    neuron = Neuron("pop_0", (ProgramParameter("k_1", False),), equations, None, (), values.size)
    with Library(build(Program((neuron,), precision))) as library:
        library.create()
        library.initialize(0.1, 1)
        library.set(0, "k_1", values)
        library.run(1)
        found = {name: library.get(0, name) for name in formulas}
    names = {"k_1": values, "__builtins__": {}}
    names |= {name: getattr(np, name) for name in ("tanh", "log", "sqrt", "exp", "abs")}
    for name, text in formulas.items():
        expected = eval(text.replace("^", "**"), names)
        # A few roundings each; the largest power doubles that of its base 40 times at most.
        np.testing.assert_allclose(found[name], expected, rtol=40 * rounding, err_msg=name)


def test_library__in_another_process__needs_no_annarchy(built):
    code = (
        "import sys\n"
        "from izhi_models.annarchy.build import build\n"
        "from izhi_models.annarchy.library import Library\n"
        "from izhi_models.annarchy.program import Program\n"
        "built = build(Program.from_json(sys.stdin.read()))\n"
        "library = Library(built)\n"
        "library.create(); library.initialize(0.1, 1); library.run(10)\n"
        "print(built.cached, 'ANNarchy' in sys.modules, 'nanobind' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=PROGRAM.to_json(),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (result.stdout, result.stderr) == ("True False False\n", "")


def test_drain__long_recording__copies_once(built):
    with start(built) as library:
        library.record(0, ["v_5"])
        library.run(40_000)
        tracemalloc.start()
        library.drain()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1.1 * 40_000 * 4 * 8  # nothing but the array of doubles that is returned


def test_write_definitions__as_script__is_accepted_by_annarchy(tmp_path):
    script = tmp_path / "definitions.py"
    check = "print([item.size for item in net.get_populations()], net.dt)\n"
    script.write_text(write_definitions(PROGRAM) + check)
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert result.stdout.splitlines()[-1] == "[4, 3] 1.0"
