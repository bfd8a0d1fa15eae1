"""The solution of a model in continuous time: adaptive integration with located events.

Independent of every step: the equations of `oracle` as they are, integrated by SciPy to ten
digits from event to event, where an event is a zero of a comparison in a condition.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.equations import switching_times
from izhi_models.checks.oracle import Cell
from izhi_models.expr import (
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
    names,
)
from izhi_models.ir.dynamics import TIME_NAME
from izhi_models.ir.evaluate import initial_values
from izhi_models.units import simulation_power

Floats = NDArray[np.float64]
Values = list[float]

_RTOL = 1e-11
_ATOL = 1e-11  # of a ms, mV, pA, nS
_NUDGE_S = 1e-11  # past a zero, so that a comparison has changed
_MOST_RESTARTS = 20_000


@dataclass
class Solution:
    """What was integrated.

    Parameters
    ----------
    times_s : array (n,)
    states : dict of (str, int, str) to array (n,)
        By population, cell and state. [SI]
    spikes_s : dict of (str, int) to list of float
        By population and cell.
    changes_s : list of float
        When a condition or an event changed a state.
    breaks_s : list of float
        With which conditions compare the time.
    """

    times_s: Floats
    states: dict[tuple[str, int, str], Floats]
    spikes_s: dict[tuple[str, int], Values] = field(default_factory=dict)
    changes_s: Values = field(default_factory=list)
    breaks_s: Values = field(default_factory=list)


class System:
    """Cells and their connections as one system.

    Parameters
    ----------
    cells : sequence of Cell
        With all cells from which events come to them.
    delays_s : mapping of (str, int, str) to float
        By population, cell and port, as the file gives them.
    """

    def __init__(
        self, cells: Sequence[Cell], delays_s: Mapping[tuple[str, int, str], float]
    ) -> None:
        places: dict[tuple[str, int, str], str] = {}
        for cell in cells:
            for item in cell.dynamics.states:
                places[cell.population, cell.index, item.name] = f"x[{len(places)}]"
        start = _start(cells)
        self.parts: list[_Part] = []
        offset = 0
        for cell in cells:
            part = _Part(cell, offset, places, start[cell.population, cell.index])
            self.parts.append(part)
            offset += len(part.states)
        self.targets: dict[tuple[str, int], list[tuple[float, _Part, str]]] = {}
        for part in self.parts:
            cell = part.cell
            for source in cell.sources:
                delay = delays_s[cell.population, cell.index, source.port]
                sender = (source.population, source.cell)
                self.targets.setdefault(sender, []).append((delay, part, source.port))

    def solve(self, times_s: Floats) -> Solution:
        """Integrate.

        Parameters
        ----------
        times_s : array (n,)
            At which states are wanted, ascending, from 0.
        """
        return _Solver(self, times_s).solve()


def _start(cells: Sequence[Cell]) -> dict[tuple[str, int], dict[str, float]]:
    """Return the states of each cell at t = 0; where synapses read other cells, of these at 0."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for _ in range(2):
        found = {
            (cell.population, cell.index): {
                name: float(value[0])
                for name, value in initial_values(
                    cell.dynamics, {**cell.values, **_peer_values(cell, found)}, 1
                ).items()
            }
            for cell in cells
        }
    return found


def _peer_values(
    cell: Cell, known: Mapping[tuple[str, int], Mapping[str, float]]
) -> dict[str, float]:
    return {
        name: known.get((population, index), {}).get(read, 0.0)
        for name, (population, index, read) in cell.peers.items()
    }


