"""Networks in other simulators, in the words that those understand, against the compiled code."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.agreement import Agreement
from izhi_models.engines import Found, run_elsewhere
from izhi_models.engines.jneuroml import Reference
from izhi_models.engines.prepare import Prepared, to_results
from izhi_models.engines.programs import find_program, run_program
from izhi_models.engines.simulators import compile_mechanisms, in_eden, run_netpyne, run_neuron
from izhi_models.engines.words import write_for
from izhi_models.errors import BackendError, CheckError, RunError, UnsupportedError
from izhi_models.exporters.request import Request
from izhi_models.exporting import request_of
from izhi_models.library import models_folder
from izhi_models.pipeline import load
from izhi_models.replaying import with_chance
from izhi_models.results import Results
from tests.conformance.reference import java
from tests.model_text import HODGKIN_HUXLEY

LIMIT_S = 300.0
HEAD = f"""<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>
<Include file="Simulation.xml"/><Include file="PyNN.xml"/>
<Include file="{models_folder()}/networks/connection_rules.types.xml"/>
<izhikevichCell id="RS" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-65" d="6"/>
<izhikevichCell id="CH" v0="-65mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>
<izhikevichCell id="FS" v0="-64mV" thresh="30mV" a="0.1" b="0.2" c="-65" d="2"/>
<izhikevich2007Cell id="rs" v0="-60mV" C="100pF" k="0.7nS_per_mV" vr="-60mV" vt="-40mV"
  vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" d="100pA"/>
<iafCell id="iaf" leakReversal="-60mV" thresh="-55mV" reset="-62mV" C="1nF"
  leakConductance="0.05uS"/>
<iafRefCell id="ref" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS" refract="5ms"/>
<iafTauRefCell id="tau" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="30ms"
  refract="5ms"/>
<adExIaFCell id="adex" C="281pF" gL="30nS" EL="-70.6mV" reset="-48.5mV" VT="-50.4mV"
  thresh="-40.4mV" refract="2ms" delT="2mV" tauw="40ms" a="4nS" b="0.08nA"/>
<IF_cond_exp id="pynn" cm="1.0" i_offset="0.9" tau_m="20.0" tau_refrac="5.0" tau_syn_E="5.0"
  tau_syn_I="5.0" v_init="-65" v_reset="-62.0" v_rest="-65.0" v_thresh="-52.0" e_rev_E="0.0"
  e_rev_I="-58.0"/>
{HODGKIN_HUXLEY}
<hindmarshRose1984Cell id="hr" C="1pF" a="1" b="3" c="1" d="5" r="0.005" s="4" x1="-1.6" x0="-1.6"
  y0="-11.8" z0="0" v_scaling="1mV"/>
<fitzHughNagumo1969Cell id="fn" a="0.7" b="0.08" I="0.5" phi="0.08" V0="0" W0="0"/>
<EIF_cond_exp_isfa_ista id="eif" cm="0.281" i_offset="1.0" tau_m="9.3667" tau_refrac="5"
  tau_syn_E="5" tau_syn_I="5" v_init="-65" v_reset="-68" v_rest="-70.6" v_thresh="-52"
  v_spike="-40" e_rev_E="0" e_rev_I="-80" a="0" b="0.0805" delta_T="2" tau_w="144"/>
<ionChannelKS id="ks" conductance="10pS" species="k">
  <gateKS id="n" instances="4"><closedState id="c1"/><openState id="o1"/>
    <forwardTransition id="ft" from="c1" to="o1">
      <rate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
    </forwardTransition>
    <reverseTransition id="rt" from="c1" to="o1">
      <rate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>
    </reverseTransition>
  </gateKS>
</ionChannelKS>
<ionChannelHH id="ca" conductance="10pS" species="ca">
  <gateHHtauInf id="m" instances="2">
    <timeCourse type="fixedTimeCourse" tau="3ms"/>
    <steadyState type="HHSigmoidVariable" rate="1" midpoint="-30mV" scale="6mV"/>
  </gateHHtauInf>
