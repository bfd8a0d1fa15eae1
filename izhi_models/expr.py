"""Expressions: immutable nodes, the LEMS grammar, and what is done with them.

The grammar is in ``expr.lark``. Nodes compare by meaning: the place in the text is kept but is
no part of equality, so equal equations from different files are equal. Conditions and numbers
are told apart when a node tree is built from text.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Literal, cast

import lark

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, dimensionless."""

    value: float
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or parameter."""

    id: str
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """The negative of an operand."""

    operand: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic on two operands."""

    op: Literal["+", "-", "*", "/", "^"]
    left: Expr
    right: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of LEMS, one argument each."""

    function: str
    argument: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of two numbers, a condition."""

    op: Literal["<", ">", "<=", ">=", "==", "!="]
    left: Expr
    right: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """Two conditions joined."""

    op: Literal["and", "or"]
    left: Expr
    right: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Select:
    """One of two numbers by a condition. Has no word in LEMS expressions; see Case."""

    condition: Expr
    then: Expr
    otherwise: Expr
    place: Place | None = field(default=None, compare=False, repr=False)


Expr = Number | Name | Negate | Binary | Call | Compare | Logic | Select
CONDITIONS = (Compare, Logic)

ZERO = Number(0.0)
ONE = Number(1.0)
TRUE = Compare("==", ZERO, ZERO)
FALSE = Compare("!=", ZERO, ZERO)

# Deeper expressions could exhaust the stack of Python; no equation of a model is near it.
MAX_DEPTH = 120

# LEMS functions. Source: the reference parser; H is the Heaviside step with H(0) = 0.5, log is
# the natural logarithm, random(x) is uniform on [0, x).
FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "ceil": lambda x: float(math.ceil(x)),
    "ln": math.log,
    "log": math.log,
    "abs": abs,
    "factorial": lambda x: math.gamma(x + 1.0),
    "H": lambda x: 0.5 if x == 0 else float(x > 0),
}
RANDOM = "random"
FUNCTION_NAMES = (*FUNCTIONS, RANDOM)

_COMPARISONS: dict[str, Literal["<", ">", "<=", ">=", "==", "!="]] = {
    ".lt.": "<",
    ".gt.": ">",
    ".leq.": "<=",
    ".geq.": ">=",
    ".neq.": "!=",
}
_ARITHMETIC: dict[str, Literal["+", "-", "*", "/", "^"]] = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "pow": "^",
}