class _Part:
    """The equations of one cell as Python functions of the time and all states."""

    def __init__(
        self,
        cell: Cell,
        offset: int,
        places: Mapping[tuple[str, int, str], str],
        start: Mapping[str, float],
    ) -> None:
        self.cell = cell
        self.offset = offset
        dynamics = cell.dynamics
        self.states = [item.name for item in dynamics.states]
        self.dimensions = dynamics.dimensions()
        self.initial = [start[name] for name in self.states]
        self.breaks = switching_times(dynamics, cell.values)
        self.place = {name: f"x[{offset + n}]" for n, name in enumerate(self.states)}
        self.place |= {item.name: repr(item.value) for item in dynamics.constants}
        self.place |= {name: repr(float(value)) for name, value in cell.values.items()}
        self.place |= {name: places[peer] for name, peer in cell.peers.items()}
        self.place[TIME_NAME] = "t"
        moving = {item.state for item in dynamics.rates} | {TIME_NAME, *cell.peers}
        moving |= self._following(moving)
        # What compares the time with numbers alone changes at a time that is known.
        own = {*self.states, *cell.peers, *(item.name for item in dynamics.derived)}
        tests = [item.test for item in dynamics.conditions]
        zeros = dict.fromkeys(
            Binary("-", item.left, item.right)
            for test in tests
            for item in _compares(test)
            if names(item) & moving and names(item) & own
        )
        rates = {item.state: item.value for item in dynamics.rates}
        self.rates = self._function([(offset + self.states.index(n), v) for n, v in rates.items()])
        self.zeros = [self._value(item) for item in zeros]
        self.blocks = [
            (
                self._value(item.test),
                [
                    (offset + self.states.index(a.state), self._value(a.value))
                    for a in item.assignments
                ],
                item.events,
            )
            for item in dynamics.conditions
        ]
        self.ports: dict[str, list[tuple[int, Callable[[float, Any], float]]]] = {}
        for item in dynamics.on_events:
            self.ports.setdefault(item.port, []).extend(
                (offset + self.states.index(a.state), self._value(a.value))
                for a in item.assignments
            )

    def _following(self, moving: set[str]) -> set[str]:
        found = set(moving)
        for item in self.cell.dynamics.derived:
            if names(item.value) & found:
                found.add(item.name)
        return found

    def _function(self, rates: list[tuple[int, Expr]]) -> Callable[[float, Any, Any], None]:
        lines = ["def function(t, x, y):", *self._derived([value for _, value in rates])]
        lines += [f"    y[{number}] = {_python(value, self.place)}" for number, value in rates]
        function: Callable[[float, Any, Any], None] = self._compiled([*lines, "    return None"])
        return function

    def _value(self, expr: Expr) -> Callable[[float, Any], float]:
        lines = ["def function(t, x):", *self._derived([expr])]
        lines.append(f"    return {_python(expr, self.place)}")
        function: Callable[[float, Any], float] = self._compiled(lines)
        return function

    def _derived(self, wanted: Sequence[Expr]) -> list[str]:
        needed = {name for expr in wanted for name in names(expr)}
        lines: list[str] = []
        for number, item in reversed(list(enumerate(self.cell.dynamics.derived))):
            self.place[item.name] = f"d{number}"
            if item.name in needed:
                needed |= names(item.value)
        for number, item in enumerate(self.cell.dynamics.derived):
            if item.name in needed:
                lines.append(f"    d{number} = {_python(item.value, self.place)}")
        return lines

    @staticmethod
    def _compiled(lines: list[str]) -> Any:
        scope: dict[str, Any] = dict(_SCOPE)
        # Only numbers, operators and generated names: see `_python`.
        exec(compile("\n".join(lines), "<equations>", "exec"), scope)
        return scope["function"]


