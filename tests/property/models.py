"""Random models as a file has them: cells of all kinds, every kind of connection, and outputs."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from izhi_models.library import models_folder

# Of the user: regimes, cases, events, a random start; an input with parts, in a dimension and a
# unit of its own; a synapse. The schema knows none of them.
TYPES = """
<Dimension name="pace" m="1" l="2" t="-4" i="-1"/><Unit symbol="mVms" dimension="pace" power="0"/>
<ComponentType name="ticker" extends="baseSpikingCell"><Parameter name="pause" dimension="time"/>
  <Constant name="one" dimension="time" value="1ms"/><Exposure name="x" dimension="none"/>
  <Dynamics><StateVariable name="x" dimension="none" exposure="x"/>
  <ConditionalDerivedVariable name="slope" dimension="none"><Case condition="x .lt. 0.5" value="2"/>
  <Case value="1"/></ConditionalDerivedVariable>
  <OnStart><StateAssignment variable="x" value="random(1)"/></OnStart>
  <Regime name="up" initial="true"><TimeDerivative variable="x" value="slope / one"/>
  <OnCondition test="x .gt. 1"><EventOut port="spike"/><Transition regime="down"/></OnCondition>
  </Regime><Regime name="down"><TimeDerivative variable="x" value="-x / pause"/>
  <OnCondition test="x .lt. 0.1"><Transition regime="up"/></OnCondition></Regime></Dynamics>
</ComponentType>
<ComponentType name="part"><Parameter name="a" dimension="pace"/><Exposure name="f"
  dimension="pace"/><Dynamics><DerivedVariable name="f" dimension="pace" exposure="f"
  value="2 * a"/></Dynamics></ComponentType>
<ComponentType name="drift" extends="basePointCurrent"><Children name="parts" type="part"/>
  <Parameter name="R" dimension="resistance"/><Constant name="k" dimension="time" value="1 s"/>
  <Dynamics><DerivedVariable name="f" dimension="pace" select="parts[*]/f" reduce="add"/>
  <DerivedVariable name="i" dimension="current" exposure="i" value="f * k / R"/></Dynamics>
</ComponentType>
<ComponentType name="jump" extends="baseConductanceBasedSynapse">
  <Parameter name="tau" dimension="time"/><Property name="weight" dimension="none"
  defaultValue="1"/><EventPort name="in" direction="in"/><Dynamics>
  <StateVariable name="g" dimension="conductance" exposure="g"/>
  <DerivedVariable name="i" dimension="current" exposure="i" value="g * (erev - v)"/>
  <TimeDerivative variable="g" value="-g / tau"/><OnEvent port="in">
  <StateAssignment variable="g" value="g + weight * gbase"/></OnEvent></Dynamics></ComponentType>
"""
# Sections of two lengths, so that connections end at different compartments; a kinetic scheme.
CELLS = """
<ionChannelHH id="leak" conductance="10pS"/>
<ionChannelKS id="scheme" conductance="10pS" species="k"><gateKS id="n" instances="1">
  <closedState id="c"/><openState id="o"/><forwardTransition id="f" from="c" to="o"><rate
  type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/></forwardTransition>
  <reverseTransition id="r" from="c" to="o"><rate type="HHExpRate" rate="0.125per_ms"
  midpoint="-65mV" scale="-80mV"/></reverseTransition></gateKS></ionChannelKS>
<iafCell id="iaf" leakReversal={reversal} thresh="-55mV" reset="-70mV" C={capacity}
  leakConductance="0.01uS">{notes}</iafCell>
<pointCellCondBased id="cell" C="10pF" v0="-65mV" thresh="20mV"><channelPopulation id="v"
  ionChannel="scheme" number="300" erev="-77mV"/></pointCellCondBased>
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
<ticker id="own" pause="3ms"/>
<expOneSynapse id="ampa" gbase="1nS" erev="0mV" tauDecay="1ms"/>
<expTwoSynapse id="gaba" gbase="2nS" erev="-70mV" tauDecay="9ms" tauRise="1ms"/>
<jump id="jumping" gbase="1nS" erev="0mV" tau="4ms"/>
<gapJunction id="gap" conductance="1nS"/><gapJunction id="wide" conductance="7nS"/>
<silentSynapse id="silent"/>
<gradedSynapse id="graded" conductance="5pS" delta="5mV" Vth="-55mV" k="0.025per_ms" erev="0mV"/>
<pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="1nA"/>
<compoundInput id="both"><pulseGenerator id="one" delay="1ms" duration="5ms" amplitude="0.1nA"/>
  <sineGenerator id="two" phase="0" delay="0s" duration="9ms" amplitude="2e-10 A" period="3ms"/>
