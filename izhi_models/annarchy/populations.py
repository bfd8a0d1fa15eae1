"""Writes the C++ of populations: equations as ANNarchy translates them, in loops of our own.

The classes that ANNarchy writes hold an array for each equation, draw random numbers one by one,
and look at every cell for a spike. This module runs only in the process of `generate`.
"""

from __future__ import annotations

import re
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

    void update(int part = 0, int = 1) {{
        begin_spikes(part);
        for (int block = first_block(part); block < first_block(part + 1); ++block) {{
            const int begin = block * block_size, end = std::min(begin + block_size, size);
{draws}
            #pragma omp simd
            for (int i = begin; i < end; ++i) {{
{equations}
            }}
{spikes}
        }}
        join_spikes();
    }}
}};
"""

_DRAW = """\
real {name}[block_size];
{distribution}.fill(generators[size_t(block)], {name}, end - begin);
"""

_SPIKES = """\
gather(
    part, begin, end,
    [&](int i) {{ return {condition}; }},
    [&](int i) {{
{reset}
    }});
"""

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

    single = [item.symbol for item in neuron.parameters if item.is_global]
    arrays = [symbol for symbol in neuron.symbols if symbol not in single]
    arrays += sorted({f"g_{item.target}" for item in program.projections if item.post == number})
    draws = [
        _DRAW.format(
            name=entry["name"],
            distribution=f"{_DISTRIBUTIONS[entry['dist']]}({entry['args']})",
        )
        for entry in description["random_distributions"]
    ]
    equations = _block_local(generate_equation_code(description, "local", padding=4), neuron, draws)
    return _STRUCT.format(
        number=number,
        declarations="\n".join(
            [f"    std::vector<real> {symbol};" for symbol in arrays]
            + [f"    real {symbol};" for symbol in single]
        ),
        initial="\n".join(
            [f"        {symbol}.assign(size_t(size), real(0));" for symbol in arrays]
            + [f"        {symbol} = 0;" for symbol in single]
        ),
        draws=_filled("".join(draws), 12),
        equations=_filled(equations, 0),
        spikes=_filled(_spikes(neuron, description["spike"]), 12),
    )


def _block_local(code: str, neuron: Neuron, draws: list[str]) -> str:
    """Replace the arrays of the cells by what lives for a block or a cell only."""
    for symbol in neuron.temporaries:
        place = rf"\b{symbol}%\(local_index\)s"
        code = re.sub(rf"(?m)^(\s*){place} =", rf"\1const real {symbol} =", code)
        code = re.sub(place, symbol, code)
    return re.sub(r"\b(rand_\d+)%\(local_index\)s", r"\1[i - begin]", code) if draws else code


def _spikes(neuron: Neuron, description: dict[str, Any]) -> str:
    if neuron.spike is None:
        return ""
    reset = "\n".join(entry["cpp"] for entry in description["spike_reset"])
    return _SPIKES.format(condition=description["spike_cond"], reset=indent(reset, " " * 8))


def _filled(code: str, depth: int) -> str:
    """Fill in where each quantity is found."""
    return indent(code % {"local_index": "[i]", "global_index": ""}, " " * depth)
