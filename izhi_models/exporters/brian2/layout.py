"""What is the same in every Brian2 script, and how its lines are laid out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from textwrap import indent

from izhi_models.exporters.brian2.words import is_unit

CLASSES = frozenset({
    "Function", "NeuronGroup", "SpikeMonitor", "StateMonitor", "Synapses", "defaultclock",
    "magic_network", "prefs", "run", "seed",
})  # fmt: skip

FUNCTIONS = {
    "where": '''
# One of two numbers, of which the other may be undefined.
np.seterr(divide="ignore", invalid="ignore", over="ignore")
where = Function(
    np.where,
    arg_names=["test", "then", "otherwise"],
    arg_units=[None, None, "then"],
    arg_types=["boolean", "any", "any"],
    return_type="float",
    return_unit=lambda test, then, otherwise: then,
)
where.implementations.add_numpy_implementation(
    lambda test, then, otherwise: np.where(test, then, otherwise), discard_units=True
)
where.implementations.add_implementation(
    "cython",
    """
    cdef double where(bint test, double then, double otherwise):
        return then if test else otherwise
    """,
)
where.implementations.add_implementation(
    "cpp",
    """
    static inline double where(bool test, double then, double otherwise) {
        return test ? then : otherwise;
    }
    """,
)'''.splitlines(),
    "rk4": '''

def rk4(equations, variables, method_options=None):
    """Return code of the classical Runge-Kutta method.

    Brian2's own takes minutes to write it for cells with many channels. Here what is derived is
    computed once in each stage.
    """
    states = equations.diff_eq_names
    derived = [item for item in equations.ordered if item.varname in equations.subexpr_names]
    code = []
    for stage, part in enumerate((0, 0.5, 0.5, 1)):
        here = {item: f"_{item}_{stage}" for item in (*states, *equations.subexpr_names)}
        here["t"] = f"(t + {part}*dt)"
        for item in states:
            move = f" + {part}*dt*_slope_{item}_{stage - 1}" if stage else ""
            code.append(f"_{item}_{stage} = {item}{move}")
        for item in derived:
            value = word_substitute(item.expr.code, here)
            code.append(f"_{item.varname}_{stage} = {value}")
        for item in states:
            slope = word_substitute(equations[item].expr.code, here)
            code.append(f"_slope_{item}_{stage} = {slope}")
    for item in states:
        first, second, third, fourth = (f"_slope_{item}_{stage}" for stage in range(4))
        code.append(f"{item} += dt*({first} + 2*{second} + 2*{third} + {fourth})/6")
    return "\\n".join(code)

'''.splitlines(),
    "factorial": '''
factorial = Function(np.vectorize(lambda x: math.gamma(x + 1.0)), arg_units=[1], return_unit=1)
factorial.implementations.add_implementation(
    "cython",
    """
    from libc.math cimport tgamma
    cdef double factorial(double x):
        return tgamma(x + 1.0)
    """,
)
factorial.implementations.add_implementation(
    "cpp", "static inline double factorial(double x) { return tgamma(x + 1.0); }"
)'''.splitlines(),
}

RESULTS = """\
results = {}
for name, (monitor, first, size) in populations.items():
    chosen = (monitor.i >= first) & (monitor.i < first + size)
    results[f"{name}.steps"] = np.rint(monitor.t[chosen] / DT).astype(int) + 1
    results[f"{name}.cells"] = np.asarray(monitor.i)[chosen] - first
    print(f"{name}: {np.sum(chosen)} spikes")
for name, monitor, variable, cells, period, columns in traces:
    found = np.asarray(getattr(monitor, variable))[np.searchsorted(monitor.record, cells)]
    found = found.T[period - 1 :: period]
    if name in results:
        found = np.concatenate([results[name], found], axis=1)
        columns = [*results[f"{name}.cells"], *columns]
    results[name] = found
    results[f"{name}.cells"] = np.array(columns)
np.savez_compressed(path.with_name(f"{path.stem}_results.npz"), **results)""".splitlines()


def braces(name: str, lines: Sequence[str], ends: tuple[str, str] = ("{", "}")) -> Iterator[str]:
    """Yield the lines of a dictionary or list.

    Parameters
    ----------
    name : str
        Of the variable.
    lines : sequence of str
        Its items.
    ends : tuple of str
    """
    opening, closing = ends
    if not lines:
        yield f"{name} = {opening}{closing}"
        return
    yield f"{name} = {opening}"
    yield from (f"    {line}" for line in lines)
    yield closing


def block_of(lines: Sequence[str], depth: int) -> str:
    """Return lines of a language within the language.

    Parameters
    ----------
    lines : sequence of str
    depth : int
        Spaces before each.
    """
    if len(lines) < 2 and "#" not in "".join(lines):
        return f'"{"".join(lines)}"'
    inner = indent("\n".join(lines), " " * depth)
    return f'"""\n{inner}\n{" " * (depth - 4)}"""'


def imports(text: str) -> list[str]:
    """Return the imports of a script.

    Parameters
    ----------
    text : str
        All that follows them.
    """
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    from_brian = sorted(
        (item for item in used if item in CLASSES or is_unit(item)),
        key=lambda item: (item.lower(), item),
    )
    modules = ["import math"] if "math" in used else []
    return [
        *modules,
        "import sys",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "from brian2 import (",
        *(f"    {item}," for item in from_brian),
        ")",
        *(["from brian2.utils.stringtools import word_substitute"] if "rk4" in used else []),
    ]
