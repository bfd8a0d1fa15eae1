"""Cells that NEST has models for, told by their equations.

Four families: a leaky membrane, one with an exponential upstroke and adaptation, the map of
Izhikevich (2003), and the channels of Traub and Miles (1991). The parameters follow from the
rates at a few states; then the rates of NEST's model with these parameters must be the same at
many others. Source of NEST's equations: the documentation of its models, NEST 3.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from izhi_models.exporters.brian2.paths import shortest
from izhi_models.exporters.nest.channels import traub
from izhi_models.exporters.nest.equations import Equations, Floats
from izhi_models.exporters.nest.firing import Firing, NoModelError, find_firing
from izhi_models.exporters.nest.izhikevich import izhikevich
from izhi_models.exporters.nest.membrane import Cell, Membrane, Trace, Value, cell_of, points, same
from izhi_models.expr import is_random, names
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import Dynamics, Gather
from izhi_models.units import VOLTAGE

_MOST_STATES = 2  # of cells that send spikes: a membrane and its adaptation
_LARGEST_EXPONENT = 600.0  # whose powers of e leave room in a double
_TOO_STEEP = "its upstroke is so steep that its parameters cannot be told from its rates"
_SILENT = 1e9  # [mV] a threshold that is never reached


def recognise(
    dynamics: Dynamics, equations: Equations, start: Mapping[str, Floats], dt_ms: float
) -> Cell:
    """Return a cell in the words of NEST.

    Parameters
    ----------
    dynamics : Dynamics
        Of the cell alone.
    equations : Equations
        Of all that influences its spikes, or of its membrane if it sends none.
    start : mapping of str to array (n,)
        Initial values. [SI]
    dt_ms : float
        Length of a step. [ms]

    Raises
    ------
    NoModelError
        If no model of NEST has its equations.
    """
    if any("/" not in port for block in equations.conditions for port in block.events):
        return _sending(dynamics, equations, start, dt_ms)
    return _silent(dynamics, equations, start, dt_ms)


def _sending(
    dynamics: Dynamics, equations: Equations, start: Mapping[str, Floats], dt_ms: float
) -> Cell:
    if len(equations.rates) > _MOST_STATES:
        ends = shortest(equations.rates)
        first = ", ".join(f"'{ends[name]}'" for name in sorted(ends)[:_MOST_STATES])
        raise NoModelError(
            f"it has {len(ends)} states ({first}, ...), and cells of NEST that send spikes "
            "have a membrane potential and one adaptation"
        )
    firing = find_firing(equations, start)
    is_voltage = dynamics.dimensions()[firing.membrane] == VOLTAGE
    gather = _gather(dynamics, equations)
    membrane = Membrane(firing.integrating, firing.membrane, gather, is_voltage, firing.noise)
    _check_reads(membrane)
    families: tuple[Callable[..., Cell | None], ...] = (_leaky, _exponential, izhikevich)
    for family in families:
        cell = family(membrane, firing, start, dt_ms)
        if cell is not None:
            return cell
    others = f", with {', '.join(membrane.others)} besides" if membrane.others else ""
    raise NoModelError(
        f"the rate of '{firing.membrane}'{others} is none of a leaky membrane, of an adaptive "
        "exponential one, or of Izhikevich's (2003) model"
    )


def _silent(
    dynamics: Dynamics, equations: Equations, start: Mapping[str, Floats], dt_ms: float
) -> Cell:
    state = next((name for name in ("v", "V") if name in equations.rates), None)
    if state is None or equations.conditions:
        raise NoModelError("it sends no spikes, and has no rate of a membrane potential v alone")
    is_voltage = dynamics.dimensions()[state] == VOLTAGE
    membrane = Membrane(equations, state, _gather(dynamics, equations), is_voltage)
    _check_reads(membrane)
    found = _leaky(membrane, None, start, dt_ms) or traub(membrane, start)
    if found is None:
        raise NoModelError(
            f"it sends no spikes, and the rate of '{state}' is neither that of a leaky membrane "
            "nor that of Traub and Miles's (1991) channels"
        )
    return found


def _gather(dynamics: Dynamics, equations: Equations) -> Gather | None:
    """Return what the rates read of all that is attached."""
    known = {item.name: item for item in dynamics.gathers}
    read = {name for expr in equations.rates.values() for name in names(expr)} & known.keys()
    if len(read) > 1 or any(known[name].reduce != "add" for name in read):
        raise NoModelError("it does not simply add up what arrives")
    return known[next(iter(read))] if read else None


def _check_reads(membrane: Membrane) -> None:
    """Refuse random numbers, and rates that read what is neither a state nor what arrives."""
    if any(is_random(expr) for expr in membrane.equations.expressions()):
        raise NoModelError("it draws random numbers")
    known = {membrane.state, *membrane.others, *membrane.noise, *membrane.equations.scope}
    if membrane.gather is not None:
        known.add(membrane.gather.name)
    for state, rate in membrane.equations.rates.items():
        if others := names(rate) - known:
            read = ", ".join(sorted(f"'{name}'" for name in others))
            raise NoModelError(f"the rate of '{state}' depends on {read}")


# A leaky membrane


def _leaky(
    membrane: Membrane, firing: Firing | None, start: Mapping[str, Floats], dt_ms: float
) -> Cell | None:
    """Read C dV/dt = g_L (E_L - V) + I."""
    if membrane.others or membrane.noise or membrane.equations.has_cases:
        return None
    capacitance = membrane.capacitance()
    current = membrane.current(capacitance)
    pa = current * membrane.per_pa
    leak = (membrane.slope(-100.0) - membrane.slope(0.0)) / 100.0  # [1/ms]
    rest = np.divide(membrane.slope(0.0), leak, out=np.zeros_like(leak), where=leak != 0.0)
    pairs = (
        (membrane.slope(v, i), leak * (rest - v) + i * pa / capacitance)
        for v, i, _ in points(membrane)
    )
    if not np.all(leak > 0.0) or not same(pairs):
        return None
    per_mv = membrane.per_mv
    parameters = {
        "C_m": capacitance,
        "g_L": leak * capacitance,
        "E_L": rest,
        **_reset_parameters(membrane, firing, dt_ms),
        "V_m": start[membrane.state] / per_mv,
    }
    return cell_of("leaky", parameters, membrane, current, firing)


def _reset_parameters(membrane: Membrane, firing: Firing | None, dt_ms: float) -> dict[str, Floats]:
    n = membrane.equations.n
    if firing is None:
        return {"V_th": np.full(n, _SILENT), "V_reset": np.full(n, -70.0), "t_ref": np.zeros(n)}
    return {
        "V_th": firing.threshold / membrane.per_mv,
        "V_reset": firing.reset / membrane.per_mv,
        "t_ref": np.zeros(n)
        if firing.refractory_s is None
        else np.maximum(np.ceil(firing.refractory_s * 1e3 / dt_ms - 1e-6), 1.0) * dt_ms,
    }


# An exponential upstroke, and adaptation


def _exponential(
    membrane: Membrane, firing: Firing, start: Mapping[str, Floats], dt_ms: float
) -> Cell | None:
    """Read the equations of Brette and Gerstner (2005).

    C dV/dt = g_L (E_L - V) + g_L Delta_T exp((V - V_th) / Delta_T) - w + I,
    tau_w dw/dt = a (V - E_L) - w
    """
    if len(membrane.others) != 1 or membrane.noise or membrane.equations.has_cases:
        return None
    (state,) = membrane.others
    capacitance = membrane.capacitance()
    current = membrane.current(capacitance)
    pa = current * membrane.per_pa
    factor, rise = _upstroke(membrane)
    if factor is None or rise is None:
        return None

    def linear(v: float) -> Floats:
        return membrane.slope(v) - factor * _safe_exp(v, rise)

    # Far below, where the exponential does not swallow the rest.
    leak = (linear(-300.0) - linear(-200.0)) / 100.0
    constant = (linear(-200.0) - 200.0 * leak) * capacitance
    adaptation = _adaptation(membrane, state, capacitance)
    if adaptation is None or not np.all(leak > 0.0):
        return None
    per_w, decay, coupling, pull = adaptation
    conductance = leak * capacitance
    is_coupled = np.abs(coupling) > 1e-12 * conductance
    rest = np.divide(-pull, coupling, out=constant / conductance, where=is_coupled)
    offset = constant - conductance * rest
    threshold = firing.threshold / membrane.per_mv
    level = threshold
    if np.all(rise > 0.0):
        level = -rise * np.log(factor / (leak * rise))
    pairs = (
        (
            membrane.slope(v, i, {state: others[state] / per_w}),
            leak * (rest - v)
            + factor * _safe_exp(v, rise)
            + (offset - others[state] + i * pa) / capacitance,
        )
        for v, i, others in points(membrane)
    )
    moves = (
        (
            membrane.rate(state, v, {state: others[state] / per_w}, i) * per_w,
            decay * (coupling * (v - rest) - others[state]),
        )
        for v, i, others in points(membrane)
    )
    if not (same(pairs) and same(moves)) or firing.jumps.keys() - {state}:
        return None
    parameters = {
        "C_m": capacitance,
        "g_L": conductance,
        "E_L": rest,
        "Delta_T": rise,
        **_reset_parameters(membrane, firing, dt_ms),
        "V_th": level,
        "V_peak": threshold,
        "a": coupling,
        "b": firing.jumps.get(state, np.zeros(membrane.equations.n)) * per_w,
        "tau_w": 1.0 / decay,
        "I_e": np.where(np.abs(offset) < 1e-9 * conductance, 0.0, offset),
        "V_m": start[membrane.state] / membrane.per_mv,
        "w": start[state] * per_w,
    }
    traces = {state: Trace("w", 1.0 / per_w, np.zeros(membrane.equations.n))}
    return cell_of("exponential", parameters, membrane, current, firing, traces)


def _adaptation(membrane: Membrane, state: str, capacitance: Floats) -> tuple[Floats, ...] | None:
    """Return NEST's pA for 1 of the state, 1 / tau_w [1/ms], a [nS] and - a E_L [pA]."""
    per_w = (membrane.slope(-70.0) - membrane.slope(-70.0, 0.0, {state: 1.0})) * capacitance
    decay = membrane.rate(state, 0.0) - membrane.rate(state, 0.0, {state: 1.0})
    if not (np.all(per_w > 0.0) and np.all(decay > 0.0)):
        return None
    scale = per_w / decay
    coupling = (membrane.rate(state, 0.0) - membrane.rate(state, -100.0)) / 100.0 * scale
    return per_w, decay, coupling, membrane.rate(state, 0.0) * scale


