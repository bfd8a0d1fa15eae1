"""The LEMS file that runs an exported network: types of users, their components, a Simulation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from izhi_models.errors import Diagnostic, InputError
from izhi_models.exporters.markup import Markup, Node, Verbatim, source_text
from izhi_models.exporters.remarks import remarks
from izhi_models.exporters.request import Request
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Document, Element
from izhi_models.lems.rules import below

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_INCLUDES = ("Cells.xml", "Networks.xml", "PyNN.xml", "Simulation.xml")
_ONLY_IF_USED = "PyNN.xml"
_SIMULATION = "Simulation.xml"
_UNITS = "NeuroMLCoreDimensions.xml"


def lems_file(
    request: Request,
    included: Iterable[str],
    types: Iterable[Element],
    components: Iterable[Markup],
    target: Markup,
) -> Iterator[str]:
    """Yield the text of a LEMS file, line by line.

    Parameters
    ----------
    request : Request
    included : iterable of str
        Files to include.
    types : iterable of Element
        ComponentTypes; dimensions, units and constants of the model come before them.
    components : iterable of Markup
    target : Markup
        What is run: a Simulation, or what holds it.
    """
    model = request.experiment.model
    comment = remarks(request).replace("--", "- -")
    paragraphs: list[Sequence[Node]] = [
        [Verbatim(f"<!-- {comment} -->")],
        [Markup("Target", {"component": target.attributes["id"]})],
        [Markup("Include", {"file": name}) for name in included],
        [Verbatim(source_text(item)) for item in _declared(model, "Dimension")],
        [Verbatim(source_text(item)) for item in _declared(model, "Unit")],
        [Verbatim(source_text(item)) for item in _declared(model, "Constant")],
    ]
    paragraphs += [[Verbatim(source_text(item))] for item in types]
    paragraphs += [[item] for item in components]
    paragraphs.append([target])
    yield f"{HEAD}<Lems>\n"
    for paragraph in paragraphs:
        if paragraph:
            yield "\n"
        for node in paragraph:
            yield from node.lines("    ")
    yield "\n</Lems>\n"


def _declared(model: Model, tag: str) -> Iterator[Element]:
    """Yield the declarations of dimensions or units, of those that are alike the first."""
    found = [item for document in model.own_documents() for item in document.root.find(tag)]
    for number, item in enumerate(found):
        if all(item.attributes != other.attributes for other in found[:number]):
            yield item


def core_files(request: Request, used: Iterable[Component], types: Iterable[Element]) -> list[str]:
    """Return the files of NeuroML's types to include.

    A model that defines types of the same names as NeuroML's has not included these: no file is
    returned that it has not read, but for that of the Simulation if it has none.

    Parameters
    ----------
    request : Request
    used : iterable of Component
        All that is written.
    types : iterable of Element
        ComponentTypes of users, likewise.
    """
    model = request.experiment.model
    names = {
        name for component in used for item in component.walk() for name in item.type.ancestors
    }
    elements = (item for element in types for item in (element, *below(element)))
    names |= {text for item in elements for text in item.attributes.values()}
    known = (model.types.types[name].element.document for name in names & model.types.types.keys())
    needed = {_UNITS, *(item.source.path.name for item in known if item.is_core)}
    read = {item.source.path.name: item for item in model.documents if item.is_core}
    found = [
        name for name in _INCLUDES if name in read and (name != _ONLY_IF_USED or name in needed)
    ]
    covered = _with_included(read, found)
    for name in reversed(read):  # what includes others comes after them
        if name in needed - covered:
            found.insert(0, name)
            covered |= _with_included(read, [name])
    if request.experiment.simulation is None and _SIMULATION not in found:
        found.append(_SIMULATION)
    return found


def _with_included(documents: Mapping[str, Document], names: Iterable[str]) -> set[str]:
    """Return files, and those that they include."""
    found = set(names)
    for name in names:
        included = (item.attributes["file"] for item in documents[name].root.find("Include"))
        found |= _with_included(documents, list(included))
    return found


def check_name(path: Path) -> None:
    """Raise `InputError` unless a path can be that of a LEMS file."""
    if path.suffix != ".xml":
        message = f"'{path}' is no name of a LEMS file"
        raise InputError(Diagnostic(message, notes=("give a name that ends in .xml",)))


def check_places(model: Model, written: Iterable[Path]) -> None:
    """Raise `InputError` if a file to be written is a folder, or declares the model itself.

    Parameters
    ----------
    model : Model
    written : iterable of Path
    """
    sources = {item.source.path.resolve() for item in model.own_documents()}
    for path in written:
        if path.resolve() in sources:
            message = f"'{path}' is a file of the model itself"
            raise InputError(Diagnostic(message, notes=("write to another: --out PATH",)))
        if path.is_dir():
            raise InputError(f"cannot write '{path}': it is a folder")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write text that comes in pieces.

    Parameters
    ----------
    path : Path
    lines : iterable of str
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
