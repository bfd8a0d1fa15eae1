"""What an exporter is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from izhi_models.annarchy.program import Precision
from izhi_models.annarchy.recorder import Recording
from izhi_models.lems.simulation import Experiment
from izhi_models.results import SpikeTrains


@dataclass(frozen=True)
class Request:
    """A model, and how it is to be run.

    Parameters
    ----------
    name : str
        What the model is called.
    experiment : Experiment
        The network, and what the file wants done with it.
    recordings : tuple of Recording
        Quantities to record besides the spikes.
    dt_s, duration_s : float
        [s]
    seed : int
        Of everything random.
    method : str
        Integrator, one of `izhi_models.ir.step.METHODS`.
    precision : {'double', 'float'}
    asked : tuple of str
        Paths of what is recorded besides what the file names; part of `recordings`.
    keep_rules : bool
        Write rules that connect as such, and not what they make.
    is_checked : bool
        True if another simulator has been seen to run it right.
    replayed : mapping of str to SpikeTrains
        Populations that another simulator is not to simulate, with what they send.
    """

    name: str
    experiment: Experiment
    recordings: tuple[Recording, ...]
    dt_s: float
    duration_s: float
    seed: int
    method: str = "auto"
    precision: Precision = "double"
    asked: tuple[str, ...] = ()
    keep_rules: bool = False
    is_checked: bool = False
    replayed: Mapping[str, SpikeTrains] = field(default_factory=dict)
