import math

import pytest

from izhi_models.expr import (
    CONDITIONS,
    Binary,
    Call,
    Compare,
    ExpressionSyntaxError,
    Name,
    Negate,
    Number,
    Select,
    constant_truth,
    fold,
    is_random,
    names,
    parse_expression,
    rename,
    substitute,
    to_lems,
    to_text,
)
from izhi_models.ir.evaluate import evaluate_scalar

SCOPE = {"a": 2.0, "b": 3.0, "c": 4.0}

# What jNeuroML 0.14.0 gives for a = 2, b = 3, c = 4, as written to its output file.
REFERENCE = [
    ("-a^2", -4.0),
    ("b*-a^2", 12.0),
    ("2*-a", -4.0),
    ("a^-b", 0.125),
    ("a^b^c", 4096.0),
    ("-a*b+c", -2.0),
    ("a*b/c", 1.5),
    ("a/b/c", 0.16666667),
    ("a/b*c", 2.6666667),
    ("a-b-c", -5.0),
    ("a+b-c", 1.0),
    ("a-b+c", 3.0),
    ("- -a", 2.0),
    ("a - -b", 5.0),
    ("a/-b*c", -2.6666667),
    ("-a-b", -5.0),
    ("(-a)^2", 4.0),
    ("exp(-a^2)", 0.01831564),
    ("5.*a", 10.0),
    (".5*a", 1.0),
    ("1e-1*a", 0.2),
    ("2E1*a", 40.0),
    ("1.5e1", 15.0),
    ("1.e1*a", 20.0),
    ("1e+1", 10.0),
    ("a-1e-1", 1.9),
    ("a*(b+c)/2", 7.0),
    ("a^2*b", 12.0),
    ("2^a*3", 12.0),
    ("a -b", -1.0),
    ("a+-b", -1.0),
    ("a*-b+c", -2.0),
    ("-a/b", -0.6666667),
    ("-(a+b)*c", -20.0),
    ("1/2", 0.5),
    ("7/2*3", 10.5),
    ("5.*b^2-3.", 42.0),
    ("+a", 2.0),
    ("+-a", -2.0),
    ("a*(+b)", 6.0),
    ("+a*b", 6.0),
    ("--a", 2.0),
    ("H(0)", 0.5),
    ("H(a)", 1.0),
    ("H(-a)", 0.0),
    ("abs(-a)", 2.0),
    ("ceil(1.2)", 2.0),
    ("ceil(-1.2)", -1.0),
    ("ln(b)", 1.0986123),
    ("log(b)", 1.0986123),
    ("sqrt(c)", 2.0),
    ("factorial(4)", 24.0),
    ("cosh(a)", 3.7621956),
    ("sinh(a)", 3.6268604),
    ("tanh(a)", 0.9640276),
    ("tan(a)", -2.1850398),
    ("a .lt. -b^2", 1.0),
    ("-b^2 .lt. -a^2", 1.0),
    ("a .eq. 2 .and. b .lt. 4", 1.0),
    ("a .lt. 4 .and. (b .eq. 3)", 1.0),
    ("a .gt. b .or. b .gt. a .and. a .gt. 10", 0.0),
    ("a .geq. 2", 1.0),
    ("a .neq. 2", 0.0),
    ("a + 1 .leq. b", 1.0),
    ("a.lt.b", 1.0),
    ("2.lt.b", 1.0),
    ("2 .lt. a + 1 .and. a .lt. 3.", 1.0),
    ("a .eq. -2 + 4", 1.0),
    ("-a .lt. -1 .and. b .gt. 1", 1.0),
]

