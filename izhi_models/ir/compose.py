"""One dynamics out of a component and all that sits on it or in it.

Parts keep their names under their place, ``synapses[0]/g``, so one flat list of equations is
left, in which every part reads its parent's variables directly. A requirement therefore has the
parent's value of the same moment, however deep the part: the specification knows no lag.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from izhi_models.errors import Diagnostic, InputError, InternalError, suggest
from izhi_models.expr import ONE, ZERO, Binary, Expr, Name, substitute
from izhi_models.ir.dynamics import Dynamics, Gather, OnCondition, OnEvent, Variable
from izhi_models.ir.rewrite import map_expressions, rename_all
from izhi_models.units import NONE

_Block = TypeVar("_Block", OnCondition, OnEvent)


@dataclass(frozen=True)
class Attached:
    """A part to be composed with its parent.

    Parameters
    ----------
    attachment : str
        The list of the parent on which it sits, ``synapses``; empty for a part that the
        component itself contains (Child, Children, ChildInstance).
    dynamics : Dynamics
        Of the part; without regimes.
    place : str
        Where it is found from the parent: ``synapses[0]``, ``ionChannel``.
    present : str, optional
        A parameter of the parent, 1 where the part is there and 0 where it is not, so that
        cells with fewer parts can share a population.
    """

    attachment: str
    dynamics: Dynamics
    place: str
    present: str | None = None


def compose(parent: Dynamics, attached: Sequence[Attached]) -> Dynamics:
    """Return the dynamics of a component together with its parts.

    A part's requirement is what the parent shows under that name: an exposure, else a variable,
    parameter or constant; else it stays a requirement. The result shows a part's exposures as
    ``place/exposure``. Conditions of parts come before those of the parent, starts after.
    A part's ports get its place too, so its events are not the parent's.

    Lists of attachments stay open while only contained parts are composed. A call with parts
    for a list, or with no parts at all, closes all lists; a sum over an empty list is 0, a
    product 1.

    Parameters
    ----------
    parent : Dynamics
    attached : sequence of Attached
        In order; a part's own parts are composed before.

    Raises
    ------
    InputError
        If a part lacks an exposure over which the parent gathers.
    """
    parts = [_place(parent, item) for item in attached]
    is_closing = not attached or any(item.attachment for item in attached)
    open_lists = set() if is_closing else {item.name for item in parent.attachments}
    closed = [item for item in parent.gathers if item.attachment not in open_lists]
    shown = {
        exposure: variable
        for part in parts
        for exposure, variable in part.exposures
        if exposure != variable
    }
    values: dict[str, Expr] = {exposure: Name(variable) for exposure, variable in shown.items()}
    values |= {item.name: _gathered(parent, item, attached, parts) for item in closed}
    whole = map_expressions(parent, lambda expr: substitute(expr, values))
    switches = [item.present for item in attached if item.present is not None]
    return replace(
        whole,
        parameters=(
            *_with_switches(parent.parameters, switches),
            *(item for part in parts for item in part.parameters),
        ),
        requirements=_distinct((*parent.requirements, *(r for p in parts for r in p.requirements))),
        constants=(*parent.constants, *(item for part in parts for item in part.constants)),
        states=(*parent.states, *(item for part in parts for item in part.states)),
        derived=(*(item for part in parts for item in part.derived), *whole.derived),
        rates=(*whole.rates, *(item for part in parts for item in part.rates)),
        start=(*whole.start, *(item for part in parts for item in part.start)),
        conditions=(*(item for part in parts for item in part.conditions), *whole.conditions),
        on_events=(*whole.on_events, *(item for part in parts for item in part.on_events)),
        in_ports=(*parent.in_ports, *(port for part in parts for port in part.in_ports)),
        out_ports=(*parent.out_ports, *(port for part in parts for port in part.out_ports)),
        exposures=(*parent.exposures, *(item for part in parts for item in part.exposures)),
        attachments=() if is_closing else parent.attachments,
        gathers=tuple(item for item in parent.gathers if item not in closed),
    )


def connect(dynamics: Dynamics, source: str, target: str) -> Dynamics:
    """Return the dynamics with an out port wired to an in port of the same dynamics.

    What sends on `source` then also does what `target` does on arrival, at once and after its
    own assignments, and sends what that sends. Source: LEMS, EventConnection inside a Structure.

    Parameters
    ----------
    dynamics : Dynamics
        Without regimes.
    source, target : str
        Out port and in port, with their places. A chain of relays is wired from its end.
    """
    arrivals = [item for item in dynamics.on_events if item.port == target]
    actions = tuple(action for item in arrivals for action in item.assignments)
    relayed = tuple(port for item in arrivals for port in item.events)

    def wired(block: _Block) -> _Block:
        if source not in block.events:
            return block
        return replace(
            block,
            assignments=(*block.assignments, *actions),
            events=(*block.events, *relayed),
        )

    return replace(
        dynamics,
        conditions=tuple(wired(item) for item in dynamics.conditions),
        on_events=tuple(wired(item) for item in dynamics.on_events),
    )


def _place(parent: Dynamics, item: Attached) -> Dynamics:
    """Return a part under its place, its requirements bound to the parent."""
    part = compose(item.dynamics, ()) if item.dynamics.gathers else item.dynamics
    if part.regimes:
        raise InternalError(f"'{part.name}' still has regimes")
    own = _own_names(part)
    new_names = {name: f"{item.place}/{name}" for name in own}
    unbound = []
    for requirement in part.requirements:
        if requirement.name in own:
            continue
        bound = _readable(parent, requirement.name)
        if bound is None:
            unbound.append(requirement)
        else:
            new_names[requirement.name] = bound
    ports = {port: f"{item.place}/{port}" for port in (*part.in_ports, *part.out_ports)}
    placed = rename_all(replace(part, requirements=tuple(unbound)), new_names, ports)
    exposures = ((f"{item.place}/{exposure}", name) for exposure, name in placed.exposures)
    return replace(placed, exposures=tuple(exposures))


def _own_names(dynamics: Dynamics) -> set[str]:
    groups = (dynamics.parameters, dynamics.constants, dynamics.states, dynamics.derived)
    return {item.name for group in groups for item in group}


def _readable(dynamics: Dynamics, name: str) -> str | None:
    """Return the variable that others read under a name."""
    shown = dynamics.exposed(name)
    if shown is not None:
        return shown
    if name in _own_names(dynamics) or any(item.name == name for item in dynamics.requirements):
        return name
    return None


def _gathered(
    parent: Dynamics, gather: Gather, attached: Iterable[Attached], parts: Iterable[Dynamics]
) -> Expr:
    is_product = gather.reduce == "multiply"
    terms: list[Expr] = []
    for item, part in zip(attached, parts, strict=True):
        if gather.attachment != (item.attachment or item.place.partition("[")[0]):
            continue
        name = _readable(part, f"{item.place}/{gather.exposure}")
        if name is None:
            raise InputError(
                Diagnostic(
                    f"'{item.dynamics.name}' at {item.place} of '{parent.name}' exposes no "
                    f"'{gather.exposure}', over which '{gather.name}' goes",
                    notes=suggest(gather.exposure, dict(item.dynamics.exposures)),
                )
            )
        terms.append(_switched(Name(name), item.present, is_product))
    if not terms:
        return ONE if is_product else ZERO
    return _reduced("*" if is_product else "+", terms)


def _switched(value: Expr, present: str | None, is_product: bool) -> Expr:
    if present is None:
        return value
    if is_product:
        return Binary("+", ONE, Binary("*", Name(present), Binary("-", value, ONE)))
    return Binary("*", Name(present), value)


def _reduced(op: str, terms: Sequence[Expr]) -> Expr:
    """Join terms in order, in pairs: depth and rounding grow with the logarithm of their number."""
    if len(terms) == 1:
        return terms[0]
    middle = (len(terms) + 1) // 2
    left, right = _reduced(op, terms[:middle]), _reduced(op, terms[middle:])
    return Binary("*" if op == "*" else "+", left, right)


def _with_switches(parameters: tuple[Variable, ...], switches: list[str]) -> tuple[Variable, ...]:
    known = {item.name for item in parameters}
    new = dict.fromkeys(name for name in switches if name not in known)
    return (*parameters, *(Variable(name, NONE) for name in new))


def _distinct(requirements: Iterable[Variable]) -> tuple[Variable, ...]:
    return tuple({item.name: item for item in requirements}.values())
