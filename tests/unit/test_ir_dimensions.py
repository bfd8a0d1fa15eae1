from dataclasses import replace

import numpy as np
import pytest
from hand_built import (
    CAPACITANCE,
    CONDUCTANCE,
    PASSIVE,
    assign,
    build,
    choose,
    exp_synapse,
    gate,
    izhikevich,
    on,
    passive,
    pulse,
    read,
    regime,
    when,
)

from izhi_models.ir.compose import Attached, compose
from izhi_models.ir.dimensions import check_dimensions, check_expression, dimension_of, rescale
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import Interpreter, initial_values
from izhi_models.ir.passes import fold_constants, order_derived, settle_assigned_states
from izhi_models.units import (
    CURRENT,
    NONE,
    PER_TIME,
    TIME,
    VOLTAGE,
    Dimension,
    simulation_power,
    to_simulation,
)

LENGTH = Dimension(l=1)
KNOWN = {
    "v": VOLTAGE,
    "E": VOLTAGE,
    "i": CURRENT,
    "g": CONDUCTANCE,
    "C": CAPACITANCE,
    "x": NONE,
    "area": LENGTH.power(2),
    "radius": LENGTH,
    "tau": TIME,
    "any": None,
}


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("g * (E - v) + i", CURRENT),
        ("(g * (E - v) + i) / C", VOLTAGE.over(TIME)),
        ("v^2", VOLTAGE.power(2)),
        ("tau^-1", PER_TIME),
        ("sqrt(area)", LENGTH),
        ("abs(-v)", VOLTAGE),
        ("random(tau)", TIME),
        ("exp((v - E) / E)", NONE),
        ("x^(v / E)", NONE),
        ("H(v / E) * tau", TIME),
        ("0", None),
        ("v + 0", VOLTAGE),
        ("0 - i", CURRENT),
        ("any + i", CURRENT),
        ("any * i", None),
        ("unheard_of + i", CURRENT),
    ],
)
def test_dimensions_follow_the_rules_of_lems(text: str, dimension: Dimension | None) -> None:
    assert dimension_of(read(text), KNOWN) == dimension
    assert not list(check_expression(read(text), KNOWN, dimension))


@pytest.mark.parametrize(
    ("text", "part", "message"),
    [
        ("g * v + E", "E", "'g * v' is in pA, but 'E' is in mV: a sum needs equal dimensions"),
        ("v + 1", "1", "'v' is in mV, but '1' has no unit: a sum needs equal dimensions"),
        (
            "v .gt. 30",
            "30",
            "'v' is in mV, but '30' has no unit: a comparison needs equal dimensions",
        ),
        ("exp(v)", "v", "'v' is in mV: the argument of exp is dimensionless"),
        ("H(tau)", "tau", "'tau' is in ms: the argument of H is dimensionless"),
        ("v^0.5", "v", "'v' is in mV: only a whole power may be taken of it"),
        ("x^tau", "tau", "'tau' is in ms: an exponent is dimensionless"),
        ("sqrt(v)", "v", "'v' is in mV: it has no square root"),
    ],
)
def test_a_fault_names_the_part_and_what_is_wrong(text: str, part: str, message: str) -> None:
    (fault,) = check_expression(read(text), KNOWN)
    assert fault.message == message
    assert fault.place is not None
    assert text[slice(*fault.place)] == part


def test_the_whole_expression_must_have_the_expected_dimension() -> None:
    (fault,) = check_expression(read("-v"), KNOWN, VOLTAGE.over(TIME))
    assert fault.message == "'-v' is in mV, expected mV per time"
    assert (fault.found, fault.expected) == (VOLTAGE, VOLTAGE.over(TIME))


def test_one_cause_is_one_fault() -> None:
    faults = list(check_expression(read("exp((v + x) / E) * (v + i)"), KNOWN, CURRENT))
    assert len(faults) == 2


