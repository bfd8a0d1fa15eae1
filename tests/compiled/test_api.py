"""The Python API: compile once, then run again and again with other values."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import InputError, RunError
from izhi_models.results import Results

CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
OTHER = CELL.replace('id="cell"', 'id="other"').replace('d="2"', 'd="6"')
PULSE = '<pulseGeneratorDL id="pulse" delay="5ms" duration="80ms" amplitude="15"/>'
DRIVEN = "".join(f'<explicitInput target="pop[{cell}]" input="pulse"/>' for cell in range(3))
POPULATION = '<population id="pop" component="cell" size="3"/>'
LENGTH = 'length="100ms" step="0.1ms" target="net"'
NOISE = (
    '<ComponentType name="noisy" extends="baseSpikingCell"><Exposure name="v" dimension="none"/>'
    '<Parameter name="mean" dimension="none"/><Dynamics>'
    '<StateVariable name="v" dimension="none" exposure="v"/>'
    '<OnStart><StateAssignment variable="v" value="random(1)"/></OnStart>'
    '<OnCondition test="v .lt. 1e9"><StateAssignment variable="v" value="random(mean)"/>'
    '</OnCondition><OnCondition test="v .gt. 1.9"><EventOut port="spike"/></OnCondition>'
    '</Dynamics></ComponentType><noisy id="cell" mean="2"/>'
)


def by_hand(
    n_steps: int = 1000, *, d: float = 2.0, current: float = 15.0, d_later: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Forward Euler of the driven cell, dt 0.1 ms: v in mV, and steps of the spikes.

    From step 500 on the cell has `d_later`. Source: Izhikevich (2003), equations 1 to 3.
    """
    v, u = -70.0, 0.2 * -70.0
    rows, spikes = [v], []
    for step in range(1, n_steps + 1):
        drive = current if 50 <= step < 850 else 0.0
        dv = 0.04 * v * v + 5 * v + 140 - u + drive
        du = 0.02 * (0.2 * v - u)
        v, u = v + 0.1 * dv, u + 0.1 * du
        if v > 30.0:
            v, u = -50.0, u + (d if d_later is None or step <= 500 else d_later)
            spikes.append(step)
        rows.append(v)
    return np.array(rows), np.array(spikes)


def assert_equal_to_hand(results: Results, cell: int, **changed: float) -> None:
    v, spikes = by_hand(**changed)
    # Sums are rounded in another order, and each spike multiplies that, by up to 1e4.
    np.testing.assert_allclose(results.si(f"pop[{cell}]/v"), v * 1e-3, rtol=0, atol=1e-11)
    np.testing.assert_allclose(results.spikes["pop"].of(cell), spikes * 1e-4, rtol=1e-12)


