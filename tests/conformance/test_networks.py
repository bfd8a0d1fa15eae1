"""Connections through synapses, against closed formulas and the reference interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.results import Results
from tests.conformance.reference import extract_examples, run_jneuroml

MS = 1e-3
SYNAPSES = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<expOneSynapse id="one" gbase="2nS" erev="0mV" tauDecay="5ms"/>
<expTwoSynapse id="two" gbase="2nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<alphaSynapse id="alpha" gbase="2nS" erev="0mV" tau="3ms"/>
<spikeArray id="early"><spike id="0" time="10ms"/><spike id="1" time="12ms"/></spikeArray>
<spikeArray id="late"><spike id="0" time="20ms"/></spikeArray>
<iafCell id="cell" leakReversal="-60mV" thresh="50mV" reset="-70mV" C="200pF"
         leakConductance="10nS"/>
<network id="net">
  <population id="S" component="early" size="1"/><population id="L" component="late" size="1"/>
  <population id="P" component="cell" size="6"/>
  <projection id="a" presynapticPopulation="S" postsynapticPopulation="P" synapse="one">
    <connectionWD id="0" preCellId="../S[0]" postCellId="../P[0]" weight="1.5" delay="2.5ms"/>
    <connectionWD id="1" preCellId="../S[0]" postCellId="../P[3]" weight="0.5" delay="0ms"/>
    <connectionWD id="2" preCellId="../S[0]" postCellId="../P[3]" weight="0.25" delay="7ms"/>
  </projection>
  <projection id="b" presynapticPopulation="S" postsynapticPopulation="P" synapse="two">
    <connection id="0" preCellId="../S[0]" postCellId="../P[1]"/>
  </projection>
  <projection id="c" presynapticPopulation="S" postsynapticPopulation="P" synapse="alpha">
    <connectionWD id="0" preCellId="../S[0]" postCellId="../P[2]" weight="2" delay="1ms"/>
  </projection>
  <projection id="d" presynapticPopulation="L" postsynapticPopulation="P" synapse="one">
    <connectionWD id="0" preCellId="../L[0]" postCellId="../P[3]" weight="3" delay="1ms"/>
    <connectionWD id="1" preCellId="../L[0]" postCellId="../P[4]" weight="1" delay="1ms"/>
  </projection>
</network>
<Simulation id="sim" length="50ms" step="0.01ms" target="net">
  <OutputFile id="o" fileName="g.dat">
    <OutputColumn id="g0" quantity="P[0]/synapses:one:0/g"/>
    <OutputColumn id="g1" quantity="P[1]/two/g"/><OutputColumn id="g2" quantity="P[2]/alpha/g"/>
    <OutputColumn id="v3" quantity="P[3]/v"/><OutputColumn id="g4" quantity="P[4]/one/g"/>
    <OutputColumn id="v5" quantity="P[5]/v"/>
  </OutputFile>
</Simulation></Lems>"""


@pytest.fixture(scope="module")
def synapses(tmp_path_factory: pytest.TempPathFactory) -> Results:
    path = tmp_path_factory.mktemp("synapses") / "synapses.xml"
    path.write_text(SYNAPSES)
    return izhi_models.load(path).compile().simulate()


def summed(times: np.ndarray, arrivals: tuple[float, ...], shape: object) -> np.ndarray:
    total = np.zeros_like(times)
    for arrival in arrivals:
        since = times - arrival * MS
        total += np.where(since >= 0, shape(np.maximum(since, 0)), 0.0)
    return total


def two(since: np.ndarray) -> np.ndarray:
    rise, decay = 1 * MS, 5 * MS
    peak = np.log(decay / rise) * rise * decay / (decay - rise)
    factor = 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))
    return factor * (np.exp(-since / decay) - np.exp(-since / rise))


@pytest.mark.parametrize(
    ("quantity", "arrivals", "shape"),
    [
        ("P[0]/synapses:one:0/g", (12.5, 14.5), lambda t: 1.5 * np.exp(-t / (5 * MS))),
        ("P[1]/two/g", (10, 12), two),
        ("P[2]/alpha/g", (11, 13), lambda t: 2 * t / (3 * MS) * np.exp(1 - t / (3 * MS))),
        ("P[4]/one/g", (21,), lambda t: np.exp(-t / (5 * MS))),
    ],
)
def test_a_conductance_has_its_closed_form(
    synapses: Results, quantity: str, arrivals: tuple[float, ...], shape: object
) -> None:
    times = synapses.trace(quantity).times
    found = synapses.si(quantity)
    expected = 2e-9 * summed(times, arrivals, shape)
    # A jump may show one step late; elsewhere forward Euler errs by half a step over the time
    # constant: 0.01 / 1 ms / 2, of the peak.
    smooth = np.ones(times.size, dtype=bool)
    for arrival in arrivals:
        smooth &= np.abs(times - arrival * MS) > 0.011 * MS
    np.testing.assert_allclose(found[smooth], expected[smooth], rtol=0, atol=0.012 * expected.max())


def test_connections_through_one_synapse_add_up(synapses: Results) -> None:
    """P[3] gets three connections through one component; its v obeys the sum."""
    dt, times = 0.01 * MS, synapses.trace("P[3]/v").times
    g = 2e-9 * summed(times, (10, 12), lambda t: 0.5 * np.exp(-t / (5 * MS)))
    g += 2e-9 * summed(times, (17, 19), lambda t: 0.25 * np.exp(-t / (5 * MS)))
    g += 2e-9 * summed(times, (21,), lambda t: 3.0 * np.exp(-t / (5 * MS)))
    v = np.full(times.size, -60e-3)
    for n in range(1, times.size):
        current = 10e-9 * (-60e-3 - v[n - 1]) + g[n - 1] * (0.0 - v[n - 1])
        v[n] = v[n - 1] + dt * current / 200e-12
    assert v.max() > -55e-3
    # Conductances here are exact, there by forward Euler: 0.1 % of a deflection of 20 mV.
    np.testing.assert_allclose(synapses.si("P[3]/v"), v, rtol=0, atol=0.03 * MS)


def test_a_cell_without_connections_rests(synapses: Results) -> None:
    np.testing.assert_array_equal(synapses.si("P[5]/v"), -60e-3)


@pytest.mark.parametrize(
    ("name", "atol_mv"),
    [
        # Zero delays: the reference lets an event act in the step in which it is sent or in the
        # next, by the order of populations. One step of 0.005 ms or 0.001 ms of these responses.
        ("LEMS_NML2_Ex12_Net2.xml", 0.02),
        ("LEMS_NML2_Ex27_MultiSynapses.xml", 0.001),
    ],
)
def test_examples_with_networks_equal_the_reference(
    tmp_path: Path, name: str, atol_mv: float
) -> None:
    path = extract_examples(tmp_path) / name
    reference = run_jneuroml(path)
    voltages = [quantity for quantity in reference.traces if quantity.endswith("/v")]
    results = izhi_models.load(path).compile(record=voltages).simulate()
    assert len(voltages) >= 4
    for quantity in voltages:
        expected = reference.traces[quantity]
        np.testing.assert_allclose(
            results.si(quantity), expected, rtol=0, atol=atol_mv * MS, err_msg=quantity
        )
    for cell, expected in reference.spikes.items():
        population, index = results.cell(cell)
        found = results.spikes[population].of(index)
        # The same step, or the next where the reference adds up the time.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1.01 * results.dt_s)
