"""A live ANNarchy network in a process of its own, for `live`.

`python -m izhi_models.annarchy.live_worker`

ANNarchy prints, reads the command line, changes the current folder and keeps global state. Calls
come as pickled `(method, arguments)` on stdin, answers go as pickled `(result, error text)` to what
was stdout; both ends are this package.
"""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_LOG = 2000  # characters of a compiler's log


@dataclass(frozen=True)
class Setup:
    """All that a network is made of.

    Parameters
    ----------
    source : str
        Python that makes the populations and projections of `net`, and defines `connect`.
    paradigm : {'openmp', 'cuda'}
    flags : str
        Of the C++ compiler.
    settings : dict of str to any
        For `Network.config`; the name of a type of ANNarchy under `dtype`.
    dt_ms : float
    seed : int
    populations : tuple of str
        Names in the source, by number.
    connections : tuple of (str, tuple, dict of str to any)
        A projection, the arguments of `connect`, and values to set.
    delays : dict of str to int
        The longest delay from each population. [steps]
    records : tuple of (int, str, list of int or None, int)
        Population, variable or ``spike``, cells, and period in steps.
    values : dict of (int, str) to float or array
        By population and symbol.
    """

    source: str
    paradigm: str
    flags: str
    settings: dict[str, Any]
    dt_ms: float
    seed: int
    populations: tuple[str, ...]
    connections: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...]
    delays: dict[str, int]
    records: tuple[tuple[int, str, list[int] | None, int], ...]
    values: dict[tuple[int, str], float | NDArray[np.float64]]


class _Worker:
    def __init__(self) -> None:
        sys.argv = sys.argv[:1]
        import ANNarchy

        self.ann = ANNarchy
        self.scope: dict[str, Any] = {"ann": ANNarchy, "np": np}
        self.monitors: list[Any] = []
        self.setup: Setup

    def start(self, setup: Setup) -> None:
        """Make, compile and set up the network."""
        settings = dict(setup.settings)
        if "dtype" in settings:
            settings["dtype"] = getattr(self.ann, settings["dtype"])
        net = self.ann.Network(dt=setup.dt_ms, seed=setup.seed)
        net.config(paradigm=setup.paradigm, **settings)
        self.scope.update(net=net, DT=setup.dt_ms)
        exec(setup.source, self.scope)
        for name, arguments, _ in setup.connections:
            self.scope[f"{name}_lists"] = self.scope["connect"](self.scope[name], *arguments)
        for name, steps in setup.delays.items():
            self.scope[name].max_delay = steps
        self.setup = setup
        for number, variable, ranks, period in setup.records:
            population = self.scope[setup.populations[number]]
            view = population if ranks is None else population[ranks]
            # ANNarchy rounds down to whole steps.
            times = {"period": (period + 0.5) * setup.dt_ms}
            times["period_offset"] = (period - 0.5) * setup.dt_ms
            options = times if variable != "spike" and period > 1 else {}
            self.monitors.append(net.monitor(view, variable, **options))
        flags = {"compiler_flags": setup.flags} if setup.paradigm == "openmp" else {}
        net.compile(directory="build", silent=True, **flags)
        for (number, symbol), value in setup.values.items():
            self.set(number, symbol, value)
        for name, _, values in setup.connections:
            for symbol, value in values.items():
                is_array = isinstance(value, np.ndarray)
                listed = self.scope[f"{name}_lists"](value) if is_array else value
                setattr(self.scope[name], symbol, listed)

    def set(self, number: int, symbol: str, value: Any) -> None:
        """Set a parameter or variable of a population."""
        setattr(self.scope[self.setup.populations[number]], symbol, value)

    def get(self, number: int, symbol: str) -> NDArray[np.float64]:
        """Return a parameter or variable of a population."""
        population = self.scope[self.setup.populations[number]]
        return np.atleast_1d(np.asarray(getattr(population, symbol), dtype=np.float64))

    def run(self, n_steps: int) -> list[Any]:
        """Simulate, and return what was recorded."""
        # ANNarchy rounds up to whole steps.
        self.scope["net"].simulate((n_steps - 0.5) * self.setup.dt_ms)
        found: list[Any] = []
        for monitor, (_, variable, _, _) in zip(self.monitors, self.setup.records, strict=True):
            recorded = monitor.get(variable)
            if variable == "spike":
                pairs = [(step, cell) for cell, steps in recorded.items() for step in steps]
                found.append(np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))
            else:
                found.append(np.asarray(recorded))
        return found


def main() -> None:
    """Answer calls until stdin ends."""
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what ANNarchy and the compilers print
    worker = _Worker()
    folder = Path.cwd()
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: tuple[Any, str | None] = (getattr(worker, method)(*arguments), None)
        except Exception as error:
            logs = sorted(folder.glob("build/build/net*/compile_stderr.log"))
            log = logs[-1].read_text(errors="replace")[-_LOG:] if logs else ""
            answer = (None, f"{str(error).strip() or type(error).__name__}\n{log}".strip())
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
