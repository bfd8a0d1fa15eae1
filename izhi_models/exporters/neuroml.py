"""Models as a NeuroML 2 document, with a LEMS file that runs it.

What NeuroML's schema allows goes into the document: components of NeuroML's own types that refer to
nothing else. All the rest stands in the LEMS file: ComponentTypes of users, their components, and
a network that has any of these. Components are written as they were declared, with their notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from xml.sax.saxutils import escape

from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.expansion import Expansion
from izhi_models.exporters.lems_file import (
    HEAD,
    check_name,
    check_places,
    core_files,
    lems_file,
    write_lines,
)
from izhi_models.exporters.markup import (
    FREE,
    Listing,
    Markup,
    Node,
    Verbatim,
    component_markup,
)
from izhi_models.exporters.names import identifier
from izhi_models.exporters.remarks import document_notes
from izhi_models.exporters.request import Request
from izhi_models.exporters.simulation import (
    declared_simulation,
    holder_of,
    simulation_markup,
)
from izhi_models.exporters.used import mentioned, used_components, used_types
from izhi_models.files import replacing
from izhi_models.lems.components import Component
from izhi_models.lems.elements import Element
from izhi_models.lems.network import execute_rules
from izhi_models.lems.rules import find_rules
from izhi_models.lems.schema import NAMESPACE, document_order, is_valid, network_order
from izhi_models.lems.structure import Made

_SCHEMA = "https://raw.github.com/NeuroML/NeuroML2/development/Schemas/NeuroML2/NeuroML_v2.3.1.xsd"
_ROOT = {
    "xmlns": NAMESPACE,
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": f"{NAMESPACE} {_SCHEMA}",
}
_AS_IT_IS = "write it as it is: --keep-rules"
_SINGLE = "synapticConnection"  # with weight and delay too, which the schema does not know
_CONNECTING = (_SINGLE, "projection")


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
    return write_collected(request, collect(request), path)


@dataclass
class Collected:
    """What is to be written.

    Parameters
    ----------
    document : list of Markup
        What stands in the NeuroML document.
    rest : list of Markup
        Other components, for the LEMS file.
    types : list of Element
        ComponentTypes of users.
    included : list of str
        Files of NeuroML's own types.
    simulation : Markup
    target : Markup
        The Simulation, or the component that holds it.
    notes : str
        Of the document.
    """

    document: list[Markup]
    rest: list[Markup]
    types: list[Element]
    included: list[str]
    simulation: Markup
    target: Markup
    notes: str


def collect(request: Request) -> Collected:
    """Return what is to be written of a model.

    Parameters
    ----------
    request : Request

    Raises
    ------
    UnsupportedError
        If the rules of a network cannot be told from the rest of it.
    """
    return _Collector(request).collect()


def write_collected(request: Request, parts: Collected, path: Path) -> tuple[Path, ...]:
    """Write a LEMS file, and the NeuroML document beside it if anything stands in one.

    Parameters
    ----------
    request : Request
    parts : Collected
    path : Path
        The LEMS file.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        See `write_neuroml`.
    """
    check_name(path)
    stem = path.name.removesuffix(".xml").removeprefix("LEMS_")
    beside = path.with_name(f"{stem}.net.nml")
    written = (path, beside) if parts.document else (path,)
    check_places(request.experiment.model, written)
    included = [*parts.included, *(item.name for item in written[1:])]
    with ExitStack() as files:
        # The LEMS file takes its place last.
        main = files.enter_context(replacing(path))
        if parts.document:
            document = files.enter_context(replacing(beside))
            write_lines(document, _document_lines(parts, identifier(stem)))
        lines = lems_file(request, included, parts.types, parts.rest, parts.target)
        write_lines(main, lines)
    return written


def _document_lines(parts: Collected, name: str) -> Iterator[str]:
    order = document_order()
    components = sorted(parts.document, key=lambda item: order[item.tag])
    notes = Verbatim(f"<notes>{escape(parts.notes)}</notes>")
    yield HEAD
    yield from Markup("neuroml", {**_ROOT, "id": name}, [notes, *components]).lines()


class _Collector:
    """Sorts out what goes where."""

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
        self._inside = self._fitting(names)

    def collect(self) -> Collected:
        """Return what is to be written."""
        rest = [item for item in self._used if item not in self._inside]
        written = [*self._used]
        simulation = target = simulation_markup(self._request)
        plan = self._request.experiment.simulation
        if plan is not None:
            declared = declared_simulation(self._model, plan)
            holder = holder_of(self._model, declared)
            written.append(holder)
            if holder is not declared:
                target = component_markup(holder, {id(declared.element): simulation})
        types = used_types(self._model, written, self._dropped)
        return Collected(
            [self._markup(item) for item in self._inside],
            [self._markup(item) for item in rest if not item.type.is_a("Simulation")],
            types,
            core_files(self._request, written, types),
            simulation,
            target,
            document_notes(self._request, self._used),
        )

    def _arrange(self, network: Component) -> set[str]:
        """Put what rules make in their place; return the components that this needs."""
        if not network.type.is_a("network"):
            if self._request.keep_rules:
                return set()
            what = "is no network of NeuroML, and cannot be written in its words"
            raise UnsupportedError(Diagnostic(f"'{network.id}' {what}", network.span, (_AS_IT_IS,)))
        rules = [] if self._request.keep_rules else find_rules(network)
        if network in rules:
            message = f"'{network.type.name}' is a network that makes connections by a rule"
            raise UnsupportedError(Diagnostic(message, network.span, (_AS_IT_IS,)))
        self._dropped = frozenset(id(item.element) for item in rules)
        self._changes |= dict.fromkeys(self._dropped)
        markup = component_markup(network, self._changes)
        names = set()
        if rules:
            made = execute_rules(self._model, network, self._request.seed)
            _refuse_bare(made)
            expansion = Expansion(self._model, network, made, self._dropped)
            markup.children += [*expansion.projections(), *expansion.inputs()]
            names = {item.synapse for item in made.projections} | {item.id for item in made.inputs}
        markup.children = _in_order(markup.children)
        for child in markup.children:
            # The size of a list of instances is only a remark; other tools want it to be right.
            if isinstance(child, Markup) and child.attributes.get("type") == "populationList":
                size = self._request.experiment.network.populations[child.attributes["id"]].size
                child.attributes["size"] = str(size)
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
        if "extends" in component.element.attributes:
            return False
        if not all(item.type.element.document.is_core for item in self._parts(component)):
            return False
        markup = self._markup(component)
        if markup.tag not in document_order():
            return False
        root = Markup("neuroml", {"xmlns": NAMESPACE, "id": "document"}, [markup])
        return is_valid("".join(root.lines(outline=True)))

    def _parts(self, component: Component) -> Iterator[Component]:
        """Yield a component and what is written below it."""
        yield component
        for _, child in component.all_children():
            if id(child.element) not in self._dropped:
                yield from self._parts(child)

    def _markup(self, component: Component) -> Markup:
        changed = self._changes.get(id(component.element))
        return changed or component_markup(component, self._changes)


def _refuse_bare(made: Made) -> None:
    """Raise `UnsupportedError` if a rule sends events to cells that get no synapse for them."""
    for item in made.projections:
        if item.port:
            message = f"'{item.id}' sends events to cells without a synapse, and NeuroML cannot"
            raise UnsupportedError(Diagnostic(message, item.span, (_AS_IT_IS,)))


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
            tag = _SINGLE if child.tag == f"{_SINGLE}WD" else child.tag
            ranks.append(order.get(tag, len(order)))
    connecting = [rank for rank in ranks if rank in {order[tag] for tag in _CONNECTING}]
    if connecting != sorted(connecting):
        return children
    return [child for _, child in sorted(zip(ranks, children, strict=True), key=itemgetter(0))]
