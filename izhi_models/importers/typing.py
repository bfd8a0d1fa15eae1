"""What is told of dimensions: by ANNarchy's documentation, and by the equations of a definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from izhi_models.expr import Expr
from izhi_models.importers.dimensions import CAPACITANCE, Claim, infer
from izhi_models.importers.equations import Equation
from izhi_models.units import NONE, TIME, VOLTAGE, Dimension

DURATION = TIME
# In a documentation: v in mV, cm in nF, from which all else follows. A number of nS or Hz has no
# unit that is consistent with these.
_PYNN: Mapping[str, Dimension] = {"v": VOLTAGE, "cm": CAPACITANCE}
_POISSON: Mapping[str, Dimension] = {"rates": NONE, "p": NONE}
_TOLD: Mapping[str, Mapping[str, Dimension]] = {
    "Izhikevich": {"v": VOLTAGE},
    "IF_curr_exp": _PYNN,
    "IF_cond_exp": _PYNN,
    "IF_curr_alpha": _PYNN,
    "IF_cond_alpha": _PYNN,
    "HH_cond_exp": _PYNN,
    "EIF_cond_exp_isfa_ista": {**_PYNN, "a": NONE},
    "EIF_cond_alpha_isfa_ista": {**_PYNN, "a": NONE},
    "PoissonPopulation": _POISSON,
    "TimedPoissonPopulation": {"proba": NONE, "p": NONE},
    "HomogeneousCorrelatedSpikeTrains": {
        **dict.fromkeys(("x", "mu", "sigma", "p"), NONE),
        "tau": TIME,
    },
}


def told_of(population: Any) -> dict[str, Dimension]:
    """Return the dimensions that a documentation tells of a population's neuron.

    Parameters
    ----------
    population : ANNarchy.Population
    """
    kinds = (type(population).__name__, type(population.neuron_type).__name__)
    return {name: item for kind in kinds for name, item in _TOLD.get(kind, {}).items()}


class Typing:
    """Collects the equations of a definition, and gives them units at once."""

    def __init__(self) -> None:
        self._claims: list[Claim] = []
        self._values: list[Expr] = []

    def claim(self, claim: Claim) -> Callable[[], Expr]:
        """Note an expression; return what gives it with units, after `infer`."""
        self._claims.append(claim)
        number = len(self._claims) - 1
        return lambda: self._values[number]

    def equation(self, item: Equation) -> Callable[[], Equation]:
        """Note an equation with its bounds; return what gives it with units."""
        value = self.claim(Claim(item.value, item.name, is_rate=item.is_ode))
        low, high = (
            None if bound is None else self.claim(Claim(bound, item.name))
            for bound in (item.low, item.high)
        )

        def typed() -> Equation:
            return replace(
                item,
                value=value(),
                low=None if low is None else low(),
                high=None if high is None else high(),
            )

        return typed

    def infer(
        self,
        order: tuple[Sequence[str], Sequence[str]],
        known: Mapping[str, Dimension],
        told: Mapping[str, Dimension],
    ) -> dict[str, Dimension]:
        """Return the dimensions of names; for arguments see `dimensions.infer`."""
        found = infer(self._claims, order, known, told)
        self._values = found.values
        return found.dimensions
