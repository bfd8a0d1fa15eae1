"""What rules of a network make, as lists of connections and of inputs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.exporters.markup import MARK, Columns, Listing, Markup, Node
from izhi_models.exporters.names import unique
from izhi_models.lems.components import Component, Model
from izhi_models.lems.instances import populations_of
from izhi_models.lems.structure import Made
from izhi_models.network import WEIGHT, Block, Input, Projection

_FEW = 1000  # different delays, which are read better in ms


class Expansion:
    """Lists of what the rules of a network made.

    Parameters
    ----------
    model : Model
    network : Component
    made : Made
    rules : container of int
        What made it, by `id` of the elements.
    """

    def __init__(self, model: Model, network: Component, made: Made, rules: Container[int]) -> None:
        self._model = model
        self._made = made
        self._taken = {
            item.id for _, item in network.all_children() if id(item.element) not in rules
        }
        self._populations = {item.id: item for item in populations_of(network)}

    def projections(self) -> Iterator[Markup]:
        """Yield the projections with their connections, which are made as they are written."""
        for item in self._made.projections:
            attributes = {
                "id": unique(item.id, self._taken),
                "presynapticPopulation": item.pre,
                "postsynapticPopulation": item.post,
                "synapse": item.synapse,
            }
            listed: list[Node] = [Listing(self._connections(item))] if item.size else []
            yield Markup("projection", attributes, listed)

    def inputs(self) -> Iterator[Markup]:
        """Yield the lists of inputs."""
        for item in self._made.inputs:
            attributes = {
                "id": unique(f"{item.id}_{item.population}", self._taken),
                "component": item.id,
                "population": item.population,
            }
            yield Markup("inputList", attributes, [Listing(partial(self._input, item))])

    def _connections(self, projection: Projection) -> Callable[[], Iterator[_Rows]]:
        has_delays = projection.connections.delay != 0.0
        weighted = projection.has_weights or has_delays
        ends = {
            "preCellId": self._path(projection.pre),
            "postCellId": self._path(projection.post),
        }
        other = {}
        if projection.attachment != self._lists(projection.post)[0]:
            other["destination"] = projection.attachment

        def rows() -> Iterator[_Rows]:
            first = 0
            for block in projection.connections.blocks():
                numbers = np.arange(first, first + block.pre.size)
                first += block.pre.size
                columns: dict[str, NDArray[Any]] = {
                    "id": numbers,
                    "preCellId": block.pre,
                    "postCellId": block.post,
                }
                attributes = {"id": MARK, **ends}
                if weighted:
                    columns["weight"] = block.weights
                    columns["delay"], unit = _times(block)
                    attributes |= {"weight": MARK, "delay": f"{MARK} {unit}"}
                tag = "connectionWD" if weighted else "connection"
                yield Markup(tag, attributes | other), block.pre.size, columns

        return rows

    def _input(self, source: Input) -> Iterator[_Rows]:
        columns: dict[str, NDArray[Any]] = {
            "id": np.arange(source.cells.size),
            "target": source.cells,
        }
        attributes = {"id": MARK, "target": self._path(source.population)}
        attributes["destination"] = source.attachment
        weights = np.asarray(source.values.get(WEIGHT, 1.0))
        if not (weights == 1.0).all():
            columns[WEIGHT] = weights
            attributes[WEIGHT] = MARK
        tag = "inputW" if WEIGHT in columns else "input"
        yield Markup(tag, attributes), source.cells.size, columns

    def _path(self, population: str) -> str:
        """Return the path of a cell of a population."""
        declared = self._populations[population]
        if "instances" in declared.children:
            return f"../{population}/{MARK}/{declared.texts['component']}"
        return f"../{population}[{MARK}]"

    def _lists(self, population: str) -> list[str]:
        cell = self._model.reference(self._populations[population], "component")
        return list(cell.type.attachments)


_Rows = tuple[Markup, int, Columns]


def _times(block: Block) -> tuple[NDArray[np.float64], str]:
    """Return the delays of connections and their unit, such that the same times are read.

    They are in ms where the same is read again, else in s.
    """
    distinct, which = np.unique(block.delays, return_inverse=True)
    if distinct.size <= _FEW:
        shifted = [float(Decimal(repr(item)).scaleb(3)) for item in distinct.tolist()]
        read = [float(Decimal(repr(item)).scaleb(-3)) for item in shifted]
        if read == distinct.tolist():
            return np.array(shifted)[which], "ms"
    return block.delays, "s"
