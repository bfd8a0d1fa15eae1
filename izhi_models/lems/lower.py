"""Lower a component, with all that it contains, to `Dynamics` and parameter values.

Source: LEMS, element Dynamics. Children are lowered first and become part of their parent, each
under its place: ``currents[0]/i``. What is only known in a network, attached inputs, stays open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, raise_if_errors, suggest
from izhi_models.expr import (
    ONE,
    ZERO,
    Binary,
    Expr,
    ExpressionSyntaxError,
    Name,
    Select,
    names,
    parse_expression,
    walk,
)
from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dimensions import dimension_of
from izhi_models.ir.dynamics import (
    RESERVED,
    Assignment,
    Attachment,
    Constant,
    Derived,
    Dynamics,
    Gather,
    OnCondition,
    OnEvent,
    Rate,
    Regime,
    Variable,
)
from izhi_models.ir.evaluate import evaluate_scalar
from izhi_models.ir.passes import (
    fill_limits,
    order_derived,
    regimes_to_states,
    settle_assigned_states,
)
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Element
from izhi_models.lems.kinetics import add_kinetics
from izhi_models.lems.prescription import prescribe
from izhi_models.lems.queries import holder_of, select_parameter
from izhi_models.lems.types import ComponentType
from izhi_models.lems.wiring import wire_parts
from izhi_models.units import NONE, Dimension, parse_quantity


@dataclass(frozen=True)
class Lowered:
    """A component as dynamics and the values of its parameters.

    Parameters
    ----------
    dynamics : Dynamics
        Without regimes; attachments are open.
    values : dict of str to float
        By parameter name, children's included. [SI]
    """

    dynamics: Dynamics
    values: dict[str, float] = field(default_factory=dict)


def lower_component(model: Model, component: Component) -> Lowered:
    """Lower a component that stands for itself, such as a cell.

    Parameters
    ----------
    model : Model
    component : Component

    Raises
    ------
    InputError
        If an expression is malformed or reads a name that nothing defines, a path leads
        nowhere, or a parameter that is read has no value.
    UnsupportedError
        If the dynamics has what cannot be lowered.
    """
    return _once(model, component, _lower)


def lower_part(model: Model, component: Component) -> Lowered:
    """Lower a component that sits on another, such as an input.

    The parent reads its exposures as they are at the end of the step, since parts advance
    before the whole.
    """
    return _once(model, component, _lower_settled)


def _once(
    model: Model, component: Component, lower: Callable[[Model, Component], Lowered]
) -> Lowered:
    """Lower a component, or return what that gave before."""
    key = (lower.__name__, id(component))
    if key not in model.lowered:
        model.lowered[key] = (component, lower(model, component))  # an id lasts as its object
    lowered: Lowered = model.lowered[key][1]
    return lowered


def _lower(model: Model, component: Component) -> Lowered:
    reader = _OwnDynamics(model, component)
    own = reader.lower()
    dynamics = regimes_to_states(fill_limits(own.dynamics))
    values = dict(own.values)
    parts = contained(model, component)
    attached = []
    for place, child in parts:
        lowered = lower_part(model, child)
        attached.append(Attached("", lowered.dynamics, place, None))
        values.update({f"{place}/{name}": value for name, value in lowered.values.items()})
    if attached:
        dynamics = wire_parts(compose(dynamics, attached), component, parts)
    for scheme in reader.schemes:
        dynamics = add_kinetics(dynamics, scheme, parts)
    return Lowered(dynamics, values)


def _lower_settled(model: Model, component: Component) -> Lowered:
    lowered = lower_component(model, component)
    return replace(lowered, dynamics=settle_assigned_states(lowered.dynamics))


def parameter_values(model: Model, component: Component) -> dict[str, float]:
    """Return the parameters, derived ones included, properties and constants of a component.

    Raises
    ------
    InputError
        If an expression is malformed.
    """
    reader = _OwnDynamics(model, component)
    constants = reader._constants()
    values = reader._values(constants)
    raise_if_errors(reader.faults)
    return {**{item.name: item.value for item in constants}, **values}


def constant_values(model: Model, component: Component) -> dict[str, float]:
    """Return the constants of a component [SI]."""
    return {item.name: item.value for item in _OwnDynamics(model, component)._constants()}


def contained(model: Model, component: Component) -> list[tuple[str, Component]]:
    """Return the parts of a component with their places, in order.

    Parts are children, and what the Structure makes of references (ChildInstance).
    """
    parts = []
    for place, children in component.children.items():
        numbered = place in component.type.children
        for number, child in enumerate(children):
            parts.append((f"{place}[{number}]" if numbered else place, child))
    for place in component.type.child:
        # A child may be referred to instead: <cell morphology="id">. Source: NeuroML 2 schema.
        if place in component.texts and place not in component.children:
            parts.append((place, model.named(component, place)))
    structure = component.type.structure
    for instance in structure.find("ChildInstance") if structure else ():
        name = instance.get("component") or ""
        if name in component.type.references:
            parts.append((name, model.reference(component, name)))
    return parts


class _OwnDynamics:
    """Reads the Dynamics of one component's type."""

    def __init__(self, model: Model, component: Component) -> None:
        self.model = model
        self.component = component
        self.type: ComponentType = component.type
        self.faults: list[Diagnostic] = []
        self.read: list[tuple[Element, str, Expr]] = []
        self.states: dict[str, Variable] = {}
        self.derived: dict[str, Derived] = {}
        self.rates: dict[str, Rate] = {}
        self.start: list[Assignment] = []
        self.conditions: list[OnCondition] = []
        self.on_events: list[OnEvent] = []
        self.regimes: list[Regime] = []
        self.exposures: dict[str, str] = {}
        self.gathers: dict[str, Gather] = {}
        self.undeclared: list[str] = []
        self.schemes: list[Element] = []
        self.peers: dict[str, Variable] = {}
        self.held: dict[str, Constant] = {}

    def lower(self) -> Lowered:
        constants = self._constants()
        values = self._values(constants)
        for block in self.type.dynamics:
            self._block(block)
        self._prescribe()
        dynamics = Dynamics(
            name=self.type.name,
            parameters=tuple(
                Variable(item.name, item.dimension or NONE)
                for table in (
                    self.type.parameters,
                    self.type.properties,
                    self.type.derived_parameters,
                    self.type.index_parameters,
                )
                for item in table.values()
                if item.name in values
            ),
            requirements=tuple(
                Variable(item.name, item.dimension or NONE)
                for item in self.type.requirements.values()
            )
            + tuple(self.peers.values()),
            constants=(*constants, *self.held.values()),
            states=tuple(self.states.values()),
            derived=tuple(self.derived.values()),
            rates=tuple(self.rates.values()),
            start=tuple(self.start),
            conditions=tuple(self.conditions),
            on_events=tuple(self.on_events),
            regimes=tuple(self.regimes),
            in_ports=self._ports("in"),
            out_ports=self._ports("out"),
            exposures=tuple(self.exposures.items()),
            attachments=tuple(Attachment(name) for name in self.type.attachments),
            gathers=tuple(self.gathers.values()),
        )
        self._check_names(dynamics)
        raise_if_errors(self.faults)
        return Lowered(self._infer_dimensions(dynamics), values)

    def _infer_dimensions(self, dynamics: Dynamics) -> Dynamics:
        """Give derived variables that declare no dimension that of their value."""
        missing = [item for item in order_derived(dynamics).derived if item.name in self.undeclared]
        known: dict[str, Dimension | None] = dict(dynamics.dimensions())
        known.update(dict.fromkeys((item.name for item in missing), None))
        for item in missing:
            known[item.name] = dimension_of(item.value, known)
        return replace(
            dynamics,
            derived=tuple(
                replace(item, dimension=known[item.name] or NONE) for item in dynamics.derived
            ),
        )

    def _ports(self, direction: str) -> tuple[str, ...]:
        return tuple(
            port.name
            for port in self.type.ports.values()
            if port.element.get("direction") == direction
        )

    def _constants(self) -> tuple[Constant, ...]:
        constants = []
        for item in self.type.constants.values():
            text = item.element.get("value") or ""
            quantity = parse_quantity(text, self.model.types.units)
            constants.append(Constant(item.name, item.dimension or NONE, quantity.value))
        return tuple(constants)

    def _values(self, constants: Iterable[Constant]) -> dict[str, float]:
        values = dict(self.component.values)
        scope = {**values, **{item.name: item.value for item in constants}}
        for item in self.type.derived_parameters.values():
            if item.element.get("select") is not None:
                scope[item.name] = values[item.name] = self._looked_up(item.element)
                continue
            expression = self._expression(item.element, "value")
            unknown = names(expression) - scope.keys()
            if unknown:
                continue
            scope[item.name] = values[item.name] = evaluate_scalar(expression, scope)
        return values

    def _looked_up(self, element: Element) -> float:
        owner, name = select_parameter(self.model, self.component, element)
        return parameter_values(self.model, owner)[name]

    # Elements of Dynamics

    def _block(self, block: Element) -> None:
        for element in block.children:
            match element.tag:
                case "StateVariable":
                    self._state(element)
                case "DerivedVariable" | "ConditionalDerivedVariable":
                    self._derived(element)
                case "TimeDerivative":
                    rate = self._rate(element)
                    self.rates[rate.state] = rate
                case "OnStart":
                    self.start.extend(self._assignments(element))
                case "OnCondition":
                    self.conditions.append(self._on_condition(element))
                case "OnEvent":
                    self.on_events.append(self._on_event(element))
                case "Regime":
                    self.regimes.append(self._regime(element))
                case "KineticScheme":
                    self.schemes.append(element)
                case "Super":
                    pass
                case _:
                    raise UnsupportedError(
                        Diagnostic(
                            f"<{element.tag}> in the dynamics of '{self.type.name}' cannot be run",
                            element.span,
                        )
                    )

    def _state(self, element: Element) -> None:
        name = self._required(element, "name")
        self.states[name] = Variable(name, self._dimension(element))
        self._expose(element, name)

    def _derived(self, element: Element) -> None:
        name = self._required(element, "name")
        dimension = self._dimension(element)
        value: Expr
        if element.tag == "ConditionalDerivedVariable":
            value = self._cases(element)
        elif element.get("select") is not None:
            value = self._selected(element, dimension)
        else:
            value = self._expression(element, "value")
        self.derived[name] = Derived(name, dimension, value)
        self._expose(element, name)

    def _cases(self, element: Element) -> Expr:
        value: Expr = ZERO
        for case in reversed(list(element.find("Case"))):
            result = self._expression(case, "value")
            if case.get("condition") is None:
                value = result
            else:
                value = Select(self._expression(case, "condition"), result, value)
        return value

    def _rate(self, element: Element) -> Rate:
        return Rate(self._required(element, "variable"), self._expression(element, "value"))

    def _assignments(self, block: Element) -> tuple[Assignment, ...]:
        return tuple(
            Assignment(self._required(item, "variable"), self._expression(item, "value"))
            for item in block.find("StateAssignment")
        )

    def _events(self, block: Element) -> tuple[str, ...]:
        return tuple(self._required(item, "port") for item in block.find("EventOut"))

    def _transition(self, block: Element) -> str | None:
        for item in block.find("Transition"):
            return self._required(item, "regime")
        return None

    def _on_condition(self, element: Element) -> OnCondition:
        return OnCondition(
            self._expression(element, "test"),
            self._assignments(element),
            self._events(element),
            self._transition(element),
        )

    def _on_event(self, element: Element) -> OnEvent:
        return OnEvent(
            self._required(element, "port"),
            self._assignments(element),
            self._events(element),
            self._transition(element),
        )

    def _regime(self, element: Element) -> Regime:
        for state in element.find("StateVariable"):
            self._state(state)
        return Regime(
            self._required(element, "name"),
            element.get("initial") == "true",
            tuple(self._rate(item) for item in element.find("TimeDerivative")),
            tuple(a for item in element.find("OnEntry") for a in self._assignments(item)),
            tuple(self._on_condition(item) for item in element.find("OnCondition")),
            tuple(self._on_event(item) for item in element.find("OnEvent")),
        )

    def _prescribe(self) -> None:
        """Note what the type says of how it is to be integrated: see `lems.prescription`."""
        for element in self.type.element.find("Meta"):
            self.rates, self.derived = prescribe(element, self.rates, self.derived)

    # Attributes

    def _required(self, element: Element, name: str) -> str:
        value = element.get(name)
        if value is None:
            self.faults.append(Diagnostic(f"<{element.tag}> lacks '{name}'", element.span))
            return ""
        return value

    def _dimension(self, element: Element) -> Dimension:
        name = element.get("dimension")
        if name is None:
            exposure = self.type.exposures.get(element.get("exposure") or "")
            if exposure is not None and exposure.dimension is not None:
                return exposure.dimension
            self.undeclared.append(element.get("name") or "")
            return NONE
        try:
            return self.model.types.dimension(name) or NONE
        except InputError as error:
            first = error.diagnostics[0]
            span = element.attribute_span("dimension")
            self.faults.append(Diagnostic(first.message, span, first.notes))
            return NONE

    def _expose(self, element: Element, name: str) -> None:
        # A variable with the name of an exposure is exposed without a word.
        if name in self.type.exposures:
            self.exposures[name] = name
        exposure = element.get("exposure")
        if exposure:
            self.exposures[exposure] = name

    def _expression(self, element: Element, attribute: str) -> Expr:
        text = self._required(element, attribute)
        try:
            expression = parse_expression(text)
        except ExpressionSyntaxError as error:
            self.faults.append(
                Diagnostic(
                    error.message,
                    element.attribute_span(attribute, error.place),
                    (error.hint,) if error.hint else (),
                )
            )
            return ZERO
        self.read.append((element, attribute, expression))
        return expression

    def _check_names(self, dynamics: Dynamics) -> None:
        self._check_reserved()
        known = dynamics.dimensions()
        for element, attribute, expression in self.read:
            for node in walk(expression):
                if not isinstance(node, Name) or node.id in known:
                    continue
                declared = {**self.type.parameters, **self.type.derived_parameters}
                if node.id in declared:
                    message = f"'{node.id}' of '{self.component.id}' has no value"
                    self.faults.append(Diagnostic(message, self.component.span))
                else:
                    self.faults.append(
                        Diagnostic(
                            f"'{node.id}' is not defined in '{self.type.name}'",
                            element.attribute_span(attribute, node.place),
                            suggest(node.id, known),
                        )
                    )

    def _check_reserved(self) -> None:
        """Refuse names that stand for the time and the step.

        A derived variable may be called t, as the time course of a gate is: it gets the place of
        its part as a path.
        """
        owned = ("parameters", "properties", "derived_parameters", "index_parameters", "constants")
        declared = [item.element for name in owned for item in getattr(self.type, name).values()]
        declared += [item for block in self.type.dynamics for item in block.find("StateVariable")]
        for element in declared:
            name = element.get("name")
            if name in RESERVED:
                self.faults.append(reserved(element))

    # Paths

    def _selected(self, element: Element, dimension: Dimension) -> Expr:
        path = self._required(element, "select")
        reduce = element.get("reduce")
        head, _, exposure = path.rpartition("/")
        listed = re.fullmatch(r"(\w+)\[\*\]", head)
        if listed and listed[1] in self.type.attachments:
            gather = Gather(path, listed[1], exposure, reduce or "add", dimension)
            self.gathers[path] = gather
            return Name(path)
        if head in self.type.instance_requirements:
            self.peers[path] = Variable(path, dimension)
            return Name(path)
        if head in self.type.component_requirements:
            owner = holder_of(self.component, head)
            known = parameter_values(self.model, owner) if owner is not None else {}
            if exposure in known:
                self.held[path] = Constant(path, dimension, known[exposure])
                return Name(path)
        found = select_parts(self.model, self.component, path)
        # A part that may be absent counts as nothing. Source: LEMS, DerivedVariable, required.
        if found is None and element.get("required") == "false" and head in self.type.child:
            found = []
        if found is None:
            self.faults.append(
                Diagnostic(
                    f"the path '{path}' leads nowhere in '{self.component.id}'",
                    element.attribute_span("select"),
                    (f"'{self.type.name}' has {', '.join(self._places()) or 'no parts'}",),
                )
            )
            return ZERO
        return _reduced(found, reduce)

    def _places(self) -> list[str]:
        return [place for place, _ in contained(self.model, self.component)]


