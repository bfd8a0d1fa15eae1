"""A ComponentType that is put together piece by piece, and its XML.

Expressions may hold choices. LEMS has them only as ConditionalDerivedVariable, so those that stand
inside an expression get one of their own; where there is no place for it, in an assignment or a
test, they become arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from xml.sax.saxutils import quoteattr

from izhi_models.expr import (
    ONE,
    Binary,
    Call,
    Compare,
    Expr,
    Logic,
    Name,
    Number,
    Select,
    children,
    fold,
    names,
    rebuild,
    to_lems,
)
from izhi_models.importers.dimensions import UNITS, dimension_name, in_units, unit_name
from izhi_models.ir.dimensions import dimension_of
from izhi_models.units import NONE, Dimension

Assignments = Sequence[tuple[str, Expr]]
_HALF = Number(0.5)


@dataclass
class Definition:
    """A ComponentType in the making.

    Parameters
    ----------
    name : str
    extends : str
    description : str
    dimensions : dict of str to Dimension
        Of everything that has a name so far.
    """

    name: str
    extends: str
    description: str = ""
    _declared: list[str] = field(default_factory=list)
    _states: list[str] = field(default_factory=list)
    _derived: list[str] = field(default_factory=list)
    _rates: list[str] = field(default_factory=list)
    _blocks: list[str] = field(default_factory=list)
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    _conditional: set[str] = field(default_factory=set)
    _methods: dict[str, list[str]] = field(default_factory=dict)
    _order: dict[int, list[str]] = field(default_factory=dict)
    _frozen: list[str] = field(default_factory=list)

    @property
    def names(self) -> frozenset[str]:
        """Everything that has a name so far."""
        return frozenset(self.dimensions)

    def declare(self, kind: str, name: str, dimension: Dimension = NONE, **more: str) -> str:
        """Declare a Parameter, Property, Constant, Exposure or Requirement; return its name."""
        self._declared.append(_tag(kind, name=name, dimension=dimension_name(dimension), **more))
        if kind != "Exposure":
            self.dimensions[name] = dimension
        return name

    def declare_used(
        self,
        expr: Expr,
        constants: Mapping[str, float],
        own: Collection[str],
        dimensions: Mapping[str, Dimension],
    ) -> None:
        """Declare those of some constants that an expression reads, and that have no other meaning.

        Parameters
        ----------
        expr : Expr
        constants : mapping of str to float
        own : collection of str
            Names that mean something else here.
        dimensions : mapping of str to Dimension
            Of the constants that have one.
        """
        for name in sorted(names(expr) & constants.keys() - self.names - {*own}):
            dimension = dimensions.get(name, NONE)
            value = f"{constants[name]!r} {unit_name(dimension)}".strip()
            self.declare("Constant", name, dimension, value=value)

    def attach(self, name: str, kind: str) -> None:
        """Declare a list of attachments."""
        self._declared.append(_tag("Attachments", name=name, type=kind))

    def peer(self, kind: str) -> None:
        """Declare what is attached at the other end of a connection."""
        self._declared.append(_tag("InstanceRequirement", name="peer", type=kind))

    def state(self, name: str, dimension: Dimension = NONE) -> None:
        """Declare a state variable, which is shown."""
        self.declare("Exposure", name, dimension)
        written = dimension_name(dimension)
        self._states.append(_tag("StateVariable", name=name, dimension=written, exposure=name))
        self.dimensions[name] = dimension

    def gather(self, name: str, path: str, dimension: Dimension = NONE) -> None:
        """Derive a variable that is the sum over a path."""
        self.select(name, path, dimension, reduce="add")

    def select(self, name: str, path: str, dimension: Dimension = NONE, **more: str) -> None:
        """Derive a variable that is the one at the end of a path."""
        opening = {"name": name, "dimension": dimension_name(dimension), "select": path}
        self._derived.append(_tag("DerivedVariable", **opening, **more))
        self.dimensions[name] = dimension

    def derive(
        self,
        name: str,
        value: Expr,
        dimension: Dimension = NONE,
        *,
        shown: bool = True,
        frozen: bool = False,
    ) -> None:
        """Derive a variable from a value, which may be a choice.

        Parameters
        ----------
        name : str
        value : Expr
        dimension : Dimension
        shown : bool
            True to expose it.
        frozen : bool
            True if methods of integration take it as it is at the start of a step.
        """
        value = fold(value)
        if frozen:
            self._frozen.append(name)
        more = {"exposure": name} if shown else {}
        if shown:
            self.declare("Exposure", name, dimension)
        opening = {"name": name, "dimension": dimension_name(dimension), **more}
        cases: list[str] = []
        while isinstance(value, Select):
            test, then = (
                self._plain(item, name, frozen=frozen) for item in (value.condition, value.then)
            )
            cases.append(_tag("Case", condition=self._text(test), value=self._text(then)))
            value = value.otherwise
        rest = self._plain(value, name, frozen=frozen)
        # The reference interpreter evaluates these after all others.
        if cases or names(rest) & self._conditional:
            cases.append(_tag("Case", value=self._text(rest)))
            self._derived.append(_tag("ConditionalDerivedVariable", cases, **opening))
            self._conditional.add(name)
        else:
            self._derived.append(_tag("DerivedVariable", **opening, value=self._text(rest)))
        self.dimensions[name] = dimension

    def _text(self, expr: Expr) -> str:
        """Return an expression as text, with the units in it declared."""
        for name in sorted(names(expr) & UNITS.keys() - self.names):
            dimension, value = UNITS[name]
            self.declare("Constant", name, dimension, value=value)
        return to_lems(expr)

    def rate(self, state: str, value: Expr, method: str = "explicit", block: int = 0) -> None:
        """Give a state its time derivative.

        Parameters
        ----------
        state : str
        value : Expr
        method : str
            Of ANNarchy.
        block : int
            States of a later block advance after those of an earlier one.
        """
        text = self._text(self._plain(fold(value), f"{state}_rate"))
        self._rates.append(_tag("TimeDerivative", variable=state, value=text))
        self._order.setdefault(block, []).append(state)
        self._methods.setdefault(method, []).append(state)

    def on_start(self, assignments: Assignments) -> None:
        """Give states their first values."""
        if assignments:
            self._blocks.append(_tag("OnStart", self._assigned(assignments)))

    def on_event(self, assignments: Assignments) -> None:
        """Say what an event does that arrives."""
        self._blocks.append(_tag("OnEvent", self._assigned(assignments), port="in"))

    def on_condition(self, test: Expr, assignments: Assignments, *, sends: bool = False) -> None:
        """Say what is done in each step in which a condition holds."""
        body = [*self._assigned(assignments), *([_tag("EventOut", port="spike")] if sends else [])]
        text = self._text(_test(fold(test), self.dimensions))
        self._blocks.append(_tag("OnCondition", body, test=text))

    def unused(self, name: str) -> str:
        """Return a name that nothing has yet: the one given, or one with a number."""
        found, number = name, 1
        while found in self.dimensions:
            number += 1
            found = f"{name}_{number}"
        self.dimensions[found] = NONE
        return found

    def body(self) -> list[str]:
        """Return the elements that are inside."""
        meta = self._meta()
        parts = [*self._states, *self._derived, *self._rates, *self._blocks]
        dynamics = [_tag("Dynamics", parts)] if parts else []
        return [*self._declared, *meta, *dynamics]

    def _meta(self) -> list[str]:
        """Say how ANNarchy integrates, for who wants its spikes."""
        said = {method: " ".join(states) for method, states in self._methods.items()}
        if set(self._order) - {0}:
            turns = range(max(self._order) + 1)
            said["order"] = ", ".join(" ".join(self._order.get(turn, ())) for turn in turns)
        if self._frozen and set(self._methods) - {"explicit"}:
            said["frozen"] = " ".join(self._frozen)
        return [_tag("Meta", **{"for": "izhi-models", **said})] if said else []

    def xml(self) -> str:
        """Return the element."""
        more = {"description": self.description} if self.description else {}
        return _tag("ComponentType", self.body(), name=self.name, extends=self.extends, **more)

    def _assigned(self, assignments: Assignments) -> list[str]:
        found = []
        for state, value in assignments:
            text = self._text(fold(arithmetic(value, self.dimensions)))
            found.append(_tag("StateAssignment", variable=state, value=text))
        return found

    def _plain(self, expr: Expr, owner: str, *, frozen: bool = False) -> Expr:
        """Return an expression with each choice in it replaced by a variable that has its value."""
        if isinstance(expr, Select):
            name = self.unused(f"{owner}_part")
            dimension = dimension_of(expr, self.dimensions) or NONE
            self.derive(name, expr, dimension, shown=False, frozen=frozen)
            return Name(name)
        below = tuple(self._plain(item, owner, frozen=frozen) for item in children(expr))
        return rebuild(expr, below) if below else expr


_NO_DIMENSIONS: Mapping[str, Dimension] = MappingProxyType({})


def arithmetic(expr: Expr, dimensions: Mapping[str, Dimension] = _NO_DIMENSIONS) -> Expr:
    """Return an expression with choices as sums, of which one part is 0; exact if both are finite.

    Parameters
    ----------
    expr : Expr
        A number.
    dimensions : mapping of str to Dimension
        Of the names in it that have one.
    """
    if isinstance(expr, Select):
        holds = _indicator(expr.condition, dimensions)
        then = Binary("*", holds, arithmetic(expr.then, dimensions))
        other = Binary("*", _not(holds), arithmetic(expr.otherwise, dimensions))
        return Binary("+", then, other)
    below = children(expr)
    return rebuild(expr, tuple(arithmetic(item, dimensions) for item in below)) if below else expr


def _test(condition: Expr, dimensions: Mapping[str, Dimension]) -> Expr:
    """Return a condition without choices in it."""
    if isinstance(condition, Logic):
        left, right = (_test(item, dimensions) for item in (condition.left, condition.right))
        return Logic(condition.op, left, right)
    return arithmetic(condition, dimensions)


def _indicator(condition: Expr, dimensions: Mapping[str, Dimension]) -> Expr:
    """Return 1 where a condition holds, and 0 elsewhere."""
    match condition:
        case Logic(op, left, right):
            one, two = _indicator(left, dimensions), _indicator(right, dimensions)
            return Binary("*", one, two) if op == "and" else _not(Binary("*", _not(one), _not(two)))
        case Compare(op, left, right):
            ahead, behind = arithmetic(left, dimensions), arithmetic(right, dimensions)
            unit = dimension_of(ahead, dimensions) or dimension_of(behind, dimensions) or NONE
            match op:
                case ">":
                    return _exceeds(ahead, behind, unit)
                case "<":
                    return _exceeds(behind, ahead, unit)
                case ">=":
                    return _not(_exceeds(behind, ahead, unit))
                case "<=":
                    return _not(_exceeds(ahead, behind, unit))
            more, less = _exceeds(ahead, behind, unit), _exceeds(behind, ahead, unit)
            equal = Binary("*", _not(more), _not(less))
            return equal if op == "==" else _not(equal)
        case _:
            return arithmetic(condition, dimensions)


def _exceeds(one: Expr, two: Expr, dimension: Dimension) -> Expr:
    """Return 1 where a number is greater than another; H is 0.5 where they are equal."""
    ahead = in_units(Binary("-", one, two), NONE.over(dimension))
    return Call("ceil", Binary("-", Call("H", ahead), _HALF))


def _not(indicator: Expr) -> Expr:
    return Binary("-", ONE, indicator)


def _tag(tag: str, inside: Sequence[str] = (), **attributes: str) -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    if not inside:
        return f"<{tag}{written}/>"
    return f"<{tag}{written}>\n{_indented(inside)}\n</{tag}>"


def _indented(parts: Sequence[str]) -> str:
    return "\n".join("    " + line for part in parts for line in part.split("\n"))
