"""What follows from parameters alone, taken out of the step: it is computed before a run.

A step then multiplies by an inverse where it divided by a parameter, which is several times
faster, and raises no constants to constant powers. Results change by rounding. A quotient that a
condition compares, or a function that jumps, stays: there rounding could decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import replace

from izhi_models.expr import (
    CONDITIONS,
    ONE,
    Binary,
    Call,
    Compare,
    Expr,
    Name,
    Number,
    Select,
    children,
    is_random,
    names,
    rebuild,
    substitute,
    walk,
)
from izhi_models.ir.dimensions import dimension_of
from izhi_models.ir.dynamics import RESERVED, Derived, Variable
from izhi_models.ir.rewrite import map_assignments
from izhi_models.ir.step import Step
from izhi_models.units import NONE, Dimension

_JUMPING = ("ceil", "H")


def hoist_invariants(
    step: Step, fixed: Set[str], keep: Set[str]
) -> tuple[Step, tuple[Derived, ...]]:
    """Return a step that reads invariants as parameters, and what these are.

    Parameters
    ----------
    step : Step
    fixed : set of str
        Parameters that do not change during a run.
    keep : set of str
        Definitions that are read at the end of the step.

    Returns
    -------
    Step
        Its parameters include the invariants.
    tuple of Derived
        Each follows from parameters in `fixed`, in the units of the step.
    """
    known: dict[str, Expr] = {}
    definitions = []
    for item in step.definitions:
        value = substitute(item.value, known)
        if _is_fixed(value, fixed):
            known[item.name] = value
        if item.name in keep or item.name not in known:
            definitions.append(replace(item, value=value))
    plain = _mapped(step, lambda expr: substitute(expr, known))
    plain = replace(plain, definitions=tuple(definitions))
    return _Hoisting(plain, fixed).step()


class _Hoisting:
    """Takes invariants out of one step."""

    def __init__(self, step: Step, fixed: Set[str]) -> None:
        self._old = step
        self._fixed = fixed
        self._compared = _compared(step)
        self._found: dict[Expr, Derived] = {}
        declared: tuple[Variable | Derived, ...] = (
            *step.parameters,
            *step.states,
            *step.definitions,
        )
        self._dimensions: dict[str, Dimension] = {
            **RESERVED,
            **{item.name: item.dimension for item in declared},
        }

    def step(self) -> tuple[Step, tuple[Derived, ...]]:
        old = self._old
        definitions = tuple(
            replace(item, value=self._change(item.value, exact=item.name in self._compared))
            for item in old.definitions
        )
        new = replace(_mapped(old, self._change), definitions=definitions)
        found = tuple(self._found.values())
        added = tuple(Variable(item.name, item.dimension) for item in found)
        return replace(new, parameters=(*old.parameters, *added)), found

    def _change(self, expr: Expr, exact: bool = False) -> Expr:
        if _is_fixed(expr, self._fixed):
            return self._invariant(expr) if _is_costly(expr) else expr
        exact = exact or _jumps(expr)
        match expr:
            case Binary("/", left, right) if not exact and _is_fixed(right, self._fixed):
                inverse = self._invariant(Binary("/", ONE, right))
                return Binary("*", self._change(left), inverse)
        below = children(expr)
        return rebuild(expr, tuple(self._change(item, exact) for item in below)) if below else expr

    def _invariant(self, expr: Expr) -> Name:
        if expr not in self._found:
            name = self._free(_wanted_name(expr))
            dimension = dimension_of(expr, self._dimensions) or NONE
            self._dimensions[name] = dimension
            self._found[expr] = Derived(name, dimension, expr)
        return Name(self._found[expr].name)

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._dimensions:
            number += 1
            name = f"{wanted}_{number}"
        return name


def _is_fixed(expr: Expr, fixed: Set[str]) -> bool:
    """Return whether an expression is a number that reads parameters, and nothing else."""
    read = names(expr)
    return bool(read) and read <= fixed and not isinstance(expr, CONDITIONS) and not is_random(expr)


def _is_costly(expr: Expr) -> bool:
    """Return whether it takes longer to compute than to read; a sum or product does not."""
    return any(
        isinstance(node, Call | Select) or (isinstance(node, Binary) and node.op in "/^")
        for node in walk(expr)
    )


def _wanted_name(expr: Expr) -> str:
    match expr:
        case Binary("/", Number(1.0), Name(name)):
            return f"{name}_inverse"
    places = {name.rpartition("/")[:2] for name in names(expr)}
    return "".join((*places.pop(), "fixed")) if len(places) == 1 else "fixed"


def _jumps(expr: Expr) -> bool:
    return isinstance(expr, Compare) or (isinstance(expr, Call) and expr.function in _JUMPING)


def _compared(step: Step) -> set[str]:
    """Return the names that conditions and jumping functions read, also through definitions."""
    read: set[str] = set()
    for expr in _expressions(step):
        for node in walk(expr):
            if _jumps(node):
                read |= names(node)
    for item in reversed(step.definitions):
        if item.name in read:
            read |= names(item.value)
    return read


def _expressions(step: Step) -> Iterator[Expr]:
    yield from (item.value for item in step.definitions)
    yield from (item.value for item in step.advances)
    for block in step.blocks:
        yield block.test
        yield from (item.value for item in block.assignments)
    for event in step.on_events:
        yield from (item.value for item in event.assignments)


def _mapped(step: Step, change: Callable[[Expr], Expr]) -> Step:
    """Return the step with each expression changed, but for those of definitions."""
    return replace(
        step,
        advances=map_assignments(step.advances, change),
        blocks=tuple(
            replace(
                item,
                test=change(item.test),
                assignments=map_assignments(item.assignments, change),
            )
            for item in step.blocks
        ),
        on_events=tuple(
            replace(item, assignments=map_assignments(item.assignments, change))
            for item in step.on_events
        ),
    )
