"""Exported scripts, run by Brian2, against runs of this package.

Cells without gates advance by forward Euler in both: each spike is in the same step, and states
are equal to rounding, since Brian2 computes in SI units and adds in other orders. Cells with gates
do so by other methods, of second order here and of fourth there.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.results import Results
from tests.conformance.reference import LEMS, extract_examples
from tests.model_text import EVENT_TYPES

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("brian2") is None, reason="Brian2 is not installed"
)

# Runs scripts one after the other, each in a process of its own that has Brian2 already.
RUNNER = """
import os, runpy, sys
import brian2
for path in sys.argv[1:]:
    child = os.fork()
    if not child:
        sys.argv = [path, "numpy"]
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
    "izhikevich2007_RS": ("100 ms", "", "RS"),
    "naud2008_adaptation": ("100 ms", "", "AdEx"),
    "vogels2005": ("100 ms", "", "IF"),
    "hindmarsh1984": ("100 ms", "", "HR"),
    "Ex0_IaF": ("100 ms", "0.02 ms", "iafTauPop iafTauRefPop iafRefPop iafPop"),
    "Ex2_Izh": ("70 ms", "0.02 ms", "izpopBurst izpopTonic izpopMixed"),
    "Ex6_NMDA": ("250 ms", "0.05 ms", "srcPop"),
    "Ex7_STP": ("100 ms", "0.05 ms", "srcPop"),
    "Ex8_AdEx": ("100 ms", "0.05 ms", "adExPop1 adExPop2 adExPop3"),
    "Ex9_FN": ("100 ms", "0.05 ms", ""),
    "Ex11_STDP": ("200 ms", "0.05 ms", "src tgt"),
    "Ex12_Net2": ("200 ms", "0.05 ms", "spikersPop spikeArrayPop"),
    "Ex19_GapJunctions": ("200 ms", "0.05 ms", "iafPop1"),
    "Ex20_AnalogSynapses": ("100 ms", "0.05 ms", "iafPop1"),
    "Ex21_CurrentBasedSynapses": ("120 ms", "0.05 ms", "spksPop"),
    "network": ("150 ms", "", "E I S"),
    "events": ("60 ms", "", "clocks relay gate"),
}
# And by how many steps spikes may differ: one, since the time of a spike is rounded to a step.
GATED = {
    "Ex1_HH": ("120 ms", "0.02 ms", "hhpop"),
    "Ex3_Net": ("45 ms", "0.02 ms", "hh1pop"),
    "Ex10_Q10": ("140 ms", "0.02 ms", "hhpop"),
}
CASES = {**EULER, **GATED}

# Conductance-based cells, excitatory and inhibitory, with delays, short-term plasticity, a gap
# junction, a graded synapse and a step that is no binary fraction.
NETWORK = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/><Include file="Synapses.xml"/>
<iafRefCell id="iaf" leakReversal="-49mV" thresh="-50mV" reset="-60mV" C="0.2nF"
  leakConductance="0.01uS" refract="5ms"/>
<spikeGenerator id="clock" period="8ms"/>
<pulseGenerator id="pulse" delay="20ms" duration="60ms" amplitude="0.15nA"/>
<expOneSynapse id="ampa" gbase="6nS" erev="0mV" tauDecay="5ms"/>
<expOneSynapse id="gaba" gbase="67nS" erev="-80mV" tauDecay="10ms"/>
<gapJunction id="gap" conductance="4nS"/>
<gradedSynapse id="graded" conductance="5pS" delta="5mV" k="0.025per_ms" Vth="-55mV" erev="0mV"/>
<silentSynapse id="silent"/>
<blockingPlasticSynapse id="tired" gbase="4nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <tsodyksMarkramDepFacMechanism id="mech" initReleaseProb="0.5" tauFac="100ms" tauRec="200ms"/>
</blockingPlasticSynapse>
<network id="net">
  <population id="E" component="iaf" size="40"/><population id="I" component="iaf" size="10"/>
  <population id="S" component="clock" size="2"/>
  %s
</network>
<Simulation id="sim" length="150ms" step="0.1ms" target="net">
  <OutputFile id="o" fileName="v.dat"><OutputColumn id="a" quantity="E[3]/v"/>
  <OutputColumn id="b" quantity="I[1]/v"/></OutputFile>
</Simulation></Lems>"""

# Events that reach cells without a synapse: they add to a state, are sent on, or open a gate.
EVENTS = f"""<Lems><Target component="sim"/><Include file="Simulation.xml"/>
{EVENT_TYPES}
<Net id="net"><Group id="clocks" of="quick" count="1"/><Group id="leaks" of="leak" count="1"/>
  <Group id="relay" of="pass" count="1"/><Group id="gate" of="gate" count="1"/>
  <Wire from="clocks[0]" to="relay[0]"/><Wire from="clocks[0]" to="gate[0]"/>
  <Wire from="relay[0]" to="leaks[0]"/></Net>
<Simulation id="sim" length="60ms" step="0.5ms" target="net">
  <OutputFile id="o" fileName="o.dat"><OutputColumn id="v" quantity="leaks[0]/v"/></OutputFile>
