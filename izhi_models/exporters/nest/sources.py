"""What drives cells from outside: currents that follow from the time, and trains of spikes.

A current is computed beforehand, in each step, whatever its equations; so are the spikes of a
source that nothing reaches. Random trains are NEST's own, of the same law.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.exporters.nest.equations import Floats, equations_of
from izhi_models.exporters.nest.firing import NoModelError
from izhi_models.expr import ZERO, is_random, names, substitute
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import TIME_NAME, Dynamics
from izhi_models.ir.evaluate import Interpreter, evaluate_array
from izhi_models.ir.passes import drop_unused, exact_times, order_derived
from izhi_models.lems.components import Component, Model
from izhi_models.lems.lower import Lowered, lower_part
from izhi_models.network import WEIGHT, Input, Population, Values

_POINTS = 50
_LAG = 2  # steps after which a current of a generator of NEST acts


@dataclass(frozen=True)
class Piece:
    """A current that is constant for some steps.

    Parameters
    ----------
    first, end : int
        Numbers of the first step in which it acts, and of the first in which it does not.
    value : float
        [SI]
    """

    first: int
    end: int
    value: float


@dataclass(frozen=True)
class Wave:
    """A current that follows from the time.

    Parameters
    ----------
    cells : int array (n_cells,)
    factors : array (n_cells,)
        By which it is multiplied for each of them.
    pieces : tuple of Piece
        All steps, in order.
    """

    cells: NDArray[np.int64]
    factors: Floats
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Train:
    """A random train of spikes.

    Parameters
    ----------
    model : str
        Of NEST.
    parameters : dict of str to float
        In its units.
    """

    model: str
    parameters: dict[str, float]


def waves(item: Input, exposure: str, dt_s: float, n_steps: int) -> Iterator[Wave]:
    """Yield the currents of an input, each with the cells that get it.

    Parameters
    ----------
    item : Input
    exposure : str
        What the cells add up.
    dt_s : float
        [s]
    n_steps : int

    Raises
    ------
    NoModelError
        If it does not follow from the time.
    """
    dynamics = drop_unused(exact_times(order_derived(item.dynamics)), frozenset({exposure}))
    if any(is_random(expr) for expr in dynamics.expressions()):
        raise NoModelError("it draws random numbers, and is none of NeuroML's random inputs")
    if dynamics.requirements:
        read = ", ".join(sorted(need.name for need in dynamics.requirements))
        raise NoModelError(f"it depends on '{read}' of the cell")
    values = dict(item.values)
    factors = np.ones(item.cells.size)
    weights = values.get(WEIGHT)
    if isinstance(weights, np.ndarray) and _is_proportional(dynamics, exposure):
        factors, values[WEIGHT] = weights, 1.0
    varying = sorted(name for name, value in values.items() if isinstance(value, np.ndarray))
    table = np.array([values[name] for name in varying]).reshape(len(varying), item.cells.size).T
    rows, numbers = distinct(table)
    for number, row in enumerate(rows):
        chosen = np.flatnonzero(numbers == number)
        single: Values = {**values, **dict(zip(varying, row.tolist(), strict=True))}
        course = _course(dynamics, single, exposure, dt_s, n_steps)
        yield Wave(item.cells[chosen], factors[chosen], _pieces(course))


def distinct(table: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct rows of a table, and which of them each row is."""
    if not table.shape[1]:
        return table[:1], np.zeros(len(table), dtype=np.intp)
    rows, numbers = np.unique(table, axis=0, return_inverse=True)
    return rows, numbers.reshape(-1)


def _is_proportional(dynamics: Dynamics, exposure: str) -> bool:
    """Return whether the weight multiplies what is shown, and does nothing else."""
    variable = dynamics.exposed(exposure)
    read = [item for item in dynamics.derived if WEIGHT in names(item.value)]
    if [item.name for item in read] != [variable] or dynamics.states:
        return False
    value = read[0].value
    try:
        is_line = WEIGHT not in names(differentiate(value, WEIGHT))
    except NotDifferentiableError:
        return False
    draw = np.random.default_rng(3)
    known = {name: draw.uniform(0.1, 1.0, _POINTS) for name in sorted(names(value))}
    nothing = evaluate_array(substitute(value, {WEIGHT: ZERO}), known, _POINTS, draw)
    return is_line and not nothing.any()


