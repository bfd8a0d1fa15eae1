"""Which of NEST's models a cell with its synapses is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from izhi_models.exporters.nest.equations import Floats
from izhi_models.exporters.nest.firing import NoModelError
from izhi_models.exporters.nest.membrane import Cell
from izhi_models.exporters.nest.synapses import Kernel

# The largest exponent of the upstroke that NEST takes: ln(1.8e308 / 1e20).
_LARGEST_EXPONENT = 663.0
_WIDTH = 1e-9  # [mV] of a threshold that is a chance in NEST

EXACT = "exactly, as linear equations allow"
ADAPTIVE = "by the method of Runge, Kutta and Fehlberg with steps of its own"
EULER = "by forward Euler"


@dataclass(frozen=True)
class Route:
    """How events reach a receptor.

    Parameters
    ----------
    scale : array (n,)
        NEST's weight at each cell, for a connection of weight 1.
    receptor : int
        NEST's number of it; 0 if the model does not number them.
    is_signed : bool
        Whether weights may be negative.
    is_pulse : bool
        Whether an event moves the membrane itself.
    """

    scale: Floats
    receptor: int = 0
    is_signed: bool = False
    is_pulse: bool = False


@dataclass(frozen=True)
class Choice:
    """A model of NEST with its parameters.

    Parameters
    ----------
    model : str
    parameters : dict of str to array (n,) or list of float
        A list is one for all cells, of their receptors.
    routes : dict of Kernel to Route
        By receptor.
    numerics : str
        How NEST integrates it.
    """

    model: str
    parameters: dict[str, Floats | list[float]]
    routes: dict[Kernel, Route]
    numerics: str


def choose(cell: Cell, receptors: Sequence[Kernel], dt_ms: float) -> Choice:
    """Return the model of NEST that has a cell's equations and all of its receptors.

    Parameters
    ----------
    cell : Cell
    receptors : sequence of Kernel
        What arrives, without sizes.
    dt_ms : float
        Length of a step. [ms]

    Raises
    ------
    NoModelError
        If no model has these together.
    """
    if cell.family == "izhikevich":
        return _izhikevich(cell, receptors, dt_ms)
    if cell.family == "traub":
        return _traub(cell, receptors)
    if np.any(cell.parameters["V_reset"] >= _peak(cell)):
        raise NoModelError("it is reset to where its threshold is or above, which NEST refuses")
    return _leaky(cell, receptors) if cell.family == "leaky" else _exponential(cell, receptors)


def _peak(cell: Cell) -> Floats:
    return cell.parameters.get("V_peak", cell.parameters["V_th"])


def describe(kernel: Kernel) -> str:
    """Return what a receptor is, for people."""
    kind = "current" if kernel.reversal is None else "conductance"
    time = f"{kernel.tau_ms:g} ms"
    if kernel.shape == "beta":
        time = f"{kernel.rise_ms:g} and {time}"
    return f"{kernel.shape} {kind} of {time}"


def _told(receptors: Sequence[Kernel]) -> str:
    return ", ".join(describe(item) for item in receptors)


# Units


def _siemens(cell: Cell) -> Floats:
    """Return NEST's nS for 1 of a conductance."""
    return cell.current / cell.voltage


def _reversal(cell: Cell, kernel: Kernel) -> float:
    found = np.unique((kernel.reversal or 0.0) * cell.voltage)
    return float(found[0])


def _numbered(
    receptors: Sequence[Kernel], scale: Floats, *, is_signed: bool = False
) -> dict[Kernel, Route]:
    return {
        item: Route(scale, number, is_signed=is_signed) for number, item in enumerate(receptors, 1)
    }


