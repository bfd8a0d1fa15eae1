"""Dimensions, units and quantities of LEMS, and the unit system of simulations.

A dimension is seven integer exponents. A unit maps a number to SI by
``(value + offset) * scale * 10**power`` (LEMS, element Unit). Simulations use a consistent
system (ms, mV, pA, nS, pF, um, mM) whose scales are powers of ten per base dimension, so that
equations carry over unchanged and only values are scaled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, suggest

_Float = TypeVar("_Float", np.float32, np.float64)


class Dimension(NamedTuple):
    """Exponents of mass, length, time, current, temperature, substance, luminous intensity.

    Source: LEMS, element Dimension, attributes m, l, t, i, k, n, j.
    """

    m: int = 0
    l: int = 0  # noqa: E741  spelt as LEMS spells it
    t: int = 0
    i: int = 0
    k: int = 0
    n: int = 0
    j: int = 0

    def times(self, other: Dimension) -> Dimension:
        """Return the dimension of a product."""
        return Dimension(*(a + b for a, b in zip(self, other, strict=True)))

    def over(self, other: Dimension) -> Dimension:
        """Return the dimension of a quotient."""
        return Dimension(*(a - b for a, b in zip(self, other, strict=True)))

    def power(self, exponent: int) -> Dimension:
        """Return the dimension of an integer power."""
        return Dimension(*(a * exponent for a in self))

    def __str__(self) -> str:
        base = ("kg", "m", "s", "A", "K", "mol", "cd")
        parts = [
            symbol if exponent == 1 else f"{symbol}^{exponent}"
            for symbol, exponent in zip(base, self, strict=True)
            if exponent
        ]
        return " ".join(parts) or "1"


NONE = Dimension()
TIME = Dimension(t=1)
PER_TIME = Dimension(t=-1)
VOLTAGE = Dimension(m=1, l=2, t=-3, i=-1)
CURRENT = Dimension(i=1)


@dataclass(frozen=True)
class Unit:
    """A unit of measurement.

    Parameters
    ----------
    symbol : str
    dimension : Dimension
    power : int
        Power of ten to SI.
    scale : Decimal
        Further factor to SI, exactly as written.
    offset : Decimal
        Added to the number before it is scaled.
    """

    symbol: str
    dimension: Dimension
    power: int = 0
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)

    def to_si(self, number: str) -> float:
        """Return the SI value of a decimal number in this unit, rounded once."""
        if self.scale == 1 and not self.offset and "e" not in number and "E" not in number:
            return float(f"{number}e{self.power}")
        try:
            return float((Decimal(number) + self.offset) * self.scale.scaleb(self.power))
        except DecimalException:
            return np.inf

    def text_of(self, value: float) -> str:
        """Return an SI value as a quantity in this unit.

        It reads back as the same value, unless the factor of the unit is no power of ten.
        """
        number = Decimal(repr(value)) / self.scale.scaleb(self.power) - self.offset
        return f"{number.normalize():f} {self.symbol}"


QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


@dataclass(frozen=True)
class Quantity:
    """A number with its dimension.

    Parameters
    ----------
    value : float
        In SI.
    dimension : Dimension
    symbol : str
        The unit as it was written; empty for a bare number.
    """

    value: float
    dimension: Dimension
    symbol: str = ""


def parse_quantity(text: str, units: Mapping[str, Unit]) -> Quantity:
    """Parse text such as ``-65 mV``, ``10ms`` or ``0.02``.

    Parameters
    ----------
    text : str
    units : mapping of str to Unit
        Unit symbols, case-sensitive.

    Raises
    ------
    InputError
        If the text is no number, or the unit is not known.
    """
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(
            Diagnostic(f"'{text}' is no quantity", notes=("write a number and a unit: -65 mV",))
        )
    number, symbol = match.groups()
    if not symbol:
        return Quantity(_finite(float(number), text), NONE)
    unit = units.get(symbol)
    if unit is None:
        # MICRO SIGN and GREEK SMALL LETTER MU
        plain = symbol.replace("\u00b5", "u").replace("\u03bc", "u")
        hint = ("write a decimal point: 1.5",) if symbol.startswith(",") else suggest(plain, units)
        raise InputError(Diagnostic(f"unknown unit '{symbol}'", notes=hint))
    return Quantity(_finite(unit.to_si(number), text), unit.dimension, symbol)


def _finite(value: float, text: str) -> float:
    if not np.isfinite(value):
        raise InputError(Diagnostic(f"'{text}' is beyond what a number can hold"))
    return value


# Powers of ten of the simulation system per base dimension. Time, voltage, current and length
# are chosen (ms, mV, pA, um); concentration in mol/m3 fixes substance, voltage fixes mass.
_SIMULATION_POWERS = Dimension(m=-12, l=-6, t=-3, i=-12, k=0, n=-18, j=0)


def simulation_power(dimension: Dimension) -> int:
    """Return p such that one simulation unit of `dimension` is ``10**p`` SI units."""
    return sum(a * b for a, b in zip(dimension, _SIMULATION_POWERS, strict=True))


def to_simulation(value: float, dimension: Dimension) -> float:
    """Convert an SI value to simulation units.

    The shortest decimal of the value is shifted, so that 22 ms, kept as 0.022 s, is 22.0 again.
    """
    if value == 0.0 or not np.isfinite(value):
        return value
    return float(Decimal(repr(float(value))).scaleb(-simulation_power(dimension)))


def to_simulation_array(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], dimension: Dimension
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Convert an array of SI values to simulation units.

    As `to_simulation` for decimals of up to 15 digits; others may differ in the last place.
    """
    power = simulation_power(dimension)
    if power == 0:
        return values
    scaled = values / 10.0**power if power >= 0 else values * 10.0**-power
    size = np.abs(scaled)
    # Outside of this range, the powers of ten below are not exact.
    usual = (size > 1e-7) & (size < 1e14)
    digits = 10.0 ** (14 - np.floor(np.log10(np.where(usual, size, 1.0))))
    decimal = np.rint(np.where(usual, scaled, 0.0) * digits) / digits
    return np.where(usual & (np.abs(decimal - scaled) <= 4e-16 * size), decimal, scaled)


