"""What all cells of a population compute once: a random number of all, and what follows.

Each component of LEMS draws its own numbers. What they are to have in common is a cell by itself,
which they read; they see it a step later than in ANNarchy, where it is computed before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from izhi_models.expr import is_random, names
from izhi_models.importers.equations import Equation, read_equations, read_functions
from izhi_models.importers.neurons import NeuronReader
from izhi_models.importers.order import in_order
from izhi_models.importers.schedules import Schedule
from izhi_models.importers.values import Context


def shared_equations(population: Any, context: Context) -> list[Equation]:
    """Return the equations of all cells of a population, if one of them draws random numbers.

    Parameters
    ----------
    population : ANNarchy.Population
    context : Context
    """
    neuron = population.neuron_type
    where = f"neuron '{neuron.name}' of population '{population.name}'"
    functions = read_functions(neuron.functions, where, context.functions)
    found = read_equations(neuron.equations or "", "neuron", where, functions)
    shared = in_order(item for item in found if item.locality == "global")
    return shared if any(is_random(item.value) for item in shared) else []


class SharedReader(NeuronReader):
    """Reads what all cells of a population have in common, as a cell.

    Parameters
    ----------
    population : ANNarchy.Population
    context : Context
    equations : list of Equation
        These.
    schedules : mapping of str to Schedule
    """

    def __init__(
        self,
        population: Any,
        context: Context,
        equations: list[Equation],
        schedules: Mapping[str, Schedule],
    ) -> None:
        self._shared = equations
        super().__init__(population, context, (), {item.name for item in equations}, (), schedules)

    def _equations(self) -> list[Equation]:
        return self._shared

    def _sends(self) -> bool:
        return False

    def _targets(self) -> list[str]:
        return []

    def _given(self) -> list[str]:
        read = {name for item in self._shared for name in names(item.value)}
        return [name for name in super()._given() if name in read]

    def _period(self) -> None:
        return None
