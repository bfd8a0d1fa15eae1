"""From a file to results: the one place that knows the order of the stages.

read and resolve (`lems.components`) -> lower to a network (`lems.simulation`) -> lower to a
program (`annarchy.lower`) -> build and simulate (`annarchy.run`) -> `Results`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from izhi_models.annarchy.live import PARADIGMS, LiveLibrary
from izhi_models.annarchy.lower import Lowering, lower_network
from izhi_models.annarchy.program import Precision
from izhi_models.annarchy.recorder import Recording, recorded_inside, recorded_names
from izhi_models.annarchy.run import Simulator
from izhi_models.annarchy.write import write_definitions
from izhi_models.describe import describe_component, describe_network
from izhi_models.errors import Diagnostic, InputError, Span, raise_if_errors, suggest
from izhi_models.ir.passes import order_derived
from izhi_models.ir.step import METHODS
from izhi_models.lems.components import Model as Declarations
from izhi_models.lems.components import read_model
from izhi_models.lems.instances import networks_of
from izhi_models.lems.lower import lower_component
from izhi_models.lems.network import DEFAULT_SEED
from izhi_models.lems.parameters import Parameter, find_parameter
from izhi_models.lems.settings import apply_settings
from izhi_models.lems.simulation import Experiment, lower_experiment
from izhi_models.lems.validate import find_faults
from izhi_models.library import find_model
from izhi_models.network import Network
from izhi_models.recordings import choose_recordings
from izhi_models.results import Results
from izhi_models.rounding import rounded_delays
from izhi_models.stability import check_step
from izhi_models.units import NONE, TIME, Dimension, parse_quantity

DEFAULT_STEP = "0.025 ms"
MAX_PERIOD = 2**31 - 1
STAGES = ("ir", "program")
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Progress = Callable[[str, float], None]


def quiet(stage: str, fraction: float) -> None:
    """Show no progress."""


@dataclass(repr=False)
class Run:
    """A compiled model. Made by `Model.compile`.

    Parameters
    ----------
    model : Model
    simulator : Simulator
    timings : dict of str to float
        Of each stage so far. [s]
    """

    model: Model
    simulator: Simulator
    timings: dict[str, float]

    def __repr__(self) -> str:
        return f"<Run of {self.model!r} with a step of {self.simulator.dt_s * 1e3:g} ms>"

    @property
    def was_cached(self) -> bool:
        """True if nothing had to be compiled."""
        built = self.simulator.built
        return built is not None and built.cached

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the step makes of delays, where the file says something else."""
        return tuple(rounded_delays(self.model.network.projections, self.simulator.dt_s))

    def simulate(
        self,
        duration: str | float | None = None,
        *,
        file: str | Path | None = None,
        provenance: Mapping[str, Any] = MappingProxyType({}),
        progress: Progress = quiet,
    ) -> Results:
        """Simulate from the present time on.

        Parameters
        ----------
        duration : str or float, optional
            Such as ``"500 ms"``; a number is in seconds. What the file asks for if left out.
        file : str or Path, optional
            HDF5 file to which the results go as they come, so that they need not fit into
            memory, and from which they are read where they are looked at.
        provenance : mapping of str to any
            For the results.
        progress : callable, optional
            Called with the name of the stage and the fraction done.

        Returns
        -------
        Results

        Raises
        ------
        InputError
            If neither the call nor the file gives a duration, or it is less than a step, or
            results cannot be written.
        RunError
            If a variable is not finite any more, or memory or disk does not suffice.
        """
        seconds = self.model.duration(duration)

        def advanced(done_s: float) -> None:
            text = f"simulated {done_s * 1e3:.7g} of {seconds * 1e3:.7g} ms"
            progress(text, done_s / seconds)

        progress("simulating", 0.0)
        with timed(self.timings, "simulate"):
            place = None if file is None else Path(file)
            return self.simulator.simulate(seconds, advanced, place, provenance)

    def reset(self, seed: int | None = None) -> None:
        """Go back to t = 0, with the present parameters and connections.

        Parameters
        ----------
        seed : int, optional
            A new seed for everything random but the connections that rules have drawn: for others,
            compile with another seed.
        """
        self.simulator.reset(seed)

    def set(self, path: str, value: str | ArrayLike) -> None:
        """Change a parameter of a population or of an input; nothing is compiled again.

        What the file derives from it (DerivedParameter) follows. It holds from now on; initial
        values that depend on it follow with the next `reset`.

        Parameters
        ----------
        path : str
            ``pop/a`` for all cells, ``pop[0]/i0/amplitude`` for an input of one cell.
        value : str, float or array (size,)
            Such as ``"-65 mV"``; numbers are SI. Different values need a population whose cells
            differ already, or `per_cell` of `Model.compile`.

        Raises
        ------
        InputError
            If the path leads to no parameter, or the value does not fit.
        """
        found = self.model.parameter(path)
        if isinstance(value, str):
            value = self._number(value, found.dimension)
        for name, cells in found.cells.items():
            values = self.simulator.parameter(found.population, name)
            given = np.asarray(value, dtype=np.float64)
            if given.ndim and found.is_one_cell:
                raise InputError(f"'{path}' is one cell, and takes one number")
            if given.ndim and given.shape != values.shape:
                message = f"'{path}' takes a value for each cell, {values.size}, not {given.size}"
                raise InputError(message)
            chosen = slice(None) if cells is None else cells
            values[chosen] = given[chosen] if given.ndim else given
            present = partial(self.simulator.parameter, found.population)
            changed = {**found.follow(name, values, present), name: values}
            for other, array in changed.items():
                if not np.isfinite(array).all():
                    raise InputError(f"a value for '{other}' of '{found.population}' is not finite")
            for other, array in changed.items():
                one = array[0] if np.all(array == array[0]) else array
                self.simulator.set(found.population, other, one)

    def _number(self, text: str, dimension: Dimension) -> float:
        quantity = parse_quantity(text, self.model.declarations.types.units)
        if quantity.dimension != dimension:
            wanted = self.model.declarations.types.dimension_name(dimension)
            hint = "a number without a unit, not as text, is SI"
            raise InputError(
                Diagnostic(f"'{text}' is not of the dimension {wanted}", notes=(hint,))
            )
        return quantity.value

    def close(self) -> None:
        """Free the memory of the simulation."""
        self.simulator.close()


