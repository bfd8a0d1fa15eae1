import pytest

from izhi_models.annarchy.gaussian import without_normal
from izhi_models.expr import Number, fold, parse_expression, substitute

NORMAL = "sqrt(-2 * ln(1 - random(1))) * cos(6.283185307179586 * random(1))"


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        (NORMAL, 1.0),
        ("sqrt(-2 * log(random(1))) * sin(random(6.28318531))", 1.0),
        (f"noise * {NORMAL}", 5.0),
        (f"{NORMAL} * 3 * (noise + 1)", 18.0),
        ("-cos(random(1) * 2 * 3.14159265) * noise * sqrt(-(ln(random(1)) * 2))", -5.0),
    ],
)
def test_without_normal__form_of_box_and_muller__leaves_the_other_factors(text, factor):
    found = without_normal(parse_expression(text))
    assert found is not None
    assert fold(substitute(found, {"noise": Number(5.0)})) == Number(factor)


@pytest.mark.parametrize(
    "text",
    [
        "sqrt(-2 * ln(1 - random(1))) * cos(6.28 * random(1))",  # not around the whole circle
        "sqrt(-1 * ln(1 - random(1))) * cos(6.283185307 * random(1))",
        "sqrt(-2 * ln(1 - random(2))) * cos(6.283185307 * random(1))",
        "sqrt(-2 * ln(2 - random(1))) * cos(6.283185307 * random(1))",
        "sqrt(-2 * ln(1 - random(1))) + cos(6.283185307 * random(1))",
        "sqrt(-2 * ln(1 - x)) * cos(6.283185307 * random(1))",
        "sqrt(-2 * ln(1 - random(1))) / cos(6.283185307 * random(1))",
        "sqrt(-2 * ln(1 - random(1)))",
    ],
)
def test_without_normal__anything_else__finds_none(text):
    assert without_normal(parse_expression(text)) is None