# What jNeuroML 0.14.0 refuses, and what the user is told here.
REFUSED = [
    ("2a", "unexpected '2'"),
    ("a + + b", "unexpected '+'"),
    ("+ +a", "unexpected '+'"),
    ("-+a", "unexpected '+'"),
    ("a*+b", "unexpected '+'"),
    ("a .lt. +b", "unexpected '+'"),
    ("---a", "unexpected '-'"),
    ("2*--a", "unexpected '-'"),
    ("a b", "unexpected 'b'"),
    ("3e", "unexpected '3'"),
    ("(a", "the expression ends too early"),
    ("a +", "the expression ends too early"),
    ("", "empty expression"),
    ("a < b", "unexpected '<'"),
    ("a .ge. b", "unexpected '.'"),
    ("rate-1", "LEMS reads 'rate-1' as one name"),
    ("e-1", "LEMS reads 'e-1' as one name"),
    ("x*rate+1", "LEMS reads 'rate+1' as one name"),
    ("a .lt. 2 .and. b .eq. 3", "'.and.' joins conditions, but here stands a number"),
    ("a .eq. 1 .and. b .eq. 2", "'.and.' joins conditions, but here stands a number"),
    ("a .eq. b .eq. c", "a condition stands where a number is needed"),
    ("2 .lt. 1 .lt. 3", "a condition stands where a number is needed"),
    ("(a .lt. b) + 1", "a condition stands where a number is needed"),
    ("floor(a)", "unknown function 'floor'"),
    ("sum(a)", "unknown function 'sum'"),
    ("exp(a, b)", "'exp' takes one argument"),
    ("1e999", "the number 1e999 is too large"),
    ("a ** b", "unexpected '*'"),
]


@pytest.mark.parametrize(("text", "expected"), REFERENCE)
def test_expressions_mean_what_the_reference_interpreter_makes_of_them(
    text: str, expected: float
) -> None:
    expr = parse_expression(text)
    if isinstance(expr, CONDITIONS):
        expr = Select(expr, Number(1.0), Number(0.0))
    # The reference writes single precision: 6e-8 relative.
    assert evaluate_scalar(expr, SCOPE) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_the_reference_interpreter_refuses_is_refused_with_a_reason(
    text: str, message: str
) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_expression(text)
    assert caught.value.message == message
    start, end = caught.value.place
    assert 0 <= start < end


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("v + floor(u) * 2", "floor"),
        ("a * rate-1", "rate-1"),
        ("1 + (a .lt. b)", "a .lt. b"),
        ("a .lt. 1 .and. b", "b"),
    ],
)
def test_the_place_of_a_fault_is_the_faulty_part(text: str, part: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_expression(text)
    start, end = caught.value.place
    assert part in text[start:end]
    assert end - start <= len(part) + 2  # parentheses may be part of it


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a ** b", "write ^ for a power"),
        ("2 a", "write * between factors"),
        ("a < b", "write .lt. or .leq."),
        ("a == b", "write .eq."),
        ("a-rate-1", "write rate - 1 with spaces"),
    ],
)
def test_a_usual_slip_gets_advice(text: str, hint: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_expression(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "text", ["(" * 3000 + "a" + ")" * 3000, "+".join("a" * 3000), "exp(" * 3000 + "a" + ")" * 3000]
)
def test_absurd_depth_is_no_crash(text: str) -> None:
    try:
        parsed = parse_expression(text)
    except ExpressionSyntaxError as error:
        assert "inside each other" in error.message
    else:
        assert parsed == Name("a")  # parentheses alone build nothing


def test_nodes_know_their_place_and_do_not_compare_by_it() -> None:
    expr = parse_expression("a * (b+c)")
    assert isinstance(expr, Binary)
    assert expr.place == (0, 9)
    assert expr.right.place is not None
    assert "a * (b+c)"[slice(*expr.right.place)].strip("()") == "b+c"
    assert expr == parse_expression("a*(b + c)")


def test_names_and_random_are_found_inside() -> None:
    expr = parse_expression("minISI + MSEC * random((maxISI - minISI) / MSEC)")
    assert names(expr) == {"minISI", "maxISI", "MSEC"}
    assert is_random(expr)
    assert not is_random(parse_expression("minISI"))


def test_names_are_replaced_all_at_once() -> None:
    expr = parse_expression("a + b * a")
    assert rename(expr, {"a": "b", "b": "a"}) == parse_expression("b + a * b")
    assert substitute(expr, {"a": parse_expression("a + 1")}) == parse_expression(
        "(a + 1) + b * (a + 1)"
    )


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("2 * 3 + 4", "10"),
        ("a + 0", "a"),
        ("1 * a", "a"),
        ("0 - a", "-a"),
        ("-1 * a", "-a"),
        ("a ^ 1", "a"),
        ("a ^ 2", "a ^ 2"),
        ("0 * a", "0 * a"),  # not 0 where a is infinite
        ("exp(0) * a", "a"),
        ("1 / 0", "1 / 0"),  # stays, to become infinite in the run
        ("ln(0 - 1)", "ln(-1)"),
        ("(0 - 8) ^ 0.5", "(-8) ^ 0.5"),
    ],
)
def test_folding_computes_what_is_known(text: str, folded: str) -> None:
    assert to_text(fold(parse_expression(text))) == to_text(fold(parse_expression(folded)))


