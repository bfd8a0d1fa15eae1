"""Exported scripts, run by NEST, against runs of this package.

NEST's map of Izhikevich (2003) is forward Euler, as here: each spike is in the same step. Its
other cells are integrated exactly, or by a Runge-Kutta method with error control, so they are
compared with runs by the classical Runge-Kutta method, whose error is of fourth order.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.results import Results
from tests.compiled.test_brian2 import trains
from tests.conformance.reference import LEMS, extract_examples

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nest") is None, reason="NEST is not installed"
)

# Runs scripts one after the other, each in a process of its own that has NEST already.
RUNNER = """
import os, runpy, sys
import nest
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        sys.argv = [path]
        try:
            runpy.run_path(path, run_name="__main__")
        finally:
            sys.stdout.flush()
            os._exit(sys.exc_info()[0] is not None)
    os.waitpid(child, 0)
"""

# Name, duration, step, and the populations that send spikes in it. The step is the file's if empty.
EULER = {
    "izhikevich2003": ("60 ms", "", "RS IB CH FS LTS"),
    "izhikevich2007_RS": ("200 ms", "", "RS"),
    "Ex2_Izh": ("70 ms", "0.02 ms", "izpopBurst izpopTonic izpopMixed"),
    "pulses": ("300 ms", "", "E I"),
}
# And by how many steps spikes may differ: one, where a current begins, since Runge-Kutta takes it
# inside the step.
RUNGE_KUTTA = {
    "Ex0_IaF": ("100 ms", "0.02 ms", "iafTauPop iafTauRefPop iafRefPop iafPop", 0),
    "Ex13_Instances": ("200 ms", "0.05 ms", "iafCells", 1),
    "Ex14_PyNN": (
        "200 ms",
        "",
        "pop_IF_curr_alpha pop_IF_curr_exp pop_IF_cond_alpha pop_IF_cond_exp "
        "pop_EIF_cond_exp_isfa_ista",
        0,
    ),
    "Ex21_CurrentBasedSynapses": ("130 ms", "0.01 ms", "spksPop", 0),
    "vogels2005": ("150 ms", "", "IF", 1),
    "receptors": ("60 ms", "", "S K strong many three double adexBeta", 0),
    "network": ("60 ms", "", "E I S", 0),
}
# Cells whose upstroke is too steep for a Runge-Kutta method that does not shorten its step there:
# Euler with a tenth of the step.
STEEP = {
    "naud2008_adaptation": ("200 ms", "", "AdEx"),
    "Ex8_AdEx": ("60 ms", "", "adExPop1 adExPop2 adExPop4"),
}
# Currents, by forward Euler in the steps of the file.
DRIVEN = {"currents": ("60 ms", "", "")}
RANDOM = {"Ex14_PyNN": ("pop_spikes1", "pop_spikes2")}
CASES = {**EULER, **RUNGE_KUTTA, **STEEP, **DRIVEN}
MODELS = Path(__file__).parents[2] / "models" / "networks"

HEAD = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/><Include file="Synapses.xml"/><Include file="PyNN.xml"/>
<iafRefCell id="leaky" leakReversal="-65mV" thresh="-50mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS" refract="2ms"/>
<iafRefCell id="tonic" leakReversal="-48mV" thresh="-50mV" reset="-60mV" C="0.2nF"
  leakConductance="0.01uS" refract="5ms"/>
<adExIaFCell id="adex" C="200pF" gL="12nS" EL="-70mV" reset="-58mV" VT="-50mV" thresh="-30mV"
  delT="2mV" tauw="300ms" refract="0ms" a="2nS" b="60pA"/>
<IF_curr_exp id="pynn" cm="0.2" i_offset="0.02" tau_m="20.0" tau_refrac="2.0" tau_syn_E="5.0"
  tau_syn_I="5.0" v_init="-65" v_reset="-70.0" v_rest="-65.0" v_thresh="-50.0"/>
<HH_cond_exp id="hh" cm="0.2" e_rev_E="0.0" e_rev_I="-80.0" e_rev_K="-90.0" e_rev_Na="50.0"
  e_rev_leak="-65.0" g_leak="0.01" gbar_K="6.0" gbar_Na="20.0" i_offset="0.0" tau_syn_E="0.2"
  tau_syn_I="2.0" v_init="-65" v_offset="-63.0"/>
<spikeArray id="train"><spike id="0" time="5ms"/><spike id="1" time="12ms"/>
  <spike id="2" time="14ms"/><spike id="3" time="40ms"/><spike id="4" time="43ms"/></spikeArray>
<spikeGenerator id="clock" period="7ms"/>
<expOneSynapse id="e1" gbase="6nS" erev="0mV" tauDecay="5ms"/>
<expOneSynapse id="s1" gbase="30nS" erev="10mV" tauDecay="4ms"/>
<stdpSynapse id="u1" gbase="4nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<expOneSynapse id="e2" gbase="8nS" erev="-80mV" tauDecay="9ms"/>
<expOneSynapse id="e3" gbase="3nS" erev="-20mV" tauDecay="2ms"/>
<alphaSynapse id="a1" gbase="4nS" erev="0mV" tau="3ms"/>
<alphaSynapse id="a2" gbase="6nS" erev="-80mV" tau="6ms"/>
<expTwoSynapse id="b1" gbase="4nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<expTwoSynapse id="b2" gbase="4nS" erev="-80mV" tauRise="2ms" tauDecay="8ms"/>
<expTwoSynapse id="b3" gbase="2nS" erev="-20mV" tauRise="0.5ms" tauDecay="20ms"/>
<expThreeSynapse id="b4" gbase1="2nS" gbase2="1nS" erev="0mV" tauRise="1ms" tauDecay1="4ms"
  tauDecay2="15ms"/>
<doubleSynapse id="b5" synapse1="b1" synapse1Path="b1" synapse2="b3" synapse2Path="b3"/>
<alphaCurrentSynapse id="c1" ibase="50pA" tau="2ms"/>
<alphaCurrentSynapse id="c2" ibase="-30pA" tau="5ms"/>
<expCurrSynapse id="p1" tau_syn="3"/><expCurrSynapse id="p2" tau_syn="8"/>
<expCondSynapse id="p3" tau_syn="4" e_rev="0"/>
<blockingPlasticSynapse id="dep" gbase="4nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <tsodyksMarkramDepMechanism id="m" initReleaseProb="0.5" tauRec="50ms"/></blockingPlasticSynapse>
<blockingPlasticSynapse id="fac" gbase="4nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <tsodyksMarkramDepFacMechanism id="m" initReleaseProb="0.2" tauFac="100ms" tauRec="30ms"/>
</blockingPlasticSynapse>
<timedSynapticInput id="timed" synapse="e1" spikeTarget="./e1"><spike id="0" time="8ms"/>
  <spike id="1" time="20ms"/></timedSynapticInput>
<sineGenerator id="sine" delay="10ms" phase="0" duration="30ms" amplitude="0.05nA" period="10ms"/>
<rampGenerator id="ramp" delay="0ms" duration="40ms" startAmplitude="0.02nA"
  finishAmplitude="0.1nA" baselineAmplitude="0.01nA"/>
<pulseGenerator id="early" delay="0ms" duration="15ms" amplitude="0.1nA"/>
<sineGenerator id="second" delay="0.01ms" phase="1" duration="30ms" amplitude="1nA"
  period="0.04ms"/>
<compoundInput id="both"><pulseGenerator id="pa" delay="5ms" duration="10ms" amplitude="0.05nA"/>
  <pulseGenerator id="pb" delay="8ms" duration="20ms" amplitude="0.03nA"/></compoundInput>
<network id="net">%s</network>
<Simulation id="sim" length="60ms" step="%s" target="net"><OutputFile id="o" fileName="v.dat">
%s</OutputFile></Simulation></Lems>"""

