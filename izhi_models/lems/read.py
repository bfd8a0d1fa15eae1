"""Read files into elements, with all files that they include.

Nothing outside the file system is read: remote includes are refused. NeuroML's core
ComponentTypes come out of the archive that pyNeuroML installs.
"""

from __future__ import annotations

import codecs
import functools
import importlib.util
import io
import re
import shutil
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from izhi_models.errors import Diagnostic, InputError, Note, Source, noted, raise_if_errors
from izhi_models.lems.elements import Document, Element
from izhi_models.library import models_folder

CORE_FOLDER = "NeuroML2CoreTypes"
SCHEMA_FILE = "Schemas/NeuroML2/NeuroML_v2.3.1.xsd"
CORE_FILES = (
    "NeuroML2CoreTypes.xml",
    "NeuroMLCoreDimensions.xml",
    "NeuroMLCoreCompTypes.xml",
    "Cells.xml",
    "Channels.xml",
    "Inputs.xml",
    "Networks.xml",
    "PyNN.xml",
    "Simulation.xml",
    "Synapses.xml",
)


HDF5_SUFFIXES = (".h5", ".hdf5")
NEUROMLLITE_SUFFIXES = (".json", ".yaml", ".yml")
_CHUNK = 2**22  # bytes that are read at once


def read_document(path: Path) -> Document:
    """Read one file.

    Parameters
    ----------
    path : Path
        XML, or a network in HDF5 if its name says so.

    Raises
    ------
    InputError
        If the file is missing, not readable, not text, or not well-formed XML.
    """
    if path.suffix in HDF5_SUFFIXES:
        from izhi_models.lems.hdf5 import read_hdf5  # importing h5py takes long

        return read_hdf5(path)
    try:
        with path.open("rb") as stream:
            return _document(path, stream)
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory, not a file") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _document(path: Path, stream: BinaryIO, *, is_core: bool = False) -> Document:
    first = stream.read(_CHUNK)
    try:
        encoding = _encoding(first)
        b"    ".decode(encoding, "ignore")  # refuses what is a codec, but not of text
        decoder = codecs.getincrementaldecoder(encoding)()
        text = decoder.decode(first, len(first) < _CHUNK).removeprefix("\ufeff")
        if not text.strip():
            raise InputError(f"{path} is empty")
        # A long text is read again when a message shows a part of it.
        source = Source(path, text if len(first) < _CHUNK else lambda: _text(path))
        return Document(source, _chunks(text, stream, decoder), is_core=is_core)
    except (UnicodeError, LookupError) as error:
        raise InputError(f"{path} is not text in its declared encoding: {error}") from None


