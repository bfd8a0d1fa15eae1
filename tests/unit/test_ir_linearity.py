from __future__ import annotations

import numpy as np
import pytest
from hand_built import build, exp_synapse, gate, izhikevich, passive
from scipy.integrate import solve_ivp

from izhi_models.expr import Name, names, parse_expression
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import Interpreter
from izhi_models.ir.linearity import Coupling, linear_slope
from izhi_models.ir.passes import order_derived
from izhi_models.ir.step import make_step
from izhi_models.units import NONE, PER_TIME, TIME


def membrane(inward: str = "m * h * (1.2 - v)") -> Dynamics:
    """Return a membrane with gates m and h, and a scheme closed - half - open (a, b, c)."""
    return build(
        constants={"SEC": (TIME, 1.0)},
        states={"v": NONE, "m": NONE, "h": NONE, "a": NONE, "b": NONE, "c": NONE},
        derived={
            "opens": (PER_TIME, "exp((v - 0.3) / 0.4) / SEC"),
            "shuts": (PER_TIME, "exp((0.3 - v) / 0.4) / SEC"),
            "inward": (NONE, inward),
        },
        rate=[
            ("v", "(0.3 + 8 * inward - 4 * c * (v + 0.6) - 0.5 * (v + 0.5)) / SEC"),
            ("m", "4 * (opens * (1 - m) - shuts * m)"),
            ("h", "0.7 * (shuts * (1 - h) - opens * h)"),
            ("a", "shuts * b - 2 * opens * a"),
            ("b", "2 * opens * a - (shuts + opens) * b + 2 * shuts * c"),
            ("c", "opens * b - 2 * shuts * c"),
        ],
        start=[("v", "-0.5"), ("h", "0.6"), ("a", "0.7"), ("b", "0.2"), ("c", "0.1")],
    )


def by_scipy(end: float) -> np.ndarray:
    def slope(_: float, y: np.ndarray) -> list[float]:
        v, m, h, a, b, c = y
        opens, shuts = np.exp((v - 0.3) / 0.4), np.exp((0.3 - v) / 0.4)
        return [
            0.3 + 8 * m * h * (1.2 - v) - 4 * c * (v + 0.6) - 0.5 * (v + 0.5),
            4 * (opens * (1 - m) - shuts * m),
            0.7 * (shuts * (1 - h) - opens * h),
            shuts * b - 2 * opens * a,
            2 * opens * a - (shuts + opens) * b + 2 * shuts * c,
            opens * b - 2 * shuts * c,
        ]

    start = [-0.5, 0.0, 0.6, 0.7, 0.2, 0.1]
    return solve_ivp(slope, (0, end), start, rtol=1e-11, atol=1e-12).y[:, -1]


def end_state(dynamics: Dynamics, method: str, n: int, end: float) -> np.ndarray:
    names = [item.name for item in dynamics.states]
    run = Interpreter(dynamics, {}, 1, end / n, method=method).run(n, names)
    return np.array([run.traces[name][-1, 0] for name in names])


def test_exponential_midpoint_is_of_second_order_in_every_state() -> None:
    exact = by_scipy(2.0)
    errors = [
        np.abs(end_state(membrane(), "exponential_midpoint", n, 2.0) - exact) for n in (200, 400)
    ]
    # The next term is smaller by about the step over the fastest time constant, 0.1.
    np.testing.assert_allclose(np.log2(errors[0] / errors[1]), 2.0, atol=0.25)


def test_auto_is_far_closer_than_euler_where_there_are_gates() -> None:
    exact = by_scipy(2.0)
    auto, euler = (
        np.abs(end_state(membrane(), method, 400, 2.0) - exact).max()
        for method in ("auto", "euler")
    )
    assert auto < 0.1 * euler


@pytest.mark.parametrize("dt", [0.01, 0.1, 0.3])
def test_a_kinetic_scheme_keeps_its_sum_at_any_step(dt: float) -> None:
    # Rates are up to 25 per second, too fast for explicit methods at the longest of these steps.
    interpreter = Interpreter(membrane("v * 0"), {}, 1, dt, method="auto")
    run = interpreter.run(60, ["a", "b", "c"])
    np.testing.assert_allclose(sum(run.traces.values()), 1.0, rtol=0, atol=1e-12)  # roundings
    assert max(np.abs(item).max() for item in run.traces.values()) < 1.5


def test_states_are_found_that_relax_alone_or_together() -> None:
    coupling = Coupling(membrane())
    assert coupling.has_gates
    assert coupling.units == [("v",), ("m",), ("h",), ("a", "b", "c")]
    assert coupling.apart == [("m",), ("h",), ("a", "b", "c")]
    assert coupling.slopes.keys() == {"v", "m", "h", "a", "b", "c"}


def test_a_state_that_is_not_linear_in_itself_does_not_relax() -> None:
    coupling = Coupling(membrane("v * v * (1.2 - v)"))
    assert coupling.slopes.keys() == {"m", "h", "a", "b", "c"}
    assert coupling.has_gates


def with_synapse() -> Dynamics:
    part = Attached("synapses", exp_synapse(), "synapses[0]")
    return order_derived(compose(passive(), [part]))


@pytest.mark.parametrize("cell", [izhikevich(), passive(), with_synapse()])
def test_auto_is_forward_euler_where_no_rate_follows_what_it_acts_on(cell: Dynamics) -> None:
    whole = order_derived(compose(cell, []))
    assert not Coupling(whole).has_gates
    assert make_step(whole, "auto") == make_step(whole, "euler")


def test_a_gate_without_a_current_is_none() -> None:
    cell = compose(passive(), [Attached("", gate(), "m")])
    assert not Coupling(order_derived(cell)).has_gates


def test_a_channel_gate_at_a_held_voltage_relaxes_exactly() -> None:
    # Of a conductance with gates that is 0, v is constant, so that any step is exact.
    dt, n = 0.05, 40
    interpreter = Interpreter(held(), {}, 1, dt, method="exponential_midpoint")
    run = interpreter.run(n, ["q"])
    exact = 0.75 - 0.75 * np.exp(-4.0 * dt * np.arange(n + 1))
    np.testing.assert_allclose(run.traces["q"][:, 0], exact, rtol=1e-12)  # 40 roundings


def held() -> Dynamics:
    return build(
        constants={"SEC": (TIME, 1.0)},
        states={"v": NONE, "q": NONE},
        rate=[("v", "0 * q * (1 - v) / SEC"), ("q", "(3 * (1 - q) - exp(v) * q) / SEC")],
    )


def test_what_only_the_inside_of_a_step_reads_is_defined_there_alone() -> None:
    kept = make_step(membrane(), "exponential_midpoint", frozenset({"inward"}))
    every = make_step(membrane(), "exponential_midpoint")
    defined = {item.name for item in kept.definitions}
    assert "inward" in defined
    assert "opens" not in defined  # the gates read it in the middle of the step
    assert "opens@2" in defined
    assert {item.name for item in every.definitions} >= {"inward", "opens", "shuts"}
    for item in kept.advances:
        assert names(item.value) <= defined | {"@dt"} | {
            state.name for state in (*kept.states, *kept.constants)
        }


def test_slope_is_proved_through_derived_variables_or_not_given() -> None:
    derived = {item.name: item for item in membrane().derived}
    assert linear_slope(parse_expression("opens * x"), "x", derived) == Name("opens")
    assert linear_slope(parse_expression("inward * v"), "v", derived) is None
    assert linear_slope(parse_expression("opens * m"), "v", derived) is None