</compoundInput>
<drift id="drifting" R="5 Mohm"><part id="0" a="1e-3 mVms"/><part id="1" a="2e-3 mVms"/></drift>
"""
INCLUDES = "".join(
    f'<Include file="{name}"/>'
    for name in (
        "Cells.xml",
        "Networks.xml",
        "Simulation.xml",
        f"{models_folder()}/networks/connection_rules.types.xml",
    )
)

floats = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
weights = st.one_of(floats, st.sampled_from([0.0, 1.0, -0.25, 1e-300])).map(repr)
seconds = st.floats(min_value=0.0, max_value=1.0).map(lambda value: f"{value!r} s")
delays = st.one_of(seconds, st.integers(0, 400).map(lambda n: f"{n / 20}ms"))
# What XML can hold; a return is read as a line end.
characters = st.characters(exclude_categories=("Cs", "Cc", "Cn"), include_characters="\n\t")
texts = st.one_of(
    st.text(characters, max_size=30),
    st.sampled_from(["-- ]]> -->", "<a href='x'>&amp;", " \n  two\n\n lines\n", "\\ % {0} \u2028"]),
)
# Names that mean something in NeuroML or LEMS, here of populations.
NAMES = ("population", "synapses", "v", "iaf_", "Simulation", "component", "in", "a", "B", "_1")


def plain(text: str) -> str:
    """Return a number as NeuroML's schema allows it."""
    return text.replace("e+", "e")


def notes(draw: st.DrawFn) -> str:
    """Return notes, or nothing."""
    return f"<notes>{escape(draw(texts))}</notes>" if draw(st.booleans()) else ""


