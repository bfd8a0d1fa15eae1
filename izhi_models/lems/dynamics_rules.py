"""Check the Dynamics of a ComponentType: names, states, ports, regimes, paths, dimensions.

Source: LEMS, element Dynamics and all below it.
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator

from izhi_models.errors import Diagnostic, InputError, Note, suggest
from izhi_models.expr import names
from izhi_models.lems.elements import Element
from izhi_models.lems.expression_rules import Scope
from izhi_models.lems.prescription import check_prescription, is_prescription
from izhi_models.lems.types import ComponentType, Table, TypeSystem
from izhi_models.units import NONE, TIME, Dimension

_BLOCKS = ("Dynamics", "Behavior")
_VARIABLES = ("StateVariable", "DerivedVariable", "ConditionalDerivedVariable")
# What expressions of the dynamics may read beside its variables and the time.
_READABLE = (
    "parameters",
    "derived_parameters",
    "index_parameters",
    "properties",
    "constants",
    "requirements",
)
# What the first step of a path may name.
_PARTS = (
    "child",
    "children",
    "attachments",
    "references",
    "links",
    "paths",
    "component_requirements",
    "instance_requirements",
)


def check_dynamics(system: TypeSystem, resolved: ComponentType) -> list[Diagnostic]:
    """Return what is wrong with the Dynamics that a type itself declares.

    Parameters
    ----------
    system : TypeSystem
    resolved : ComponentType
    """
    own = [item for item in resolved.element.children if item.tag in _BLOCKS]
    if not own:
        return []
    rules = _Rules(system, resolved)
    for block in own:
        rules.check_block(block)
    rules.check_circles()
    rules.check_exposures()
    rules.check_prescriptions()
    return rules.scope.faults


class _Rules:
    """The rules for one type; what they find is in the faults of the scope."""

    def __init__(self, system: TypeSystem, resolved: ComponentType) -> None:
        self.system = system
        self.type = resolved
        self.scope = Scope(system, resolved.name)
        self.states: dict[str, Dimension | None] = {}
        self.exposed: set[str] = set()
        self.reads: dict[str, tuple[Element, frozenset[str]]] = {}
        self.scope.known["t"] = TIME
        first: dict[str, Element] = {}
        for table in _READABLE:
            declared: Table = getattr(resolved, table)
            for name, item in declared.items():
                self.scope.known[name] = item.dimension
                first[name] = item.element
        for block in resolved.dynamics:
            inherited = block not in resolved.element.children
            for element in _variables(block):
                self._declare(element, {} if inherited else first)

    def _declare(self, element: Element, first: dict[str, Element]) -> None:
        name = element.get("name")
        if not name:
            return
        if name in first:
            message = f"'{name}' is declared twice in ComponentType '{self.type.name}'"
            note = Note("first declared here", first[name].attribute_span("name"))
            tell = self._doubt if _is_same(element, first[name]) else self._fault
            tell(message, element, "name", note)
        first.setdefault(name, element)
        self.scope.known[name] = self._dimension(element, name)
        if element.tag == "StateVariable":
            self.states[name] = self.scope.known[name]

    def _dimension(self, element: Element, name: str) -> Dimension | None:
        text = element.get("dimension")
        exposure = self.type.exposures.get(element.get("exposure") or name)
        if text is None and exposure is not None:
            return exposure.dimension
        if text is None and element.tag != "StateVariable":
            return None  # what its definition has
        try:
            return self.system.dimension(text)
        except InputError as error:
            first = error.diagnostics[0]
            span = element.attribute_span("dimension")
            self.scope.faults.append(Diagnostic(first.message, span, first.notes))
            return None

    def _fault(self, message: str, element: Element, attribute: str, *notes: Note | str) -> None:
        span = element.attribute_span(attribute)
        self.scope.faults.append(Diagnostic(message, span, notes))

    def _doubt(self, message: str, element: Element, attribute: str, *notes: Note | str) -> None:
        span = element.attribute_span(attribute)
        self.scope.faults.append(Diagnostic(message, span, notes, "warning"))

    # Elements of Dynamics

    def check_block(self, block: Element) -> None:
        """Check a Dynamics element."""
        self._check_regimes(block)
        self._check_rates(block)
        for element in block.children:
            match element.tag:
                case "StateVariable":
                    self._check_exposure(element)
                case "DerivedVariable":
                    self._check_derived(element)
                    self._check_exposure(element)
                case "ConditionalDerivedVariable":
                    self._check_cases(element)
                    self._check_exposure(element)
                case "OnStart" | "OnCondition" | "OnEvent":
                    self._check_action(element, None)
                case "KineticScheme":
                    self._check_scheme(element)
                case "Regime":
                    self._check_regime(element, block)

    def _check_rates(self, block: Element) -> None:
        first: dict[str, Element] = {}
        for element in block.find("TimeDerivative"):
            name = element.get("variable") or ""
            if name in first:
                note = Note("the first is here", first[name].span)
                self._fault(f"'{name}' has two TimeDerivatives", element, "variable", note)
            first.setdefault(name, element)
            self._check_state(element)
            dimension = self.states.get(name)
            rate = dimension.over(TIME) if dimension is not None else None
            self.scope.check_number(element, "value", rate, f"the rate of '{name}'")

    def _check_state(self, element: Element) -> None:
        name = element.get("variable")
        if not name or name in self.states:
            return
        if name in self.scope.known:
            message = f"'{name}' is no StateVariable, so it cannot change"
            hint = f'declare <StateVariable name="{name}" dimension="..."/>'
            self._fault(message, element, "variable", hint)
        else:
            notes = suggest(name, self.states)
            self._fault(f"no StateVariable has the name '{name}'", element, "variable", *notes)

    def _check_derived(self, element: Element) -> None:
        name = element.get("name") or ""
        value, path = element.get("value"), element.get("select")
        if value is None and path is None:
            message = f"'{name}' is not defined: <DerivedVariable> lacks 'value' or 'select'"
            self._fault(message, element, "name")
        elif value is not None and path is not None:
            self._fault(f"'{name}' has both 'value' and 'select'", element, "select", "keep one")
        elif path is not None:
            self._check_path(element, path)
        else:
            wanted = self.scope.known.get(name)
            expression = self.scope.check_number(element, "value", wanted, f"'{name}'")
            if expression is not None:
                self.reads[name] = (element, names(expression))

    def _check_cases(self, element: Element) -> None:
        name = element.get("name") or ""
        wanted = self.scope.known.get(name)
        cases = list(element.find("Case"))
        if not cases:
            self._fault(f"'{name}' is not defined: it has no <Case>", element, "name")
        read: set[str] = set()
        for case in cases:
            value = self.scope.check_number(case, "value", wanted, f"'{name}'")
            test = self.scope.check_condition(case, "condition")
            read |= {item for found in (value, test) if found is not None for item in names(found)}
        self.reads[name] = (element, frozenset(read))
        defaults = [case for case in cases if case.get("condition") is None]
        for case in defaults[1:]:
            note = Note("this one is taken", defaults[0].span)
            self._doubt("a second <Case> without a condition is never taken", case, "", note)

    def _check_exposure(self, element: Element) -> None:
        name = element.get("name") or ""
        exposure = element.get("exposure")
        if exposure and exposure not in self.type.exposures:
            notes = suggest(exposure, self.type.exposures)
            message = f"'{self.type.name}' declares no Exposure '{exposure}'"
            self._fault(message, element, "exposure", *notes)
            return
        # A variable with the name of an exposure is exposed without a word.
        shown = self.type.exposures.get(exposure or name)
        if shown is None:
            return
        self.exposed.add(shown.name)
        found, wanted = self.scope.known.get(name), shown.dimension
        if wanted is None or found is None:
            return
        note = Note("declared here", shown.element.span)
        expected = self.system.dimension_name(wanted)
        if found != wanted:
            has = self.system.dimension_name(found)
            message = f"'{name}' has the dimension {has}, but the Exposure needs {expected}"
            self._fault(message, element, "dimension", note)
        elif element.get("dimension") is None and wanted != NONE:
            message = f"'{name}' has no dimension, but its Exposure has {expected}"
            self._doubt(message, element, "", f'write dimension="{expected}"', note)

    def check_prescriptions(self) -> None:
        """Check what is said of the integration."""
        below = [item for block in self.type.dynamics for item in block.children]
        moving = {item.get("variable") or "" for item in below if item.tag == "TimeDerivative"}
        derived = {item.get("name") or "" for item in below if "Derived" in item.tag}
        for element in self.type.element.children:
            if is_prescription(element):
                self.scope.faults.extend(check_prescription(element, moving, derived))

    def check_exposures(self) -> None:
        """Check that each Exposure of the type itself is set by something."""
        for block in self.type.dynamics:
            for element in _variables(block):
                self.exposed |= {element.get("exposure") or "", element.get("name") or ""}
        for name, item in self.type.exposures.items():
            if item.element in self.type.element.children and name not in self.exposed:
                self._doubt(f"no variable sets the Exposure '{name}'", item.element, "name")

    # Actions

    def _check_action(self, block: Element, regimes: dict[str, Element] | None) -> None:
        """Check OnStart, OnEntry, OnCondition or OnEvent; `regimes` if inside a Regime."""
        if block.tag == "OnCondition":
            self.scope.check_condition(block, "test")
        elif block.tag == "OnEvent":
            self._check_port(block, "in")
        for element in block.children:
            if element.tag == "StateAssignment":
                self._check_state(element)
                name = element.get("variable") or ""
                self.scope.check_number(element, "value", self.states.get(name), f"'{name}'")
            elif element.tag == "EventOut":
                self._check_port(element, "out")
            elif element.tag == "Transition":
                self._check_transition(element, regimes)

    def _check_port(self, element: Element, direction: str) -> None:
        name = element.get("port")
        if not name:
            return
        ports = [
            item.name
            for item in self.type.ports.values()
            if item.element.get("direction") == direction
        ]
        if name in ports:
            return
        if name in self.type.ports:
            message = f"the EventPort '{name}' has not the direction '{direction}'"
            note = Note("declared here", self.type.ports[name].element.span)
            self._fault(message, element, "port", note)
        else:
            message = f"'{self.type.name}' declares no EventPort '{name}'"
            self._fault(message, element, "port", *suggest(name, ports))

    def _check_transition(self, element: Element, regimes: dict[str, Element] | None) -> None:
        name = element.get("regime")
        if regimes is None:
            self._doubt("a Transition outside a Regime is not made", element, "regime")
        elif name and name not in regimes:
            notes = suggest(name, regimes)
            self._fault(f"no Regime has the name '{name}'", element, "regime", *notes)

    # Regimes

    def _check_regimes(self, block: Element) -> None:
        first: dict[str, Element] = {}
        initial: list[Element] = []
        for element in block.find("Regime"):
            name = element.get("name") or ""
            if name in first:
                note = Note("the first is here", first[name].attribute_span("name"))
                self._fault(f"two Regimes have the name '{name}'", element, "name", note)
            first.setdefault(name, element)
            if element.get("initial") == "true":
                initial.append(element)
        for element in initial[1:]:
            note = Note("the first is here", initial[0].attribute_span("initial"))
            self._fault("two Regimes are initial", element, "initial", note)
        if first and not initial:
            hint = 'write initial="true" on one of them'
            self._doubt("no Regime is initial: which one comes first is open", block, "", hint)

    def _check_regime(self, regime: Element, block: Element) -> None:
        regimes = {item.get("name") or "": item for item in block.find("Regime")}
        self._check_rates(regime)
        for element in regime.children:
            if element.tag in ("OnEntry", "OnCondition", "OnEvent"):
                self._check_action(element, regimes)

    # Paths, kinetic schemes, circles

    def _check_path(self, element: Element, path: str) -> None:
        """Check the steps of a path as far as declared types tell where it leads."""
        steps = path.split("/")
        place = re.split(r"\[", steps[0])[0]
        parts = {
            name: item.type for table in _PARTS for name, item in getattr(self.type, table).items()
        }
        if place not in parts:
            message = f"'{self.type.name}' has no part '{place}'"
            self._fault(message, element, "select", *suggest(place, parts))
            return
        if len(steps) != 2 or not parts[place]:
            return
        exposures = dict(self._exposures_of(parts[place]))
        if not exposures:
            return
        if steps[1] not in exposures:
            message = f"no {parts[place]} has the Exposure '{steps[1]}'"
            shown = self.system.types[parts[place]].exposures
            self._fault(message, element, "select", *suggest(steps[1], shown))
            return
        name = element.get("name") or ""
        found, wanted = exposures[steps[1]], self.scope.known.get(name)
        if found is not None and wanted is not None and found != wanted:
            self._fault(
                f"'{name}' has the dimension {self.system.dimension_name(wanted)}, but "
                f"'{path}' has {self.system.dimension_name(found)}",
                element,
                "select",
            )

    def _exposures_of(self, type_name: str) -> Iterator[tuple[str, Dimension | None]]:
        """Yield what a type, or a type that extends it, shows; the type itself last."""
        members = [item for item in self.system.types.values() if item.is_a(type_name)]
        for member in sorted(members, key=lambda item: item.name == type_name):
            tables = (member.parameters, member.derived_parameters, member.requirements)
            for table in (*tables, member.exposures):
                yield from ((name, item.dimension) for name, item in table.items())
            for block in member.dynamics:
                yield from ((item.get("name") or "", None) for item in _variables(block))

    def _check_scheme(self, element: Element) -> None:
        for attribute in ("nodes", "edges"):
            name = element.get(attribute)
            if name and name not in self.type.children:
                message = f"'{self.type.name}' has no Children '{name}'"
                self._fault(message, element, attribute, *suggest(name, self.type.children))

    def check_circles(self) -> None:
        """Check that no variable is defined by itself."""
        graph = {name: read & self.reads.keys() for name, (_, read) in self.reads.items()}
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1]
            element, _ = self.reads[circle[0]]
            steps = " -> ".join(reversed(circle))
            self._fault(f"circular definition: {steps}", element, "name")


def _is_same(one: Element, other: Element) -> bool:
    children = zip(one.children, other.children, strict=False)
    return (
        (one.tag, one.attributes, len(one.children))
        == (other.tag, other.attributes, len(other.children))
    ) and all(_is_same(*pair) for pair in children)


def _variables(block: Element) -> Iterator[Element]:
    """Yield what a Dynamics declares, with the states that only a Regime uses."""
    yield from (item for item in block.children if item.tag in _VARIABLES)
    for regime in block.find("Regime"):
        yield from regime.find("StateVariable")
