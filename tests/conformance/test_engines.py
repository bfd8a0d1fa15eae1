"""Networks in other simulators, in the words that those understand, against the compiled code."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.agreement import Agreement
from izhi_models.engines import Found, run_elsewhere
from izhi_models.engines.jneuroml import Reference
from izhi_models.engines.prepare import Prepared, prepare, to_results
from izhi_models.engines.programs import find_program, run_program
from izhi_models.engines.simulators import (
    compile_mechanisms,
    convert_for,
    in_eden,
    run_netpyne,
    run_neuron,
)
from izhi_models.errors import BackendError, CheckError, UnsupportedError
from izhi_models.exporters.request import Request
from izhi_models.exporting import request_of
from izhi_models.library import models_folder
from izhi_models.pipeline import load
from izhi_models.results import Results
from tests.conformance.reference import java
from tests.model_text import HODGKIN_HUXLEY

LIMIT_S = 300.0
# Each simulator has methods of its own for the states of a mechanism, and lets events act in the
# step when they arrive or in the next: spike times differ by some steps, more in a burst, and the
# difference adds up from spike to spike. EDEN counts in single precision.
TOLERANCE_S = 1.5e-3

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
<spikeGenerator id="clock" period="20ms"/>
<expOneSynapse id="one" gbase="40nS" erev="0mV" tauDecay="3ms"/>
<expTwoSynapse id="two" gbase="40nS" erev="0mV" tauDecay="5ms" tauRise="1ms"/>
<alphaSynapse id="alpha" gbase="30nS" erev="0mV" tau="2ms"/>
<gapJunction id="gap" conductance="20nS"/>
<pulseGeneratorDL id="step" delay="10ms" duration="1s" amplitude="10"/>
<rampGeneratorDL id="ramp" delay="10ms" duration="100ms" startAmplitude="2" finishAmplitude="15"
  baselineAmplitude="0"/>
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
}
IN_EDEN = ("izhikevich", "weights", "single", "rule", "tau", "gap")
IN_NETPYNE = ("izhikevich", "weights")


def write(folder: Path, names: list[str]) -> Path:
    """Write some of the networks as one."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = zip(*(NETWORKS[name] for name in names), strict=True)
    body = "".join("".join(part) for part in parts)
    path = folder / "net.xml"
    path.write_text(HEAD + body + TAIL)
    return path


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what the compiled code gives: of all networks, as one program."""
    path = write(tmp_path_factory.mktemp("own"), list(NETWORKS))
    return load(path).compile().simulate()


def request(folder: Path, name: str) -> Request:
    return request_of(load(write(folder, [name])))


def need(program: str, package: str) -> None:
    """Skip the test unless a program is installed."""
    java()
    try:
        find_program(program, package)
    except BackendError as error:
        pytest.skip(str(error))


def assert_spikes(found: Results, own: Results) -> None:
    total = 0
    for name, trains in found.spikes.items():
        for cell in range(trains.n_neurons):
            expected = own.spikes[name].of(cell)
            assert trains.of(cell).size == expected.size, f"{name}[{cell}]"
            np.testing.assert_allclose(trains.of(cell), expected, rtol=0, atol=TOLERANCE_S)
            total += expected.size
    assert total > 1


@pytest.fixture(scope="module")
def in_neuron(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """Return what NEURON gives of each network; the mechanisms of all are compiled at once."""
    need("nrnivmodl", "neuron")
    folder = tmp_path_factory.mktemp("neuron")
    requests = {name: request(folder / name, name) for name in NETWORKS}
    made = {}
    for name, item in requests.items():
        prepared = prepare(item, folder / name)
        made[name] = prepared, convert_for(prepared.main, "neuron", LIMIT_S)
    mechanisms = list(folder.glob("*/*.mod"))
    together = folder / "mechanisms"
    together.mkdir()
    for mechanism in mechanisms:
        shutil.copy(mechanism, together)
    compile_mechanisms(together, LIMIT_S)
    (library,) = (item.parent for item in together.glob("*/special"))
    found = {}
    for name, (prepared, script) in made.items():
        (folder / name / library.name).symlink_to(library, target_is_directory=True)
        results = run_neuron(prepared, script, LIMIT_S)
        found[name] = to_results(requests[name], prepared, results)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_neuron(in_neuron: dict[str, Results], own: Results, name: str) -> None:
    assert_spikes(in_neuron[name], own)


@pytest.mark.parametrize("name", IN_EDEN)
def test_eden(tmp_path: Path, own: Results, name: str) -> None:
    need("eden", "eden-simulator")
    item = request(tmp_path, name)
    prepared = prepare(item, tmp_path)
    assert_spikes(to_results(item, prepared, in_eden(prepared, 1, LIMIT_S)), own)


def test_netpyne_shares_a_network_among_two_processes(tmp_path: Path, own: Results) -> None:
    need("mpirun", "openmpi")
    need("nrniv", "neuron")
    if find_spec("netpyne") is None:
        pytest.skip("NetPyNE is not installed")
    for name in IN_NETPYNE:
        item = request(tmp_path / name, name)
        prepared = prepare(item, tmp_path / name)
        script = convert_for(prepared.main, "netpyne", LIMIT_S)
        compile_mechanisms(script.parent, LIMIT_S)
        both = to_results(item, prepared, run_netpyne(prepared, script, 2, LIMIT_S))
        assert_spikes(both, own)


def test_jneuroml_brings_back_the_same_names(tmp_path: Path) -> None:
    java()
    item = request(tmp_path, "ramp")
    found = run_elsewhere(item, "jneuroml").results
    assert found.spikes["E"].of(0).size == 0
    assert found.spikes["E"].of(1).size > 2


def test_a_folder_for_neuron_runs_by_itself(in_neuron: dict[str, Results], tmp_path: Path) -> None:
    written = izhi_models.export(write(tmp_path, ["single"]), "neuron", tmp_path / "out")
    assert written[0] == tmp_path / "out" / "LEMS_model_nrn.py"
    assert {item.suffix for item in written} == {".py", ".xml", ".nml", ".mod"}
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
    assert [(item.population, item.count > 2) for item in told] == [("h", True)]


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


@pytest.mark.parametrize("engine", ["neuron", "netpyne"])
def test_what_comes_out_wrong_is_refused(tmp_path: Path, engine: str) -> None:
    path = tmp_path / "net.xml"
    path.write_text(HEAD + '<population id="x" component="adex" size="1"/>' + TAIL)
    with pytest.raises(UnsupportedError, match="'adex', a adExIaFCell: its spikes are not seen"):
        run_elsewhere(request_of(load(path)), engine)


def test_a_crash_of_eden_is_told(tmp_path: Path) -> None:
    need("eden", "eden-simulator")
    item = request(tmp_path, "rise")  # the factor of expTwoSynapse is made of exp and log
    prepared = prepare(item, tmp_path)
    try:
        in_eden(prepared, 1, LIMIT_S)
    except UnsupportedError as error:
        assert "EDEN crashed on this model" in str(error)  # as released; built here it does not


@pytest.mark.parametrize("engine", ["neuron", "netpyne", "eden"])
def test_what_is_drawn_at_random_is_refused(engine: str) -> None:
    item = request_of(load("pulse_coupled", set={"E/size": 2, "I/size": 1}))
    with pytest.raises(UnsupportedError, match="'E' draws random numbers"):
        run_elsewhere(item, engine)


def test_other_engines_than_netpyne_run_in_one_process(tmp_path: Path) -> None:
    for engine in ("neuron", "jneuroml", "eden"):
        with pytest.raises(UnsupportedError, match="runs in one process"):
            run_elsewhere(request(tmp_path, "tau"), engine, processes=2)


def test_a_missing_simulator_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(BackendError, match="pip install eden-simulator"):
        run_elsewhere(request(tmp_path, "tau"), "eden")
