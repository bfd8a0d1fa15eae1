"""Long lists of connections, inputs and instances, read into arrays.

Each file is read by the package and, for what is expected, by ElementTree.
"""

import random
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from izhi_models.errors import InputError, UnsupportedError
from izhi_models.lems import read
from izhi_models.pipeline import load

HEAD = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">
  <notes>&#181;, µ and 漢字 take several bytes</notes>
  <expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="1ms"/>
  <expOneSynapse id="syn1" gbase="1nS" erev="0mV" tauDecay="2ms"/>
  <expOneSynapse id="syn2" gbase="1nS" erev="0mV" tauDecay="3ms"/>
  <gapJunction id="gap" conductance="1nS"/>
  <silentSynapse id="silent"/>
  <gradedSynapse id="graded" conductance="5pS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>
  <izhikevich2007Cell id="iz" v0="-60mV" C="100pF" k="0.7nS_per_mV" vr="-60mV" vt="-40mV"
      vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" d="100pA"/>
  <pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="1nA"/>
  <network id="net">
    <population id="pre" component="iz" size="1000"/>
    <population id="post" component="iz" size="500"/>
"""
TAIL = "\n  </network>\n</neuroml>\n"
PROJECTION = (
    '<projection id="p" presynapticPopulation="pre" postsynapticPopulation="post" synapse="syn">'
)
TAG = "{http://www.neuroml.org/schema/neuroml2}"


def write(folder, text):
    path = folder / "net.nml"
    path.write_text(HEAD + text + TAIL, encoding="utf-8", newline="")
    return path


def in_projection(rows):
    return PROJECTION + "\n".join(rows) + "</projection>"


def expected(path, tag="connectionWD"):
    """Return cells, weights and delays as a plain reader of XML sees them."""
    rows = list(ElementTree.parse(path).iter(TAG + tag))
    units = {"ms": "e-3", "s": ""}
    delays = [re.fullmatch(r"(\S*?)\s*(ms|s)", row.get("delay", "0s")).groups() for row in rows]
    return {
        "pre_cells": [int(re.findall(r"\d+", row.get("preCellId"))[0]) for row in rows],
        "post_cells": [int(re.findall(r"\d+", row.get("postCellId"))[0]) for row in rows],
        "weights": [float(row.get("weight", "1")) for row in rows],
        "delays": [float(number + units[unit]) for number, unit in delays],
    }


def check(path, tag="connectionWD"):
    (projection,) = load(path).network.projections
    for name, values in expected(path, tag).items():
        found = np.broadcast_to(getattr(projection, name), projection.size)
        np.testing.assert_array_equal(found, values, err_msg=name)
    return projection


def connection(number, weight="0.5", delay="1.5 ms", pre=None, post=None):
    pre = number * 7 % 1000 if pre is None else pre
    post = number * 3 % 500 if post is None else post
    return (
        f'<connectionWD id="{number}" preCellId="../pre/{pre}/iz" postCellId="../post/{post}/iz" '
        f'weight="{weight}" delay="{delay}"/>'
    )


NUMBERS = [
    "0", "1", "-1", "0.5", ".5", "-.25", "1e-3", "2.5E2", "1e-300", "0.1", "0.30000000000000004",
    "0.12345678901234567", "123456789.123456789", "9007199254740993", "4.35", "1.005", "0.007",
]  # fmt: skip


def test_numbers_are_rounded_as_if_they_were_read_one_by_one(tmp_path):
    chosen = random.Random(1)
    weights = NUMBERS + [repr(chosen.uniform(-1, 1)) for _ in range(300)]
    delays = [f"{chosen.uniform(0, 20):.{n % 12}f} ms" for n in range(len(weights))]
    rows = [connection(n, *pair) for n, pair in enumerate(zip(weights, delays, strict=True))]
    check(write(tmp_path, in_projection(rows)))


@pytest.mark.parametrize("size", [300, 1000, 4096])
def test_it_does_not_matter_where_the_file_is_cut_into_pieces(tmp_path, monkeypatch, size):
    monkeypatch.setattr(read, "_CHUNK", size)
    monkeypatch.setattr("izhi_models.lems.tables._LONGEST", 200)
    check(write(tmp_path, in_projection([connection(n) for n in range(500)])))


def test_a_list_is_kept_as_arrays_and_not_as_elements(tmp_path):
    path = write(tmp_path, in_projection([connection(n) for n in range(5000)]))
    network = read.read_document(path).root.children[-1]
    (projection,) = network.find("projection")
    assert len(projection.children) == 2
    found = check(path)
    assert (found.size, found.weights.size, found.delays.size) == (5000, 1, 1)


def swapped(row):
    return re.sub(r"(id=\S+) (preCellId=\S+) (postCellId=\S+)", r"\3 \1 \2", row)


WAYS = {
    "another order of attributes": swapped,
    "a comment": lambda row: f"<!-- {connection(7, pre=1)} {connection(8, pre=1)} -->{row}",
    "an end tag": lambda row: row.replace("/>", "></connectionWD>"),
    "an entity": lambda row: row.replace("../", "&#46;./", 1),
    "single quotes": lambda row: row.replace('"', "'"),
    "other white space": lambda row: row.replace(" ", "\r\n\t ", 2),
    "brackets": lambda row: re.sub(r"/pre/(\d+)/iz", r"/pre[\1]", row),
    "a unit": lambda row: row.replace("1.5 ms", "0.0015s"),
    "a segment": lambda row: row.replace("/>", ' preSegmentId="0" preFractionAlong="0.5"/>'),
    "leading zeros": lambda row: row.replace("../pre/", "../pre/0"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("between", ["\n      ", "", "\r\n"])
def test_rows_that_are_written_in_another_way_are_read_as_well(tmp_path, way, between):
    usual = [connection(n) for n in range(60)]
    other = [WAYS[way](row) for row in usual]
    some = [other[n] if n in (0, 5, 20, 21, 22, 23, 40, 59) else usual[n] for n in range(60)]
    for rows in (some, other):
        check(write(tmp_path, PROJECTION + between.join(rows) + "</projection>"))


def test_rows_of_several_kinds_and_projections_stay_apart(tmp_path):
    plain = [connection(n).partition(" weight")[0] + "/>" for n in range(20)]
    plain = [row.replace("connectionWD", "connection") for row in plain]
    weighted = [connection(n, weight="2") for n in range(100, 130)]
    path = write(
        tmp_path,
        in_projection([*plain, *weighted])
        + in_projection(weighted).replace('id="p"', 'id="q"').replace('"syn"', '"syn2"'),
    )
    first, second = load(path).network.projections
    assert (first.synapse, first.size, second.synapse, second.size) == ("syn", 50, "syn2", 30)
    np.testing.assert_array_equal(first.weights, [1.0] * 20 + [2.0] * 30)
    np.testing.assert_array_equal(first.delays, [0.0] * 20 + [0.0015] * 30)
    assert first.has_weights  # else a run would take 1 for all


def test_connections_of_a_network_are_told_apart_by_synapse_and_population(tmp_path):
    kinds = [n // 3 % 2 + 1 for n in range(60)]
    rows = [
        f'<synapticConnection from="pre[{n}]" to="post[{n + 100}]" synapse="syn{kind}"/>'
        for n, kind in enumerate(kinds)
    ]
    found = {
        item.synapse: item for item in load(write(tmp_path, "".join(rows))).network.projections
    }
    for kind in (1, 2):
        cells = [n for n in range(60) if kinds[n] == kind]
        np.testing.assert_array_equal(found[f"syn{kind}"].pre_cells, cells)
        np.testing.assert_array_equal(found[f"syn{kind}"].post_cells, np.add(cells, 100))


def test_weights_count_wherever_in_a_list_they_come_first(tmp_path):
    gap = (
        '<electricalConnectionInstance{} id="{}" preCell="../pre/1/iz" postCell="../post/2/iz" '
        'synapse="gap"{}/>'
    )
    ends = 'presynapticPopulation="pre" postsynapticPopulation="post"'
    gaps = gap.format("", 0, "") + gap.format("W", 1, ' weight="4"')
    tunnel = f'<electricalProjection id="e" {ends}>{gaps}</electricalProjection>'
    found = load(write(tmp_path, tunnel)).network.projections
    assert [item.weights.tolist() for item in found] == [[1.0, 4.0], [1.0, 4.0]]
    assert all(item.has_weights for item in found)


@pytest.mark.parametrize("kind", ["", "Instance", "InstanceW"])
@pytest.mark.parametrize("family", ["electrical", "continuous"])
def test_continuous_connections(tmp_path, family, kind):
    synapse = 'synapse="gap"'
    if family == "continuous":
        synapse = 'preComponent="silent" postComponent="graded"'
    form = "../{}/{}/iz" if kind else "{1}"
    weight = ' weight="{}"' if kind.endswith("W") else ""
    rows = [
        f'<{family}Connection{kind} id="{n}" preCell="{form.format("pre", n)}" '
        f'postCell="{form.format("post", 2 * n)}" {synapse}{weight.format(n / 4)}/>'
        for n in range(40)
    ]
    path = write(
        tmp_path,
        f'<{family}Projection id="p" presynapticPopulation="pre" postsynapticPopulation="post">'
        + "\n".join(rows)
        + f"</{family}Projection>",
    )
    projections = load(path).network.projections
    at_post = next(item for item in projections if item.post == "post")
    np.testing.assert_array_equal(at_post.pre_cells, np.arange(40))
    np.testing.assert_array_equal(at_post.post_cells, 2 * np.arange(40))
    wanted = np.arange(40) / 4 if weight else np.ones(1)
    np.testing.assert_array_equal(at_post.weights, wanted)


def test_inputs_and_instances(tmp_path):
    places = [(n / 10, -n, n / 1000) for n in range(50)]
    instances = "".join(
        f'<instance id="{n}">\n  <location x="{x}" y="{y}" z="{z:.6f}"/>\n</instance>'
        for n, (x, y, z) in enumerate(places)
    )
    inputs = "\n".join(
        f'<input id="{n}" target="../list/{49 - n}/iz" destination="synapses"/>' for n in range(50)
    )
    path = write(
        tmp_path,
        f'<population id="list" component="iz" type="populationList">{instances}</population>'
        f'<inputList id="i" component="pulse" population="list">{inputs}</inputList>',
    )
    population = load(path).network.populations["list"]
    assert population.size == 50
    np.testing.assert_array_equal(population.positions, places)
    assert [placed.cell for placed in population.attached] == list(range(49, -1, -1))


def test_a_type_of_the_user_with_the_name_of_a_list_element_is_read_whole(tmp_path):
    rows = "".join(f'<input id="{n}" weight="{n}.5" colour="red{n}"/>' for n in range(9))
    (tmp_path / "own.xml").write_text(
        f"""<Lems>
  <ComponentType name="input"><Parameter name="weight"/><Text name="colour"/></ComponentType>
  <ComponentType name="box"><Children name="inputs" type="input"/></ComponentType>
  <box id="b">{rows}</box>
