"""ANNarchy's expressions as LEMS expressions.

They are parsed, never evaluated. Functions of several arguments, for which LEMS has no word, become
arithmetic and choices; random numbers follow from uniform ones.

Source: ANNarchy 5, manual, "Parser": functions and random distributions; its C++ macros.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

import lark

from izhi_models.errors import UnsupportedError
from izhi_models.expr import (
    CONDITIONS,
    FALSE,
    FUNCTIONS,
    ONE,
    TRUE,
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
    substitute,
)

_TWO = Number(2.0)
_HALF = Number(0.5)


@dataclass(frozen=True)
class Function:
    """A function that a user has defined.

    Parameters
    ----------
    arguments : tuple of str
    value : Expr
    """

    arguments: tuple[str, ...]
    value: Expr


Functions = Mapping[str, Function]


def parse(text: str, where: str, functions: Functions | None = None) -> Expr:
    """Parse the right side of an equation, or a condition.

    Parameters
    ----------
    text : str
    where : str
        For messages: what has this text.
    functions : mapping of str to Function, optional
        Those of the user.

    Returns
    -------
    Expr
        Names are as written: ``v``, ``pre.r``, ``sum(exc)``, ``t``, ``dt``.

    Raises
    ------
    UnsupportedError
        If it is no expression, or has a function for which LEMS has no words.
    """
    return _parse(text, where, functions, is_condition=False)


def parse_condition(text: str, where: str, functions: Functions | None = None) -> Expr:
    """Parse a condition; for arguments see `parse`."""
    return _parse(text, where, functions, is_condition=True)


def _parse(text: str, where: str, functions: Functions | None, *, is_condition: bool) -> Expr:
    try:
        tree = _parser().parse(text)
    except lark.UnexpectedInput as error:
        is_end = isinstance(error, lark.UnexpectedToken) and error.token.type == "$END"
        place = "its end" if is_end else text[error.pos_in_stream or 0 :].strip()
        raise UnsupportedError(f"{where}: cannot read '{text.strip()}' at '{place}'") from None
    builder = _Builder(f"{where}: in '{text.strip()}', ", functions or {})
    found = builder.build(tree)
    return builder.condition(found) if is_condition else builder.number(found)


@functools.lru_cache(maxsize=1)
def _parser() -> lark.Lark:
    grammar = resources.files(__package__).joinpath("annarchy.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", maybe_placeholders=False)


_COMPARISONS = {"is": "==", "isnot": "!="}
_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^"}
_CONSTANTS = {
    "True": ONE,
    "False": ZERO,
    "true": ONE,
    "false": ZERO,
}


class _Builder:
    """Makes nodes of a parsed text.

    Parameters
    ----------
    what : str
        For messages.
    functions : mapping of str to Function
    """

    def __init__(self, what: str, functions: Functions) -> None:
        self.what = what
        self.functions = functions

    def build(self, node: lark.Tree[lark.Token]) -> Expr:
        """Return a node with all below it."""
        parts = [item for item in node.children if isinstance(item, lark.Tree)]
        if node.data == "number":
            return Number(float(str(node.children[0])))
        if node.data == "name":
            name = "".join(str(node.children[0]).split())
            return _CONSTANTS.get(name, Name(name))
        if node.data == "call":
            return self._call("".join(str(node.children[0]).split()), parts)
        below = [self.build(item) for item in parts]
        if node.data == "choice":
            return self._choice(*below)
        if node.data in ("or_", "and_"):
            ahead, behind = (self.condition(item) for item in below)
            return Logic("or" if node.data == "or_" else "and", ahead, behind)
        if node.data == "not_":
            return negated(self.condition(below[0]))
        numbers = [self.number(item) for item in below]
        if node.data == "compare":
            words = "".join(str(node.children[1]).split())
            return Compare(_COMPARISONS.get(words, words), *numbers)  # type: ignore[arg-type]
        if node.data == "negate":
            return Negate(numbers[0])
        return Binary(_OPERATORS[str(node.data)], *numbers)  # type: ignore[arg-type]

    def number(self, expr: Expr) -> Expr:
        """Return a number; a condition counts 1 where it holds and 0 elsewhere."""
        return Select(expr, ONE, ZERO) if isinstance(expr, CONDITIONS) else expr

    def condition(self, expr: Expr) -> Expr:
        """Return a condition; a number holds where it is not 0."""
        if expr in (ONE, ZERO):
            return TRUE if expr == ONE else FALSE
        return expr if isinstance(expr, CONDITIONS) else Compare("!=", expr, ZERO)

    def _choice(self, test: Expr, then: Expr, otherwise: Expr) -> Expr:
        return Select(self.condition(test), self.number(then), self.number(otherwise))

    def _call(self, function: str, parts: list[lark.Tree[lark.Token]]) -> Expr:
        if function in ("sum", "pre.sum", "post.sum"):
            inside = [str(part.children[0]) for part in parts if part.data == "name"]
            if not inside:
                raise UnsupportedError(
                    f"{self.what}'sum()' names no target, and ANNarchy 5 adds nothing to it: "
                    "write sum(exc) + sum(inh)"
                )
            return Name(f"{function}({inside[0]})")
        below = [self.build(item) for item in parts]
        if function == "ite" and len(below) == 3:
            return self._choice(*below)
        if function in ("Not", "Equality") and below:
            return self._logical(function, below)
        arguments = [self.number(item) for item in below]
        own = self.functions.get(function)
        if own is not None and len(own.arguments) == len(arguments):
            return substitute(own.value, dict(zip(own.arguments, arguments, strict=True)))
        one = {"fabs": "abs", "Abs": "abs", "ceiling": "ceil"}.get(function, function)
        if one in FUNCTIONS and one not in ("H", "factorial") and len(arguments) == 1:
            return Call(one, arguments[0])
        known = _FUNCTIONS.get((function, len(arguments)))
        if known is not None:
            return known(*arguments)
        if len(arguments) == 1 and function in _GLOBAL:
            raise UnsupportedError(
                f"{self.what}'{function}' runs over a population, and LEMS has no word for that"
            )
        raise UnsupportedError(f"{self.what}LEMS has no word for the function '{function}'")

    def _logical(self, function: str, below: list[Expr]) -> Expr:
        if function == "Not":
            return negated(self.condition(below[0]))
        return Compare("==", self.number(below[0]), self.number(below[1]))


_GLOBAL = ("min", "max", "mean", "norm1", "norm2")
_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


def negated(condition: Expr) -> Expr:
    """Return the opposite of a condition, for which LEMS has no word of its own."""
    match condition:
        case Compare(op, left, right):
            return Compare(_OPPOSITE[op], left, right)  # type: ignore[arg-type]
        case Logic(op, left, right):
            return Logic("or" if op == "and" else "and", negated(left), negated(right))
        case _:
            return Compare("==", condition, ZERO)


def floor(x: Expr) -> Expr:
    """Return the greatest whole number that is not greater."""
    return Negate(Call("ceil", Negate(x)))


def truncated(x: Expr) -> Expr:
    """Return a number without its decimals, as C++ converts it to a whole one."""
    return Select(Compare("<", x, ZERO), Call("ceil", x), floor(x))


def _rounded(x: Expr) -> Expr:
    up = floor(Binary("+", x, _HALF))
    return Select(Compare("<", x, ZERO), Call("ceil", Binary("-", x, _HALF)), up)


def _modulo(x: Expr, divisor: Expr) -> Expr:
    whole, by = truncated(x), truncated(divisor)
    return Binary("-", whole, Binary("*", by, truncated(Binary("/", whole, by))))


def _clip(x: Expr, low: Expr, high: Expr) -> Expr:
    return Select(Compare("<", x, low), low, Select(Compare(">", x, high), high, x))


def _least(x: Expr, y: Expr) -> Expr:
    return Select(Compare("<", y, x), y, x)


def _greatest(x: Expr, y: Expr) -> Expr:
    return Select(Compare("<", x, y), y, x)


def _log(base: float) -> Callable[[Expr], Expr]:
    return lambda x: Binary("/", Call("ln", x), Number(math.log(base)))


def _uniform(low: Expr, high: Expr) -> Expr:
    return Binary("+", low, Binary("*", Binary("-", high, low), Call("random", ONE)))


def _whole(low: Expr, high: Expr) -> Expr:
    width = Binary("+", Binary("-", high, low), ONE)
    return Binary("+", low, floor(Binary("*", width, Call("random", ONE))))


def _normal(mean: Expr, deviation: Expr) -> Expr:
    # Box and Muller (1958). A random number is below 1, so that the logarithm exists.
    length = Call("ln", Binary("-", ONE, Call("random", ONE)))
    radius = Call("sqrt", Binary("*", Number(-2.0), length))
    turn = Call("cos", Binary("*", Number(2.0 * math.pi), Call("random", ONE)))
    return Binary("+", mean, Binary("*", deviation, Binary("*", radius, turn)))


def _exponential(rate: Expr) -> Expr:
    drawn = Call("ln", Binary("-", ONE, Call("random", ONE)))
    return Negate(Binary("/", drawn, rate))


# By name and number of arguments.
_FUNCTIONS: Mapping[tuple[str, int], Callable[..., Expr]] = {
    ("pos", 1): lambda x: Select(Compare(">", x, ZERO), x, ZERO),
    ("positive", 1): lambda x: Select(Compare(">", x, ZERO), x, ZERO),
    ("neg", 1): lambda x: Select(Compare("<", x, ZERO), x, ZERO),
    ("negative", 1): lambda x: Select(Compare("<", x, ZERO), x, ZERO),
    ("clip", 3): _clip,
    ("min", 2): _least,
    ("Min", 2): _least,
    ("max", 2): _greatest,
    ("Max", 2): _greatest,
    ("floor", 1): floor,
    ("round", 1): _rounded,
    ("modulo", 2): _modulo,
    ("pow", 2): lambda x, n: Binary("^", x, n),
    ("Pow", 2): lambda x, n: Binary("^", x, n),
    ("power", 2): lambda x, n: Binary("^", x, n),
    ("log2", 1): _log(2.0),
    ("log10", 1): _log(10.0),
    ("Uniform", 2): _uniform,
    ("DiscreteUniform", 2): _whole,
    ("Normal", 2): _normal,
    ("LogNormal", 2): lambda mean, deviation: Call("exp", _normal(mean, deviation)),
    ("Exponential", 1): _exponential,
}
