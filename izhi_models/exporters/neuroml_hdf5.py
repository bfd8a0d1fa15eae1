"""Write networks in NeuroML's HDF5 format.

Source: NeuroML 2, HDF5 format, as libNeuroML reads it; for the groups see `lems.hdf5`. Numbers are
written in double precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, Source, UnsupportedError
from izhi_models.exporters.lems_file import (
    check_name,
    check_places,
    core_files,
    lems_file,
    write_lines,
)
from izhi_models.exporters.markup import Markup, component_markup
from izhi_models.exporters.names import identifier, unique
from izhi_models.exporters.request import Request
from izhi_models.exporters.simulation import simulation_markup
from izhi_models.exporters.used import used_components
from izhi_models.files import replacing
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Document
from izhi_models.lems.schema import NAMESPACE, check_schema, document_order
from izhi_models.network import WEIGHT, Input, Network, Parts, Population, Projection

_ATTACHMENT = "synapses"  # the format names no other
_ZERO_CELSIUS_K = Decimal("273.15")
_CHUNK_ROWS = 2**16
_LONGEST_ATTRIBUTE = 2**16 - 512  # bytes, in files that old libraries can read


def write_neuroml_hdf5(request: Request, path: Path) -> tuple[Path, ...]:
    """Write a model as a network in HDF5, and a LEMS file that runs it.

    Parameters
    ----------
    request : Request
    path : Path
        The LEMS file, which ends in `.xml`; the network ends in `.net.nml.h5` and stands beside it.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        If the path does not end in `.xml`, or names a file of the model, or cannot be written.
    UnsupportedError
        If the model has what the format cannot hold, such as ComponentTypes of the user.
    """
    check_name(path)
    experiment = request.experiment
    model, target = experiment.model, experiment.target
    if target.network is not target.component or not target.component.type.is_a("network"):
        message = f"'{target.component.id}' is no network of NeuroML, which is all that HDF5 holds"
        raise UnsupportedError(Diagnostic(message, target.component.span))
    stem = path.name.removesuffix(".xml").removeprefix("LEMS_")
    beside = path.with_name(f"{stem}.net.nml.h5")
    check_places(model, (path, beside))
    used = [target.component, *_components(model, experiment.network)]
    with replacing(path) as main:
        included = [*core_files(model, used), beside.name]
        write_lines(main, lems_file(request, included, (), (), simulation_markup(request)))
        write_hdf5_network(model, experiment.network, beside)
    return path, beside


def write_hdf5_network(model: Model, network: Network, path: Path) -> None:
    """Write a network, with the components that it uses.

    Parameters
    ----------
    model : Model
        Declares the components.
    network : Network
    path : Path
        Such as ``net.nml.h5``; a file of this name is replaced.

    Raises
    ------
    UnsupportedError
        If it has what the format cannot hold, such as ComponentTypes of the user.
    InputError
        If the file cannot be written.
    """
    for population in network.populations.values():
        if population.compartments is not None:
            raise UnsupportedError(
                Diagnostic(
                    f"the cells of '{population.id}' have several compartments, and cannot be "
                    "written to this format yet",
                    notes=("NeuroML's own tools write it from XML: pynml -hdf5",),
                )
            )
    if network.parts is None:
        raise UnsupportedError(f"what holds '{network.id}' cannot be written to this format")
    parts = network.parts
    components = _document(network, _components(model, network))
    version = "latest" if len(components) > _LONGEST_ATTRIBUTE else "earliest"
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=version) as file:
        top = file.create_group("neuroml")
        _name(top, id=identifier(network.id), neuroml_top_level=components)
        group = top.create_group("network")
        _name(group, id=identifier(network.id))
        if "temperature" in network.shared:
            kelvin = Decimal(repr(network.shared["temperature"][1]))
            _name(group, temperature=f"{kelvin - _ZERO_CELSIUS_K} degC")
        for population in network.populations.values():
            _write_population(group, population)
        taken: set[str] = set()
        for projection in parts.projections:
            if projection.port:
                message = f"'{projection.id}' sends events to cells without a synapse"
                raise UnsupportedError(Diagnostic(message, projection.span))
            if not projection.is_continuous:
                _write_events(group, projection, unique(projection.id, taken))
        for pre, post in _pairs(model, network.id, parts):
            _write_continuous(model, group, pre, post, unique(post.id, taken))
        _write_inputs(group, parts)


def _name(item: Any, **attributes: str) -> None:
    for name, text in attributes.items():
        item.attrs[name] = np.bytes_(text.encode("utf-8"))


def _write_table(group: Any, name: str, columns: dict[str, Any], size: int) -> None:
    table = np.empty((size, len(columns)))
    for number, column in enumerate(columns.values()):
        table[:, number] = column
    chunk = (min(size, _CHUNK_ROWS), len(columns))
    # Shuffled bytes compress to a third, and are read as fast as without compression.
    dataset = group.create_dataset(name, data=table, chunks=chunk, compression=1, shuffle=True)
    for number, column_name in enumerate(columns):
        _name(dataset, **{f"column_{number}": column_name})


def _write_population(network: Any, population: Population) -> None:
    group = network.create_group(f"population_{population.id}")
    _name(group, id=population.id, component=population.component)
    group.attrs["size"] = population.size
    if population.positions is not None:
        _name(group, type="populationList")
        axes = dict(zip("xyz", population.positions.T, strict=True))
        _write_table(group, population.id, axes, population.size)


def _write_events(network: Any, projection: Projection, name: str) -> None:
    group = _projection(network, name, "projection", projection.pre, projection.post)
    _name(group, synapse=projection.synapse)
    columns: dict[str, Any] = {
        "pre_cell_id": projection.pre_cells,
        "post_cell_id": projection.post_cells,
    }
    if projection.has_weights:
        columns["weight"] = projection.weights
        columns["delay"] = _milliseconds(projection.delays)
    _write_table(group, name, columns, projection.size)


def _write_continuous(
    model: Model, network: Any, pre: Projection, post: Projection, name: str
) -> None:
    """Write a connection of two cells, given as what is attached to each."""
    electrical = model.components[post.synapse].type.is_a("gapJunction")
    kind = "electricalProjection" if electrical else "continuousProjection"
    group = _projection(network, name, kind, post.pre, post.post)
    if electrical:
        _name(group, synapse=post.synapse)
    else:
        _name(group, preComponent=pre.synapse, postComponent=post.synapse)
    columns: dict[str, Any] = {
        "id": np.arange(post.size),
        "pre_cell_id": post.pre_cells,
        "post_cell_id": post.post_cells,
    }
    if post.has_weights:
        columns["weight"] = post.weights
    _write_table(group, name, columns, post.size)


def _projection(network: Any, name: str, kind: str, pre: str, post: str) -> Any:
    group = network.create_group(f"projection_{name}")
    _name(group, id=name, type=kind, presynapticPopulation=pre, postsynapticPopulation=post)
    return group


def _pairs(model: Model, network: str, parts: Parts) -> Iterator[tuple[Projection, Projection]]:
    """Yield what is attached to the first and to the second cells of continuous projections."""
    rest = [item for item in parts.projections if item.is_continuous]
    while rest:
        one = rest.pop(0)
        other = next(item for item in rest if _is_other_end(one, item))
        rest.remove(other)
        declared = model.components[network].children
        first = next(
            item.texts["presynapticPopulation"]
            for items in declared.values()
            for item in items
            if item.id == one.id
        )
        yield (one, other) if one.post == first else (other, one)


def _is_other_end(one: Projection, other: Projection) -> bool:
    return (
        (one.id, one.pre, one.post) == (other.id, other.post, other.pre)
        and np.array_equal(one.pre_cells, other.post_cells)
        and np.array_equal(one.post_cells, other.pre_cells)
    )


def _write_inputs(network: Any, parts: Parts) -> None:
    lists: dict[tuple[str, str], list[Input]] = {}
    for source in parts.inputs:
        if source.attachment != _ATTACHMENT:
            raise UnsupportedError(
                f"'{source.id}' is attached to '{source.attachment}' of '{source.population}', "
                f"and the format knows '{_ATTACHMENT}' only"
            )
        lists.setdefault((source.id, source.population), []).append(source)
    for (component, population), sources in lists.items():
        name = f"{component}_{population}"
        group = network.create_group(f"inputList_{name}")
        _name(group, id=name, component=component, population=population)
        cells = np.concatenate([item.cells for item in sources])
        weights = np.concatenate(
            [np.broadcast_to(item.values.get(WEIGHT, 1.0), item.cells.size) for item in sources]
        )
        columns: dict[str, Any] = {"id": np.arange(cells.size), "target_cell_id": cells}
        columns |= {"segment_id": 0.0, "fraction_along": 0.5}
        if (weights != 1.0).any():
            columns["weight"] = weights
        _write_table(group, name, columns, cells.size)


def _milliseconds(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times such that reading them gives the same seconds again."""
    distinct, which = np.unique(seconds, return_inverse=True)
    shifted = [float(Decimal(repr(value)).scaleb(3)) for value in distinct.tolist()]
    return np.array(shifted)[which]


# Components


def _components(model: Model, network: Network) -> list[Component]:
    """Return the components that a network uses, in the order of the schema.

    Raises
    ------
    UnsupportedError
        If one is not of NeuroML's own types.
    """
    names = {item.synapse for item in network.projections}
    for population in network.populations.values():
        names |= {population.component, *(placed.id for placed in population.attached)}
    order = document_order()
    used = used_components(model, names)
    used.sort(key=lambda item: order.get(item.type.name, len(order)))
    for component in used:
        if not component.type.element.document.is_core or component.element.get("extends"):
            raise UnsupportedError(
                Diagnostic(
                    f"'{component.id}' is a {component.type.name}, and NeuroML's HDF5 format "
                    "holds only components of NeuroML's own types",
                    component.span,
                )
            )
    return used


def _document(network: Network, components: Iterable[Component]) -> str:
    """Return components as a NeuroML document."""
    document = Markup("neuroml", {"xmlns": NAMESPACE, "id": identifier(network.id)})
    document.children += [component_markup(item) for item in components]
    text = "".join(document.lines())
    faults = list(check_schema(Document(Source(Path(network.id), text), [text.encode("utf-8")])))
    if faults:
        raise UnsupportedError(*faults)
    return text