</Lems>"""
    )
    from izhi_models.lems.components import read_model

    model = read_model(tmp_path / "own.xml")
    found = model.components["b"].children["inputs"]
    assert model.faults == []
    assert [(item.values["weight"], item.texts["colour"]) for item in found] == [
        (n + 0.5, f"red{n}") for n in range(9)
    ]


def test_a_long_list_of_faults_is_cut_and_counted(tmp_path):
    path = write(tmp_path, in_projection([connection(n, pre=1000 + n) for n in range(1000)]))
    with pytest.raises(InputError) as caught:
        load(path)
    told = caught.value.diagnostics
    assert {item.message.partition(":")[0] for item in told} == {
        "'pre' has 1000 cells, numbered from 0"
    }
    assert len(told) < 50
    n_more = int(told[-1].notes[-1].split()[0])
    assert len(told) + n_more == 1000


def test_another_segment_than_the_first_cannot_be_run(tmp_path):
    rows = [connection(n).replace("/>", f' preSegmentId="{n // 9}"/>') for n in range(10)]
    with pytest.raises(UnsupportedError, match="segment other than 0") as caught:
        load(write(tmp_path, in_projection(rows)))
    span = caught.value.diagnostics[0].span
    assert span.source.line(span.line) == rows[9] + "</projection>"
    assert span.source.text[span.start : span.end] == "1"
