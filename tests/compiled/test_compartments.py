"""Cells of several compartments against closed formulas."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm

import izhi_models
from izhi_models.errors import InputError

# A cable: length and diameter [um], resistivity [ohm cm], leak [S/m2], capacitance [uF/cm2].
LENGTH, DIAMETER, RESISTIVITY, LEAK, CAPACITANCE = 1000.0, 2.0, 150.0, 1.0, 1.0

MODEL = """\
<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="cable">
  <ionChannel id="pas" type="ionChannelPassive" conductance="10pS"/>
  {types}
  {cells}
  <pulseGenerator id="pulse" delay="0ms" duration="10s" amplitude="10pA"/>
  <network id="net">
    {network}
  </network>
</neuroml>
"""
CELL = """\
  <cell id="{id}">
    <morphology id="{id}_shape">
      {segments}
      <segmentGroup id="cable">
        <property tag="numberInternalDivisions" value="{divisions}"/>
        {members}
      </segmentGroup>
    </morphology>
    <biophysicalProperties id="{id}_properties">
      <membraneProperties>
        <channelDensity id="leak" ionChannel="pas" condDensity="{leak} S_per_m2" erev="-70mV"
                        ion="non_specific"/>
        {channels}
        <spikeThresh value="0mV"/>
        <specificCapacitance value="1.0 uF_per_cm2"/>
        <initMembPotential value="-70mV"/>
      </membraneProperties>
      <intracellularProperties>
        <resistivity value="{resistivity} ohm_cm"/>
      </intracellularProperties>
    </biophysicalProperties>
  </cell>
