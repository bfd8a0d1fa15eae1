import pytest
from hand_built import choose, read

from izhi_models.expr import names
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.evaluate import evaluate_scalar

AT = {"x": 0.7, "a": 1.3, "b": -0.4}


@pytest.mark.parametrize(
    ("text", "derivative"),
    [
        ("a", "0"),
        ("x", "1"),
        ("-x", "0-1"),
        ("a + b * x - x", "b - 1"),
        ("x * x", "2 * x"),
        ("a / x", "-(a / x^2)"),
        ("(x + a) / b", "1 / b"),
        ("x^3", "3 * x^2"),
        ("x^a", "a * x^(a - 1)"),
        ("a^x", "a^x * ln(a)"),
        ("x^x", "x^x * (ln(x) + 1)"),
        ("sin(a * x)", "a * cos(a * x)"),
        ("cos(x)", "-sin(x)"),
        ("tan(x)", "1 + tan(x)^2"),
        ("sinh(x)", "cosh(x)"),
        ("cosh(x)", "sinh(x)"),
        ("tanh(x)", "1 - tanh(x)^2"),
        ("exp(-x^2)", "-2 * x * exp(-x^2)"),
        ("sqrt(x)", "1 / (2 * sqrt(x))"),
        ("ln(a * x)", "1 / x"),
        ("log(x)", "1 / x"),
        ("abs(x - 1)", "0-1"),
        ("ceil(a) * x", "ceil(a)"),
        ("random(a) + b * x", "b"),
    ],
)
def test_derivatives_are_those_of_the_textbook(text: str, derivative: str) -> None:
    found = evaluate_scalar(differentiate(read(text), "x"), AT)
    # a dozen roundings
    assert found == pytest.approx(evaluate_scalar(read(derivative), AT), rel=1e-13)


@pytest.mark.parametrize(
    "text", ["a * x + b", "(b - x) / a", "-(x + a) * b - x", "x * exp(a) / (a + b)", "a^2 * x"]
)
def test_a_linear_expression_has_a_derivative_without_the_name(text: str) -> None:
    assert "x" not in names(differentiate(read(text), "x"))


@pytest.mark.parametrize("text", ["x^2", "a * x * x", "exp(x)", "1 / x", "x / (x + 1)"])
def test_any_other_expression_has_not(text: str) -> None:
    assert "x" in names(differentiate(read(text), "x"))


def test_a_choice_is_linear_only_if_its_condition_does_not_depend_on_the_name() -> None:
    assert names(differentiate(choose("a .gt. 0", "b * x", "0"), "x")) == {"a", "b"}
    assert "x" in names(differentiate(choose("x .gt. 0", "2 * x", "x"), "x"))
    with pytest.raises(NotDifferentiableError, match="jump"):
        differentiate(choose("x .gt. 0", "x + 2 - 1", "x"), "x")


@pytest.mark.parametrize("text", ["H(x)", "ceil(x)", "factorial(x)", "random(x)"])
def test_what_has_no_derivative_is_refused(text: str) -> None:
    with pytest.raises(NotDifferentiableError):
        differentiate(read(text), "x")
