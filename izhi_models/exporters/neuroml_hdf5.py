"""Write models with the network in NeuroML's HDF5 format.

What stands in the XML of an export stands here too: the network as groups and tables, the
components that NeuroML's schema allows as text beside it, the rest in the LEMS file.

Source: NeuroML 2, HDF5 format, as libNeuroML reads it; for the groups see `lems.hdf5`. Numbers are
written in double precision. Groups are in the order in which they were created, which is that of
the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, TypeGuard

import h5py
import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.hdf5_tables import (
    CONNECTIONS,
    INPUTS,
    PLACES,
    Table,
    blocks,
    population_of,
)
from izhi_models.exporters.lems_file import (
    check_name,
    check_places,
    lems_file,
    write_lines,
)
from izhi_models.exporters.markup import Markup, Node, Verbatim
from izhi_models.exporters.names import identifier, unique
from izhi_models.exporters.neuroml import Collected, collect
from izhi_models.exporters.remarks import notes_text
from izhi_models.exporters.request import Request
from izhi_models.files import replacing
from izhi_models.lems.components import Component
from izhi_models.lems.rules import find_rules
from izhi_models.lems.schema import NAMESPACE, document_order

_ATTACHMENT = "synapses"  # the format names no other
_CHUNK_ROWS = 2**16
_FEW_ROWS = 2**8  # are kept as they are
_LONGEST_ATTRIBUTE = 2**16 - 512  # bytes, in files that old libraries can read
_SINGLES = ("synapticConnection", "synapticConnectionWD")
# By kind of projection: what its connections name.
_PROJECTIONS = {
    "projection": (),
    "electricalProjection": ("synapse",),
    "continuousProjection": ("preComponent", "postComponent"),
}
_HELD = {"population", *_PROJECTIONS, *_SINGLES, "explicitInput", "inputList"}
_PASSED_OVER = {"notes", "annotation", "property", "region", "space"}
_ENDS = ("presynapticPopulation", "postsynapticPopulation")


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
        If the network has what the format cannot hold.
    """
    check_name(path)
    model, target = request.experiment.model, request.experiment.target
    if target.network is not target.component:
        message = f"'{target.component.id}' is no network of NeuroML, which is all that HDF5 holds"
        raise UnsupportedError(Diagnostic(message, target.component.span))
    _check_kinds(target.component)
    _check_counts(request)
    parts = collect(request)
    network = next(
        item
        for items in (parts.document, parts.rest)
        for item in items
        if item.attributes.get("id") == target.component.id
    )
    stem = path.name.removesuffix(".xml").removeprefix("LEMS_")
    beside = path.with_name(f"{stem}.net.nml.h5")
    check_places(model, (path, beside))
    rest = [item for item in parts.rest if item is not network]
    with replacing(path) as main:
        included = [*parts.included, beside.name]
        write_lines(main, lems_file(request, included, parts.types, rest, parts.target))
        with replacing(beside) as temporary:
            _write(request, parts, network, identifier(stem), temporary)
    return path, beside


def _check_kinds(network: Component) -> None:
    """Raise `UnsupportedError` if a network, or something in it, is not of NeuroML's own kinds."""
    rules = {id(item) for item in find_rules(network)}
    for item in (network, *(child for _, child in network.all_children())):
        if id(item) in rules:
            continue
        is_known = item is network or item.element.tag in _HELD | _PASSED_OVER
        if not item.type.element.document.is_core or not is_known:
            raise UnsupportedError(
                Diagnostic(
                    f"'{item.id}' is a {item.type.name}, and NeuroML's HDF5 format holds only "
                    "networks of NeuroML's own types",
                    item.span,
                )
            )


def _check_counts(request: Request) -> None:
    """Raise `UnsupportedError` if a path would mean another connection: they are counted."""
    network = request.experiment.target.component
    tags = {child.element.tag for _, child in network.all_children()}
    counted = (item for item in request.experiment.quantities.values() if item.connection)
    first = next(counted, None)
    has_projections = "projection" in tags or bool(find_rules(network))
    if first is not None and tags & set(_SINGLES) and has_projections:
        raise UnsupportedError(
            f"'{first.path}' counts connections in the order of the file, and HDF5 keeps single "
            "ones after those of projections"
        )


