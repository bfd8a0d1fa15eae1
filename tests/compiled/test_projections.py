import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from izhi_models.annarchy.build import Built, build
from izhi_models.annarchy.library import Library
from izhi_models.annarchy.program import (
    Equation,
    Neuron,
    Program,
    ProgramParameter,
    Projection,
    Synapse,
)
from izhi_models.annarchy.wiring import Block
from izhi_models.annarchy.write import write_definitions
from izhi_models.errors import BackendError, InternalError, RunError

DT = 0.5
N_PRE, N_POST, N_STEPS = 6, 5, 60
TARGETS = tuple(f"x_{number}" for number in range(8))

# Cells that spike every p_1 steps: the counter c_2 starts anywhere. They are pulled to p_3.
PRE = Neuron(
    symbol="pop_0",
    parameters=(ProgramParameter("p_1", False), ProgramParameter("p_3", True)),
    equations=(
        Equation("c_2", "c_2 = c_2 + 1.0", is_ode=False),
        Equation("v_4", "dv_4/dt = p_3 - v_4", is_ode=True),
    ),
    spike="c_2 >= p_1",
    reset=("c_2 = 0.0",),
    size=N_PRE,
)
# The same, with a record of each sum; the gap junctions move them.
POST = replace(
    PRE,
    symbol="pop_1",
    equations=(
        PRE.equations[0],
        Equation("v_4", "dv_4/dt = g_x_4 - 0.25*v_4", is_ode=True),
        *(Equation(f"r_{k}", f"r_{k} = g_{name}", is_ode=False) for k, name in enumerate(TARGETS)),
    ),
    size=N_POST,
)
# Short-term depression, as a closed form between spikes.
DEPRESSING = Synapse(
    parameters=(ProgramParameter("q_1", is_global=False), ProgramParameter("q_2", is_global=True)),
    variables=("x_3", "l_4", "k_5"),
    pre_spike=(
        "x_3 = 1.0 - (1.0 - x_3)*exp((l_4 - t)/q_1)",
        "g_target += w*x_3*k_5",
        "x_3 = x_3*(1.0 - q_2)",
        "l_4 = t",
    ),
)
GAP = Synapse(psp="w*pre.p_3*(pre.v_4 - post.v_4)")
# A conductance with its own ODE in every connection.
SLOW = Synapse(
    parameters=(ProgramParameter("q_1", is_global=False),),
    equations=(Equation("x_2", "dx_2/dt = -x_2/q_1", is_ode=True),),
    pre_spike=("x_2 += 1.0",),
    psp="w*x_2*(2.0 - post.v_4)",
)
# A weight that grows with what is left of the last spikes before, and shrinks with those after.
LEARNING = Synapse(
    parameters=(ProgramParameter("q_1", is_global=True),),
    equations=(
        Equation("a_2", "da_2/dt = -a_2/q_1", is_ode=True),
        Equation("b_3", "db_3/dt = -b_3/q_1", is_ode=True),
    ),
    pre_spike=("g_target += w", "a_2 += 1.0", "w = w - 0.1*b_3"),
    post_spike=(
        "b_3 += 1.0",
        "w = ite(w + 0.2*a_2 + 0.01*pre.v_4 < 4.0, w + 0.2*a_2 + 0.01*pre.v_4, 4.0)",
    ),
)
PROGRAM = Program(
    neurons=(PRE, POST),
    projections=(
        Projection("proj_0", 0, 1, "x_0"),
        Projection("proj_1", 0, 1, "x_1", weights="one"),
        Projection("proj_2", 0, 1, "x_2"),
        Projection("proj_3", 0, 1, "x_3", synapse=DEPRESSING),
        Projection("proj_4", 0, 1, "x_4", synapse=GAP),
        Projection("proj_5", 0, 1, "x_5", synapse=SLOW),
        Projection("proj_6", 0, 1, "x_6", synapse=LEARNING),
        Projection("proj_7", 1, 1, "x_7"),
        Projection("proj_8", 0, 1, "x_7", weights="one"),
    ),
)
PERIODS = {0: np.array([3, 4, 5, 7, 11, 1]), 1: np.array([2, 3, 6, 5, 13])}
PHASES = {0: np.array([0, 1, 4, 2, 6, 0]), 1: np.array([1, 0, 3, 2, 8])}
PRE_LEVEL = 0.75


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IZHI_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def built(cache) -> Built:
    return build(PROGRAM)


