from dataclasses import replace

import numpy as np
import pytest
from hand_built import (
    PASSIVE,
    assign,
    build,
    choose,
    exp_synapse,
    gate,
    izhikevich,
    passive,
    pulse,
    read,
    regime,
    spike_generator,
    when,
)

from izhi_models.errors import InternalError
from izhi_models.expr import ZERO, Binary, Name, Select, names
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME, Dynamics
from izhi_models.ir.evaluate import Interpreter
from izhi_models.ir.passes import exact_times, order_derived, settle_assigned_states
from izhi_models.ir.step import METHODS, make_step
from izhi_models.units import NONE, PER_TIME, TIME


def driven() -> Dynamics:
    """Return dx/dt = -k x + k sin(t), the right side through derived variables of x and t."""
    return build(
        parameters={"k": PER_TIME},
        constants={"SEC": (TIME, 1.0)},
        states={"x": NONE},
        derived={"gap": (NONE, "drive - x"), "drive": (NONE, "sin(t / SEC)")},
        rate=[("x", "k * gap")],
        start=[("x", "1")],
    )


def driven_exactly(t: float, k: float) -> float:
    particular = k * (k * np.sin(t) - np.cos(t)) / (1 + k * k)
    return particular + (1 + k / (1 + k * k)) * np.exp(-k * t)