</Simulation></Lems>"""


def connections() -> str:
    """Return connections and inputs; a fixed arithmetic, in which no two cells are alike."""
    lines = [f'<explicitInput target="E[{cell}]" input="pulse"/>' for cell in range(0, 40, 3)]
    for pre, post, synapse, sizes in (
        ("E", "E", "ampa", (40, 40)),
        ("E", "I", "ampa", (40, 10)),
        ("I", "E", "gaba", (10, 40)),
        ("I", "I", "gaba", (10, 10)),
        ("S", "E", "tired", (2, 40)),
    ):
        lines.append(
            f'<projection id="{pre}{post}" presynapticPopulation="{pre}" '
            f'postsynapticPopulation="{post}" synapse="{synapse}">'
        )
        for number in range(3 * sizes[1]):
            cell = (number * 7 + number // 5) % sizes[0]
            weight, delay = 0.4 + 0.1 * (number % 9), 0.3 * (number % 7)
            lines.append(
                f'<connectionWD id="{number}" preCellId="../{pre}[{cell}]" '
                f'postCellId="../{post}[{number % sizes[1]}]" weight="{weight}" delay="{delay}ms"/>'
            )
        lines.append("</projection>")
    lines.append(
        '<electricalProjection id="g" presynapticPopulation="I" postsynapticPopulation="I">'
        '<electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>'
        '<electricalConnection id="1" preCell="1" postCell="0" synapse="gap"/>'
        "</electricalProjection>"
        '<continuousProjection id="c" presynapticPopulation="E" postsynapticPopulation="I">'
        '<continuousConnection id="0" preCell="2" postCell="3" preComponent="silent" '
        'postComponent="graded"/></continuousProjection>'
    )
    return "\n".join(lines)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the exported scripts of all cases, which have been run."""
    folder = tmp_path_factory.mktemp("brian2")
    extract_examples(folder)
    (folder / "network.xml").write_text(NETWORK % connections())
    (folder / "events.xml").write_text(EVENTS)
    paths = {}
    for name, (duration, dt, _) in CASES.items():
        paths[name] = folder / "out" / f"{name}.py"
        izhi_models.export(
            source(folder, name), "brian2", paths[name], duration=duration, dt=dt or None
        )
    run(list(paths.values()), folder)
    return paths


def source(folder: Path, name: str) -> Path | str:
    if name.startswith("Ex"):
        return folder / LEMS / f"LEMS_NML2_{name}.xml"
    return folder / f"{name}.xml" if name in ("network", "events") else name


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
def own_results(folder: Path, name: str) -> tuple[Results, float]:
    duration, dt, _ = CASES[name]
    model = izhi_models.load(source(folder, name))
    return model.compile(dt=dt or None).simulate(duration), model.step(dt or None)


def trains(results: Results, population: str, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and cells, by cell."""
    found = results.spikes[population]
    steps = np.rint(found.times_s / dt_s).astype(int)
    order = np.lexsort((steps, found.indices))
    return steps[order], found.indices[order]


@pytest.mark.parametrize("name", CASES)
def test_brian2_sends_the_same_spikes(scripts: dict[str, Path], name: str) -> None:
    folder = scripts[name].parent.parent
    results, dt_s = own_results(folder, name)
    found = results_of(scripts[name])
    for population in results.spikes:
        steps, cells = trains(results, population, dt_s)
        order = np.lexsort((found[f"{population}.steps"], found[f"{population}.cells"]))
        np.testing.assert_array_equal(found[f"{population}.cells"][order], cells)
        late = np.abs(found[f"{population}.steps"][order] - steps)
        assert late.max(initial=0) <= (1 if name in GATED else 0), population
    sending = {population for population, item in results.spikes.items() if item.count}
    assert set(CASES[name][2].split()) <= sending


@pytest.mark.parametrize("name", EULER)
def test_brian2_has_the_same_states(scripts: dict[str, Path], name: str) -> None:
    results, _ = own_results(scripts[name].parent.parent, name)
    found = results_of(scripts[name])
    traces = [trace for trace in results.traces if trace.path in found]
    assert traces
    for trace in traces:
        values = np.asarray(trace.values)[1:]
        # Rounding, 1e-16 in each step, which a spiking cell amplifies until the next spike.
        scale = 1e-9 * np.abs(values).max(initial=0.0)
        np.testing.assert_allclose(found[trace.path][: len(values)], values, rtol=0, atol=scale)


def test_brian2_translates_with_its_compiler(scripts: dict[str, Path], tmp_path: Path) -> None:
    """The functions that Brian2 does not have are given in Cython too."""
    text = scripts["Ex2_Izh"].read_text()
    short = tmp_path / "short.py"
    short.write_text(re.sub("^DURATION = .*", "DURATION = 25*ms", text, flags=re.M))
    done = subprocess.run(
        [sys.executable, "-P", str(short), "cython"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    numbers = results_of(short)["izpopBurst/v"]
    expected = results_of(scripts["Ex2_Izh"])["izpopBurst/v"][: len(numbers)]
    np.testing.assert_allclose(numbers, expected, rtol=0, atol=1e-12)  # [V], rounding
