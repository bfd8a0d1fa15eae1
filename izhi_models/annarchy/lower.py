"""Lower a whole network to a `Program`: which neurons to generate, and where every value goes.

Populations of equal structure become one neuron, their parameters arrays. Names of the model get
generated symbols, since no text of a file may reach ANNarchy; `Lowering` is the way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.equations import Emission, Symbol
from izhi_models.annarchy.links import Ends, Link, lower_links, name_targets
from izhi_models.annarchy.program import (
    Neuron,
    Precision,
    Program,
    verify_program,
)
from izhi_models.expr import names
from izhi_models.ir.counting import counts_events
from izhi_models.ir.dimensions import rescale
from izhi_models.ir.dynamics import Derived, Dynamics, Variable
from izhi_models.ir.invariants import hoist_invariants
from izhi_models.ir.passes import drop_unused, exact_times, fold_constants
from izhi_models.ir.step import Step, make_step
from izhi_models.network import PEER, Network, Population


@dataclass(frozen=True)
class Group:
    """Populations that became one neuron.

    Parameters
    ----------
    populations : tuple of Population
        In order; their cells follow each other.
    dynamics : Dynamics
        SI, complete.
    symbols : dict of str to Symbol
        By name in the dynamics.
    literals : dict of str to float
        Symbols of numbers that ANNarchy cannot write, and their values.
    invariants : tuple of Derived
        What else the program is given, and how it follows from parameters in its units.
    """

    populations: tuple[Population, ...]
    dynamics: Dynamics
    symbols: dict[str, Symbol]
    literals: dict[str, float] = field(default_factory=dict)
    invariants: tuple[Derived, ...] = ()

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(item.size for item in self.populations)

    def first(self, population: str) -> int:
        """Return the number of a population's first cell."""
        return self._firsts[population]

    @cached_property
    def _firsts(self) -> dict[str, int]:
        ends = accumulate(item.size for item in self.populations)
        return {item.id: end - item.size for item, end in zip(self.populations, ends, strict=True)}

    def reading(self, name: str) -> tuple[str, ...]:
        """Return what the program is given of a parameter: itself, and what follows from it."""
        found = (name, *(item.name for item in self.invariants if name in names(item.value)))
        return tuple(item for item in found if item in self.symbols)

    def value(self, name: str) -> NDArray[np.float64]:
        """Return a parameter of all cells, SI."""
        values = [item.values[name] for item in self.populations]
        sizes = [item.size for item in self.populations]
        if not any(isinstance(value, np.ndarray) for value in values):
            return np.repeat(np.array(values, dtype=np.float64), sizes)
        return np.concatenate(
            [
                value if isinstance(value, np.ndarray) else np.full(size, value)
                for value, size in zip(values, sizes, strict=True)
            ]
        )


@dataclass(frozen=True)
class Lowering:
    """A program, and what its parts stand for.

    Parameters
    ----------
    program : Program
    groups : tuple of Group
        One per neuron of the program.
    order : tuple of str
        The populations in the order of the file.
    links : tuple of Link
        One per projection of the program.
    """

    program: Program
    groups: tuple[Group, ...]
    order: tuple[str, ...]
    links: tuple[Link, ...] = ()

    def group_of(self, population: str) -> int:
        """Return the number of the group that holds a population."""
        return self._numbers[population]

    def link_of(self, projection: int) -> tuple[int, int]:
        """Return the number of the link that holds a projection, and its first connection there.

        Parameters
        ----------
        projection : int
            Number of one in the network whose connections have a synapse each.
        """
        return self._places[projection]

    @cached_property
    def _places(self) -> dict[int, tuple[int, int]]:
        places: dict[int, tuple[int, int]] = {}
        for number, link in enumerate(self.links):
            for member, first in zip(link.numbers, link.firsts.tolist(), strict=True):
                places.setdefault(member, (number, first))
        return places

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {
            item.id: number
            for number, group in enumerate(self.groups)
            for item in group.populations
        }


