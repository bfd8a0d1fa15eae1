"""Components bound to types. What is faulty has cases in tests/invalid."""

from pathlib import Path

import pytest

from izhi_models.errors import InputError
from izhi_models.lems.components import read_model

CORE = ("Cells.xml", "Networks.xml", "Inputs.xml", "Synapses.xml", "Simulation.xml", "PyNN.xml")


def model_of(folder: Path, body: str, includes: tuple[str, ...] = CORE):
    included = "".join(f'<Include file="{name}"/>' for name in includes)
    path = folder / "model.xml"
    path.write_text(f"<Lems>{included}{body}</Lems>", encoding="utf-8")
    return read_model(path)


def test_values_are_in_si(tmp_path):
    model = model_of(
        tmp_path,
        '<izhikevich2007Cell id="rs" v0="-60mV" C="100 pF" k="0.7 nS_per_mV" vr="-60 mV"'
        ' vt="-40mV" vpeak="35mV" a="0.03per_ms" b="-2 nS" c="-50.0mV" d="1e2 pA"/>',
    )
    assert model.faults == []
    assert model.components["rs"].values == {
        "v0": -0.06,
        "C": 1e-10,
        "k": 7e-7,
        "vr": -0.06,
        "vt": -0.04,
        "vpeak": 0.035,
        "a": 30.0,
        "b": -2e-9,
        "c": -0.05,
        "d": 1e-10,
    }


def test_a_tag_and_the_long_form_mean_the_same(tmp_path):
    attributes = 'delay="1ms" duration="2ms" amplitude="3nA"'
    model = model_of(
        tmp_path,
        f'<pulseGenerator id="a" {attributes}/>'
        f'<Component id="b" type="pulseGenerator" {attributes}/>',
    )
    a, b = model.components["a"], model.components["b"]
    assert a.type is b.type
    assert a.values == b.values


def test_properties_have_their_default_and_fixed_parameters_their_value(tmp_path):
    model = model_of(
        tmp_path,
        """
        <Dimension name="time" t="1"/><Unit symbol="ms" dimension="time" power="-3"/>
        <ComponentType name="a">
          <Parameter name="tau" dimension="time"/>
          <Property name="weight" dimension="none" defaultValue="1.5"/>
        </ComponentType>
        <ComponentType name="b" extends="a"><Fixed parameter="tau" value="7ms"/></ComponentType>
        <a id="x" tau="3ms" weight="2"/>
        <b id="y"/>
        """,
        (),
    )
    assert model.faults == []
    assert model.components["x"].values == {"tau": 0.003, "weight": 2.0}
    assert model.components["y"].values == {"tau": 0.007, "weight": 1.5}


def test_a_component_may_extend_another_one(tmp_path):
    model = model_of(
        tmp_path,
        '<pulseGenerator id="a" delay="1ms" duration="2ms" amplitude="3nA"/>'
        '<Component id="b" type="pulseGenerator" extends="a" amplitude="5nA"/>',
    )
    assert model.faults == []
    assert model.components["b"].values["delay"] == 0.001
    assert model.components["b"].values["amplitude"] == 5e-9
    assert model.components["a"].values["amplitude"] == 3e-9


def test_children_are_found_under_the_place_that_the_type_declares(tmp_path):
    model = model_of(
        tmp_path,
        """
        <izhikevichCell id="iz" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>
        <network id="net">
          <population id="one" component="iz" size="1"/>
          <population id="many" component="iz" type="populationList" size="2">
            <instance id="0"><location x="1" y="2" z="3"/></instance>
            <instance id="1"><location x="4" y="5" z="6"/></instance>
          </population>
        </network>
        """,
    )
    assert model.faults == []
    one, many = model.components["net"].children["populations"]
    assert (one.type.name, one.values["size"]) == ("population", 1.0)
    assert many.type.name == "populationList"
    places = [item.children["location"][0].values for item in many.children["instances"]]
    assert places == [{"x": 1, "y": 2, "z": 3}, {"x": 4, "y": 5, "z": 6}]
    assert many.parent is model.components["net"]


def test_metadata_is_passed_over(tmp_path):
    path = tmp_path / "a.nml"
    path.write_text(
        """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="a">
             <notes>free <b>text</b></notes>
             <annotation><rdf:RDF xmlns:rdf="http://www.w3.org/rdf"><rdf:li/></rdf:RDF></annotation>
             <fitzHughNagumoCell id="f" I="0.8" metaid="m" neuroLexId="x"><notes/>
             </fitzHughNagumoCell>
           </neuroml>""",
        encoding="utf-8",
    )
    model = read_model(path)
    assert model.faults == []
    assert model.components["f"].values == {"I": 0.8}


def test_references_are_followed(tmp_path):
    model = model_of(
        tmp_path,
        """
        <Target component="sim"/>
        <izhikevichCell id="iz" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>
        <gapJunction id="gap" conductance="1nS"/>
        <network id="net">
          <population id="pop" component="iz" size="2"/>
          <electricalProjection id="p" presynapticPopulation="pop" postsynapticPopulation="pop">
            <electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>
          </electricalProjection>
        </network>
        <Simulation id="sim" length="1ms" step="0.1ms" target="net"/>
        """,
    )
    assert model.faults == []
    net = model.components["net"]
    population = net.children["populations"][0]
    projection = net.children["electricalProjection"][0]
    assert model.target == "sim"
    assert model.reference(model.components["sim"], "target") is net
    assert model.reference(population, "component") is model.components["iz"]
    assert model.reference(projection, "presynapticPopulation") is population
    assert model.of_type("baseCell") == [model.components["iz"]]


def test_a_reference_that_is_missing_says_where(tmp_path):
    model = model_of(tmp_path, '<network id="net"><population id="p" size="1"/></network>')
    population = model.components["net"].children["populations"][0]
    with pytest.raises(InputError, match=r"model.xml:1:\d+: error: <population> lacks 'component'"):
        model.reference(population, "component")


def test_an_attribute_that_nobody_reads_is_a_warning_and_a_slip_is_an_error(tmp_path):
    model = model_of(
        tmp_path,
        '<pulseGenerator id="a" delay="1ms" duration="2ms" amplitude="3nA" colour="red"/>'
        '<pulseGenerator id="b" dealy="1ms" duration="2ms" amplitude="3nA"/>',
    )
    found = {item.message: item.severity for item in model.faults}
    assert found == {
        "'pulseGenerator' has no attribute 'colour'": "warning",
        "'pulseGenerator' has no attribute 'dealy'": "error",
        "<pulseGenerator> lacks 'delay'": "error",
    }


def test_all_faulty_components_are_told_at_once(tmp_path):
    model = model_of(
        tmp_path,
        '<pulseGenerator id="a" delay="1V" duration="2 parsec" amplitude="much"/><pulse id="b"/>',
    )
    assert len(model.faults) == 4