def error(dynamics: Dynamics, values: dict, method: str, n: int, end: float, exact: float) -> float:
    run = Interpreter(dynamics, values, 1, end / n, method=method).run(n, ["x"])
    return abs(float(run.traces["x"][-1, 0]) - exact)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_methods_converge_with_their_order_through_derived_variables(
    method: str, order: int
) -> None:
    exact = driven_exactly(2.0, 1.5)
    coarse, fine = (error(driven(), {"k": 1.5}, method, n, 2.0, exact) for n in (20, 40))
    # The next term of the error is smaller by the step, 0.05 to 0.1.
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize(("method", "order"), [("midpoint", 2), ("rk4", 4)])
def test_an_edge_between_steps_costs_no_order(method: str, order: int) -> None:
    on = choose("(t .geq. delay) .and. (t .lt. delay + duration)", "1", "0")
    thing = build(
        parameters={"delay": TIME, "duration": TIME},
        constants={"SEC": (TIME, 1.0)},
        states={"x": NONE},
        derived={"on": (NONE, on)},
        rate=[("x", "(on - x) / SEC")],
    )
    values = {"delay": 0.5, "duration": 1.0}
    exact = (1 - np.exp(-1.0)) * np.exp(-0.5)
    errors = [error(exact_times(thing), values, method, n, 2.0, exact) for n in (20, 40)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_meet_the_same_solution(method: str) -> None:
    exact = driven_exactly(1.0, 2.0)
    # Euler's error at this step is about dt / 2 times the second derivative, 1e-4.
    assert error(driven(), {"k": 2.0}, method, 10_000, 1.0, exact) < 2e-4


def test_exponential_euler_relaxes_exactly() -> None:
    # A gate at a fixed voltage: q(t) = inf + (q0 - inf) exp(-t / tau), whatever the step.
    values = {"v": -0.05, "rate": 100.0, "midpoint": -0.06, "scale": 0.01}
    thing = replace(gate(), start=assign([("q", "0.1")]))
    for dt in (1e-6, 1e-4, 2e-3, 0.1):
        run = Interpreter(thing, values, 1, dt, method="exponential_euler").run(10, ["q"])
        alpha, beta = 100.0 * np.e, 100.0 / np.e
        inf = alpha / (alpha + beta)
        exact = inf + (0.1 - inf) * np.exp(-(alpha + beta) * dt * np.arange(11))
        # Near 0 the factor comes from a series good to 1e-13.
        np.testing.assert_allclose(run.traces["q"][:, 0], exact, rtol=1e-12)


def test_exponential_euler_is_exact_for_a_membrane_with_conductances() -> None:
    # The synapse has no decay to speak of, so g is fixed and v relaxes exactly.
    cell = order_derived(compose(passive(), [Attached("synapses", exp_synapse(), "synapses[0]")]))
    synapse = {"tauDecay": 1e12, "gbase": 1e-8, "erev": 0.0, "weight": 1.0}
    values = PASSIVE | {f"synapses[0]/{name}": value for name, value in synapse.items()}
    interpreter = Interpreter(cell, values, 1, 5e-3, method="exponential_euler")
    run = interpreter.run(5, ["v"], {"synapses[0]/in": [(1, 0)]})
    conductance = PASSIVE["g"] + 1e-8
    inf = PASSIVE["g"] * PASSIVE["E"] / conductance
    t = 5e-3 * np.arange(6)
    exact = inf + (PASSIVE["E"] - inf) * np.exp(-conductance / PASSIVE["C"] * t)
    np.testing.assert_allclose(run.traces["v"][:, 0], exact, rtol=1e-12)  # a few roundings


def test_exponential_euler_leaves_other_states_to_euler() -> None:
    step = make_step(compose(izhikevich(), []), "exponential_euler")
    euler = make_step(compose(izhikevich(), []), "euler")
    advances = {item.state: item for item in step.advances}
    assert advances["v"] == euler.advances[0]  # quadratic in itself
    assert advances["U"] != euler.advances[1]  # linear in itself


def test_a_long_chain_of_derived_variables_is_no_burden() -> None:
    # Each reads the one before twice: written out, the rate would have 2^60 terms.
    derived = {"d0": (PER_TIME, "0 - x / SEC")}
    derived |= {f"d{i}": (PER_TIME, f"(d{i - 1} + d{i - 1}) / 2") for i in range(1, 60)}
    thing = build(
        constants={"SEC": (TIME, 1.0)},
        states={"x": NONE},
        derived=derived,
        rate=[("x", "d59")],
        start=[("x", "1")],
    )
    run = Interpreter(thing, {}, 1, 0.5, method="exponential_euler").run(2, ["x"])
    np.testing.assert_allclose(run.traces["x"][:, 0], np.exp([0, -0.5, -1.0]), rtol=1e-13)


def test_exponential_euler_stands_still_where_a_rate_vanishes() -> None:
    thing = build(
        constants={"SEC": (TIME, 1.0)},
        states={"x": NONE},
        start=[("x", "1")],
        regimes=[
            regime("rest", when("t .geq. 0.25", to="relax"), initial=True),
            regime("relax", rate=[("x", "-x / SEC")]),
        ],
    )
    run = Interpreter(thing, {}, 1, 0.1, method="exponential_euler").run(5, ["x"])
    # exact relaxation from the step after the transition, at 0.3
    np.testing.assert_allclose(
        run.traces["x"][:, 0], [1, 1, 1, 1, np.exp(-0.1), np.exp(-0.2)], rtol=1e-14
    )


def test_euler_has_the_shape_that_back_ends_know() -> None:
    step = make_step(compose(passive(), []))
    (advance,) = step.advances
    assert advance.value == Binary("+", Name("v"), Binary("*", Name(STEP_NAME), read("iMemb / C")))
    assert [item.name for item in step.definitions] == ["iSyn", "iMemb"]


def test_a_state_with_a_rate_of_zero_does_not_move() -> None:
    assert [item.state for item in make_step(spike_generator()).advances] == ["tsince"]


def test_in_a_step_an_input_needs_no_case_for_the_start() -> None:
    step = make_step(settle_assigned_states(pulse()))
    inner = choose("t .geq. delay .and. t .lt. duration + delay", "weight * amplitude", "0")
    assert step.definitions[0].value == Select(read("t .geq. duration + delay"), ZERO, inner)


@pytest.mark.parametrize("method", METHODS)
def test_definitions_come_before_what_reads_them(method: str) -> None:
    part = settle_assigned_states(pulse())
    cell = compose(passive(), [Attached("synapses", part, "synapses[0]")])
    step = make_step(order_derived(compose(cell, [Attached("", gate(), "m")])), method)
    known = {TIME_NAME, STEP_NAME} | {
        item.name for group in (step.parameters, step.constants, step.states) for item in group
    }
    for item in step.definitions:
        assert names(item.value) <= known
        assert item.name not in known
        known.add(item.name)
    assert all(names(item.value) <= known for item in step.advances)


def test_what_does_not_change_inside_a_step_is_computed_once() -> None:
    part = settle_assigned_states(pulse())
    cell = order_derived(compose(passive(), [Attached("synapses", part, "synapses[0]")]))
    step = make_step(cell, "rk4")
    pulses = [item.name for item in step.definitions if item.name.startswith("synapses[0]/i")]
    assert len(pulses) == 2  # at the end of the step, for recording, and inside


def test_a_dynamics_that_is_not_complete_is_refused() -> None:
    with pytest.raises(InternalError, match="open lists"):
        make_step(passive())
