"""Derived variables in the order in which they can be computed."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from izhi_models.errors import Diagnostic, InputError
from izhi_models.expr import names
from izhi_models.ir.dynamics import Assignment, Dynamics


def order_derived(dynamics: Dynamics) -> Dynamics:
    """Put derived variables into an order in which each follows those that it reads.

    The specification gives the order in a file no meaning, while a back end computes from top
    to bottom. A name that is both a state and a derived variable, as Sisat of
    pinskyRinzelCA3Cell, is the derived variable: what would change the state is dropped.

    Raises
    ------
    InputError
        If derived variables need each other; names the cycle.
    """
    derived = {item.name: item for item in dynamics.derived}
    sorter = TopologicalSorter(
        {
            name: [n for n in sorted(names(item.value)) if n in derived]
            for name, item in derived.items()
        }
    )
    try:
        ordered = tuple(derived[name] for name in sorter.static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise InputError(
            Diagnostic(
                f"derived variables of '{dynamics.name}' need each other: {cycle}",
                notes=("a StateVariable in the cycle would break it",),
            )
        ) from None

    def kept(assignments: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
        return tuple(item for item in assignments if item.state not in derived)

    return replace(
        dynamics,
        states=tuple(item for item in dynamics.states if item.name not in derived),
        derived=ordered,
        rates=tuple(item for item in dynamics.rates if item.state not in derived),
        start=kept(dynamics.start),
        conditions=tuple(
            replace(item, assignments=kept(item.assignments)) for item in dynamics.conditions
        ),
        on_events=tuple(
            replace(item, assignments=kept(item.assignments)) for item in dynamics.on_events
        ),
    )
