"""Models as a NeuroML 2 document, with a LEMS file that runs it.

What NeuroML's schema allows goes into the document: components of NeuroML's own types that refer to
nothing else. All the rest stands in the LEMS file: ComponentTypes of users, their components, and
a network that has any of these. Components are written as they were declared, with their notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from textwrap import wrap
from xml.sax.saxutils import escape

from izhi_models.errors import Diagnostic, InputError, UnsupportedError
from izhi_models.exporters.expansion import Expansion
from izhi_models.exporters.markup import (
    FREE,
    Listing,
    Markup,
    Node,
    Verbatim,
    component_markup,
    source_text,
)
from izhi_models.exporters.names import identifier
from izhi_models.exporters.request import Request
from izhi_models.exporters.simulation import simulation_markup
from izhi_models.exporters.used import mentioned, used_components, used_types
from izhi_models.expr import is_random
from izhi_models.files import replacing
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Element
from izhi_models.lems.network import execute_rules
from izhi_models.lems.rules import find_rules
from izhi_models.lems.schema import NAMESPACE, document_order, is_valid, network_order

_SCHEMA = "https://raw.github.com/NeuroML/NeuroML2/development/Schemas/NeuroML2/NeuroML_v2.3.1.xsd"
_ROOT = {
    "xmlns": NAMESPACE,
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": f"{NAMESPACE} {_SCHEMA}",
}
_INCLUDES = ("Cells.xml", "Networks.xml", "PyNN.xml", "Simulation.xml")
_ONLY_IF_USED = "PyNN.xml"
_CONNECTING = ("synapticConnection", "projection")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_WIDTH = 92


def write_neuroml(request: Request, path: Path) -> tuple[Path, ...]:
    """Write a model as NeuroML and LEMS.

    Parameters
    ----------
    request : Request
    path : Path
        The LEMS file, which ends in `.xml`; the document ends in `.net.nml` and stands beside it.

    Returns
    -------
    tuple of Path
        The files written; the LEMS file alone if nothing can stand in a document.

    Raises
    ------
    InputError
        If the path does not end in `.xml`, or names a file of the model, or cannot be written.
    UnsupportedError
        If the rules of a network cannot be told from the rest of it.
    """
    if path.suffix != ".xml":
        message = f"'{path}' is no name of a LEMS file"
        raise InputError(Diagnostic(message, notes=("give a name that ends in .xml",)))
    export = Export(request)
    stem = path.name.removesuffix(".xml").removeprefix("LEMS_")
    beside = path.with_name(f"{stem}.net.nml")
    written = (path, beside) if export.document else (path,)
    check_places(request.experiment.model, written)
    with ExitStack() as files:
        # The LEMS file takes its place last.
        main = files.enter_context(replacing(path))
        if export.document:
            _write(files.enter_context(replacing(beside)), export.document_lines(identifier(stem)))
        _write(main, export.lems_lines(beside.name if export.document else None))
    return written


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


def _write(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)


class Export:
    """The parts of an export.

    Parameters
    ----------
    request : Request

    Attributes
    ----------
    document : list of Component
        What stands in the NeuroML document.
    rest : list of Component
        What stands in the LEMS file.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._model = request.experiment.model
        self._network = request.experiment.target.network
        self._dropped: frozenset[int] = frozenset()
        self._changes: dict[int, Markup | None] = {}
        names = {request.experiment.target.component.id}
        if self._network is not None:
            names |= self._arrange(self._network)
        self._used = used_components(self._model, names, self._dropped)
        self.document = self._fitting(names)
        self.rest = [item for item in self._used if item not in self.document]

    def _arrange(self, network: Component) -> set[str]:
        """Put what rules make in their place; return the components that this needs."""
        rules = [] if self._request.keep_rules else find_rules(network)
        if network in rules:
            message = f"'{network.type.name}' is a network that makes connections by a rule"
            hint = "write it as it is: --keep-rules"
            raise UnsupportedError(Diagnostic(message, network.span, (hint,)))
        self._dropped = frozenset(id(item.element) for item in rules)
        self._changes |= dict.fromkeys(self._dropped)
        markup = component_markup(network, self._changes)
        names = set()
        if rules:
            made = execute_rules(self._model, network, self._request.seed)
            expansion = Expansion(self._model, network, made, self._dropped)
            markup.children += [*expansion.projections(), *expansion.inputs()]
            names = {item.synapse for item in made.projections} | {item.id for item in made.inputs}
        markup.children = _in_order(markup.children)
        self._changes[id(network.element)] = markup
        return names

    def _fitting(self, names: set[str]) -> list[Component]:
        """Return the components that may stand in a NeuroML document."""
        fitting = {item.id: item for item in self._used if self._is_plain(item)}
        while True:
            needs = {
                name: mentioned(self._model, item, self._dropped) for name, item in fitting.items()
            }
            if self._network is not None and self._network.id in needs:
                needs[self._network.id] |= names - {self._network.id}
            lacking = [name for name, wanted in needs.items() if not wanted <= fitting.keys()]
            if not lacking:
                return list(fitting.values())
            for name in lacking:
                del fitting[name]

    def _is_plain(self, component: Component) -> bool:
        element = component.element
        if not component.type.element.document.is_core or "extends" in element.attributes:
            return False
        markup = self._markup(component)
        if markup.tag not in document_order():
            return False
        root = Markup("neuroml", {"xmlns": NAMESPACE, "id": "document"}, [markup])
        return is_valid("".join(root.lines(outline=True)))

    def _markup(self, component: Component) -> Markup:
        changed = self._changes.get(id(component.element))
        return changed or component_markup(component, self._changes)

    # Files

    def document_lines(self, name: str) -> Iterator[str]:
        """Yield the text of the NeuroML document.

        Parameters
        ----------
        name : str
            Its id.
        """
        order = document_order()
        parts = [self._markup(item) for item in self.document]
        parts.sort(key=lambda item: order[item.tag])
        notes = Verbatim(f"<notes>{escape(_wrapped(self._remarks()))}</notes>")
        yield _HEAD
        yield from Markup("neuroml", {**_ROOT, "id": name}, [notes, *parts]).lines()

    def lems_lines(self, document: str | None) -> Iterator[str]:
        """Yield the text of the LEMS file.

        Parameters
        ----------
        document : str or None
            Name of the NeuroML document.
        """
        simulation = simulation_markup(self._request)
        types = used_types(self._model, self._used, self._dropped)
        remarks = self._remarks().replace("--", "- -")
        included = [*self._core_files(), *([document] if document else [])]
        own = [item for item in self.rest if not item.type.is_a("Simulation")]
        paragraphs: list[list[Node]] = [
            [Verbatim(f"<!-- {_wrapped(remarks)} -->")],
            [Markup("Target", {"component": simulation.attributes["id"]})],
            [Markup("Include", {"file": name}) for name in included],
            [Verbatim(source_text(item)) for item in self._declared("Dimension")],
            [Verbatim(source_text(item)) for item in self._declared("Unit")],
        ]
        paragraphs += [[Verbatim(source_text(item))] for item in types]
        paragraphs += [[self._markup(item)] for item in own]
        paragraphs.append([simulation])
        yield f"{_HEAD}<Lems>\n"
        for paragraph in paragraphs:
            if paragraph:
                yield "\n"
            for node in paragraph:
                yield from node.lines("    ")
        yield "\n</Lems>\n"

    def _declared(self, tag: str) -> Iterator[Element]:
        for document in self._model.own_documents():
            yield from document.root.find(tag)

    def _core_files(self) -> list[str]:
        """Return the files of NeuroML's types to include."""
        kinds = {
            name
            for component in self._used
            for item in component.walk()
            for name in item.type.ancestors
        }
        elements = (self._model.types.types[name].element for name in kinds)
        files = {item.document.source.path.name for item in elements if item.document.is_core}
        return [name for name in _INCLUDES if name != _ONLY_IF_USED or name in files]

    def _remarks(self) -> str:
        """Return where this comes from, and what it leaves open."""
        request = self._request
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
        return " ".join(parts)


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


def _in_order(children: list[Node]) -> list[Node]:
    """Return the children of a network in the order of the schema, each list after its first.

    Where paths may count connections of several kinds, they stay in the order of the file.
    """
    order = network_order()
    ranks: list[int] = []
    for child in children:
        if isinstance(child, Listing):
            ranks.append(ranks[-1])
        elif isinstance(child, Verbatim):
            ranks.append(next(order[tag] for tag in FREE if child.text.startswith(f"<{tag}")))
        else:
            ranks.append(order.get(child.tag, len(order)))
    connecting = [rank for rank in ranks if rank in {order[tag] for tag in _CONNECTING}]
    if connecting != sorted(connecting):
        return children
    return [child for _, child in sorted(zip(ranks, children, strict=True), key=itemgetter(0))]
