"""Models in which every fault shows: gates, regimes, resets, merged populations, delays, chance."""

from __future__ import annotations

from pathlib import Path

from izhi_models.library import models_folder
from tests.model_text import POTASSIUM
from tests.mutations.cable import CABLE
from tests.mutations.reading import write_hdf5, write_xml

_NETWORK = f"""<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<izhikevich2007Cell id="rs" C="100pF" v0="-60mV" k="0.7nS_per_mV" vr="-60mV" vt="-40mV"
  vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" d="100pA"/>
<izhikevich2007Cell id="ch" C="50pF" v0="-60mV" k="1.5nS_per_mV" vr="-60mV" vt="-40mV"
  vpeak="25mV" a="0.03per_ms" b="1nS" c="-40mV" d="150pA"/>
<iafRefCell id="iaf" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.1nF"
  leakConductance="10nS" refract="2ms"/>
<ionChannelHH id="pas" conductance="10pS"/>
{POTASSIUM}
<pointCellCondBased id="hh" C="10pF" v0="-65mV" thresh="-40mV">
  <channelPopulation id="leaks" ionChannel="pas" number="300" erev="-54.3mV"/>
  <channelPopulation id="kChans" ionChannel="k" number="3600" erev="-77mV"/>
</pointCellCondBased>
<ComponentType name="Odd" extends="baseCellMembPot">
  <Constant name="ms" dimension="time" value="1ms"/>
  <Constant name="mV" dimension="voltage" value="1mV"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
  <StateVariable name="w" dimension="none"/>
  <DerivedVariable name="x" dimension="none" value="ln(2 + (v/mV)^2) - (w - (1 - v/mV))"/>
  <TimeDerivative variable="v" value="(sin(t/ms) - v/mV - (w - 0.1))*mV/ms/10"/>
  <TimeDerivative variable="w" value="-(x*0.01 + w - v/mV)/(ms*(20 + w))"/>
  <OnStart><StateAssignment variable="v" value="mV"/></OnStart>
  <OnCondition test="w .gt. 0.05 .and. v .gt. 0"><StateAssignment variable="w" value="-w"/>
    <StateAssignment variable="v" value="v - w*mV"/></OnCondition>
  <OnCondition test="v .lt. -0.5*mV">
    <StateAssignment variable="v" value="v + mV*0.1"/></OnCondition>
  </Dynamics></ComponentType>
<Odd id="odd"/>
<pulseGenerator id="small" delay="1.3ms" duration="9ms" amplitude="150pA"/>
<pulseGenerator id="large" delay="3ms" duration="5ms" amplitude="190pA"/>
<sineGenerator id="sine" phase="0" delay="2ms" duration="10ms" amplitude="60pA" period="4ms"/>
<spikeGenerator id="clock" period="1.1ms"/>
<expOneSynapse id="quick" gbase="4nS" erev="0mV" tauDecay="2ms"/>
<expOneSynapse id="lasting" gbase="2nS" erev="-80mV" tauDecay="9ms"/>
<gapJunction id="gap" conductance="2nS"/>
<blockingPlasticSynapse id="tired" gbase="4nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <tsodyksMarkramDepFacMechanism id="mech" initReleaseProb="0.5" tauFac="100ms" tauRec="200ms"/>
</blockingPlasticSynapse>
<blockingPlasticSynapse id="tireless" gbase="5nS" erev="0mV" tauRise="0.6ms" tauDecay="7ms">
  <tsodyksMarkramDepFacMechanism id="mech" initReleaseProb="0.2" tauFac="300ms" tauRec="20ms"/>
</blockingPlasticSynapse>
<network id="net">
<population id="R" component="rs" size="2"/><population id="C" component="ch" size="2"/>
<population id="I" component="iaf" size="3"/><population id="H" component="hh" size="2"/>
<population id="O" component="odd" size="2"/><population id="S" component="clock" size="2"/>
<projection id="sr" presynapticPopulation="S" postsynapticPopulation="R" synapse="quick">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../R[0]" weight="1.5" delay="0.3ms"/>
  <connectionWD id="1" preCellId="../S[1]" postCellId="../R[1]" weight="0.5" delay="0ms"/>
  <connectionWD id="2" preCellId="../S[0]" postCellId="../R[1]" weight="0.7" delay="1.1ms"/>
</projection>
<projection id="sc" presynapticPopulation="S" postsynapticPopulation="C" synapse="lasting">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../C[1]" weight="2" delay="0.7ms"/>
</projection>
<projection id="rc" presynapticPopulation="R" postsynapticPopulation="C" synapse="quick">
  <connectionWD id="0" preCellId="../R[1]" postCellId="../C[1]" weight="3" delay="0.2ms"/>
  <connectionWD id="1" preCellId="../R[0]" postCellId="../C[0]" weight="1" delay="0.1ms"/>
</projection>
<projection id="ci" presynapticPopulation="C" postsynapticPopulation="I" synapse="tired">
  <connectionWD id="0" preCellId="../C[0]" postCellId="../I[0]" weight="1" delay="0.1ms"/>
</projection>
<projection id="si" presynapticPopulation="S" postsynapticPopulation="I" synapse="tired">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../I[1]" weight="2" delay="0.2ms"/>
</projection>
<projection id="sj" presynapticPopulation="S" postsynapticPopulation="I" synapse="tireless">
  <connectionWD id="0" preCellId="../S[1]" postCellId="../I[1]" weight="1" delay="0.5ms"/>
</projection>
<projection id="sx" presynapticPopulation="S" postsynapticPopulation="R" synapse="tired">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../R[0]" weight="1" delay="0.2ms"/>
</projection>
<projection id="sy" presynapticPopulation="S" postsynapticPopulation="R" synapse="tireless">
  <connectionWD id="0" preCellId="../S[1]" postCellId="../R[1]" weight="1" delay="0.2ms"/>
</projection>
<projection id="sh" presynapticPopulation="S" postsynapticPopulation="H" synapse="quick">
  <connectionWD id="0" preCellId="../S[0]" postCellId="../H[0]" weight="11.1" delay="0.4ms"/>
  <connectionWD id="1" preCellId="../S[0]" postCellId="../H[1]" weight="22.1" delay="0.4ms"/>
  <connectionWD id="2" preCellId="../S[1]" postCellId="../H[0]" weight="33.1" delay="0.4ms"/>
  <connectionWD id="3" preCellId="../S[1]" postCellId="../H[1]" weight="44.1" delay="0.4ms"/>
</projection>
<electricalProjection id="g" presynapticPopulation="R" postsynapticPopulation="C">
  <electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/></electricalProjection>
<explicitInput target="R[0]" input="small"/><explicitInput target="R[0]" input="large"/>
<explicitInput target="C[0]" input="large"/><explicitInput target="C[1]" input="sine"/>
<explicitInput target="I[0]" input="small"/><explicitInput target="I[2]" input="large"/>
</network>
<Simulation id="sim" length="15ms" step="0.1ms" target="net">
<OutputFile id="o" fileName="v.dat"><OutputColumn id="r" quantity="R[0]/v"/>
<OutputColumn id="i" quantity="I[1]/v"/><OutputColumn id="x" quantity="O[0]/x"/>
<OutputColumn id="h" quantity="H[0]/v"/></OutputFile></Simulation></Lems>
"""

