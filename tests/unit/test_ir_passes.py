from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hand_built import (
    PASSIVE,
    build,
    choose,
    exp_synapse,
    gate,
    iaf_tau_ref,
    on,
    passive,
    pulse,
    ramp,
    read,
    regime,
    sine,
    spike_generator,
    voltage_clamp,
    voltage_clamp_triple,
    when,
)

from izhi_models.errors import InputError
from izhi_models.expr import Number, names
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import Interpreter, Run, initial_values
from izhi_models.ir.passes import (
    drop_unused,
    exact_times,
    fold_constants,
    order_derived,
    regimes_to_states,
    settle_assigned_states,
)
from izhi_models.ir.passes.coverage import is_certain
from izhi_models.units import NONE, TIME, VOLTAGE

IAF = {"leakReversal": -0.05, "thresh": -0.055, "reset": -0.07, "tau": 0.03, "refract": 0.005}
TIMED = {"delay": 0.01, "duration": 0.02, "weight": 2.0}


def column(run: Run, name: str) -> list[float]:
    return run.traces[name][:, 0].tolist()


# Regimes


def test_a_refractory_cell_waits_for_its_period() -> None:
    dt = 1e-4
    cell = exact_times(regimes_to_states(iaf_tau_ref()))
    run = Interpreter(cell, IAF, 1, dt).run(4000)
    intervals = np.diff([step for step, _ in run.events["spike"]])
    # Forward Euler from reset: v_n = E + (reset - E) (1 - dt / tau)^n, first above thresh.
    ratio = (IAF["thresh"] - IAF["leakReversal"]) / (IAF["reset"] - IAF["leakReversal"])
    integrating = int(np.floor(np.log(ratio) / np.log1p(-dt / IAF["tau"]))) + 1
    # The step that ends when the period is over makes the transition; the next one integrates.
    waiting = round(IAF["refract"] / dt)
    assert len(intervals) > 5
    assert set(intervals.tolist()) == {integrating + waiting}


def test_all_conditions_of_the_old_regime_are_tested_and_none_of_the_new() -> None:
    counter = build(
        states={"first": NONE, "second": NONE, "third": NONE, "seen": NONE},
        regimes=[
            regime(
                "a",
                when("t .gt. 0", ("first", "first + 1"), to="b"),
                when("t .gt. 0", ("second", "second + 1"), ("seen", "first")),
                initial=True,
            ),
            regime("b", when("t .gt. 0", ("third", "third + 1"))),
        ],
    )
    run = Interpreter(counter, {}, 1, 1.0).run(3, ["first", "second", "third", "seen"])
    assert column(run, "first") == [0, 1, 1, 1]
    assert column(run, "second") == [0, 1, 1, 1]  # tested though the first made a transition
    assert column(run, "seen") == [0, 1, 1, 1]  # and sees what the first assigned
    assert column(run, "third") == [0, 0, 1, 2]  # not in the step of the transition


def test_entry_of_the_initial_regime_is_part_of_the_start() -> None:
    thing = build(
        states={"x": NONE},
        start=[("x", "1")],
        regimes=[regime("a"), regime("b", entry=[("x", "x + 10")], initial=True)],
    )
    assert initial_values(regimes_to_states(thing), {}, 1)["x"].tolist() == [11.0]


def test_without_a_word_the_first_regime_is_the_initial_one() -> None:
    thing = build(states={"x": NONE}, regimes=[regime("a", rate=[("x", "1")]), regime("b")])
    assert column(Interpreter(thing, {}, 1, 1.0).run(2, ["x"]), "x") == [0, 1, 2]


def test_conditions_of_the_component_come_before_those_of_its_regime() -> None:
    thing = build(
        states={"x": NONE},
        conditions=[when("t .gt. 0", ("x", "5"))],
        regimes=[regime("a", when("t .gt. 0", ("x", "x * 2")))],
    )
    assert column(Interpreter(thing, {}, 1, 1.0).run(1, ["x"]), "x") == [0, 10]


def test_rates_of_component_and_regime_add_up_from_the_same_state() -> None:
    thing = build(
        states={"x": NONE, "y": NONE},
        rate=[("x", "1")],
        start=[("x", "1")],
        regimes=[
            regime("a", when("t .geq. 2", to="b"), rate=[("x", "2"), ("y", "x")], initial=True),
            regime("b", rate=[("y", "-x")]),
        ],
    )
    run = Interpreter(thing, {}, 1, 1.0).run(3, ["x", "y"])
    assert column(run, "x") == [1, 4, 7, 8]
    assert column(run, "y") == [0, 1, 5, -2]


