"""What becomes of the arrays of connections on their way to a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from izhi_models.annarchy.links import Ends, Link, lower_links, name_targets
from izhi_models.expr import ONE, Name
from izhi_models.ir.aggregate import Arrival
from izhi_models.ir.dynamics import Dynamics
from izhi_models.network import Block, Listed, Projection
from izhi_models.rounding import in_steps


def connections(
    pre: Sequence[int],
    post: Sequence[int],
    weights: Sequence[float] = (2.5,),
    delays: Sequence[float] = (1e-3,),
) -> Listed:
    ends = (np.array(cells, dtype=np.int32) for cells in (pre, post))
    return Listed(Block(*ends, np.array(weights), np.array(delays)))


ENDS = {"a": Ends(0, 0), "b": Ends(0, 10), "post": Ends(1, 0)}
FIRST = Projection(
    id="first",
    pre="a",
    post="post",
    synapse="syn",
    attachment="synapses",
    dynamics=Dynamics("synapse"),
    values={},
    connections=connections([0, 1, 2], [3, 3, 4]),
    arrivals=(Arrival("synapses[0]/in@weight", Name("weight")),),
)
SECOND = replace(
    FIRST,
    id="second",
    pre="b",
    connections=connections([7, 8], [0, 1]),
)


def links(*projections: Projection) -> list[Link]:
    targets = name_targets(projections, ENDS, 2)
    return lower_links(projections, ENDS, targets, lambda _, name: name, lambda *_: False)


def test_one_projection_is_not_copied() -> None:
    made = connections([0, 1, 2], [3, 3, 4], [1.0, 2.0, 3.0], [0.0, 1e-3, 2e-3])
    (link,) = links(replace(FIRST, connections=made))
    assert link.definition.weights == "each"
    (block,) = link.blocks()
    for name in ("pre", "post", "weights", "delays"):
        assert np.shares_memory(getattr(block, name), getattr(made.whole, name))


def test_one_value_for_all_connections_stays_one() -> None:
    (link,) = links(FIRST)
    assert link.definition.weights == "one"
    assert link.whole().weights.tolist() == [2.5]
    assert link.whole().delays.tolist() == [1e-3]
    assert in_steps(link.whole().delays, 1e-4).tolist() == [10]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([4.0], [2.5, 2.5, 2.5, 4.0, 4.0]), ([4.0, 5.0], [2.5, 2.5, 2.5, 4.0, 5.0])],
)
def test_joined_projections_keep_their_cells_and_values(
    weights: list[float], expected: list[float]
) -> None:
    second = replace(SECOND, connections=connections([7, 8], [0, 1], weights, [3e-3]))
    (link,) = links(FIRST, second)
    assert link.definition.weights == "each"
    assert link.whole().pre.tolist() == [0, 1, 2, 17, 18]
    assert link.whole().pre.dtype == np.int32
    assert link.whole().post.tolist() == [3, 3, 4, 0, 1]
    assert link.whole().weights.tolist() == expected
    assert link.whole().delays.tolist() == [1e-3, 1e-3, 1e-3, 3e-3, 3e-3]


def test_joined_projections_with_one_value_share_it() -> None:
    (link,) = links(FIRST, SECOND)
    # Weights of projections may be changed apart, so the program has one for each connection.
    assert link.definition.weights == "each"
    assert link.whole().weights.tolist() == [2.5]
    assert link.whole().delays.tolist() == [1e-3]


def test_what_an_event_counts_may_be_no_weight() -> None:
    counted = replace(FIRST, arrivals=(Arrival("synapses[0]/in@1", ONE),))
    (link,) = links(counted)
    assert link.definition.weights == "one"
    assert link.whole().weights.tolist() == [1.0]


def test_a_delay_below_a_step_acts_in_the_next() -> None:
    assert in_steps(np.array([0.0, 4e-5, 1.6e-4]), 1e-4).tolist() == [1, 1, 2]
