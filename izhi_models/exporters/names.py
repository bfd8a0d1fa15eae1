"""Ids as NeuroML allows them."""

from __future__ import annotations

import re


def identifier(text: str) -> str:
    """Return text as an id: letters, digits and _, no digit first."""
    return re.sub(r"\W+|^(?=\d)", "_", text, flags=re.ASCII)


def unique(text: str, taken: set[str]) -> str:
    """Return text as an id that is not taken, and note it as taken.

    Parameters
    ----------
    text : str
    taken : set of str
    """
    name = stem = identifier(text)
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name