def start(built: Built) -> Library:
    library = Library(built)
    library.create()
    library.initialize(DT, seed=1)
    for number in (0, 1):
        library.set(number, "p_1", PERIODS[number])
        library.set(number, "c_2", PHASES[number])
        library.set(number, "p_3", PRE_LEVEL)
    library.record(1, [f"r_{k}" for k in range(8)])
    return library


def sums(library: Library, n_steps: int = N_STEPS) -> dict[str, np.ndarray]:
    """Run; return what has arrived at each target: (n_steps, N_POST)."""
    library.run(n_steps)
    found = library.drain().traces
    return {name: trace.values for name, trace in zip(TARGETS, found, strict=True)}


def spiking(population: int, step: int) -> np.ndarray:
    """Return whether each cell spikes in a step, by its period."""
    since = PHASES[population] + step + 1
    return since % PERIODS[population] == 0


def arrivals(
    step: int, pre: np.ndarray, delays: np.ndarray | int, population: int = 0
) -> list[int]:
    """Return the connections that get a spike in a step."""
    delays = np.broadcast_to(delays, pre.shape)
    return [
        i
        for i in range(pre.size)
        if step - delays[i] >= 0 and spiking(population, step - delays[i])[pre[i]]
    ]


def drawn(n_connections: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pairs in no order, some of them repeated; sums of these weights are exact."""
    generator = np.random.default_rng(seed)
    pre = generator.integers(0, N_PRE, n_connections)
    post = generator.integers(0, N_POST, n_connections)
    return pre, post, generator.integers(-128, 128, n_connections) / 64.0


def pulses(
    pre: np.ndarray,
    post: np.ndarray,
    weights: np.ndarray | float,
    delays: np.ndarray | int,
    population: int = 0,
) -> np.ndarray:
    """Sum the weights of the spikes that arrive in each step."""
    weights = np.broadcast_to(weights, pre.shape)
    result = np.zeros((N_STEPS, N_POST))
    for step in range(N_STEPS):
        for i in arrivals(step, pre, delays, population):
            result[step, post[i]] += weights[i]
    return result


DELAYS = {
    "one step": 1,
    "three steps": 3,
    "longer than the run": 100,
    "each": np.random.default_rng(5).integers(1, 9, 40),
    "few": np.array([2, 7])[np.random.default_rng(6).integers(0, 2, 40)],
}


@pytest.mark.parametrize("delays", DELAYS.values(), ids=DELAYS)
def test_run__any_delay__arrives_that_many_steps_later(built, delays):
    pre, post, weights = drawn(40)
    with start(built) as library:
        library.connect(0, pre, post, weights, delays)
        library.connect(1, pre, post, 0.375, delays)
        found = sums(library)
    np.testing.assert_array_equal(found["x_0"], pulses(pre, post, weights, delays))
    np.testing.assert_array_equal(found["x_1"], pulses(pre, post, 0.375, delays))


@pytest.mark.parametrize("delay", [1, 4])
@pytest.mark.parametrize("n_connections", [30, 15, 14])  # of 30 pairs
@pytest.mark.parametrize("order", ["shuffled", "sorted", "by post"])
def test_run__most_pairs_connected__is_the_same_as_few(built, delay, n_connections, order):
    pairs = np.random.default_rng(2).permutation(N_PRE * N_POST)[:n_connections]
    pre, post = np.divmod(np.sort(pairs) if order == "sorted" else pairs, N_POST)
    if order == "by post":
        post, pre = np.divmod(np.sort(pairs), N_PRE)
    weights = drawn(n_connections)[2]
    with start(built) as library:
        library.connect(2, pre, post, weights, delay)
        np.testing.assert_array_equal(sums(library)["x_2"], pulses(pre, post, weights, delay))
        library.reset()
        library.set_connections(2, "w", 2.0 * weights)
        np.testing.assert_array_equal(library.get_connections(2, "w"), 2.0 * weights)
        np.testing.assert_array_equal(sums(library)["x_2"], pulses(pre, post, 2 * weights, delay))


@pytest.mark.parametrize("delays", [1, 3, "each"])
@pytest.mark.parametrize("order", ["by pre", "by post", "shuffled"])
@pytest.mark.parametrize("size", [1, 5, 12])  # of a block
def test_connect__blocks_in_any_order__are_as_one(built, size, order, delays):
    pairs = np.sort(
        np.random.default_rng(8).permutation(N_PRE * N_POST)[:12]
    )  # too few for a matrix
    pre, post = np.divmod(pairs, N_POST) if order == "by pre" else np.divmod(pairs, N_PRE)[::-1]
    if order == "shuffled":
        pre, post = pre[::-1], post[::-1]
    weights = drawn(12)[2]
    steps = np.random.default_rng(9).integers(1, 5, 12) if delays == "each" else np.full(12, delays)

    def blocks():
        for first in range(0, 12, size):
            part = slice(first, first + size)
            yield Block(pre[part], post[part], weights[part], steps[part])

    with start(built) as library:
        library.connect_blocks(0, 12, blocks)
        np.testing.assert_array_equal(library.get_connections(0, "w"), weights)
        np.testing.assert_array_equal(sums(library)["x_0"], pulses(pre, post, weights, steps))
        library.reset()
        library.set_connections(0, "w", weights[::-1])
        np.testing.assert_array_equal(library.get_connections(0, "w"), weights[::-1])
        found = sums(library)["x_0"]
        np.testing.assert_array_equal(found, pulses(pre, post, weights[::-1], steps))


def test_run__two_projections_to_one_target__are_added(built):
    pre, post, weights = drawn(30)
    inner = pre % N_POST  # connections of the population with itself
    with start(built) as library:
        library.connect(7, inner, post, weights, 2)
        library.connect(8, pre, post, 0.25)
        found = sums(library)["x_7"]
    expected = pulses(inner, post, weights, 2, population=1) + pulses(pre, post, 0.25, 1)
    np.testing.assert_array_equal(found, expected)


def test_run__not_connected__sums_are_zero(built):
    with start(built) as library:
        library.connect(0, np.array([], dtype=np.int32), np.array([], dtype=np.int32), 1.0)
        assert all(not values.any() for values in sums(library).values())
        assert library.get_connections(0, "w").size == 0


def test_run__short_term_depression__is_its_closed_form(built):
    pre, post, weights = drawn(25)
    delays = np.random.default_rng(3).integers(1, 5, 25)
    taus = np.linspace(2.0, 20.0, 25)
    with start(built) as library:
        library.connect(3, pre, post, weights, delays, q_1=taus, q_2=0.5, x_3=1.0, k_5=1.0)
        found = sums(library)["x_3"]
    expected = np.zeros((N_STEPS, N_POST))
    resource_left, last = np.ones(25), np.zeros(25)
    for step in range(N_STEPS):
        for i in arrivals(step, pre, delays):
            recovered = 1 - (1 - resource_left[i]) * np.exp((last[i] - step * DT) / taus[i])
            expected[step, post[i]] += weights[i] * recovered
            resource_left[i], last[i] = 0.5 * recovered, step * DT
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)  # some roundings of numbers < 8


def gap_voltages(pre, post, weights) -> tuple[np.ndarray, np.ndarray]:
    """Return v of both populations at the start of each step, where gap junctions act."""
    v_pre, v_post = np.zeros(N_PRE), np.zeros(N_POST)
    rows_pre, rows_post = [v_pre], [v_post]
    for _ in range(N_STEPS):
        current = np.zeros(N_POST)
        np.add.at(current, post, weights * PRE_LEVEL * (v_pre[pre] - v_post[post]))
        v_pre, v_post = (
            v_pre + DT * (PRE_LEVEL - v_pre),
            v_post + DT * (current - 0.25 * v_post),
        )
        rows_pre.append(v_pre)
        rows_post.append(v_post)
    return np.array(rows_pre), np.array(rows_post)


def test_run__gap_junctions__follow_both_voltages(built):
    pre, post, weights = drawn(12)
    weights = np.abs(weights) / 8
    with start(built) as library:
        library.connect(4, pre, post, weights)
        library.record(1, ["v_4"])
        library.run(N_STEPS)
        found = library.drain().traces[-1].values
    np.testing.assert_allclose(
        found, gap_voltages(pre, post, weights)[1][1:], rtol=0, atol=1e-13
    )  # v is below 1; 60 steps


def test_run__ode_in_each_connection__is_forward_euler(built):
    pre, post, weights = drawn(20)
    taus = np.linspace(1.0, 6.0, 20)
    with start(built) as library:
        library.connect(4, pre, post, 0.125)
        library.connect(5, pre, post, weights, 2, q_1=taus)
        found = sums(library)["x_5"]
    v_post = gap_voltages(pre, post, np.full(20, 0.125))[1]
    expected, x = np.zeros((N_STEPS, N_POST)), np.zeros(20)
    for step in range(N_STEPS):
        for i in arrivals(step, pre, 2):
            x[i] += 1.0
        np.add.at(expected[step], post, weights * x * (2.0 - v_post[step][post]))
        x -= DT * x / taus
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)  # sums of numbers below 30


def learned(pre, post, weights, delays) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums in each step, and the weights in the end."""
    tau, w = 4.0, weights.copy()
    a, b = np.zeros(pre.size), np.zeros(pre.size)
    total = np.zeros((N_STEPS, N_POST))
    v_pre = gap_voltages(pre[:0], post[:0], w[:0])[0]
    for step in range(N_STEPS):
        for i in arrivals(step, pre, delays):
            total[step, post[i]] += w[i]
            a[i] += 1.0
            w[i] -= 0.1 * b[i]
        a, b = a - DT * a / tau, b - DT * b / tau
        for i in np.flatnonzero(spiking(1, step)[post]):
            b[i] += 1.0
            w[i] = np.clip(w[i] + 0.2 * a[i] + 0.01 * v_pre[step + 1][pre[i]], 0.0, 4.0)
    return total, w


@pytest.mark.parametrize("delays", [1, np.random.default_rng(4).integers(1, 7, 33)])
def test_run__plastic_weights__change_with_spikes_of_both_sides(built, delays):
    pre, post, weights = drawn(33)
    weights = np.abs(weights)
    with start(built) as library:
        library.connect(6, pre, post, weights, delays, q_1=4.0)
        found = sums(library)["x_6"]
        weights_found = library.get_connections(6, "w")
    total, expected = learned(pre, post, weights, delays)
    assert np.ptp(expected - weights) > 1.0
    # 60 steps with numbers below 4; sums of up to 10 of them.
    np.testing.assert_allclose(weights_found, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found, total, rtol=0, atol=1e-12)


def connect_all(library: Library, delays: np.ndarray | int) -> None:
    pre, post, weights = drawn(40)
    library.connect(0, pre, post, weights, delays)
    library.connect(1, pre, post, 0.375, delays)
    pairs = np.arange(N_PRE * N_POST)
    library.connect(2, pairs // N_POST, pairs % N_POST, drawn(pairs.size)[2], 5)
    library.connect(3, pre, post, weights, delays, q_1=5.0, q_2=0.5, x_3=1.0, k_5=1.0)
    library.connect(4, pre, post, np.abs(weights) / 16)
    library.connect(5, pre, post, weights, delays, q_1=3.0)
    library.connect(6, pre, post, np.abs(weights), delays, q_1=4.0)
    library.connect(7, pre % N_POST, post, weights, delays)


@pytest.fixture(params=[3, "each"])
def delays(request) -> np.ndarray | int:
    return DELAYS[request.param] if request.param == "each" else request.param


def test_run__two_threads__gives_the_same_numbers(built, delays):
    found = []
    for item in (built, build(replace(PROGRAM, threads=2))):
        with start(item) as library:
            connect_all(library, delays)
            result = sums(library)
            for symbol in ("w", "a_2", "b_3"):
                result[symbol] = library.get_connections(6, symbol)
            found.append(result)
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name], err_msg=name)
        assert values.any()


