"""Change every expression or every name of a dynamics at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from izhi_models.expr import Expr, rename
from izhi_models.ir.dynamics import Assignment, Dynamics, OnCondition, OnEvent, Regime

Change = Callable[[Expr], Expr]


def map_expressions(dynamics: Dynamics, change: Change) -> Dynamics:
    """Return the dynamics with each of its expressions changed.

    Parameters
    ----------
    dynamics : Dynamics
    change : callable
        From an expression to an expression.
    """
    return replace(
        dynamics,
        derived=tuple(replace(item, value=change(item.value)) for item in dynamics.derived),
        rates=tuple(replace(item, value=change(item.value)) for item in dynamics.rates),
        start=map_assignments(dynamics.start, change),
        conditions=tuple(_map_condition(item, change) for item in dynamics.conditions),
        on_events=tuple(_map_on_event(item, change) for item in dynamics.on_events),
        regimes=tuple(_map_regime(item, change) for item in dynamics.regimes),
    )


def map_assignments(assignments: tuple[Assignment, ...], change: Change) -> tuple[Assignment, ...]:
    """Return assignments with each of their expressions changed."""
    return tuple(replace(item, value=change(item.value)) for item in assignments)


def _map_condition(item: OnCondition, change: Change) -> OnCondition:
    return replace(
        item, test=change(item.test), assignments=map_assignments(item.assignments, change)
    )


def _map_on_event(item: OnEvent, change: Change) -> OnEvent:
    return replace(item, assignments=map_assignments(item.assignments, change))


def _map_regime(item: Regime, change: Change) -> Regime:
    return replace(
        item,
        rates=tuple(replace(rate, value=change(rate.value)) for rate in item.rates),
        on_entry=map_assignments(item.on_entry, change),
        conditions=tuple(_map_condition(block, change) for block in item.conditions),
        on_events=tuple(_map_on_event(block, change) for block in item.on_events),
    )


def rename_all(
    dynamics: Dynamics, new_names: Mapping[str, str], new_ports: Mapping[str, str]
) -> Dynamics:
    """Return a dynamics without regimes with names and ports changed, where they are declared too.

    Parameters
    ----------
    dynamics : Dynamics
    new_names : mapping of str to str
        Of parameters, constants, states, derived variables and requirements.
    new_ports : mapping of str to str
    """
    named = map_expressions(dynamics, lambda expr: rename(expr, new_names))

    def name(old: str) -> str:
        return new_names.get(old, old)

    def ports(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new_ports.get(port, port) for port in old)

    def assigned(old: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
        return tuple(replace(item, state=name(item.state)) for item in old)

    return replace(
        named,
        parameters=tuple(replace(item, name=name(item.name)) for item in named.parameters),
        requirements=tuple(replace(item, name=name(item.name)) for item in named.requirements),
        constants=tuple(replace(item, name=name(item.name)) for item in named.constants),
        states=tuple(replace(item, name=name(item.name)) for item in named.states),
        derived=tuple(replace(item, name=name(item.name)) for item in named.derived),
        rates=tuple(replace(item, state=name(item.state)) for item in named.rates),
        start=assigned(named.start),
        conditions=tuple(
            replace(item, assignments=assigned(item.assignments), events=ports(item.events))
            for item in named.conditions
        ),
        on_events=tuple(
            replace(
                item,
                port=new_ports.get(item.port, item.port),
                assignments=assigned(item.assignments),
                events=ports(item.events),
            )
            for item in named.on_events
        ),
        in_ports=ports(named.in_ports),
        out_ports=ports(named.out_ports),
        exposures=tuple((exposure, name(variable)) for exposure, variable in named.exposures),
        inflows=tuple((name(now), name(ahead)) for now, ahead in named.inflows),
    )
