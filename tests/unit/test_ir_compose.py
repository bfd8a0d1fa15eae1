from dataclasses import replace

import numpy as np
import pytest
from hand_built import (
    PASSIVE,
    build,
    exp_synapse,
    gate,
    iaf_tau_ref,
    izhikevich,
    on,
    passive,
    pulse,
    spike_generator,
    summed,
    when,
)

from izhi_models.errors import InputError, InternalError
from izhi_models.expr import Name
from izhi_models.ir.compose import Attached, compose, connect
from izhi_models.ir.dynamics import Derived, Dynamics, Gather
from izhi_models.ir.evaluate import Interpreter, initial_values
from izhi_models.ir.passes import settle_assigned_states
from izhi_models.units import CURRENT, NONE, VOLTAGE


def constant_current(number: int) -> Attached:
    part = build(
        "constant", parameters={"a": CURRENT}, derived={"i": (CURRENT, "a")}, exposures="i"
    )
    return Attached("synapses", part, f"synapses[{number}]")


def total(dynamics: Dynamics, values: dict[str, float]) -> float:
    return float(initial_values(dynamics, values, 1)["iSyn"][0])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_a_cell_adds_up_what_is_attached(count: int) -> None:
    cell = compose(passive(), [constant_current(number) for number in range(count)])
    values = PASSIVE | {f"synapses[{i}]/a": float(i + 1) for i in range(count)}
    assert total(cell, values) == count * (count + 1) / 2
    assert not cell.gathers


def test_many_parts_do_not_make_deep_expressions() -> None:
    cell = compose(passive(), [constant_current(number) for number in range(2000)])
    values = PASSIVE | {f"synapses[{i}]/a": 1.0 for i in range(2000)}
    assert total(cell, values) == 2000.0


def test_a_part_that_is_not_present_adds_nothing() -> None:
    parts = [constant_current(0), constant_current(1)]
    parts[1] = Attached("synapses", parts[1].dynamics, "synapses[1]", "synapses[1]/present")
    cell = compose(passive(), parts)
    values = PASSIVE | {"synapses[0]/a": 1.0, "synapses[1]/a": 10.0}
    present = np.array([0.0, 1.0])
    i_syn = initial_values(cell, values | {"synapses[1]/present": present}, 2)["iSyn"]
    assert i_syn.tolist() == [1.0, 11.0]


@pytest.mark.parametrize(("present", "expected"), [(None, 6.0), ([0.0, 1.0], [2.0, 6.0])])
def test_a_product_runs_over_what_is_present(
    present: list[float] | None, expected: float | list[float]
) -> None:
    gather = Gather("scales[*]/q", "scales", "q", "multiply", NONE)
    cell = Dynamics("cell", derived=(Derived("all", NONE, Name(gather.name)),), gathers=(gather,))
    part = build("scale", parameters={"q10": NONE}, derived={"q": (NONE, "q10")}, exposures=("q",))
    switch = None if present is None else "here"
    parts = [Attached("scales", part, "scales[0]"), Attached("scales", part, "scales[1]", switch)]
    values: dict[str, object] = {"scales[0]/q10": 2.0, "scales[1]/q10": 3.0}
    if present is not None:
        values["here"] = np.array(present)
    n = 1 if present is None else 2
    found = initial_values(compose(cell, parts), values, n)["all"]
    assert np.array_equal(found, np.atleast_1d(expected))
    assert initial_values(compose(cell, []), {}, 1)["all"].tolist() == [1.0]


def test_lists_stay_open_while_contained_parts_are_composed() -> None:
    contained = compose(passive(), [Attached("", exp_synapse(), "leakage")])
    assert [item.name for item in contained.gathers] == ["synapses[*]/i"]
    assert compose(contained, []).gathers == ()


def test_contained_parts_of_a_list_are_gathered() -> None:
    # compoundInput: currents[*]/i over its children.
    gather = summed("currents", "i", CURRENT)
    outer = Dynamics(
        "compoundInput",
        derived=(Derived("i", CURRENT, Name(gather.name)),),
        exposures=(("i", "i"),),
        gathers=(gather,),
    )
    part = constant_current(0).dynamics
    parts = [Attached("", part, "currents[0]"), Attached("", part, "currents[1]")]
    inner = compose(outer, parts)
    cell = compose(passive(), [Attached("synapses", inner, "synapses[0]")])
    values = PASSIVE | {f"synapses[0]/currents[{i}]/a": i + 1.0 for i in range(2)}
    assert total(cell, values) == 3.0
    assert cell.exposed("synapses[0]/currents[1]/i") == "synapses[0]/currents[1]/i"


def test_a_requirement_is_the_parents_exposure_before_its_variable() -> None:
    part = build("part", requirements={"v": VOLTAGE}, derived={"twice": (VOLTAGE, "2 * v")})
    parent = build("cell", states={"v": VOLTAGE}, derived={"shown": (VOLTAGE, "v + 1")})
    parent = replace(parent, exposures=(("v", "shown"),))
    whole = compose(parent, [Attached("", part, "part")])
    assert whole.requirements == ()
    assert initial_values(whole, {}, 1)["part/twice"].tolist() == [2.0]


