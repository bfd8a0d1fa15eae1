"""What is wrong with a morphology is told with its place."""

import pytest

from izhi_models.errors import IzhiError
from izhi_models.lems.components import read_model
from izhi_models.lems.segments import read_morphology

TEXT = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="a">
<morphology id="shape">
{segments}
{groups}
</morphology>
</neuroml>
"""
ROOT = """<segment id="0"><proximal x="0" y="0" z="0" diameter="2"/>
<distal x="10" y="0" z="0" diameter="2"/></segment>"""


def child(number, parent, more="", diameter=1, fraction=""):
    return (
        f'<segment id="{number}"><parent segment="{parent}" {fraction}/>{more}'
        f'<distal x="30" y="0" z="0" diameter="{diameter}"/></segment>'
    )


def group(name, content, attributes=""):
    return f'<segmentGroup id="{name}" {attributes}>{content}</segmentGroup>'


def members(*numbers):
    return "".join(f'<member segment="{number}"/>' for number in numbers)


def divisions(value):
    return f'<property tag="numberInternalDivisions" value="{value}"/>'


def read(folder, segments, groups=""):
    path = folder / "a.nml"
    path.write_text(TEXT.format(segments=segments, groups=groups), encoding="utf-8")
    return read_morphology(read_model(path).components["shape"])


SECTION = 'neuroLexId="sao864921383"'


@pytest.mark.parametrize(
    ("segments", "groups", "line", "message"),
    [
        (ROOT + child(1, 7), "", 4, "there is no segment 7"),
        (child(0, 1) + child(1, 0), "", 3, "segments 0, 1 are each other's parents"),
        (ROOT + ROOT.replace('id="0"', 'id="1"'), "", 4, "both have no parent"),
        (ROOT.split("\n")[0] + "</segment>", "", 3, "segment 0 lacks <distal>"),
        (ROOT + child(1, 0, diameter=0), "", 4, "the diameter is 0, expected more than 0"),
        (ROOT.replace('x="10"', 'x="0"').replace('diameter="2"/></s', 'diameter="3"/></s'), "", 3,
         "its diameters differ"),
        (ROOT + child(1, 0, fraction='fractionAlong="2"'), "", 4, "'2' is no fraction"),
        (ROOT, group("g", members("x")), 5, "'x' is no number of a segment"),
        (ROOT, group("g", members(3)), 5, "there is no segment 3"),
        (ROOT, group("g", '<include segmentGroup="h"/>'), 5, "there is no segmentGroup 'h'"),
        (ROOT, group("g", '<include segmentGroup="g"/>'), 5, "segment groups g include each other"),
        (ROOT, group("g", divisions("0") + members(0)), 5, "cannot be divided into '0' parts"),
        (ROOT, group("g", divisions(2) + members(0)) + group("h", members(0), SECTION), 5,
         "segment 0 is in two cables: 'g' and 'h'"),
        (ROOT + child(1, 0) + child(2, 0), group("g", members(0, 1, 2), SECTION), 5,
         "'g' is a cable, but segment 2 does not follow segment 1"),
        (ROOT + child(1, 0) + child(2, 0),
         group("g", '<path><from segment="1"/><to segment="2"/></path>'), 5,
         "segment 2 does not hang on segment 1"),
    ],
)  # fmt: skip
def test_a_wrong_morphology_is_told_with_its_line(tmp_path, segments, groups, line, message):
    with pytest.raises(IzhiError, match=message) as caught:
        read(tmp_path, segments, groups)
    assert caught.value.diagnostics[0].span.line == line


def test_groups_of_members_paths_and_trees(tmp_path):
    tree = ROOT + child(1, 0) + child(2, 1) + child(3, 1) + child(4, 3)
    region = read(
        tmp_path,
        tree,
        group("list", members(0, 2))
        + group("path", '<path><from segment="1"/><to segment="4"/></path>')
        + group("tree", '<subTree><from segment="3"/></subTree>')
        + group("both", '<include segmentGroup="list"/><include segmentGroup="tree"/>'),
    )
    assert {name: sorted(found) for name, found in region.groups.items()} == {
        "all": [0, 1, 2, 3, 4],
        "list": [0, 2],
        "path": [1, 3, 4],
        "tree": [3, 4],
        "both": [0, 2, 3, 4],
    }


def test_a_segment_without_proximal_begins_on_its_parent(tmp_path):
    region = read(tmp_path, ROOT + child(1, 0, fraction='fractionAlong="0.25"'))
    found = region.morphology.segments[1]
    assert (found.proximal, found.proximal_diameter) == ((2.5, 0.0, 0.0), 2.0)
    assert found.length == 27.5