def test_run__single_precision__is_the_same_within_its_rounding(built, delays):
    single = build(replace(PROGRAM, precision="float"))
    found = []
    for item in (built, single):
        with start(item) as library:
            connect_all(library, delays)
            found.append(sums(library))
    for name, values in found[1].items():
        assert values.dtype == np.float32
        # Numbers below 50, held to 6e-8 of themselves; 60 steps in which errors do not grow.
        np.testing.assert_allclose(values, found[0][name], rtol=0, atol=2e-4, err_msg=name)
    with start(single) as library, pytest.raises(RunError, match="too large for single precision"):
        library.connect(0, np.array([0]), np.array([0]), 1e39)


def test_reset__spikes_on_their_way__are_forgotten_and_the_run_repeats(built, delays):
    with start(built) as library:
        connect_all(library, delays)
        first = sums(library)
        library.run(7)
        library.reset()
        again = sums(library)
        assert library.get_connections(6, "w").any()
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_reset__weights_that_change__are_restored_and_those_set_are_kept(built):
    pre, post, weights = drawn(33)
    with start(built) as library:
        library.connect(0, pre, post, weights)
        library.connect(6, pre, post, np.abs(weights), q_1=4.0)
        library.run(N_STEPS)
        library.set_connections(0, "w", 2.0)
        assert np.any(library.get_connections(6, "w") != np.abs(weights))
        library.reset()
        np.testing.assert_array_equal(library.get_connections(6, "w"), np.abs(weights))
        assert library.get_connections(6, "a_2").tolist() == [0.0] * 33
        assert library.get_connections(0, "w").tolist() == [2.0] * 33


