"""Make a network of compartments out of one of cells that have several.

A population stays that of its cells: the compartments with their roots. The others become
populations beside it, one for each dynamics; what ends on a segment is moved to its compartment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.lems.axial import axial_projection
from izhi_models.lems.compartments import Divided, Kind, divide
from izhi_models.lems.components import Component, Model
from izhi_models.network import (
    Block,
    Compartments,
    Input,
    Listed,
    Population,
    Projection,
    Values,
)


@dataclass(frozen=True)
class Spread:
    """A network of compartments.

    Parameters
    ----------
    populations : list of Population
    inputs : list of Input
    projections : list of Projection
    axial : list of Projection
        The currents along the cells; they add to the compartments as they are.
    """

    populations: list[Population]
    inputs: list[Input]
    projections: list[Projection]
    axial: list[Projection]


def with_compartments(population: Population, divided: Divided | None) -> Population:
    """Return a population that knows where the compartments of its cells will be.

    Parameters
    ----------
    population : Population
    divided : Divided or None
        Its cell; None if that is one compartment.
    """
    if divided is None:
        return population
    owners = [""] * divided.size
    ranks = np.zeros(divided.size, dtype=np.int32)
    for number, kind in enumerate(divided.kinds):
        members = kind.members[1:] if number == 0 else kind.members
        for rank, place in enumerate(members.tolist()):
            owners[place], ranks[place] = part_name(population.id, number), rank
    owners[0] = population.id
    compartments = Compartments(
        population.size,
        divided.place,
        divided.region.morphology.segments.__contains__,
        tuple(owners),
        ranks,
        divided.fastest_hz,
    )
    return replace(population, compartments=compartments)


def part_name(population: str, kind: int) -> str:
    """Return the name of the population of some compartments: no name of a file has a colon."""
    return f"{population}:{kind}"


def component_of(model: Model, population: Population) -> Component:
    """Return the component of the cells of a population, or that of one of its compartments.

    Parameters
    ----------
    model : Model
    population : Population
    """
    cell = model.components[population.component]
    divided = divide(model, cell)
    if divided is None:
        return cell
    number = int(population.id.rpartition(":")[2]) if population.part_of else 0
    return divided.kinds[number].component


def spread(
    model: Model,
    populations: Mapping[str, Population],
    inputs: Sequence[Input],
    projections: Sequence[Projection],
) -> Spread:
    """Return a network of compartments.

    Parameters
    ----------
    model : Model
    populations : mapping of str to Population
        With `Population.compartments`.
    inputs : sequence of Input
        Cells are numbered in blocks, one for each compartment: see `lems.targets.Sites`.
    projections : sequence of Projection
        Likewise.
    """
    result = Spread([], [], [], [])
    for population in populations.values():
        compartments = population.compartments
        divided = divide(model, model.components[population.component])
        if compartments is None or divided is None:
            result.populations.append(population)
        else:
            result.populations.extend(_parts(population, divided))
            result.axial.extend(_axial(population, compartments, divided))
    for source in inputs:
        cells = source.cells
        for name, chosen, moved in _moved(populations[source.population], cells):
            values: Values = {
                key: value[chosen] if isinstance(value, np.ndarray) else value
                for key, value in source.values.items()
            }
            result.inputs.append(
                replace(source, population=name, values=values, cells=moved.astype(np.int64))
            )
    for projection in projections:
        result.projections.extend(_connected(projection, populations))
    return result


def _parts(population: Population, divided: Divided) -> Iterator[Population]:
    root = divided.kinds[0]
    yield replace(population, values=_values(root, slice(0, 1), population.size))
    for number, kind in enumerate(divided.kinds):
        chosen = slice(1 if number == 0 else 0, None)
        n_members = kind.members[chosen].size
        if n_members:
            yield Population(
                part_name(population.id, number),
                population.component,
                kind.lowered.dynamics,
                _values(kind, chosen, population.size),
                n_members * population.size,
                part_of=population.id,
            )


def _values(kind: Kind, chosen: slice, n_cells: int) -> Values:
    """Return the parameters of some compartments of all cells, block by block."""
    values: Values = {}
    for name, every in kind.values.items():
        own = every[chosen]
        is_one = own.size > 0 and bool((own == own[0]).all())
        values[name] = float(own[0]) if is_one else np.repeat(own, n_cells)
    return values


def _moved(
    population: Population, cells: NDArray[np.integer]
) -> Iterator[tuple[str, NDArray[np.intp] | slice, NDArray[np.int32]]]:
    """Yield, for each population of compartments, which of the numbers mean it, and its cells."""
    compartments = population.compartments
    if compartments is None:
        yield population.id, slice(None), cells.astype(np.int32, copy=False)
        return
    names = list(dict.fromkeys(compartments.owners))
    owners = np.array([names.index(item) for item in compartments.owners])
    places, numbers = np.divmod(cells, compartments.size)
    for number, name in enumerate(names):
        chosen = np.flatnonzero(owners[places] == number)
        if chosen.size:
            ranks = compartments.ranks[places[chosen]]
            yield name, chosen, (ranks * compartments.size + numbers[chosen]).astype(np.int32)


def _connected(
    projection: Projection, populations: Mapping[str, Population]
) -> Iterator[Projection]:
    pre, post = populations[projection.pre], populations[projection.post]
    if (pre.compartments is None and post.compartments is None) or projection.size == 0:
        yield projection
        return
    n = projection.size
    ends = [
        list(_moved(population, cells))
        for population, cells in ((pre, projection.pre_cells), (post, projection.post_cells))
    ]
    for source, sent, pre_cells in ends[0]:
        from_cell = np.full(n, -1, dtype=np.int32)
        from_cell[sent] = pre_cells
        for target, received, post_cells in ends[1]:
            to_cell = np.full(n, -1, dtype=np.int32)
            to_cell[received] = post_cells
            chosen = np.flatnonzero((from_cell >= 0) & (to_cell >= 0))
            if chosen.size:
                some = projection.some(chosen)
                moved = Block(from_cell[chosen], to_cell[chosen], some.weights, some.delays)
                yield replace(some, pre=source, post=target, connections=Listed(moved))


def _axial(
    population: Population, compartments: Compartments, divided: Divided
) -> Iterator[Projection]:
    """Yield the connections between neighbours, both ways, in all cells."""
    both = np.concatenate([divided.pairs, divided.pairs[:, ::-1]])
    conductances = np.tile(divided.conductances, 2)
    cells = np.arange(population.size, dtype=np.int32)
    numbers = compartments.ranks[both][:, :, None] * population.size + cells
    owners = np.array(compartments.owners)[both]
    for pre, post in dict.fromkeys(map(tuple, owners.tolist())):
        chosen = (owners[:, 0] == pre) & (owners[:, 1] == post)
        yield axial_projection(
            f"{pre} to {post}",
            (pre, post),
            (
                numbers[chosen, 0].astype(np.int32).ravel(),
                numbers[chosen, 1].astype(np.int32).ravel(),
            ),
            np.repeat(conductances[chosen], population.size),
        )