# One cell for each set of receptors that a model of NEST has: its type, and its synapses.
RECEPTORS = {
    "exp": ("leaky", "e1 e2"),
    "exps": ("leaky", "e1 e2 e3"),
    "alpha": ("leaky", "a1 a2"),
    "beta": ("leaky", "b1 b2"),
    "mixed": ("leaky", "a1 b2"),
    "strong": ("leaky", "e1 e3 e2 s1"),
    "unweighted": ("leaky", "u1"),
    "many": ("leaky", "b1 b2 b3 a1"),
    "three": ("leaky", "b4"),
    "double": ("leaky", "b5"),
    "current": ("leaky", "c2"),
    "currents": ("leaky", "c1 c2"),
    "pynnCurrents": ("pynn", "p1 p2"),
    "pynnConductance": ("pynn", "p3"),
    "depressing": ("leaky", "dep"),
    "facilitating": ("leaky", "fac"),
    "adexExp": ("adex", "e1 e2"),
    "adexBeta": ("adex", "b1 b2 a1"),
    "adexAlpha": ("adex", "a1"),
    "adexCurrent": ("adex", "c1"),
    "channels": ("hh", "e1 e2"),
    "timed": ("leaky", ""),
}
INPUTS = ("sine", "ramp", "early", "second", "both")
WEIGHTS = {"p1": 0.1, "p2": -0.05, "p3": 0.005}
# Where plasticity is integrated step by step here and is exact there, or error control is loose:
# NEST's adaptive exponential cells allow 1e-6, and an action potential is steep. [V]
LOOSE = {"depressing": 5e-6, "facilitating": 5e-6, "adexBeta": 1e-6, "adexAlpha": 1e-6,
         "channels": 1e-5}  # fmt: skip


