"""Expressions as Brian2 reads them, with units where a bare number would have none."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from izhi_models.annarchy.gaussian import without_normal
from izhi_models.exporters.brian2.words import base_unit
from izhi_models.expr import (
    RANDOM,
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
    is_random,
)
from izhi_models.ir.dimensions import dimension_of
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME
from izhi_models.units import NONE, Dimension

EDGE = "@edge"  # the end of the step, for comparisons
CHOICE = "where"

_LEVELS = {"or": 1, "and": 2, "compare": 3, "+": 4, "-": 4, "*": 5, "/": 5, "sign": 6, "^": 7}
_FUNCTIONS = {"ln": "log"}
_DRAW = re.compile(r"\brandn?\(\)")


@dataclass
class Printer:
    """Prints expressions.

    Parameters
    ----------
    names : mapping of str to str
        What stands for each name.
    dimensions : mapping of str to Dimension
    time : str
        What stands for the time.
    functions : set of str
        Gets the functions that Brian2 does not have.
    """

    names: Mapping[str, str]
    dimensions: Mapping[str, Dimension]
    time: str = "t + dt"
    functions: set[str] = field(default_factory=set)

    def text(self, expr: Expr, dimension: Dimension | None = None) -> str:
        """Return the text of an expression.

        Parameters
        ----------
        expr : Expr
        dimension : Dimension, optional
            What it has, which a literal 0 cannot say.
        """
        found = dimension_of(expr, self.dimensions)
        if dimension is None or found is None or found == dimension:
            return self._text(expr, 0, dimension)
        # Some core types of NeuroML leave out a unit, which is the one of SI then.
        return f"{self._text(expr, _LEVELS['*'])}*{base_unit(dimension.over(found))}"

    def statements(
        self, left: str, expr: Expr, dimension: Dimension, operator: str = "="
    ) -> list[str]:
        """Return an assignment; of several random numbers in it, each is drawn before.

        Parameters
        ----------
        left : str
            What is assigned to.
        expr : Expr
        dimension : Dimension
        operator : str
        """
        text = self.text(expr, dimension)
        draws = _DRAW.findall(text)
        if len(draws) < 2:
            return [f"{left} {operator} {text}"]
        count = itertools.count(1)
        text = _DRAW.sub(lambda _: f"draw_{left}_{next(count)}", text)
        drawn = [f"draw_{left}_{number} = {draw}" for number, draw in enumerate(draws, 1)]
        return [*drawn, f"{left} {operator} {text}"]

    def _text(self, expr: Expr, outer: int, dimension: Dimension | None = None) -> str:
        text, level = self._printed(expr, dimension)
        return f"({text})" if level < outer else text

    def _printed(self, expr: Expr, dimension: Dimension | None) -> tuple[str, int]:
        """Return a text, and how strongly it binds."""
        if is_random(expr) and not isinstance(expr, Call | Select):
            factor = without_normal(expr)
            if factor is not None:
                return f"{self._text(factor, _LEVELS['*'])}*randn()", _LEVELS["*"]
        match expr:
            case Number(value):
                return self._number(value, dimension)
            case Name(name):
                return self._name(name)
            case Negate(operand):
                return f"-{self._text(operand, _LEVELS['*'], dimension)}", _LEVELS["sign"] - 1
            case Binary("^", base, exponent):
                level = _LEVELS["^"]
                return f"{self._text(base, level + 1)}**{self._text(exponent, level + 1)}", level
            case Binary("+" | "-" as op, left, right):
                known = self._common(left, right, dimension)
                level = _LEVELS[op]
                before, after = self._text(left, level, known), self._text(right, level + 1, known)
                return f"{before} {op} {after}", level
            case Binary(op, left, right):
                level = _LEVELS[op]
                return f"{self._text(left, level)}{op}{self._text(right, level + 1)}", level
            case Call(function, argument):
                return self._call(function, argument)
            case Compare(op, left, right):
                known = self._common(left, right, None)
                level = _LEVELS["compare"]
                before, after = (self._text(item, level + 1, known) for item in (left, right))
                return f"{before} {op} {after}", level
            case Logic(op, left, right):
                level = _LEVELS[op]
                return f"{self._text(left, level)} {op} {self._text(right, level)}", level
            case Select(condition, then, otherwise):
                return self._choice(condition, then, otherwise, dimension)

    def _common(self, left: Expr, right: Expr, known: Dimension | None) -> Dimension | None:
        for item in (left, right):
            found = dimension_of(item, self.dimensions)
            if found is not None:
                return found
        return known

    def _number(self, value: float, dimension: Dimension | None) -> tuple[str, int]:
        if value == 0.0 and dimension not in (None, NONE):
            return f"0*{base_unit(dimension or NONE)}", _LEVELS["*"]
        whole = float(value).is_integer() and abs(value) < 1e15
        text = repr(int(value)) if whole else repr(float(value))
        return text, _LEVELS["sign"] - 1 if value < 0 else _LEVELS["^"] + 1

    def _name(self, name: str) -> tuple[str, int]:
        text = {TIME_NAME: self.time, STEP_NAME: "dt", EDGE: "t_end"}.get(name)
        is_sum = name == TIME_NAME and "+" in self.time
        return text or self.names[name], _LEVELS["+"] if is_sum else _LEVELS["^"] + 1

    def _call(self, function: str, argument: Expr) -> tuple[str, int]:
        inner = self._text(argument, 0)
        top = _LEVELS["^"] + 1
        if function == RANDOM:
            if argument == Number(1.0):
                return "rand()", top
            return f"{self._text(argument, _LEVELS['*'])}*rand()", _LEVELS["*"]
        if function == "H":
            zero = self._text(ZERO, 4, dimension_of(argument, self.dimensions))
            inner = self._text(argument, _LEVELS["compare"] + 1)
            return f"0.5*(int({inner} > {zero}) + int({inner} >= {zero}))", _LEVELS["*"]
        if function == "factorial":
            self.functions.add(function)
        return f"{_FUNCTIONS.get(function, function)}({inner})", top

    def _choice(
        self, condition: Expr, then: Expr, otherwise: Expr, dimension: Dimension | None
    ) -> tuple[str, int]:
        test = self._text(condition, 0)
        if otherwise == ZERO and _is_finite(then):
            if then == Number(1.0):
                return f"int({test})", _LEVELS["^"] + 1
            return f"{self._text(then, _LEVELS['*'], dimension)}*int({test})", _LEVELS["*"]
        self.functions.add(CHOICE)
        known = self._common(then, otherwise, dimension)
        parts = ", ".join(self._text(item, 0, known) for item in (then, otherwise))
        return f"{CHOICE}({test}, {parts})", _LEVELS["^"] + 1


def _is_finite(expr: Expr) -> bool:
    """Return whether an expression is finite where all that it reads is: times 0 it is 0."""
    match expr:
        case Number() | Name():
            return True
        case Negate(operand):
            return _is_finite(operand)
        case Binary("+" | "-" | "*", left, right):
            return _is_finite(left) and _is_finite(right)
        case _:
            return False
