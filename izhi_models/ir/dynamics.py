"""`Dynamics`: what one component does in time.

All values are SI. Names are those of the specification; names of a child component carry the
child's place as a path, ``synapses[0]/i``. Two names are reserved: ``t``, the simulated time, and
``@dt``, the step, which expressions of a file cannot read, so that ``dt`` is a name like others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from izhi_models.expr import Expr
from izhi_models.units import TIME, Dimension

TIME_NAME = "t"
STEP_NAME = "@dt"
RESERVED = {TIME_NAME: TIME, STEP_NAME: TIME}


@dataclass(frozen=True)
class Variable:
    """A named quantity: a parameter, a requirement or a state.

    Parameters
    ----------
    name : str
    dimension : Dimension
    """

    name: str
    dimension: Dimension


@dataclass(frozen=True)
class Constant:
    """A value in SI that belongs to the type, not to the component."""

    name: str
    dimension: Dimension
    value: float


@dataclass(frozen=True)
class Derived:
    """A variable that follows from others at every moment.

    Source: LEMS, DerivedVariable and ConditionalDerivedVariable.

    Parameters
    ----------
    name : str
    dimension : Dimension
    value : Expr
    is_frozen : bool
        True if it keeps its value inside the method by which rates are said to be integrated.
    """

    name: str
    dimension: Dimension
    value: Expr
    is_frozen: bool = False


@dataclass(frozen=True)
class Rate:
    """The time derivative of a state. Source: LEMS, TimeDerivative.

    Parameters
    ----------
    state : str
    value : Expr
    method : str
        By which it is to be integrated, see `izhi_models.ir.prescribed`; empty if nothing is said.
    turn : int
        A state of a later turn advances after those of an earlier one.
    """

    state: str
    value: Expr
    method: str = ""
    turn: int = 0


@dataclass(frozen=True)
class Assignment:
    """A new value for a state. Source: LEMS, StateAssignment."""

    state: str
    value: Expr


@dataclass(frozen=True)
class OnCondition:
    """What is done in each step in which a condition holds.

    Assignments are done in order, each sees those before it; then the events are sent; then
    the transition is made. Source: LEMS, OnCondition; the test is not edge-triggered.
    """

    test: Expr
    assignments: tuple[Assignment, ...] = ()
    events: tuple[str, ...] = ()
    transition: str | None = None


@dataclass(frozen=True)
class OnEvent:
    """What is done when an event arrives on a port. Source: LEMS, OnEvent."""

    port: str
    assignments: tuple[Assignment, ...] = ()
    events: tuple[str, ...] = ()
    transition: str | None = None


@dataclass(frozen=True)
class Regime:
    """A mode with rates and conditions of its own. Source: LEMS, Regime."""

    name: str
    initial: bool = False
    rates: tuple[Rate, ...] = ()
    on_entry: tuple[Assignment, ...] = ()
    conditions: tuple[OnCondition, ...] = ()
    on_events: tuple[OnEvent, ...] = ()


@dataclass(frozen=True)
class Attachment:
    """A list to which inputs and synapses are attached from outside. Source: LEMS, Attachments.

    Parameters
    ----------
    name : str
        Name of the list, ``synapses``.
    """

    name: str


@dataclass(frozen=True)
class Gather:
    """A sum or product over an exposure of all that is attached or contained.

    Expressions read it by its name. Source: LEMS, DerivedVariable with select and reduce.

    Parameters
    ----------
    name : str
        As in the path: ``synapses[*]/i``.
    attachment : str
    exposure : str
    reduce : str
        ``add`` or ``multiply``.
    dimension : Dimension
    """

    name: str
    attachment: str
    exposure: str
    reduce: str
    dimension: Dimension


@dataclass(frozen=True)
class Dynamics:
    """States, rates, conditions and events of a component and all that is part of it.

    Two components of one structure have equal dynamics; their parameter values are kept apart.

    Parameters
    ----------
    name : str
        The ComponentType, for people; no part of equality.
    parameters, requirements, states : tuple of Variable
        Requirements are read from the component on which this one sits.
    constants : tuple of Constant
    derived : tuple of Derived
    rates : tuple of Rate
        At most one per state; a state without one keeps its value.
    start : tuple of Assignment
        Done at t = 0, in order; states start at zero. Source: LEMS, OnStart.
    conditions : tuple of OnCondition
    on_events : tuple of OnEvent
    regimes : tuple of Regime
    in_ports, out_ports : tuple of str
    exposures : tuple of (str, str)
        Exposure name and the variable behind it.
    attachments : tuple of Attachment
    gathers : tuple of Gather
    inflows : tuple of (str, str)
        Parameters that come from outside in every step and change smoothly, with the variable
        that tells their value in the middle of the step from those at its start.
    """

    name: str = field(compare=False)
    parameters: tuple[Variable, ...] = ()
    requirements: tuple[Variable, ...] = ()
    constants: tuple[Constant, ...] = ()
    states: tuple[Variable, ...] = ()
    derived: tuple[Derived, ...] = ()
    rates: tuple[Rate, ...] = ()
    start: tuple[Assignment, ...] = ()
    conditions: tuple[OnCondition, ...] = ()
    on_events: tuple[OnEvent, ...] = ()
    regimes: tuple[Regime, ...] = ()
    in_ports: tuple[str, ...] = ()
    out_ports: tuple[str, ...] = ()
    exposures: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    gathers: tuple[Gather, ...] = ()
    inflows: tuple[tuple[str, str], ...] = ()

    def dimensions(self) -> dict[str, Dimension]:
        """Return the dimension of every name that expressions may read."""
        known: dict[str, Dimension] = dict(RESERVED)
        for group in (
            self.requirements,
            self.parameters,
            self.constants,
            self.gathers,
            self.derived,
            self.states,
        ):
            for item in group:
                known[item.name] = item.dimension
        return known

    def exposed(self, name: str) -> str | None:
        """Return the variable behind an exposure, or behind a variable's own name."""
        for exposure, variable in self.exposures:
            if exposure == name:
                return variable
        own = {item.name for group in (self.states, self.derived) for item in group}
        return name if name in own else None

    def expressions(self) -> Iterator[Expr]:
        """Yield every expression of the dynamics."""
        yield from (item.value for item in self.derived)
        yield from (item.value for item in self.rates)
        yield from (item.value for item in self.start)
        yield from _block_expressions(self.conditions, self.on_events)
        for regime in self.regimes:
            yield from (item.value for item in regime.rates)
            yield from (item.value for item in regime.on_entry)
            yield from _block_expressions(regime.conditions, regime.on_events)


def _block_expressions(
    conditions: tuple[OnCondition, ...], on_events: tuple[OnEvent, ...]
) -> Iterator[Expr]:
    blocks: tuple[OnCondition | OnEvent, ...] = (*conditions, *on_events)
    for block in blocks:
        if isinstance(block, OnCondition):
            yield block.test
        yield from (item.value for item in block.assignments)
