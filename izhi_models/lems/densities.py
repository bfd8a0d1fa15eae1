"""Densities of channels that are functions of the place on a cell.

Source: NeuroML 2, channelDensityNonUniform, variableParameter, inhomogeneousParameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from izhi_models.errors import Diagnostic, InputError, suggest
from izhi_models.expr import ExpressionSyntaxError, names, parse_expression
from izhi_models.ir.evaluate import evaluate_scalar
from izhi_models.lems.components import Component, Model
from izhi_models.lems.morphology import Compartment
from izhi_models.lems.segments import Region

# The type that has the same density everywhere, and its parameter.
_UNIFORM = {
    "channelDensityNonUniform": ("channelDensity", "condDensity"),
    "channelDensityNonUniformNernst": ("channelDensityNernst", "condDensity"),
    "channelDensityNonUniformGHK": ("channelDensityGHK", "permeability"),
}
_MARK = "variableParameter"
_METRIC = "Path Length from root"


def non_uniform(component: Component) -> Component | None:
    """Return the variableParameter of a density, or None if it is the same everywhere."""
    return next(iter(component.children.get(_MARK, ())), None)


def uniform(model: Model, component: Component) -> Component:
    """Return a density as one of the type that has a number in place of a function.

    Parameters
    ----------
    model : Model
    component : Component
        Returned as it is if it is the same everywhere.

    Raises
    ------
    InputError
        If it varies something else than its density.
    """
    variable = non_uniform(component)
    if variable is None:
        return component
    name, parameter = _UNIFORM[component.type.name]
    if variable.texts.get("parameter") != parameter:
        raise InputError(
            Diagnostic(
                f"'{variable.texts.get('parameter', '')}' of a {component.type.name} cannot vary",
                variable.element.attribute_span("parameter"),
                (f'write parameter="{parameter}"',),
            )
        )
    values = {**component.values, parameter: 0.0}
    return replace(component, type=model.types.types[name], values=values)


def density_at(
    component: Component, region: Region, compartment: Compartment
) -> Iterator[tuple[str, float]]:
    """Yield the parameter of a density that varies, with its value at a compartment.

    Parameters
    ----------
    component : Component
        From `uniform`.
    region : Region
    compartment : Compartment
        Its value is that at the middle. [SI]

    Raises
    ------
    InputError
        If the function is malformed or not positive, or reads what is not there.
    """
    variable = non_uniform(component)
    if variable is None:
        return
    group = variable.element.get("segmentGroup") or ""
    declared = region.declared[group].children.get("inhomogeneousParameter", [])
    for value in variable.children.get("inhomogeneousValue", ()):
        wanted = value.element.get("inhomogeneousParameter") or ""
        found = next((item for item in declared if item.id == wanted), None)
        if found is None:
            raise InputError(
                Diagnostic(
                    f"'{group}' has no inhomogeneousParameter '{wanted}'",
                    value.element.attribute_span("inhomogeneousParameter"),
                    suggest(wanted, [item.id for item in declared]),
                )
            )
        place = _place(found, region, group, compartment)
        density = _evaluated(value, found.texts.get("variable", ""), place)
        yield variable.texts["parameter"], density


def _place(parameter: Component, region: Region, group: str, compartment: Compartment) -> float:
    """Return the variable at a compartment: a length of path [um], or a part of the longest."""
    metric = parameter.texts.get("metric")
    if metric != _METRIC:
        raise InputError(
            Diagnostic(
                f"the metric '{metric}' is not known",
                parameter.element.attribute_span("metric"),
                (f'write metric="{_METRIC}"',),
            )
        )
    morphology = region.morphology
    members = region.groups[group]
    start = min(morphology.distance(number, 0.0) for number in members)
    end = max(morphology.distance(number, 1.0) for number in members)
    shift = 0.0
    for item in parameter.children.get("proximal", ()):
        shift = _number(item, "translationStart") - start
    scale = 1.0
    for item in parameter.children.get("distal", ()):
        scale = _number(item, "normalizationEnd") / (end + shift)
    return (morphology.distance(*compartment.middle) + shift) * scale


def _number(component: Component, attribute: str) -> float:
    text = component.element.get(attribute) or ""
    try:
        return float(text)
    except ValueError:
        span = component.element.attribute_span(attribute)
        raise InputError(Diagnostic(f"'{text}' is no number", span)) from None


def _evaluated(component: Component, variable: str, place: float) -> float:
    text = component.element.get("value") or ""
    span = component.element.attribute_span("value")
    try:
        expression = parse_expression(text)
    except ExpressionSyntaxError as error:
        place_of = component.element.attribute_span("value", error.place)
        raise InputError(Diagnostic(error.message, place_of)) from None
    unknown = names(expression) - {variable}
    if unknown:
        hint = f"it may read '{variable}', the variable of the inhomogeneousParameter"
        raise InputError(Diagnostic(f"'{min(unknown)}' is not defined here", span, (hint,)))
    value = evaluate_scalar(expression, {variable: place})
    if not value >= 0.0:
        raise InputError(Diagnostic(f"the density is {value:g} at {variable} = {place:g}", span))
    return value
