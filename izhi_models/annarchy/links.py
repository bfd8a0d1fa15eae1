"""Lower event connections: which sums arrive at which neurons, and from where.

All projections between two neurons of a program that add to the same sum become one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy import wiring
from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.program import Projection as Definition
from izhi_models.annarchy.program import Weights
from izhi_models.annarchy.synapses import ConnectionSynapse, lower_synapse
from izhi_models.expr import Expr, Name, names, to_text
from izhi_models.ir.aggregate import Arrival
from izhi_models.network import PEER, WEIGHT, Block, Connections, Projection, Values, join
from izhi_models.rounding import in_steps
from izhi_models.slots import Structures

Targets = dict[str, str]
Readable = Callable[[str, str], str]
_Members = list[tuple[Projection, Expr]]


@dataclass(frozen=True)
class Ends:
    """Where a population's cells are in a program.

    Parameters
    ----------
    neuron : int
        Number of the neuron.
    first : int
        Number of the population's first cell in it.
    """

    neuron: int
    first: int


@dataclass(frozen=True)
class Part:
    """The connections of one projection of a network in a link.

    Parameters
    ----------
    connections : Connections
    first_pre, first_post : int
        Numbers of the first cells of the populations in the program's neurons.
    is_weighted : bool
        False if each event counts 1.
    """

    connections: Connections
    first_pre: int
    first_post: int
    is_weighted: bool

    @property
    def weight(self) -> float | None:
        """The weight that all have, or None."""
        return self.connections.weight if self.is_weighted else 1.0

    def blocks(self) -> Iterator[Block]:
        """Yield the connections between cells of the program's neurons."""
        for block in self.connections.blocks():
            yield Block(
                _moved(block.pre, self.first_pre),
                _moved(block.post, self.first_post),
                block.weights if self.is_weighted else np.ones(1),
                block.delays,
            )


@dataclass(frozen=True)
class Link:
    """One projection of a program, and the connections that it stands for.

    Parameters
    ----------
    definition : izhi_models.annarchy.program.Projection
    parts : tuple of Part
    values : dict of str to float or array (n,)
        Parameters and initial values of the synapse by symbol, in simulation units.
    members : tuple of izhi_models.network.Projection
        Whose connections they are, one after another, where each has a synapse of its own.
    numbers : tuple of int
        Of the members, among all projections of the network.
    symbols : dict of str to Symbol
        Of what moves in the synapse, by name in its dynamics.
    """

    definition: Definition
    parts: tuple[Part, ...]
    values: dict[str, float | NDArray[np.float64]] = field(default_factory=dict)
    members: tuple[Projection, ...] = ()
    numbers: tuple[int, ...] = ()
    symbols: dict[str, Symbol] = field(default_factory=dict)

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """The number of the first connection of each member."""
        sizes = np.array([item.size for item in self.members], dtype=np.int64)
        return np.cumsum(sizes) - sizes

    @property
    def size(self) -> int:
        """Number of connections."""
        return sum(part.connections.size for part in self.parts)

    def blocks(self) -> Iterator[Block]:
        """Yield all connections between cells of the program's neurons, the same each time."""
        for part in self.parts:
            yield from part.blocks()

    def whole(self) -> Block:
        """Return all connections at once."""
        return join(self.blocks())


def blocks_in_steps(link: Link, dt_s: float) -> Iterator[wiring.Block]:
    """Yield the connections of a link as the compiled program takes them.

    Parameters
    ----------
    link : Link
    dt_s : float
        Length of a step. [s]
    """
    for block in link.blocks():
        delays = in_steps(block.delays, dt_s)
        yield wiring.Block(block.pre, block.post, block.weights, delays)


def name_targets(
    projections: Sequence[Projection], ends: dict[str, Ends], n_neurons: int
) -> list[Targets]:
    """Return, for each neuron, the symbols of the sums that arrive there.

    Parameters
    ----------
    projections : sequence of Projection
        Connected.
    ends : dict of str to Ends
        By population.
    n_neurons : int
        Of the program.

    Returns
    -------
    list of dict of str to str
        Symbol by name in the neuron's dynamics.
    """
    found: list[set[str]] = [set() for _ in range(n_neurons)]
    for projection in projections:
        names_there = (*(item.name for item in projection.arrivals), *projection.own)
        found[ends[projection.post].neuron].update(names_there)
    return [{name: f"in_{n}" for n, name in enumerate(sorted(item))} for item in found]