def from_simulation(values: NDArray[_Float], dimension: Dimension) -> NDArray[_Float]:
    """Convert an array in simulation units to SI, in its own precision."""
    power = simulation_power(dimension)
    # Powers of ten with a positive exponent are exact in binary; their inverses are not.
    return values * 10.0**power if power >= 0 else values / 10.0**-power


# What people read, per dimension: the symbol, and the power of ten of one such unit in SI.
_DISPLAY: dict[Dimension, tuple[str, int]] = {
    NONE: ("", 0),
    TIME: ("ms", -3),
    PER_TIME: ("Hz", 0),
    VOLTAGE: ("mV", -3),
    CURRENT: ("pA", -12),
    Dimension(m=-1, l=-2, t=3, i=2): ("nS", -9),
    Dimension(m=-1, l=-2, t=4, i=2): ("pF", -12),
    Dimension(m=1, l=2, t=-3, i=-2): ("MOhm", 6),
    Dimension(l=1): ("um", -6),
    Dimension(l=-3, n=1): ("mM", 0),
    Dimension(k=1): ("K", 0),
    Dimension(i=1, l=-2): ("uA/cm2", -2),
    Dimension(m=-1, l=-4, t=3, i=2): ("mS/cm2", 1),
    Dimension(m=-1, l=-4, t=4, i=2): ("uF/cm2", -2),
    Dimension(m=-2, l=-4, t=6, i=3): ("nS/mV", -6),
    Dimension(i=1, t=1): ("pC", -12),
    Dimension(l=2): ("um2", -12),
}


def display_unit(dimension: Dimension) -> tuple[str, float]:
    """Return the symbol of the unit shown to people, and its size in SI.

    A dimension without a unit of its own is shown in SI base units.
    """
    symbol, power = _DISPLAY.get(dimension, (str(dimension), 0))
    return symbol, float(f"1e{power}")


def simulation_unit(dimension: Dimension) -> str:
    """Return the name of the simulation unit of a dimension; empty for bare numbers."""
    symbol, power = _DISPLAY.get(dimension, (str(dimension), 0))
    missing = simulation_power(dimension) - power
    return symbol if missing == 0 else f"1e{missing} {symbol}".strip()
