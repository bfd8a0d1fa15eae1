"""Networks of many small populations, against the same steps in plain NumPy, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import InputError

MS, MV, NS, PF, PA = 1e-3, 1e-3, 1e-9, 1e-12, 1e-12
DT, N_STEPS = 0.1 * MS, 2000
EXPONENTIAL = {"fast": (0.9, 0.0, 3.0), "slow": (0.4, 0.0, 20.0), "inhibit": (1.5, -80.0, 8.0)}
GAPS = {"wide": 0.8, "narrow": 0.1}
CELLS = {"small": (150.0, 8.0), "large": (260.0, 14.0)}  # capacitance, leak
CURRENTS = {"weak": 180.0, "strong": 420.0}
REST, THRESHOLD, RESET = -60.0, -50.0, -65.0


@dataclass(frozen=True)
class Drawn:
    """A network as lists: populations, event connections, gap junctions and inputs."""

    populations: dict[str, tuple[str, int]]
    events: list[tuple[str, tuple[str, int], tuple[str, int], float, float]]
    gaps: list[tuple[str, tuple[str, int], tuple[str, int], float]]
    inputs: list[tuple[str, tuple[str, int]]]

    def cells(self) -> list[tuple[str, int]]:
        return [(name, i) for name, (_, size) in self.populations.items() for i in range(size)]


def draw(seed: int, sizes: list[int]) -> Drawn:
    generator = np.random.default_rng(seed)
    kinds = list(CELLS)
    populations = {f"p{n}": (kinds[n % 2], size) for n, size in enumerate(sizes)}
    cells = Drawn(populations, [], [], []).cells()

    def cell() -> tuple[str, int]:
        return cells[generator.integers(len(cells))]

    def name(of: dict[str, object]) -> str:
        return list(of)[generator.integers(len(of))]

    events = [
        (
            name(EXPONENTIAL),
            cell(),
            cell(),
            round(generator.uniform(0.2, 2.0), 3),
            round(generator.uniform(0.0, 4.0), 1),
        )
        for _ in range(6 * len(cells))
    ]
    gaps = [(name(GAPS), cell(), cell(), generator.integers(1, 4)) for _ in range(len(cells))]
    inputs = [(name(CURRENTS), item) for item in cells]
    return Drawn(populations, events, gaps, inputs)


def to_xml(net: Drawn) -> str:
    parts = ['<Lems><Target component="sim"/>']
    parts += [f'<Include file="{name}.xml"/>' for name in ("Cells", "Networks", "Simulation")]
    parts += [
        f'<expOneSynapse id="{name}" gbase="{g}nS" erev="{e}mV" tauDecay="{tau}ms"/>'
        for name, (g, e, tau) in EXPONENTIAL.items()
    ]
    parts += [f'<gapJunction id="{name}" conductance="{g}nS"/>' for name, g in GAPS.items()]
    parts += [
        f'<iafCell id="{name}" leakReversal="{REST}mV" thresh="{THRESHOLD}mV" reset="{RESET}mV" '
        f'C="{c}pF" leakConductance="{g}nS"/>'
        for name, (c, g) in CELLS.items()
    ]
    parts += [
        f'<pulseGenerator id="{name}" delay="0ms" duration="10s" amplitude="{amplitude}pA"/>'
        for name, amplitude in CURRENTS.items()
    ]
    parts.append('<network id="net">')
    parts += [
        f'<population id="{name}" component="{cell}" size="{size}"/>'
        for name, (cell, size) in net.populations.items()
    ]
    groups: dict[tuple[str, str, str], list[str]] = {}
    for synapse, (pre, i), (post, k), weight, delay in net.events:
        rows = groups.setdefault((synapse, pre, post), [])
        rows.append(
            f'<connectionWD id="{len(rows)}" preCellId="../{pre}[{i}]" postCellId="../{post}[{k}]" '
            f'weight="{weight}" delay="{delay}ms"/>'
        )
    for number, ((synapse, pre, post), rows) in enumerate(groups.items()):
        parts.append(
            f'<projection id="e{number}" presynapticPopulation="{pre}" '
            f'postsynapticPopulation="{post}" synapse="{synapse}">{"".join(rows)}</projection>'
        )
    for number, (synapse, (pre, i), (post, k), weight) in enumerate(net.gaps):
        parts.append(
            f'<electricalProjection id="g{number}" presynapticPopulation="{pre}" '
            f'postsynapticPopulation="{post}"><electricalConnectionInstanceW id="0" '
            f'preCell="../{pre}[{i}]" postCell="../{post}[{k}]" synapse="{synapse}" '
            f'weight="{weight}"/></electricalProjection>'
        )
    parts += [f'<explicitInput target="{p}[{i}]" input="{name}"/>' for name, (p, i) in net.inputs]
    parts.append(f'</network><Simulation id="sim" length="200ms" step="{DT / MS}ms" target="net">')
    parts.append('<OutputFile id="o" fileName="v.dat">')
    parts += [f'<OutputColumn id="{p}_{i}" quantity="{p}[{i}]/v"/>' for p, i in net.cells()]
    return "".join([*parts, "</OutputFile></Simulation></Lems>"])


def in_numpy(net: Drawn) -> tuple[np.ndarray, dict[tuple[str, int], list[int]]]:
    """Return v of each cell in each row, and the steps at whose end each cell spiked."""
    cells = {cell: number for number, cell in enumerate(net.cells())}
    size = len(cells)
    kinds = [net.populations[name][0] for name, _ in cells]
    c = np.array([CELLS[kind][0] for kind in kinds]) * PF
    leak = np.array([CELLS[kind][1] for kind in kinds]) * NS
    injected = np.zeros(size)
    for name, cell in net.inputs:
        injected[cells[cell]] += CURRENTS[name] * PA
    v = np.full(size, REST * MV)
    g = {name: np.zeros(size) for name in EXPONENTIAL}
    arriving: dict[int, list[tuple[str, int, float]]] = {}
    rows, spikes = [v.copy()], {cell: [] for cell in cells}
    for step in range(N_STEPS):
        for name, post, weight in arriving.pop(step, ()):
            g[name][post] += weight * EXPONENTIAL[name][0] * NS
        current = injected.copy()
        for name, (_, reversal, _) in EXPONENTIAL.items():
            current += g[name] * (reversal * MV - v)
        for name, a, b, weight in net.gaps:
            flow = weight * GAPS[name] * NS * (v[cells[a]] - v[cells[b]])
            current[cells[b]] += flow
            current[cells[a]] -= flow
        v = v + DT * (leak * (REST * MV - v) + current) / c
        for name, (_, _, tau) in EXPONENTIAL.items():
            g[name] = g[name] - DT * g[name] / (tau * MS)
        fired = v > THRESHOLD * MV
        v[fired] = RESET * MV
        for cell, number in cells.items():
            if fired[number]:
                spikes[cell].append(step + 1)
        for name, pre, post, weight, delay in net.events:
            if fired[cells[pre]]:
                due = step + max(1, round(delay * MS / DT))
                arriving.setdefault(due, []).append((name, cells[post], weight))
        rows.append(v.copy())
    return np.array(rows), spikes


def run(net: Drawn, folder: Path, **options: object) -> tuple[izhi_models.Run, object]:
    path = folder / "net.xml"
    path.write_text(to_xml(net))
    compiled = izhi_models.load(path).compile(**options)
    return compiled, compiled.simulate()


def assert_same(net: Drawn, results: object) -> None:
    rows, spikes = in_numpy(net)
    assert sum(map(len, spikes.values())) > 100
    for column, (name, index) in enumerate(net.cells()):
        found = np.rint(results.spikes[name].of(index) / DT).astype(int).tolist()
        assert found == spikes[name, index], (name, index)
        # The same operations in another order, of which rounding can differ: 1e-16 of 0.1 V in
        # each of 2000 steps, and resets keep it from growing.
        np.testing.assert_allclose(
            results.si(f"{name}[{index}]/v"), rows[:, column], rtol=0, atol=1e-11
        )


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drawn, izhi_models.Run, object]:
    net = draw(1, [1] * 14)
    return net, *run(net, tmp_path_factory.mktemp("single"))


def test_one_cell_populations_do_the_steps_of_their_equations(single) -> None:
    net, _, results = single
    assert_same(net, results)


def test_they_become_one_neuron_and_few_projections(single) -> None:
    """All cells are of one structure, all gap junctions of another, with one sum for each cell.

    The event synapses take as many slots as a cell has components, 3 at most.
    """
    _, compiled, _ = single
    program = compiled.simulator.lowering.program
    assert len(program.neurons) == 1
    assert len(program.projections) == 4
    assert sum(item.synapse is not None for item in program.projections) == 1


def test_other_values_and_sizes_of_the_same_structure_compile_nothing(
    single, tmp_path: Path
) -> None:
    net = draw(2, [1, 3, 2, 1, 4, 1, 1, 2])
    compiled, results = run(net, tmp_path)
    assert compiled.was_cached
    assert_same(net, results)


def test_three_components_share_two_slots_where_no_cell_has_all(tmp_path: Path) -> None:
    """Cells have two of the three in turn, so each is in different slots of different cells."""
    net = draw(3, [4, 7, 1, 2])
    names, cells = list(EXPONENTIAL), net.cells()
    kept = [event for event in net.events if names.index(event[0]) != cells.index(event[2]) % 3]
    net = replace(net, events=kept)
    compiled, results = run(net, tmp_path)
    program = compiled.simulator.lowering.program
    assert len(program.neurons) == 1
    assert len(program.projections) == 3  # into two slots, and the gap junctions
    assert_same(net, results)


def test_a_parameter_of_one_population_is_set_alone(single) -> None:
    net, compiled, _ = single
    before = compiled.simulator.parameter("p3", "C")[0]
    compiled.set("p3/C", "1000 pF")
    compiled.reset()
    changed = compiled.simulate()
    compiled.set("p3/C", before)
    compiled.reset()
    again = compiled.simulate()
    assert changed.spikes["p3"].count < again.spikes["p3"].count
    assert_same(net, again)


def test_a_parameter_that_populations_share_is_not_set_for_one_of_them(single) -> None:
    _, compiled, _ = single
    with pytest.raises(InputError, match="one value for all cells with this synapse"):
        compiled.set("p3/fast/erev", "-70 mV")


def test_large_populations_do_not_compute_what_only_others_need(tmp_path: Path) -> None:
    """1000 cells without an input would lose more by its slot than a neuron of its own costs."""
    lowerings = []
    for size in (1, 2000):
        path = tmp_path / f"{size}.xml"
        path.write_text(
            '<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/>'
            '<iafCell id="c" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="1pF" '
            'leakConductance="1nS"/><sineGenerator id="i" phase="0" delay="0ms" '
            'duration="9ms" amplitude="1pA" period="5ms"/><network id="net">'
            f'<population id="a" component="c" size="{size}"/>'
            f'<population id="b" component="c" size="{size}"/>'
            '<explicitInput target="b[0]" input="i"/></network></Lems>'
        )
        lowerings.append(izhi_models.load(path).lower([]))
    assert [len(item.program.neurons) for item in lowerings] == [1, 2]


def test_one_cell_populations_compute_what_large_ones_do(tmp_path: Path) -> None:
    """Half of the cells have three synapses, the others one of them.

    Slots for three at all cells would cost more than a second neuron, also if each cell is a
    population and adds little to that.
    """
    programs = []
    for size in (100, 1):
        names = [f"p{n}" for n in range(200 // size)]
        parts = [f'<population id="{name}" component="cell" size="{size}"/>' for name in names]
        for synapse, first in (("fast", 0), ("slow", 100), ("late", 100), ("fast", 100)):
            for cell in range(first, first + 100):
                name, index = names[cell // size], cell % size
                parts.append(
                    f'<projection id="{synapse}{cell}" presynapticPopulation="p0" '
                    f'postsynapticPopulation="{name}" synapse="{synapse}"><connectionWD id="0" '
                    f'preCellId="../p0[0]" postCellId="../{name}[{index}]" weight="1" '
                    'delay="1ms"/></projection>'
                )
        path = tmp_path / f"{size}.xml"
        path.write_text(
            '<Lems><Include file="Cells.xml"/><Include file="Networks.xml"/>'
            '<iafCell id="cell" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="1pF" '
            'leakConductance="1nS"/>'
            + "".join(
                f'<expOneSynapse id="{synapse}" gbase="1nS" erev="{erev}mV" tauDecay="5ms"/>'
                for synapse, erev in (("fast", 0), ("slow", -80), ("late", -70))
            )
            + f'<network id="net">{"".join(parts)}</network></Lems>'
        )
        programs.append(izhi_models.load(path).lower([]).program)
    few, many = programs
    assert [item.size for item in few.neurons] == [item.size for item in many.neurons] == [100, 100]
    assert [item.equations for item in few.neurons] == [item.equations for item in many.neurons]
    assert few.projections == many.projections
