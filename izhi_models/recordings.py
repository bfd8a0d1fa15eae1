"""What a run records: what the file names, or v of all cells, and what is asked for besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from izhi_models.annarchy.recorder import Recording
from izhi_models.errors import Diagnostic, InputError
from izhi_models.lems.paths import Quantity
from izhi_models.lems.simulation import Experiment
from izhi_models.network import Population


def choose_recordings(
    experiment: Experiment, asked: Sequence[str], every: object, in_steps: Callable[[str], int]
) -> list[Recording]:
    """Return what is recorded, equal quantities of a population together.

    Parameters
    ----------
    experiment : Experiment
    asked : sequence of str
        Paths besides those of the file, with an own period or without: ``pop/v@1ms``.
    every : object
        The period of those without, None for each step; only whether there is one is looked at.
    in_steps : callable
        Returns the period, as it is written in a path, or empty, as a number of steps.

    Raises
    ------
    InputError
        If a path leads nowhere, or there is a period of nothing.
    """
    if experiment.simulation is None and not asked:
        asked = _main_paths(experiment.network.populations)
    if every is not None and not asked:
        message = "'every' is the period of what 'record' names, and it names nothing"
        hint = "name quantities with record, --record PATH"
        raise InputError(Diagnostic(message, notes=(hint,)))
    chosen: dict[tuple[str, str, int, bool], dict[int, Quantity]] = {}

    def choose(item: Quantity, period: int) -> None:
        place = (item.population, item.name, period, item.is_whole)
        chosen.setdefault(place, {})[item.index] = item

    for item in experiment.quantities.values():
        choose(item, 1)
    for text in asked:
        path, _, own = text.partition("@")
        period = in_steps(own)
        for item in experiment.resolve(path):
            choose(item, period)
    return [
        _recording(population, name, period, is_whole, [found[cell] for cell in sorted(found)])
        for (population, name, period, is_whole), found in chosen.items()
    ]


def _recording(
    population: str, name: str, period: int, is_whole: bool, items: list[Quantity]
) -> Recording:
    connections = tuple(item.connection for item in items)
    return Recording(
        population,
        name,
        tuple(item.index for item in items),
        tuple(item.variable for item in items),
        period,
        is_whole,
        connections if any(connections) else (),
    )


def _main_paths(populations: dict[str, Population]) -> list[str]:
    """Return v of each population of the file, or what comes first in it."""
    main = {name: _main_variable(item) for name, item in populations.items() if not item.part_of}
    return [f"{name}/{variable}" for name, variable in main.items() if variable is not None]


def _main_variable(population: Population) -> str | None:
    dynamics = population.dynamics
    names = [item.name for group in (dynamics.states, dynamics.derived) for item in group]
    return next((name for name in ("v", "V", *names) if name in names), None)
