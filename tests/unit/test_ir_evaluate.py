import numpy as np
import pytest
from hand_built import (
    PASSIVE,
    build,
    exp_synapse,
    gate,
    iaf_tau,
    izhikevich,
    on,
    passive,
    pulse,
    read,
    when,
)

from izhi_models.errors import InputError
from izhi_models.expr import parse_expression
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import Assignment, Derived, Dynamics, OnEvent, Rate, Variable
from izhi_models.ir.evaluate import Interpreter, evaluate_scalar, initial_values
from izhi_models.ir.passes import exact_times, settle_assigned_states
from izhi_models.units import NONE, PER_TIME, TIME, VOLTAGE


def izhikevich_2003(
    a: float,
    b: float,
    c: float,
    d: float,
    dt: float,
    n_steps: int,
    pulse: tuple[float, float, float],
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Integrate eqs. 1 to 3 of Izhikevich, IEEE Trans. Neural Netw. 14, 1569 (2003) [mV, ms]."""
    start, end, amplitude = pulse
    v, u = -70.0, -70.0 * b
    vs, us, spikes = [v], [u], []
    for step in range(1, n_steps + 1):
        current = amplitude if round(start / dt) <= step < round(end / dt) else 0.0
        v, u = (
            v + dt * (0.04 * v * v + 5 * v + 140 - u + current),
            u + dt * a * (b * v - u),
        )
        if v > 30:
            v, u = c, u + d
            spikes.append(step)
        vs.append(v)
        us.append(u)
    return np.array(vs), np.array(us), spikes


@pytest.mark.parametrize(
    ("a", "b", "c", "d"),
    [(0.02, 0.2, -65.0, 8.0), (0.1, 0.2, -65.0, 2.0), (0.02, 0.2, -50.0, 2.0)],
    ids=["regular spiking", "fast spiking", "chattering"],
)
def test_a_cell_follows_the_equations_of_the_paper(a: float, b: float, c: float, d: float) -> None:
    part = settle_assigned_states(pulse("I", NONE))
    cell = exact_times(compose(izhikevich(), [Attached("synapses", part, "synapses[0]")]))
    values = {"a": a, "b": b, "c": c, "d": d, "v0": -0.07, "thresh": 0.03} | {
        "synapses[0]/delay": 0.02,
        "synapses[0]/duration": 0.1,
        "synapses[0]/weight": 1.0,
        "synapses[0]/amplitude": 10.0,
    }
    run = Interpreter(cell, values, 1, 5e-5).run(3000, ["v", "U"])
    v, u, spikes = izhikevich_2003(a, b, c, d, 0.05, 3000, (20, 120, 10.0))
    assert [step for step, _ in run.events["spike"]] == spikes
    assert len(spikes) >= 3
    # Rounding of 3000 steps, amplified on the way up to a spike.
    np.testing.assert_allclose(run.traces["v"][:, 0] * 1e3, v, atol=1e-7)
    np.testing.assert_allclose(run.traces["U"][:, 0], u, atol=1e-7)


def test_an_integrate_and_fire_cell_fires_at_the_interval_of_the_closed_form() -> None:
    thresholds = np.array([-0.055, -0.056, -0.06])
    values = {"leakReversal": -0.05, "thresh": thresholds, "reset": -0.07, "tau": 0.03}
    dt = 1e-5
    run = Interpreter(iaf_tau(), values, 3, dt).run(10_000)
    # The start is above threshold: every cell spikes at once and then goes up from its reset.
    # Continuous: tau ln((E - reset) / (E - thresh)). Euler is late by O(dt), at most one step per
    # tau / dt steps of decay, and the test is on whole steps.
    expected = 0.03 * np.log(0.02 / (-0.05 - thresholds))
    for cell in range(3):
        steps = [step for step, number in run.events["spike"] if number == cell]
        assert len(steps) > 2
        np.testing.assert_allclose(np.diff(steps) * dt, expected[cell], atol=2 * dt)


def test_an_event_adds_to_a_synapse_before_its_step() -> None:
    values = {"v": -0.07, "tauDecay": 0.01, "gbase": 1e-9, "erev": 0.0, "weight": 2.0}
    arrivals = {"in": [(2, 0), (3, 1), (3, 1)]}
    g = Interpreter(exp_synapse(), values, 2, 1e-3).run(4, ["g", "i"], arrivals).traces["g"]
    decay = 1 - 0.1
    expected = 2e-9 * np.array(
        [[0, 0], [0, 0], [decay, 0], [decay**2, 2 * decay], [decay**3, 2 * decay**2]]
    )
    np.testing.assert_allclose(g, expected, rtol=1e-14)  # a few roundings


def test_an_event_that_is_answered_by_an_event() -> None:
    relay = build(
        states={"n": NONE}, on_events=[on("in", ("n", "n + 1"), sends=("out",))], out_ports=("out",)
    )
    run = Interpreter(relay, {}, 2, 1.0).run(3, ["n"], {"in": [(2, 1)]})
    assert run.events == {"out": [(2, 1)]}


def test_derived_variables_are_of_the_states_before_and_the_time_after() -> None:
    clock = build(
        states={"x": NONE},
        derived={"now": (TIME, "t"), "twice": (NONE, "2 * x")},
        rate=[("x", "1")],
    )
    traces = Interpreter(clock, {}, 1, 0.5).run(3, ["x", "now", "twice"]).traces
    assert traces["x"][:, 0].tolist() == [0, 0.5, 1, 1.5]
    assert traces["now"][:, 0].tolist() == [0, 0.5, 1, 1.5]
    assert traces["twice"][:, 0].tolist() == [0, 0, 1, 2]


def test_all_rates_are_taken_from_the_same_state() -> None:
    rotation = build(
        states={"x": NONE, "y": NONE}, rate=[("x", "-y"), ("y", "x")], start=[("x", "1")]
    )
    traces = Interpreter(rotation, {}, 1, 0.5).run(1, ["x", "y"]).traces
    assert (traces["x"][1, 0], traces["y"][1, 0]) == (1.0, 0.5)


def test_conditions_hold_every_step_and_see_each_other() -> None:
    thing = build(
        states={"x": NONE, "y": NONE},
        derived={"old": (NONE, "x")},
        rate=[("x", "1")],
        conditions=[
            when("x .geq. 2", ("x", "x + 10"), ("y", "x")),
            when("x .gt. 11", ("y", "y + 100 + old")),
        ],
    )
    traces = Interpreter(thing, {}, 1, 1.0).run(3, ["x", "y"]).traces
    assert traces["x"][:, 0].tolist() == [0, 1, 12, 23]
    assert traces["y"][:, 0].tolist() == [0, 0, 113, 135]


# The start


def test_a_part_starts_from_the_start_of_its_parent() -> None:
    # A gate starts at inf(v), where v is set by the cell's own start.
    cell = compose(passive(), [Attached("", gate(), "m")])
    values = PASSIVE | {"m/rate": 100.0, "m/midpoint": -0.06, "m/scale": 0.01}
    start = initial_values(cell, values, 1)
    # inf = 1 / (1 + exp(-2 (v - midpoint) / scale)) at v = -70 mV, to a few roundings
    assert start["m/q"][0] == pytest.approx(1 / (1 + np.exp(2.0)), rel=1e-14)
    assert start["iMemb"].tolist() == [0.0]


def test_a_parent_may_start_from_its_part() -> None:
    part = build(
        "part", parameters={"p": NONE}, states={"x": NONE}, start=[("x", "p")], exposures=("x",)
    )
    cell = build(
        "cell", states={"y": NONE}, derived={"d": (NONE, "2 * y")}, start=[("y", "part__x + 1")]
    )
    start = initial_values(compose(cell, [Attached("", part, "part")]), {"part/p": 3.0}, 1)
    assert (start["y"][0], start["d"][0]) == (4.0, 8.0)


def test_a_start_that_adds_to_itself_adds_once() -> None:
    thing = build(states={"x": NONE}, start=[("x", "2"), ("x", "x + 1")])
    assert initial_values(thing, {}, 1)["x"].tolist() == [3.0]


def test_random_starts_are_drawn_once_and_fairly() -> None:
    # spikeGeneratorPoisson: isi = -log(random(1)) / averageRate, and the next spike after isi.
    n = 40_000
    thing = build(
        parameters={"averageRate": PER_TIME},
        states={"isi": TIME, "tnext": TIME, "other": NONE},
        start=[
            ("tnext", "isi"),
            ("isi", "-1 * log(random(1)) / averageRate"),
            ("other", "random(1)"),
        ],
    )
    start = initial_values(thing, {"averageRate": 50.0}, n, seed=3)
    assert np.array_equal(start["tnext"], start["isi"])
    # Mean and deviation of an exponential distribution are 1 / rate; five standard errors.
    assert start["isi"].mean() == pytest.approx(0.02, rel=5 / np.sqrt(n))
    assert start["isi"].std() == pytest.approx(0.02, rel=5 * np.sqrt(2 / n))
    assert abs(np.corrcoef(start["isi"], start["other"])[0, 1]) < 5 / np.sqrt(n)


def test_a_seed_repeats_a_run_and_another_does_not() -> None:
    thing = build(states={"x": NONE}, conditions=[when("t .gt. 0", ("x", "random(1)"))])
    runs = [Interpreter(thing, {}, 5, 1.0, seed).run(3, ["x"]).traces["x"] for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert len(np.unique(runs[0][1:])) == 15  # one draw per cell and step


# Values


def test_what_is_not_defined_is_no_number_and_no_warning() -> None:
    for text in ("sqrt(0 - 1)", "ln(0 - 1)", "(0 - 8)^(1/3)", "0 / 0"):
        assert np.isnan(evaluate_scalar(read(text), {}))
    assert np.isposinf(evaluate_scalar(read("exp(1000)"), {}))


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(InputError, match="no value for the parameter 'tau'"):
        Interpreter(iaf_tau(), {"leakReversal": 0.0, "thresh": 1.0, "reset": 0.0}, 1, 1.0)


def test_an_unknown_name_cannot_be_recorded() -> None:
    thing = build(states={"voltage": VOLTAGE})
    with pytest.raises(InputError, match="did you mean 'voltage'"):
        Interpreter(thing, {}, 1, 1.0).run(1, ["voltag"])


def test_an_event_reads_what_is_derived_from_the_present_states() -> None:
    # x falls by a tenth in each step; y gets what is derived from x, twice it, on each event, and x
    # doubles, so that the second of two events in a step finds the x that the first has left.
    dynamics = Dynamics(
        "D",
        states=(Variable("x", NONE), Variable("y", NONE)),
        derived=(Derived("d", NONE, parse_expression("2*x")),),
        rates=(Rate("x", parse_expression("-x")),),
        start=(Assignment("x", parse_expression("1")),),
        on_events=(
            OnEvent(
                "in",
                (
                    Assignment("y", parse_expression("y + d")),
                    Assignment("x", parse_expression("2*x")),
                ),
            ),
        ),
        in_ports=("in",),
    )
    run = Interpreter(dynamics, {}, 1, 0.1)
    run.advance()
    run.advance({"in": [0, 0]})
    assert run.value("y")[0] == pytest.approx(2 * 0.9 + 2 * 1.8)
