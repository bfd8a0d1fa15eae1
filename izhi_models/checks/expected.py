"""Published expected results of a model: read them, and compare a run with them.

Source: the test files of OSB Model Validation, ``.omt`` (what to observe in which output file,
and how close it must be) and ``.mep`` (what is expected), which many repositories of NeuroML
models hold. Both are YAML.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np
import yaml
from numpy.typing import NDArray

from izhi_models.errors import Diagnostic, InputError, Source, Span, UnsupportedError, suggest
from izhi_models.results import Results
from izhi_models.simulation import Simulation

Floats = NDArray[np.float64]
Observable = Literal["spike times", "spike rate"]
Detection = Literal["threshold", "derivative"]

OBSERVABLES: tuple[Observable, ...] = get_args(Observable)
DETECTIONS: tuple[Detection, ...] = get_args(Detection)
DEFAULT_TOLERANCE = 0.1
_ATOL = 1e-8  # NumPy's, which the published tolerances are meant beside


@dataclass(frozen=True)
class Table:
    """A column of an output file, and how spikes are found in it.

    Parameters
    ----------
    file : str
        Relative to the folder of the target.
    column : int
        Counted from 0, which is the time.
    scaling : (float, float)
        Factors of time and values.
    detection : {'threshold', 'derivative'}
        A spike is the first sample above the threshold, or a maximum.
    threshold : float
        Of scaled values.
    """

    file: str
    column: int
    scaling: tuple[float, float] = (1.0, 1.0)
    detection: Detection = "threshold"
    threshold: float = 0.0


@dataclass(frozen=True)
class Events:
    """The events of one id in an event file.

    Parameters
    ----------
    file : str
        Relative to the folder of the target.
    id : str
    scaling : float
        Factor of the times.
    """

    file: str
    id: str = "0"
    scaling: float = 1.0


@dataclass(frozen=True)
class Expectation:
    """One published result.

    Parameters
    ----------
    experiment : str
    observable : {'spike times', 'spike rate'}
        The rate is that of the mean interval.
    values : tuple of float
        In the unit that the scaling leads to; one for a rate.
    tolerance : float
        Relative to the expected value.
    where : Table or Events
    span : Span
        Where it is asked for.
    """

    experiment: str
    observable: Observable
    values: tuple[float, ...]
    tolerance: float
    where: Table | Events
    span: Span


@dataclass(frozen=True)
class Expected:
    """All published results of one model.

    Parameters
    ----------
    target : Path
        The file to run.
    expectations : tuple of Expectation
        None if a file asks only that the model runs.
    engine : str
        The simulator that the file names, ``jNeuroML_NEURON``; empty if none.
    """

    target: Path
    expectations: tuple[Expectation, ...]
    engine: str = ""

    @property
    def is_validation(self) -> bool:
        """Whether the target, or a pattern of targets, is to be validated and not run."""
        return self.engine.lower().endswith("validate")


@dataclass(frozen=True)
class Outcome:
    """How a run met one expectation.

    Parameters
    ----------
    expectation : Expectation
    found : tuple of float
    """

    expectation: Expectation
    found: tuple[float, ...]

    @property
    def error(self) -> float:
        """Largest distance relative to the expected value; infinite if the numbers differ."""
        found, expected = np.array(self.found), np.array(self.expectation.values)
        if found.size != expected.size:
            return np.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.nan_to_num(np.abs((found - expected) / expected)).max(initial=0.0))

    @property
    def passed(self) -> bool:
        """Whether all values are within the tolerance."""
        expected = self.expectation.values
        return len(self.found) == len(expected) and np.allclose(
            self.found, expected, rtol=self.expectation.tolerance, atol=_ATOL
        )


def read_expected(path: Path) -> Expected:
    """Read the published results of a model.

    Parameters
    ----------
    path : Path
        An ``.omt`` file; the ``.mep`` file that it names lies beside it.

    Raises
    ------
    InputError
        If a file cannot be read, is no YAML, or lacks something.
    UnsupportedError
        If something else than spike times and rates is to be observed.
    """
    root = _read(path)
    target = path.parent / root.get("target").text()
    named, engine = root.find("mep"), root.find("engine")
    name = "" if engine is None else engine.text()
    if named is None:
        return Expected(target, (), name)
    answers = _read(path.parent / named.text(), named.span).get("experiments")
    found = []
    for name, experiment in root.get("experiments").members().items():
        expected = answers.get(name).get("expected")
        for kind, observable in experiment.get("observables").members().items():
            wanted = expected.get(kind)
            found.append(_expectation(name, kind, observable, wanted, root))
    return Expected(target, tuple(found), name)


def _expectation(name: str, kind: str, given: _Node, wanted: _Node, root: _Node) -> Expectation:
    observable = next((item for item in OBSERVABLES if item == kind), None)
    if observable is None:
        hint = f"what can be compared: {', '.join(OBSERVABLES)}"
        raise UnsupportedError(Diagnostic(f"'{kind}' cannot be compared", given.span, (hint,)))
    tolerance = given.find("tolerance")
    return Expectation(
        name,
        observable,
        wanted.numbers(),
        DEFAULT_TOLERANCE if tolerance is None else tolerance.number(),
        _where(given, root.get("target").text()),
        given.span,
    )


def _where(given: _Node, target: str) -> Table | Events:
    folder = os.path.dirname(target) or "."  # noqa: PTH120  paths of a file, not of this machine

    def relative(node: _Node) -> str:
        return os.path.relpath(node.get("path").text(), folder)

    events = given.find("spiketimes file")
    if events is not None:
        number, scale = events.find("id"), events.find("scaling")
        return Events(
            relative(events),
            "0" if number is None else number.text(),
            1.0 if scale is None else scale.number(),
        )
    table = given.get("file")
    columns, scaling = table.find("columns"), table.find("scaling")
    places = (0.0, 1.0) if columns is None else columns.numbers()
    factors = (1.0, 1.0) if scaling is None else scaling.numbers()
    if len(places) != 2 or len(factors) != 2 or places[0] != 0 or places[1] < 1:
        span = (columns or table).span
        raise InputError(
            Diagnostic("expected two columns, the time in column 0, and two scalings", span)
        )
    method, level = "threshold", 0.0
    detection = given.find("spike detection")
    if detection is not None:
        chosen, threshold = detection.find("method"), detection.find("threshold")
        method = "threshold" if chosen is None else chosen.text()
        level = 0.0 if threshold is None else threshold.number()
    known = next((item for item in DETECTIONS if item == method), None)
    if known is None:
        hint = suggest(method, DETECTIONS)
        raise InputError(Diagnostic(f"unknown spike detection '{method}'", given.span, hint))
    return Table(relative(table), int(places[1]), (factors[0], factors[1]), known, level)


# YAML with positions


@dataclass(frozen=True)
class _Node:
    """A node of a YAML file."""

    source: Source
    node: yaml.Node

    @property
    def span(self) -> Span:
        mark = self.node.start_mark
        end = self.source.text.find("\n", mark.index)
        return Span(self.source, mark.index, end if end >= 0 else len(self.source.text))

    def members(self) -> dict[str, _Node]:
        if not isinstance(self.node, yaml.MappingNode):
            raise InputError(Diagnostic("expected names with values, 'name: value'", self.span))
        return {str(key.value): _Node(self.source, value) for key, value in self.node.value}

    def find(self, name: str) -> _Node | None:
        return self.members().get(name)

    def get(self, name: str) -> _Node:
        found = self.find(name)
        if found is None:
            hint = suggest(name, self.members())
            raise InputError(Diagnostic(f"'{name}' is missing", self.span, hint))
        return found

    def text(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            raise InputError(Diagnostic("expected one value", self.span))
        return str(self.node.value)

    def number(self) -> float:
        try:
            return float(self.text())
        except ValueError:
            raise InputError(Diagnostic(f"'{self.text()}' is no number", self.span)) from None

    def numbers(self) -> tuple[float, ...]:
        if isinstance(self.node, yaml.SequenceNode):
            return tuple(_Node(self.source, item).number() for item in self.node.value)
        return (self.number(),)


def _read(path: Path, span: Span | None = None) -> _Node:
    try:
        source = Source(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(Diagnostic(f"cannot read '{path}': {reason}", span)) from None
    try:
        node = yaml.compose(source.text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise InputError(Diagnostic(f"'{path}' is nested too deep", span)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = Span(source, mark.index, mark.index + 1) if mark is not None else None
        message = getattr(error, "problem", None) or str(error)
        raise InputError(Diagnostic(f"no YAML: {message}", place)) from None
    if node is None:
        raise InputError(Diagnostic(f"'{path}' is empty", span))
    return _Node(source, node)


# Comparison


def compare(expected: Expected, simulation: Simulation, results: Results) -> list[Outcome]:
    """Compare a run with the published results.

    Parameters
    ----------
    expected : Expected
    simulation : Simulation
        The plan of the target, which declares the output files.
    results : Results
        With all that these files hold.

    Raises
    ------
    InputError
        If an output file or column is asked for that the simulation does not declare.
    """
    return [
        Outcome(item, tuple(_observed(item, simulation, results).tolist()))
        for item in expected.expectations
    ]


def _observed(item: Expectation, simulation: Simulation, results: Results) -> Floats:
    where = item.where
    if isinstance(where, Table):
        spikes = _detect(*_samples(item, where, simulation, results), where)
    else:
        spikes = _events(item, where, simulation, results)
    if item.observable == "spike times":
        return spikes
    return np.array([1.0 / np.diff(spikes).mean() if spikes.size > 1 else 0.0])


def _samples(
    item: Expectation, where: Table, simulation: Simulation, results: Results
) -> tuple[Floats, Floats]:
    files = {_place(file.path, file.file_name): file for file in simulation.outputs}
    file = files.get(where.file)
    if file is None:
        raise InputError(_unknown(item, where.file, files))
    if where.column > len(file.columns):
        message = f"'{where.file}' has {len(file.columns)} columns beside the time"
        raise InputError(Diagnostic(message, item.span))
    trace = results.trace_of_one(file.columns[where.column - 1][1])
    values = np.asarray(trace.values[:, 0], dtype=np.float64)
    times = np.asarray(trace.times[:], dtype=np.float64)
    return times * where.scaling[0], values * where.scaling[1]


def _events(item: Expectation, where: Events, simulation: Simulation, results: Results) -> Floats:
    files = {_place(file.path, file.file_name): file for file in simulation.event_outputs}
    file = files.get(where.file)
    if file is None:
        raise InputError(_unknown(item, where.file, files))
    sources = {number: select for number, select, _ in file.selections}
    if where.id not in sources:
        hint = suggest(where.id, sources)
        raise InputError(Diagnostic(f"'{where.file}' has no id '{where.id}'", item.span, hint))
    population, cell = results.cell(sources[where.id])
    times: Floats = results.spikes[population].of(cell) * where.scaling
    return times


def _place(folder: str, name: str) -> str:
    return os.path.normpath(PurePosixPath(folder, name))


def _unknown(item: Expectation, name: str, files: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        f"the simulation writes no file '{name}'", item.span, suggest(name, files.keys())
    )


def _detect(times: Floats, values: Floats, where: Table) -> Floats:
    """Return the times of spikes in samples."""
    if where.detection == "threshold":
        found = (values[:-1] <= where.threshold) & (values[1:] > where.threshold)
    else:
        rises = np.diff(values)
        found = (rises[:-1] >= 0) & (rises[1:] < 0)
    return times[1 + np.flatnonzero(found)]
