"""The equations of components as numbers: what is known is put in, and the rest can be evaluated.

NEST's models are told by their equations and not by names, so what a component does is computed
at chosen states, for all cells of a population at once, and compared with what a model does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from izhi_models.expr import (
    FALSE,
    Call,
    Compare,
    Expr,
    Logic,
    Number,
    Select,
    fold,
    substitute,
    walk,
)
from izhi_models.ir.dynamics import Assignment, Dynamics, OnCondition, OnEvent, Rate
from izhi_models.ir.evaluate import evaluate_array
from izhi_models.ir.passes import drop_unused, order_derived
from izhi_models.ir.rewrite import map_assignments
from izhi_models.network import Values

Floats = NDArray[np.float64]
Start = Mapping[str, Floats]
_STEPS = ("abs", "ceil", "H")


@dataclass(frozen=True)
class Equations:
    """What happens to the states of a component, in terms of these, the time and what arrives.

    Parameters
    ----------
    states : tuple of str
        Those that move.
    rates : dict of str to Expr
    conditions : tuple of OnCondition
    on_events : tuple of OnEvent
    shown : dict of str to Expr
        What is derived.
    scope : dict of str to float array (n,)
        What differs between cells. [SI]
    n : int
        Number of cells.
    """

    states: tuple[str, ...]
    rates: dict[str, Expr]
    conditions: tuple[OnCondition, ...]
    on_events: tuple[OnEvent, ...]
    shown: dict[str, Expr]
    scope: dict[str, Floats]
    n: int

    def at(self, expr: Expr, known: Mapping[str, ArrayLike]) -> Floats:
        """Return the values of an expression for all cells.

        Parameters
        ----------
        expr : Expr
        known : mapping of str to float or array (n,)
            The states, and all else that it reads. [SI]
        """
        given = {name: np.broadcast_to(value, self.n) for name, value in known.items()}
        return evaluate_array(expr, {**self.scope, **given}, self.n, np.random.default_rng(0))

    def rate(self, state: str, known: Mapping[str, ArrayLike]) -> Floats:
        """Return the rate of a state in SI: see `at`."""
        return self.at(self.rates[state], known) if state in self.rates else np.zeros(self.n)

    def done(
        self, assignments: tuple[Assignment, ...], known: Mapping[str, ArrayLike]
    ) -> dict[str, Floats]:
        """Return the states after assignments, each of which sees those before it."""
        found = {name: np.broadcast_to(value, self.n) for name, value in known.items()}
        for item in assignments:
            found[item.state] = self.at(item.value, found)
        return {name: np.asarray(value) for name, value in found.items()}

    def given(self, state: str, value: float) -> Equations:
        """Return the equations while a state has a fixed value."""
        return _mapped(self, {state: Number(value)})

    def expressions(self) -> Iterator[Expr]:
        """Yield all expressions that decide what happens."""
        yield from self.rates.values()
        for block in self.conditions:
            yield block.test
            yield from (item.value for item in block.assignments)

    @property
    def has_cases(self) -> bool:
        """Whether a rate is not the same smooth expression everywhere."""
        return any(
            isinstance(node, Select | Logic | Compare)
            or (isinstance(node, Call) and node.function in _STEPS)
            for rate in self.rates.values()
            for node in walk(rate)
        )


def equations_of(
    dynamics: Dynamics,
    values: Values,
    n: int,
    start: Start | None = None,
    keep: frozenset[str] = frozenset(),
) -> Equations:
    """Return the equations of a component, without what has no influence on anything.

    Parameters
    ----------
    dynamics : Dynamics
        Without regimes.
    values : dict of str to float or array (n,)
        Of parameters and requirements. [SI]
    n : int
        Number of cells.
    start : mapping of str to array (n,), optional
        Initial values: states that never move are put in with theirs. [SI]
    keep : frozenset of str
        What has influence besides the events that are sent.
    """
    used = drop_unused(order_derived(dynamics), keep)
    moving = _moving(used)
    constant = {item.name: item.value for item in used.constants}
    known: dict[str, float | Floats] = {**constant}
    known |= {item.name: values[item.name] for item in used.parameters if item.name in values}
    known |= {item.name: values[item.name] for item in used.requirements if item.name in values}
    if start is not None:
        known |= {item.name: start[item.name] for item in used.states if item.name not in moving}
    scope, numbers = {}, {}
    for name, value in known.items():
        array = np.broadcast_to(np.asarray(value, dtype=np.float64), n)
        if n and np.all(array == array[0]):
            numbers[name] = Number(float(array[0]))
        else:
            scope[name] = array
    put: dict[str, Expr] = dict(numbers)
    shown = {}
    for item in used.derived:
        put[item.name] = shown[item.name] = fold(substitute(item.value, put))
    whole = Equations(
        tuple(item.name for item in used.states if item.name in moving),
        {item.state: item.value for item in used.rates if item.state in moving},
        used.conditions,
        used.on_events,
        shown,
        scope,
        n,
    )
    return _mapped(whole, put)


def _moving(dynamics: Dynamics) -> set[str]:
    found = {item.state for item in dynamics.rates if not _is_zero(item)}
    blocks: tuple[OnCondition | OnEvent, ...] = (*dynamics.conditions, *dynamics.on_events)
    return found | {item.state for block in blocks for item in block.assignments}


def _is_zero(rate: Rate) -> bool:
    return fold(rate.value) == Number(0.0)


def _mapped(equations: Equations, put: Mapping[str, Expr]) -> Equations:
    """Put expressions in place of names; what can never hold is dropped."""

    def change(expr: Expr) -> Expr:
        return fold(substitute(expr, put))

    conditions = (
        replace(
            item,
            test=change(item.test),
            assignments=map_assignments(item.assignments, change),
        )
        for item in equations.conditions
    )
    return replace(
        equations,
        states=tuple(name for name in equations.states if not isinstance(put.get(name), Number)),
        rates={
            state: change(value) for state, value in equations.rates.items() if state not in put
        },
        conditions=tuple(item for item in conditions if item.test != FALSE),
        on_events=tuple(
            replace(item, assignments=map_assignments(item.assignments, change))
            for item in equations.on_events
        ),
        shown={name: change(value) for name, value in equations.shown.items()},
    )