def _safe(function: Callable[[float], float]) -> Callable[[float], float]:
    def guarded(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    return guarded


def _power(base: float, exponent: float) -> float:
    try:
        return float(math.pow(base, exponent))
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


_SCOPE: dict[str, Any] = {
    "inf": math.inf,
    "nan": math.nan,
    "power": _power,
    **{f"f_{name}": _safe(getattr(math, name)) for name in ("sin", "cos", "tan", "sinh", "cosh")},
    **{f"f_{name}": _safe(getattr(math, name)) for name in ("tanh", "exp", "sqrt", "ceil")},
    "f_ln": _safe(math.log),
    "f_log": _safe(math.log),
    "f_abs": abs,
    "f_factorial": _safe(lambda value: math.gamma(value + 1.0)),
    "f_H": lambda value: 0.5 if value == 0 else float(value > 0),
    "__builtins__": {},
}


def _python(expr: Expr, place: Mapping[str, str]) -> str:
    """Print an expression as Python, from numbers, operators and generated names."""
    match expr:
        case Number(value):
            return f"({float(value)!r})"
        case Name(name):
            return f"({place[name]})"
        case Negate(operand):
            return f"(-{_python(operand, place)})"
        case Call(function, argument):
            return f"f_{function}({_python(argument, place)})"
        case Binary("^", left, right):
            return f"power({_python(left, place)}, {_python(right, place)})"
        case Binary(op, left, right) | Compare(op, left, right):
            return f"({_python(left, place)} {op} {_python(right, place)})"
        case Logic(op, left, right):
            return f"({_python(left, place)} {op} {_python(right, place)})"
        case Select(condition, then, otherwise):
            parts = [_python(item, place) for item in (then, condition, otherwise)]
            return f"({parts[0]} if {parts[1]} else {parts[2]})"
        case _:
            raise TypeError(f"no expression: {expr!r}")


def _compares(expr: Expr) -> list[Compare]:
    if isinstance(expr, Compare):
        return [expr]
    return [item for child in children(expr) for item in _compares(child)]


class _Solver:
    def __init__(self, system: System, times_s: Floats) -> None:
        self.system = system
        self.times = times_s
        self.solution = Solution(times_s, {})
        self.due: list[tuple[float, int, _Part, str]] = []
        self.count = 0

    def solve(self) -> Solution:
        from scipy.integrate import solve_ivp  # slow to import

        system = self.system
        x = np.array([value for part in system.parts for value in part.initial])
        atol = np.array(
            [
                _ATOL * 10.0 ** simulation_power(part.dimensions[name])
                for part in system.parts
                for name in part.states
            ]
        )
        end = float(self.times[-1])
        breaks = sorted({item for part in system.parts for item in part.breaks if 0 < item < end})
        self.solution.breaks_s = list(breaks)
        events = [self._event(zero) for part in system.parts for zero in part.zeros]
        kept = np.empty((self.times.size, x.size))
        kept[0] = x
        row, t = 1, 0.0
        self._change(_NUDGE_S, x)
        for _ in range(_MOST_RESTARTS):
            stop = min([end, *breaks[:1], *(item[0] for item in self.due[:1])])
            if stop > t:
                last = int(np.searchsorted(self.times, stop, side="right"))
                found = solve_ivp(
                    self._rates,
                    (t, stop),
                    x,
                    method="LSODA",
                    dense_output=True,
                    events=events or None,
                    rtol=_RTOL,
                    atol=atol,
                )
                if found.status < 0:
                    raise ArithmeticError(found.message)
                reached = float(found.t[-1])
                last = int(np.searchsorted(self.times, reached, side="right"))
                if last > row:
                    kept[row:last] = found.sol(self.times[row:last]).T
                    row = last
                x, t = found.y[:, -1].copy(), reached
            if t >= end:
                break
            breaks = [item for item in breaks if item > t]
            rates = self._rates(t, x)
            x, t = x + _NUDGE_S * np.asarray(rates), t + _NUDGE_S
            while self.due and self.due[0][0] <= t:
                _, _, part, port = heapq.heappop(self.due)
                for number, value in part.ports[port]:
                    x[number] = value(t, x)
                self.solution.changes_s.append(t)
            self._change(t, x)
        else:
            raise ArithmeticError("conditions change too often")
        number = 0
        for part in system.parts:
            for name in part.states:
                key = (part.cell.population, part.cell.index, name)
                self.solution.states[key] = kept[:, number]
                number += 1
        return self.solution

    def _rates(self, t: float, x: Any) -> Values:
        y = [0.0] * len(x)
        values = x.tolist() if isinstance(x, np.ndarray) else x
        try:
            for part in self.system.parts:
                part.rates(t, values, y)
        except ZeroDivisionError:
            return [math.nan] * len(x)
        return y

    @staticmethod
    def _event(zero: Callable[[float, Any], float]) -> Callable[[float, Any], float]:
        def event(t: float, x: Any) -> float:
            return zero(t, x.tolist())

        event.terminal = True  # type: ignore[attr-defined]
        return event

    def _change(self, t: float, x: Floats) -> None:
        """Do the blocks whose conditions hold, until nothing changes any more."""
        for part in self.system.parts:
            for _ in range(8):
                before = x.copy()
                for test, assignments, events in part.blocks:
                    if test(t, x.tolist()):
                        was = x.copy()
                        for number, value in assignments:
                            x[number] = value(t, x.tolist())
                        if events and not (assignments and np.array_equal(was, x)):
                            self._send(part, events, t)
                if np.array_equal(before, x):
                    break
                self.solution.changes_s.append(t)

    def _send(self, part: _Part, events: Sequence[str], t: float) -> None:
        if all("/" in port for port in events):
            return
        sender = (part.cell.population, part.cell.index)
        self.solution.spikes_s.setdefault(sender, []).append(t)
        for delay, target, port in self.system.targets.get(sender, ()):
            self.count += 1
            heapq.heappush(self.due, (t + max(delay, _NUDGE_S), self.count, target, port))
