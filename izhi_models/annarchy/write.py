"""Programs as ANNarchy scripts for people."""

from __future__ import annotations

from izhi_models.annarchy.program import Neuron, Program, verify_program

# A spiking neuron whose condition is constantly false. A rate-coded neuron would do for cells
# without events, but it must compute and store `r` in every step, and no event could reach it;
# the C++ compiler removes the loop over a constant condition.
NEVER = "0.0 > 1.0"


def write_definitions(program: Program) -> str:
    """Return a Python script that defines and creates the populations in ANNarchy.

    The script runs by itself. All values are 0, since a program holds none.

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
        lines += ["", *_definition(neuron)]
    return "\n".join(lines) + "\n"


def _definition(neuron: Neuron) -> list[str]:
    lines = [f"{neuron.symbol} = net.create(", f"    {neuron.size},", "    ann.Neuron("]
    lines += ["        parameters={"]
    for parameter in neuron.parameters:
        locality = "global" if parameter.is_global else "local"
        lines.append(f'            "{parameter.symbol}": ann.Parameter(0.0, "{locality}"),')
    lines += ["        },", "        equations=["]
    for equation in neuron.equations:
        method = f', method="{equation.method}"' if equation.is_ode else ""
        lines.append(f'            ann.Variable("{equation.text}"{method}),')
    lines += ["        ],", f'        spike="{neuron.spike or NEVER}",', "        reset=["]
    lines += [f'            "{text}",' for text in neuron.reset]
    lines += ["        ],", "    ),", f'    name="{neuron.symbol}",', ")"]
    return lines
