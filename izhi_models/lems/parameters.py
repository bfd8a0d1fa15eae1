"""Paths of parameters, to change them without reading the file again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, suggest
from izhi_models.expr import names, parse_expression
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lower import contained
from izhi_models.lems.types import ComponentType
from izhi_models.network import Network, Population
from izhi_models.units import Dimension

_PATH = re.compile(r"(?P<population>[^\[\]/]+)(?:\[(?P<cell>\d+)\])?/(?P<rest>.+)")


@dataclass(frozen=True)
class Parameter:
    """A parameter of some cells of a population.

    Parameters
    ----------
    population : str
    dimension : Dimension
    cells : dict of str to list of int or None
        By name in the population's dynamics, the cells that are meant; None for all. One input
        may have several names, where cells have others besides it.
    is_one_cell : bool
        Whether the path names a cell.
    """

    population: str
    dimension: Dimension
    cells: dict[str, list[int] | None]
    is_one_cell: bool


def find_parameter(model: Model, network: Network, path: str) -> Parameter:
    """Resolve ``pop/a``, ``pop[0]/a``, ``pop/i0/amplitude``, ``pop/ampa/erev`` and the like.

    Parameters
    ----------
    model : Model
    network : Network
        Lowered from it.
    path : str
        Without a cell it means all cells, or all that have the input or synapse.

    Raises
    ------
    InputError
        If the path leads to no parameter.
    UnsupportedError
        If other values were computed from it when the file was read.
    """
    match = _PATH.fullmatch(path)
    if match is None or match["population"] not in network.populations:
        hint = suggest((match or [path, path])[1], network.populations)
        raise InputError(
            Diagnostic(
                f"'{path}' is no path of a parameter", notes=(*hint, "write population/parameter")
            )
        )
    population = network.populations[match["population"]]
    cell = int(match["cell"]) if match["cell"] else None
    if cell is not None and cell >= population.size:
        raise InputError(f"'{population.id}' has {population.size} cells: there is no cell {cell}")
    cells = _cells(population, cell, match["rest"])
    dimensions = {item.name: item.dimension for item in population.dynamics.parameters}
    name = next(iter(cells))
    if name not in dimensions:
        raise InputError(
            Diagnostic(
                f"'{population.id}' has no parameter '{match['rest']}'",
                notes=suggest(match["rest"], dimensions),
            )
        )
    _check_independent(model, population, name)
    return Parameter(population.id, dimensions[name], cells, cell is not None)


def _cells(population: Population, cell: int | None, rest: str) -> dict[str, list[int] | None]:
    head, _, below = rest.partition("/")
    members: dict[str, list[int]] = {}
    for placed in population.attached:
        if placed.id == head and below and cell in (None, placed.cell):
            members.setdefault(f"{placed.place}/{below}", []).append(placed.cell)
    if members:
        return dict(members)
    shared: dict[str, list[int] | None] = {}
    for place, cells in population.synapses.get(head, {}).items() if below else ():
        if cell is None and cells.size == population.size:
            return {f"{place}/{below}": None}
        chosen = [int(item) for item in cells if cell in (None, item)]
        if chosen:
            shared[f"{place}/{below}"] = chosen
    if shared:
        return shared
    return {rest: None if cell is None else [cell]}


def _check_independent(model: Model, population: Population, name: str) -> None:
    owner, own_name = _owner(model, population, name)
    computed = _computed_from(owner.type, own_name) if owner is not None else []
    if computed:
        listed = ", ".join(f"'{item}'" for item in computed)
        raise UnsupportedError(
            Diagnostic(
                f"'{own_name}' of '{population.id}' gave {listed} when the file was read, and "
                "these would not follow",
                notes=("change it in the file: that compiles nothing either",),
            )
        )


def _owner(model: Model, population: Population, name: str) -> tuple[Component | None, str]:
    """Return the component to which a parameter belongs, and its name there."""
    component: Component | None = model.components[population.component]
    rest = name
    for placed in population.attached:
        if name.startswith(f"{placed.place}/"):
            component, rest = model.components[placed.id], name.removeprefix(f"{placed.place}/")
            break
    for synapse, places in population.synapses.items():
        for place in places:
            if name.startswith(f"{place}/"):
                component, rest = model.components[synapse], name.removeprefix(f"{place}/")
    *steps, last = rest.split("/")
    for step in steps:
        parts = dict(contained(model, component)) if component is not None else {}
        component = parts.get(step)
    return component, last


def _computed_from(kind: ComponentType, name: str) -> list[str]:
    """Return the derived parameters that follow from a parameter, also through each other."""
    found = [name]
    for item in kind.derived_parameters.values():
        if names(parse_expression(item.element.get("value") or "0")) & set(found):
            found.append(item.name)
    return found[1:]
