"""Events inside a component, seen through the interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from izhi_models.ir.evaluate import Interpreter
from izhi_models.lems.components import read_model
from izhi_models.lems.simulation import lower_experiment
from izhi_models.network import Population

MS = 1e-3

HEAD = """<Lems>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<expTwoSynapse id="syn" gbase="2nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<iafCell id="iaf" leakReversal="-60mV" thresh="0mV" reset="-70mV" C="200pF"
         leakConductance="10nS"/>
"""


def population(tmp_path: Path, text: str, name: str) -> Population:
    path = tmp_path / "model.xml"
    path.write_text(HEAD + text + "</Lems>")
    return lower_experiment(read_model(path)).network.populations[name]


def interpreter(item: Population, dt: float) -> Interpreter:
    return Interpreter(item.dynamics, item.values, item.size, dt)


def test_spike_array__sends_at_the_times_of_its_spikes(tmp_path: Path) -> None:
    text = """<spikeArray id="array"><spike id="0" time="10ms"/><spike id="1" time="25.55ms"/>
    <spike id="2" time="33ms"/></spikeArray>
    <network id="net"><population id="A" component="array" size="1"/></network>"""
    run = interpreter(population(tmp_path, text, "A"), 0.05 * MS).run(1000)
    steps = [step for step, _ in run.events["spike"]]
    # A spike at 25.55 ms falls into the step that ends then: 25.55 / 0.05 = 511.
    assert steps == [200, 511, 660]


def test_timed_synaptic_input__is_a_double_exponential_after_each_spike(tmp_path: Path) -> None:
    text = """<timedSynapticInput id="timed" synapse="syn" spikeTarget="./syn">
    <spike id="0" time="12ms"/><spike id="1" time="20ms"/></timedSynapticInput>
    <network id="net"><population id="I" component="iaf" size="1"/>
    <explicitInput target="I[0]" input="timed" destination="synapses"/></network>"""
    dt = 0.001 * MS
    name = "synapses[0]/synapse/g"
    trace = interpreter(population(tmp_path, text, "I"), dt).run(40000, [name]).traces[name][:, 0]
    times = np.arange(trace.size) * dt
    rise, decay = 1 * MS, 5 * MS
    peak = np.log(decay / rise) * rise * decay / (decay - rise)
    factor = 1 / (np.exp(-peak / decay) - np.exp(-peak / rise))
    expected = np.zeros_like(times)
    for spike in (12 * MS, 20 * MS):
        since = np.maximum(times - spike, 0.0)
        expected += 2e-9 * factor * (np.exp(-since / decay) - np.exp(-since / rise))
    # Forward Euler at a thousandth of the rise time: an error of that order of the peak.
    np.testing.assert_allclose(trace, expected, rtol=0, atol=2e-3 * expected.max())


def test_poisson_firing_synapse__drives_the_cell_it_sits_on(tmp_path: Path) -> None:
    text = """<poissonFiringSynapse id="poisson" averageRate="200 Hz" synapse="syn"
    spikeTarget="./syn"/><network id="net"><population id="I" component="iaf" size="40"/>
    <inputList id="list" population="I" component="poisson">"""
    text += "".join(
        f'<input id="{n}" target="../I[{n}]" destination="synapses"/>' for n in range(40)
    )
    item = population(tmp_path, text + "</inputList></network>", "I")
    run = interpreter(item, 0.1 * MS).run(5000)
    count = len(run.events["synapses[0]/spike"])
    # 40 cells, 0.5 s, 200 Hz: 4000 events; five standard deviations of a Poisson count.
    assert abs(count - 4000) < 5 * np.sqrt(4000)
