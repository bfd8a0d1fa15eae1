"""Models as NeuroML and LEMS: what is written is read as the same network."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from lxml import etree

import izhi_models
from izhi_models.checks import diff
from izhi_models.cli import commands
from izhi_models.errors import InputError, UnsupportedError
from izhi_models.lems.read import schema_text
from izhi_models.library import models_folder
from izhi_models.pipeline import Model, load
from tests.conftest import CELL, OUTPUT, POPULATION, SIMULATION, WriteModel
from tests.round_trip import assert_same

CELLS = """
<iafCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS">
  <notes>Leaky &amp; fires.
    Second line</notes>
</iafCell>
<iafCell id="unused" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="1nF"
  leakConductance="1uS"/>
<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="1ms"/>
<pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="1nA"/>
"""
RULES = """<Include file="{folder}/networks/connection_rules.types.xml"/>"""
NAMESPACES = {"n": "http://www.neuroml.org/schema/neuroml2"}


def connections(n: int) -> str:
    """Return connections with weights and delays of all lengths of digits."""
    random = np.random.default_rng(1)
    lines = [
        f'<connectionWD id="{k}" preCellId="../a[{k % 5}]" postCellId="../a[{k % 4}]" '
        f'weight="{random.random()!r}" delay="{(k % 7) / 8}ms"/>'
        for k in range(n)
    ]
    return "\n".join(lines)


def exported(model: Model | Path, folder: Path, **options: bool) -> tuple[Path, ...]:
    return izhi_models.export(model, "neuroml", folder / "out" / "LEMS_net.xml", **options)


def assert_valid(path: Path) -> None:
    """Check against NeuroML's schema by the library alone."""
    schema = etree.XMLSchema(etree.fromstring(schema_text()))
    schema.assertValid(etree.parse(path))


def test_export__list_of_connections__is_read_as_the_same(
    tmp_path: Path, write_model: WriteModel
) -> None:
    population = '<population id="a" component="iaf" size="5"/>'
    ends = 'presynapticPopulation="a" postsynapticPopulation="a"'
    network = f'{population}<projection id="p" {ends} synapse="syn">{connections(50)}</projection>'
    model = load(write_model(CELLS, network, outputs=""))
    lems, document = exported(model, tmp_path)
    assert_valid(document)
    assert_same(load(lems), model)
    text = document.read_text()
    written = etree.parse(document).findall(".//n:connectionWD", NAMESPACES)
    random = np.random.default_rng(1)
    assert [item.get("weight") for item in written] == [repr(random.random()) for _ in written]
    assert "unused" not in text
    assert "Leaky &amp; fires.\n" in text


def test_export__twice__gives_the_same_bytes(tmp_path: Path, write_model: WriteModel) -> None:
    path = write_model()
    first = [item.read_bytes() for item in exported(path, tmp_path)]
    again = exported(tmp_path / "out" / "LEMS_net.xml", tmp_path / "again")
    assert [item.read_text().replace("LEMS_net", "model") for item in again] == [
        item.decode() for item in first
    ]


@pytest.mark.parametrize("name", ["pulse_coupled", "izhikevich2003", "vogels2005"])
def test_export__model_of_the_package__is_read_as_the_same(tmp_path: Path, name: str) -> None:
    settings = {"E/size": "40", "I/size": "10"} if name == "pulse_coupled" else {}
    model = load(name, set=settings)
    assert_same(load(exported(model, tmp_path)[0]), model)


def rule(kind: str, values: str) -> str:
    return (
        '<population id="E" component="iaf" size="30"/>'
        f'<{kind} id="made" presynapticPopulation="E" postsynapticPopulation="E" synapse="syn" '
        f"{values}/>"
    )


