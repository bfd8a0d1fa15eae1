"""What a check found: one result for each rung, with what, where, by how much, and what to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import CheckError, Diagnostic

Verdict = Literal["holds", "doubtful", "fails", "skipped"]


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Parameters
    ----------
    what : str
        What was compared, and where.
    verdict : {'holds', 'doubtful', 'fails', 'skipped'}
        What is doubtful is no failure.
    measured : str
        By how much, and for a failure where first; why, if it was skipped.
    hint : str
        What to try; empty if it holds.
    """

    what: str
    verdict: Verdict
    measured: str = ""
    hint: str = ""


@dataclass(frozen=True, eq=False)
class Figure:
    """Two traces of one quantity.

    Parameters
    ----------
    title : str
    times_s : array (n,)
    ours, theirs : array (n,)
        [SI]
    unit : str
    labels : (str, str)
    spikes_s : tuple of array
        Ours and theirs.
    """

    title: str
    times_s: NDArray[np.float64]
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    unit: str
    labels: tuple[str, str]
    spikes_s: tuple[NDArray[np.float64], NDArray[np.float64]] = (np.empty(0), np.empty(0))


@dataclass(frozen=True, eq=False)
class Rung:
    """What one rung of the ladder found.

    Parameters
    ----------
    name : str
    findings : tuple of Finding
    figures : tuple of Figure
    seconds : float
        How long it took.
    """

    name: str
    findings: tuple[Finding, ...]
    figures: tuple[Figure, ...] = ()
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Whether all that was compared holds; skipped if nothing was compared."""
        verdicts = {item.verdict for item in self.findings}
        if "fails" in verdicts:
            return "fails"
        if "doubtful" in verdicts:
            return "doubtful"
        return "holds" if "holds" in verdicts else "skipped"

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What does not hold."""
        return tuple(item for item in self.findings if item.verdict == "fails")


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What was found of one file.

    Parameters
    ----------
    path : Path
    rungs : tuple of Rung
        In the order in which they were done.
    provenance : mapping of str to any
    """

    path: Path
    rungs: tuple[Rung, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing failed."""
        return all(rung.verdict != "fails" for rung in self.rungs)

    def rung(self, name: str) -> Rung:
        """Return one rung by its name."""
        return next(item for item in self.rungs if item.name == name)

    def raise_if_failed(self) -> None:
        """Raise what failed.

        Raises
        ------
        CheckError
            With one diagnostic for each failure.
        """
        failures = [(rung, item) for rung in self.rungs for item in rung.failures]
        if failures:
            raise CheckError(
                *(
                    Diagnostic(
                        f"{self.path}: {rung.name}: {item.what}: {item.measured}",
                        notes=(item.hint,) if item.hint else (),
                    )
                    for rung, item in failures
                )
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "file": str(self.path),
            "holds": self.holds,
            "rungs": [
                {
                    "name": rung.name,
                    "verdict": rung.verdict,
                    "seconds": round(rung.seconds, 3),
                    "findings": [
                        {
                            "what": item.what,
                            "verdict": item.verdict,
                            "measured": item.measured,
                            "hint": item.hint,
                        }
                        for item in rung.findings
                    ],
                }
                for rung in self.rungs
            ],
            "provenance": dict(self.provenance),
        }
