"""Integration as a ComponentType prescribes it, state by state.

A network that was made for another simulator gives its spikes only with that one's method, which
may differ from equation to equation. The methods, and what they hold still, are those of ANNarchy:
derived variables that are frozen keep their value from the start of a turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from izhi_models.errors import UnsupportedError
from izhi_models.expr import (
    ONE,
    ZERO,
    Binary,
    Call,
    Expr,
    Name,
    children,
    fold,
    names,
    rebuild,
    rename,
)
from izhi_models.ir.dynamics import Assignment, Derived, Dynamics, Rate
from izhi_models.ir.integrators import (
    HALF,
    TIME_STEP,
    Advance,
    eliminate,
    forward,
    relaxation,
    weighted,
)
from izhi_models.ir.linearity import linear_slope
from izhi_models.units import NONE, TIME, Dimension

PRESCRIBED = ("explicit", "exponential", "midpoint", "rk4", "implicit", "semiimplicit")


def is_prescribed(dynamics: Dynamics) -> bool:
    """Tell whether a dynamics says how it is to be integrated."""
    return any(item.method for item in dynamics.rates)


def prescribed(dynamics: Dynamics) -> Advance:
    """Advance each state by its own method, turn by turn; by forward Euler if none is said.

    Raises
    ------
    UnsupportedError
        If a rate is to be integrated by the implicit method, and is not linear in the states that
        are.
    """
    return _Prescribed(dynamics).advance()


class _Prescribed:
    def __init__(self, dynamics: Dynamics) -> None:
        self.name = dynamics.name
        self.rates = [item for item in dynamics.rates if fold(item.value) != ZERO]
        self.derived = dynamics.derived
        self.moving = {item.name: item for item in dynamics.derived if not item.is_frozen}
        self.dimensions: Mapping[str, Dimension] = dynamics.dimensions()
        self.result = Advance()
        self.here: dict[str, str] = {}  # names of what has advanced, and what follows from it

    def advance(self) -> Advance:
        turns = sorted({item.turn for item in self.rates})
        for turn in turns:
            found = self._turn([item for item in self.rates if item.turn == turn])
            for item in found:
                if turn != turns[-1]:
                    name = self._define(
                        f"{item.state}@new", self.dimensions[item.state], item.value
                    )
                    self.here[item.state] = name
                    item = Assignment(item.state, Name(name))
                self.result.assignments.append(item)
            if turn != turns[-1]:
                self.here = self._following(self.here, f"turn{turn}", self.derived)
        return self.result

    def _turn(self, rates: Sequence[Rate]) -> list[Assignment]:
        found: list[Assignment] = []
        joint: dict[str, list[Rate]] = {}
        for item in rates:
            match item.method:
                case "exponential":
                    found.append(self._exponential(item))
                case "semiimplicit":
                    found += self._implicit([item])
                case "midpoint" | "rk4" | "implicit":
                    joint.setdefault(item.method, []).append(item)
                case _:
                    found.append(forward(item.state, self._now(item.value)))
        for method, group in joint.items():
            by = {"midpoint": self._midpoint, "rk4": self._rk4, "implicit": self._implicit}[method]
            found += by(group)
        return found

    # Names

    def _now(self, expr: Expr) -> Expr:
        return rename(expr, self.here)

    def _define(self, name: str, dimension: Dimension, value: Expr) -> str:
        self.result.definitions.append(Derived(name, dimension, value))
        return name

    def _following(
        self, here: Mapping[str, str], tag: str, derived: Iterable[Derived]
    ) -> dict[str, str]:
        """Define what follows from changed states; return all names that have changed."""
        found = dict(here)
        for item in derived:
            if names(item.value) & found.keys():
                value = rename(item.value, found)
                found[item.name] = self._define(f"{item.name}@{tag}", item.dimension, value)
        return found

    def _slope_name(self, state: str, tag: str, value: Expr) -> str:
        return self._define(f"{state}@slope{tag}", self.dimensions[state].over(TIME), value)

    # Methods

    def _exponential(self, item: Rate) -> Assignment:
        """Relax a state exactly in what is linear in it; functions of it are held."""
        slope = linear_slope(item.value, item.state, self.moving)
        if slope is None:
            slope = linear_slope(_without_calls(item.value, item.state), item.state, self.moving)
        rate = self._now(item.value)
        if slope is None or slope == ZERO:
            return forward(item.state, rate)
        exponent = Binary("*", self._now(slope), TIME_STEP)
        name = self._define(f"{item.state}@exponent", NONE, exponent)
        factor = self._define(f"{item.state}@relaxation", NONE, relaxation(Name(name)))
        return forward(item.state, Binary("*", rate, Name(factor)))

    def _midpoint(self, group: Sequence[Rate]) -> list[Assignment]:
        first = self._slopes(group, self.here, "1")
        second = self._slopes(group, self._reached(first, "2", HALF), "2")
        return [forward(state, Name(slope)) for state, slope in second.items()]

    def _rk4(self, group: Sequence[Rate]) -> list[Assignment]:
        first = self._slopes(group, self.here, "1")
        second = self._slopes(group, self._reached(first, "2", HALF), "2")
        third = self._slopes(group, self._reached(second, "3", HALF), "3")
        fourth = self._slopes(group, self._reached(third, "4", ONE), "4")
        stages = (first, second, third, fourth)
        return [
            forward(item.state, weighted(*(slopes[item.state] for slopes in stages)))
            for item in group
        ]

    def _slopes(self, group: Sequence[Rate], here: Mapping[str, str], tag: str) -> dict[str, str]:
        return {
            item.state: self._slope_name(item.state, tag, rename(item.value, here))
            for item in group
        }

    def _reached(self, slopes: Mapping[str, str], tag: str, part: Expr) -> dict[str, str]:
        """Return the names of what is so far along given slopes."""
        ahead = {}
        for state, slope in slopes.items():
            move = Binary("*", fold(Binary("*", part, TIME_STEP)), Name(slope))
            value = Binary("+", Name(state), move)
            ahead[state] = self._define(f"{state}@{tag}", self.dimensions[state], value)
        return self._following({**self.here, **ahead}, tag, self.moving.values())

    def _implicit(self, group: Sequence[Rate]) -> list[Assignment]:
        """Solve (1 - dt J) k = rate for the slopes k."""
        unit = tuple(item.state for item in group)
        left: dict[tuple[str, str], Expr] = {}
        for item in group:
            for column in unit:
                slope = linear_slope(item.value, column, self.moving, unit)
                if slope is None:
                    raise UnsupportedError(
                        f"the rate of '{item.state}' of '{self.name}' is not linear, as the "
                        f"{item.method} method needs it"
                    )
                own = ONE if column == item.state else ZERO
                value = fold(Binary("-", own, Binary("*", TIME_STEP, self._now(slope))))
                if slope != ZERO or own == ONE:
                    left[item.state, column] = self._entry((item.state, column), "a", value)
        right = {
            item.state: Name(self._slope_name(item.state, "", self._now(item.value)))
            for item in group
        }

        def value_of(row: str, what: str, expr: Expr) -> Expr:
            return Name(self._define(f"{row}@{what}", self.dimensions[row].over(TIME), expr))

        found = eliminate(unit, left, dict(right), self._entry, value_of)
        return [forward(state, slope) for state, slope in found.items()]

    def _entry(self, place: tuple[str, str], what: str, value: Expr) -> Expr:
        row, column = place
        dimension = self.dimensions[row].over(self.dimensions[column])
        return Name(self._define(f"{row}@{column}@{what}", dimension, fold(value)))


def _without_calls(expr: Expr, state: str) -> Expr:
    """Return an expression in which functions of a state are names of their own."""
    if isinstance(expr, Call) and state in names(expr):
        return Name("@held")
    below = children(expr)
    return rebuild(expr, tuple(_without_calls(item, state) for item in below)) if below else expr
