"""A slow, obvious interpreter of `Dynamics`, with NumPy: the oracle for back ends.

It executes `Step` as that module defines it and adds nothing but the start. All cells of a
population are computed together; every value is an array of one number per cell. What is not
defined, such as the root of a negative number, is not a number, as in compiled code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.errors import Diagnostic, InputError, suggest
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
)
from izhi_models.ir.compose import compose
from izhi_models.ir.dynamics import STEP_NAME, TIME_NAME, Assignment, Dynamics
from izhi_models.ir.passes import order_derived, regimes_to_states
from izhi_models.ir.step import make_step

Array = NDArray[np.float64]
Truth = NDArray[np.bool_]
Events = dict[str, list[tuple[int, int]]]


def _factorial(values: Array) -> Array:
    from scipy.special import gamma  # slow to import, and rarely needed

    return cast(Array, gamma(values + 1.0))


_FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ceil": np.ceil,
    "ln": np.log,
    "log": np.log,
    "abs": np.abs,
    "factorial": _factorial,
    "H": lambda x: np.heaviside(x, 0.5),
}
_ARITHMETIC: Mapping[str, Callable[[Array, Array], Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
}
_COMPARISONS: Mapping[str, Callable[[Array, Array], Truth]] = {
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class _Evaluation:
    """Evaluates expressions for n cells.

    Parameters
    ----------
    n : int
    random : numpy.random.Generator
    """

    def __init__(self, n: int, random: np.random.Generator) -> None:
        self.n = n
        self.random = random

    def number(self, expr: Expr, scope: Mapping[str, Array]) -> Array:
        """Return the value of a number for each cell."""
        match expr:
            case Number(value):
                return np.full(self.n, value)
            case Name(name):
                return scope[name]
            case Negate(inner):
                return -self.number(inner, scope)
            case Binary(op, left, right):
                return _ARITHMETIC[op](self.number(left, scope), self.number(right, scope))
            case Call(function, argument):
                operand = self.number(argument, scope)
                if function == RANDOM:
                    return operand * self.random.random(self.n)
                return _FUNCTIONS[function](operand)
            case Select(condition, then, otherwise):
                chosen = self.truth(condition, scope)
                return np.where(chosen, self.number(then, scope), self.number(otherwise, scope))
            case _:
                raise TypeError("a condition is no number")

    def truth(self, expr: Expr, scope: Mapping[str, Array]) -> Truth:
        """Return whether a condition holds in each cell."""
        match expr:
            case Compare(op, left, right):
                return _COMPARISONS[op](self.number(left, scope), self.number(right, scope))
            case Logic("and", left, right):
                return self.truth(left, scope) & self.truth(right, scope)
            case Logic(_, left, right):
                return self.truth(left, scope) | self.truth(right, scope)
            case _:
                raise TypeError("a number is no condition")

    def assign(
        self,
        assignments: Iterable[Assignment],
        scope: MutableMapping[str, Array],
        chosen: Truth,
    ) -> None:
        """Do assignments in order, each seeing those before, in the chosen cells."""
        for item in assignments:
            value = self.number(item.value, scope)
            scope[item.state] = np.where(chosen, value, scope[item.state])


def _quiet() -> np.errstate:
    return np.errstate(all="ignore")


def evaluate_scalar(expr: Expr, scope: Mapping[str, float]) -> float:
    """Return the value of an expression without random numbers.

    Parameters
    ----------
    expr : Expr
    scope : mapping of str to float
        Values of all names in it.
    """
    arrays = {name: np.array([value], dtype=float) for name, value in scope.items()}
    with _quiet():
        return float(_Evaluation(1, np.random.default_rng(0)).number(expr, arrays)[0])


def evaluate_array(
    expr: Expr, scope: Mapping[str, Array], n: int, random: np.random.Generator
) -> Array:
    """Return the values of an expression.

    Parameters
    ----------
    expr : Expr
        A number.
    scope : mapping of str to float array (n,)
        Values of all names in it.
    n : int
    random : numpy.random.Generator
        Each ``random`` in it draws n numbers.

    Returns
    -------
    float array (n,)
    """
    with _quiet():
        return _Evaluation(n, random).number(expr, scope)


def evaluate_truth(
    expr: Expr, scope: Mapping[str, Array], n: int, random: np.random.Generator
) -> Truth:
    """Return where a condition holds; see `evaluate_array`."""
    with _quiet():
        return _Evaluation(n, random).truth(expr, scope)


def initial_values(
    dynamics: Dynamics, values: Mapping[str, ArrayLike], n: int, seed: int = 0
) -> dict[str, Array]:
    """Return states and derived variables at t = 0.

    OnStart of a part may read derived variables and its parent's states, and the other way
    round, so starts are repeated, with the same random numbers, until nothing changes. A state
    that has no start is 0. Nothing is said of a start that needs its own result; one that adds
    to itself adds once.

    Parameters
    ----------
    dynamics : Dynamics
        Composed; in SI, or rescaled.
    values : mapping of str to float or array (n,)
        Parameters and requirements, in the same units.
    n : int
        Number of cells.
    seed : int

    Returns
    -------
    dict of str to array (n,)
    """
    dynamics = _completed(dynamics)
    scope = _given(dynamics, values, n)
    scope |= {item.name: np.zeros(n) for item in dynamics.states}
    with _quiet():
        _derive(dynamics, _Evaluation(n, np.random.default_rng(seed)), scope)
        for _ in range(len(dynamics.start) + 2):
            before = {item.name: scope[item.name] for item in dynamics.states}
            _sweep(dynamics, _Evaluation(n, np.random.default_rng(seed)), scope)
            if all(np.array_equal(scope[name], before[name], equal_nan=True) for name in before):
                break
    found = [item.name for item in dynamics.states] + [item.name for item in dynamics.derived]
    return {name: scope[name] for name in found}


def _completed(dynamics: Dynamics) -> Dynamics:
    """Return the dynamics in order, without regimes; to open lists nothing is attached."""
    return order_derived(compose(regimes_to_states(dynamics), ()))


def _sweep(dynamics: Dynamics, evaluation: _Evaluation, scope: dict[str, Array]) -> None:
    """Do all starts once, then compute the derived variables."""
    done: set[str] = set()
    everywhere = np.ones(evaluation.n, dtype=bool)
    for assignment in dynamics.start:
        if assignment.state not in done:
            scope[assignment.state] = np.zeros(evaluation.n)
            done.add(assignment.state)
        evaluation.assign((assignment,), scope, everywhere)
    _derive(dynamics, evaluation, scope)


def _derive(dynamics: Dynamics, evaluation: _Evaluation, scope: dict[str, Array]) -> None:
    for item in dynamics.derived:
        scope[item.name] = evaluation.number(item.value, scope)


def _given(dynamics: Dynamics, values: Mapping[str, ArrayLike], n: int) -> dict[str, Array]:
    """Return parameters, requirements, constants and the time 0."""
    scope = {TIME_NAME: np.zeros(n)}
    for item in (*dynamics.parameters, *dynamics.requirements):
        if item.name not in values:
            raise InputError(
                Diagnostic(
                    f"no value for the parameter '{item.name}'", notes=suggest(item.name, values)
                )
            )
        scope[item.name] = np.broadcast_to(np.asarray(values[item.name], dtype=float), n).copy()
    scope |= {item.name: np.full(n, item.value) for item in dynamics.constants}
    return scope


@dataclass
class Run:
    """What an interpreter recorded.

    Parameters
    ----------
    traces : dict of str to array (n_steps + 1, n)
        Row 0 is t = 0.
    events : dict of str to list of (int, int)
        By out port: step and cell. Step k ends at k * dt.
    """

    traces: dict[str, Array] = field(default_factory=dict)
    events: Events = field(default_factory=dict)


class Interpreter:
    """Executes a dynamics step by step.

    Parameters
    ----------
    dynamics : Dynamics
        Composed; in SI, or rescaled.
    values : mapping of str to float or array (n,)
        Parameters and requirements, in the same units.
    n : int
        Number of cells.
    dt : float
        The step, in the same units.
    seed : int
    method : str
        One of `izhi_models.ir.step.METHODS`.
    """

    def __init__(
        self,
        dynamics: Dynamics,
        values: Mapping[str, ArrayLike],
        n: int,
        dt: float,
        seed: int = 0,
        method: str = "euler",
    ) -> None:
        self.dynamics = _completed(dynamics)
        self.step = make_step(self.dynamics, method)
        self.n = n
        self.dt = dt
        self.n_done = 0
        self._evaluation = _Evaluation(n, np.random.default_rng([seed, 1]))
        self._scope = _given(self.dynamics, values, n)
        self._scope[STEP_NAME] = np.full(n, dt)
        self.start = initial_values(self.dynamics, values, n, seed)
        self._scope |= self.start

    def value(self, name: str) -> Array:
        """Return the value of an exposure, variable or parameter in each cell now."""
        found = self.dynamics.exposed(name) or name
        if found not in self._scope:
            raise InputError(
                Diagnostic(f"'{name}' is not defined", notes=suggest(name, self._scope))
            )
        return self._scope[found]

    def set(self, name: str, values: ArrayLike) -> None:
        """Give a state, parameter or requirement other values from now on.

        Parameters
        ----------
        name : str
        values : float or array (n,)
        """
        self._scope[name] = np.broadcast_to(np.asarray(values, dtype=float), self.n).copy()

    def receive(self, arrivals: Mapping[str, Sequence[int]]) -> None:
        """Let events arrive now, and compute what the next step starts from.

        What they make a component send at once is lost.

        Parameters
        ----------
        arrivals : mapping of str to sequence of int
            By in port: cells at which an event arrives, once per event.
        """
        scope = self._scope
        scope[TIME_NAME] = np.full(self.n, (self.n_done + 1) * self.dt)
        with _quiet():
            for port, cells in arrivals.items():
                self._receive(port, cells, {})
            self._define()

    def _define(self) -> None:
        for item in self.step.definitions:
            self._scope[item.name] = self._evaluation.number(item.value, self._scope)

    def advance(self, arrivals: Mapping[str, Sequence[int]] | None = None) -> dict[str, list[int]]:
        """Do one step.

        Parameters
        ----------
        arrivals : mapping of str to sequence of int, optional
            By in port: cells at which an event arrives in this step, once per event.

        Returns
        -------
        dict of str to list of int
            By out port: cells that sent an event.
        """
        self.n_done += 1
        scope, evaluation = self._scope, self._evaluation
        scope[TIME_NAME] = np.full(self.n, self.n_done * self.dt)
        sent: dict[str, list[int]] = {}
        with _quiet():
            for port, cells in (arrivals or {}).items():
                self._receive(port, cells, sent)
            self._define()
            new = [(a.state, evaluation.number(a.value, scope)) for a in self.step.advances]
            scope.update(new)
            for block in self.step.blocks:
                chosen = evaluation.truth(block.test, scope)
                evaluation.assign(block.assignments, scope, chosen)
                _send(block.events, chosen, sent)
        return sent

    def _receive(self, port: str, cells: Sequence[int], sent: dict[str, list[int]]) -> None:
        counts = np.bincount(np.asarray(cells, dtype=np.int64), minlength=self.n)
        while counts.any():
            self._define()
            chosen = counts > 0
            for item in self.step.on_events:
                if item.port == port:
                    self._evaluation.assign(item.assignments, self._scope, chosen)
                    _send(item.events, chosen, sent)
            counts = np.maximum(counts - 1, 0)

    def run(
        self,
        n_steps: int,
        record: Iterable[str] = (),
        arrivals: Mapping[str, Iterable[tuple[int, int]]] | None = None,
    ) -> Run:
        """Do steps and record.

        Parameters
        ----------
        n_steps : int
        record : iterable of str
            Exposures or variables. A derived variable is recorded as the step computed it: from
            the states before, at the time after.
        arrivals : mapping of str to iterable of (int, int), optional
            By in port: step and cell of each event.
        """
        traces = {name: np.empty((n_steps + 1, self.n)) for name in record}
        result = Run(traces, {port: [] for port in self.dynamics.out_ports})
        due = _by_step(arrivals or {})
        for name, trace in traces.items():
            trace[0] = self.value(name)
        for row in range(1, n_steps + 1):
            sent = self.advance(due.get(self.n_done + 1))
            for port, cells in sent.items():
                result.events.setdefault(port, []).extend((self.n_done, cell) for cell in cells)
            for name, trace in traces.items():
                trace[row] = self.value(name)
        return result


def _send(ports: Iterable[str], chosen: Truth, sent: dict[str, list[int]]) -> None:
    cells = np.flatnonzero(chosen).tolist()
    for port in ports:
        if cells:
            sent.setdefault(port, []).extend(cells)


def _by_step(
    arrivals: Mapping[str, Iterable[tuple[int, int]]],
) -> dict[int, dict[str, list[int]]]:
    due: dict[int, dict[str, list[int]]] = {}
    for port, events in arrivals.items():
        for step, cell in events:
            due.setdefault(step, {}).setdefault(port, []).append(cell)
    return due