class Places:
    """The populations of a network, and the ways to name their cells."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        kinds = ["iaf", draw(st.sampled_from(["iaf", "cell"])), "long"]
        kinds += ["own"] if draw(st.booleans()) else []
        self.names = draw(
            st.lists(st.sampled_from(NAMES), min_size=len(kinds), max_size=len(kinds), unique=True)
        )
        self.cells = dict(zip(self.names, kinds, strict=True))
        self.sizes = {name: draw(st.integers(1, 6)) for name in self.names}
        self.placed = {name for name in self.names if draw(st.booleans())}
        self.receiving = [name for name in self.names if self.cells[name] != "own"]

    def elements(self) -> list[str]:
        """Return the populations."""
        return [self._element(name) for name in self.names]

    def _element(self, name: str) -> str:
        draw, size = self.draw, self.sizes[name]
        head = f'<population id="{name}" component="{self.cells[name]}"'
        about = notes(draw)
        if draw(st.booleans()):
            about += f'<property tag="color" value={quoteattr(draw(texts))}/>'
        if name not in self.placed:
            return f'{head} size="{size}">{about}</population>'
        axes = [plain(draw(weights)) for _ in range(size)]
        places = "".join(
            f'<instance id="{n}"><location x="{x}" y="{n}" z="0"/></instance>'
            for n, x in enumerate(axes)
        )
        return f'{head} type="populationList">{about}{places}</population>'

    def cell(self, name: str, number: int | None = None) -> str:
        """Return the path of a cell."""
        if number is None:
            number = self.draw(st.integers(0, self.sizes[name] - 1))
        return f"{name}/{number}/{self.cells[name]}" if name in self.placed else f"{name}[{number}]"

    def site(self, name: str, prefix: str, suffix: str = "Id") -> str:
        """Return where on a cell something ends."""
        if self.cells[name] != "long" or self.draw(st.booleans()):
            return ""
        fraction = self.draw(st.sampled_from(["0", "0.25", "0.5", "1"]))
        segment = self.draw(st.sampled_from([0, 3, 5]))
        if not prefix:
            return f' segmentId="{segment}" fractionAlong="{fraction}"'
        return f' {prefix}Segment{suffix}="{segment}" {prefix}FractionAlong="{fraction}"'


@st.composite
def models(draw: st.DrawFn) -> str:
    """Return a model: populations, all kinds of connections and inputs, and what is recorded."""
    places = Places(draw)
    lines = places.elements()

    def rows(ends: tuple[str, str], *forms: str) -> str:
        """Return connections of some of the forms, in any order."""
        return "".join(
            draw(st.sampled_from(forms)).format(
                n=n,
                w=plain(draw(weights)),
                d=draw(delays),
                pre=places.cell(ends[0]),
                post=places.cell(ends[1]),
                sites=places.site(ends[0], "pre") + places.site(ends[1], "post"),
                places=places.site(ends[0], "pre", "") + places.site(ends[1], "post", ""),
                gap=draw(st.sampled_from(["gap", "wide"])),
                at=places.site(ends[1], ""),
            )
            for n in range(draw(st.integers(1, 5)))
        )

    names, receiving = st.sampled_from(places.names), st.sampled_from(places.receiving)
    synapses = st.sampled_from(["ampa", "gaba", "jumping"])
    for number in range(draw(st.integers(0, 3))):
        ends = (draw(names), draw(receiving))
        lines.append(f'<projection id="p{number}" presynapticPopulation="{ends[0]}"')
        lines.append(f'postsynapticPopulation="{ends[1]}" synapse="{draw(synapses)}">')
        path = 'id="{n}" preCellId="../{pre}" postCellId="../{post}"{sites}'
        weighted = f'<connectionWD {path} weight="{{w}}" delay="{{d}}"/>'
        lines.append(rows(ends, f"<connection {path}/>", weighted) + "</projection>")
    if draw(st.booleans()):
        pre = draw(names)
        lines.append(
            f'<fixedInDegree id="rule" presynapticPopulation="{pre}" postsynapticPopulation='
            f'"{draw(receiving)}" synapse="ampa" weightMin="0" weightMax="1" '
            f'inDegree="{draw(st.integers(0, places.sizes[pre]))}" delay="{draw(delays)}"/>'
        )
    if draw(st.booleans()):
        ends = (draw(names), draw(receiving))
        path = f'from="{{pre}}" to="{{post}}" synapse="{draw(synapses)}" destination="synapses"'
        weighted = f'<synapticConnectionWD {path} weight="{{w}}" delay="{{d}}"/>'
        lines.append(rows(ends, f"<synapticConnection {path}/>", weighted))
    if draw(st.booleans()):
        ends = (draw(receiving), draw(receiving))
        lines.append(f'<electricalProjection id="g" presynapticPopulation="{ends[0]}"')
        lines.append(f'postsynapticPopulation="{ends[1]}">')
        path = 'id="{n}" preCell="../{pre}" postCell="../{post}" synapse="{gap}"{places}'
        weighted = f'<electricalConnectionInstanceW {path} weight="{{w}}"/>'
        lines.append(rows(ends, f"<electricalConnectionInstance {path}/>", weighted))
        lines.append("</electricalProjection>")
    if draw(st.booleans()):
        ends = (places.names[0], draw(receiving))
        lines.append(f'<continuousProjection id="s" presynapticPopulation="{ends[0]}"')
        lines.append(f'postsynapticPopulation="{ends[1]}">')
        path = 'id="{n}" preCell="../{pre}" postCell="../{post}"{places}'
        path += ' preComponent="silent" postComponent="graded"'
        weighted = f'<continuousConnectionInstanceW {path} weight="{{w}}"/>'
        lines.append(rows(ends, f"<continuousConnectionInstance {path}/>", weighted))
        lines.append("</continuousProjection>")
    sources = st.sampled_from(["pulse", "both", "drifting"])
    for _ in range(draw(st.integers(0, 2))):
        ends = (places.names[0], draw(receiving))
        lines.append(rows(ends, f'<explicitInput target="{{post}}" input="{draw(sources)}"/>'))
    for number in range(draw(st.integers(0, 2))):
        ends = (places.names[0], draw(receiving))
        source = draw(sources)
        lines.append(f'<inputList id="i{number}" component="{source}" population="{ends[1]}">')
        path = 'id="{n}" target="../{post}" destination="synapses"{at}'
        forms = [f"<input {path}/>"]
        forms += [f'<inputW {path} weight="{{w}}"/>'] if source == "pulse" else []
        lines.append(rows(ends, *forms) + "</inputList>")
    reversal = draw(st.sampled_from(['"-50mV"', '"-0.05 V"', '"-5e-2V"']))
    capacity = draw(st.sampled_from(['"0.2nF"', '"2e-10F"', '"200 pF"']))
    heat = draw(st.sampled_from(["", ' type="networkWithTemperature" temperature="6.3 degC"']))
    cells = CELLS.format(reversal=reversal, capacity=capacity, notes=notes(draw))
    head = f'<Lems><Target component="sim"/>{INCLUDES}{TYPES}{cells}<network id="net"{heat}>'
    body = "\n".join([head, notes(draw), *lines, "</network>"])
    return f"{body}{simulation(draw, places)}</Lems>"


def simulation(draw: st.DrawFn, places: Places) -> str:
    """Return a Simulation with displays, files and events of some cells."""
    seed = draw(st.sampled_from(["", ' seed="77"']))
    step = draw(st.sampled_from(["0.01ms", "1e-5 s", "1.0e-2 ms"]))
    lines = [f'<Simulation id="sim" length="10ms" step="{step}" target="net"{seed}>{notes(draw)}']
    known = [name for name in places.receiving if places.cells[name] != "long"]
    for number in range(draw(st.integers(0, 2))):
        paths = [f"{places.cell(draw(st.sampled_from(known)))}/v" for _ in range(2)]
        title = quoteattr(draw(texts))
        lines.append(f'<Display id="d{number}" title={title} timeScale="1ms" xmin="0" xmax="9"')
        lines.append('ymin="-80" ymax="1e2">')
        lines += [
            f'<Line id="l{n}" quantity="{path}" scale="1 mV" color="#a1b2c3" timeScale="1ms"/>'
            for n, path in enumerate(paths)
        ]
        lines.append("</Display>")
        lines.append(f'<OutputFile id="o{number}" fileName="{number}.dat">')
        lines += [f'<OutputColumn id="c{n}" quantity="{path}"/>' for n, path in enumerate(paths)]
        lines.append("</OutputFile>")
    if draw(st.booleans()):
        cell = places.cell(draw(st.sampled_from(places.names)), 0)
        lines.append('<EventOutputFile id="e" fileName="e.spikes" format="ID_TIME">')
        lines.append(
            f'<EventSelection id="0" select="{cell}" eventPort="spike"/></EventOutputFile>'
        )
    return "\n".join([*lines, "</Simulation>"])
