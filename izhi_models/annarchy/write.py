"""Programs as ANNarchy scripts for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from izhi_models.annarchy.program import (
    WEIGHT,
    Equation,
    Neuron,
    Program,
    Projection,
    Synapse,
    verify_program,
)
from izhi_models.annarchy.texts import HEAVISIDE, assigned, number_text

# A spiking neuron whose condition is constantly false. A rate-coded neuron would do for cells
# without events, but it must compute and store `r` in every step, and no event could reach it;
# the C++ compiler removes the loop over a constant condition.
NEVER = "0.0 > 1.0"
_HEAVISIDE = f"{HEAVISIDE}(x) = if x > 0.0: 1.0 else: if x < 0.0: 0.0 else: 0.5"

_WORD = re.compile(r"(?<![\w.])(?:(?P<owner>pre|post)\.)?(?P<symbol>[A-Za-z_]\w*)")

Place = tuple[str, str]  # a neuron or projection, and a symbol in it


@dataclass(frozen=True)
class Wording:
    """What stands in a script for the symbols of a program.

    Parameters
    ----------
    names : mapping of str to str
        Identifiers of neurons and projections; the symbol itself where there is none.
    members : mapping of (str, str) to str
        Identifiers of parameters and variables.
    comments : mapping of (str, str) to str
        What is said of them: one line each.
    values : mapping of (str, str) to float
        With what they start; 0 where nothing is given.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[Place, str] = field(default_factory=dict)
    comments: Mapping[Place, str] = field(default_factory=dict)
    values: Mapping[Place, float] = field(default_factory=dict)

    def name(self, symbol: str) -> str:
        """Return the identifier of a neuron or projection."""
        return self.names.get(symbol, symbol)

    def member(self, owner: str, symbol: str) -> str:
        """Return the identifier of a parameter or variable."""
        return self.members.get((owner, symbol), symbol)


GENERATED = Wording()


def write_definitions(program: Program, wording: Wording = GENERATED) -> str:
    """Return a Python script that defines the populations and projections in ANNarchy.

    The script runs by itself. No cells are connected, since a program holds no connections.

    Parameters
    ----------
    program : Program
    wording : Wording, optional
        Identifiers, comments and values; generated symbols and 0 if left out.

    Returns
    -------
    str
        Source text.

    Raises
    ------
    InternalError
        The program holds text that is not generated.
    """
    verify_program(program)
    lines = ["import ANNarchy as ann", ""]
    settings = []
    if program.precision == "float":
        settings.append("dtype=ann.float32")
    if program.threads > 1:
        settings.append(f"num_threads={program.threads}")
    if settings:
        lines += [f"ann.setup({', '.join(settings)})"]
    lines += ["net = ann.Network()", "", *write_parts(program, wording)]
    if any(f"{HEAVISIDE}(" in line for line in lines):
        lines.insert(2, f'ann.add_function("{_HEAVISIDE}")')
    return "\n".join(lines) + "\n"


def write_parts(program: Program, wording: Wording = GENERATED) -> list[str]:
    """Return the lines that make all populations and projections of a network called `net`."""
    parts = [_neuron(item, wording) for item in program.neurons]
    parts += [_projection(item, program, wording) for item in program.projections]
    return [line for part in parts for line in (*part, "")][:-1]


def _neuron(neuron: Neuron, wording: Wording) -> list[str]:
    name = wording.name(neuron.symbol)
    writer = _Writer(neuron.symbol, wording)
    return [
        f"{name} = net.create(",
        f"    {neuron.size},",
        "    ann.Neuron(",
        *writer.quantities(neuron),
        f'        spike="{writer.text(neuron.spike or NEVER)}",',
        *writer.texts("reset", neuron.reset),
        "    ),",
        f'    name="{name}",',
        ")",
    ]


def _projection(projection: Projection, program: Program, wording: Wording) -> list[str]:
    pre, post = program.neurons[projection.pre], program.neurons[projection.post]
    name = wording.name(projection.symbol)
    synapse = []
    if projection.synapse is not None:
        writer = _Writer(projection.symbol, wording, pre.symbol, post.symbol)
        synapse = _synapse(projection.synapse, writer)
    return [
        f"{name} = net.connect(",
        f"    {wording.name(pre.symbol)},",
        f"    {wording.name(post.symbol)},",
        f'    "{projection.target}",',
        *synapse,
        f'    name="{name}",',
        ")",
    ]


def _synapse(synapse: Synapse, writer: _Writer) -> list[str]:
    lines = ["    ann.Synapse(", *writer.quantities(synapse)]
    if synapse.pre_spike:
        if any(assigned(text) == "g_target" for text in synapse.pre_spike[1:]):
            lines.append("        # ANNarchy adds to g_target first, wherever it stands.")
        lines += writer.texts("pre_spike", synapse.pre_spike)
    if synapse.post_spike:
        lines += writer.texts("post_spike", synapse.post_spike)
    if synapse.psp is not None:
        lines.append(f'        psp="{writer.text(synapse.psp)}",')
    return [*lines, "    ),"]


class _Writer:
    """Writes the definition of one neuron or synapse."""

    def __init__(self, owner: str, wording: Wording, pre: str = "", post: str = "") -> None:
        self._owner = owner
        self._wording = wording
        self._ends = {"pre": pre, "post": post}

    def quantities(self, item: Neuron | Synapse) -> list[str]:
        """Return the lines of parameters and equations."""
        lines = ["        parameters={"]
        for parameter in item.declared if isinstance(item, Synapse) else item.parameters:
            locality = "global" if parameter.is_global else "local"
            value = self._wording.values.get((self._owner, parameter.symbol), 0.0)
            name = self._wording.member(self._owner, parameter.symbol)
            lines.append(
                f'            "{name}": ann.Parameter({number_text(value)}, "{locality}"),'
                f"{self._comment(parameter.symbol)}"
            )
        lines += ["        },", "        equations=["]
        shown = item.shown if isinstance(item, Synapse) else ()
        lines += [self._equation(equation) for equation in (*shown, *item.equations)]
        return [*lines, "        ],"]

    def _equation(self, equation: Equation) -> str:
        name = self._wording.member(self._owner, equation.symbol)
        _, _, value = equation.text.partition(" = ")
        left = f"d{name}/dt" if equation.is_ode else name
        start = self._wording.values.get((self._owner, equation.symbol))
        options = "" if start is None else f", init={number_text(start)}"
        return (
            f'            ann.Variable("{left} = {self.text(value)}"{options}),'
            f"{self._comment(equation.symbol)}"
        )

    def texts(self, name: str, texts: tuple[str, ...]) -> list[str]:
        """Return the lines of a list of assignments."""
        written = [f'            "{self.text(text)}",' for text in texts]
        return [f"        {name}=[", *written, "        ],"]

    def text(self, text: str) -> str:
        """Return a text with the identifiers of the script."""
        return _WORD.sub(self._word, text)

    def _word(self, match: re.Match[str]) -> str:
        owner, symbol = match["owner"], match["symbol"]
        if owner is not None:
            return f"{owner}.{self._wording.member(self._ends[owner], symbol)}"
        return symbol if symbol == WEIGHT else self._wording.member(self._owner, symbol)

    def _comment(self, symbol: str) -> str:
        comment = self._wording.comments.get((self._owner, symbol))
        return f"  # {comment}" if comment else ""
