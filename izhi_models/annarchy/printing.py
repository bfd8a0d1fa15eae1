"""Translates the texts of a program to C++, in place of ANNarchy's own parser.

ANNarchy lets SymPy transform every equation. That takes seconds for larger cells and does not end
for some, and it changes the order of operations, by which results differ in the last digits from
the equations as written. Here each operator becomes itself. This module runs only in the process
of `generate`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from izhi_models.annarchy.program import Precision
from izhi_models.annarchy.texts import FUNCTIONS, tokens

_LARGEST_EXPONENT = 16
_ASSIGNMENT = re.compile(
    r"\s*(?:d(?P<state>\w+)/dt|(?P<name>\w+)) (?P<operator>[-+]?=) (?P<value>.*)"
)
_LEVELS = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys("*/", 5),
    "^": 7,
}
_SIGN_LEVEL = 6
_WORDS = {"or": "||", "and": "&&"}


def translate(text: str, place_of: Callable[[str], str], precision: Precision) -> str:
    """Return an expression as C++, every operation in its place.

    Parameters
    ----------
    text : str
        As `texts.expression_faults` allows.
    place_of : callable
        Returns the C++ that reads a name.
    precision : {'double', 'float'}
        Type of the literals.

    Raises
    ------
    ValueError
        If parentheses, operators or arguments do not fit together.
    """
    return _Translation(text, place_of, precision).whole()


class _Translation:
    def __init__(self, text: str, place_of: Callable[[str], str], precision: Precision) -> None:
        self.text = text
        self.place_of = place_of
        self.suffix = "F" if precision == "float" else ""
        self.tokens = [*tokens(text), "", ""]  # the end
        self.position = 0

    def whole(self) -> str:
        code = self.expression(0)
        self.expect("")
        return code

    def next(self) -> str:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def expect(self, wanted: str) -> None:
        if (found := self.next()) != wanted:
            raise ValueError(f"{wanted or 'end'!r} expected, {found or 'end'!r} found: {self.text}")

    def expression(self, level: int) -> str:
        """Translate operators that bind more closely than a level."""
        code = self.operand()
        while _LEVELS.get(operator := self.tokens[self.position], 0) > level:
            self.position += 1
            if operator == "^":
                code = self.power(code)
            else:
                right = self.expression(_LEVELS[operator])
                code = f"{code} {_WORDS.get(operator, operator)} {right}"
        return code

    def operand(self) -> str:
        token = self.next()
        if token == "(":
            code = self.expression(0)
            self.expect(")")
            return f"({code})"
        if token == "-":
            return f"-{self.expression(_SIGN_LEVEL)}"
        if token[:1].isdigit():
            return self.number(token)
        if not token[:1].isalpha() and not token.startswith("_"):
            raise ValueError(f"{token or 'end'!r} is no operand: {self.text}")
        return self.call(token) if self.tokens[self.position] == "(" else self.place_of(token)

    def number(self, token: str) -> str:
        return f"{float(token)!r}{self.suffix}"

    def power(self, base: str) -> str:
        text, after = self.tokens[self.position : self.position + 2]
        if text.isdecimal() and 1 <= int(text) <= _LARGEST_EXPONENT and after != "^":
            # To multiply takes a small part of the time of `pow`, and suits vector instructions.
            self.position += 1
            return f"whole_power<{text}>({base})"
        return f"std::pow({base}, {self.expression(_SIGN_LEVEL)})"

    def call(self, function: str) -> str:
        self.expect("(")
        arguments = [self.expression(0)]
        while self.tokens[self.position] == ",":
            self.position += 1
            arguments.append(self.expression(0))
        self.expect(")")
        if function == "ite" and len(arguments) == 3:
            condition, then, otherwise = arguments
            return f"({condition} ? {then} : {otherwise})"
        if function not in FUNCTIONS or len(arguments) != 1:
            raise ValueError(f"{function!r} with {len(arguments)} arguments: {self.text}")
        return f"{FUNCTIONS[function]}({arguments[0]})"


class Equation:
    """Stands for ANNarchy's class of this name, which its analysis of definitions calls.

    Parameters
    ----------
    name : str
        Unused: the text says what is assigned.
    expression : str
        An ODE, an assignment, a condition or a number.
    description : dict
        ANNarchy's description of the neuron or synapse.
    untouched : collection of str
        Words that ANNarchy itself replaces afterwards.
    method : str
        Unused: programs have ODEs of the explicit method only.
    type : str, optional
        'return' for a number.
    net_id : int
        Unused.
    """

    precision: ClassVar[Precision]
    num_flops = 0  # ANNarchy's reports count operations

    def __init__(
        self,
        name: str,
        expression: str,
        description: dict[str, Any],
        untouched: Sequence[str] = (),
        method: str = "explicit",
        type: str | None = None,
        net_id: int = 0,
    ) -> None:
        self.expression = expression
        self.description = description
        self.untouched = untouched
        self.is_number = type == "return"
        self.read: set[str] = set()

    def parse(self) -> str | list[Any]:
        """Return C++, with ANNarchy's placeholders of indices; of an ODE its three parts."""
        assignment = _ASSIGNMENT.fullmatch(self.expression)
        if assignment is None:
            code = self._translated(self.expression)
            return f"{code};" if self.is_number else code
        value = self._translated(assignment["value"])
        if state := assignment["state"]:
            change = f"{self.precision} _{state} = {value};"
            return [{}, change, f"{self._place(state)} += dt*_{state};"]
        return f"{self._place(assignment['name'])} {assignment['operator']} {value};"

    def dependencies(self) -> list[str]:
        """Return the parameters and variables that the text reads."""
        return sorted(self.read & set(self.description["attributes"]))

    def _translated(self, text: str) -> str:
        return translate(text, self._place, self.precision)

    def _place(self, name: str) -> str:
        self.read.add(name)
        if name in self.untouched or name == "dt":
            return name
        if name == "t":
            return "real(double(t)*dt)"
        if name == "g_target":
            return "sum"
        locality = "global" if name in self.description["global"] else "local"
        return f"{name}%({locality}_index)s"
