"""NeuroML's HDF5 format, in and out, against libNeuroML."""

import re

import h5py
import neuroml.loaders
import neuroml.utils  # its writer of HDF5 needs it, and does not import it
import neuroml.writers
import numpy as np
import pytest

from izhi_models import export
from izhi_models.errors import InputError, UnsupportedError
from izhi_models.lems.hdf5 import read_hdf5
from izhi_models.library import models_folder
from izhi_models.pipeline import load
from tests.round_trip import assert_same

CELLS = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">
  <expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="1ms"/>
  <gapJunction id="gap" conductance="1nS"/>
  <silentSynapse id="silent"/>
  <gradedSynapse id="graded" conductance="5pS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>
  <iafCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
      leakConductance="0.01uS"/>
  <pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="1nA"/>
  <timedSynapticInput id="timed" synapse="syn" spikeTarget="./syn">
    <spike id="0" time="3ms"/>
  </timedSynapticInput>
"""
PLACES = [(0.5, n, -n / 4) for n in range(7)]
INSTANCES = "".join(
    f'<instance id="{n}"><location x="{x}" y="{y}" z="{z}"/></instance>'
    for n, (x, y, z) in enumerate(PLACES)
)
ENDS = 'presynapticPopulation="a" postsynapticPopulation="b"'


def rows(form, n=5):
    return "".join(form.format(n=n, m=n + 1, w=2 + n / 4, d=n / 8) for n in range(n))


NETWORK = f"""  <network id="net" type="networkWithTemperature" temperature="32 degC">
    <population id="a" component="iaf" type="populationList" size="7">{INSTANCES}</population>
    <population id="b" component="iaf" size="9"/>
    <projection id="plain" {ENDS} synapse="syn">{
    rows('<connection id="{n}" preCellId="../a/{n}/iaf" postCellId="../b[{m}]"/>')
}</projection>
    <projection id="weighted" {ENDS} synapse="syn">{
    rows(
        '<connectionWD id="{n}" preCellId="../a/{m}/iaf" postCellId="../b[{n}]" weight="{w}" '
        'delay="{d} ms"/>'
    )
}</projection>
    <electricalProjection id="gaps" {ENDS}>{
    rows(
        '<electricalConnectionInstance id="{n}" preCell="../a/{n}/iaf" postCell="../b/{m}/iaf" '
        'synapse="gap"/>'
    )
}</electricalProjection>
    <electricalProjection id="gapsW" {ENDS}>{
    rows(
        '<electricalConnectionInstanceW id="{n}" preCell="../a/{n}/iaf" postCell="../b/{m}/iaf" '
        'synapse="gap" weight="{w}"/>'
    )
}</electricalProjection>
    <continuousProjection id="analogue" {ENDS}>{
    rows(
        '<continuousConnectionInstanceW id="{n}" preCell="../a/{n}/iaf" postCell="../b/{m}/iaf" '
        'preComponent="silent" postComponent="graded" weight="{w}"/>'
    )
}</continuousProjection>
    <inputList id="driven" component="pulse" population="a">{
    rows('<input id="{n}" target="../a/{m}/iaf" destination="synapses"/>')
}</inputList>
    <inputList id="spikes" component="timed" population="b">{
    rows('<input id="{n}" target="../b[{m}]" destination="synapses"/>')
}</inputList>
  </network>
