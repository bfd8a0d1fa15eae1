"""The map of Izhikevich (2003), as NEST steps, told by its equations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from izhi_models.exporters.nest.equations import Floats
from izhi_models.exporters.nest.firing import Firing
from izhi_models.exporters.nest.membrane import Cell, Membrane, Trace, points, same


def izhikevich(
    membrane: Membrane, firing: Firing, start: Mapping[str, Floats], dt_ms: float
) -> Cell | None:
    """Read V' = 0.04 V^2 + 5 V + 140 - U + I, U' = a (b V - U), as NEST steps.

    V = p v + q and U = r u + s turn any parabola into this one, and forward Euler into itself.
    """
    others = membrane.others
    if len(others) != 1 or firing.refractory_s is not None or membrane.equations.has_cases:
        return None
    published = _published(membrane, others[0], dt_ms)
    if published is None and membrane.noise:
        return None
    n = membrane.equations.n
    if published is None:
        found = _parabola(membrane, others[0])
        if found is None:
            return None
        p, q, r, s, a, b, drive = found
        gain = _gain(membrane) * p
    else:
        a, b, gain = published
        p, r = np.full(n, 1.0), np.full(n, 1.0)
        q, s, drive = np.zeros(n), np.zeros(n), np.zeros(n)
    u = others[0]
    parameters = {
        "a": a,
        "b": b,
        "c": p * firing.reset / membrane.per_mv + q,
        "d": r * firing.jumps.get(u, np.zeros(n)),
        "V_th": p * firing.threshold / membrane.per_mv + q,
        "V_m": p * start[membrane.state] / membrane.per_mv + q,
        "U_m": r * start[u] + s,
        "I_e": drive,
        "consistent_integration": np.full(n, published is None),
    }
    if firing.jumps.keys() - {u}:
        return None
    current = gain / membrane.per_pa
    noise = _noise(membrane)
    if noise is None and membrane.noise:
        return None
    return Cell(
        "izhikevich",
        parameters,
        membrane.state,
        current,
        p / membrane.per_mv,
        {
            membrane.state: Trace("V_m", membrane.per_mv / p, -q * membrane.per_mv / p),
            u: Trace("U_m", 1.0 / r, -s / r),
        },
        membrane.gather,
        noise=None if noise is None else noise * current,
    )


def _noise(membrane: Membrane) -> Floats | None:
    """Return the deviation of the only noise if it acts as what arrives does, drawn in each ms."""
    if len(membrane.noise) != 1 or membrane.gather is None:
        return None
    ((name, (deviation, period)),) = membrane.noise.items()
    acts = (
        (membrane.slope(v, i), membrane.slope(v, 0.0, {name: i * membrane.per_pa}))
        for v, i, _ in points(membrane)
    )
    return deviation if np.isclose(period, 1e-3) and same(acts) else None


def _gain(membrane: Membrane) -> Floats:
    if membrane.gather is None:
        return np.ones(membrane.equations.n)
    return membrane.slope(-70.0, 1.0) - membrane.slope(-70.0)


def _parabola(membrane: Membrane, u: str) -> tuple[Floats, ...] | None:
    """Return p, q, r, s, a, b and a constant current; see `izhikevich`."""
    low, middle, high = (membrane.slope(v) for v in (-100.0, 0.0, 100.0))
    square, line = (low + high - 2.0 * middle) / 2e4, (high - low) / 200.0
    pull = membrane.slope(0.0) - membrane.slope(0.0, 0.0, {u: 1.0})
    a = membrane.rate(u, 0.0) - membrane.rate(u, 0.0, {u: 1.0})
    if not (np.all(square > 0.0) and np.all(pull > 0.0) and np.all(a != 0.0)):
        return None
    p = square / 0.04
    q = (line - 5.0) / 0.08
    r = p * pull
    along = (membrane.rate(u, 100.0) - membrane.rate(u, 0.0)) / 100.0
    b = r * along / (a * p)
    s = b * q - r * membrane.rate(u, 0.0) / a
    drive = p * middle - 0.04 * q**2 - 5.0 * q - 140.0 + s
    gain = _gain(membrane)

    def small(big: Floats) -> Floats:
        return (40.0 * big - 20.0 - s) / r

    pairs = (
        (
            p * membrane.slope(v, i, {u: small(others[u])}),
            _quadratic(p * v + q) - (40.0 * others[u] - 20.0) + drive + p * gain * i,
        )
        for v, i, others in points(membrane)
    )
    moves = (
        (
            r * membrane.rate(u, v, {u: small(others[u])}, i),
            a * (b * (p * v + q) - (40.0 * others[u] - 20.0)),
        )
        for v, i, others in points(membrane)
    )
    if not (same(pairs) and same(moves)):
        return None
    # What is 0 comes out of the differences as rounding.
    q, s, drive = (np.where(np.abs(item) < 1e-9, 0.0, item) for item in (q, s, drive))
    return p, q, r, s, a, b, drive


def _quadratic(v: Floats) -> Floats:
    return 0.04 * v**2 + 5.0 * v + 140.0


def _published(membrane: Membrane, u: str, dt_ms: float) -> tuple[Floats, Floats, Floats] | None:
    """Return a, b and the gain of currents if a step is that of the listing in Izhikevich (2003).

    There v takes two steps of half the length, and u one with the new v.
    """
    states = list(points(membrane))
    gain = _gain_as(membrane, u)

    def after(v: Floats, i: float, others: Mapping[str, Floats]) -> Floats:
        for _ in range(2):
            v = v + dt_ms / 2 * (_quadratic(v) - others[u] + gain * i)
        return v

    if not same(
        (v + dt_ms * membrane.slope(v, i, others), after(v, i, others)) for v, i, others in states
    ):
        return None
    new = np.array([after(v, i, others) for v, i, others in states])
    old = np.array([others[u] for _, _, others in states])
    moved = np.array([membrane.rate(u, v, others, i) for v, i, others in states])
    # moved = ab * new - a * old, from two points
    ab = (moved[0] * old[1] - moved[1] * old[0]) / (new[0] * old[1] - new[1] * old[0])
    a = (ab * new[0] - moved[0]) / old[0]
    if np.all(a != 0.0) and same(zip(moved, ab * new - a * old, strict=True)):
        return a, ab / a, gain
    return None


def _gain_as(membrane: Membrane, u: str) -> Floats:
    """Return by how much u would have to fall to act as a current of 1, by the secant method."""
    if membrane.gather is None:
        return np.ones(membrane.equations.n)
    wanted = membrane.slope(-70.0, 1.0)
    last, gain = np.zeros(membrane.equations.n), np.ones(membrane.equations.n)
    before = membrane.slope(-70.0) - wanted
    for _ in range(20):
        now = membrane.slope(-70.0, 0.0, {u: -gain}) - wanted
        step = np.divide(now * (gain - last), now - before, out=np.zeros_like(now),
                         where=now != before)  # fmt: skip
        last, before, gain = gain, now, gain - step
    return gain