def _pair(
    receptors: Sequence[Kernel], cell: Cell, names: Sequence[str]
) -> tuple[dict[str, Floats | list[float]], dict[Kernel, Route]]:
    """Return parameters and routes of models with an excitatory and an inhibitory conductance."""
    ordered = sorted(receptors, key=lambda item: -(item.reversal or 0.0))
    n = cell.current.size
    parameters: dict[str, Floats | list[float]] = {}
    routes = {}
    for end, sign, item in zip(("ex", "in"), (1.0, -1.0), ordered, strict=False):
        parameters[f"E_{end}"] = np.full(n, _reversal(cell, item))
        for name in names:
            time = item.rise_ms if "rise" in name else item.tau_ms
            parameters[f"{name}_{end}"] = np.full(n, time)
        routes[item] = Route(sign * _siemens(cell))
    return parameters, routes


def _kinds(receptors: Sequence[Kernel]) -> tuple[set[str], bool]:
    """Return the shapes, and whether all are conductances; all must be, or none."""
    conductances = {item.reversal is not None for item in receptors}
    if len(conductances) > 1:
        told = _told(receptors)
        raise NoModelError(f"no model of NEST has currents and conductances together: {told}")
    return {item.shape for item in receptors}, conductances == {True}


# Families


def _leaky(cell: Cell, receptors: Sequence[Kernel]) -> Choice:
    own: dict[str, Floats | list[float]] = dict(cell.parameters)
    shapes, are_conductances = _kinds(receptors)
    if are_conductances:
        return _leaky_conductances(cell, receptors, shapes)
    if len(shapes) > 1:
        told = _told(receptors)
        raise NoModelError(f"no model of NEST has currents of several shapes: {told}")
    own["tau_m"] = cell.parameters["C_m"] / cell.parameters["g_L"]
    del own["g_L"]
    shape = next(iter(shapes), "exp")
    if shape == "beta":
        raise NoModelError(f"no model of NEST has {_told(receptors)}")
    model = f"iaf_psc_{shape}"
    if len(receptors) > 1:
        own["tau_syn"] = [item.tau_ms for item in receptors]
        routes = _numbered(receptors, cell.current, is_signed=True)
        return Choice(f"{model}_multisynapse", own, routes, EXACT)
    return Choice(model, {**own, **_both_signs(cell, receptors)}, _single(cell, receptors), EXACT)


def _both_signs(cell: Cell, receptors: Sequence[Kernel]) -> dict[str, Floats | list[float]]:
    """Return the time constants of a current that events of either sign have."""
    ends = ("tau_syn_ex", "tau_syn_in")
    return {end: np.full(cell.current.size, item.tau_ms) for item in receptors for end in ends}


def _single(cell: Cell, receptors: Sequence[Kernel]) -> dict[Kernel, Route]:
    return {item: Route(cell.current, is_signed=True) for item in receptors}


def _leaky_conductances(cell: Cell, receptors: Sequence[Kernel], shapes: set[str]) -> Choice:
    own: dict[str, Floats | list[float]] = dict(cell.parameters)
    if len(receptors) <= 2 and (len(shapes) == 1 or "exp" not in shapes):
        shape = next(iter(shapes)) if len(shapes) == 1 else "beta"
        names = ("tau_rise", "tau_decay") if shape == "beta" else ("tau_syn",)
        more, routes = _pair(receptors, cell, names)
        return Choice(f"iaf_cond_{shape}", {**own, **more}, routes, ADAPTIVE)
    if shapes == {"exp"}:
        return _many_exponentials(cell, receptors)
    if "exp" in shapes:
        raise NoModelError(
            f"no model of NEST has conductances that rise at once beside others: {_told(receptors)}"
        )
    # Without upstroke and adaptation, the adaptive exponential cell is a leaky one.
    n = cell.current.size
    zero = np.zeros(n)
    plain = {
        "Delta_T": zero,
        "V_peak": cell.parameters["V_th"],
        "a": zero,
        "b": zero,
        "tau_w": np.ones(n),
    }
    return _multisynapse(replace(cell, parameters={**cell.parameters, **plain}), receptors)


