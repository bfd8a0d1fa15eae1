"""The differences that were found, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from izhi_models.errors import CheckError, Diagnostic

T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """One difference.

    Parameters
    ----------
    kind : str
        ``spikes``, ``trace``, ``component``, ``equation``, ``connections``, ...
    where : str
        The path, component or projection.
    sides : (str, str)
        What each of the two has; empty if it has nothing.
    by : str
        By how much, and where first.
    counts : bool
        False for what both may differ in and still be equal: how a run was made, a component
        that nothing uses.
    """

    kind: str
    where: str
    sides: tuple[str, str] = ("", "")
    by: str = ""
    counts: bool = True


def both(told: Callable[[T], str], first: T, second: T) -> tuple[str, str]:
    """Return what is told of each of two.

    Parameters
    ----------
    told : callable
    first, second : any
    """
    return told(first), told(second)


@dataclass(frozen=True)
class Diff:
    """What a comparison found.

    Parameters
    ----------
    first, second : Path
    differences : tuple of Difference
        Those that do not count last.
    compared : tuple of str
        What was looked at, for people: ``3 populations``.
    """

    first: Path
    second: Path
    differences: tuple[Difference, ...]
    compared: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs that counts."""
        return not any(item.counts for item in self.differences)

    def raise_if_different(self) -> None:
        """Raise what differs.

        Raises
        ------
        CheckError
            With one diagnostic for each difference that counts.
        """
        found = [item for item in self.differences if item.counts]
        if found:
            raise CheckError(*(Diagnostic(self._told(item)) for item in found))

    def _told(self, item: Difference) -> str:
        shown = ""
        if any(item.sides):
            shown = f": {item.sides[0] or 'nothing'}, and {item.sides[1] or 'nothing'}"
        return f"{self.first} and {self.second}: {item.kind}: {item.where}{shown}" + (
            f": {item.by}" if item.by else ""
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "first": str(self.first),
            "second": str(self.second),
            "equal": self.is_equal,
            "compared": list(self.compared),
            "differences": [asdict(item) for item in self.differences],
        }
