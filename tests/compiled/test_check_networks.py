"""The ladder of checks on what takes more than a cell: compartments, holders, cells of one kind."""

from __future__ import annotations

from pathlib import Path

from izhi_models.checks import CheckReport, check
from tests.conftest import WriteModel
from tests.mutations.cable import CABLE

CHANNELS = """<ionChannelHH id="pas" conductance="10pS"/>
<ionChannelHH id="k" conductance="10pS"><gateHHrates id="n" instances="4">{q10}
  <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
  <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>
</gateHHrates></ionChannelHH>
<pointCellCondBased id="hh" C="10pF" v0="-65mV" thresh="-40mV">
  <channelPopulation id="leaks" ionChannel="pas" number="300" erev="-54.3mV"/>
  <channelPopulation id="kChans" ionChannel="k" number="3600" erev="-77mV"/>
</pointCellCondBased>
<pulseGenerator id="pulse" delay="2ms" duration="9ms" amplitude="20pA"/>"""


def held(report: CheckReport, rung: str) -> dict[str, str]:
    """Return what was measured, by what was compared, of a rung that holds."""
    report.raise_if_failed()
    assert report.rung(rung).verdict == "holds", report.rung(rung).findings
    return {item.what: item.measured for item in report.rung(rung).findings}


def test_compartments_hold_against_the_interpreter_and_the_solution(tmp_path: Path) -> None:
    path = tmp_path / "cable.xml"
    path.write_text(CABLE, encoding="utf-8")
    report = check(path, ["spec", "equations", "trajectory"])
    held(report, "spec")
    told = held(report, "equations")
    assert {"N/v", "compartments of N (1)/v", "compartments of N (2)/v"} <= told.keys()
    told = held(report, "trajectory")
    assert told["spikes of N[0]"].split()[0] != "0"
    # Compartments of the cell that the pulse drives; their neighbours move them alone.
    (order,) = [text for what, text in told.items() if what.startswith("compartment 2 of N[0]/")]
    orders = order.split("order ")[1].split(", expected 2")[0].split(", ")
    assert all(float(item) >= 1.8 for item in orders), order


def test_what_holds_a_network_and_warms_it_is_solved_with_its_cells(
    write_model: WriteModel,
) -> None:
    q10 = '<q10Settings type="q10ExpTemp" q10Factor="3" experimentalTemp="6.3 degC"/>'
    holder = """<ComponentType name="Oven"><Parameter name="rate" dimension="per_time"/>
      <Constant name="K" dimension="temperature" value="1K"/>
      <Child name="net" type="network"/><Exposure name="temperature" dimension="temperature"/>
      <Dynamics><StateVariable name="warm" dimension="temperature"/>
      <DerivedVariable name="temperature" dimension="temperature" value="280*K + warm"
        exposure="temperature"/>
      <TimeDerivative variable="warm" value="rate*(10*K - warm)"/></Dynamics></ComponentType>"""
    path = write_model(
        CHANNELS.format(q10=q10) + holder + '<Oven id="oven" rate="0.2per_ms">',
        '<population id="pop" component="hh" size="1"/>'
        '<explicitInput target="pop[0]" input="pulse"/>',
        'length="15ms" step="0.02ms" target="oven"',
    )
    path.write_text(path.read_text().replace("</network>", "</network></Oven>"))
    report = check(path, ["equations", "trajectory"])
    assert "pop/oven/warm" in held(report, "equations")
    assert any(what.startswith("pop[0]") for what in held(report, "trajectory"))


def test_a_cell_without_the_synapse_of_another_of_its_kind_is_no_false_alarm(
    write_model: WriteModel,
) -> None:
    # The current of NMDA is not linear in v: where one cell has it, no cell of the kind relaxes v.
    nmda = """<blockingPlasticSynapse id="nmda" gbase="3nS" erev="0mV" tauRise="1ms"
      tauDecay="20ms"><blockMechanism type="voltageConcDepBlockMechanism" species="mg"
        blockConcentration="1.2mM" scalingConc="1.9mM" scalingVolt="16mV"/></blockingPlasticSynapse>
      <spikeGenerator id="clock" period="3ms"/>"""
    path = write_model(
        CHANNELS.format(q10="") + nmda,
        '<population id="pop" component="hh" size="2"/>'
        '<population id="clocks" component="clock" size="1"/>'
        '<explicitInput target="pop[0]" input="pulse"/>'
        '<synapticConnection from="clocks[0]" to="pop[1]" synapse="nmda" destination="synapses"/>',
        'length="15ms" step="0.02ms" target="net"',
    )
    assert "pop/v" in held(check(path, ["equations"]), "equations")
