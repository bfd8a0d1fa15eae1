"""Parts of model files that tests of several modules run."""

from __future__ import annotations

# The channels and the cell of Hodgkin and Huxley (1952), 1000 um2 of it, with a rest at -65 mV.
POTASSIUM = """\
<ionChannelHH id="k" conductance="10pS" species="k">
  <gateHHrates id="n" instances="4">
    <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>
  </gateHHrates>
</ionChannelHH>"""
HODGKIN_HUXLEY = f"""\
<ionChannelHH id="pas" conductance="10pS"/>
<ionChannelHH id="na" conductance="10pS" species="na">
  <gateHHrates id="m" instances="3">
    <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/>
  </gateHHrates>
  <gateHHrates id="h" instances="1">
    <forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
    <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/>
  </gateHHrates>
</ionChannelHH>
{POTASSIUM}
<pointCellCondBased id="hh" C="10pF" v0="-65mV" thresh="20mV">
  <channelPopulation id="leaks" ionChannel="pas" number="300" erev="-54.3mV"/>
  <channelPopulation id="naChans" ionChannel="na" number="120000" erev="50mV"/>
  <channelPopulation id="kChans" ionChannel="k" number="36000" erev="-77mV"/>
</pointCellCondBased>"""

# ComponentTypes that are not NeuroML's: cells that send, add, pass on or count events, networks of
# them, and what connects their cells.
EVENT_TYPES = """
<Dimension name="time" t="1"/><Dimension name="voltage" m="1" l="2" t="-3" i="-1"/>
<Unit symbol="ms" dimension="time" power="-3"/><Unit symbol="mV" dimension="voltage" power="-3"/>
<ComponentType name="clock"><Parameter name="period" dimension="time"/>
  <EventPort name="tick" direction="out"/>
  <Dynamics><StateVariable name="last" dimension="time"/>
  <OnCondition test="t - last .geq. period"><StateAssignment variable="last" value="t"/>
    <EventOut port="tick"/></OnCondition></Dynamics></ComponentType>
<ComponentType name="leaky"><Parameter name="tau" dimension="time"/>
  <Parameter name="jump" dimension="voltage"/><Exposure name="v" dimension="voltage"/>
  <EventPort name="in" direction="in"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
  <TimeDerivative variable="v" value="-v / tau"/>
  <OnEvent port="in"><StateAssignment variable="v" value="v + jump"/></OnEvent></Dynamics>
</ComponentType>
<ComponentType name="relay"><EventPort name="in" direction="in"/>
  <EventPort name="out" direction="out"/><Exposure name="seen" dimension="none"/>
  <Dynamics><StateVariable name="seen" dimension="none" exposure="seen"/>
  <OnEvent port="in"><StateAssignment variable="seen" value="1"/><EventOut port="out"/></OnEvent>
  </Dynamics></ComponentType>
<ComponentType name="gated"><Parameter name="wait" dimension="time"/>
  <EventPort name="in" direction="in"/><EventPort name="out" direction="out"/>
  <Exposure name="n" dimension="none"/>
  <Dynamics><StateVariable name="n" dimension="none" exposure="n"/>
  <StateVariable name="since" dimension="time"/>
  <Regime name="closed"><OnEntry><StateAssignment variable="since" value="t"/></OnEntry>
    <OnCondition test="t - since .geq. wait"><Transition regime="open"/></OnCondition></Regime>
  <Regime name="open" initial="true">
    <OnEvent port="in"><StateAssignment variable="n" value="n + 1"/></OnEvent>
    <OnCondition test="n .geq. 3"><StateAssignment variable="n" value="0"/><EventOut port="out"/>
      <Transition regime="closed"/></OnCondition></Regime></Dynamics></ComponentType>
<ComponentType name="Net"><Children name="groups" type="Group"/><Children name="wires" type="Wire"/>
  <Children name="fans" type="Fan"/></ComponentType>
<ComponentType name="Group"><ComponentReference name="of" type="Component"/>
  <Parameter name="count" dimension="none"/>
  <Structure><MultiInstantiate number="count" component="of"/></Structure></ComponentType>
<ComponentType name="Wire"><Path name="from"/><Path name="to"/><Text name="port"/>
  <Structure><With instance="from" as="a"/><With instance="to" as="b"/>
    <EventConnection from="a" to="b" targetPort="port"/></Structure></ComponentType>
<ComponentType name="Fan"><Link name="source" type="Group"/><Link name="target" type="Group"/>
  <Parameter name="delay" dimension="time"/>
  <Structure><ForEach instances="source" as="a"><ForEach instances="target" as="b">
    <EventConnection from="a" to="b" delay="delay"/></ForEach></ForEach></Structure>
</ComponentType>
<clock id="slow" period="10 ms"/><clock id="quick" period="4 ms"/>
<leaky id="leak" tau="20 ms" jump="3 mV"/><relay id="pass"/><gated id="gate" wait="9 ms"/>
"""