def test_a_requirement_that_the_parent_lacks_is_met_further_up() -> None:
    channel = compose(build("channel"), [Attached("", gate(), "m")])
    assert [item.name for item in channel.requirements] == ["v"]
    cell = compose(passive(), [Attached("", channel, "na")])
    assert cell.requirements == ()
    values = PASSIVE | {"na/m/rate": 1.0, "na/m/midpoint": -0.07, "na/m/scale": 0.01}
    assert initial_values(cell, values, 1)["na/m/inf"].tolist() == [0.5]  # E is the midpoint


def test_a_part_may_call_a_variable_of_its_own_t() -> None:
    # fixedTimeCourse exposes its time constant as t.
    part = build(
        "timeCourse", parameters={"tau": NONE}, derived={"t": (NONE, "2 * tau")}, exposures=("t",)
    )
    whole = compose(build("gate"), [Attached("", part, "timeCourse")])
    assert initial_values(whole, {"timeCourse/tau": 3.0}, 1)["timeCourse/t"].tolist() == [6.0]


def test_an_exposure_under_another_name_is_read_by_that_name() -> None:
    part = build("part", parameters={"a": CURRENT}, derived={"inner": (CURRENT, "a")})
    part = replace(part, exposures=(("i", "inner"),))
    parent = build("cell", derived={"seen": (CURRENT, "part__i")})
    whole = compose(parent, [Attached("", part, "part")])
    assert initial_values(whole, {"part/a": 4.0}, 1)["seen"].tolist() == [4.0]
    assert whole.exposed("part/i") == "part/inner"


def test_a_part_without_the_exposure_is_refused() -> None:
    part = build("silent", derived={"j": (CURRENT, "0")}, exposures=("j",))
    with pytest.raises(InputError, match=r"'silent' at synapses\[0\] of 'leak' exposes no 'i'"):
        compose(passive(), [Attached("synapses", part, "synapses[0]")])


def test_regimes_have_to_be_states_before() -> None:
    with pytest.raises(InternalError, match="regimes"):
        compose(passive(), [Attached("synapses", iaf_tau_ref(), "synapses[0]")])


def test_a_part_acts_before_its_parent_and_does_not_spike_for_it() -> None:
    part = build(
        "part",
        states={"x": NONE},
        conditions=[when("t .gt. 0", ("x", "x + 1"), sends=("spike",))],
        out_ports=("spike",),
        exposures=("x",),
    )
    cell = build(
        states={"seen": NONE},
        conditions=[when("t .gt. 0", ("seen", "part__x"))],
        out_ports=("spike",),
    )
    whole = compose(cell, [Attached("", part, "part")])
    run = Interpreter(whole, {}, 1, 1.0).run(3, ["seen"])
    assert run.traces["seen"][:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert run.events["spike"] == []
    assert run.events["part/spike"] == [(1, 0), (2, 0), (3, 0)]


def test_two_pulses_on_a_cell_are_one_current() -> None:
    dl_pulse = settle_assigned_states(pulse("I", NONE))
    cell = compose(
        izhikevich(),
        [
            Attached("synapses", dl_pulse, "synapses[0]"),
            Attached("synapses", dl_pulse, "synapses[1]"),
        ],
    )
    values = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "v0": -0.07, "thresh": 0.03}
    for place, amplitude in (("synapses[0]", 4.0), ("synapses[1]", 6.0)):
        for name, value in zip(
            ("delay", "duration", "weight", "amplitude"), (0.01, 0.05, 1.0, amplitude), strict=True
        ):
            values[f"{place}/{name}"] = value
    run = Interpreter(cell, values, 1, 1e-4).run(200, ["ISyn", "synapses[1]/I"])
    assert run.traces["ISyn"][150, 0] == 10.0
    assert run.traces["synapses[1]/I"][150, 0] == 6.0


def test_a_generator_inside_a_part_drives_its_synapse() -> None:
    # poissonFiringSynapse and its like: EventConnection from the part itself to its synapse.
    source = compose(spike_generator(), [Attached("", exp_synapse(), "synapse")])
    wired = connect(source, "spike", "synapse/in")
    values = {
        "period": 0.01,
        "v": -0.07,
        "synapse/tauDecay": 0.005,
        "synapse/gbase": 1e-9,
        "synapse/erev": 0.0,
        "synapse/weight": 2.0,
    }
    g = Interpreter(wired, values, 1, 1e-3).run(12, ["synapse/g"]).traces["synapse/g"][:, 0]
    # The spike of step 10 ends that step; the synapse decays by Euler from the next one on.
    expected = [0.0] * 10 + [2e-9, 2e-9 * (1 - 0.2), 2e-9 * (1 - 0.2) ** 2]
    np.testing.assert_allclose(g, expected, rtol=1e-14)  # a few roundings


def test_a_chain_of_relays_is_wired_from_its_end() -> None:
    chain = build(
        states={"first": NONE, "second": NONE},
        on_events=[
            on("a", ("first", "first + 1"), sends=("relay",)),
            on("b", ("second", "second + first")),
        ],
        conditions=[when("t .gt. 1.5", sends=("out",))],
        out_ports=("out", "relay"),
    )
    wired = connect(connect(chain, "relay", "b"), "out", "a")
    run = Interpreter(wired, {}, 1, 1.0).run(3, ["first", "second"])
    assert run.traces["first"][:, 0].tolist() == [0.0, 0.0, 1.0, 2.0]
    assert run.traces["second"][:, 0].tolist() == [0.0, 0.0, 1.0, 3.0]
