"""The file itself: does it follow the rules, and do its numbers make sense together.

Beside what `izhi validate` finds: conditions that can never change, parameters that no cell can
have, and a step that is too long for the fastest time constant of the equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from izhi_models.checks.report import Finding, Verdict
from izhi_models.errors import Diagnostic
from izhi_models.expr import Expr, Number, Select, fold, is_random, names, substitute
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import evaluate_scalar
from izhi_models.lems.validate import validate
from izhi_models.network import Population
from izhi_models.pipeline import Model
from izhi_models.stability import STABLE, shorter_step, time_constants
from izhi_models.units import Dimension, display_unit, parse_quantity

_ACCURATE = 0.5


def check_file(model: Model) -> list[Finding]:
    """Return the faults of a file, as `izhi validate` tells them."""
    found = [_told(item) for item in validate(model.path)]
    return found or [Finding("schema, references, dimensions", "holds", "no fault")]


def _told(item: Diagnostic) -> Finding:
    place = "" if item.span is None else f"{item.span.source.path}:{item.span.line}"
    hint = "; ".join(note if isinstance(note, str) else note.text for note in item.notes)
    verdict: Verdict = "fails" if item.severity == "error" else "doubtful"
    return Finding(place or "file", verdict, item.message, hint)


def check_spec(model: Model, *, method: str = "auto") -> list[Finding]:
    """Check a file and the numbers in it.

    Parameters
    ----------
    model : Model
    method : str
        Integrator, as `Model.compile` takes it.
    """
    found = check_file(model)
    done: list[tuple[Dynamics, Mapping[str, object]]] = []
    faults: list[Finding] = []
    for population in model.network.populations.values():
        if any(
            population.dynamics is known and population.values is values for known, values in done
        ):
            continue
        done.append((population.dynamics, population.values))
        faults += _parameters(model, population)
        faults += _conditions(population)
        faults += _step(model, population, method)
    places = len(model.network.populations)
    return [
        *found,
        *(faults or [Finding("parameters, conditions, step", "holds", f"{places} populations")]),
    ]


# A quantity of each kind that must be above 0, or at least not below.
_POSITIVE = ("1 F", "1 F_per_m2")
_NOT_NEGATIVE = ("1 S", "1 S_per_m2")


def _dimensions(model: Model, texts: tuple[str, ...]) -> set[Dimension]:
    units = model.declarations.types.units
    known = (text for text in texts if text.split()[1] in units)
    return {parse_quantity(text, units).dimension for text in known}


def _parameters(model: Model, population: Population) -> Iterator[Finding]:
    positive, least = _dimensions(model, _POSITIVE), _dimensions(model, _NOT_NEGATIVE)
    time = _dimensions(model, ("1 s",))
    for item in population.dynamics.parameters:
        if item.name not in population.values:
            continue
        value = float(np.min(population.values[item.name]))
        short = item.name.rpartition("/")[2]
        is_decay = item.dimension in time and short.lower().startswith("tau")
        # Other parameters of this dimension are slopes, such as the b of izhikevich2007Cell.
        is_size = item.dimension in least and (short.startswith("g") or "ond" in short)
        if (value <= 0 and (item.dimension in positive or is_decay)) or (value < 0 and is_size):
            symbol, unit = display_unit(item.dimension)
            yield Finding(
                f"{population.id}/{item.name}",
                "fails",
                f"{value / unit:g} {symbol}: outside what it can physically be",
                "correct the parameter in the file",
            )


def _conditions(population: Population) -> Iterator[Finding]:
    """Tell conditions that hold never, or always, whatever the states are."""
    dynamics = population.dynamics
    fixed = {item.name: Number(item.value) for item in dynamics.constants}
    fixed |= {
        name: Number(float(value))
        for name, value in population.values.items()
        if not isinstance(value, np.ndarray)
    }
    for block in dynamics.conditions:
        test = fold(substitute(block.test, fixed))
        # A state with an @ is none of the file's.
        if names(test) or is_random(test) or any("@" in item.state for item in block.assignments):
            continue
        does = [item.state for item in block.assignments] + [f"event '{e}'" for e in block.events]
        holds = _holds(test)
        yield Finding(
            f"{population.id}, condition of {', '.join(does) or 'nothing'}",
            "doubtful",
            f"{'always' if holds else 'never'} holds, whatever the states are",
            "look at the parameters that it compares",
        )


def _holds(test: Expr) -> bool:
    """Return whether a test without names holds."""
    return evaluate_scalar(Select(test, Number(1.0), Number(0.0)), {}) > 0.5


def _step(model: Model, population: Population, method: str) -> Iterator[Finding]:
    """Compare the step with the time constants of the states at the start."""
    for state, tau_s in time_constants(model.network, population, method):
        if model.step() > _ACCURATE * tau_s:
            tau_ms = tau_s * 1e3
            yield Finding(
                f"{population.id}/{state}",
                "fails" if model.step() > STABLE * tau_s else "doubtful",
                f"time constant {tau_ms:.3g} ms, step {model.step() * 1e3:g} ms",
                shorter_step(tau_s),
            )
