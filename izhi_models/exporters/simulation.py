"""The Simulation of an export: that of the file, with what was asked for in its place."""

from __future__ import annotations

from collections.abc import Iterator

from izhi_models.errors import InternalError
from izhi_models.exporters.markup import Markup, component_markup
from izhi_models.exporters.names import unique
from izhi_models.exporters.request import Request
from izhi_models.lems.components import Component, Model
from izhi_models.lems.network import DEFAULT_SEED
from izhi_models.lems.paths import Quantity
from izhi_models.lems.targets import sent_ports
from izhi_models.network import Population
from izhi_models.simulation import Simulation


def simulation_markup(request: Request) -> Markup:
    """Return the Simulation with step, length, seed and recordings as requested.

    Of a file without one, the spikes of all cells are recorded, and the main variable of the first
    cell of each population.

    Parameters
    ----------
    request : Request
    """
    experiment = request.experiment
    plan = experiment.simulation
    if plan is None:
        markup = _new(request)
    else:
        markup = component_markup(declared_simulation(experiment.model, plan))
        if request.duration_s != plan.length_s:
            markup.attributes["length"] = _time(experiment.model, request.duration_s)
        if request.dt_s != plan.step_s:
            markup.attributes["step"] = _time(experiment.model, request.dt_s)
    if plan is None or request.seed != plan.seed:
        _set_seed(markup, request, plan)
    if request.asked:
        paths = (text.partition("@")[0] for text in request.asked)  # LEMS knows no period
        quantities = [item for path in paths for item in experiment.resolve(path)]
        markup.children.append(_output(request, quantities, _taken(markup)))
    return markup


def declared_simulation(model: Model, plan: Simulation) -> Component:
    """Return the component that declares a Simulation."""
    found = model.targeted(plan.id)
    if found is None:
        raise InternalError(f"there is no Simulation '{plan.id}'")
    return found


def holder_of(model: Model, component: Component) -> Component:
    """Return the top-level component that is a component, or holds it."""
    return next(
        item for item in model.components.values() if any(part is component for part in item.walk())
    )


def _time(model: Model, seconds: float) -> str:
    return model.types.units["ms"].text_of(seconds).replace(" ", "")


def _taken(markup: Markup) -> set[str]:
    return {item.attributes.get("id", "") for item in markup.walk()}


def _set_seed(markup: Markup, request: Request, plan: Simulation | None) -> None:
    """Write the seed where the file does not have it; the one that all take by default need not."""
    if plan is not None and plan.seed is None and request.seed == DEFAULT_SEED:
        return
    markup.attributes["seed"] = str(request.seed)


def _new(request: Request) -> Markup:
    """Return a Simulation for a file without one."""
    experiment = request.experiment
    model = experiment.model
    taken = set(model.components)
    markup = Markup(
        "Simulation",
        {
            "id": unique("simulation", taken),
            "length": _time(model, request.duration_s),
            "step": _time(model, request.dt_s),
            "target": experiment.target.component.id,
        },
    )
    if not request.asked:
        first = [
            item
            for recording in request.recordings
            for item in experiment.resolve(f"{recording.population}[0]/{recording.name}")
        ]
        markup.children.append(_output(request, first, taken))
    selections = list(_selections(request))
    if selections:
        attributes = {
            "id": unique("events", taken),
            "fileName": f"{request.name}.spikes",
            "format": "TIME_ID",
        }
        markup.children.append(Markup("EventOutputFile", attributes, [*selections]))
    return markup


def _selections(request: Request) -> Iterator[Markup]:
    number = 0
    for population in request.experiment.network.populations.values():
        ports = sent_ports(population.dynamics)
        if not ports or population.part_of:
            continue
        for cell in range(population.size):
            attributes = {"id": str(number), "select": cell_path(population, cell)}
            yield Markup("EventSelection", {**attributes, "eventPort": next(iter(ports))})
            number += 1


def _output(request: Request, quantities: list[Quantity], taken: set[str]) -> Markup:
    """Return a file of quantities of cells."""
    populations = request.experiment.network.populations
    columns = []
    for number, item in enumerate(quantities):
        path = item.path
        if not item.is_whole:
            path = f"{cell_path(populations[item.population], item.index)}/{item.name}"
        columns.append(Markup("OutputColumn", {"id": f"column{number}", "quantity": path}))
    attributes = {"id": unique("recorded", taken), "fileName": f"{request.name}.recorded.dat"}
    return Markup("OutputFile", attributes, [*columns])


def cell_path(population: Population, cell: int) -> str:
    """Return the path of a cell, as its kind of population wants it."""
    if population.positions is not None:
        return f"{population.id}/{cell}/{population.component}"
    return f"{population.id}[{cell}]"
