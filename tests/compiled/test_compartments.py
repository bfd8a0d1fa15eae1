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