</neuroml>
"""


@pytest.fixture
def xml(tmp_path):
    path = tmp_path / "net.nml"
    path.write_text(CELLS + NETWORK)
    return path


def assert_equal(found, expected):
    assert found.populations.keys() == expected.populations.keys()
    for name, population in expected.populations.items():
        other = found.populations[name]
        assert (other.size, other.component) == (population.size, population.component)
        assert other.dynamics == population.dynamics
        assert {(item.id, item.cell) for item in other.attached} == {
            (item.id, item.cell) for item in population.attached
        }
        if population.positions is not None:
            np.testing.assert_array_equal(other.positions, population.positions)
    key = lambda item: (item.id, item.post)  # noqa: E731
    pairs = zip(
        sorted(found.projections, key=key), sorted(expected.projections, key=key), strict=True
    )
    for other, projection in pairs:
        assert other.dynamics == projection.dynamics
        for name in ("id", "pre", "post", "synapse", "is_continuous", "has_weights"):
            assert getattr(other, name) == getattr(projection, name), (projection.id, name)
        for name in ("pre_cells", "post_cells", "weights", "delays"):
            np.testing.assert_array_equal(getattr(other, name), getattr(projection, name))
    assert found.shared == expected.shared


def test_a_file_of_libneuroml_is_read_as_its_xml(tmp_path, xml):
    path = tmp_path / "net.nml.h5"
    document = neuroml.loaders.read_neuroml2_file(str(xml))
    neuroml.writers.NeuroMLHdf5Writer.write(document, str(path))
    # All numbers above are exact in the single precision in which libNeuroML writes.
    assert_equal(load(path).network, load(xml).network)


def test_an_hdf5_file_of_the_network_alone_is_included(tmp_path, xml):
    document = neuroml.loaders.read_neuroml2_file(str(xml))
    neuroml.writers.NeuroMLHdf5Writer.write(document, str(tmp_path / "n.h5"), embed_xml=False)
    including = tmp_path / "all.nml"
    including.write_text(
        CELLS.replace("<expOneSynapse", '<include href="n.h5"/><expOneSynapse', 1) + "</neuroml>"
    )
    assert_equal(load(including).network, load(xml).network)


def written(path, folder):
    """Write a network as HDF5 and return the file."""
    return export(path, "neuroml-hdf5", folder / "own.xml", duration="1 ms")[1]


def test_what_is_written_is_read_again_as_it_was(tmp_path, xml):
    assert_equal(load(written(xml, tmp_path)).network, load(xml).network)


def test_libneuroml_reads_what_is_written(tmp_path, xml):
    path = written(xml, tmp_path)
    document = neuroml.loaders.read_neuroml2_file(str(path), optimized=False)
    (network,) = document.networks
    assert network.temperature == "32 degC"
    assert [(item.id, item.get_size()) for item in network.populations] == [("a", 7), ("b", 9)]
    assert [
        (i.location.x, i.location.y, i.location.z) for i in network.populations[0].instances
    ] == (PLACES)
    plain, weighted = network.projections
    assert (plain.id, len(plain.connections), weighted.synapse) == ("plain", 5, "syn")
    assert [
        (c.get_pre_cell_id(), c.get_post_cell_id(), float(c.weight), float(c.delay[:-2]))
        for c in weighted.connection_wds
    ] == [(n + 1, n, 2 + n / 4, n / 8) for n in range(5)]
    gaps, weighted_gaps = network.electrical_projections
    assert (gaps.presynaptic_population, gaps.postsynaptic_population) == ("a", "b")
    instances = [*gaps.electrical_connections, *gaps.electrical_connection_instances]
    assert [(c.get_pre_cell_id(), c.get_post_cell_id(), c.synapse) for c in instances] == [
        (n, n + 1, "gap") for n in range(5)
    ]
    assert [c.weight for c in weighted_gaps.electrical_connection_instance_ws] == [
        2 + n / 4 for n in range(5)
    ]
    (analogue,) = network.continuous_projections
    assert [
        (c.get_pre_cell_id(), c.get_post_cell_id(), c.pre_component, c.post_component, c.weight)
        for c in analogue.continuous_connection_instance_ws
    ] == [(n, n + 1, "silent", "graded", 2 + n / 4) for n in range(5)]
    assert {
        item.component: [c.get_target_cell_id() for c in item.input] for item in network.input_lists
    } == {"pulse": [1, 2, 3, 4, 5], "timed": [1, 2, 3, 4, 5]}
    assert document.iaf_cells[0].leak_conductance == "0.01uS"
    assert document.timed_synaptic_inputs[0].spikes[0].time == "3ms"


def test_the_optimised_loader_of_libneuroml_reads_what_is_written(tmp_path):
    chosen = np.random.default_rng(3)
    pre, post = chosen.integers(0, 300, (2, 2000))
    weights = chosen.normal(size=2000)
    connections = "".join(
        f'<connectionWD id="{n}" preCellId="../a[{pre[n]}]" postCellId="../a[{post[n]}]" '
        f'weight="{weights[n]}" delay="{n % 50 / 10} ms"/>'
        for n in range(2000)
    )
    (tmp_path / "net.nml").write_text(
        f'{CELLS}<network id="net"><population id="a" component="iaf" size="300"/>'
        '<projection id="p" presynapticPopulation="a" postsynapticPopulation="a" synapse="syn">'
        f"{connections}</projection></network></neuroml>"
    )
    path = written(tmp_path / "net.nml", tmp_path)
    loader = neuroml.loaders.NeuroMLHdf5Loader
    (projection,) = loader.load(str(path), optimized=True).networks[0].projections
    table = projection.connections.array
    np.testing.assert_array_equal(table[:, :3].T, [pre, post, weights])
    np.testing.assert_array_equal(table[:, 3], np.arange(2000) % 50 / 10)


def test_the_target_of_an_export_has_a_lems_file(tmp_path, xml):
    options = {"duration": "3 ms", "dt": "0.5 ms"}
    lems, data = export(xml, "neuroml-hdf5", tmp_path / "LEMS_own.xml", **options)
    assert data.name == "own.net.nml.h5"
    assert_equal(load(lems).network, load(xml).network)
    assert load(lems).experiment.simulation.length_s == 0.003


def test_rules_are_written_as_what_they_make(tmp_path):
    path = tmp_path / "net.xml"
    path.write_text(
        f"""<Lems><Include file="{models_folder()}/networks/connection_rules.types.xml"/>
  <Include file="cells.nml"/>
  <network id="net"><population id="a" component="iaf" size="40"/>
  <randomDelays id="r" presynapticPopulation="a" postsynapticPopulation="a" synapse="syn"
    probability="0.5" weightMin="0" weightMax="1" delayMin="0ms" delayMax="9ms"/></network>
