import cmath
import itertools
import math
from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from izhi_models.expr import (
    CONDITIONS,
    ONE,
    ZERO,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Negate,
    Number,
    Select,
    fold,
    names,
    parse_expression,
    to_lems,
)
from izhi_models.ir.differentiate import differentiate
from izhi_models.ir.dimensions import rescale
from izhi_models.ir.dynamics import (
    Assignment,
    Constant,
    Derived,
    Dynamics,
    OnCondition,
    Rate,
    Variable,
)
from izhi_models.ir.evaluate import Interpreter, evaluate_scalar, initial_values
from izhi_models.ir.passes import (
    drop_unused,
    fold_constants,
    order_derived,
    settle_assigned_states,
)
from izhi_models.ir.passes.coverage import is_certain
from izhi_models.units import CURRENT, NONE, TIME, VOLTAGE, simulation_power, to_simulation
from tests.property.strategies import SIGNED, conditions, exact, positive, smooth, texts

NAMES = ("a", "b", "c")
VALUES = st.fixed_dictionaries(dict.fromkeys(NAMES, SIGNED))


def number(expr: Expr) -> Expr:
    return Select(expr, ONE, ZERO) if isinstance(expr, CONDITIONS) else expr


def same(first: float, second: float) -> bool:
    return first == second or (math.isnan(first) and math.isnan(second))


@given(texts(NAMES))
def test_lems_text_reads_back_as_the_same_expression(expr: Expr) -> None:
    assert parse_expression(to_lems(expr)) == expr


@given(exact(NAMES), VALUES)
def test_folding_changes_no_value(expr: Expr, values: dict[str, float]) -> None:
    assert same(evaluate_scalar(fold(expr), values), evaluate_scalar(expr, values))


@given(exact(NAMES))
def test_folding_twice_is_folding_once(expr: Expr) -> None:
    assert fold(fold(expr)) == fold(expr)


@given(exact(NAMES), VALUES)
def test_what_is_known_folds_to_a_number(expr: Expr, values: dict[str, float]) -> None:
    known = Dynamics(
        "thing",
        constants=tuple(Constant(name, NONE, value) for name, value in values.items()),
        derived=(Derived("d", NONE, expr),),
    )
    folded = fold_constants(known).derived[0].value
    assert not names(folded)
    assert same(evaluate_scalar(folded, {}), evaluate_scalar(expr, values))


def complex_value(expr: Expr, scope: dict[str, complex]) -> complex:
    match expr:
        case Number(value):
            return complex(value)
        case Name(name):
            return scope[name]
        case Negate(operand):
            return -complex_value(operand, scope)
        case Call(function, argument):
            function = {"ln": "log"}.get(function, function)
            return getattr(cmath, function)(complex_value(argument, scope))
        case Binary(op, left, right):
            first, second = complex_value(left, scope), complex_value(right, scope)
            match op:
                case "+":
                    return first + second
                case "-":
                    return first - second
                case "*":
                    return first * second
                case "/":
                    return first / second
                case _:
                    return first**second
    raise TypeError(expr)


@given(smooth(("x", "a")), st.floats(0.2, 2.0), st.floats(0.2, 2.0))
def test_derivatives_are_those_of_the_function(expr: Expr, x: float, a: float) -> None:
    # The complex step: f'(x) = Im f(x + ih) / h, without cancellation.
    expected = complex_value(expr, {"x": complex(x, 1e-100), "a": complex(a)}).imag / 1e-100
    assume(abs(expected) < 1e6)
    found = evaluate_scalar(differentiate(expr, "x"), {"x": x, "a": a})
    # Both round a few dozen operations, some of which cancel.
    assert math.isclose(found, expected, rel_tol=1e-8, abs_tol=1e-8)


DIMENSIONS = {"a": VOLTAGE, "b": CURRENT, "c": TIME}
POSITIVE = st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(1e-3, 10.0)))


@given(positive(NAMES), POSITIVE, st.sampled_from([NONE, VOLTAGE, CURRENT, TIME]))
def test_any_equation_keeps_its_meaning_in_simulation_units(
    expr: Expr, values: dict[str, float], dimension: object
) -> None:
    thing = Dynamics(
        "thing",
        parameters=tuple(Variable(name, item) for name, item in DIMENSIONS.items()),
        derived=(Derived("d", dimension, expr),),
    )
    si = initial_values(thing, values, 1)["d"][0]
    assume(1e-200 < si < 1e200)
    scaled_values = {name: to_simulation(values[name], DIMENSIONS[name]) for name in values}
    scaled = initial_values(rescale(thing), scaled_values, 1)["d"][0]
    # Rounding of a dozen operations; powers multiply it.
    assert math.isclose(scaled * 10.0 ** simulation_power(dimension), si, rel_tol=1e-10)


