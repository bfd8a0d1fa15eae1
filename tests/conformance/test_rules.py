"""Rules and the pulse-coupled network, against the reference interpreter and the paper."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.execute import Settings, execute
from izhi_models.library import models_folder
from tests.conformance.reference import run_jneuroml

NETWORKS = models_folder() / "networks"
N_E, N_I = 800, 200

# Each presynaptic cell fires once, at a time of its own, and each synapse adds its weight to a
# charge that never decays: the charge of a cell over time tells all connections onto it.
RULES = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="connection_rules.types.xml"/>
<ComponentType name="ticker" extends="baseSpikingCell"><Exposure name="rank" dimension="none"/>
<Attachments name="synapses" type="basePointCurrentDL"/><Exposure name="charge" dimension="none"/>
<Dynamics><StateVariable name="rank" dimension="none" exposure="rank"/>
<DerivedVariable name="charge" dimension="none" exposure="charge" select="synapses[*]/I"
                 reduce="add"/>
<OnCondition test="rank .lt. 1"><StateAssignment variable="rank" value="1"/>
<EventOut port="spike"/></OnCondition></Dynamics></ComponentType>
<ComponentType name="store" extends="basePointCurrentDL">
<Property name="weight" dimension="none" defaultValue="1"/><EventPort name="in" direction="in"/>
<Dynamics><StateVariable name="q" dimension="none"/>
<DerivedVariable name="I" dimension="none" exposure="I" value="q"/>
<OnEvent port="in"><StateAssignment variable="q" value="q + weight"/></OnEvent></Dynamics>
</ComponentType>
<ticker id="cell"/><store id="syn"/>
<network id="net"><population id="P" component="cell" size="5"/>
<population id="Q" component="cell" size="3"/>
<allToAll id="a" presynapticPopulation="P" postsynapticPopulation="Q" synapse="syn"
          weightMin="0.25" weightMax="0.25" delay="2ms"/>
<allToAllNormal id="n" presynapticPopulation="P" postsynapticPopulation="Q" synapse="syn"
                weightMean="3" weightSd="0" delay="5ms"/>
<fixedProbability id="f" presynapticPopulation="Q" postsynapticPopulation="P" synapse="syn"
                  probability="1" weightMin="2" weightMax="2" delay="1.5ms"/>
<fixedProbability id="g" presynapticPopulation="Q" postsynapticPopulation="P" synapse="syn"
                  probability="0" weightMin="7" weightMax="7" delay="3ms"/>
</network>
<Simulation id="sim" length="8ms" step="0.5ms" target="net"><OutputFile id="o" fileName="o.dat">
{columns}</OutputFile></Simulation></Lems>"""


def test_rules_make_the_connections_of_the_reference(tmp_path):
    cells = [f"P[{cell}]" for cell in range(5)] + [f"Q[{cell}]" for cell in range(3)]
    columns = "".join(
        f'<OutputColumn id="c{number}" quantity="{cell}/charge"/>'
        for number, cell in enumerate(cells)
    )
    path = tmp_path / "rules.xml"
    path.write_text(RULES.format(columns=columns))
    types = NETWORKS / "connection_rules.types.xml"
    (tmp_path / types.name).write_text(types.read_text())
    reference = run_jneuroml(path)
    results = izhi_models.load(path).compile().simulate()
    for cell in cells:
        # A queued event reaches the reference one step late where the accumulated time rounds so.
        ours, theirs = results.si(f"{cell}/charge"), reference.traces[f"{cell}/charge"]
        assert ours[-1] == theirs[-1]
        assert set(np.unique(ours)) == set(np.unique(theirs))
    assert results.si("P[4]/charge")[-1] == 3 * 2.0
    assert results.si("Q[0]/charge")[-1] == 5 * (0.25 + 3.0)


