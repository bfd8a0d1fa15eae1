"""What `izhi diff` calls equal, and what it finds, of results and of models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from izhi_models import export
from izhi_models.checks import Diff, diff
from izhi_models.checks.differences.expressions import is_same
from izhi_models.cli import commands
from izhi_models.errors import CheckError, InputError
from izhi_models.expr import parse_expression
from izhi_models.library import models_folder
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.units import VOLTAGE
from tests.conftest import CELL, OUTPUT, POPULATION, SIMULATION, WriteModel

DT_S = 1e-4
SYNAPSE = '<expOneSynapse id="ampa" gbase="1nS" erev="0mV" tauDecay="5ms"/>'
IAF = (
    '<iafCell id="cell" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.1nF" '
    'leakConductance="10nS"/>'
)
PULSE = '<pulseGenerator id="pulse" delay="2ms" duration="50ms" amplitude="150pA"/>'
TYPE = """<ComponentType name="Leak" extends="baseCellMembPot">
  <Parameter name="tau" dimension="time"/><Constant name="mV" dimension="voltage" value="1mV"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
  <DerivedVariable name="w" dimension="none" value="v/mV"/>
  <DerivedVariable name="u" dimension="none" value="2*v/mV"/>
  <TimeDerivative variable="v" value="(mV - v)/tau"/>
  <OnCondition test="v .gt. 30*mV"><StateAssignment variable="v" value="0"/></OnCondition>
  </Dynamics></ComponentType><Leak id="cell" tau="10ms"/>"""


# Results


def results(n_rows: int = 201, **changes: object) -> Results:
    times = np.arange(n_rows) * DT_S
    values = np.stack([np.sin(times * 300.0), np.cos(times * 300.0)], axis=1) * 0.07
    trace = Trace("pop", "v", VOLTAGE, np.array([0, 3]), times, values)
    spikes = SpikeTrains(
        np.array([10, 20, 20, 150]) * DT_S, np.array([0, 1, 3, 0]), 4, (n_rows - 1) * DT_S
    )
    made = Results(
        (n_rows - 1) * DT_S,
        DT_S,
        {"pop": spikes},
        (trace,),
        {"pop": "cell"},
        {"seed": 1, "method": "euler", "command": ["izhi", "run"]},
    )
    return replace(made, **changes)


def saved(folder: Path, first: Results, second: Results, **options: object) -> Diff:
    for name, item in (("a", first), ("b", second)):
        (folder / name).mkdir(exist_ok=True)
        item.save(folder / name / "results.h5")
    return diff(folder / "a", folder / "b", **options)


def test_equal_results_are_equal_whatever_command_made_them(tmp_path: Path) -> None:
    other = results(provenance={"seed": 1, "method": "euler", "command": ["python"]})
    found = saved(tmp_path, results(), other)
    assert found.is_equal and not found.differences
    found.raise_if_different()


def test_a_spike_that_moved_is_found_with_its_time_and_cell(tmp_path: Path) -> None:
    ours = results()
    trains = ours.spikes["pop"]
    moved = replace(trains, times_s=np.array([10, 20, 23, 150]) * DT_S)
    found = saved(tmp_path, ours, replace(ours, spikes={"pop": moved}))
    (item,) = found.differences
    assert item.kind == "spikes" and item.where == "pop" and item.sides == ("4 spikes", "4 spikes")
    assert item.by.startswith("first apart at 2 ms in cell 3; 75.0% within 0.1 ms")
    # Two spikes 0.3 ms apart, with a kernel of 10 ms. Source: van Rossum (2001).
    assert f"distance {2 * (1 - np.exp(-0.03)):.3g}" in item.by
    with pytest.raises(CheckError, match="spikes: pop"):
        found.raise_if_different()
    near = saved(tmp_path, ours, replace(ours, spikes={"pop": moved}), tolerance="0.3 ms")
    assert near.is_equal


def test_the_largest_and_the_first_difference_of_a_trace_are_told(tmp_path: Path) -> None:
    ours = results()
    (trace,) = ours.traces
    values = np.array(trace.values)
    values[50, 1] += 1e-5
    values[120, 0] -= 3e-5
    found = saved(tmp_path, ours, replace(ours, traces=(replace(trace, values=values),)))
    (item,) = found.differences
    assert item.where == "pop/v"
    assert item.by == "at most 0.03 mV apart, at 12 ms in cell 0; first at 5 ms"
    # A part of the largest value, which is 0.07 V.
    assert saved(
        tmp_path, ours, replace(ours, traces=(replace(trace, values=values),)), relative=5e-4
    ).is_equal


def test_a_value_that_is_no_number_differs(tmp_path: Path) -> None:
    ours = results()
    (trace,) = ours.traces
    values = np.array(trace.values)
    values[7, 0] = np.nan
    assert not saved(
        tmp_path, ours, replace(ours, traces=(replace(trace, values=values),))
    ).is_equal


def test_runs_of_other_steps_are_compared_where_both_have_samples(tmp_path: Path) -> None:
    times = np.arange(401) * DT_S / 2
    values = np.stack([np.sin(times * 300.0), np.cos(times * 300.0)], axis=1) * 0.07
    fine = replace(
        results(),
        dt_s=DT_S / 2,
        traces=(Trace("pop", "v", VOLTAGE, np.array([0, 3]), times, values),),
    )
    found = saved(tmp_path, results(), fine)
    assert found.is_equal
    assert [(item.kind, item.where) for item in found.differences] == [("provenance", "dt_s")]


def test_what_only_one_has_and_how_each_was_made_is_told(tmp_path: Path) -> None:
    ours = results()
    other = replace(ours, traces=(), duration_s=0.01, provenance={"seed": 2, "method": "midpoint"})
    found = saved(tmp_path, ours, other)
    told = {(item.kind, item.where): item for item in found.differences}
    assert told["trace", "pop/v"].sides == ("recorded", "")
    assert told["time", "simulated"].sides == ("0 to 20 ms", "0 to 10 ms")
    assert told["provenance", "seed"].sides == ("1", "2")
    assert not told["provenance", "method"].counts
    assert ("spikes", "pop") not in told  # the last spike is after what both have


def test_spikes_of_many_cells_are_compared_at_once(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    steps = np.sort(random.integers(0, 10_000, 300_000))
    cells = random.integers(0, 5000, steps.size)
    trains = SpikeTrains(steps * DT_S, cells, 5000, 1.0)
    ours = Results(1.0, DT_S, {"pop": trains})
    keep = np.arange(steps.size) != 200_000
    lacking = SpikeTrains(steps[keep] * DT_S, cells[keep], 5000, 1.0)
    (item,) = saved(tmp_path, ours, Results(1.0, DT_S, {"pop": lacking})).differences
    assert f"first apart at {steps[200_000] / 10:.6g} ms in cell {cells[200_000]}" in item.by
    assert "van Rossum distance 1 " in item.by


# Expressions


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a*v^2 + b", "b + a * v^2"),
        ("(v - vr)/tau", "v/tau - vr/tau"),
        ("v .gt. thresh .and. (a+b) .lt. 1", "v .gt. thresh .and. (b+a) .lt. 1"),
        ("exp((v - mid)/scale)", "exp(v/scale - mid/scale)"),
    ],
)
def test_the_same_formula_in_another_form(first: str, second: str) -> None:
    assert is_same(parse_expression(first), parse_expression(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a + b", "a - b"),
        ("a + 1e-12*v", "a + 2e-12*v"),
        ("v .gt. 30", "v .gt. 31"),
        ("v .gt. a", "v .geq. a"),
        ("a*v", "a*w"),
        ("random(a)", "random(b)"),
        ("exp(v)", "exp(v) + 1"),
    ],
)
def test_another_formula(first: str, second: str) -> None:
    assert not is_same(parse_expression(first), parse_expression(second))


# Models


@pytest.fixture
def compare(write_model: WriteModel) -> Callable[..., Diff]:
    def compare(first: tuple[str, ...], second: tuple[str, ...]) -> Diff:
        return diff(write_model(*first, name="a.xml"), write_model(*second, name="b.xml"))

    return compare


def where(found: Diff) -> list[str]:
    return [item.where for item in found.differences if item.counts]


def test_units_and_order_of_attributes_do_not_matter(compare: Callable[..., Diff]) -> None:
    other = '<iafCell leakConductance="0.01 uS" id="cell" C="100pF" thresh="-0.05V" reset="-65 mV"'
    other += ' leakReversal="-0.06 V"/>'
    assert compare((IAF, POPULATION), (other, POPULATION)).is_equal


def test_a_parameter_that_differs_is_told_as_written(compare: Callable[..., Diff]) -> None:
    found = compare((IAF, POPULATION), (IAF.replace("-50mV", "-0.049V"), POPULATION))
    (item,) = found.differences
    assert (item.kind, item.where, item.sides) == (
        "component",
        "cell/thresh",
        ("-50mV", "-0.049V"),
    )


def test_equations_are_compared_and_not_their_text(compare: Callable[..., Diff]) -> None:
    same = TYPE.replace("(mV - v)/tau", "(-v+mV) / tau").replace('"1mV"', '"0.001 V"')
    lines = same.splitlines()
    lines[3], lines[4] = lines[4], lines[3]  # the order of derived variables means nothing
    assert compare((TYPE, POPULATION), ("\n".join(lines), POPULATION)).is_equal
    other = TYPE.replace("30*mV", "31*mV").replace("(mV - v)", "(v - mV)")
    found = compare((TYPE, POPULATION), (other, POPULATION))
    assert where(found) == ["Leak: TimeDerivative v", "Leak: OnCondition 1"]
    assert found.differences[0].sides == ("(mV - v) / tau", "(v - mV) / tau")


def test_a_component_that_nothing_uses_does_not_count(compare: Callable[..., Diff]) -> None:
    found = compare((IAF, POPULATION), (IAF + PULSE, POPULATION))
    assert found.is_equal
    assert [(item.where, item.counts) for item in found.differences] == [("pulse", False)]


NET = '<population id="pop" component="cell" size="3"/>{}'
PROJECTION = '<projection id="{}" presynapticPopulation="pop" postsynapticPopulation="pop" '
PROJECTION += 'synapse="ampa">{}</projection>'
WD = '<connectionWD id="{}" preCellId="../pop[{}]" postCellId="../pop[{}]" weight="{}" delay="{}"/>'
PLAIN = '<connection id="{}" preCellId="../pop[{}]" postCellId="../pop[{}]"/>'


def network(*projections: str) -> str:
    return NET.format("".join(PROJECTION.format(f"p{n}", x) for n, x in enumerate(projections)))


def test_connections_are_a_set_whatever_form_they_have(compare: Callable[..., Diff]) -> None:
    plain = network(PLAIN.format(0, 0, 1) + PLAIN.format(1, 2, 0) + PLAIN.format(2, 2, 0))
    listed = network(
        WD.format(7, 2, 0, 1, "0 ms"), WD.format(0, 2, 0, 1, "0s") + WD.format(1, 0, 1, 1, "0ms")
    )
    assert compare((IAF + SYNAPSE, plain), (IAF + SYNAPSE, listed)).is_equal


def test_a_rule_is_equal_to_the_list_that_it_makes(compare: Callable[..., Diff]) -> None:
    rules = models_folder() / "networks" / "connection_rules.types.xml"
    include = f'<Include file="{rules}"/>'
    rule = NET.format(
        '<allToAllNoAutapses id="p" presynapticPopulation="pop" postsynapticPopulation="pop" '
        'synapse="ampa" weightMin="{}" weightMax="{}" delay="1ms" destination="synapses"/>'
    )
    every = [(a, b) for a in range(3) for b in range(3) if a != b]
    listed = network("".join(WD.format(n, *pair, 2, "1ms") for n, pair in enumerate(every)))
    found = compare((IAF + SYNAPSE + include, rule.format(2, 2)), (IAF + SYNAPSE, listed))
    assert found.is_equal
    found = compare((IAF + SYNAPSE + include, rule.format(2, 3)), (IAF + SYNAPSE, listed))
    assert where(found) == ["pop -> pop through ampa, weight"]


def test_a_network_is_equal_in_hdf5(write_model: WriteModel, tmp_path: Path) -> None:
    listed = network(WD.format(0, 0, 1, 0.5, "1ms") + WD.format(1, 1, 2, 2, "2ms"))
    path = write_model(IAF + SYNAPSE, listed, None)
    export(path, "neuroml-hdf5", tmp_path / "net.xml", duration="1 ms")
    assert diff(path, tmp_path / "net.net.nml.h5").is_equal
    other = write_model(IAF + SYNAPSE, listed.replace('"0.5"', '"0.6"'), None, name="other.xml")
    assert where(diff(other, tmp_path / "net.net.nml.h5")) == ["pop -> pop through ampa, weight"]


def test_weights_delays_and_connections_that_differ_are_told(compare: Callable[..., Diff]) -> None:
    ours = WD.format(0, 0, 1, 0.5, "1ms") + WD.format(1, 1, 2, 2, "2ms")
    theirs = WD.format(0, 1, 2, 2.5, "0.003s") + WD.format(1, 2, 2, 1, "1ms")
    found = compare((IAF + SYNAPSE, network(ours)), (IAF + SYNAPSE, network(theirs)))
    through = "pop -> pop through ampa"
    assert where(found) == [through, f"{through}, delay", f"{through}, weight"]
    members, delay, weight = found.differences
    assert members.by == "1 only in the first: 0 -> 1; 1 only in the second: 2 -> 2"
    assert delay.sides == ("2 ms", "3 ms") and weight.sides == ("2", "2.5")
    assert delay.by == "1 of 1 differ, first 1 -> 2"


def test_inputs_may_be_explicit_or_listed(compare: Callable[..., Diff]) -> None:
    explicit = NET.format('<explicitInput target="pop[1]" input="pulse"/>')
    listed = NET.format(
        '<inputList id="l" population="pop" component="pulse">'
        '<input id="0" target="../pop[{}]" destination="synapses"/></inputList>'
    )
    assert compare((IAF + PULSE, explicit), (IAF + PULSE, listed.format(1))).is_equal
    found = compare((IAF + PULSE, explicit), (IAF + PULSE, listed.format(2)))
    assert where(found) == ["pulse on pop"]
    assert found.differences[0].by == "1 only in the first: pop[1]; 1 only in the second: pop[2]"


def test_what_is_simulated_and_recorded_is_compared(compare: Callable[..., Diff]) -> None:
    simulation = SIMULATION.replace("20ms", "0.03s").replace("0.1ms", "0.0001s")
    outputs = OUTPUT.replace("pop[0]/v", "pop[1]/v")
    found = compare((CELL, POPULATION), (CELL, POPULATION, simulation, outputs))
    assert where(found) == ["length", "file v.dat"]
    assert found.differences[0].sides == ("20 ms", "30 ms")


def test_files_without_a_network_are_compared_by_their_components(tmp_path: Path) -> None:
    for name, value in (("a.nml", "5ms"), ("b.nml", "6ms")):
        (tmp_path / name).write_text(
            '<neuroml xmlns="http://www.neuroml.org/schema/neuroml2" id="d">'
            f'<expOneSynapse id="s" gbase="1nS" erev="0mV" tauDecay="{value}"/></neuroml>'
        )
    assert where(diff(tmp_path / "a.nml", tmp_path / "b.nml")) == ["s/tauDecay"]


# The command


def test_the_command_prints_a_table_and_tells_by_its_exit_code(write_model: WriteModel) -> None:
    one, same = write_model(IAF, name="a.xml"), write_model(IAF, name="same.xml")
    other = write_model(IAF.replace("0.1nF", "0.2nF"), name="b.xml")
    done = CliRunner().invoke(commands, ["diff", str(one), str(same)])
    assert done.exit_code == 0 and "equal" in done.output
    done = CliRunner().invoke(commands, ["diff", str(one), str(other)])
    assert done.exit_code == 1
    assert "cell/C" in done.output and "0.2nF" in done.output and "1 difference" in done.output
    done = CliRunner().invoke(commands, ["diff", str(one), str(other), "--format", "json"])
    assert done.exit_code == 1
    (item,) = json.loads(done.output)["differences"]
    assert item["where"] == "cell/C" and item["sides"] == ["0.1nF", "0.2nF"]


def test_what_cannot_be_compared_is_bad_input(write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model(IAF)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    results().save(tmp_path / "full" / "results.h5")
    for second in ("empty", "nothing.xml", "full"):
        done = CliRunner().invoke(commands, ["diff", str(model), str(tmp_path / second)])
        assert done.exit_code == 2, second
        assert "Traceback" not in done.output
    with pytest.raises(InputError, match="holds results"):
        diff(model, tmp_path / "full")
    broken = write_model(IAF.replace("C=", "D="), name="broken.xml")
    assert CliRunner().invoke(commands, ["diff", str(model), str(broken)]).exit_code == 2
