"""What may be text in a program: generated symbols, numbers, operators and functions.

ANNarchy copies definitions into C++, and evaluates them as Python where it reads them itself, so
nothing else may reach it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Set

HEAVISIDE = "heaviside"
# The functions of one argument, and what they are in C++.
FUNCTIONS = {
    "abs": "std::fabs",
    "ceiling": "std::ceil",
    "cos": "std::cos",
    "cosh": "std::cosh",
    "exp": "std::exp",
    "factorial": "factorial",
    HEAVISIDE: "heaviside",
    "log": "std::log",
    "sin": "std::sin",
    "sinh": "std::sinh",
    "sqrt": "std::sqrt",
    "tan": "std::tan",
    "tanh": "std::tanh",
}
_KEYWORDS = frozenset({"and", "ite", "or", "t", "dt"})
DISTRIBUTIONS = frozenset({"Normal", "Uniform"})

_SYMBOL = re.compile(r"(?!g_)[a-z]+_[0-9]+")  # ANNarchy takes g_* for a sum of inputs
_TOKEN = re.compile(
    r" *(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?(?!\w))"
    r"|(?P<word>(?:(?:pre|post)\.)?[A-Za-z_]\w*)"
    r"|(?P<operator>==|!=|<=|>=|[-+*/^()<>,]))"
)
_ASSIGNMENT = re.compile(r"(?P<symbol>\w+) (?P<operator>[-+]?=) (?P<value>.*)")
_INTEGER_DIVISION = re.compile(r"/ *\d+(?![\w.])|(?<![\w.])(?<!e[-+])\d+ */")


def number_text(value: float) -> str:
    """Return a number as Python reads it, also one that is not finite."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def is_symbol(text: str) -> bool:
    """Return whether a text is a generated name."""
    return _SYMBOL.fullmatch(text) is not None


def tokens(text: str) -> list[str]:
    """Return the numbers, names and operators of a text that passed `expression_faults`."""
    return [token[0].strip() for token in _TOKEN.finditer(text)]


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
    allowed = known | FUNCTIONS.keys() | _KEYWORDS
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