RANDOM_DELAYS = 'probability="0.5" weightMin="0" weightMax="1" delayMin="0.1ms" delayMax="0.3s"'


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("randomDelays", RANDOM_DELAYS),
        ("oneToOne", 'weightMin="1" weightMax="1" delay="0.3ms"'),
        ("fixedInDegree", 'inDegree="4" weightMin="-1" weightMax="1" delay="1ms"'),
    ],
)
def test_export__rule__becomes_the_connections_that_were_simulated(
    tmp_path: Path, write_model: WriteModel, kind: str, values: str
) -> None:
    components = RULES.format(folder=models_folder()) + CELLS
    model = load(write_model(components, rule(kind, values), outputs=""))
    lems, document = izhi_models.export(model, "neuroml", tmp_path / "net.xml", seed=5)
    assert_valid(document)
    drawn = model.drawn_from(5, {})
    assert_same(load(lems), drawn, seed=5)
    assert "ComponentType" not in lems.read_text()
    tree = etree.parse(document)
    assert len(tree.findall(".//n:connectionWD", NAMESPACES)) == drawn.network.projections[0].size
    assert [item.get("id") for item in tree.findall(".//n:projection", NAMESPACES)] == ["made"]
    assert ("seed 5" in (document.read_text())) == (kind != "oneToOne")


def test_export__keep_rules__writes_the_rule_and_its_type(
    tmp_path: Path, write_model: WriteModel
) -> None:
    components = RULES.format(folder=models_folder()) + CELLS
    network = rule("fixedInDegree", 'inDegree="4" weightMin="0" weightMax="1" delay="1ms"')
    model = load(write_model(components, network, outputs=""))
    lems, document = exported(model, tmp_path, keep_rules=True)
    assert_same(load(lems), model)
    text = lems.read_text()
    assert re.findall('<ComponentType name="(.*?)"', text) == ["fixedInDegree"]
    assert '<fixedInDegree id="made"' in text
    assert "<network" not in document.read_text()  # the schema knows no rules


def test_export__rule_for_inputs__becomes_a_list(tmp_path: Path, write_model: WriteModel) -> None:
    kind = """<ComponentType name="drive" extends="projection"><Path name="postsynapticPopulation"/>
      <ComponentReference name="source" type="basePointCurrent"/>
      <Structure><ForEach instances="postsynapticPopulation" as="b"><If test="random(1) .lt. 0.5">
      <EventConnection from="b" to="b" receiver="source"><Assign property="weight"
      value="random(2)"/></EventConnection></If></ForEach></Structure></ComponentType>"""
    network = (
        '<population id="a" component="iaf" size="20"/><drive id="d" source="pulse" synapse="syn" '
        'presynapticPopulation="a" postsynapticPopulation="a"/>'
    )
    model = load(write_model(kind + CELLS, network, outputs=""))
    lems, document = exported(model, tmp_path)
    assert_valid(document)
    assert_same(load(lems), model)
    assert "<inputW " in document.read_text()


def test_export__what_was_set__is_written(tmp_path: Path, write_model: WriteModel) -> None:
    model = load(write_model(), set={"cell/v0": -0.0612345678901234567, "pop/size": "3"})
    lems, document = exported(model, tmp_path)
    assert 'v0="-61.23456789012346 mV"' in document.read_text() or 'V"' in document.read_text()
    assert_same(load(lems), model)


def test_export__step_length_seed_and_recordings__stand_in_the_simulation(
    tmp_path: Path, write_model: WriteModel
) -> None:
    options = {"dt": "0.05 ms", "duration": 0.0123, "seed": 9, "record": "pop/U"}
    lems, _ = izhi_models.export(write_model(), "neuroml", tmp_path / "x.xml", **options)
    (simulation,) = etree.parse(lems).findall("Simulation")
    assert simulation.attrib == {
        "id": "sim",
        "length": "12.3ms",
        "step": "0.05ms",
        "target": "net",
        "seed": "9",
    }
    quantities = [item.get("quantity") for item in simulation.iter("OutputColumn")]
    assert quantities == ["pop[0]/v", "pop[0]/U", "pop[1]/U"]


def test_export__file_without_simulation__records_spikes_of_all_cells(
    tmp_path: Path, write_model: WriteModel
) -> None:
    path = write_model(simulation=None)
    lems, _ = izhi_models.export(path, "neuroml", tmp_path / "x.xml", duration="5 ms")
    (simulation,) = etree.parse(lems).findall("Simulation")
    selected = [item.get("select") for item in simulation.iter("EventSelection")]
    assert selected == ["pop[0]", "pop[1]"]
    assert [item.get("quantity") for item in simulation.iter("OutputColumn")] == ["pop[0]/v"]
    assert load(lems).experiment.simulation is not None


