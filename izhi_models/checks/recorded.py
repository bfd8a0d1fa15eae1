"""What a run gives against what the compiled program holds: times, cells, units and spikes.

Results are put together from what the library records of merged populations. Here the same program
is stopped at some steps, and each value and spike is asked for by population and cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from izhi_models.annarchy.lower import Lowering
from izhi_models.annarchy.recorder import Recording
from izhi_models.annarchy.run import Simulator
from izhi_models.checks.compiled import Compiled
from izhi_models.checks.report import Finding
from izhi_models.errors import RunError
from izhi_models.results import Results, Trace

_LOOKS = 10  # at so many steps, values are compared
_MOST_STEPS = 4000
_MOST_CELL_STEPS = 2e6
_ROUNDING = 1e-12  # relative; of one change of units
_HINT = "a fault of this package, not of the model: please report it with the file"


def check_recorded(
    lowering: Lowering,
    recordings: Sequence[Recording],
    dt_s: float,
    n_steps: int,
    seed: int,
) -> list[Finding]:
    """Compare results with the program, stopped at some steps.

    Parameters
    ----------
    lowering : Lowering
    recordings : sequence of Recording
    dt_s : float
    n_steps : int
        At most so many.
    seed : int
    """
    n_cells = sum(item.size for item in lowering.groups)
    n_steps = max(1, int(min(n_steps, _MOST_STEPS, _MOST_CELL_STEPS / n_cells)))
    simulator = Simulator(lowering, recordings, dt_s, seed)
    try:
        results = simulator.simulate(n_steps * dt_s)
    except RunError as error:
        return [Finding("what is recorded", "fails", error.diagnostics[0].message)]
    finally:
        simulator.close()
    looks = np.unique(np.linspace(1, n_steps, min(_LOOKS, n_steps)).astype(int)).tolist()
    found: list[Finding] = []
    with Compiled(lowering, dt_s, seed) as compiled:
        spikes: dict[str, list[tuple[int, int]]] = {}
        faults: dict[str, str] = {}
        for step in looks:
            first = compiled.step
            for number, sent in enumerate(compiled.run(step - first), first + 1):
                for name, cells in sent.items():
                    spikes.setdefault(name, []).extend((number, cell) for cell in cells.tolist())
            for recording, trace in zip(recordings, results.traces, strict=True):
                for text in _values(recording, trace, compiled, step, dt_s):
                    faults.setdefault(trace.path, text)
    found += [Finding(f"recorded {name}", "fails", text, _HINT) for name, text in faults.items()]
    found += list(_spikes(results, spikes, dt_s))
    if not found:
        text = f"{len(recordings)} quantities and all spikes as the program has them"
        found.append(Finding("what is recorded", "holds", f"{text}, over {n_steps} steps"))
    return found


def _values(
    recording: Recording, trace: Trace, compiled: Compiled, step: int, dt_s: float
) -> Iterator[str]:
    if step % recording.period:
        return
    row = step // recording.period
    time = float(trace.times[row])
    if abs(time - step * dt_s) > 1e-6 * dt_s:
        yield f"row {row} is of {time * 1e3:.9g} ms, expected {step * dt_s * 1e3:.9g} ms"
    values = np.asarray(trace.values[row])
    known = set(compiled.names(recording.population))
    for ours, (cell, name, connection) in zip(values.tolist(), recording.columns(), strict=True):
        if connection is not None or name not in known:
            continue
        held = float(compiled.values(recording.population, name)[cell])
        if not np.isclose(ours, held, rtol=_ROUNDING, atol=0.0, equal_nan=True):
            place = f"{recording.population}[{cell}]"
            yield f"{ours:.9g} of {place} at {time * 1e3:.9g} ms, and the program holds {held:.9g}"


def _spikes(
    results: Results, expected: dict[str, list[tuple[int, int]]], dt_s: float
) -> Iterator[Finding]:
    for name, trains in results.spikes.items():
        steps = np.rint(np.asarray(trains.times_s[:]) / dt_s).astype(int).tolist()
        ours = set(zip(steps, np.asarray(trains.indices[:]).tolist(), strict=True))
        differing = sorted(ours ^ set(expected.get(name, ())))
        if differing:
            step, cell = differing[0]
            whose = "only in the results" if (step, cell) in ours else "not in the results"
            text = f"that of {name}[{cell}] at {step * dt_s * 1e3:.9g} ms is {whose}"
            yield Finding(f"recorded spikes of {name}", "fails", text, _HINT)
