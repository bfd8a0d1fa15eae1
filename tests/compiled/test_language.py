"""What the examples of the LEMS language itself use, in files of our own: no type is NeuroML's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import UnsupportedError
from izhi_models.execute import Settings, execute

UNITS = """
<Dimension name="voltage" m="1" l="2" t="-3" i="-1"/><Dimension name="time" t="1"/>
<Dimension name="per_time" t="-1"/><Dimension name="conductance" m="-1" l="-2" t="3" i="2"/>
<Dimension name="capacitance" m="-1" l="-2" t="4" i="2"/><Dimension name="current" i="1"/>
<Dimension name="length" l="1"/><Dimension name="speed" l="1" t="-1"/>
<Dimension name="acceleration" l="1" t="-2"/>
<Unit symbol="mV" dimension="voltage" power="-3"/><Unit symbol="ms" dimension="time" power="-3"/>
<Unit symbol="per_ms" dimension="per_time" power="3"/>
<Unit symbol="s" dimension="time"/><Unit symbol="m" dimension="length"/>
<Unit symbol="pS" dimension="conductance" power="-12"/>
<Unit symbol="pF" dimension="capacitance" power="-12"/>
<Unit symbol="pA" dimension="current" power="-12"/>
"""
# Types for simulations, as each file of LEMS may declare them.
SINGLE = """
<ComponentType name="Line"><Parameter name="scale" dimension="*"/>
  <Parameter name="timeScale" dimension="*"/><Text name="color"/><Path name="quantity"/>
  <Simulation><Record quantity="quantity" timeScale="timeScale" scale="scale" color="color"
                      destination="display"/></Simulation></ComponentType>
<ComponentType name="Display"><Text name="title"/><Parameter name="xmin" dimension="none"/>
  <Parameter name="xmax" dimension="none"/><Parameter name="ymin" dimension="none"/>
  <Parameter name="ymax" dimension="none"/>
  <Simulation><DataDisplay title="title" dataRegion="xmin,xmax,ymin,ymax"/></Simulation>
</ComponentType>
<ComponentType name="Curves"><Parameter name="timeScale" dimension="time"/>
  <Children name="lines" type="Line"/><Text name="title"/></ComponentType>
<ComponentType name="Simulation"><Parameter name="length" dimension="time"/>
  <Parameter name="step" dimension="time"/><ComponentReference name="target" type="Component"/>
  <Link name="display" type="Display"/><Children name="outputs" type="Curves"/>
  <Dynamics><StateVariable name="t" dimension="time"/></Dynamics>
  <Simulation><Run component="target" variable="t" increment="step" total="length"/></Simulation>
</ComponentType>
<ComponentType name="Study"><Children name="simulations" type="Simulation"/>
  <Children name="displays" type="Display"/></ComponentType>
"""


def write(folder: Path, body: str, target: str, quantities: list[str], times: str) -> Path:
    """Write a file whose target is a set that holds one Simulation, and the display apart."""
    lines = "".join(
        f'<Line id="line {number}" quantity="{path}" scale="1" timeScale="1ms" color="#0000f0"/>'
        for number, path in enumerate(quantities)
    )
    study = (
        '<Study id="study"><Display id="shown" title="as asked" xmin="-1" xmax="50" ymin="0" '
        f'ymax="6"/><Simulation id="sim" {times} target="{target}" display="shown">'
        f'<Curves timeScale="1ms">{lines}</Curves></Simulation></Study>'
    )
    path = folder / "language.xml"
    path.write_text(f'<Lems><Target component="study"/>{UNITS}{SINGLE}{body}{study}</Lems>')
    return path


# Bounces, with constants of the file, of which one follows from another, and one type has its own.
BALL = """
<Constant name="acceleration due to gravity" symbol="G" dimension="acceleration" value="9.8"/>
<Constant name="lost" dimension="none" value="0.47"/>
<Constant name="kept" dimension="none" value="1 - lost"/>
<ComponentType name="ball">
  <Parameter name="y0" dimension="length"/>
  <Exposure name="height" dimension="length"/>
  <Dynamics>
    <StateVariable name="height" exposure="height" dimension="length"/>
    <StateVariable name="speed" dimension="speed"/>
    <OnStart><StateAssignment variable="height" value="y0"/></OnStart>
    <TimeDerivative variable="speed" value="-1 * G"/>
    <TimeDerivative variable="height" value="speed"/>
    <OnCondition test="height .lt. 0">
      <StateAssignment variable="speed" value="-speed * kept"/>
      <StateAssignment variable="height" value="0"/>
    </OnCondition>
  </Dynamics>
</ComponentType>
<ComponentType name="lively" extends="ball">
  <Constant name="kept" dimension="none" value="0.9"/>