_CELLS = f"""<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<iafRefCell id="iaf" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.1nF"
  leakConductance="10nS" refract="4ms"/>
<ionChannelHH id="pas" conductance="10pS"/>
{POTASSIUM}
<pointCellCondBased id="hh" C="10pF" v0="-30mV" thresh="20mV">
  <channelPopulation id="leaks" ionChannel="pas" number="300" erev="-54.3mV"/>
  <channelPopulation id="kChans" ionChannel="k" number="3600" erev="-77mV"/>
</pointCellCondBased>
<pulseGenerator id="large" delay="2ms" duration="50ms" amplitude="300pA"/>
<network id="net"><population id="I" component="iaf" size="1"/>
<population id="H" component="hh" size="1"/>
<explicitInput target="I[0]" input="large"/></network>
<Simulation id="sim" length="40ms" step="0.02ms" target="net">
<OutputFile id="o" fileName="v.dat"><OutputColumn id="i" quantity="I[0]/v"/>
<OutputColumn id="h" quantity="H[0]/v"/></OutputFile></Simulation></Lems>
"""


_CHANCE = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/><Include file="PyNN.xml"/><Include file="{rules}"/>
<spikeGeneratorPoisson id="poisson" averageRate="80 Hz"/>
<spikeGeneratorRefPoisson id="refractory" averageRate="60 Hz" minimumISI="5 ms"/>
<spikeGeneratorRandom id="even" minISI="5 ms" maxISI="25 ms"/>
<SpikeSourcePoisson id="window" start="20 ms" duration="150 ms" rate="400 Hz"/>
<expOneSynapse id="ampa" gbase="1nS" erev="0mV" tauDecay="5ms"/>
<poissonFiringSynapse id="firing" averageRate="70 Hz" synapse="ampa" spikeTarget="./ampa"/>
<iafCell id="iaf" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.1nF"
  leakConductance="10nS"/>
