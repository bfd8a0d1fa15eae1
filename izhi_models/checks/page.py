"""Writes a report: check.json for programs, check.html for people, with its figures inside."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from izhi_models.checks.report import CheckReport, Figure, Finding, Rung
from izhi_models.files import replacing

_COLORS = ("#0072b2", "#d55e00")  # Okabe and Ito (2008): told apart by everyone
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; }
th, td { border-bottom: 1px solid #8884; }
.holds { color: #087f5b; } .fails { color: #c92a2a; font-weight: 600; }
.doubtful { color: #b35c00; } .skipped { color: #777; }
img { max-width: 100%; background: white; }
small { color: #777; }
"""


def write_report(report: CheckReport, folder: Path) -> tuple[Path, ...]:
    """Write a report into a folder.

    Parameters
    ----------
    report : CheckReport
    folder : Path
        Made if it is not there.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    InputError
        If one cannot be written.
    """
    data, page = folder / "check.json", folder / "check.html"
    with replacing(data) as temporary:
        temporary.write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
    with replacing(page) as temporary:
        temporary.write_text("\n".join(_page(report)) + "\n", encoding="utf-8")
    return data, page


def _page(report: CheckReport) -> Iterator[str]:
    title = html.escape(f"{report.path.name}: {'holds' if report.holds else 'fails'}")
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
    for rung in report.rungs:
        yield from _section(rung)
    yield f"<small><pre>{html.escape(json.dumps(dict(report.provenance), indent=1))}</pre></small>"
    yield "</body></html>"


def _section(rung: Rung) -> Iterator[str]:
    yield (
        f'<h2>{rung.name}: <span class="{rung.verdict}">{rung.verdict}</span> '
        f"<small>{rung.seconds:.1f} s</small></h2><table>"
    )
    yield "<tr><th>what<th><th>measured<th>what to try</tr>"
    for item in rung.findings:
        yield _row(item)
    yield "</table>"
    for figure in rung.figures:
        yield f"<h3>{html.escape(figure.title)}</h3>"
        yield f'<img alt="{html.escape(figure.title)}" src="{_drawn(figure)}">'


def _row(item: Finding) -> str:
    what, measured, hint = (html.escape(text) for text in (item.what, item.measured, item.hint))
    return f'<tr><td>{what}<td class="{item.verdict}">{item.verdict}<td>{measured}<td>{hint}</tr>'


def _drawn(figure: Figure) -> str:
    """Return a picture: both traces over each other, spikes above, the difference below."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(10, 4.2), layout="constrained")
    upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    times = figure.times_s * 1e3
    upper.plot(times, figure.theirs, color=_COLORS[1], lw=2.4, alpha=0.6, label=figure.labels[1])
    upper.plot(times, figure.ours, color=_COLORS[0], lw=0.9, label=figure.labels[0])
    tops = (1.06, 1.02)
    for spikes, color, top in zip(figure.spikes_s, _COLORS, tops, strict=True):
        height = np.full(spikes.size, top)
        upper.plot(
            spikes * 1e3,
            height,
            "|",
            color=color,
            transform=upper.get_xaxis_transform(),
            clip_on=False,
            ms=5,
        )
    upper.set_ylabel(figure.unit or "1")
    upper.legend(loc="upper right", frameon=False, fontsize=8)
    lower.plot(times, figure.ours - figure.theirs, color="0.35", lw=0.8)
    lower.axhline(0.0, color="0.7", lw=0.6)
    lower.set_ylabel("difference")
    lower.set_xlabel("time (ms)")
    for axis in (upper, lower):
        axis.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    canvas.savefig(picture, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode('ascii')}"
