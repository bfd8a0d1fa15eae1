"""Find everything that is wrong with a file, in one go.

What is checked, in this order: XML and includes; the words of LEMS and the NeuroML schema; types;
components; dynamics; and, if all that is right, whether the network and what the simulation records
can be resolved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from izhi_models.errors import Diagnostic, InputError, UnsupportedError
from izhi_models.lems.components import Model, bind_model
from izhi_models.lems.dynamics_rules import check_dynamics
from izhi_models.lems.elements import Document
from izhi_models.lems.instances import networks_of
from izhi_models.lems.language import check_language
from izhi_models.lems.model_rules import check_model
from izhi_models.lems.network import lower_network
from izhi_models.lems.read import read_with_includes
from izhi_models.lems.schema import check_schema
from izhi_models.lems.simulation import lower_experiment
from izhi_models.lems.type_rules import check_assertions, check_declarations, check_structure
from izhi_models.lems.types import check_type_references
from izhi_models.places import resolve_outputs


def validate(path: Path) -> list[Diagnostic]:
    """Check a file and all that it includes.

    Parameters
    ----------
    path : Path
        A file with root ``<Lems>`` or ``<neuroml>``.

    Returns
    -------
    list of Diagnostic
        Errors and warnings, by file and position; empty if there are none.
    """
    try:
        documents = read_with_includes(path)
    except InputError as error:
        return _ordered(error.diagnostics)
    try:
        model = bind_model(path, documents)
    except InputError as error:
        return _ordered(_merge([*error.diagnostics, *_check_written(documents)]))
    found = find_faults(model)
    if not any(item.severity == "error" for item in found):
        found = _ordered(_merge([*found, *_check_lowering(model)]))
    return found


def find_faults(model: Model) -> list[Diagnostic]:
    """Check what was read, but not whether its network can be resolved.

    Parameters
    ----------
    model : Model

    Returns
    -------
    list of Diagnostic
        Errors and warnings, by file and position.
    """
    written = _check_written(model.documents)
    return _ordered(_merge([*model.faults, *_check_types(model), *check_model(model), *written]))


def _check_written(documents: Sequence[Document]) -> Iterator[Diagnostic]:
    written = [item for item in documents if not item.is_core]
    own = {
        name
        for document in written
        for element in document.root.find("ComponentType")
        if (name := element.get("name")) is not None
    }
    for document in written:
        yield from check_language(document.root)
        yield from check_schema(document, own)


def _check_types(model: Model) -> Iterator[Diagnostic]:
    """Check the types of the user; those of NeuroML have known faults that harm nobody."""
    yield from check_type_references(model.types)
    for document in model.own_documents():
        yield from check_assertions(model.types, document)
    for resolved in model.types.types.values():
        if not resolved.element.document.is_core:
            yield from check_declarations(model.types, resolved)
            yield from check_dynamics(model.types, resolved)
            yield from check_structure(model.types, resolved)


def _check_lowering(model: Model) -> Iterator[Diagnostic]:
    """Resolve networks and what simulations record, as a run would."""
    try:
        if model.target is not None or model.of_type("Simulation"):
            plan = lower_experiment(model).simulation
            if plan is not None:
                resolve_outputs(plan, Path("results"))
        else:
            for network in networks_of(model):
                lower_network(model, network)
    except InputError as error:
        yield from error.diagnostics
    except UnsupportedError as error:
        # The file is valid all the same.
        yield from (replace(item, severity="warning") for item in error.diagnostics)


def _merge(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Keep one diagnostic of those that tell the same fault of the same place.

    The first is kept, since the first checks know most; what the schema forbids is an error even
    where they only doubt. What is missing in one place is told together.
    """
    kept: dict[tuple[object, ...], list[Diagnostic]] = {}
    for item in found:
        place = (item.span.source.path, item.span.start) if item.span else (item.message,)
        here = kept.setdefault(place, [])
        told = next((old for old in here if _covers(old, item)), None)
        if told is None:
            here.append(item)
        else:
            here[here.index(told)] = _together(told, item)
    return [item for here in kept.values() for item in here]


def _covers(first: Diagnostic, second: Diagnostic) -> bool:
    if first.severity == "warning" and second.severity == "error":
        return " has no attribute " in first.message and " has no attribute " in second.message
    return " lacks " in first.message or " lacks " not in second.message


def _together(first: Diagnostic, second: Diagnostic) -> Diagnostic:
    head, lacks, listed = first.message.partition(" lacks ")
    _, too, more = second.message.partition(" lacks ")
    if lacks and too:
        missing = dict.fromkeys([*listed.split(", "), *more.split(", ")])
        return replace(first, message=f"{head} lacks {', '.join(missing)}")
    if first.severity != second.severity == "error":
        notes = (*first.notes, "the NeuroML schema does not allow it")
        return replace(first, severity="error", notes=notes)
    return first


def _ordered(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    def place(item: Diagnostic) -> tuple[str, int]:
        return (str(item.span.source.path), item.span.start) if item.span else ("", 0)

    return sorted(found, key=place)
