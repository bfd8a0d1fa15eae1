"""How long a step may be.

By forward Euler a state that relaxes with the time constant tau grows instead if a step is longer
than 2 tau.

Current along cells of several compartments: neighbours are read at the start of a step, half a step
ahead in methods of second order. What oscillates first is the mode in which neighbours have
opposite signs. With ``a`` the step times the sum of a compartment's axial conductances over its
capacitance it grows if

- Euler: ``1 - 2 a < -1``, so ``a > 1``;
- methods of second order: ``z^2 = E z - (1 - E) (3 z - 1) / 2`` has a root beyond -1, so
  ``E = exp(-a) < 1 / 3``. A membrane with a conductance of its own leaves more room.

Exponential Euler weighs the state and what it tends to, so that nothing grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from izhi_models.errors import Diagnostic, InputError
from izhi_models.expr import is_random
from izhi_models.ir.dynamics import TIME_NAME
from izhi_models.ir.evaluate import evaluate_scalar, initial_values
from izhi_models.ir.linearity import Coupling, linear_slope, moving_rates
from izhi_models.network import Network, Population

STABLE = 2.0  # steps of forward Euler in a time constant
_LIMITS = {"euler": 1.0, "exponential_euler": math.inf}
_SECOND_ORDER = math.log(3.0)
_ROUNDING = 1.0 + 1e-9
_TOLD = 3


def check_step(network: Network, step_s: float, method: str) -> None:
    """Raise unless a step suits all compartments.

    Parameters
    ----------
    network : Network
    step_s : float
        [s]
    method : str
        One of `izhi_models.ir.step.METHODS`.

    Raises
    ------
    InputError
        With the longest step that does.
    """
    limit = _LIMITS.get(method, _SECOND_ORDER)
    for population in network.populations.values():
        compartments = population.compartments
        if compartments is None or step_s * compartments.fastest_hz <= limit * _ROUNDING:
            continue
        longest_ms = 1e3 * limit / compartments.fastest_hz
        # Rounded down, so that what the message says will do.
        digits = 2 - math.floor(math.log10(longest_ms))
        shown = math.floor(longest_ms * 10**digits) / 10**digits
        raise InputError(
            Diagnostic(
                f"a step of {step_s * 1e3:g} ms is too long for the compartments of "
                f"'{population.component}'",
                notes=(f"at most {shown:g} ms will do, or divide its cables into fewer parts",),
            )
        )


def time_constants(
    network: Network, population: Population, method: str
) -> Iterator[tuple[str, float]]:
    """Yield the states of a cell that forward Euler relaxes, and how fast at the start.

    Parameters
    ----------
    network : Network
    population : Population
        Of which the first cell stands for all.
    method : str
        One of `izhi_models.ir.step.METHODS`.

    Yields
    ------
    (str, float)
        Name and time constant. [s]
    """
    dynamics = population.dynamics
    relaxes = method.startswith("exponential") or (
        method == "auto" and (bool(dynamics.inflows) or Coupling(dynamics).has_gates)
    )
    if relaxes or any(is_random(item) for item in dynamics.expressions()):
        return
    required = {
        item.name: network.shared[item.name][1]
        for item in dynamics.requirements
        if item.name in network.shared
    }
    values = {name: float(np.ravel(value)[0]) for name, value in population.values.items()}
    start = initial_values(dynamics, {**values, **required}, 1)
    scope = {**values, **required, **{name: float(value[0]) for name, value in start.items()}}
    scope |= {item.name: item.value for item in dynamics.constants} | {TIME_NAME: 0.0}
    derived = {item.name: item for item in dynamics.derived}
    for state, rate in moving_rates(dynamics).items():
        slope = linear_slope(rate, state, derived)
        per_s = 0.0 if slope is None else evaluate_scalar(slope, scope)
        if per_s < 0:
            yield state, -1.0 / per_s


def shorter_step(tau_s: float) -> str:
    """Return what to do about a time constant that is too short.

    Parameters
    ----------
    tau_s : float
        [s]
    """
    return f'try --dt "{tau_s * 1e2:.2g} ms", or --method exponential_midpoint'


def unstable_states(network: Network, step_s: float, method: str) -> Iterator[Diagnostic]:
    """Yield a warning for each component whose states grow where they should relax; a few at most.

    Parameters
    ----------
    network : Network
    step_s : float
        [s]
    method : str
        One of `izhi_models.ir.step.METHODS`.
    """
    first = {item.component: item for item in reversed(network.populations.values())}
    n_told = 0
    for population in reversed(first.values()):
        for state, tau_s in time_constants(network, population, method):
            if step_s > STABLE * tau_s and n_told < _TOLD:
                n_told += 1
                message = (
                    f"a step of {step_s * 1e3:g} ms is too long for '{state}' of "
                    f"'{population.component}', whose time constant is {tau_s * 1e3:.3g} ms: it "
                    "grows where it should relax"
                )
                yield Diagnostic(message, None, (shorter_step(tau_s),), "warning")