def receptors() -> str:
    lines = ['<population id="S" component="train" size="1"/>']
    lines.append('<population id="K" component="clock" size="1"/>')
    for name, (cell, synapses) in RECEPTORS.items():
        lines.append(f'<population id="{name}" component="{cell}" size="1"/>')
        for number, synapse in enumerate(synapses.split()):
            pre = "SK"[number % 2]
            lines.append(
                f'<projection id="{name}_{synapse}" presynapticPopulation="{pre}" '
                f'postsynapticPopulation="{name}" synapse="{synapse}">'
                f'<connectionWD id="0" preCellId="../{pre}[0]" postCellId="../{name}[0]" '
                f'weight="{WEIGHTS.get(synapse, 1.5)}" delay="{1.3 + number}ms"/></projection>'
            )
    lines.append('<explicitInput target="timed[0]" input="timed"/>')
    columns = "".join(f'<OutputColumn id="{n}" quantity="{n}[0]/v"/>' for n in RECEPTORS)
    return HEAD % ("\n".join(sorted(lines, key=_order)), "0.01ms", columns)


def _order(line: str) -> int:
    return ("<popu", "<expl", "<proj").index(line[:5])


def currents() -> str:
    """Return a network of cells that currents drive, one of them by half as much."""
    cells = "".join(f'<population id="{n}" component="leaky" size="2"/>' for n in INPUTS)
    inputs = "".join(
        f'<inputList id="{n}_list" component="{n}" population="{n}">'
        f'<inputW id="0" target="../{n}[0]" destination="synapses" weight="1"/>'
        f'<inputW id="1" target="../{n}[1]" destination="synapses" weight="0.5"/></inputList>'
        for n in INPUTS
    )
    columns = "".join(
        f'<OutputColumn id="{n}{k}" quantity="{n}[{k}]/v"/>' for n in INPUTS for k in (0, 1)
    )
    return HEAD % (cells + inputs, "0.01ms", columns)


