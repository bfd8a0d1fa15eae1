"""One dynamics for all connections of a cell that end in the same kind of synapse.

A synapse is attached once per connection. Where its states are linear in its events, and what
the cell gathers is linear in the states, the sum over the connections of a cell obeys the
equations of a single synapse: with x' = M x for each connection, and x raised by a w at an event,
the sum of all x obeys the same M and is raised by a times the sum of the weights w that arrive.
M may hold what all connections of a cell share, such as v or a block by magnesium, and parameters
that are equal. That each equation has this form is proved on its derivatives.

The sum is exact as mathematics, for finite values, and for each method of `Step`. In floating
point it is another order of the same additions and products: results are equal to rounding, and
a network that amplifies differences shows them in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from izhi_models.errors import InternalError
from izhi_models.expr import (
    FALSE,
    ONE,
    ZERO,
    Binary,
    Expr,
    Name,
    Number,
    children,
    fold,
    is_random,
    names,
    rebuild,
    substitute,
    to_text,
)
from izhi_models.ir.differentiate import NotDifferentiableError, differentiate
from izhi_models.ir.dynamics import Assignment, Dynamics, OnEvent, Variable
from izhi_models.ir.passes import drop_unused, order_derived
from izhi_models.ir.rewrite import map_expressions, rename_all
from izhi_models.units import NONE, Dimension

Weights = tuple[str, ...]
"""A product of parameters that differ between connections; empty for 1."""

Terms = dict[Weights, Expr]
"""A sum of such products, each times an expression in which none of them occurs."""

CURRENT_EXPOSURE = frozenset({"i"})


@dataclass(frozen=True)
class Arrival:
    """A sum over the events that arrive at one cell in one step.

    Parameters
    ----------
    name : str
        Of the parameter that stands for the sum, ``in@weight``; 0 where nothing arrives.
    weight : Expr
        What an event counts: a product of varying parameters of its connection, or 1.
    dimension : Dimension
    """

    name: str
    weight: Expr
    dimension: Dimension = NONE


@dataclass(frozen=True)
class Aggregate:
    """What replaces all synapses of one kind on a cell.

    Parameters
    ----------
    dynamics : Dynamics
        Its ``on_events`` is one block, or none, to be done once in each step, at the place of a
        synapse's own events. It adds to each state a factor times the arrivals, so where nothing
        arrives it changes nothing, if the factor is finite. A factor may read what is derived
        from the time or requirements, with the value of the step before.
        Varying parameters do not occur; arrivals are parameters.
    arrivals : tuple of Arrival
    sums : frozenset of str
        States and derived variables that are the sum, over the connections, of what a synapse
        has under that name; a single connection's value is not to be had. Those that end in
        ``@aggregate`` are no such sums, and no exposures; all others are the same in each
        connection.
    reasons : tuple of str
        Why each connection still needs states of its own, which say what an event counts; empty
        if none does.
    """

    dynamics: Dynamics
    arrivals: tuple[Arrival, ...]
    sums: frozenset[str]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotAggregable:
    """Why each connection needs a synapse of its own.

    Parameters
    ----------
    reasons : tuple of str
        For people, at least one.
    """

    reasons: tuple[str, ...]


def aggregate(
    synapse: Dynamics, varying: frozenset[str], gathered: frozenset[str] = CURRENT_EXPOSURE
) -> Aggregate | NotAggregable:
    """Return the dynamics of the sum over all connections of a cell, if it is proved to be exact.

    What has no influence on what the cell gathers is left out, if it has no such sum. Events that
    a synapse sends reached its own parts when it was lowered, and nobody else.

    A factor of the gathered exposures that varies, as weight in ``i = weight * g * (erev - v)``,
    moves into the jumps; the states then are weighted sums. A state to which each event gives
    the same value, as weightFactor of doubleSynapse, counts as that value: before the first
    event all other states are 0, so its start has no effect.

    Parameters
    ----------
    synapse : Dynamics
        Flat, with its own parts, without regimes.
    varying : frozenset of str
        Parameters that may differ between the connections of a cell, and requirements that do,
        such as a variable of the cell at the other end. All others are equal.
    gathered : frozenset of str
        Exposures that the cell reads.

    Raises
    ------
    InputError
        If derived variables need each other.
    InternalError
        If the dynamics still has regimes or open lists.
    """
    if synapse.gathers:
        raise InternalError(f"'{synapse.name}' still has open lists of attachments")
    own_events = tuple(item for item in synapse.on_events if "/" not in item.port)
    whole = order_derived(replace(synapse, on_events=own_events, out_ports=()))
    missing = sorted(name for name in gathered if whole.exposed(name) is None)
    if missing:
        return NotAggregable(tuple(f"it has no exposure {name}" for name in missing))
    proof = _Proof(whole, varying, gathered)
    if proof.reasons:
        return NotAggregable(tuple(proof.reasons.values()))
    for exposure, _ in whole.exposures:
        wider = _Proof(whole, varying, proof.shown | {exposure})
        if not wider.reasons:
            proof = wider
    return proof.result()


class _Refusal(Exception):
    """An equation has not the form that is needed; says what is wrong with it."""


class _Proof:
    """Proves, for a set of exposures, that their sums over connections obey one dynamics.

    Parameters
    ----------
    whole : Dynamics
        Ordered; only with events from outside.
    varying : frozenset of str
    shown : frozenset of str
        Exposures that are to be sums.
    """

    def __init__(self, whole: Dynamics, varying: frozenset[str], shown: frozenset[str]) -> None:
        self.whole = whole
        self.varying = varying
        self.shown = shown
        self.reasons: dict[str, str] = {}
        self.dynamics = drop_unused(whole, shown)
        self.values = inlined(self.dynamics)
        self.constants: dict[str, Expr] = {
            item.name: Number(item.value) for item in self.dynamics.constants
        }
        self.parameters = {item.name for item in self.dynamics.parameters}
        self.all_states = frozenset(item.name for item in self.dynamics.states)
        self.held = self._held()
        self.states = self.all_states - self.held.keys()
        self.jumps = self._prove_jumps()
        self._prove_starts()
        self._prove_conditions()
        self._prove_rates()
        self.weights = self._prove_exposures()

    def _refuse(self, name: str, reason: str) -> None:
        """Keep the first reason for each variable; others often follow from it."""
        self.reasons.setdefault(name, reason)

    # What is known of names

    def _is_fixed(self, expr: Expr) -> bool:
        """Tell whether an inlined expression has one value per connection, at all times."""
        return names(expr) <= self.parameters | self.constants.keys() and not is_random(expr)

    def _held(self) -> dict[str, Expr]:
        """Return the states to which each event gives one fixed value, with that value."""
        moving = {item.state for item in self.dynamics.rates}
        moving |= {item.state for block in self.dynamics.conditions for item in block.assignments}
        given: dict[str, list[Expr]] = {}
        for item in self._event_assignments():
            given.setdefault(item.state, []).append(substitute(item.value, self.values))
        return {
            state: values[0]
            for state, values in given.items()
            if state not in moving and len(values) == 1 and self._is_fixed(values[0])
        }

    def _event_assignments(self) -> list[Assignment]:
        return [item for block in self.dynamics.on_events for item in block.assignments]

    # Events

    def _prove_jumps(self) -> dict[str, Terms]:
        ports = sorted({item.port for item in self.dynamics.on_events})
        if len(ports) > 1:
            self._refuse("", f"events on more than one port change it: {', '.join(ports)}")
        fixed = {name: value for name, value in self.values.items() if self._is_fixed(value)}
        after: dict[str, Expr] = {}
        texts: dict[str, str] = {}
        for item in self._event_assignments():
            after[item.state] = substitute(item.value, {**fixed, **after})
            texts[item.state] = to_text(item.value)
        jumps: dict[str, Terms] = {}
        # States that read fewer others come first, so that causes come before what follows.
        reads = {name: len(self._leaves(value) & self.all_states) for name, value in after.items()}
        for state in sorted(after.keys() & self.states, key=lambda name: (reads[name], name)):
            try:
                jumps[state] = self._jump(state, after[state], texts[state])
            except _Refusal as refusal:
                self._refuse(state, f"{state} {refusal}")
        return jumps

    def _jump(self, state: str, after: Expr, text: str) -> Terms:
        """Return what an event adds to a state; `after` reads the values before the event."""
        becomes = f"becomes {text} at each event"
        which = f"{becomes}, which"
        factor = _slope(after, state, which)
        added = value_at_zero(after, {state})
        if factor == ZERO:
            raise _Refusal(f"{becomes}, whatever it was, so it is not a sum over connections")
        if factor != ONE and added == ZERO:
            by = to_text(factor)
            raise _Refusal(
                f"is multiplied by {by} at each event, so it is not a sum over connections"
            )
        if factor != ONE:
            raise _Refusal(f"{which} adds what depends on {state} itself")
        states = sorted(self._leaves(added) & self.all_states)
        if states:
            raise _Refusal(f"{which} adds what depends on the connection's {', '.join(states)}")
        moving = {self.values[name] for name in names(added) if name in self.values}
        if is_random(added) or any(is_random(value) for value in moving):
            raise _Refusal(f"{which} draws a random number for each connection")
        # A derived variable has the value of the step before, which arrivals cannot carry.
        self._refuse_varying(frozenset().union(*(names(value) for value in moving)), which)
        return self._by_weights(added, which)

    def _leaves(self, expr: Expr) -> frozenset[str]:
        return names(substitute(expr, self.values))

    # Starts, conditions, rates

    def _prove_starts(self) -> None:
        for item in self.dynamics.start:
            value = substitute(substitute(item.value, self.values), self.constants)
            if item.state in self.states and value_at_zero(value, self.states) != ZERO:
                self._refuse(item.state, f"{item.state} starts at {to_text(item.value)}, not at 0")

    def _prove_conditions(self) -> None:
        for block in self.dynamics.conditions:
            if fold(substitute(block.test, self.constants)) == FALSE:
                continue
            for item in block.assignments:
                self._refuse(
                    item.state,
                    f"{item.state} becomes {to_text(item.value)} when {to_text(block.test)}, "
                    "which is decided for each connection",
                )

    def _prove_rates(self) -> None:
        for item in self.dynamics.rates:
            what = f"the rate of {item.state}, {self._text(item.value)},"
            try:
                self._refuse_varying(names(self._linear(item.value, what)), what)
            except _Refusal as refusal:
                self._refuse(item.state, str(refusal))

    def _linear(self, expr: Expr, what: str) -> Expr:
        """Return an expression, inlined and proved to be linear in the states.

        It is 0 while all states are 0, also before the first event has given held states their
        value.
        """
        inlined = substitute(expr, self.values)
        value = substitute(inlined, self.held)
        if is_random(value):
            raise _Refusal(f"{what} draws random numbers for each connection")
        for state in sorted(names(value) & self.states):
            others = sorted(names(_slope(value, state, what)) & self.states)
            if others:
                raise _Refusal(f"{what} is not linear in {state} and {', '.join(others)}")
        if value_at_zero(inlined, self.states) != ZERO:
            raise _Refusal(
                f"{what} is not 0 while all states are 0, so it does not come from events alone"
            )
        return value

    def _refuse_varying(self, found: frozenset[str], what: str) -> None:
        differing = sorted(found & self.varying)
        if differing:
            verb = "differs" if len(differing) == 1 else "differ"
            raise _Refusal(
                f"{what} depends on {' and '.join(differing)}, which {verb} between connections"
            )

    def _by_weights(self, expr: Expr, what: str) -> Terms:
        terms = _split(expr, self.varying & self.parameters, what)
        for factor in terms.values():
            self._refuse_varying(names(factor), what)
        return terms

    # What the cell gathers

    def _prove_exposures(self) -> Weights:
        """Return the product of weights that is a factor of all exposures that are to be sums."""
        found: dict[Weights, str] = {}
        for exposure in sorted(self.shown):
            variable = self.dynamics.exposed(exposure) or exposure
            what = self._equation(variable)
            try:
                terms = self._sum_terms(variable)
            except _Refusal as refusal:
                self._refuse(variable, str(refusal))
                continue
            if len(terms) > 1:
                self._refuse(variable, f"{what} is a sum of parts with different weights")
            else:
                found |= dict.fromkeys(terms, exposure)
        if len(found) > 1:
            self._refuse("", f"{' and '.join(found.values())} have different weights")
        return next(iter(found), ())

    def _sum_terms(self, variable: str) -> Terms:
        """Return a variable, proved to be linear in the states, by weights."""
        what = self._equation(variable)
        return self._by_weights(self._linear(Name(variable), what), what)

    def _is_sum(self, variable: str) -> bool:
        try:
            return self._sum_terms(variable).keys() <= {self.weights}
        except _Refusal:
            return False

    def _equation(self, variable: str) -> str:
        text = self._text(Name(variable))
        return variable if text == variable else f"{variable} = {text}"

    def _text(self, expr: Expr) -> str:
        """Print an expression; for the name of a derived variable, what it stands for."""
        value: Mapping[str, Expr] = {item.name: item.value for item in self.dynamics.derived}
        while isinstance(expr, Name) and expr.id in value:
            expr = value[expr.id]
        return to_text(expr)

    # Result

    def result(self) -> Aggregate:
        """Return the aggregate; all proofs must have succeeded."""
        shared = self._shared()
        running = drop_unused(self.whole, self.shown | shared)
        block, arrivals = self._arrivals()
        ones: dict[str, Expr] = dict.fromkeys(self.varying, ONE)
        running = map_expressions(
            running, lambda expr: fold(substitute(substitute(expr, self.held), ones))
        )
        dimension = self._dimension(self.weights)
        running = replace(
            running,
            parameters=(
                *running.parameters,
                *(Variable(item.name, self._dimension(key)) for key, item in arrivals.items()),
            ),
            states=tuple(
                replace(item, dimension=item.dimension.times(dimension)) for item in running.states
            ),
            start=(),
            conditions=(),
            on_events=block,
            in_ports=tuple(item.port for item in block),
            exposures=tuple(item for item in running.exposures if item[0] in self.shown | shared),
        )
        running = drop_unused(running, self.shown | shared)
        summed = self._summed(running)
        new_names = {name: f"{name}@aggregate" for name in summed if not self._is_sum(name)}
        return Aggregate(
            rename_all(running, new_names, {}),
            tuple(item for item in arrivals.values() if item.name in running.dimensions()),
            summed - new_names.keys(),
        )

    def _shared(self) -> frozenset[str]:
        """Return the exposures that have the same value in each connection."""
        values = inlined(self.whole)
        own = {item.name for item in self.whole.states} | self.varying
        return frozenset(
            exposure
            for exposure, variable in self.whole.exposures
            if variable in values
            and not is_random(values[variable])
            and not names(values[variable]) & own
        )

    def _summed(self, running: Dynamics) -> frozenset[str]:
        """Return the states, and what is derived from states, of the aggregate."""
        derived = (item.name for item in running.derived)
        own = {name for name in derived if self._leaves(Name(name)) & self.all_states}
        return frozenset(own) | {item.name for item in running.states}

    def _arrivals(self) -> tuple[tuple[OnEvent, ...], dict[Weights, Arrival]]:
        """Return the block that adds what arrives, and the arrivals, by their weights."""
        arrivals: dict[Weights, Arrival] = {}
        assignments: list[Assignment] = []
        port = next((item.port for item in self.dynamics.on_events), "")
        for state, terms in self.jumps.items():
            value: Expr = Name(state)
            for weights, factor in terms.items():
                key = tuple(sorted((*self.weights, *weights)))
                name = f"{port}@{'*'.join(key) or '1'}"
                counted = _product(Name(item) for item in key)
                arrivals.setdefault(key, Arrival(name, counted, self._dimension(key)))
                value = Binary("+", value, _product((factor, Name(name))))
            assignments.append(Assignment(state, value))
        if not assignments:
            return (), {}
        return (OnEvent(port, tuple(assignments)),), arrivals

    def _dimension(self, weights: Weights) -> Dimension:
        known = self.dynamics.dimensions()
        dimension = NONE
        for item in weights:
            dimension = dimension.times(known[item])
        return dimension


def inlined(dynamics: Dynamics) -> dict[str, Expr]:
    """Return the derived variables of an ordered dynamics without derived variables in them.

    Parameters
    ----------
    dynamics : Dynamics
    """
    values: dict[str, Expr] = {}
    for item in dynamics.derived:
        values[item.name] = substitute(item.value, values)
    return values


def _slope(expr: Expr, name: str, what: str) -> Expr:
    """Return the derivative by a name in which an expression is linear."""
    try:
        slope = differentiate(expr, name)
    except NotDifferentiableError:
        slope = Name(name)
    if name in names(slope):
        raise _Refusal(f"{what} is not linear in {name}")
    return slope


def _split(expr: Expr, weights: frozenset[str], what: str) -> Terms:
    """Split an expression that is linear in each of some weights by their products."""
    present = sorted(names(expr) & weights)
    if not present:
        return {} if expr == ZERO else {(): expr}
    first = present[0]
    terms = _split(value_at_zero(expr, {first}), weights, what)
    slope = _split(_slope(expr, first, what), weights, what)
    return terms | {(first, *others): factor for others, factor in slope.items()}


def value_at_zero(expr: Expr, zeros: Iterable[str]) -> Expr:
    """Return an expression where some names are 0, for finite values of all others.

    Parameters
    ----------
    expr : Expr
    zeros : iterable of str
    """
    return _simplified(substitute(expr, dict.fromkeys(zeros, ZERO)))


def _simplified(expr: Expr) -> Expr:
    expr = fold(rebuild(expr, tuple(_simplified(child) for child in children(expr))))
    match expr:
        case Binary("*", left, right) if ZERO in (left, right):
            return ZERO
        case Binary("/", Number(0.0), divisor) if divisor != ZERO:
            return ZERO
        case _:
            return expr


def _product(factors: Iterable[Expr]) -> Expr:
    result: Expr = ONE
    for factor in factors:
        result = Binary("*", result, factor)
    return fold(result)
