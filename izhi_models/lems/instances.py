"""Which components are networks, and which of their parts are populations.

Source: LEMS, MultiInstantiate in the Structure of a ComponentType; NeuroML 2, network, population
and populationList. LEMS has no network of its own: what holds populations is one.
"""

from __future__ import annotations

from dataclasses import dataclass

from izhi_models.lems.components import Component, Model


@dataclass(frozen=True)
class Instances:
    """The attributes of a population.

    Parameters
    ----------
    cell, size : str
        Which names the component, and which says how many there are of it.
    """

    cell: str
    size: str


def instances_of(population: Component) -> Instances:
    """Return the attributes of a population.

    Parameters
    ----------
    population : Component
    """
    own = _own(population)
    return Instances("component", "size") if own is None else own  # as NeuroML calls them


def _own(component: Component) -> Instances | None:
    structure = component.type.structure
    for item in structure.find("MultiInstantiate") if structure is not None else ():
        cell, size = item.get("component"), item.get("number")
        if cell and size:
            return Instances(cell, size)
    return None


def _is_population(component: Component) -> bool:
    return component.type.is_a("basePopulation") or _own(component) is not None


def populations_of(network: Component) -> list[Component]:
    """Return the populations of a network, in order.

    Parameters
    ----------
    network : Component
    """
    return [item for _, item in network.all_children() if _is_population(item)]


def is_network(component: Component) -> bool:
    """Tell whether a component is a network: NeuroML's, or one of a type that holds populations.

    Parameters
    ----------
    component : Component
    """
    return component.type.is_a("network") or bool(populations_of(component))


def networks_of(model: Model) -> list[Component]:
    """Return the top-level components that are networks.

    Parameters
    ----------
    model : Model
    """
    return [item for item in model.components.values() if is_network(item)]
