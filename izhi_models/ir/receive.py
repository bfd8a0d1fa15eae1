"""Events that reach a cell itself, without a synapse, as a number that arrives in each step.

Source: LEMS, EventConnection without a receiver: the event goes to a port of the target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.expr import ONE, ZERO, Binary, Compare, Expr, Name, Select, fold, names, substitute
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import Assignment, Dynamics, OnCondition, OnEvent, Variable
from izhi_models.units import NONE


def arriving(port: str) -> str:
    """Return the name of the number of events that arrive on a port in a step."""
    return f"{port}@count"


def receive(dynamics: Dynamics, ports: Collection[str]) -> Dynamics:
    """Return the dynamics with what events do as what their number does, once in each step.

    A number n adds n times what one event adds, and sets what one event sets. Events that the
    cell sends in answer, of which it sends one, wait in a state for the conditions of the step.

    Parameters
    ----------
    dynamics : Dynamics
        Of a cell; without regimes.
    ports : collection of str
        In ports to which connections lead.

    Raises
    ------
    UnsupportedError
        If several events at once would do something else.
    """
    relays: list[OnCondition] = []
    blocks: list[OnEvent] = []
    for block in dynamics.on_events:
        if block.port not in ports:
            blocks.append(block)
            continue
        assignments = list(_counted(dynamics.name, block))
        if block.events:
            relay = f"{block.port}@relay{len(relays)}"
            assignments.append(Assignment(relay, _if_any(block.port, ONE, relay)))
            sent = Compare(">", Name(relay), ZERO)
            relays.append(OnCondition(sent, (Assignment(relay, ZERO),), block.events))
        blocks.append(OnEvent(block.port, tuple(assignments)))
    return replace(
        dynamics,
        parameters=(*dynamics.parameters, *(Variable(arriving(port), NONE) for port in ports)),
        states=(*dynamics.states, *(Variable(item.assignments[0].state, NONE) for item in relays)),
        conditions=(*relays, *dynamics.conditions),
        on_events=tuple(blocks),
    )


def _counted(cell: str, block: OnEvent) -> Iterator[Assignment]:
    """Yield what any number of events does, assignment by assignment."""
    number = Name(arriving(block.port))
    later = {item.state for item in block.assignments}
    earlier: set[str] = set()
    for item in block.assignments:
        added = _added(item)
        if added is not None and not names(added) & (later | earlier):
            step = Binary("*", number, added)
            yield Assignment(item.state, Binary("+", Name(item.state), step))
        elif _settles(item.value, item.state, later):
            yield Assignment(item.state, _if_any(block.port, item.value, item.state))
        else:
            raise UnsupportedError(
                Diagnostic(
                    f"'{cell}' gets events on its port '{block.port}' without a synapse, and what "
                    f"'{item.state}' becomes depends on how many came before in the same step",
                    notes=("let an event add to a state, or set it to what it was not",),
                )
            )
        later.discard(item.state)
        earlier.add(item.state)


def _added(item: Assignment) -> Expr | None:
    """Return what an assignment adds to a state, whatever that is, or None."""
    try:
        slope = fold(differentiate(item.value, item.state))
    except NotDifferentiableError:
        return None
    return fold(substitute(item.value, {item.state: ZERO})) if slope == ONE else None


def _settles(value: Expr, state: str, changing: set[str]) -> bool:
    """Tell whether a second event, before anything else, would leave a state as the first did."""
    match value:
        case Name(name) if name == state:
            return True
        case Select(condition, then, otherwise):
            branches = (then, otherwise)
            return not names(condition) & changing and all(
                _settles(item, state, changing) for item in branches
            )
        case _:
            return not names(value) & changing


def _if_any(port: str, value: Expr, state: str) -> Expr:
    return Select(Compare(">", Name(arriving(port)), ZERO), value, Name(state))