@given(
    st.lists(
        conditions(st.sampled_from([Name("a"), Name("b"), ONE, Binary("+", Name("a"), ONE)])),
        max_size=4,
    )
)
def test_what_is_proved_certain_is_certain(tests: list[Expr]) -> None:
    assume(is_certain(tests))
    for a, b in itertools.product(np.arange(-3, 3.5, 0.5), repeat=2):
        assert any(evaluate_scalar(number(test), {"a": a, "b": b}) for test in tests)


@given(st.permutations(range(6)), st.lists(st.sets(st.integers(0, 5)), min_size=6, max_size=6))
def test_order_of_writing_does_not_matter(order: list[int], reads: list[set[int]]) -> None:
    derived = []
    for number_, wanted in enumerate(reads):
        value: Expr = Number(float(number_ + 1))
        for other in sorted(item for item in wanted if item < number_):
            value = Binary("+", value, Name(f"d{other}"))
        derived.append(Derived(f"d{number_}", NONE, value))
    thing = Dynamics("thing", derived=tuple(derived))
    shuffled = replace(thing, derived=tuple(derived[i] for i in order))
    expected = initial_values(thing, {}, 1)
    found = initial_values(order_derived(shuffled), {}, 1)
    assert found == expected


EDGES = st.integers(0, 6).map(lambda step: Number(float(step)))
TIME_TESTS = st.builds(Compare, st.sampled_from(["<", ">", "<=", ">="]), st.just(Name("t")), EDGES)
TIMED = st.one_of(
    TIME_TESTS, st.builds(Logic, st.sampled_from(["and", "or"]), TIME_TESTS, TIME_TESTS)
)
BLOCKS = st.builds(
    lambda test, values: OnCondition(test, tuple(Assignment(*item) for item in values)),
    TIMED,
    st.lists(
        st.tuples(
            st.sampled_from(["x", "y"]),
            st.sampled_from(
                [ZERO, Number(2.0), Name("p"), Name("t"), Binary("+", Name("x"), ONE), Name("y")]
            ),
        ),
        min_size=1,
        max_size=2,
    ),
)


@given(st.lists(BLOCKS, min_size=1, max_size=4))
@settings(max_examples=60)
def test_settled_states_have_the_values_of_the_conditions(blocks: list[OnCondition]) -> None:
    assigned = {item.state for block in blocks for item in block.assignments}
    thing = Dynamics(
        "part",
        parameters=(Variable("p", NONE),),
        states=(Variable("x", NONE), Variable("y", NONE)),
        conditions=tuple(blocks),
    )
    settled = settle_assigned_states(thing)
    derived = {item.name for item in settled.derived}
    assert derived == assigned
    runs = [
        Interpreter(item, {"p": 7.0}, 1, 1.0).run(8, sorted(assigned)) for item in (thing, settled)
    ]
    for name in assigned:
        assert np.array_equal(runs[0].traces[name], runs[1].traces[name])


RATES = st.lists(exact(("x", "y", "d")), min_size=2, max_size=2)


@given(exact(("x", "y")), RATES, exact(("x", "y", "d")), conditions(exact(("x", "y"))))
@settings(max_examples=60)
def test_passes_change_no_run(derived: Expr, rates: list[Expr], reset: Expr, test: Expr) -> None:
    thing = Dynamics(
        "cell",
        states=tuple(Variable(name, NONE) for name in ("x", "y", "unused")),
        constants=(Constant("k", NONE, 0.25),),
        derived=(
            Derived("d", NONE, Binary("*", Name("k"), derived)),
            Derived("no", NONE, Name("d")),
        ),
        rates=tuple(Rate(name, value) for name, value in zip(("x", "y"), rates, strict=True)),
        start=(Assignment("x", ONE), Assignment("y", Number(-0.5))),
        conditions=(OnCondition(test, (Assignment("x", reset),), ("spike",)),),
        out_ports=("spike",),
    )
    smaller = drop_unused(fold_constants(order_derived(thing)), frozenset({"x"}))
    runs = [Interpreter(item, {}, 1, 0.125).run(5, ["x"]) for item in (thing, smaller)]
    assert np.array_equal(runs[0].traces["x"], runs[1].traces["x"], equal_nan=True)
    assert runs[0].events == runs[1].events
