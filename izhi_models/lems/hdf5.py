"""Read networks of NeuroML's HDF5 format.

Source: NeuroML 2, HDF5 format, as libNeuroML writes it: a group ``neuroml`` that holds the
components as XML in the attribute ``neuroml_top_level``, and in it a group ``network`` with a group
for each population, projection and list of inputs, whose table is a dataset with named columns.

The components, and the first row of each table, become a NeuroML document like any other; the
further rows stay arrays. In messages, the line of a row is its number in the dataset.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import h5py
import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, Source
from izhi_models.lems.elements import Document
from izhi_models.lems.made import table_after_first
from izhi_models.lems.tables import Numbers
from izhi_models.memory import shortage

NAMESPACE = "http://www.neuroml.org/schema/neuroml2"
_PICKLED_NONE = "N."  # how PyTables writes what is not there
_EXACT = {np.dtype(np.float32): 2**24}  # beyond it not every whole number can be written
_GREATEST = 2**31 - 1
# By kind of projection: its element, what the name of one with a weight ends with, and what its
# connections name.
_CONNECTIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "projection": ("connection", "WD", ("synapse",)),
    "electricalProjection": ("electricalConnectionInstance", "W", ("synapse",)),
    "continuousProjection": (
        "continuousConnectionInstance",
        "W",
        ("preComponent", "postComponent"),
    ),
}
_WITHOUT_EFFECT = {"weight": ' weight="1"', "delay": ' delay="0 ms"'}
_ROWS_AT_ONCE = 2**18
_METADATA = ("notes", "property")
_PROPERTY = "property:"  # begins the names of such attributes
# How the columns are called where the dataset does not say it.
_UNNAMED = {3: ("x", "y", "z"), 4: ("id", "x", "y", "z")}


@dataclass(frozen=True)
class _Column:
    """A column of a dataset as an attribute of elements.

    Parameters
    ----------
    name : str
        Of the column.
    attribute : str
    text : str
        The value, with ``{}`` for the number.
    is_whole : bool
        True for numbers of cells and the like.
    is_needed : bool
        True if a dataset without it means nothing.
    default : float, optional
        What an element without the attribute means.
    """

    name: str
    attribute: str
    text: str = "{}"
    is_whole: bool = False
    is_needed: bool = False
    default: float | None = None


@dataclass(frozen=True)
class _List:
    """The rows of a dataset as elements.

    Parameters
    ----------
    name : str
        Path of the dataset.
    form : str
        An element, with ``{id}`` for its id and ``{rest}`` for the other attributes.
    columns : sequence of _Column
        That the dataset has.
    numbers : dict of str to array (n,)
        By attribute.
    """

    name: str
    form: str
    columns: Sequence[_Column]
    numbers: dict[str, Numbers]

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.numbers["id"].size

    def element(self, row: int) -> str:
        """Return a row as XML."""
        values = {
            item.attribute: item.text.format(repr(self.numbers[item.attribute][row].item()))
            for item in self.columns
        }
        number = _written({"id": values.pop("id")}).lstrip()
        return self.form.format(id=number, rest=_written(values))


def read_hdf5(path: Path) -> Document:
    """Read a file in NeuroML's HDF5 format.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Document
        With root ``<neuroml>``: its components, then its network.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another format, or its tables cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if not h5py.is_hdf5(path):
            raise InputError(f"{path} is no HDF5 file")
        with h5py.File(path, "r") as file:
            text, lists = _Reader(path, file).read()
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory, not a file") from None
    except (OSError, RuntimeError, KeyError, UnicodeError) as error:
        notes = (f"the HDF5 library says: {str(error).strip(chr(39))}",)
        raise InputError(Diagnostic(f"{path} is damaged or cut off", notes=notes)) from None
    document = Document(Source(path, text), [text.encode("utf-8")])
    document.sha256 = digest
    parents = (item for item in document.root.children[-1].children if item.tag not in _METADATA)
    for parent, rows in zip(parents, lists, strict=True):
        if rows is not None and rows.size > 1:
            place = Path(f"{path}:{rows.name}")
            parent.children[-1].rows = table_after_first(
                place, rows.size, rows.numbers, rows.element
            )
    return document


