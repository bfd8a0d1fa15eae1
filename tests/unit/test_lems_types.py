"""ComponentTypes: inheritance, dimensions, units. Faulty types have cases in tests/invalid."""

from pathlib import Path

import pytest

from izhi_models.errors import InputError
from izhi_models.lems.read import CORE_FILES, core_document, read_with_includes
from izhi_models.lems.types import check_type_references, resolve_types
from izhi_models.units import VOLTAGE, Dimension


def types_of(folder: Path, body: str, *includes: str):
    included = "".join(f'<Include file="{name}"/>' for name in includes)
    path = folder / "types.xml"
    path.write_text(f"<Lems>{included}{body}</Lems>", encoding="utf-8")
    return resolve_types(read_with_includes(path))


@pytest.fixture(scope="module")
def core():
    return resolve_types(core_document(name) for name in CORE_FILES)


def test_all_core_types_resolve(core):
    # 272 elements <ComponentType> stand in the files outside comments.
    assert len(core.types) == 272
    assert list(check_type_references(core)) == []


def test_a_type_has_what_its_ancestors_declare(core):
    cell = core.types["izhikevich2007Cell"]
    assert cell.ancestors == (
        "izhikevich2007Cell",
        "baseCellMembPotCap",
        "baseCellMembPot",
        "baseSpikingCell",
        "baseCell",
        "baseStandalone",
    )
    assert cell.is_a("baseSpikingCell")
    assert not cell.is_a("izhikevichCell")
    assert cell.parameters["C"].dimension == Dimension(m=-1, l=-2, t=4, i=2)
    assert set(cell.parameters) == {"C", "v0", "k", "vr", "vt", "vpeak", "a", "b", "c", "d"}
    assert cell.exposures["v"].dimension == VOLTAGE
    assert cell.ports["spike"].element.get("direction") == "out"
    assert cell.attachments["synapses"].type == "basePointCurrent"


def test_own_dynamics_replace_the_inherited_ones(tmp_path):
    system = types_of(
        tmp_path,
        """
        <ComponentType name="a"><Dynamics><StateVariable name="x"/></Dynamics></ComponentType>
        <ComponentType name="same" extends="a"/>
        <ComponentType name="other" extends="a">
          <Dynamics><StateVariable name="y"/></Dynamics>
        </ComponentType>
        <ComponentType name="more" extends="a">
          <Dynamics><Super/><StateVariable name="y"/></Dynamics>
        </ComponentType>
        """,
    )

    def states(name: str) -> list[str | None]:
        blocks = system.types[name].dynamics
        return [item.get("name") for block in blocks for item in block.find("StateVariable")]

    assert states("same") == ["x"]
    assert states("other") == ["y"]
    assert states("more") == ["x", "y"]


def test_a_type_may_stand_before_the_type_that_it_extends(tmp_path):
    system = types_of(
        tmp_path,
        '<ComponentType name="b" extends="a"/>'
        '<ComponentType name="a"><Parameter name="p" dimension="none"/></ComponentType>',
    )
    assert "p" in system.types["b"].parameters


def test_a_declaration_of_the_type_goes_before_the_inherited_one(tmp_path):
    system = types_of(
        tmp_path,
        """
        <Dimension name="voltage" m="1" l="2" t="-3" i="-1"/>
        <ComponentType name="a"><Parameter name="p" dimension="none"/></ComponentType>
        <ComponentType name="b" extends="a">
          <Parameter name="p" dimension="voltage"/>
        </ComponentType>
        """,
    )
    assert system.types["b"].parameters["p"].dimension == VOLTAGE
    assert system.types["a"].parameters["p"].dimension == Dimension()


def test_a_name_has_its_value_by_the_declaration_nearest_to_the_type(tmp_path):
    system = types_of(
        tmp_path,
        """
        <ComponentType name="a"><Parameter name="p" dimension="none"/></ComponentType>
        <ComponentType name="b" extends="a">
          <Parameter name="q" dimension="none"/>
          <DerivedParameter name="p" dimension="none" value="2 * q"/>
        </ComponentType>
        <ComponentType name="c" extends="b"><Constant name="q" dimension="none" value="4"/>
        </ComponentType>
        <ComponentType name="d" extends="c"><Parameter name="p" dimension="none"/></ComponentType>
        """,
    )
    kinds = ("parameters", "derived_parameters", "constants")
    found = {
        name: tuple(sorted(getattr(system.types[name], kind)) for kind in kinds) for name in "abcd"
    }
    assert found == {
        "a": (["p"], [], []),
        "b": (["q"], ["p"], []),
        "c": ([], ["p"], ["q"]),
        "d": (["p"], [], ["q"]),
    }


@pytest.mark.parametrize(
    ("number", "symbol", "si"),
    [
        # By the definition of the unit: SI = (number + offset) * scale * 10**power.
        ("32", "degC", 305.15),
        ("2", "min", 120.0),
        ("1", "hour", 3600.0),
        ("0.1", "nA", 1e-10),
        ("1", "M", 1000.0),
        ("1", "uF_per_cm2", 0.01),
        ("1", "mol_per_m_per_A_per_s", 1.0),
        ("1", "mol_per_cm_per_uA_per_ms", 1e11),
        ("3", "mS_per_cm2", 30.0),
    ],
)
def test_units_of_the_core_are_those_of_the_si(core, number, symbol, si):
    # Scaled as decimals and rounded once, so nothing is lost.
    assert core.units[symbol].to_si(number) == si


def test_any_dimension_is_written_with_a_star(core):
    assert core.types["Line"].parameters["scale"].dimension is None
    assert core.dimension("*") is None
    assert core.dimension(None) == Dimension()


def test_dimensions_are_named_as_declared(core):
    assert core.dimension_name(VOLTAGE) == "voltage"
    assert core.dimension_name(Dimension(m=1, l=1)) == "kg m"


def test_an_unknown_dimension_offers_those_that_are_near(core):
    with pytest.raises(InputError, match="did you mean 'voltage'"):
        core.dimension("votlage")


def test_a_user_cannot_define_a_core_type_again(tmp_path):
    with pytest.raises(InputError, match="ComponentType 'iafCell' is defined twice"):
        types_of(tmp_path, '<ComponentType name="iafCell"/>', "Cells.xml")


def test_all_faults_are_raised_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        types_of(
            tmp_path,
            '<ComponentType name="a" extends="x"/><ComponentType name="b" extends="y"/>'
            '<ComponentType name="c"><Parameter name="p" dimension="z"/></ComponentType>',
        )
    messages = [item.message for item in caught.value.diagnostics]
    assert messages == [
        "unknown ComponentType 'x'",
        "unknown ComponentType 'y'",
        "unknown dimension 'z'",
    ]
