"""A network as ANNarchy definitions in plain data: what is generated, compiled and cached.

A `Program` holds structure only. Values of parameters, initial values, connections, weights,
delays, the step and the seed are given to the compiled library, so none of them leads to another
compilation.

A step runs: arriving spikes (`pre_spike`) and `psp` of all projections, equations of the neurons,
spike conditions and resets, equations of the synapses, `post_spike`.

Every text in a program is restricted to what `texts` allows; `verify_program` enforces it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from izhi_models.annarchy.texts import (
    DISTRIBUTIONS,
    assigned,
    assignment_faults,
    expression_faults,
    is_symbol,
    words,
)
from izhi_models.errors import InternalError

Precision = Literal["double", "float"]
Weights = Literal["each", "one"]

WEIGHT = "w"

_TARGET = "g_target"


@dataclass(frozen=True)
class ProgramParameter:
    """A quantity that stays as it was set.

    Parameters
    ----------
    symbol : str
        Generated name.
    is_global : bool
        One value for all cells or connections, instead of one value for each.
    """

    symbol: str
    is_global: bool


@dataclass(frozen=True)
class Equation:
    """A variable and how it changes in a step.

    Parameters
    ----------
    symbol : str
        Generated name of the variable.
    text : str
        `dx_1/dt = ...` if it is an ODE, else `x_1 = ...`.
    is_ode : bool
        ODEs advance by forward Euler, all in a row of them from the same state; other methods are
        written as assignments.
    is_temporary : bool
        Only later equations of the same neuron, and its spike condition, read it, so that no array
        holds it.
    """

    symbol: str
    text: str
    is_ode: bool
    is_temporary: bool = False


@dataclass(frozen=True)
class Neuron:
    """One population: a definition and the number of its cells.

    Parameters
    ----------
    symbol : str
        Generated name of the population.
    parameters : tuple of ProgramParameter
    equations : tuple of Equation
        In the order of evaluation.
    spike : str or None
        Condition on the new state, and on what exists within the step; None for cells that never
        spike.
    reset : tuple of str
        Assignments done after a spike.
    size : int
        Number of cells; no part of the compiled code.
    """

    symbol: str
    parameters: tuple[ProgramParameter, ...]
    equations: tuple[Equation, ...]
    spike: str | None
    reset: tuple[str, ...]
    size: int

    @property
    def symbols(self) -> tuple[str, ...]:
        """All parameters, then all variables, as the compiled library numbers them."""
        return (*(item.symbol for item in self.parameters), *self.variables)

    @property
    def variables(self) -> tuple[str, ...]:
        """The symbols that change during a run, and that can be seen from outside."""
        return tuple(item.symbol for item in self.equations if not item.is_temporary)

    @property
    def temporaries(self) -> tuple[str, ...]:
        """The symbols that exist within a step only."""
        return tuple(item.symbol for item in self.equations if item.is_temporary)

    def to_text(self) -> str:
        """Return the definition for people, one line per item."""
        lines = [f"neuron {self.symbol}"]
        lines += [
            f"  parameter {item.symbol} ({'one' if item.is_global else 'per cell'})"
            for item in self.parameters
        ]
        lines += [f"  {item.text}" for item in self.equations]
        if self.spike is not None:
            lines.append(f"  spike {self.spike}")
        lines += [f"  reset {text}" for text in self.reset]
        return "\n".join(lines)


@dataclass(frozen=True)
class Synapse:
    """What happens at each connection, where that is more than adding a weight.

    All texts may read the weight `w`, the synapse's own symbols, and `pre.x_1` and `post.x_1`:
    parameters and variables of the two cells. None may draw random numbers or read `shown`.

    Parameters
    ----------
    parameters : tuple of ProgramParameter
    equations : tuple of Equation
        Done in every step, after the cells' own, for every connection.
    variables : tuple of str
        Generated names of what only spikes change: costs nothing in a step without.
    pre_spike : tuple of str
        Assignments done in this order when a spike arrives; `g_target += ...` adds to the sum.
    post_spike : tuple of str
        Assignments done when the postsynaptic cell has spiked, at the end of that step.
    psp : str or None
        Added to the sum in every step, for every connection.
    shown : tuple of Equation
        Assigned in every step, along with what is added to the sum, to be recorded.
    """

    parameters: tuple[ProgramParameter, ...] = ()
    equations: tuple[Equation, ...] = ()
    variables: tuple[str, ...] = ()
    pre_spike: tuple[str, ...] = ()
    post_spike: tuple[str, ...] = ()
    psp: str | None = None
    shown: tuple[Equation, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """All parameters, then all variables, then what is shown."""
        own = (*(item.symbol for item in self.parameters), *self.changing)
        return (*own, *(item.symbol for item in self.shown))

    @property
    def changing(self) -> tuple[str, ...]:
        """The symbols that change during a run, and on which it depends."""
        return (*(item.symbol for item in self.equations), *self.variables)

    @property
    def declared(self) -> tuple[ProgramParameter, ...]:
        """The parameters of ANNarchy: it knows a variable only by what assigns to it."""
        changed = {assigned(text) for text in (*self.pre_spike, *self.post_spike)}
        fixed = [symbol for symbol in self.variables if symbol not in changed]
        return (*self.parameters, *(ProgramParameter(symbol, False) for symbol in fixed))

    def to_lines(self) -> list[str]:
        """Return the definition for people, one line per item."""
        lines = [
            f"parameter {item.symbol} ({'one' if item.is_global else 'per connection'})"
            for item in self.parameters
        ]
        lines += [f"variable {symbol}" for symbol in self.variables]
        lines += [item.text for item in self.equations]
        lines += [f"pre_spike {text}" for text in self.pre_spike]
        lines += [f"post_spike {text}" for text in self.post_spike]
        lines += [] if self.psp is None else [f"psp {self.psp}"]
        return [*lines, *(f"shown {item.text}" for item in self.shown)]


@dataclass(frozen=True)
class Projection:
    """Connections of one kind between two populations; which ones is no part of the program.

    A cell of the postsynaptic population reads the sum of what arrives in a step as
    `g_<target>`. A spike of step k arrives in step k + delay, where the delay is at least 1.

    Parameters
    ----------
    symbol : str
        Generated name of the projection.
    pre, post : int
        Numbers of the populations in `Program.neurons`.
    target : str
        Generated name of the sum; several projections may share one.
    weights : {'each', 'one'}
        One weight per connection, or one for all.
    synapse : Synapse or None
        None: an arriving spike adds the weight to the sum.
    """

    symbol: str
    pre: int
    post: int
    target: str
    weights: Weights = "each"
    synapse: Synapse | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The weight, all parameters, all variables, as the compiled library numbers them."""
        return (WEIGHT, *(self.synapse.symbols if self.synapse else ()))

    @property
    def single(self) -> frozenset[str]:
        """The symbols with one value for all connections."""
        parameters = self.synapse.parameters if self.synapse else ()
        weight = (WEIGHT,) if self.weights == "one" else ()
        return frozenset((*weight, *(item.symbol for item in parameters if item.is_global)))

    @property
    def changing(self) -> tuple[str, ...]:
        """The symbols that change during a run."""
        if self.synapse is None:
            return ()
        changed = {assigned(text) for text in (*self.synapse.pre_spike, *self.synapse.post_spike)}
        return (*((WEIGHT,) if WEIGHT in changed else ()), *self.synapse.changing)

    def to_text(self) -> str:
        """Return the definition for people, one line per item."""
        weight = "one weight" if self.weights == "one" else "weights"
        lines = self.synapse.to_lines() if self.synapse else [f"pre_spike {_TARGET} += {WEIGHT}"]
        head = (
            f"projection {self.symbol} from neuron {self.pre} to g_{self.target} of neuron "
            f"{self.post} ({weight})"
        )
        return "\n  ".join([head, *lines])


