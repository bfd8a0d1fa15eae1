"""Steps that are too long for a state that relaxes."""

from __future__ import annotations

import pytest

import izhi_models
from izhi_models.stability import time_constants, unstable_states
from tests.conftest import WriteModel

# A membrane of C / g = 0.2 nF / 10 nS = 20 ms, and one of 0.1 ms.
CELLS = (
    '<iafCell id="slow" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.2nF" '
    'leakConductance="10nS"/><iafCell id="quick" leakReversal="-60mV" thresh="-50mV" '
    'reset="-65mV" C="0.2nF" leakConductance="2000nS"/>'
)
POPULATIONS = (
    '<population id="a" component="quick" size="2"/><population id="pop" component="slow" '
    'size="1"/><population id="b" component="quick" size="1"/>'
)


@pytest.fixture
def network(write_model: WriteModel):
    return izhi_models.load(write_model(CELLS, POPULATIONS)).network


def test_time_constants_are_those_of_the_membrane(network):
    found = dict(time_constants(network, network.populations["pop"], "euler"))
    assert found == {"v": pytest.approx(20e-3)}


@pytest.mark.parametrize(("step_ms", "is_told"), [(0.19, False), (0.21, True)])
def test_a_step_of_twice_the_time_constant_is_told_once_for_a_component(network, step_ms, is_told):
    (*found,) = unstable_states(network, step_ms * 1e-3, "auto")
    assert [item.render().splitlines() for item in found] == is_told * [
        [
            "warning: a step of 0.21 ms is too long for 'v' of 'quick', whose time constant is "
            "0.1 ms: it grows where it should relax",
            '  try --dt "0.01 ms", or --method exponential_midpoint',
        ]
    ]


def test_exponential_methods_relax_at_any_step(network):
    assert not list(unstable_states(network, 1.0, "exponential_midpoint"))
