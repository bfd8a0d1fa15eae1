"""Writes the C++ of populations: equations as ANNarchy translates them, in loops of our own.

The classes that ANNarchy writes hold an array for each equation, draw random numbers one by one,
and look at every cell for a spike. This module runs only in the process of `generate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent
from typing import Any

from izhi_models.annarchy.program import Neuron, Program

_STRUCT = """\
#pragma once

#include "network.hpp"

struct PopStruct{number};
extern PopStruct{number} *pop{number};

struct PopStruct{number} : Cells {{
{declarations}

    PopStruct{number}(int size, int n_parts) : Cells(size, n_parts) {{}}

    void init_population() {{
{initial}
    }}

    void prepare() override {{
        is_uniform = true;
{prepared}
    }}

    void update(int part = 0, int = 1) {{
        begin_spikes(part);
        if (is_uniform) {{
            advance<true>(part);
        }} else {{
            advance<false>(part);
        }}
        join_spikes();
    }}

    // If all cells have the same parameters, these stay in registers.
    template <bool is_uniform>
    void advance(int part) {{
        const real dt = ::dt;
        for (int block = first_block(part); block < first_block(part + 1); ++block) {{
            const int begin = block * block_size, n = std::min(block_size, size - begin);
{places}
{draws}
            #pragma omp simd
            for (int i = 0; i < n; ++i) {{
{reads}

{equations}
{writes}
            }}
{spikes}
        }}
    }}
}};
"""

_DRAW = """\
alignas(64) real {name}[block_size];
{distribution}.fill(generators[size_t(block)], {name}, n);
"""

_FIRES = "alignas(64) real fires[block_size];\n"
_FIRE = "fires[i] = {condition} ? 1 : 0;\n"
_GATHER = """\
gather(part, begin, n, fires, [&](int i) {{
{reset}
}});
"""

# By type of a quantity. A loop reads all it needs first: what it read within a choice, vectors
# would wait for.
_INITIAL = {
    "real": "{0} = 0;",
    "Parameter": "{0}.assign(size);",
    "Values": "{0}.assign(size_t(size), real(0));",
}
_PREPARED = {"Parameter": "is_uniform &= {0}.prepare();"}
_PLACES = {
    "real": "const real {0} = this->{0};",
    "Parameter": "const real *const {0}_block = {0}.block(begin), {0}_first = {0}[0];",
    "Values": "real *const {0}_block = {0}.data() + begin;",
}
_READS = {
    "Parameter": "const real {0} = is_uniform ? {0}_first : {0}_block[i];",
    "Values": "real {0} = {0}_block[i];",
}
_WRITES = {"Values": "{0}_block[i] = {0};"}
_DISTRIBUTIONS = {"Normal": "Normal<real>", "Uniform": "Uniform<real>"}


class PopulationGenerator:
    """Takes the place of ANNarchy's generator of populations.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program) -> None:
        self._program = program

    def header_struct(self, population: Any, directory: str) -> dict[str, str]:
        """Write the class of one population, and return the calls of it for the main loop.

        Parameters
        ----------
        population : ANNarchy.core.Population.Population
            Numbered as in the program.
        directory : str
            Where ANNarchy writes.
        """
        number = population.id
        neuron = self._program.neurons[number]
        text = _struct(number, neuron, self._program, population.neuron_type.description)
        folder = Path(directory) / "generate" / f"net{population.net_id}"
        (folder / f"pop{number}.hpp").write_text(text, encoding="utf-8")
        threads = "tid, nt" if self._program.threads > 1 else ""
        return {
            "include": f'#include "pop{number}.hpp"\n',
            "extern": f"extern PopStruct{number} *pop{number};\n",
            "instance": f"PopStruct{number} *pop{number};\n",
            "init": f"    pop{number}->init_population();\n",
            "update": f"\tpop{number}->update({threads});\n",
        }

    def reset_computesum(self, _: Any) -> str:
        """Return nothing: the equations themselves set the sums back."""
        return ""


def _struct(number: int, neuron: Neuron, program: Program, description: dict[str, Any]) -> str:
    from ANNarchy.generator.Utils import generate_equation_code

    sums = sorted({f"g_{item.target}" for item in program.projections if item.post == number})
    kinds = {
        **{item.symbol: "real" if item.is_global else "Parameter" for item in neuron.parameters},
        **dict.fromkeys((*neuron.variables, *sums), "Values"),
    }
    draws = [
        _DRAW.format(
            name=entry["name"],
            distribution=f"{_DISTRIBUTIONS[entry['dist']]}({entry['args']})",
        )
        for entry in description["random_distributions"]
    ]
    spike = description["spike"] if neuron.spike is not None else None
    fire = _FIRE.format(condition=spike["spike_cond"]) if spike else ""
    equations = generate_equation_code(description, "local", padding=4)
    step = _in_variables(f"{equations}\n{indent(fire, ' ' * 16)}", kinds, neuron.temporaries)
    return _STRUCT.format(
        number=number,
        declarations=_lines(kinds, {kind: f"{kind} {{0}};" for kind in set(kinds.values())}, 4),
        initial=_lines(kinds, _INITIAL, 8),
        prepared=_lines(kinds, _PREPARED, 8),
        places=_lines(kinds, _PLACES, 12),
        draws=_filled("".join([*draws, *([_FIRES] if spike else [])]), 12),
        reads=_lines(kinds, _READS, 16),
        equations=_filled(step, 0),
        writes=_lines(kinds, _WRITES, 16),
        spikes=_filled(_gather(spike, kinds), 12) if spike else "",
    )


def _lines(kinds: dict[str, str], forms: dict[str, str], depth: int) -> str:
    """Write a line for each quantity of a type for which there is a form."""
    lines = (forms[kind].format(symbol) for symbol, kind in kinds.items() if kind in forms)
    return indent("\n".join(lines), " " * depth)


def _in_variables(code: str, kinds: Iterable[str], temporaries: Iterable[str]) -> str:
    """Make each quantity a variable of the loop."""
    for symbol in temporaries:
        code = re.sub(rf"(?m)^(\s*){_place(symbol)} =", rf"\1const real {symbol} =", code)
    for symbol in (*kinds, *temporaries):
        code = re.sub(_place(symbol), symbol, code)
    return code


def _place(symbol: str) -> str:
    return rf"\b{symbol}%\(local_index\)s"


def _gather(spike: dict[str, Any], kinds: Iterable[str]) -> str:
    reset = "\n".join(entry["cpp"] for entry in spike["spike_reset"])
    for symbol in kinds:
        reset = re.sub(_place(symbol), f"{symbol}_block[i]", reset)
    return _GATHER.format(reset=indent(reset, " " * 4))


def _filled(code: str, depth: int) -> str:
    """Fill in where each quantity is found."""
    return indent(code % {"local_index": "[i]", "global_index": ""}, " " * depth)
