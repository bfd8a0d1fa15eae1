"""Cell types, inputs and ComponentTypes of our own against the reference interpreter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import izhi_models
from izhi_models.coverage import probes
from izhi_models.network import Population
from tests.conformance.comparison import assert_equal
from tests.conformance.reference import run_jneuroml

TYPES = Path(__file__).parents[1] / "compiled" / "types"
# Cells with regimes, where the reference has lags and refractory periods of its own.
LAGGING = {"iafTauRef", "iafRef", "adEx"}


def path_of(population: Population, cell: int) -> str:
    is_list = population.positions is not None
    return (
        f"{population.id}/{cell}/{population.component}" if is_list else f"{population.id}[{cell}]"
    )


@pytest.mark.parametrize("name", ["cells", "inputs", "user_types"])
def test_every_variable_equals_that_of_the_reference(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.xml"
    shutil.copy({item.stem: item for item in probes()}.get(name, TYPES / path.name), path)
    model = izhi_models.load(path)
    quantities = [
        f"{population.id}{place}/{variable.name}"
        for population in model.network.populations.values()
        for cell in range(population.size)
        for variable in (*population.dynamics.states, *population.dynamics.derived)
        for place in [
            f"/{cell}/{population.component}" if population.id == "placed" else f"[{cell}]"
        ]
        if population.id not in LAGGING and "/" not in variable.name
    ]
    reference = run_jneuroml(path, record=quantities)
    for cell in LAGGING:
        reference.spikes.pop(f"{cell}[0]", None)
    run = model.compile(record=quantities, method="euler")  # the only one of the reference
    results = run.simulate()
    run.close()
    assert len(reference.traces) > 30
    assert_equal(results, reference)