def test_a_rate_that_is_the_same_in_all_regimes_needs_no_choice() -> None:
    thing = build(
        states={"w": NONE},
        regimes=[regime("a", rate=[("w", "-w")]), regime("b", rate=[("w", "-w")])],
    )
    assert regimes_to_states(thing).rates[0].value == read("-w")


def test_an_event_is_answered_by_the_regime_that_it_meets() -> None:
    thing = build(
        states={"x": NONE, "y": NONE},
        regimes=[
            regime(
                "a",
                on_events=(on("in", ("x", "x + 1"), sends=("out",), to="b"),),
                initial=True,
            ),
            regime("b", on_events=(on("in", ("y", "y + 1")),), entry=[("y", "10")]),
        ],
        out_ports=("out",),
    )
    thing = replace(thing, in_ports=("in",))
    arrivals = {"in": [(1, 0), (2, 0), (3, 0)]}
    run = Interpreter(thing, {}, 1, 1.0).run(3, ["x", "y"], arrivals)
    assert column(run, "x") == [0, 1, 1, 1]
    assert column(run, "y") == [0, 10, 11, 12]
    assert run.events["out"] == [(1, 0)]


def test_a_transition_to_nowhere_is_refused() -> None:
    thing = build(states={"x": NONE}, regimes=[regime("a", when("t .gt. 0", to="c")), regime("b")])
    with pytest.raises(InputError, match="leads to 'c', expected one of: a, b"):
        regimes_to_states(thing)


# States that conditions set


@pytest.mark.parametrize("part", [pulse(), pulse("I", NONE), sine(), ramp(), voltage_clamp()])
def test_inputs_of_neuroml_have_no_state_left(part: Dynamics) -> None:
    settled = settle_assigned_states(part)
    assert settled.states == settled.conditions == ()
    assert [item.name for item in settled.derived] == [name for name, _ in part.exposures]


def attached(part: Dynamics, values: dict[str, float], n_steps: int, dt: float) -> Run:
    cell = compose(passive(), [Attached("synapses", settle_assigned_states(part), "synapses[0]")])
    given = PASSIVE | {f"synapses[0]/{name}": value for name, value in values.items()}
    run = Interpreter(exact_times(cell), given, 1, dt)
    return run.run(n_steps, ["synapses[0]/i", "v"])


def test_a_pulse_acts_in_the_step_that_ends_at_its_start() -> None:
    dt = 1e-3
    run = attached(pulse(), TIMED | {"amplitude": 1e-10}, 40, dt)
    i, v = (run.traces[name][:, 0] for name in ("synapses[0]/i", "v"))
    assert np.flatnonzero(i).tolist() == list(range(10, 30))
    # C dv = I dt: already in the row at t = delay, as the reference interpreter has it.
    assert v[9] == PASSIVE["E"]
    assert v[10] == PASSIVE["E"] + dt * 2e-10 / PASSIVE["C"]


def test_a_pulse_without_delay_is_zero_at_the_start() -> None:
    run = attached(pulse(), TIMED | {"delay": 0.0, "amplitude": 1e-10}, 5, 1e-3)
    assert column(run, "synapses[0]/i") == [0.0] + [2e-10] * 5


def test_a_ramp_starts_from_what_on_start_gives() -> None:
    values = TIMED | {"first": 1e-10, "last": 3e-10, "base": 5e-11}
    i = column(attached(ramp(), values, 40, 1e-3), "synapses[0]/i")
    assert i[0] == 5e-11  # without the weight
    assert i[1] == 1e-10
    # weight (first + (last - first) (t - delay) / duration) half way through, to a few roundings
    assert i[20] == pytest.approx(2 * 2e-10, rel=1e-14)
    assert i[30] == 1e-10


def test_a_clamp_reads_the_voltage_at_the_start_of_the_step() -> None:
    dt = 1e-4
    values = {"delay": 0.0, "duration": 1.0, "weight": 1.0, "target": -0.05, "resistance": 1e7}
    run = attached(voltage_clamp(), values, 20, dt)
    i, v = (run.traces[name][:, 0] for name in ("synapses[0]/i", "v"))
    # one rounding in the difference and one in the quotient
    np.testing.assert_allclose(i[1:], (-0.05 - v[:-1]) / 1e7, rtol=1e-15)