</ionChannelHH>
<cell id="soma">
  <morphology id="soma_m"><segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="20"/>
    <distal x="0" y="0" z="20" diameter="20"/></segment></morphology>
  <biophysicalProperties id="soma_b"><membraneProperties>
    <channelDensity id="leak" ionChannel="pas" condDensity="0.3mS_per_cm2" erev="-54.3mV"
      ion="non_specific"/>
    <channelDensity id="sodium" ionChannel="na" condDensity="120mS_per_cm2" erev="50mV" ion="na"/>
    <channelDensity id="potassium" ionChannel="k" condDensity="36mS_per_cm2" erev="-77mV"
      ion="k"/>
    <channelDensity id="calcium" ionChannel="ca" condDensity="0.1mS_per_cm2" erev="120mV" ion="ca"/>
    <spikeThresh value="0mV"/><specificCapacitance value="1uF_per_cm2"/>
    <initMembPotential value="-65mV"/></membraneProperties>
    <intracellularProperties><resistivity value="0.1kohm_cm"/></intracellularProperties>
  </biophysicalProperties>
</cell>
<cell id="kinetic">
  <morphology id="kinetic_m"><segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="20"/>
    <distal x="0" y="0" z="20" diameter="20"/></segment></morphology>
  <biophysicalProperties id="kinetic_b"><membraneProperties>
    <channelDensity id="leak" ionChannel="pas" condDensity="0.3mS_per_cm2" erev="-54.3mV"
      ion="non_specific"/>
    <channelDensity id="sodium" ionChannel="na" condDensity="120mS_per_cm2" erev="50mV" ion="na"/>
    <channelDensity id="potassium" ionChannel="ks" condDensity="36mS_per_cm2" erev="-77mV"
      ion="k"/>
    <spikeThresh value="0mV"/><specificCapacitance value="1uF_per_cm2"/>
    <initMembPotential value="-65mV"/></membraneProperties>
    <intracellularProperties><resistivity value="0.1kohm_cm"/></intracellularProperties>
  </biophysicalProperties>
</cell>
<spikeGenerator id="clock" period="20ms"/>
<spikeArray id="array"><spike id="0" time="15ms"/><spike id="1" time="17ms"/><spike id="2"
  time="40ms"/></spikeArray>
<spikeGeneratorPoisson id="poisson" averageRate="80Hz"/>
<poissonFiringSynapse id="drive" averageRate="400Hz" synapse="one" spikeTarget="./one"/>
<blockingPlasticSynapse id="nmda" gbase="60nS" erev="0mV" tauDecay="40ms" tauRise="2ms">
  <blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM"
    scalingConc="1.92mM" scalingVolt="16mV"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="stp" gbase="60nS" erev="0mV" tauDecay="5ms" tauRise="1ms">
  <plasticityMechanism type="tsodyksMarkramDepMechanism" initReleaseProb="0.5" tauRec="100ms"/>
</blockingPlasticSynapse>
<doubleSynapse id="both" synapse1="one" synapse1Path="./one" synapse2="nmda" synapse2Path="./nmda"/>
<silentSynapse id="silent"/>
<gradedSynapse id="graded" conductance="40nS" delta="5mV" Vth="-55mV" k="0.5per_ms" erev="0mV"/>
<expOneSynapse id="one" gbase="40nS" erev="0mV" tauDecay="3ms"/>
<expTwoSynapse id="two" gbase="40nS" erev="0mV" tauDecay="5ms" tauRise="1ms"/>
<alphaSynapse id="alpha" gbase="30nS" erev="0mV" tau="2ms"/>
<gapJunction id="gap" conductance="20nS"/>
<pulseGenerator id="hrstep" delay="0ms" duration="1s" amplitude="3pA"/>
<pulseGeneratorDL id="step" delay="10ms" duration="1s" amplitude="10"/>
<rampGeneratorDL id="ramp" delay="10ms" duration="100ms" startAmplitude="2" finishAmplitude="15"
  baselineAmplitude="0"/>
