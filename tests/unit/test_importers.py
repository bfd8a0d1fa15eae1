"""Equations of ANNarchy are read as they are meant."""

from __future__ import annotations

import math

import numpy as np
import pytest

from izhi_models.errors import UnsupportedError
from izhi_models.expr import Expr, parse_expression, to_lems, to_text
from izhi_models.importers.definition import Definition, arithmetic
from izhi_models.importers.dimensions import (
    CAPACITANCE,
    Claim,
    dimension_name,
    unit_name,
    unit_power,
)
from izhi_models.importers.equations import read_equations, read_functions
from izhi_models.importers.expressions import parse, parse_condition
from izhi_models.importers.typing import Typing
from izhi_models.ir.evaluate import evaluate_array, evaluate_scalar
from izhi_models.units import TIME, VOLTAGE, Dimension

SCOPE = {"a": 2.0, "b": -3.5, "v": 7.25, "x": 0.0}


def value(expr: Expr, **more: float) -> float:
    return float(evaluate_scalar(expr, {**SCOPE, **more}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-a^2", -4.0),
        ("2.0**3**2", 512.0),
        ("a/b/v", 2.0 / -3.5 / 7.25),
        ("a - b - v", 2.0 + 3.5 - 7.25),
        ("pos(b) + neg(b) + pos(v)", -3.5 + 7.25),
        ("clip(v, a, 5.0) + clip(b, a, 5.0)", 7.0),
        ("min(a, b) + max(a, b)", -1.5),
        ("floor(b) + ceil(b) + round(b)", -4.0 - 3.0 - 4.0),
        ("modulo(b, a)", math.fmod(-3.0, 2.0)),
        ("power(a, 5) + pow(a, 0.5)", 32.0 + math.sqrt(2.0)),
        ("log10(v) + log(v) + fabs(b)", math.log10(7.25) + math.log(7.25) + 3.5),
        ("ite(a > b and not(v < a), 1.0, 2.0)", 1.0),
        ("ite((a > b) & (v < a) | (x == 0.0), 1.0, 2.0)", 1.0),
        ("if v > 10.0: 1.0 else: if v > 5.0: 2.0 else: 3.0", 2.0),
        ("(v > a) + (v < a)", 1.0),
        ("ite(x is not 0.0, 1.0, 2.0)", 2.0),
    ],
)
def test_expressions_mean_what_python_means(text: str, expected: float) -> None:
    assert value(parse(text, "here")) == pytest.approx(expected, rel=1e-15)


def test_functions_of_the_user_are_put_in_place() -> None:
    functions = read_functions(
        "f(p, q) = p - 2.0 * q\ng(p) = if p > 0.0: f(p, 1.0) else: p", "n", {}
    )
    assert value(parse("g(v) + f(a, b)", "here", functions)) == 5.25 + 9.0


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("tau * dv/dt + v = E", "(E - v) / tau"),
        ("dv/dt = (E - v) / tau", "(E - v) / tau"),
        ("dv / dt = -v", "-v"),
        ("C*dv/dt + k*v = k - k*v + 0.5*C*dv/dt", "(k - k * v - k * v) / (C - 0.5 * C)"),
    ],
)
def test_equations_are_solved_for_the_rate(text: str, rate: str) -> None:
    pytest.importorskip("ANNarchy")
    (found,) = read_equations(text, "neuron", "here", {})
    scope = {"v": 3.0, "E": 1.5, "tau": 20.0, "C": 2.5, "k": 0.3}
    expected = evaluate_scalar(parse_expression(rate), scope)
    assert found.is_ode
    assert evaluate_scalar(found.value, scope) == pytest.approx(expected, rel=1e-14)


def test_flags_and_bounds_are_kept() -> None:
    text = "tau * dv/dt + v = E : exponential, min = -1.0, max = top, init = 3.0, population"
    (found,) = read_equations(text, "neuron", "here", {})
    assert (found.method, found.locality) == ("exponential", "global")
    assert (to_text(found.low), to_text(found.high)) == ("-1", "top")


def test_increments_are_values() -> None:
    found = read_equations("u += d; v *= 0.5", "neuron", "here", {})
    assert [to_text(item.value) for item in found] == ["u + d", "v * 0.5"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("gamma(v)", "'gamma'"),
        ("mean(v)", "'mean' runs over a population"),
        ("Gamma(1.0, 2.0)", "'Gamma'"),
        ("v +", "its end"),
        ("v % 2", "'% 2'"),
    ],
)
def test_what_lems_cannot_say_is_named_with_its_text(text: str, named: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse(text, "neuron 'N', variable 'x'")
    assert "neuron 'N', variable 'x'" in str(caught.value)
    assert named in str(caught.value)
    assert text in str(caught.value)


def test_equation_that_is_not_linear_in_its_rate_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"not linear in dv/dt"):
        read_equations("exp(dv/dt) = v", "neuron", "here", {})


