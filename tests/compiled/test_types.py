"""Compiled programs against the interpreter, closed formulas and loops written by hand.

The files in ``types/`` hold ComponentTypes of our own, and the probes of the coverage those of
NeuroML. The populations of some go into one program per method. Times in them lie between steps, so
that only the equations decide; what happens at a time on a step is tested apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import izhi_models
from izhi_models.annarchy.lower import Lowering, lower_network
from izhi_models.annarchy.recorder import Recording
from izhi_models.annarchy.run import Simulator
from izhi_models.checks import check
from izhi_models.coverage import probes
from izhi_models.ir.evaluate import Interpreter
from izhi_models.ir.step import METHODS
from izhi_models.network import Network, Population
from izhi_models.results import Results

FOLDER = Path(__file__).parent / "types"
PROBES = {path.stem: path for path in probes()}
FILES = (
    PROBES["cells"],
    FOLDER / "user_types.xml",
    FOLDER / "more_user_types.xml",
    PROBES["inputs"],
    PROBES["channels"],
)
DT_MS, N_STEPS = 0.1, 600
DT = DT_MS * 1e-3
TIMES_MS = DT_MS * np.arange(N_STEPS + 1)
KELVIN = 273.15 + 16.3  # of the network of user_types.xml


@functools.cache
def network() -> Network:
    """Return all populations as one network."""
    networks = [izhi_models.load(path).network for path in FILES]
    return Network(
        "all",
        populations={k: item for part in networks for k, item in part.populations.items()},
        shared={k: item for part in networks for k, item in part.shared.items()},
    )


def variables(population: Population) -> list[str]:
    dynamics = population.dynamics
    return [item.name for item in (*dynamics.states, *dynamics.derived)]


@functools.cache
def lowered(method: str) -> Lowering:
    keep = {name: variables(item) for name, item in network().populations.items()}
    return lower_network(network(), keep, method=method)


@functools.cache
def compiled(method: str) -> Results:
    """Run all populations for 60 ms and record everything."""
    recordings = [
        Recording(population.id, name, tuple(range(population.size)), (name,) * population.size)
        for population in network().populations.values()
        for name in variables(population)
    ]
    simulator = Simulator(lowered(method), recordings, DT, seed=1)
    results = simulator.simulate(N_STEPS * DT)
    simulator.close()
    return results


def spike_steps(results: Results, population: str, cell: int = 0) -> list[int]:
    """Return the numbers of the steps in which a cell spiked."""
    return np.rint(results.spikes[population].of(cell) / DT).astype(int).tolist()


# All methods. One test each, so that a program is compiled by one worker only; forward Euler is the
# last, since the tests below may have compiled it by then in another worker.


@pytest.mark.parametrize("method", METHODS[::-1])
def test_every_type_does_what_the_interpreter_and_its_formula_say(method: str) -> None:
    results = compiled(method)
    for population in network().populations.values():
        check_interpreter(results, population, method)
    for item in INTERVALS:
        check_intervals(results, method, *item)
    check_clamps(results)


def check_interpreter(results: Results, population: Population, method: str) -> None:
    names = variables(population)
    values = {**population.values, "temperature": KELVIN}
    interpreter = Interpreter(
        population.dynamics, values, population.size, DT, seed=1, method=method
    )
    expected = interpreter.run(N_STEPS, names)
    for name in names:
        path = f"{population.id}/{name}"
        trace = expected.traces[name]
        # The two round differently, since one computes in SI; a spike multiplies the difference of
        # 1e-16 by some 10, the most are 11 spikes of a fast cell with 1e-11.
        np.testing.assert_allclose(
            results.si(path), trace, rtol=0, atol=1e-9 * np.abs(trace).max(), err_msg=path
        )
    for cell in range(population.size):
        sent = [step for step, sender in expected.events.get("spike", ()) if sender == cell]
        spikes = population.id in results.spikes
        found = spike_steps(results, population.id, cell) if spikes else []
        assert found == sent, population.id


# What one step of length z, in time constants, leaves of the distance to rest.
REMAINS = {
    "auto": lambda z: 1 - z,  # forward Euler for cells without gates
    "euler": lambda z: 1 - z,
    "exponential_euler": lambda z: math.exp(-z),
    "exponential_midpoint": lambda z: math.exp(-z),
    "midpoint": lambda z: 1 - z + z**2 / 2,
    "rk4": lambda z: 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24,
}
# Population; time constant [ms], rest and reset [mV], refractory period [ms].
INTERVALS = (
    ("iafTau", 10.0, -50.0, -70.0, 0.0),
    ("iafTauSlow", 25.0, -48.0, -72.0, 0.0),
    ("iafTauRef", 10.0, -50.0, -70.0, 5.03),
    ("iaf", 16.0, -53.0, -70.0, 0.0),
    ("iafRef", 16.0, -53.0, -70.0, 5.03),
)


def check_intervals(
    results: Results,
    method: str,
    population: str,
    tau: float,
    rest: float,
    reset: float,
    idle: float,
) -> None:
    # The distance to rest shrinks by one factor per step until less than to the threshold, -55 mV
    # is left; the refractory period ends with the step in which its time has passed.
    left = (rest + 55.0) / (rest - reset)
    rise = math.ceil(math.log(left) / math.log(REMAINS[method](DT_MS / tau)))
    steps = spike_steps(results, population)
    assert len(steps) >= 2
    assert set(np.diff(steps)) == {rise + math.ceil(idle / DT_MS)}, population


def check_clamps(results: Results) -> None:
    def balance(target: float) -> float:
        leak, clamp = 10e-9, 1 / 20e6
        return (leak * -65e-3 + clamp * target) / (leak + clamp)

    # Approached with C / (leak + clamp) = 1.7 ms: after 20 ms 6e-6 are left of some 50 mV, after
    # 40 ms nothing.
    v = results.si("clamped[0]/v")
    assert v[500] == pytest.approx(balance(-40e-3), abs=1e-8)
    v = results.si("clampedTriple[0]/v")
    assert v[200] == pytest.approx(balance(-70e-3), abs=1e-6)
    assert v[400] == pytest.approx(balance(-20e-3), abs=1e-6)
    assert v[600] == pytest.approx(balance(-60e-3), abs=1e-6)
    np.testing.assert_array_equal(results.si("clampedTriple[1]/v"), -65e-3)


# Forward Euler, which is simple enough to be done by hand.


def test_every_type_that_can_spikes() -> None:
    silent = {name for name, item in compiled("euler").spikes.items() if item.count == 0}
    assert silent == {"pulsed", "waved", "ramped", "compounded", "clamped", "clampedTriple"}
    never = network().populations.keys() - compiled("euler").spikes.keys()
    without_events = {"fitzHughNagumo", "fitzHughNagumo1969", "pinskyRinzel"}
    assert never == {*without_events, "replacing", "calculating"}


def test_populations_of_one_structure_become_one_neuron() -> None:
    groups = {frozenset(item.id for item in group.populations) for group in lowered("euler").groups}
    shared = {group for group in groups if len(group) > 1}
    assert shared == {
        frozenset({"iafTau", "iafTauSlow"}),
        frozenset({"named1", "named2"}),
        frozenset({"regular", "fast"}),
        # Cells of one structure share the slots of all their inputs, while these cost little.
        frozenset({"pulsedDL", "wavedDL", "rampedDL", "compoundedDL"}),
        frozenset(
            {"pulsed", "waved", "ramped", "compounded", "clamped", "clampedTriple"}
            | {"listed", "placed", "several"}
        ),
    }


# Cells of several compartments have tests of their own.
@pytest.mark.parametrize("name", sorted(PROBES.keys() - {"compartments"}))
def test_compiled_probe_does_what_the_interpreter_says(name: str) -> None:
    # Every type of NeuroML that is said to run is in one of them: see test_coverage.py.
    report = check(PROBES[name], ["equations"])
    report.raise_if_failed()
    assert any(item.verdict == "holds" for rung in report.rungs for item in rung.findings)


# Inputs against their definitions


def between(start_ms: float, duration_ms: float) -> np.ndarray:
    """Return in which rows an input is on. Source: NeuroML 2, pulseGenerator.

    A row holds what the step before it computed, with the time at its end; row 0 has no step.
    """
    is_on = (start_ms <= TIMES_MS) & (start_ms + duration_ms > TIMES_MS)
    is_on[0] = False
    return is_on


def pulse(start_ms: float, duration_ms: float, amplitude: float) -> np.ndarray:
    return np.where(between(start_ms, duration_ms), amplitude, 0.0)


def sine(start_ms: float, duration_ms: float, amplitude: float, phase: float, period_ms: float):
    angle = phase + 2 * np.pi * (TIMES_MS - start_ms) / period_ms
    return np.where(between(start_ms, duration_ms), amplitude * np.sin(angle), 0.0)


def ramp(start_ms: float, duration_ms: float, first: float, last: float, baseline: float):
    slope = first + (last - first) * (TIMES_MS - start_ms) / duration_ms
    return np.where(between(start_ms, duration_ms), slope, baseline)


PULSE = pulse(10.03, 40.01, 100e-12)
SINE = sine(5.03, 50.01, 80e-12, 0.5, 20.0)
RAMP = ramp(10.03, 30.01, -50e-12, 250e-12, 20e-12)
COMPOUND = (
    pulse(10.03, 20.01, 200e-12)
    + pulse(20.03, 20.01, -30e-12)
    + sine(0.03, 100.0, 40e-12, 0.0, 7.0)
    + ramp(30.03, 20.01, 0.0, 100e-12, 10e-12)
)
PULSE_DL = pulse(10.03, 40.01, 10.0)
SINE_DL = sine(5.03, 50.01, 12.0, 0.5, 20.0)
RAMP_DL = ramp(10.03, 30.01, -5.0, 25.0, 2.0)
COMPOUND_DL = (
    pulse(10.03, 20.01, 8.0) + sine(0.03, 100.0, 4.0, 0.0, 7.0) + ramp(30.03, 20.01, 0.0, 10.0, 1.0)
)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("pulsed[0]/iSyn", PULSE),
        ("waved[0]/iSyn", SINE),
        ("ramped[0]/iSyn", RAMP),
        ("compounded[0]/iSyn", COMPOUND),
        ("pulsedDL[0]/ISyn", PULSE_DL),
        ("wavedDL[0]/ISyn", SINE_DL),
        ("rampedDL[0]/ISyn", RAMP_DL),
        ("compoundedDL[0]/ISyn", COMPOUND_DL),
        ("listed[0]/iSyn", PULSE),
        ("listed[1]/iSyn", 2 * PULSE),
        ("listed[2]/iSyn", 3.5 * PULSE),
        ("listed[3]/iSyn", 0 * PULSE),
        ("listed[4]/iSyn", -PULSE),
        ("placed[0]/iSyn", 0 * PULSE),
        ("placed[1]/iSyn", 1.5 * PULSE),
        ("placed[2]/iSyn", 2 * PULSE),
    ],
)
def test_input_is_its_formula(quantity: str, expected: np.ndarray) -> None:
    # NeuroML writes pi as 3.14159265, wrong by 1e-9, in up to 14 periods.
    atol = 1e-7 * np.abs(expected).max()
    np.testing.assert_allclose(compiled("euler").si(quantity)[1:], expected[1:], rtol=0, atol=atol)


def test_inputs_on_one_cell_add_up() -> None:
    results = compiled("euler")
    before = np.roll(results.si("several[0]/v"), 1)
    clamp = np.where(between(10.03, 40.01), (-40e-3 - before) / 20e6, 0.0)
    expected = 2 * PULSE + SINE + RAMP + COMPOUND + clamp
    np.testing.assert_allclose(
        results.si("several[0]/iSyn")[1:], expected[1:], rtol=0, atol=1e-7 * expected.max()
    )


# Membranes of 10 nS and 100 pF at -65 mV


def test_membrane_charges_under_a_pulse() -> None:
    # v' = (E - v) / tau + I / C from the step that ends after 10.03 ms, number 101, to 500.
    final, factor = 100e-12 / 10e-9, 1 - DT_MS / 10.0
    steps = np.arange(401)
    charged = -65e-3 + final * (1 - factor**steps)
    v = compiled("euler").si("pulsed[0]/v")
    np.testing.assert_array_equal(v[:101], -65e-3)
    np.testing.assert_allclose(v[100:501], charged, rtol=1e-13)  # 400 roundings
    released = -65e-3 + (charged[-1] + 65e-3) * factor ** np.arange(101)
    np.testing.assert_allclose(v[500:], released, rtol=1e-13)


# Cells


def test_izhikevich_cell_rests_where_its_equation_does() -> None:
    # Izhikevich (2003): 0.04 v^2 + 5 v + 140 - u = 0 with u = 0.2 v has the root -70 mV.
    results = compiled("euler")
    np.testing.assert_allclose(results.si("regular[0]/v"), -70e-3, rtol=1e-12)
    np.testing.assert_allclose(results.si("regular[0]/U"), -14.0, rtol=1e-12)
    assert spike_steps(results, "regular", 0) == []
    assert len(spike_steps(results, "regular", 1)) >= 2


# ComponentTypes of our own


def test_functions_and_precedence_are_those_of_lems() -> None:
    results = compiled("euler")
    # What is derived belongs to the state before the step.
    x = -2.003 + np.arange(N_STEPS) * (DT_MS / 20.0)
    size, a, b, c = np.abs(x), 2.0, 3.0, 0.5
    expected = {
        "step": np.heaviside(x, 0.5),
        "steps": 3 * np.heaviside(x - 1, 0.5) - np.heaviside(-x, 0.5) + 0.5,
        "ceiling": np.ceil(x) + 0.0,
        "size": size,
        "multiplied": 6 + np.array([math.factorial(math.ceil(item)) for item in size]),
        "root": np.sqrt(size),
        "powers": (a**b) ** c,
        "fraction": size**0.3 + size**b + x**3 + x**-2.0,
        "negative": -(a**2),
        "inner": b * (-a) ** 2,
        "chain": ((a - b) - c) + ((a / b) / c) * 2,
        "circle": np.sin(x) + np.cos(2 * x) + np.tan(x / 4),
        "hyperbola": np.sinh(x) + np.cosh(x) + np.tanh(x) + np.exp(-x),
        "logarithm": np.log(size) + np.log(a),
    }
    exposed = {item.name for item in network().populations["calculating"].dynamics.derived}
    assert expected.keys() == exposed
    for name, values in expected.items():
        # x has rounded up to 600 times before it is near 0, where 1/x^2 and ln are steep.
        np.testing.assert_allclose(
            results.si(f"calculating[0]/{name}")[1:],
            np.broadcast_to(values, N_STEPS),
            rtol=1e-9,
            atol=1e-12,
            err_msg=name,
        )


def by_hand_switching() -> Iterator[dict[str, float]]:
    charge, fatigue, since, entered, is_resting = 0.2, 0.0, 0.0, 0.0, False
    for step in range(1, N_STEPS + 1):
        was_resting = is_resting
        slope = -charge / 7 if was_resting else (1.5 - fatigue / 2) / 7
        tired = -fatigue / 28 + (0.5 / 7 if was_resting else 0.0)
        charge, fatigue, since = charge + DT_MS * slope, fatigue + DT_MS * tired, since + DT_MS
        fatigue = min(fatigue, 2.2)
        if not was_resting and charge > 1:
            since, fatigue, entered, is_resting = 0.0, fatigue + 1, step * DT_MS, True
        if was_resting and step * DT_MS > entered + 5.03:
            is_resting = False
        yield {"charge": charge, "fatigue": fatigue, "since": since * 1e-3}


def by_hand_extending() -> Iterator[dict[str, float]]:
    x, y = 0.5, 0.0
    for _ in range(N_STEPS):
        x, y = x + DT_MS * (1.3 - x) / 10, y + DT_MS * (x - y) / 10
        x = x - 1 if x > 1 else x
        yield {"x": x, "y": y}


def by_hand_host() -> Iterator[dict[str, float]]:
    taus, targets = np.array([5.0, 20.0, 9.0, 3.0]), np.array([0.7, 0.4, 0.9, 0.6])
    scales = np.array([0.3, 1.3, 0.8, 0.5])
    x, q = 0.0, targets / 2
    for _ in range(N_STEPS):
        f = 0.5 + q * scales * (1 + x)
        total, multiplied, alone = q[:3].sum(), f[:3].prod(), f[3]
        q = q + DT_MS * (targets - q + 0.1 * x) / taus
        x = x + DT_MS * (total * multiplied + alone - x) / 9
        x = 0.1 * multiplied if x > 1.03 else x
        yield {"x": x, "total": total, "multiplied": multiplied, "single/q": q[3]}


def by_hand_shown() -> Iterator[dict[str, float]]:
    inside, number = 0.0, 0.0
    for _ in range(N_STEPS):
        last = 2 * (0.3 if inside > 0.51 else inside) + 0.5
        inside += DT_MS * last / 9
        if inside > 1.03:
            inside, number = inside - 1, number + 1
        yield {"inside": inside, "number": number, "last": last}


@pytest.mark.parametrize(
    "by_hand",
    [by_hand_switching, by_hand_extending, by_hand_host, by_hand_shown],
)
def test_own_type_does_what_its_xml_says(by_hand) -> None:
    population = by_hand.__name__.removeprefix("by_hand_")
    rows = list(by_hand())
    for name in rows[0]:
        expected = np.array([row[name] for row in rows])
        found = compiled("euler").si(f"{population}[0]/{name}")[1:]
        # 600 roundings, each state near 1 or less.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11, err_msg=name)


# Times on a step


@pytest.mark.parametrize("dt_ms", ["0.1", "0.025", "0.01", "0.3", "0.7"])
def test_time_on_a_step_belongs_to_the_step_that_ends_there(tmp_path: Path, dt_ms: str) -> None:
    # Products and sums of these steps come out above or below the decimal, as the case may be.
    step, count = Decimal(dt_ms), 60
    parts = [
        f'<pulseGenerator id="p{k}" delay="{k * step}ms" duration="{3 * step}ms" amplitude="1pA"/>'
        f'<iafRefCell id="r{k}" leakConductance="1nS" leakReversal="-50mV" thresh="-54mV"'
        f' reset="-70mV" C="{2 * step}pF" refract="{k * step}ms"/>'
        for k in range(1, count)
    ]
    cells = [f'<population id="r{k}" component="r{k}" size="1"/>' for k in range(1, count)]
    inputs = [f'<explicitInput target="m[{k}]" input="p{k}"/>' for k in range(1, count)]
    file = tmp_path / "timed.xml"
    file.write_text(
        '<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/><iafCell id="m"'
        ' leakConductance="1nS" leakReversal="-65mV" thresh="0mV" reset="0mV" C="1pF"/>'
        f'{"".join(parts)}<network id="net"><population id="m" component="m" size="{count}"/>'
        f"{''.join(cells)}{''.join(inputs)}</network></Lems>"
    )
    run = izhi_models.load(file).compile(dt=f"{dt_ms} ms", record=["m/iSyn"])
    results = run.simulate(f"{200 * step} ms")
    run.close()
    for k in range(1, count):
        on = np.flatnonzero(results.si(f"m[{k}]/iSyn"))
        np.testing.assert_array_equal(on, [k, k + 1, k + 2])
        # With a time constant of two steps the distance to rest halves in each, from 20 mV to
        # 10, 5 and 2.5 mV: 3 steps until it is less than 4 mV.
        spikes = np.rint(results.spikes[f"r{k}"].of(0) / (float(step) * 1e-3)).astype(int)
        assert set(np.diff(spikes)) == {3 + k}


# Random numbers


@functools.cache
def noisy(seed: int) -> Results:
    model = izhi_models.load(FOLDER / "random.xml")
    names = ("first", "second", "walk", "draw", "difference")
    run = model.compile(seed=seed, record=[f"noisy/{name}" for name in names])
    results = run.simulate()
    run.close()
    return results


def p_value(sample: np.ndarray, distribution: str, *arguments: float) -> float:
    return float(stats.kstest(sample, distribution, arguments).pvalue)


def test_random_numbers_have_their_distributions() -> None:
    # Fixed seed, so that the p-values are fixed too; 1 % is no rare value of a true one.
    results = noisy(1)
    start = {name: results.si(f"noisy/{name}")[0] for name in ("first", "second")}
    assert p_value(start["first"], "uniform", 1, 2) > 0.01
    assert p_value(start["second"], "uniform", 0, 1) > 0.01
    draws = results.si("noisy/draw")[1::20].ravel()
    assert p_value(draws, "uniform", 0, 3) > 0.01
    # A sum of 2000 numbers from -1 to 1, of the variance 1/3 each, times dt / tau.
    walk = results.si("noisy/walk")[-1]
    assert p_value(walk, "norm", 0, 0.1 * math.sqrt(2000 / 3)) > 0.01
    # Events of a Poisson process: intervals of 20 ms on average, their number within 4 standard
    # deviations. Steps of 0.1 ms shift the distribution by 0.5 %, far less than 500 cells show.
    trains = results.spikes["noisy"]
    assert abs(trains.count - 5000) < 4 * math.sqrt(5000)
    first = np.array([trains.of(cell)[0] for cell in range(500) if trains.of(cell).size])
    assert p_value(first, "expon", 0, 0.02) > 0.01


def test_random_numbers_of_one_expression_or_of_two_differ() -> None:
    results = noisy(1)
    # Of two equal draws the difference would be 0; of two others it has a triangular density.
    difference = results.si("noisy/difference")[1::20].ravel()
    assert p_value(difference, "triang", 0.5, -1, 2) > 0.01
    start = [results.si(f"noisy/{name}")[0] for name in ("first", "second")]
    assert abs(np.corrcoef(*start)[0, 1]) < 4 / math.sqrt(500)  # 4 standard deviations
    draws = results.si("noisy/draw")[1:]
    assert np.unique(draws).size > 0.99 * draws.size
    centred = draws - 1.5
    # From step to step and from cell to cell; the mean of a million products of variance 9/16.
    for products in (centred[:-1] * centred[1:], centred[:, :-1] * centred[:, 1:]):
        assert abs(products.mean()) < 4 * 0.75 / math.sqrt(products.size)


def test_seed_decides_the_random_numbers() -> None:
    model = izhi_models.load(FOLDER / "random.xml")
    run = model.compile(seed=1, record=["noisy/draw", "noisy/first"])

    def numbers(seed: int) -> list[list[float]]:
        run.reset(seed)
        results = run.simulate("5 ms")
        return [results.si("noisy/draw").tolist(), results.si("noisy/first").tolist()]

    one, two, again = numbers(1), numbers(2), numbers(1)
    run.close()
    assert one == again
    assert one[0] != two[0]
    assert one[1] != two[1]
