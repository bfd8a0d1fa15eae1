"""What an input or a connection is attached to: the cell, the list of the cell, the exposure.

Source: NeuroML 2, paths; LEMS, Attachments.
"""

from __future__ import annotations

import re

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, suggest
from izhi_models.ir.dynamics import Dynamics, OnCondition, OnEvent
from izhi_models.lems.components import Component
from izhi_models.network import Population

# A cell in a path: pop[0], ../pop[0], pop/0/component.
CELL = re.compile(
    r"(?:\.\./)*(?P<population>[^\[\]/]+)"
    r"(?:\[(?P<index>\d+)\]|/(?P<instance>\d+)(?:/(?P<component>[^/]+))?)"
)

# Attributes that name a segment, of which a cell has one, and the greatest number.
SEGMENT_LIMITS = dict.fromkeys(
    ("segmentId", "preSegmentId", "postSegmentId", "preSegment", "postSegment"), 0
)


def find_cell(
    component: Component, attribute: str, populations: dict[str, Population]
) -> tuple[Population, int]:
    """Resolve the path of a cell, such as ``pop[0]`` or ``../pop/0/cell``.

    Parameters
    ----------
    component : Component
    attribute : str
        That holds the path.
    populations : dict of str to Population

    Returns
    -------
    Population, int

    Raises
    ------
    InputError
        If there is no such cell.
    """
    population, index = read_path(component, attribute, populations)
    check_index(component, attribute, population, index)
    return population, index


def read_path(
    component: Component, attribute: str, populations: dict[str, Population]
) -> tuple[Population, int]:
    """Do as `find_cell`, but leave open whether the population is so large.

    Raises
    ------
    InputError
        If there is no such population, or its cells are others.
    """
    text = component.texts.get(attribute, "")

    def fault(message: str, *notes: str) -> InputError:
        return InputError(Diagnostic(message, component.element.attribute_span(attribute), notes))

    match = CELL.fullmatch(text)
    if match is None:
        raise fault(f"'{text}' is no path of a cell", "write population[0]")
    name = match["population"]
    if name not in populations:
        raise fault(f"no population has the id '{name}'", *suggest(name, populations))
    population = populations[name]
    if match["component"] not in (None, population.component):
        raise fault(
            f"the cells of '{name}' are '{population.component}', not '{match['component']}'"
        )
    return population, int(match["index"] or match["instance"])


def check_index(component: Component, attribute: str, population: Population, index: int) -> None:
    """Raise unless a population has a cell.

    Parameters
    ----------
    component : Component
    attribute : str
        That names the cell.
    population : Population
    index : int

    Raises
    ------
    InputError
    """
    if index >= population.size:
        raise InputError(
            Diagnostic(
                f"'{population.id}' has {population.size} cells, numbered from 0: "
                f"there is no cell {index}",
                component.element.attribute_span(attribute),
            )
        )


def refuse_segments(component: Component) -> None:
    """Refuse an input or a connection on a part of a cell that has none.

    Parameters
    ----------
    component : Component

    Raises
    ------
    UnsupportedError
        If it names another segment than the first.
    """
    for name in SEGMENT_LIMITS:
        if component.texts.get(name, "0") != "0":
            what = "an input" if name == "segmentId" else "a connection"
            raise UnsupportedError(
                Diagnostic(
                    f"{what} to a segment other than 0 cannot be run",
                    component.element.attribute_span(name),
                )
            )


def find_population(
    component: Component, attribute: str, populations: dict[str, Population]
) -> Population:
    """Return the population whose id an attribute holds.

    Parameters
    ----------
    component : Component
    attribute : str
    populations : dict of str to Population

    Raises
    ------
    InputError
        If there is no such population.
    """
    name = component.texts.get(attribute, "")
    if name not in populations:
        span = component.element.attribute_span(attribute)
        raise InputError(
            Diagnostic(f"no population has the id '{name}'", span, suggest(name, populations))
        )
    return populations[name]


def sent_ports(dynamics: Dynamics) -> set[str]:
    """Return the ports of a cell, not of its parts, on which it sends events.

    Parameters
    ----------
    dynamics : Dynamics
        Without regimes.
    """
    blocks: tuple[OnCondition | OnEvent, ...] = (*dynamics.conditions, *dynamics.on_events)
    return {port for block in blocks for port in block.events if "/" not in port}


def attachment_of(
    component: Component, population: Population, attribute: str = "destination"
) -> str:
    """Return the list of a cell to which something is attached.

    Parameters
    ----------
    component : Component
        Input or connection.
    population : Population
    attribute : str
        That names the list, if the component has it; else it is the first.

    Raises
    ------
    InputError
        If the cell has no list, or none of this name.
    """
    names = [item.name for item in population.dynamics.attachments]
    wanted = component.texts.get(attribute)
    if wanted in names:
        return wanted
    if not names:
        raise InputError(
            Diagnostic(
                f"'{population.component}', a {population.dynamics.name}, takes no inputs",
                component.span,
                ("its ComponentType has no Attachments",),
            )
        )
    if wanted:
        raise InputError(
            Diagnostic(
                f"'{population.component}' has no attachments '{wanted}'",
                component.element.attribute_span(attribute),
                suggest(wanted, names),
            )
        )
    return names[0]


def check_gathered(
    component: Component, source: Component, population: Population, attachment: str
) -> None:
    """Raise unless a component exposes what the cell adds up.

    Parameters
    ----------
    component : Component
        Input or connection.
    source : Component
        What is attached.
    population : Population
    attachment : str

    Raises
    ------
    InputError
    """
    for gather in population.dynamics.gathers:
        if gather.attachment != attachment or gather.exposure in source.type.exposures:
            continue
        shown = ", ".join(source.type.exposures) or "nothing"
        raise InputError(
            Diagnostic(
                f"'{source.id}', a {source.type.name}, exposes {shown}, but "
                f"{population.dynamics.name} adds up '{gather.exposure}'",
                component.element.span,
                (f"take an input that exposes '{gather.exposure}'",),
            )
        )
