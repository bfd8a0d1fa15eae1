"""What ANNarchy's own translation would compute, against the value of the text as written."""

import math

import numpy as np
import pytest
import sympy
from sympy.parsing.sympy_parser import convert_xor, parse_expr, standard_transformations

from izhi_models.annarchy.plain import Vocabulary, to_plain
from izhi_models.annarchy.program import Equation, Neuron, Program, ProgramParameter

PARAMETERS = tuple(ProgramParameter(f"{letter}_1", False) for letter in "zyxcba")
TEXTS = [
    "a_1 + b_1 + c_1",
    "c_1 + b_1 + a_1",
    "c_1 + (b_1 + a_1)",
    "z_1 - (a_1 - (b_1 - c_1))",
    "a_1/b_1/c_1",
    "a_1/(b_1/c_1)",
    "c_1*(b_1*a_1)*(x_1*y_1)",
    "a_1/b_1*c_1",
    "(-a_1)*(b_1 - c_1)*x_1",
    "0.04*a_1^2 + 5.0*a_1 + 140.0 - b_1 + c_1",
    "x_1*a_1^3*b_1",
    "(a_1 + b_1*c_1)^4/3.0",
    "exp((-(a_1 - b_1)/c_1))*x_1/y_1",
    "ite(a_1 == b_1, 1.0, 2.0) + ite(a_1 != b_1, 10.0, 20.0) + ite(a_1 == a_1, 100.0, 200.0)",
    "ite((a_1 > b_1) and (c_1 > 0.0), a_1 + c_1 + b_1, heaviside(b_1 - a_1))",
    "(a_1 + b_1 + c_1)*(a_1 + x_1 + b_1)/(y_1*z_1*x_1)",
]


def value(text: str, scope: dict[str, float]) -> float:
    """Evaluate a text or C++ in double precision, operation by operation."""
    functions = {
        "exp": lambda x: math.exp(min(x, 700.0)), "pow": lambda x, n: x * x if n == 2 else x**n,
        "ite": lambda test, yes, no: yes if test else no,
        "heaviside": lambda x: 1.0 if x > 0 else 0.0 if x < 0 else 0.5,
    }  # fmt: skip
    return float(eval(text, {**functions, **scope}))


def powers_as_products(text: str) -> str:
    for base, exponent in (("a_1", 3), ("a_1", 2), ("(a_1 + b_1*c_1)", 4)):
        text = text.replace(f"{base}^{exponent}", f"({'*'.join([base] * exponent)})")
    return text


def annarchy_code(text: str) -> str:
    """Translate a text as `ANNarchy.parser.Equation` does an assignment."""
    names = {name: sympy.Symbol(f"{name}%(local_index)s") for name in _words(text)}
    text = text.replace(" and ", " & ").replace(" or ", " | ")
    parsed = parse_expr(
        text,
        local_dict={**names, "ite": sympy.Function("ite", nargs=3)},
        transformations=(*standard_transformations, convert_xor),
        evaluate=False,
    )
    code = sympy.ccode(parsed, precision=8, strict=False, user_functions={"ite": "ite"})
    return code.replace("%(local_index)s", "").replace("&&", "and").replace("||", "or")


def _words(text: str) -> set[str]:
    return {word for word in text.replace("(", " ").replace(")", " ").split() for word in
            "".join(c if c.isalnum() or c == "_" else " " for c in word).split()
            if word[:1].isalpha() and "_" in word}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_translation_of_a_plain_equation_keeps_every_operation(text: str):
    neuron = Neuron(
        "n_1", PARAMETERS, (Equation("r_1", f"r_1 = {text}", is_ode=False),), None, (), 1
    )
    (plain,) = to_plain(Program((neuron,))).program.neurons
    random = np.random.default_rng(1)
    for _ in range(200):
        scope = {item.symbol: float(random.normal() * 10.0**random.integers(-2, 3))
                 for item in PARAMETERS}  # fmt: skip
        expected = value(powers_as_products(text), scope)
        for equation in plain.equations:
            name, _, right = equation.text.partition(" = ")
            scope[name] = value(annarchy_code(right), scope)
        assert scope["r_1"] == expected


def test_rates_are_variables_of_their_own_and_come_before_all_odes():
    neuron = Neuron(
        "n_1",
        PARAMETERS,
        (
            Equation("v_2", "dv_2/dt = a_1*(b_1 - v_2)", is_ode=True),
            Equation("u_3", "du_3/dt = v_2 - u_3", is_ode=True),
            Equation("w_4", "dw_4/dt = c_1", is_ode=True),
        ),
        "v_2 > a_1",
        ("v_2 = b_1",),
        1,
    )
    words = Vocabulary({"v_2": "v"}, make=lambda text: text)
    plain = to_plain(Program((neuron,)), {"n_1": words})
    assert [item.text for item in plain.program.neurons[0].equations] == [
        "rate_1 = a_1*(b_1 - v_2)",
        "rate_2 = v_2 - u_3",
        "dv_2/dt = rate_1",
        "du_3/dt = rate_2",
        "dw_4/dt = c_1",
    ]
    assert words.names == {"v_2": "v", "rate_1": "v_rate", "rate_2": "u_3_rate"}


def test_numbers_of_single_precision_are_parameters():
    neuron = Neuron(
        "n_1",
        PARAMETERS,
        (Equation("r_1", "r_1 = 0.01*a_1 + 0.0 + 0.01", is_ode=False),),
        None,
        (),
        1,
    )
    plain = to_plain(Program((neuron,), precision="float"))
    assert plain.numbers == {("n_1", "number_1"): 0.01, ("n_1", "number_2"): 0.0}
    assert not any(
        character.isdigit()
        for item in plain.program.neurons[0].equations
        for word in item.text.replace("(", " ").split()
        for character in word.split("_")[0]
    )
