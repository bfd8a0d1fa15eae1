"""The channels of Traub and Miles (1991) as NEST has them, told by their equations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from izhi_models.exporters.nest.equations import Floats
from izhi_models.exporters.nest.membrane import Cell, Membrane, Trace, cell_of, points, same


def traub(membrane: Membrane, start: Mapping[str, Floats]) -> Cell | None:
    """Read the equations of `hh_cond_exp_traub`."""
    if len(membrane.others) != 3:
        return None
    for gates in itertools.permutations(membrane.others):
        shift = _shift(membrane, gates[1])
        if shift is not None and all(
            same(_gate_pairs(membrane, gate, number, shift)) for number, gate in enumerate(gates)
        ):
            return _traub_cell(membrane, gates, shift, start)
    return None


def _shift(membrane: Membrane, gate: str) -> Floats | None:
    """Return V_T from the opening rate of inactivation, 0.128 exp((17 - V + V_T) / 18)."""
    opening = membrane.rate(gate, -60.0, {gate: 0.0})
    if not np.all(opening > 0.0):
        return None
    return 18.0 * np.log(opening / 0.128) - 17.0 - 60.0


def _linoid(rate: float, x: Floats, scale: float) -> Floats:
    """Return rate * x / (exp(x / scale) - 1), which has a limit at 0."""
    small = np.abs(x) < 1e-6
    safe = np.where(small, 1.0, x)
    return np.where(small, rate * scale, rate * safe / np.expm1(safe / scale))


def _gate_pairs(
    membrane: Membrane, gate: str, number: int, shift: Floats
) -> Iterator[tuple[Floats, Floats]]:
    for v, i, others in points(membrane):
        x = v - shift
        opening, closing = (
            (_linoid(0.32, 13.0 - x, 4.0), _linoid(0.28, x - 40.0, 5.0)),
            (0.128 * np.exp((17.0 - x) / 18.0), 4.0 / (1.0 + np.exp((40.0 - x) / 5.0))),
            (_linoid(0.032, 15.0 - x, 5.0), 0.5 * np.exp((10.0 - x) / 40.0)),
        )[number]
        value = others[gate]
        yield membrane.rate(gate, v, others, i), opening * (1.0 - value) - closing * value


def _traub_cell(
    membrane: Membrane, gates: tuple[str, ...], shift: Floats, start: Mapping[str, Floats]
) -> Cell | None:
    capacitance = membrane.capacitance()
    current = membrane.current(capacitance)
    pa = current * membrane.per_pa
    closed = dict.fromkeys(gates, 0.0)
    leak, rest = _line(lambda v: membrane.slope(v, 0.0, closed))

    def through(*opened: str) -> tuple[Floats, Floats]:
        states = {**closed, **dict.fromkeys(opened, 1.0)}
        return _line(lambda v: membrane.slope(v, 0.0, states) - membrane.slope(v, 0.0, closed))

    sodium, e_na = through(gates[0], gates[1])
    potassium, e_k = through(gates[2])

    def expected(v: Floats, i: float, m: Floats, h: Floats, n: Floats) -> Floats:
        return (
            leak * (rest - v)
            + sodium * m**3 * h * (e_na - v)
            + potassium * n**4 * (e_k - v)
            + i * pa / capacitance
        )

    pairs = (
        (membrane.slope(v, i, others), expected(v, i, *(others[gate] for gate in gates)))
        for v, i, others in points(membrane)
    )
    if not np.all(leak > 0.0) or not same(pairs):
        return None
    parameters = {
        "C_m": capacitance,
        "g_L": leak * capacitance,
        "E_L": rest,
        "g_Na": sodium * capacitance,
        "E_Na": e_na,
        "g_K": potassium * capacitance,
        "E_K": e_k,
        "V_T": shift,
        "V_m": start[membrane.state] / membrane.per_mv,
    }
    traces = {}
    one, none = np.ones(membrane.equations.n), np.zeros(membrane.equations.n)
    for gate, name in zip(gates, ("Act_m", "Inact_h", "Act_n"), strict=True):
        parameters[name] = start[gate]
        traces[gate] = Trace(name, one, none)
    return cell_of("traub", parameters, membrane, current, None, traces)


def _line(value: Callable[[float], Floats]) -> tuple[Floats, Floats]:
    """Return g and E of g (E - v)."""
    slope = (value(-100.0) - value(0.0)) / 100.0
    return slope, np.divide(value(0.0), slope, out=np.zeros_like(slope), where=slope != 0.0)