def _course(dynamics: Dynamics, values: Values, exposure: str, dt_s: float, n_steps: int) -> Floats:
    """Return the current in each step, in SI."""
    equations = equations_of(dynamics, values, 1, keep=frozenset({exposure}))
    shown = equations.shown.get(dynamics.exposed(exposure) or exposure)
    if shown is None or names(shown) - {TIME_NAME}:
        interpreter = Interpreter(dynamics, values, 1, dt_s)
        return np.array([_next(interpreter, exposure) for _ in range(n_steps)])
    times: Floats = dt_s * np.arange(1, n_steps + 1, dtype=np.float64)
    return evaluate_array(shown, {TIME_NAME: times}, n_steps, np.random.default_rng(0))


def _next(interpreter: Interpreter, exposure: str) -> float:
    """Return what acts in the next step, and do that."""
    interpreter.receive({})
    value = float(interpreter.value(exposure)[0])
    interpreter.advance()
    return value


def _pieces(course: Floats) -> tuple[Piece, ...]:
    starts = np.flatnonzero(np.r_[True, course[1:] != course[:-1]])
    ends = np.r_[starts[1:], course.size]
    return tuple(
        Piece(int(first), int(end), float(course[first]))
        for first, end in zip(starts, ends, strict=True)
    )


def starts_at(step: int) -> int:
    """Return the step at whose start a generator has to begin for its current to act in another."""
    return step + 1 - _LAG


# Spikes


def is_source(population: Population) -> bool:
    """Return whether nothing can reach the cells of a population."""
    dynamics = population.dynamics
    return not dynamics.gathers and not dynamics.requirements and bool(dynamics.out_ports)


def random_train(component: Component, values: Mapping[str, float], dt_s: float) -> Train | None:
    """Return the law of one of NeuroML's random sources, None for what is none of these.

    Source: NeuroML 2, spikeGeneratorPoisson, spikeGeneratorRefPoisson, poissonFiringSynapse,
    transientPoissonFiringSynapse; PyNN, SpikeSourcePoisson.

    Parameters
    ----------
    component : Component
    values : mapping of str to float
        [SI]
    dt_s : float
        [s]

    Raises
    ------
    NoModelError
        If it is too fast for its dead time.
    """
    kind = component.type
    if not kind.element.document.is_core:
        return None
    match kind.name:
        case "spikeGeneratorPoisson" | "poissonFiringSynapse":
            return Train("poisson_generator", {"rate": values["averageRate"]})
        case "transientPoissonFiringSynapse":
            return _between(values["averageRate"], values["delay"], values["duration"], dt_s)
        case "SpikeSourcePoisson":
            return _between(values["rate"], values["start"], values["duration"], dt_s)
        case "spikeGeneratorRefPoisson":
            if values["averageRate"] * values["minimumISI"] >= 1.0:
                raise NoModelError("its mean interval is not longer than its shortest")
            dead = {"dead_time": values["minimumISI"] * 1e3}
            return Train("ppd_sup_generator", {"rate": values["averageRate"], **dead})
        case _:
            return None


def _between(rate: float, start: float, duration: float, dt_s: float) -> Train:
    """Return a train in the steps that begin at these times or after them."""
    ends = {"start": start, "stop": start + duration}
    times = {name: np.ceil(time / dt_s - 1e-9) * dt_s * 1e3 for name, time in ends.items()}
    return Train("poisson_generator", {"rate": rate, **times})


