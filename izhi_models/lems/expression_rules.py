"""Check expressions in attributes: grammar, names, dimensions.

Source: LEMS, expressions; every diagnostic points into the attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from izhi_models.errors import Diagnostic, suggest
from izhi_models.expr import CONDITIONS, Expr, ExpressionSyntaxError, Name, parse_expression, walk
from izhi_models.ir.dimensions import check_expression
from izhi_models.lems.elements import Element
from izhi_models.lems.types import TypeSystem
from izhi_models.units import Dimension


@dataclass
class Scope:
    """The names that expressions of a ComponentType may read.

    Parameters
    ----------
    system : TypeSystem
    type_name : str
    known : dict of str to Dimension or None
        By name; None where the dimension is open.
    faults : list of Diagnostic
        What the checks found.
    """

    system: TypeSystem
    type_name: str
    known: dict[str, Dimension | None] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)

    def check_number(
        self, element: Element, attribute: str, wanted: Dimension | None, what: str
    ) -> Expr | None:
        """Check an attribute that must be a number.

        Parameters
        ----------
        element : Element
        attribute : str
        wanted : Dimension or None
            None if any will do.
        what : str
            Whose value it is, as it stands in a message.

        Returns
        -------
        Expr or None
            None if there is no such attribute, or it is wrong.
        """
        expression = self._parse(element, attribute)
        if expression is None:
            return None
        if isinstance(expression, CONDITIONS):
            message = "a condition stands where a number is needed"
            hint = "write a ConditionalDerivedVariable"
            self._fault(element, attribute, expression, message, hint)
            return None
        self._check_dimensions(element, attribute, expression, wanted)
        return expression

    def check_condition(self, element: Element, attribute: str) -> Expr | None:
        """Check an attribute that must be a condition; see `check_number`."""
        expression = self._parse(element, attribute)
        if expression is None:
            return None
        if not isinstance(expression, CONDITIONS):
            message = "a number stands where a condition is needed"
            self._fault(element, attribute, expression, message, "compare it: v .gt. thresh")
            return None
        self._check_dimensions(element, attribute, expression, None)
        return expression

    def _check_dimensions(
        self, element: Element, attribute: str, expression: Expr, wanted: Dimension | None
    ) -> None:
        for fault in check_expression(expression, self.known, wanted):
            span = element.attribute_span(attribute, fault.place)
            self.faults.append(Diagnostic(fault.message, span))

    def _parse(self, element: Element, attribute: str) -> Expr | None:
        text = element.get(attribute)
        if not text:
            return None
        try:
            expression = parse_expression(text)
        except ExpressionSyntaxError as error:
            span = element.attribute_span(attribute, error.place)
            notes = (error.hint,) if error.hint else ()
            self.faults.append(Diagnostic(error.message, span, notes))
            return None
        read = [node for node in walk(expression) if isinstance(node, Name)]
        unknown = [node for node in read if node.id not in self.known]
        for node in unknown:
            message = f"'{node.id}' is not defined in '{self.type_name}'"
            self._fault(element, attribute, node, message, *suggest(node.id, self.known))
        return None if unknown else expression

    def _fault(
        self, element: Element, attribute: str, node: Expr, message: str, *notes: str
    ) -> None:
        span = element.attribute_span(attribute, node.place)
        self.faults.append(Diagnostic(message, span, notes))
