"""Programs run by ANNarchy's own code: on the processor, and compiled for a GPU."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.annarchy import live
from izhi_models.annarchy.build import annarchy_folder
from izhi_models.annarchy.live import LiveLibrary
from izhi_models.annarchy.run import Simulator
from izhi_models.errors import BackendError, RunError
from tests.conftest import WriteModel
from tests.model_text import POTASSIUM

COMPONENTS = f"""
<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>
<iafRefCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS" refract="5ms"/>
<adExIaFCell id="adex" C="281pF" gL="30nS" EL="-70.6mV" reset="-48.5mV" VT="-50.4mV"
  thresh="-40.4mV" refract="2ms" delT="2mV" tauw="40ms" a="4nS" b="0.08nA"/>
{POTASSIUM}
<pointCellCondBased id="hh" C="10pF" v0="-60mV" thresh="20mV">
  <channelPopulation id="kChans" ionChannel="k" number="3600" erev="-77mV"/>
</pointCellCondBased>
<expTwoSynapse id="fast" gbase="9nS" erev="0mV" tauRise="1ms" tauDecay="4ms"/>
<gapJunction id="gap" conductance="0.1nS"/>
<blockingPlasticSynapse id="tired" gbase="40nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <tsodyksMarkramDepFacMechanism id="mech" initReleaseProb="0.5" tauFac="100ms" tauRec="200ms"/>
</blockingPlasticSynapse>
<pulseGeneratorDL id="pulse" delay="2ms" duration="90ms" amplitude="10"/>
""".replace("\n", " ")
NETWORK = """
<population id="pop" component="cell" size="2"/><population id="B" component="iaf" size="3"/>
<population id="A" component="adex" size="2"/><population id="H" component="hh" size="2"/>
<projection id="p" presynapticPopulation="B" postsynapticPopulation="A" synapse="fast">
 <connectionWD id="0" preCellId="../B[0]" postCellId="../A[1]" weight="1.5" delay="2ms"/>
 <connectionWD id="1" preCellId="../B[2]" postCellId="../A[1]" weight="0.5" delay="2ms"/>
</projection>
%s
<electricalProjection id="g" presynapticPopulation="H" postsynapticPopulation="H">
 <electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>
</electricalProjection>
<explicitInput target="pop[0]" input="pulse"/>
""".replace("\n", " ")
PLASTIC = """
<projection id="q" presynapticPopulation="B" postsynapticPopulation="A" synapse="tired">
 <connection id="0" preCellId="../B[1]" postCellId="../A[0]"/>
</projection>
""".replace("\n", " ")
PATHS = ("pop/v", "B/v", "A/w", "H/v")


@pytest.fixture
def simulators(write_model: WriteModel) -> tuple[Simulator, Simulator]:
    """Return the same network in our library, and in ANNarchy's on the processor."""
    model = izhi_models.load(write_model(COMPONENTS, NETWORK % PLASTIC))
    recordings = model.recordings(PATHS, None, 1e-4)
    lowering = model.lower(recordings)
    engine = LiveLibrary(lowering.program, "openmp")
    return tuple(Simulator(lowering, recordings, 1e-4, 1, engine=item) for item in (None, engine))


def test_annarchy_itself_gives_the_same_results_bit_for_bit(
    simulators: tuple[Simulator, Simulator],
) -> None:
    """Also when a run is continued, a parameter is changed in it, and it is reset."""
    stretches: list[list[izhi_models.Results]] = []
    for simulator in simulators:
        first = simulator.simulate(40e-3)
        simulator.set("pop", "d", np.array(4.0))
        second = simulator.simulate(20e-3)
        simulator.reset()
        stretches.append([first, second, simulator.simulate(30e-3)])
        simulator.close()
    for ours, theirs in zip(*stretches, strict=True):
        assert list(ours.spikes) == list(theirs.spikes)
        for name, trains in ours.spikes.items():
            np.testing.assert_array_equal(trains.times_s, theirs.spikes[name].times_s)
            np.testing.assert_array_equal(trains.indices, theirs.spikes[name].indices)
        for path in PATHS:
            np.testing.assert_array_equal(ours.si(path), theirs.si(path))
    assert stretches[0][0].spikes["pop"].count > 2
    assert stretches[0][0].spikes["B"].count > 0


def test_a_fault_in_annarchy_is_one_error(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = izhi_models.load(write_model())
    lowering = model.lower(())
    engine = LiveLibrary(lowering.program, "openmp")
    monkeypatch.setattr(live, "FLAGS", "--no-such-flag")
    with pytest.raises(BackendError, match=r"ANNarchy \(openmp\) failed: Compilation failed"):
        Simulator(lowering, (), 1e-4, 1, engine=engine).simulate(1e-3)
    engine.close()


def test_a_blow_up_is_reported_without_a_way_back(write_model: WriteModel) -> None:
    blow = (
        '<ComponentType name="own" extends="baseCell"><Constant name="SEC" dimension="time" '
        'value="1s"/><Exposure name="v" dimension="none"/><Dynamics><StateVariable name="v" '
        'dimension="none" exposure="v"/><OnStart><StateAssignment variable="v" value="2"/>'
        '</OnStart><TimeDerivative variable="v" value="v*v*v*1e9/SEC"/></Dynamics>'
        '</ComponentType><own id="cell"/>'
    )
    model = izhi_models.load(write_model(blow))
    recordings = model.recordings((), None, 1e-4)
    lowering = model.lower(recordings)
    engine = LiveLibrary(lowering.program, "openmp")
    with pytest.raises(RunError, match=r"'v' of pop\[0\] is not finite"):
        Simulator(lowering, recordings, 1e-4, 1, engine=engine).simulate(20e-3)
    engine.close()


def includes_curand(folder: Path) -> bool:
    (folder / "probe.cu").write_text("#include <curand_kernel.h>\n")
    command = ["nvcc", "-c", "probe.cu", "-o", "probe.o"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def test_the_code_for_a_gpu_compiles(
    write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Izhikevich, integrate-and-fire and AdEx cells, gates, events, gap junctions."""
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    if not includes_curand(tmp_path):
        pytest.skip("cuRAND, which ANNarchy's code includes, is not installed")
    monkeypatch.setattr(live, "device_count", lambda: 1)
    model = izhi_models.load(write_model(COMPONENTS, NETWORK % ""))
    engine = LiveLibrary(model.lower(()).program, "cuda")
    simulator = Simulator(model.lower(()), (), 1e-4, 1, engine=engine)
    with contextlib.suppress(BackendError):  # there may be no device
        simulator.simulate(1e-3)
    (source,) = engine.folder.glob("build/generate/net*/ANNarchyKernel*.cu")
    include = f"-I{annarchy_folder() / 'include'}"
    for name in (source.name, source.name.replace("Kernel", "Core").replace(".cu", ".cpp")):
        done = subprocess.run(
            ["nvcc", "-arch=sm_80", "-std=c++17", include, "-c", name, "-o", "out.o"],
            cwd=source.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    engine.close()
