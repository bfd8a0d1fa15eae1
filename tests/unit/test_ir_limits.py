from __future__ import annotations

import math

import numpy as np
import pytest
from hand_built import build, choose

from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import initial_values
from izhi_models.ir.passes import fill_limits
from izhi_models.units import NONE, PER_TIME, TIME, VOLTAGE


def rate(value: str, **derived: str) -> Dynamics:
    """Return something that reads v and shows r; k and SEC are given."""
    return build(
        parameters={"k": VOLTAGE, "mid": VOLTAGE},
        constants={"SEC": (TIME, 1.0)},
        requirements={"v": VOLTAGE},
        derived={**{name: (NONE, text) for name, text in derived.items()}, "r": (PER_TIME, value)},
    )


def at(dynamics: Dynamics, v: np.ndarray | float) -> np.ndarray:
    voltages = np.atleast_1d(np.asarray(v, dtype=float))
    values = {"k": 0.01, "mid": -0.04, "v": voltages}
    return initial_values(dynamics, values, voltages.size)["r"]


# Value, what it reads, and its limit at v = mid = -40 mV, by hand.
REMOVABLE = [
    ("a / (1 - exp(0 - a)) / SEC", {"a": "(v - mid) / k"}, 1.0),
    ("3 * a / (exp(a / 5) - 1) / SEC", {"a": "(v - mid) / k"}, 15.0),
    ("0.1 * ((v - mid) / k) / (1 - exp((mid - v) / k)) / SEC", {}, 0.1),
    ("2 * a * (7 - 3 * e) / (1 - e) / SEC", {"a": "(v - mid) / k", "e": "exp(-a)"}, 8.0),
    ("(v - mid) / k / (tanh(a) + a) / SEC", {"a": "(v - mid) / k"}, 0.5),
    ("a / tanh(2 * a) / SEC", {"a": "(v - mid) / k"}, 0.5),
    ("a / below / SEC", {"a": "(v - mid) / k", "below": "exp(a / 4) - 1"}, 4.0),
    ("sin(a) / (SEC * (exp(2 * a) - 1))", {"a": "(v - mid) / k"}, 0.5),
]


@pytest.mark.parametrize(("value", "derived", "limit"), REMOVABLE)
def test_a_quotient_has_its_limit_where_it_is_0_by_0(value: str, derived: dict, limit: float):
    plain = rate(value, **derived)
    filled = fill_limits(plain)
    assert not np.isfinite(at(plain, -0.04)[0])
    assert at(filled, -0.04)[0] == pytest.approx(limit, rel=1e-12)
    # Near by it leads there, and elsewhere it is what it was.
    near = -0.04 + np.array([-1e-9, -1e-12, -1e-15, 1e-17, 1e-14, 1e-10])
    # Half of the digits are lost where the quotient itself is taken.
    np.testing.assert_allclose(at(filled, near), limit, rtol=1e-6)
    far = np.array([-0.1, -0.0401, -0.039, 0.0, 0.05])
    np.testing.assert_array_equal(at(filled, far), at(plain, far))


def test_a_pole_stays() -> None:
    filled = fill_limits(rate("(v - 2 * mid) / k / (1 - exp((mid - v) / k)) / SEC"))
    assert np.isinf(at(filled, -0.04)[0])


def test_a_point_that_the_file_tests_for_is_left_to_it() -> None:
    guarded = build(
        constants={"SEC": (TIME, 1.0)},
        requirements={"v": VOLTAGE},
        parameters={"k": VOLTAGE, "mid": VOLTAGE},
        derived={
            "x": (NONE, "(v - mid) / k"),
            "r": (PER_TIME, choose("x .neq. 0", "x / (1 - exp(0 - x)) / SEC", "1 / SEC")),
        },
    )
    assert fill_limits(guarded) == guarded


def test_quotients_without_a_zero_above_or_below_are_left() -> None:
    for value in (
        "1 / (1 + exp(0 - v / k)) / SEC",
        "v / (k + v) / SEC",
        "v / k / (1 - exp(2)) / SEC",
    ):
        plain = rate(value)
        v = np.linspace(-0.1, 0.1, 41)
        np.testing.assert_array_equal(at(fill_limits(plain), v), at(plain, v))


@pytest.mark.parametrize(
    ("value", "derived"),
    [
        ("v / (1 + exp((0 - v) / k) / 3.57) / k / SEC", {}),
        ("a / (0.5 * cosh(a) + 2) / SEC", {"a": "v / k"}),
        ("a / below / SEC", {"a": "v / k", "below": "3 + sqrt(a * a) + exp(a) * abs(a)"}),
    ],
)
def test_quotients_by_what_is_greater_than_0_are_left(value: str, derived: dict) -> None:
    plain = rate(value, **derived)
    assert fill_limits(plain) == plain


def test_a_long_chain_of_derived_variables_is_no_burden() -> None:
    chain = {"d0": "(v - mid) / k"} | {f"d{i}": f"(d{i - 1} + d{i - 1}) / 2" for i in range(1, 60)}
    filled = fill_limits(rate("d59 / (1 - exp(0 - d59)) / SEC", **chain))
    assert at(filled, -0.04)[0] == pytest.approx(1.0)
    assert at(filled, -0.03)[0] == pytest.approx(1 / (1 - math.exp(-1)))
