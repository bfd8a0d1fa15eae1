"""Compares models as they are after reading: what is equal here runs as the same program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from izhi_models.pipeline import Model
from izhi_models.results import Results, Trace


def assert_same(
    found: Model, expected: Model, seed: int | None = None, *, is_hdf5: bool = False
) -> None:
    """Assert that two models are the same network, bit for bit, and ask for the same outputs.

    HDF5 makes lists of single connections, with other names, and keeps delays in ms: what was read
    in s is rounded once more.
    """
    one, other = found.network, expected.network
    assert list(one.populations) == list(other.populations)
    for name, wanted in other.populations.items():
        population = one.populations[name]
        assert population.dynamics == wanted.dynamics
        assert population.values.keys() == wanted.values.keys()
        for key, values in wanted.values.items():
            np.testing.assert_array_equal(population.values[key], values, err_msg=key)
        for key in ("size", "component", "attached", "part_of"):
            assert getattr(population, key) == getattr(wanted, key)
        assert (population.positions is None) == (wanted.positions is None)
        if wanted.positions is not None:
            np.testing.assert_array_equal(population.positions, wanted.positions)
    # A list without connections means nothing, and is not read.
    lists = [[item for item in network.projections if item.size] for network in (one, other)]
    for projection, wanted_one in zip(*lists, strict=True):
        assert is_hdf5 or projection.id == wanted_one.id
        for key in ("pre", "post", "synapse", "attachment", "dynamics", "values"):
            assert getattr(projection, key) == getattr(wanted_one, key), (wanted_one.id, key)
        for key in ("has_weights", "is_continuous", "arrivals", "own"):
            assert getattr(projection, key) == getattr(wanted_one, key), (wanted_one.id, key)
        for key in ("pre_cells", "post_cells", "weights"):
            values = getattr(projection, key), getattr(wanted_one, key)
            np.testing.assert_array_equal(*values, err_msg=f"{key} of {wanted_one.id}")
        tolerance = 3e-16 if is_hdf5 else 0.0
        np.testing.assert_allclose(projection.delays, wanted_one.delays, rtol=tolerance, atol=0.0)
    assert one.shared == other.shared
    plan = expected.experiment.simulation
    if plan is not None:
        seed = plan.seed if seed is None else seed
        assert found.experiment.simulation == replace(plan, seed=seed)
        assert found.experiment.quantities.keys() == expected.experiment.quantities.keys()


def assert_same_results(found: Results, expected: Results) -> None:
    """Assert that two runs sent the same spikes and recorded the same numbers, bit for bit."""
    assert list(found.spikes) == list(expected.spikes)
    for name, trains in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].times_s, trains.times_s, err_msg=name)
        np.testing.assert_array_equal(found.spikes[name].indices, trains.indices, err_msg=name)
    pairs = zip(_in_order(found), _in_order(expected), strict=True)
    for trace, wanted in pairs:
        assert _key(trace) == _key(wanted)
        np.testing.assert_array_equal(trace.times, wanted.times, err_msg=wanted.path)
        np.testing.assert_array_equal(trace.values, wanted.values, err_msg=wanted.path)


def _in_order(results: Results) -> list[Trace]:
    return sorted(results.traces, key=_key)


def _key(trace: Trace) -> tuple[str, list[int], int]:
    return trace.path, trace.indices.tolist(), trace.times.shape[0]