class ExpressionSyntaxError(ValueError):
    """Text that is no LEMS expression.

    Parameters
    ----------
    message : str
    place : tuple of int
        Start and end of what is wrong, as offsets into the text.
    hint : str
        What to write instead; may be empty.
    """

    def __init__(self, message: str, place: Place, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint


# The reference tokeniser takes "rate-1" for a number like 2e-1 and then for a name.
_EXPONENT_TRAP = re.compile(r"(?<![\w.])((?:[A-Za-z_]\w*)?[eE])([-+])(\d+)")


@functools.lru_cache(maxsize=1)
def _parser() -> lark.Lark:
    grammar = resources.files(__package__).joinpath("expr.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


@functools.lru_cache(maxsize=8192)
def parse_expression(text: str) -> Expr:
    """Parse a LEMS expression or condition.

    Parameters
    ----------
    text : str
        As it stands in an attribute.

    Raises
    ------
    ExpressionSyntaxError
        If the text does not follow the grammar, calls an unknown function, or joins numbers
        where conditions are needed or the reverse.
    """
    if not text.strip():
        raise ExpressionSyntaxError("empty expression", (0, max(1, len(text))))
    if trap := _EXPONENT_TRAP.search(text):
        raise ExpressionSyntaxError(
            f"LEMS reads '{trap[0]}' as one name",
            trap.span(),
            f"write {trap[1]} {trap[2]} {trap[3]} with spaces",
        )
    try:
        tree = _parser().parse(text)
    except lark.UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    return _build(tree, 1)


def _syntax_error(text: str, error: lark.UnexpectedInput) -> ExpressionSyntaxError:
    if isinstance(error, lark.UnexpectedToken) and error.token.type == "$END":
        return ExpressionSyntaxError(
            "the expression ends too early", (len(text.rstrip()) - 1, len(text.rstrip()))
        )
    start = error.pos_in_stream or 0
    found = str(error.token) if isinstance(error, lark.UnexpectedToken) else text[start]
    return ExpressionSyntaxError(
        f"unexpected '{found}'", (start, start + len(found)), _syntax_hint(text, start, found)
    )


_HINTS = {
    "<": "write .lt. or .leq.",
    ">": "write .gt. or .geq.",
    "=": "write .eq.",
    "!": "write .neq., or turn the comparison round",
    "&": "write .and.",
    "|": "write .or.",
    "%": "LEMS has no remainder",
    "?": "write a ConditionalDerivedVariable",
    ".": "the operators are .lt. .gt. .leq. .geq. .eq. .neq. .and. .or.",
}


def _syntax_hint(text: str, start: int, found: str) -> str:
    if found == "*" and text[start - 1 : start] == "*":
        return "write ^ for a power"
    if found[:1].isalnum():
        return "write * between factors"
    return _HINTS.get(found[:1], "")


def _build(node: lark.Tree[lark.Token], depth: int) -> Expr:
    place = (node.meta.start_pos, node.meta.end_pos)
    children = node.children
    if depth > MAX_DEPTH:
        raise ExpressionSyntaxError(
            f"more than {MAX_DEPTH} operations inside each other",
            place,
            "split the expression into derived variables",
        )
    if node.data == "number":
        return _number(_token(children[0]), place)
    if node.data == "name":
        return Name(str(children[0]), place)
    if node.data == "call":
        return _call(children, place, depth)
    operands = [_build(child, depth + 1) for child in children if isinstance(child, lark.Tree)]
    if node.data == "logic":
        return _logic(_token(children[1]), operands[0], operands[1], place)
    for operand in operands:
        _expect_number(operand)
    if node.data == "compare":
        return Compare(_COMPARISONS[_token(children[1])], operands[0], operands[1], place)
    if node.data in ("negate", "lead"):
        return Negate(operands[0], place)
    return Binary(_ARITHMETIC[str(node.data)], operands[0], operands[1], place)


def _token(child: lark.Tree[lark.Token] | lark.Token) -> str:
    return str(child)


def _number(text: str, place: Place) -> Number:
    value = float(text)
    if not math.isfinite(value):
        raise ExpressionSyntaxError(f"the number {text} is too large", place)
    return Number(value, place)


def _call(children: list[lark.Tree[lark.Token] | lark.Token], place: Place, depth: int) -> Expr:
    function = str(children[0])
    if function not in FUNCTION_NAMES:
        raise ExpressionSyntaxError(
            f"unknown function '{function}'",
            (place[0], place[0] + len(function)),
            f"LEMS has {', '.join(FUNCTION_NAMES)}",
        )
    arguments = [_build(child, depth + 1) for child in children[1:] if isinstance(child, lark.Tree)]
    if len(arguments) != 1:
        raise ExpressionSyntaxError(f"'{function}' takes one argument", place)
    _expect_number(arguments[0])
    return Call(function, arguments[0], place)


def _logic(op: str, left: Expr, right: Expr, place: Place) -> Expr:
    if op == ".eq.":
        for operand in (left, right):
            _expect_number(operand)
        return Compare("==", left, right, place)
    for operand in (left, right):
        if not isinstance(operand, CONDITIONS):
            raise ExpressionSyntaxError(
                f"'{op}' joins conditions, but here stands a number",
                operand.place or place,
                ".eq. binds as loosely as .and. and .or.: put comparisons in parentheses",
            )
    return Logic("and" if op == ".and." else "or", left, right, place)


def _expect_number(operand: Expr) -> None:
    if isinstance(operand, CONDITIONS):
        raise ExpressionSyntaxError(
            "a condition stands where a number is needed",
            operand.place or (0, 1),
            "put comparisons in parentheses: (a .eq. 1) .and. (b .eq. 2)",
        )


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct operands of a node."""
    match expr:
        case Number() | Name():
            return ()
        case Negate(operand):
            return (operand,)
        case Call(_, argument):
            return (argument,)
        case Select(condition, then, otherwise):
            return (condition, then, otherwise)
        case _:
            return (expr.left, expr.right)


def rebuild(expr: Expr, operands: tuple[Expr, ...]) -> Expr:
    """Return the node with other operands, in the order of `children`."""
    match expr:
        case Number() | Name():
            return expr
        case Negate():
            return replace(expr, operand=operands[0])
        case Call():
            return replace(expr, argument=operands[0])
        case Select():
            return replace(expr, condition=operands[0], then=operands[1], otherwise=operands[2])
        case _:
            return replace(expr, left=operands[0], right=operands[1])


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield the node and everything below it, parents first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def names(expr: Expr) -> frozenset[str]:
    """Return the names that occur in an expression."""
    return frozenset(node.id for node in walk(expr) if isinstance(node, Name))


def is_random(expr: Expr) -> bool:
    """Tell whether an expression draws random numbers."""
    return any(isinstance(node, Call) and node.function == RANDOM for node in walk(expr))


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """Return the expression with names replaced, all at once."""
    if isinstance(expr, Name):
        return values.get(expr.id, expr)
    below = children(expr)
    if not below:
        return expr
    changed = tuple(substitute(child, values) for child in below)
    if all(new is old for new, old in zip(changed, below, strict=True)):
        return expr
    return rebuild(expr, changed)


def rename(expr: Expr, new_names: Mapping[str, str]) -> Expr:
    """Return the expression with names changed, all at once."""
    return substitute(expr, {old: Name(new) for old, new in new_names.items()})


def fold(expr: Expr) -> Expr:
    """Return an equal expression with constant parts evaluated.

    Only what is exact in floating point for every finite operand is done: constants are
    computed, and neutral elements (x + 0, x * 1, x / 1, x ^ 1) dropped. ``x * 0`` stays, since
    it is not 0 where x is not finite.
    """
    below = tuple(fold(child) for child in children(expr))
    expr = rebuild(expr, below) if below else expr
    match expr:
        case Negate(operand):
            return _negated(operand)
        case Call("random", Number(0.0)):
            return ZERO
        case Call(function, Number(value)) if function != RANDOM:
            return _fold_call(function, value, expr)
        case Compare() | Logic():
            return _fold_condition(expr)
        case Select(condition, then, otherwise):
            truth = constant_truth(condition)
            if truth is not None:
                return then if truth else otherwise
            return then if then == otherwise else expr
        case Binary():
            return _fold_binary(expr)
        case _:
            return expr


def _fold_condition(expr: Compare | Logic) -> Expr:
    truth = constant_truth(expr)
    if truth is not None:
        return TRUE if truth else FALSE
    if isinstance(expr, Logic):
        if constant_truth(expr.left) is not None:
            return expr.right
        if constant_truth(expr.right) is not None:
            return expr.left
    return expr


def constant_truth(condition: Expr) -> bool | None:
    """Return the truth of a condition that does not depend on names, else None."""
    match condition:
        case Compare(op, Number(left), Number(right)):
            return {
                "<": left < right,
                ">": left > right,
                "<=": left <= right,
                ">=": left >= right,
                "==": left == right,
                "!=": left != right,
            }[op]
        case Logic(op, left_condition, right_condition):
            truths = (constant_truth(left_condition), constant_truth(right_condition))
            decisive = op == "or"
            if decisive in truths:
                return decisive
            return None if None in truths else not decisive
        case _:
            return None


def _fold_call(function: str, value: float, expr: Expr) -> Expr:
    try:
        return Number(float(FUNCTIONS[function](value)))
    except (ValueError, OverflowError):
        return expr


def _fold_binary(expr: Binary) -> Expr:
    match expr:
        case Binary(op, Number(left), Number(right)):
            try:
                result = _arithmetic(op, left, right)
            except (ZeroDivisionError, OverflowError):
                return expr
            return expr if isinstance(result, complex) else Number(result)
        case Binary("+", Number(0.0), right_operand):
            return right_operand
        case Binary("+" | "-", left_operand, Number(0.0)):
            return left_operand
        case Binary("-", Number(0.0), right_operand):
            return _negated(right_operand)
        case Binary("*", Number(1.0), right_operand):
            return right_operand
        case Binary("*" | "/" | "^", left_operand, Number(1.0)):
            return left_operand
        case Binary("*", Number(-1.0), operand) | Binary("*" | "/", operand, Number(-1.0)):
            return _negated(operand)
        case _:
            return expr


def _negated(expr: Expr) -> Expr:
    match expr:
        case Number(value):
            return Number(-value)
        case Negate(operand):
            return operand
        case _:
            return Negate(expr)


def _arithmetic(op: str, left: float, right: float) -> float | complex:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case _:
            return cast(float | complex, left**right)


# Operations that may stand as left and right operand without parentheses, such that LEMS, where
# a - b + c is (a - b) + c but a + b - c is a + (b - c), and usual mathematics read the same.
_BARE = {
    "+": ("+-*/^", "*/^"),
    "-": ("-*/^", "*/^"),
    "*": ("*/^", "^"),
    "/": ("/^", "^"),
    "^": ("", ""),
}
_PLAIN = {
    "<": "<",
    ">": ">",
    "<=": "<=",
    ">=": ">=",
    "==": "=",
    "!=": "!=",
    "and": "and",
    "or": "or",
}
_LEMS = {op: word for word, op in _COMPARISONS.items()} | {
    "==": ".eq.",
    "and": ".and.",
    "or": ".or.",
}


def to_text(expr: Expr) -> str:
    """Return an expression as people read it."""
    return _text(expr, _PLAIN)


def to_lems(expr: Expr) -> str:
    """Return an expression as LEMS text, with parentheses that leave no doubt about precedence.

    Raises
    ------
    ValueError
        If the expression holds a `Select` or a number that is not finite, for which LEMS
        expressions have no word.
    """
    for node in walk(expr):
        if isinstance(node, Select):
            raise ValueError("a choice by condition is no LEMS expression; see Case")
        if isinstance(node, Number) and not math.isfinite(node.value):
            raise ValueError(f"{node.value} is no LEMS number")
    return _text(expr, _LEMS)


def _text(expr: Expr, words: Mapping[str, str]) -> str:
    """Print an expression that begins a text, where a minus needs no parentheses."""
    match expr:
        case Number(value):
            text = repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
            return text.replace("e+", "e")
        case Name(name):
            return name
        case Negate(operand):
            return f"-{_operand(operand, '*/^', words)}"
        case Call(function, argument):
            return f"{function}({_text(argument, words)})"
        case Compare(op, left, right):
            return f"{_text(left, words)} {words[op]} {_operand(right, '+-*/^', words)}"
        case Logic(op, left, right):
            return f"({_text(left, words)}) {words[op]} ({_text(right, words)})"
        case Select(condition, then, otherwise):
            parts = (_text(item, words) for item in (then, condition, otherwise))
            return "({} if {} else {})".format(*parts)
        case Binary(op, left, right):
            bare_left, bare_right = _BARE[op]
            if op in "+-" and _is_negative(left):
                before = _text(left, words)
            else:
                before = _operand(left, bare_left, words, leading=op in "+-")
            space = "" if op == "^" else " "
            return f"{before}{space}{op}{space}{_operand(right, bare_right, words)}"


def _operand(expr: Expr, bare: str, words: Mapping[str, str], *, leading: bool = False) -> str:
    text = _text(expr, words)
    if isinstance(expr, Binary):
        plain = expr.op in bare and (leading or not text.startswith("-"))
    else:
        plain = not _is_negative(expr) and not isinstance(expr, CONDITIONS)
    return text if plain else f"({text})"


def _is_negative(expr: Expr) -> bool:
    return isinstance(expr, Negate) or (isinstance(expr, Number) and str(expr.value)[0] == "-")
