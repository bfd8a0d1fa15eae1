"""Networks and simulations of NeuroMLlite, built by its library."""

import copy
import json
import random

import numpy as np
import pytest
import yaml

from izhi_models.errors import InputError, UnsupportedError
from izhi_models.pipeline import load

NETWORK = {
    "seed": 7,
    "temperature": 32.0,
    "parameters": {"N": 8, "scale": 2},
    "cells": {"iaf": {"neuroml2_source_file": "iaf.cell.nml"}},
    "synapses": {"syn": {"neuroml2_source_file": "syn.nml"}},
    "input_sources": {
        "drive": {
            "neuroml2_input": "PulseGenerator",
            "parameters": {"amplitude": "0.3nA", "delay": "2ms", "duration": "100ms"},
        }
    },
    "populations": {
        "a": {"size": "N", "component": "iaf"},
        "b": {"size": "N * scale", "component": "iaf"},
    },
    "projections": {
        "p": {
            "presynaptic": "a",
            "postsynaptic": "b",
            "synapse": "syn",
            "weight": "scale / 4 + math.sqrt(0)",
            "delay": 1.5,
            "random_connectivity": {"probability": 0.4},
        }
    },
    "inputs": {"i": {"input_source": "drive", "population": "a", "percentage": 100}},
}
SIMULATION = {
    "network": "net.json",
    "duration": 50.0,
    "dt": 0.05,
    "seed": 5,
    "record_traces": {"a": [0, 3]},
    "record_spikes": {"b": "*"},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    head = '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">'
    (tmp_path / "iaf.cell.nml").write_text(
        f'{head}<iafCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF" '
        'leakConductance="0.01uS"/></neuroml>'
    )
    (tmp_path / "syn.nml").write_text(
        f'{head}<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="1ms"/></neuroml>'
    )
    write(tmp_path, NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, content, name="net"):
    (folder / f"{name}.json").write_text(json.dumps({name: content}, indent=1))


def assert_is_the_network(network):
    assert {name: item.size for name, item in network.populations.items()} == {"a": 8, "b": 16}
    (projection,) = network.projections
    drawn = random.Random(7)  # NeuroMLlite: one number for each pair of cells, in order
    pairs = [(i, j) for i in range(8) for j in range(16) if drawn.random() < 0.4]
    assert list(zip(projection.pre_cells, projection.post_cells, strict=True)) == pairs
    np.testing.assert_array_equal([projection.weights, projection.delays], [[0.5], [0.0015]])
    assert [placed.cell for placed in network.populations["a"].attached] == list(range(8))
    assert network.shared["temperature"][1] == 305.15


def test_a_network_is_built_with_its_seed_and_parameters(folder, capfd):
    assert_is_the_network(load("net.json").network)
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in folder.iterdir()) == ["iaf.cell.nml", "net.json", "syn.nml"]


def test_yaml_means_the_same(folder):
    (folder / "net.yaml").write_text(yaml.safe_dump({"net": NETWORK}))
    assert_is_the_network(load("net.yaml").network)


def test_a_simulation_says_what_is_recorded(folder):
    write(folder, SIMULATION, "sim")
    model = load("sim.json")
    assert_is_the_network(model.network)
    plan = model.experiment.simulation
    assert (plan.length_s, plan.step_s, plan.seed) == (0.05, 0.00005, 5)
    assert set(model.experiment.quantities) == {"a[0]/v", "a[3]/v"}
    assert [item.file_name for item in plan.event_outputs] == ["sim.b.spikes"]


def changed(path, value):
    content = copy.deepcopy(NETWORK)
    *steps, last = path
    part = content
    for step in steps:
        part = part[step]
    part[last] = value
    return content


RUN = "__import__('pathlib').Path('ran').touch()"
CODE = {
    "call": (("populations", "a", "size"), RUN),
    "word": (("populations", "a", "size"), "[].append(open)"),
    "class": (("populations", "a", "size"), "().__class__"),
    "file": (("projections", "p", "weight"), "numpy.load(N, None, True)"),
    "quote": (("input_sources", "drive", "parameters", "delay"), f'2ms"; {RUN}; "'),
    "parameter": (("parameters", "scale"), RUN),
    "in a file name": (("parameters", "x_file"), RUN),
    "comprehension": (("projections", "p", "random_connectivity", "probability"), "[x for x in N]"),
}


@pytest.mark.parametrize("case", CODE)
def test_text_of_a_file_is_not_run(folder, case):
    path, text = CODE[case]
    write(folder, changed(path, text))
    with pytest.raises(InputError, match="neither a word, a quantity nor plain arithmetic"):
        load("net.json")
    assert not list(folder.rglob("ran"))


def test_the_name_of_a_parameter_is_not_run(folder):
    name = f"delay;{RUN};x"
    write(folder, changed(("input_sources", "drive", "parameters", name), "2ms"))
    with pytest.raises(InputError, match="is no name of a parameter"):
        load("net.json")


def test_what_belongs_to_other_simulators_is_refused(folder):
    write(folder, changed(("cells", "iaf"), {"pynn_cell": "IF_cond_alpha"}))
    with pytest.raises(UnsupportedError, match="'pynn_cell' of NeuroMLlite cannot be run"):
        load("net.json")


FAULTS = {
    "net.json": (
        '{"net": {"seed": 7,}}',
        "net.json:1:20: error: not well-formed JSON: Expecting property name enclosed in double "
        'quotes\n  {"net": {"seed": 7,}}\n                     ^',
    ),
    "net.yaml": (
        "net:\n  seed: [7\n",
        "net.yaml:3:1: error: not well-formed YAML: expected ',' or ']', but got '<stream end>'"
        "\n  \n  ^",
    ),
    "list.json": (
        "[1, 2]",
        "error: list.json is no network or simulation of NeuroMLlite\n"
        "  it is of the form {id: {populations: ..., projections: ...}}",
    ),
    "sim.json": ('{"sim": {"network": "other.json"}}', "error: no such file: other.json"),
    "code.json": (
        '{"net": {"populations": {"a": {"size": "f(1)"}}}}',
        "code.json:1:41: error: 'f(1)' is neither a word, a quantity nor plain arithmetic\n"
        '  {"net": {"populations": {"a": {"size": "f(1)"}}}}\n'
        + " " * 42
        + "^^^^\n  NeuroMLlite would run it as Python",
    ),
    "size.json": (
        '{"net": {"populations": {"a": {"size": "many", "component": "iaf"}}}}',
        "error: size.json: NeuroMLlite cannot build the network\n"
        "  it says: ValueError: invalid literal for int() with base 10: 'many'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_says_what_is_wrong(folder, name):
    text, message = FAULTS[name]
    (folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        load(name)
    assert str(caught.value) == message


def test_a_fault_in_the_built_network_is_told_of_the_file(folder):
    write(folder, changed(("projections", "p", "synapse"), "sin"))
    with pytest.raises(InputError) as caught:
        load("net.json")
    assert str(caught.value).startswith("net.json:network.net.nml:")
    assert "no component has the id 'sin'" in str(caught.value)
