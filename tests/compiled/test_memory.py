"""What connections take of memory, from the file to the end of a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from izhi_models.library import models_folder

RULES = models_folder() / "networks" / "connection_rules.types.xml"
MODEL = """<Lems><Target component="sim"/><Include file="{rules}"/><Include file="Cells.xml"/>
<Include file="Simulation.xml"/>
<izhikevich2007Cell id="cell" v0="-60mV" C="100 pF" k="0.7 nS_per_mV" vr="-60 mV" vt="-40 mV"
    vpeak="35 mV" a="0.03 per_ms" b="-2 nS" c="-50 mV" d="100 pA"/>
<expOneSynapse id="syn" gbase="0.5nS" erev="0mV" tauDecay="3ms"/>
<network id="net"><population id="P" component="cell" size="{n}"/>
<{kind} id="r" presynapticPopulation="P" postsynapticPopulation="P" synapse="syn"
    weightMin="0.5" weightMax="1.5" delay="1ms" {more}/></network>
<Simulation id="sim" length="2ms" step="0.5ms" target="net"/></Lems>"""
RUN = """
import resource, sys
from izhi_models import load
model = load(sys.argv[1])
run = model.compile(precision=sys.argv[2], record="P[0]/v")
run.simulate()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
print(model.network.projections[0].size, peak)
"""


@pytest.mark.parametrize(("precision", "limit"), [("double", 16.0), ("float", 12.0)])
@pytest.mark.parametrize("kind", ["fixedProbability", "allToAll"])
def test_connections_of_a_rule_are_held_once_at_most(tmp_path, kind, precision, limit):
    # In the compiled code a connection takes its weight, and where not all are connected a cell of
    # 4 bytes: 12 or 8 in all. Any second array of the connections would pass the limit, with an
    # eighth of the difference for what the blocks at work take by chance.
    points = []
    for part in (1, 2):
        n = 5000 if kind == "fixedProbability" else (1300, 1838)[part - 1]
        more = f'probability="{0.07 * part}"' if kind == "fixedProbability" else ""
        path = tmp_path / f"{part}.xml"
        path.write_text(MODEL.format(rules=RULES, n=n, kind=kind, more=more))
        call = [sys.executable, "-c", RUN, str(path), precision]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        points.append([int(word) for word in done.stdout.split()])
    (few, before), (many, after) = points
    assert many - few > 1_500_000
    assert (after - before) / (many - few) < limit
