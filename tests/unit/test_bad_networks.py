"""Networks that make no sense: what is said of them, whole."""

import pytest

from izhi_models import memory
from izhi_models.errors import InputError
from izhi_models.pipeline import load, short_delays

HEAD = """<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="doc">
<expOneSynapse id="syn" gbase="1nS" erev="0mV" tauDecay="1ms"/>
<izhikevich2007Cell id="iz" v0="-60mV" C="100pF" k="0.7nS_per_mV" vr="-60mV" vt="-40mV"
  vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" d="100pA"/>
<network id="net">
<population id="p" component="iz" size="{size}"/>
"""
TAIL = "</network>\n</neuroml>\n"
PROJECTION = (
    '<projection id="{}" presynapticPopulation="p" postsynapticPopulation="p" synapse="syn">\n'
)
CONNECTION = (
    '<connectionWD id="{}" preCellId="../p[0]" postCellId="../p[1]" weight="1" delay="{}"/>'
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(body="", size="9"):
        (tmp_path / "net.nml").write_text(HEAD.format(size=size) + body + TAIL)
        return "net.nml"

    return write


def projection(name, delays):
    rows = (CONNECTION.format(number, delay) + "\n" for number, delay in enumerate(delays))
    return PROJECTION.format(name) + "".join(rows) + "</projection>\n"


def told(path):
    with pytest.raises(InputError) as caught:
        load(path)
    return str(caught.value)


def test_a_population_beyond_memory_is_refused_before_it_is_made(write, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    # 10 parameters, 2 states, 3 currents, the time and the step: 17 names, and for each a value
    # in double precision that exists three times while it is set up.
    needed = 1e9 * 17 * 3 * 8 / 2**30
    assert told(write(size="1000000000")) == (
        f"net.nml:6:41: error: population 'p' of 1e+09 cells needs {needed:.3g} GiB of memory, "
        "and there are 1\n"
        '  <population id="p" component="iz" size="1000000000"/>\n' + " " * 42 + "^" * 10
    )


def test_a_population_of_no_cell_is_refused(write):
    assert told(write(size="0")) == (
        "net.nml:6:41: error: 'size' is '0', expected a whole number, 1 or more\n"
        '  <population id="p" component="iz" size="0"/>\n' + " " * 42 + "^"
    )


def test_a_delay_shorter_than_a_step_acts_in_the_next_and_is_told(write):
    delays = ["1 ms", "0.1 ms", "0.05 ms", "0.02 ms", "0 ms", "0.3 ms"]
    path = write(
        projection("short", delays)
        + projection("long", ["0.1 ms", "2 ms"])
        + projection("none", ["0 ms", "0 ms"])
    )
    found = [item.render() for item in short_delays(load(path).network.projections, 0.1e-3)]
    assert found == [
        "net.nml:8:1: warning: the delay of 0.02 ms in 'short' is shorter than the step of 0.1 ms: "
        "the event acts in the next step\n"
        f"  {CONNECTION.format(0, '1 ms')}\n  ^^^^^^^^^^^^^\n  choose a shorter step: --dt"
    ]
    assert not list(short_delays(load(path).network.projections, 0.02e-3))