"""


def cable(name: str, divisions: int, n_segments: int = 1, channels: str = "") -> str:
    """Return an unbranched cell, whose segments are of equal length."""
    bounds = np.linspace(0.0, LENGTH, n_segments + 1)
    segments = "".join(
        f'<segment id="{n}">{f"<parent segment={chr(34)}{n - 1}{chr(34)}/>" if n else ""}'
        f'<proximal x="{start}" y="0" z="0" diameter="{DIAMETER}"/>'
        f'<distal x="{end}" y="0" z="0" diameter="{DIAMETER}"/></segment>'
        for n, (start, end) in enumerate(pairwise(bounds))
    )
    members = "".join(f'<member segment="{n}"/>' for n in range(n_segments))
    return CELL.format(
        id=name,
        segments=segments,
        divisions=divisions,
        members=members,
        leak=LEAK,
        channels=channels,
        resistivity=RESISTIVITY,
    )


def write(folder: Path, cells: str, network: str, types: str = "") -> Path:
    path = folder / "cable.nml"
    path.write_text(MODEL.format(cells=cells, network=network, types=types), encoding="utf-8")
    return path


def steady_state(x: np.ndarray, current_a: float) -> np.ndarray:
    """Return v - v_rest along a cable with sealed ends and a current at its start [V].

    Source: Rall, Handbook of Physiology, The Nervous System 1, 39 (1977).
    """
    radius, length = DIAMETER / 2 * 1e-6, LENGTH * 1e-6
    space = np.sqrt(radius / (2.0 * LEAK * RESISTIVITY * 1e-2))
    infinite = RESISTIVITY * 1e-2 * space / (np.pi * radius**2)
    return current_a * infinite * np.cosh((length - x) / space) / np.sinh(length / space)


SIZES = (5, 15, 45)


def test_a_cable_comes_to_its_steady_state_with_an_error_of_second_order(tmp_path):
    cells = "".join(cable(f"cell{n}", n, n_segments=n) for n in SIZES)
    populations = "".join(f'<population id="pop{n}" component="cell{n}" size="2"/>' for n in SIZES)
    inputs = "".join(
        f'<inputList id="list{n}" population="pop{n}" component="pulse">'
        f'<input id="0" target="../pop{n}[1]" segmentId="0" fractionAlong="0"'
        ' destination="synapses"/></inputList>'
        for n in SIZES
    )
    model = izhi_models.load(write(tmp_path, cells, populations + inputs))
    paths = [f"pop{n}[{cell}]/{k}/v" for n in SIZES for cell in (0, 1) for k in (0, n // 2, n - 1)]
    run = model.compile(dt="0.008 ms", record=paths, every="100 ms")
    results = run.simulate("200 ms")
    errors = []
    for n in SIZES:
        numbers = np.array([0, n // 2, n - 1])
        middles = (numbers + 0.5) * LENGTH * 1e-6 / n
        found = np.array([results.si(f"pop{n}[1]/{k}/v")[-1] for k in numbers]) + 0.07
        rest = np.array([results.si(f"pop{n}[0]/{k}/v")[-1] for k in numbers])
        np.testing.assert_allclose(rest, -0.07, rtol=0, atol=1e-9)  # rounding of many sums
        errors.append(np.abs(found - steady_state(middles, 1e-11))[1:].max())
    # Each is divided into three times as many parts, so an error of second order falls to 1/9.
    assert errors[0] < 0.01 * steady_state(np.zeros(1), 1e-11)[0]
    assert 7.0 < errors[0] / errors[1] < 11.0
    assert 7.0 < errors[1] / errors[2] < 11.0


def transient(n: int, times_s: np.ndarray, current_a: float) -> np.ndarray:
    """Return v - v_rest [V] of a cable of n compartments, solved exactly in time.

    Parameters
    ----------
    n : int
    times_s : array (n_times,)
    current_a : float
        Into the first compartment.

    Returns
    -------
    array (n_times, n)
    """
    part, radius = LENGTH * 1e-6 / n, DIAMETER / 2 * 1e-6
    area = 2 * np.pi * radius * part
    axial = np.pi * radius**2 / (RESISTIVITY * 1e-2 * part)
    matrix = np.diag(np.full(n, LEAK * area))
    for k in range(n - 1):
        matrix[k : k + 2, k : k + 2] += axial * np.array([[1.0, -1.0], [-1.0, 1.0]])
    final = np.linalg.solve(matrix, np.eye(n)[0] * current_a)
    rates = matrix / (CAPACITANCE * 1e-2 * area)
    return np.array([final - expm(-rates * t) @ final for t in times_s])


@pytest.mark.parametrize(("method", "order"), [("auto", 2), ("euler", 1), ("rk4", 2)])
def test_the_order_in_time(tmp_path, method, order):
    n = 15
    network = (
        '<population id="pop" component="cell" size="1"/>'
        '<inputList id="list" population="pop" component="pulse">'
        '<input id="0" target="../pop[0]" segmentId="0" fractionAlong="0"'
        ' destination="synapses"/></inputList>'
    )
    model = izhi_models.load(write(tmp_path, cable("cell", n, n_segments=n), network))
    paths = [f"pop[0]/{k}/v" for k in range(n)]
    errors = []
    for dt_ms in (0.032, 0.016, 0.008):
        run = model.compile(dt=f"{dt_ms} ms", method=method, record=paths, every="0.8 ms")
        results = run.simulate("8 ms")
        times = np.asarray(results.trace(paths[0]).times)
        found = np.stack([results.si(path) for path in paths], axis=1) + 0.07
        errors.append(np.abs(found - transient(n, times, 1e-11)).max())
    assert errors[2] < 1e-5  # V: small beside the response of 10 mV
    for coarse, fine in pairwise(errors):
        # Halving the step halves the error of the first order, and quarters that of the second;
        # the pulse begins within the first step, which costs a part of that.
        assert 2**order * 0.75 < coarse / fine < 2**order * 1.4


def test_a_step_is_as_long_as_the_limit_says(tmp_path):
    network = '<population id="pop" component="cell" size="1"/>'
    model = izhi_models.load(write(tmp_path, cable("cell", 45), network))
    with pytest.raises(InputError, match=r"too long for the compartments of 'cell'") as caught:
        model.compile(dt="0.025 ms")
    longest = float(re.search(r"at most ([\d.]+) ms", str(caught.value))[1])
    results = model.compile(dt=longest * 1e-3, record="pop[0]/0/v").simulate("200 ms")
    np.testing.assert_allclose(results.si("pop[0]/0/v"), -0.07, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="too long"):
        model.compile(dt=longest * 1.01e-3)


def test_events_are_sent_where_a_connection_begins(tmp_path):
    n = 15
    threshold_mv = -69.5
    cell = cable("cell", n, n_segments=n).replace('"0mV"', f'"{threshold_mv}mV"')
    types = '<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="5ms"/>'
    connections = "".join(
        f'<connection id="{k}" preCellId="../pop[0]" postCellId="../post[{k}]"'
        f' preSegmentId="{segment}" postSegmentId="{segment}"/>'
        for k, segment in enumerate((0, 7, n - 1))
    )
    network = (
        '<population id="pop" component="cell" size="1"/>'
        '<population id="post" component="cell" size="3"/>'
        '<projection id="proj" presynapticPopulation="pop" postsynapticPopulation="post"'
        f' synapse="syn">{connections}</projection>'
        '<inputList id="list" population="pop" component="pulse">'
        '<input id="0" target="../pop[0]" segmentId="0" fractionAlong="0"'
        ' destination="synapses"/></inputList>'
    )
    model = izhi_models.load(write(tmp_path, cell, network, types))
    paths = [f"post[{k}]/{segment}/v" for k, segment in enumerate((0, 7, n - 1))]
    step_s = 1e-5
    results = model.compile(dt=step_s, record=paths).simulate("15 ms")
    times = np.arange(0.0, 15e-3, step_s)
    crossed = transient(n, times, 1e-11) > threshold_mv * 1e-3 + 0.07
    for path, segment in zip(paths, (0, 7, n - 1), strict=True):
        expected = times[np.argmax(crossed[:, segment])]
        onset = results.trace(path).times[np.argmax(results.si(path) > -0.07 + 1e-9)]
        # The event is sent at the end of the step, acts in the next, and v follows in that.
        assert 0.0 <= onset - expected <= 3.5 * step_s
    assert results.spikes["pop"].count == 1  # those of the root


TAPERED = """\
<channelDensityNonUniform id="extra" ionChannel="pas" erev="-50mV" ion="non_specific">
  <variableParameter parameter="condDensity" segmentGroup="cable">
    <inhomogeneousValue inhomogeneousParameter="{parameter}" value="{value}"/>
  </variableParameter>