@dataclass
class Model:
    """A model file, read and lowered. Made by `load`.

    Parameters
    ----------
    path : Path
    declarations : izhi_models.lems.components.Model
        Components and types.
    experiment : Experiment
        The network, and what the file wants done with it.
    timings : dict of str to float
        [s]
    settings : dict of str to str or float
        Parameters that were given other values than in the file.
    """

    path: Path
    declarations: Declarations
    experiment: Experiment
    timings: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str | float] = field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = (f"{name}: {item.size}" for name, item in self.network.populations.items())
        return f"<Model {self.path.name} ({', '.join(sizes)})>"

    @property
    def network(self) -> Network:
        """The network as arrays."""
        return self.experiment.network

    def compile(
        self,
        *,
        dt: str | float | None = None,
        method: str = "auto",
        seed: int | None = None,
        threads: int = 1,
        precision: Precision = "double",
        paradigm: str = "openmp",
        record: str | Iterable[str] = (),
        every: str | float | None = None,
        per_cell: str | Iterable[str] = (),
        progress: Progress = quiet,
    ) -> Run:
        """Compile the model, or take what was compiled before.

        Parameters
        ----------
        dt : str or float, optional
            Step, ``"0.01 ms"``; a number is in seconds. What the file asks for if left out.
        method : str
            One of `izhi_models.ir.step.METHODS`.
        seed : int, optional
            Of everything random, the connections that rules draw included. What the file asks
            for if left out, else 1234.
        threads : int
        precision : {'double', 'float'}
        paradigm : {'openmp', 'cuda'}
            ``"cuda"`` runs the model on an NVIDIA GPU, by ANNarchy's own code; equal spikes are
            not promised then, since sums come in any order.
        record : str or iterable of str
            Paths to record besides those of the file: ``pop[0]/v``, ``pop[0:100]/v``,
            ``pop[0,5]/v``, or ``pop/v`` for all cells; ``pop/v@1ms`` for a period of its own.
        every : str or float, optional
            Period of `record`, rounded to whole steps: at its multiples values are kept; a number
            is in seconds. In each step if left out, as always what the file names.
        per_cell : str or iterable of str
            Paths of parameters, ``pop/a``, to which `Run.set` can then give a value for each cell.
        progress : callable, optional
            Called with the name of the stage and the fraction done.

        Raises
        ------
        InputError
            If an argument is wrong.
        BackendError
            If there is no compiler, or it fails, or no GPU.
        UnsupportedError
            If ANNarchy has no CUDA code for what the model needs: delays that differ.
        RunError
            If memory does not suffice.
        """
        _check_choices(method, precision, paradigm, threads)
        step_s, seed = self.step(dt), self.seed(seed)
        check_step(self.network, step_s, method)
        timings = dict(self.timings)
        model = self.drawn_from(seed, timings)
        recordings = model.recordings(listed(record), every, step_s)
        with timed(timings, "lower"):
            lowering = model.lower(
                recordings,
                per_cell=listed(per_cell),
                method=method,
                threads=threads,
                precision=precision,
            )
        with timed(timings, "build"):
            simulator = Simulator(
                lowering,
                recordings,
                step_s,
                seed,
                engine=LiveLibrary(lowering.program, paradigm) if paradigm == "cuda" else None,
                progress=lambda text: progress(text, 0.0),
            )
        return Run(model, simulator, timings)

    def drawn_from(self, seed: int, timings: dict[str, float]) -> Model:
        """Return the model with connections drawn from a seed, and note how long it took [s]."""
        if self.network.seed in (None, seed):
            return self
        with timed(timings, "resolve"):
            experiment = lower_experiment(self.declarations, seed)
        return replace(self, experiment=replace(experiment, warnings=self.experiment.warnings))

    def lower(
        self,
        recordings: Sequence[Recording],
        *,
        per_cell: Iterable[str] = (),
        method: str = "auto",
        threads: int = 1,
        precision: Precision = "double",
    ) -> Lowering:
        """Lower the network to a program; for arguments see `compile`."""
        apart: dict[str, set[str]] = {}
        for path in per_cell:
            found = self.parameter(path)
            apart.setdefault(found.population, set()).update(found.names())
        return lower_network(
            self.experiment.network,
            recorded_names(recordings),
            inside=recorded_inside(recordings),
            per_cell=apart,
            method=method,
            threads=threads,
            precision=precision,
        )

    def recordings(
        self,
        extra: Iterable[str] = (),
        every: str | float | None = None,
        dt: str | float | None = None,
    ) -> list[Recording]:
        """Return what is recorded: what the file names, or v of all cells, and more.

        For arguments see `compile`.
        """
        step_s = self.step(dt)

        def in_steps(own: str) -> int:
            return self._period(own or every, step_s)

        return choose_recordings(self.experiment, list(extra), every, in_steps)

    def step(self, dt: str | float | None = None) -> float:
        """Return the length of a step [s]; what the file asks for if `dt` is None."""
        if dt is None:
            plan = self.experiment.simulation
            dt = plan.step_s if plan else DEFAULT_STEP
        return self.seconds(dt, "step")

    def seed(self, seed: int | None = None) -> int:
        """Return the seed; what the file asks for, or 1234, if it is None."""
        plan = self.experiment.simulation
        if seed is not None:
            return seed
        return plan.seed if plan and plan.seed is not None else DEFAULT_SEED

    def _period(self, every: str | float | None, step_s: float) -> int:
        """Return a period of recording in steps."""
        if every is None:
            return 1
        period_s = self.seconds(every, "period of recording")
        steps = round(period_s / step_s)
        if not 1 <= steps <= MAX_PERIOD or not np.isclose(period_s, steps * step_s, rtol=1e-6):
            message = f"recording every {period_s * 1e3:g} ms does not go with "
            hint = "write a multiple of the step"
            step = f"a step of {step_s * 1e3:g} ms"
            raise InputError(Diagnostic(message + step, notes=(hint,)))
        return steps

    def dump(self, stage: str) -> str:
        """Return a stage of the pipeline as text.

        Parameters
        ----------
        stage : {'ir', 'program'}
        """
        check_choice("stage", stage, STAGES)
        if stage == "ir":
            return describe_network(self.experiment.network) + "\n"
        return write_definitions(self.lower(self.recordings()).program)

    def duration(self, duration: str | float | None) -> float:
        """Return how long to simulate [s].

        Parameters
        ----------
        duration : str or float or None
            What the file asks for if None.

        Raises
        ------
        InputError
            If it is no time above zero, or the file does not say it either.
        """
        if duration is not None:
            return self.seconds(duration, "duration")
        if self.experiment.simulation is not None:
            return self.experiment.simulation.length_s
        raise InputError(
            Diagnostic(
                f"{self.path} declares no Simulation, so it says not how long to run",
                notes=('give a duration: --duration "500 ms"',),
            )
        )

    def seconds(self, value: str | float, what: str) -> float:
        """Return a time in seconds from text such as ``"10 ms"``, or from a number of seconds."""
        if isinstance(value, str):
            quantity = parse_quantity(value, self.declarations.types.units)
            if quantity.dimension != TIME:
                is_bare = quantity.dimension == NONE
                hint = f'write the {what} as "{value.strip() if is_bare else 10} ms"'
                raise InputError(Diagnostic(f"'{value}' is no time", notes=(hint,)))
            value = quantity.value
        if not 0.0 < value < np.inf:
            raise InputError(f"the {what} must be greater than zero, not {value:g} s")
        return float(value)

    def parameter(self, path: str) -> Parameter:
        """Return the parameter at a path: see `Run.set`."""
        return find_parameter(self.declarations, self.experiment.network, path)


