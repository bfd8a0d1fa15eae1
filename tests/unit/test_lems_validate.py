"""Validation: what is right passes, what is wrong is told once, all at once, at its place."""

import zipfile
from pathlib import Path

import pytest

from izhi_models.lems.dynamics_rules import check_dynamics
from izhi_models.lems.language import check_language
from izhi_models.lems.read import CORE_FILES, core_archive, core_document
from izhi_models.lems.type_rules import check_declarations, check_structure
from izhi_models.lems.types import resolve_types
from izhi_models.lems.validate import validate

MODELS = Path(__file__).parents[2] / "models"
NEUROML = '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">{}</neuroml>'


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def errors(path: Path) -> list[str]:
    return [item.render() for item in validate(path) if item.severity == "error"]


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The examples of NeuroML, which its reference implementation runs or finds valid."""
    folder = tmp_path_factory.mktemp("examples")
    with zipfile.ZipFile(core_archive()) as archive:
        wanted = ("LEMSexamples/LEMS_", "examples/")
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(wanted)])
    return folder


def test_the_examples_of_neuroml_have_no_errors(examples):
    files = [*examples.glob("LEMSexamples/*.xml"), *examples.glob("examples/*ml")]
    assert len(files) >= 31 + 21
    assert {file.name: found for file in files if (found := errors(file))} == {}


def test_our_models_have_neither_errors_nor_warnings():
    files = [*MODELS.rglob("*.nml"), *MODELS.rglob("*.xml")]
    assert files
    assert [item.render() for file in files for item in validate(file)] == []


@pytest.fixture(scope="module")
def core():
    return resolve_types(core_document(name) for name in CORE_FILES)


def test_the_known_faults_of_the_core_types_are_all_that_is_found_in_them(core):
    found = [item for name in CORE_FILES for item in check_language(core_document(name).root)]
    for resolved in core.types.values():
        found += check_declarations(core, resolved)
        found += check_dynamics(core, resolved)
        found += check_structure(core, resolved)
    assert sorted(f"{item.span.source.path.name}: {item.message}" for item in found) == [
        "Cells.xml: '-Si / 150' has no unit, expected Hz",
        "Cells.xml: '-Wi / 2' has no unit, expected Hz",
        "Cells.xml: 'Sisat' is declared twice in ComponentType 'pinskyRinzelCA3Cell'",
        # pOpen of channelDensityGHK2 is declared a voltage; all that defines it is a number.
        "Cells.xml: 'tmp * 0.001 * (1 - ca_conc_i / ca_conc_ext * exp(V / tmp)) * "
        "(1 - V / tmp / 2)' has no unit, expected mV",
        "Cells.xml: 'tmp * 0.001 * (1 - ca_conc_i / ca_conc_ext * exp(V / tmp)) * "
        "(V / tmp / (exp(V / tmp) - 1))' has no unit, expected mV",
        # A of alphaCurrSynapse, PyNN: the Exposure is a current, its variable a number.
        "PyNN.xml: 'A' has the dimension none, but the Exposure needs current",
        # i of gapJunction, linearGradedSynapse and gradedSynapse.
        *["Synapses.xml: 'i' has no dimension, but its Exposure has current"] * 3,
    ]


def test_one_fault_is_told_once_though_schema_and_types_both_find_it(tmp_path):
    cell = (
        '<iafCell id="a" leakReversal="-50mV" thresh="-55nS" reset="-70mV" C="0.2"'
        ' leakConductance="0.01uS"/><izhikevich id="b"/>'
    )
    found = validate(write(tmp_path / "a.nml", NEUROML.format(cell)))
    assert [item.message for item in found] == [
        "'thresh' needs the dimension voltage, but 'nS' is a unit of conductance",
        "'C' needs the dimension capacitance, but it has no unit",
        "unknown ComponentType 'izhikevich'",
    ]


def test_what_only_the_schema_knows_is_told_beside_what_the_types_know(tmp_path):
    network = '<network id="n"><population/></network>'
    (found,) = validate(write(tmp_path / "a.nml", NEUROML.format(network)))
    assert found.message == "<population> lacks 'size', 'component', 'id'"


def test_faults_of_all_files_come_at_once_by_file_and_position(tmp_path):
    write(tmp_path / "b.xml", '<Lems><Include file="Inputs.xml"/>\n<pulse id="p"/>\n</Lems>')
    path = write(
        tmp_path / "a.xml",
        """<Lems>
          <Include file="b.xml"/>
          <ComponentType name="x">
            <Dynamics>
              <StateVariable name="v" dimension="none"/>
              <TimeDerivative variable="v" value="v +"/>
              <OnCondition test="w .gt. 1"/>
            </Dynamics>
          </ComponentType>
          <pulseGenerator id="p" delay="1V" duration="1ms" amplitude="1nA"/>
        </Lems>""",
    )
    places = [(item.span.source.path.name, item.span.line) for item in validate(path)]
    assert places == [("a.xml", 6), ("a.xml", 7), ("a.xml", 10), ("b.xml", 2)]


def test_a_type_that_nobody_uses_is_checked_too(tmp_path):
    text = """<Lems><ComponentType name="x"><Dynamics>
      <DerivedVariable name="a" dimension="none" value="b"/></Dynamics></ComponentType></Lems>"""
    assert len(errors(write(tmp_path / "a.xml", text))) == 1


def dynamics(folder: Path, body: str, declared: str = "") -> list[str]:
    text = f"""<Lems><Include file="NeuroMLCoreDimensions.xml"/>
      <ComponentType name="x"><Parameter name="tau" dimension="time"/>
      <Parameter name="E" dimension="voltage"/>{declared}
      <Dynamics><StateVariable name="v" dimension="voltage"/>{body}</Dynamics>
      </ComponentType></Lems>"""
    return [item.message for item in validate(write(folder / "a.xml", text))]


@pytest.mark.parametrize(
    "body",
    [
        '<TimeDerivative variable="v" value="(E - v) / tau"/>',
        '<TimeDerivative variable="v" value="0"/>',
        # The reference interpreter takes the dimension from the definition if none is given.
        '<DerivedVariable name="d" value="E - v"/><TimeDerivative variable="v" value="d / tau"/>',
        '<OnCondition test="(v .gt. E .and. t .lt. tau) .or. (v .eq. 0)">'
        '<StateAssignment variable="v" value="E"/></OnCondition>',
        '<DerivedVariable name="r" dimension="per_time" value="random(1) / tau"/>',
        '<DerivedVariable name="a" dimension="area" value="(0 - 1)^2 * 0"/>',
        '<ConditionalDerivedVariable name="c" dimension="voltage">'
        '<Case condition="t .gt. tau" value="E"/><Case value="0"/></ConditionalDerivedVariable>',
        '<Regime name="one" initial="true"><OnEntry><StateAssignment variable="v" value="E"/>'
        '</OnEntry><OnCondition test="v .gt. E"><Transition regime="two"/></OnCondition></Regime>'
        '<Regime name="two"><TimeDerivative variable="v" value="-v / tau"/></Regime>',
    ],
)
def test_legal_dynamics_pass(tmp_path, body):
    assert dynamics(tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<TimeDerivative variable="v" value="E - v"/>', "expected mV per time"),
        ('<OnStart><StateAssignment variable="v" value="tau"/></OnStart>', "expected mV"),
        ('<DerivedVariable name="x" dimension="time" value="v"/>', "expected ms"),
        (
            '<Regime name="r" initial="true"><TimeDerivative variable="v" value="E"/></Regime>',
            "per",
        ),
        (
            '<ConditionalDerivedVariable name="c" dimension="voltage">'
            '<Case condition="v .gt. tau" value="0"/></ConditionalDerivedVariable>',
            "a comparison needs equal dimensions",
        ),
        (
            '<ConditionalDerivedVariable name="c" dimension="voltage"><Case value="tau"/>'
            "</ConditionalDerivedVariable>",
            "expected mV",
        ),
    ],
)
def test_wrong_dimensions_are_found_in_every_kind_of_expression(tmp_path, body, expected):
    (message,) = dynamics(tmp_path, body)
    assert expected in message


def test_derived_parameters_read_parameters_and_nothing_that_moves(tmp_path):
    declared = '<DerivedParameter name="p" dimension="voltage" value="{}"/>'
    assert dynamics(tmp_path, "", declared.format("E * 2")) == []
    assert dynamics(tmp_path, "", declared.format("v * 2")) == ["'v' is not defined in 'x'"]
    assert "expected mV" in dynamics(tmp_path, "", declared.format("tau"))[0]


def test_types_that_inherit_dynamics_may_add_to_them(tmp_path):
    text = """<Lems>
      <ComponentType name="a"><Parameter name="p" dimension="none"/>
        <Dynamics><StateVariable name="x" dimension="none"/></Dynamics></ComponentType>
      <ComponentType name="b" extends="a"><Dynamics><Super/>
        <DerivedVariable name="y" dimension="none" value="x * p"/>
        <OnStart><StateAssignment variable="x" value="y"/></OnStart></Dynamics></ComponentType>
    </Lems>"""
    assert validate(write(tmp_path / "a.xml", text)) == []


def test_a_file_in_latin_1_is_checked_against_the_schema(tmp_path):
    path = tmp_path / "a.nml"
    body = '<notes>Zürich</notes><izhikevichCell id="1"/>'
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?>\n{NEUROML.format(body)}'
    path.write_bytes(text.encode("latin-1"))
    assert any("expected an id" in message for message in errors(path))


def test_nothing_is_said_of_prefixed_metadata(tmp_path):
    body = """<annotation><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about="x"/></rdf:RDF></annotation>
      <fitzHughNagumoCell id="f" I="0.8"/>"""
    assert validate(write(tmp_path / "a.nml", NEUROML.format(body))) == []


def test_a_fault_behind_comments_and_metadata_is_found_at_its_place(tmp_path):
    text = NEUROML.format(
        """<!-- one --><notes>a</notes><!-- two -->
        <fitzHughNagumoCell id="f" I="0.8"/><?pi x?>
        <fitzHughNagumoCell id="g" I="0.8 mV"/>"""
    )
    (found,) = validate(write(tmp_path / "a.nml", text))
    assert found.span.line == 3
    assert found.span.source.text[found.span.start : found.span.end] == "0.8 mV"


def test_a_network_of_cells_with_several_compartments_is_valid(examples):
    assert validate(examples / "LEMSexamples" / "LEMS_NML2_Ex25_MultiComp.xml") == []


@pytest.mark.parametrize(
    ("population", "target", "expected"),
    [
        ('size="2"', "pop[1]", None),
        ('size="2"', "pop[2]", "there is no cell 2"),
        ('size="2"', "pip[0]", "no population has the id 'pip'"),
        ('size="0"', "pop[0]", "expected a whole number, 1 or more"),
        ('size="1.5"', "pop[0]", "expected a whole number, 1 or more"),
    ],
)
def test_targets_of_inputs_are_resolved(tmp_path, population, target, expected):
    text = f"""<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/>
      <pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="1nA"/>
      <iafCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
               leakConductance="0.01uS"/>
      <network id="net"><population id="pop" component="iaf" {population}/>
      <explicitInput target="{target}" input="pulse"/></network></Lems>"""
    found = errors(write(tmp_path / "a.xml", text))
    assert (found == []) if expected is None else (len(found) == 1 and expected in found[0])
