"""Try every ComponentType of NeuroML: what a model that uses it becomes, or why it does not run.

The models in ``probes/`` hold what each type needs around it. All of them are translated as for a
run, up to the definitions for the compiler; those in ``probes/refused/``, each named by the type
that it is about, say what is asked of it. Whatever is warned of while that is done is how a type
is approximated, and an error is why it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from izhi_models.errors import Diagnostic, IzhiError, Note
from izhi_models.lems.compartments import APPROXIMATED
from izhi_models.lems.components import METADATA, Component, read_model
from izhi_models.lems.network import IGNORED as IN_NETWORKS
from izhi_models.lems.simulation import IGNORED as IN_SIMULATIONS
from izhi_models.lems.types import ComponentType
from izhi_models.pipeline import load

Status = Literal["supported", "approximated", "refused", "no effect", "abstract", "unknown"]
STATUSES: tuple[Status, ...] = (
    "supported",
    "approximated",
    "refused",
    "no effect",
    "abstract",
    "unknown",
)

_FOLDER = Path(__file__).parent / "probes"
_BASE = "base"  # begins the names of NeuroML's types that only others extend


@dataclass(frozen=True)
class Coverage:
    """What becomes of one ComponentType.

    Parameters
    ----------
    name : str
    file : str
        Of NeuroML's definitions.
    status : {'supported', 'approximated', 'refused', 'no effect', 'abstract', 'unknown'}
        Abstract is what only other types extend; unknown, what no probe has.
    notes : tuple of str
        How it is approximated, or what is refused and what to use instead.
    """

    name: str
    file: str
    status: Status
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    """What the probes tell of types, by name."""

    types: dict[str, ComponentType] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    notes: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)


def probes() -> list[Path]:
    """Return the models that are expected to run."""
    return sorted(_FOLDER.glob("*.xml"))


def cover() -> tuple[Coverage, ...]:
    """Return every ComponentType of NeuroML, in the order of its definitions."""
    found = _Found()
    for path in probes():
        _try(path, found)
    for path in sorted((_FOLDER / "refused").glob("*.xml")):
        _, errors = _translate(path)
        found.failed.setdefault(path.stem, []).extend(map(_in_short, errors))
    extended = {name for item in found.types.values() for name in item.ancestors[1:]}
    unread = _below(found.types, {*METADATA, *IN_NETWORKS, *IN_SIMULATIONS})
    listed = [
        _coverage(item, found, extended, unread)
        for item in found.types.values()
        if item.element.document.is_core
    ]
    return tuple(sorted(listed, key=lambda item: item.file))


def _try(path: Path, found: _Found) -> None:
    """Translate a probe, and note what it tells of the types in it."""
    model = read_model(path)
    found.types.update(model.types.types)
    components = [part for item in model.components.values() for part in item.walk()]
    used = {item.type.name for item in components}
    warnings, errors = _translate(path)
    for name in used if errors else ():
        found.failed.setdefault(name, []).extend(map(_in_short, errors))
    if not errors:
        found.runs |= used
    for item in components:
        told = [_in_short(warning) for warning in warnings if _is_at(warning, item)]
        found.notes.setdefault(item.type.name, []).extend(told)


def _translate(path: Path) -> tuple[Sequence[Diagnostic], Sequence[Diagnostic]]:
    """Return what is warned of in a model, and why it cannot be run."""
    try:
        model = load(path)
        model.lower([])
    except IzhiError as error:
        return (), error.diagnostics
    return model.experiment.warnings, ()


def _is_at(diagnostic: Diagnostic, component: Component) -> bool:
    """Tell whether something is about a component; each may be of another reading of the file."""
    if diagnostic.span is None:
        return False
    places = [(item.source.path, item.start) for item in (diagnostic.span, component.span)]
    return places[0] == places[1]


def _in_short(diagnostic: Diagnostic) -> str:
    texts = (item.text if isinstance(item, Note) else item for item in diagnostic.notes)
    hints = "; ".join(texts)
    return f"{diagnostic.message} ({hints})" if hints else diagnostic.message


def _below(types: dict[str, ComponentType], names: Iterable[str]) -> set[str]:
    """Return types, with those of all that can stand in them."""
    found: set[str] = set()
    waiting = set(names) & types.keys()
    while waiting:
        found |= waiting
        declared = {
            item.type
            for name in waiting
            for item in (*types[name].child.values(), *types[name].children.values())
        }
        waiting = declared & types.keys() - found
    return found


def _coverage(item: ComponentType, found: _Found, extended: set[str], unread: set[str]) -> Coverage:
    notes = [*found.notes.get(item.name, ())]
    notes += [APPROXIMATED[item.name]] if item.name in APPROXIMATED else []
    failed = found.failed.get(item.name, [])
    status: Status
    if notes:
        status = "approximated"
    elif item.name in unread:
        status = "no effect"
    elif item.name in found.runs:
        status = "supported"
    elif failed:
        status = "refused"
    else:
        is_base = item.name in extended or item.name.startswith(_BASE)
        status = "abstract" if is_base else "unknown"
    notes += [text if status == "refused" else f"but refused: {text}" for text in failed]
    file = Path(item.element.document.source.path).name
    return Coverage(item.name, file, status, tuple(notes))
