"""Which states of a dynamics relax: whose rates are linear in themselves, alone or together.

All of it is proved on derivatives, through derived variables, and never read off a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from izhi_models.expr import ONE, ZERO, Binary, Call, Expr, fold, names, walk
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import Derived, Dynamics


def moving_rates(dynamics: Dynamics) -> dict[str, Expr]:
    """Return the rates of the states that move."""
    return {item.state: item.value for item in dynamics.rates if fold(item.value) != ZERO}


def following(changed: Iterable[str], derived: Mapping[str, Derived]) -> list[str]:
    """Return the derived variables, in order of dependency, that follow some names."""
    found = set(changed)
    follow = []
    for name, item in derived.items():
        if names(item.value) & found:
            found.add(name)
            follow.append(name)
    return follow


def linear_slope(
    expr: Expr, state: str, derived: Mapping[str, Derived], others: Iterable[str] = ()
) -> Expr | None:
    """Return the derivative of an expression by a state, through derived variables.

    Parameters
    ----------
    expr : Expr
    state : str
    derived : mapping of str to Derived
        In order of dependency.
    others : iterable of str
        States on which the derivative must not depend either.

    Returns
    -------
    Expr or None
        None if it is not proved that the derivative depends on none of these states.
    """
    slopes: dict[str, Expr | None] = {**dict.fromkeys(others, ZERO), state: ONE}
    for name in following(slopes, derived):
        slopes[name] = _total_derivative(derived[name].value, slopes)
    return _total_derivative(expr, slopes)


def _total_derivative(expr: Expr, slopes: Mapping[str, Expr | None]) -> Expr | None:
    """Return the derivative of what is linear in names with known derivatives, else None."""
    total: Expr = ZERO
    for name in sorted(names(expr) & slopes.keys()):
        inner = slopes[name]
        try:
            outer = differentiate(expr, name)
        except NotDifferentiableError:
            return None
        if inner is None or names(outer) & slopes.keys():
            return None
        if ZERO not in (inner, outer):
            total = fold(Binary("+", total, Binary("*", outer, inner)))
    return total


@dataclass(frozen=True)
class Coupling:
    """How the moving states of a dynamics read each other.

    Parameters
    ----------
    dynamics : Dynamics
        Flat and ordered.
    """

    dynamics: Dynamics

    @cached_property
    def rates(self) -> dict[str, Expr]:
        """The rates of the states that move."""
        return moving_rates(self.dynamics)

    @cached_property
    def derived(self) -> dict[str, Derived]:
        """The derived variables by name, in order of dependency."""
        return {item.name: item for item in self.dynamics.derived}

    @cached_property
    def reads(self) -> dict[str, frozenset[str]]:
        """The moving states, itself included, that the rate of each reads."""
        return {state: self._states_in(rate) for state, rate in self.rates.items()}

    @cached_property
    def slopes(self) -> dict[str, Expr]:
        """The derivatives of rates by their own states, where they are linear and not constant."""
        found = {
            state: linear_slope(rate, state, self.derived) for state, rate in self.rates.items()
        }
        return {state: slope for state, slope in found.items() if slope not in (None, ZERO)}

    @cached_property
    def has_gates(self) -> bool:
        """Whether a state relaxes at a rate set by another state on which it acts back.

        So it is with the gates of a channel, which set v and relax as v says; and not with an
        integrate-and-fire cell and its synapses, whose conductances do not follow v.
        """
        return any(
            state in self._reached(other)
            for state, slope in self.slopes.items()
            for other in self._states_in(slope) - {state}
        )

    @cached_property
    def units(self) -> list[tuple[str, ...]]:
        """The moving states, those together that are linear in each other, in order.

        The occupancies of a kinetic scheme are: what one loses, another gains, which advancing
        each alone would not keep.
        """
        units: list[tuple[str, ...]] = []
        for state in self.rates:
            joined = [unit for unit in units if any(self._is_linked(state, item) for item in unit)]
            units = [unit for unit in units if unit not in joined]
            units.append((*(item for unit in joined for item in unit), state))
        return units

    def _is_linked(self, one: str, two: str) -> bool:
        if two not in self.reads[one] or one not in self.reads[two]:
            return False
        pair = (one, two)
        return all(
            linear_slope(self.rates[state], other, self.derived, pair) is not None
            for state in pair
            for other in pair
        )

    def matrix(self, unit: tuple[str, ...]) -> dict[tuple[str, str], Expr] | None:
        """Return the derivatives of rates by states that are not 0; None if not all linear."""
        entries: dict[tuple[str, str], Expr] = {}
        for row in unit:
            for column in unit:
                slope = linear_slope(self.rates[row], column, self.derived, unit)
                if slope is None:
                    return None
                if slope != ZERO:
                    entries[row, column] = slope
        return entries

    @cached_property
    def apart(self) -> list[tuple[str, ...]]:
        """Units that relax and do not read each other, as many as are easily found.

        If all others are known in the middle of a step, these can be advanced over the whole of
        it at once. Those with few neighbours and costly rates come first.
        """
        place = {unit: number for number, unit in enumerate(self.units)}
        chosen: list[tuple[str, ...]] = []
        for unit in sorted(
            (unit for unit in self.units if self._relaxes(unit)),
            key=lambda unit: (len(self._neighbours(unit)), -self._cost(unit), place[unit]),
        ):
            if not any(state in self._neighbours(unit) for other in chosen for state in other):
                chosen.append(unit)
        return sorted(chosen, key=place.__getitem__)

    def _relaxes(self, unit: tuple[str, ...]) -> bool:
        return unit[0] in self.slopes if len(unit) == 1 else self.matrix(unit) is not None

    def _neighbours(self, unit: tuple[str, ...]) -> frozenset[str]:
        read = frozenset[str]().union(*(self.reads[state] for state in unit))
        reading = {state for state, found in self.reads.items() if found & set(unit)}
        return (read | reading) - set(unit)

    def _cost(self, unit: tuple[str, ...]) -> int:
        """Return the number of function calls in the rates of a unit."""
        pending = {name for state in unit for name in names(self.rates[state])}
        seen: set[str] = set()
        texts = [self.rates[state] for state in unit]
        while pending:
            name = pending.pop()
            if name in self.derived and name not in seen:
                seen.add(name)
                texts.append(self.derived[name].value)
                pending |= names(self.derived[name].value)
        return sum(isinstance(node, Call) for text in texts for node in walk(text))

    def _states_in(self, expr: Expr) -> frozenset[str]:
        found: set[str] = set()
        pending, seen = set(names(expr)), set[str]()
        while pending:
            name = pending.pop()
            seen.add(name)
            if name in self.rates:
                found.add(name)
            elif name in self.derived:
                pending |= names(self.derived[name].value) - seen
        return frozenset(found)

    def _reached(self, state: str) -> set[str]:
        """Return the states that a state reads, directly or through others."""
        reached: set[str] = set()
        pending = {state}
        while pending:
            new = self.reads[pending.pop()] - reached
            reached |= new
            pending |= new
        return reached
