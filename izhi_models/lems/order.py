"""When connections are made, and so which of a cell a path means: they are counted by synapse.

Source: LEMS, Attachments: ``synapses:ampa:1`` is the second of a list that is made of ``ampa``.
The reference interpreter makes them in the order of the file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from izhi_models.lems.components import Component
from izhi_models.network import Connection, Projection


class Places:
    """Where the children of a component stand in its file, among all of them.

    Parameters
    ----------
    parent : Component
    """

    def __init__(self, parent: Component) -> None:
        self._known = {id(item): number for number, item in enumerate(parent.element.children)}
        self._last = 0

    def order(self, child: Component) -> int:
        """Return when a child comes; those of a table, asked for in order, come with its first.

        Numbers below 2**32 can be added, for what comes in it.
        """
        self._last = self._known.get(id(child.element), self._last)
        return self._last << 32


class Made:
    """The connections to a population through one synapse, as they were made."""

    def __init__(
        self, projections: Sequence[Projection], population: str, attachment: str, synapse: str
    ) -> None:
        wanted = (population, attachment, synapse)
        numbers = [
            number
            for number, item in enumerate(projections)
            if item.is_own and (item.post, item.attachment, item.synapse) == wanted
        ]
        found = [projections[number] for number in numbers]
        sizes = [item.size for item in found]
        owners = np.repeat(numbers, sizes)
        places = np.concatenate([np.arange(size) for size in sizes])
        cells = np.concatenate([item.post_cells for item in found])
        order = np.concatenate([np.broadcast_to(item.order, item.size) for item in found])
        chosen = np.lexsort((places, owners, order, cells))
        self._cells = cells[chosen]
        self._owners, self._places = owners[chosen], places[chosen]

    def of_cell(self, index: int) -> list[Connection]:
        """Return the connections to a cell."""
        first, last = np.searchsorted(self._cells, (index, index + 1))
        pairs = zip(
            self._owners[first:last].tolist(), self._places[first:last].tolist(), strict=True
        )
        return [Connection(*pair) for pair in pairs]