def test_rewind__with_the_cells__repeats_the_last_run(built, delays):
    with start(built) as library:
        connect_all(library, delays)
        library.run(20)
        cells = {(k, name): library.get(k, name) for k in (0, 1) for name in ("c_2", "v_4")}
        library.drain()
        expected = sums(library, 15)
        weights = library.get_connections(6, "w")
        for (k, name), values in cells.items():
            library.set(k, name, values)
        library.rewind(20)
        for _ in range(15):
            library.run(1)
        found = [trace.values for trace in library.drain().traces]
        np.testing.assert_array_equal(library.get_connections(6, "w"), weights)
    for values, name in zip(found, TARGETS, strict=True):
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.parametrize("integer", [np.int32, np.int64])
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_connections__unsorted__are_read_and_written_as_they_were_given(built, integer, real):
    pre, post, weights = drawn(40)
    delays = DELAYS["each"].astype(integer)
    with start(built) as library:
        library.connect(3, pre.astype(integer), post.astype(integer), weights.astype(real), delays)
        np.testing.assert_array_equal(library.get_connections(3, "w"), weights)
        library.set_connections(3, "q_1", np.arange(40))
        assert library.get_connections(3, "q_1").tolist() == list(range(40))
        library.set_connections(3, "q_2", 0.25)
        assert library.get_connections(3, "q_2").tolist() == [0.25]
        library.connect(3, pre[:3].astype(integer), post[:3].astype(integer), 1.5)
        assert library.get_connections(3, "w").tolist() == [1.5] * 3