</ComponentType>
<ball id="dull" y0="5m"/><lively id="rubber" y0="5m"/>
<ComponentType name="pair"><Child name="first" type="ball"/><Child name="second" type="ball"/>
  <Dynamics/></ComponentType>
<pair id="both"><first type="ball" y0="5m"/><second type="lively" y0="5m"/></pair>
"""


def bounces(kept: float, n_steps: int, dt: float) -> np.ndarray:
    height, speed = 5.0, 0.0
    rows = [height]
    for _ in range(n_steps):
        height, speed = height + dt * speed, speed - dt * 9.8
        if height < 0.0:
            height, speed = 0.0, -speed * kept
        rows.append(height)
    return np.array(rows)


def test_constants_of_the_file_are_read_unless_a_type_has_its_own(tmp_path):
    quantities = ["first/height", "second/height"]
    path = write(tmp_path, BALL, "both", quantities, 'length="5s" step="0.01s"')
    results = izhi_models.load(path).compile().simulate()
    for quantity, kept in zip(quantities, (0.53, 0.9), strict=True):
        expected = bounces(kept, 500, 0.01)
        assert (np.diff(expected) > 0).any()
        # 500 steps that round to 1e-15 of some meters, in other units.
        np.testing.assert_allclose(results.si(quantity), expected, rtol=0, atol=1e-11)


# A channel whose reversal potential is looked up by the ion of what it refers to, and a scheme.
CELL = """
<ComponentType name="Ion"><Text name="name"/></ComponentType>
<ComponentType name="Bath"><Children name="potentials" type="Potential"/></ComponentType>
<ComponentType name="Potential"><ComponentReference name="ion" type="Ion"/>
  <Parameter name="reversal" dimension="voltage"/></ComponentType>
<Ion id="Na" name="sodium"/><Ion id="K" name="potassium"/>
<Bath id="bath"><Potential ion="Na" reversal="50mV"/><Potential ion="K" reversal="-80mV"/></Bath>

<ComponentType name="State"><Parameter name="share" dimension="none"/>
  <Exposure name="q" dimension="none"/><Exposure name="occupancy" dimension="none"/>
  <Dynamics><StateVariable name="occupancy" exposure="occupancy" dimension="none"/>
    <DerivedVariable name="q" exposure="q" dimension="none" value="share * occupancy"/></Dynamics>
</ComponentType>
<ComponentType name="Shut" extends="State"><Fixed parameter="share" value="0"/></ComponentType>
<ComponentType name="Open" extends="State"><Fixed parameter="share" value="1"/></ComponentType>
<ComponentType name="Passage"><Link name="from" type="State"/><Link name="to" type="State"/>
  <Parameter name="up" dimension="per_time"/><Parameter name="down" dimension="per_time"/>
  <Exposure name="rf" dimension="per_time"/><Exposure name="rr" dimension="per_time"/>
  <Dynamics><DerivedVariable name="rf" exposure="rf" dimension="per_time" value="up"/>
    <DerivedVariable name="rr" exposure="rr" dimension="per_time" value="down"/></Dynamics>
</ComponentType>
<ComponentType name="Gate"><Parameter name="stride" dimension="voltage"/>
  <Children name="states" type="State"/><Children name="passages" type="Passage"/>
  <Exposure name="fopen" dimension="none"/>
  <Dynamics>
    <KineticScheme name="scheme" nodes="states" stateVariable="occupancy" edges="passages"
      edgeSource="from" edgeTarget="to" forwardRate="rf" reverseRate="rr" dependency="v"
      step="stride"/>
    <DerivedVariable name="fopen" exposure="fopen" dimension="none" select="states[*]/q"
                     reduce="add"/>
  </Dynamics></ComponentType>
<ComponentType name="Channel"><Parameter name="conductance" dimension="conductance"/>
  <ComponentReference name="ion" type="Ion"/><Children name="gates" type="Gate"/>
  <Exposure name="g" dimension="conductance"/>
  <Dynamics>
    <DerivedVariable name="open" dimension="none" select="gates[*]/fopen" reduce="multiply"/>
    <DerivedVariable name="g" exposure="g" dimension="conductance" value="open * conductance"/>
  </Dynamics></ComponentType>
<ComponentType name="Channels"><ComponentReference name="channel" type="Channel"/>
  <Parameter name="number" dimension="none"/><Requirement name="v" dimension="voltage"/>
  <Exposure name="current" dimension="current"/>
  <DerivedParameter name="erev" dimension="voltage"
                    select="//Potential[ion=channel/ion]/reversal"/>
  <Dynamics>
    <DerivedVariable name="each" dimension="conductance" select="channel/g"/>
    <DerivedVariable name="current" exposure="current" dimension="current"
                     value="number * each * (erev - v)"/></Dynamics>
  <Structure><ChildInstance component="channel"/></Structure></ComponentType>
