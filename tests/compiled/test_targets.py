"""Simulations of what is no network: a component by itself, and components that hold a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import izhi_models
from izhi_models.errors import UnsupportedError
from izhi_models.execute import Settings, execute

TYPES = """
<Dimension name="time" t="1"/>
<Unit symbol="s" dimension="time" power="0"/><Unit symbol="ms" dimension="time" power="-3"/>
<ComponentType name="lorenz">
  <Parameter name="sigma" dimension="none"/><Parameter name="rho" dimension="none"/>
  <Parameter name="beta" dimension="none"/><Constant name="SEC" dimension="time" value="1s"/>
  <Exposure name="x" dimension="none"/><Exposure name="z" dimension="none"/>
  <EventPort name="turn" direction="out"/>
  <Dynamics>
    <StateVariable name="x" dimension="none" exposure="x"/>
    <StateVariable name="y" dimension="none"/>
    <StateVariable name="z" dimension="none" exposure="z"/>
    <TimeDerivative variable="x" value="sigma * (y - x) / SEC"/>
    <TimeDerivative variable="y" value="(x * (rho - z) - y) / SEC"/>
    <TimeDerivative variable="z" value="(x * y - beta * z) / SEC"/>
    <OnStart><StateAssignment variable="x" value="1"/><StateAssignment variable="y" value="1"/>
    <StateAssignment variable="z" value="1"/></OnStart>
  </Dynamics>
</ComponentType>
<ComponentType name="couple"><Children name="parts" type="lorenz"/>
  <Exposure name="mean" dimension="none"/>
  <Dynamics><DerivedVariable name="sum" dimension="none" select="parts[*]/x" reduce="add"/>
  <DerivedVariable name="mean" exposure="mean" dimension="none" value="sum / 2"/></Dynamics>
</ComponentType>
"""
ALONE = """<Lems><Include file="Simulation.xml"/>{types}
<couple id="two"><lorenz id="a" sigma="10" rho="28" beta="2.5"/>
  <lorenz id="b" sigma="10" rho="20" beta="2.5"/></couple>
<Simulation id="sim" length="2s" step="2ms" target="two">
  <Display id="d" title="two" timeScale="1s" xmin="0" xmax="2" ymin="-20" ymax="20">
    <Line id="m" quantity="mean" scale="1" color="#000000" timeScale="1s"/></Display>
  <OutputFile id="o" fileName="two.dat"><OutputColumn id="x" quantity="parts[0]/x"/>
    <OutputColumn id="m" quantity="mean"/></OutputFile>
</Simulation></Lems>"""


def lorenz(rho: float) -> np.ndarray:
    def slope(_: float, y: np.ndarray) -> list[float]:
        return [10 * (y[1] - y[0]), y[0] * (rho - y[2]) - y[1], y[0] * y[1] - 2.5 * y[2]]

    times = np.linspace(0, 2, 1001)
    return solve_ivp(slope, (0, 2), [1, 1, 1], t_eval=times, rtol=1e-11, atol=1e-11).y


def test_component_runs_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "two.xml"
    path.write_text(ALONE.format(types=TYPES))
    report = execute(path, Settings(tmp_path / "out", method="rk4"))
    first, second = lorenz(28.0), lorenz(20.0)
    # Runge-Kutta with 2 ms: the error, 1e-6 a step at most, grows by e^0.9 a second.
    found = np.loadtxt(tmp_path / "out" / "two.dat")
    np.testing.assert_allclose(found[:, 1], first[0], rtol=0, atol=2e-3)
    # What is derived belongs to the state at the start of the step.
    mean = (first[0] + second[0])[:-1] / 2
    np.testing.assert_allclose(found[1:, 2], mean, rtol=0, atol=2e-3)
    # The file has 12 digits.
    np.testing.assert_allclose(report.results.si("mean"), found[:, 2], rtol=1e-11)
    assert {item.name for item in report.pictures} == {"d.png"}


HELD = """<Lems>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Inputs.xml"/>
<Include file="Simulation.xml"/>
<ComponentType name="room"><Child name="inner" type="dish"/>
  <Exposure name="warmth" dimension="temperature"/>
  <Parameter name="low" dimension="temperature"/><Parameter name="rise" dimension="temperature"/>
  <Parameter name="at" dimension="time"/>
  <Dynamics><StateVariable name="warmth" dimension="temperature" exposure="warmth"/>
    <OnStart><StateAssignment variable="warmth" value="low"/></OnStart>
    <OnCondition test="t .gt. at"><StateAssignment variable="warmth" value="low + rise"/>
    </OnCondition></Dynamics></ComponentType>
