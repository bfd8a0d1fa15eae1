"""Reading: encodings, positions, includes. What is refused has cases in tests/invalid."""

from pathlib import Path

import pytest

from izhi_models.errors import InputError
from izhi_models.lems.read import CORE_FILES, core_document, read_document, read_with_includes


def write(folder: Path, name: str, text: str, encoding: str = "utf-8", newline: str = "\n") -> Path:
    path = folder / name
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    return path


def text_at(span) -> str:
    return span.source.text[span.start : span.end]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
    ],
)
def test_text_in_any_declared_encoding_is_read_with_right_positions(tmp_path, declared, encoding):
    text = (
        f'<?xml version="1.0" encoding="{declared}"?>\n'
        '<Lems description="Zürich é">\n'
        '  <Unit symbol="µV" dimension="x"/>\n'
        "</Lems>\n"
    )
    unit = read_document(write(tmp_path, "a.xml", text, encoding)).root.children[0]
    assert unit.attributes == {"symbol": "µV", "dimension": "x"}
    assert (unit.span.line, unit.span.column) == (3, 3)
    span = unit.attribute_span("dimension")
    assert (span.line, span.column) == (3, 32)
    assert text_at(span) == "x"


def test_utf_16_of_either_byte_order_is_read(tmp_path):
    text = '\ufeff<Lems description="é"/>'
    for encoding in ("utf-16-le", "utf-16-be"):
        document = read_document(write(tmp_path, "a.xml", text, encoding))
        assert document.root.get("description") == "é"


def test_lines_that_end_as_on_windows_keep_their_numbers(tmp_path):
    text = '<Lems>\n  <Unit symbol="a"\n        power="3"/>\n</Lems>\n'
    unit = read_document(write(tmp_path, "a.xml", text, newline="\r\n")).root.children[0]
    span = unit.attribute_span("power")
    assert (span.line, span.column) == (3, 16)
    assert span.excerpt().splitlines()[0] == '          power="3"/>'


@pytest.mark.parametrize(
    ("attributes", "name", "place", "expected"),
    [
        ('test="a &gt; b &amp;&amp; c"', "test", (6, 8), "&amp;&amp;"),
        ("test='say \"x\" > y'", "test", (4, 7), '"x"'),
        ('other="test" test = "abc"', "test", (1, 2), "b"),
        ('test="a\n     + b"', "test", (9, 10), "b"),
        ('test="&#65;bc"', "test", (1, 3), "bc"),
    ],
)
def test_a_place_in_a_value_is_found_in_the_text(tmp_path, attributes, name, place, expected):
    path = write(tmp_path, "a.xml", f"<Lems><OnCondition {attributes}/></Lems>")
    element = read_document(path).root.children[0]
    assert text_at(element.attribute_span(name, place)) == expected


def test_the_name_of_an_attribute_is_found_even_if_a_value_has_it_too(tmp_path):
    path = write(tmp_path, "a.xml", '<Lems><Unit symbol="power" power="2"/></Lems>')
    span = read_document(path).root.children[0].name_span("power")
    assert (span.column, text_at(span)) == (28, "power")


def test_a_missing_attribute_points_to_its_element(tmp_path):
    path = write(tmp_path, "a.xml", "<Lems>\n  <Unit/>\n</Lems>")
    assert text_at(read_document(path).root.children[0].attribute_span("symbol")) == "<Unit"


def test_a_fault_at_a_character_of_several_bytes_is_told_at_that_character(tmp_path):
    with pytest.raises(InputError) as caught:
        read_document(write(tmp_path, "a.xml", "\0é<Lems/>"))
    assert caught.value.diagnostics[0].span.line == 1


def test_children_are_kept_apart_from_comments(tmp_path):
    path = write(tmp_path, "a.xml", "<Lems><!-- <Unit/> --><notes>a <b/>c</notes></Lems>")
    notes = read_document(path).root.children[0]
    assert (notes.tag, [child.tag for child in notes.children]) == ("notes", ["b"])


def test_a_document_type_without_entities_is_read_and_nothing_is_fetched(tmp_path):
    text = '<!DOCTYPE Lems SYSTEM "http://127.0.0.1:9/lems.dtd">\n<Lems/>'
    assert read_document(write(tmp_path, "a.xml", text)).root.tag == "Lems"


def test_included_files_come_before_the_file_that_includes_them_and_once(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path, "deep/units.xml", "<Lems/>")
    write(tmp_path, "cell.xml", '<Lems><Include file="deep/units.xml"/></Lems>')
    text = '<Lems><Include file="cell.xml"/><Include file="deep/../deep/units.xml"/></Lems>'
    documents = read_with_includes(write(tmp_path, "sim.xml", text))
    assert [item.source.path.name for item in documents] == ["units.xml", "cell.xml", "sim.xml"]


def test_two_files_may_include_the_same_third_one(tmp_path):
    write(tmp_path, "shared.xml", "<Lems/>")
    for name in ("left.xml", "right.xml"):
        write(tmp_path, name, '<Lems><Include file="shared.xml"/></Lems>')
    text = '<Lems><Include file="left.xml"/><Include file="right.xml"/></Lems>'
    assert len(read_with_includes(write(tmp_path, "a.xml", text))) == 4


def test_core_types_are_found_by_name_wherever_the_file_lies(tmp_path):
    text = '<Lems><Include file="../no/such/folder/Inputs.xml"/></Lems>'
    documents = read_with_includes(write(tmp_path, "a.xml", text))
    names = [item.source.path.name for item in documents]
    assert names[-2:] == ["Inputs.xml", "a.xml"]
    assert {"NeuroMLCoreDimensions.xml", "NeuroMLCoreCompTypes.xml"} < set(names)
    assert [item.is_core for item in documents] == [True] * (len(names) - 1) + [False]


def test_a_file_of_the_user_goes_before_the_core_file_of_the_same_name(tmp_path):
    write(tmp_path, "Cells.xml", '<Lems description="mine"/>')
    documents = read_with_includes(
        write(tmp_path, "a.xml", '<Lems><Include file="Cells.xml"/></Lems>')
    )
    assert [item.root.get("description") for item in documents] == ["mine", None]


def test_a_neuroml_file_has_all_core_types_without_a_word(tmp_path):
    documents = read_with_includes(write(tmp_path, "a.nml", '<neuroml id="a"/>'))
    assert {item.source.path.name for item in documents if item.is_core} == set(CORE_FILES)


def test_positions_in_core_files_are_shown_without_the_path_of_the_installation():
    path = core_document("Cells.xml").source.path
    assert path.parts[0].startswith("jNeuroML-")
    assert not path.is_absolute()


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a directory"):
        read_document(tmp_path)


@pytest.mark.parametrize("name", ["x" * 5000, "circle/a.xml"])
def test_a_name_that_no_file_can_have_is_not_found(tmp_path, name):
    (tmp_path / "circle").symlink_to("circle")
    path = write(tmp_path, "a.xml", f'<Lems><Include file="{name}"/></Lems>')
    with pytest.raises(InputError, match="included file not found"):
        read_with_includes(path)


@pytest.mark.parametrize("encoding", ["undefined", "punycode", "utf-7", "hex", "klingon"])
def test_an_encoding_that_is_none_gives_an_error_and_no_traceback(tmp_path, encoding):
    path = tmp_path / "a.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?><Lems a="+2AA-"/>'.encode())
    with pytest.raises(InputError, match="not text in its declared encoding"):
        read_document(path)