def network() -> str:
    """Return connections and inputs; a fixed arithmetic, in which no two cells are alike."""
    lines = [
        f'<population id="{name}" component="{cell}" size="{size}"/>'
        for name, cell, size in (("E", "tonic", 40), ("I", "leaky", 10), ("S", "clock", 2))
    ]
    sizes = {"E": 40, "I": 10, "S": 2}
    for name, (pre, post, synapse) in {
        "EE": ("E", "E", "e1"),
        "EI": ("E", "I", "e1"),
        "IE": ("I", "E", "e2"),
        "II": ("I", "I", "e2"),
        "SE": ("S", "E", "e1"),
    }.items():
        lines.append(
            f'<projection id="{name}" presynapticPopulation="{pre}" '
            f'postsynapticPopulation="{post}" synapse="{synapse}">'
        )
        for number in range(3 * sizes[post]):
            cell = (number * 7 + number // 5) % sizes[pre]
            weight, delay = 0.4 + 0.1 * (number % 9), 0.3 * (1 + number % 7)
            lines.append(
                f'<connectionWD id="{number}" preCellId="../{pre}[{cell}]" '
                f'postCellId="../{post}[{number % sizes[post]}]" weight="{weight}" '
                f'delay="{delay}ms"/>'
            )
        lines.append("</projection>")
    columns = '<OutputColumn id="a" quantity="E[3]/v"/><OutputColumn id="b" quantity="I[1]/v"/>'
    return HEAD % ("\n".join(lines), "0.01ms", columns)


# Pulse-coupled cells that differ by a random number each, with the steps of the listing in
# Izhikevich (2003); a current in place of the noise, so that nothing is random after the start.
PULSES = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/><Include file="{models}/connection_rules.types.xml"/>
<Include file="{models}/izhikevich2003_network.types.xml"/>
<heterogeneousIzhikevichCell id="excitatory" a0="0.02" ar="0" b0="0.2" br="0" c0="-65" cr="15"
  d0="8" dr="-6" v0="-65mV" thresh="30mV" noise="0"/>
<heterogeneousIzhikevichCell id="inhibitory" a0="0.02" ar="0.08" b0="0.25" br="-0.05" c0="-65"
  cr="0" d0="2" dr="0" v0="-65mV" thresh="30mV" noise="0"/>
<pulseSynapse id="pulse" tau="1ms"/>
<pulseGeneratorDL id="drive" delay="20ms" duration="1s" amplitude="8"/>
<network id="net"><population id="E" component="excitatory" size="40"/>
<population id="I" component="inhibitory" size="10"/>
{targets}
<allToAll id="EE" presynapticPopulation="E" postsynapticPopulation="E" synapse="pulse"
  weightMin="0" weightMax="2" delay="1ms"/>
<allToAll id="EI" presynapticPopulation="E" postsynapticPopulation="I" synapse="pulse"
  weightMin="0" weightMax="3" delay="3ms"/>
<allToAll id="IE" presynapticPopulation="I" postsynapticPopulation="E" synapse="pulse"
  weightMin="-3" weightMax="0" delay="2ms"/></network>
<Simulation id="sim" length="300ms" step="1ms" target="net"/></Lems>"""


def pulses() -> str:
    targets = "".join(f'<explicitInput target="E[{k}]" input="drive"/>' for k in range(0, 40, 2))
    return PULSES.format(models=MODELS, targets=targets)


MADE = {"receptors": receptors, "currents": currents, "network": network, "pulses": pulses}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the exported scripts of all cases, which have been run."""
    folder = tmp_path_factory.mktemp("nest")
    extract_examples(folder)
    for name, make in MADE.items():
        (folder / f"{name}.xml").write_text(make())
    (folder / "random.xml").write_text(SOURCES)
    paths = {}
    for name in (*CASES, "pulse_coupled", "random"):
        duration, dt, *_ = CASES.get(name, ("1000 ms", ""))
        paths[name] = folder / "out" / f"{name}.py"
        izhi_models.export(
            source(folder, name), "nest", paths[name], duration=duration, dt=dt or None
        )
    run(list(paths.values()), folder)
    return paths


def source(folder: Path, name: str) -> Path | str:
    if name.startswith("Ex"):
        return folder / LEMS / f"LEMS_NML2_{name}.xml"
    return folder / f"{name}.xml" if name in (*MADE, "random") else name


def run(paths: list[Path], folder: Path) -> None:
    # Nothing of this package is within reach of the scripts.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUNNER, *map(str, paths)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "log").write_text(done.stdout + done.stderr)


def results_of(path: Path) -> dict[str, np.ndarray]:
    file = path.with_name(f"{path.stem}_results.npz")
    assert file.exists(), (path.parent.parent / "log").read_text()[-3000:]
    with np.load(file) as found:
        return dict(found)


@functools.cache
def own_results(
    folder: Path, name: str, method: str = "auto", finer: int = 1
) -> tuple[Results, float]:
    """Return a run, and the step of the script."""
    duration, dt, *_ = CASES[name]
    model = izhi_models.load(source(folder, name))
    dt_s = model.step(dt or None)
    return model.compile(dt=dt_s / finer, method=method).simulate(duration), dt_s


def by_cell(found: dict[str, np.ndarray], population: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and cells, by cell."""
    steps, cells = found[f"{population}.steps"], found[f"{population}.cells"]
    order = np.lexsort((steps, cells))
    return steps[order], cells[order]


def certain(name: str, results: Results) -> list[str]:
    """Return the populations that send spikes, but for those that do so at random."""
    sending = [population for population, item in results.spikes.items() if item.count]
    assert set(CASES[name][2].split()) <= set(sending)
    return [item for item in sending if item not in RANDOM.get(name, ())]


@pytest.mark.parametrize("name", EULER)
def test_nest_sends_the_same_spikes_by_the_same_steps(scripts: dict[str, Path], name: str) -> None:
    results, dt_s = own_results(scripts[name].parent.parent, name)
    found = results_of(scripts[name])
    for population in certain(name, results):
        steps, cells = trains(results, population, dt_s)
        np.testing.assert_array_equal(by_cell(found, population), (steps, cells))
    for trace in results.traces:
        if trace.path in found:
            values = np.asarray(trace.values)[1:]
            # Rounding, 1e-16 in each step, which a spiking cell amplifies until the next spike.
            scale = 1e-9 * np.abs(values).max(initial=0.0)
            np.testing.assert_allclose(found[trace.path], values, rtol=0, atol=scale)


@pytest.mark.parametrize("name", RUNGE_KUTTA)
def test_nest_sends_the_spikes_of_runge_kutta(scripts: dict[str, Path], name: str) -> None:
    results, dt_s = own_results(scripts[name].parent.parent, name, "rk4")
    found = results_of(scripts[name])
    for population in certain(name, results):
        steps, cells = trains(results, population, dt_s)
        there, whose = by_cell(found, population)
        np.testing.assert_array_equal(whose, cells)
        assert np.abs(there - steps).max() <= RUNGE_KUTTA[name][3], population


@pytest.mark.parametrize("name", STEEP)
def test_nest_is_near_the_solution_of_steep_cells(scripts: dict[str, Path], name: str) -> None:
    finer = 20
    results, dt_s = own_results(scripts[name].parent.parent, name, "euler", finer)
    coarse, _ = own_results(scripts[name].parent.parent, name)
    found = results_of(scripts[name])
    for population in CASES[name][2].split():
        times = results.spikes[population].of(0)
        there = np.sort(found[f"{population}.steps"]) * dt_s
        ours = coarse.spikes[population].of(0)
        assert there.size == times.size
        # Each spike is late by up to a step, which adds up; so is what Euler is late by with a
        # twentieth of the step, a twentieth of what it is with a whole one.
        count = 1 + np.arange(times.size)
        allowed = dt_s * count + 2.0 * np.abs(ours - times) / finer
        assert np.all(np.abs(there - times) <= allowed), population


def test_nest_has_every_receptor(scripts: dict[str, Path]) -> None:
    """Where no cell spikes, membranes differ as much as the methods do: very little."""
    results, _ = own_results(scripts["receptors"].parent.parent, "receptors", "rk4")
    found = results_of(scripts["receptors"])
    quiet = [name for name in RECEPTORS if name not in ("strong", "many", "three", "double")]
    for name in quiet:
        values = results.trace(f"{name}/v").values[1:]
        assert np.ptp(values) > 1e-4, name  # something has arrived
        allowed = LOOSE.get(name, 1e-11)
        np.testing.assert_allclose(found[f"{name}/v"], values, rtol=0, atol=allowed, err_msg=name)


def test_nest_gets_the_same_currents(scripts: dict[str, Path]) -> None:
    """Currents act in the same steps: forward Euler is a step's change away from exact."""
    results, dt_s = own_results(scripts["currents"].parent.parent, "currents")
    found = results_of(scripts["currents"])
    for name in INPUTS:
        values = results.trace(f"{name}/v").values[1:]
        # Euler's error in one time constant of 20 ms: half a step of the course of v, of some mV.
        allowed = np.ptp(values) * dt_s / 20e-3
        assert allowed < 1e-5
        np.testing.assert_allclose(found[f"{name}/v"], values, rtol=0, atol=allowed, err_msg=name)


def test_nest_has_channels_from_their_closed_state(scripts: dict[str, Path]) -> None:
    results, _ = own_results(scripts["Ex14_PyNN"].parent.parent, "Ex14_PyNN", "rk4")
    values = results.trace("pop_HH_cond_exp/v").values[1:]
    found = results_of(scripts["Ex14_PyNN"])["pop_HH_cond_exp/v"]
    assert np.max(values) > 0.0 > np.min(values)
    # An action potential changes by 5 mV in a step: the time is off by a fiftieth of one.
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-4)


def test_pulse_coupled_network_has_the_same_rates(scripts: dict[str, Path]) -> None:
    """Noise differs, so counts do: by 81 and 40 (standard deviations) among seeds here."""
    found = results_of(scripts["pulse_coupled"])
    assert found["E.steps"].size == pytest.approx(6071, abs=4 * 81)
    assert found["I.steps"].size == pytest.approx(1460, abs=4 * 40)


# 200 trains of each kind, of 50 Hz for as long as each lasts, and cells that such trains reach.
SOURCES = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/><Include file="Synapses.xml"/><Include file="PyNN.xml"/>
<spikeGeneratorPoisson id="poisson" averageRate="50Hz"/>
<spikeGeneratorRefPoisson id="refractory" averageRate="50Hz" minimumISI="10ms"/>
<SpikeSourcePoisson id="pynn" start="100ms" duration="400ms" rate="50Hz"/>
<expTwoSynapse id="b1" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<expTwoSynapse id="b2" gbase="1nS" erev="0mV" tauRise="1ms" tauDecay="9ms"/>
<doubleSynapse id="both" synapse1="b1" synapse1Path="b1" synapse2="b2" synapse2Path="b2"/>
<poissonFiringSynapse id="rain" averageRate="50Hz" synapse="b1" spikeTarget="./b1"/>
<transientPoissonFiringSynapse id="shower" averageRate="50Hz" delay="100ms" duration="400ms"
  synapse="both" spikeTarget="./both"/>
<iafCell id="leaky" leakReversal="-65mV" thresh="0mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS"/>
<network id="net"><population id="P" component="poisson" size="200"/>
<population id="R" component="refractory" size="200"/>
<population id="B" component="pynn" size="200"/>
<population id="rained" component="leaky" size="200"/>
<population id="showered" component="leaky" size="200"/>
{inputs}</network>
<Simulation id="sim" length="1s" step="0.1ms" target="net"><OutputFile id="o" fileName="v.dat">
{columns}</OutputFile></Simulation></Lems>""".format(
    inputs="".join(
        f'<inputList id="{name}_list" component="{name}" population="{population}">'
        + "".join(
            f'<input id="{k}" target="../{population}[{k}]" destination="synapses"/>'
            for k in range(200)
        )
        + "</inputList>"
        for name, population in (("rain", "rained"), ("shower", "showered"))
    ),
    columns="".join(
        f'<OutputColumn id="{population}{k}" quantity="{population}[{k}]/v"/>'
        for population in ("rained", "showered")
        for k in range(200)
    ),
)


def test_random_trains_have_the_declared_laws(scripts: dict[str, Path]) -> None:
    found = results_of(scripts["random"])
    dt_s = 1e-4
    for population, seconds in (("P", 1.0), ("R", 1.0), ("B", 0.4)):
        steps, cells = by_cell(found, population)
        expected = 200 * 50 * seconds
        # Four standard deviations of a Poisson process; one with dead time varies less.
        assert abs(steps.size - expected) < 4 * np.sqrt(expected), population
        assert np.unique(cells).size == 200
    steps, cells = by_cell(found, "R")
    intervals = np.diff(steps)[np.diff(cells) == 0] * dt_s
    assert intervals.min() > 10e-3 - 1.5 * dt_s  # times are those of steps
    assert found["B.steps"].min() * dt_s >= 0.1
    assert found["B.steps"].max() * dt_s <= 0.5 + 2 * dt_s


def test_random_trains_reach_cells_through_their_synapses(scripts: dict[str, Path]) -> None:
    """The mean conductance, from its integral for an event and the rate, says where v settles."""
    found = results_of(scripts["random"])

    def area(rise: float, decay: float) -> float:
        when = np.log(decay / rise) * rise * decay / (decay - rise)
        return (decay - rise) / (np.exp(-when / decay) - np.exp(-when / rise))

    for name, mean, window in (
        ("rained", 1.0 * area(1.0, 5.0) * 0.05, slice(3000, 10000)),
        ("showered", (area(1.0, 5.0) + area(1.0, 9.0)) * 0.05, slice(3000, 5000)),
    ):
        expected = 10.0 * -65e-3 / (10.0 + mean)
        # The mean of v over 200 cells: fluctuations of some mV, and what their product with those
        # of the conductance adds, which is of second order.
        assert found[f"{name}/v"][window].mean() == pytest.approx(expected, abs=3e-4), name
    after = found["showered/v"][9000:]
    assert after.mean() == pytest.approx(-65e-3, abs=1e-6)  # 400 ms later
