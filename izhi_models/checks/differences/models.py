"""Compare two models: what is run, on what, and what of it is kept.

Components, types and populations are told from each other by their names. What nothing uses that
is run does not count, so that a file that includes a library is equal to one with what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from izhi_models.checks.differences.networks import RTOL, compare_networks, told_only
from izhi_models.checks.differences.report import Difference, both
from izhi_models.checks.differences.types import compare_types
from izhi_models.errors import raise_if_errors
from izhi_models.lems.components import Component, Model, read_model
from izhi_models.lems.network import DEFAULT_SEED
from izhi_models.lems.simulation import Experiment, lower_experiment
from izhi_models.lems.types import ComponentType
from izhi_models.lems.validate import find_faults
from izhi_models.simulation import Display, EventOutputFile, OutputFile, Simulation

_RUN = ("network", "Simulation")


@dataclass(frozen=True, eq=False)
class Described:
    """A model as it is compared.

    Parameters
    ----------
    model : Model
    experiment : Experiment or None
        None if the file holds nothing to run.
    components : dict of str to Component
        All top-level ones but networks and Simulations.
    used : set of str
        Those that what is run depends on; all if nothing is run.
    types : dict of str to ComponentType
        Those of the file.
    """

    model: Model
    experiment: Experiment | None
    components: dict[str, Component]
    used: set[str]
    types: dict[str, ComponentType]

    def used_types(self) -> set[str]:
        """Return the types of what is used, with what they extend; all if nothing is run."""
        if self.experiment is None:
            return set(self.types)
        roots = [self.components[name] for name in self.used]
        parts = (item for root in roots for item in _outside_networks(root))
        return {name for item in parts for name in item.type.ancestors}


def _outside_networks(component: Component) -> Iterator[Component]:
    """Yield a component and all below it but networks, which are compared as arrays."""
    if not component.type.is_a("network"):
        yield component
        for _, child in component.all_children():
            yield from _outside_networks(child)


def read_for_comparison(path: Path) -> Described:
    """Read a model.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        With every fault found in the file.
    UnsupportedError
        If its network has what cannot be run.
    """
    model = read_model(path)
    raise_if_errors(find_faults(model))
    # A Simulation may be part of a component that is the target.
    is_run = model.target is not None or any(model.of_type(name) for name in _RUN)
    experiment = lower_experiment(model) if is_run else None
    components = {
        name: item
        for name, item in model.components.items()
        if not any(item.type.is_a(kind) for kind in _RUN) and not item.element.document.is_core
    }
    types = {
        name: item for name, item in model.types.types.items() if not item.element.document.is_core
    }
    used = set(components) if experiment is None else _used(model, components, experiment)
    return Described(model, experiment, components, used, types)


def _used(model: Model, components: dict[str, Component], experiment: Experiment) -> set[str]:
    """Return the components on which a network depends, by way of any number of others."""
    network = experiment.network
    waiting = [item.component for item in network.populations.values()]
    waiting += [item.id for group in network.populations.values() for item in group.attached]
    waiting += [item.synapse.partition(":")[0] for item in network.projections]
    waiting += [experiment.target.component.id]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or name not in components:
            continue
        found.add(name)
        for item in _outside_networks(components[name]):
            waiting += item.texts.values()
    return found


def compare_models(first: Described, second: Described) -> tuple[list[Difference], list[str]]:
    """Compare models.

    Parameters
    ----------
    first, second : Described

    Returns
    -------
    list of Difference, list of str
        The second says what was compared.
    """
    found = [*_components(first, second), *_types(first, second)]
    compared = [f"{len(first.used | second.used)} components"]
    compared.append(f"{len(first.types.keys() | second.types.keys())} ComponentTypes")
    ours, theirs = first.experiment, second.experiment
    if ours is None or theirs is None:
        if ours is not theirs:
            shown = both(lambda item: "" if item is None else "is there", ours, theirs)
            found.append(Difference("network", "what is run", shown))
        return found, compared
    found += compare_networks(ours.network, theirs.network)
    found += _simulations(ours, theirs)
    networks = [item.network for item in (ours, theirs)]
    compared.append(f"{max(len(item.populations) for item in networks)} populations")
    sizes = (sum(projection.size for projection in item.projections) for item in networks)
    compared.append(f"{max(sizes)} connections")
    return found, compared


# Components


def _components(first: Described, second: Described) -> Iterator[Difference]:
    used = first.used | second.used
    for name in dict.fromkeys((*first.components, *second.components)):
        a, b = first.components.get(name), second.components.get(name)
        if a is None or b is None:
            yield Difference("component", name, both(_type, a, b), counts=name in used)
            continue
        for place, sides in _of_component(name, a, b):
            yield Difference("component", place, sides, counts=name in used)


def _type(component: Component | None) -> str:
    return "" if component is None else component.type.name


def _of_component(
    place: str, first: Component, second: Component
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield place and sides of each difference of two components."""
    if first.type.name != second.type.name:
        yield place, both(_type, first, second)
    for name in dict.fromkeys((*first.values, *second.values)):
        a, b = first.values.get(name, np.nan), second.values.get(name, np.nan)
        if not np.isclose(a, b, rtol=RTOL, atol=0.0, equal_nan=True):
            yield f"{place}/{name}", (_quantity(first, name), _quantity(second, name))
    for name in dict.fromkeys((*first.texts, *second.texts)):
        texts = first.texts.get(name, ""), second.texts.get(name, "")
        if texts[0] != texts[1]:
            yield f"{place}/{name}", texts
    for inner in dict.fromkeys((*first.children, *second.children)):
        sides = [_by_name(item, inner) for item in (first, second)]
        for name in dict.fromkeys((*sides[0], *sides[1])):
            ours, theirs = (side.get(name) for side in sides)
            if ours is not None and theirs is not None:
                yield from _of_component(f"{place}/{name}", ours, theirs)
            else:
                yield f"{place}/{name}", both(_type, ours, theirs)


