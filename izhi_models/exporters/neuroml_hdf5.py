"""Write networks in NeuroML's HDF5 format.

Source: NeuroML 2, HDF5 format, as libNeuroML reads it; for the groups see `lems.hdf5`. Numbers are
written in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, Source, UnsupportedError
from izhi_models.exporters.markup import Markup, component_markup
from izhi_models.exporters.names import identifier, unique
from izhi_models.exporters.used import used_components
from izhi_models.files import replacing
from izhi_models.lems.components import Model
from izhi_models.lems.elements import Document
from izhi_models.lems.schema import NAMESPACE, check_schema, document_order
from izhi_models.network import WEIGHT, Network, Population, Projection

_ATTACHMENT = "synapses"  # the format names no other
_ZERO_CELSIUS_K = Decimal("273.15")
_CHUNK_ROWS = 2**16
_LONGEST_ATTRIBUTE = 2**16 - 512  # bytes, in files that old libraries can read


def write_neuroml_hdf5(model: Model, network: Network, path: Path) -> None:
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
    components = _components(model, network)
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
        for projection in network.projections:
            if not projection.is_continuous:
                _write_events(group, projection, unique(projection.id, taken))
        for pre, post in _pairs(model, network):
            _write_continuous(model, group, pre, post, unique(post.id, taken))
        for population in network.populations.values():
            _write_inputs(group, population)


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


def _pairs(model: Model, network: Network) -> Iterator[tuple[Projection, Projection]]:
    """Yield what is attached to the first and to the second cells of continuous projections."""
    rest = [item for item in network.projections if item.is_continuous]
    while rest:
        one = rest.pop(0)
        other = next(item for item in rest if _is_other_end(one, item))
        rest.remove(other)
        declared = model.components[network.id].children
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


def _write_inputs(network: Any, population: Population) -> None:
    cells: dict[str, list[int]] = {}
    weights: dict[str, list[float]] = {}
    for placed in population.attached:
        if placed.place.partition("[")[0] != _ATTACHMENT:
            raise UnsupportedError(
                f"'{placed.id}' is attached to '{placed.place.partition('[')[0]}' of "
                f"'{population.id}', and the format knows '{_ATTACHMENT}' only"
            )
        weight = np.asarray(population.values.get(f"{placed.place}/{WEIGHT}", 1.0))
        cells.setdefault(placed.id, []).append(placed.cell)
        chosen = weight[placed.cell] if weight.size > 1 else weight.ravel()[0]
        weights.setdefault(placed.id, []).append(float(chosen))
    for component, targets in cells.items():
        name = f"{component}_{population.id}"
        group = network.create_group(f"inputList_{name}")
        _name(group, id=name, component=component, population=population.id)
        columns: dict[str, Any] = {"id": np.arange(len(targets)), "target_cell_id": targets}
        columns |= {"segment_id": 0.0, "fraction_along": 0.5}
        if any(weight != 1.0 for weight in weights[component]):
            columns["weight"] = weights[component]
        _write_table(group, name, columns, len(targets))


def _milliseconds(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times such that reading them gives the same seconds again."""
    distinct, which = np.unique(seconds, return_inverse=True)
    shifted = [float(Decimal(repr(value)).scaleb(3)) for value in distinct.tolist()]
    return np.array(shifted)[which]


# Components


def _components(model: Model, network: Network) -> str:
    """Return the components that a network uses as a NeuroML document."""
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
    document = Markup("neuroml", {"xmlns": NAMESPACE, "id": identifier(network.id)})
    document.children += [component_markup(item) for item in used]
    text = "".join(document.lines())
    faults = list(check_schema(Document(Source(Path(network.id), text), [text.encode("utf-8")])))
    if faults:
        raise UnsupportedError(*faults)
    return text
