"""Loading models and asking them for what a run needs; nothing is compiled."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import InputError, IzhiError, UnsupportedError
from izhi_models.lems.read import core_archive
from izhi_models.pipeline import show

PULSE = '<pulseGeneratorDL id="pulse" delay="5ms" duration="9ms" amplitude="10"/>'
CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
POPULATION = '<population id="pop" component="cell" size="3"/>'
DRIVEN = f'{POPULATION}<explicitInput target="pop[1]" input="pulse"/>'


def recorded(model: izhi_models.Model, *extra: str) -> dict[str, tuple[int, ...]]:
    return {f"{item.population}/{item.name}": item.cells for item in model.recordings(list(extra))}


def test_load__name__finds_the_simulation_of_the_package():
    model = izhi_models.load("izhikevich2003_RS")
    assert model.path.name == "izhikevich2003_RS.xml"
    assert model.network.n_neurons == 1


def test_load__names_of_the_public_api__exist():
    assert {"load", "Model", "Run", "Results"} <= set(izhi_models.__all__)
    assert all(hasattr(izhi_models, name) for name in izhi_models.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        izhi_models.lode  # noqa: B018


def test_load__neuroml_file__has_no_simulation(tmp_path):
    path = tmp_path / "net.nml"
    path.write_text(
        '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">'
        f'{CELL}<network id="net">{POPULATION}</network></neuroml>',
        encoding="utf-8",
    )
    model = izhi_models.load(path)
    assert recorded(model) == {"pop/v": (0, 1, 2)}
    assert model.duration("0.5 s") == 0.5
    with pytest.raises(InputError, match="declares no Simulation"):
        model.duration(None)


def test_recordings__of_a_simulation__are_what_it_names(write_model):
    model = izhi_models.load(write_model())
    assert recorded(model) == {"pop/v": (0,)}


def test_recordings__extra_paths__are_added(write_model):
    model = izhi_models.load(write_model(CELL + PULSE, DRIVEN))
    found = recorded(model, "pop/U", "pop[2]/v", "pop[1]/pulse/I")
    assert found == {"pop/v": (0, 2), "pop/U": (0, 1, 2), "pop/pulse/I": (1,)}


def test_recordings__selection_of_cells__is_as_python_indexes(write_model):
    network = DRIVEN.replace('size="3"', 'size="9"')
    model = izhi_models.load(write_model(CELL + PULSE, network, simulation=None))
    chosen = {
        "pop[2:4]/v": (2, 3),
        "pop[:2]/v": (0, 1),
        "pop[7:]/v": (7, 8),
        "pop[::4]/v": (0, 4, 8),
        "pop[5,2, 7:9]/v": (2, 5, 7, 8),
        "pop/v": tuple(range(9)),
        "pop[1:2]/pulse/I": (1,),
    }
    for path, cells in chosen.items():
        assert recorded(model, path) == {path.replace(path[3 : path.find("/")], ""): cells}


def test_recordings__period__is_counted_in_steps(write_model):
    model = izhi_models.load(write_model())  # 0.1 ms
    found = model.recordings(["pop/v", "pop/U@0.3ms", "pop[0]/v@0.1ms"], "1 ms")
    periods = {(item.name, item.cells): item.period for item in found}
    assert periods == {("v", (0,)): 1, ("v", (0, 1)): 10, ("U", (0, 1)): 3}


def test_recordings__period_between_steps__is_refused(write_model):
    with pytest.raises(InputError, match=r"every 0\.26 ms .* step of 0\.1 ms\n .*multiple"):
        izhi_models.load(write_model()).recordings(["pop/U@0.26ms"])


def test_recordings__period_of_nothing__is_refused(write_model):
    with pytest.raises(InputError, match="--record PATH"):
        izhi_models.load(write_model()).recordings(every="1 ms")


def test_recordings__cell_without_v__has_its_first_variable(write_model):
    own = (
        '<ComponentType name="own" extends="baseCell"><Exposure name="x" dimension="none"/>'
        '<Dynamics><DerivedVariable name="x" exposure="x" dimension="none" value="2 * 3"/>'
        '</Dynamics></ComponentType><own id="cell"/>'
    )
    assert recorded(izhi_models.load(write_model(own, simulation=None))) == {"pop/x": (0, 1)}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500 ms", 0.5), ("0.5s", 0.5), ("1 min", 60.0), (0.5, 0.5), ("0.025ms", 2.5e-5)],
)
def test_seconds__text_or_number__is_a_time(write_model, text, seconds):
    assert izhi_models.load(write_model()).seconds(text, "duration") == seconds


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "0 ms", "-1 ms", "5 mV", "5", "x", ""])
def test_seconds__no_time_above_zero__is_refused(write_model, value):
    with pytest.raises(InputError):
        izhi_models.load(write_model()).seconds(value, "duration")


def test_parameter__paths__lead_to_cells_and_inputs(write_model):
    model = izhi_models.load(write_model(CELL + PULSE, DRIVEN))
    assert model.parameter("pop/a").cells == {"a": None}
    assert model.parameter("pop[2]/v0").cells == {"v0": [2]}
    at_one = model.parameter("pop[1]/pulse/amplitude")
    assert (at_one.population, list(at_one.cells.values())) == ("pop", [[1]])
    # All cells that have the input, though the first has none.
    assert model.parameter("pop/pulse/amplitude").cells == at_one.cells


def test_parameter__with_derived_ones__names_what_follows(write_model):
    own = (
        '<ComponentType name="own" extends="baseCell"><Exposure name="v" dimension="none"/>'
        '<Parameter name="rate" dimension="per_time"/><Parameter name="k" dimension="none"/>'
        '<Constant name="two" dimension="none" value="2"/>'
        '<DerivedParameter name="mean" dimension="time" value="k / rate"/>'
        '<DerivedParameter name="twice" dimension="time" value="two * mean"/><Dynamics>'
        '<StateVariable name="v" dimension="none" exposure="v"/>'
        '<TimeDerivative variable="v" value="k / twice"/></Dynamics></ComponentType>'
        '<own id="cell" rate="5Hz" k="1"/>'
    )
    model = izhi_models.load(write_model(own))
    rate = model.parameter("pop/rate")
    assert rate.names() == ["rate", "mean", "twice"]
    values = {"k": np.array([1.0, 3.0])}
    found = rate.follow("rate", np.array([10.0, 20.0]), values.__getitem__)
    assert {name: array.tolist() for name, array in found.items()} == {
        "mean": [0.1, 0.15],
        "twice": [0.2, 0.3],
    }
    assert model.parameter("pop/twice").names() == ["twice"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("pop", "is no path of a parameter"),
        ("pap/a", "did you mean 'pop'"),
        ("pop/aa", "did you mean 'a'"),
        ("pop/v", "has no parameter 'v'"),
        ("pop[3]/a", "there is no cell 3"),
        ("pop[0]/pulse/amplitude", "has no parameter 'pulse/amplitude'"),
        ("", "is no path of a parameter"),
        ("pop[x]/a", "is no path of a parameter"),
    ],
)
def test_parameter__path_that_leads_nowhere__is_refused(write_model, path, message):
    model = izhi_models.load(write_model(CELL + PULSE, DRIVEN))
    with pytest.raises(InputError, match=re.escape(message)):
        model.parameter(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "rk5"}, "unknown method 'rk5'"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"threads": 0}, "0 threads"),
        ({"dt": 0}, "step must be greater than zero"),
        ({"dt": "1 mV"}, "is no time"),
        ({"record": "pop/w"}, "has no variable 'w'"),
        ({"record": ["pop[9]/v"]}, "there is no cell 9"),
        ({"record": "pop[0:3]/v"}, "'pop' has 2 cells, numbered from 0: '0:3' selects others"),
        ({"record": "pop[1:1]/v"}, "'1:1' selects no cells"),
        ({"record": "pop[0,]/v"}, "'' selects no cells"),
        ({"record": "pop[-1:]/v"}, "'-1:' selects no cells"),
        ({"record": "pop[::0]/v"}, "'::0' selects no cells"),
        ({"record": "pop/v@1mV"}, "is no time"),
        ({"record": "pop/v", "every": "0.01 ms"}, "every 0.01 ms does not go with a step of 0.1"),
        ({"record": "pop/v", "every": "1e30 s"}, "does not go with a step"),
        ({"per_cell": "pop/w"}, "has no parameter 'w'"),
    ],
)
def test_compile__wrong_argument__is_refused_before_anything_is_compiled(
    write_model, monkeypatch, options, message
):
    monkeypatch.setenv("CXX", "/bin/false")
    with pytest.raises(InputError, match=re.escape(message)):
        izhi_models.load(write_model()).compile(**options)


def test_dump__stages__are_equations_and_a_script(write_model):
    model = izhi_models.load(write_model())
    assert "d v/dt" in model.dump("ir")
    assert "import ANNarchy" in model.dump("program")
    with pytest.raises(InputError, match="unknown stage 'cpp'"):
        model.dump("cpp")


def test_show__cells_of_a_file_without_network__each(tmp_path):
    path = tmp_path / "cells.xml"
    second = CELL.replace('id="cell"', 'id="second"')
    path.write_text(f'<Lems><Include file="Cells.xml"/>{CELL}{second}</Lems>', encoding="utf-8")
    text = show(path)
    assert "cell, izhikevichCell" in text
    assert "second, izhikevichCell" in text


def test_load__every_example_of_neuroml__loads_or_says_what_and_where(tmp_path):
    with zipfile.ZipFile(core_archive()) as archive:
        names = [
            item
            for item in archive.namelist()
            if re.fullmatch(r"(LEMSexamples|examples)/[^/]+\.(xml|nml)", item)
        ]
        archive.extractall(tmp_path, names)
    examples = sorted((tmp_path / "LEMSexamples").glob("*.xml"))
    assert len(examples) == 31
    for path in examples:
        try:
            izhi_models.load(path)
        except IzhiError as error:
            assert isinstance(error, UnsupportedError), path.name
            (fault,) = error.diagnostics
            assert fault.span is not None, path.name


def test_show__synapses__say_how_often_they_are_integrated_and_why(tmp_path):
    path = tmp_path / "net.xml"
    path.write_text(
        '<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/>'
        '<iafCell id="c" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="1pF" '
        'leakConductance="1nS"/><expOneSynapse id="ampa" gbase="1nS" erev="0mV" '
        'tauDecay="5ms"/><gapJunction id="gap" conductance="1nS"/><network id="net">'
        '<population id="a" component="c" size="2"/><population id="b" component="c" size="1"/>'
        '<projection id="p" presynapticPopulation="a" postsynapticPopulation="b" synapse="ampa">'
        '<connection id="0" preCellId="../a[0]" postCellId="../b[0]"/>'
        '<connection id="1" preCellId="../a[1]" postCellId="../b[0]"/></projection>'
        '<electricalProjection id="g" presynapticPopulation="a" postsynapticPopulation="a">'
        '<electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>'
        "</electricalProjection></network></Lems>"
    )
    text = show(path)
    assert "  ampa: integrated once per cell, 2 connections\n" in text
    assert (
        "  gap: integrated once per connection, 2 connections\n"
        "    because it reads the cell at the other end of each connection\n"
    ) in text
    assert "in ANNarchy\n  1 neuron for 2 populations\n  2 projections for 2 projections" in text