<pulseGenerator id="big" delay="10ms" duration="1s" amplitude="0.8nA"/>
<pulseGenerator id="large" delay="10ms" duration="1s" amplitude="0.14nA"/>
<pulseGenerator id="strong" delay="10ms" duration="1s" amplitude="0.4nA"/>
<pulseGenerator id="weak" delay="10ms" duration="1s" amplitude="120pA"/>
<network id="net">
"""
TAIL = """</network><Simulation id="sim" length="150ms" step="0.01ms" target="net">
</Simulation></Lems>"""


def projection(pre: str, post: str, synapse: str, *pairs: tuple[int, int]) -> str:
    rows = "".join(
        f'<connectionWD id="{n}" preCellId="../{pre}[{a}]" postCellId="../{post}[{b}]" '
        f'weight="{1 + n / 4}" delay="{1 + n}ms"/>'
        for n, (a, b) in enumerate(pairs)
    )
    return (
        f'<projection id="{pre}_{post}" presynapticPopulation="{pre}" '
        f'postsynapticPopulation="{post}" synapse="{synapse}">{rows}</projection>'
    )


PLACES = "".join(f'<instance id="{n}"><location x="{n}" y="0" z="0"/></instance>' for n in "01")
# By name: populations, what connects them, and inputs, in the order of the schema. Populations
# have names of their own, so that one program has all of them: `E` and `I` mean something to hoc,
# and so does `step`.
NETWORKS = {
    "izhikevich": (
        '<population id="types" component="RS" size="2"/><population id="b" component="CH" '
        'size="1"/><population id="fast" component="FS" size="1"/>',
        "",
        "".join(
            f'<explicitInput target="{name}[0]" input="step"/>' for name in ("types", "b", "fast")
        ),
    ),
    "ramp": (
        f'<population id="E" component="RS" type="populationList" size="2">{PLACES}</population>',
        "",
        '<inputList id="driven" component="ramp" population="E"><input id="0" '
        'target="../E/1/RS" destination="synapses"/></inputList>',
    ),
    "weights": (
        '<population id="a" component="rs" size="2"/><population id="I" component="iaf" size="2"/>',
        projection("a", "I", "one", (0, 0), (1, 1), (0, 1)),
        '<explicitInput target="a[0]" input="weak"/><explicitInput target="a[1]" input="strong"/>',
    ),
    "rise": (
        '<population id="c" component="ref" size="1"/><population id="d" component="iaf" '
        'size="2"/>',
        projection("c", "d", "two", (0, 0), (0, 1)),
        "",
    ),
    "alpha": (
        '<population id="f" component="ref" size="1"/><population id="g" component="iaf" '
        'size="1"/>',
        projection("f", "g", "alpha", (0, 0)),
        "",
    ),
    "tau": ('<population id="h" component="tau" size="2"/>', "", ""),
    "pynn": ('<population id="z" component="pynn" size="2"/>', "", ""),
    "gap": (
        '<population id="k" component="iaf" size="2"/>',
        '<electricalProjection id="gaps" presynapticPopulation="k" postsynapticPopulation="k">'
        '<electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>'
        "</electricalProjection>",
        '<explicitInput target="k[0]" input="strong"/>',
    ),
    "single": (
        '<population id="m" component="ref" size="1"/><population id="n" component="iaf" '
        'size="2"/>',
        '<synapticConnection from="m[0]" to="n[1]" synapse="one" destination="synapses"/>',
        "",
    ),
    "rule": (
        '<population id="p" component="ref" size="3"/><population id="q" component="iaf" '
        'size="4"/>',
        '<fixedInDegree id="pq" presynapticPopulation="p" postsynapticPopulation="q" '
        'synapse="one" inDegree="2" weightMin="0.5" weightMax="1" delay="2ms"/>',
        "",
    ),
    "conductances": (
        '<population id="w" component="hh" size="1"/>',
        "",
        '<explicitInput target="w[0]" input="weak"/>',
    ),
    "clock": (
        '<population id="s" component="clock" size="1"/><population id="u" component="iaf" '
        'size="1"/>',
        projection("s", "u", "one", (0, 0)),
        "",
    ),
    "adaptive": (
        '<population id="ad" component="adex" size="1"/><population id="ei" component="eif" '
        'size="1"/>',
        "",
        '<explicitInput target="ad[0]" input="big"/>',
    ),
    "bursting": (
        '<population id="hi" component="hr" size="1"/>',
        "",
        '<explicitInput target="hi[0]" input="hrstep"/>',
    ),
    "channels": (
        '<population id="so" component="soma" size="2"/>',
        projection("so", "so", "two", (0, 1)),
        '<explicitInput target="so[0]" input="large"/>',
    ),
    "kinetic": (
        '<population id="ki" component="kinetic" size="1"/>',
        "",
        '<explicitInput target="ki[0]" input="large"/>',
    ),
    "nmda": (
        '<population id="na0" component="array" size="1"/><population id="na1" component="iaf" '
        'size="2"/>',
        projection("na0", "na1", "nmda", (0, 0), (0, 1)),
        "",
    ),
    "depressing": (
        '<population id="de0" component="clock" size="1"/><population id="de1" component="iaf" '
        'size="2"/>',
        projection("de0", "de1", "stp", (0, 0), (0, 1)),
        "",
    ),
    "double": (
        '<population id="do0" component="array" size="1"/><population id="do1" component="iaf" '
        'size="2"/>',
        projection("do0", "do1", "both", (0, 0), (0, 1)),
        "",
    ),
    "graded": (
        '<population id="gr0" component="iaf" size="1"/><population id="gr1" component="iaf" '
        'size="2"/>',
        '<continuousProjection id="gr" presynapticPopulation="gr0" postsynapticPopulation="gr1">'
        '<continuousConnection id="0" preCell="0" postCell="1" preComponent="silent" '
        'postComponent="graded"/></continuousProjection>',
        '<explicitInput target="gr0[0]" input="strong"/>',
    ),
}
# With what is drawn by chance: the same events are replayed.
RANDOM = {
    "poisson": (
        '<population id="po0" component="poisson" size="3"/><population id="po1" component="iaf" '
        'size="2"/>',
        projection("po0", "po1", "one", (0, 0), (1, 0), (2, 1), (0, 1)),
        '<explicitInput target="po1[1]" input="drive"/><explicitInput target="po1[1]" '
        'input="drive"/>',
    ),
}
EVERY = {**NETWORKS, **RANDOM}
IN_EDEN = ("izhikevich", "weights", "single", "rule", "tau", "gap")
IN_NETPYNE = ("izhikevich", "weights")
STEP_S = 1e-5
# By how many steps a spike may be off the converged solution. At first some, since what arrives in
# one step acts in the next, and EDEN counts in single precision. With each spike more: the methods
# are of first order, and a reset comes up to a step late, which adds up over a train.
FIRST = {"neuron": 4, "netpyne": 4, "eden": 7}
EACH = {
    "neuron": dict.fromkeys(EVERY, 2.0)
    | {
        "conductances": 2.5,  # gates advance by forward Euler
        "channels": 2.5,
        "adaptive": 3.5,  # the end of a refractory period is seen a step late
        "bursting": 7.0,  # without a reset: the whole orbit turns by what a step is worth
        "single": 4.0,  # v comes slowly to the threshold
        "double": 9.0,
    },
    # Forward Euler; in "weights" one spike just reaches the threshold.
    "eden": dict.fromkeys(IN_EDEN, 2.0) | {"izhikevich": 5.0, "weights": 10.0, "rule": 4.0},
    "netpyne": dict.fromkeys(IN_NETPYNE, 2.0),
}
# Euler with fine steps where Runge-Kutta evaluates the exponential of a spike beyond its cutoff.
STEEP = ("adaptive",)


def write(folder: Path, names: Iterable[str], step: str = "0.01ms") -> Path:
    """Write some of the networks as one."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = zip(*(EVERY[name] for name in names), strict=True)
    body = "".join("".join(part) for part in parts)
    path = folder / "net.xml"
    path.write_text(HEAD + body + TAIL.replace("0.01ms", step))
    return path


