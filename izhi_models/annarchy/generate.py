"""Emits the C++ sources of a program with ANNarchy, in a process of its own.

`python -m izhi_models.annarchy.generate PROGRAM.json OUTDIR`

ANNarchy prints, reads the command line and keeps global state, so it is imported here only and
this module runs only as a subprocess of `build`. It writes ANNarchy's sources and `network.cpp`,
which joins them for the fixed `driver.cpp`, into OUTDIR and nothing anywhere else. On stderr stand
lines of JSON, `{"symbol": neuron, projection or null, "message": text}`: one for each definition as
its turn comes, with an empty message, and one for a failure.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from izhi_models.annarchy.populations import PopulationGenerator
from izhi_models.annarchy.printing import Equation as Translator
from izhi_models.annarchy.program import Equation, Neuron, Program, ProgramParameter, Synapse
from izhi_models.annarchy.projections import ProjectionGenerator
from izhi_models.annarchy.write import NEVER

# What ANNarchy's core uses of the standard library. It includes three times as much, which takes
# most of the time to compile it.
_STANDARD = ("algorithm", "cmath", "iostream", "string", "vector")
_INCLUDE = re.compile(r"^ *#include <.*>\n", re.MULTILINE)
NETWORK_ID = 1  # ANNarchy numbers networks in the order of creation and names files after that


class _GenerationError(Exception):
    """ANNarchy refused a definition; `symbol` is the neuron or projection, if it is known."""

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
        _report(error.symbol, str(error))
        return 1
    (target / "network.cpp").write_text(_network(program), encoding="utf-8")
    return 0


# What stands for modules of ANNarchy, by the names that are imported from them. Those unused here
# take most of the time of the import, by matplotlib and SymPy.
_REPLACED: dict[str, dict[str, Any]] = {
    "intern.Profiler": {"Profiler": None},
    "parser.CoupledEquations": {"CoupledEquations": None},
    "parser.Equation": {"Equation": Translator},
    "parser.Function": {"FunctionParser": None},
    "parser.report.LatexParser": {"_process_random": str},
    "parser.report.Report": {"report": None},
}


def _report(symbol: str | None, message: str = "") -> None:
    print(json.dumps({"symbol": symbol, "message": message}), file=sys.stderr, flush=True)


def _import_annarchy() -> Any:
    for name, content in _REPLACED.items():
        module = ModuleType(f"ANNarchy.{name}")
        module.__dict__.update(content)
        sys.modules[module.__name__] = module
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
    Translator.precision = program.precision
    network = ann.Network()
    populations = []
    for neuron in program.neurons:
        with _blaming(neuron.symbol):
            populations.append(network.create(1, _neuron(ann, neuron), name=neuron.symbol))
    for item in program.projections:
        with _blaming(item.symbol):
            network.connect(
                populations[item.pre],
                populations[item.post],
                item.target,
                _synapse(ann, item.synapse),
                name=item.symbol,
            ).all_to_all(weights=0.0)
    folder = target / "generate" / f"net{NETWORK_ID}"
    folder.mkdir(parents=True)
    with _blaming(None):
        check_structure(network.get_populations(), network.get_projections())
        generator = CodeGenerator(str(target), network.id, {})
        generator._popgen = PopulationGenerator(program)
        generator._projgen = ProjectionGenerator(program)
        generator._recordgen = _NoMonitors()
        generator.generate()
    for file in folder.iterdir():
        text = _INCLUDE.sub("", file.read_text(encoding="utf-8"))
        text = text.replace("std::mt19937", "Generator")
        (target / file.name).write_text(text, encoding="utf-8")


class _NoMonitors:
    """Takes the place of ANNarchy's generator of monitors."""

    def generate(self) -> None:
        """Do nothing: the driver has recorders of its own."""


@contextlib.contextmanager
def _blaming(symbol: str | None) -> Iterator[None]:
    _report(symbol)
    try:
        yield
    except Exception as error:
        raise _GenerationError(symbol, error) from error


def _neuron(ann: Any, neuron: Neuron) -> Any:
    return ann.Neuron(
        parameters=_parameters(ann, neuron.parameters),
        equations=_equations(ann, neuron.equations),
        spike=neuron.spike or NEVER,
        reset=list(neuron.reset),
    )


def _synapse(ann: Any, synapse: Synapse | None) -> Any:
    if synapse is None:
        return None
    return ann.Synapse(
        parameters=_parameters(ann, synapse.declared),
        equations=[*_equations(ann, synapse.shown), *_equations(ann, synapse.equations)],
        psp=synapse.psp,
        pre_spike=list(synapse.pre_spike) or None,
        post_spike=list(synapse.post_spike) or None,
    )


def _parameters(ann: Any, parameters: tuple[ProgramParameter, ...]) -> Any:
    return {
        item.symbol: ann.Parameter(0.0, "global" if item.is_global else "local")
        for item in parameters
    }


def _equations(ann: Any, equations: tuple[Equation, ...]) -> Any:
    return [ann.Variable(equation.text) for equation in equations]


def _network(program: Program) -> str:
    """Return the unit that holds ANNarchy's core and gives the driver what it made."""
    pops = [f"pop{index}" for index in range(len(program.neurons))]
    projs = [f"proj{index}" for index in range(len(program.projections))]
    tables = [
        f"{{{pop}, {{{', '.join(f'view({pop}->{name})' for name in neuron.symbols)}}}}},"
        for pop, neuron in zip(pops, program.neurons, strict=True)
    ]
    several = program.threads > 1
    return "\n".join(
        [
            *(f"#include <{name}>" for name in _STANDARD),
            '#include "functions.hpp"',
            '#include "network.hpp"',
            # Named in ANNarchy's core for several threads.
            *(["#include <omp.h>", '#include "randutils.hpp"'] if several else []),
            f'#include "ANNarchyCore{NETWORK_ID}.cpp"',
            "",
            "template <typename Numbers>",
            "static View view(Numbers &numbers) {",
            "    return {numbers.data(), int64_t(numbers.size())};",
            "}",
            "static View view(real &value) { return {&value, 1}; }",
            "",
            "void create_network(const int *sizes, int threads) {",
            *(["    setNumberThreads(threads, {});"] if several else []),
            *(
                f"    {pop} = new PopStruct{index}(sizes[{index}], threads);"
                for index, pop in enumerate(pops)
            ),
            *(
                f"    proj{index} = new ProjStruct{index}"
                f"(sizes[{item.pre}], sizes[{item.post}], threads);"
                for index, item in enumerate(program.projections)
            ),
            "}",
            "void start_network(double step) { initialize(step); }",
            "void delete_network() {",
            *(f"    delete {name};" for name in (*pops, *projs)),
            "}",
            "std::vector<Population> bind_populations() {",
            "    return {",
            *(f"        {table}" for table in tables),
            "    };",
            "}",
            "std::vector<Connections *> bind_projections() {",
            f"    return {{{', '.join(projs)}}};",
            "}",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
