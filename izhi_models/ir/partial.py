"""One dynamics for the currents of synapses that have states of their own besides.

A plastic synapse decides how much an event counts: its weight that learns, its vesicles that run
out. What follows, a conductance that decays, is often the same as in any other synapse. If the
states on which the current depends obey linear equations of which nothing differs between
connections, and the others read none of them, then the sum over the connections of a cell obeys
these equations, raised at an event by what the other states of the connection give. Only those
remain with each connection.
"""

from __future__ import annotations

from dataclasses import replace

from izhi_models.expr import ONE, Binary, Expr, Name, fold, is_random, names, substitute
from izhi_models.ir.aggregate import (
    CURRENT_EXPOSURE,
    Aggregate,
    NotAggregable,
    aggregate,
    inlined,
    value_at_zero,
)
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import Assignment, Dynamics, OnEvent, Variable
from izhi_models.ir.passes import drop_unused, order_derived


def aggregate_currents(
    synapse: Dynamics, varying: frozenset[str], gathered: frozenset[str] = CURRENT_EXPOSURE
) -> Aggregate | NotAggregable:
    """Return the dynamics of the sum over all connections of a cell, as far as there is one.

    Parameters
    ----------
    synapse : Dynamics
    varying : frozenset of str
    gathered : frozenset of str
        For all three see `aggregate`.

    Returns
    -------
    Aggregate or NotAggregable
        An aggregate with reasons, if what an event counts follows from states of the connection:
        its arrivals read names of the synapse as they are before the event.
    """
    whole = aggregate(synapse, varying, gathered)
    if isinstance(whole, Aggregate):
        return whole
    events = tuple(item for item in synapse.on_events if "/" not in item.port)
    ordered = order_derived(replace(synapse, on_events=events, out_ports=()))
    if len(events) != 1 or any(ordered.exposed(name) is None for name in gathered):
        return whole
    part = _Part(drop_unused(ordered, gathered), gathered)
    if not part.is_apart():
        return whole
    reduced = part.reduced()
    found = None if reduced is None else aggregate(reduced, varying | part.counts.keys(), gathered)
    if not isinstance(found, Aggregate):
        return whole
    return replace(
        found,
        arrivals=tuple(
            replace(item, weight=fold(substitute(item.weight, part.counts)))
            for item in found.arrivals
        ),
        reasons=whole.reasons,
    )


class _Part:
    """The states of a synapse on which its current depends, apart from the others.

    Parameters
    ----------
    dynamics : Dynamics
        Ordered; with one block of events, and only with what has influence on the current.
    gathered : frozenset of str

    Attributes
    ----------
    counts : dict of str to Expr
        What an event counts, by the name of the parameter that stands for it.
    parameters : list of Variable
        These.
    """

    def __init__(self, dynamics: Dynamics, gathered: frozenset[str]) -> None:
        self.dynamics = dynamics
        self.gathered = gathered
        self.values = inlined(dynamics)
        self.states = {item.name for item in dynamics.states}
        self.summed = self._behind_current()
        self.counts: dict[str, Expr] = {}
        self.parameters: list[Variable] = []

    def _read(self, expr: Expr) -> frozenset[str]:
        return names(substitute(expr, self.values)) & self.states

    def _behind_current(self) -> set[str]:
        rates = {item.state: item.value for item in self.dynamics.rates}
        pending = {
            state
            for exposure in self.gathered
            for state in self._read(Name(self.dynamics.exposed(exposure) or exposure))
        }
        found: set[str] = set()
        while pending:
            state = pending.pop()
            found.add(state)
            pending |= self._read(rates[state]) - found if state in rates else set()
        return found

    def is_apart(self) -> bool:
        """Tell whether there are other states, which read none of these, and act by events only."""
        dynamics = self.dynamics
        if self.states <= self.summed or any(is_random(item) for item in dynamics.expressions()):
            return False
        blocks = dynamics.conditions
        if any(item.state in self.summed for block in blocks for item in block.assignments):
            return False
        others = [item.value for item in dynamics.rates if item.state not in self.summed]
        others += [block.test for block in blocks]
        others += [item.value for block in blocks for item in block.assignments]
        others += [
            value for state, value in self._after_event().items() if state not in self.summed
        ]
        return not any(self._read(item) & self.summed for item in others)

    def _after_event(self) -> dict[str, Expr]:
        """Return what an event makes of states, in terms of what they were."""
        after: dict[str, Expr] = {}
        for item in self.dynamics.on_events[0].assignments:
            after[item.state] = fold(substitute(item.value, {**self.values, **after}))
        return after

    def reduced(self) -> Dynamics | None:
        """Return the synapse with parameters for what an event counts; None if it is no sum."""
        assignments = []
        for state, after in self._after_event().items():
            if state not in self.summed:
                continue
            value = after
            if names(after) & (self.states - self.summed):
                added = _added(state, after)
                if added is None or names(added) & self.summed:
                    return None
                value = Binary("+", Name(state), Name(self._count(added, state)))
            assignments.append(Assignment(state, value))
        dynamics = self.dynamics
        return drop_unused(
            replace(
                dynamics,
                parameters=(*dynamics.parameters, *self.parameters),
                states=tuple(item for item in dynamics.states if item.name in self.summed),
                rates=tuple(item for item in dynamics.rates if item.state in self.summed),
                start=tuple(item for item in dynamics.start if item.state in self.summed),
                conditions=(),
                on_events=(OnEvent(dynamics.on_events[0].port, tuple(assignments)),),
                exposures=tuple(item for item in dynamics.exposures if item[0] in self.gathered),
            ),
            self.gathered,
        )

    def _count(self, added: Expr, state: str) -> str:
        """Return the parameter that stands for what an event adds to a state."""
        for name, value in self.counts.items():
            if value == added:
                return name
        name = f"{state}@added"
        self.counts[name] = added
        self.parameters.append(Variable(name, self.dynamics.dimensions()[state]))
        return name


def _added(state: str, after: Expr) -> Expr | None:
    """Return what is added to a state; None if it is more than an addition."""
    try:
        slope = differentiate(after, state)
    except NotDifferentiableError:
        return None
    return value_at_zero(after, {state}) if slope == ONE else None