<ComponentType name="Shaky"><Constant name="ms" dimension="time" value="1ms"/>
  <Exposure name="x" dimension="none"/><Dynamics><StateVariable name="x" dimension="none"
  exposure="x"/><OnCondition test="t .gt. 0*ms"><StateAssignment variable="x"
  value="0.9*x + random(1)"/></OnCondition></Dynamics></ComponentType>
<ComponentType name="Calm"><Constant name="ms" dimension="time" value="1ms"/>
  <Exposure name="x" dimension="none"/><Dynamics><StateVariable name="x" dimension="none"
  exposure="x"/><OnCondition test="t .gt. 0*ms"><StateAssignment variable="x"
  value="0.8*x + random(1)"/></OnCondition></Dynamics></ComponentType>
<Shaky id="shaky"/><Calm id="calm"/>
<network id="net"><population id="N" component="shaky" size="1"/>
<population id="M" component="calm" size="1"/>
<population id="P" component="poisson" size="20"/>
<population id="R" component="refractory" size="20"/>
<population id="E" component="even" size="20"/>
<population id="W" component="window" size="40"/>
<population id="C" component="iaf" size="2"/><explicitInput target="C[0]" input="firing"/>
<population id="A" component="iaf" size="100"/><population id="B" component="iaf" size="100"/>
<fixedProbabilityNoAutapses id="thin" presynapticPopulation="A" postsynapticPopulation="B"
  synapse="ampa" probability="0.1" weightMin="1" weightMax="2" delay="1ms"
  destination="synapses"/>
<fixedInDegree id="few" presynapticPopulation="A" postsynapticPopulation="B" synapse="ampa"
  inDegree="5" weightMin="0" weightMax="1" delay="2ms" destination="synapses"/>
<fixedInDegreeNoAutapses id="many" presynapticPopulation="A" postsynapticPopulation="A"
  synapse="ampa" inDegree="60" weightMin="0" weightMax="1" delay="2ms" destination="synapses"/>
</network>
<Simulation id="sim" length="200ms" step="0.1ms" target="net">
<OutputFile id="o" fileName="v.dat"><OutputColumn id="c" quantity="C[0]/v"/>
<OutputColumn id="n" quantity="N[0]/x"/><OutputColumn id="m" quantity="M[0]/x"/></OutputFile>
</Simulation></Lems>
"""


SETTINGS = {"rs/b": "-1.5 nS", "iaf/C": "0.12 nF", "pulse/amplitude": "140 pA"}
_SET = {'b="-2nS"': 'b="-1.5nS"', 'C="0.1nF"': 'C="0.12nF"', 'e="150pA"': 'e="140pA"'}


def write_models(folder: Path) -> dict[str, Path]:
    """Write the models; return those of rungs by the rung, others by name."""
    network, cells, chance, cable = (
        folder / f"{name}.xml" for name in ("network", "cells", "chance", "cable")
    )
    rules = models_folder() / "networks" / "connection_rules.types.xml"
    network.write_text(_NETWORK, encoding="utf-8")
    cells.write_text(_CELLS, encoding="utf-8")
    chance.write_text(_CHANCE.format(rules=rules), encoding="utf-8")
    cable.write_text(CABLE, encoding="utf-8")
    reading = write_xml(folder)
    edited = reading.read_text(encoding="utf-8")
    for old, new in _SET.items():
        edited = edited.replace(old, new)
    (folder / "edited.xml").write_text(edited, encoding="utf-8")
    return {
        "equations": network,
        "trajectory": cells,
        "reference": cells,
        "invariants": chance,
        "cable": cable,
        "reading": reading,
        "edited": folder / "edited.xml",
        "hdf5": write_hdf5(folder),
    }
