"""Synapses of which a part is summed: separate instances against one aggregate, and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_built import build, on, when

from izhi_models.ir.aggregate import Aggregate, NotAggregable
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import Interpreter, evaluate_scalar
from izhi_models.ir.partial import aggregate_currents
from izhi_models.ir.step import METHODS
from izhi_models.lems.components import read_model
from izhi_models.lems.lower import Lowered, lower_component
from izhi_models.units import NONE

WEIGHT = frozenset({"weight"})
N_CONNECTIONS = 7
N_STEPS = 120

SYNAPSES = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="synapses">
<expOneSynapse id="expOne" gbase="1nS" erev="0mV" tauDecay="3ms"/>
<blockingPlasticSynapse id="depressing" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms">
  <plasticityMechanism type="tsodyksMarkramDepMechanism" initReleaseProb="0.5" tauRec="120ms"/>
  <blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM"
                  scalingConc="1.9mM" scalingVolt="14mV"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="facilitating" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms">
  <plasticityMechanism type="tsodyksMarkramDepFacMechanism" initReleaseProb="0.5" tauRec="120ms"
                       tauFac="10ms"/>
</blockingPlasticSynapse>
<doubleSynapse id="halfPlastic" synapse1="expOne" synapse1Path="./expOne" synapse2="depressing"
               synapse2Path="./depressing"/>
</neuroml>"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lowered]:
    path: Path = tmp_path_factory.mktemp("core") / "synapses.nml"
    path.write_text(SYNAPSES)
    model = read_model(path)
    return {name: lower_component(model, item) for name, item in model.components.items()}


def proved(synapse: Dynamics, varying: frozenset[str] = WEIGHT) -> Aggregate:
    result = aggregate_currents(synapse, varying)
    assert isinstance(result, Aggregate), result
    assert result.reasons
    return result


def check_sum(synapse: Dynamics, values: Mapping[str, float], method: str = "euler") -> float:
    """Compare the sum over separate synapses with the aggregate; return the largest current."""
    rng = np.random.default_rng(1)
    whole = proved(synapse)
    weights = rng.uniform(-1.0, 3.0, N_CONNECTIONS)
    given = {**values, **{item.name: -0.04 for item in synapse.requirements}}
    single = Interpreter(synapse, {**given, "weight": weights}, N_CONNECTIONS, 1e-4, method=method)
    arrivals = dict.fromkeys((item.name for item in whole.arrivals), 0.0)
    sums = Interpreter(whole.dynamics, {**given, **arrivals}, 1, 1e-4, method=method)
    own = [item.name for item in (*synapse.states, *synapse.requirements)]
    separate, together = [], []
    for step in range(1, N_STEPS + 1):
        for run in (single, sums):
            for requirement in run.dynamics.requirements:
                run.value(requirement.name)[:] = -0.04 + 0.06 * np.sin(0.11 * step)
        events = rng.permutation(N_CONNECTIONS)[: rng.poisson(0.5)].tolist()
        for item in whole.arrivals:
            scopes = [
                {
                    **given,
                    **{constant.name: constant.value for constant in synapse.constants},
                    **{name: float(single.value(name)[k]) for name in own},
                    "weight": float(weights[k]),
                }
                for k in events
            ]
            sums.value(item.name)[:] = sum(evaluate_scalar(item.weight, one) for one in scopes)
        single.advance({"in": events})
        sums.advance({"in": [0]})
        separate.append(single.value("i").sum())
        together.append(sums.value("i")[0])
    # Some thousand roundings of 1e-16 of what is added up.
    size = np.abs(separate).max()
    assert together == pytest.approx(separate, rel=0, abs=1e-12 * size)
    return float(size)


@pytest.mark.parametrize("name", ["depressing", "facilitating", "halfPlastic"])
@pytest.mark.parametrize("method", METHODS)
def test_a_plastic_core_synapse_is_summed_behind_its_vesicles(
    core: dict[str, Lowered], name: str, method: str
) -> None:
    synapse = core[name]
    assert check_sum(synapse.dynamics, synapse.values, method) > 0


def plastic(**more: Any) -> Dynamics:
    """Return a synapse without units, with a weight that learns; arguments change equations."""
    texts = {
        "i": "g * (1 - v)",
        "rate": "-g / tau",
        "jump": "g + w",
        "learn": "w * 0.9 + weight * trace",
        "trace_rate": "-trace / 0.02",
        "conditions": (when("v .gt. 0", ("trace", "trace + 0.1")),),
    } | more
    return build(
        "plastic",
        parameters=dict.fromkeys(("tau", "weight"), NONE),
        requirements={"v": NONE},
        states={"g": NONE, "w": NONE, "trace": NONE},
        derived={"i": (NONE, texts["i"])},
        rate=[("g", texts["rate"]), ("trace", texts["trace_rate"])],
        start=[("w", "weight")],
        on_events=[on("in", ("w", texts["learn"]), ("g", texts["jump"]))],
        conditions=list(texts["conditions"]),
        exposures=("i",),
    )


VALUES = {"tau": 0.004}


def test_what_an_event_counts_follows_from_states_before_it() -> None:
    synapse = plastic()
    assert check_sum(synapse, VALUES) > 0
    (arrival,) = proved(synapse).arrivals
    # The event changes w first, and g reads the new one.
    assert evaluate_scalar(arrival.weight, {"w": 2.0, "weight": 3.0, "trace": 0.5}) == 3.3
    assert [item.name for item in proved(synapse).dynamics.states] == ["g"]


@pytest.mark.parametrize(
    "jump", ["g + weight * exp(-w)", "g + ceil(w) * v", "g + tau * (w + trace)^2"]
)
def test_what_an_event_counts_may_be_any_function(jump: str) -> None:
    assert check_sum(plastic(jump=jump), VALUES) > 0


def test_a_weight_in_the_current_counts_too() -> None:
    assert check_sum(plastic(i="weight * g * (1 - v)"), VALUES) > 0


@pytest.mark.parametrize(
    "more",
    [
        {"i": "w * g * (1 - v)"},
        {"i": "g * g"},
        {"rate": "-g * w / tau"},
        {"rate": "-g * weight / tau"},
        {"jump": "g * w"},
        {"jump": "g + w * (1 - g)"},
        {"jump": "w"},
        {"learn": "w + g"},
        {"trace_rate": "g - trace"},
        {"conditions": (when("g .gt. 1", ("trace", "0")),)},
        {"conditions": (when("trace .gt. 1", ("g", "0")),)},
        {"learn": "random(1)"},
    ],
)
def test_what_is_no_sum_stays_with_each_connection(more: dict[str, Any]) -> None:
    assert isinstance(aggregate_currents(plastic(**more), WEIGHT), NotAggregable)
