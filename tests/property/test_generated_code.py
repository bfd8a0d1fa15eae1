"""Compiled code against the interpreter, for random dynamics."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from izhi_models.annarchy.lower import lower_network
from izhi_models.annarchy.run import Recording, Simulator
from izhi_models.expr import Binary, Call, Compare, Expr, Name, Number, Select
from izhi_models.ir.dimensions import rescale
from izhi_models.ir.dynamics import (
    Assignment,
    Constant,
    Derived,
    Dynamics,
    OnCondition,
    Rate,
    Variable,
)
from izhi_models.ir.evaluate import Interpreter, Run
from izhi_models.ir.passes import exact_times, order_derived
from izhi_models.ir.step import METHODS
from izhi_models.network import Network, Population
from izhi_models.units import NONE, TIME, VOLTAGE, from_simulation, to_simulation
from tests.property import strategies

DT, N_STEPS, N_CELLS = 0.1e-3, 20, 3
PARAMETERS = {"a": NONE, "b": VOLTAGE, "tau": TIME}
STATES = {"x": NONE, "v": VOLTAGE}
DERIVED = {"d": NONE, "e": VOLTAGE}
KNOWN = (*PARAMETERS, "k", "t")


# A strategy is costly to make.
smooth = functools.cache(strategies.smooth)


@functools.cache
def numbers(names: tuple[str, ...]) -> st.SearchStrategy[Expr]:
    """Return numbers of all kinds; smooth ones are finite everywhere."""
    inner = smooth(names)
    return st.one_of(
        inner,
        st.builds(Call, st.sampled_from(["abs", "H", "ceil"]), inner),
        st.builds(Select, conditions(names), inner, inner),
        st.builds(
            Binary, st.just("^"), st.builds(Call, st.just("exp"), bounded(names)), bounded(names)
        ),
    )


@functools.cache
def bounded(names: tuple[str, ...]) -> st.SearchStrategy[Expr]:
    """Return numbers from -1 to 1, so that no state leaves that range."""
    return st.builds(Call, st.sampled_from(["tanh", "sin", "cos"]), smooth(names))


@functools.cache
def conditions(names: tuple[str, ...]) -> st.SearchStrategy[Expr]:
    return strategies.conditions(smooth(names))


@st.composite
def dynamics(draw: st.DrawFn) -> Dynamics:
    """Return a cell whose equations keep no dimension: numbers in them stand for SI values."""
    states = (*KNOWN, *STATES)
    everything = (*states, *DERIVED)

    def rate(state: str) -> Rate:
        # Towards something, with the time constant tau.
        target = st.one_of(
            bounded(everything), st.builds(Call, st.just("tanh"), numbers(everything))
        )
        distance = Binary("-", draw(target), Name(state))
        return Rate(state, Binary("/", distance, Name("tau")))

    def block() -> OnCondition:
        level = Number(draw(st.floats(-0.9, 0.9)))
        test = Compare(draw(st.sampled_from(["<", ">"])), Name(draw(st.sampled_from("xv"))), level)
        changed = draw(st.lists(st.sampled_from("xv"), max_size=3))
        return OnCondition(
            draw(st.one_of(st.just(test), conditions(everything))),
            tuple(Assignment(state, draw(bounded(everything))) for state in changed),
            ("spike",) if draw(st.booleans()) else (),
        )

    return Dynamics(
        "random",
        parameters=tuple(Variable(*item) for item in PARAMETERS.items()),
        constants=(Constant("k", NONE, draw(st.floats(-2.0, 2.0))),),
        states=tuple(Variable(*item) for item in STATES.items()),
        derived=(
            Derived("d", NONE, draw(numbers(states))),
            Derived("e", VOLTAGE, draw(numbers((*states, "d")))),
        ),
        rates=tuple(rate(state) for state in draw(st.sampled_from(["xv", "x", "v"]))),
        start=tuple(Assignment(state, draw(bounded(KNOWN))) for state in STATES),
        conditions=tuple(block() for _ in range(draw(st.integers(0, 3)))),
        out_ports=("spike",),
    )


def values(draw_from: np.random.Generator) -> dict[str, np.ndarray]:
    """Return parameters of every cell, with all digits, so that hardly two numbers are equal."""
    return {
        "a": draw_from.uniform(-2.0, 2.0, N_CELLS),
        "b": draw_from.uniform(-0.1, 0.1, N_CELLS),
        "tau": draw_from.uniform(0.3e-3, 5e-3, N_CELLS),
    }


@functools.cache
def populations() -> dict[str, Population]:
    """Return cells of some seventy random dynamics, the same in each run of the tests."""
    found: dict[Dynamics, None] = {}

    @settings(
        max_examples=72,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(dynamics())
    def collect(item: Dynamics) -> None:
        found[order_derived(item)] = None

    collect()
    generator = np.random.default_rng(1)
    return {
        f"p{number}": Population(f"p{number}", "random", item, values(generator), N_CELLS)
        for number, item in enumerate(found)
    }


@dataclass(frozen=True)
class Expected:
    """What the interpreter says in SI and in simulation units, which round differently."""

    si: Run
    scaled: Run
    dimensions: dict[str, tuple[int, ...]]

    def trace(self, name: str) -> np.ndarray:
        return self.si.traces[name]

    def is_certain(self) -> bool:
        """Return False if rounding alone decides, as at a comparison of equal numbers."""
        same = [
            np.allclose(
                from_simulation(self.scaled.traces[name], self.dimensions[name]),
                self.trace(name),
                rtol=0,
                atol=1e-10 * np.abs(self.trace(name)).max(),
            )
            for name in self.si.traces
        ]
        return all(same) and self.si.events == self.scaled.events


def expect(population: Population, method: str) -> Expected:
    si = exact_times(population.dynamics)
    names = [*STATES, *DERIVED]
    scaled_values = {
        name: np.array([to_simulation(value, PARAMETERS[name]) for value in array])
        for name, array in population.values.items()
    }
    runs = [
        Interpreter(item, given_values, N_CELLS, dt, method=method).run(N_STEPS, names)
        for item, given_values, dt in (
            (si, population.values, DT),
            (rescale(si), scaled_values, to_simulation(DT, TIME)),
        )
    ]
    return Expected(*runs, {**STATES, **DERIVED})


@pytest.mark.parametrize("method", METHODS)
def test_compiled_code_does_what_the_interpreter_does(method: str) -> None:
    # A share of the cells for each method, all in one program.
    chosen = dict(list(populations().items())[METHODS.index(method) :: len(METHODS)])
    cells = tuple(range(N_CELLS))
    names = (*STATES, *DERIVED)
    recordings = [
        Recording(population, name, cells, (name,) * N_CELLS)
        for population in chosen
        for name in names
    ]
    lowering = lower_network(Network("net", chosen), dict.fromkeys(chosen, names), method=method)
    simulator = Simulator(lowering, recordings, DT, seed=1)
    results = simulator.simulate(N_STEPS * DT)
    simulator.close()
    certain = 0
    for population in chosen.values():
        expected = expect(population, method)
        if not expected.is_certain():
            continue
        certain += 1
        for name in names:
            trace = expected.trace(name)
            # The compiled code rounds in a third way, and some equations are chaotic.
            np.testing.assert_allclose(
                results.si(f"{population.id}/{name}"),
                trace,
                rtol=0,
                atol=1e-8 * np.abs(trace).max(),
                err_msg=f"{name} of {population.dynamics}",
            )
        found = []
        if population.id in results.spikes:
            trains = results.spikes[population.id]
            steps = np.rint(trains.times_s / DT).astype(int).tolist()
            found = sorted(zip(steps, trains.indices.tolist(), strict=True))
        assert found == sorted(set(expected.si.events["spike"])), population.dynamics
    assert certain >= 0.8 * len(chosen) >= 8