@pytest.mark.parametrize(
    "misuse",
    [
        lambda library: library.connect(0, np.array([N_PRE]), np.array([0]), 1.0),
        lambda library: library.connect(0, np.array([-1]), np.array([0]), 1.0),
        lambda library: library.connect(0, np.array([0]), np.array([N_POST]), 1.0),
        lambda library: library.connect(0, np.array([0]), np.array([0, 1]), 1.0),
        lambda library: library.connect(0, np.array([0.0]), np.array([0]), 1.0),
        lambda library: library.connect(0, np.array([[0]]), np.array([[0]]), 1.0),
        lambda library: library.connect(0, np.array([0, 1]), np.array([0, 1]), [1.0] * 3),
        lambda library: library.connect(0, np.array([0]), np.array([0]), 1.0, 0),
        lambda library: library.connect(0, np.array([0]), np.array([0]), 1.0, -2),
        lambda library: library.connect(0, np.array([0]), np.array([0]), 1.0, 1.5),
        lambda library: library.connect(0, np.array([0, 1]), np.array([0, 1]), 1.0, [1, 2, 3]),
        lambda library: library.connect(0, np.array([0, 1]), np.array([0, 1]), 1.0, [1, 2**16]),
        lambda library: library.connect(1, np.array([0, 1]), np.array([0, 1]), [1.0, 2.0]),
        lambda library: library.connect(0, np.array([0]), np.array([0]), 1.0, z_1=1.0),
        lambda library: library.connect(9, np.array([0]), np.array([0]), 1.0),
        lambda library: library.connect(-1, np.array([0]), np.array([0]), 1.0),
        lambda library: library.get_connections(5, "w"),
        lambda library: library.set_connections(5, "w", 1.0),
        lambda library: (library.run(1), library.connect(0, np.array([0]), np.array([0]), 1.0)),
    ],
)
def test_connect__misuse__is_refused_and_harmless(built, misuse: Callable[[Library], object]):
    with start(built) as library:
        with pytest.raises(InternalError):
            misuse(library)
        library.run(20)