def lower_network(
    network: Network,
    keep: Mapping[str, Iterable[str]],
    *,
    inside: Mapping[int, Iterable[str]] = MappingProxyType({}),
    per_cell: Mapping[str, Iterable[str]] = MappingProxyType({}),
    method: str = "auto",
    precision: Precision = "double",
    threads: int = 1,
) -> Lowering:
    """Lower a network to one program.

    Parameters
    ----------
    network : Network
    keep : mapping of str to iterable of str
        Names in each population's dynamics that are to be recorded.
    inside : mapping of int to iterable of str
        Names in the synapse of each projection, by its number, that are to be recorded, where
        each connection has it for itself.
    per_cell : mapping of str to iterable of str
        Parameters of each population that need a value for each cell, even if all are equal now.
    method : str
        One of `izhi_models.ir.step.METHODS`.
    precision : {'double', 'float'}
    threads : int

    Raises
    ------
    UnsupportedError
        If cells send events on more than one port.
    """
    kinds = kinds_of(network)
    ends = {
        item.id: Ends(number, sum(other.size for other in populations[:place]))
        for number, populations in enumerate(kinds.values())
        for place, item in enumerate(populations)
    }
    targets = name_targets(network.projections, ends, len(kinds))
    groups: list[Group] = []
    neurons: list[Neuron] = []
    for number, (dynamics, populations) in enumerate(kinds.items()):
        kept = frozenset(name for item in populations for name in keep.get(item.id, ()))
        kept |= _read_by_synapses(dynamics, {item.id for item in populations}, network)
        step = make_step(_prepare(dynamics, kept, precision), method, kept)
        apart = {name for item in populations for name in per_cell.get(item.id, ())}
        shared_names = _shared_parameters(step, populations) - apart
        parameters = {item.name for item in step.parameters}
        # Nobody sees a cell that sends nothing and is not recorded, nor what arrives there.
        targets[number] = {
            name: symbol for name, symbol in targets[number].items() if name in parameters
        }
        fixed = parameters - targets[number].keys()
        step, invariants = hoist_invariants(step, fixed, kept)
        shared_names |= {item.name for item in invariants if names(item.value) <= shared_names}
        emission = Emission(step, shared_names, precision, targets[number], kept)
        neuron = emission.neuron(f"neuron_{number}", sum(item.size for item in populations))
        neurons.append(neuron)
        groups.append(
            Group(tuple(populations), dynamics, emission.symbols, emission.literals, invariants)
        )

    def readable(population: str, name: str) -> str:
        group = groups[ends[population].neuron]
        return group.symbols[group.dynamics.exposed(name) or name].symbol

    def counts(population: str, name: str) -> bool:
        return counts_events(groups[ends[population].neuron].dynamics, name)

    links = tuple(lower_links(network.projections, ends, targets, readable, counts, inside))
    program = Program(tuple(neurons), precision, threads, tuple(item.definition for item in links))
    verify_program(program)
    return Lowering(program, tuple(groups), tuple(network.populations), links)


def kinds_of(network: Network) -> dict[Dynamics, list[Population]]:
    """Return the populations by their dynamics, which hold what they require of the network.

    Parameters
    ----------
    network : Network
    """
    # To compare dynamics takes time, and many populations share one object.
    numbers = {id(item.dynamics): item.dynamics for item in network.populations.values()}
    shared = {number: _with_shared(dynamics, network) for number, dynamics in numbers.items()}
    kinds: dict[Dynamics, list[Population]] = {item: [] for item in shared.values()}
    members = {number: kinds[item] for number, item in shared.items()}
    for population in network.populations.values():
        required = _required(population.dynamics, network)
        values = {item.name: network.shared[item.name][1] for item in required}
        number = id(population.dynamics)
        members[number].append(
            replace(population, dynamics=shared[number], values={**population.values, **values})
        )
    return kinds


def _read_by_synapses(dynamics: Dynamics, populations: set[str], network: Network) -> set[str]:
    """Return the variables that synapses of single connections read in some populations."""
    read = set()
    for projection in network.projections:
        for item in projection.dynamics.requirements if projection.is_own else ():
            end = projection.pre if item.name.startswith(PEER) else projection.post
            if end in populations:
                name = item.name.removeprefix(PEER)
                read.add(dynamics.exposed(name) or name)
    return read


def _required(dynamics: Dynamics, network: Network) -> list[Variable]:
    """Return what a cell requires of the network, such as its temperature."""
    return [item for item in dynamics.requirements if item.name in network.shared]


def _with_shared(dynamics: Dynamics, network: Network) -> Dynamics:
    """Make what cells require of the network parameters of the cells."""
    found = _required(dynamics, network)
    return replace(
        dynamics,
        parameters=(*dynamics.parameters, *found),
        requirements=tuple(item for item in dynamics.requirements if item not in found),
    )


# Relative precision of the simulated time, by which comparisons with it are made.
_TIME_PRECISION: Mapping[Precision, float] = {"double": 1e-14, "float": 4e-7}


def _prepare(dynamics: Dynamics, keep: frozenset[str], precision: Precision) -> Dynamics:
    exact = exact_times(dynamics, _TIME_PRECISION[precision])
    return drop_unused(fold_constants(rescale(exact)), keep)


def _shared_parameters(step: Step, populations: list[Population]) -> set[str]:
    """Return the parameters that need one value only.

    It depends on the structure alone, so that other values never lead to another program. Of
    several populations, these are the parameters of a synapse component that all of them share.
    """
    candidates = {item.name for item in step.parameters}
    if len(populations) > 1:
        owners: dict[str, set[str]] = {}
        for entry in populations:
            for component, places in entry.synapses.items():
                for place in places:
                    owners.setdefault(place, set()).add(component)
        alone = tuple(f"{place}/" for place, found in owners.items() if len(found) == 1)
        candidates = {name for name in candidates if name.startswith(alone)}
    return {
        name
        for name in candidates
        if not any(isinstance(entry.values[name], np.ndarray) for entry in populations)
    }