# A group as XML, with its rows, and its tag.
_Part = tuple[str, "_List | None", str]
# The order of the schema.
_ORDER = ("population", *_CONNECTIONS, "inputList")


class _Reader:
    """Reads the groups of a file."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file

    def read(self) -> tuple[str, list[_List | None]]:
        """Return the file as XML, and for each element of the network its rows."""
        group = self._group(self._file, "neuroml")
        network = self._group(group, "network")
        # As they were created, where the file tells; the schema fixes the order of kinds.
        names = list(network) if _tells_order(network) else sorted(network)
        found = [part for name in names if (part := self._part(network, name)) is not None]
        found.sort(key=lambda part: _ORDER.index(part[2]))
        parts = [text for text, _, _ in found]
        lists = [rows for _, rows, _ in found]
        attributes = _attributes(network, "id", "temperature")
        if "temperature" in attributes:
            attributes += ' type="networkWithTemperature"'
        opening = f"<network{attributes}>{_metadata(network)}"
        body = "\n".join((opening, *parts, "</network>"))
        return f"{self._components(group)}{body}\n</neuroml>\n", lists

    def _fault(self, message: str, *notes: str) -> InputError:
        return InputError(Diagnostic(f"{self._path}: {message}", notes=notes))

    def _group(self, parent: Any, name: str) -> Any:
        found = _own(parent, name)
        if not isinstance(found, h5py.Group):
            place = f"{parent.name.rstrip('/')}/{name}"
            hint = "it is HDF5, but not of NeuroML"
            raise self._fault(f"there is no group '{place}'", hint)
        return found

    def _components(self, group: Any) -> str:
        text, notes = _attribute(group, "neuroml_top_level"), _metadata(group)
        if text is None:
            return f'<neuroml xmlns="{NAMESPACE}"{_attributes(group, "id")}>{notes}\n'
        opened = re.sub(r"(<neuroml\b[^<>]*?)/>\s*$", r"\1></neuroml>", text)
        head, closing, rest = opened.rpartition("</neuroml>")
        if not closing or rest.strip():
            raise self._fault("the attribute 'neuroml_top_level' holds no NeuroML document")
        root = re.search(r"<neuroml\b[^<>]*>(?!\s*<notes)", head)
        return head if root is None else f"{head[: root.end()]}{notes}{head[root.end() :]}"

    def _part(self, network: Any, name: str) -> _Part | None:
        """Read a group, or return None if it is of another kind."""
        for prefix, read in (
            ("population_", self._population),
            ("projection_", self._projection),
            ("inputList_", self._inputs),
            ("input_list_", self._inputs),
        ):
            if name.startswith(prefix):
                return read(self._group(network, name))
        return None

    def _population(self, group: Any) -> _Part:
        columns = tuple(_Column(axis, axis, is_needed=True) for axis in "xyz")
        rows = self._rows(group, "<instance {id}><location{rest}/></instance>", columns)
        attributes = _attributes(group, "id", "component")
        if rows is not None:
            opening = f'population{attributes} type="populationList"'
            return _nested(opening, rows, _metadata(group)), rows, "population"
        size = _attribute(group, "size")
        if size is None:
            raise self._fault(f"'{group.name}' has neither a size nor a table of places")
        opening = f"population{attributes}{_written({'size': size})}"
        return _nested(opening, None, _metadata(group)), None, "population"

    def _projection(self, group: Any) -> _Part:
        kind = _attribute(group, "type") or "projection"
        if kind not in _CONNECTIONS:
            known = ", ".join(_CONNECTIONS)
            raise self._fault(f"'{group.name}' is of the type '{kind}'", f"known here: {known}")
        tag, suffix, words = _CONNECTIONS[kind]
        is_event = kind == "projection"
        columns: list[_Column] = []
        for end in ("pre", "post"):
            population = _braced(_attribute(group, f"{end}synapticPopulation") or "")
            attribute = f"{end}Cell{'Id' if is_event else ''}"
            path = f"../{population}[{{}}]"
            columns.append(_Column(f"{end}_cell_id", attribute, path, True, is_needed=True))
            segment = f"{end}Segment{'Id' if is_event else ''}"
            columns.append(_Column(f"{end}_segment_id", segment, is_whole=True, default=0))
            fraction = f"{end}FractionAlong"
            columns.append(_Column(f"{end}_fraction_along", fraction, default=0.5))
        columns += [_Column("weight", "weight"), _Column("delay", "delay", "{} ms")]
        shared = _braced(_attributes(group, *words))
        rows = self._rows(group, f"<{tag} {{id}}{{rest}}{'' if is_event else shared}/>", columns)
        if rows is not None:
            rows = _with_suffix(rows, tag, suffix, ("weight", "delay") if is_event else ("weight",))
        ends = ("presynapticPopulation", "postsynapticPopulation")
        attributes = _attributes(group, "id", *ends, *(words if is_event else ()))
        return _nested(f"{kind}{attributes}", rows), rows, kind

    def _inputs(self, group: Any) -> _Part:
        population = _braced(_attribute(group, "population") or "")
        columns = (
            _Column("target_cell_id", "target", f"../{population}[{{}}]", True, is_needed=True),
            _Column("segment_id", "segmentId", is_whole=True, default=0),
            _Column("fraction_along", "fractionAlong", default=0.5),
            _Column("weight", "weight"),
        )
        rows = self._rows(group, '<input {id}{rest} destination="synapses"/>', columns)
        if rows is not None:
            rows = _with_suffix(rows, "input", "W", ("weight",))
        attributes = _attributes(group, "id", "component", "population")
        return _nested(f"inputList{attributes}", rows), rows, "inputList"

    def _rows(self, group: Any, form: str, columns: Sequence[_Column]) -> _List | None:
        """Read the dataset of a group; None if it has none, or an empty one."""
        name = _attribute(group, "id") or ""
        found = [item for item in (_own(group, key) for key in group) if _is_dataset(item)]
        dataset = next((item for item in found if item.name.endswith(f"/{name}")), None)
        dataset = dataset if dataset is not None else next(iter(found), None)
        if dataset is None or dataset.shape[:1] == (0,):
            return None
        places = self._places(dataset)
        lacking = [item.name for item in columns if item.is_needed and item.name not in places]
        if lacking:
            listed = ", ".join(f"'{item}'" for item in lacking)
            raise self._fault(f"'{dataset.name}' has no column {listed}")
        read = [_Column("id", "id", is_whole=True), *columns]
        read = [item for item in read if item.name in places]
        numbers = self._columns(dataset, {places[item.name]: item for item in read})
        if "id" not in places:
            numbers["id"] = np.arange(dataset.shape[0], dtype=np.int32)
        kept = [
            item
            for item in read
            if item.default is None or (numbers[item.attribute] != item.default).any()
        ]
        if "id" not in places:
            kept.append(_Column("id", "id"))
        return _List(
            dataset.name, form, kept, {key.attribute: numbers[key.attribute] for key in kept}
        )

    def _places(self, dataset: Any) -> dict[str, int]:
        """Return the numbers of the columns by name."""
        if dataset.ndim != 2 or dataset.dtype.kind not in "iuf":
            shape, kind = dataset.shape, dataset.dtype
            raise self._fault(f"'{dataset.name}' is no table of numbers, but {shape} of {kind}")
        width = dataset.shape[1]
        named = {_attribute(dataset, f"column_{number}"): number for number in range(width)}
        places = {name: number for name, number in named.items() if name is not None}
        if not places:
            places = {name: number for number, name in enumerate(_UNNAMED.get(width, ()))}
        return places

    def _columns(self, dataset: Any, columns: dict[int, _Column]) -> dict[str, Numbers]:
        """Read columns, by their number, in blocks of rows."""
        # A dataset may say that its bytes are in another file, which is not read.
        if dataset.external or dataset.is_virtual:
            raise self._fault(f"'{dataset.name}' is kept in another file")
        size = dataset.shape[0]
        dtypes = {item.attribute: np.int32 if item.is_whole else float for item in columns.values()}
        lacking = shortage(float(size) * sum(np.dtype(dtype).itemsize for dtype in dtypes.values()))
        if lacking is not None:
            raise self._fault(f"'{dataset.name}' of {size:.3g} rows {lacking}")
        numbers: dict[str, Numbers] = {key: np.empty(size, dtypes[key]) for key in dtypes}
        for start in range(0, size, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            block = dataset[part]
            for place, item in columns.items():
                self._check(dataset, item, block[:, place], start)
                numbers[item.attribute][part] = block[:, place]
        return numbers

    def _check(self, dataset: Any, column: _Column, values: NDArray[Any], start: int) -> None:
        limit = min(_GREATEST, _EXACT.get(values.dtype, _GREATEST))
        wrong = ~np.isfinite(values)
        if column.is_whole:
            wrong |= (values < 0) | (values > limit) | (values != np.rint(values))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            wanted = f"a whole number from 0 to {limit}" if column.is_whole else "a finite number"
            raise self._fault(
                f"row {start + row + 1} of '{dataset.name}': '{column.name}' is {values[row]:g}, "
                f"expected {wanted}"
            )


def _with_suffix(rows: _List, tag: str, suffix: str, given: Sequence[str]) -> _List:
    """Return the rows as elements that have weights, if one of the numbers is given.

    What is not given besides has no effect: a weight of 1, a delay of 0.
    """
    if not rows.numbers.keys() & set(given):
        return rows
    lacking = [name for name in given if name not in rows.numbers]
    shared = "".join(_WITHOUT_EFFECT[name] for name in lacking)
    form = rows.form.replace(f"<{tag} ", f"<{tag}{suffix} ").replace("{rest}", f"{{rest}}{shared}")
    return replace(rows, form=form)


def _nested(opening: str, rows: _List | None, metadata: str = "") -> str:
    first = "" if rows is None else f"\n{rows.element(0)}\n"
    return f"<{opening}>{metadata}{first}</{opening.partition(' ')[0]}>"


def _tells_order(group: Any) -> bool:
    return bool(group.id.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED)


def _metadata(group: Any) -> str:
    """Return the notes and properties of a group as XML."""
    notes = _attribute(group, "notes")
    lines = [f"<notes>{escape(notes)}</notes>"] if notes else []
    for name in group.attrs:
        value = _attribute(group, name)
        if name.startswith(_PROPERTY) and value is not None:
            words = {"tag": name.removeprefix(_PROPERTY), "value": value}
            lines.append(f"<property{_written(words)}/>")
    return "".join(lines)


def _own(group: Any, name: str) -> Any:
    """Return a member of a group that is in the file itself, or None."""
    return group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None


def _is_dataset(item: Any) -> bool:
    return isinstance(item, h5py.Dataset)


def _attribute(item: Any, name: str) -> str | None:
    """Return an attribute of a group or dataset as text, or None if it has none."""
    value = item.attrs.get(name)
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else None
    if value is None or isinstance(value, h5py.Empty):
        return None
    text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    return None if text == _PICKLED_NONE else text


def _attributes(group: Any, *names: str) -> str:
    """Return those attributes of a group that it has, as XML."""
    values = ((name, _attribute(group, name)) for name in names)
    return _written({name: value for name, value in values if value is not None})


def _written(values: dict[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items())


def _braced(text: str) -> str:
    """Return text that `str.format` gives back as it was."""
    return text.replace("{", "{{").replace("}", "}}")
