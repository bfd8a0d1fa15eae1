"""ANNarchy's sources whose code is not in equations: spike times, and rates that follow a schedule.

Spike times: cells that send on what one cell sends first, after a delay for each spike. NeuroML has
a component for each list of times; as delays of connections they are one population, however many
cells and spikes there are, and take the way of long lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from izhi_models.expr import ONE, ZERO, Binary, Compare, Logic, Name, Number
from izhi_models.importers.connections import Connectivity
from izhi_models.importers.definition import Definition
from izhi_models.importers.dimensions import MSEC
from izhi_models.importers.neurons import Cell, declare_time
from izhi_models.importers.schedules import Schedule, read_schedule
from izhi_models.importers.synapses import declare_pulse
from izhi_models.importers.values import Context, Values, as_values

_DUE = "is_due"
_AT_START = "is_due_at_start"


@dataclass(frozen=True)
class SpikeSource:
    """What an array of spike times became.

    Parameters
    ----------
    cell : Cell
        Sends a spike when one arrives.
    starter : Definition
        A cell that sends one spike, in the first step.
    arrival : Definition
        The synapse between them.
    connectivity : Connectivity
        From the starter, with times as delays.
    """

    cell: Cell
    starter: Definition
    arrival: Definition
    connectivity: Connectivity


def read_spikes(population: Any, network: Any, context: Context) -> SpikeSource:
    """Return the spikes that are still to come, as connections.

    Parameters
    ----------
    population : ANNarchy.SpikeSourceArray
    network : ANNarchy.Network
    context : Context
    """
    passed = round(float(network.time) / context.dt_ms) if population.initialized else 0
    due = [
        np.rint(np.asarray(item, dtype=np.float64) / context.dt_ms) - passed
        for item in population.spike_times
    ]
    coming = [np.unique(item[item > 0.0]) for item in due]
    sizes = np.array([item.size for item in coming], dtype=np.int64)
    steps = np.concatenate([*coming, np.empty(0)])
    connectivity = Connectivity(
        pre=np.zeros(steps.size, dtype=np.int32),
        post=np.repeat(np.arange(sizes.size, dtype=np.int32), sizes),
        weights=np.ones(steps.size),
        delays_ms=steps * context.dt_ms,
        sizes=sizes,
    )
    at_start = as_values([float((item == 0.0).any()) for item in due])
    cell = _relay(at_start, context)
    return SpikeSource(cell, _starter(), _arrival(cell, context), connectivity)


def _relay(at_start: Any, context: Context) -> Cell:
    cell = Cell(Definition("", "baseSpikingCell"), shown={_DUE: _DUE})
    definition = cell.definition
    definition.attach("synapses", "@_synapse")
    definition.gather(_DUE, f"synapses[*]/{_DUE}")
    test: Any = Compare(">", Name(_DUE), Number(0.5))
    if np.any(at_start):
        declare_time(definition, context)
        cell.give(_AT_START, at_start)
        is_first = Compare("<", Name("t"), Binary("*", Number(1.5 * context.dt_ms), Name("MSEC")))
        now = Logic("and", is_first, Compare(">", Name(_AT_START), Number(0.5)))
        test = Logic("or", test, now)
    definition.on_condition(test, [], sends=True)
    return cell


def _starter() -> Definition:
    definition = Definition("", "baseSpikingCell")
    definition.attach("synapses", "@_synapse")
    definition.state("has_sent")
    definition.on_condition(Compare("==", Name("has_sent"), ZERO), [("has_sent", ONE)], sends=True)
    return definition


def _arrival(cell: Cell, context: Context) -> Definition:
    definition = Definition("", "@_synapse")
    definition.declare("Property", "weight", defaultValue="1")
    declare_time(definition, context)
    declare_pulse(definition, "arrived")
    definition.on_event([("arrived", Binary("+", Name("arrived"), Name("weight")))])
    for name in cell.exposures:
        definition.derive(name, Name("arrived") if name == _DUE else ZERO)
    return definition


_RATE = "r"


def read_timed_array(population: Any, network: Any, context: Context) -> Cell:
    """Return cells whose rate follows a schedule.

    Parameters
    ----------
    population : ANNarchy.TimedArray
        Its clock has run with the network's.
    network : ANNarchy.Network
    context : Context

    Raises
    ------
    UnsupportedError
        If the schedule has too many parts.
    """
    schedule = read_schedule(population, population.rates, network, context)
    cell = Cell(Definition("", "baseSpikingCell"))
    definition = cell.definition
    declare_time(definition, context)
    definition.attach("synapses", "@_synapse")
    definition.state(_RATE)
    definition.derive("r_now", schedule.value(cell, "rate", Name(_RATE)), shown=False)
    always = Compare(">=", Name("t"), Binary("*", ZERO, Name(MSEC)))
    definition.on_condition(always, [(_RATE, Name("r_now"))])
    cell.give("r_start", _rate_now(population, schedule))
    definition.on_start([(_RATE, Name("r_start"))])
    return cell


def _rate_now(population: Any, schedule: Schedule) -> Values:
    if population.initialized:
        return as_values(population.cyInstance.r)
    return schedule.values[0] if schedule.starts[0] == 0 else 0.0
