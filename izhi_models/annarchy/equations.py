"""Turn one `Step` into the equations of an ANNarchy neuron, with generated symbols.

ANNarchy runs a neuron's equations in order, then its spike condition and reset. An equation of
the form ``dx/dt = ...`` reads the states at the start of the step, like a definition; a state that
an event or a condition changes besides advancing is computed in steps of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from izhi_models.annarchy.gaussian import without_normal
from izhi_models.annarchy.program import Equation, Neuron, Precision, ProgramParameter
from izhi_models.annarchy.texts import HEAVISIDE, words
from izhi_models.errors import UnsupportedError
from izhi_models.expr import (
    RANDOM,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Negate,
    Number,
    Select,
    children,
    is_random,
    names,
    rebuild,
    substitute,
)
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME, Assignment, Derived, Variable
from izhi_models.ir.step import Block, Step
from izhi_models.units import Dimension


@dataclass(frozen=True)
class Symbol:
    """What stands for a name of the model in a program."""

    symbol: str
    dimension: Dimension
    is_parameter: bool
    is_global: bool = False


class Emission:
    """Turns one `Step` into the equations of a neuron."""

    def __init__(
        self,
        step: Step,
        shared: set[str],
        precision: Precision,
        arrivals: Mapping[str, str] | None = None,
        kept: Set[str] = frozenset(),
    ) -> None:
        self.step = step
        self.shared = shared
        self.precision = precision
        self.arrivals = arrivals or {}
        self.kept = kept
        self.equations: list[Equation] = []
        self.symbols: dict[str, Symbol] = {}
        self.current: dict[str, str] = {}
        self.literals: dict[str, float] = {}
        self.defined: set[str] = set()
        self.count = 0

    def neuron(self, symbol: str, size: int) -> Neuron:
        """Return the definition."""
        for item in self.step.parameters:
            if item.name in self.arrivals:
                self.current[item.name] = f"g_{self.arrivals[item.name]}"
            else:
                self._declare(item, "p", is_parameter=True, is_global=item.name in self.shared)
        moving = {item.state for item in self.step.advances}
        moving |= {item.state for block in self.step.blocks for item in block.assignments}
        moving |= {item.state for item in self._arriving()}
        for item in self.step.states:
            self._declare(item, "s", is_parameter=item.name not in moving)
        blocks, reset = self._split_blocks()
        self._hold(reset)
        touched = {item.state for block in blocks for item in block.assignments}
        self._arrive(touched)
        for definition in self.step.definitions:
            self._define(definition)
        self._advance(touched)
        events = [self._block(block, blocks[number + 1 :]) for number, block in enumerate(blocks)]
        spike: str | None = None
        if reset is not None:
            spike = self._spike(reset)
        elif any(events):
            spike = " or ".join(f"({flag} > 0.5)" for flag in events if flag)
        reset_texts = self._reset(reset)
        equations = self._equations(reset_texts)
        read = {word for item in equations for word in words(item.text)}
        read |= {word for text in (spike or "", *reset_texts) for word in words(text)}
        unseen = {item.symbol for item in equations if item.is_temporary}
        # Of parameters that only the start reads, the program needs nothing.
        unseen |= {
            item.symbol
            for name, item in self.symbols.items()
            if item.is_parameter and item.symbol not in read and name not in self.kept
        }
        self.symbols = {
            name: item for name, item in self.symbols.items() if item.symbol not in unseen
        }
        return Neuron(
            symbol,
            tuple(
                ProgramParameter(item.symbol, item.is_global)
                for item in self.symbols.values()
                if item.is_parameter
            )
            + tuple(ProgramParameter(symbol, True) for symbol in self.literals),
            equations,
            spike,
            reset_texts,
            size,
        )

    def _equations(self, reset_texts: tuple[str, ...]) -> tuple[Equation, ...]:
        """Return all equations; what is read within the step only is a temporary."""
        states = {item.name for item in self.step.states}
        seen = {item.symbol for name, item in self.symbols.items() if name in states | self.kept}
        seen |= {word for text in reset_texts for word in words(text)}
        return tuple(replace(item, is_temporary=item.symbol not in seen) for item in self.equations)

    def _declare(
        self, item: Variable, prefix: str, *, is_parameter: bool, is_global: bool = False
    ) -> None:
        symbol = self._fresh(prefix)
        self.symbols[item.name] = Symbol(symbol, item.dimension, is_parameter, is_global)
        self.current[item.name] = symbol

    def _define(self, definition: Derived) -> None:
        name, value = definition.name, definition.value
        # Another name for what does not change within the step needs no variable.
        if isinstance(value, Name) and value.id in self.defined:
            self.symbols[name] = self.symbols[value.id]
            self.current[name] = self.current[value.id]
        else:
            text = self._text(value)
            self._declare(Variable(name, definition.dimension), "d", is_parameter=False)
            self._assign(self.current[name], text)
        self.defined.add(name)

    def _fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count}"

    def _assign(self, symbol: str, text: str) -> None:
        self.equations.append(Equation(symbol, f"{symbol} = {text}", is_ode=False))

    # Events

    def _arriving(self) -> list[Assignment]:
        """Return the assignments that sums of arriving events bring, in order."""
        return [
            item
            for block in self.step.on_events
            for item in block.assignments
            if names(item.value) & self.arrivals.keys()
        ]

    def _arrive(self, touched: set[str]) -> None:
        """Write what arrives in a step, which acts before all else, so also before definitions."""
        advancing = {item.state for item in self.step.advances}
        for item in self._arriving():
            text = self._text(self._at_present(item.value))
            if item.state in advancing or item.state in touched:
                symbol = self._fresh("n")
            else:
                symbol = self.symbols[item.state].symbol
            self._assign(symbol, text)
            self.current[item.state] = symbol

    def _at_present(self, expr: Expr) -> Expr:
        """Return what is derived as it follows from the states, before it is defined."""
        derived = {item.name: item.value for item in self.step.definitions}
        read = names(expr) & derived.keys()
        return substitute(expr, {name: self._at_present(derived[name]) for name in read})

    # Blocks

    def _spike(self, reset: Block) -> str:
        """Return the condition of the spike."""
        test = self._text(reset.test)
        if "==" not in test and "!=" not in test:
            return test
        # ANNarchy splits a spike condition at these, wherever its parentheses are.
        flag = self._fresh("f")
        self._assign(flag, f"ite({test}, 1.0, 0.0)")
        return f"{flag} > 0.5"

    def _split_blocks(self) -> tuple[list[Block], Block | None]:
        """Separate the block that sends the spike, if it can be ANNarchy's spike and reset.

        ANNarchy resets after all equations, so it must be the last one, and the only one that
        sends; drawn numbers are not allowed there.
        """
        blocks = list(self.step.blocks)
        ports = {port for block in blocks for port in block.events if "/" not in port}
        if len(ports) > 1:
            listed = ", ".join(sorted(ports))
            raise UnsupportedError(f"a cell sends events on several ports ({listed})")
        sending = [block for block in blocks if ports & set(block.events)]
        if len(sending) == 1 and sending[0] is blocks[-1] and not _draws(sending[0]):
            return blocks[:-1], sending[0]
        return blocks, None

    def _hold(self, reset: Block | None) -> None:
        """Declare the states that only a reset changes: ANNarchy knows variables by equations."""
        changed = {item.state for item in (*self.step.advances, *self._arriving())}
        changed |= {
            item.state
            for block in self.step.blocks
            if block is not reset
            for item in block.assignments
        }
        for item in reset.assignments if reset else ():
            if item.state not in changed:
                changed.add(item.state)
                symbol = self.symbols[item.state].symbol
                self._assign(symbol, symbol)

    def _advance(self, touched: set[str]) -> None:
        """Write the new values of the states that move."""
        odes: list[Equation] = []
        late: list[tuple[str, str]] = []
        for item in self.step.advances:
            symbol = self.symbols[item.state].symbol
            rate = euler_rate(item.state, item.value)
            arrived = self.current[item.state] != symbol
            if rate is not None and item.state not in touched and not arrived:
                odes.append(Equation(symbol, f"d{symbol}/dt = {self._rate(rate)}", is_ode=True))
                continue
            temporary = self._fresh("n")
            self._assign(temporary, self._text(item.value))
            late.append((item.state, temporary))
        self.equations += odes
        for state, temporary in late:
            if state in touched:
                self.current[state] = temporary
            else:
                symbol = self.symbols[state].symbol
                self._assign(symbol, temporary)
                self.current[state] = symbol

    def _rate(self, rate: Expr) -> str:
        text = self._text(rate)
        if "ite(" not in text:
            return text
        # ANNarchy finds no linear part in an ODE with a choice, and gives up.
        symbol = self._fresh("n")
        self._assign(symbol, text)
        return symbol

    def _block(self, block: Block, later: list[Block]) -> str | None:
        """Write one block; return the flag of its event, if it sends one."""
        flag = self._fresh("f")
        self._assign(flag, f"ite({self._text(block.test)}, 1.0, 0.0)")
        for number, item in enumerate(block.assignments):
            before = self.current[item.state]
            value = f"ite({flag} > 0.5, {self._text(item.value)}, {before})"
            rest = (*block.assignments[number + 1 :], *(a for b in later for a in b.assignments))
            is_last = all(other.state != item.state for other in rest)
            symbol = self.symbols[item.state].symbol if is_last else self._fresh("n")
            self._assign(symbol, value)
            self.current[item.state] = symbol
        return flag if any("/" not in port for port in block.events) else None

    def _reset(self, block: Block | None) -> tuple[str, ...]:
        if block is None:
            return ()
        return tuple(
            f"{self.symbols[item.state].symbol} = {self._text(item.value)}"
            for item in block.assignments
        )

    # Expressions

    def _text(self, expr: Expr) -> str:
        return print_expression(self._hoist(expr), self.current)

    def _hoist(self, expr: Expr) -> Expr:
        """Give each draw of a random number a variable of its own.

        ANNarchy would merge equal calls into one number.
        """
        if is_random(expr):
            factor = without_normal(expr)
            if factor is not None:
                return Binary("*", self._hoist(factor), self._draw("Normal"))
        below = children(expr)
        if below:
            expr = rebuild(expr, tuple(self._hoist(child) for child in below))
        if isinstance(expr, Call) and expr.function == RANDOM:
            return Binary("*", expr.argument, self._draw("Uniform"))
        if isinstance(expr, Number) and not self._is_literal(expr.value):
            symbol = self._fresh("c")
            self.literals[symbol] = expr.value
            self.current[f"{symbol}/literal"] = symbol
            return Name(f"{symbol}/literal")
        return expr

    def _draw(self, distribution: str) -> Name:
        symbol = self._fresh("u")
        self._assign(symbol, f"{distribution}(0.0, 1.0)")
        self.current[f"{symbol}/draw"] = symbol
        return Name(f"{symbol}/draw")

    def _is_literal(self, value: float) -> bool:
        """Return whether ANNarchy can write a number; infinity and the like have no digits."""
        # In single precision it appends an f to the digits before an exponent, which is no C++.
        return math.isfinite(value) and (self.precision == "double" or "e" not in repr(value))


def _draws(block: Block) -> bool:
    return is_random(block.test) or any(is_random(item.value) for item in block.assignments)


def euler_rate(state: str, value: Expr) -> Expr | None:
    """Return the rate behind the new value of a state, if that is a step of forward Euler."""
    match value:
        case Binary("+", Name(left), Binary("*", Name(step), rate)) if (
            left == state and step == STEP_NAME
        ):
            return rate
        case _:
            return None


_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_FUNCTIONS = {"ln": "log", "ceil": "ceiling"}  # as ANNarchy's parser, SymPy, calls them


def print_expression(expr: Expr, symbols: Mapping[str, str]) -> str:
    """Print an expression as ANNarchy reads it.

    Parameters
    ----------
    expr : Expr
        Without draws of random numbers.
    symbols : mapping of str to str
        Generated symbol of each name. ``t`` is the end of the step here, its start in ANNarchy.
    """
    return _print(expr, symbols, 0)


def _print(expr: Expr, symbols: Mapping[str, str], outer: int) -> str:
    match expr:
        case Number(value):
            return f"({value!r})" if value < 0 else repr(float(value))
        case Name(name) if name == TIME_NAME:
            return "(t + dt)"
        case Name(name) if name == STEP_NAME:
            return "dt"
        case Name(name):
            return symbols[name]
        case Negate(operand):
            return f"(-{_print(operand, symbols, 3)})"
        case Call("H", argument):
            return f"{HEAVISIDE}({_print(argument, symbols, 0)})"
        case Call(function, argument):
            return f"{_FUNCTIONS.get(function, function)}({_print(argument, symbols, 0)})"
        case Compare(op, left, right):
            return f"{_print(left, symbols, 0)} {op} {_print(right, symbols, 0)}"
        case Logic(op, left, right):
            return f"({_print(left, symbols, 0)}) {op} ({_print(right, symbols, 0)})"
        case Select(condition, then, otherwise):
            parts = [_print(item, symbols, 0) for item in (condition, then, otherwise)]
            return f"ite({', '.join(parts)})"
        case Binary("^", left, Number(exponent)) if exponent == int(exponent) and exponent >= 0:
            # A whole power stays whole, so that the compiler can multiply.
            text = f"{_print(left, symbols, 5)}^{int(exponent)}"
            return f"({text})" if outer > 1 else text
        case Binary(op, left, right):
            level = _PRECEDENCE[op]
            inner = (level + 1, level + 1) if op == "^" else (level, level + 1)
            text = (
                f"{_print(left, symbols, inner[0])}{_SPACED[op]}{_print(right, symbols, inner[1])}"
            )
            return f"({text})" if outer > level else text


_SPACED = {"+": " + ", "-": " - ", "*": "*", "/": "/", "^": "^"}