def _quantity(component: Component, name: str) -> str:
    written = component.element.get(name)
    value = component.values.get(name)
    return "" if value is None else written or f"{value:.12g}"


def _by_name(component: Component, place: str) -> dict[str, Component]:
    """Return children by id; those without one by their number. A network is compared apart."""
    found: dict[str, Component] = {}
    for number, child in enumerate(component.children.get(place, ())):
        if not child.type.is_a("network"):
            found[child.id or f"{place}[{number}]"] = child
    return found


def _types(first: Described, second: Described) -> Iterator[Difference]:
    used = first.used_types() | second.used_types()
    for item in told_only("ComponentType", first.types, second.types):
        yield replace(item, counts=item.where in used)
    systems = (first.model.types, second.model.types)
    for name, ours in first.types.items():
        if name in second.types:
            for item in compare_types(ours, second.types[name], systems):
                yield replace(item, counts=name in used)


# Simulation


def _simulations(first: Experiment, second: Experiment) -> Iterator[Difference]:
    ours, theirs = first.simulation, second.simulation
    if ours is None or theirs is None:
        if ours is not theirs:
            shown = both(lambda item: "" if item is None else item.id, ours, theirs)
            yield Difference("simulation", "Simulation", shown)
        return
    sides = _plan(ours, first), _plan(theirs, second)
    for name in dict.fromkeys((*sides[0], *sides[1])):
        texts = sides[0].get(name, ""), sides[1].get(name, "")
        if texts[0] != texts[1]:
            yield Difference("simulation", name, texts)


def _plan(plan: Simulation, experiment: Experiment) -> dict[str, str]:
    """Return what a Simulation asks for, by name; paths are those of cells, however written."""
    found = {
        "length": f"{plan.length_s * 1e3:.12g} ms",
        "step": f"{plan.step_s * 1e3:.12g} ms",
        "seed": str(DEFAULT_SEED if plan.seed is None else plan.seed),
    }
    for output in plan.outputs:
        found[f"file {_file(output)}"] = ", ".join(
            _path(path, experiment) for _, path in output.columns
        )
    for events in plan.event_outputs:
        selected = [
            f"{key}: {_cell(path, experiment)} {port}" for key, path, port in events.selections
        ]
        found[f"file {_file(events)}"] = f"{events.format}: {', '.join(sorted(selected))}"
    for display in plan.displays:
        found[f"display {display.id}"] = ", ".join(sorted(_lines(display, experiment)))
    return found


def _file(output: OutputFile | EventOutputFile) -> str:
    return f"{output.path}/{output.file_name}" if output.path else output.file_name


def _lines(display: Display, experiment: Experiment) -> Iterator[str]:
    for line in display.lines:
        yield f"{_path(line.quantity, experiment)} in {line.scale:.12g}"


def _path(path: str, experiment: Experiment) -> str:
    found = experiment.quantities.get(path)
    if found is None or found.is_whole:
        return path
    return f"{found.population}[{found.index}]/{found.name}"


def _cell(path: str, experiment: Experiment) -> str:
    population, index = experiment.sources[path]
    return f"{population}[{index}]"
