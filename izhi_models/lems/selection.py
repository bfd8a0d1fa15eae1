"""Which cells a path means that is to be recorded: ``pop/v``, ``pop[0:100]/v``, ``pop[0,5]/v``.

With one number in brackets it is a path of NeuroML 2; the rest is as Python indexes a sequence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from izhi_models.errors import Diagnostic, InputError
from izhi_models.network import Population

_PATH = re.compile(r"(?P<population>[^\[\]/]+)(?:\[(?P<cells>[^\[\]/]*[:,][^\[\]/]*)\]|(?!/\d))/.+")
_ITEM = re.compile(r"\s*(?P<start>\d*)(?:(?P<range>:)(?P<stop>\d*)(?::(?P<step>\d*))?)?\s*")


def select_cells(
    path: str, populations: dict[str, Population]
) -> tuple[Population, Sequence[int]] | None:
    """Return the cells that a path means, or None if it is the path of one cell.

    Parameters
    ----------
    path : str
    populations : dict of str to Population

    Raises
    ------
    InputError
        If there are no such cells.
    """
    match = _PATH.fullmatch(path)
    population = populations.get(match["population"]) if match else None
    if match is None or population is None:
        return None
    text = match["cells"]
    if text is None:
        return population, range(population.size)
    chosen = {cell for item in text.split(",") for cell in _cells(item, population)}
    return population, sorted(chosen)


def _cells(text: str, population: Population) -> range:
    match = _ITEM.fullmatch(text)
    size = population.size
    if match is None or not (match["start"] or match["range"]) or match["step"] == "0":
        hint = f"write {population.id}[0:{size}] or {population.id}[0,1]"
        raise InputError(Diagnostic(f"'{text}' selects no cells", notes=(hint,)))
    start = int(match["start"] or 0)
    stop = int(match["stop"] or size) if match["range"] else start + 1
    found = range(start, stop, int(match["step"] or 1))
    if not found or found[-1] >= size:
        message = f"'{population.id}' has {size} cells, numbered from 0: '{text}' selects others"
        raise InputError(Diagnostic(message if found else f"'{text}' selects no cells"))
    return found
