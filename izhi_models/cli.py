"""The command `izhi`. The only place that prints or exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from izhi_models.errors import Diagnostic, IzhiError

if TYPE_CHECKING:
    from izhi_models.execute import Report

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How faults are printed.",
)


def main() -> None:
    """Run the command; errors become messages and exit codes, never tracebacks."""
    try:
        commands.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except IzhiError as error:
        _report(error.diagnostics, _wants_json())
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


def _wants_json() -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.params.get("form") == "json") or "json" in _format_argument()


def _format_argument() -> Sequence[str]:
    arguments = sys.argv[1:]
    given = [item.partition("=")[2] for item in arguments if item.startswith("--format=")]
    return given + [b for a, b in pairwise(arguments) if a == "--format"]


def _report(diagnostics: Sequence[Diagnostic], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([item.to_dict() for item in diagnostics], indent=2))
        return
    for item in diagnostics:
        click.echo(item.render(), err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="izhi-models")
def commands() -> None:
    """Run NeuroML 2 and LEMS models as compiled code.

    FILE is a path, or the name of a model that `izhi list` shows.
    """


@commands.command()
@click.argument("file")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [results/NAME].")
@click.option("--duration", metavar="TIME", help='Such as "500 ms" [what the file asks for].')
@click.option("--dt", metavar="TIME", help='Step, such as "0.01 ms" [what the file asks for].')
@click.option("--seed", type=int, help="Of all random numbers [that of the file, or 1234].")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option(
    "--precision", type=click.Choice(["double", "float"]), default="double", show_default=True
)
@click.option(
    "--method",
    type=click.Choice(["euler", "exponential_euler", "midpoint", "rk4"]),
    default="euler",
    show_default=True,
    help="Integrator.",
)
@click.option(
    "--record", multiple=True, metavar="PATH", help="Record this too: pop[0]/v, or pop/v for all."
)
@click.option("--no-plot", is_flag=True, help="Draw no pictures.")
@click.option("--quiet", is_flag=True, help="Print nothing but faults.")
@FORMAT
def run(
    file: str,
    out: Path | None,
    form: str,
    no_plot: bool,
    quiet: bool,
    record: tuple[str, ...],
    **options: Any,
) -> None:
    """Simulate FILE; write its output files, results.h5, run.json and pictures."""
    from izhi_models.execute import Settings, execute

    stem = Path(file).name.split(".")[0]
    settings = Settings(
        out=out or Path("results", stem),
        record=record,
        plot=not no_plot,
        command=("izhi", *sys.argv[1:]),
        **options,
    )
    with _progress(quiet or form == "json") as progress:
        report = execute(file, settings, progress)
    _report([item for item in report.warnings if not quiet], form == "json")
    if not quiet:
        for line in _summary(report):
            click.echo(line)


def _summary(report: Report) -> Iterator[str]:
    results = report.results
    for population, trains in results.spikes.items():
        size = trains.n_neurons
        yield (
            f"{population}: {size} neuron{'s' if size > 1 else ''}, {trains.count} "
            f"spike{'s' if trains.count != 1 else ''}, {trains.rate_hz:.4g} Hz"
        )
    seconds = ", ".join(f"{stage} {value:.2f} s" for stage, value in report.timings.items())
    compiled = "compiled before" if report.was_cached else "compiled now"
    yield f"simulated {results.duration_s * 1e3:g} ms ({compiled}): {seconds}"
    for path in (*report.files, *report.pictures):
        yield f"wrote {_shown(path)}"


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def _progress(hidden: bool) -> Iterator[Callable[[str, float], None]]:
    """Show the stage and, while it simulates, how far it is and the time that is left."""
    if hidden or not sys.stderr.isatty():
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
        task = bar.add_task("read", total=1.0)
        yield lambda stage, fraction: bar.update(task, description=stage, completed=fraction)


@commands.command()
@click.argument("files", nargs=-1, required=True)
@FORMAT
def validate(files: tuple[str, ...], form: str) -> None:
    """Check FILES against the schema and the rules of the specification."""
    from izhi_models.lems.validate import validate as find_faults
    from izhi_models.library import find_model

    found: list[Diagnostic] = []
    for file in files:
        faults = find_faults(find_model(file))
        found += faults
        if form == "text":
            _report(faults, as_json=False)
            if not any(item.severity == "error" for item in faults):
                click.echo(f"{file}: valid")
    if form == "json":
        _report(found, as_json=True)
    if any(item.severity == "error" for item in found):
        sys.exit(2)


@commands.command()
@click.argument("file")
@click.option(
    "--dump", type=click.Choice(["ir", "program"]), help="Print a stage of the translation instead."
)
@FORMAT
def show(file: str, dump: str | None, form: str) -> None:
    """Show the components of FILE and the equations as they are simulated."""
    from izhi_models import pipeline

    text = pipeline.show(file) if dump is None else pipeline.load(file).dump(dump)
    click.echo(text, nl=False)


@commands.command("list")
def list_command() -> None:
    """List the models that come with the package."""
    from izhi_models.library import list_models

    entries = list_models()
    width = max((len(entry.name) for entry in entries), default=0)
    kind = ""
    for entry in entries:
        if entry.kind != kind:
            kind = entry.kind
            click.echo(f"{kind}/")
        click.echo(f"  {entry.name:<{width}}  {entry.summary}")