def _write(request: Request, parts: Collected, network: Markup, name: str, path: Path) -> None:
    components = _document(request, parts, network, name)
    texts = [item.text for child in network.walk() for item in child.children if _is_notes(item)]
    longest = max(len(text.encode("utf-8")) for text in (components, parts.notes, *texts))
    version = "latest" if longest > _LONGEST_ATTRIBUTE else "earliest"
    with h5py.File(path, "w", libver=version) as file:
        top = file.create_group("neuroml")
        _name(top, id=name, notes=parts.notes, neuroml_top_level=components)
        _Writer(request, top.create_group("network", track_order=True)).write(network)


def _document(request: Request, parts: Collected, network: Markup, name: str) -> str:
    """Return the components as a NeuroML document."""
    order = document_order()
    components = [item for item in parts.document if item is not network]
    components.sort(key=lambda item: order[item.tag])
    return "".join(Markup("neuroml", {"xmlns": NAMESPACE, "id": name}, [*components]).lines())


def _name(item: Any, **attributes: str) -> None:
    for name, text in attributes.items():
        item.attrs[name] = np.bytes_(text.encode("utf-8"))


class _Writer:
    """Writes the groups of a network.

    Parameters
    ----------
    request : Request
    group : h5py.Group
        Of the network.
    """

    def __init__(self, request: Request, group: Any) -> None:
        self._group = group
        self._model = request.experiment.model
        self._units = self._model.types.units
        self._populations = request.experiment.network.populations
        self._taken: set[str] = set()

    def write(self, network: Markup) -> None:
        """Write a network."""
        attributes = network.attributes
        _name(self._group, id=attributes["id"])
        if "temperature" in attributes:
            _name(self._group, temperature=attributes["temperature"])
        _tell(self._group, network.children)
        children = [item for item in network.children if isinstance(item, Markup)]
        for child in children:
            if child.tag == "population":
                self._population(child)
        for child in children:
            if child.tag in _PROJECTIONS:
                self._projection(child)
        self._singles(network.children)
        self._explicit(item for item in children if item.tag == "explicitInput")
        for child in children:
            if child.tag == "inputList":
                self._inputs(child)

    def _population(self, population: Markup) -> None:
        attributes = population.attributes
        group = self._group.create_group(f"population_{unique(attributes['id'], self._taken)}")
        _name(group, id=attributes["id"], component=attributes["component"])
        _tell(group, population.children)
        group.attrs["size"] = self._populations[attributes["id"]].size
        table = Table(attributes["id"], PLACES, {"i", "j", "k"}, self._units)
        for form, size, columns in blocks(population.children):
            if form.tag == "instance":
                table.add(form, size, columns)
        if table.size:
            _name(group, type="populationList")
            places = table.columns("xyz")
            places.pop("id", None)  # places are in the order of the cells
            _write_table(group, attributes["id"], places, table.size)

    def _projection(self, projection: Markup) -> None:
        """Write a projection; as several if its connections have components of their own."""
        kind, attributes = projection.tag, projection.attributes
        words = _PROJECTIONS[kind]
        tables: dict[tuple[str, ...], Table] = {}
        for form, size, columns in blocks(projection.children):
            if form.tag == "property":
                continue
            key = tuple(form.attributes[word] for word in words)
            if key not in tables:
                named = {*words, "destination"}
                tables[key] = Table(attributes["id"], CONNECTIONS, named, self._units)
            self._check_destination(form, attributes["postsynapticPopulation"])
            tables[key].add(form, size, columns)
        ends = {name: attributes[name] for name in _ENDS}
        for key, table in tables.items():
            shared = dict(zip(words, key, strict=True)) or {"synapse": attributes["synapse"]}
            name = unique(attributes["id"], self._taken)
            self._connections(kind, name, ends | shared, table)

    def _connections(self, kind: str, name: str, words: dict[str, str], table: Table) -> None:
        group = self._group.create_group(f"projection_{name}")
        _name(group, id=name, type=kind, **words)
        always = () if kind == "projection" else ("id",)
        _write_table(group, name, table.columns(always), table.size)

    def _singles(self, children: Iterable[Node]) -> None:
        """Write connections that are no part of a projection, by synapse and populations."""
        tables: dict[str, dict[tuple[str, str], Table]] = {}
        for form, size, columns in blocks(children):
            if form.tag not in _SINGLES:
                continue
            synapse = form.attributes["synapse"]
            ends = (population_of(form.attributes["from"]), population_of(form.attributes["to"]))
            self._check_destination(form, ends[1])
            of_ends = tables.setdefault(synapse, {})
            if ends not in of_ends:
                name = f"{ends[0]} to {ends[1]}"
                named = {"synapse", "destination"}
                of_ends[ends] = Table(name, CONNECTIONS, named, self._units)
            of_ends[ends].add(form, size, columns)
        for synapse, of_ends in tables.items():
            for ends, table in of_ends.items():
                name = unique(f"{ends[0]}_to_{ends[1]}_by_{synapse}", self._taken)
                words = {**dict(zip(_ENDS, ends, strict=True)), "synapse": synapse}
                self._connections("projection", name, words, table)

    def _check_destination(self, form: Markup, population: str) -> None:
        """Raise unless a connection is to where one goes that does not say it."""
        first = self._lists(population)[0]
        self._check_attached(form, population, form.attributes.get("destination") or first, first)

    def _check_attached(self, form: Markup, population: str, found: str, wanted: str) -> None:
        if found != wanted:
            raise UnsupportedError(
                f"<{form.tag}> is attached to '{found}' of '{population}', "
                f"and the format knows '{wanted}' only"
            )

    def _explicit(self, inputs: Iterable[Markup]) -> None:
        """Write inputs that are no part of a list: those that follow each other as one."""

        def key(item: Markup) -> tuple[str, str]:
            return item.attributes["input"], population_of(item.attributes["target"])

        for (component, population), items in groupby(inputs, key):
            name = unique(f"{component}_{population}", self._taken)
            table = Table(name, INPUTS, {"input", "destination"}, self._units)
            for item in items:
                self._check_input(item, population)
                table.add(item, 1, {})
            self._input_table(name, component, population, table)

    def _inputs(self, inputs: Markup) -> None:
        component, population = (inputs.attributes[name] for name in ("component", "population"))
        name = unique(inputs.attributes["id"], self._taken)
        table = Table(name, INPUTS, {"destination"}, self._units)
        for form, size, columns in blocks(inputs.children):
            if form.tag == "property":
                continue
            self._check_input(form, population)
            table.add(form, size, columns)
        if table.size:
            self._input_table(name, component, population, table)

    def _check_input(self, form: Markup, population: str) -> None:
        lists = self._lists(population)
        destination = form.attributes.get("destination")
        found = destination if destination in lists else lists[0]
        self._check_attached(form, population, found, _ATTACHMENT)

    def _lists(self, population: str) -> list[str]:
        """Return the names of the lists of a cell: it has one, since something is attached."""
        return list(
            self._model.components[self._populations[population].component].type.attachments
        )

    def _input_table(self, name: str, component: str, population: str, table: Table) -> None:
        group = self._group.create_group(f"inputList_{name}")
        _name(group, id=name, component=component, population=population)
        columns = table.columns(("id", "segment_id", "fraction_along"))
        _write_table(group, name, columns, table.size)


def _is_notes(node: Node) -> TypeGuard[Verbatim]:
    return isinstance(node, Verbatim) and node.text.startswith("<notes")


def _tell(group: Any, children: Iterable[Node]) -> None:
    """Write notes and properties, as libNeuroML does."""
    for child in children:
        if _is_notes(child):
            _name(group, notes=notes_text(child.text))
        elif isinstance(child, Markup) and child.tag == "property":
            attributes = child.attributes
            _name(group, **{f"property:{attributes['tag']}": attributes["value"]})


def _write_table(group: Any, name: str, columns: dict[str, NDArray[Any]], size: int) -> None:
    table = np.empty((size, len(columns)))
    for number, column in enumerate(columns.values()):
        table[:, number] = column
    packed: dict[str, Any] = {}
    if size > _FEW_ROWS:
        # Shuffled bytes compress to a third, and are read as fast as without compression.
        chunk = (min(size, _CHUNK_ROWS), len(columns))
        packed = {"chunks": chunk, "compression": 1, "shuffle": True}
    dataset = group.create_dataset(name, data=table, **packed)
    for number, column_name in enumerate(columns):
        _name(dataset, **{f"column_{number}": column_name})
