"""The group of commands: how it ends, options that several share, and how anything is shown."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from izhi_models.errors import Diagnostic, IzhiError

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH = 120  # of tables that go to a file


def keep_form(context: click.Context, _: click.Parameter, form: str) -> str:
    """Note how faults are printed, for whoever catches them."""
    context.find_root().obj = form
    return form


FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    callback=keep_form,
    is_eager=True,
    help="How faults are printed.",
)

METHOD = click.option(
    "--method",
    type=click.Choice(
        ["auto", "euler", "exponential_euler", "exponential_midpoint", "midpoint", "rk4"]
    ),
    default="auto",
    show_default=True,
    help="Integrator; auto is exponential_midpoint for cells with gates, euler for all others.",
)

SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help='Another value for a parameter of the file: E/size=400, or noise="3 mV" if only one '
    "component has it.",
)


class _Commands(click.Group):
    """Makes messages and exit codes of the errors of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IzhiError as error:
            print_faults(error.diagnostics, ctx.obj == "json")
            ctx.exit(error.exit_code)


def main() -> None:
    """Run the command; errors become messages and exit codes, never tracebacks."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(commands.main(standalone_mode=False))
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _stop(number: int, _: FrameType | None) -> None:
    """End as after an interrupt, so that files begun are removed."""
    sys.exit(128 + number)


def print_faults(diagnostics: Sequence[Diagnostic], as_json: bool) -> None:
    """Print diagnostics: as data, or for people to standard error."""
    if as_json:
        click.echo(json.dumps([item.to_dict() for item in diagnostics], indent=2))
        return
    for item in diagnostics:
        click.echo(item.render(), err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="izhi-models")
def commands() -> None:
    """Run NeuroML 2 and LEMS models as compiled code.

    FILE is a path, or the name of a model that `izhi list` shows.
    """


def read_settings(texts: Sequence[str]) -> dict[str, str]:
    """Return the values that were set, by name."""
    settings: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise click.UsageError(f"--set {text}: write --set NAME=VALUE")
        if name in settings:
            raise click.UsageError(f"--set {name} is given twice")
        settings[name] = value
    return settings


def folders_of(files: Sequence[str], out: Path | None) -> list[Path]:
    """Return where the results of each file go."""
    if out is not None and len(files) == 1:
        return [out]
    folders = [(out or Path("results")) / Path(file).name.split(".")[0] for file in files]
    for folder in folders:
        if folders.count(folder) > 1:
            raise click.UsageError(f"several files would write to {folder}: run them apart")
    return folders


def print_table(table: Table) -> None:
    """Print a table, not narrower than its texts need where nobody says how wide."""
    from rich.console import Console

    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if known else _WIDTH).print(table)


def shown(path: Path) -> Path:
    """Return a path as it is written from the working folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def showing_progress(hidden: bool) -> Iterator[Callable[[str, float], None]]:
    """Show the stage and its time; while it simulates, how far it is and the time left."""
    if hidden or sys.stderr is None or not sys.stderr.isatty():  # None where it is closed
        yield lambda stage, fraction: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("read", total=None)

        def show(stage: str, fraction: float) -> None:
            if fraction == 0.0:
                bar.reset(task, total=None)
            bar.update(task, description=stage, completed=fraction, total=1.0 if fraction else None)

        yield show