<ComponentType name="dish"><Child name="network" type="network"/>
  <Requirement name="warmth" dimension="temperature"/>
  <Exposure name="temperature" dimension="temperature"/>
  <Parameter name="tau" dimension="time"/>
  <Dynamics><StateVariable name="temperature" dimension="temperature" exposure="temperature"/>
    <TimeDerivative variable="temperature" value="(warmth - temperature) / tau"/>
    <OnStart><StateAssignment variable="temperature" value="warmth"/></OnStart></Dynamics>
</ComponentType>
<ComponentType name="thermometer" extends="baseCell">
  <Requirement name="temperature" dimension="temperature"/>
  <Parameter name="lag" dimension="time"/><Exposure name="shown" dimension="temperature"/>
  <EventPort name="spike" direction="out"/>
  <Dynamics><StateVariable name="shown" dimension="temperature" exposure="shown"/>
    <TimeDerivative variable="shown" value="(temperature - shown) / lag"/>
    <OnStart><StateAssignment variable="shown" value="temperature"/></OnStart>
    <OnCondition test="shown .gt. temperature"><EventOut port="spike"/></OnCondition></Dynamics>
</ComponentType>
<thermometer id="t" lag="3ms"/>
<iafTauCell id="other" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="10ms"/>
<room id="lab" low="20degC" rise="{rise}" at="5.03ms">
  <dish id="glass" tau="8ms"><network id="net"><population id="ts" component="t" size="2"/>
    <population id="os" component="other" size="1"/></network></dish></room>
<Simulation id="sim" length="20ms" step="0.1ms" target="lab">
  <OutputFile id="o" fileName="t.dat">
    <OutputColumn id="w" quantity="warmth"/><OutputColumn id="t" quantity="glass/temperature"/>
    <OutputColumn id="s" quantity="glass/net/ts[1]/shown"/></OutputFile>
  <EventOutputFile id="e" fileName="t.spikes" format="ID_TIME">
    <EventSelection id="0" select="glass/net/os[0]" eventPort="spike"/></EventOutputFile>
</Simulation></Lems>"""


def test_what_holds_a_network_drives_it(tmp_path: Path) -> None:
    path = tmp_path / "held.xml"
    path.write_text(HELD.format(rise="5K"))
    execute(path, Settings(tmp_path / "out", plot=False))
    warmth = temperature = shown = 293.15
    rows = [(warmth, temperature, shown)]
    for step in range(1, 201):
        temperature, shown = (
            temperature + 0.1 * (warmth - temperature) / 8,
            shown + 0.1 * (temperature - shown) / 3,
        )
        warmth = 298.15 if step * 0.1 > 5.03 else 293.15
        rows.append((warmth, temperature, shown))
    found = np.loadtxt(tmp_path / "out" / "t.dat")[:, 1:]
    np.testing.assert_allclose(found, rows, rtol=1e-11)  # 200 roundings, and 12 digits in the file
    # It starts above the threshold; then from -70 to -55 mV on the way to -50 mV, by factors of
    # 0.99: ln(1/4) / ln(0.99) = 138 steps.
    assert np.loadtxt(tmp_path / "out" / "t.spikes").tolist() == [[0, 1e-4], [0, 0.0139]]


def test_recording_names_a_population_with_or_without_what_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "held.xml"
    path.write_text(HELD.format(rise="5K"))
    experiment = izhi_models.load(path).experiment
    (whole,) = experiment.resolve("glass/net/ts[0]/shown")
    (short,) = experiment.resolve("ts[0]/shown")
    assert whole == short
    assert [item.index for item in experiment.resolve("ts/shown")] == [0, 1]


def test_a_holder_that_draws_random_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "random.xml"
    text = HELD.format(rise="5K").replace('value="warmth"', 'value="warmth * random(1)"')
    path.write_text(text)
    with pytest.raises(UnsupportedError, match="'glass' holds a network and draws random numbers"):
        izhi_models.load(path)


def test_several_networks_are_refused_where_the_second_is(tmp_path: Path) -> None:
    path = tmp_path / "several.xml"
    text = HELD.format(rise="5K")
    text = text.replace('<Child name="network"', '<Children name="networks"')
    path.write_text(text.replace("</dish>", '<network id="more"/></dish>'))
    with pytest.raises(UnsupportedError, match="'lab' holds 2 networks") as caught:
        izhi_models.load(path)
    assert caught.value.diagnostics[0].span.excerpt().splitlines()[0].strip().endswith("</room>")
