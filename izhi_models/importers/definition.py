"""A ComponentType that is put together piece by piece, and its XML.

Expressions may hold choices. LEMS has them only as ConditionalDerivedVariable, so those that stand
inside an expression get one of their own; where there is no place for it, in an assignment or a
test, they become arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
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
    """

    name: str
    extends: str
    description: str = ""
    _declared: list[str] = field(default_factory=list)
    _states: list[str] = field(default_factory=list)
    _derived: list[str] = field(default_factory=list)
    _rates: list[str] = field(default_factory=list)
    _blocks: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _conditional: set[str] = field(default_factory=set)
    _methods: dict[str, list[str]] = field(default_factory=dict)
    _order: dict[int, list[str]] = field(default_factory=dict)
    _frozen: list[str] = field(default_factory=list)

    @property
    def names(self) -> frozenset[str]:
        """Everything that has a name so far."""
        return frozenset(self._names)

    def declare(self, kind: str, name: str, dimension: str = "none", **more: str) -> str:
        """Declare a Parameter, Property, Constant, Exposure or Requirement; return its name."""
        self._declared.append(_tag(kind, name=name, dimension=dimension, **more))
        if kind != "Exposure":
            self._names.add(name)
        return name

    def declare_used(
        self, expr: Expr, constants: Mapping[str, float], own: Collection[str]
    ) -> None:
        """Declare those of some constants that an expression reads, and that have no other meaning.

        Parameters
        ----------
        expr : Expr
        constants : mapping of str to float
        own : collection of str
            Names that mean something else here.
        """
        for name in sorted(names(expr) & constants.keys() - self._names - {*own}):
            self.declare("Constant", name, value=repr(constants[name]))

    def attach(self, name: str, kind: str) -> None:
        """Declare a list of attachments."""
        self._declared.append(_tag("Attachments", name=name, type=kind))

    def peer(self, kind: str) -> None:
        """Declare what is attached at the other end of a connection."""
        self._declared.append(_tag("InstanceRequirement", name="peer", type=kind))

    def state(self, name: str, dimension: str = "none") -> None:
        """Declare a state variable, which is shown."""
        self.declare("Exposure", name, dimension)
        self._states.append(_tag("StateVariable", name=name, dimension=dimension, exposure=name))
        self._names.add(name)

    def gather(self, name: str, path: str) -> None:
        """Derive a variable that is the sum over a path."""
        self._derived.append(
            _tag("DerivedVariable", name=name, dimension="none", select=path, reduce="add")
        )
        self._names.add(name)

    def select(self, name: str, path: str) -> None:
        """Derive a variable that is the one at the end of a path."""
        self._derived.append(_tag("DerivedVariable", name=name, dimension="none", select=path))
        self._names.add(name)

    def derive(self, name: str, value: Expr, *, shown: bool = True, frozen: bool = False) -> None:
        """Derive a variable from a value, which may be a choice.

        Parameters
        ----------
        name : str
        value : Expr
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
            self.declare("Exposure", name)
        cases: list[str] = []
        while isinstance(value, Select):
            test, then = (
                self._plain(item, name, frozen=frozen) for item in (value.condition, value.then)
            )
            cases.append(_tag("Case", condition=to_lems(test), value=to_lems(then)))
            value = value.otherwise
        rest = self._plain(value, name, frozen=frozen)
        # The reference interpreter evaluates these after all others.
        if cases or names(rest) & self._conditional:
            cases.append(_tag("Case", value=to_lems(rest)))
            opening = {"name": name, "dimension": "none", **more}
            self._derived.append(_tag("ConditionalDerivedVariable", cases, **opening))
            self._conditional.add(name)
        else:
            self._derived.append(
                _tag("DerivedVariable", name=name, dimension="none", value=to_lems(rest), **more)
            )
        self._names.add(name)

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
        text = to_lems(self._plain(fold(value), f"{state}_rate"))
        self._rates.append(_tag("TimeDerivative", variable=state, value=text))
        self._order.setdefault(block, []).append(state)
        self._methods.setdefault(method, []).append(state)

    def on_start(self, assignments: Assignments) -> None:
        """Give states their first values."""
        if assignments:
            self._blocks.append(_tag("OnStart", _assigned(assignments)))

    def on_event(self, assignments: Assignments) -> None:
        """Say what an event does that arrives."""
        self._blocks.append(_tag("OnEvent", _assigned(assignments), port="in"))

    def on_condition(self, test: Expr, assignments: Assignments, *, sends: bool = False) -> None:
        """Say what is done in each step in which a condition holds."""
        body = [*_assigned(assignments), *([_tag("EventOut", port="spike")] if sends else [])]
        text = to_lems(_test(fold(test)))
        self._blocks.append(_tag("OnCondition", body, test=text))

    def unused(self, name: str) -> str:
        """Return a name that nothing has yet: the one given, or one with a number."""
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
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

    def _plain(self, expr: Expr, owner: str, *, frozen: bool = False) -> Expr:
        """Return an expression with each choice in it replaced by a variable that has its value."""
        if isinstance(expr, Select):
            name = self.unused(f"{owner}_part")
            self.derive(name, expr, shown=False, frozen=frozen)
            return Name(name)
        below = tuple(self._plain(item, owner, frozen=frozen) for item in children(expr))
        return rebuild(expr, below) if below else expr


def _assigned(assignments: Assignments) -> list[str]:
    return [
        _tag("StateAssignment", variable=state, value=to_lems(fold(arithmetic(value))))
        for state, value in assignments
    ]


def arithmetic(expr: Expr) -> Expr:
    """Return an expression with choices as sums, of which one part is 0; exact if both are finite.

    Parameters
    ----------
    expr : Expr
        A number.
    """
    if isinstance(expr, Select):
        holds = _indicator(expr.condition)
        then = Binary("*", holds, arithmetic(expr.then))
        other = Binary("*", _not(holds), arithmetic(expr.otherwise))
        return Binary("+", then, other)
    below = children(expr)
    return rebuild(expr, tuple(arithmetic(item) for item in below)) if below else expr


def _test(condition: Expr) -> Expr:
    """Return a condition without choices in it."""
    if isinstance(condition, Logic):
        return Logic(condition.op, _test(condition.left), _test(condition.right))
    return arithmetic(condition)


def _indicator(condition: Expr) -> Expr:
    """Return 1 where a condition holds, and 0 elsewhere."""
    match condition:
        case Logic("and", left, right):
            return Binary("*", _indicator(left), _indicator(right))
        case Logic(_, left, right):
            return _not(Binary("*", _not(_indicator(left)), _not(_indicator(right))))
        case Compare(op, left, right):
            ahead, behind = arithmetic(left), arithmetic(right)
            match op:
                case ">":
                    return _exceeds(ahead, behind)
                case "<":
                    return _exceeds(behind, ahead)
                case ">=":
                    return _not(_exceeds(behind, ahead))
                case "<=":
                    return _not(_exceeds(ahead, behind))
            equal = Binary("*", _not(_exceeds(ahead, behind)), _not(_exceeds(behind, ahead)))
            return equal if op == "==" else _not(equal)
        case _:
            return arithmetic(condition)


def _exceeds(one: Expr, two: Expr) -> Expr:
    """Return 1 where a number is greater than another; H is 0.5 where they are equal."""
    return Call("ceil", Binary("-", Call("H", Binary("-", one, two)), _HALF))


def _not(indicator: Expr) -> Expr:
    return Binary("-", ONE, indicator)


def _tag(tag: str, inside: Sequence[str] = (), **attributes: str) -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    if not inside:
        return f"<{tag}{written}/>"
    return f"<{tag}{written}>\n{_indented(inside)}\n</{tag}>"


def _indented(parts: Sequence[str]) -> str:
    return "\n".join("    " + line for part in parts for line in part.split("\n"))
