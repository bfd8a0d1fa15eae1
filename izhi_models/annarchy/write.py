"""Programs as ANNarchy scripts for people."""

from __future__ import annotations

from izhi_models.annarchy.program import Neuron, Program, Projection, Synapse, verify_program
from izhi_models.annarchy.texts import HEAVISIDE, assigned

# A spiking neuron whose condition is constantly false. A rate-coded neuron would do for cells
# without events, but it must compute and store `r` in every step, and no event could reach it;
# the C++ compiler removes the loop over a constant condition.
NEVER = "0.0 > 1.0"
_HEAVISIDE = f"{HEAVISIDE}(x) = if x > 0.0: 1.0 else: if x < 0.0: 0.0 else: 0.5"


def write_definitions(program: Program) -> str:
    """Return a Python script that defines the populations and projections in ANNarchy.

    The script runs by itself. All values are 0 and no cells are connected, since a program holds
    neither.

    Parameters
    ----------
    program : Program

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
    lines += ["net = ann.Network()"]
    for neuron in program.neurons:
        lines += ["", *_neuron(neuron)]
    for projection in program.projections:
        lines += ["", *_projection(projection, program)]
    if any(f"{HEAVISIDE}(" in line for line in lines):
        lines.insert(2, f'ann.add_function("{_HEAVISIDE}")')
    return "\n".join(lines) + "\n"


def _neuron(neuron: Neuron) -> list[str]:
    return [
        f"{neuron.symbol} = net.create(",
        f"    {neuron.size},",
        "    ann.Neuron(",
        *_quantities(neuron),
        f'        spike="{neuron.spike or NEVER}",',
        *_texts("reset", neuron.reset),
        "    ),",
        f'    name="{neuron.symbol}",',
        ")",
    ]


def _projection(projection: Projection, program: Program) -> list[str]:
    pre, post = program.neurons[projection.pre], program.neurons[projection.post]
    head = [f"    {pre.symbol},", f"    {post.symbol},", f'    "{projection.target}",']
    synapse = [] if projection.synapse is None else _synapse(projection.synapse)
    tail = [f'    name="{projection.symbol}",', ")"]
    return [f"{projection.symbol} = net.connect(", *head, *synapse, *tail]


def _synapse(synapse: Synapse) -> list[str]:
    lines = ["    ann.Synapse(", *_quantities(synapse)]
    if synapse.pre_spike:
        if any(assigned(text) == "g_target" for text in synapse.pre_spike[1:]):
            lines.append("        # ANNarchy adds to g_target first, wherever it stands.")
        lines += _texts("pre_spike", synapse.pre_spike)
    if synapse.post_spike:
        lines += _texts("post_spike", synapse.post_spike)
    if synapse.psp is not None:
        lines.append(f'        psp="{synapse.psp}",')
    return [*lines, "    ),"]


def _quantities(item: Neuron | Synapse) -> list[str]:
    lines = ["        parameters={"]
    for parameter in item.declared if isinstance(item, Synapse) else item.parameters:
        locality = "global" if parameter.is_global else "local"
        lines.append(f'            "{parameter.symbol}": ann.Parameter(0.0, "{locality}"),')
    lines += ["        },", "        equations=["]
    for equation in item.equations:
        lines.append(f'            ann.Variable("{equation.text}"),')
    return [*lines, "        ],"]


def _texts(name: str, texts: tuple[str, ...]) -> list[str]:
    return [f"        {name}=[", *(f'            "{text}",' for text in texts), "        ],"]
