"""A network that is exported as NeuroML and read again is the same network."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import izhi_models
from izhi_models.library import models_folder
from izhi_models.pipeline import load
from tests.round_trip import assert_same

# Sections of two lengths, so that connections end at different compartments.
CELLS = """
<ionChannelHH id="leak" conductance="10pS"/>
<iafCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS"/>
<cell id="long"><morphology id="m">
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
  </biophysicalProperties></cell>
<expOneSynapse id="ampa" gbase="1nS" erev="0mV" tauDecay="1ms"/>
<expTwoSynapse id="gaba" gbase="2nS" erev="-70mV" tauDecay="9ms" tauRise="1ms"/>
<gapJunction id="gap" conductance="1nS"/><silentSynapse id="silent"/>
<gradedSynapse id="graded" conductance="5pS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>
<pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="1nA"/>
"""
HEAD = f"""<Lems><Target component="sim"/><Include file="Cells.xml"/><Include file="Networks.xml"/>
<Include file="Simulation.xml"/>
<Include file="{models_folder()}/networks/connection_rules.types.xml"/>
{CELLS}<network id="net">
"""
TAIL = """</network><Simulation id="sim" length="10ms" step="0.01ms" target="net"/></Lems>"""

floats = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
weights = st.one_of(floats, st.sampled_from([0.0, 1.0, -0.25, 1e-300])).map(repr)
seconds = st.floats(min_value=0.0, max_value=1.0).map(lambda value: f"{value!r} s")
delays = st.one_of(seconds, st.integers(0, 400).map(lambda n: f"{n / 20}ms"))


def plain(text: str) -> str:
    """Return a number as NeuroML's schema allows it."""
    return text.replace("e+", "e")


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Return the populations of a network, and all kinds of connections between them."""
    sizes = {name: draw(st.integers(1, 6)) for name in "abc"}
    placed = draw(st.booleans())
    cells = {"a": "iaf", "b": "iaf", "c": "long"}
    lines = []
    for name, size in sizes.items():
        if placed and name == "b":
            axes = [plain(draw(weights)) for _ in range(size)]
            places = "".join(
                f'<instance id="{n}"><location x="{x}" y="{n}" z="0"/></instance>'
                for n, x in enumerate(axes)
            )
            lines.append(f'<population id="b" component="iaf" type="populationList">{places}')
            lines.append("</population>")
        else:
            lines.append(f'<population id="{name}" component="{cells[name]}" size="{size}"/>')

    def cell(name: str) -> str:
        number = draw(st.integers(0, sizes[name] - 1))
        return f"{name}/{number}/iaf" if placed and name == "b" else f"{name}[{number}]"

    def site(name: str, prefix: str, suffix: str = "Id") -> str:
        if name != "c" or draw(st.booleans()):
            return ""
        fraction = draw(st.sampled_from(["0", "0.25", "0.5", "1"]))
        segment = draw(st.sampled_from([0, 3, 5]))
        return f' {prefix}Segment{suffix}="{segment}" {prefix}FractionAlong="{fraction}"'

    def rows(form: str, start: int = 0) -> str:
        size = draw(st.integers(1, 5))
        return "".join(
            form.format(n=n + start, w=plain(draw(weights)), d=draw(delays), **draw_ends())
            for n in range(size)
        )

    def draw_ends() -> dict[str, str]:
        return {
            "pre": cell(ends[0]),
            "post": cell(ends[1]),
            "sites": site(ends[0], "pre") + site(ends[1], "post"),
            "places": site(ends[0], "pre", "") + site(ends[1], "post", ""),
        }

    names = st.sampled_from("abc")
    for number in range(draw(st.integers(0, 3))):
        ends = (draw(names), draw(names))
        synapse = draw(st.sampled_from(["ampa", "gaba"]))
        lines.append(f'<projection id="p{number}" presynapticPopulation="{ends[0]}"')
        lines.append(f'postsynapticPopulation="{ends[1]}" synapse="{synapse}">')
        path = 'id="{n}" preCellId="../{pre}" postCellId="../{post}"{sites}'
        weighted = f'<connectionWD {path} weight="{{w}}" delay="{{d}}"/>'
        lines.append(rows(draw(st.sampled_from([f"<connection {path}/>", weighted]))))
        lines.append("</projection>")
    if draw(st.booleans()):
        lines.append(
            '<fixedInDegree id="rule" presynapticPopulation="a" postsynapticPopulation="b" '
            f'synapse="ampa" inDegree="{draw(st.integers(0, sizes["a"]))}" weightMin="0" '
            f'weightMax="1" delay="{draw(delays)}"/>'
        )
    if draw(st.booleans()):
        ends = (draw(names), draw(names))
        path = 'from="{pre}" to="{post}" synapse="ampa" destination="synapses"'
        weighted = f'<synapticConnectionWD {path} weight="{{w}}" delay="{{d}}"/>'
        lines.append(rows(draw(st.sampled_from([f"<synapticConnection {path}/>", weighted]))))
    if draw(st.booleans()):
        ends = (draw(st.sampled_from("ac")), draw(names))
        lines.append(f'<electricalProjection id="g" presynapticPopulation="{ends[0]}"')
        lines.append(f'postsynapticPopulation="{ends[1]}">')
        path = 'id="{n}" preCell="../{pre}" postCell="../{post}" synapse="gap"{places}'
        weighted = f'<electricalConnectionInstanceW {path} weight="{{w}}"/>'
        form = draw(st.sampled_from([f"<electricalConnectionInstance {path}/>", weighted]))
        lines.append(rows(form) + "</electricalProjection>")
    if draw(st.booleans()):
        ends = ("a", draw(names))
        lines.append('<continuousProjection id="s" presynapticPopulation="a"')
        lines.append(f'postsynapticPopulation="{ends[1]}">')
        path = 'id="{n}" preCell="../{pre}" postCell="../{post}"{places}'
        path += ' preComponent="silent" postComponent="graded" weight="{w}"'
        lines.append(rows(f"<continuousConnectionInstanceW {path}/>") + "</continuousProjection>")
    for number in range(draw(st.integers(0, 2))):
        ends = (draw(names),) * 2
        lines.append(f'<inputList id="i{number}" component="pulse" population="{ends[0]}">')
        path = 'id="{n}" target="../{post}" destination="synapses"'
        if ends[0] == "c":
            path += ' segmentId="3" fractionAlong="0.75"'
        weighted = f'<inputW {path} weight="{{w}}"/>'
        lines.append(rows(draw(st.sampled_from([f"<input {path}/>", weighted]))) + "</inputList>")
    ends = ("a", draw(names))
    lines.append(rows('<explicitInput target="{post}" input="pulse"/>'))
    return HEAD + "\n".join(lines) + TAIL


@settings(max_examples=40, deadline=None)
@given(networks(), st.booleans())
def test_export_then_import_is_the_identity(text: str, keep_rules: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.xml")
        path.write_text(text)
        model = load(path)
        first = izhi_models.export(
            model, "neuroml", Path(folder, "LEMS_out.xml"), keep_rules=keep_rules
        )
        assert_same(load(first[0]), model)
        again = izhi_models.export(
            first[0], "neuroml", Path(folder, "b", "LEMS_out.xml"), keep_rules=keep_rules
        )
        # What was exported is exported as it is, but for the remark about where it comes from.
        for one, other in zip(first[1:], again[1:], strict=True):
            assert one.read_text().split("</notes>")[1] == other.read_text().split("</notes>")[1]