def test_the_reference_reads_what_it_cannot_do_and_leaves_it_out(tmp_path):
    ends = 'presynapticPopulation="P" postsynapticPopulation="Q" synapse="syn"'
    weights = 'weightMin="1" weightMax="1"'
    rules = [
        f'<{kind} id="{kind}" {ends} {weights} delay="1ms" {more}/>'
        for kind, more in (
            ("oneToOne", ""),
            ("allToAllNoAutapses", ""),
            ("fixedProbabilityNoAutapses", 'probability="1"'),
            ("fixedInDegree", 'inDegree="2"'),
            ("fixedInDegreeNoAutapses", 'inDegree="2"'),
        )
    ]
    rules.append(
        f'<randomDelays id="r" {ends} weightMin="16" weightMax="16" probability="1" '
        'delayMin="3ms" delayMax="3ms"/>'
    )
    text = RULES.format(columns='<OutputColumn id="c" quantity="Q[0]/charge"/>')
    head, _, rest = text.partition("<allToAll ")
    path = tmp_path / "left_out.xml"
    path.write_text(head + "".join(rules) + "</network>" + rest.partition("</network>")[2])
    types = NETWORKS / "connection_rules.types.xml"
    (tmp_path / types.name).write_text(types.read_text())
    reference = run_jneuroml(path).traces["Q[0]/charge"]
    ours = izhi_models.load(path).compile().simulate().si("Q[0]/charge")
    assert reference[-1] == 5 * 16  # only those of randomDelays
    assert reference[3] == 5 * 16  # and these at once
    assert ours[-1] == 1 + 5 + 5 + 2 + 2 + 5 * 16
    assert ours[6] == 1 + 5 + 5 + 2 + 2  # after 3 ms; a spike at 0.5 ms comes 3 ms later


# The network of the paper