def spike_steps(
    component: Component | None, population: Population, dt_s: float, n_steps: int
) -> list[NDArray[np.int64]]:
    """Return the numbers of the steps at whose end each cell sends, the first being 1.

    Parameters
    ----------
    component : Component or None
        What the cells are.
    population : Population
        That nothing reaches.
    dt_s : float
        [s]
    n_steps : int

    Raises
    ------
    NoModelError
        If it draws random numbers.
    """
    dynamics, n = population.dynamics, population.size
    used = drop_unused(exact_times(order_derived(dynamics)), frozenset())
    if any(is_random(expr) for expr in used.expressions()):
        raise NoModelError("it draws random numbers, and is none of NeuroML's Poisson sources")
    known = {item.name: population.values[item.name] for item in used.parameters}
    columns = [np.broadcast_to(np.asarray(value, dtype=np.float64), n) for value in known.values()]
    rows, numbers = distinct(np.array(columns).reshape(len(known), n).T)
    found = [
        listed_steps(component, dict(zip(known, row.tolist(), strict=True)), dt_s, n_steps)
        for row in rows
    ]
    if any(item is None for item in found):
        found = _interpreted(used, dict(zip(known, rows.T, strict=True)), len(rows), dt_s, n_steps)
    return [found[number] for number in numbers]


def listed_steps(
    component: Component | None, values: Mapping[str, float], dt_s: float, n_steps: int
) -> NDArray[np.int64] | None:
    """Return when one of NeuroML's own sources sends, None for what is none of these.

    Source: NeuroML 2, spikeGenerator, spikeArray, timedSynapticInput.

    Parameters
    ----------
    component : Component or None
    values : mapping of str to float
        [SI]
    dt_s : float
        [s]
    n_steps : int
    """
    if component is None or not component.type.element.document.is_core:
        return None
    match component.type.name:
        case "spikeGenerator":
            count = int(n_steps * dt_s / values["period"]) + 1
            times = values["period"] * np.arange(1, count + 1)
        case "spikeArray" | "timedSynapticInput":
            spikes = component.children.get("spikes", [])
            times = np.array([item.values["time"] for item in spikes])
        case _:
            return None
    steps = np.unique(np.maximum(np.ceil(times / dt_s - 1e-9), 1.0).astype(np.int64))
    return steps[steps <= n_steps]


def _interpreted(
    dynamics: Dynamics, values: Values, n: int, dt_s: float, n_steps: int
) -> list[NDArray[np.int64] | None]:
    """Return when each cell sends, step by step."""
    interpreter = Interpreter(dynamics, values, n, dt_s)
    sent: list[list[int]] = [[] for _ in range(n)]
    for step in range(1, n_steps + 1):
        for port, cells in interpreter.advance().items():
            if "/" not in port:
                for cell in cells:
                    sent[cell].append(step)
    return [np.array(item, dtype=np.int64) for item in sent]


@dataclass(frozen=True)
class Shower:
    """An input that sends spikes through a synapse of its own.

    Parameters
    ----------
    synapse : Lowered
    train : Train or int array
        A law, or numbers of steps.
    """

    synapse: Lowered
    train: Train | NDArray[np.int64]


def shower(model: Model, item: Input, dt_s: float, n_steps: int) -> Shower | None:
    """Return an input of spikes, None for a current.

    Parameters
    ----------
    model : Model
    item : Input
    dt_s : float
        [s]
    n_steps : int

    Raises
    ------
    NoModelError
        If its cells differ in more than the weight.
    """
    component = model.components.get(item.id)
    if component is None or "synapse" not in component.texts:
        return None
    single = {name: value for name, value in item.values.items() if name != WEIGHT}
    if any(isinstance(value, np.ndarray) for value in single.values()):
        raise NoModelError("cells get it with different parameters")
    numbers = {name: float(value) for name, value in single.items()}
    steps = listed_steps(component, numbers, dt_s, n_steps)
    train = random_train(component, numbers, dt_s) if steps is None else steps
    if train is None:
        raise NoModelError("it is none of NeuroML's inputs of spikes")
    return Shower(lower_part(model, model.reference(component, "synapse")), train)
