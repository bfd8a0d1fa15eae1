"""The rung `invariants`: sound stochastic models hold, and planted faults are caught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from izhi_models.annarchy import start
from izhi_models.annarchy.equations import Emission
from izhi_models.checks import CheckReport, check
from izhi_models.checks.statistics import of_count, of_distribution, same_distribution, same_mean
from izhi_models.errors import CheckError
from izhi_models.lems import structure
from izhi_models.library import models_folder
from tests.conftest import WriteModel

SOURCES = """<spikeGeneratorPoisson id="poisson" averageRate="80 Hz"/>
<spikeGeneratorRefPoisson id="refractory" averageRate="60 Hz" minimumISI="5 ms"/>
<spikeGeneratorRandom id="even" minISI="5 ms" maxISI="25 ms"/>
<SpikeSourcePoisson id="window" start="20 ms" duration="150 ms" rate="400 Hz"/>
<expOneSynapse id="ampa" gbase="1nS" erev="0mV" tauDecay="5ms"/>
<poissonFiringSynapse id="firing" averageRate="70 Hz" synapse="ampa" spikeTarget="./ampa"/>
<iafCell id="iaf" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.1nF"
  leakConductance="10nS"/>
<Include file="PyNN.xml"/>"""
POPULATIONS = (
    '<population id="P" component="poisson" size="20"/>'
    '<population id="R" component="refractory" size="20"/>'
    '<population id="E" component="even" size="20"/>'
    '<population id="W" component="window" size="40"/>'
    '<population id="C" component="iaf" size="2"/><explicitInput target="C[0]" input="firing"/>'
)
RUN = 'length="200ms" step="0.1ms" target="net"'
RULE = (
    '<fixedProbabilityNoAutapses id="thin" presynapticPopulation="A" postsynapticPopulation="B" '
    'synapse="ampa" probability="0.1" weightMin="1" weightMax="2" delay="1ms" '
    'destination="synapses"/>'
    '<fixedInDegree id="few" presynapticPopulation="A" postsynapticPopulation="B" '
    'synapse="ampa" inDegree="5" weightMin="0" weightMax="1" delay="2ms" destination="synapses"/>'
)


@pytest.fixture
def sources(write_model: WriteModel) -> Path:
    column = '<OutputFile id="o" fileName="v.dat"><OutputColumn id="v" quantity="C[0]/v"/>'
    return write_model(SOURCES, POPULATIONS, RUN, f"{column}</OutputFile>")


@pytest.fixture
def rules(write_model: WriteModel) -> Path:
    types = models_folder() / "networks" / "connection_rules.types.xml"
    populations = "".join(f'<population id="{x}" component="iaf" size="100"/>' for x in "AB")
    components = SOURCES + f'<Include file="{types}"/>'
    column = '<OutputFile id="o" fileName="v.dat"><OutputColumn id="v" quantity="A[0]/v"/>'
    outputs = f"{column}</OutputFile>"
    return write_model(components, populations + RULE, RUN, outputs, name="rules.xml")


def failed(report: CheckReport) -> set[str]:
    return {item.what for item in report.rung("invariants").failures}


def test_sound_sources_and_rules_hold(sources: Path, rules: Path) -> None:
    report = check(sources, ["invariants"])
    report.raise_if_failed()
    told = {item.what for item in report.rung("invariants").findings}
    for name in "PREW":
        assert {f"spikes of {name}", f"intervals of {name}"} <= told
    assert any(item.startswith("C/synapses[0]/tnextIdeal at") for item in told)
    report = check(rules, ["invariants"])
    report.raise_if_failed()
    told = {item.what for item in report.rung("invariants").findings}
    assert {"connections onto a cell of thin", "connections from a cell of few"} <= told


def test_numbers_that_are_not_even_are_caught(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(self: Emission, distribution: str) -> object:
        name = original(self, distribution)
        text = self.equations[-1].text.replace("Uniform(0.0", "Uniform(0.2")
        self.equations[-1] = type(self.equations[-1])(self.equations[-1].symbol, text, False)
        return name

    original = Emission._draw
    monkeypatch.setattr(Emission, "_draw", draw)
    found = failed(check(sources, ["invariants"]))
    assert {"intervals of P", "intervals of R", "intervals of E"} <= found


def test_a_start_of_another_distribution_is_caught(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = start.initial_values

    def shifted(*arguments: object) -> dict[str, NDArray[np.float64]]:
        found = original(*arguments)
        return {name: 1.5 * value if "tnext" in name else value for name, value in found.items()}

    monkeypatch.setattr(start, "initial_values", shifted)
    assert "P/tnextIdeal at the start" in failed(check(sources, ["invariants"]))


def test_a_wrong_probability_of_connections_is_caught(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = structure.bernoulli
    monkeypatch.setattr(
        structure,
        "bernoulli",
        lambda total, chance, random: original(total, 1.1 * chance, random),
    )
    assert "connections onto a cell of thin" in failed(check(rules, ["invariants"]))


def test_cells_that_are_preferred_are_caught(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_ones(n_rows: int, n: int, count: int, *_: object) -> NDArray[np.int32]:
        return np.tile(np.arange(count, dtype=np.int32), (n_rows, 1))

    monkeypatch.setattr(structure, "distinct", first_ones)
    with pytest.raises(CheckError, match="connections from a cell of few"):
        check(rules, ["invariants"]).raise_if_failed()


def test_probabilities_are_those_of_the_tests() -> None:
    random = np.random.default_rng(5)
    same = [
        same_distribution(random.normal(size=300), random.normal(size=200), random)
        for _ in range(400)
    ]
    # Of a right test, a tenth of all are below a tenth: 40, with a deviation of 6.
    assert 15 < sum(item < 0.1 for item in same) < 65
    assert same_distribution(random.normal(size=3000), random.normal(0.2, 1, 3000), random) < 1e-6
    means = [same_mean(random.normal(size=50), random.normal(size=80)) for _ in range(400)]
    assert 15 < sum(item < 0.1 for item in means) < 65
    even = [
        of_distribution(random.random(200), lambda x: np.clip(x, 0.0, 1.0), 0.0) for _ in range(400)
    ]
    assert 15 < sum(item < 0.1 for item in even) < 65
    # What is rounded up by less than the slack is no fault.
    rounded = np.ceil(random.random(2000) * 20) / 20
    assert of_distribution(rounded, lambda x: np.clip(x, 0.0, 1.0), 0.0) < 1e-3
    assert of_distribution(rounded, lambda x: np.clip(x, 0.0, 1.0), 0.05) > 0.5
    assert of_count(130.0, 100.0, 10.0) == pytest.approx(0.0027, rel=0.01)  # three deviations
