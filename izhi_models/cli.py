"""The command `izhi`. The only place that prints or exits."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from izhi_models.errors import CheckError, Diagnostic, IzhiError

if TYPE_CHECKING:
    from izhi_models.checks import CheckReport, Diff
    from izhi_models.execute import Report

_ROWS = 8  # of a table, for what holds of one rung


def _keep(context: click.Context, _: click.Parameter, form: str) -> str:
    context.find_root().obj = form
    return form


FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    callback=_keep,
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
            _report(error.diagnostics, ctx.obj == "json")
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


def _report(diagnostics: Sequence[Diagnostic], as_json: bool) -> None:
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


@commands.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder [results/NAME]; of several files, each has its own in it.",
)
@click.option("--duration", metavar="TIME", help='Such as "500 ms" [what the file asks for].')
@click.option("--dt", metavar="TIME", help='Step, such as "0.01 ms" [what the file asks for].')
@click.option("--seed", type=int, help="Of all random numbers [that of the file, or 1234].")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option(
    "--precision", type=click.Choice(["double", "float"]), default="double", show_default=True
)
@click.option(
    "--paradigm",
    type=click.Choice(["openmp", "cuda"]),
    default="openmp",
    show_default=True,
    help="cuda runs on an NVIDIA GPU, by ANNarchy's own code.",
)
@click.option(
    "--engine",
    type=click.Choice(["annarchy", "jneuroml", "neuron", "netpyne", "eden"]),
    default="annarchy",
    show_default=True,
    help="The simulator: the compiled code, or another that is installed.",
)
@click.option(
    "--mpi",
    "processes",
    type=click.IntRange(1, 4096),
    default=1,
    metavar="N",
    help="netpyne: share the network among N processes.",
)
@METHOD
@click.option(
    "--record",
    multiple=True,
    metavar="PATH",
    help="Record this too: pop[0]/v, pop[0:100]/v, or pop/v for all; pop/v@1ms now and then.",
)
@click.option("--every", metavar="TIME", help='Period of --record, such as "1 ms" [each step].')
@SET
@click.option("--no-plot", is_flag=True, help="Draw no pictures.")
@click.option("--quiet", is_flag=True, help="Print nothing but faults.")
@FORMAT
def run(files: tuple[str, ...], out: Path | None, form: str, quiet: bool, **options: Any) -> None:
    """Simulate FILEs; write their output files, results.h5, run.json and pictures."""
    from izhi_models.execute import Settings, execute

    plot = not options.pop("no_plot")
    options["set"] = _settings(options.pop("settings"))
    told: list[Diagnostic] = []
    failed: dict[str, int] = {}
    for file, folder in zip(files, _folders(files, out), strict=True):
        settings = Settings(folder, plot=plot, command=("izhi", *sys.argv[1:]), **options)
        try:
            with _progress(quiet or form == "json") as progress:
                report = execute(file, settings, progress)
        except IzhiError as error:
            failed[file] = error.exit_code
            told += error.diagnostics
            if form == "text":
                _report(error.diagnostics, as_json=False)
            continue
        told += report.warnings
        if not quiet and form == "text":
            _report(report.warnings, as_json=False)
            for line in _summary(report):
                click.echo(line)
    if form == "json":
        _report(told, as_json=True)
    elif failed and len(files) > 1:
        click.echo(f"{len(failed)} of {len(files)} files failed: {', '.join(failed)}", err=True)
    if failed:
        sys.exit(next(iter(failed.values())))


def _settings(texts: Sequence[str]) -> dict[str, str]:
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


@commands.command()
@click.argument("file")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="TARGET",
    help="annarchy, brian2, neuroml, neuroml-hdf5, neuron, netpyne, eden; sonata, neo, nwb.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File or folder to write [as FILE is called]."
)
@click.option(
    "--run",
    is_flag=True,
    help="neuron, netpyne, eden: run it there too, and write it if the spikes are the same.",
)
@click.option("--duration", metavar="TIME", help='Such as "500 ms" [what the file asks for].')
@click.option("--dt", metavar="TIME", help='Step, such as "0.01 ms" [what the file asks for].')
@click.option("--seed", type=int, help="Of all random numbers [that of the file, or 1234].")
@click.option(
    "--precision", type=click.Choice(["double", "float"]), default="double", show_default=True
)
@METHOD
@click.option(
    "--record", multiple=True, metavar="PATH", help="Record this too: pop[0]/v, or pop/v for all."
)
@click.option(
    "--keep-rules",
    is_flag=True,
    help="neuroml: write rules, not what they make.",
)
@SET
@FORMAT
def export(file: str, target: str, out: Path | None, form: str, **options: Any) -> None:
    """Write FILE for another simulator.

    `--to annarchy` and `--to brian2` as a Python script; `--to neuroml` as NeuroML and LEMS, with
    the connections that rules make as lists; `--to neuroml-hdf5` the same with the network in HDF5;
    `--to neuron`, `netpyne` and `eden` as a folder for these. FILE may be a folder of results, and
    is one for `--to sonata` (spikes), `neo` (NIX) and `nwb`.
    """
    from izhi_models.exporters.results import FORMATS
    from izhi_models.exporting import export as write
    from izhi_models.pipeline import Model, load

    settings = _settings(options.pop("settings"))
    if settings and Path(file).is_dir():
        raise click.UsageError(
            "--set goes with a file, not with results, which were run as they are"
        )
    is_made = target in FORMATS or Path(file).is_dir()
    model: Model | str = file if is_made else load(file, set=settings)
    tell = (lambda item: click.echo(str(item))) if form == "text" else (lambda item: None)
    for written in write(model, target, out, tell=tell, **options):
        if form == "text":
            click.echo(f"wrote {_shown(written)}")


def _folders(files: Sequence[str], out: Path | None) -> list[Path]:
    """Return where the results of each file go."""
    if out is not None and len(files) == 1:
        return [out]
    folders = [(out or Path("results")) / Path(file).name.split(".")[0] for file in files]
    for folder in folders:
        if folders.count(folder) > 1:
            raise click.UsageError(f"several files would write to {folder}: run them apart")
    return folders


def _summary(report: Report) -> Iterator[str]:
    results = report.results
    for population, trains in results.spikes.items():
        size = trains.n_neurons
        yield (
            f"{population}: {size} neuron{'s' if size > 1 else ''}, {trains.count} "
            f"spike{'s' if trains.count != 1 else ''}, {trains.rate_hz:.4g} Hz"
        )
    seconds = ", ".join(f"{stage} {value:.2f} s" for stage, value in report.timings.items())
    made = results.provenance.get("engine")
    if made is None:
        made = "compiled before" if report.was_cached else "compiled now"
    yield f"simulated {results.duration_s * 1e3:g} ms ({made}): {seconds}"
    for path in (*report.files, *report.pictures):
        yield f"wrote {_shown(path)}"


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def _progress(hidden: bool) -> Iterator[Callable[[str, float], None]]:
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
    """Check FILE and its run against the specification; write check.json and check.html."""
    from izhi_models.checks import RUNGS
    from izhi_models.checks import check as climb
    from izhi_models.checks.page import write_report

    rungs = options.pop("rungs") or RUNGS
    with _progress(quiet or form == "json") as progress:
        report = climb(file, rungs, progress=progress, **options)
    (folder,) = _folders([file], out)
    written = write_report(report, folder)
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=2))
    elif not quiet:
        _print_table(report)
        for path in written:
            click.echo(f"wrote {_shown(path)}")
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
    """Check all LEMS files and OMV tests at PATHs, and below; print one table."""
    from izhi_models.checks.conform import conform as check_all
    from izhi_models.checks.conform import find_files

    rungs = options.pop("rungs") or ("spec", "equations")
    found = []
    for item in check_all(find_files(paths), rungs, **options):
        found.append(item)
        if form == "text":
            click.echo(f"{item.verdict:8} {item.seconds:6.1f} s  {_shown(item.path)}  {item.told}")
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
    """Compare two folders of results, or two models, by what they mean; exit 1 if they differ.

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
    from rich.console import Console
    from rich.table import Table

    counted = sum(item.counts for item in found.differences)
    if found.differences:
        table = Table("", "where", escape(str(found.first)), escape(str(found.second)), "")
        for item in found.differences:
            style = None if item.counts else "dim"
            kind = item.kind if item.counts else f"({item.kind})"
            table.add_row(kind, *map(escape, (item.where, *item.sides, item.by)), style=style)
        Console().print(table)
    told = f"{counted} difference{'s' if counted != 1 else ''}" if counted else "equal"
    click.echo(f"{told}; compared: {', '.join(found.compared)}")


def _print_table(report: CheckReport) -> None:
    """Print a line for each comparison: all that do not hold, the first few of those that do."""
    from rich.console import Console
    from rich.table import Table

    table = Table("rung", "what", "", "measured", title=str(_shown(report.path)))
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
    Console().print(table)


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


@commands.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    callback=_keep,
    is_eager=True,
    help="How the table is printed.",
)
def coverage(form: str) -> None:
    """Show which of NeuroML's ComponentTypes run, by trying each of them."""
    from izhi_models.coverage import cover, to_json, to_markdown

    rows = cover()
    if form != "text":
        click.echo(to_json(rows) if form == "json" else to_markdown(rows), nl=form == "json")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("type", "file", "", "how, or why not")
    colors = {"supported": "green", "approximated": "yellow", "refused": "red", "unknown": "red"}
    for item in rows:
        color = colors.get(item.status, "dim")
        notes = escape("; ".join(item.notes))
        table.add_row(item.name, item.file, f"[{color}]{item.status}[/]", notes)
    Console().print(table)


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
