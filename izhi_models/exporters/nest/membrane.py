"""A cell in the words of NEST, and the membrane of a model from which it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from izhi_models.exporters.nest.equations import Equations, Floats
from izhi_models.exporters.nest.firing import Firing, NoModelError
from izhi_models.ir.dynamics import Gather
from izhi_models.units import CURRENT

Value = float | Floats

_NONE: Mapping[str, Value] = MappingProxyType({})
_PRECISION = 1e-7  # of rates: types of users round their constants
_POINTS = 200


@dataclass(frozen=True)
class Trace:
    """How a quantity of the model follows from what NEST records: ``factor * value + offset``.

    Parameters
    ----------
    recordable : str
    factor, offset : array (n,)
    """

    recordable: str
    factor: Floats
    offset: Floats


@dataclass(frozen=True)
class Cell:
    """A cell in the words of NEST.

    Parameters
    ----------
    family : str
        ``leaky``, ``exponential``, ``izhikevich`` or ``traub``.
    parameters : dict of str to array (n,)
        By NEST's name, in its units; of the membrane alone, with initial values.
    membrane : str
        The state that is the membrane potential.
    current : array (n,)
        NEST's pA for 1 of what the cell adds up.
    voltage : array (n,)
        NEST's mV for 1 of the membrane.
    traces : dict of str to Trace
        What can be recorded, by state.
    gather : Gather or None
        What arrives.
    sends : bool
    noise : array (n,) or None
        Standard deviation of a current that is drawn anew in each ms. [pA]
    """

    family: str
    parameters: dict[str, Floats]
    membrane: str
    current: Floats
    voltage: Floats
    traces: dict[str, Trace]
    gather: Gather | None
    sends: bool = True
    noise: Floats | None = None


@dataclass
class Membrane:
    """The rate of the membrane potential in mV and ms, by the other states and the current.

    Parameters
    ----------
    equations : Equations
    state : str
    gather : Gather or None
        What arrives.
    dimension : Dimension
        Of the state.
    """

    equations: Equations
    state: str
    gather: Gather | None
    is_voltage: bool
    noise: dict[str, tuple[Floats, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.per_mv = 1e-3 if self.is_voltage else 1.0
        is_current = self.gather is not None and self.gather.dimension == CURRENT
        self.per_pa = 1e-12 if is_current else 1.0

    @property
    def others(self) -> list[str]:
        """The other states."""
        return [name for name in self.equations.states if name != self.state]

    def known(self, v: Value, current: float, others: Mapping[str, Value]) -> dict[str, Value]:
        """Return what expressions read, in SI, from mV and pA."""
        found: dict[str, Value] = dict.fromkeys([*self.others, *self.noise], 0.0)
        found |= {self.state: v * self.per_mv, **others}
        if self.gather is not None:
            found[self.gather.name] = current * self.per_pa
        return found

    def slope(self, v: Value, current: float = 0.0, others: Mapping[str, Value] = _NONE) -> Floats:
        """Return the rate in mV/ms, at mV and pA; other states are SI, and 0 if left out."""
        known = self.known(v, current, others)
        return self.equations.rate(self.state, known) * 1e-3 / self.per_mv

    def rate(
        self, state: str, v: Value, others: Mapping[str, Value] = _NONE, current: float = 0.0
    ) -> Floats:
        """Return the rate of another state, of SI units in a ms."""
        return self.equations.rate(state, self.known(v, current, others)) * 1e-3

    def capacitance(self) -> Floats:
        """Return the capacitance in pF for which what arrives is a current in pA."""
        if self.gather is None:
            return np.ones(self.equations.n)
        gain = self.slope(-70.0, 1.0) - self.slope(-70.0)
        if not np.all(gain > 0.0):
            raise NoModelError(f"what arrives does not add to the rate of '{self.state}'")
        return 1.0 / gain if self.gather.dimension == CURRENT else np.ones(self.equations.n)

    def current(self, capacitance: Floats) -> Floats:
        """Return NEST's pA for 1 of what arrives."""
        if self.gather is None:
            return np.ones(self.equations.n)
        return (self.slope(-70.0, 1.0) - self.slope(-70.0)) * capacitance / self.per_pa


def cell_of(
    family: str,
    parameters: dict[str, Floats],
    membrane: Membrane,
    current: Floats,
    firing: Firing | None,
    traces: Mapping[str, Trace] | None = None,
) -> Cell:
    """Return a cell of which V is the membrane itself.

    Parameters
    ----------
    family : str
    parameters : dict of str to array (n,)
    membrane : Membrane
    current : array (n,)
        NEST's pA for 1 of what arrives.
    firing : Firing or None
    traces : mapping of str to Trace, optional
        Of other states.
    """
    n = membrane.equations.n
    own = Trace("V_m", np.full(n, membrane.per_mv), np.zeros(n))
    return Cell(
        family,
        parameters,
        membrane.state,
        current,
        np.full(n, 1.0 / membrane.per_mv),
        {membrane.state: own, **(traces or {})},
        membrane.gather,
        firing is not None,
    )


def points(membrane: Membrane) -> Iterator[tuple[Floats, float, dict[str, Floats]]]:
    """Yield states at which rates are compared: voltages [mV], currents [pA], and other states.

    Parameters
    ----------
    membrane : Membrane
    """
    draw = np.random.default_rng(1)
    n = membrane.equations.n
    for _ in range(_POINTS):
        others = {name: np.full(n, draw.uniform(0.0, 1.0)) for name in membrane.others}
        current = draw.uniform(-500.0, 500.0) if membrane.gather is not None else 0.0
        yield np.full(n, draw.uniform(-150.0, 60.0)), current, others


def same(pairs: Iterable[tuple[Floats, Floats]]) -> bool:
    """Return whether rates are the same at each of many states.

    Parameters
    ----------
    pairs : iterable of (array (n,), array (n,))
    """
    found, expected = (np.array(item) for item in zip(*pairs, strict=True))
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return False
    largest = np.maximum(np.abs(found), np.abs(expected))
    # Where the terms of a rate cancel, rounding is all that is left.
    allowed = _PRECISION * largest + 1e-10 * np.median(largest)
    return bool(np.all(np.abs(found - expected) <= allowed))