def limit(path: Path, method: str, parts: int) -> dict[str, list[np.ndarray]]:
    """Return the spikes of each cell as the step goes to zero: two runs, extrapolated. [s]"""
    fine, finer = (
        load(path).compile(dt=1e-5 / n, method=method).simulate() for n in (parts, 2 * parts)
    )
    found = {}
    for name, trains in finer.spikes.items():
        pairs = [(trains.of(cell), fine.spikes[name].of(cell)) for cell in range(trains.n_neurons)]
        found[name] = [2 * last - first for last, first in pairs]
    return found


@pytest.fixture(scope="module")
def converged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """Return the spikes to which the equations of all networks converge, by population."""
    folder = tmp_path_factory.mktemp("converged")
    smooth = write(folder / "smooth", [name for name in NETWORKS if name not in STEEP])
    found = limit(smooth, "rk4", 4) | limit(write(folder / "steep", STEEP), "euler", 64)
    # What is drawn by chance depends on the step.
    drawn = load(write(folder / "random", RANDOM)).compile().simulate()
    return found | {
        name: [trains.of(cell) for cell in range(trains.n_neurons)]
        for name, trains in drawn.spikes.items()
    }


def request(folder: Path, name: str) -> Request:
    model = load(write(folder, [name]))
    return with_chance(model, request_of(model), "neuron")