def lower_links(
    projections: Sequence[Projection],
    ends: dict[str, Ends],
    targets: list[Targets],
    readable: Readable,
    counts: Callable[[str, str], bool],
    inside: Mapping[int, Iterable[str]] = MappingProxyType({}),
) -> list[Link]:
    """Return the projections of a program with their connections.

    Parameters
    ----------
    projections : sequence of Projection
        Connected.
    ends : dict of str to Ends
    targets : list of dict of str to str
        From `name_targets`, without what no cell reads.
    readable : callable
        Returns the symbol behind what a population exposes.
    counts : callable
        Tells whether what a population exposes counts the spikes of each cell.
    inside : mapping of int to iterable of str
        States and derived variables to be recorded of the synapses of each projection, by its
        number.
    """
    numbers = {id(item): number for number, item in enumerate(projections)}
    recorded = {number: set(found) for number, found in inside.items()}
    sums: dict[tuple[int, int, str], _Members] = {}
    own: dict[tuple[int, int, str, str, int], _Members] = {}
    added: dict[tuple[int, int, str, str, int], str | Arrival] = {}
    structures = Structures()
    for projection in projections:
        pre, post = ends[projection.pre].neuron, ends[projection.post].neuron
        for arrival in projection.arrivals if not projection.is_own else ():
            if arrival.name not in targets[post]:
                continue
            place = (pre, post, targets[post][arrival.name])
            sums.setdefault(place, []).append((projection, arrival.weight))
        for name, what in _added_by_each(projection):
            if name not in targets[post]:
                continue
            structure = structures.number(projection.synapse, projection.dynamics)
            text = what if isinstance(what, str) else to_text(what.weight)
            key = (pre, post, targets[post][name], text, structure)
            added[key] = what
            own.setdefault(key, []).append((projection, Name(WEIGHT)))
    links: list[Link] = []
    # In an order of their own, so that the order in a file leads to no other program.
    for key, members in sorted(own.items(), key=_ends_and_sum):
        pre, post, target, *_ = key
        # A synapse that gives several quantities is there for each: the first is recorded.
        kept = set().union(*(recorded.pop(numbers[id(item)], ()) for item, _ in members))
        lowered, values = _own_synapse(
            [item for item, _ in members], added[key], readable, counts, kept
        )
        definition = Definition(
            f"own_{len(links)}", pre, post, target, _kind_of_weights(members), lowered.definition
        )
        link = _link(definition, members, ends, values)
        owners = tuple(item for item, _ in members)
        chosen = tuple(numbers[id(item)] for item in owners)
        links.append(replace(link, members=owners, numbers=chosen, symbols=lowered.symbols))
    for number, ((pre, post, target), members) in enumerate(
        sorted(sums.items(), key=_ends_and_sum)
    ):
        definition = Definition(f"sum_{number}", pre, post, target, _kind_of_weights(members))
        links.append(_link(definition, members, ends, {}))
    return links


def _added_by_each(projection: Projection) -> Iterator[tuple[str, str | Arrival]]:
    """Yield what the synapse of each connection adds to, and an exposure or what events count."""
    if projection.is_own:
        yield from projection.own.items()
        yield from ((item.name, item) for item in projection.arrivals)


def _ends_and_sum(entry: tuple[tuple[Any, ...], _Members]) -> tuple[Any, ...]:
    return entry[0][:4]


def _kind_of_weights(members: _Members) -> Weights:
    """Tell whether connections need a weight each; equal numbers are no reason."""
    if len(members) == 1:
        return (
            "each"
            if _is_weighted(*members[0]) and members[0][0].connections.weight is None
            else "one"
        )
    return "each" if any(_is_weighted(*member) for member in members) else "one"


def _own_synapse(
    members: Sequence[Projection],
    added: str | Arrival,
    readable: Readable,
    counts: Callable[[str, str], bool],
    kept: set[str],
) -> tuple[ConnectionSynapse, Values]:
    """Return the synapse of each connection, and its values, which differ between components."""
    first = members[0]
    cells = {}
    for item in first.dynamics.requirements:
        is_peer = item.name.startswith(PEER)
        population = first.pre if is_peer else first.post
        symbol = readable(population, item.name.removeprefix(PEER))
        cells[item.name] = f"{'pre' if is_peer else 'post'}.{symbol}"
    moving = {item.name for item in first.dynamics.states}
    moving |= {item.name for item in first.dynamics.derived}
    components = {item.synapse: item.values for item in members}
    given: Values = dict(first.values)
    if len(components) > 1:
        numbers = {name: number for number, name in enumerate(components)}
        owners = np.repeat(
            [numbers[item.synapse] for item in members], [item.size for item in members]
        )
        given = {
            name: np.array([float(values[name]) for values in components.values()])[owners]
            for name in first.values
        }
    counting = {name for name in cells if not name.startswith(PEER) and counts(first.post, name)}
    lowered = lower_synapse(
        first.dynamics,
        given,
        lambda: _weights_of(members),
        added,
        cells,
        kept & moving,
        counting,
    )
    return lowered, lowered.values


def _weights_of(members: Sequence[Projection]) -> NDArray[np.float64]:
    """Return the weights of all connections, one after another."""
    return np.concatenate([np.broadcast_to(item.weights, item.size) for item in members])


def _link(
    definition: Definition,
    members: _Members,
    ends: dict[str, Ends],
    values: dict[str, float | NDArray[np.float64]],
) -> Link:
    parts = (
        Part(
            item.connections,
            ends[item.pre].first,
            ends[item.post].first,
            _is_weighted(item, weight),
        )
        for item, weight in members
    )
    return Link(definition, tuple(parts), values)


def _is_weighted(projection: Projection, weight: Expr) -> bool:
    """Tell whether an event counts a product of the parameters that vary, and not 1."""
    return projection.has_weights and WEIGHT in names(weight)


def _moved(cells: NDArray[np.int32], first: int) -> NDArray[np.int32]:
    return cells + np.int32(first) if first else cells
