"""Kinetic schemes, seen through the interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from izhi_models.errors import InputError
from izhi_models.ir.evaluate import Interpreter
from izhi_models.lems.components import read_model
from izhi_models.lems.simulation import lower_experiment

MODEL = """<Lems>
<Include file="Cells.xml"/><Include file="Networks.xml"/>
<ComponentType name="fixedTransition" extends="KSTransition">
  <Parameter name="there" dimension="per_time"/><Parameter name="back" dimension="per_time"/>
  <Link name="from" type="KSState"/><Link name="to" type="KSState"/>
  <Dynamics><DerivedVariable name="rf" dimension="per_time" exposure="rf" value="there"/>
  <DerivedVariable name="rr" dimension="per_time" exposure="rr" value="back"/></Dynamics>
</ComponentType>
<ComponentType name="pore">
  <Children name="states" type="KSState"/><Children name="transitions" type="KSTransition"/>
  <Exposure name="open" dimension="none"/>
  <Dynamics>
    <DerivedVariable name="open" exposure="open" dimension="none" select="states[*]/q"
                     reduce="add"/>
    <KineticScheme name="ks" nodes="states" stateVariable="occupancy" edges="transitions"
                   edgeSource="from" edgeTarget="to" forwardRate="rf" reverseRate="rr"/>
  </Dynamics>
</ComponentType>
<pore id="three">
  <closedState id="c1"/><closedState id="c2"/><openState id="o"/>
  <fixedTransition id="a" from="c1" to="c2" there="2 per_ms" back="1 per_ms"/>
  <fixedTransition id="b" from="c2" to="{target}" there="0.5 per_ms" back="0.25 per_ms"/>
</pore>
<network id="net"><population id="P" component="three" size="1"/></network>
</Lems>"""


def read(tmp_path: Path, target: str) -> Interpreter:
    path = tmp_path / "pore.xml"
    path.write_text(MODEL.format(target=target))
    item = lower_experiment(read_model(path)).network.populations["P"]
    return Interpreter(item.dynamics, item.values, 1, dt=1e-6)


def test_kinetic_scheme__follows_its_master_equation(tmp_path: Path) -> None:
    trace = read(tmp_path, "o").run(5000, ["open"]).traces["open"][:, 0]
    # dp/dt = Q p with rates in 1/ms, from all in the first state; expm by eigenvectors.
    q = np.array([[-2.0, 1.0, 0.0], [2.0, -1.5, 0.25], [0.0, 0.5, -0.25]])
    values, vectors = np.linalg.eig(q)
    start = np.linalg.solve(vectors, np.array([1.0, 0.0, 0.0]))
    times = np.arange(trace.size) * 1e-3
    expected = (vectors @ (np.exp(np.outer(values, times)) * start[:, None]))[2]
    # Forward Euler with 0.001 ms at rates of about 3 per ms: errors of about 1e-3.
    np.testing.assert_allclose(trace, expected, rtol=0, atol=1e-3)


def test_kinetic_scheme__refuses_an_edge_to_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="open"):
        read(tmp_path, "open")
