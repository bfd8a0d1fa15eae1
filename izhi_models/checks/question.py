"""What the reference interpreter, jNeuroML, is asked about a model, and its runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from izhi_models.checks.chance import certain_cells, draws
from izhi_models.checks.report import Finding
from izhi_models.engines.jneuroml import Reference, Started
from izhi_models.errors import BackendError
from izhi_models.lems.targets import sent_ports
from izhi_models.network import Network
from izhi_models.pipeline import Model

Certain = dict[str, NDArray[np.bool_]]

FINER = 4  # times shorter is the other step at which both are run
_MOST_CELL_STEPS = 4e7
_FEW_CELL_STEPS = 1e6  # done in about the time in which Java starts
_MOST_CELLS = 200


class Question:
    """What jNeuroML is asked about a model: a context at whose end no run of it is left.

    It takes seconds to start, so that the runs that will be looked at begin at once.

    Parameters
    ----------
    model : Model
        Of a LEMS file with a Simulation; of others nothing is asked.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.quantities: list[str] = []
        self.cells: list[str] = []
        self.left_out: list[Finding] = []
        self._runs: dict[float, Started] = {}

    @property
    def is_asked(self) -> bool:
        """Whether anything can be compared."""
        return bool(self.quantities or self.cells)

    def answer(self, factor: float, limit_s: float) -> Reference:
        """Return what jNeuroML says at a fraction of the step; for errors see `Started`."""
        return self._start(factor).result(limit_s)

    def seconds(self, factor: float) -> float:
        """Return how long a run that has ended took."""
        return self._runs[factor].seconds

    def __enter__(self) -> Question:
        self._choose()
        if self.is_asked:
            self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs.values():
            run.stop()

    def _choose(self) -> None:
        """Choose what to compare: what no random number reaches."""
        model, network = self.model, self.model.network
        plan = model.experiment.simulation
        if plan is None or model.path.suffix != ".xml" or model.settings:
            why = "jNeuroML runs LEMS files with a Simulation, as they are"
            self.left_out = [skipped(why)]
            return
        certain, self.left_out = _certain(network)
        if certain is None:
            return
        if network.n_neurons * plan.length_s / plan.step_s > _MOST_CELL_STEPS:
            self.left_out = [skipped("jNeuroML would take too long for a network of this size")]
            return
        self.cells = list(_spiking_cells(network, certain))[:_MOST_CELLS]
        self.quantities = [
            name
            for name, item in model.experiment.quantities.items()
            if certain[item.population][item.index]
        ]
        if not self.is_asked:
            self.left_out.append(skipped("the file records nothing, and no cell sends events"))

    def _begin(self) -> None:
        """Start a run at the step, and one at the shorter one where it costs little."""
        network, plan = self.model.network, self.model.experiment.simulation
        if plan is None:
            return
        n_steps = plan.length_s / plan.step_s
        is_small = network.n_neurons * n_steps * FINER <= _FEW_CELL_STEPS
        try:
            for factor in (1, FINER) if is_small else (1,):
                self._start(factor)
        except BackendError:
            pass  # there is no Java: said where the answer is wanted

    def _start(self, factor: float) -> Started:
        if factor not in self._runs:
            dt_s = self.model.step() / factor
            self._runs[factor] = Started(
                self.model.path,
                self.quantities,
                self.cells,
                None if factor == 1 else f"{dt_s * 1e3:.12g}ms",
                network=_network_path(self.model),
            )
        return self._runs[factor]


def skipped(reason: str) -> Finding:
    """Return that nothing of a model is compared with jNeuroML, and why."""
    return Finding("reference", "skipped", reason)


def _certain(network: Network) -> tuple[Certain | None, list[Finding]]:
    """Return which cells can be compared, since no random number reaches them."""
    own = "and jNeuroML draws its own"
    if network.seed is not None:
        return None, [skipped(f"a rule draws the connections at random, {own}")]
    if network.parts is not None:
        certain = certain_cells(network.parts)
    else:
        is_random = any(draws(item.dynamics) for item in network.populations.values())
        certain = {
            name: np.full(item.size, not is_random) for name, item in network.populations.items()
        }
    left_out = [
        Finding(name, "skipped", f"random numbers reach {n} of its {cells.size} cells, {own}")
        for name, cells in certain.items()
        if (n := int((~cells).sum()))
    ]
    if not any(cells.any() for cells in certain.values()):
        return None, left_out
    return certain, left_out


def _spiking_cells(network: Network, certain: Certain) -> Iterator[str]:
    for population in network.populations.values():
        if not sent_ports(population.dynamics):
            continue
        for index in np.flatnonzero(certain[population.id]).tolist():
            if population.positions is not None:
                yield f"{population.id}/{index}/{population.component}"
            else:
                yield f"{population.id}[{index}]"


def _network_path(model: Model) -> str:
    """Return the path from the target to the network that it holds, if it does."""
    target = model.experiment.target
    if target.network is None or not target.holders:
        return ""
    return "".join(f"{part.id}/" for part in (*target.holders[1:], target.network))