def need(program: str, package: str) -> None:
    """Skip the test unless a program is installed."""
    java()
    try:
        find_program(program, package)
    except BackendError as error:
        pytest.skip(str(error))


def assert_spikes(
    found: Results, converged: dict[str, list[np.ndarray]], engine: str, network: str
) -> None:
    total = 0
    first, each = FIRST[engine], EACH[engine][network]
    for name, trains in found.spikes.items():
        for cell, times in enumerate(converged[name]):
            late = STEP_S * (first + each * np.arange(times.size))
            certain = times < found.duration_s - late  # another may come after the end
            own = trains.of(cell)
            assert certain.sum() <= own.size <= times.size, f"{name}[{cell}]"
            off = np.abs(own - times[: own.size])
            assert (off <= late[: own.size]).all(), f"{name}[{cell}]: {off / STEP_S} steps"
            total += own.size
    assert total > 1


@pytest.fixture(scope="module")
def in_neuron(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """Return what NEURON gives of each network; the mechanisms of all are compiled at once."""
    need("nrnivmodl", "neuron")
    folder = tmp_path_factory.mktemp("neuron")
    requests = {name: request(folder / name, name) for name in EVERY}
    made = {
        name: write_for(item, "neuron", folder / name / "out", LIMIT_S)
        for name, item in requests.items()
    }
    together = folder / "mechanisms"
    together.mkdir()
    for mechanism in folder.glob("*/out/*.mod"):
        shutil.copy(mechanism, together)
    compile_mechanisms(together, LIMIT_S)
    (library,) = (item.parent for item in together.glob("*/special"))
    found = {}
    for name, prepared in made.items():
        (prepared.main.parent / library.name).symlink_to(library, target_is_directory=True)
        results = run_neuron(prepared, 1, LIMIT_S)
        found[name] = to_results(requests[name], prepared, results)
    return found


@pytest.mark.parametrize("name", EVERY)
def test_neuron(
    in_neuron: dict[str, Results], converged: dict[str, list[np.ndarray]], name: str
) -> None:
    assert_spikes(in_neuron[name], converged, "neuron", name)


@pytest.mark.parametrize("name", IN_EDEN)
def test_eden(tmp_path: Path, converged: dict[str, list[np.ndarray]], name: str) -> None:
    need("eden", "eden-simulator")
    item = request(tmp_path, name)
    prepared = write_for(item, "eden", tmp_path, LIMIT_S)
    found = to_results(item, prepared, in_eden(prepared, 1, LIMIT_S))
    assert_spikes(found, converged, "eden", name)


def need_mpi() -> None:
    """Skip the test unless networks can be shared among processes."""
    need("mpirun", "openmpi")
    need("nrniv", "neuron")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Results]:
    """Return what NEURON gives of all networks as one, on one and on two processes."""
    need_mpi()
    folder = tmp_path_factory.mktemp("shared")
    model = load(write(folder, EVERY))
    item = with_chance(model, request_of(model), "neuron")
    prepared = write_for(item, "neuron", folder / "out", LIMIT_S)
    compile_mechanisms(folder / "out", LIMIT_S)
    one, two = (to_results(item, prepared, run_neuron(prepared, n, LIMIT_S)) for n in (1, 2))
    return one, two