</channelDensityNonUniform>
"""
PLACES = """\
<inhomogeneousParameter id="path" variable="p" metric="Path Length from root"/>
<inhomogeneousParameter id="part" variable="r" metric="Path Length from root">
  <proximal translationStart="0"/><distal normalizationEnd="1"/>
</inhomogeneousParameter>
"""


def test_densities_that_follow_the_path_from_the_root(tmp_path):
    n = 5
    alone = RESISTIVITY * 1e9  # no current along the cell
    cells = "".join(
        cable(name, n, channels=TAPERED.format(parameter=parameter, value=value))
        .replace("</segmentGroup>", f"{PLACES}</segmentGroup>")
        .replace(f"{RESISTIVITY} ohm_cm", f"{alone} ohm_cm")
        for name, parameter, value in (
            ("one", "path", "2 * exp(-p / 300)"),
            ("two", "part", "1 + 3 * r"),
        )
    )
    network = (
        '<population id="a" component="one" size="1"/><population id="b" component="two" size="1"/>'
    )
    model = izhi_models.load(write(tmp_path, cells, network))
    (first, second) = (
        [item for item in model.network.populations.values() if name in (item.id, item.part_of)]
        for name in "ab"
    )
    middles = (np.arange(n) + 0.5) * LENGTH / n
    name = "biophysicalProperties/membraneProperties/channelDensities[1]/condDensity"
    for found, expected in (
        (first, 2.0 * np.exp(-middles / 300.0)),
        (second, 1.0 + 3.0 * middles / LENGTH),
    ):
        values = np.concatenate([np.atleast_1d(item.values[name]) for item in found])
        np.testing.assert_allclose(np.sort(values), np.sort(expected), rtol=1e-12)
    results = model.compile(dt="0.02 ms", record=["a[0]/0/v", "b[0]/0/v"]).simulate("200 ms")
    # Segment 0 is the whole cable, and its middle the third compartment.
    for path, extra in (("a[0]/0/v", 2 * np.exp(-500 / 300)), ("b[0]/0/v", 2.5)):
        expected = (LEAK * -0.07 + extra * -0.05) / (LEAK + extra)
        np.testing.assert_allclose(results.si(path)[-1], expected, rtol=1e-6)


def test_density_that_varies__on_a_single_segment__is_that_of_its_middle(tmp_path):
    cell = cable("one", 1, channels=TAPERED.format(parameter="path", value="2 * exp(-p / 300)"))
    cell = cell.replace("</segmentGroup>", f"{PLACES}</segmentGroup>")
    cell = re.sub("<resistivity.*/>", "", cell)
    model = izhi_models.load(write(tmp_path, cell, '<population id="a" component="one" size="1"/>'))
    results = model.compile(dt="0.1 ms", record=["a[0]/v"]).simulate("200 ms")
    extra = 2.0 * np.exp(-LENGTH / 2 / 300.0)
    expected = (LEAK * -0.07 + extra * -0.05) / (LEAK + extra)
    # 200 ms are 26 time constants.
    np.testing.assert_allclose(results.si("a[0]/v")[-1], expected, rtol=1e-6)


CALCIUM = """\
<ionChannel id="ca" type="ionChannelHH" conductance="10pS" species="ca">
  <gateHHrates id="p" instances="2">
    <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
    <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/>
  </gateHHrates>
