"""`izhi check`, `conform` and `diff`: what a run is worth, and how two differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from izhi_models.cli.group import (
    FORMAT,
    METHOD,
    commands,
    folders_of,
    print_table,
    showing_progress,
    shown,
)
from izhi_models.errors import CheckError

if TYPE_CHECKING:
    from izhi_models.checks import CheckReport, Diff

_ROWS = 8  # of a table, for what holds of one rung


@commands.command()
@click.argument("file")
@click.option(
    "--rung",
    "rungs",
    multiple=True,
    metavar="NAME",
    help="spec, equations, trajectory, reference, expected, invariants [all]; may be repeated.",
)
@click.option("--tolerance", metavar="TIME", help='Find the step for spikes within "0.1 ms".')
@click.option(
    "--expected",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File of published results (.omt) [those beside FILE that name it].",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder [results/NAME].")
@click.option("--seed", type=int, default=1234, show_default=True, help="Of the random states.")
@METHOD
@click.option("--quiet", is_flag=True, help="Print nothing but faults.")
@FORMAT
def check(file: str, out: Path | None, form: str, quiet: bool, **options: Any) -> None:
    """Check FILE and its run against the specification. Write check.json and check.html."""
    from izhi_models.checks import RUNGS
    from izhi_models.checks import check as climb
    from izhi_models.checks.page import write_report

    rungs = options.pop("rungs") or RUNGS
    with showing_progress(quiet or form == "json") as progress:
        report = climb(file, rungs, progress=progress, **options)
    (folder,) = folders_of([file], out)
    written = write_report(report, folder)
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=2))
    elif not quiet:
        _print_table(report)
        for path in written:
            click.echo(f"wrote {shown(path)}")
    report.raise_if_failed()


@commands.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@click.option(
    "--rung",
    "rungs",
    multiple=True,
    metavar="NAME",
    help="As of `izhi check` [spec and equations]; OMV tests are compared with what they expect.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True)
@METHOD
@FORMAT
def conform(paths: tuple[Path, ...], form: str, **options: Any) -> None:
    """Check all LEMS files and OMV tests at PATHs. Look in folders below, too; print one table."""
    from izhi_models.checks.conform import conform as check_all
    from izhi_models.checks.conform import find_files

    rungs = options.pop("rungs") or ("spec", "equations")
    found = []
    for item in check_all(find_files(paths), rungs, **options):
        found.append(item)
        if form == "text":
            click.echo(f"{item.verdict:8} {item.seconds:6.1f} s  {shown(item.path)}  {item.told}")
    if form == "json":
        rows = [{**vars(item), "path": str(item.path)} for item in found]
        click.echo(json.dumps(rows, indent=2))
    else:
        counts = ", ".join(
            f"{sum(item.verdict == verdict for item in found)} {verdict}"
            for verdict in ("holds", "doubtful", "fails", "skipped")
        )
        click.echo(f"{len(found)} files: {counts}")
    if any(item.verdict == "fails" for item in found):
        sys.exit(CheckError.exit_code)


@commands.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--tolerance", metavar="TIME", default="0 ms", help="How far spikes may be apart [not at all]."
)
@click.option(
    "--relative",
    type=click.FloatRange(0.0),
    default=1e-9,
    show_default=True,
    help="How far traces may be apart, as a part of the largest value of each.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but faults.")
@FORMAT
def diff(first: str, second: str, form: str, quiet: bool, **options: Any) -> None:
    """Compare two folders of results, or two models. Exit 1 if they differ.

    Models are compared in SI, by their equations and their sets of connections, not by their text.
    """
    from izhi_models.checks import diff as compare

    found = compare(first, second, **options)
    if form == "json":
        click.echo(json.dumps(found.to_dict(), indent=2))
    elif not quiet:
        _print_differences(found)
    if not found.is_equal:
        sys.exit(1)


def _print_differences(found: Diff) -> None:
    from rich.table import Table

    counted = sum(item.counts for item in found.differences)
    if found.differences:
        table = Table("", "where", escape(str(found.first)), escape(str(found.second)), "")
        for item in found.differences:
            style = None if item.counts else "dim"
            kind = item.kind if item.counts else f"({item.kind})"
            table.add_row(kind, *map(escape, (item.where, *item.sides, item.by)), style=style)
        print_table(table)
    told = f"{counted} difference{'s' if counted != 1 else ''}" if counted else "equal"
    click.echo(f"{told}; compared: {', '.join(found.compared)}")


def _print_table(report: CheckReport) -> None:
    """Print a line for each comparison: all that do not hold, the first few of those that do."""
    from rich.table import Table

    table = Table("rung", "what", "", "measured", title=str(shown(report.path)))
    colors = {"holds": "green", "doubtful": "yellow", "fails": "red", "skipped": "dim"}
    for rung in report.rungs:
        held = [item for item in rung.findings if item.verdict == "holds"]
        for item in rung.findings:
            if item in held[_ROWS:]:
                continue
            color = colors[item.verdict]
            cells = (escape(item.what), f"[{color}]{item.verdict}[/]", escape(item.measured))
            table.add_row(f"{rung.name} ({rung.seconds:.1f} s)", *cells)
        if len(held) > _ROWS:
            table.add_row(rung.name, f"and {len(held) - _ROWS} more", "[green]holds[/]", "")
    print_table(table)
