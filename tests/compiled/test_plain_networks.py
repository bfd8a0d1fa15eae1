"""Networks of ComponentTypes that are not NeuroML's, and events to cells without a synapse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.checks import check
from izhi_models.errors import InputError, UnsupportedError
from tests.model_text import EVENT_TYPES

FILE = """<Lems><Target component="sim"/><Include file="Simulation.xml"/>{types}
<Net id="net"><Group id="c" of="slow" count="2"/><Group id="q" of="quick" count="1"/>
  <Group id="l" of="leak" count="3"/><Group id="r" of="pass" count="1"/>
  <Group id="g" of="gate" count="1"/>{wires}</Net>
<Simulation id="sim" length="60ms" step="0.5ms" target="net">
  <OutputFile id="o" fileName="o.dat"><OutputColumn id="l0" quantity="l[0]/v"/>
    <OutputColumn id="l2" quantity="l[2]/v"/><OutputColumn id="n" quantity="g[0]/n"/>
    <OutputColumn id="seen" quantity="r[0]/seen"/></OutputFile>
</Simulation></Lems>"""
WIRES = """<Fan id="all" source="c" target="l" delay="2 ms"/>
  <Wire from="q[0]" to="r[0]"/><Wire from="r[0]" to="l[2]" port="in"/>
  <Wire from="q[0]" to="g[0]"/>"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.xml"
    path.write_text(FILE.format(types=EVENT_TYPES, wires=WIRES))
    return path


def leaky(times_ms: np.ndarray, events_ms: list[float]) -> np.ndarray:
    """Return v in mV: each event adds 3 mV, which decay by Euler steps of 0.5 ms.

    An event acts at the start of the step that ends when it arrives.
    """
    n_steps = np.rint((times_ms[:, None] - np.array(events_ms)) / 0.5) + 1
    return np.where(n_steps > 0, 3 * (1 - 0.5 / 20) ** n_steps, 0.0).sum(axis=1)


def test_events_reach_cells_themselves(file: Path) -> None:
    results = izhi_models.load(file).compile().simulate()
    times = results["l/v"].time.values
    v = results["l/v"]
    # Both clocks tick as one, every 10 ms, and each tick adds; it acts 2 ms later.
    ticks = [time + 2.0 for time in (10, 20, 30, 40, 50) for _ in range(2)]
    found = v.sel(cell=0).values
    np.testing.assert_allclose(found, leaky(times, ticks), rtol=0, atol=1e-12)
    # The relay gets an event a step of 0.5 ms after it was sent; what it sends takes one more.
    relayed = [4.0 * n + 1.0 for n in range(1, 15)]
    expected = leaky(times, ticks) + leaky(times, relayed)
    np.testing.assert_allclose(v.sel(cell=2).values, expected, rtol=0, atol=1e-12)


def test_regimes_decide_what_events_do(file: Path) -> None:
    results = izhi_models.load(file).compile().simulate()
    # It counts the ticks every 4 ms; the third one, half a step on, closes it for 9 ms, in which
    # two pass unseen.
    sent = results.spikes["g"].of(0) * 1e3
    np.testing.assert_allclose(sent, [12.5, 32.5, 52.5], atol=0.5 + 1e-9)


def test_what_runs_is_what_is_written(file: Path) -> None:
    assert check(file, rungs=("spec", "equations")).holds


def test_a_cell_has_no_such_port(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_text(
        FILE.format(types=EVENT_TYPES, wires='<Wire from="q[0]" to="l[0]" port="inn"/>')
    )
    with pytest.raises(InputError, match=r"'leak', a leaky, has no port 'inn'(.|\n)*'in'"):
        izhi_models.load(path)
    path.write_text(FILE.format(types=EVENT_TYPES, wires='<Wire from="q[0]" to="c[0]"/>'))
    with pytest.raises(InputError, match="'slow', a clock, has no port for events"):
        izhi_models.load(path)


def test_events_that_change_what_the_next_one_does_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    types = EVENT_TYPES.replace('value="v + jump"', 'value="0.9 * v + jump"')
    path.write_text(FILE.format(types=types, wires='<Wire from="q[0]" to="l[0]"/>'))
    with pytest.raises(UnsupportedError, match=r"'in' without a synapse(.|\n)*'v'"):
        izhi_models.load(path)