<ComponentType name="Cell"><Parameter name="capacitance" dimension="capacitance"/>
  <Children name="populations" type="Channels"/><Parameter name="v0" dimension="voltage"/>
  <Exposure name="v" dimension="voltage"/>
  <Dynamics><OnStart><StateAssignment variable="v" value="v0"/></OnStart>
    <DerivedVariable name="total" dimension="current" select="populations[*]/current" reduce="add"/>
    <StateVariable name="v" exposure="v" dimension="voltage"/>
    <TimeDerivative variable="v" value="total / capacitance"/></Dynamics></ComponentType>

<Channel id="delayed" conductance="20pS" ion="K"><Gate id="n" stride="0.1mV">
  <Shut id="c1"/><Open id="o1"/><Passage from="c1" to="o1" up="0.3per_ms" down="0.1per_ms"/>
</Gate></Channel>
<Channel id="always" conductance="20pS" ion="Na"><Gate id="n" stride="0.1mV">
  <Shut id="c1"/><Open id="o1"/><Passage from="c1" to="o1" up="0.2per_ms" down="0.6per_ms"/>
</Gate></Channel>
<Cell id="cell" capacitance="1pF" v0="-60mV">
  <Channels id="ks" channel="delayed" number="10"/><Channels id="nas" channel="always" number="5"/>
</Cell>
"""


def test_parameters_are_looked_up_and_schemes_settle(tmp_path):
    paths = ["v", "ks/delayed/n/c1/occupancy", "ks/delayed/n/o1/occupancy"]
    path = write(tmp_path, CELL, "cell", paths, 'length="100ms" step="0.01ms"')
    results = izhi_models.load(path).compile().simulate()
    shut = results.si("ks/delayed/n/c1/occupancy")
    # All begin shut, and relax with 1 / (0.3 + 0.1) ms to 0.1 / 0.4; Euler is off by half a step.
    times_ms = 0.01 * np.arange(shut.size)
    expected = 0.25 + 0.75 * np.exp(-0.4 * times_ms)
    np.testing.assert_allclose(shut, expected, rtol=0, atol=2e-3)
    np.testing.assert_allclose(shut + results.si(paths[2]), 1.0, rtol=0, atol=1e-12)
    # In the end 200 pS * 3/4 pull to -80 mV, and 100 pS / 4 to 50 mV.
    balance = (150 * -80e-3 + 25 * 50e-3) / 175
    assert results.si("v")[-1] == pytest.approx(balance, abs=1e-6)


# What a part reads of another part of what holds it, and every kind of parameter.
PARTS = """
<Assertion dimension="speed" matches="length / time"/>
<ComponentType name="box"><Parameter name="width" dimension="none"/>
  <IntegerParameter name="layers"/><PathParameter name="place"/><Text name="label"/>
  <DerivedParameter name="content" dimension="none" value="width * layers"/></ComponentType>
<ComponentType name="spring"><ComponentRequirement name="box"/><IndexParameter name="index"/>
  <Property name="stiffness" dimension="none" defaultValue="0.5"/>
  <Exposure name="pull" dimension="none"/>
  <Dynamics><DerivedVariable name="content" dimension="none" select="box/content"/>
    <DerivedVariable name="pull" exposure="pull" dimension="none"
                     value="stiffness * content + index"/></Dynamics></ComponentType>
<ComponentType name="machine"><Parameter name="tau" dimension="time"/><Child name="box" type="box"/>
  <Children name="springs" type="spring"/><Exposure name="x" dimension="none"/>
  <Behavior><StateVariable name="x" exposure="x" dimension="none"/>
    <DerivedVariable name="all" dimension="none" select="springs[*]/pull" reduce="add"/>
    <ConditionalDerivedVariable name="goal" dimension="none">
      <Case condition="all .gt. 1" value="all"/><Case value="1"/></ConditionalDerivedVariable>
    <TimeDerivative variable="x" value="(goal - x) / tau"/></Behavior></ComponentType>
<machine id="machine" tau="2ms"><box type="box" width="-1.5" layers="3" place="../x" label="b"/>
  <spring id="a" index="4"/><spring id="b" index="5" stiffness="0.25"/></machine>
"""


def test_parts_read_what_their_holder_has(tmp_path):
    path = write(tmp_path, PARTS, "machine", ["x"], 'length="60ms" step="0.1ms"')
    results = izhi_models.load(path).compile().simulate()
    goal = (0.5 * -4.5 + 4) + (0.25 * -4.5 + 5)
    # 60 ms are 30 time constants.
    assert results.si("x")[-1] == pytest.approx(goal, rel=1e-12)


# A part that may be absent, as temperature dependence of a gate.
OPTIONAL = """
<ComponentType name="factor"><Parameter name="by" dimension="none"/>
  <Exposure name="f" dimension="none"/>
  <Dynamics><DerivedVariable name="f" exposure="f" dimension="none" value="by * by"/></Dynamics>
