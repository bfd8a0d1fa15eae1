"""The sum over many synapses: separate instances against one aggregate, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_built import build, choose, on, read, when
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from izhi_models.errors import InternalError
from izhi_models.expr import names
from izhi_models.ir.aggregate import Aggregate, NotAggregable, aggregate
from izhi_models.ir.dimensions import check_dimensions, rescale
from izhi_models.ir.dynamics import Dynamics, Gather
from izhi_models.ir.evaluate import Interpreter, evaluate_scalar
from izhi_models.ir.step import METHODS
from izhi_models.lems.components import read_model
from izhi_models.lems.lower import Lowered, lower_component
from izhi_models.units import CURRENT, NONE, TIME, VOLTAGE

WEIGHT = frozenset({"weight"})
N_CONNECTIONS = 7
N_STEPS = 120

Values = Mapping[str, float]

SYNAPSES = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="synapses">
<expOneSynapse id="expOne" gbase="1nS" erev="0mV" tauDecay="3ms"/>
<expTwoSynapse id="expTwo" gbase="2nS" erev="-80mV" tauRise="1ms" tauDecay="3ms"/>
<expThreeSynapse id="expThree" gbase1="1nS" gbase2="2nS" erev="0mV" tauRise="1ms"
                 tauDecay1="3ms" tauDecay2="9ms"/>
<alphaSynapse id="alpha" gbase="1nS" erev="0mV" tau="2ms"/>
<alphaCurrentSynapse id="alphaCurrent" ibase="1nA" tau="2ms"/>
<expCondSynapse id="expCond" tau_syn="3" e_rev="0"/>
<alphaCondSynapse id="alphaCond" tau_syn="3" e_rev="0"/>
<expCurrSynapse id="expCurr" tau_syn="3"/>
<alphaCurrSynapse id="alphaCurr" tau_syn="3"/>
<stdpSynapse id="stdp" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms"/>
<blockingPlasticSynapse id="plain" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms"/>
<blockingPlasticSynapse id="nmda" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="9ms">
  <blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM"
                  scalingConc="1.9mM" scalingVolt="14mV"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="depressing" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms">
  <plasticityMechanism type="tsodyksMarkramDepMechanism" initReleaseProb="0.5" tauRec="120ms"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="facilitating" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="3ms">
  <plasticityMechanism type="tsodyksMarkramDepFacMechanism" initReleaseProb="0.5" tauRec="120ms"
                       tauFac="10ms"/>
</blockingPlasticSynapse>
<doubleSynapse id="both" synapse1="expOne" synapse1Path="./expOne" synapse2="nmda"
               synapse2Path="./nmda"/>
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
    result = aggregate(synapse, varying)
    assert isinstance(result, Aggregate), result
    return result


def reasons(synapse: Dynamics, varying: frozenset[str] = WEIGHT) -> str:
    result = aggregate(synapse, varying)
    assert isinstance(result, NotAggregable), result
    assert result.reasons
    return "\n".join(result.reasons)


def v_at(step: int) -> float:
    """Return a membrane potential that moves through all that a synapse may meet. [V]"""
    return float(-0.04 + 0.06 * np.sin(0.11 * step))


def check_sum(
    synapse: Dynamics,
    values: Values,
    varying: frozenset[str] = WEIGHT,
    *,
    exposures: Sequence[str] = ("i",),
    dt: float = 1e-4,
    method: str = "euler",
    seed: int = 1,
    terms: float = 0.0,
) -> float:
    """Compare the sum over separate synapses with the aggregate; return the largest value.

    An exposure may be a difference of nearly equal terms, of about the size that is given.
    Nothing is compared, and nan returned, where the synapses themselves are not finite.
    """
    rng = np.random.default_rng(seed)
    whole = proved(synapse, varying)
    differing = {name: rng.uniform(-1.0, 3.0, N_CONNECTIONS) for name in sorted(varying)}
    given_v = {item.name: v_at(0) for item in synapse.requirements}
    single = Interpreter(
        synapse, {**values, **given_v, **differing}, N_CONNECTIONS, dt, method=method
    )
    arrivals = dict.fromkeys((item.name for item in whole.arrivals), 0.0)
    sums = Interpreter(whole.dynamics, {**values, **given_v, **arrivals}, 1, dt, method=method)
    counted = {
        item.name: np.array(
            [
                evaluate_scalar(item.weight, {name: differing[name][k] for name in differing})
                for k in range(N_CONNECTIONS)
            ]
        )
        for item in whole.arrivals
    }
    port = next((item.port for item in whole.dynamics.on_events), "in")
    rows: dict[str, tuple[list[float], list[float], list[float]]]
    rows = {name: ([], [], []) for name in exposures}
    for step in range(1, N_STEPS + 1):
        # Often none, sometimes several of one connection.
        events = rng.integers(0, N_CONNECTIONS, rng.poisson(0.8)).tolist()
        for name, counts in counted.items():
            sums.value(name)[:] = counts[events].sum()
        for run in (single, sums):
            for requirement in run.dynamics.requirements:
                run.value(requirement.name)[:] = v_at(step)
        single.advance({"in": events})
        sums.advance({port: [0]})
        for name, (separate, together, size) in rows.items():
            each = single.value(name)
            separate.append(each.sum())
            together.append(sums.value(name)[0])
            size.append(np.abs(each).sum())
    for separate, together, size in rows.values():
        if not np.isfinite(separate).all():
            return np.nan
        # Some thousand roundings of 1e-16 of what is added up, where parts may cancel.
        assert together == pytest.approx(separate, rel=0, abs=1e-12 * max(terms, *size))
    return min(max(size) for _, _, size in rows.values())


# NeuroML's own synapses


@pytest.mark.parametrize(
    ("name", "exposures"),
    [
        ("expOne", ("i", "g")),
        ("expTwo", ("i", "g")),
        ("expThree", ("i", "g")),
        ("alpha", ("i", "g")),
        ("alphaCurrent", ("i",)),
        ("expCond", ("i", "g")),
        ("alphaCond", ("i", "g", "A")),
        ("expCurr", ("i",)),
        ("alphaCurr", ("i", "A")),
        ("plain", ("i", "g")),
        ("nmda", ("i", "g")),
        ("both", ("i",)),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_linear_core_synapse_is_summed(
    core: dict[str, Lowered], name: str, exposures: tuple[str, ...], method: str
) -> None:
    synapse = core[name]
    assert check_sum(synapse.dynamics, synapse.values, exposures=exposures, method=method) > 0
    whole = proved(synapse.dynamics)
    assert [item.name for item in whole.arrivals] == ["in@weight"]
    assert set(exposures) <= whole.sums


@pytest.mark.parametrize("name", ["expOne", "expTwo", "expThree", "alpha", "nmda", "both"])
def test_an_aggregate_has_consistent_dimensions(core: dict[str, Lowered], name: str) -> None:
    assert [*check_dimensions(proved(core[name].dynamics).dynamics)] == []


def test_events_of_one_step_add_their_weights(core: dict[str, Lowered]) -> None:
    synapse = core["expOne"]
    whole = proved(synapse.dynamics).dynamics
    dt, weights = 1e-4, 1.0 + 2.5
    run = Interpreter(whole, synapse.values | {"v": -0.06, "in@weight": weights}, 1, dt)
    run.advance({"in": [0]})
    # Arrivals act before the step: i reads the raised g, then g decays by one Euler step.
    assert run.value("i")[0] == pytest.approx(weights * 1e-9 * 0.06, rel=1e-15)
    assert run.value("g")[0] == pytest.approx(weights * 1e-9 * (1 - dt / 3e-3), rel=1e-15)


def test_a_sum_in_simulation_units_is_the_same(core: dict[str, Lowered]) -> None:
    synapse = core["expThree"]
    whole = rescale(proved(synapse.dynamics).dynamics)
    values = {  # ms, mV, nS
        **{"tauRise": 1.0, "tauDecay1": 3.0, "tauDecay2": 9.0, "erev": 0.0, "v": -60.0},
        **{"gbase1": 1.0, "gbase2": 2.0, "in@weight": 4.0},
        **{name: synapse.values[name] for name in ("waveformFactor1", "waveformFactor2")},
    }
    run = Interpreter(whole, values, 1, 0.1)
    run.advance({"in": [0]})
    run.value("in@weight")[:] = 0.0
    for _ in range(20):
        run.advance({"in": [0]})
    shape = [
        factor * ((1 - 0.1 / decay) ** 20 - 0.9**20)
        for factor, decay in ((values["waveformFactor1"], 3.0), (values["waveformFactor2"], 9.0))
    ]
    # Forward Euler, 20 steps, of two differences of exponentials; tens of roundings.
    expected = 4.0 * (1.0 * shape[0] + 2.0 * shape[1]) * 60.0
    assert run.value("i")[0] == pytest.approx(expected, rel=1e-13)


def test_a_synapse_without_its_weight_counts_events(core: dict[str, Lowered]) -> None:
    # stdpSynapse of the core types ignores weight, and M, P and tsince have no effect.
    synapse = core["stdp"]
    assert check_sum(synapse.dynamics, synapse.values, exposures=("i", "g")) > 0
    whole = proved(synapse.dynamics)
    assert [(item.name, item.weight) for item in whole.arrivals] == [("in@1", read("1"))]
    assert {name for name, _ in whole.dynamics.exposures} == {"i", "g"}


def test_a_block_by_voltage_is_the_same_in_all_connections(core: dict[str, Lowered]) -> None:
    whole = proved(core["nmda"].dynamics)
    block = "blockMechanisms[0]/blockFactor"
    assert block in dict(whole.dynamics.exposures)
    assert block not in whole.sums


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "depressing",
            "plasticityMechanisms[0]/R is multiplied by 1 - plasticityMechanisms[0]/"
            "initReleaseProb at each event, so it is not a sum over connections",
        ),
        (
            "facilitating",
            "plasticityMechanisms[0]/R is multiplied by 1 - plasticityMechanisms[0]/U at each "
            "event, so it is not a sum over connections",
        ),
        (
            "facilitating",
            "A becomes A + weight * plasticityFactor * waveformFactor at each event, which adds "
            "what depends on the connection's plasticityMechanisms[0]/R, plasticityMechanisms[0]/U",
        ),
        ("halfPlastic", "synapse2/plasticityMechanisms[0]/R is multiplied by"),
    ],
)
def test_plasticity_needs_a_state_per_connection(
    core: dict[str, Lowered], name: str, reason: str
) -> None:
    assert reason in reasons(core[name].dynamics)


def peer_synapse(i: str, **more: Any) -> Dynamics:
    """Return a synapse that reads the cell at its other end, as gapJunction does."""
    requirements = {"v": VOLTAGE, "peer/v": VOLTAGE}
    derived = {"vpeer": (VOLTAGE, "peer__v"), "i": (CURRENT, i)} | dict(more.pop("derived", {}))
    parameters = dict.fromkeys(("weight", "conductance", "k", "Vth", "delta", "erev"), NONE)
    return build(
        "peer",
        parameters=parameters,
        requirements=requirements,
        derived=derived,
        exposures=("i",),
        **more,
    )


def test_continuous_transmission_is_no_sum_of_events() -> None:
    varying = frozenset({"weight", "peer/v"})
    gap = peer_synapse("weight * conductance * (vpeer - v)")
    assert reasons(gap, varying) == (
        "i = weight * conductance * (vpeer - v) is not 0 while all states are 0, so it does not "
        "come from events alone"
    )
    graded = peer_synapse(
        "weight * conductance * s * (erev - v)",
        states={"s": NONE},
        derived={
            "inf": (NONE, "1/(1 + exp((Vth - vpeer)/delta))"),
            "tau": (TIME, "(1-inf)/k"),
            "s_rate": (NONE, choose("(1-inf) .gt. 1e-4", "(inf - s)/tau", "0")),
        },
        rate=[("s", "s_rate")],
        conditions=[when("(1-inf) .lt. 1e-4", ("s", "inf"))],
    )
    assert reasons(graded, varying) == (
        "s becomes inf when 1 - inf < 0.0001, which is decided for each connection"
    )


# What differs between connections


def simple(
    i: str = "g * (1 - v)",
    rate: str = "-g / tau",
    jump: str = "g + weight * base",
    **more: Any,
) -> Dynamics:
    """Return a synapse without units; the arguments change one equation each."""
    parameters = {
        "parameters": dict.fromkeys(("tau", "base", "weight", "scale"), NONE),
        "requirements": {"v": NONE},
        "states": {"g": NONE, **dict(more.pop("states", {}))},
        "derived": {**dict(more.pop("derived", {})), "i": (NONE, i)},
        "rate": [("g", rate), *more.pop("rates", ())],
        "on_events": [on("in", ("g", jump), *more.pop("jumps", ()))],
        "exposures": ("i", "g"),
    }
    return build("simple", **(parameters | more))


VALUES = {"tau": 0.004, "base": 0.5, "weight": 1.0, "scale": 1.7}


def test_a_weight_in_the_current_moves_into_the_jump() -> None:
    synapse = simple(i="weight * g * (1 - v)", jump="g + base")
    assert check_sum(synapse, VALUES) > 0
    whole = proved(synapse)
    assert [item.name for item in whole.arrivals] == ["in@weight"]
    # The state is the sum of weight * g, so there is no g to be seen.
    assert dict(whole.dynamics.exposures) == {"i": "i"}
    assert whole.sums == {"i"}


def test_a_weight_in_the_current_and_in_the_jump_counts_squared() -> None:
    synapse = simple(i="weight * g * (1 - v)")
    assert check_sum(synapse, VALUES) > 0
    (arrival,) = proved(synapse).arrivals
    assert evaluate_scalar(arrival.weight, {"weight": 3.0}) == 9.0


def test_each_dependence_on_what_varies_has_its_own_arrivals() -> None:
    varying = frozenset({"weight", "scale"})
    synapse = simple(jump="g + (weight + 2) * scale * base - weight / 4 + base")
    assert check_sum(synapse, VALUES, varying, exposures=("i", "g")) > 0
    found = {item.name for item in proved(synapse, varying).arrivals}
    assert found == {"in@1", "in@scale", "in@weight", "in@scale*weight"}


def test_a_varying_conductance_keeps_units_consistent(core: dict[str, Lowered]) -> None:
    varying = frozenset({"weight", "gbase"})
    synapse = core["expTwo"]
    assert check_sum(synapse.dynamics, synapse.values, varying, exposures=("i", "g")) > 0
    whole = proved(synapse.dynamics, varying)
    assert [item.name for item in whole.arrivals] == ["in@gbase*weight"]
    assert [*check_dimensions(whole.dynamics)] == []
    assert not {"gbase", "weight"} & {item.name for item in whole.dynamics.parameters}


def test_a_jump_may_depend_on_the_time_and_on_the_cell() -> None:
    derived = {"open": (NONE, "exp(v)"), "part": (NONE, "scale / 2")}
    synapse = simple(jump="g + weight * open * part * (v + t)", derived=derived)
    assert check_sum(synapse, VALUES, exposures=("i", "g")) > 0


def test_a_choice_by_what_connections_share_is_no_obstacle() -> None:
    derived = {"slope": (NONE, choose("v .gt. 0", "-g / tau", "-2 * g / tau"))}
    assert check_sum(simple(rate="slope", derived=derived), VALUES, exposures=("i", "g")) > 0


def test_a_state_that_is_not_gathered_is_left_out_or_summed() -> None:
    linear = simple(states={"h": NONE}, rates=[("h", "g - h / tau")], exposures=("i", "h"))
    assert check_sum(linear, VALUES, exposures=("i", "h")) > 0
    counter = simple(states={"last": NONE}, jumps=[("last", "t")], exposures=("i", "last"))
    whole = proved(counter)
    assert dict(whole.dynamics.exposures) == {"i": "i"}
    assert [item.name for item in whole.dynamics.states] == ["g"]


def test_a_state_that_each_event_sets_to_the_same_counts_as_that() -> None:
    latched = simple(
        i="factor * g * (1 - v)",
        states={"factor": NONE},
        start=[("factor", "5")],
        derived={"half": (NONE, "weight / 2")},
        on_events=[on("in", ("factor", "half"), ("g", "g + factor * base"))],
        exposures=("i", "factor"),
    )
    assert check_sum(latched, VALUES) > 0
    assert "factor" not in dict(proved(latched).dynamics.exposures)


def test_a_value_that_is_read_before_it_is_set_is_not_yet_there() -> None:
    latched = simple(
        states={"factor": NONE},
        on_events=[on("in", ("g", "g + factor * base"), ("factor", "weight / 2"))],
    )
    assert "adds what depends on the connection's factor" in reasons(latched)


@pytest.mark.parametrize(
    ("jumps", "rates"),
    [
        ([("factor", "weight"), ("factor", "2")], []),
        ([("factor", "2")], [("factor", "-factor / tau")]),
        ([("factor", "2 + v")], []),
    ],
)
def test_a_state_that_may_have_other_values_is_not_taken_for_one(
    jumps: list[tuple[str, str]], rates: list[tuple[str, str]]
) -> None:
    synapse = simple(i="factor * g", states={"factor": NONE}, jumps=jumps, rates=rates)
    assert "factor becomes 2" in reasons(synapse)


def test_what_is_sent_or_never_happens_is_no_obstacle() -> None:
    never = when("1 .gt. LARGE", ("g", "g^2"))
    late = when("t - last .gt. tau", sends=("late",))
    synapse = simple(
        constants={"LARGE": (NONE, 2.0), "NOTHING": (NONE, 0.0)},
        states={"last": NONE},
        jumps=[("last", "t")],
        start=[("g", "weight * NOTHING")],
        conditions=[never, late],
        out_ports=("late",),
    )
    assert check_sum(synapse, VALUES, exposures=("i", "g")) > 0
    whole = proved(synapse).dynamics
    assert not whole.conditions
    assert not whole.start


def test_what_is_multiplied_by_0_is_left_out() -> None:
    synapse = simple(
        states={"h": NONE},
        jump="g + weight + 0 * h",
        jumps=[("h", "h + 1")],
        derived={"nothing": (NONE, "0 * base")},
        start=[("g", "nothing")],
    )
    assert check_sum(synapse, VALUES) > 0
    whole = proved(synapse)
    assert [item.name for item in whole.arrivals] == ["in@weight"]
    assert [item.name for item in whole.dynamics.states] == ["g"]


def test_random_numbers_that_nobody_gathers_are_left_out() -> None:
    synapse = simple(derived={"noise": (NONE, "random(1)")}, exposures=("i", "noise"))
    assert dict(proved(synapse).dynamics.exposures) == {"i": "i"}


def test_a_requirement_that_varies_cannot_be_stored_as_a_weight() -> None:
    varying = frozenset({"weight", "v"})
    reason = "depends on v, which differs between connections"
    assert reason in reasons(simple(i="g", jump="g + weight * v"), varying)
    assert reason in reasons(simple(i="g * v"), varying)


def test_nothing_of_the_result_varies_but_the_arrivals() -> None:
    whole = proved(simple(i="weight * g * (scale - v)"))
    read_names = {name for expr in whole.dynamics.expressions() for name in names(expr)}
    assert "weight" not in read_names
    assert {item.name for item in whole.dynamics.parameters} <= read_names


def test_an_open_synapse_is_our_own_mistake() -> None:
    gather = Gather("parts[*]/i", "parts", "i", "add", CURRENT)
    with pytest.raises(InternalError):
        aggregate(build("open", derived={"i": (CURRENT, "0")}, gathers=[gather]), WEIGHT)


def test_other_exposures_than_a_current_can_be_gathered() -> None:
    synapse = simple(derived={"I": (NONE, "2 * g")}, i="g^2", exposures=("i", "I"))
    whole = aggregate(synapse, WEIGHT, frozenset({"I"}))
    assert isinstance(whole, Aggregate)
    assert dict(whole.dynamics.exposures) == {"I": "I"}


# What is no sum

MUTATIONS: list[tuple[Dynamics, str]] = [
    (
        simple(jump="g + (1 - g) * weight"),
        "g becomes g + (1 - g) * weight at each event, which adds what depends on g itself",
    ),
    (simple(jump="g * (1 - base)"), "g is multiplied by 1 - base at each event"),
    (simple(jump="weight + v"), "g becomes weight + v at each event, whatever it was"),
    (simple(jump="g + sqrt(g)"), "g becomes g + sqrt(g) at each event, which is not linear in g"),
    (simple(jump="g + base / weight"), "which is not linear in weight"),
    (simple(jump="g + weight * random(1)"), "which draws a random number for each connection"),
    (simple(i="g^2"), "i = g^2 is not linear in g"),
    (simple(i="g * (1 - v) + base"), "i = g * (1 - v) + base is not 0 while all states are 0"),
    (simple(i="g + 0 / 0"), "i = g + 0 / 0 is not 0 while all states are 0"),
    (simple(i="g * random(v)"), "i = g * random(v) draws random numbers"),
    (simple(i="(1 + weight) * g"), "i = (1 + weight) * g is a sum of parts with different weights"),
    (simple(i="H(g - base)"), "i = H(g - base) is not linear in g"),
    (simple(rate="-g / tau + base"), "the rate of g, -g / tau + base, is not 0 while all"),
    (simple(rate="-g^2 / tau"), "the rate of g, -g^2 / tau, is not linear in g"),
    (simple(rate="-g / (tau * weight)"), "depends on weight, which differs between connections"),
    (simple(rate="-g / tau * g / (g + 1)"), "is not linear in g"),
    (
        simple(rate="slope", derived={"slope": (NONE, choose("g .gt. 1", "-g / tau", "-g"))}),
        "the rate of g, (-g / tau if g > 1 else -g), is not linear in g",
    ),
    (
        simple(rate="slope", derived={"slope": (NONE, choose("g .gt. 1", "-v", "-base"))}),
        "is not linear in g",
    ),
    (
        simple(rate="slope", derived={"slope": (NONE, choose("weight .gt. 1", "-g", "-g * 2"))}),
        "depends on weight, which differs between connections",
    ),
    (
        simple(states={"h": NONE}, rates=[("h", "-h")], rate="-g * h", jumps=[("h", "h + 1")]),
        "the rate of g, -g * h, is not linear in g and h",
    ),
    (
        simple(states={"h": NONE}, rates=[("h", "-h")], i="g * h", jumps=[("h", "h + 1")]),
        "i = g * h is not linear in g and h",
    ),
    (
        simple(states={"h": NONE}, i="g + h", jumps=[("h", "h + g")]),
        "h becomes h + g at each event, which adds what depends on the connection's g",
    ),
    (simple(start=[("g", "base")]), "g starts at base, not at 0"),
    (
        simple(conditions=[when("g .gt. base", ("g", "base"))]),
        "g becomes base when g > base, which is decided for each connection",
    ),
    (
        simple(on_events=[on("in", ("g", "g + weight")), on("reset", ("g", "g - base"))]),
        "events on more than one port change it: in, reset",
    ),
    (
        simple(jump="g + open", derived={"open": (NONE, "weight * v")}),
        "depends on weight, which differs between connections",
    ),
    (
        simple(jump="g + weight * open", derived={"open": (NONE, "random(v)")}),
        "draws a random number",
    ),
    (
        simple(states={"m": NONE}, start=[("m", "1")], i="g * m", jumps=[("m", "t")]),
        "m becomes t at each event, whatever it was",
    ),
    (
        simple(states={"h": NONE}, rate="h - 2", on_events=[on("in", ("h", "2"))]),
        "the rate of g, h - 2, is not 0 while all states are 0",
    ),
    (
        simple(states={"h": NONE}, start=[("g", "h - 2")], jumps=[("h", "2")]),
        "g starts at h - 2, not at 0",
    ),
    (build("nothing"), "it has no exposure i"),
]


@pytest.mark.parametrize(("synapse", "reason"), MUTATIONS)
def test_what_is_no_sum_is_refused(synapse: Dynamics, reason: str) -> None:
    assert reason in reasons(synapse)


# Random synapses

FACTORS = ("1", "base", "-1 / tau", "3 * scale", "v", "exp(v) / scale", "(base - v)", "base * t")
JUMP_FACTORS = (*FACTORS, "weight", "weight * base", "2 * weight * v", "(weight - scale)")


@st.composite
def linear_synapses(draw: st.DrawFn) -> Dynamics:
    states = [f"x{number}" for number in range(draw(st.integers(1, 3)))]

    def combination(factors: Sequence[str]) -> str:
        terms = [f"({draw(st.sampled_from(factors))}) * {state}" for state in states]
        chosen = draw(st.sets(st.sampled_from(terms), min_size=1))
        return " + ".join(sorted(chosen))

    jumps = [
        (state, f"{state} + {draw(st.sampled_from(JUMP_FACTORS))} * scale")
        for state in draw(st.sets(st.sampled_from(states), min_size=1).map(sorted))
    ]
    weighted = draw(st.sampled_from(["", "weight * ", "-weight / base * "]))
    return build(
        "random",
        parameters=dict.fromkeys(("tau", "base", "weight", "scale"), NONE),
        requirements={"v": NONE},
        states=dict.fromkeys(states, NONE),
        derived={
            "inner": (NONE, combination(FACTORS)),
            "i": (NONE, f"{weighted}(inner * (1 - v) - {combination(FACTORS)})"),
        },
        rate=[(state, f"({combination(FACTORS)}) / 4") for state in states],
        on_events=[on("in", *jumps)],
        exposures=("i",),
    )


@settings(max_examples=40, deadline=None)
@given(linear_synapses(), st.sampled_from(METHODS), st.integers(0, 1000))
def test_any_linear_synapse_is_summed(synapse: Dynamics, method: str, seed: int) -> None:
    check_sum(synapse, VALUES, method=method, seed=seed, terms=1.0)


ANYTHING = st.recursive(
    st.sampled_from(["x", "y", "h", "weight", "scale", "v", "(t + 1)", "part", "0", "1", "2"]),
    lambda below: st.one_of(
        st.tuples(below, st.sampled_from("+-*/"), below).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(st.sampled_from(["exp", "abs", "H"]), below).map(lambda p: f"{p[0]}({p[1]})"),
    ),
    max_leaves=4,
)


@st.composite
def synapses(draw: st.DrawFn) -> Dynamics:
    """Return synapses of which about a tenth are linear."""

    def either(usual: Sequence[str]) -> str:
        return draw(st.sampled_from(usual) if draw(st.integers(0, 4)) else ANYTHING)

    part = either(["x", "x + 2 * y", "weight", "v * x", "scale / 2", "weight * x"])
    part = part.replace("part", "base")
    return build(
        "any",
        parameters=dict.fromkeys(("tau", "base", "weight", "scale"), NONE),
        requirements={"v": NONE},
        states=dict.fromkeys("xyh", NONE),
        derived={
            "part": (NONE, part),
            "i": (NONE, either(["x", "h * x", "weight * (x + y) * v", "part * v", "h * part"])),
        },
        rate=[
            ("x", either(["-x / scale", "y - x", "-t * x * abs(v)", "part - x"])),
            ("y", either(["-y", "-scale * y", "-y + 0 * x", "x * exp(v)"])),
        ],
        on_events=[
            on(
                "in",
                ("h", either(["weight", "2", "h + weight", "scale * weight", "part"])),
                ("x", f"x + {either(['1', 'weight', 'h', 'weight * v', 'part', 't'])}"),
                ("y", either(["y", "y + 3", "y + weight * scale * base", "h + y", "y + part"])),
            )
        ],
        exposures=("i", "part", "x"),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(synapses(), st.integers(0, 1000))
def test_whatever_is_accepted_is_right(synapse: Dynamics, seed: int) -> None:
    found = aggregate(synapse, WEIGHT)
    assume(isinstance(found, Aggregate))
    assert isinstance(found, Aggregate)
    sums = {name for name, variable in found.dynamics.exposures if variable in found.sums}
    shown = sorted(sums | {"i"})
    with np.errstate(over="ignore", invalid="ignore"):
        check_sum(synapse, VALUES, exposures=shown, seed=seed, dt=1e-3, terms=1.0)
