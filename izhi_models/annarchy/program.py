"""A network as ANNarchy definitions in plain data: what is generated, compiled and cached.

A `Program` holds structure only. Values of parameters, initial values, the step and the seed are
given to the compiled library, so none of them leads to another compilation.

Definitions are evaluated as Python by ANNarchy's parser and printed into C++, so every text in a
program is restricted to generated symbols (letters, underscore, number), numbers, operators and
the function words of ANNarchy; `verify_program` enforces it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from izhi_models.errors import InternalError

Precision = Literal["double", "float"]

METHODS = frozenset({"explicit", "exponential", "implicit", "semiimplicit", "midpoint", "rk4"})

_FUNCTIONS = frozenset({
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clip", "cos", "cosh", "exp",
    "factorial", "floor", "ite", "ln", "log", "log10", "max", "min", "modulo", "neg", "pos", "pow",
    "power", "round", "sin", "sinh", "sqrt", "tan", "tanh",
})  # fmt: skip
_DISTRIBUTIONS = frozenset({"Exponential", "Gamma", "LogNormal", "Normal", "Uniform"})
_KEYWORDS = frozenset({"and", "else", "if", "not", "or", "t", "dt"})
_SYMBOL = re.compile(r"[a-z]+_[0-9]+")
_TOKEN = re.compile(
    r" *(?:(?P<number>\d+\.?\d*(?:e[+-]?\d+)?(?!\w))|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<operator>==|!=|<=|>=|[-+*/^()<>,:]))"
)
_ASSIGNMENT = re.compile(r"(?P<symbol>\w+) [-+]?= (?P<value>.*)")
_INTEGER_DIVISION = re.compile(r"/ *\d+(?![\w.])|(?<![\w.])\d+ */")


@dataclass(frozen=True)
class ProgramParameter:
    """A quantity that stays as it was set.

    Parameters
    ----------
    symbol : str
        Generated name.
    is_global : bool
        One value for all cells, instead of one value per cell.
    """

    symbol: str
    is_global: bool


@dataclass(frozen=True)
class Equation:
    """A variable and how it changes in a step.

    Parameters
    ----------
    symbol : str
        Generated name of the variable.
    text : str
        `dx_1/dt = ...` if it is an ODE, else `x_1 = ...`.
    is_ode : bool
    method : str
        Integrator of the ODE, one of `METHODS`.
    """

    symbol: str
    text: str
    is_ode: bool
    method: str = "explicit"


@dataclass(frozen=True)
class Neuron:
    """One population: a definition and the number of its cells.

    Parameters
    ----------
    symbol : str
        Generated name of the population.
    parameters : tuple of ProgramParameter
    equations : tuple of Equation
        In the order of evaluation.
    spike : str or None
        Condition on the new state; None for cells that never spike.
    reset : tuple of str
        Assignments done after a spike.
    size : int
        Number of cells; no part of the compiled code.
    """

    symbol: str
    parameters: tuple[ProgramParameter, ...]
    equations: tuple[Equation, ...]
    spike: str | None
    reset: tuple[str, ...]
    size: int

    @property
    def symbols(self) -> tuple[str, ...]:
        """All parameters, then all variables, as the compiled library numbers them."""
        return (*(item.symbol for item in self.parameters), *self.variables)

    @property
    def variables(self) -> tuple[str, ...]:
        """The symbols that change during a run."""
        return tuple(item.symbol for item in self.equations)

    def to_text(self) -> str:
        """Return the definition for people, one line per item."""
        lines = [f"neuron {self.symbol}"]
        lines += [
            f"  parameter {item.symbol} ({'one' if item.is_global else 'per cell'})"
            for item in self.parameters
        ]
        for item in self.equations:
            method = "" if item.method == "explicit" else f"  ({item.method})"
            lines.append(f"  {item.text}{method}")
        if self.spike is not None:
            lines.append(f"  spike {self.spike}")
        lines += [f"  reset {text}" for text in self.reset]
        return "\n".join(lines)


@dataclass(frozen=True)
class Program:
    """All definitions of one compiled library.

    Parameters
    ----------
    neurons : tuple of Neuron
    precision : {'double', 'float'}
        C++ type of all parameters and variables.
    threads : int
        Number of OpenMP threads.
    """

    neurons: tuple[Neuron, ...]
    precision: Precision = "double"
    threads: int = 1

    def to_structure(self) -> Program:
        """Return the same program with all sizes 1: exactly what the compiled code depends on."""
        return replace(self, neurons=tuple(replace(item, size=1) for item in self.neurons))

    def to_text(self) -> str:
        """Return all definitions for people."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        sizes = [f"{item.symbol}: {item.size}" for item in self.neurons]
        head = f"program ({self.precision}, {threads})\ncells {', '.join(sizes)}"
        return "\n\n".join([head, *(item.to_text() for item in self.neurons)]) + "\n"

    def to_json(self) -> str:
        """Return the program as JSON; equal programs give equal text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Program:
        """Return the program that `to_json` wrote.

        Raises
        ------
        InternalError
            The text is no verified program.
        """
        try:
            data = json.loads(text)
            program = Program(
                neurons=tuple(_to_neuron(item) for item in data.pop("neurons")), **data
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InternalError(f"no program: {error}") from error
        verify_program(program)
        return program


def _to_neuron(data: dict[str, Any]) -> Neuron:
    return Neuron(
        parameters=tuple(ProgramParameter(**item) for item in data.pop("parameters")),
        equations=tuple(Equation(**item) for item in data.pop("equations")),
        reset=tuple(data.pop("reset")),
        **data,
    )


def verify_program(program: Program) -> None:
    """Refuse a program that is inconsistent or holds any text not generated by this package.

    Raises
    ------
    InternalError
        With one diagnostic per fault.
    """
    faults = [*_program_faults(program)]
    for neuron in program.neurons:
        faults += [f"{neuron.symbol!r}: {fault}" for fault in _neuron_faults(neuron)]
    if faults:
        raise InternalError(*faults)


def _program_faults(program: Program) -> Iterator[str]:
    if not program.neurons:
        yield "a program needs at least one neuron"
    if program.precision not in ("double", "float"):
        yield f"unknown precision {program.precision!r}"
    if not _is_count(program.threads):
        yield f"number of threads {program.threads!r}"
    symbols = [item.symbol for item in program.neurons]
    if len(set(symbols)) < len(symbols):
        yield "two neurons of one name"


def _neuron_faults(neuron: Neuron) -> Iterator[str]:
    for symbol in (neuron.symbol, *neuron.symbols):
        if not _SYMBOL.fullmatch(symbol):
            yield f"{symbol!r} is not a generated name"
    if not _is_count(neuron.size):
        yield f"size {neuron.size!r}"
    known = set(neuron.symbols)
    rates = {f"d{item.symbol}" for item in neuron.equations if item.is_ode}
    if len(known) < len(neuron.symbols) or known & rates:
        yield "two quantities of one name"
    for item in neuron.equations:
        if item.method not in METHODS:
            yield f"unknown method {item.method!r}"
        left = f"d{item.symbol}/dt" if item.is_ode else item.symbol
        start = f"{left} = "
        if item.text.startswith(start):
            yield from _text_faults(item.text.removeprefix(start), known)
        else:
            yield f"{item.text!r} does not start with {start!r}"
    if neuron.spike is not None:
        yield from _text_faults(neuron.spike, known)
    elif neuron.reset:
        yield "a reset without a spike condition"
    for text in neuron.reset:
        assignment = _ASSIGNMENT.fullmatch(text)
        if assignment is not None and assignment["symbol"] in neuron.variables:
            yield from _text_faults(assignment["value"], known)
        else:
            yield f"{text!r} does not assign to a variable"


def _text_faults(text: str, symbols: set[str]) -> Iterator[str]:
    known = symbols | _FUNCTIONS | _DISTRIBUTIONS | _KEYWORDS
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            yield f"{text[position : position + 10]!r} in {text!r}"
            return
        if token["word"] is not None and token["word"] not in known:
            yield f"unknown name {token['word']!r} in {text!r}"
        position = token.end()
    if not text.strip():
        yield "empty text"
    if _INTEGER_DIVISION.search(text):
        yield f"division of integers, which C++ truncates, in {text!r}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
