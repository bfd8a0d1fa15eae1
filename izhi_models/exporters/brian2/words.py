"""The words and units of Brian2 scripts: identifiers for names of a model, texts for quantities."""

from __future__ import annotations

import builtins
import itertools
import keyword
import math
import re
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from izhi_models.units import NONE, Dimension

# Names of units: a prefix, a unit and an exponent.
_PREFIXES = ("", "y", "z", "a", "f", "p", "n", "u", "m", "c", "d", "da", "h", "k", *"MGTPEZY")
_LONG = (
    "meter", "metre", "second", "amp", "ampere", "kelvin", "mole", "mol", "candle", "gram",
    "gramme", "kilogram", "kilogramme", "radian", "steradian", "hertz", "newton", "pascal",
    "joule", "watt", "coulomb", "volt", "farad", "ohm", "siemens", "weber", "tesla", "henry",
    "lumen", "lux", "becquerel", "gray", "sievert", "katal", "liter", "litre", "molar", "celsius",
)  # fmt: skip
_SHORT = ("V", "A", "s", "S", "F", "Hz", "M", "ohm", "m", "g")
_UNITS = frozenset(
    f"{prefix}{unit}{exponent}"
    for prefix, unit, exponent in itertools.product(_PREFIXES, (*_LONG, *_SHORT), ("", "2", "3"))
    if prefix or unit in (*_LONG, "Hz")
)
# What equations, groups and generated code call things.
_WORDS = frozenset({
    "t", "dt", "i", "j", "N", "N_pre", "N_post", "N_incoming", "N_outgoing", "t_in_timesteps",
    "lastspike", "not_refractory", "xi", "weight", "where", "t_end", "rand", "randn", "poisson",
    "int", "abs", "ceil", "floor", "clip", "sign", "exp", "log", "log10", "log1p", "expm1",
    "exprel", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan",
    "timestep", "choose", "factorial", "pi", "e", "inf", "True", "False", "constant", "shared",
    "linked", "active", "add_attribute", "check_units", "clock", "codeobj", "connect",
    "equations", "event_codes", "events", "get_states", "group", "id", "indices", "name",
    "namespace", "order", "record", "refractory", "reinit", "resetter", "resize", "run", "runner",
    "set_states", "source", "spikes", "start", "state", "state_updater", "stop",
    "subexpression_updater", "summed_updaters", "target", "template", "thresholder", "updaters",
    "variables", "when", "method", "dtype", "multisynaptic_index", "pre", "post", "idx", "x_ns",
    "double", "float", "bool", "char", "long", "short", "signed", "unsigned", "void", "auto",
    "register", "static", "struct", "switch", "typedef", "union", "volatile", "const", "default",
    "do", "goto", "enum", "extern", "sizeof", "inline", "typename", "this", "new", "delete",
    "operator", "private", "public", "protected", "virtual", "friend", "using", "throw", "try",
    "catch", "cdef", "cpdef", "cimport", "include", "ctypedef", "nogil", "DEF", "numpy", "np",
    "constants", "gamma", "y0", "y1", "j0", "j1", "jn", "yn", "N_incoming_post", "N_outgoing_pre",
    "add_dependency", "add_to_magic_network", "after_run", "assign_id", "before_run",
    "check_variable_write", "code_objects", "codeobj_class", "contained_objects",
    "custom_operation", "default_event", "event_driven", "invalidates_magic_network",
    "method_choice", "register_variable", "resolve_all", "run_on_event", "run_regularly",
    "set_event_schedule", "unregister_variable", "user_equations", "verify_dependencies",
})  # fmt: skip