def _upstroke(membrane: Membrane) -> tuple[Floats | None, Floats | None]:
    """Return F [mV/ms] and D [mV] in the part F exp(v / D) of the rate; zeros if there is none."""
    n = membrane.equations.n
    expr = membrane.equations.rates[membrane.state]
    try:
        second = differentiate(differentiate(expr, membrane.state), membrane.state)
        third = differentiate(second, membrane.state)
    except NotDifferentiableError:
        return None, None
    known = membrane.known(-40.0, 0.0, {})
    bend = membrane.equations.at(second, known) * membrane.per_mv * 1e-3
    more = membrane.equations.at(third, known) * membrane.per_mv**2 * 1e-3
    if not np.isfinite([bend, more]).all():
        raise NoModelError(_TOO_STEEP)
    if np.all(bend == 0.0):
        return np.zeros(n), np.zeros(n)
    if not (np.all(bend > 0.0) and np.all(more > 0.0)):
        return None, None
    rise = bend / more
    if np.any(40.0 / rise > _LARGEST_EXPONENT):
        raise NoModelError(_TOO_STEEP)
    return bend * rise**2 * np.exp(40.0 / rise), rise


def _safe_exp(v: Value, rise: Floats) -> Floats:
    exponent: Floats = np.divide(v, rise, out=np.zeros_like(rise), where=rise != 0.0)
    return np.exp(exponent)