def test_export__network_of_the_users_type__is_refused_with_a_way_out(
    tmp_path: Path, write_model: WriteModel
) -> None:
    kind = """<ComponentType name="ring" extends="network"><Text name="who"/><Structure>
      <ForEach instances="who" as="a"><EventConnection from="a" to="a" receiver="made"/></ForEach>
      </Structure><ComponentReference name="made" type="baseSynapse"/></ComponentType>"""
    path = write_model(kind + CELLS, '<population id="a" component="iaf" size="2"/>', outputs="")
    text = path.read_text()
    text = text.replace('<network id="net">', '<ring id="net" who="a" made="syn">')
    path.write_text(text.replace("</network>", "</ring>"))
    with pytest.raises(UnsupportedError, match="--keep-rules"):
        exported(path, tmp_path)
    assert not (tmp_path / "out").exists()
    model = load(path)
    assert_same(load(exported(model, tmp_path, keep_rules=True)[0]), model)


def test_export__over_a_file_of_the_model__is_refused(write_model: WriteModel) -> None:
    path = write_model()
    before = path.read_bytes()
    with pytest.raises(InputError, match="is a file of the model itself"):
        izhi_models.export(path, "neuroml", path)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_export__name_without_xml__is_refused(tmp_path: Path, write_model: WriteModel) -> None:
    with pytest.raises(InputError, match=r"give a name that ends in \.xml"):
        izhi_models.export(write_model(), "neuroml", tmp_path / "net.json")


def test_export__failing_file_system__leaves_nothing(
    tmp_path: Path, write_model: WriteModel
) -> None:
    (tmp_path / "net.net.nml").mkdir()  # a folder where the document should go
    with pytest.raises(InputError, match="cannot write"):
        izhi_models.export(write_model(), "neuroml", tmp_path / "net.xml")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.xml", "net.net.nml"]


def test_export__random_cells__says_what_cannot_be_listed(
    tmp_path: Path, write_model: WriteModel
) -> None:
    (lems,) = exported(load("pulse_coupled", set={"E/size": 4, "I/size": 2}), tmp_path)
    assert "What E, I draw at random" in " ".join(lems.read_text().split())


def test_export_command__writes_beside_and_says_so(tmp_path: Path, write_model: WriteModel) -> None:
    out = tmp_path / "x" / "LEMS_n.xml"
    arguments = ["export", str(write_model(CELL, POPULATION, SIMULATION, OUTPUT))]
    result = CliRunner().invoke(commands, [*arguments, "--to", "neuroml", "--out", str(out)])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"wrote {out}", f"wrote {out.with_name('n.net.nml')}"]


PLAIN = """<ComponentType name="Net"><Children name="groups" type="Group"/></ComponentType>
<ComponentType name="Group"><ComponentReference name="of" type="Component"/>
  <Parameter name="count" dimension="none"/>
  <Structure><MultiInstantiate number="count" component="of"/></Structure></ComponentType>"""
BARE = """<ComponentType name="loop" extends="projection"><Path name="postsynapticPopulation"/>
  <Structure><ForEach instances="postsynapticPopulation" as="a"><EventConnection from="a" to="a"/>
  </ForEach></Structure></ComponentType>
<ComponentType name="counter" extends="baseSpikingCell"><EventPort name="in" direction="in"/>
  <Constant name="SEC" dimension="time" value="1s"/><Exposure name="n" dimension="none"/>
  <Dynamics><StateVariable name="n" dimension="none" exposure="n"/>
  <TimeDerivative variable="n" value="1 / SEC"/>
  <OnCondition test="n .gt. 1"><EventOut port="spike"/></OnCondition>
  <OnEvent port="in"><StateAssignment variable="n" value="0"/></OnEvent></Dynamics></ComponentType>
<counter id="own"/>"""


