"""Names of quantities for people: what a file calls the parts of a cell, in place of numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from izhi_models.lems.components import Component, Model
from izhi_models.network import Population

_PLACE = re.compile(r"(?P<list>[^\[\]]+)\[(?P<number>\d+)\]")


class Paths:
    """Names in the dynamics of populations that are simulated as one.

    Parameters
    ----------
    model : Model
        The declarations.
    populations : sequence of Population
    """

    def __init__(self, model: Model, populations: Sequence[Population]) -> None:
        self._model = model
        self._cells = [model.components.get(item.component) for item in populations]
        attached: dict[str, set[str]] = {}
        for population in populations:
            for item in population.attached:
                attached.setdefault(item.place, set()).add(item.id)
            for component, places in population.synapses.items():
                for place in places:
                    attached.setdefault(place, set()).add(component)
        self._attached = {place: min(found) for place, found in attached.items() if found}

    def readable(self, name: str) -> str:
        """Return a name with ids of components where it has numbers.

        Parameters
        ----------
        name : str
            In the dynamics: ``populations[1]/ionChannel/gates[0]/q``.
        """
        *places, last = name.split("/")
        if places and places[0] in self._attached:
            id_ = self._attached[places[0]]
            owner = self._model.components.get(id_)
            return "/".join([id_, *self._labels(owner, places[1:]), last])
        found = {tuple(self._labels(cell, places)) for cell in self._cells}
        labels = list(found.pop()) if len(found) == 1 else places
        return "/".join([*labels, last])

    def _labels(self, component: Component | None, places: Sequence[str]) -> list[str]:
        labels = []
        for place in places:
            match = _PLACE.fullmatch(place)
            if match is None:
                component = self._only_child(component, place)
                labels.append(place)
                continue
            listed = component.children.get(match["list"], []) if component else []
            number = int(match["number"])
            component = listed[number] if number < len(listed) else None
            labels.append(component.id if component and component.id else place)
        return labels

    def _only_child(self, component: Component | None, place: str) -> Component | None:
        if component is None:
            return None
        if place in component.children:
            return component.children[place][0]
        return self._model.components.get(component.texts.get(place, ""))

    def notes(self) -> str:
        """Return the first sentence of the notes of the cell, if all have the same component."""
        ids = {id(cell) for cell in self._cells}
        cell = self._cells[0]
        return first_sentence(cell) if len(ids) == 1 and cell is not None else ""


def first_sentence(component: Component) -> str:
    """Return the first sentence of a component's notes; empty if it has none.

    Parameters
    ----------
    component : Component
    """
    for notes in component.element.find("notes"):
        text = notes.document.source.text[notes.document.offset(notes.start) :]
        inner = text[text.index(">") + 1 :].partition("<")[0]
        return re.split(r"(?<=\.)\s", " ".join(inner.split()))[0][:160]
    return ""


def shortest(names: Iterable[str]) -> dict[str, str]:
    """Return for each path its shortest end that no other path has.

    Parameters
    ----------
    names : iterable of str
    """
    paths = {name: name.split("/") for name in names}
    ends: dict[str, set[str]] = {}
    for name, parts in paths.items():
        for count in range(1, len(parts) + 1):
            ends.setdefault("/".join(parts[-count:]), set()).add(name)
    return {
        name: next(
            end
            for end in ("/".join(parts[-count:]) for count in range(1, len(parts) + 1))
            if len(ends[end]) == 1 or end == name
        )
        for name, parts in paths.items()
    }


def one_line(text: str) -> str:
    """Return text that cannot end a comment or a string."""
    return re.sub(r"[^ -~]|[\"\\]", "?", text)
