"""When a cell sends a spike, and what becomes of it then, as far as integrate-and-fire cells go.

That is: a state exceeds a threshold and is set to a value; others are raised; for some time after
that the state stands still. Each of these is told by computing it at several states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from izhi_models.annarchy.gaussian import without_normal
from izhi_models.exporters.nest.equations import Equations, Floats
from izhi_models.expr import ZERO, Compare, Expr, Name, Number, names
from izhi_models.ir.dynamics import TIME_NAME, Assignment, OnCondition

_PRECISION = 1e-9


class NoModelError(Exception):
    """NEST has no model for a component; says why."""


@dataclass(frozen=True)
class Firing:
    """What a cell does at a spike.

    Parameters
    ----------
    membrane : str
        The state that is compared with the threshold.
    threshold, reset : array (n,)
        Of that state. [SI]
    jumps : dict of str to array (n,)
        By how much other states are raised. [SI]
    refractory_s : array (n,) or None
        For how long the membrane stands still; None if it does not. [s]
    integrating : Equations
        While it does not stand still.
    noise : dict of str to (array (n,), float)
        States that are drawn anew, from a normal distribution around 0, after each period:
        standard deviation and period. [SI]
    """

    membrane: str
    threshold: Floats
    reset: Floats
    jumps: dict[str, Floats]
    refractory_s: Floats | None
    integrating: Equations
    noise: dict[str, tuple[Floats, float]]


def find_firing(whole: Equations, start: Mapping[str, Floats]) -> Firing:
    """Return what a cell that sends spikes does at a spike.

    Parameters
    ----------
    whole : Equations
    start : mapping of str to array (n,)
        Initial values of the states. [SI]

    Raises
    ------
    NoModelError
        If it is no integrate-and-fire cell.
    """
    noise, whole = _without_noise(whole)
    modes = _modes(whole)
    if len(modes) > 1:
        raise NoModelError(f"it has several modes ({', '.join(sorted(modes))})")
    mode = next(iter(modes), None)
    integrating = whole
    if mode is not None:
        first = np.unique(start[mode])
        if first.size > 1:
            raise NoModelError(f"cells start with different values of '{mode}'")
        integrating = whole.given(mode, float(first[0]))
    sending = [item for item in integrating.conditions if _sends(item)]
    others = [item for item in integrating.conditions if item not in sending]
    if others or len(sending) != 1:
        changed = sorted({f"'{a.state}'" for block in others for a in block.assignments})
        more = (
            f"conditions set {', '.join(changed)}" if changed else "several conditions send spikes"
        )
        raise NoModelError(f"its spikes follow other rules than a threshold and a reset: {more}")
    block = sending[0]
    membrane, threshold = _threshold(integrating, block.test)
    jumps = _effects(integrating, block, membrane, mode)
    reset = jumps.pop(membrane)
    refractory = None
    if mode is not None:
        after = next(item.value for item in block.assignments if item.state == mode)
        if not isinstance(after, Number):
            raise NoModelError(f"'{mode}' is set to what is no number")
        held = whole.given(mode, after.value)
        refractory = _refractory(held, integrating, membrane, _times(block.assignments), mode)
    used = set(integrating.rates) | {membrane, *jumps}
    states = tuple(name for name in integrating.states if name in used and name not in noise)
    return Firing(
        membrane,
        threshold,
        reset,
        jumps,
        refractory,
        replace(integrating, states=states),
        noise,
    )


def _sends(block: OnCondition) -> bool:
    return any("/" not in port for port in block.events)


def _modes(whole: Equations) -> set[str]:
    """Return the states that take fixed numbers only, at conditions."""
    given: dict[str, list[Expr]] = {}
    for block in whole.conditions:
        for item in block.assignments:
            given.setdefault(item.state, []).append(item.value)
    read = {name for expr in whole.expressions() for name in names(expr)}
    return {
        state
        for state, values in given.items()
        if state not in whole.rates
        and state in read
        and all(isinstance(value, Number) for value in values)
    }


def _threshold(equations: Equations, test: Expr) -> tuple[str, Floats]:
    """Return the state that a test compares with a value, and the value."""
    if not isinstance(test, Compare) or test.op in ("==", "!="):
        raise NoModelError("more than one threshold decides about its spikes")
    high, low = (test.left, test.right) if test.op in (">", ">=") else (test.right, test.left)
    read = names(test) - equations.scope.keys()
    if len(read) != 1 or not read <= set(equations.states):
        raise NoModelError(f"its spikes depend on {', '.join(sorted(read)) or 'nothing'}")
    (state,) = read

    def excess(value: float) -> Floats:
        return equations.at(high, {state: value}) - equations.at(low, {state: value})

    first, last = excess(0.0), excess(1.0)
    slope = last - first
    if not (np.all(slope > 0) and np.allclose(excess(-2.0), first - 2.0 * slope, rtol=_PRECISION)):
        raise NoModelError(f"its spikes are not sent where '{state}' exceeds a value")
    return state, -first / slope


def _effects(
    equations: Equations, block: OnCondition, membrane: str, mode: str | None
) -> dict[str, Floats]:
    """Return the value of the membrane after a spike, and how much others are raised."""
    found: dict[str, Floats] = {}
    for item in block.assignments:
        state = item.state
        if state == mode or state in _times(block.assignments):
            continue
        read = names(item.value) - equations.scope.keys()
        if state in found or read - {state}:
            raise NoModelError(f"a spike sets '{state}' to what depends on other states")
        first, second, last = (equations.at(item.value, {state: x}) for x in (0.0, 1.0, -2.0))
        kept = 0.0 if state == membrane else 1.0
        ends = [first + kept, first - 2.0 * kept]
        if not np.allclose([second, last], ends, rtol=_PRECISION, atol=0.0):
            what = "set to a fixed value" if state == membrane else "raised by a fixed value"
            raise NoModelError(f"at a spike, '{state}' is not {what}")
        found[state] = first
    if membrane not in found:
        raise NoModelError(f"a spike does not set '{membrane}' to a fixed value")
    return found


def _times(assignments: tuple[Assignment, ...]) -> set[str]:
    return {item.state for item in assignments if item.value == Name(TIME_NAME)}


def _refractory(
    held: Equations, integrating: Equations, membrane: str, clock: set[str], mode: str
) -> Floats:
    """Return how long the membrane stands still, in s."""
    if len(held.conditions) != 1 or _sends(held.conditions[0]) or len(clock) != 1:
        raise NoModelError("the end of its refractory period is not a time after the spike")
    block = held.conditions[0]
    (since,) = clock
    if {item.state for item in block.assignments} != {mode}:
        raise NoModelError("something happens at the end of its refractory period")
    test = block.test
    if not isinstance(test, Compare) or test.op not in (">", ">="):
        raise NoModelError("the end of its refractory period is not a time after the spike")
    high, low = test.left, test.right

    def excess(now: float, last: float) -> Floats:
        known = {TIME_NAME: now, since: last}
        return held.at(high, known) - held.at(low, known)

    if names(test) - held.scope.keys() - {TIME_NAME, since}:
        raise NoModelError("its refractory period depends on states")
    period = -excess(0.0, 0.0)
    ends = np.allclose([excess(1.0, 0.0), excess(2.0, 1.0)], 1.0 - period, rtol=_PRECISION)
    if not ends:
        raise NoModelError("the end of its refractory period is not a time after the spike")
    if held.rates.get(membrane, ZERO) != ZERO:
        raise NoModelError(f"'{membrane}' moves in its refractory period")
    for state in integrating.rates.keys() - {membrane}:
        if held.rates.get(state) != integrating.rates[state]:
            raise NoModelError(f"'{state}' has another rate in its refractory period")
    return period


def _without_noise(whole: Equations) -> tuple[dict[str, tuple[Floats, float]], Equations]:
    """Separate the states that are drawn anew once in each period."""
    noise: dict[str, tuple[Floats, float]] = {}
    rest = []
    for block in whole.conditions:
        drawn = _drawn(whole, block)
        if drawn is None:
            rest.append(block)
        else:
            noise |= drawn
    return noise, replace(whole, conditions=tuple(rest))


def _drawn(whole: Equations, block: OnCondition) -> dict[str, tuple[Floats, float]] | None:
    """Return the state that a condition draws, its standard deviation and the period."""
    if block.events or len(block.assignments) != 2 or not isinstance(block.test, Compare):
        return None
    for draw, clock in (block.assignments, block.assignments[::-1]):
        factor = without_normal(draw.value)
        known = {TIME_NAME: 0.0, clock.state: 0.0}
        if factor is None or names(factor) - whole.scope.keys():
            continue
        if names(clock.value) - {clock.state} or names(block.test) - known.keys():
            continue
        period = float(whole.at(clock.value, known)[0])
        late = whole.at(clock.value, {clock.state: period})[0]
        due = -(whole.at(block.test.left, known) - whole.at(block.test.right, known))[0]
        moves = block.test.op in (">", ">=") and np.isclose(late, 2.0 * period)
        if moves and 0.0 < due <= period:
            return {draw.state: (np.abs(whole.at(factor, {})), period)}
    return None