def listed(paths: str | Iterable[str]) -> list[str]:
    """Return paths as a list; a single one may stand for itself."""
    return [paths] if isinstance(paths, str) else list(paths)


def _check_choices(method: str, precision: str, paradigm: str, threads: int) -> None:
    check_choice("method", method, METHODS)
    check_choice("precision", precision, PRECISIONS)
    check_choice("paradigm", paradigm, PARADIGMS)
    if threads < 1:
        raise InputError(f"{threads} threads, expected 1 or more")


def check_choice(what: str, value: str, known: Iterable[str]) -> None:
    """Raise `InputError` unless a value is one of those known.

    Parameters
    ----------
    what : str
        Of the value, for the message.
    value : str
    known : iterable of str
    """
    if value not in known:
        notes = suggest(value, known) or (f"known here: {', '.join(known)}",)
        raise InputError(Diagnostic(f"unknown {what} '{value}'", notes=notes))


def load(path: str | Path, *, set: Mapping[str, str | float] | None = None) -> Model:
    """Read a NeuroML 2 or LEMS file, or a model of the package by name.

    Parameters
    ----------
    path : str or Path
    set : mapping of str to str or float, optional
        Values for parameters of components, in place of those in the file, so that all that
        follows from them follows: sizes, connections, duration. By path, ``"E/size"``, or by name
        if only one component has it. A text is a quantity, ``"5 mV"``; a number is SI.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        With every fault found in the file, or in what was set.
    UnsupportedError
        If it has what cannot be run.
    """
    timings: dict[str, float] = {}
    settings = dict(set or {})
    file = find_model(str(path))
    replaced: dict[Span, str] = {}
    try:
        with timed(timings, "read"):
            declarations = read_model(file)
            if not any(item.severity == "error" for item in declarations.faults):
                replaced = apply_settings(declarations, settings)
            found = find_faults(declarations)
            raise_if_errors(found)
        with timed(timings, "resolve"):
            experiment = replace(lower_experiment(declarations), warnings=tuple(found))
    except InputError as error:
        raise InputError(*(_told(item, replaced) for item in error.diagnostics)) from error
    return Model(file, declarations, experiment, timings, settings)


