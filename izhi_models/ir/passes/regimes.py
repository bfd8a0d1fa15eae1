"""Regimes become a state: back ends know states and conditions only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from izhi_models.errors import Diagnostic, InputError
from izhi_models.expr import ONE, ZERO, Binary, Compare, Expr, Logic, Name, Number, Select
from izhi_models.ir.dynamics import (
    Assignment,
    Derived,
    Dynamics,
    OnCondition,
    OnEvent,
    Rate,
    Regime,
    Variable,
)
from izhi_models.units import NONE


def regimes_to_states(dynamics: Dynamics) -> Dynamics:
    """Replace regimes by a state that holds the number of the active one.

    A regime's rates act while it is active. Its conditions are tested if it was active when the
    step began: all of them, even after one has made a transition, and none of the regime that it
    leads to. A transition does the target's entry at once. Rates of top level and regime add up;
    all rates of a step are taken from the same state. Events that a regime sends in answer to an
    event wait in a state until the conditions of the same step.

    Source: LEMS, Regime, Transition, OnEntry; the first regime is the initial one if none says so.
    """
    if not dynamics.regimes:
        return dynamics
    taken = dynamics.dimensions().keys()
    state = _fresh("regime", taken)
    before = f"{state}@start"
    active = _Regimes(dynamics.regimes, state)
    initial = next((item for item in dynamics.regimes if item.initial), dynamics.regimes[0])
    on_events, relays = active.on_events()
    return replace(
        dynamics,
        states=(*dynamics.states, *(Variable(name, NONE) for name in (state, *relays))),
        derived=(*dynamics.derived, Derived(before, NONE, Name(state))),
        rates=active.rates(dynamics.rates),
        start=(*dynamics.start, *active.entry(initial.name)),
        conditions=(*dynamics.conditions, *relays.values(), *active.conditions(before)),
        on_events=(*dynamics.on_events, *on_events),
        regimes=(),
    )


class _Regimes:
    """Regimes numbered in order, and the name of the state that holds the number."""

    def __init__(self, regimes: tuple[Regime, ...], state: str) -> None:
        self.regimes = regimes
        self.state = state
        self.numbers = {item.name: Number(float(i)) for i, item in enumerate(regimes)}

    def _is_active(self, regime: Regime, name: str) -> Expr:
        return Compare("==", Name(name), self.numbers[regime.name])

    def entry(self, target: str) -> tuple[Assignment, ...]:
        """Return what is done on the way into a regime."""
        if target not in self.numbers:
            known = ", ".join(self.numbers)
            raise InputError(
                Diagnostic(f"a transition leads to '{target}', expected one of: {known}")
            )
        regime = next(item for item in self.regimes if item.name == target)
        return (*regime.on_entry, Assignment(self.state, self.numbers[target]))

    def rates(self, common: tuple[Rate, ...]) -> tuple[Rate, ...]:
        """Return the rates of all states, each with what the active regime adds."""
        said = {item.state: item for item in common}
        rates = {item.state: item.value for item in common}
        own = [{rate.state: rate.value for rate in item.rates} for item in self.regimes]
        for state in dict.fromkeys(name for table in own for name in table):
            values = [table.get(state, ZERO) for table in own]
            chosen = values[-1]
            for regime, value in list(zip(self.regimes, values, strict=True))[-2::-1]:
                if value != chosen:
                    chosen = Select(self._is_active(regime, self.state), value, chosen)
            rates[state] = Binary("+", rates[state], chosen) if state in rates else chosen
        return tuple(
            replace(said[state], value=value) if state in said else Rate(state, value)
            for state, value in rates.items()
        )

    def conditions(self, before: str) -> Iterator[OnCondition]:
        """Yield the conditions of all regimes, guarded."""
        for regime in self.regimes:
            for block in regime.conditions:
                entry = self.entry(block.transition) if block.transition else ()
                yield OnCondition(
                    Logic("and", self._is_active(regime, before), block.test),
                    (*block.assignments, *entry),
                    block.events,
                )

    def on_events(self) -> tuple[list[OnEvent], dict[str, OnCondition]]:
        """Return one block per port, and the states of relayed events with their conditions."""
        blocks = [(regime, block) for regime in self.regimes for block in regime.on_events]
        merged: list[OnEvent] = []
        relays: dict[str, OnCondition] = {}
        for port in dict.fromkeys(block.port for _, block in blocks):
            assignments: list[Assignment] = []
            following: Expr = Name(self.state)
            for regime, block in ((r, b) for r, b in blocks if b.port == port):
                guard = self._is_active(regime, self.state)
                actions = block.assignments
                if block.transition:
                    *entry, change = self.entry(block.transition)
                    actions = (*actions, *entry)
                    following = Select(guard, change.value, following)
                if block.events:
                    relay = f"{self.state}@relay{len(relays)}"
                    actions = (*actions, Assignment(relay, ONE))
                    relays[relay] = OnCondition(
                        Compare(">", Name(relay), ZERO), (Assignment(relay, ZERO),), block.events
                    )
                assignments += [
                    replace(item, value=Select(guard, item.value, Name(item.state)))
                    for item in actions
                ]
            # The regime changes last, so that every guard sees the old one.
            if following != Name(self.state):
                assignments.append(Assignment(self.state, following))
            merged.append(OnEvent(port, tuple(assignments)))
        return merged, relays


def _fresh(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    while name in known:
        name += "_"
    return name
