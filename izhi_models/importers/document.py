"""A LEMS document in the making: types, components, and a network with long lists as arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Source
from izhi_models.expr import ZERO, Name
from izhi_models.importers.connections import Connectivity
from izhi_models.importers.definition import Definition
from izhi_models.importers.dimensions import (
    dimension_name,
    in_units,
    is_core,
    unit_name,
    unit_power,
)
from izhi_models.lems.elements import Document
from izhi_models.lems.made import table_after_first
from izhi_models.lems.tables import Numbers
from izhi_models.units import Dimension

_INCLUDED = ("Cells.xml", "Synapses.xml", "Inputs.xml", "Networks.xml", "Simulation.xml")


@dataclass(frozen=True)
class _Rows:
    """A list of elements that are alike.

    Parameters
    ----------
    opening : str
        Tag and attributes of what holds the list.
    form : str
        An element, with a place for each column.
    columns : dict of str to array (n,)
    """

    opening: str
    form: str
    columns: Mapping[str, Numbers]

    @property
    def size(self) -> int:
        return next(iter(self.columns.values())).size

    def element(self, row: int) -> str:
        values = {name: repr(numbers[row].item()) for name, numbers in self.columns.items()}
        return self.form.format(**values)

    def xml(self) -> str:
        tag = self.opening.partition(" ")[0]
        return f"<{self.opening}>\n    {self.element(0)}\n</{tag}>"


@dataclass
class Names:
    """Names for a document, each once."""

    taken: set[str] = field(default_factory=set)

    def take(self, text: str) -> str:
        """Return a name like a text that nothing else has."""
        plain = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_") or "unnamed"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        name, number = plain, 1
        while name in self.taken:
            number += 1
            name = f"{plain}_{number}"
        self.taken.add(name)
        return name


class DocumentBuilder:
    """Collects what a document declares.

    Parameters
    ----------
    path : Path
        For messages.
    names : Names
        Of components, populations and all else that has an id.
    """

    def __init__(self, path: Path, names: Names) -> None:
        self.path = path
        self.names = names
        self._kinds = Names()
        self._types: list[str] = []
        self._known: dict[str, str] = {}  # names of types by what they are
        self._dimensions: dict[str, Mapping[str, Dimension]] = {}  # of their names
        self._quantities: dict[Dimension, None] = {}
        self._core: dict[tuple[str, str], str] = {}  # ids by kind and wanted name
        self._components: list[str] = []
        self._populations: list[str | _Rows] = []
        self._projections: list[str | _Rows] = []
        self._inputs: list[str | _Rows] = []

    # Types and components

    def add_type(self, definition: Definition, wanted: str, base: str = "") -> str:
        """Add a type unless there is one like it.

        Parameters
        ----------
        definition : Definition
            ``@`` in what it extends stands for `base`.
        wanted : str
            A name for it.
        base : str

        Returns
        -------
        str
            Its name.
        """
        definition.extends = definition.extends.replace("@", base)
        key = "\n".join((definition.extends, *definition.body()))
        if key not in self._known:
            self._known[key] = definition.name = self._kinds.take(wanted)
            self._types.append(definition.xml())
            self._dimensions[definition.name] = definition.dimensions
            self._quantities |= dict.fromkeys(definition.dimensions.values())
        return self._known[key]

    def add_cell_type(
        self, definition: Definition, wanted: str, exposures: Mapping[str, Dimension]
    ) -> str:
        """Add a type of cell, and the type of all that is attached to it, ``..._synapse``.

        Parameters
        ----------
        definition : Definition
            Its attachments are of the type ``@_synapse``.
        wanted : str
        exposures : mapping of str to Dimension
            Of what is attached.
        """
        before = len(self._types)
        kind = self.add_type(definition, wanted)
        if len(self._types) > before:
            cell = self._types.pop().replace('"@_synapse"', f'"{kind}_synapse"')
            base = Definition(f"{kind}_synapse", "baseGradedSynapse")
            for exposure, dimension in exposures.items():
                base.declare("Exposure", exposure, dimension)
            self._kinds.taken.add(base.name)
            self._types += [base.xml(), cell]
        return kind

    def add_component(self, kind: str, wanted: str, parameters: Mapping[str, float]) -> str:
        """Add a component, with numbers in ms, mV and nA; return its id."""
        name = self.names.take(wanted)
        units = {key: unit_name(self._dimensions[kind][key]) for key in parameters}
        texts = {key: f"{value!r} {units[key]}".strip() for key, value in parameters.items()}
        values = "".join(f" {key}={quoteattr(text)}" for key, text in texts.items())
        self._components.append(f"<{kind} id={quoteattr(name)}{values}/>")
        return name

    def add_core(
        self, kind: str, wanted: str, attributes: Mapping[str, str], *, again: bool = False
    ) -> str:
        """Add a component of a type of NeuroML's PyNN.xml; return its id.

        Parameters
        ----------
        kind, wanted : str
        attributes : mapping of str to str
        again : bool
            Whether one that has been wanted before will do.
        """
        if again and (kind, wanted) in self._core:
            return self._core[kind, wanted]
        name = self._core[kind, wanted] = self.names.take(wanted)
        values = "".join(f" {key}={quoteattr(text)}" for key, text in attributes.items())
        self._components.append(f"<{kind} id={quoteattr(name)}{values}/>")
        return name

    # The network

    def add_population(self, name: str, component: str, geometry: tuple[int, ...]) -> None:
        """Add a population; a geometry of two or three dimensions gives places."""
        opening = f"population id={quoteattr(name)} component={quoteattr(component)}"
        size = int(np.prod(geometry))
        if len(geometry) not in (2, 3):
            self._populations.append(f"<{opening} size={quoteattr(str(size))}/>")
            return
        axes = np.zeros((3, size))
        axes[: len(geometry)] = np.unravel_index(np.arange(size), geometry)
        columns: dict[str, Numbers] = {"id": np.arange(size, dtype=np.int32)}
        columns |= dict(zip("xyz", axes, strict=True))
        form = '<instance id="{id}"><location x="{x}" y="{y}" z="{z}"/></instance>'
        self._populations.append(_Rows(f'{opening} type="populationList"', form, columns))

    def attach_values(
        self,
        population: str,
        kind: str,
        quantity: str,
        exposures: Mapping[str, Dimension],
        values: NDArray[np.float64],
    ) -> None:
        """Give each cell its own value of a quantity, as the weight of an input.

        Parameters
        ----------
        population, kind : str
            And its type.
        quantity : str
            One of the exposures.
        exposures : mapping of str to Dimension
            Of all that is attached to cells of this type.
        values : array (size,)
        """
        definition = Definition("", f"{kind}_synapse")
        definition.declare("Property", "weight", defaultValue="1")
        for exposure, dimension in exposures.items():
            number = Name("weight") if exposure == quantity else ZERO
            definition.derive(exposure, in_units(number, dimension), dimension)
        value = self.add_type(definition, f"{kind}_{quantity}")
        component = f"of_{value}"
        if component not in self.names.taken:
            self.add_component(value, component, {})
        opening = (
            f"inputList id={quoteattr(self.names.take(f'{population}_{quantity}'))} "
            f"component={quoteattr(component)} population={quoteattr(population)}"
        )
        numbers = np.arange(values.size, dtype=np.int32)
        path = f"../{population}[{{target}}]"
        form = f'<inputW id="{{id}}" target="{path}" destination="synapses" weight="{{weight}}"/>'
        columns: dict[str, Numbers] = {"id": numbers, "target": numbers, "weight": values}
        self._inputs.append(_Rows(opening, form, columns))

    def connect(
        self, name: str, ends: tuple[str, str], synapse: str, connectivity: Connectivity
    ) -> None:
        """Connect two populations by events."""
        opening = f"{_between('projection', name, ends)} synapse={quoteattr(synapse)}"
        form = (
            f'<connectionWD id="{{id}}" preCellId="../{ends[0]}[{{preCellId}}]" '
            f'postCellId="../{ends[1]}[{{postCellId}}]" weight="{{weight}}" delay="{{delay}} ms"/>'
        )
        columns: dict[str, Numbers] = {
            "id": np.arange(connectivity.pre.size, dtype=np.int32),
            "preCellId": connectivity.pre,
            "postCellId": connectivity.post,
            "weight": connectivity.weights,
            "delay": connectivity.delays_ms,
        }
        self._projections.append(_Rows(opening, form, columns))

    def tunnel(
        self,
        name: str,
        ends: tuple[str, str],
        components: tuple[str, str],
        connectivity: Connectivity,
    ) -> None:
        """Connect two populations by synapses that read the cell at the other end."""
        form = (
            f'<continuousConnectionInstanceW id="{{id}}" preCell="../{ends[0]}[{{preCell}}]" '
            f'postCell="../{ends[1]}[{{postCell}}]" preComponent={quoteattr(components[0])} '
            f'postComponent={quoteattr(components[1])} weight="{{weight}}"/>'
        )
        columns: dict[str, Numbers] = {
            "id": np.arange(connectivity.pre.size, dtype=np.int32),
            "preCell": connectivity.pre,
            "postCell": connectivity.post,
            "weight": connectivity.weights,
        }
        opening = _between("continuousProjection", name, ends)
        self._projections.append(_Rows(opening, form, columns))

    # All of it

    def document(self, step_ms: float, length: str) -> Document:
        """Return the document, which asks for a simulation.

        Parameters
        ----------
        step_ms : float
            [ms]
        length : str
            ``"500 ms"``
        """
        # The reference interpreter connects only populations that it has met.
        parts = [*self._populations, *self._projections, *self._inputs]
        text = self._text(parts, step_ms, length)
        document = Document(Source(self.path, text), [text.encode("utf-8")])
        (network,) = document.root.find("network")
        for element, part in zip(network.children, parts, strict=True):
            if isinstance(part, _Rows) and part.size > 1:
                place = Path(f"{self.path}:{element.get('id')}")
                element.children[0].rows = table_after_first(
                    place, part.size, part.columns, part.element
                )
        return document

    def _text(self, parts: Sequence[str | _Rows], step_ms: float, length: str) -> str:
        name, simulation = self.names.take("network"), self.names.take("simulation")
        written = [part if isinstance(part, str) else part.xml() for part in parts]
        inside = "\n".join("    " + item.replace("\n", "\n    ") for item in written)
        network = f"<network id={quoteattr(name)}>\n{inside}\n</network>"
        asked = (
            f"<Simulation id={quoteattr(simulation)} length={quoteattr(length)} "
            f"step={quoteattr(f'{step_ms!r} ms')} target={quoteattr(name)}/>"
        )
        files = (*_INCLUDED, *(["PyNN.xml"] if self._core else []))
        includes = "\n".join(f"<Include file={quoteattr(item)}/>" for item in files)
        components = "\n".join(self._components)
        target = f"<Target component={quoteattr(simulation)}/>"
        whole = [target, includes, *self._units(), *self._types, components, network, asked]
        body = "\n\n".join("    " + item.replace("\n", "\n    ") for item in whole)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Lems>\n\n{body}\n\n</Lems>\n'

    def _units(self) -> list[str]:
        """Return the dimensions for which NeuroML has no name, with their units."""
        found = []
        for item in self._quantities:
            if not is_core(item):
                name, symbol = quoteattr(dimension_name(item)), quoteattr(unit_name(item))
                exponents = "".join(f' {k}="{v}"' for k, v in item._asdict().items() if v)
                found.append(
                    f"<Dimension name={name}{exponents}/>\n"
                    f'<Unit symbol={symbol} dimension={name} power="{unit_power(item)}"/>'
                )
        return found


def _between(tag: str, name: str, ends: tuple[str, str]) -> str:
    return (
        f"{tag} id={quoteattr(name)} presynapticPopulation={quoteattr(ends[0])} "
        f"postsynapticPopulation={quoteattr(ends[1])}"
    )