def _told(item: Diagnostic, replaced: Mapping[Span, str]) -> Diagnostic:
    """Add to a diagnostic what was set in place of what stands in the file."""
    told = replaced.get(item.span) if item.span else None
    return replace(item, notes=(*item.notes, f"set by {told}")) if told else item


def show(path: str | Path) -> str:
    """Return the equations of a file as they are simulated, with units and values.

    Parameters
    ----------
    path : str or Path
        A file with a network shows its populations with all that is attached; a file of
        components, each of them.

    Raises
    ------
    InputError
        With every fault found in the file.
    """
    file = find_model(str(path))
    declarations = read_model(file)
    raise_if_errors(find_faults(declarations))
    if networks_of(declarations):
        model = Model(file, declarations, lower_experiment(declarations))
        return describe_network(model.network, model.lower(model.recordings()).program) + "\n"
    parts = []
    for component in declarations.components.values():
        if component.type.dynamics and not component.element.document.is_core:
            lowered = lower_component(declarations, component)
            parts.append(
                describe_component(component.id, order_derived(lowered.dynamics), lowered.values)
            )
    return "\n\n".join(parts) + "\n"


@contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Note how long the block takes.

    Parameters
    ----------
    timings : dict of str to float
        Gets the time of the stage. [s]
    stage : str
    """
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