</ComponentType>
<ComponentType name="growth"><Child name="speed" type="factor"/>
  <Parameter name="rate" dimension="per_time"/><Exposure name="x" dimension="none"/>
  <Dynamics>
    <DerivedVariable name="f" dimension="none" select="speed/f" reduce="multiply"
      required="false"/>
    <StateVariable name="x" dimension="none" exposure="x"/>
    <TimeDerivative variable="x" value="rate * f"/>
  </Dynamics></ComponentType>
<ComponentType name="both"><Children name="parts" type="growth"/>
  <Exposure name="d" dimension="none"/>
  <Dynamics><DerivedVariable name="d" exposure="d" dimension="none" select="parts[*]/x"
    reduce="add"/></Dynamics></ComponentType>
<both id="two"><growth id="a" rate="1 per_ms"><speed type="factor" by="3"/></growth>
  <growth id="b" rate="1 per_ms"/></both>
"""


def test_a_part_that_may_be_absent_counts_as_nothing(tmp_path):
    path = write(tmp_path, OPTIONAL, "two", ["parts[0]/x", "parts[1]/x"], 'length="4ms" step="1ms"')
    results = izhi_models.load(path).compile().simulate()
    np.testing.assert_allclose(results.si("parts[0]/x"), 9 * np.arange(5), rtol=1e-14)
    np.testing.assert_allclose(results.si("parts[1]/x"), np.arange(5), rtol=1e-14)


# States that a Regime declares for itself.
REGIMES = """
<ComponentType name="resting"><Parameter name="threshold" dimension="voltage"/>
  <Parameter name="pause" dimension="time"/><Parameter name="capacitance" dimension="capacitance"/>
  <Parameter name="current" dimension="current"/><Parameter name="v0" dimension="voltage"/>
  <EventPort name="out" direction="out"/><Exposure name="v" dimension="voltage"/>
  <Dynamics>
    <StateVariable name="v" exposure="v" dimension="voltage"/>
    <OnStart><StateAssignment variable="v" value="v0"/></OnStart>
    <Regime name="waiting"><StateVariable name="since" dimension="time"/>
      <OnEntry><StateAssignment variable="since" value="t"/>
        <StateAssignment variable="v" value="v0"/></OnEntry>
      <OnCondition test="t .gt. since + pause"><Transition regime="charging"/></OnCondition>
    </Regime>
    <Regime name="charging" initial="true">
      <TimeDerivative variable="v" value="current / capacitance"/>
      <OnCondition test="v .gt. threshold"><EventOut port="out"/><Transition regime="waiting"/>
      </OnCondition>
    </Regime>
  </Dynamics></ComponentType>
<Component id="cell" type="resting" threshold="-50.1mV" v0="-80mV" pause="4.97ms" current="5pA"
  capacitance="1pF"/>
"""


def test_a_regime_has_states_of_its_own_and_a_set_holds_a_simulation(tmp_path):
    path = write(tmp_path, REGIMES, "cell", ["v"], 'length="50ms" step="0.1ms"')
    report = execute(str(path), Settings(tmp_path / "out"))
    # 5 pA / 1 pF raise v by 0.5 mV in each step: 60 of them to more than 29.9 mV, then 50 of pause.
    steps = np.rint(report.results.spikes["cell"].times_s / 1e-4).astype(int)
    assert steps[0] == 60
    assert set(np.diff(steps)) == {60 + 50}
    assert [item.name for item in report.pictures] == ["shown.png"]
    (display,) = izhi_models.load(path).experiment.simulation.displays
    assert (display.title, display.xmin, display.xmax) == ("as asked", -1.0, 50.0)


def test_a_set_of_several_simulations_is_refused_and_each_can_be_the_target(tmp_path):
    path = write(tmp_path, REGIMES, "cell", ["v"], 'length="50ms" step="0.1ms"')
    text = path.read_text()
    second = '<Simulation id="short" length="3ms" step="0.1ms" target="cell" display="shown"/>'
    two = text.replace("</Study>", f"{second}</Study>")
    path.write_text(two)
    with pytest.raises(UnsupportedError, match="several Simulations \\('sim', 'short'\\)"):
        izhi_models.load(path)
    path.write_text(two.replace('component="study"', 'component="short"'))
    assert izhi_models.load(path).experiment.simulation.length_s == pytest.approx(3e-3)
