"""Compare networks as arrays: populations, and inputs and connections as sets, without an order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.differences.report import Difference, both
from izhi_models.network import WEIGHT, Input, Network, Population, Projection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RTOL = 1e-12  # the same quantity in two units differs in its last digits
_DIGITS = 2.0**40  # of a number by which rows are sorted, so that its last digits do not count
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class _Rows:
    """Connections, or what is attached to cells: one row each, in any order.

    Parameters
    ----------
    keys : int array (n,)
        A cell, or a pair of cells as one number.
    values : dict of str to array (n,)
        [SI]
    """

    keys: Ints
    values: dict[str, Floats]

    def ordered(self) -> _Rows:
        """Return the rows by their keys, those of one key by their values."""
        order = np.lexsort((*(_rounded(item) for item in self.values.values()), self.keys))
        values = {name: item[order] for name, item in self.values.items()}
        return _Rows(self.keys[order], values)

    def ranks(self) -> Ints:
        """Return the place of each row among those of its key; of ordered rows."""
        places = np.arange(self.keys.size)
        begins = np.ones(self.keys.size, dtype=bool)
        begins[1:] = self.keys[1:] != self.keys[:-1]
        ranks: Ints = places - np.maximum.accumulate(np.where(begins, places, 0))
        return ranks


def _rounded(values: Floats) -> Floats:
    mantissas, exponents = np.frexp(values)
    rounded: Floats = np.ldexp(np.rint(mantissas * _DIGITS), exponents)
    return rounded


def compare_networks(first: Network, second: Network) -> Iterator[Difference]:
    """Yield the differences of two networks.

    Parameters
    ----------
    first, second : Network
    """
    yield from told_only("population", first.populations, second.populations)
    both = [name for name in first.populations if name in second.populations]
    for name in both:
        yield from _of_population(first.populations[name], second.populations[name])
    for name in dict.fromkeys((*first.shared, *second.shared)):
        a, b = (item.shared.get(name, (None, np.nan))[1] for item in (first, second))
        if not np.isclose(a, b, rtol=RTOL, atol=0.0):
            yield Difference("network", name, (f"{a:.12g}", f"{b:.12g}"))
    yield from _of_inputs(first, second, both)
    yield from _of_connections(first, second, both)


def told_only(
    kind: str, first: Mapping[str, object], second: Mapping[str, object]
) -> Iterator[Difference]:
    """Yield what only one side has, by name."""
    for name in first:
        if name not in second:
            yield Difference(kind, name, ("is there", ""))
    for name in second:
        if name not in first:
            yield Difference(kind, name, ("", "is there"))


def _of_population(first: Population, second: Population) -> Iterator[Difference]:
    if first.size != second.size:
        sizes = both(lambda item: f"{item.size} cells", first, second)
        yield Difference("population", first.id, sizes)
    if first.component != second.component:
        yield Difference("population", first.id, (first.component, second.component))
    if first.size != second.size or first.positions is None or second.positions is None:
        return
    apart = np.abs(first.positions - second.positions).max(axis=1)
    moved = np.flatnonzero(apart > RTOL * np.abs(first.positions).max(initial=1.0))
    if moved.size:
        cell = int(moved[0])
        places = both(_point, first.positions[cell], second.positions[cell])
        yield Difference("positions", f"{first.id}[{cell}]", places, f"{moved.size} cells differ")


def _point(position: Floats) -> str:
    return ", ".join(f"{axis:.6g}" for axis in position)


# Inputs


def _of_inputs(first: Network, second: Network, both: list[str]) -> Iterator[Difference]:
    groups = [_inputs(item) for item in (first, second)]
    for key in dict.fromkeys((*groups[0], *groups[1])):
        population, component = key
        if population not in both:  # told already
            continue
        sides = [group.get(key, []) for group in groups]
        varied = {
            name
            for side in sides
            for item in side
            for name, value in item.values.items()
            if isinstance(value, np.ndarray) or name == WEIGHT
        }
        yield from _of_rows(
            "input",
            f"{component} on {population}",
            [_input_rows(side, sorted(varied)) for side in sides],
            partial("{}[{}]".format, population),
        )


def _inputs(network: Network) -> dict[tuple[str, str], list[Input]]:
    """Return the inputs by population and component."""
    found: dict[tuple[str, str], list[Input]] = {}
    for item in network.parts.inputs if network.parts else _placed(network):
        found.setdefault((item.population, item.id), []).append(item)
    return found


def _placed(network: Network) -> Iterator[Input]:
    """Yield the inputs of a network of which no parts are kept."""
    for population in network.populations.values():
        for item in population.attached:
            weight = population.values.get(f"{item.place}/{WEIGHT}", 1.0)
            one = float(weight[item.cell] if isinstance(weight, np.ndarray) else weight)
            cells = np.array([item.cell])
            yield Input(item.id, population.id, "", population.dynamics, {WEIGHT: one}, cells)


def _input_rows(inputs: Sequence[Input], varied: Sequence[str]) -> _Rows:
    cells = [np.asarray(item.cells, dtype=np.int64) for item in inputs]
    return _Rows(
        np.concatenate([np.zeros(0, dtype=np.int64), *cells]),
        {
            name: np.concatenate(
                [np.zeros(0)]
                + [np.broadcast_to(item.values.get(name, 1.0), item.cells.size) for item in inputs]
            )
            for name in varied
        },
    )


# Connections


def _of_connections(first: Network, second: Network, both: list[str]) -> Iterator[Difference]:
    groups = [_projections(item) for item in (first, second)]
    for key in dict.fromkeys((*groups[0], *groups[1])):
        pre, post, synapse = key
        if pre not in both or post not in both:  # told already
            continue
        size = max(item.populations[post].size for item in (first, second))
        yield from _of_rows(
            "connections",
            f"{pre} -> {post} through {synapse}",
            [_connection_rows(group.get(key, []), size) for group in groups],
            partial(_pair, size),
        )


def _pair(n_post: int, pair: int) -> str:
    return f"{pair // n_post} -> {pair % n_post}"


def _projections(network: Network) -> dict[tuple[str, str, str], list[Projection]]:
    """Return the projections by populations and synapse; their own names mean nothing."""
    found: dict[tuple[str, str, str], list[Projection]] = {}
    for item in network.parts.projections if network.parts else network.projections:
        found.setdefault((item.pre, item.post, item.synapse), []).append(item)
    return found


def _connection_rows(projections: Sequence[Projection], n_post: int) -> _Rows:
    keys, weights, delays = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [np.zeros(0)]
    for item in projections:
        for block in item.connections.blocks():
            keys.append(block.pre.astype(np.int64) * n_post + block.post)
            weights.append(np.broadcast_to(block.weights, block.pre.size))
            delays.append(np.broadcast_to(block.delays, block.pre.size))
    columns = {"delay": np.concatenate(delays), "weight": np.concatenate(weights)}
    return _Rows(np.concatenate(keys), columns)


# Rows


def _of_rows(
    kind: str, where: str, given: list[_Rows], told: Callable[[int], str]
) -> Iterator[Difference]:
    """Yield what only one side has, and values that differ."""
    sides = [item.ordered() for item in given]
    ranks = [item.ranks() for item in sides]
    _, numbers = np.unique(np.concatenate([item.keys for item in sides]), return_inverse=True)
    most = max(int(item.max(initial=0)) for item in ranks) + 1
    codes = np.split(numbers * most + np.concatenate(ranks), [sides[0].keys.size])
    shared = [np.isin(codes[n], codes[1 - n], assume_unique=True) for n in (0, 1)]
    alone = [side.keys[~own] for side, own in zip(sides, shared, strict=True)]
    if alone[0].size or alone[1].size:
        sizes = both(lambda item: str(item.keys.size), *sides)
        by = "; ".join(
            f"{keys.size} only in the {name}: {_listed(keys, told)}"
            for keys, name in zip(alone, ("first", "second"), strict=True)
            if keys.size
        )
        yield Difference(kind, where, sizes, by)
    pairs = sides[0].keys[shared[0]]
    for name, values in sides[0].values.items():
        ours, theirs = values[shared[0]], sides[1].values[name][shared[1]]
        apart = np.flatnonzero(~np.isclose(ours, theirs, rtol=RTOL, atol=0.0, equal_nan=True))
        if apart.size:
            place = int(apart[0])
            scale, unit = (1e3, " ms") if name == "delay" else (1.0, "")
            shown = tuple(f"{side[place] * scale:.9g}{unit}" for side in (ours, theirs))
            by = f"{apart.size} of {pairs.size} differ, first {told(int(pairs[place]))}"
            yield Difference(kind, f"{where}, {name}", (shown[0], shown[1]), by)


def _listed(keys: Ints, told: Callable[[int], str]) -> str:
    shown = ", ".join(told(int(key)) for key in keys[:_SHOWN])
    return f"{shown}, ..." if keys.size > _SHOWN else shown
