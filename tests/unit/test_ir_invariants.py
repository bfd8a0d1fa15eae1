import numpy as np
import pytest
from hand_built import build, when

from izhi_models.expr import Binary, names, parse_expression, walk
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import evaluate_scalar
from izhi_models.ir.invariants import hoist_invariants
from izhi_models.ir.step import Step, make_step
from izhi_models.units import NONE, TIME

PARAMETERS = {"a": NONE, "b": NONE, "tau": TIME, "period": TIME}


def thing(rate: str, derived: dict[str, str] | None = None, test: str = "x .gt. b") -> Dynamics:
    return build(
        parameters=PARAMETERS,
        states={"x": NONE},
        derived={name: (NONE, text) for name, text in (derived or {}).items()},
        rate=[("x", rate)],
        conditions=[when(test, ("x", "b"), sends=("spike",))],
        out_ports=("spike",),
    )


def hoisted(dynamics: Dynamics, keep: frozenset[str] = frozenset()):
    return hoist_invariants(make_step(dynamics, "euler", keep), PARAMETERS.keys(), keep)


def divisions(step: Step) -> int:
    values = [item.value for item in (*step.definitions, *step.advances)]
    tests = [item.test for item in step.blocks]
    nodes = (node for expr in (*values, *tests) for node in walk(expr))
    return sum(isinstance(node, Binary) and node.op == "/" for node in nodes)


def test_hoist_invariants__quotient_by_a_parameter__is_a_product():
    step, (inverse,) = hoisted(thing("-x / tau"))
    assert divisions(step) == 0
    assert inverse.name == "tau_inverse"
    assert inverse.value == parse_expression("1 / tau")
    assert "tau_inverse" in {item.name for item in step.parameters}


@pytest.mark.parametrize("tau", [0.0, -0.0, np.inf, -np.inf, 3.0])
@pytest.mark.parametrize("x", [0.0, 2.0, -2.0, np.inf])
def test_hoist_invariants__zero_and_infinity__give_what_the_quotient_gives(tau, x):
    step, (inverse,) = hoisted(thing("x / tau"))
    value = evaluate_scalar(inverse.value, {"tau": tau})
    (advance,) = step.advances
    scope = {"x": x, "tau_inverse": value, "@dt": 1.0}
    with np.errstate(all="ignore"):
        expected = x + np.float64(x) / np.float64(tau)
    # The inverse and the product round once each.
    assert evaluate_scalar(advance.value, scope) == pytest.approx(expected, rel=5e-16, nan_ok=True)


def test_hoist_invariants__derived_from_parameters_alone__is_no_part_of_the_step():
    model = thing("k * x / tau", {"factor": "3 ^ a", "k": "factor * b"})
    step, invariants = hoisted(model)
    assert step.definitions == ()
    values = {
        item.name: evaluate_scalar(item.value, {"a": 2.0, "b": 5.0, "tau": 4.0})
        for item in invariants
    }
    assert sorted(values.values()) == [0.25, 45.0]


def test_hoist_invariants__derived_that_is_recorded__stays():
    step, _ = hoisted(thing("k * x / tau", {"k": "3 ^ a"}), frozenset({"k"}))
    assert [item.name for item in step.definitions] == ["k"]


@pytest.mark.parametrize(
    "model",
    [
        thing("-x / a", {"phase": "x / period"}, "phase .gt. b"),
        thing("-x / a", {"inner": "x / period", "phase": "inner - b"}, "phase .geq. 0"),
        thing("ceil(x / period) / a"),
        thing("H(x / period) / a"),
        thing("-x / a", {}, "x / period .gt. b"),
    ],
)
def test_hoist_invariants__quotient_that_decides__is_not_rounded_otherwise(model):
    step, _ = hoisted(model)
    # 30 / 10 is 3, but 30 * (1 / 10) is above it.
    assert divisions(step) == 1


def test_hoist_invariants__sum_or_product__is_computed_where_it_is_read():
    _, invariants = hoisted(thing("(a + b) * x + a * b"))
    assert invariants == ()


def test_hoist_invariants__names_that_are_taken__get_a_number():
    model = build(
        parameters=PARAMETERS, states={"x": NONE, "tau_inverse": NONE}, rate=[("x", "x / tau")]
    )
    step, (inverse,) = hoisted(model)
    assert inverse.name == "tau_inverse_2"
    assert inverse.name in names(step.advances[0].value)