def without_chance(folder: Path) -> Path:
    """Write the pulse-coupled network without chance, small, with spikes all the same."""
    for file in NETWORKS.glob("*.types.xml"):
        (folder / file.name).write_text(file.read_text())
    text = (NETWORKS / "pulse_coupled.xml").read_text()
    for old, new in (
        ('size="800"', 'size="5"'),
        ('size="200"', 'size="3"'),
        ('weightMin="0" weightMax="0.5"', 'weightMin="9" weightMax="9"'),
        ('weightMin="-1" weightMax="0"', 'weightMin="-4" weightMax="-4"'),
        ('noise="5"', 'noise="0"'),
        ('noise="2"', 'noise="0"'),
        ('cr="15"', 'cr="0"'),
        ('dr="-6"', 'dr="0"'),
        ('ar="0.08"', 'ar="0"'),
        ('br="-0.05"', 'br="0"'),
        ('v0="-65mV"', 'v0="-45mV"'),
        ('b0="0.2"', 'b0="0.3"'),  # no rest: it spikes without noise
        (
            '<OutputColumn id="E" quantity="E[0]/v"/>',
            '<OutputColumn id="E" quantity="E[0]/v"/><OutputColumn id="u" quantity="I[2]/u"/>',
        ),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "small.xml"
    path.write_text(text)
    return path


def test_the_small_network_without_chance_is_that_of_the_reference(tmp_path):
    path = without_chance(tmp_path)
    reference = run_jneuroml(path)
    results = izhi_models.load(path).compile().simulate()
    assert results.spikes["E"].count > 20
    for quantity in ("E[0]/v", "I[0]/v", "I[2]/u"):
        # The reference writes single precision.
        np.testing.assert_allclose(
            results.si(quantity), reference.traces[quantity], rtol=2e-6, atol=1e-9
        )


def listing(seed: int, n_steps: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """The network as the paper lists it. Source: Izhikevich (2003), net.m.

    Returns the step and the number of the cell of each spike.
    """
    draw = np.random.default_rng(seed)
    n = N_E + N_I
    re, ri = draw.random(N_E), draw.random(N_I)
    a = np.r_[np.full(N_E, 0.02), 0.02 + 0.08 * ri]
    b = np.r_[np.full(N_E, 0.2), 0.25 - 0.05 * ri]
    c = np.r_[-65 + 15 * re**2, np.full(N_I, -65.0)]
    d = np.r_[8 - 6 * re**2, np.full(N_I, 2.0)]
    s = np.c_[0.5 * draw.random((n, N_E)), -draw.random((n, N_I))]
    v = np.full(n, -65.0)
    u = b * v
    steps, cells = [], []
    for step in range(1, n_steps + 1):
        current = np.r_[5 * draw.standard_normal(N_E), 2 * draw.standard_normal(N_I)]
        fired = np.flatnonzero(v >= 30)
        steps.append(np.full(fired.size, step))
        cells.append(fired)
        v[fired] = c[fired]
        u[fired] += d[fired]
        current += s[:, fired].sum(axis=1)
        for _ in range(2):
            v = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + current)
        u = u + a * (b * v - u)
    return np.concatenate(steps), np.concatenate(cells)


def measures(steps: np.ndarray, is_inhibitory: np.ndarray, n_steps: int = 1000) -> list[float]:
    """Rates of both types, and power (as logs) and place of the peaks of the rate's spectrum."""
    counts = np.bincount(steps, minlength=n_steps + 2)[1 : n_steps + 1].astype(float)
    power = np.abs(np.fft.rfft((counts - counts.mean()) * np.hanning(n_steps))) ** 2
    hz = np.fft.rfftfreq(n_steps, 1e-3)
    seconds = n_steps * 1e-3
    inside = [(hz >= low) & (hz <= high) for low, high in ((5.0, 15.0), (25.0, 60.0))]
    bands = [power[band] for band in inside]
    return [
        np.count_nonzero(~is_inhibitory) / N_E / seconds,
        np.count_nonzero(is_inhibitory) / N_I / seconds,
        *(float(np.log(band.max())) for band in bands),
        *(float(np.log(band.mean())) for band in bands),
        *(float(hz[band][power[band].argmax()]) for band in inside),
    ]


def test_rates_and_rhythms_are_those_of_the_listing_in_the_paper(tmp_path):
    n_seeds = 20
    model = izhi_models.load("pulse_coupled")
    ours, papers = [], []
    for seed in range(n_seeds):
        run = model.compile(seed=seed)  # draws the connections anew, which reset does not
        spikes = run.simulate().spikes
        run.close()
        trains = spikes["E"], spikes["I"]
        steps = np.rint(np.concatenate([item.times_s for item in trains]) * 1e3).astype(int)
        ours.append(measures(steps, np.repeat([False, True], [item.count for item in trains])))
        steps, cells = listing(seed)
        papers.append(measures(steps, cells >= N_E))
    first, second = np.array(ours), np.array(papers)
    # Welch's t of the means. Its 8 values lie beyond 3.8 by chance once in about 250 choices of
    # the seeds (t with 38 degrees of freedom: p = 5e-4 each); the seeds are fixed.
    error = np.sqrt((first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / n_seeds)
    assert np.all(np.abs(first.mean(axis=0) - second.mean(axis=0)) < 3.8 * error)
    # The spread between networks is that of the paper's too: F with 19 and 19 degrees of freedom
    # lies beyond 5 with p = 1e-3.
    ratio = first.var(axis=0) / second.var(axis=0)
    assert np.all((ratio > 0.2) & (ratio < 5.0))
    # Izhikevich (2003), Fig. 3: about 8 Hz, by eye.
    assert first[:, 0].mean() == pytest.approx(8.0, abs=1.0)


def test_other_sizes_and_noise_are_set_from_outside(tmp_path):
    values = {"E/size": "80", "I/size": "20", "excitatory/noise": "6", "length": "50 ms"}
    report = execute("pulse_coupled", Settings(tmp_path / "out", plot=False, set=values))
    assert {name: item.n_neurons for name, item in report.results.spikes.items()} == {
        "E": 80,
        "I": 20,
    }
    assert report.results.duration_s == pytest.approx(0.05, rel=1e-12)
    assert json.loads((tmp_path / "out/run.json").read_text())["set"] == values


def test_the_seed_of_a_run_draws_the_connections_and_a_reset_keeps_them():
    model = izhi_models.load("pulse_coupled", set={"E/size": "20", "I/size": "5"})
    first, again, other = (
        model.compile(seed=seed).model.network.projections[0].weights for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    run = model.compile(seed=3)
    run.reset(seed=4)
    assert np.array_equal(run.model.network.projections[0].weights, first)
    run.close()