class Identifiers:
    """Gives each name an identifier that no other has and that Brian2 has no use for.

    Parameters
    ----------
    taken : iterable of str
        Identifiers that are in use already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def make(self, name: str) -> str:
        """Return a new identifier that resembles a name.

        Parameters
        ----------
        name : str
            Any text.
        """
        text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60].strip("_")
        if not text[:1].isalpha():
            text = f"x{text}"
        candidates = itertools.chain(
            [text, text.swapcase()] if len(text) == 1 else [text],
            (f"{text}_{number}" for number in itertools.count(2)),
        )
        found = next(item for item in candidates if not self._is_used(item))
        self._taken.add(found)
        return found

    def _is_used(self, text: str) -> bool:
        return (
            text in self._taken
            or is_reserved(text)
            or text.endswith(("_pre", "_post"))
            or text.startswith(("xi_", "draw_"))
        )


def is_reserved(text: str) -> bool:
    """Return whether Brian2, or code that it generates, gives a word a meaning of its own."""
    words = (_WORDS, _UNITS, keyword.kwlist, vars(builtins))
    return any(text in item for item in words)


# Units: exponents of a named one, and of the simple ones that make up the rest.
_NAMED: tuple[tuple[str, str, int, Dimension], ...] = (
    ("volt", "mV", -3, Dimension(m=1, l=2, t=-3, i=-1)),
    ("amp", "pA", -12, Dimension(i=1)),
    ("siemens", "nS", -9, Dimension(m=-1, l=-2, t=3, i=2)),
    ("farad", "pF", -12, Dimension(m=-1, l=-2, t=4, i=2)),
    ("ohm", "Mohm", 6, Dimension(m=1, l=2, t=-3, i=-2)),
    ("coulomb", "pcoulomb", -12, Dimension(i=1, t=1)),
)
_SIMPLE: tuple[tuple[str, str, int, Dimension], ...] = (
    ("mole", "mole", 0, Dimension(n=1)),
    ("metre", "um", -6, Dimension(l=1)),
    ("second", "ms", -3, Dimension(t=1)),
    ("kelvin", "kelvin", 0, Dimension(k=1)),
    ("kilogram", "kilogram", 0, Dimension(m=1)),
    ("amp", "pA", -12, Dimension(i=1)),
    ("candle", "candle", 0, Dimension(j=1)),
)
# What is read more easily than what `_parts` finds.
_COMMON: dict[Dimension, tuple[str, int]] = {
    Dimension(t=-1): ("Hz", 0),
    Dimension(l=-3, n=1): ("mM", 0),
    Dimension(i=1, l=-2): ("uA/cm2", -2),
    Dimension(m=-1, l=-4, t=3, i=2): ("mS/cm2", 1),
    Dimension(m=-1, l=-4, t=4, i=2): ("uF/cm2", -2),
}
_BASE: dict[Dimension, str] = {NONE: "1", Dimension(t=-1): "hertz", Dimension(l=-3, n=1): "mmolar"}

_SIZES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}
# The short names that equations may have.
_ABBREVIATED = {
    f"{prefix}{long}": f"{prefix}{short}"
    for long, short, prefixes in (
        ("volt", "V", "m"), ("amp", "A", "munp"), ("farad", "F", "unp"), ("siemens", "S", "mun"),
        ("second", "s", "mu"), ("metre", "m", "mu"),
    )
    for prefix in prefixes
}  # fmt: skip

_Part = tuple[tuple[str, str, int, Dimension], int]


def _parts(dimension: Dimension) -> list[_Part]:
    """Return units and their exponents, as few of them as possible."""
    signed: list[_Part] = [(item, exponent) for item in _NAMED for exponent in (1, -1)]
    choices: list[list[_Part]] = [[], *([item] for item in signed)]
    choices += [[first, second] for first in signed[::2] for second in signed[1::2]]
    return min((_completed(parts, dimension) for parts in choices), key=_length)


def _completed(parts: list[_Part], dimension: Dimension) -> list[_Part]:
    for item, exponent in parts:
        dimension = dimension.over(item[3].power(exponent))
    return [*parts, *_rest(dimension)]


def _length(parts: list[_Part]) -> tuple[int, int]:
    below = sum(exponent < 0 for _, exponent in parts)
    return sum(1 + abs(exponent) for _, exponent in parts), below


def _rest(dimension: Dimension) -> list[_Part]:
    found = []
    for item in _SIMPLE:
        place = next(number for number, exponent in enumerate(item[3]) if exponent)
        if dimension[place]:
            found.append((item, dimension[place]))
    return found


def _joined(parts: Iterable[tuple[str, int]]) -> str:
    """Return a product of powers, such as ``nS/mV``."""
    above: list[str] = []
    below: list[str] = []
    for name, exponent in parts:
        text = name if abs(exponent) == 1 else f"{name}**{abs(exponent)}"
        (above if exponent > 0 else below).append(text)
    return "*".join(above) + "".join(f"/{item}" for item in below)


def base_unit(dimension: Dimension) -> str:
    """Return the SI unit of a dimension as equations declare it: ``volt``, ``1``."""
    if dimension in _BASE:
        return _BASE[dimension]
    text = _joined((item[0], exponent) for item, exponent in _parts(dimension))
    return text if text[0] != "/" else f"1{text}"


def quantity(value: float, dimension: Dimension) -> str:
    """Return an SI value as Python: ``-65*mV``, ``0.2/ms``."""
    text, power = _unit(dimension)
    number = _number(value, power)
    if not text:
        return number
    return f"{number}{text}" if text[0] == "/" else f"{number}*{text}"


def quantities(values: NDArray[np.float64], dimension: Dimension) -> str:
    """Return SI values as a Python list with a unit."""
    text, power = _unit(dimension)
    numbers = ", ".join(_number(value, power) for value in values.tolist())
    if not text:
        return f"[{numbers}]"
    return f"[{numbers}]{text}" if text[0] == "/" else f"[{numbers}]*{text}"


def one_unit(value: float, dimension: Dimension) -> str | None:
    """Return the name of the unit of which a value is exactly one: ``mV`` for 0.001 V."""
    unit = next((item[0] for item in (*_NAMED, *_SIMPLE[1:3]) if item[3] == dimension), None)
    prefix = next((text for text, size in _SIZES.items() if size == value), None)
    if unit is None or prefix is None:
        return None
    return _ABBREVIATED.get(f"{prefix}{unit}", f"{prefix}{unit}")


def is_unit(text: str) -> bool:
    """Return whether a word is the name of a unit."""
    return text in _UNITS


def _unit(dimension: Dimension) -> tuple[str, int]:
    if dimension == NONE:
        return "", 0
    if dimension in _COMMON:
        return _COMMON[dimension]
    parts = _parts(dimension)
    power = sum(item[2] * exponent for item, exponent in parts)
    return _joined((item[1], exponent) for item, exponent in parts), power


def _number(value: float, power: int) -> str:
    """Return the shortest decimal of a value, shifted: 22 ms, kept as 0.022 s, is 22 again."""
    if not math.isfinite(value):
        return f'float("{value}")'
    shifted = float(Decimal(repr(float(value))).scaleb(-power))
    return str(int(shifted)) if shifted.is_integer() and abs(shifted) < 1e9 else repr(shifted)
