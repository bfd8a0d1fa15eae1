"""A model in the words that the converters to other simulators understand.

`izhikevichCell` becomes the equivalent `izhikevich2007Cell`, since its inputs would get lost: with
C = 1 pF, k = 0.04 nS/mV, vr = v0 and vt = -125 mV - v0, and u less by b vr, the equations are the
same but for a constant current, which every cell gets. Single connections become projections.
Populations and components get names that mean nothing in hoc, and equal components become one.

Source: NeuroML 2, izhikevichCell and izhikevich2007Cell; Izhikevich (2003), (2007).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from izhi_models.engines.parts import parts_of
from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.expansion import Expansion
from izhi_models.exporters.markup import Columns, Listing, Markup, number_text
from izhi_models.exporters.names import unique
from izhi_models.exporters.neuroml import Collected
from izhi_models.exporters.request import Request
from izhi_models.lems.components import Model
from izhi_models.lems.connections import lower_singles
from izhi_models.lems.structure import Made

_ENDLESS = "1000000s"
# Inputs without a dimension, and what of them becomes a current: 1 is 1 pA where C is 1 pF.
_CURRENTS = {
    "pulseGeneratorDL": ("amplitude",),
    "sineGeneratorDL": ("amplitude",),
    "rampGeneratorDL": ("startAmplitude", "finishAmplitude", "baselineAmplitude"),
    "compoundInputDL": (),
}
_SINGLES = ("synapticConnection", "synapticConnectionWD")
_POPULATIONS = ("presynapticPopulation", "postsynapticPopulation", "population")
_PATHS = ("preCellId", "postCellId", "preCell", "postCell", "target", "from", "to", "select")
_CELL = re.compile(
    r"(?P<up>(?:\.\./)*)(?P<name>[^\[\]/]+)"
    r"(?:(?P<index>\[\d*\0?\])|(?P<instance>/[\d\0]+)(?:/(?P<component>[^/]+))?)(?P<rest>/.*)?"
)
# No names of hoc, nor of NEURON's mechanisms, end so.
POPULATION, _COMPONENT = "_pop", "_nml"

# Components of these types become mechanisms of their own names; others are parts of cells.
_NAMED = ("baseCell", "basePointCurrent", "basePointCurrentDL", "baseSynapse")

Change = Callable[[str, str], str]


@dataclass
class Names:
    """New names by old ones.

    Parameters
    ----------
    populations, components : dict of str to str
    """

    populations: dict[str, str] = field(default_factory=dict)
    components: dict[str, str] = field(default_factory=dict)

    def path(self, text: str) -> str:
        """Return the path of a cell, or below it, with new names."""
        match = _CELL.fullmatch(text)
        if match is None:
            return text
        cell = match["index"] or match["instance"]
        if match["component"] is not None:
            cell += f"/{self.components.get(match['component'], match['component'])}"
        name = self.populations.get(match["name"], match["name"])
        return f"{match['up']}{name}{cell}{match['rest'] or ''}"


@dataclass
class Translation:
    """What became of a model.

    Parameters
    ----------
    parts : Collected
    names : Names
    recovery_offsets : dict of str to float
        By old name, of populations whose U is the new u in pA plus this.
    constants : dict of str to str
        By old name, of populations of which each cell gets an input more: its component.
    same : dict of str to str
        Of components that are written as another, equal one: its old name.
    """

    parts: Collected
    names: Names = field(default_factory=Names)
    recovery_offsets: dict[str, float] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)

    def component(self, name: str) -> str:
        """Return the new name of a component."""
        name = self.same.get(name, name)
        return self.names.components.get(name, name)


def translate(request: Request, parts: Collected) -> Translation:
    """Return a model in the words of the converters.

    Parameters
    ----------
    request : Request
    parts : Collected
        Changed.

    Raises
    ------
    UnsupportedError
        If there is no network, or it has what cannot be said in these words.
    """
    target = request.experiment.target
    every = [*parts.document, *parts.rest]
    network = next((item for item in every if item.attributes["id"] == target.component.id), None)
    is_network = target.component.type.is_a("network")
    if target.network is not target.component or network is None or not is_network:
        message = f"'{target.component.id}' is no network of NeuroML, which is all they run"
        raise UnsupportedError(Diagnostic(message, target.component.span))
    found = Translation(parts)
    model = request.experiment.model
    _list_singles(request, network)
    _replace_izhikevich(model, parts, network, found)
    _lengthen_refractory(parts, request.dt_s)
    found.same |= _merge_equal(model, parts)
    for item in (item for item in network.children if isinstance(item, Markup)):
        if item.tag == "population":
            name = item.attributes["id"]
            found.names.populations[name] = name + POPULATION
    for item in (*parts.document, *parts.rest):
        known = model.components.get(item.attributes["id"])
        if known is None or any(known.type.is_a(kind) for kind in _NAMED):
            name = item.attributes["id"]
            found.names.components[name] = item.attributes["id"] = name + _COMPONENT
    references = _references(model)

    def change(attribute: str, text: str) -> str:
        if attribute in _POPULATIONS:
            return found.names.populations.get(text, text)
        if attribute in _PATHS and _CELL.fullmatch(text):
            return found.names.path(text)
        return found.names.components.get(text, text) if attribute in references else text

    for item in (*parts.document, *parts.rest):
        _change(item, change)
    return found


def _references(model: Model) -> set[str]:
    """Return the names of the attributes that name components."""
    return {
        name
        for kind in model.types.types.values()
        for name in (*kind.references, *kind.links, *kind.child)
    }


# Single connections


def _list_singles(request: Request, network: Markup) -> None:
    """Make a projection of the single connections between two populations through one synapse."""
    if not any(isinstance(item, Markup) and item.tag in _SINGLES for item in network.children):
        return
    lowered = parts_of(request)
    component = request.experiment.target.component
    if lowered is None or lowered.has_compartments:
        raise UnsupportedError(
            Diagnostic(
                "single connections to segments of a cell cannot be written for this simulator",
                component.span,
                ("write them as a projection",),
            )
        )
    model = request.experiment.model
    singles = list(lower_singles(model, component, lowered.populations))
    dropped = {id(item.element) for item in component.children.get("synapticConnections", ())}
    kept: list[Markup | Listing] = []
    is_dropped = False
    for item in network.children:
        if isinstance(item, Markup):
            is_dropped = item.tag in _SINGLES
        if not is_dropped:
            kept.append(item)  # type: ignore[arg-type]
    made = Expansion(model, component, Made(projections=singles), dropped)
    last = max(n for n, item in enumerate(kept) if getattr(item, "tag", "") == "population")
    after = last + 1
    while after < len(kept) and isinstance(kept[after], Listing):
        after += 1
    network.children = [*kept[:after], *made.projections(), *kept[after:]]


# Izhikevich


def _replace_izhikevich(
    model: Model, parts: Collected, network: Markup, found: Translation
) -> None:
    taken = {item.attributes["id"] for item in (*parts.document, *parts.rest)}
    taken |= {item.attributes.get("id", "") for item in network.walk()}
    for components in (parts.document, parts.rest):
        for number, item in enumerate(components):
            for inner in item.walk():
                if inner.tag in _CURRENTS:
                    for name in _CURRENTS[inner.tag]:
                        inner.attributes[name] += "pA"
                    inner.tag = inner.tag.removesuffix("DL")
            if item.tag != "izhikevichCell":
                continue
            name = item.attributes["id"]
            values = model.components[name].values
            components[number] = _as_2007(name, values)
            shift = values["b"] * values["v0"] * 1e3
            for population in _populations_of(network, name):
                found.recovery_offsets[population.attributes["id"]] = shift
            offset = _constant(values)
            if offset != 0.0:
                pulse = {
                    "id": unique(f"constant_{name}", taken),
                    "delay": "0ms",
                    "duration": _ENDLESS,
                    "amplitude": f"{number_text(offset)}pA",
                }
                parts.document.append(Markup("pulseGenerator", pulse))
                for population in _populations_of(network, name):
                    network.children.append(_to_all(population, pulse["id"], taken))
                    found.constants[population.attributes["id"]] = pulse["id"]


def _populations_of(network: Markup, component: str) -> Iterator[Markup]:
    for item in network.children:
        if not isinstance(item, Markup) or item.tag != "population":
            continue
        if item.attributes["component"] == component:
            yield item


def _as_2007(name: str, values: Mapping[str, float]) -> Markup:
    v0 = values["v0"] * 1e3
    return Markup(
        "izhikevich2007Cell",
        {
            "id": name,
            "v0": f"{number_text(v0)}mV",
            "C": "1pF",
            "k": "0.04nS_per_mV",
            "vr": f"{number_text(v0)}mV",
            "vt": f"{number_text(-125.0 - v0)}mV",
            "vpeak": f"{number_text(values['thresh'] * 1e3)}mV",
            "a": f"{number_text(values['a'])}per_ms",
            "b": f"{number_text(values['b'])}nS",
            "c": f"{number_text(values['c'])}mV",
            "d": f"{number_text(values['d'])}pA",
        },
    )


def _constant(values: Mapping[str, float]) -> float:
    """Return the current that makes both cells equal [pA]."""
    v0 = values["v0"] * 1e3
    return 140.0 - 0.04 * v0 * (-125.0 - v0) - values["b"] * v0


def _to_all(population: Markup, component: str, taken: set[str]) -> Markup:
    """Return a list with an input for each cell of a population."""
    name = population.attributes["id"]
    placed = population.attributes.get("type") == "populationList"
    cell = f"/{{}}/{population.attributes['component']}" if placed else "[{}]"
    inputs = [
        Markup(
            "input",
            {
                "id": str(number),
                "target": f"../{name}{cell.format(number)}",
                "destination": "synapses",
            },
        )
        for number in range(int(population.attributes["size"]))
    ]
    attributes = {"id": unique(component, taken), "component": component, "population": name}
    return Markup("inputList", attributes, [*inputs])


# Refractory periods


def _lengthen_refractory(parts: Collected, dt_s: float) -> None:
    """Make of no refractory period one of a step and a half: jNeuroML refuses none.

    It has to last longer than a step, or NEURON does not see its end.
    """
    for item in (*parts.document, *parts.rest):
        if item.tag == "adExIaFCell" and float(item.attributes["refract"].rstrip("ms ")) == 0.0:
            item.attributes["refract"] = f"{number_text(dt_s * 1500)}ms"


# Names


def _change(markup: Markup, change: Change) -> None:
    """Change the attributes of an element and of all below it, lists included."""
    for name, text in markup.attributes.items():
        if markup.tag == "population" and name == "id":
            markup.attributes[name] = change("population", text)
        else:
            markup.attributes[name] = change(name, text)
    for number, item in enumerate(markup.children):
        if isinstance(item, Markup):
            _change(item, change)
        elif isinstance(item, Listing):
            markup.children[number] = _changed_listing(item, change)


def _changed_listing(listing: Listing, change: Change) -> Listing:
    def blocks() -> Iterator[tuple[Markup, int, Columns]]:
        for form, size, columns in listing.blocks():
            copy = Markup(form.tag, dict(form.attributes), list(form.children))
            _change(copy, change)
            yield copy, size, columns

    return Listing(blocks)


def _merge_equal(model: Model, parts: Collected) -> dict[str, str]:
    """Leave one of each group of equal components: a converter makes a mechanism of each.

    Return which one, by the names of the others.
    """
    references = _references(model)
    same: dict[str, str] = {}
    for components in (parts.document, parts.rest):
        first: dict[tuple[str, ...], str] = {}
        for item in list(components):
            if item.tag == "network":
                continue
            name = item.attributes["id"]
            nameless = Markup(item.tag, {**item.attributes, "id": ""}, item.children)
            key = tuple(nameless.lines())
            if key in first:
                same[name] = first[key]
                components.remove(item)
            first.setdefault(key, name)

    def change(attribute: str, text: str) -> str:
        return same.get(text, text) if attribute in references else text

    for item in (*parts.document, *parts.rest):
        _change(item, change)
    return same
