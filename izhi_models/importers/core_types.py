"""ANNarchy's cells as those of NeuroML that mean the same in continuous time.

These are the types that other simulators know. Their equations are the same, but not how they are
integrated, so that spikes agree to the order of the step only. What differs between the cells of a
population keeps their own type, and so do synapses with more than a weight.

Source: NeuroML 2, PyNN.xml; ANNarchy 5, Neurons.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from izhi_models.importers.values import as_values, population_values, settled

_CURRENT = ("cm", "i_offset", "tau_m", "tau_refrac", "tau_syn_E", "tau_syn_I")
_VOLTAGE = ("v_rest", "v_reset", "v_thresh")
_REVERSAL = ("e_rev_E", "e_rev_I")
# HH_cond_exp has another rate, and EIF cells adapt while they are refractory. So do currents that
# follow an alpha function rise and decay; in ANNarchy they stand still.
_CELLS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "IF_curr_exp": ((*_CURRENT, *_VOLTAGE), "expCurrSynapse"),
    "IF_curr_alpha": ((*_CURRENT, *_VOLTAGE), "alphaCurrSynapse"),
    "IF_cond_exp": ((*_CURRENT, *_VOLTAGE, *_REVERSAL), "expCondSynapse"),
    "IF_cond_alpha": ((*_CURRENT, *_VOLTAGE, *_REVERSAL), "alphaCondSynapse"),
}
_TARGETS = {"exc": "E", "inh": "I"}
_FOREVER = "1e12 ms"


@dataclass(frozen=True)
class CoreSynapse:
    """A synapse of NeuroML.

    Parameters
    ----------
    kind : str
    attributes : dict of str to str
    sign : float
        By which weights are multiplied.
    """

    kind: str
    attributes: dict[str, str]
    sign: float


@dataclass(frozen=True)
class CoreCell:
    """A cell of NeuroML.

    Parameters
    ----------
    kind : str
    attributes : dict of str to str
    synapses : dict of str to CoreSynapse
        By target.
    """

    kind: str
    attributes: dict[str, str]
    synapses: dict[str, CoreSynapse] = field(default_factory=dict)


def core_cell(population: Any, incoming: Iterable[Any], outgoing: Iterable[Any]) -> CoreCell | None:
    """Return the type of NeuroML that means the same as a population's neuron.

    Parameters
    ----------
    population : ANNarchy.Population
    incoming, outgoing : iterable of ANNarchy.Projection

    Returns
    -------
    CoreCell or None
        It starts as ANNarchy's does after a reset; None if there is no such type.
    """
    if not all(_is_plain(item) for item in (*incoming, *outgoing)):
        return None
    if type(population).__name__ == "PoissonPopulation":
        return _poisson(population)
    kind = type(population.neuron_type).__name__
    if kind not in _CELLS or type(population).__name__ != "Population":
        return None
    names, synapse = _CELLS[kind]
    numbers = {name: population_values(population, name) for name in names}
    start = settled(population.init["v"], population.init, population.size)
    numbers["v_init"] = as_values(start)
    if not all(isinstance(value, float) for value in numbers.values()):
        return None
    if "alpha" in kind and numbers["tau_refrac"] != 0.0:
        return None
    texts = {name: repr(value) for name, value in numbers.items()}
    synapses = {}
    for target, end in _TARGETS.items():
        attributes = {"tau_syn": texts[f"tau_syn_{end}"]}
        is_current = "Curr" in synapse
        if not is_current:
            attributes["e_rev"] = texts[f"e_rev_{end}"]
        sign = -1.0 if is_current and target == "inh" else 1.0
        synapses[target] = CoreSynapse(synapse, attributes, sign)
    found = {item for projection in incoming for item in _targets(projection)}
    return CoreCell(kind, texts, synapses) if found <= synapses.keys() else None


def _is_plain(projection: Any) -> bool:
    """Tell whether a spike adds a weight, and no more."""
    return type(projection.synapse_type).__name__ == "DefaultSpikingSynapse"


def _targets(projection: Any) -> list[str]:
    found = projection.target
    return list(found) if isinstance(found, list) else [found]


def _poisson(population: Any) -> CoreCell | None:
    if population.neuron_type.name != "Poisson" or population.neuron_type.refractory:
        return None
    parameters = {item["name"] for item in population.neuron_type.description["parameters"]}
    rate = population_values(population, "rates") if "rates" in parameters else None
    if not isinstance(rate, float) or rate <= 0.0:
        return None
    attributes = {"start": "0 ms", "duration": _FOREVER, "rate": f"{rate!r} Hz"}
    return CoreCell("SpikeSourcePoisson", attributes)
