"""Values that change at given times, and again in each period: ANNarchy's timed populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from izhi_models.errors import UnsupportedError
from izhi_models.expr import Binary, Compare, Expr, Name, Number, Select
from izhi_models.importers.definition import Definition
from izhi_models.importers.expressions import floor
from izhi_models.importers.values import STEP, TIME, Context, Values, as_values

_MOST = 100  # parts; each is a case of an equation and a value of each cell


class Owner(Protocol):
    """What has values in the making."""

    definition: Definition

    def give(self, name: str, values: Values) -> None:
        """Declare a value of the component, or of each cell."""


@dataclass(frozen=True)
class Schedule:
    """Values from given steps on.

    Parameters
    ----------
    starts : list of int
        In order.
    values : list of float or array (size,)
        From each of these on.
    period : int
        Steps after which it starts again; none if not positive.
    passed : int
        Steps that have been done.
    """

    starts: list[int]
    values: list[Values]
    period: int
    passed: int

    def value(self, cell: Owner, name: str, before: Expr | None = None) -> Expr:
        """Return the value in a step; that before the first start is the first, if none is given.

        Parameters
        ----------
        cell : Owner
            Gets the values, whose names begin with the one given.
        name : str
        before : Expr, optional
        """
        step = Binary("+", Binary("/", Name(TIME), Name(STEP)), Number(float(self.passed)))
        if self.period > 0:
            turn = floor(Binary("/", Binary("+", step, Number(0.5)), Number(float(self.period))))
            step = Binary("-", step, Binary("*", Number(float(self.period)), turn))
        found = before or Name(f"{name}_from_{self.starts[0]}")
        for start, values in zip(self.starts, self.values, strict=True):
            own = f"{name}_from_{start}"
            cell.give(own, values)
            if before is not None or start > self.starts[0]:
                found = Select(Compare(">", step, Number(start - 0.5)), Name(own), found)
        return found


def read_schedule(population: Any, values: Any, network: Any, context: Context) -> Schedule:
    """Return the schedule of a timed population.

    Parameters
    ----------
    population : ANNarchy.Population
        With a schedule and a period; its clock has run with the network's.
    values : array (n_parts, ...)
    network : ANNarchy.Network
    context : Context

    Raises
    ------
    UnsupportedError
        If it has too many parts.
    """
    starts = np.rint(np.ravel(population.schedule) / context.dt_ms).astype(int)
    if starts.size > _MOST:
        raise UnsupportedError(
            f"population '{population.name}' has a schedule of {starts.size} parts; each takes an "
            f"equation, of which there may be {_MOST}"
        )
    parts = np.asarray(values, dtype=np.float64)[: starts.size]
    order = np.argsort(starts, kind="stable")
    return Schedule(
        starts[order].tolist(),
        [as_values(parts[number]) for number in order],
        round(float(population.period) / context.dt_ms),
        round(float(network.time) / context.dt_ms) if population.initialized else 0,
    )
