"""Exported scripts, run by plain ANNarchy in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.results import Results
from izhi_models.units import VOLTAGE, from_simulation
from tests.model_text import HODGKIN_HUXLEY

DT_S = 0.05e-3
# One compilation for all: cells of six kinds, and every kind of connection between them.
NETWORK = f"""<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/><Include file="Synapses.xml"/><Include file="PyNN.xml"/>
<izhikevichCell id="rs" v0="-65mV" thresh="30mV" a="0.02" b="0.2" c="-65" d="8"/>
<izhikevichCell id="ch" v0="-65mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>
<adExIaFCell id="adex" C="281pF" gL="30nS" EL="-70.6mV" reset="-48.5mV" VT="-50.4mV"
  thresh="-40.4mV" refract="2ms" delT="2mV" tauw="40ms" a="4nS" b="0.08nA"/>
<iafRefCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS" refract="5ms"/>
{HODGKIN_HUXLEY}
<pulseGenerator id="strong" delay="10ms" duration="200ms" amplitude="0.8nA"/>
<pulseGenerator id="weak" delay="10ms" duration="200ms" amplitude="0.08nA"/>
<pulseGeneratorDL id="bare" delay="10ms" duration="200ms" amplitude="10"/>
<spikeGenerator id="clock" period="8ms"/>
<expTwoSynapse id="fast" gbase="9nS" erev="0mV" tauRise="1ms" tauDecay="4ms"/>
<gapJunction id="gap" conductance="4nS"/><silentSynapse id="silent"/>
<gradedSynapse id="graded" conductance="30nS" delta="5mV" Vth="-35mV" k="0.5per_ms" erev="0mV"/>
<blockingPlasticSynapse id="tired" gbase="40nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <tsodyksMarkramDepFacMechanism id="mech" initReleaseProb="0.5" tauFac="100ms" tauRec="200ms"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="tireless" gbase="50nS" erev="0mV" tauRise="0.6ms" tauDecay="7ms">
  <tsodyksMarkramDepFacMechanism id="mech" initReleaseProb="0.2" tauFac="300ms" tauRec="20ms"/>
</blockingPlasticSynapse>
<network id="net">
  <population id="I" component="rs" size="2"/><population id="J" component="ch" size="1"/>
  <population id="A" component="adex" size="30"/>
  <population id="B" component="iaf" size="6"/><population id="H" component="hh" size="2"/>
  <population id="S" component="clock" size="2"/>
  %s
  <explicitInput target="I[0]" input="bare"/><explicitInput target="J[0]" input="bare"/>
  <explicitInput target="H[0]" input="weak"/>
</network>
<Simulation id="sim" length="120ms" step="0.05ms" target="net">
  <OutputFile id="o" fileName="v.dat"><OutputColumn id="h" quantity="H[0]/v"/>
  <OutputColumn id="a" quantity="A[3]/v"/><OutputColumn id="b" quantity="B[1]/v"/>
  <OutputColumn id="i" quantity="I[0]/v"/></OutputFile>
</Simulation></Lems>"""


def connections() -> str:
    """Return an input per cell of A, and connections of all kinds, two between one pair too."""
    lines = [
        f'<explicitInput target="A[{cell}]" input="strong"/>' for cell in range(30) if cell % 4 == 0
    ]
    lines += [
        '<projection id="w" presynapticPopulation="A" postsynapticPopulation="A" synapse="fast">'
    ]
    pairs = [(pre, (pre * 7 + k * 5 + 1) % 30) for pre in range(30) for k in range(4)]
    for number, (pre, post) in enumerate([*pairs, pairs[0]]):
        weight, delay = 0.5 + 0.1 * (number % 9), 0.5 + 0.35 * (number % 7)
        lines.append(
            f'<connectionWD id="{number}" preCellId="../A[{pre}]" postCellId="../A[{post}]" '
            f'weight="{weight}" delay="{delay}ms"/>'
        )
    lines.append("</projection>")
    lines += [
        f'<synapticConnection from="S[{k % 2}]" to="B[{k}]" synapse="{name}" '
        'destination="synapses"/>'
        for k, name in enumerate(["tired"] * 3 + ["tireless"] * 2)
    ]
    lines.append(
        '<electricalProjection id="g" presynapticPopulation="H" postsynapticPopulation="H">'
    )
    lines += [
        f'<electricalConnection id="{n}" preCell="{n}" postCell="{1 - n}" synapse="gap"/>'
        for n in range(2)
    ]
    lines += [
        "</electricalProjection>",
        '<continuousProjection id="c" presynapticPopulation="H" postsynapticPopulation="B">'
        '<continuousConnection id="0" preCell="0" postCell="5" preComponent="silent" '
        'postComponent="graded"/></continuousProjection>',
    ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, dict[str, np.ndarray]]:
    """Return what a run of this package gives, and what the exported script gives."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "all.xml").write_text(NETWORK % connections())
    model = izhi_models.load(folder / "all.xml")
    written = izhi_models.export(model, "annarchy", folder / "out" / "all.py")
    return model.compile().simulate(), run_script(written[0])


def run_script(path: Path) -> dict[str, np.ndarray]:
    # Nothing of this package is within reach of the script.
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    folders = [str(Path(sys.executable).parent), environment.get("PATH", "")]
    environment["PATH"] = os.pathsep.join(folders)
    done = subprocess.run(
        [sys.executable, "-P", str(path)],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with np.load(path.with_name(f"{path.stem}_results.npz")) as file:
        return dict(file)


@pytest.mark.parametrize("population", ["I", "J", "A", "B", "H", "S"])
def test_an_exported_script_sends_the_same_spikes(
    runs: tuple[Results, dict[str, np.ndarray]], population: str
) -> None:
    results, script = runs
    trains = results.spikes[population]
    assert trains.count > 0
    steps = np.rint(trains.times_s / DT_S).astype(int)
    order = np.lexsort((trains.indices, steps))
    np.testing.assert_array_equal(script[f"{population}.steps"], steps[order])
    np.testing.assert_array_equal(script[f"{population}.cells"], trains.indices[order])


# Where the script has what the file records: the variable, and its population of ANNarchy. Not B:
# ANNarchy sorts the factors of a psp, which cannot be computed in parts.
COLUMNS = {"H[0]/v": "H_.v", "A[3]/v": "A_.v", "I[0]/v": "izhikevichCell.v"}


@pytest.mark.parametrize("path", COLUMNS)
def test_an_exported_script_has_the_same_membrane_potentials_bit_for_bit(
    runs: tuple[Results, dict[str, np.ndarray]], path: str
) -> None:
    results, script = runs
    cell = int(path.partition("[")[2].partition("]")[0])
    table = script[COLUMNS[path]]
    (column,) = np.flatnonzero(script[f"{COLUMNS[path]}.cells"] == cell)
    np.testing.assert_array_equal(results.si(path)[1:], from_simulation(table[:, column], VOLTAGE))