@pytest.mark.parametrize("active", [0.0, 1.0])
def test_an_input_whose_conditions_may_all_fail_keeps_its_value(active: float) -> None:
    part = settle_assigned_states(voltage_clamp_triple())
    assert [item.name for item in part.states] == ["i@before"]
    values = TIMED | {
        "active": active,
        "resistance": 1e7,
        "first": 0.0,
        "second": 1.0,
        "third": 2.0,
    }
    run = attached(voltage_clamp_triple(), values, 35, 1e-3)
    i, v = (run.traces[name][:, 0] for name in ("synapses[0]/i", "v"))
    if not active:
        assert not i.any()
        return
    t = np.arange(1, 36)
    target = np.select([t < 10, t < 30], [0.0, 1.0], 2.0)
    np.testing.assert_allclose(i[1:], (target - v[:-1]) / 1e7, rtol=1e-14)


def test_a_value_is_held_between_the_conditions_that_set_it() -> None:
    latch = build(
        parameters={"delay": TIME},
        states={"x": NONE},
        start=[("x", "3")],
        conditions=[
            when("(t .geq. delay) .and. (t .lt. delay * 2)", ("x", "x + 1")),
            when("t .geq. delay * 3", ("x", "0")),
        ],
        exposures=("x",),
    )
    settled = settle_assigned_states(latch)
    expected = [3, 3, 4, 5, 5, 5, 0, 0]
    assert column(Interpreter(settled, {"delay": 2.0}, 1, 1.0).run(7, ["x"]), "x") == expected
    assert column(Interpreter(latch, {"delay": 2.0}, 1, 1.0).run(7, ["x"]), "x") == expected


def test_states_that_depend_on_each_other_are_settled_in_order() -> None:
    part = build(
        parameters={"delay": TIME},
        states={"on": NONE, "level": NONE},
        conditions=[
            when("t .lt. delay", ("on", "0")),
            when("t .geq. delay", ("on", "1")),
            when("on .gt. 0.5", ("level", "7")),
            when("on .leq. 0.5", ("level", "2 + on")),
        ],
    )
    settled = settle_assigned_states(part)
    assert settled.states == ()
    run = Interpreter(settled, {"delay": 2.0}, 1, 1.0).run(3, ["level"])
    assert column(run, "level") == [0, 2, 7, 7]


@pytest.mark.parametrize(
    ("part", "state"),
    [
        (spike_generator(), "tnext"),  # sends events
        (exp_synapse(), "g"),  # has a rate, and events change it
        (build(states={"x": NONE}, conditions=[when("t .gt. 0", ("x", "random(1)"))]), "x"),
        (
            build(
                states={"x": NONE, "y": NONE},
                rate=[("y", "1")],
                conditions=[when("y .gt. 1", ("x", "1")), when("y .leq. 1", ("x", "0"))],
            ),
            "x",  # follows a state that moves
        ),
        (
            build(
                states={"x": NONE},
                derived={"twice": (NONE, "2 * x")},
                conditions=[when("twice .gt. 1", ("x", "0")), when("twice .leq. 1", ("x", "1"))],
            ),
            "x",  # its own value decides, through a derived variable
        ),
        (
            build(
                states={"x": NONE, "y": NONE},
                rate=[("y", "0")],
                conditions=[when("x .gt. 0", ("y", "1")), when("t .geq. 0", ("x", "1"))],
            ),
            "x",  # read by an earlier condition, which must see the value before
        ),
    ],
)
def test_other_states_stay_states(part: Dynamics, state: str) -> None:
    assert state in {item.name for item in settle_assigned_states(part).states}


@pytest.mark.parametrize(
    ("tests", "certain"),
    [
        (["t .lt. delay", "t .geq. delay"], True),
        (["t .lt. delay", "t .gt. delay"], False),
        (
            [
                "t .lt. delay",
                "t .geq. delay .and. t .lt. duration+delay",
                "t .geq. delay + duration",
            ],
            True,
        ),
        (
            ["t .lt. delay", "t .geq. delay .and. t .lt. duration", "t .geq. delay + duration"],
            False,
        ),
        (["2*t .lt. delay", "t .geq. 0.5 * delay"], True),
        (["x .lt. y", "-x .leq. -y"], True),
        (["x .neq. 0", "x .eq. 0"], True),
        (["1 .lt. 2"], True),
        (["active .eq. 1 .and. t .lt. d", "active .eq. 1 .and. t .geq. d"], False),
        (["a*b .lt. c", "a*b .geq. c"], True),
        (["a*b .lt. c", "b*a .geq. c"], False),  # true, but beyond what is tried
        ([], False),
    ],
)
def test_what_is_proved_to_hold_always(tests: list[str], certain: bool) -> None:
    assert is_certain([read(item) for item in tests]) is certain


