"""Proves that of several conditions one always holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from izhi_models.expr import Binary, Compare, Expr, Logic, Negate, Number, to_text

_MAX_FORMS = 6  # 3^6 cases

Signs = tuple[int, ...]
_Form = tuple[tuple[str, float], ...]
_CONSTANT = ""

_HOLDS: dict[str, Callable[[int], bool]] = {
    "<": lambda sign: sign < 0,
    ">": lambda sign: sign > 0,
    "<=": lambda sign: sign <= 0,
    ">=": lambda sign: sign >= 0,
    "==": lambda sign: sign == 0,
    "!=": lambda sign: sign != 0,
}


def is_certain(tests: Sequence[Expr]) -> bool:
    """Tell whether it is proved that one of the tests holds, whatever the values of names.

    Each comparison is a statement on the sign of a linear form, left minus right, in which all
    but sums and literal factors counts as unknown. Every combination of signs is tried, also
    impossible ones: the proof is sound for real numbers, and not complete.

    Parameters
    ----------
    tests : sequence of Expr
    """
    forms: list[_Form] = []
    for test in tests:
        for comparison in _comparisons(test):
            form = _form(comparison)[0]
            if form and form not in forms:
                forms.append(form)
    if len(forms) > _MAX_FORMS:
        return False
    return all(
        any(_holds(test, dict(zip(forms, signs, strict=True))) for test in tests)
        for signs in itertools.product((-1, 0, 1), repeat=len(forms))
    )


def _comparisons(test: Expr) -> Iterable[Compare]:
    match test:
        case Compare():
            yield test
        case Logic(_, left, right):
            yield from _comparisons(left)
            yield from _comparisons(right)


def _holds(test: Expr, signs: dict[_Form, int]) -> bool:
    match test:
        case Compare(op):
            form, factor = _form(test)
            sign = signs[form] if form else 1
            return _HOLDS[op](sign * ((factor > 0) - (factor < 0)))
        case Logic(op, left, right):
            truths = (_holds(left, signs), _holds(right, signs))
            return all(truths) if op == "and" else any(truths)
        case _:
            return False


def _form(test: Compare) -> tuple[_Form, float]:
    """Return left minus right as a normal form and the factor before it.

    The form is empty if the difference is known; the factor is the difference then.
    """
    terms = _linear(Binary("-", test.left, test.right))
    terms = {term: value for term, value in sorted(terms.items()) if value != 0.0}
    unknown = [term for term in terms if term != _CONSTANT]
    if not unknown:
        return (), terms.get(_CONSTANT, 0.0)
    factor = terms[unknown[0]]
    return tuple((term, value / factor) for term, value in terms.items()), factor


def _linear(expr: Expr) -> dict[str, float]:
    match expr:
        case Number(value):
            return {_CONSTANT: value}
        case Negate(operand):
            return _scaled(operand, -1.0)
        case Binary("+" | "-" as op, left, right):
            result = _linear(left)
            for term, value in _scaled(right, 1.0 if op == "+" else -1.0).items():
                result[term] = result.get(term, 0.0) + value
            return result
        case Binary("*", Number(factor), operand) | Binary("*", operand, Number(factor)):
            return _scaled(operand, factor)
        case _:
            return {to_text(expr): 1.0}


def _scaled(expr: Expr, factor: float) -> dict[str, float]:
    return {term: value * factor for term, value in _linear(expr).items()}
