"""How long a step may be, so that the current along cells of several compartments stays stable.

Neighbours are read at the start of a step, half a step ahead in methods of second order. What
oscillates first is the mode in which neighbours have opposite signs. With ``a`` the step times the
sum of a compartment's axial conductances over its capacitance it grows if

- Euler: ``1 - 2 a < -1``, so ``a > 1``;
- methods of second order: ``z^2 = E z - (1 - E) (3 z - 1) / 2`` has a root beyond -1, so
  ``E = exp(-a) < 1 / 3``. A membrane with a conductance of its own leaves more room.

Exponential Euler weighs the state and what it tends to, so that nothing grows.
"""

from __future__ import annotations

import math

from izhi_models.errors import Diagnostic, InputError
from izhi_models.network import Network

_LIMITS = {"euler": 1.0, "exponential_euler": math.inf}
_SECOND_ORDER = math.log(3.0)
_ROUNDING = 1.0 + 1e-9


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