def _many_exponentials(cell: Cell, receptors: Sequence[Kernel]) -> Choice:
    """Return the generalised cell, whose threshold is made sharp."""
    own: dict[str, Floats | list[float]] = dict(cell.parameters)
    own["V_T_star"] = cell.parameters["V_th"]
    del own["V_th"]
    own["Delta_V"] = np.full(cell.current.size, _WIDTH)
    own["tau_syn"] = [item.tau_ms for item in receptors]
    own["E_rev"] = [_reversal(cell, item) for item in receptors]
    routes = _numbered(receptors, _siemens(cell))
    return Choice("gif_cond_exp_multisynapse", own, routes, ADAPTIVE)


def _exponential(cell: Cell, receptors: Sequence[Kernel]) -> Choice:
    own: dict[str, Floats | list[float]] = dict(cell.parameters)
    rise = cell.parameters["Delta_T"]
    height = cell.parameters["V_peak"] - cell.parameters["V_th"]
    if np.any(height < 0.0):
        raise NoModelError("its spikes are sent below the start of the upstroke")
    if np.any(height > _LARGEST_EXPONENT * rise) and np.any(rise > 0.0):
        raise NoModelError("its upstroke is so steep that NEST refuses it")
    shapes, are_conductances = _kinds(receptors)
    if are_conductances:
        if len(receptors) <= 2 and shapes in ({"exp"}, {"alpha"}):
            (shape,) = shapes
            more, routes = _pair(receptors, cell, ("tau_syn",))
            return Choice(f"aeif_cond_{shape}", {**own, **more}, routes, ADAPTIVE)
        if "exp" in shapes:
            raise NoModelError(
                "NEST's adaptive exponential cells have at most two conductances that rise at "
                f"once, and none beside others: {_told(receptors)}"
            )
        return _multisynapse(cell, receptors)
    if not receptors:
        return Choice("aeif_cond_exp", own, {}, ADAPTIVE)
    if len(receptors) > 1 or shapes == {"beta"}:
        raise NoModelError(
            f"NEST's adaptive exponential cells have no currents such as {_told(receptors)}"
        )
    (shape,) = shapes
    parameters = {**own, **_both_signs(cell, receptors)}
    return Choice(f"aeif_psc_{shape}", parameters, _single(cell, receptors), ADAPTIVE)


def _multisynapse(cell: Cell, receptors: Sequence[Kernel]) -> Choice:
    own: dict[str, Floats | list[float]] = dict(cell.parameters)
    own["E_rev"] = [_reversal(cell, item) for item in receptors]
    own["tau_rise"] = [item.rise_ms for item in receptors]
    own["tau_decay"] = [item.tau_ms for item in receptors]
    routes = _numbered(receptors, _siemens(cell))
    return Choice("aeif_cond_beta_multisynapse", own, routes, ADAPTIVE)


def _traub(cell: Cell, receptors: Sequence[Kernel]) -> Choice:
    own: dict[str, Floats | list[float]] = dict(cell.parameters)
    shapes, are_conductances = _kinds(receptors)
    if receptors and (not are_conductances or len(receptors) > 2 or shapes != {"exp"}):
        raise NoModelError(
            "NEST's cells of Traub and Miles have at most two conductances that rise at once: "
            f"{_told(receptors)}"
        )
    more, routes = _pair(receptors, cell, ("tau_syn",))
    return Choice("hh_cond_exp_traub", {**own, **more}, routes, ADAPTIVE)


def _izhikevich(cell: Cell, receptors: Sequence[Kernel], dt_ms: float) -> Choice:
    route = partial(Route, is_signed=True, is_pulse=True)
    routes = {}
    for item in receptors:
        is_pulse = item.shape == "exp" and abs(item.tau_ms / dt_ms - 1.0) < 1e-9
        if item.reversal is not None or not is_pulse:
            raise NoModelError(
                f"NEST's cells of Izhikevich (2003) have no {describe(item)}: events move V at once"
            )
        # A current that is gone after a step.
        adds = cell.parameters["consistent_integration"].astype(bool)
        routes[item] = route(cell.current * np.where(adds, dt_ms, 1.0))
    return Choice("izhikevich", dict(cell.parameters), routes, EULER)