def test_every_kind_of_expression_is_checked() -> None:
    thing = build(
        parameters={"v": VOLTAGE},
        states={"x": NONE},
        derived={"d": (CURRENT, "v")},
        rate=[("x", "x")],
        start=[("x", "v")],
        conditions=[when("v .gt. 1", ("x", "v"))],
        on_events=[on("in", ("x", "v"))],
        regimes=[
            regime("a", when("v .lt. 1", ("x", "v")), rate=[("x", "v")], entry=[("x", "v")]),
        ],
    )
    assert [fault.where for fault in check_dimensions(thing)] == [
        "derived d",
        "rate x",
        "rate x",
        "start x",
        "entry x",
        "test",
        "assignment x",
        "assignment x",
        "test",
        "assignment x",
    ]


@pytest.mark.parametrize("thing", [izhikevich(), passive(), exp_synapse(), gate(), pulse()])
def test_types_of_neuroml_are_consistent(thing: Dynamics) -> None:
    assert list(check_dimensions(thing)) == []


# Units of simulations


@pytest.mark.parametrize("thing", [izhikevich(), passive(), exp_synapse(), gate(), pulse()])
def test_consistent_equations_stay_as_they_are(thing: Dynamics) -> None:
    assert list(rescale(thing).expressions()) == list(thing.expressions())


def simulated(dynamics: Dynamics, values: dict[str, float]) -> dict[str, float]:
    known = dynamics.dimensions()
    return {name: to_simulation(value, known[name]) for name, value in values.items()}


def in_simulation_units(dynamics: Dynamics, name: str, si: np.ndarray) -> np.ndarray:
    return si / 10.0 ** simulation_power(dynamics.dimensions()[name])


def assert_equal_in_both_units(
    dynamics: Dynamics,
    values: dict[str, float],
    dt: float,
    n_steps: int,
    *recorded: str,
    rtol: float = 1e-12,
) -> None:
    dynamics = order_derived(dynamics)
    si = Interpreter(dynamics, values, 1, dt).run(n_steps, recorded)
    other = fold_constants(rescale(dynamics))
    scaled = Interpreter(other, simulated(dynamics, values), 1, to_simulation(dt, TIME))
    run = scaled.run(n_steps, recorded)
    assert si.events == run.events
    for name in recorded:
        expected = in_simulation_units(dynamics, name, si.traces[name])
        # By default some thousand operations, each rounded to 1e-16, that do not amplify.
        np.testing.assert_allclose(run.traces[name], expected, rtol=rtol, atol=0)
        assert np.ptp(expected) > 0


def test_a_spiking_cell_is_the_same_in_both_units() -> None:
    part = settle_assigned_states(pulse("I", NONE))
    cell = compose(izhikevich(), [Attached("synapses", part, "synapses[0]")])
    values = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0, "v0": -0.07, "thresh": 0.03} | {
        "synapses[0]/delay": 0.01,
        "synapses[0]/duration": 0.05,
        "synapses[0]/weight": 1.0,
        "synapses[0]/amplitude": 10.0,
    }
    # The way up to a spike amplifies rounding some ten times.
    assert_equal_in_both_units(cell, values, 1e-4, 700, "v", "U", "ISyn", rtol=1e-11)


def test_a_gate_and_a_synapse_are_the_same_in_both_units() -> None:
    cell = compose(passive(), [Attached("synapses", exp_synapse(), "synapses[0]")])
    cell = compose(cell, [Attached("", gate(), "m")])
    synapse = {"tauDecay": 0.003, "gbase": 1e-9, "erev": 0.0, "weight": 1.0}
    values = PASSIVE | {f"synapses[0]/{name}": value for name, value in synapse.items()}
    values |= {"m/rate": 100.0, "m/midpoint": -0.06, "m/scale": 0.01, "E": -0.06}
    leaky = order_derived(cell)
    leaky = replace(leaky, start=(*leaky.start, *assign([("v", "E * 0.9")])))
    assert_equal_in_both_units(leaky, values, 1e-4, 500, "v", "m/q", "m/tau", "iMemb")


