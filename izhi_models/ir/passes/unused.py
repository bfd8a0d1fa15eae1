"""What nobody reads is not computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from izhi_models.errors import InternalError
from izhi_models.expr import Expr, Name, names
from izhi_models.ir.dynamics import (
    Assignment,
    Constant,
    Derived,
    Dynamics,
    OnCondition,
    OnEvent,
    Variable,
)

_Named = TypeVar("_Named", Variable, Constant, Derived)


def drop_unused(dynamics: Dynamics, keep: frozenset[str]) -> Dynamics:
    """Drop what has no influence on the events of the component and the names to keep.

    A cell carries more than one run reads: currents exposed for display, states of a channel
    without conductance, counters of its inputs. Each would cost time in every step.

    Parameters
    ----------
    dynamics : Dynamics
        Flat, without regimes.
    keep : frozenset of str
        Exposures, variables and parameters, and ports of parts; the component's own ports are
        always kept.
    """
    if dynamics.regimes:
        raise InternalError(f"'{dynamics.name}' still has regimes")
    ports = {port for port in dynamics.out_ports if "/" not in port or port in keep}
    sources = _sources(dynamics)
    pending = {dynamics.exposed(name) or name for name in keep}
    for condition in dynamics.conditions:
        if ports & set(condition.events):
            pending |= names(condition.test)
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        needed.add(name)
        pending |= {other for expr in sources.get(name, ()) for other in names(expr)} - needed

    def kept(items: tuple[_Named, ...]) -> tuple[_Named, ...]:
        return tuple(item for item in items if item.name in needed)

    return replace(
        dynamics,
        parameters=kept(dynamics.parameters),
        requirements=kept(dynamics.requirements),
        constants=kept(dynamics.constants),
        states=kept(dynamics.states),
        derived=kept(dynamics.derived),
        rates=tuple(item for item in dynamics.rates if item.state in needed),
        start=_assigning(dynamics.start, needed),
        conditions=tuple(_kept_conditions(dynamics, needed, ports)),
        on_events=tuple(_kept_on_events(dynamics, needed, ports)),
        out_ports=tuple(port for port in dynamics.out_ports if port in ports),
        exposures=tuple(item for item in dynamics.exposures if item[1] in needed),
        inflows=tuple(item for item in dynamics.inflows if item[0] in needed),
    )


def _sources(dynamics: Dynamics) -> dict[str, list[Expr]]:
    """Return the expressions on which each state and derived variable depends."""
    sources: dict[str, list[Expr]] = {item.name: [item.value] for item in dynamics.derived}
    sources |= {now: [Name(ahead)] for now, ahead in dynamics.inflows}
    for rate in dynamics.rates:
        sources.setdefault(rate.state, []).append(rate.value)
    for item in dynamics.start:
        sources.setdefault(item.state, []).append(item.value)
    blocks: tuple[OnCondition | OnEvent, ...] = (*dynamics.conditions, *dynamics.on_events)
    for block in blocks:
        for item in block.assignments:
            own = sources.setdefault(item.state, [])
            own.append(item.value)
            if isinstance(block, OnCondition):
                own.append(block.test)
    return sources


def _assigning(assignments: tuple[Assignment, ...], needed: set[str]) -> tuple[Assignment, ...]:
    return tuple(item for item in assignments if item.state in needed)


def _kept_conditions(
    dynamics: Dynamics, needed: set[str], ports: set[str]
) -> Iterator[OnCondition]:
    for block in dynamics.conditions:
        assignments = _assigning(block.assignments, needed)
        events = tuple(port for port in block.events if port in ports)
        if assignments or events:
            yield replace(block, assignments=assignments, events=events)


def _kept_on_events(dynamics: Dynamics, needed: set[str], ports: set[str]) -> Iterator[OnEvent]:
    for block in dynamics.on_events:
        assignments = _assigning(block.assignments, needed)
        events = tuple(port for port in block.events if port in ports)
        if assignments or events:
            yield replace(block, assignments=assignments, events=events)
