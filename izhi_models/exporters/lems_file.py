"""The LEMS file that runs an exported network: types of users, their components, a Simulation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from textwrap import wrap

from izhi_models.errors import Diagnostic, InputError
from izhi_models.exporters.markup import Markup, Node, Verbatim, source_text
from izhi_models.exporters.request import Request
from izhi_models.expr import is_random
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Element

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_INCLUDES = ("Cells.xml", "Networks.xml", "PyNN.xml", "Simulation.xml")
_ONLY_IF_USED = "PyNN.xml"
_WIDTH = 92


def lems_file(
    request: Request,
    included: Iterable[str],
    types: Iterable[Element],
    components: Iterable[Markup],
    simulation: Markup,
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
    simulation : Markup
    """
    model = request.experiment.model
    comment = remarks(request).replace("--", "- -")
    paragraphs: list[Sequence[Node]] = [
        [Verbatim(f"<!-- {comment} -->")],
        [Markup("Target", {"component": simulation.attributes["id"]})],
        [Markup("Include", {"file": name}) for name in included],
        [Verbatim(source_text(item)) for item in _declared(model, "Dimension")],
        [Verbatim(source_text(item)) for item in _declared(model, "Unit")],
        [Verbatim(source_text(item)) for item in _declared(model, "Constant")],
    ]
    paragraphs += [[Verbatim(source_text(item))] for item in types]
    paragraphs += [[item] for item in components]
    paragraphs.append([simulation])
    yield f"{HEAD}<Lems>\n"
    for paragraph in paragraphs:
        if paragraph:
            yield "\n"
        for node in paragraph:
            yield from node.lines("    ")
    yield "\n</Lems>\n"


def _declared(model: Model, tag: str) -> Iterator[Element]:
    for document in model.own_documents():
        yield from document.root.find(tag)


def core_files(model: Model, used: Iterable[Component]) -> list[str]:
    """Return the files of NeuroML's types to include for components.

    Parameters
    ----------
    model : Model
    used : iterable of Component
    """
    kinds = {
        name for component in used for item in component.walk() for name in item.type.ancestors
    }
    elements = (model.types.types[name].element for name in kinds)
    files = {item.document.source.path.name for item in elements if item.document.is_core}
    return [name for name in _INCLUDES if name != _ONLY_IF_USED or name in files]


def remarks(request: Request) -> str:
    """Return where a file comes from, and what it leaves open."""
    parts = [f"Written by izhi-models {version('izhi-models')} from {request.name}."]
    network = request.experiment.network
    if network.seed is not None:
        told = "the rules here are drawn from" if request.keep_rules else "were drawn from"
        parts.append(f"Connections {told} the seed {request.seed}.")
    drawing = [
        item.id
        for item in network.populations.values()
        if any(is_random(expression) for expression in item.dynamics.expressions())
    ]
    if drawing:
        parts.append(
            f"What {', '.join(drawing)} draw at random, at the start or later, NeuroML cannot "
            f"list: izhi-models draws it from the seed of the Simulation ({request.seed}), "
            "and other simulators draw other numbers."
        )
    if (request.method, request.precision) != ("auto", "double"):
        parts.append(f"Wanted: the method {request.method}, in {request.precision} precision.")
    text = " ".join(parts)
    return "\n".join(wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


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
