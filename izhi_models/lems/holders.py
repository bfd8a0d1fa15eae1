"""What a Simulation runs: a network, a component that holds one, or any component by itself.

Source: LEMS, Simulation and Target: any component with dynamics can be run. A ComponentType of a
user may hold a network as a Child and show it quantities, such as a temperature that changes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.expr import is_random
from izhi_models.ir.dynamics import RESERVED, Dynamics
from izhi_models.ir.passes import order_derived
from izhi_models.ir.rewrite import rename_all
from izhi_models.lems.components import Component, Model
from izhi_models.lems.instances import is_network
from izhi_models.lems.lower import lower_component
from izhi_models.network import Holder, Population


@dataclass(frozen=True)
class Target:
    """What is run.

    Parameters
    ----------
    component : Component
        The target itself.
    network : Component or None
        The network in it; None for a component that runs by itself.
    holders : tuple of Component
        From the target down to what holds the network; empty if the target is the network.
    """

    component: Component
    network: Component | None
    holders: tuple[Component, ...] = ()

    def split(self, path: str, populations: Collection[str]) -> tuple[Component | None, str, str]:
        """Return whose quantity a path names, its name in the dynamics, and the rest of the path.

        Parameters
        ----------
        path : str
            From the target on: ``x``, ``temperature``, ``net1/pop[0]/v``. The names of holders
            and network before a population may be left out.
        populations : collection of str

        Returns
        -------
        Component or None, str, str
            None for a path that leads into the network.
        """
        if self.network is None:
            return self.component, "", path
        steps = path.split("/")
        if not self.holders or re.split(r"\[", steps[0])[0] in populations:
            return None, "", path
        holder = self.holders[0]
        for part in (*self.holders[1:], self.network):
            if steps[0] not in _names(part):
                return holder, f"{name_of(holder)}/", "/".join(steps)
            holder, steps = part, steps[1:] or [""]
        return None, "", "/".join(steps)


def name_of(holder: Component) -> str:
    """Return the name under which the cells of a network carry what holds it."""
    return holder.id or holder.type.name


def _names(part: Component) -> set[str]:
    places = part.parent.children.items() if part.parent is not None else ()
    return {part.id, *(place for place, found in places if part in found)}


def find_target(component: Component) -> Target | None:
    """Return what to run of a component; None if there is nothing that moves.

    Parameters
    ----------
    component : Component
        The target of a Simulation.

    Raises
    ------
    UnsupportedError
        If it holds several networks.
    """
    if is_network(component):
        return Target(component, component)
    networks = [item for item in component.walk() if is_network(item)]
    if len(networks) > 1:
        message = f"'{component.id}' holds {len(networks)} networks, and only one can be run"
        raise UnsupportedError(Diagnostic(message, networks[1].span))
    if not networks:
        return Target(component, None) if component.type.dynamics else None
    holders: list[Component] = []
    above = networks[0].parent
    while above is not None and above is not component.parent:
        holders.insert(0, above)
        above = above.parent
    return Target(component, networks[0], tuple(holders))


def lower_holders(model: Model, target: Target) -> list[Holder]:
    """Lower what holds the network, each without it, from the innermost out.

    Parameters
    ----------
    model : Model
    target : Target

    Raises
    ------
    UnsupportedError
        If a holder draws random numbers: each population would get others.
    """
    found = []
    for depth, holder in reversed(list(enumerate(target.holders))):
        if not holder.type.dynamics:
            continue
        inner = target.holders[depth + 1] if depth + 1 < len(target.holders) else target.network
        children = {
            place: [item for item in items if item is not inner]
            for place, items in holder.children.items()
        }
        lowered = lower_component(model, replace(holder, children=children))
        if any(is_random(item) for item in lowered.dynamics.expressions()):
            message = f"'{holder.id}' holds a network and draws random numbers"
            raise UnsupportedError(Diagnostic(message, holder.span))
        found.append(Holder(name_of(holder), lowered.dynamics, dict(lowered.values)))
    return found


def drive(population: Population, holders: Sequence[Holder]) -> Population:
    """Return the population with what holds its network as a part of each cell.

    A holder has one state for the whole network. Each cell computes it for itself, which is the
    same, since nothing of the network acts back on it.

    Parameters
    ----------
    population : Population
    holders : sequence of Holder
        From the innermost out.
    """
    for holder in holders:
        name = holder.name
        placed = _under(name, holder.dynamics)
        shown = dict(holder.dynamics.exposures)
        own = {item.name for item in holder.dynamics.parameters}
        own |= {item.name for item in holder.dynamics.constants}
        met = {
            item.name: f"{name}/{shown.get(item.name, item.name)}"
            for item in population.dynamics.requirements
            if item.name in shown or item.name in own
        }
        cell = rename_all(population.dynamics, met, {})
        population = replace(
            population,
            dynamics=order_derived(_joined(cell, placed, set(met.values()))),
            values={
                **population.values,
                **{f"{name}/{key}": value for key, value in holder.values.items()},
            },
        )
    return population


def _under(name: str, dynamics: Dynamics) -> Dynamics:
    """Return the dynamics of a holder with its name before each of its own."""
    new_names = {
        item: f"{name}/{item}"
        for item in dynamics.dimensions().keys()
        - RESERVED.keys()
        - {item.name for item in dynamics.requirements}
    }
    ports = {port: f"{name}/{port}" for port in (*dynamics.in_ports, *dynamics.out_ports)}
    return rename_all(dynamics, new_names, ports)


def _joined(cell: Dynamics, holder: Dynamics, met: set[str]) -> Dynamics:
    """Return one dynamics of both; the holder comes first, as its state decides."""
    known = {item.name for item in holder.requirements}
    kept = [item for item in cell.requirements if item.name not in met | known]
    return replace(
        cell,
        parameters=(*holder.parameters, *cell.parameters),
        requirements=(*holder.requirements, *kept),
        constants=(*holder.constants, *cell.constants),
        states=(*holder.states, *cell.states),
        derived=(*holder.derived, *cell.derived),
        rates=(*holder.rates, *cell.rates),
        start=(*holder.start, *cell.start),
        conditions=(*holder.conditions, *cell.conditions),
        on_events=(*holder.on_events, *cell.on_events),
    )
