"""Read a morphology: its segments, the groups of them, and the cables that they form.

Source: NeuroML 2, morphology, segment, segmentGroup. A group marked as an unbranched section, by
neuroLexId sao864921383, or that says into how many parts it is divided, is a cable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from izhi_models.errors import Diagnostic, InputError, UnsupportedError, suggest
from izhi_models.lems.components import Component
from izhi_models.lems.elements import Element
from izhi_models.lems.morphology import Cable, Morphology, Point, Segment

ALL = "all"  # the group that need not be declared
_SECTION = "sao864921383"  # NeuroLex: an unbranched section
_DIVISIONS = "numberInternalDivisions"


@dataclass(frozen=True)
class Region:
    """A morphology, and its groups.

    Parameters
    ----------
    morphology : Morphology
    groups : mapping of str to frozenset of int
        Ids of segments.
    declared : mapping of str to Component
        The groups as they stand in the file.
    """

    morphology: Morphology
    groups: Mapping[str, frozenset[int]]
    declared: Mapping[str, Component]

    def group(self, component: Component) -> frozenset[int]:
        """Return the segments of the group that something names; all if it names none.

        Raises
        ------
        InputError
            If there is no such group.
        """
        return _member_of(self.groups, component, component.element.get("segmentGroup") or ALL)


def n_divisions(morphology: Component) -> int:
    """Return into how many parts a morphology of one segment is divided.

    Parameters
    ----------
    morphology : Component
    """
    groups = morphology.children.get("segmentGroups", ())
    return max((_divisions(item) or 1 for item in groups), default=1)


def read_morphology(component: Component) -> Region:
    """Read the segments of a morphology, their groups and cables.

    Parameters
    ----------
    component : Component

    Raises
    ------
    InputError
        If segments do not form one tree, or a group names what is not there.
    UnsupportedError
        If a group that is divided branches.
    """
    segments = _read_segments(component.children.get("segments", []))
    declared = {item.id: item for item in component.children.get("segmentGroups", ())}
    groups = _read_groups(declared, segments)
    cables = list(_cables(declared, groups, segments))
    return Region(Morphology(segments, cables), groups, declared)


# Segments


def _read_segments(components: Sequence[Component]) -> dict[int, Segment]:
    """Return the segments by id, each after its parent."""
    declared = {_whole(item.element, "id"): item for item in components}
    parents = {number: _parent(item, declared) for number, item in declared.items()}
    try:
        graph = {number: () if up is None else (up,) for number, up in parents.items()}
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = error.args[1]
        names = ", ".join(str(number) for number in sorted(set(circle)))
        raise InputError(
            Diagnostic(f"segments {names} are each other's parents", declared[circle[0]].span)
        ) from None
    roots = [number for number in order if parents[number] is None]
    if len(roots) > 1:
        raise InputError(
            Diagnostic(
                f"segments {roots[0]} and {roots[1]} both have no parent",
                declared[roots[1]].span,
                ("all segments of a cell hang together: one is the root",),
            )
        )
    segments: dict[int, Segment] = {}
    for number in order:
        segments[number] = _segment(number, declared[number], parents[number], segments)
    return segments


def _parent(component: Component, declared: Mapping[int, Component]) -> int | None:
    for parent in component.children.get("parent", ()):
        number = _whole(parent.element, "segment")
        if number not in declared:
            raise InputError(_no_segment(number, parent.element, "segment"))
        return number
    return None


def _segment(
    number: int, component: Component, parent: int | None, segments: Mapping[int, Segment]
) -> Segment:
    fraction = _fraction(component)
    distal = component.children.get("distal")
    proximal = component.children.get("proximal")
    if not distal or (not proximal and parent is None):
        missing = "proximal" if distal else "distal"
        raise InputError(Diagnostic(f"segment {number} lacks <{missing}>", component.span))
    end, end_diameter = _point(distal[0])
    if proximal or parent is None:
        start, start_diameter = _point((proximal or distal)[0])
    else:
        start, start_diameter = segments[parent].at(fraction)
    if start == end and start_diameter != end_diameter:
        raise InputError(
            Diagnostic(
                f"segment {number} is a sphere, since its ends are one point, "
                "but its diameters differ",
                component.span,
            )
        )
    return Segment(number, start, end, start_diameter, end_diameter, parent, fraction)


def _point(component: Component) -> tuple[Point, float]:
    values = component.values
    if not values["diameter"] > 0.0:
        raise InputError(
            Diagnostic(
                f"the diameter is {values['diameter']:g}, expected more than 0",
                component.element.attribute_span("diameter"),
            )
        )
    return (values["x"], values["y"], values["z"]), values["diameter"]


def _fraction(component: Component) -> float:
    for parent in component.children.get("parent", ()):
        return read_fraction(parent, "fractionAlong", 1.0)
    return 1.0


def read_fraction(component: Component, attribute: str, default: float) -> float:
    """Return an attribute that says how far along a segment something is.

    Parameters
    ----------
    component : Component
    attribute : str
    default : float
        If it is not there.

    Raises
    ------
    InputError
        If it is not from 0 to 1.
    """
    text = component.element.get(attribute)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise InputError(
            Diagnostic(
                f"'{text}' is no fraction of a segment",
                component.element.attribute_span(attribute),
                ("write a number from 0, its proximal end, to 1",),
            )
        )
    return value


def _whole(element: Element, attribute: str) -> int:
    text = element.get(attribute) or ""
    if not text.isdecimal():
        raise InputError(
            Diagnostic(f"'{text}' is no number of a segment", element.attribute_span(attribute))
        )
    return int(text)


def _no_segment(number: int, element: Element, attribute: str) -> Diagnostic:
    return Diagnostic(f"there is no segment {number}", element.attribute_span(attribute))


# Groups


def _read_groups(
    declared: Mapping[str, Component], segments: Mapping[int, Segment]
) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {ALL: frozenset(segments)}
    graph = {
        name: {_included(item, declared) for item in component.children.get("includes", ())}
        for name, component in declared.items()
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        names = ", ".join(sorted(set(error.args[1])))
        raise InputError(
            Diagnostic(
                f"segment groups {names} include each other", declared[error.args[1][0]].span
            )
        ) from None
    for name in order:
        if name in declared:
            found[name] = frozenset(_members(declared[name], segments)).union(
                *(found[other] for other in graph[name])
            )
    return found


def _included(component: Component, declared: Mapping[str, Component]) -> str:
    name = component.element.get("segmentGroup") or ""
    if name not in declared and name != ALL:
        raise InputError(_no_group(name, declared, component))
    return name


def _no_group(name: str, known: Mapping[str, object], component: Component) -> Diagnostic:
    return Diagnostic(
        f"there is no segmentGroup '{name}'",
        component.element.attribute_span("segmentGroup"),
        suggest(name, known),
    )


def _member_of(
    groups: Mapping[str, frozenset[int]], component: Component, name: str
) -> frozenset[int]:
    if name not in groups:
        raise InputError(_no_group(name, groups, component))
    return groups[name]


def _members(component: Component, segments: Mapping[int, Segment]) -> Iterator[int]:
    for member in component.children.get("members", ()):
        yield _named(member, segments)
    for path in component.children.get("paths", ()):
        start, end = _ends(path, segments)
        yield from _path(start, end, segments, path) if end is not None else _below(start, segments)
    for tree in component.children.get("subTrees", ()):
        start, end = _ends(tree, segments)
        yield from _below(start, segments) if end is None else _path(None, end, segments, tree)


def _named(component: Component, segments: Mapping[int, Segment]) -> int:
    number = _whole(component.element, "segment")
    if number not in segments:
        raise InputError(_no_segment(number, component.element, "segment"))
    return number


def _ends(component: Component, segments: Mapping[int, Segment]) -> tuple[int | None, int | None]:
    start, end = (
        next((_named(item, segments) for item in component.children.get(name, ())), None)
        for name in ("from", "to")
    )
    return start, end


def _path(
    start: int | None, end: int, segments: Mapping[int, Segment], component: Component
) -> Iterator[int]:
    """Yield the segments from one up to another, both included; from the root if `start` is None.

    Source: NeuroML 2, path.
    """
    number: int | None = end
    while number is not None:
        yield number
        if number == start:
            return
        number = segments[number].parent
    if start is not None:
        raise InputError(
            Diagnostic(f"segment {end} does not hang on segment {start}", component.span)
        )


def _below(start: int | None, segments: Mapping[int, Segment]) -> set[int]:
    """Return a segment and all that hang on it; all segments if `start` is None."""
    found: set[int] = set()
    for number, item in segments.items():  # parents come first
        if start in (None, number) or item.parent in found:
            found.add(number)
    return found


# Cables


def _divisions(group: Component) -> int | None:
    """Return into how many parts a group is divided, or None if it does not say."""
    for item in group.element.children:
        if item.tag == "property" and item.get("tag") == _DIVISIONS:
            text = (item.get("value") or "").strip()
            if not text.isdecimal() or int(text) < 1:
                raise InputError(
                    Diagnostic(
                        f"a group cannot be divided into '{text}' parts",
                        item.attribute_span("value"),
                        ("write a whole number from 1",),
                    )
                )
            return int(text)
    return None


def _cables(
    declared: Mapping[str, Component],
    groups: Mapping[str, frozenset[int]],
    segments: Mapping[int, Segment],
) -> Iterator[Cable]:
    owners: dict[int, Component] = {}
    for name, group in declared.items():
        divisions = _divisions(group)
        is_section = group.element.get("neuroLexId") == _SECTION
        if not groups[name] or not (is_section or divisions):
            continue
        for number in groups[name]:
            if number in owners:
                raise InputError(
                    Diagnostic(
                        f"segment {number} is in two cables: '{owners[number].id}' and '{name}'",
                        group.span,
                        (f"a cable is marked {_SECTION}, or has {_DIVISIONS}",),
                    )
                )
            owners[number] = group
        yield Cable(_in_a_row(group, groups[name], segments), divisions or 1)
    for number, segment in segments.items():
        if number not in owners:
            yield Cable((segment,))


def _in_a_row(
    group: Component, members: frozenset[int], segments: Mapping[int, Segment]
) -> tuple[Segment, ...]:
    row = [item for number, item in segments.items() if number in members]
    faults = [
        Diagnostic(
            f"'{group.id}' is a cable, but segment {item.id} does not follow segment {before.id}",
            group.span,
            ("a cable has no branches: make each branch a group of its own",),
        )
        for before, item in pairwise(row)
        if item.parent != before.id or item.fraction != 1.0
    ]
    if faults:
        raise UnsupportedError(faults[0])
    return tuple(row)
