"""Model files for tests, written in one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

INCLUDES = ("Cells.xml", "Networks.xml", "Inputs.xml", "Simulation.xml")
CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
POPULATION = '<population id="pop" component="cell" size="2"/>'
SIMULATION = 'length="20ms" step="0.1ms" target="net"'
COLUMN = '<OutputColumn id="v" quantity="pop[0]/v"/>'
OUTPUT = f'<OutputFile id="out" fileName="v.dat">{COLUMN}</OutputFile>'

WriteModel = Callable[..., Path]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests of the examples measured, whatever worker ran them."""
    reports = [item for key in ("passed", "failed") for item in terminalreporter.getreports(key)]
    lines = [
        str(value)
        for report in reports
        for key, value in getattr(report, "user_properties", ())
        if key == "example" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("NeuroML's examples against the converged solution")
        for line in sorted(lines):
            terminalreporter.write_line(line)


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Return what writes a LEMS file of components, a network and a Simulation.

    Each part may be given as text; the line of each is fixed: components 3, network 5, Simulation
    6, outputs 7.
    """

    def write(
        components: str = CELL,
        network: str = POPULATION,
        simulation: str | None = SIMULATION,
        outputs: str = OUTPUT,
        *,
        name: str = "model.xml",
    ) -> Path:
        includes = "".join(f'<Include file="{item}"/>' for item in INCLUDES)
        lines = [
            "<Lems>" + ('<Target component="sim"/>' if simulation is not None else ""),
            includes,
            components,
            '<network id="net">',
            network,
            "</network>" + (f'<Simulation id="sim" {simulation}>' if simulation else ""),
            outputs if simulation else "",
            ("</Simulation>" if simulation else "") + "</Lems>",
        ]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write