def test_folding_decides_conditions_that_are_known() -> None:
    condition = parse_expression("(1 .lt. 2) .and. (a .gt. 0)")
    assert fold(condition) == parse_expression("a .gt. 0")
    assert constant_truth(fold(parse_expression("(1 .gt. 2) .and. (a .gt. 0)"))) is False
    assert constant_truth(parse_expression("a .gt. 0")) is None
    chosen = Select(parse_expression("2 .leq. 2"), Name("a"), Name("b"))
    assert fold(chosen) == Name("a")


def test_random_numbers_are_never_folded() -> None:
    assert fold(parse_expression("random(1)")) == Call("random", Number(1.0))


@pytest.mark.parametrize(
    ("text", "lems"),
    [
        ("-a^2", "-a^2"),
        ("b*-a^2", "b * (-a)^2"),
        ("a^b^c", "(a^b)^c"),
        ("a^(b^c)", "a^(b^c)"),
        ("(a+b)-c", "(a + b) - c"),
        ("a+b-c", "a + (b - c)"),
        ("(a*b)/c", "(a * b) / c"),
        ("a - (-b)", "a - (-b)"),
        ("a .lt. -b", "a .lt. (-b)"),
        ("a .eq. 1 .and. b .lt. 2", "(a .eq. 1) .and. (b .lt. 2)"),
        ("1e-12 * a", "1e-12 * a"),
        ("1e22 * a", "1e22 * a"),
        ("H((x-t)/t)", "H((x - t) / t)"),
    ],
)
def test_lems_text_leaves_no_doubt_about_precedence(text: str, lems: str) -> None:
    expr = parse_expression(text)
    assert to_lems(expr) == lems
    assert parse_expression(lems) == expr


def test_lems_text_of_a_negative_number_reads_as_its_negative() -> None:
    printed = to_lems(Binary("^", Number(-2.0), Number(2.0)))
    assert evaluate_scalar(parse_expression(printed), {}) == 4.0


@pytest.mark.parametrize(
    "expr",
    [
        Select(Compare("<", Name("a"), Name("b")), Name("a"), Name("b")),
        Negate(Number(math.inf)),
    ],
)
def test_what_lems_cannot_say_is_refused(expr: Negate | Select) -> None:
    with pytest.raises(ValueError, match="LEMS"):
        to_lems(expr)


def test_people_read_usual_signs() -> None:
    text = "(t .geq. delay) .and. (v .neq. 0)"
    assert to_text(parse_expression(text)) == "(t >= delay) and (v != 0)"
    chosen = Select(parse_expression("x .eq. 0"), Name("rate"), Name("x"))
    assert to_text(chosen) == "(rate if x = 0 else x)"
