"""`Step`: the one definition of what happens in one step, made from `Dynamics` and a method.

The interpreter and every back end execute this and add no meaning of their own:

1. ``t`` becomes the time at the end of the step.
2. Definitions are computed in order, from the states at the start of the step.
3. All states advance at once.
4. Blocks are done in order: where the test holds on the new states (definitions keep their
   values), assignments are made in order, each seeing those before it, then events are sent.

A back end adds delivery of events. What arrives in a step acts before 2, one event after the
other; what an event reads of derived variables follows from the states as they are when it
arrives, and not from those of the step before.

A synapse that is integrated for itself, apart from the cells at its two ends, is part of no cell's
step: events act on it, and the cell adds up what it shows, before 2; its own 2 to 4 follow after 4
of the cells, which it reads as they are then.

Definitions cover what a method needs inside the step; those that carry the name of a derived
variable are what is recorded of it, and what blocks read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from izhi_models.errors import InternalError
from izhi_models.expr import (
    TRUE,
    ZERO,
    Compare,
    Expr,
    Name,
    children,
    fold,
    names,
    rebuild,
)
from izhi_models.ir import methods
from izhi_models.ir.dynamics import (
    TIME_NAME,
    Assignment,
    Constant,
    Derived,
    Dynamics,
    OnEvent,
    Variable,
)
from izhi_models.ir.integrators import with_inflows_ahead
from izhi_models.ir.rewrite import map_expressions

METHODS: tuple[str, ...] = tuple(methods.METHODS)


@dataclass(frozen=True)
class Block:
    """Assignments and events under a condition."""

    test: Expr
    assignments: tuple[Assignment, ...]
    events: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One step of a flat dynamics.

    Parameters
    ----------
    parameters, states : tuple of Variable
        Requirements that nothing has met count as parameters.
    constants : tuple of Constant
    definitions : tuple of Derived
        In order of dependency; all read states at the start of the step.
    advances : tuple of Assignment
        New values of the states that move, all computed from the same start.
    blocks : tuple of Block
    on_events : tuple of OnEvent
    out_ports : tuple of str
    """

    parameters: tuple[Variable, ...]
    constants: tuple[Constant, ...]
    states: tuple[Variable, ...]
    definitions: tuple[Derived, ...]
    advances: tuple[Assignment, ...]
    blocks: tuple[Block, ...]
    on_events: tuple[OnEvent, ...]
    out_ports: tuple[str, ...]


def make_step(
    dynamics: Dynamics, method: str = "euler", keep: frozenset[str] | None = None
) -> Step:
    """Return one step of a dynamics.

    Parameters
    ----------
    dynamics : Dynamics
        Flat and ordered: without regimes, open lists and anything that is read before it is
        derived.
    method : str
        One of `METHODS`.
    keep : frozenset of str, optional
        Exposures and variables that are read at the end of the step, by a recorder or a synapse;
        all if left out. What nothing reads is not defined.
    """
    if dynamics.regimes or dynamics.gathers:
        raise InternalError(f"'{dynamics.name}' still has regimes or open lists of attachments")
    running = map_expressions(dynamics, _after_start)
    if method not in methods.FIRST_ORDER:
        running = with_inflows_ahead(running)
    advance = methods.METHODS[method](running)
    step = Step(
        parameters=(*running.parameters, *running.requirements),
        constants=running.constants,
        states=running.states,
        definitions=(*running.derived, *advance.definitions),
        advances=tuple(advance.assignments),
        blocks=tuple(
            Block(item.test, item.assignments, item.events) for item in running.conditions
        ),
        on_events=running.on_events,
        out_ports=running.out_ports,
    )
    if keep is None:
        return step
    return _without_unread(step, {running.exposed(name) or name for name in keep})


def _without_unread(step: Step, keep: set[str]) -> Step:
    """Drop definitions that a method does not read, since it reads them inside the step."""
    read = set(keep)
    assigning: tuple[Block | OnEvent, ...] = (*step.blocks, *step.on_events)
    for assignment in (*step.advances, *(a for item in assigning for a in item.assignments)):
        read |= names(assignment.value)
    for block in step.blocks:
        read |= names(block.test)
    kept = []
    for item in reversed(step.definitions):
        if item.name in read:
            kept.append(item)
            read |= names(item.value)
    return replace(step, definitions=tuple(reversed(kept)))


def _after_start(expr: Expr) -> Expr:
    """Return the expression as it is in a step, where the time is above 0."""
    return fold(_with_time_above_zero(expr))


def _with_time_above_zero(expr: Expr) -> Expr:
    if expr == Compare(">", Name(TIME_NAME), ZERO):
        return TRUE
    below = children(expr)
    if not below:
        return expr
    return rebuild(expr, tuple(_with_time_above_zero(child) for child in below))