</Lems>"""
    )
    (tmp_path / "cells.nml").write_text(CELLS + "</neuroml>")
    model = load(path)
    lems, _ = export(model, "neuroml-hdf5", tmp_path / "out.xml", duration="1 ms")
    (read,), (made,) = load(lems).network.projections, model.network.projections
    for name in ("pre_cells", "post_cells", "weights"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    # The format keeps delays in ms: what is drawn in s may be rounded once.
    np.testing.assert_allclose(read.delays, made.delays, rtol=3e-16)


def test_what_holds_a_network_cannot_be_written(tmp_path):
    path = tmp_path / "net.xml"
    path.write_text(
        """<Lems><Target component="sim"/><Include file="cells.nml"/>
  <ComponentType name="tissue"><Child name="inner" type="network"/><Dynamics/></ComponentType>
  <tissue id="slice"><network id="net"><population id="a" component="iaf" size="2"/></network>
  </tissue><Simulation id="sim" length="1ms" step="0.1ms" target="slice"/></Lems>"""
    )
    (tmp_path / "cells.nml").write_text(CELLS + "</neuroml>")
    with pytest.raises(UnsupportedError, match="'slice' is no network of NeuroML"):
        export(path, "neuroml-hdf5", tmp_path / "out" / "x.xml")
    assert not (tmp_path / "out").exists()


OWN = """<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/>
  <ComponentType name="myCell" extends="baseSpikingCell">
  <Constant name="SEC" dimension="time" value="1s"/><Dynamics>
    <StateVariable name="x"/><TimeDerivative variable="x" value="1/SEC"/>
  </Dynamics></ComponentType>
  <ComponentType name="myPopulation" extends="population"/>
  <ComponentType name="myNet" extends="network"/>
  <myCell id="mine"/>
  {}</Lems>"""


def test_types_of_the_user_stand_in_the_lems_file(tmp_path):
    path = tmp_path / "own.xml"
    path.write_text(
        OWN.format('<network id="net"><population id="p" component="mine" size="2"/></network>')
    )
    lems, _ = export(path, "neuroml-hdf5", tmp_path / "own" / "x.xml", duration="1 ms")
    assert_equal(load(lems).network, load(path).network)
    assert '<ComponentType name="myCell"' in lems.read_text()
    assert '<ComponentType name="myPopulation"' not in lems.read_text()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            '<network id="net"><myPopulation id="p" component="mine" size="2"/></network>',
            "'p' is a",
        ),
        ('<myNet id="net"><population id="p" component="mine" size="2"/></myNet>', "'net' is a my"),
    ],
)
def test_networks_of_the_users_types_cannot_be_written(tmp_path, network, message):
    path = tmp_path / "own.xml"
    path.write_text(OWN.format(network))
    with pytest.raises(UnsupportedError, match=message):
        export(path, "neuroml-hdf5", tmp_path / "own" / "x.xml", duration="1 ms")
    assert not (tmp_path / "own").exists()


def network_of(tmp_path, inside, cells=CELLS):
    path = tmp_path / "net.nml"
    path.write_text(f'{cells}<network id="net">{inside}</network></neuroml>')
    return path


TWO = """<ComponentType name="two" extends="baseCellMembPot">
    <Parameter name="start" dimension="voltage"/><Attachments name="fast" type="baseSynapse"/>
    <Attachments name="slow" type="baseSynapse"/>
    <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
    <DerivedVariable name="i" dimension="current" select="fast[*]/i" reduce="add"/>
    <DerivedVariable name="j" dimension="current" select="slow[*]/i" reduce="add"/>
    <OnStart><StateAssignment variable="v" value="start"/></OnStart>
    <OnCondition test="v .gt. start"><EventOut port="spike"/></OnCondition></Dynamics>
    </ComponentType>
  <ComponentType name="lone" extends="synapticConnection"><Parameter name="x" dimension="none"/>
    </ComponentType>
  <two id="cell" start="1mV"/><expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="1ms"/>
  <network id="net"><population id="a" component="cell" size="2"/>{}</network>"""


@pytest.mark.parametrize(
    ("single", "message"),
    [
        ('destination="slow"', "'slow' of 'a', and the format knows 'fast' only"),
        ('type="lone" x="1"', "is a lone, and NeuroML's HDF5 format holds only networks of"),
    ],
)
def test_what_the_tables_do_not_hold_is_refused(tmp_path, single, message):
    path = tmp_path / "net.xml"
    connection = f'<synapticConnection from="a[0]" to="a[1]" synapse="s" {single}/>'
    includes = '<Include file="Cells.xml"/><Include file="Networks.xml"/>'
    path.write_text(f"<Lems>{includes}{TWO.format(connection)}</Lems>")
    with pytest.raises(UnsupportedError, match=message):
        written(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_populations_stay_in_their_order(tmp_path):
    names = ["z", "b", "y", "a"]
    populations = [f'<population id="{name}" component="iaf" size="2"/>' for name in names]
    path = written(network_of(tmp_path, "".join(populations)), tmp_path)
    assert list(load(path).network.populations) == names
    with h5py.File(path) as file:
        assert list(file["neuroml/network"]) == [f"population_{name}" for name in names]


def test_notes_and_properties_are_kept_as_libneuroml_keeps_them(tmp_path):
    path = network_of(
        tmp_path,
        "<notes>A &lt; B -- ]]&gt; \u03b1</notes><population id='a' component='iaf' size='1'>"
        "<notes>cells</notes><property tag='color' value='1 &amp; 0'/></population>",
    )
    data = written(path, tmp_path)
    (network,) = neuroml.loaders.read_neuroml2_file(str(data)).networks
    assert network.notes == "A < B -- ]]> \u03b1"
    assert [(item.tag, item.value) for item in network.populations[0].properties] == [
        ("color", "1 & 0")
    ]
    lems, document = export(data, "neuroml", tmp_path / "back" / "x.xml", duration="1 ms")
    text = document.read_text()
    assert "<notes>A &lt; B -- ]]&gt; \u03b1</notes>" in text and "<notes>cells</notes>" in text
    assert '<property tag="color" value="1 &amp; 0"/>' in text
    assert_equal(load(lems).network, load(path).network)


LEAK = '<ionChannelHH id="leak" conductance="10pS"/>'
BRANCHED = """<cell id="long"><morphology id="m">
  <segment id="0"><proximal x="0" y="0" z="0" diameter="9"/><distal x="9" y="0" z="0" diameter="9"/>
  </segment>
  <segment id="3"><parent segment="0"/><distal x="99" y="0" z="0" diameter="2"/></segment>
  <segment id="5"><parent segment="0"/><distal x="9" y="99" z="0" diameter="2"/></segment>
  <segmentGroup id="all"><member segment="0"/><member segment="3"/><member segment="5"/>
  </segmentGroup></morphology><biophysicalProperties id="b"><membraneProperties>
  <channelDensity id="l" ionChannel="leak" condDensity="0.3 mS_per_cm2" erev="-60mV" ion="none"
  segmentGroup="all"/><spikeThresh value="0mV"/><specificCapacitance value="1 uF_per_cm2"
  segmentGroup="all"/><initMembPotential value="-65mV"/></membraneProperties>
  <intracellularProperties><resistivity value="0.1 kohm_cm"/></intracellularProperties>
  </biophysicalProperties></cell>"""


def test_places_on_cells_of_several_compartments_are_kept(tmp_path):
    cells = CELLS.replace("<expOneSynapse", f"{LEAK}<expOneSynapse").replace(
        "<iafCell", f"{BRANCHED}<iafCell"
    )
    path = network_of(
        tmp_path,
        """<population id="a" component="long" size="4"/><projection id="p" synapse="syn"
  presynapticPopulation="a" postsynapticPopulation="a">
  <connection id="7" preCellId="../a[0]" postCellId="../a[3]" postSegmentId="3"/>
  <connectionWD id="9" preCellId="../a[1]" postCellId="../a[2]" postSegmentId="5"
    postFractionAlong="0.75" weight="2" delay="0.003s"/></projection>
  <inputList id="i" component="pulse" population="a"><inputW id="0" target="../a[1]"
    destination="synapses" segmentId="5" fractionAlong="0.125" weight="0.5"/></inputList>""",
        cells,
    )
    assert_same(load(written(path, tmp_path)), load(path))


# Faults. Each case changes a good file; the whole message follows, with the folder left out.


def write_good(path):
    with h5py.File(path, "w") as file:
        top = file.create_group("neuroml")
        top.attrs["neuroml_top_level"] = CELLS + "</neuroml>"
        network = top.create_group("network")
        network.attrs["id"] = "net"
        for name in "ab":
            group = network.create_group(f"population_{name}")
            group.attrs.update({"id": name, "component": "iaf", "size": 9})
        group = network.create_group("projection_p")
        group.attrs.update({"id": "p", "type": "projection", "synapse": "syn"})
        group.attrs.update({"presynapticPopulation": "a", "postsynapticPopulation": "b"})
        table = np.zeros((6, 4), dtype=np.float32)
        table[:, 2:] = 0.5, 1.0
        dataset = group.create_dataset("p", data=table)
        for number, name in enumerate(("pre_cell_id", "post_cell_id", "weight", "delay")):
            dataset.attrs[f"column_{number}"] = np.bytes_(name)
    return path


def edit(change):
    def apply(path):
        with h5py.File(write_good(path), "a") as file:
            change(file["neuroml/network"])

    return apply


def put(row, column, value):
    def change(network):
        network["projection_p/p"][row, column] = value

    return edit(change)


def cut(path):
    data = write_good(path).read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def foreign(path):
    with h5py.File(path, "w") as file:
        file["data"] = [1, 2, 3]


def link(path):
    def change(network):
        del network["population_b"]
        network["population_b"] = h5py.ExternalLink("other.h5", "/neuroml")

    edit(change)(path)


def without_column(network):
    del network["projection_p/p"].attrs["column_1"]


def as_text(network):
    del network["projection_p/p"]
    network["projection_p"].create_dataset("p", data=np.array([b"a"]))


FAULTS = {
    "cut": (cut, "error: net.h5 is damaged or cut off\n  the HDF5 library says: ..."),
    "no hdf5": (lambda path: path.write_text("<neuroml/>"), "error: net.h5 is no HDF5 file"),
    "foreign": (
        foreign,
        "error: net.h5: there is no group '/neuroml'\n  it is HDF5, but not of NeuroML",
    ),
    "column": (
        edit(without_column),
        "error: net.h5: '/neuroml/network/projection_p/p' has no column 'post_cell_id'",
    ),
    "text": (
        edit(as_text),
        "error: net.h5: '/neuroml/network/projection_p/p' is no table of numbers, but (1,) of |S1",
    ),
    "half a cell": (
        put(4, 0, 1.5),
        "error: net.h5: row 5 of '/neuroml/network/projection_p/p': 'pre_cell_id' is 1.5, "
        "expected a whole number from 0 to 16777216",
    ),
    "no weight": (
        put(2, 2, np.nan),
        "error: net.h5: row 3 of '/neuroml/network/projection_p/p': 'weight' is nan, "
        "expected a finite number",
    ),
    "kind": (
        edit(lambda network: network["projection_p"].attrs.update({"type": "telepathy"})),
        "error: net.h5: '/neuroml/network/projection_p' is of the type 'telepathy'\n"
        "  known here: projection, electricalProjection, continuousProjection",
    ),
    "size": (
        edit(lambda network: network["population_b"].attrs.pop("size")),
        "error: net.h5: '/neuroml/network/population_b' has neither a size nor a table of places",
    ),
    "components": (
        edit(lambda network: network.parent.attrs.update({"neuroml_top_level": "<cells/>"})),
        "error: net.h5: the attribute 'neuroml_top_level' holds no NeuroML document",
    ),
    "cell out of range": (
        put(4, 1, 9),
        "net.h5:/neuroml/network/projection_p/p:5:54: error: 'b' has 9 cells, numbered from 0: "
        'there is no cell 9\n  <connectionWD id="4" preCellId="../a[0]" postCellId="../b[9]" '
        'weight="0.5" delay="1.0 ms"/>\n' + " " * 55 + "^" * 7,
    ),
    "delay": (
        put(3, 3, -1),
        "net.h5:/neuroml/network/projection_p/p:4:83: error: a delay cannot be negative\n"
        '  <connectionWD id="3" preCellId="../a[0]" postCellId="../b[0]" weight="0.5" '
        'delay="-1.0 ms"/>\n' + " " * 84 + "^" * 7,
    ),
    "population": (
        link,
        "error: net.h5: there is no group '/neuroml/network/population_b'\n"
        "  it is HDF5, but not of NeuroML",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_says_what_is_wrong(tmp_path, monkeypatch, fault):
    monkeypatch.chdir(tmp_path)
    make, message = FAULTS[fault]
    make(tmp_path / "net.h5")
    with pytest.raises(InputError) as caught:
        load("net.h5")
    assert re.sub(r"(library says: ).*", r"\1...", str(caught.value)) == message


def test_a_dataset_that_is_kept_in_another_file_is_not_read(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(96))
    path = write_good(tmp_path / "net.h5")
    with h5py.File(path, "a") as file:
        group = file["neuroml/network/projection_p"]
        del group["p"]
        outside = [(str(tmp_path / "secret"), 0, 96)]
        dataset = group.create_dataset("p", (6, 4), dtype=np.float32, external=outside)
        for number, name in enumerate(("pre_cell_id", "post_cell_id", "weight", "delay")):
            dataset.attrs[f"column_{number}"] = name
    with pytest.raises(InputError, match="is kept in another file"):
        load(path)


def test_places_on_cells_are_read_as_libneuroml_writes_them(tmp_path):
    rest = (
        'preSegmentId="{n}" postSegmentId="1" preFractionAlong="{w}" postFractionAlong="0.25" '
        'preCellId="../a/{n}/iaf" postCellId="../b/{m}/iaf" weight="1" delay="0 ms"/>'
    ).replace("{w}", "0.{n}25")
    xml = tmp_path / "net.nml"
    xml.write_text(
        f"""{CELLS}  <network id="net">
    <population id="a" component="iaf" size="7"/><population id="b" component="iaf" size="9"/>
    <projection id="placed" {ENDS} synapse="syn">{
            rows('<connectionWD id="{n}" ' + rest)
        }</projection>
    <inputList id="driven" component="pulse" population="a">{
            rows('<input id="{n}" target="../a/{m}/iaf" destination="synapses" segmentId="{n}"/>')
        }</inputList>
  </network>
</neuroml>"""
    )
    path = tmp_path / "net.nml.h5"
    neuroml.writers.NeuroMLHdf5Writer.write(neuroml.loaders.read_neuroml2_file(str(xml)), str(path))
    found = read_hdf5(path).root.children[-1]
    (connection,) = next(found.find("projection")).children
    assert float(connection.attributes["preFractionAlong"]) == pytest.approx(0.025, rel=1e-7)
    np.testing.assert_array_equal(connection.rows.columns["preSegmentId"], [1, 2, 3, 4])
    np.testing.assert_allclose(  # in single precision
        connection.rows.columns["preFractionAlong"], [0.125, 0.225, 0.325, 0.425], rtol=1e-7
    )
    assert connection.rows.columns["postFractionAlong"] == [0.25]
    (driven,) = next(found.find("inputList")).children
    np.testing.assert_array_equal(driven.rows.columns["segmentId"], [1, 2, 3, 4])
    assert "fractionAlong" not in driven.attributes  # 0.5, as where nothing is written
