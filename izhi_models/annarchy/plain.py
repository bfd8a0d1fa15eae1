"""Programs as ANNarchy translates them by itself: rewritten so that it computes the same.

ANNarchy passes equations through SymPy. That sorts the terms of sums and the factors of products,
solves and simplifies differential equations, takes `==` for a question about symbols, and calls
`pow` for whole exponents. Here each text is brought into a form that comes out of it as it was:
what would be evaluated in another order is split into variables.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from izhi_models.annarchy.program import (
    Equation,
    Neuron,
    Program,
    ProgramParameter,
    Synapse,
    verify_program,
)
from izhi_models.annarchy.texts import HEAVISIDE, words

_LARGEST_EXPONENT = 16  # up to here a whole power is a product
_STEP = "ite(x > 0.0, 1.0, ite(x < 0.0, 0.0, 0.5))"
_PART = "part"
_RATE = "rate"
_NUMBER = "number"
_WORD = re.compile(r"(?:(?:pre|post)\.)?[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True)
class Plain:
    """A program in the form that ANNarchy translates faithfully.

    Parameters
    ----------
    program : Program
    numbers : dict of (str, str) to float
        Values of parameters that stand for numbers.
    """

    program: Program
    numbers: dict[tuple[str, str], float]


@dataclass
class Vocabulary:
    """Identifiers that stand in the written text for the symbols of a neuron or projection.

    SymPy sorts by them. A symbol without one stands for itself.

    Parameters
    ----------
    names : dict of str to str
        By symbol; gets those of the parts that are added.
    make : callable, optional
        Returns a new identifier that resembles a text.
    """

    names: dict[str, str] = field(default_factory=dict)
    make: Callable[[str], str] | None = None

    def add(self, symbol: str, kind: str, origin: str) -> None:
        """Name a symbol after what it is a part of."""
        if self.make is not None:
            stem = self.names.get(origin, origin).rstrip("_")
            self.names[symbol] = self.make(f"{stem}_{kind}")

    def written(self, text: str) -> str:
        """Return a text with the identifiers."""
        return _WORD.sub(lambda match: self.names.get(match[0], match[0]), text)


def to_plain(program: Program, vocabularies: Mapping[str, Vocabulary] | None = None) -> Plain:
    """Return an equivalent program whose texts ANNarchy translates as they are written.

    In double precision the results are the same bits, except where it cannot be helped: in a
    `psp`, a `pre_spike` or `post_spike` with more than two terms or factors.

    Parameters
    ----------
    program : Program
    vocabularies : mapping of str to Vocabulary, optional
        By the symbol of the neuron or projection; they get names for what is added.
    """
    numbers: dict[tuple[str, str], float] = {}
    known = vocabularies or {}

    def splitter_of(owner: str, item: Neuron | Synapse) -> _Splitter:
        return _Splitter(item, program.precision == "float", known.get(owner) or Vocabulary())

    def keep(owner: str, splitter: _Splitter) -> None:
        numbers.update({(owner, name): value for name, value in splitter.numbers.items()})

    neurons = []
    for neuron in program.neurons:
        splitter = splitter_of(neuron.symbol, neuron)
        neurons.append(_plain_neuron(neuron, splitter))
        keep(neuron.symbol, splitter)
    projections = []
    for projection in program.projections:
        if projection.synapse is None:
            projections.append(projection)
            continue
        splitter = splitter_of(projection.symbol, projection.synapse)
        synapse = _plain_synapse(projection.synapse, splitter)
        projections.append(replace(projection, synapse=synapse))
        keep(projection.symbol, splitter)
    plain = replace(program, neurons=tuple(neurons), projections=tuple(projections))
    verify_program(plain)
    return Plain(plain, numbers)


def _plain_neuron(neuron: Neuron, splitter: _Splitter) -> Neuron:
    equations = splitter.equations(neuron.equations)
    spike = neuron.spike
    if spike is not None:
        spike, parts = splitter.condition(spike)
        equations += parts
    reset = tuple(splitter.assignment(text) for text in neuron.reset)
    return replace(
        neuron,
        parameters=(*neuron.parameters, *splitter.added()),
        equations=tuple(equations),
        spike=spike,
        reset=reset,
    )


def _plain_synapse(synapse: Synapse, splitter: _Splitter) -> Synapse:
    equations = splitter.equations(synapse.equations)
    pre_spike = tuple(splitter.assignment(text) for text in synapse.pre_spike)
    post_spike = tuple(splitter.assignment(text) for text in synapse.post_spike)
    psp = None if synapse.psp is None else splitter.text(synapse.psp)
    # ANNarchy's code for GPUs takes every parameter in a psp for one of each connection.
    read = words(psp or "")
    return replace(
        synapse,
        parameters=tuple(
            replace(item, is_global=item.is_global and item.symbol not in read)
            for item in (*synapse.parameters, *splitter.added())
        ),
        equations=tuple(equations),
        pre_spike=pre_spike,
        post_spike=post_spike,
        psp=psp,
    )


class _Splitter:
    """Rewrites the texts of one neuron or synapse."""

    def __init__(self, item: Neuron | Synapse, is_single: bool, vocabulary: Vocabulary) -> None:
        self.shared = frozenset(
            vocabulary.written(entry.symbol) for entry in item.parameters if entry.is_global
        )
        self.is_single = is_single
        self.vocabulary = vocabulary
        self.numbers: dict[str, float] = {}
        self._taken = set(item.symbols)

    def added(self) -> tuple[ProgramParameter, ...]:
        """Return the parameters that stand for numbers."""
        return tuple(ProgramParameter(name, True) for name in self.numbers)

    def equations(self, equations: tuple[Equation, ...]) -> list[Equation]:
        """Return equations with parts before them; those of one block of ODEs come before it."""
        done: list[Equation] = []
        for is_ode, block in itertools.groupby(equations, lambda item: item.is_ode):
            odes = []
            for item in block:
                _, _, value = item.text.partition(" = ")
                parts, text = self._split(value, item.symbol)
                done += parts
                if not is_ode:
                    done.append(replace(item, text=f"{item.symbol} = {text}"))
                    continue
                if not text.isidentifier():
                    # SymPy rearranges a rate, but not a variable.
                    rate = self._fresh(_RATE, item.symbol)
                    done.append(Equation(rate, f"{rate} = {text}", is_ode=False))
                    text = rate
                odes.append(replace(item, text=f"d{item.symbol}/dt = {text}"))
            done += odes
        return done

    def condition(self, text: str) -> tuple[str, list[Equation]]:
        """Return the condition of a spike, and the parts to compute before it."""
        parts, text = self._split(text, "")
        return text, parts

    def assignment(self, text: str) -> str:
        """Return an assignment, which cannot have parts."""
        left, operator, value = text.split(" ", 2)
        return f"{left} {operator} {self.text(value)}"

    def text(self, text: str) -> str:
        """Return an expression that cannot have parts."""
        return _print(self._prepared(text))

    def _split(self, text: str, owner: str) -> tuple[list[Equation], str]:
        parts: list[Equation] = []

        def part(node: ast.expr) -> ast.expr:
            symbol = self._fresh(_PART, owner)
            parts.append(Equation(symbol, f"{symbol} = {_print(node)}", is_ode=False))
            return ast.Name(symbol)

        return parts, _print(_faithful(self._prepared(text, part), part, self._survives))

    def _survives(self, node: ast.expr) -> bool:
        """Return whether ANNarchy's translation evaluates an expression as it stands."""
        text = self.vocabulary.written(_print(node))
        found = _translated(text, self.shared)
        try:
            return found is not None and _order(_parse(found)) == _order(_parse(text))
        except SyntaxError:
            return False  # SymPy says in a comment that it has no C for it

    def _prepared(self, text: str, part: Callable[[ast.expr], ast.expr] | None = None) -> ast.expr:
        preparation = _Preparation(self._number if self.is_single else None, part)
        prepared: ast.expr = preparation.visit(_parse(text))
        return prepared

    def _number(self, value: float) -> str:
        for name, known in self.numbers.items():
            if known == value:
                return name
        name = self._fresh(_NUMBER, "")
        self.numbers[name] = value
        return name

    def _fresh(self, kind: str, origin: str) -> str:
        names = (f"{kind}_{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in self._taken)
        self._taken.add(name)
        self.vocabulary.add(name, kind, origin)
        return name


class _Preparation(ast.NodeTransformer):
    """Replaces what ANNarchy translates into something else, whatever stands around it."""

    def __init__(
        self,
        number: Callable[[float], str] | None,
        part: Callable[[ast.expr], ast.expr] | None,
    ) -> None:
        self._number = number
        self._part = part

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        # In single precision ANNarchy replaces digits in finished text, and cuts them off.
        if self._number is None or not isinstance(node.value, float):
            return node
        return ast.Name(self._number(node.value))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not _is_whole_power(node):
            return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))
        exponent = node.right.value  # type: ignore[attr-defined]
        base: ast.expr = self.visit(node.left)
        if exponent == 2:
            return ast.BinOp(base, ast.Pow(), node.right)  # compilers multiply
        if self._part is not None and not isinstance(base, ast.Name):
            base = self._part(base)
        return functools.reduce(
            lambda product, factor: ast.BinOp(product, ast.Mult(), factor), [base] * exponent
        )

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Write a step function as choices, which ANNarchy has."""
        arguments = [self.visit(item) for item in node.args]
        if ast.unparse(node.func) != HEAVISIDE:
            return ast.Call(node.func, arguments, [])
        where = arguments[0]
        if self._part is not None and not isinstance(where, ast.Name):
            where = self._part(where)
        return _parse(_STEP.replace("x", f"({_print(where)})"))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.comparators[0])
        match node.ops[0]:
            case ast.Eq():
                return _both(ast.And(), left, right, ast.GtE(), ast.LtE())
            case ast.NotEq():
                return _both(ast.Or(), left, right, ast.Gt(), ast.Lt())
            case operator:
                return ast.Compare(left, [operator], [right])


def _both(joint: ast.boolop, left: ast.expr, right: ast.expr, *operators: ast.cmpop) -> ast.BoolOp:
    return ast.BoolOp(joint, [ast.Compare(left, [item], [right]) for item in operators])


def _is_whole_power(node: ast.BinOp) -> bool:
    return (
        isinstance(node.op, ast.Pow)
        and isinstance(node.right, ast.Constant)
        and isinstance(node.right.value, int)
        and 2 <= node.right.value <= _LARGEST_EXPONENT
    )


def _faithful(
    node: ast.expr,
    part: Callable[[ast.expr], ast.expr],
    survives: Callable[[ast.expr], bool],
) -> ast.expr:
    """Return an expression that SymPy leaves as it is, with as few parts apart as that takes."""
    changed = _with_operands(node, [_faithful(item, part, survives) for item in _operands(node)])
    operands = _operands(changed)
    for place, item in enumerate(operands):
        if survives(changed):
            break
        if not isinstance(item, ast.Name | ast.Constant | ast.Attribute | ast.Compare | ast.BoolOp):
            operands[place] = part(item)
            changed = _with_operands(changed, operands)
    return changed


def _operands(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left, _, right):
            return [left, right]
        case ast.UnaryOp(_, operand):
            return [operand]
        case ast.Call(_, arguments):
            return list(arguments)
        case ast.Compare(left, _, comparators):
            return [left, *comparators]
        case ast.BoolOp(_, values):
            return list(values)
        case _:
            return []


def _with_operands(node: ast.expr, operands: list[ast.expr]) -> ast.expr:
    match node:
        case ast.BinOp(_, operator, _):
            return ast.BinOp(operands[0], operator, operands[1])
        case ast.UnaryOp(operator, _):
            return ast.UnaryOp(operator, operands[0])
        case ast.Call(function, _):
            return ast.Call(function, operands, [])
        case ast.Compare(_, operators, _):
            return ast.Compare(operands[0], operators, operands[1:])
        case ast.BoolOp(operator, _):
            return ast.BoolOp(operator, operands)
        case _:
            return node


# Reading and printing the texts of programs


def _parse(text: str) -> ast.expr:
    return ast.parse(text.replace("^", "**"), mode="eval").body


_SIGNS: Mapping[type[ast.AST], str] = {
    ast.Add: " + ",
    ast.Sub: " - ",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "^",
    ast.Lt: " < ",
    ast.LtE: " <= ",
    ast.Gt: " > ",
    ast.GtE: " >= ",
    ast.And: " and ",
    ast.Or: " or ",
}
_LEVELS: Mapping[type[ast.AST], int] = {
    ast.Add: 1,
    ast.Sub: 1,
    ast.Mult: 2,
    ast.Div: 2,
    ast.Pow: 4,
}


def _print(node: ast.expr, outer: int = 0) -> str:
    match node:
        case ast.BinOp(left, operator, right):
            level = _LEVELS[type(operator)]
            is_power = isinstance(operator, ast.Pow)
            text = (
                _print(left, level + is_power) + _SIGNS[type(operator)] + _print(right, level + 1)
            )
            return f"({text})" if outer > level else text
        case ast.UnaryOp(_, operand):
            return f"(-{_print(operand, 3)})"
        case ast.Call(ast.Name(name), arguments):
            return f"{name}({', '.join(_print(item) for item in arguments)})"
        case ast.Compare(left, [operator], [right]):
            return f"{_print(left)}{_SIGNS[type(operator)]}{_print(right)}"
        case ast.BoolOp(operator, values):
            return _SIGNS[type(operator)].join(f"({_print(item)})" for item in values)
        case ast.Attribute(ast.Name(owner), name):
            return f"{owner}.{name}"
        case ast.Name(name):
            return name
        case ast.Constant(value):
            return repr(value)
    raise TypeError(ast.dump(node))


# What ANNarchy makes of a text


@functools.cache
def _translated(text: str, shared: frozenset[str]) -> str | None:
    """Return a text as ANNarchy's parser prints it in C++, in the notation of programs."""
    import sympy
    from sympy.parsing.sympy_parser import convert_xor, parse_expr, standard_transformations

    places = {"t": "(double(t)*dt)", "dt": "dt"}
    symbols: dict[str, Any] = {}
    for name in _names(_parse(text)):
        owner, _, member = name.rpartition(".")
        place = f"_{owner}_{member}__" if owner else name
        places.setdefault(name, f"{place}%({'global' if name in shared else 'local'}_index)s")
        symbols[name.replace(".", "__")] = sympy.Symbol(places[name])
    functions = {"ite": sympy.Function("ite", nargs=3), "modulo": sympy.Function("modulo")}
    source = text.replace("pre.", "pre__").replace("post.", "post__")
    source = source.replace(" and ", " & ").replace(" or ", " | ")
    try:
        parsed = parse_expr(
            source,
            local_dict={**functions, **symbols},
            transformations=(*standard_transformations, convert_xor),
            evaluate=False,
        )
        code = str(
            sympy.ccode(parsed, strict=False, user_functions={name: name for name in functions})
        )
    except (AttributeError, NotImplementedError, SyntaxError, TypeError, ValueError):
        return None
    for name, place in places.items():
        code = code.replace(place, name)
    return code.replace("&&", "and").replace("||", "or")


