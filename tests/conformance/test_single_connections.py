"""Synapses that each connection has for itself, against closed formulas and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

import izhi_models
import izhi_models.errors
from izhi_models.results import Results

MS, MV, NS, PF = 1e-3, 1e-3, 1e-9, 1e-12
MODEL = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<blockingPlasticSynapse id="stp" gbase="2nS" erev="0mV" tauRise="1ms" tauDecay="5ms">
  <plasticityMechanism type="tsodyksMarkramDepFacMechanism" initReleaseProb="0.3"
                       tauRec="80ms" tauFac="60ms"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="dep" gbase="2nS" erev="0mV" tauRise="1ms" tauDecay="5ms">
  <plasticityMechanism type="tsodyksMarkramDepMechanism" initReleaseProb="0.3" tauRec="80ms"/>
</blockingPlasticSynapse>
<linearGradedSynapse id="linear" conductance="5nS"/>
<gapJunction id="gap" conductance="4nS"/>
<gradedSynapse id="graded" conductance="5nS" delta="5mV" Vth="-35mV" k="0.025per_ms"
               erev="-10mV"/>
<silentSynapse id="silent"/>
<spikeGenerator id="train" period="20ms"/>
<iafCell id="cell" leakReversal="-60mV" thresh="50mV" reset="-70mV" C="200pF"
         leakConductance="10nS"/>
<iafCell id="high" leakReversal="-33mV" thresh="50mV" reset="-70mV" C="200pF"
         leakConductance="10nS"/>
<pulseGenerator id="pulse" delay="0ms" duration="1000ms" amplitude="100pA"/>
<network id="net">
  <population id="S" component="train" size="1"/>
  <population id="P" component="cell" size="3"/>
  <population id="G" component="cell" size="4"/>
  <population id="H" component="high" size="1"/>
  <projection id="a" presynapticPopulation="S" postsynapticPopulation="P" synapse="stp">
    <connectionWD id="0" preCellId="../S[0]" postCellId="../P[0]" weight="1" delay="1ms"/>
    <connectionWD id="1" preCellId="../S[0]" postCellId="../P[1]" weight="2" delay="1ms"/>
  </projection>
  <projection id="b" presynapticPopulation="S" postsynapticPopulation="P" synapse="dep">
    <connectionWD id="0" preCellId="../S[0]" postCellId="../P[2]" weight="1" delay="1ms"/>
  </projection>
  <electricalProjection id="e" presynapticPopulation="G" postsynapticPopulation="G">
    <electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>
  </electricalProjection>
  <continuousProjection id="c" presynapticPopulation="H" postsynapticPopulation="G">
    <continuousConnection id="0" preCell="0" postCell="2" preComponent="silent"
                          postComponent="graded"/>
    <continuousConnection id="1" preCell="0" postCell="3" preComponent="silent"
                          postComponent="linear"/>
  </continuousProjection>
  <explicitInput target="G[0]" input="pulse" destination="synapses"/>
</network>
<Simulation id="sim" length="400ms" step="0.02ms" target="net">
  <OutputFile id="o" fileName="v.dat">
    <OutputColumn id="p0" quantity="P[0]/v"/><OutputColumn id="p1" quantity="P[1]/v"/>
    <OutputColumn id="p2" quantity="P[2]/v"/><OutputColumn id="g3" quantity="G[3]/v"/>
    <OutputColumn id="g0" quantity="G[0]/v"/><OutputColumn id="g1" quantity="G[1]/v"/>
    <OutputColumn id="g2" quantity="G[2]/v"/><OutputColumn id="h" quantity="H[0]/v"/>
  </OutputFile>
</Simulation></Lems>"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    path = tmp_path_factory.mktemp("single") / "single.xml"
    path.write_text(MODEL)
    return izhi_models.load(path).compile().simulate()


def tsodyks_markram(weight: float, dt: float, n_steps: int, *, facilitates: bool) -> np.ndarray:
    """Forward Euler of the equations of tsodyksMarkramDepFacMechanism, for one connection.

    Without facilitation u stays where it starts: tsodyksMarkramDepMechanism.
    """
    rise, decay = 1 * MS, 5 * MS
    peak = np.log(decay / rise) * rise * decay / (decay - rise)
    factor = 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))
    arrivals = {round((20 * k + 1) * MS / dt) for k in range(1, 30)}
    a = b = 0.0
    r, u, v = 1.0, 0.3, -60 * MV
    trace = [v]
    for step in range(1, n_steps + 1):
        # What arrives at t acts in the step that starts then.
        if step - 1 in arrivals:
            a += weight * r * u * factor
            b += weight * r * u * factor
            r, u = r * (1 - u), u + 0.3 * (1 - u) * facilitates
        current = 10 * NS * (-60 * MV - v) + 2 * NS * (b - a) * (0 - v)
        v += dt * current / (200 * PF)
        a, b = a - dt * a / rise, b - dt * b / decay
        r, u = r + dt * (1 - r) / (80 * MS), u + dt * (0.3 - u) / (60 * MS)
        trace.append(v)
    return np.array(trace)


@pytest.mark.parametrize(
    ("cell", "weight", "facilitates"), [(0, 1.0, True), (1, 2.0, True), (2, 1.0, False)]
)
def test_short_term_plasticity_follows_its_equations(
    results: Results, cell: int, weight: float, facilitates: bool
) -> None:
    found = results.si(f"P[{cell}]/v")
    expected = tsodyks_markram(weight, results.dt_s, found.size - 1, facilitates=facilitates)
    deflection = expected.max() + 60 * MV
    assert deflection > 0.2 * MV
    # A step of 0.02 ms sooner or later is 2 % of the rise of a potential.
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.03 * deflection)


def test_a_gap_junction_divides_the_current(results: Results) -> None:
    """At rest: the current flows through one leak, and through the junction and the other."""
    leak, gap, current = 10 * NS, 4 * NS, 100e-12
    series = leak * gap / (leak + gap)
    first = current / (leak + series)
    second = first * gap / (leak + gap)
    # 400 ms are 20 time constants.
    assert results.si("G[0]/v")[-1] == pytest.approx(-60 * MV + first, abs=1e-6 * MV)
    assert results.si("G[1]/v")[-1] == pytest.approx(-60 * MV + second, abs=1e-6 * MV)


def test_a_graded_synapse_settles_where_its_currents_balance(results: Results) -> None:
    activation = 1 / (1 + np.exp((-35.0 - -33.0) / 5.0))
    synapse, leak = 5 * NS * activation, 10 * NS
    expected = (leak * -60 * MV + synapse * -10 * MV) / (leak + synapse)
    # tau = (1 - inf)/k is 16 ms; 400 ms are 25 of them.
    assert results.si("G[2]/v")[-1] == pytest.approx(expected, abs=1e-5 * MV)
    assert results.si("H[0]/v")[-1] == pytest.approx(-33 * MV, abs=1e-9 * MV)


def test_a_linear_graded_synapse_divides_between_the_cells(results: Results) -> None:
    synapse, leak = 5 * NS, 10 * NS
    expected = (leak * -60 * MV + synapse * -33 * MV) / (leak + synapse)
    assert results.si("G[3]/v")[-1] == pytest.approx(expected, abs=1e-6 * MV)