</ionChannel>
<decayingPoolConcentrationModel id="pool" restingConc="1e-5 mM" decayConstant="20 ms"
    shellThickness="0.1 um" ion="ca"/>
"""
SPECIES = (
    '<species id="ca_{0}" ion="ca" concentrationModel="pool" initialConcentration="{1} mM"'
    ' initialExtConcentration="2 mM" segmentGroup="{0}"/>'
)
DENSITIES = {
    "goldman": '<channelDensityGHK id="ghk" ionChannel="ca" permeability="1e-7 m_per_s" ion="ca"'
    ' segmentGroup="goldman"/>',
    "nernst": '<channelDensityNernst id="nernst" ionChannel="ca" condDensity="2 S_per_m2" ion="ca"'
    ' segmentGroup="nernst"/>',
}
START = {"goldman": "5e-5", "nernst": "2e-4"}


def calcium_cell(name: str, groups: tuple[str, ...]) -> str:
    """Return a cell with one segment for each group, of different sizes."""
    shapes = {"goldman": (20.0, 20.0), "nernst": (50.0, 3.0)}  # length, diameter [um]
    segments, start = "", 0.0
    for n, group in enumerate(groups):
        length, diameter = shapes[group]
        parent = f'<parent segment="{n - 1}"/>' if n else ""
        segments += (
            f'<segment id="{n}">{parent}<proximal x="{start}" y="0" z="0" diameter="{diameter}"/>'
            f'<distal x="{start + length}" y="0" z="0" diameter="{diameter}"/></segment>'
        )
        start += length
    text = CELL.format(
        id=name,
        segments=segments,
        divisions=1,
        members="",
        leak=LEAK,
        channels="".join(DENSITIES[group] for group in sorted(groups, reverse=True)),
        resistivity=RESISTIVITY * 1e12,  # no current along the cell
    )
    declared = "".join(
        f'<segmentGroup id="{group}"><member segment="{n}"/></segmentGroup>'
        for n, group in enumerate(groups)
    )
    species = "".join(SPECIES.format(group, START[group]) for group in groups)
    return text.replace("</morphology>", f"{declared}</morphology>").replace(
        "<intracellularProperties>", f"<intracellularProperties>{species}"
    )


def test_calcium_in_each_compartment_is_as_in_a_cell_of_its_own(tmp_path):
    # By the path of cells of one segment, which is held against the reference elsewhere.
    whole = ("goldman", "nernst")
    cells = calcium_cell("both", whole)
    cells += "".join(calcium_cell(f"only_{group}", (group,)) for group in whole)
    network = '<population id="both_pop" component="both" size="1"/>' + "".join(
        f'<population id="{group}_pop" component="only_{group}" size="1"/>' for group in whole
    )
    network += "".join(
        f'<inputList id="list_{target}_{k}" population="{target}" component="pulse">'
        f'<input id="0" target="../{target}[0]" segmentId="{k}" destination="synapses"/>'
        "</inputList>"
        for target, k in (("both_pop", 0), ("both_pop", 1), ("goldman_pop", 0), ("nernst_pop", 0))
    )
    path = write(tmp_path, cells, network, CALCIUM)
    text = path.read_text(encoding="utf-8").replace(
        '<network id="net">',
        '<network id="net" type="networkWithTemperature" temperature="30 degC">',
    )
    path.write_text(text, encoding="utf-8")
    names = ("v", "caConc", "iCa")
    paths = [f"both_pop[0]/{k}/{name}" for k in (0, 1) for name in names]
    paths += [f"{group}_pop[0]/{name}" for group in whole for name in names]
    results = izhi_models.load(path).compile(dt="0.01 ms", record=paths).simulate("100 ms")
    for k, group in enumerate(whole):
        for name in names:
            found = results.si(f"both_pop[0]/{k}/{name}")
            expected = results.si(f"{group}_pop[0]/{name}")
            assert np.ptp(expected) > 0.01 * np.abs(expected).max()
            # The area goes through a division and a product more, and pi has 9 digits there.
            bound = 1e-6 * np.abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
