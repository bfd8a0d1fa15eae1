"""The models that come with the package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from izhi_models.errors import Diagnostic, InputError, suggest


@dataclass(frozen=True)
class Entry:
    """One model file.

    Parameters
    ----------
    name : str
        By which `izhi run` finds it.
    kind : str
        Folder: ``cells``, ``inputs``, ``simulations``, ...
    path : Path
    summary : str
        First sentence of its notes.
    """

    name: str
    kind: str
    path: Path
    summary: str


def models_folder() -> Path:
    """Return the folder of the models: beside the package, or in it once it is installed."""
    package = Path(__file__).resolve().parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def list_models() -> list[Entry]:
    """Return all models, in order of kind and name."""
    folder = models_folder()
    files = (*folder.glob("*/*.xml"), *folder.glob("*/*.nml"))
    return [
        Entry(path.name.split(".")[0], path.parent.name, path, _summary(path))
        for path in sorted(files)
    ]


def find_model(name: str) -> Path:
    """Return the file of a path, or of the name of a model.

    Parameters
    ----------
    name : str
        A name that several models share means the one that can be run.

    Raises
    ------
    InputError
        If there is neither a file nor a model of this name.
    """
    path = Path(name)
    if path.exists() or path.suffix in (".xml", ".nml") or "/" in name:
        return path
    found = [entry for entry in list_models() if entry.name == name]
    if not found:
        names = [entry.name for entry in list_models()]
        raise InputError(
            Diagnostic(
                f"no such file, and no model of this name: {name}",
                notes=(*suggest(name, names), "izhi list shows the models"),
            )
        )
    runnable = [entry for entry in found if entry.kind in ("simulations", "networks")]
    return (runnable or found)[0].path


_NOTES = re.compile(r"<notes>\s*(.*?)\s*</notes>|<!--\s*(.*?)\s*-->", re.DOTALL)


def _summary(path: Path) -> str:
    match = _NOTES.search(path.read_text(encoding="utf-8"))
    if match is None:
        return ""
    text = " ".join((match[1] or match[2]).split())
    return re.split(r"(?<=[.:;])\s", text, maxsplit=1)[0]
