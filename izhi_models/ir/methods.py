"""The methods by which the states of a step advance, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.integrators import (
    Advance,
    euler,
    exponential_euler,
    exponential_midpoint,
    midpoint,
    rk4,
)
from izhi_models.ir.linearity import Coupling
from izhi_models.ir.prescribed import is_prescribed, prescribed


def automatic(dynamics: Dynamics) -> Advance:
    """Do what is prescribed, else exponential midpoint for a cell with gates, else forward Euler.

    Without gates a cell does, step for step, what the definition of LEMS says and other
    simulators do. With them the error of Euler, of the first order, is many steps after some
    spikes. A gate is a state that relaxes at a rate set by what it acts back on: see
    `Coupling.has_gates`. The compartments of a cell are of one order, with gates or without.
    """
    if is_prescribed(dynamics):
        return prescribed(dynamics)
    relaxes = bool(dynamics.inflows) or Coupling(dynamics).has_gates
    return (exponential_midpoint if relaxes else euler)(dynamics)


FIRST_ORDER = ("euler", "exponential_euler")  # they read what flows in as it is at the start

METHODS: Mapping[str, Callable[[Dynamics], Advance]] = {
    "auto": automatic,
    "euler": euler,
    "exponential_euler": exponential_euler,
    "exponential_midpoint": exponential_midpoint,
    "midpoint": midpoint,
    "rk4": rk4,
}
