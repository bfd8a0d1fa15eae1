"""Identifiers for people, made from names of a model.

A name of a file may be any text; an identifier here is letters, digits and underscores, and no
word of Python, C++ or ANNarchy.
"""

from __future__ import annotations

import functools
import keyword
import re
from collections.abc import Iterable
from pathlib import Path

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_LONGEST = 60

# Single letters that ANNarchy's code has only where they cannot meet a quantity.
_FAMILIAR = frozenset("abcduvC")

_CPP = frozenset({
    "alignas", "alignof", "and", "and_eq", "asm", "assert", "atomic", "auto", "bitand", "bitor",
    "bool", "break", "case", "catch", "char", "class", "compl", "concept", "const", "consteval",
    "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double",
    "else", "enum", "errno", "explicit", "export", "extern", "false", "float", "for", "friend",
    "goto", "if", "inline", "int", "linux", "long", "mutable", "namespace", "new", "noexcept",
    "not", "not_eq", "nullptr", "offsetof", "operator", "or", "or_eq", "private", "protected",
    "public", "register", "requires", "return", "short", "signed", "sizeof", "static", "stderr",
    "stdin", "stdout", "struct", "switch", "template", "this", "throw", "true", "try",
    "typedef", "typeid", "typename", "union", "unix", "unsigned", "using", "virtual", "void",
    "volatile", "wchar_t", "while", "xor", "xor_eq",
})  # fmt: skip


class Identifiers:
    """Gives each name an identifier that no other has.

    Parameters
    ----------
    package : Path
        Folder of the ANNarchy package, whose words are avoided.
    taken : iterable of str
        Identifiers that are in use already.
    """

    def __init__(self, package: Path, taken: Iterable[str] = ()) -> None:
        self._words = _words(package) | _CPP | frozenset(keyword.kwlist)
        self._taken = set(taken)

    def make(self, name: str) -> str:
        """Return a new identifier that resembles a name.

        Parameters
        ----------
        name : str
            Any text.
        """
        text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_LONGEST]
        if not text[:1].isalpha():
            text = f"x{text}"
        text = re.sub("^g_", "g", text)  # ANNarchy takes g_* for a sum of inputs
        if text not in _FAMILIAR and (text in self._words or text.isupper()):
            text += "_"  # words in capitals are likely to be macros
        found, number = text, 1
        while self._is_used(found) or (found != text and found in self._words):
            number += 1
            found = f"{text.rstrip('_')}_{number}"
        self._taken.add(found)
        return found

    def _is_used(self, text: str) -> bool:
        """Return whether a text is taken, or reads like the derivative of one, or one like its."""
        near = {text, f"d{text}", text.removeprefix("d")}
        return bool(near & self._taken)


@functools.cache
def _words(package: Path) -> frozenset[str]:
    """Return the words in what ANNarchy makes code of, and the names of its attributes."""
    files = [*package.glob("generator/**/*.py"), *package.glob("parser/*.py")]
    files += [*package.glob("include/*"), *package.glob("intern/*.py")]
    files += [package / "core" / name for name in ("Population.py", "Projection.py")]
    found: set[str] = set()
    for file in files:
        found.update(_WORD.findall(file.read_text(encoding="utf-8")))
    return frozenset(found)