def assert_identical(first: Results, second: Results) -> None:
    for one, other in zip(first.traces, second.traces, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    for population, trains in first.spikes.items():
        np.testing.assert_array_equal(trains.times_s, second.spikes[population].times_s)
        np.testing.assert_array_equal(trains.indices, second.spikes[population].indices)


@pytest.fixture
def model(write_model) -> izhi_models.Model:
    return izhi_models.load(write_model(CELL + PULSE, POPULATION + DRIVEN, LENGTH))


@pytest.fixture
def compilations(tmp_path, monkeypatch) -> Path:
    """Return a file that has a line for each library compiled; the cache is empty."""
    log, compiler = tmp_path / "compilations", tmp_path / "compiler"
    log.touch()
    real = shutil.which("g++") or shutil.which("clang++")
    mark = f'case " $* " in *" -shared "*) echo linked >> "{log}" ;; esac'
    compiler.write_text(f'#!/bin/sh\n{mark}\nexec {real} "$@"\n', encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("IZHI_CACHE_DIR", str(tmp_path / "cache"))
    return log


def count(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines())


def test_results__of_a_run__have_units_spikes_and_a_picture(model, tmp_path):
    results = model.compile(record="pop/v").simulate("100 ms")
    table = results["pop/v"]
    assert table.dims == ("time", "cell")
    assert (table.attrs["units"], table["time"].attrs["units"]) == ("mV", "ms")
    np.testing.assert_allclose(table.sel(cell=2), by_hand()[0], rtol=0, atol=1e-8)
    assert float(table["time"][-1]) == 100.0
    assert results["pop[1]/v"].dims == ("time",)
    assert results.spikes["pop"].count == 3 * by_hand()[1].size
    (segment,) = results.to_neo().segments
    assert len(segment.spiketrains) == 3
    for what in (None, "traces", "spikes"):
        figure = results.plot(what)
        figure.savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 1000
    assert results.plot().axes[0].lines
    results.save(tmp_path / "results.h5")
    assert_identical(Results.load(tmp_path / "results.h5"), results)


def test_simulate__duration__is_text_or_seconds_or_that_of_the_file(model):
    run = model.compile()
    for duration, n_rows in (("20 ms", 201), (0.03, 301), (None, 1001)):
        run.reset()
        assert run.simulate(duration)["pop[0]/v"].size == n_rows
    for wrong in (0, -1, "0 ms", "5 mV", float("nan"), "0.01 ms"):
        with pytest.raises(InputError):
            run.simulate(wrong)


def test_simulate__again__continues(model):
    run = model.compile()
    whole = run.simulate("100 ms")
    run.reset()
    first, second = run.simulate("50 ms"), run.simulate("50 ms")
    assert (first.start_s, second.start_s) == (0.0, 0.05)
    np.testing.assert_array_equal(
        np.r_[first.si("pop[0]/v"), second.si("pop[0]/v")[1:]], whole.si("pop[0]/v")
    )
    # Row 0 of a stretch is the last of the one before.
    assert second.si("pop[0]/v")[0] == first.si("pop[0]/v")[-1]
    np.testing.assert_array_equal(
        np.r_[first.spikes["pop"].of(0), second.spikes["pop"].of(0)], whole.spikes["pop"].of(0)
    )


def test_set__quantity_or_number__changes_all_cells(model):
    run = model.compile(record="pop/v")
    for value, d in ((4.0, 4.0), ("6", 6.0), (8, 8.0)):
        run.reset()
        run.set("pop/d", value)
        results = run.simulate()
        for cell in range(3):
            assert_equal_to_hand(results, cell, d=d)
    run.reset()
    run.set("pop/v0", "-60 mV")
    assert run.simulate("1 ms").si("pop/v")[0].tolist() == [-0.06] * 3


def test_set__input__changes_that_of_one_cell_or_of_all(model):
    run = model.compile(record="pop/v")
    run.set("pop/pulse/amplitude", 12.0)
    run.set("pop[1]/pulse/amplitude", 20.0)
    results = run.simulate()
    for cell, current in enumerate((12.0, 20.0, 12.0)):
        assert_equal_to_hand(results, cell, current=current)
    run.reset()
    run.set("pop/pulse/amplitude", [15.0, 16.0, 17.0])
    results = run.simulate()
    for cell, current in enumerate((15.0, 16.0, 17.0)):
        assert_equal_to_hand(results, cell, current=current)


def test_set__input_that_some_cells_have__leaves_the_inputs_of_others(write_model):
    # Inputs of one structure share a place in the program.
    second = PULSE.replace('id="pulse"', 'id="second"').replace("15", "20")
    network = (
        POPULATION
        + DRIVEN.replace('pop[1]" input="pulse"', 'pop[1]" input="second"')
        + '<explicitInput target="pop[2]" input="second"/>'
    )
    model = izhi_models.load(write_model(CELL + PULSE + second, network, LENGTH))
    run = model.compile(record="pop/v")
    for cell, current in enumerate((15.0, 20.0, 35.0)):
        assert_equal_to_hand(run.simulate(), cell, current=current)
        run.reset()
    run.set("pop/second/amplitude", 12.0)
    run.set("pop[2]/pulse/amplitude", 4.0)
    results = run.simulate()
    for cell, current in enumerate((15.0, 12.0, 16.0)):
        assert_equal_to_hand(results, cell, current=current)
    run.reset()
    run.set("pop/pulse/amplitude", [13.0, 99.0, 5.0])
    results = run.simulate()
    for cell, current in enumerate((13.0, 12.0, 17.0)):
        assert_equal_to_hand(results, cell, current=current)


def test_set__value_for_each_cell__needs_per_cell(model):
    run = model.compile(record="pop/v")
    with pytest.raises(InputError, match="one value for all cells"):
        run.set("pop/d", [2.0, 4.0, 6.0])
    with pytest.raises(InputError, match="one value for all cells"):
        run.set("pop[1]/d", 4.0)
    run = model.compile(record="pop/v", per_cell="pop/d")
    run.set("pop/d", [2.0, 4.0, 6.0])
    results = run.simulate()
    for cell, d in enumerate((2.0, 4.0, 6.0)):
        assert_equal_to_hand(results, cell, d=d)


def test_set__one_of_two_populations_of_one_component__leaves_the_other(write_model):
    both = POPULATION.replace("3", "1") + POPULATION.replace("3", "1").replace('"pop"', '"q"')
    inputs = DRIVEN[: DRIVEN.index("/>") + 2]
    path = write_model(CELL + PULSE, both + inputs + inputs.replace("pop[", "q["), LENGTH)
    run = izhi_models.load(path).compile(record=["q/v"])
    run.set("q/d", 6.0)
    results = run.simulate()
    assert_equal_to_hand(results, 0)
    np.testing.assert_allclose(results.si("q[0]/v"), by_hand(d=6.0)[0] * 1e-3, rtol=0, atol=1e-11)


def test_set__while_time_goes_on__holds_from_then_on(model):
    run = model.compile()
    first = run.simulate("50 ms")
    run.set("pop/d", 8.0)
    second = run.simulate("50 ms")
    assert second.start_s == 0.05
    joined = np.r_[first.si("pop[0]/v"), second.si("pop[0]/v")[1:]]
    expected = by_hand(d_later=8.0)[0]
    np.testing.assert_allclose(joined, expected * 1e-3, rtol=0, atol=1e-11)
    assert np.abs(expected - by_hand()[0]).max() > 1.0


def test_set__parameter_that_is_divided_by__holds_from_then_on(write_model):
    cell = (
        '<iafCell id="cell" leakReversal="-50mV" thresh="0mV" reset="-70mV" C="200pF" '
        'leakConductance="10nS"/>'
        '<pulseGenerator id="pulse" delay="0ms" duration="1s" amplitude="0.1nA"/>'
    )
    model = izhi_models.load(write_model(cell, POPULATION + DRIVEN, LENGTH))
    with pytest.raises(InputError, match="one value for all cells"):
        model.compile(record="pop/v").set("pop/C", [1e-10, 2e-10, 4e-10])
    run = model.compile(record="pop/v", per_cell="pop/C")
    run.simulate("10 ms")
    run.set("pop/C", [1e-10, 2e-10, 4e-10])
    results = run.simulate("10 ms")
    # Forward Euler of C dv/dt = g (E - v) + I: each step leaves 1 - dt g / C of what is missing.
    missing = -10e-3 * (1 - 0.1 * 10 / 200) ** 100
    for cell_number, capacity in enumerate((100, 200, 400)):
        expected = -40e-3 + missing * (1 - 0.1 * 10 / capacity) ** 100
        # Each of 200 steps rounds a few times.
        assert results.si(f"pop[{cell_number}]/v")[-1] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("pop/d", float("nan"), "is not finite"),
        ("pop/d", float("inf"), "is not finite"),
        ("pop/d", "2 mV", "is not of the dimension none"),
        ("pop/v0", "2", "is not of the dimension voltage"),
        ("pop/v0", "-60 mW", "unknown unit"),
        ("pop/pulse/amplitude", [1.0, 2.0], "takes a value for each cell, 3, not 2"),
        ("pop[1]/pulse/amplitude", [1.0, 2.0, 3.0], "takes one number"),
        ("pop[3]/pulse/amplitude", 1.0, "there is no cell 3"),
        ("pop/w", 1.0, "has no parameter"),
    ],
)
def test_set__what_does_not_fit__is_refused_and_changes_nothing(model, path, value, message):
    run = model.compile()
    with pytest.raises(InputError, match=message):
        run.set(path, value)
    assert_equal_to_hand(run.simulate(), 0)