@pytest.mark.parametrize("low", [-1.0, 0.5, 3.0])
@pytest.mark.parametrize("v", [-2.0, 0.5, 1.0, 3.0, 4.0])
def test_choices_become_arithmetic_with_the_same_values(v: float, low: float) -> None:
    text = "ite((v >= low and v != 1.0) or not(v <= 3.0), clip(v, low, 3.5), v + (v == low))"
    expr = parse(text, "here")
    assert value(arithmetic(expr), v=v, low=low) == value(expr, v=v, low=low)
    assert value(parse_expression(to_lems(arithmetic(expr))), v=v, low=low) == value(
        expr, v=v, low=low
    )


def test_conditions_of_numbers_hold_where_they_are_not_zero() -> None:
    assert to_text(parse_condition("fired", "here")) == "fired != 0"


def test_random_numbers_follow_their_distributions() -> None:
    rng = np.random.default_rng(1)

    def drawn(text: str) -> np.ndarray:
        expr = parse(text, "here")
        return evaluate_array(expr, {}, 20000, rng)

    # The mean of 20000 numbers is within 5 standard errors but once in a million.
    for text, mean, deviation in (
        ("Uniform(2.0, 6.0)", 4.0, 4.0 / math.sqrt(12.0)),
        ("Normal(1.0, 3.0)", 1.0, 3.0),
        ("Exponential(0.5)", 2.0, 2.0),
        ("DiscreteUniform(1, 6)", 3.5, math.sqrt(35.0 / 12.0)),
    ):
        numbers = drawn(text)
        assert abs(numbers.mean() - mean) < 5.0 * deviation / math.sqrt(numbers.size), text
        assert numbers.std() == pytest.approx(deviation, rel=0.05), text


def test_type_gives_choices_variables_of_their_own() -> None:
    made = Definition("cell", "baseSpikingCell")
    made.derive("x", parse("1.0 + ite(v > a, b, v)", "here"))
    text = made.xml()
    assert text.count("<ConditionalDerivedVariable") == 2  # what reads one comes after it
    assert '<Case condition="v .gt. a" value="b"/>' in text


def typed(
    text: str, spike: str = "", told: dict[str, Dimension] | None = None, given: str = ""
) -> tuple[dict[str, str], list[Expr]]:
    """Return the units of names, and the equations with units."""
    pytest.importorskip("ANNarchy")
    typing = Typing()
    equations = read_equations(text, "neuron", "here", {})
    later = [typing.equation(item) for item in equations]
    if spike:
        typing.claim(Claim(parse_condition(spike, "here")))
    moving = [item.name for item in equations if item.is_ode]
    first = [*given.split(), *(item.name for item in equations if not item.is_ode)]
    found = typing.infer((first, moving), {}, told or {})
    return {name: unit_name(item) for name, item in found.items()}, [item().value for item in later]


def test_time_constants_are_times_and_what_is_open_has_no_unit() -> None:
    units, _ = typed("tau * dv/dt = E - v + 0.5 * I", given="tau E I")
    assert units == {"tau": "ms", "E": "", "I": "", "v": ""}


def test_what_a_voltage_is_said_to_be_gives_units_to_the_rest() -> None:
    text = "cm * dv/dt = cm / tau * (E - v) + g * (V - v) + I"
    told = {"v": VOLTAGE, "cm": CAPACITANCE}
    units, _ = typed(text, "v > T", told, "cm tau E g V I T")
    assert units == {
        "cm": "nF", "tau": "ms", "E": "mV", "g": "uS", "V": "mV", "I": "nA", "T": "mV", "v": "mV",
    }  # fmt: skip


def test_numbers_become_quantities_where_that_is_needed() -> None:
    text = "dv/dt = 0.04*v^2 + 5.0*v + 140.0 - u\ndu/dt = a*(b*v - u)"
    units, (rate, _) = typed(text, told={"v": VOLTAGE}, given="a b")
    assert units == {"a": "per_ms", "b": "per_ms", "v": "mV", "u": "mV_per_ms"}
    # In any units that are consistent, it is the same quantity: here V and s.
    scope = {"v": -0.06, "u": -13.0, "MVOLT": 1e-3, "MSEC": 1e-3}
    expected = (0.04 * 60.0**2 - 5.0 * 60.0 + 140.0 + 13.0) * 1e-3 / 1e-3
    assert evaluate_scalar(rate, scope) == pytest.approx(expected, rel=1e-12)


def test_a_rate_that_is_a_plain_number_counts_in_ms() -> None:
    units, (rate,) = typed("dv/dt = I - v", given="I")
    assert units == {"I": "", "v": ""}
    assert evaluate_scalar(rate, {"I": 3.0, "v": 1.0, "MSEC": 1e-3}) == pytest.approx(2000.0)


def test_what_is_told_gives_way_to_the_equations() -> None:
    units, _ = typed("tau * dv/dt = exp(v) - v^2", told={"v": VOLTAGE}, given="tau")
    assert units["v"] == ""


def test_names_of_units_are_those_of_neuroml_or_made_of_them() -> None:
    rate = VOLTAGE.over(TIME)
    assert (dimension_name(rate), unit_name(rate), unit_power(rate)) == (
        "voltage_per_time", "mV_per_ms", 0,
    )  # fmt: skip
    assert (dimension_name(CAPACITANCE), unit_name(CAPACITANCE)) == ("capacitance", "nF")
    assert unit_power(CAPACITANCE) == -9
