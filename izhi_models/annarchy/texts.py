"""What may be text in a program: generated symbols, numbers, operators and ANNarchy's functions.

ANNarchy's parser evaluates definitions as Python and prints them into C++, so nothing else may
reach it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

METHODS = frozenset({"explicit", "exponential", "implicit", "semiimplicit", "midpoint", "rk4"})

_FUNCTIONS = frozenset({
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceiling", "clip", "cos", "cosh",
    "exp", "factorial", "floor", "ite", "ln", "log", "log10", "max", "min", "modulo", "neg", "pos",
    "pow", "power", "round", "sin", "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip
_KEYWORDS = frozenset({"and", "else", "if", "not", "or", "t", "dt"})
DISTRIBUTIONS = frozenset({"Exponential", "Gamma", "LogNormal", "Normal", "Uniform"})

_SYMBOL = re.compile(r"(?!g_)[a-z]+_[0-9]+")  # ANNarchy takes g_* for a sum of inputs
_TOKEN = re.compile(
    r" *(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?(?!\w))"
    r"|(?P<word>(?:(?:pre|post)\.)?[A-Za-z_]\w*)"
    r"|(?P<operator>==|!=|<=|>=|[-+*/^()<>,:]))"
)
_ASSIGNMENT = re.compile(r"(?P<symbol>\w+) (?P<operator>[-+]?=) (?P<value>.*)")
_INTEGER_DIVISION = re.compile(r"/ *\d+(?![\w.])|(?<![\w.])(?<!e[-+])\d+ */")


def is_symbol(text: str) -> bool:
    """Return whether a text is a generated name."""
    return _SYMBOL.fullmatch(text) is not None


def words(text: str) -> set[str]:
    """Return the names in a text that passed `expression_faults`."""
    return {token["word"] for token in _TOKEN.finditer(text) if token["word"] is not None}


def expression_faults(text: str, known: Set[str]) -> Iterator[str]:
    """Yield what is wrong with an expression.

    Parameters
    ----------
    text : str
    known : set of str
        Names that it may read, besides time, step and functions.
    """
    allowed = known | _FUNCTIONS | _KEYWORDS
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            yield f"{text[position : position + 10]!r} in {text!r}"
            return
        if token["word"] is not None and token["word"] not in allowed:
            yield f"unknown name {token['word']!r} in {text!r}"
        position = token.end()
    if not text.strip():
        yield "empty text"
    if _INTEGER_DIVISION.search(text):
        yield f"division of integers, which C++ truncates, in {text!r}"


def assignment_faults(text: str, variables: Set[str], known: Set[str]) -> Iterator[str]:
    """Yield what is wrong with an assignment `x_1 = ...`, `x_1 += ...` or `x_1 -= ...`.

    Parameters
    ----------
    text : str
    variables : set of str
        Names that it may assign to.
    known : set of str
        Names that its value may read.
    """
    assignment = _ASSIGNMENT.fullmatch(text)
    if assignment is None or assignment["symbol"] not in variables:
        yield f"{text!r} does not assign to a variable"
    else:
        yield from expression_faults(assignment["value"], known)


def assigned(text: str) -> str:
    """Return the variable of an assignment that passed `assignment_faults`."""
    return text.partition(" ")[0]