def _names(node: ast.expr) -> Iterator[str]:
    for item in ast.walk(node):
        with contextlib.suppress(AttributeError):
            if isinstance(item, ast.Attribute):
                yield f"{item.value.id}.{item.attr}"  # type: ignore[attr-defined]
    attributes = {id(item.value) for item in ast.walk(node) if isinstance(item, ast.Attribute)}
    functions = {id(item.func) for item in ast.walk(node) if isinstance(item, ast.Call)}
    for item in ast.walk(node):
        if isinstance(item, ast.Name) and id(item) not in attributes | functions:
            yield item.id


_ALIASES = {"fabs": "abs", "fmin": "min", "fmax": "max", "ceil": "ceiling", "ln": "log"}


def _order(node: ast.expr) -> tuple[bool, Any]:
    """Return in which order an expression is evaluated, as its sign and the rest.

    What gives the same bits gives the same result: operands of one sum or product may change
    places, and a sign may move, but no three may be joined otherwise.
    """
    match node:
        case ast.UnaryOp(ast.USub(), operand):
            sign, core = _order(operand)
            return not sign, core
        case ast.BinOp(left, ast.Add() | ast.Sub() as operator, right):
            first, second = _order(left), _order(right)
            if isinstance(operator, ast.Sub):
                second = (not second[0], second[1])
            pair = sorted((first, second), key=lambda item: (repr(item[1]), item[0]))
            sign = pair[0][0]
            return sign, ("+", tuple((item[0] != sign, item[1]) for item in pair))
        case ast.BinOp(left, ast.Mult(), right):
            return _product(_order(left), _order(right))
        case ast.BinOp(left, ast.Div(), right):
            first, second = _order(left), _order(right)
            return first[0] != second[0], ("/", first[1], second[1])
        case ast.BinOp(base, ast.Pow(), exponent) | ast.Call(ast.Name("pow"), [base, exponent]):
            if isinstance(exponent, ast.Constant) and exponent.value == 2:
                return _product(_order(base), _order(base))
            return False, ("^", _order(base), _order(exponent))
        case ast.Call(ast.Name(name), arguments):
            return False, (_ALIASES.get(name, name), *(_order(item) for item in arguments))
        case ast.Compare(left, operators, [right]):
            return False, (type(operators[0]).__name__, _order(left), _order(right))
        case ast.BoolOp(operator, values):
            return False, (type(operator).__name__, frozenset(_order(item) for item in values))
        case ast.Constant(int() | float() as value):
            return value < 0, abs(float(value))
        case _:
            return False, ast.unparse(node)


def _product(first: tuple[bool, Any], second: tuple[bool, Any]) -> tuple[bool, Any]:
    factors = sorted((first[1], second[1]), key=repr)
    return first[0] != second[0], ("*", tuple(factors))