@pytest.mark.parametrize(
    ("kinds", "network", "place"),
    [
        (PLAIN, '<Net id="net"><Group id="g" of="iaf" count="2"/></Net>', "no network of NeuroML"),
        (
            BARE,
            '<network id="net"><population id="g" component="own" size="2"/><loop id="l" '
            'synapse="syn" presynapticPopulation="g" postsynapticPopulation="g"/></network>',
            "sends events to cells without a synapse",
        ),
    ],
)
def test_export__what_neuroml_has_no_words_for__is_kept_or_refused_at_its_place(
    tmp_path: Path, write_model: WriteModel, kinds: str, network: str, place: str
) -> None:
    path = write_model(kinds + CELLS, outputs="")
    text = re.sub(r"<network.*</network>", network, path.read_text(), flags=re.DOTALL)
    path.write_text(text)
    with pytest.raises(UnsupportedError, match=rf"model.xml:\d+:\d+: error: .*{place}"):
        exported(path, tmp_path)
    with pytest.raises(UnsupportedError, match=r"model.xml:\d+:\d+: error: "):
        izhi_models.export(path, "neuroml-hdf5", tmp_path / "x.xml")
    assert not (tmp_path / "out").exists()
    assert_same(load(exported(path, tmp_path, keep_rules=True)[0]), load(path))


def test_export__folder_without_results__is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results"):
        izhi_models.export(tmp_path, "neuroml", tmp_path / "x.xml")


@pytest.mark.parametrize("target", ["annarchy", "neuroml-hdf5", "neuron"])
def test_export__keep_rules__is_for_neuroml_alone(
    tmp_path: Path, write_model: WriteModel, target: str
) -> None:
    with pytest.raises(InputError, match=f"'{target}' knows no rules"):
        izhi_models.export(write_model(), target, tmp_path / "x", keep_rules=True)


def test_export__method_and_precision__are_told(tmp_path: Path, write_model: WriteModel) -> None:
    path = tmp_path / "x.xml"
    izhi_models.export(write_model(), "neuroml", path, method="midpoint", precision="float")
    assert "the method midpoint, in float precision" in " ".join(path.read_text().split())


# Everything of its own, some of it named as NeuroML names its: the files that have those must
# not be included. The Simulation is part of another component, and takes something from there.
ALONE = """<Lems><Target component="all"/><Include file="own.xml"/>
<Dimension name="time" t="1"/><Unit symbol="ms" dimension="time" power="-3"/>
<ComponentType name="iafCell"><Parameter name="tau" dimension="time"/>
  <Exposure name="v" dimension="none"/><Dynamics><StateVariable name="v" dimension="none"
  exposure="v"/><TimeDerivative variable="v" value="(1 - v) / tau"/></Dynamics></ComponentType>
<ComponentType name="Simulation"><Parameter name="length" dimension="time"/>
  <Parameter name="step" dimension="time"/><ComponentReference name="target" type="Component"/>
  <ComponentReference name="shown" type="Note" local="true"/></ComponentType>
<ComponentType name="Note"/>
<ComponentType name="Set"><Children name="runs" type="Simulation"/>
  <Children name="shown" type="Note"/></ComponentType>
<iafCell id="cell" tau="3ms"/>
<Set id="all"><Note id="here"/><Simulation id="sim" length="9ms" step="1ms" target="cell"
  shown="here"/></Set></Lems>"""


def test_export__simulation_in_a_set_with_types_named_as_neuromls__is_read_as_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.xml").write_text('<Lems><Dimension name="time" t="1"/></Lems>')
    (tmp_path / "alone.xml").write_text(ALONE)
    model = load(tmp_path / "alone.xml")
    (written,) = exported(model, tmp_path)
    assert_same(load(written), model)
    assert diff(tmp_path / "alone.xml", written).is_equal
    text = written.read_text()
    assert "<Include" not in text and text.count('<Dimension name="time"') == 1
    assert text.index("<Note ") < text.index("<Simulation ")
    (shorter,) = izhi_models.export(model, "neuroml", tmp_path / "s.xml", duration="2 ms")
    assert load(shorter).experiment.simulation.length_s == 0.002


def test_export__inputs_alone_are_included__takes_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "drive.xml"
    path.write_text(
        '<Lems><Target component="sim"/><Include file="Inputs.xml"/>'
        '<Include file="Simulation.xml"/>'
        '<ComponentType name="iafCell"/><sineGenerator id="sine" phase="0" delay="0ms" '
        'duration="9ms" amplitude="1nA" period="3ms"/>'
        '<Simulation id="sim" length="9ms" step="1ms" target="sine"/></Lems>'
    )
    written = exported(path, tmp_path)
    assert_same(load(written[0]), load(path))
    assert "Cells.xml" not in written[0].read_text()


