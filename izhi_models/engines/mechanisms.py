"""Mechanisms of NEURON as jNeuroML writes them, and what has to be mended in them."""

from __future__ import annotations

import re

_POINTER = re.compile(r"^(\s*)POINTER (vpeer)\b.*$", re.MULTILINE)
_SOLVED = re.compile(r"^([ \t]*)SOLVE \w+ METHOD \w+.*$", re.MULTILINE)
_CURRENT = re.compile(r"^([ \t]*)i = v_I\b.*$", re.MULTILINE)
_CHANNEL = "fopen"  # in whatever has channels
_SHORT_S = 5e-5  # in which no quadratic cell grows by half of what it has
_DERIVATIVE = re.compile(r"^DERIVATIVE states \{\n(?:.*\n)*?(?=\s*\}$)", re.MULTILINE)
_RESET = re.compile(r"^([ \t]*)(?:v = .*|regime_integrating = 1)$", re.MULTILINE)
_REFRACTORY = re.compile(r"lastSpikeTime = t\s+v = (?P<to>.*)")
_HELD = "regime_refractory * (10000000 *"
_STEADY = re.compile(r"^([ \t]*)SOLVE \w+ STEADYSTATE sparse$", re.MULTILINE)
_STATE = re.compile(r"^\s*(?P<name>(?P<gate>\w+)_\w+_occupancy) FROM 0 TO 1", re.MULTILINE)
_CHOSEN = re.compile(r"^\s*(?P<name>\w+)\s.*: conditional derived var\.\.\.$", re.MULTILINE)
_WEIGHT = re.compile(r"^\s*RANGE weight\b", re.MULTILINE)


def mend(text: str, dt_s: float) -> str:
    """Return a mechanism that does what its component says.

    - Currents follow from the states of now; jNeuroML leaves them as they were a step before. Those
      then are implicit, as usual in NEURON. Where a cell's voltage grows by itself, so fast that it
      would jump to the wrong side, as that of `adExIaFCell` does, steps are forward Euler.
    - Inputs do not move a cell in its refractory period; jNeuroML sees to it in some cells only.
    - A variable that is chosen by conditions is no state besides.
    - Kinetic schemes start in their first state, and not in equilibrium. Source: LEMS,
      KineticScheme.

    Parameters
    ----------
    text : str
        In NMODL.
    dt_s : float
        Step. [s]
    """
    text = _hold(text)
    is_fast = dt_s > _SHORT_S or "exp(" in text
    if _CURRENT.search(text) and _CHANNEL not in text and is_fast:
        text = _forward(text)
    elif _SOLVED.search(text):
        # Conductances lie between the two in a chain of variables.
        text = _SOLVED.sub(r"\g<0>\n\1rates()", text)
        text = _CURRENT.sub(r"\1rates()\n\g<0>", text)
    for item in _CHOSEN.finditer(text):
        state = re.compile(rf"^\s*{item['name']}\s+: dimension: .*\n", re.MULTILINE)
        text = state.sub("", text)
    firsts = {item["gate"]: item["name"] for item in reversed(list(_STATE.finditer(text)))}
    starts = "".join(rf"\n\1{name} = 1" for name in firsts.values())
    text = _STEADY.sub(starts.removeprefix(r"\n"), text)
    return text


def _hold(text: str) -> str:
    """Hold the voltage in the refractory period, in the words that jNeuroML has for it."""
    reset = _REFRACTORY.search(text)
    if reset is None or _HELD in text:
        return text
    return text.replace("rate_v = 0 +", f"rate_v = 0 + {_HELD} ({reset['to']} - v)) +")


def _forward(text: str) -> str:
    """Let the current stand for a step, and compute it anew where something else changes."""
    text = _DERIVATIVE.sub(r"\g<0>    rates()\n", text)
    text = _RESET.sub(r"\g<0>\n\1v_I = 0", text)
    anew = "v_I == 0"
    if _HELD in text:
        anew += " || regime_refractory == 1"
    return _CURRENT.sub(rf"\1if ({anew}) {{\n\1    rates()\n\1}}\n\g<0>", text)


def detach(text: str) -> str:
    """Return a mechanism to which the voltage at the other end of a gap junction comes as a number.

    jNeuroML writes a pointer to a cell, which may be in another process.
    Source: NEURON, ParallelContext.target_var.

    Parameters
    ----------
    text : str
        In NMODL.
    """
    return _POINTER.sub(r"\1RANGE \2", text)


def reads_weight(text: str) -> bool:
    """Tell whether a mechanism has a weight of its own, besides that of events.

    Parameters
    ----------
    text : str
        In NMODL.
    """
    return _WEIGHT.search(text) is not None
