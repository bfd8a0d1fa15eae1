"""Writes the C++ of projections: equations as ANNarchy translates them, in loops of our own.

The classes that ANNarchy writes have the sizes of the network and the kind of delay in their code,
are filled through nested lists, and take up to 50 bytes for a connection; few of its storage
formats offer per-connection delays, plasticity or continuous currents. Ours derive from
`connections.hpp` instead. This module runs only in the process of `generate`.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

from izhi_models.annarchy.program import WEIGHT, Program, Projection

_STRUCT = """\
#pragma once

#include "network.hpp"

struct ProjStruct{number};
extern ProjStruct{number} *proj{number};

struct ProjStruct{number} : {base} {{
{declarations}

    ProjStruct{number}(int n_pre, int n_post, int n_parts)
        : {base}(n_pre, n_post, n_parts, {last}) {{
        members = {{{members}}};
    }}

    void compute_psp(int part = 0, int = 1) {{
{arrivals}
{currents}
    }}

    void update_synapse(int part = 0, int = 1) {{
{update}
    }}

    void post_event(int part = 0, int = 1) {{
{post_event}
    }}
}};
"""

_ADD = """\
add(part, {pre}->spiked, {post}->g_{target});
"""

_ARRIVALS = """\
std::vector<Arrival> &now = arrive(part, {pre}->spiked);
for (const Arrival &arrival : now) {{
    const int pre = arrival.pre;
    for (int i = arrival.begin; i < arrival.end; ++i) {{
        const int post = post_of[i];
{code}
    }}
}}
now.clear();
"""

_EACH = """\
const std::vector<int> &row = rows[part];
for (int pre = 0; pre < n_pre; ++pre) {{
{pragma}    for (int i = row[pre]; i < row[pre + 1]; ++i) {{
        const int post = post_of[i];
{code}
    }}
}}
"""

_POST_EVENT = """\
for (int post : {post}->spiked) {{
    if (post < first_post(part) || post >= first_post(part + 1)) continue;
    for (int k = columns[post]; k < columns[post + 1]; ++k) {{
        const int i = of_column[k];
{origin}{code}
    }}
}}
"""


class ProjectionGenerator:
    """Takes the place of ANNarchy's generator of projections.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program) -> None:
        self._program = program

    def header_struct(self, projection: Any, directory: str) -> dict[str, str]:
        """Write the class of one projection, and return the calls of it for the main loop.

        Parameters
        ----------
        projection : ANNarchy.core.Projection.Projection
            Numbered as in the program.
        directory : str
            Where ANNarchy writes.
        """
        number = projection.id
        writer = _Writer(
            self._program, self._program.projections[number], projection.synapse_type.description
        )
        folder = Path(directory) / "generate" / f"net{projection.net_id}"
        (folder / f"proj{number}.hpp").write_text(writer.struct(number), encoding="utf-8")
        threads = "tid, nt" if self._program.threads > 1 else ""
        synapse = self._program.projections[number].synapse
        calls = {
            "compute_psp": True,
            "update": synapse is not None and bool(synapse.equations),
            "post_event": synapse is not None and bool(synapse.post_spike),
        }
        functions = {"update": "update_synapse"}
        return {
            "include": f'#include "proj{number}.hpp"\n',
            "extern": f"extern ProjStruct{number} *proj{number};\n",
            "instance": f"ProjStruct{number} *proj{number};\n",
            "init": "",
            "rng_update": "",
            **{
                key: f"\tproj{number}->{functions.get(key, key)}({threads});\n" if needed else ""
                for key, needed in calls.items()
            },
        }