NOTES = """<notes>a &lt; b -- ]]&gt; \u03b1\u2192\U0001f9e0 &#10; <![CDATA[</notes>]]> \u00a0
  indented</notes>"""


@pytest.mark.parametrize("between", ["", "\n", "<!-- </notes> -->", "<?x </notes> ?>"])
def test_export__notes__are_kept_whatever_they_hold_and_whatever_follows(
    tmp_path: Path, write_model: WriteModel, between: str
) -> None:
    path = write_model(CELL.replace("/>", f">{NOTES}{between}</izhikevichCell>"))
    lems, document = exported(path, tmp_path)
    assert_valid(document)
    (notes,) = etree.parse(document).findall("n:izhikevichCell/n:notes", NAMESPACES)
    wanted = etree.fromstring(NOTES).text
    assert notes.text.split() == wanted.split()  # but for how it is indented
    assert_same(load(lems), load(path))


def test_export__single_connections_of_both_kinds__stay_in_their_order(
    tmp_path: Path, write_model: WriteModel
) -> None:
    lines = [
        f'<synapticConnection{kind} from="a[{n}]" to="a[0]" synapse="syn"{rest}/>'
        for n, (kind, rest) in enumerate([("WD", ' weight="2" delay="1ms"'), ("", "")] * 2)
    ]
    network = '<population id="a" component="iaf" size="5"/>' + "".join(lines)
    model = load(write_model(CELLS, network, outputs=""))
    (item,) = model.network.projections
    assert (item.pre_cells.tolist(), item.weights.tolist()) == ([0, 1, 2, 3], [2.0, 1.0, 2.0, 1.0])
    for target in ("neuroml", "neuroml-hdf5"):
        written = izhi_models.export(model, target, tmp_path / target / "LEMS_net.xml")
        assert_same(load(written[0]), model, is_hdf5=target != "neuroml")


def test_export__annarchy__knows_numbers_without_end(
    tmp_path: Path, write_model: WriteModel
) -> None:
    cell = (
        '<EIF_cond_exp_isfa_ista id="{}" cm="1" tau_refrac="2" v_spike="-40" v_reset="-65" '
        'v_rest="-65" tau_m="20" i_offset="0" a="0" b="0" delta_T="{}" tau_w="99" v_thresh="-50" '
        'e_rev_E="0" tau_syn_E="5" e_rev_I="-80" tau_syn_I="5" v_init="-65"/>'
    )
    components = '<Include file="PyNN.xml"/>' + cell.format("one", 2) + cell.format("two", 0)
    network = "".join(f'<population id="p{n}" component="{n}" size="1"/>' for n in ("one", "two"))
    path = write_model(components, network, outputs="")
    script = izhi_models.export(path, "annarchy", tmp_path / "eif.py")[0].read_text()
    names = {item.id for item in ast.walk(ast.parse(script)) if isinstance(item, ast.Name)}
    assert "inf" not in names  # Python has no such name
    assert 'np.array([0.5, float("inf")])' in script


@pytest.mark.parametrize("target", ["neuroml", "neuroml-hdf5"])
def test_export__notes_of_documents__are_kept_once(tmp_path: Path, target: str) -> None:
    path = tmp_path / "cells.nml"
    path.write_text(
        f"""<neuroml xmlns="{NAMESPACES["n"]}" id="doc"><notes>
    Drawn with p = 0.1 &lt; q

    by the script of 2003.
  </notes>{CELL}<network id="net"><notes>A net.</notes>{POPULATION}</network></neuroml>"""
    )
    for number in range(3):  # each time from what was written before
        out = tmp_path / str(number) / "x.xml"
        path = izhi_models.export(path, target, out, duration="1 ms")[0]
    document = izhi_models.export(path, "neuroml", tmp_path / "last" / "x.xml")[1]
    assert_valid(document)
    notes = etree.parse(document).findall(".//n:notes", NAMESPACES)
    own, *rest = (" ".join(item.text.split()) for item in notes)
    assert re.fullmatch(
        r"Written by izhi-models \S+ from x\. Drawn with p = 0\.1 < q by the script of 2003\.", own
    )
    assert rest == ["A net."]
