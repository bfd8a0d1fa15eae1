"""The same seed gives the same spikes; storage and precision change no more than rounding does."""

import subprocess
import sys

import numpy as np
import pytest

import izhi_models

# 1e6 random weights and noise in each step: every random number and every sum counts.
MODEL = "pulse_coupled"
PRINT_DIGEST = f"""
import hashlib, izhi_models
trains = izhi_models.load({MODEL!r}).compile(seed=5).simulate("300 ms").spikes
parts = [trains[name] for name in sorted(trains)]
data = b"".join(part.times_s.tobytes() + part.indices.tobytes() for part in parts)
print(hashlib.sha256(data).hexdigest())
"""


@pytest.fixture(scope="module")
def model():
    return izhi_models.load(MODEL)


def spikes(run, duration="300 ms"):
    trains = run.simulate(duration).spikes
    return {name: (item.times_s.tolist(), item.indices.tolist()) for name, item in trains.items()}


def test_simulate__same_seed__same_spikes_in_every_run_and_process(model):
    run = model.compile(seed=5)
    first = spikes(run)
    assert sum(len(times) for times, _ in first.values()) > 1000
    run.reset()
    assert spikes(run) == first
    run.reset(seed=6)
    assert spikes(run) != first
    digests = {
        subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_simulate__two_threads__same_spikes_as_one(model):
    assert spikes(model.compile(seed=5, threads=2)) == spikes(model.compile(seed=5))


def test_simulate__single_precision__same_activity(model):
    counts = []
    for precision in ("double", "float"):
        run = model.compile(seed=5, precision=precision)
        counts.append(sum(len(times) for times, _ in spikes(run, "1 s").values()))
    # Rounding makes other spikes of a chaotic network, but no other rate: over seeds, the number
    # of spikes in 1 s has a standard deviation of 2.5 %.
    assert np.isclose(counts[0], counts[1], rtol=0.1)


N_CELLS = 40


def all_to_all(folder, more=""):
    """Write a network in which each cell is connected to each, with random weights."""
    random = np.random.default_rng(3)
    weights = random.uniform(-0.2, 0.4, (N_CELLS, N_CELLS))
    rows = [
        f'<connectionWD id="{pre * N_CELLS + post}" preCellId="../p/{pre}/c" '
        f'postCellId="../p/{post}/c" weight="{weights[pre, post]}" delay="1 ms"/>'
        for pre in range(N_CELLS)
        for post in range(N_CELLS)
    ]
    drives = random.uniform(0.8, 1.6, N_CELLS)
    inputs = [
        f'<inputW id="{i}" target="../p/{i}/c" destination="synapses" weight="{drive}"/>'
        for i, drive in enumerate(drives)
    ]
    path = folder / "all_to_all.net.nml"
    path.write_text(
        f"""<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="all_to_all">
<expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="5ms"/>
<iafCell id="c" leakReversal="-65mV" thresh="-50mV" reset="-65mV" C="0.2nF" leakConductance="10nS"/>
<pulseGenerator id="i" delay="0ms" duration="1s" amplitude="0.2nA"/>
<network id="n"><population id="p" component="c" size="{N_CELLS}"/>
<projection id="e" presynapticPopulation="p" postsynapticPopulation="p" synapse="s">
{"".join(rows)}{more}
</projection>
<inputList id="l" population="p" component="i">{"".join(inputs)}</inputList>
</network></neuroml>"""
    )
    return izhi_models.load(path)


def test_simulate__matrix_or_list__same_spikes(tmp_path):
    model = all_to_all(tmp_path)
    # A second connection between two cells has no place in a matrix; of weight 0, it adds nothing.
    listed = all_to_all(
        tmp_path,
        f'<connectionWD id="{N_CELLS**2}" preCellId="../p/0/c" postCellId="../p/0/c" '
        'weight="0" delay="1 ms"/>',
    )
    found = [
        spikes(item.compile(dt="0.1 ms", threads=threads), "1 s")
        for item in (model, listed)
        for threads in (1, 2)
    ]
    assert len(found[0]["p"][0]) > 1000
    assert found[1:] == found[:1] * 3


def test_simulate__single_precision__same_count_without_chance(tmp_path):
    counts = []
    for precision in ("double", "float"):
        run = all_to_all(tmp_path).compile(dt="0.1 ms", precision=precision)
        counts.append(len(spikes(run, "1 s")["p"][0]))
    # A cell near its threshold may spike a step earlier or later, and so move the spikes after it,
    # but each cell's interval is set by its current: at most one spike of each cell is lost or won.
    assert abs(counts[0] - counts[1]) <= N_CELLS