def _chunks(first: str, stream: BinaryIO, decoder: codecs.IncrementalDecoder) -> Iterator[bytes]:
    """Yield the text of a file in UTF-8."""
    yield first.encode("utf-8")
    while data := stream.read(_CHUNK):
        yield decoder.decode(data).encode("utf-8")
    yield decoder.decode(b"", True).encode("utf-8")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode(_encoding(data)).removeprefix("\ufeff")
    except (OSError, UnicodeError):
        return ""  # it is gone: messages come without excerpts


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    declared = re.match(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""", data)
    return declared[1].decode("ascii") if declared else "utf-8"


@functools.lru_cache(maxsize=1)
def core_archive() -> Path:
    """Return the path of the archive that holds NeuroML's core ComponentTypes.

    Raises
    ------
    InputError
        If pyNeuroML is not installed, or without its archive.
    """
    spec = importlib.util.find_spec("pyneuroml")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for archive in sorted(Path(folder, "lib").glob("jNeuroML-*-jar-with-dependencies.jar")):
            return archive
    raise InputError("pyNeuroML is not installed, or without its jNeuroML archive")


@functools.lru_cache(maxsize=1)
def _core_texts() -> dict[str, bytes]:
    # Opening the archive costs more than reading all of this, so it is opened once.
    with zipfile.ZipFile(core_archive()) as archive:
        texts = {name: archive.read(f"{CORE_FOLDER}/{name}") for name in CORE_FILES}
        return {**texts, SCHEMA_FILE: archive.read(SCHEMA_FILE)}


def schema_text() -> bytes:
    """Return the NeuroML 2 schema, XSD."""
    return _core_texts()[SCHEMA_FILE]


def core_file_of(type_name: str) -> str | None:
    """Return the core file that declares a ComponentType, or None."""
    declared = re.compile(rb'<ComponentType\s+name="%b"' % re.escape(type_name.encode()))
    return next((name for name in CORE_FILES if declared.search(_core_texts()[name])), None)


@functools.cache
def core_document(name: str) -> Document:
    """Read one file of NeuroML's core ComponentTypes, such as ``Cells.xml``."""
    path = Path(core_archive().name, CORE_FOLDER, name)
    return _document(path, io.BytesIO(_core_texts()[name]), is_core=True)


def read_with_includes(path: Path) -> list[Document]:
    """Read a file and everything that it includes, each once.

    Parameters
    ----------
    path : Path
        A file with root ``<Lems>`` or ``<neuroml>``. The latter implies all core types. One of
        NeuroMLlite gives the documents that are built of it.

    Returns
    -------
    list of Document
        Included files before those that include them.

    Raises
    ------
    InputError
        With every file that is missing or malformed, has another root, or includes itself.
    """
    if path.suffix in NEUROMLLITE_SUFFIXES:
        return _read_built(path)
    return with_includes(read_document(path), path)


def with_includes(document: Document, path: Path) -> list[Document]:
    """Read everything that a document includes, each once.

    Parameters
    ----------
    document : Document
        Read from a file, or made.
    path : Path
        From which paths of included files start.

    Returns
    -------
    list of Document
        Included files before those that include them; the document last.

    Raises
    ------
    InputError
        As `read_with_includes`.
    """
    ordered: dict[str, Document] = {}
    faults: list[Diagnostic] = []
    _read_into(ordered, document, path.resolve(), [], faults)
    raise_if_errors(faults)
    return list(ordered.values())


def _read_built(path: Path) -> list[Document]:
    """Build and read the NeuroML of a NeuroMLlite file."""
    from izhi_models.lems.neuromllite import build_neuroml, building  # few files need it

    built = build_neuroml(path)
    with building(built.parent):
        documents = read_with_includes(built)
    for document in documents:
        if document.source.path.is_relative_to(built.parent):
            document.source.path = Path(f"{path}:{document.source.path.name}")
    # A long text is read again when a message shows a part of it.
    weakref.finalize(documents[-1], shutil.rmtree, built.parent, ignore_errors=True)
    return documents


def _read_into(
    ordered: dict[str, Document],
    document: Document,
    path: Path,
    chain: list[Path],
    faults: list[Diagnostic],
) -> None:
    root = document.root
    if root.tag not in ("Lems", "neuroml"):
        hint = "is this a NeuroML 2 or LEMS file?"
        message = f"root element <{root.tag}>, expected <Lems> or <neuroml>"
        faults.append(Diagnostic(message, root.span, (hint,)))
        return
    if root.tag == "neuroml":
        for name in CORE_FILES:
            _read_core(ordered, name)
    for include in root.children:
        if include.tag in ("Include", "include"):
            with noted(faults):
                _read_include(ordered, include, path, chain, faults)
    ordered[str(path)] = document


def _read_include(
    ordered: dict[str, Document],
    include: Element,
    path: Path,
    chain: list[Path],
    faults: list[Diagnostic],
) -> None:
    attribute = "file" if include.tag == "Include" else "href"
    target = _include_target(include, attribute, path.parent)
    if target == path or target in chain:
        steps = " -> ".join(item.name for item in [*chain, path, target])
        raise InputError(
            Diagnostic(f"circular include: {steps}", include.attribute_span(attribute))
        )
    if isinstance(target, str):
        _read_core(ordered, target)
    elif str(target) not in ordered:
        try:
            included = read_document(target)
        except InputError as error:
            first = error.diagnostics[0]
            note = Note("included here", include.attribute_span(attribute))
            raise InputError(Diagnostic(first.message, first.span, (*first.notes, note))) from None
        _read_into(ordered, included, target, [*chain, path], faults)


# Inputs.xml extends types of a file that it does not include.
_CORE_NEEDS = {"Inputs.xml": ("NeuroMLCoreCompTypes.xml",)}


def _read_core(ordered: dict[str, Document], name: str) -> None:
    key = f"core:{name}"
    if key in ordered:
        return
    document = core_document(name)
    included = [Path(item.attributes["file"]).name for item in document.root.find("Include")]
    for needed in (*_CORE_NEEDS.get(name, ()), *included):
        _read_core(ordered, needed)
    ordered[key] = document


def _include_target(include: Element, attribute: str, folder: Path) -> Path | str:
    """Return the path of a file, or the name of a core file."""
    name = include.get(attribute)
    if not name:
        raise InputError(Diagnostic(f"<{include.tag}> lacks '{attribute}'", include.span))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
        raise InputError(
            Diagnostic(
                f"remote include '{name}'",
                include.attribute_span(attribute),
                ("download the file and include it by its path",),
            )
        )
    path = folder / name
    try:
        path = path.resolve()
        if path.is_file():
            return path
    except (OSError, RuntimeError):
        pass  # a name that no file can have, or links in a circle: not found either way
    base = Path(name).name
    if base in CORE_FILES:
        return base
    span = include.attribute_span(attribute)
    notes = [f"looked for {path}"]
    shipped = (file for file in models_folder().rglob("*") if file.name == base)
    notes += [f"the package has one: {file}" for file in shipped]
    raise InputError(Diagnostic(f"included file not found: '{name}'", span, tuple(notes)))
