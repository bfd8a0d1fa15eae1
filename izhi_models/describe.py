"""Text for people: the equations of a network as they are simulated, with units and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from izhi_models.annarchy.program import Program
from izhi_models.expr import to_text
from izhi_models.ir.dynamics import Assignment, Dynamics, OnCondition, OnEvent
from izhi_models.network import Network, Population
from izhi_models.units import Dimension, display_unit


def describe_network(network: Network, program: Program | None = None) -> str:
    """Return all populations of a network, equal ones together, and what its synapses cost.

    Parameters
    ----------
    network : Network
    program : Program, optional
        What it becomes in ANNarchy.
    """
    kinds: dict[Dynamics, list[Population]] = {}
    for population in network.populations.values():
        kinds.setdefault(population.dynamics, []).append(population)
    parts = [f"network {network.id}: {_counted(network.n_neurons, 'cell')}"]
    for dynamics, populations in kinds.items():
        parts.append("\n".join(_kind(dynamics, populations)))
    if network.projections:
        parts.append("\n".join(_synapses(network)))
    if program is not None:
        parts.append("\n".join(_storage(network, program)))
    return "\n\n".join(parts)


def _synapses(network: Network) -> Iterator[str]:
    """Yield, for each synapse component, how often it is integrated, and why not once per cell."""
    found: dict[tuple[str, tuple[str, ...]], int] = {}
    for item in network.projections:
        kind = "once per connection" if item.reasons else "once per cell"
        if item.reasons and item.arrivals:
            kind = "once per cell, and what an event counts once per connection"
        what = f"{item.synapse}: integrated {kind}"
        key = (f"none, events to {item.port}" if item.port else what, item.reasons)
        found[key] = found.get(key, 0) + item.size
    yield "synapses"
    for (what, reasons), size in found.items():
        yield f"  {what}, {_counted(size, 'connection')}"
        yield from (f"    because {reason}" for reason in reasons)


def _storage(network: Network, program: Program) -> Iterator[str]:
    neurons = _counted(len(program.neurons), "neuron")
    projections = _counted(len(program.projections), "projection")
    populations = _counted(len(network.populations), "population")
    given = _counted(len({item.id for item in network.projections}), "projection")
    yield "in ANNarchy"
    yield f"  {neurons} for {populations}"
    yield f"  {projections} for {given}"
    if network.projections and not program.projections:
        yield "    because no cell sends, and nothing records, what they change"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def describe_component(name: str, dynamics: Dynamics, values: Mapping[str, float]) -> str:
    """Return one component with its values and equations.

    Parameters
    ----------
    name : str
    dynamics : Dynamics
    values : mapping of str to float
        [SI]
    """
    lines = [f"{name}, {dynamics.name}", "  parameters"]
    lines += [
        f"    {item.name} = {_value(values[item.name], item.dimension)}"
        for item in dynamics.parameters
    ]
    lines += [f"  {line}" for line in describe_dynamics(dynamics).splitlines()]
    return "\n".join(lines)


def _kind(dynamics: Dynamics, populations: list[Population]) -> Iterator[str]:
    for item in populations:
        cells = _counted(item.size, "cell")
        yield f"population {item.id}: {cells} of {item.component}, {dynamics.name}"
    yield from _values(dynamics, populations)
    yield from (f"  {line}" for line in describe_dynamics(dynamics).splitlines())


def _values(dynamics: Dynamics, populations: list[Population]) -> Iterator[str]:
    yield "  parameters"
    dimensions = {item.name: item.dimension for item in dynamics.parameters}
    for name, dimension in dimensions.items():
        shown = [_value(item.values[name], dimension) for item in populations]
        text = shown[0] if len(set(shown)) == 1 else ", ".join(shown)
        yield f"    {name} = {text}"


def _value(value: float | np.ndarray, dimension: Dimension) -> str:
    symbol, scale = display_unit(dimension)
    unit = f" {symbol}" if symbol else ""
    array = np.atleast_1d(np.asarray(value, dtype=np.float64)) / scale
    low, high = float(array.min()), float(array.max())
    return f"{low:.10g}{unit}" if low == high else f"{low:.10g} to {high:.10g}{unit}"


def describe_dynamics(dynamics: Dynamics) -> str:
    """Return the equations of a dynamics.

    Parameters
    ----------
    dynamics : Dynamics
        Values in it are SI.
    """
    return "\n".join(_dynamics(dynamics))


def _dynamics(dynamics: Dynamics) -> Iterator[str]:
    if dynamics.constants:
        yield "constants"
        for constant in dynamics.constants:
            yield f"  {constant.name} = {_value(constant.value, constant.dimension)}"
    if dynamics.requirements:
        yield "requires " + ", ".join(item.name for item in dynamics.requirements)
    if dynamics.states:
        shown = ", ".join(f"{item.name}{_unit(item.dimension)}" for item in dynamics.states)
        yield f"states {shown}"
    if dynamics.start:
        yield "at the start"
        yield from _assignments(dynamics.start)
    if dynamics.derived or dynamics.rates:
        yield "in each step"
    for derived in dynamics.derived:
        yield f"  {derived.name} = {to_text(derived.value)}{_unit(derived.dimension)}"
    for rate in dynamics.rates:
        yield f"  d {rate.state}/dt = {to_text(rate.value)}"
    for condition in dynamics.conditions:
        yield f"when {to_text(condition.test)}"
        yield from _actions(condition)
    for event in dynamics.on_events:
        yield f"on an event at '{event.port}'"
        yield from _actions(event)


def _unit(dimension: Dimension) -> str:
    symbol, _ = display_unit(dimension)
    return f" [{symbol}]" if symbol else ""


def _assignments(assignments: tuple[Assignment, ...]) -> Iterator[str]:
    for item in assignments:
        yield f"  {item.state} := {to_text(item.value)}"


def _actions(block: OnCondition | OnEvent) -> Iterator[str]:
    yield from _assignments(block.assignments)
    for port in block.events:
        yield f"  send '{port}'"
