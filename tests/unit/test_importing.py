"""Networks of ANNarchy are read before they are compiled, and refused with what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import InputError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("default")  # ANNarchy uses what others have deprecated


@pytest.fixture
def ann(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import ANNarchy, which reads the command line."""
    monkeypatch.setattr(sys, "argv", ["test"])
    import ANNarchy

    yield ANNarchy


LIF = {"equations": "10.0 * dv/dt = g_exc - v", "spike": "v > 1.0", "reset": "v = 0.0"}


def test_network_is_read_before_it_is_compiled(ann: Any) -> None:
    net = ann.Network(dt=0.5)
    cells = net.create((2, 3), ann.Izhikevich, name="cells")
    cells.a = ann.Uniform(0.02, 0.1)
    cells.v = -60.0
    projection = net.connect(cells[0:2, 1], cells, "exc", name="some")
    projection.all_to_all(ann.Uniform(1.0, 2.0), delays=1.5)
    model = izhi_models.from_annarchy(net, duration="20 ms")
    population = model.network.populations["cells"]
    assert population.size == 6
    assert population.positions[4].tolist() == [1.0, 1.0, 0.0]
    given = {key: value for key, value in population.values.items() if "weight" in key}
    drawn = np.asarray(next(iter(given.values())))
    assert np.ptp(drawn) > 0.0
    assert drawn.min() >= 0.02
    assert drawn.max() <= 0.1
    (read,) = model.network.projections
    assert sorted(set(read.pre_cells.tolist())) == [1, 4]
    assert read.weights.min() >= 1.0
    assert read.delays.tolist() == [0.0015]
    assert (model.step(), model.duration(None)) == (0.0005, 0.02)


def test_equal_populations_share_a_type_and_names_stay_unique(ann: Any) -> None:
    net = ann.Network(dt=0.1)
    for name in ("one", "two", "network", "a b", "a_b"):
        net.create(2, ann.Neuron(**LIF), name=name)
    model = izhi_models.from_annarchy(net)
    assert list(model.network.populations) == ["one", "two", "network", "a_b", "a_b_2"]
    own = [item for item in model.declarations.types.types.values() if item.is_a("baseSpikingCell")]
    made = [item.name for item in own if not item.element.document.is_core]
    assert made == ["one_neuron"]


def neuron(**changes: Any) -> Callable[[Any, Any], None]:
    def make(ann: Any, net: Any) -> None:
        net.create(2, ann.Neuron(**{**LIF, **changes}), name="cells")

    return make


def synapse(delays: float = 0.0, **arguments: Any) -> Callable[[Any, Any], None]:
    def make(ann: Any, net: Any) -> None:
        cells = net.create(2, ann.Neuron(**LIF), name="cells")
        chosen = ann.Synapse(**arguments, name="odd")
        net.connect(cells, cells, "exc", chosen, name="loop").all_to_all(1.0, delays=delays)

    return make


def creating(ann: Any, net: Any) -> None:
    rule = ann.Creating("pre.v > post.v", proba=0.5, w=1.0)
    synapse(parameters={"tau": 1.0}, creating=rule)(ann, net)


def pruning(ann: Any, net: Any) -> None:
    rule = ann.Pruning("w < 0.1", proba=0.5)
    synapse(parameters={"tau": 1.0}, pruning=rule)(ann, net)


def rate_delay(ann: Any, net: Any) -> None:
    cells = net.create(2, ann.LeakyIntegrator, name="cells")
    net.connect(cells, cells, "exc", name="loop").all_to_all(1.0, delays=5.0)


def rate_maximum(ann: Any, net: Any) -> None:
    cells = net.create(2, ann.LeakyIntegrator, name="cells")
    greatest = ann.Synapse(operation="max", name="greatest")
    net.connect(cells, cells, "exc", greatest, name="loop").all_to_all(1.0)


def convolution(ann: Any, net: Any) -> None:
    from ANNarchy.extensions.convolution import Convolution

    first = net.create((4, 4), ann.LeakyIntegrator, name="first")
    second = net.create((4, 4), ann.LeakyIntegrator, name="second")
    net.connect(Convolution(first, second, "exc", name="blur")).connect_filter(np.ones((3, 3)))


def timed(ann: Any, net: Any) -> None:
    net.create(ann.TimedArray(rates=np.ones((300, 2)), name="shown"))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (neuron(axon_spike="v > 2.0"), ("'cells'", "axon_spike 'v > 2.0'")),
        (neuron(equations="dv/dt = mean(v) + g_exc"), ("'cells'", "'v'", "'mean'")),
        (
            neuron(equations="x = Uniform(0.0, 1.0) : population\ndv/dt = x", reset="x = 0.0"),
            ("'cells'", "reset 'x = 0.0'", "one random variable of all cells"),
        ),
        (neuron(equations="dv/dt = Gamma(1.0, 2.0) + g_exc"), ("variable 'v'", "'Gamma'")),
        (neuron(equations="dv/dt = asin(v) + g_exc"), ("variable 'v'", "'asin'")),
        (
            synapse(pre_spike="g_target += w * pre.v"),
            ("'odd'", "'loop'", "'pre.v'", "tells nothing"),
        ),
        (synapse(pre_spike="g_target = w"), ("'loop'", "'g_target = w'", "does not add")),
        (
            synapse(pre_spike="g_target += w\nw += 0.1 : unless_post"),
            ("'odd'", "'loop'", "'w += 0.1'", "unless_post"),
        ),
        (
            synapse(pre_spike="g_target += w * Uniform(0.0, 1.0)"),
            ("'odd'", "'loop'", "'g_target += w * Uniform(0.0, 1.0)'", "random"),
        ),
        (
            synapse(post_spike="w += 0.1 * exp(t_pre - t)"),
            ("'odd'", "'loop'", "'t_pre'", "tells nothing"),
        ),
        (creating, ("'odd'", "'loop'", "creating", "'pre.v > post.v'")),
        (neuron(equations="weight = g_exc\ndv/dt = weight"), ("'cells'", "'weight'")),
        (pruning, ("'loop'", "pruning", "'w < 0.1'")),
        (rate_delay, ("'loop'", "delay of 5 ms")),
        (rate_maximum, ("'greatest'", "operation is 'max'")),
        (convolution, ("'blur' is a Convolution",)),
        (timed, ("'shown'", "300 parts")),
    ],
)
def test_what_lems_cannot_say_is_refused_by_name_and_text(
    ann: Any, make: Callable[[Any, Any], None], told: tuple[str, ...]
) -> None:
    net = ann.Network(dt=0.5)
    make(ann, net)
    with pytest.raises(UnsupportedError) as caught:
        izhi_models.from_annarchy(net)
    for part in told:
        assert part in str(caught.value)


def test_other_objects_are_no_networks() -> None:
    with pytest.raises(InputError, match=r"str is no ANNarchy\.Network"):
        izhi_models.from_annarchy("net")