class _Writer:
    """The code of one projection, from the translated equations in `description`."""

    def __init__(self, program: Program, item: Projection, description: dict[str, Any]) -> None:
        self.item = item
        self.description = description
        self.pre, self.post = program.neurons[item.pre], program.neurons[item.post]
        self.single = item.single
        self.names = {
            "pre": f"pop{item.pre}",
            "post": f"pop{item.post}",
            "target": item.target,
        }

    def struct(self, number: int) -> str:
        """Return the whole header."""
        synapse = self.item.synapse
        if synapse is not None:
            base, last = "Sparse", "true" if synapse.post_spike else "false"
        else:
            base, last = "Counted" if WEIGHT in self.single else "Weighted", WEIGHT
        return _STRUCT.format(
            number=number,
            base=base,
            last=last,
            declarations="\n".join(self._declaration(symbol) for symbol in self.item.symbols),
            members=", ".join(self._member(symbol) for symbol in self.item.symbols),
            arrivals=indent(self._arrivals(), " " * 8),
            currents=indent(self._currents(), " " * 8),
            update=indent(self._update(), " " * 8),
            post_event=indent(self._post_event(), " " * 8),
        )

    def _declaration(self, symbol: str) -> str:
        return f"    real {symbol} = 0;" if symbol in self.single else f"    Values {symbol};"

    def _member(self, symbol: str) -> str:
        varies = "true" if symbol in self.item.changing else "false"
        places = f"&{symbol}, nullptr" if symbol in self.single else f"nullptr, &{symbol}"
        return f"{{{places}, {varies}}}"

    def _arrivals(self) -> str:
        if self.item.synapse is None:
            return _ADD.format(**self.names)
        # ANNarchy has replaced `g_target` by `sum`; it would also add to it first, wherever it is.
        total = f"%(post_prefix)sg_{self.item.target}%(post_index)s"
        code = [
            re.sub("^sum ", f"{total} ", entry["cpp"])
            if entry["name"] == "g_target"
            else entry["cpp"]
            for entry in self.description["pre_spike"]
        ]
        return _ARRIVALS.format(code=self._translated(code, 8), **self.names) if code else ""

    def _currents(self) -> str:
        shown = self._equations(is_shown=True)
        code = [shown] if shown else []
        if "psp" in self.description:
            value = self.description["psp"]["cpp"].rstrip("; ")
            code.append(f"%(post_prefix)sg_{self.item.target}%(post_index)s += {value};")
        return _EACH.format(code=self._translated(code, 8), pragma="") if code else ""

    def _update(self) -> str:
        code = self._equations(is_shown=False)
        if not code:
            return ""
        return _EACH.format(code=self._translated([code], 8), pragma="    #pragma omp simd\n")

    def _equations(self, *, is_shown: bool) -> str:
        """Return the equations of what is only shown, or those of all else."""
        from ANNarchy.generator.Utils import generate_equation_code

        synapse = self.item.synapse
        shown = {item.symbol for item in synapse.shown} if synapse is not None else set()
        chosen = [
            item for item in self.description["variables"] if (item["name"] in shown) == is_shown
        ]
        code: str = generate_equation_code(
            {**self.description, "variables": chosen}, "local", "proj"
        )
        return code

    def _post_event(self) -> str:
        code = [entry["cpp"] for entry in self.description["post_spike"]]
        if not code:
            return ""
        reads_pre = "%(pre_index)s" in "".join(code)
        origin = "        const int pre = pre_of(part, i);\n" if reads_pre else ""
        return _POST_EVENT.format(code=self._translated(code, 8), origin=origin, **self.names)

    def _translated(self, code: list[str], depth: int) -> str:
        """Fill in where each quantity is found; ANNarchy takes all but its parameters for local."""
        text = "\n".join(code)
        for symbol in self.single:
            text = re.sub(rf"\b{symbol}%\(local_index\)s", symbol, text)
        for side, neuron in (("pre", self.pre), ("post", self.post)):
            for parameter in neuron.parameters:
                if parameter.is_global:
                    place = f"%({side}_prefix)s{parameter.symbol}"
                    text = text.replace(f"{place}%({side}_index)s", place)
        return indent(
            text
            % {
                "local_index": "[i]",
                "global_index": "",
                "pre_prefix": f"{self.names['pre']}->",
                "post_prefix": f"{self.names['post']}->",
                "pre_index": "[pre]",
                "post_index": "[post]",
            },
            " " * depth,
        )
