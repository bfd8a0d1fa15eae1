"""Paths of parameters, to change them without reading the file again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, suggest
from izhi_models.expr import Expr, names, parse_expression
from izhi_models.ir.evaluate import evaluate_array
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lower import constant_values, contained
from izhi_models.lems.types import ComponentType
from izhi_models.network import Network, Population
from izhi_models.units import Dimension

_PATH = re.compile(r"(?P<population>[^\[\]/]+)(?:\[(?P<cell>\d+)\])?/(?P<rest>.+)")


Floats = NDArray[np.float64]


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
    derived : tuple of (str, Expr)
        What follows from it in its component, in this order.
    constants : dict of str to float
        Of its component. [SI]
    """

    population: str
    dimension: Dimension
    cells: dict[str, list[int] | None]
    is_one_cell: bool
    derived: tuple[tuple[str, Expr], ...]
    constants: dict[str, float]

    def names(self) -> list[str]:
        """Return the names in the population's dynamics of all that changes with it."""
        return [_beside(name, item) for name in self.cells for item in (name, *dict(self.derived))]

    def follow(
        self, name: str, values: Floats, parameter: Callable[[str], Floats]
    ) -> dict[str, Floats]:
        """Return what follows from new values, by name in the population's dynamics.

        Parameters
        ----------
        name : str
            One of `cells`.
        values : float array (size,)
            Of all cells of the population. [SI]
        parameter : callable
            Returns the present values of another parameter.

        Source: LEMS, DerivedParameter.
        """
        found = {name: values}
        for derived, expression in self.derived:
            scope = {}
            for item in names(expression):
                full = _beside(name, item)
                if item in self.constants:
                    scope[item] = np.full(values.size, self.constants[item])
                else:
                    scope[item] = found[full] if full in found else parameter(full)
            random = np.random.default_rng(0)
            found[_beside(name, derived)] = evaluate_array(expression, scope, values.size, random)
        return {item: array for item, array in found.items() if item != name}


def _beside(name: str, other: str) -> str:
    """Return the name of another parameter of the same component."""
    return name.rpartition("/")[0] + "/" * ("/" in name) + other.rpartition("/")[2]


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
    if population.compartments is not None or population.part_of:
        raise UnsupportedError(
            Diagnostic(
                f"the cells of '{population.id}' have several compartments, whose parameters are "
                "set when the file is read",
                notes=("set those of the file: --set, or set=... of izhi_models.load",),
            )
        )
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
    owner, own_name = _owner(model, population, name)
    return Parameter(
        population.id,
        dimensions[name],
        cells,
        cell is not None,
        _computed_from(owner.type, own_name) if owner is not None else (),
        constant_values(model, owner) if owner is not None else {},
    )


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


def _computed_from(kind: ComponentType, name: str) -> tuple[tuple[str, Expr], ...]:
    """Return the derived parameters that follow from a parameter, also through each other."""
    found: dict[str, Expr] = {}
    for item in kind.derived_parameters.values():
        expression = parse_expression(item.element.get("value") or "0")
        if names(expression) & {name, *found}:
            found[item.name] = expression
    return tuple(found.items())