def test_reset__same_seed__is_the_same_bit_for_bit(write_model):
    run = izhi_models.load(write_model(NOISE)).compile(seed=5, record="pop/v")
    first = run.simulate("20 ms")
    run.reset()
    assert_identical(run.simulate("20 ms"), first)
    run.reset(6)
    second = run.simulate("20 ms")
    assert not np.array_equal(second.si("pop/v"), first.si("pop/v"))
    other = izhi_models.load(write_model(NOISE)).compile(seed=6, record="pop/v")
    assert_identical(other.simulate("20 ms"), second)
    # The start is drawn too.
    assert first.si("pop/v")[0, 0] != first.si("pop/v")[0, 1]
    assert (first.si("pop/v") >= 0).all()
    assert (first.si("pop/v") < 2).all()


def test_run__two_at_once__share_nothing(model):
    first, second = model.compile(), model.compile()
    second.set("pop/d", 8.0)
    half = first.simulate("50 ms")
    other = second.simulate("100 ms")
    rest = first.simulate("50 ms")
    joined = np.r_[half.si("pop[0]/v"), rest.si("pop[0]/v")[1:]]
    np.testing.assert_allclose(joined, by_hand()[0] * 1e-3, rtol=0, atol=1e-11)
    assert_equal_to_hand(other, 0, d=8.0)


