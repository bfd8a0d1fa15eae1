"""Turn the dynamics of a synapse into one that ANNarchy does at each connection.

For synapses that cannot be summed over the connections of a cell: with states that an event
changes by their own value, or that read the cell at the other end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.equations import Symbol, euler_rate, print_expression
from izhi_models.annarchy.program import WEIGHT, Equation, ProgramParameter, Synapse
from izhi_models.errors import UnsupportedError
from izhi_models.expr import Compare, Expr, Name, Select, fold, is_random, names, substitute
from izhi_models.ir.aggregate import Arrival
from izhi_models.ir.dimensions import rescale
from izhi_models.ir.dynamics import Assignment, Derived, Dynamics
from izhi_models.ir.evaluate import initial_values
from izhi_models.ir.passes import drop_unused, fold_constants, order_derived
from izhi_models.ir.prescribed import is_prescribed
from izhi_models.ir.step import Block, Step, make_step
from izhi_models.network import WEIGHT as WEIGHT_NAME
from izhi_models.network import Values
from izhi_models.units import Dimension, to_simulation, to_simulation_array

_COUNT = "@count"  # no name in a file has an @


@dataclass(frozen=True)
class ConnectionSynapse:
    """A synapse of a program, and the values that it starts with.

    Parameters
    ----------
    definition : Synapse
    values : dict of str to float or array (n,)
        By symbol, in simulation units: parameters and initial values; one number where all
        connections have the same.
    symbols : dict of str to Symbol
        Of the states, and of what is derived to be recorded, by name in the dynamics.
    """

    definition: Synapse
    values: Values
    symbols: dict[str, Symbol]


def lower_synapse(
    dynamics: Dynamics,
    given: Values,
    weights: Callable[[], NDArray[np.float64]],
    added: str | Arrival,
    cells: Mapping[str, str],
    kept: Set[str] = frozenset(),
    counts: Set[str] = frozenset(),
) -> ConnectionSynapse:
    """Lower a synapse that each connection has for itself.

    Parameters
    ----------
    dynamics : Dynamics
        Flat; its requirements are variables of the two cells.
    given : dict of str to float or array (n,)
        Parameters; all are arrays if there are several components. [SI]
    weights : callable
        Returns the weights (n,) of the connections, which are asked for if states start with them.
    added : str or Arrival
        What the postsynaptic cell adds up: an exposure, in each step, or what each event counts.
    cells : mapping of str to str
        Text that reads each requirement: ``post.s_3``.
    kept : set of str
        States and derived variables that are recorded.
    counts : set of str
        Requirements that count the spikes of the postsynaptic cell: what follows a change of them
        is done when it spikes, and costs nothing in other steps.

    Raises
    ------
    UnsupportedError
        If events change several states by each other's values at once, or draw random numbers.
    """
    if isinstance(added, str):
        variable = dynamics.exposed(added) or added
    else:
        variable = _COUNT
        count = Derived(_COUNT, added.dimension, added.weight)
        dynamics = replace(dynamics, derived=(*dynamics.derived, count))
    ordered = order_derived(dynamics)
    used = drop_unused(fold_constants(rescale(ordered)), frozenset({variable, *kept}))
    if any(is_random(item) for item in used.expressions()):
        raise UnsupportedError(f"'{dynamics.name}' draws random numbers at each connection")
    method = "auto" if is_prescribed(used) else "euler"
    step, after_spike = _split_off(make_step(used, method), counts, kept)
    reader = _Reader(step, cells, kept)
    is_single = not any(isinstance(value, np.ndarray) for value in given.values())
    total = reader.text(Name(variable))
    arriving = reader.in_order(
        action for block in step.on_events if "/" not in block.port for action in block.assignments
    )
    definition = Synapse(
        parameters=tuple(
            ProgramParameter(reader.symbols[item.name], is_global=is_single)
            for item in used.parameters
            if item.name in reader.symbols
        ),
        equations=reader.equations(),
        variables=reader.resting(),
        pre_spike=arriving if isinstance(added, str) else (f"g_target += {total}", *arriving),
        post_spike=reader.in_order(after_spike),
        psp=total if isinstance(added, str) else None,
        shown=reader.shown(),
    )
    dimensions = used.dimensions()
    symbols = {
        name: Symbol(symbol, dimensions[name], is_parameter=False)
        for name, symbol in {**reader.symbols, **reader.show}.items()
        if name not in reader.given
    }
    values = _values(ordered, given, weights, cells)
    return ConnectionSynapse(
        definition,
        {
            symbol: _in_simulation(values.get(name, 0.0), dimensions[name])
            for name, symbol in reader.symbols.items()
        },
        symbols,
    )


def _split_off(step: Step, counts: Set[str], kept: Set[str]) -> tuple[Step, tuple[Assignment, ...]]:
    """Return a step without what is done after a spike of the cell, and that.

    It is the last block, done where a count of spikes is not the state that follows it.
    """
    match step.blocks[-1:]:
        case (Block(Compare("!=", Name(count), Name(seen)), assignments, ()),):
            pass
        case _:
            return step, ()
    rest, noted = assignments[:-1], assignments[-1:]
    others = [*step.advances, *rest]
    others += [item for block in step.blocks[:-1] for item in block.assignments]
    others += [item for block in step.on_events for item in block.assignments]
    read = {name for item in others for name in (item.state, *names(item.value))}
    read |= {name for item in step.definitions for name in names(item.value)}
    read |= {name for block in step.blocks[:-1] for name in names(block.test)}
    is_followed = noted == (Assignment(seen, Name(count)),)
    if count not in counts or seen in read | {*kept} or not is_followed:
        return step, ()
    states = tuple(item for item in step.states if item.name != seen)
    return replace(step, blocks=step.blocks[:-1], states=states), rest


def _values(
    dynamics: Dynamics,
    given: Values,
    weights: Callable[[], NDArray[np.float64]],
    cells: Iterable[str],
) -> Values:
    """Return parameters, and what variables start with."""
    own = dict(given)
    if _starts_with_weight(dynamics):
        own[WEIGHT_NAME] = weights()
    sizes = [value.size for value in own.values() if isinstance(value, np.ndarray)]
    start = initial_values(dynamics, {**own, **dict.fromkeys(cells, 0.0)}, max(sizes, default=1))
    equal = {name: (value == value[0]).all() for name, value in start.items()}
    return {
        **{name: float(value[0]) if equal[name] else value for name, value in start.items()},
        **own,
    }


def _in_simulation(value: float | NDArray[np.float64], dimension: Dimension) -> Any:
    if isinstance(value, np.ndarray):
        return to_simulation_array(value, dimension)
    return to_simulation(value, dimension)


def _starts_with_weight(dynamics: Dynamics) -> bool:
    """Tell whether a state starts with what follows from the weight of its connection."""
    follow = {WEIGHT_NAME}
    for item in dynamics.derived:
        if names(item.value) & follow:
            follow.add(item.name)
    return any(names(item.value) & follow for item in dynamics.start)


class _Reader:
    """Writes the expressions of a step, with derived variables put in where they are read."""

    def __init__(self, step: Step, cells: Mapping[str, str], kept: Set[str]) -> None:
        self.step = step
        self.states = [item.name for item in step.states]
        own = [item.name for item in step.parameters if item.name not in cells]
        self.given = [name for name in own if name != WEIGHT_NAME]
        self.symbols = {name: f"p_{n}" for n, name in enumerate(self.given)}
        self.symbols |= {name: f"s_{n}" for n, name in enumerate(self.states)}
        self.printed = {**self.symbols, **cells, WEIGHT_NAME: WEIGHT}
        self.derived: dict[str, Expr] = {}
        for item in step.definitions:
            self.derived[item.name] = substitute(item.value, self.derived)
        derived = sorted(kept & self.derived.keys())
        self.show = {name: f"d_{n}" for n, name in enumerate(derived)}

    def text(self, expr: Expr) -> str:
        """Print an expression in states, parameters and variables of the cells."""
        return print_expression(fold(substitute(expr, self.derived)), self.printed)

    def equations(self) -> tuple[Equation, ...]:
        """Return what is done in every step: all states advance at once, then blocks."""
        now: dict[str, Expr] = {}
        plain: set[str] = set()
        for item in self.step.advances:
            now[item.state] = substitute(item.value, self.derived)
            plain.add(item.state)
        for block in self.step.blocks:
            test = substitute(block.test, {**self.derived, **now})
            for action in block.assignments:
                value = substitute(action.value, {**self.derived, **now})
                before = now.get(action.state, Name(action.state))
                now[action.state] = Select(test, value, before)
                plain.discard(action.state)
        odes, early, late = [], [], []
        for number, (state, value) in enumerate(now.items()):
            symbol = self.symbols[state]
            rate = euler_rate(state, value) if state in plain else None
            text = self.text(rate if rate is not None else value)
            if rate is not None and "ite(" not in text:
                odes.append(Equation(symbol, f"d{symbol}/dt = {text}", is_ode=True))
                continue
            early.append(Equation(f"n_{number}", f"n_{number} = {self.text(value)}", is_ode=False))
            late.append(Equation(symbol, f"{symbol} = n_{number}", is_ode=False))
        return (*early, *odes, *late)

    def shown(self) -> tuple[Equation, ...]:
        """Return the equations of derived variables that are only recorded."""
        return tuple(
            Equation(symbol, f"{symbol} = {self.text(Name(name))}", is_ode=False)
            for name, symbol in self.show.items()
        )

    def resting(self) -> tuple[str, ...]:
        """Return the symbols of the states that only events change."""
        moving = {item.state for item in self.step.advances}
        moving |= {item.state for block in self.step.blocks for item in block.assignments}
        return tuple(self.symbols[name] for name in self.states if name not in moving)

    def in_order(self, assignments: Iterable[Assignment]) -> tuple[str, ...]:
        """Return assignments one by one, each state after those that read its old value."""
        now: dict[str, Expr] = {}
        for item in assignments:
            now[item.state] = substitute(item.value, {**self.derived, **now})
        order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(now, ()))
        for state, value in now.items():
            for read in names(value) & now.keys() - {state}:
                order.add(read, state)
        try:
            ordered = list(order.static_order())
        except CycleError:
            raise UnsupportedError(
                f"an event changes {', '.join(now)} by each other's values at once"
            ) from None
        return tuple(f"{self.symbols[name]} = {self.text(now[name])}" for name in ordered)
