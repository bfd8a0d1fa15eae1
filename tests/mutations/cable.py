"""A network of cells with several compartments: a soma and two dendrites, all with channels."""

from __future__ import annotations

CABLE = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<ionChannelHH id="pas" conductance="10pS"/>
<ionChannelHH id="na" conductance="10pS">
  <gateHHrates id="m" instances="3">
    <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>
  <gateHHrates id="h" instances="1">
    <forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
    <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/></gateHHrates>
</ionChannelHH>
<ionChannelHH id="k" conductance="10pS"><gateHHrates id="n" instances="4">
  <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
  <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>
</gateHHrates></ionChannelHH>
<cell id="neuron"><morphology id="shape">
  <segment id="0" name="soma"><proximal x="0" y="0" z="0" diameter="20"/>
    <distal x="20" y="0" z="0" diameter="20"/></segment>
  <segment id="1" name="thick"><parent segment="0"/>
    <proximal x="20" y="0" z="0" diameter="4"/><distal x="120" y="0" z="0" diameter="3"/></segment>
  <segment id="2" name="thin"><parent segment="0" fractionAlong="0"/>
    <proximal x="0" y="0" z="0" diameter="2"/><distal x="-80" y="0" z="0" diameter="1"/></segment>
  <segmentGroup id="somatic"><member segment="0"/></segmentGroup>
  <segmentGroup id="trunk"><property tag="numberInternalDivisions" value="3"/>
    <member segment="1"/></segmentGroup>
  <segmentGroup id="branch"><member segment="2"/></segmentGroup>
</morphology>
<biophysicalProperties id="properties"><membraneProperties>
  <channelDensity id="leak" ionChannel="pas" condDensity="3 S_per_m2" erev="-60mV"
    ion="non_specific"/>
  <channelDensity id="naSoma" ionChannel="na" condDensity="1200 S_per_m2" erev="50mV" ion="na"
    segmentGroup="somatic"/>
  <channelDensity id="kSoma" ionChannel="k" condDensity="360 S_per_m2" erev="-77mV" ion="k"
    segmentGroup="somatic"/>
  <channelDensity id="kTrunk" ionChannel="k" condDensity="50 S_per_m2" erev="-77mV" ion="k"
    segmentGroup="trunk"/>
  <spikeThresh value="0mV"/><specificCapacitance value="1.0 uF_per_cm2"/>
  <initMembPotential value="-65mV"/>
</membraneProperties>
<intracellularProperties><resistivity value="150 ohm_cm"/></intracellularProperties>
</biophysicalProperties></cell>
<expTwoSynapse id="ampa" tauRise="0.5ms" tauDecay="3ms" gbase="6nS" erev="0mV"/>
<blockingPlasticSynapse id="nmda" gbase="3nS" erev="0mV" tauRise="1ms" tauDecay="20ms">
  <blockMechanism type="voltageConcDepBlockMechanism" species="mg" blockConcentration="1.2mM"
    scalingConc="1.9mM" scalingVolt="16mV"/>
</blockingPlasticSynapse>
<pulseGenerator id="strong" delay="1ms" duration="15ms" amplitude="300pA"/>
<pulseGenerator id="weak" delay="2ms" duration="10ms" amplitude="30pA"/>
<network id="net"><population id="N" component="neuron" type="populationList" size="3">
  <instance id="0"><location x="0" y="0" z="0"/></instance>
  <instance id="1"><location x="9" y="0" z="0"/></instance>
  <instance id="2"><location x="9" y="9" z="0"/></instance></population>
<projection id="fast" presynapticPopulation="N" postsynapticPopulation="N" synapse="ampa">
  <connectionWD id="0" preCellId="../N/0/neuron" postCellId="../N/1/neuron" postSegmentId="1"
    postFractionAlong="0.9" weight="2" delay="0.5ms"/>
  <connectionWD id="1" preCellId="../N/0/neuron" postCellId="../N/2/neuron" postSegmentId="2"
    weight="1" delay="1ms"/></projection>
<projection id="slow" presynapticPopulation="N" postsynapticPopulation="N" synapse="nmda">
  <connectionWD id="0" preCellId="../N/0/neuron" postCellId="../N/1/neuron" postSegmentId="1"
    postFractionAlong="0.4" weight="1" delay="0.5ms"/></projection>
<inputList id="inputs" component="strong" population="N">
  <input id="0" target="../N/0/neuron" destination="synapses"/></inputList>
<inputList id="others" component="weak" population="N">
  <input id="0" target="../N/2/neuron" segmentId="1" fractionAlong="0.8" destination="synapses"/>
</inputList></network>
<Simulation id="sim" length="15ms" step="0.01ms" target="net">
<OutputFile id="o" fileName="v.dat"><OutputColumn id="v" quantity="N/0/neuron/v"/>
<OutputColumn id="d" quantity="N/1/neuron/1/v"/></OutputFile></Simulation></Lems>
"""
