"""Whether another simulator gives the same spikes as the compiled code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from izhi_models.errors import CheckError, Diagnostic
from izhi_models.results import Results

# Methods differ from simulator to simulator, and so by some steps does the time of a spike; that
# adds up over a train. Beyond it, the networks are not the same.
TOLERANCE_S = 1.5e-3
DRIFT = 0.01


@dataclass(frozen=True)
class Agreement:
    """How well the spikes of a population agree.

    Parameters
    ----------
    population : str
    count : int
        Spikes.
    farthest_s : float
        The greatest difference of two times. [s]
    """

    population: str
    count: int
    farthest_s: float

    def __str__(self) -> str:
        return f"{self.population}: {self.count} spikes, at most {self.farthest_s * 1e3:.3g} ms off"


def agreements(own: Results, other: Results, name: str) -> Iterator[Agreement]:
    """Yield how well the spikes of each population agree.

    Parameters
    ----------
    own, other : Results
        Of the compiled code, and of another simulator.
    name : str
        Of that simulator.

    Raises
    ------
    CheckError
        With the first cell whose spikes differ in number, or by more than 1.5 ms and 1 % of the
        time at which they come.
    """
    for population, trains in own.spikes.items():
        farthest = 0.0
        for cell in range(trains.n_neurons):
            expected, found = trains.of(cell), other.spikes[population].of(cell)
            n = min(expected.size, found.size)
            off = np.abs(found[:n] - expected[:n])
            wrong = np.flatnonzero(off > TOLERANCE_S + DRIFT * expected[:n])
            where = f"{population}[{cell}]"
            if wrong.size:
                first = int(wrong[0])
                raise _differs(
                    f"{where}: spike {first} is at {found[first] * 1e3:.6g} ms in {name}, "
                    f"expected {expected[first] * 1e3:.6g} ms within "
                    f"{(TOLERANCE_S + DRIFT * expected[first]) * 1e3:.3g} ms"
                )
            if expected.size != found.size:
                raise _differs(
                    f"{where} sends {found.size} spikes in {name}, expected {expected.size}"
                )
            farthest = max(farthest, float(off.max(initial=0.0)))
        yield Agreement(population, trains.count, farthest)


def _differs(message: str) -> CheckError:
    return CheckError(Diagnostic(message, notes=("nothing was written",)))