def reserved(element: Element) -> Diagnostic:
    """Return the fault of a declaration whose name stands for something else."""
    return Diagnostic(
        f"'{element.get('name')}' has a meaning of its own, and cannot name a {element.tag}",
        element.attribute_span("name"),
        ("t is the simulated time: choose another name",),
    )


def _reduced(variables: list[str], reduce: str | None) -> Expr:
    if reduce is None:
        return Name(variables[0]) if variables else ZERO
    product = reduce == "multiply"
    result: Expr | None = None
    for variable in variables:
        result = (
            Binary("*" if product else "+", result, Name(variable)) if result else Name(variable)
        )
    return result or (ONE if product else ZERO)


_STEP = re.compile(r"(\w+)(?:\[(\*|\d+|\w+\s*=\s*'[^']*')\])?")


def select_parts(model: Model, component: Component, path: str) -> list[str] | None:
    """Resolve a path into a component's parts to the names of variables.

    Parameters
    ----------
    model : Model
    component : Component
    path : str
        Such as ``ionChannel/g``, ``currents[*]/i`` or ``populations[ion='ca']/i``.

    Returns
    -------
    list of str or None
        Names as they stand in the component's dynamics; None if the path leads nowhere.
    """
    steps = path.split("/")
    found = [("", component)]
    for step in steps[:-1]:
        parsed = _STEP.fullmatch(step)
        if parsed is None:
            return None
        place, chosen = parsed.groups()
        below = [
            (f"{prefix}{name}/", part)
            for prefix, parent in found
            for name, part in contained(model, parent)
            if _matches(name, part, place, chosen)
        ]
        if not below and chosen is None:
            return None
        found = below
    result = []
    for prefix, part in found:
        name = variable_of(model, part, steps[-1])
        if name is None:
            return None
        result.append(prefix + name)
    return result


def _matches(name: str, part: Component, place: str, chosen: str | None) -> bool:
    base = name.partition("[")[0]
    if chosen is None:
        return base == place or part.id == place
    if base != place:
        return False
    if chosen == "*":
        return True
    if chosen.isdigit():
        return name == f"{place}[{chosen}]"
    attribute, _, value = chosen.partition("=")
    return part.texts.get(attribute.strip()) == value.strip().strip("'")


def variable_of(model: Model, component: Component, name: str) -> str | None:
    """Return the variable, or parameter, that a component shows under a name, or None."""
    for block in component.type.dynamics:
        for element in block.children:
            if element.get("exposure") == name:
                return element.get("name")
    for block in component.type.dynamics:
        for element in block.children:
            if element.tag.endswith("Variable") and element.get("name") == name:
                return name
    if name in component.values or name in component.type.derived_parameters:
        return name
    return None