def test_build__other_sizes_and_connections__are_not_compiled_again(built):
    larger = replace(PROGRAM, neurons=(replace(PRE, size=300), replace(POST, size=200)))
    again = build(larger)
    assert again.cached
    with Library(again) as library:
        library.create()
        library.initialize(DT, seed=1)
        library.set(0, "p_1", 1.0)
        library.set(1, "p_1", 1000.0)
        library.connect(0, np.arange(300) % 300, np.arange(300) % 200, 1.0)
        library.run(2)
        assert library.get(1, "r_0").tolist() == [2.0] * 100 + [1.0] * 100


def test_build__bad_synapse__reports_cause_and_definition(capfd):
    equation = Equation("x_9", "x_9 = 1.0 + ite(t > 1.0, 2.0)", is_ode=False)
    synapse = replace(GAP, equations=(equation,))
    projection = replace(PROGRAM.projections[0], symbol="proj_77", synapse=synapse)
    program = replace(PROGRAM, projections=(projection, *PROGRAM.projections[1:]))
    with pytest.raises(BackendError) as caught:
        build(program)
    assert "'ite' with 2 arguments" in str(caught.value)
    assert "proj_77" in str(caught.value)
    assert equation.text in str(caught.value)
    assert capfd.readouterr() == ("", "")


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from izhi_models.annarchy.build import build
from izhi_models.annarchy.library import Library
from izhi_models.annarchy.program import Program

def status(name):
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if name in x)
    return 1024 * int(line.split()[1])

program = Program.from_json(sys.stdin.read())
n_cells, n = 10_000, 10_000_000
generator = np.random.default_rng(1)
pre = generator.integers(0, n_cells, n, dtype=np.int32)
post = generator.integers(0, n_cells, n, dtype=np.int64)
delays = generator.integers(1, 9, n, dtype=np.int32)
weights = generator.random(n, dtype=np.float32)
with Library(build(program)) as library:
    library.create([n_cells, n_cells])
    library.initialize(0.5, 1)
    library.set(0, "p_1", 2.0)
    library.set(1, "p_1", 1e9)
    library.run(10)
    library.reset()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here
    before = status("VmRSS")
    library.connect(0, pre, post, weights, delays)
    library.run(12)
    print((status("VmHWM") - before) / n, library.get(1, "r_0").sum() > 0)
"""


@pytest.mark.parametrize(("precision", "limit"), [("double", 24.0), ("float", 16.0)])
def test_connect__ten_million__takes_few_bytes_each(precision, limit):
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs /proc to see the peak of memory")
    program = replace(PROGRAM, precision=precision)
    result = subprocess.run(
        [sys.executable, "-c", MEMORY],
        input=program.to_json(),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    n_bytes, arrived = result.stdout.split()
    assert arrived == "True"
    assert 10.0 < float(n_bytes) < limit


def test_write_definitions__as_script__is_accepted_by_annarchy(tmp_path):
    script = tmp_path / "definitions.py"
    check = "print([item.target for item in net.get_projections()])\n"
    script.write_text(write_definitions(PROGRAM) + check)
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    targets = [projection.target for projection in PROGRAM.projections]
    assert result.stdout.splitlines()[-1] == str(targets)