@pytest.mark.parametrize(
    ("dimension", "text"),
    [
        (NONE, "exp(v)"),  # of the voltage in volt
        (NONE, "sin(t)"),  # of the time in seconds
        (VOLTAGE, "v + 0.001"),  # plus one millivolt
        (VOLTAGE, "0.001 + v"),
        (VOLTAGE, "-0.02"),
        (NONE, "v"),
        (VOLTAGE, "i"),
        (VOLTAGE, "v * v"),
        (NONE, "v^0.5"),
        (NONE, "x^v"),
        (NONE, "sqrt(-v)"),
        (VOLTAGE, "sqrt(v * v) + i"),
        (CURRENT, "abs(v) + i"),
        (NONE, "H(v) + H(i - i)"),
        (TIME, choose("v .gt. -0.07", "t", "0.5")),
        (TIME, choose("v .gt. i", "0.25", "t")),
        (NONE, choose("(v .lt. 0) .and. (x .gt. i)", "v", "0")),
        (VOLTAGE, "0 * i + v"),
        (VOLTAGE, "v + 0"),
        (VOLTAGE, "VOLT * exp(v / VOLT) - -0.01"),
    ],
)
def test_inconsistent_equations_keep_their_meaning_in_si(dimension: Dimension, text: str) -> None:
    thing = build(
        parameters={"v": VOLTAGE, "i": CURRENT, "x": NONE},
        constants={"VOLT": (VOLTAGE, 1.0)},
        derived={"d": (dimension, text)},
    )
    values = {"v": -0.065, "i": 3e-10, "x": 2.5}
    si = initial_values(thing, values, 1)["d"]
    scaled = initial_values(rescale(thing), simulated(thing, values), 1)["d"]
    np.testing.assert_allclose(
        scaled, in_simulation_units(thing, "d", si), rtol=1e-13, equal_nan=True
    )  # a dozen roundings


def test_a_bare_rate_is_per_second() -> None:
    # pinskyRinzelCA3Cell: dSi/dt = -Si / 150.0, with Si dimensionless.
    thing = build(states={"Si": NONE}, rate=[("Si", "-Si/150.0")], start=[("Si", "100")])
    assert_equal_in_both_units(thing, {}, 1e-3, 100, "Si")
    scaled = Interpreter(rescale(thing), {}, 1, 1.0).run(1, ["Si"]).traces["Si"][:, 0]
    # One step of 1 ms: 100 - 1e-3 * 100 / 150, to a rounding.
    assert scaled[1] == pytest.approx(100 - 0.1 / 150, rel=1e-15)


def test_actions_and_starts_keep_their_meaning_in_si() -> None:
    thing = build(
        states={"v": VOLTAGE, "last": TIME},
        rate=[("v", "1")],  # one volt per second
        start=[("v", "-0.07")],
        conditions=[when("v .gt. -0.06955", ("v", "-0.08"), ("last", "t + 0.001"), sends=("out",))],
        on_events=[on("in", ("v", "v + 0.0001"))],
        out_ports=("out",),
    )
    arrivals = {"in": [(3, 0)]}
    si = Interpreter(thing, {}, 1, 1e-4).run(20, ["v", "last"], arrivals)
    scaled = Interpreter(rescale(thing), {}, 1, 0.1).run(20, ["v", "last"], arrivals)
    assert si.events == scaled.events
    assert len(si.events["out"]) == 1
    for name in ("v", "last"):
        # 20 roundings
        np.testing.assert_allclose(scaled.traces[name], si.traces[name] * 1e3, rtol=1e-14)


def test_literals_are_shifted_as_decimals() -> None:
    thing = build(parameters={"delay": TIME}, derived={"d": (TIME, "delay + 0.022")})
    assert rescale(thing).derived[0].value == read("delay + 22.0")
