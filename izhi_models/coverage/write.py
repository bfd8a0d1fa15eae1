"""Write the table of types as data, or as Markdown, which leaves out types without notes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from izhi_models.coverage.table import STATUSES, Coverage


def to_json(rows: Sequence[Coverage]) -> str:
    """Return the types as a list of objects."""
    return json.dumps([vars(item) for item in rows], indent=2)


def to_markdown(rows: Sequence[Coverage]) -> str:
    """Return how many types of each file have which status, and those with notes."""
    used = [status for status in STATUSES if any(item.status == status for item in rows)]
    lines = [f"| | {' | '.join(used)} |", f"|---|{'---|' * len(used)}"]
    groups = [(file, list(items)) for file, items in groupby(rows, lambda item: item.file)]
    for file, items in [*groups, ("together", list(rows))]:
        counts = (sum(item.status == status for item in items) for status in used)
        lines.append(f"| {file} | {' | '.join(map(str, counts))} |")
    lines += ["", "| type | | |", "|---|---|---|"]
    for item in rows:
        if item.notes:
            told = _escaped("; ".join(item.notes))
            lines.append(f"| `{item.name}` | {item.status} | {told} |")
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
