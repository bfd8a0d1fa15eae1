"""`izhi run` and `izhi export`: what is made of a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from izhi_models.cli.group import (
    FORMAT,
    METHOD,
    SET,
    commands,
    folders_of,
    print_faults,
    read_settings,
    showing_progress,
    shown,
)
from izhi_models.errors import Diagnostic, IzhiError

if TYPE_CHECKING:
    from izhi_models.execute import Report


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
    help="neuron, netpyne: share the network among N processes.",
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
    """Simulate FILEs, and write data and pictures.

    These are the output files that FILE declares, results.h5, run.json and PNGs.
    """
    from izhi_models.execute import Settings, execute

    plot = not options.pop("no_plot")
    options["set"] = read_settings(options.pop("settings"))
    told: list[Diagnostic] = []
    failed: dict[str, int] = {}
    for file, folder in zip(files, folders_of(files, out), strict=True):
        settings = Settings(folder, plot=plot, command=("izhi", *sys.argv[1:]), **options)
        try:
            with showing_progress(quiet or form == "json") as progress:
                report = execute(file, settings, progress)
        except IzhiError as error:
            failed[file] = error.exit_code
            told += error.diagnostics
            if form == "text":
                print_faults(error.diagnostics, as_json=False)
            continue
        told += report.warnings
        if not quiet and form == "text":
            print_faults(report.warnings, as_json=False)
            for line in _summary(report):
                click.echo(line)
    if form == "json":
        print_faults(told, as_json=True)
    elif failed and len(files) > 1:
        click.echo(f"{len(failed)} of {len(files)} files failed: {', '.join(failed)}", err=True)
    if failed:
        sys.exit(next(iter(failed.values())))


@commands.command()
@click.argument("file")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="TARGET",
    help="annarchy, brian2, nest, neuroml, neuroml-hdf5, neuron, netpyne, eden; sonata, neo, nwb.",
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

    `--to annarchy`, `brian2`, `nest` as a Python script; `--to neuroml` as NeuroML and LEMS, with
    the connections that rules make as lists; `--to neuroml-hdf5` the same with the network in HDF5;
    `--to neuron`, `netpyne` and `eden` as a folder for these. FILE may be a folder of results, and
    is one for `--to sonata` (spikes), `neo` (NIX) and `nwb`.
    """
    from izhi_models.exporters.results import FORMATS
    from izhi_models.exporting import export as write
    from izhi_models.pipeline import Model, load

    settings = read_settings(options.pop("settings"))
    if settings and Path(file).is_dir():
        raise click.UsageError(
            "--set goes with a file, not with results, which were run as they are"
        )
    is_made = target in FORMATS or Path(file).is_dir()
    model: Model | str = file if is_made else load(file, set=settings)
    tell = (lambda item: click.echo(str(item))) if form == "text" else (lambda item: None)
    for written in write(model, target, out, tell=tell, **options):
        if form == "text":
            click.echo(f"wrote {shown(written)}")


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
        yield f"wrote {shown(path)}"
