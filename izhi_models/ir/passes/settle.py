"""States that conditions set from the time become derived variables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from izhi_models.expr import (
    TRUE,
    ZERO,
    Compare,
    Expr,
    Name,
    Select,
    fold,
    is_random,
    names,
    substitute,
)
from izhi_models.ir.dynamics import (
    TIME_NAME,
    Assignment,
    Derived,
    Dynamics,
    OnCondition,
    Variable,
)
from izhi_models.ir.passes.coverage import is_certain
from izhi_models.ir.passes.regimes import regimes_to_states


def settle_assigned_states(dynamics: Dynamics) -> Dynamics:
    """Make what conditions assign in each step readable in the same step.

    pulseGenerator and its like keep their current in a state, which conditions on the time set.
    The state has no rate; what it is in a step follows from the conditions of that step. As a
    state it would act on the component's parent one step later, a lag that the specification
    does not have: parts advance before the whole. So it becomes a derived variable, with the
    conditions as choices, of which the last that holds wins.

    Concerned are states without a rate that only conditions assign, without events, from the
    time, parameters, constants, requirements and states of the same kind. Where no condition
    may hold, the previous value is needed and kept in a state ``x@before``. Conditions are first
    tested at the end of the first step: at t = 0 the variable is what OnStart gives, or 0.

    For components that sit on another, never for a cell, whose own variables show the state
    after the conditions.

    Parameters
    ----------
    dynamics : Dynamics
        With its own parts.
    """
    dynamics = regimes_to_states(dynamics)
    settling = _settling(dynamics)
    if not settling:
        return dynamics
    blocks = [block for block in dynamics.conditions if _assigned(block) & settling]
    values = _follow(blocks, settling)
    starts = {item.state: item.value for item in dynamics.start if item.state in settling}
    remembered = _remembered(dynamics, values, starts)
    derived = []
    for name, value in values.items():
        start = Name(_before(name)) if name in remembered else starts.get(name, ZERO)
        dimension = next(item.dimension for item in dynamics.states if item.name == name)
        at_work = Select(Compare(">", Name(TIME_NAME), ZERO), value, start)
        derived.append(Derived(name, dimension, at_work))
    memory = tuple(Assignment(_before(name), Name(name)) for name in values if name in remembered)
    return replace(
        dynamics,
        states=tuple(_renamed_states(dynamics.states, settling, remembered)),
        derived=(*dynamics.derived, *derived),
        start=tuple(_renamed_starts(dynamics.start, settling, remembered)),
        conditions=(
            *(OnCondition(TRUE, memory) for _ in memory[:1]),
            *(block for block in dynamics.conditions if block not in blocks),
        ),
    )


def _before(name: str) -> str:
    return f"{name}@before"


def _assigned(block: OnCondition) -> set[str]:
    return {item.state for item in block.assignments}


def _settling(dynamics: Dynamics) -> set[str]:
    """Return the states that the pass concerns."""
    moving = {item.state for item in dynamics.rates}
    by_events = {item.state for block in dynamics.on_events for item in block.assignments}
    by_tests = {name for block in dynamics.conditions for name in _assigned(block)}
    if TIME_NAME in {item.name for item in dynamics.derived}:
        return set()
    settling = by_tests - moving - by_events
    fixed = (dynamics.parameters, dynamics.constants, dynamics.requirements)
    allowed = {item.name for group in fixed for item in group} | {TIME_NAME}
    allowed |= {item.name for item in dynamics.states} - moving - by_events - by_tests
    reads = _Reads(dynamics)
    while True:
        excluded = set(_excluded(dynamics.conditions, settling, allowed, reads))
        if not excluded:
            return settling
        settling -= excluded


class _Reads:
    """What expressions read, through derived variables."""

    def __init__(self, dynamics: Dynamics) -> None:
        self.derived = {item.name: item.value for item in dynamics.derived}

    def directly(self, block: OnCondition) -> set[str]:
        """Return the names in a block."""
        return set(names(block.test)).union(*(names(item.value) for item in block.assignments))

    def through(self, found: Iterable[str]) -> set[str]:
        """Return the names, other than derived variables, on which the derived ones depend."""
        seen: set[str] = set()
        pending = [name for name in found if name in self.derived]
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += [n for n in names(self.derived[name]) if n in self.derived]
        return {n for name in seen for n in names(self.derived[name])} - self.derived.keys()


def _excluded(
    conditions: tuple[OnCondition, ...], settling: set[str], allowed: set[str], reads: _Reads
) -> Iterable[str]:
    """Yield the states that cannot be settled, given those that still may."""
    for number, block in enumerate(conditions):
        assigned = _assigned(block)
        direct = reads.directly(block)
        indirect = reads.through(direct)
        if not assigned or not assigned <= settling:
            # A block that stays must not read what a later block is about to set.
            later = {name for item in conditions[number + 1 :] for name in _assigned(item)}
            yield from (direct | indirect) & settling & later
        own = direct - reads.derived.keys()
        is_settled = (
            assigned <= settling
            and not block.events
            and not block.transition
            and not any(is_random(item.value) for item in block.assignments)
            and own <= allowed | settling
            and indirect <= allowed
        )
        if not is_settled:
            yield from assigned & settling


@dataclass(frozen=True)
class _Choice:
    """A value under a condition."""

    test: Expr
    value: Expr


def _follow(blocks: list[OnCondition], settling: set[str]) -> dict[str, Expr]:
    """Go through the conditions with names for the values before; return the values after."""
    now: dict[str, Expr] = {name: Name(_before(name)) for name in sorted(settling)}
    choices: dict[str, list[_Choice]] = {name: [] for name in now}
    for block in blocks:
        test = substitute(block.test, now)
        inside = dict(now)
        for item in block.assignments:
            inside[item.state] = substitute(item.value, inside)
        for name in sorted(_assigned(block)):
            choices[name].append(_Choice(test, inside[name]))
            now[name] = _settled(choices[name], name)
    return now


def _settled(choices: list[_Choice], name: str) -> Expr:
    """Return the value after all conditions; the last that holds wins."""
    value: Expr = Name(_before(name))
    if is_certain([item.test for item in choices]):
        # If no later condition holds, the first one does.
        value, choices = choices[0].value, choices[1:]
    for item in choices:
        value = Select(item.test, item.value, value)
    return fold(value)


def _remembered(dynamics: Dynamics, values: dict[str, Expr], starts: dict[str, Expr]) -> set[str]:
    """Return the states whose previous or initial value must be kept in a state."""
    read = {name for value in values.values() for name in names(value)}
    fixed = (dynamics.parameters, dynamics.constants, dynamics.requirements)
    simple = {item.name for group in fixed for item in group}
    return {
        name
        for name in values
        if _before(name) in read
        or is_random(starts.get(name, ZERO))
        or not names(starts.get(name, ZERO)) <= simple
    }


def _renamed_states(
    states: tuple[Variable, ...], settling: set[str], remembered: set[str]
) -> Iterable[Variable]:
    for item in states:
        if item.name in remembered:
            yield replace(item, name=_before(item.name))
        elif item.name not in settling:
            yield item


def _renamed_starts(
    start: tuple[Assignment, ...], settling: set[str], remembered: set[str]
) -> Iterable[Assignment]:
    for item in start:
        if item.state in remembered:
            yield replace(item, state=_before(item.state))
        elif item.state not in settling:
            yield item
