"""Emits the C++ sources of a program with ANNarchy, in a process of its own.

`python -m izhi_models.annarchy.generate PROGRAM.json OUTDIR`

ANNarchy prints, reads the command line and keeps global state, so it is imported here only and
this module runs only as a subprocess of `build`. It writes ANNarchy's sources and `driver.cpp`,
which joins them with the fixed `driver.hpp`, into OUTDIR and nothing anywhere else. A failure is
reported as one line of JSON on stderr: `{"symbol": neuron or null, "message": text}`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from izhi_models.annarchy.program import Neuron, Program
from izhi_models.annarchy.write import NEVER

NETWORK_ID = 1  # ANNarchy numbers networks in the order of creation and names files after that


class _GenerationError(Exception):
    """ANNarchy refused a definition; `symbol` is the neuron, if it is known."""

    def __init__(self, symbol: str | None, cause: Exception) -> None:
        super().__init__(str(cause).strip() or type(cause).__name__)
        self.symbol = symbol


def main(arguments: list[str]) -> int:
    """Generate the sources; return the exit status.

    Parameters
    ----------
    arguments : list of str
        The file with the program as JSON, and the existing folder for the sources.
    """
    source, target = (Path(item) for item in arguments)
    program = Program.from_json(source.read_text(encoding="utf-8"))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            _emit(program, target)
    except _GenerationError as error:
        print(json.dumps({"symbol": error.symbol, "message": str(error)}), file=sys.stderr)
        return 1
    (target / "driver.cpp").write_text(_driver(program), encoding="utf-8")
    return 0


def _import_annarchy() -> Any:
    # ANNarchy's profiler, unused here, is the only part that imports matplotlib: half of all time.
    profiler = ModuleType("ANNarchy.intern.Profiler")
    profiler.__dict__["Profiler"] = None
    sys.modules[profiler.__name__] = profiler
    sys.argv = sys.argv[:1]  # ANNarchy parses the command line on import
    import ANNarchy

    return ANNarchy


def _emit(program: Program, target: Path) -> None:
    ann = _import_annarchy()
    from ANNarchy.generator.CodeGenerator import CodeGenerator
    from ANNarchy.generator.Sanity import check_structure
    from ANNarchy.intern.ConfigManagement import setup

    setup(
        dtype=ann.float32 if program.precision == "float" else ann.float64,
        num_threads=program.threads,
    )
    network = ann.Network()
    for neuron in program.neurons:
        try:
            network.create(1, _definition(ann, neuron), name=neuron.symbol)
        except Exception as error:
            raise _GenerationError(neuron.symbol, error) from error
    folder = target / "generate" / f"net{NETWORK_ID}"
    folder.mkdir(parents=True)
    try:
        check_structure(network.get_populations(), network.get_projections())
        CodeGenerator(str(target), network.id, {}).generate()
    except Exception as error:
        raise _GenerationError(None, error) from error
    for file in folder.iterdir():
        file.rename(target / file.name)


def _definition(ann: Any, neuron: Neuron) -> Any:
    return ann.Neuron(
        parameters={
            item.symbol: ann.Parameter(0.0, "global" if item.is_global else "local")
            for item in neuron.parameters
        },
        equations=[
            ann.Variable(item.text, method=item.method if item.is_ode else None)
            for item in neuron.equations
        ],
        spike=neuron.spike or NEVER,
        reset=list(neuron.reset),
    )


def _driver(program: Program) -> str:
    """Return the part of the driver that depends on the program: its populations by number."""
    pops = [f"pop{index}" for index in range(len(program.neurons))]
    tables = [
        f"{{&{pop}->spiked, {{{', '.join(f'view({pop}->{name})' for name in neuron.symbols)}}}}},"
        for pop, neuron in zip(pops, program.neurons, strict=True)
    ]
    return "\n".join(
        [
            f'#include "ANNarchyCore{NETWORK_ID}.cpp"',
            '#include "driver.hpp"',
            "static void create_populations(const int *sizes) {",
            # The constructor stores the object in the global pointer.
            *(f"    new PopStruct{index}(sizes[{index}], 1);" for index in range(len(pops))),
            "}",
            "static void reset_populations() {",
            *(f"    {pop}->reset();" for pop in pops),
            "}",
            "static void delete_populations() {",
            *(f"    delete {pop};" for pop in pops),
            "}",
            "static std::vector<Population> bind_populations() {",
            "    return {",
            *(f"        {table}" for table in tables),
            "    };",
            "}",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