def test_simulate__after_it_blew_up__begins_anew(write_model):
    growth = (
        '<ComponentType name="own" extends="baseCell"><Exposure name="v" dimension="none"/>'
        '<Parameter name="k" dimension="per_time"/><Dynamics>'
        '<StateVariable name="v" dimension="none" exposure="v"/>'
        '<OnStart><StateAssignment variable="v" value="1"/></OnStart>'
        '<TimeDerivative variable="v" value="k * v^3"/></Dynamics></ComponentType>'
        '<own id="cell" k="1per_ms"/>'
    )
    run = izhi_models.load(write_model(growth)).compile()
    with pytest.raises(RunError, match=r"'v' of pop\[0\]"):
        run.simulate("20 ms")
    run.set("pop/k", "0 per_ms")
    results = run.simulate("20 ms")
    assert results.start_s == 0.0
    assert set(results.si("pop[0]/v")) == {1.0}


def test_simulate__progress__rises_to_the_end(model):
    seen: list[tuple[str, float]] = []
    model.compile().simulate(progress=lambda stage, done: seen.append((stage, done)))
    fractions = [done for _, done in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert seen[-1][0] == "simulated 100 of 100 ms"


def test_results__populations__are_in_the_order_of_the_file(write_model):
    iaf = '<iafTauCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="9ms"/>'
    names = ("pop", "b", "a")
    network = "".join(
        f'<population id="{name}" component="{of}" size="1"/>'
        for name, of in zip(names, ("cell", "iaf", "cell"), strict=True)
    )
    results = izhi_models.load(write_model(CELL + iaf, network)).compile().simulate()
    assert tuple(results.spikes) == names


def test_compile__values_edited_in_the_file__starts_no_compiler(write_model, compilations):
    def run(cells: str, size: int) -> Results:
        network = "".join(
            f'<population id="{name}" component="{of}" size="{size}"/>'
            f'<explicitInput target="{name}[0]" input="pulse"/>'
            for name, of in (("pop", "cell"), ("q", "other"))
        )
        run = izhi_models.load(write_model(cells, network, LENGTH)).compile(record="q/v")
        run.set("pop/d", 3.0)
        run.simulate("10 ms")
        run.reset()
        run.set("pop/d", 2.0)
        return run.simulate()

    assert_equal_to_hand(run(CELL + OTHER + PULSE, 2), 0)
    assert count(compilations) == 1
    changed = OTHER.replace('d="6"', 'd="7"') + PULSE.replace("15", "17")
    results = run(CELL + changed, 5)
    assert_equal_to_hand(results, 0, current=17.0)
    v = by_hand(d=7.0, current=17.0)[0]
    np.testing.assert_allclose(results.si("q[0]/v"), v * 1e-3, rtol=0, atol=1e-11)
    assert count(compilations) == 1


def test_compile__twenty_populations_of_one_structure__start_one_compiler(
    write_model, compilations
):
    names = [f"p{number}" for number in range(19)] + ["pop"]
    cells = "".join(
        CELL.replace('"cell"', f'"c_{n}"').replace('d="2"', f'd="{k}"') for k, n in enumerate(names)
    )
    network = "".join(f'<population id="{n}" component="c_{n}" size="1"/>' for n in names)
    inputs = "".join(f'<explicitInput target="{n}[0]" input="pulse"/>' for n in names)
    model = izhi_models.load(write_model(cells + PULSE, network + inputs, LENGTH))
    run = model.compile(record=[f"{name}/v" for name in names])
    assert count(compilations) == 1
    assert len(run.simulator.lowering.program.neurons) == 1
    results = run.simulate()
    assert list(results.spikes) == names
    for d in (0, 7, 19):
        v = by_hand(d=float(d))[0]
        np.testing.assert_allclose(results.si(f"{names[d]}[0]/v"), v * 1e-3, rtol=0, atol=1e-11)


def test_run__many_times_with_other_values__starts_no_compiler_and_is_right(model, monkeypatch):
    run = model.compile()
    monkeypatch.setenv("CXX", "/bin/false")
    monkeypatch.setenv("PATH", "")
    for d in np.linspace(1.0, 8.0, 30):
        run.reset()
        run.set("pop/d", d)
        assert_equal_to_hand(run.simulate(), 0, d=d)


RAMP = (
    '<ComponentType name="ramp" extends="baseCell"><Exposure name="v" dimension="none"/>'
    '<Parameter name="rate" dimension="per_time"/><Parameter name="k" dimension="none"/>'
    '<DerivedParameter name="mean" dimension="time" value="1 / rate"/>'
    '<DerivedParameter name="slope" dimension="per_time" value="k / (2 * mean)"/><Dynamics>'
    '<StateVariable name="v" dimension="none" exposure="v"/>'
    '<TimeDerivative variable="v" value="slope"/></Dynamics></ComponentType>'
    '<ramp id="cell" rate="5Hz" k="1"/>'
)


def test_set__parameter_from_which_others_derive__they_follow(write_model):
    model = izhi_models.load(write_model(RAMP, POPULATION, LENGTH, outputs=""))
    run = model.compile(record="pop/v", per_cell="pop/rate")

    def slopes() -> np.ndarray:
        run.reset()
        return run.simulate().si("pop/v")[-1] / 0.1  # k rate / 2 for all 100 ms

    assert slopes() == pytest.approx(2.5)
    run.set("pop/rate", "20 Hz")
    assert slopes() == pytest.approx(10)
    run.set("pop[1]/rate", 40.0)
    assert slopes() == pytest.approx([10, 20, 10])
    run.set("pop/k", 3.0)  # each cell's own rate stays
    assert slopes() == pytest.approx([30, 60, 30])
    run.set("pop/rate", [1.0, 2.0, 4.0])
    assert slopes() == pytest.approx([1.5, 3, 6])
    with pytest.raises(InputError, match="value for 'mean' of 'pop' is not finite"):
        run.set("pop/rate", 0.0)
    assert slopes() == pytest.approx([1.5, 3, 6])
    later = run.simulate("50 ms")
    run.set("pop/k", 1.0)
    after = run.simulate("50 ms").si("pop/v")
    assert after[-1] - later.si("pop/v")[-1] == pytest.approx(np.array([0.5, 1, 2]) * 0.05)


def test_set__derived_parameter_of_all_cells_alike__is_one_number(write_model):
    model = izhi_models.load(write_model(RAMP, POPULATION, LENGTH, outputs=""))
    run = model.compile(record="pop/v")
    with pytest.raises(InputError, match="is one value for all cells"):
        run.set("pop[1]/rate", 40.0)
    run.set("pop/rate", 40.0)
    assert run.simulate().si("pop/v")[-1] == pytest.approx(2.0)