def test_neuron_shares_a_network_among_two_processes(shared: tuple[Results, Results]) -> None:
    one, two = shared
    assert sum(trains.count for trains in one.spikes.values()) > 100
    for name, trains in one.spikes.items():
        for cell in range(trains.n_neurons):
            np.testing.assert_array_equal(
                two.spikes[name].of(cell), trains.of(cell), f"{name}[{cell}]"
            )


def test_neuron_gives_each_network_what_it_gives_all_together(
    shared: tuple[Results, Results], in_neuron: dict[str, Results]
) -> None:
    for network in NETWORKS:  # what is drawn by chance depends on the whole
        for name, trains in in_neuron[network].spikes.items():
            np.testing.assert_array_equal(shared[0].spikes[name].times_s, trains.times_s)


def test_netpyne_shares_a_network_among_two_processes(
    tmp_path: Path, converged: dict[str, list[np.ndarray]]
) -> None:
    need_mpi()
    if find_spec("netpyne") is None:
        pytest.skip("NetPyNE is not installed")
    for name in IN_NETPYNE:
        item = request(tmp_path / name, name)
        prepared = write_for(item, "netpyne", tmp_path / name, LIMIT_S)
        compile_mechanisms(prepared.main.parent, LIMIT_S)
        both = to_results(item, prepared, run_netpyne(prepared, 2, LIMIT_S))
        assert_spikes(both, converged, "netpyne", name)


def test_jneuroml_brings_back_the_same_names(tmp_path: Path) -> None:
    java()
    item = request(tmp_path, "ramp")
    found = run_elsewhere(item, "jneuroml").results
    assert found.spikes["E"].of(0).size == 0
    assert found.spikes["E"].of(1).size > 2


def test_a_folder_for_neuron_runs_by_itself(in_neuron: dict[str, Results], tmp_path: Path) -> None:
    written = izhi_models.export(write(tmp_path, ["single"]), "neuron", tmp_path / "out")
    assert written[0] == tmp_path / "out" / "run_network.py"
    assert {item.suffix for item in written} == {".py", ".json", ".npy", ".mod"}
    compile_mechanisms(written[0].parent, LIMIT_S)
    run_program([sys.executable, written[0].name], written[0].parent, "NEURON", limit_s=LIMIT_S)
    times = np.loadtxt(written[0].with_name("spikes.dat"), ndmin=2)
    expected = in_neuron["single"].spikes["m"].of(0)
    np.testing.assert_array_equal(times[times[:, 0] == 0, 1], expected)


def test_run__writes_what_gave_the_same_spikes(tmp_path: Path) -> None:
    need("eden", "eden-simulator")
    told: list[Agreement] = []
    path = write(tmp_path, ["tau"])
    (main, _) = izhi_models.export(path, "eden", tmp_path / "out", run=True, tell=told.append)
    assert main.name == "LEMS_model.xml"
    assert [(item.name, item.count > 2) for item in told] == [("h", True)]


