"""Networks that make no sense: what is said of them, whole."""

from pathlib import Path

import pytest

from izhi_models import memory
from izhi_models.errors import InputError
from izhi_models.pipeline import load
from izhi_models.rounding import rounded_delays, rounded_length

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


def rounded(path: Path, step_s: float) -> list[str]:
    return [item.render() for item in rounded_delays(load(path).network.projections, step_s)]


def test_delays_that_are_no_multiples_of_the_step_are_told(write):
    delays = ["1 ms", "0.1 ms", "0.05 ms", "0.02 ms", "0 ms", "0.3 ms"]
    path = write(
        projection("mixed", delays)
        + projection("long", ["0.1 ms", "2 ms"])
        + projection("none", ["0 ms", "0 ms"])
    )
    # 0.02 ms act after a step of 0.1 ms: 0.08 ms late; both are multiples of 0.01 ms.
    assert rounded(path, 0.1e-3) == [
        "net.nml:8:1: warning: 2 of 6 delays in 'mixed' are no multiples of the step of 0.1 ms: "
        "they are rounded to whole steps, by up to 0.08 ms\n"
        f"  {CONNECTION.format(0, '1 ms')}\n  ^^^^^^^^^^^^^\n"
        '  a step of which they are multiples: --dt "0.01 ms"'
    ]
    assert rounded(path, 0.01e-3) == []


@pytest.mark.parametrize(
    ("delay", "told", "hint"),
    [
        ("0.02 ms", "shorter than the step of 0.1 ms: the event acts in the next step", "0.02 ms"),
        ("1.26 ms", "no multiple of the step of 0.1 ms: it is taken as 1.3 ms", "0.02 ms"),
        ("1.2345678 ms", "no multiple of the step of 0.1 ms: it is taken as 1.2 ms", ""),
    ],
)
def test_one_delay_is_told_as_it_is_taken(write, delay, told, hint):
    (line,) = rounded(write(projection("one", [delay])), 0.1e-3)
    assert f"warning: the delay of {float(delay.split()[0]):.6g} ms in 'one' is {told}\n" in line
    assert line.endswith(f'--dt "{hint}"' if hint else "a shorter step changes them less: --dt")


def test_rounded_delays_of_many_projections_are_told_in_a_few_lines(write):
    names = [f"p{number}" for number in range(9)]
    path = write("".join(projection(name, ["1.05 ms", "1.07 ms"]) for name in names))
    *first, last = rounded(path, 0.1e-3)
    assert [f"'{name}'" in line for name, line in zip(names, first, strict=False)] == [True] * 3
    assert "12 delays in 6 more projections are rounded too, by up to 0.05 ms" in last


def test_a_length_that_is_no_multiple_of_the_step_is_told():
    (line,) = rounded_length(0.10005, 0.0001)
    assert line.message.startswith("100.05 ms is no multiple of the step of 0.1 ms: 100")
    assert line.severity == "warning"
    # 30000 times the nearest number to 0.00002 is not exactly 0.6.
    assert not list(rounded_length(0.6, 0.00002))
