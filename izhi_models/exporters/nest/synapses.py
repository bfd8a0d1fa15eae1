"""What an event adds to a cell, as the conductances and currents that NEST's models have.

A synapse whose sum over connections obeys one linear dynamics, which is proved elsewhere, answers
an event with decaying exponentials: one alone is NEST's ``exp``, the difference of two with the
same reversal potential its ``beta``, and t exp(-t/tau) its ``alpha``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from izhi_models.exporters.nest.equations import Equations, equations_of
from izhi_models.exporters.nest.firing import NoModelError
from izhi_models.expr import ONE, Name, Number, fold, names
from izhi_models.ir.aggregate import Aggregate, NotAggregable, aggregate
from izhi_models.ir.dynamics import TIME_NAME, Dynamics, OnEvent
from izhi_models.ir.evaluate import initial_values
from izhi_models.network import WEIGHT, Values

_PRECISION = 1e-9
_SAME_E = 1e-6  # how well the e of an alpha function is written


@dataclass(frozen=True)
class Kernel:
    """What an event of weight 1 adds, which has one peak or one jump.

    Parameters
    ----------
    shape : str
        ``exp``, ``alpha``, ``beta``.
    tau_ms : float
        Of the decay. [ms]
    rise_ms : float
        Of the rise; that of the decay if there is none. [ms]
    reversal : float or None
        Where a conductance has no current, in the unit of the membrane; None for a current. [SI]
    size : float
        The peak: of the current, or of its slope over the membrane. [SI]
    """

    shape: str
    tau_ms: float
    rise_ms: float
    reversal: float | None
    size: float

    @property
    def receptor(self) -> Kernel:
        """What its kind has in common: all but the size."""
        return replace(self, size=1.0)


@dataclass(frozen=True)
class Plasticity:
    """Short-term plasticity of each connection. Source: Tsodyks, Pawelzik and Markram (1998).

    Parameters
    ----------
    release : float
        Of the first event.
    recovery_ms, facilitation_ms : float
        The second is 0 where nothing facilitates. [ms]
    """

    release: float
    recovery_ms: float
    facilitation_ms: float


@dataclass(frozen=True)
class Synapse:
    """What an event does, with or without plasticity.

    Parameters
    ----------
    kernels : tuple of Kernel
    is_weighted : bool
        Whether it does that times the weight of its connection, which not all synapses read.
    plasticity : Plasticity or None
    """

    kernels: tuple[Kernel, ...]
    is_weighted: bool
    plasticity: Plasticity | None = None


def read_synapse(dynamics: Dynamics, values: Values, exposure: str, voltage: str = "v") -> Synapse:
    """Return what an event through a synapse adds to its cell.

    Parameters
    ----------
    dynamics : Dynamics
        Flat.
    values : dict of str to float
        [SI]
    exposure : str
        What the cell adds up.
    voltage : str
        The requirement that is the membrane potential.

    Raises
    ------
    NoModelError
        If NEST has no such synapse.
    """
    plain, plasticity = _without_plasticity(dynamics, values)
    summed = aggregate(plain, frozenset({WEIGHT}), frozenset({exposure}))
    if isinstance(summed, NotAggregable):
        raise NoModelError("; ".join(summed.reasons))
    if others := {item.name for item in summed.dynamics.requirements} - {voltage}:
        raise NoModelError(f"it reads '{min(others)}' of the cell")
    if any(item.weight not in (ONE, Name(WEIGHT)) for item in summed.arrivals):
        raise NoModelError("what an event does is not proportional to its weight")
    if len({item.weight for item in summed.arrivals}) > 1:
        raise NoModelError("the weight scales a part only of what an event does")
    is_weighted = any(item.weight != ONE for item in summed.arrivals)
    return Synapse(_kernels(summed, values, exposure, voltage), is_weighted, plasticity)


def _without_plasticity(dynamics: Dynamics, values: Values) -> tuple[Dynamics, Plasticity | None]:
    """Separate the mechanism that scales each event of a connection.

    Told by its equations: R and U recover, and an event makes R into R (1 - U), and U into
    U + release (1 - U), after it has been scaled by R U.
    """
    factors = [
        item.name
        for item in dynamics.derived
        if item.name.endswith("/plasticityFactor") and not isinstance(fold(item.value), Number)
    ]
    if len(factors) != 1:
        return dynamics, None
    (factor,) = factors
    place = factor.rpartition("/")[0]
    own = replace(
        dynamics,
        on_events=tuple(
            _relayed(item, place) for item in dynamics.on_events if "/" not in item.port
        ),
        out_ports=(),
    )
    found = _mechanism(own, values, factor, place)
    rest = replace(
        dynamics,
        derived=tuple(
            replace(item, value=ONE) if item.name == factor else item for item in dynamics.derived
        ),
        on_events=tuple(
            replace(
                item,
                assignments=tuple(
                    a for a in item.assignments if not a.state.startswith(f"{place}/")
                ),
            )
            for item in dynamics.on_events
            if not item.port.startswith(f"{place}/")
        ),
    )
    return rest, found


def _relayed(block: OnEvent, place: str) -> OnEvent:
    """Return what an event does to the mechanism to which the synapse relays it, at the end."""
    own = tuple(item for item in block.assignments if item.state.startswith(f"{place}/"))
    if own != block.assignments[len(block.assignments) - len(own) :]:
        raise NoModelError("its plasticity changes before it scales the event")
    return replace(block, assignments=own)


def _mechanism(own: Dynamics, values: Values, factor: str, place: str) -> Plasticity:
    equations = equations_of(own, values, 1, keep=frozenset({factor}))
    r, u = f"{place}/R", f"{place}/U"
    first = {f"{place}/{name}": values.get(f"{place}/{name}", 0.0) for name in _MECHANISM}
    release, recovery, facilitation = first.values()
    needed = {item.name: 0.0 for item in own.requirements}
    start = initial_values(own, {**needed, **values}, 1, 0)
    expected = Plasticity(float(release), float(recovery) * 1e3, float(facilitation) * 1e3)
    refusal = NoModelError("its plasticity is not that of Tsodyks, Pawelzik and Markram (1998)")
    if len(equations.on_events) != 1 or not equations.states or {*equations.states} - {r, u}:
        raise refusal
    if not expected.recovery_ms > 0.0 or (u in equations.states and not facilitation > 0.0):
        raise NoModelError("its plasticity has a time constant that is not above 0")
    if any(start[state][0] != {r: 1.0, u: release}[state] for state in equations.states):
        raise refusal
    draw = np.random.default_rng(2)
    for _ in range(20):
        now = {r: draw.uniform(), u: draw.uniform()}
        if u not in equations.states:
            now[u] = expected.release
        new = equations.done(equations.on_events[0].assignments, now)
        wanted = {
            factor: now[r] * now[u],
            "R after": now[r] * (1.0 - now[u]),
            "R": (1.0 - now[r]) / expected.recovery_ms * 1e3,
        }
        found = {
            factor: equations.at(equations.shown[factor], now),
            "R after": new[r],
            "R": equations.rate(r, now),
        }
        if u in equations.states:
            wanted |= {
                "U after": now[u] + expected.release * (1.0 - now[u]),
                "U": (expected.release - now[u]) / expected.facilitation_ms * 1e3,
            }
            found |= {"U after": new[u], "U": equations.rate(u, now)}
        if not all(np.allclose(found[key], wanted[key], rtol=_PRECISION) for key in wanted):
            raise refusal
    return expected


_MECHANISM = ("initReleaseProb", "tauRec", "tauFac")


# Decaying exponentials


@dataclass(frozen=True)
class _Mode:
    """A part of the answer: amplitude exp(-t / tau), or amplitude e t / tau exp(-t / tau)."""

    tau_ms: float
    constant: float  # current that does not depend on the membrane
    slope: float  # and by how much it falls with it
    is_alpha: bool = False


def _kernels(summed: Aggregate, values: Values, exposure: str, voltage: str) -> tuple[Kernel, ...]:
    arrivals = {item.name for item in summed.arrivals}
    known: Values = {name: value for name, value in values.items() if name not in arrivals}
    equations = equations_of(summed.dynamics, known, 1, keep=frozenset({exposure}))
    shown = equations.shown.get(summed.dynamics.exposed(exposure) or exposure)
    if shown is None and exposure in equations.states:
        shown = Name(exposure)
    if shown is None or equations.conditions:
        raise NoModelError("conditions decide about its current")
    effects = (item.value for block in equations.on_events for item in block.assignments)
    if any(TIME_NAME in names(expr) for expr in (shown, *equations.rates.values(), *effects)):
        raise NoModelError("what an event does depends on the time")
    modes = _modes(equations, shown, arrivals, voltage)
    return tuple(kernel for group in _grouped(modes) for kernel in _shapes(group))


def _modes(
    equations: Equations, shown: Name | object, arrivals: set[str], voltage: str
) -> list[_Mode]:
    states = equations.states
    if not states:
        raise NoModelError("no event changes its current")
    zero: Mapping[str, float] = dict.fromkeys([*states, voltage, "t", *arrivals], 0.0)

    def rates(point: Mapping[str, float]) -> np.ndarray:
        return np.array([float(equations.rate(name, {**zero, **point})[0]) for name in states])

    def current(point: Mapping[str, float]) -> float:
        return float(equations.at(shown, {**zero, **point})[0])  # type: ignore[arg-type]

    matrix = np.array([rates({name: 1.0}) for name in states]).T
    for v in (-0.07, -70.0, 0.03):
        again = np.array([rates({name: 1.0, voltage: v}) for name in states]).T
        if not np.allclose(again, matrix, rtol=_PRECISION, atol=0.0):
            raise NoModelError(f"its time course depends on '{voltage}'")
        expected = [
            current({name: 1.0}) + v * (current({name: 1.0, voltage: 1.0}) - current({name: 1.0}))
            for name in states
        ]
        found = [current({name: 1.0, voltage: v}) for name in states]
        if not np.allclose(found, expected, rtol=1e-6, atol=0.0):
            raise NoModelError(f"its current is no straight line over '{voltage}', it is blocked")
    jumps = np.zeros(len(states))
    if not np.isfinite(matrix).all():
        raise NoModelError("the rates of its states are not finite")
    for block in equations.on_events:
        jumps += np.array(
            [
                float(equations.done(block.assignments, {**zero, **dict.fromkeys(arrivals, 1.0)})
                      [name][0])
                for name in states
            ]
        )  # fmt: skip
    constant = np.array([current({name: 1.0}) for name in states])
    slope = constant - np.array([current({name: 1.0, voltage: 1.0}) for name in states])
    if not np.isfinite([jumps, constant, slope]).all():
        raise NoModelError("what an event does is not finite, as for a rise as slow as the decay")
    modes: list[_Mode] = []
    for own in _blocks(matrix):
        modes += _block_modes(matrix[np.ix_(own, own)], jumps[own], constant[own], slope[own])
    return modes


def _blocks(matrix: np.ndarray) -> list[list[int]]:
    """Return groups of states that move each other."""
    linked = (matrix != 0.0) | (matrix.T != 0.0)
    rest, found = set(range(len(matrix))), []
    while rest:
        group = {min(rest)}
        while grown := {int(k) for k in np.flatnonzero(linked[list(group)].any(axis=0))} - group:
            group |= grown
        found.append(sorted(group))
        rest -= group
    return found


def _block_modes(
    matrix: np.ndarray, jumps: np.ndarray, constant: np.ndarray, slope: np.ndarray
) -> list[_Mode]:
    """Return the exponentials in the answer of states that move each other."""
    rates = np.diag(matrix)
    is_chain = len(matrix) == 2 and 0.0 in (matrix[0, 1], matrix[1, 0])
    if is_chain and np.isclose(rates[0], rates[1], rtol=_PRECISION):
        driven = 0 if matrix[0, 1] else 1
        source = 1 - driven
        if constant[source] or slope[source] or jumps[driven] or not jumps[source]:
            raise NoModelError("its answer to an event is no alpha function")
        tau = -1.0 / rates[driven]
        peak = matrix[driven, source] * jumps[source] * tau / np.e
        if np.isclose(matrix[driven, source] * tau, np.e, rtol=_SAME_E):
            peak = jumps[source]  # as it is meant, whatever the digits of e
        amplitudes = float(constant[driven] * peak), float(slope[driven] * peak)
        return [_Mode(float(tau) * 1e3, *amplitudes, is_alpha=True)]
    values, vectors = np.linalg.eig(matrix)
    if np.iscomplexobj(values) or np.any(values >= 0.0):
        raise NoModelError("its answer to an event does not decay")
    amounts = np.linalg.solve(vectors, jumps)
    return [
        _Mode(
            float(-1e3 / value), float(constant @ vector * amount), float(slope @ vector * amount)
        )
        for value, vector, amount in zip(values, vectors.T, amounts, strict=True)
    ]


def _grouped(modes: list[_Mode]) -> list[tuple[float | None, list[tuple[_Mode, float]]]]:
    """Return the parts with one reversal potential each, with their amplitudes."""
    groups: list[tuple[float | None, list[tuple[_Mode, float]]]] = []
    for mode in modes:
        if mode.constant == 0.0 and mode.slope == 0.0:
            continue
        scale = abs(mode.constant)
        reversal = None if abs(mode.slope) <= 1e-12 * scale else mode.constant / mode.slope + 0.0
        amplitude = mode.constant if reversal is None else mode.slope
        for known, members in groups:
            if known is None or reversal is None:
                is_same = known is reversal
            else:
                is_same = bool(np.isclose(known, reversal, rtol=1e-9, atol=1e-12))
            if is_same:
                members.append((mode, amplitude))
                break
        else:
            groups.append((reversal, [(mode, amplitude)]))
    return groups


def _shapes(group: tuple[float | None, list[tuple[_Mode, float]]]) -> list[Kernel]:
    reversal, members = group
    found = [
        Kernel("alpha", mode.tau_ms, mode.tau_ms, reversal, amplitude)
        for mode, amplitude in members
        if mode.is_alpha
    ]
    merged: dict[float, float] = {}
    for mode, amplitude in members:
        if not mode.is_alpha:
            merged[mode.tau_ms] = merged.get(mode.tau_ms, 0.0) + amplitude
    if len(merged) == 1:
        ((tau, amplitude),) = merged.items()
        return [*found, Kernel("exp", tau, tau, reversal, amplitude)]
    for rise, tau, amplitude in _pairs(merged):
        found.append(Kernel("beta", tau, rise, reversal, amplitude * _peak(rise, tau)))
    return found


def _pairs(amplitudes: Mapping[float, float]) -> Iterator[tuple[float, float, float]]:
    """Yield what rises, what decays, and the amplitude of each of several peaks."""
    falling = [(tau, size) for tau, size in amplitudes.items() if size > 0.0]
    rising = [(tau, -size) for tau, size in amplitudes.items() if size < 0.0]
    sign = 1.0
    if len(falling) == 1 < len(rising):  # of peaks below 0
        falling, rising, sign = rising, falling, -1.0
    if len(rising) == 1:  # one rises for all that decay
        ((rise, total),) = rising
        if not np.isclose(sum(size for _, size in falling), total, rtol=_PRECISION, atol=0.0):
            raise NoModelError("its answer to an event is no sum of single peaks")
        yield from ((rise, tau, sign * size) for tau, size in falling)
        return
    for tau, size in falling:
        same = [item for item in rising if np.isclose(item[1], size, rtol=_PRECISION, atol=0.0)]
        if len(same) != 1:
            raise NoModelError("its answer to an event is no sum of single peaks")
        rising.remove(same[0])
        yield same[0][0], tau, size
    if rising:
        raise NoModelError("its answer to an event is no sum of single peaks")


def _peak(rise: float, tau: float) -> float:
    """Return the peak of exp(-t / tau) - exp(-t / rise)."""
    when = np.log(tau / rise) * rise * tau / (tau - rise)
    return float(np.exp(-when / tau) - np.exp(-when / rise))
