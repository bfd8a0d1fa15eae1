"""What is said about a file that is exported: where it comes from, and the notes that it had."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from textwrap import dedent, wrap

from lxml import etree

from izhi_models.exporters.markup import source_text
from izhi_models.exporters.request import Request
from izhi_models.expr import is_random
from izhi_models.lems.components import Component

_WIDTH = 92
_WRITTEN = "Written by izhi-models"
_PARAGRAPH = re.compile(r"\n\s*\n")


def remarks(request: Request) -> str:
    """Return where a file comes from, and what it leaves open."""
    parts = [f"{_WRITTEN} {version('izhi-models')} from {request.name}."]
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


def document_notes(request: Request, components: Iterable[Component]) -> str:
    """Return remarks, and the notes of the NeuroML documents from which components come.

    What an earlier export said about itself is left out.

    Parameters
    ----------
    request : Request
    components : iterable of Component
    """
    documents = {id(item.element.document): item.element.document for item in components}
    parts = [remarks(request)]
    for document in documents.values():
        for notes in document.root.find("notes") if document.root.tag == "neuroml" else ():
            text = dedent(notes_text(source_text(notes))).strip()
            parts += [item for item in _PARAGRAPH.split(text) if not item.startswith(_WRITTEN)]
    return "\n\n".join(item for item in parts if item)


def notes_text(markup: str) -> str:
    """Return what is written in notes, given as XML, without any markup."""
    root = etree.fromstring(markup, etree.XMLParser(recover=True))
    return "".join(root.itertext())
