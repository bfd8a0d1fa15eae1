"""Whether a state of a cell counts the events that it sends."""

from __future__ import annotations

from izhi_models.expr import ONE, Binary, Name
from izhi_models.ir.dynamics import Dynamics


def counts_events(dynamics: Dynamics, name: str) -> bool:
    """Tell whether a state starts at 0 and is raised by 1 whenever an event is sent, and only then.

    Parameters
    ----------
    dynamics : Dynamics
        Flat.
    name : str
        Of a state or its exposure.
    """
    state = dynamics.exposed(name)
    changed = {item.state for item in dynamics.rates} | {item.state for item in dynamics.start}
    changed |= {action.state for item in dynamics.on_events for action in item.assignments}
    if state is None or state in changed:
        return False
    sending = [item for item in dynamics.conditions if _sends(item.events)]
    raising = [
        item for item in dynamics.conditions if any(a.state == state for a in item.assignments)
    ]
    if len(sending) != 1 or raising != sending:
        return False
    found = [action.value for action in sending[0].assignments if action.state == state]
    return found == [Binary("+", Name(state), ONE)]


def _sends(events: tuple[str, ...]) -> bool:
    return any("/" not in port for port in events)