# Times


DELAYS = np.repeat([0.001, 0.003, 0.01, 0.022, 0.029], 5)
DURATIONS = np.tile([0.003, 0.007, 0.022, 0.029, 0.03], 5)


def edges(test: str, dt: float, *, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return whether a test on the time held, and whether the edge was reached, in each step."""
    thing = build(
        parameters={"delay": TIME, "duration": TIME},
        derived={"on": (NONE, choose(test, "1", "0"))},
    )
    values = {"delay": DELAYS, "duration": DURATIONS}
    n_steps = round(0.06 / dt)
    interpreter = Interpreter(exact_times(thing) if exact else thing, values, DELAYS.size, dt)
    held = interpreter.run(n_steps, ["on"]).traces["on"]
    steps = np.arange(n_steps + 1)[:, np.newaxis]
    return held, steps >= np.rint((DELAYS + DURATIONS) / dt)


@pytest.mark.parametrize("dt", [1e-3, 1e-4, 2.5e-5, 5e-6])
@pytest.mark.parametrize("relation", ["geq", "gt", "lt", "leq"])
def test_an_edge_falls_in_its_step_whatever_the_step(dt: float, relation: str) -> None:
    held, reached = edges(f"t .{relation}. delay + duration", dt, exact=True)
    # Strict or not, a step that ends at the edge has reached it.
    assert np.array_equal(held, reached if "g" in relation else ~reached)


def test_without_the_pass_rounding_moves_edges() -> None:
    held, reached = edges("t .geq. delay + duration", 1e-3, exact=False)
    assert not np.array_equal(held, reached)


def test_equal_times_are_equal_and_derived_times_count() -> None:
    thing = build(
        parameters={"delay": TIME},
        derived={
            "left": (TIME, "t - delay"),
            "now": (NONE, choose("left .eq. 0", "1", "0")),
            "not_now": (NONE, choose("left .neq. 0", "1", "0")),
        },
    )
    run = Interpreter(exact_times(thing), {"delay": 3e-4}, 1, 1e-4).run(5, ["now", "not_now"])
    assert column(run, "now") == [0, 0, 0, 1, 0, 0]
    assert column(run, "not_now") == [1, 1, 1, 0, 1, 1]


def test_a_regular_generator_fires_on_time_for_a_long_time() -> None:
    # 100 s, where the tolerance reaches the 1e-12 s by which the generator looks ahead.
    dt = 0.05
    generator = exact_times(spike_generator())
    run = Interpreter(generator, {"period": 0.1}, 1, dt).run(2000)
    assert [step for step, _ in run.events["spike"]] == list(range(2, 2001, 2))


def test_only_comparisons_of_times_get_a_tolerance() -> None:
    thing = build(
        parameters={"delay": TIME, "v": VOLTAGE, "share": NONE},
        conditions=[when("v .gt. 0"), when("t / delay .gt. share"), when("t .gt. 0")],
    )
    assert exact_times(thing) == thing


def test_the_tolerance_can_be_set_again() -> None:
    thing = build(
        parameters={"delay": TIME}, conditions=[when("t .geq. delay"), when("t .leq. delay")]
    )
    assert exact_times(exact_times(thing), 4e-7) == exact_times(thing, 4e-7)


# Order, constants, unused


def test_derived_variables_come_after_what_they_read() -> None:
    thing = build(
        states={"s": NONE},
        derived={"c": (NONE, "b + a"), "b": (NONE, "2 * a"), "a": (NONE, "s + 1")},
    )
    assert [item.name for item in order_derived(thing).derived] == ["a", "b", "c"]


def test_derived_variables_that_need_each_other_are_named() -> None:
    thing = build("loop", derived={"a": (NONE, "b"), "b": (NONE, "c + 1"), "c": (NONE, "a")})
    with pytest.raises(InputError) as caught:
        order_derived(thing)
    message = caught.value.diagnostics[0].message
    assert message.startswith("derived variables of 'loop' need each other: ")
    cycle = message.rpartition(": ")[2].split(" -> ")
    assert cycle[0] == cycle[-1] and set(cycle) == {"a", "b", "c"}
    reads = {"a": "b", "b": "c", "c": "a"}
    assert all(reads[first] == second for first, second in pairwise(cycle))


def test_a_name_that_is_state_and_derived_variable_is_the_derived_one() -> None:
    # Sisat of pinskyRinzelCA3Cell.
    thing = build(
        states={"Si": NONE, "Sisat": NONE},
        derived={"Sisat": (NONE, choose("Si .gt. 125", "125", "Si"))},
        start=[("Si", "200"), ("Sisat", "7")],
    )
    ordered = order_derived(thing)
    assert [item.name for item in ordered.states] == ["Si"]
    assert initial_values(ordered, {}, 1)["Sisat"].tolist() == [125.0]


def test_constants_disappear_into_the_expressions() -> None:
    thing = build(
        parameters={"v": VOLTAGE},
        constants={"MVOLT": (VOLTAGE, 1e-3), "shift": (VOLTAGE, 0.0)},
        states={"x": NONE},
        derived={
            "unit": (VOLTAGE, "2 * MVOLT"),
            "y": (NONE, "((v - shift) / unit)^2"),
        },
        conditions=[when("MVOLT .gt. 1", ("x", "1")), when("y .gt. 1", ("x", "1"))],
    )
    folded = fold_constants(order_derived(thing))
    assert folded.constants == ()
    assert {item.name: item.value for item in folded.derived} == {
        "unit": Number(2e-3),
        "y": read("(v / 2e-3)^2"),
    }
    assert len(folded.conditions) == 1  # the other one never holds


def synaptic_cell() -> Dynamics:
    parts = [
        Attached("synapses", exp_synapse(), "synapses[0]"),
        Attached("", gate(), "m"),
        Attached("", spike_generator(), "clock"),
    ]
    return order_derived(compose(compose(passive(), parts[1:]), parts[:1]))


def test_what_nobody_reads_is_dropped() -> None:
    kept = drop_unused(synaptic_cell(), frozenset({"v"}))
    assert {item.name for item in kept.states} == {"v", "synapses[0]/g"}
    assert {item.name for item in kept.derived} == {"iSyn", "iMemb", "synapses[0]/i"}
    assert {item.name for item in kept.parameters} == {
        "C", "g", "E", "synapses[0]/tauDecay", "synapses[0]/gbase", "synapses[0]/erev",
        "synapses[0]/weight",
    }  # fmt: skip
    assert kept.conditions == ()
    assert [item.port for item in kept.on_events] == ["synapses[0]/in"]


def test_what_is_recorded_is_kept_with_all_that_it_needs() -> None:
    kept = drop_unused(synaptic_cell(), frozenset({"m/q", "clock/spike"}))
    assert {item.name for item in kept.states} >= {"m/q", "v", "clock/tnext"}
    assert "clock/tsince" not in {item.name for item in kept.states}
    assert kept.out_ports == ("clock/spike",)
    everything = {name for expr in kept.expressions() for name in names(expr)}
    assert everything <= kept.dimensions().keys()


def test_a_cell_keeps_what_its_spikes_need() -> None:
    cell = build(
        parameters={"thresh": VOLTAGE, "v0": VOLTAGE},
        states={"v": VOLTAGE, "count": NONE, "start": VOLTAGE},
        start=[("start", "v0"), ("v", "start")],
        rate=[("v", "0")],
        conditions=[when("v .gt. thresh", ("v", "0"), ("count", "count + 1"), sends=("spike",))],
        out_ports=("spike",),
    )
    kept = drop_unused(cell, frozenset())
    assert {item.name for item in kept.states} == {"v", "start"}
    assert [item.state for item in kept.conditions[0].assignments] == ["v"]
    assert {item.name for item in kept.parameters} == {"thresh", "v0"}


def test_dropping_changes_no_result() -> None:
    cell = synaptic_cell()
    values = PASSIVE | {
        "synapses[0]/tauDecay": 0.003,
        "synapses[0]/gbase": 1e-9,
        "synapses[0]/erev": 0.0,
        "synapses[0]/weight": 1.0,
        "m/rate": 100.0,
        "m/midpoint": -0.06,
        "m/scale": 0.01,
        "clock/period": 0.01,
    }
    arrivals = {"synapses[0]/in": [(3, 0), (40, 0)]}
    runs = [
        Interpreter(item, values, 1, 1e-4).run(100, ["v"], arrivals).traces["v"]
        for item in (cell, drop_unused(cell, frozenset({"v"})))
    ]
    assert np.array_equal(*runs)
    assert np.ptp(runs[0]) > 0
