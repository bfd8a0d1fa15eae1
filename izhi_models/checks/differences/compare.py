"""Compare two things that `izhi run` or an editor has written."""

from __future__ import annotations

from pathlib import Path

import h5py

from izhi_models.checks.differences.models import compare_models, read_for_comparison
from izhi_models.checks.differences.report import Diff
from izhi_models.checks.differences.results import Limits, compare_results
from izhi_models.errors import Diagnostic, InputError
from izhi_models.library import find_model
from izhi_models.places import RESULTS
from izhi_models.results import Results
from izhi_models.results.hdf5 import FORMAT
from izhi_models.units import TIME, Unit, parse_quantity

_TIMES = {name: Unit(name, TIME, power) for name, power in (("s", 0), ("ms", -3), ("us", -6))}


def diff(
    first: str | Path,
    second: str | Path,
    *,
    tolerance: str | float = 0.0,
    relative: float = 1e-9,
) -> Diff:
    """Compare two result folders, or two model files, by what they mean.

    Results are compared by path: spikes, and traces at the times that both have. Of models,
    components are compared in SI, ComponentTypes by their equations, connections and inputs as
    sets, whatever form or order they are written in, and what is simulated and recorded. What is
    drawn by a rule is compared as it is drawn from the seed of the file.

    Parameters
    ----------
    first, second : str or Path
        Folders that `izhi run` wrote, or files ``results.h5``; or model files or names of models.
    tolerance : str or float
        How far spikes may be apart, ``"0.1 ms"``; a number is in seconds.
    relative : float
        How far traces may be apart, as a part of the largest value of each; 1e-9 is rounding.

    Returns
    -------
    Diff
        ``diff("a", "b").raise_if_different()`` is all that a test needs.

    Raises
    ------
    InputError
        If one cannot be read, or they are of two kinds.
    """
    paths = [_place(item) for item in (first, second)]
    kinds = [_holds_results(path) for path in paths]
    if kinds[0] != kinds[1]:
        shown = [
            f"'{path}' holds {'results' if kind else 'a model'}"
            for path, kind in zip(paths, kinds, strict=True)
        ]
        hint = "give two folders of results, or two models"
        raise InputError(Diagnostic(" and ".join(shown), notes=(hint,)))
    if kinds[0]:
        limits = Limits(_seconds(tolerance), relative)
        results = [Results.load(path) for path in paths]
        differences, compared = compare_results(results[0], results[1], limits)
    else:
        models = [read_for_comparison(path) for path in paths]
        differences, compared = compare_models(models[0], models[1])
    ordered = sorted(differences, key=lambda item: not item.counts)
    return Diff(paths[0], paths[1], tuple(ordered), tuple(compared))


def _seconds(tolerance: str | float) -> float:
    if isinstance(tolerance, str):
        tolerance = parse_quantity(tolerance, _TIMES).value
    if tolerance < 0:
        raise InputError(f"the tolerance must not be below zero, as {tolerance:g} s")
    return tolerance


def _place(item: str | Path) -> Path:
    """Return a file: the results of a folder, or a model."""
    path = Path(item)
    if path.is_dir():
        results = path / RESULTS
        if not results.exists():
            hint = "give a folder that `izhi run` wrote, or a model file"
            raise InputError(Diagnostic(f"'{path}' holds no {RESULTS}", notes=(hint,)))
        return results
    return path if path.exists() else find_model(str(item))


def _holds_results(path: Path) -> bool:
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return bool(file.attrs.get("format") == FORMAT)