@dataclass(frozen=True)
class Program:
    """All definitions of one compiled library.

    Parameters
    ----------
    neurons : tuple of Neuron
    precision : {'double', 'float'}
        C++ type of all parameters and variables.
    threads : int
        Number of OpenMP threads.
    projections : tuple of Projection
    """

    neurons: tuple[Neuron, ...]
    precision: Precision = "double"
    threads: int = 1
    projections: tuple[Projection, ...] = ()

    def to_structure(self) -> Program:
        """Return the same program with all sizes 1: exactly what the compiled code depends on."""
        return replace(self, neurons=tuple(replace(item, size=1) for item in self.neurons))

    def to_text(self) -> str:
        """Return all definitions for people."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        sizes = [f"{item.symbol}: {item.size}" for item in self.neurons]
        head = f"program ({self.precision}, {threads})\ncells {', '.join(sizes)}"
        neurons = [item.to_text() for item in self.neurons]
        projections = [item.to_text() for item in self.projections]
        return "\n\n".join([head, *neurons, *projections]) + "\n"

    def to_json(self) -> str:
        """Return the program as JSON; equal programs give equal text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Program:
        """Return the program that `to_json` wrote.

        Raises
        ------
        InternalError
            The text is no verified program.
        """
        try:
            data = json.loads(text)
            program = Program(
                neurons=tuple(_to_neuron(item) for item in data.pop("neurons")),
                projections=tuple(_to_projection(item) for item in data.pop("projections")),
                **data,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InternalError(f"no program: {error}") from error
        verify_program(program)
        return program


def _to_neuron(data: dict[str, Any]) -> Neuron:
    return Neuron(
        parameters=_to_parameters(data),
        equations=_to_equations(data),
        reset=tuple(data.pop("reset")),
        **data,
    )


def _to_projection(data: dict[str, Any]) -> Projection:
    synapse = data.pop("synapse")
    return Projection(synapse=None if synapse is None else _to_synapse(synapse), **data)


def _to_synapse(data: dict[str, Any]) -> Synapse:
    return Synapse(
        parameters=_to_parameters(data),
        equations=_to_equations(data),
        shown=_to_equations(data, "shown"),
        variables=tuple(data.pop("variables")),
        pre_spike=tuple(data.pop("pre_spike")),
        post_spike=tuple(data.pop("post_spike")),
        **data,
    )


def _to_parameters(data: dict[str, Any]) -> tuple[ProgramParameter, ...]:
    return tuple(ProgramParameter(**item) for item in data.pop("parameters"))


def _to_equations(data: dict[str, Any], name: str = "equations") -> tuple[Equation, ...]:
    return tuple(Equation(**item) for item in data.pop(name))


def verify_program(program: Program) -> None:
    """Refuse a program that is inconsistent or holds any text not generated by this package.

    Raises
    ------
    InternalError
        With one diagnostic per fault.
    """
    faults = [*_program_faults(program)]
    for number, neuron in enumerate(program.neurons):
        sums = {f"g_{item.target}" for item in program.projections if item.post == number}
        faults += [f"{neuron.symbol!r}: {fault}" for fault in _neuron_faults(neuron, sums)]
    for projection in program.projections:
        faults += [
            f"{projection.symbol!r}: {fault}" for fault in _projection_faults(projection, program)
        ]
    if faults:
        raise InternalError(*faults)


def _program_faults(program: Program) -> Iterator[str]:
    if not program.neurons:
        yield "a program needs at least one neuron"
    if program.precision not in ("double", "float"):
        yield f"unknown precision {program.precision!r}"
    if not _is_count(program.threads):
        yield f"number of threads {program.threads!r}"
    symbols = [item.symbol for item in program.neurons]
    symbols += [item.symbol for item in program.projections]
    if len(set(symbols)) < len(symbols):
        yield "two neurons or projections of one name"


def _neuron_faults(neuron: Neuron, sums: set[str]) -> Iterator[str]:
    if not is_symbol(neuron.symbol):
        yield f"{neuron.symbol!r} is not a generated name"
    if not _is_count(neuron.size):
        yield f"size {neuron.size!r}"
    known = set(neuron.symbols)
    everything = (*neuron.symbols, *neuron.temporaries)
    yield from _symbol_faults(everything, neuron.equations)
    yield from _equation_faults(neuron.equations, {*everything, *sums, *DISTRIBUTIONS})
    yield from _temporary_faults(neuron.equations)
    for name in sorted(sums - {word for item in neuron.equations for word in words(item.text)}):
        yield f"no equation reads {name!r}"
    if neuron.spike is not None:
        yield from expression_faults(neuron.spike, set(everything))
    elif neuron.reset:
        yield "a reset without a spike condition"
    for text in neuron.reset:
        yield from assignment_faults(text, set(neuron.variables), known)


def _projection_faults(projection: Projection, program: Program) -> Iterator[str]:
    for symbol in (projection.symbol, projection.target):
        if not is_symbol(symbol):
            yield f"{symbol!r} is not a generated name"
    if projection.weights not in ("each", "one"):
        yield f"unknown weights {projection.weights!r}"
    numbers = range(len(program.neurons))
    if projection.pre not in numbers or projection.post not in numbers:
        yield f"no neurons {projection.pre!r} and {projection.post!r}"
    elif projection.synapse is not None:
        members = {f"pre.{symbol}" for symbol in program.neurons[projection.pre].symbols}
        members |= {f"post.{symbol}" for symbol in program.neurons[projection.post].symbols}
        yield from _synapse_faults(projection.synapse, members, projection.weights)


def _synapse_faults(synapse: Synapse, members: set[str], weights: Weights) -> Iterator[str]:
    yield from _symbol_faults(synapse.symbols, (*synapse.equations, *synapse.shown))
    known = {*synapse.symbols, WEIGHT, *members} - {item.symbol for item in synapse.shown}
    changing = {*synapse.changing, *((WEIGHT,) if weights == "each" else ())}
    yield from _equation_faults((*synapse.equations, *synapse.shown), known)
    if any(item.is_ode for item in synapse.shown):
        yield "what is shown is no ODE"
    for text in synapse.pre_spike:
        sums = {_TARGET} if text.startswith(f"{_TARGET} += ") else set()
        yield from assignment_faults(text, changing | sums, known)
    for text in synapse.post_spike:
        yield from assignment_faults(text, changing, known)
    if synapse.psp is not None:
        yield from expression_faults(synapse.psp, known)
    elif not any(text.startswith(f"{_TARGET} ") for text in synapse.pre_spike):
        yield f"neither a psp nor {_TARGET!r} in pre_spike"


def _symbol_faults(symbols: tuple[str, ...], equations: tuple[Equation, ...]) -> Iterator[str]:
    for symbol in symbols:
        if not is_symbol(symbol):
            yield f"{symbol!r} is not a generated name"
    known = set(symbols)
    if len(known) < len(symbols) or known & {
        f"d{item.symbol}" for item in equations if item.is_ode
    }:
        yield "two quantities of one name"


def _equation_faults(equations: tuple[Equation, ...], known: set[str]) -> Iterator[str]:
    for item in equations:
        left = f"d{item.symbol}/dt" if item.is_ode else item.symbol
        start = f"{left} = "
        if item.text.startswith(start):
            yield from expression_faults(item.text.removeprefix(start), known)
        else:
            yield f"{item.text!r} does not start with {start!r}"


def _temporary_faults(equations: tuple[Equation, ...]) -> Iterator[str]:
    unset = {item.symbol for item in equations if item.is_temporary}
    for item in equations:
        if item.is_temporary and item.is_ode:
            yield f"an ODE for the temporary {item.symbol!r}"
        for name in sorted(words(item.text.partition(" = ")[2]) & unset):
            yield f"{item.text!r} reads {name!r} before it is set"
        unset.discard(item.symbol)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
