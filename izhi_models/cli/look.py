"""`izhi validate`, `show`, `coverage` and `list`: what is there, without running it."""

from __future__ import annotations

import sys

import click
from rich.markup import escape

from izhi_models.cli.group import FORMAT, commands, keep_form, print_faults, print_table
from izhi_models.errors import Diagnostic


@commands.command()
@click.argument("files", nargs=-1, required=True)
@FORMAT
def validate(files: tuple[str, ...], form: str) -> None:
    """Check FILES against the schema and the rules of LEMS."""
    from izhi_models.lems.validate import validate as find_faults
    from izhi_models.library import find_model

    found: list[Diagnostic] = []
    for file in files:
        faults = find_faults(find_model(file))
        found += faults
        if form == "text":
            print_faults(faults, as_json=False)
            if not any(item.severity == "error" for item in faults):
                click.echo(f"{file}: valid")
    if form == "json":
        print_faults(found, as_json=True)
    if any(item.severity == "error" for item in found):
        sys.exit(2)


@commands.command()
@click.argument("file")
@click.option(
    "--dump", type=click.Choice(["ir", "program"]), help="Print a stage of the translation instead."
)
@FORMAT
def show(file: str, dump: str | None, form: str) -> None:
    """Show the equations of FILE as they are simulated."""
    from izhi_models import pipeline

    text = pipeline.show(file) if dump is None else pipeline.load(file).dump(dump)
    click.echo(text, nl=False)


@commands.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    callback=keep_form,
    is_eager=True,
    help="How the table is printed.",
)
def coverage(form: str) -> None:
    """Show which ComponentTypes of NeuroML run. Each of them is tried."""
    from izhi_models.coverage import cover, to_json, to_markdown

    rows = cover()
    if form != "text":
        click.echo(to_json(rows) if form == "json" else to_markdown(rows), nl=form == "json")
        return
    from rich.table import Table

    table = Table("type", "file", "", "how, or why not")
    colors = {"supported": "green", "approximated": "yellow", "refused": "red", "unknown": "red"}
    for item in rows:
        color = colors.get(item.status, "dim")
        notes = escape("; ".join(item.notes))
        table.add_row(item.name, item.file, f"[{color}]{item.status}[/]", notes)
    print_table(table)


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
