"""Values for parameters of a file that was read, in place of those that are written there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from izhi_models.errors import Diagnostic, InputError, Span, suggest
from izhi_models.lems.components import Component, Model
from izhi_models.lems.types import Declaration
from izhi_models.units import NONE, Dimension, parse_quantity

_SHOWN = 5  # of the places that one name may mean


@dataclass(frozen=True)
class _Place:
    """A component of the file, and the ids that lead to it from the top level."""

    ids: tuple[str, ...]
    component: Component

    def path(self, name: str) -> str:
        """Return the path of a parameter of the component."""
        return "/".join((*self.ids, name))


def apply_settings(model: Model, settings: Mapping[str, str | float]) -> dict[Span, str]:
    """Give parameters other values, before anything is lowered.

    Components that are made from another by ``extends`` follow, where they say nothing else.

    Parameters
    ----------
    model : Model
        Changed.
    settings : mapping of str to str or float
        By path, ``component/parameter``, as far as it is needed to tell components apart:
        ``E/size``, ``network/E/size``, or ``size`` if only one component has it. A text is a
        quantity, ``"5 mV"``; a number is SI.

    Returns
    -------
    dict of Span to str
        The settings, by the attributes whose values they replace.

    Raises
    ------
    InputError
        If a path leads to no parameter or to several, or a value does not fit.
    """
    places = list(_places(model))
    replaced: dict[Span, str] = {}
    for path, value in settings.items():
        place, declaration = _find(places, path)
        number = _number(model, path, value, declaration)
        for item in (place, *_made_from(places, place, declaration.name)):
            element = item.component.element
            item.component.values[declaration.name] = number
            if declaration.name in element.attributes:
                replaced[element.attribute_span(declaration.name)] = f"{path}={value}"
            element.attributes[declaration.name] = _text(model, value, declaration)
    return replaced


def _places(model: Model) -> Iterator[_Place]:
    def below(component: Component, ids: tuple[str, ...]) -> Iterator[_Place]:
        yield _Place(ids, component)
        for _, child in component.all_children():
            if child.id:
                yield from below(child, (*ids, child.id))

    for component in model.components.values():
        if not component.element.document.is_core:
            yield from below(component, (component.id,))


def _parameters(component: Component) -> dict[str, Declaration]:
    kind = component.type
    known = {**kind.parameters, **kind.properties}
    return {name: item for name, item in known.items() if name not in kind.fixed}


def _find(places: list[_Place], path: str) -> tuple[_Place, Declaration]:
    *ids, name = path.split("/")
    named = [item for item in places if item.ids[len(item.ids) - len(ids) :] == tuple(ids)]
    named = [item for item in named if item.ids == tuple(ids)] or named
    found = [item for item in named if name in _parameters(item.component)]
    if len(found) == 1:
        return found[0], _parameters(found[0].component)[name]
    if found:
        listed = ", ".join(item.path(name) for item in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise InputError(
            Diagnostic(f"'{path}' may be {listed}{more}", notes=("write more of the path",))
        )
    if ids and not named:
        known = {item.ids[-1] for item in places}
        message = f"no component has the id '{'/'.join(ids)}'"
        raise InputError(Diagnostic(message, notes=suggest(ids[-1], known)))
    names = {key for item in named for key in _parameters(item.component)}
    owner = f"'{'/'.join(ids)}'" if ids else "nothing in the file"
    has = "has no parameter" if ids else "has a parameter"
    raise InputError(Diagnostic(f"{owner} {has} '{name}'", notes=suggest(name, names)))


def _number(model: Model, path: str, value: str | float, declaration: Declaration) -> float:
    if not isinstance(value, str):
        return float(value)
    wanted = declaration.dimension
    try:
        quantity = parse_quantity(value, model.types.units)
    except InputError as error:
        first = error.diagnostics[0]
        notes = first.notes if wanted is None else (_units_of(model, wanted),)
        raise InputError(Diagnostic(f"{path}: {first.message}", notes=notes)) from None
    if wanted is not None and quantity.dimension != wanted:
        name = model.types.dimension_name(wanted)
        message = f"'{path}' needs the dimension {name}, not '{value}'"
        raise InputError(Diagnostic(message, notes=(_units_of(model, wanted),)))
    return quantity.value


def _text(model: Model, value: str | float, declaration: Declaration) -> str:
    """Return a value as a file would have it."""
    if isinstance(value, str):
        return value
    wanted = declaration.dimension
    units = (unit for unit in model.types.units.values() if unit.dimension == wanted)
    unit = None if wanted in (None, NONE) else next(units, None)
    return repr(float(value)) if unit is None else unit.text_of(float(value))


def _units_of(model: Model, wanted: Dimension) -> str:
    units = [unit.symbol for unit in model.types.units.values() if unit.dimension == wanted]
    if not units:
        return "write a bare number"
    return f"units of {model.types.dimension_name(wanted)}: {', '.join(units[:8])}"


def _made_from(places: list[_Place], source: _Place, name: str) -> Iterator[_Place]:
    """Yield what takes a value over from a component, also through another."""
    for item in places:
        element = item.component.element
        if element.get("extends") == source.component.id and name not in element.attributes:
            yield item
            yield from _made_from(places, item, name)
