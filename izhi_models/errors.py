"""Diagnostics with source positions, and the exceptions that carry them.

A stage collects `Diagnostic` objects and raises one exception with all of them; only the
command line renders and exits.
"""

from __future__ import annotations

import bisect
import difflib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_EXCERPT = 160  # characters of a source line in a message

Severity = Literal["error", "warning"]


class Source:
    """The text of one file as it was read.

    Parameters
    ----------
    path : Path
        Where the text came from, as it is shown to the user.
    text : str or callable
        The whole decoded text, or what returns it when it is needed.
    """

    def __init__(self, path: Path, text: str | Callable[[], str]) -> None:
        self.path = path
        self._text = text

    @functools.cached_property
    def text(self) -> str:
        """The whole text."""
        return self._text if isinstance(self._text, str) else self._text()

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column, both counted from 1, of a character offset."""
        starts = _line_starts(self.text)
        line = bisect.bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of line `number`, counted from 1, without its line end."""
        starts = _line_starts(self.text)
        if not 0 < number <= len(starts):
            return ""
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r\n")


@functools.lru_cache(maxsize=8)
def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


@dataclass(frozen=True)
class Span:
    """A range of characters in a source.

    Parameters
    ----------
    source : Source
    start, end : int
        Character offsets, `end` exclusive.
    """

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, counted from 1."""
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        """Column of the first character, counted from 1."""
        return self.source.position(self.start)[1]

    def excerpt(self) -> str:
        """Return the source line with a caret line below it."""
        line, column = self.source.position(self.start)
        text = self.source.line(line)
        # A file without line breaks is one line: show what is near.
        cut = max(0, column - 1 - _EXCERPT // 2) if len(text) > _EXCERPT else 0
        text, column = text[cut : cut + _EXCERPT], column - cut
        width = max(1, min(self.end - self.start, len(text) - column + 1))
        lead = "".join("\t" if char == "\t" else " " for char in text[: column - 1])
        return f"  {text}\n  {lead}{'^' * width}"


@dataclass(frozen=True)
class Note:
    """What helps with a diagnostic: the cause, a second place, what to do."""

    text: str
    span: Span | None = None


@dataclass(frozen=True)
class Diagnostic:
    """One fault or doubt, with its place.

    Parameters
    ----------
    message : str
        What was found and what was expected, one line.
    span : Span, optional
        Where.
    notes : tuple of Note or str
        What to do about it; rendered below.
    severity : {'error', 'warning'}
    """

    message: str
    span: Span | None = None
    notes: tuple[Note | str, ...] = ()
    severity: Severity = "error"

    def render(self) -> str:
        """Return `file:line:col: error: message`, the source line, a caret and the notes."""
        lines = [_headline(self.severity, self.message, self.span)]
        if self.span is not None:
            lines.append(self.span.excerpt())
        for item in self.notes:
            note = item if isinstance(item, Note) else Note(item)
            lines.append(_headline("note", note.text, note.span) if note.span else f"  {note.text}")
            if note.span is not None:
                lines.append(note.span.excerpt())
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the diagnostic as plain data, for `--format json`."""
        return {
            "severity": self.severity,
            "message": self.message,
            **_place(self.span),
            "notes": [
                {"text": note.text, **_place(note.span)}
                for note in (Note(item) if isinstance(item, str) else item for item in self.notes)
            ],
        }


def _headline(kind: str, message: str, span: Span | None) -> str:
    if span is None:
        return f"{kind}: {message}"
    return f"{span.source.path}:{span.line}:{span.column}: {kind}: {message}"


def _place(span: Span | None) -> dict[str, object]:
    if span is None:
        return {}
    return {"file": str(span.source.path), "line": span.line, "column": span.column}


class IzhiError(Exception):
    """Base of all errors that a user can cause or must be told of.

    Parameters
    ----------
    diagnostics : Diagnostic or str
        At least one.
    """

    exit_code = 1

    def __init__(self, *diagnostics: Diagnostic | str) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(
            Diagnostic(item) if isinstance(item, str) else item for item in diagnostics
        )
        super().__init__(*self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(item.render() for item in self.diagnostics)


class InputError(IzhiError):
    """The user's file or argument is wrong."""

    exit_code = 2


class UnsupportedError(IzhiError):
    """The file is valid, but the target cannot express it."""

    exit_code = 3


class BackendError(IzhiError):
    """ANNarchy or the compiler failed."""

    exit_code = 4


class RunError(IzhiError):
    """The simulation itself failed: not a number, infinite, or runaway."""

    exit_code = 5


class CheckError(IzhiError):
    """A run does not mean what the specification says."""

    exit_code = 6


class InternalError(IzhiError):
    """A check of our own data failed: a bug in this package, never the user's fault."""

    exit_code = 70


def raise_if_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise one `InputError` with all diagnostics that are errors, if there are any."""
    errors = [item for item in diagnostics if item.severity == "error"]
    if errors:
        raise InputError(*errors)


@contextmanager
def noted(faults: list[Diagnostic]) -> Iterator[None]:
    """Note an `InputError` of the block instead of raising it, so that all faults are told at once.

    Parameters
    ----------
    faults : list of Diagnostic
        Gets those of the error.
    """
    try:
        yield
    except InputError as error:
        faults.extend(error.diagnostics)


def suggest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return a note that offers the known names nearest to `name`, or none.

    Parameters
    ----------
    name : str
        What was written.
    known : iterable of str
        What could have been meant.
    """
    candidates: Sequence[str] = sorted(set(known))
    near = [item for item in candidates if item.lower() == name.lower()]
    near = near or difflib.get_close_matches(name, candidates, n=3, cutoff=0.6)
    if near:
        return (f"did you mean {' or '.join(repr(item) for item in near)}?",)
    if 0 < len(candidates) <= 8:
        return (f"known here: {', '.join(candidates)}",)
    return ()