def test_run__with_other_spikes__writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(asked: Request, engine: str) -> Found:
        prepared = Prepared(Path(), (), ("h[0]", "h[1]"))
        late = np.array([0.030, 0.070])  # the first spike is in the first step
        found = Reference(np.empty(0), {}, {"h[0]": late, "h[1]": late})
        return Found(to_results(asked, prepared, found))

    monkeypatch.setattr("izhi_models.exporting.run_elsewhere", other)
    with pytest.raises(CheckError, match=r"h\[0\]: spike 0 is at 30 ms in eden, expected 0.01 ms"):
        izhi_models.export(write(tmp_path, ["tau"]), "eden", tmp_path / "out", run=True)
    assert not (tmp_path / "out").exists()


def test_parts_that_were_not_tried__are_refused_until_they_are(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_text(HEAD + '<population id="z" component="pynn" size="1"/>' + TAIL)
    with pytest.raises(UnsupportedError, match=r"not been tried with IF_cond_exp\n.*--run"):
        izhi_models.export(path, "eden", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_comes_out_wrong_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_text(HEAD + '<population id="x" component="adex" size="1"/>' + TAIL)
    with pytest.raises(UnsupportedError, match="'adex', a adExIaFCell: its spikes are not seen"):
        run_elsewhere(request_of(load(path)), "netpyne")


def test_a_scheme_that_is_left_out_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    cell = HEAD.replace('ionChannel="k"', 'ionChannel="ks"')
    path.write_text(cell + '<population id="x" component="hh" size="1"/>' + TAIL)
    with pytest.raises(UnsupportedError, match=r"cannot run 'ks' in the pointCellCondBased 'hh'"):
        run_elsewhere(request_of(load(path)), "neuron")


@pytest.mark.parametrize("engine", ["netpyne", "eden"])
def test_other_random_numbers_are_refused(tmp_path: Path, engine: str) -> None:
    item = request_of(load(write(tmp_path, ["poisson"])))
    with pytest.raises(UnsupportedError, match=f"'po0' draws random numbers, and {engine} would"):
        run_elsewhere(item, engine)


def test_a_crash_of_eden_is_told(tmp_path: Path) -> None:
    need("eden", "eden-simulator")
    item = request(tmp_path, "rise")  # the factor of expTwoSynapse is made of exp and log
    prepared = write_for(item, "eden", tmp_path, LIMIT_S)
    try:
        in_eden(prepared, 1, LIMIT_S)
    except UnsupportedError as error:
        assert "EDEN crashed on this model" in str(error)  # as released; built here it does not


@pytest.mark.parametrize("engine", ["neuron", "netpyne", "eden"])
def test_what_is_drawn_at_random_is_refused(engine: str) -> None:
    item = request_of(load("pulse_coupled", set={"E/size": 2, "I/size": 1}))
    with pytest.raises(UnsupportedError, match="'E' draws random numbers"):
        run_elsewhere(item, engine)


def test_jneuroml_and_eden_run_in_one_process(tmp_path: Path) -> None:
    for engine in ("jneuroml", "eden"):
        with pytest.raises(UnsupportedError, match="runs in one process"):
            run_elsewhere(request(tmp_path, "tau"), engine, processes=2)


def test_a_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("nrnivmodl", "neuron")
    (tmp_path / "one.mod").write_text("")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(BackendError, match="there is no 'make', with which NEURON compiles"):
        compile_mechanisms(tmp_path, LIMIT_S)


def test_what_eden_does_not_know_is_told(tmp_path: Path) -> None:
    need("eden", "eden-simulator")
    with pytest.raises(RunError, match=r"EDEN failed: file .*, line \d+, column \d+: "):
        run_elsewhere(request_of(load(write(tmp_path, ["conductances"]))), "eden")


def test_a_missing_simulator_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BackendError, match="pip install eden-simulator"):
        run_elsewhere(request(tmp_path, "tau"), "eden")
