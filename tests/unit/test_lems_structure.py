"""Connections made by rules, against closed formulas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from izhi_models.errors import InputError, UnsupportedError
from izhi_models.lems import rows, structure
from izhi_models.lems.components import read_model
from izhi_models.lems.sampling import distinct
from izhi_models.lems.simulation import lower_experiment
from izhi_models.lems.validate import find_faults
from izhi_models.library import models_folder
from izhi_models.network import Network, Projection, join

RULES = models_folder() / "networks" / "connection_rules.types.xml"
FILE = """<Lems><Include file="Cells.xml"/><Include file="Inputs.xml"/>
<Include file="Simulation.xml"/><Include file="{rules}"/>
<iafCell id="cell" leakReversal="-60mV" thresh="50mV" reset="-70mV" C="200pF"
         leakConductance="10nS"/>
<expOneSynapse id="syn" gbase="2nS" erev="0mV" tauDecay="5ms"/>
<pulseGenerator id="pulse" delay="0ms" duration="1ms" amplitude="1nA"/>
{types}
<{network} id="net">
  <population id="P" component="cell" size="{n_pre}"/>
  <population id="Q" component="cell" size="{n_post}"/>
  {content}
</{closed}></Lems>"""
ENDS = 'presynapticPopulation="{}" postsynapticPopulation="{}" synapse="syn"'
UNIFORM = 'weightMin="0.5" weightMax="2" delay="1ms"'


def network(
    folder: Path,
    content: str,
    types: str = "",
    n_pre: int = 40,
    n_post: int = 30,
    seed: int = 1,
    kind: str = "network",
) -> Network:
    path = folder / "rule.xml"
    path.write_text(
        FILE.format(
            rules=RULES,
            types=types,
            content=content,
            n_pre=n_pre,
            n_post=n_post,
            network=kind,
            closed=kind.split()[0],
        )
    )
    model = read_model(path)
    errors = [item.message for item in find_faults(model) if item.severity == "error"]
    assert not errors
    return lower_experiment(model, seed).network


def projection(folder: Path, kind: str, attributes: str, ends: str = "PQ", **kwargs) -> Projection:
    content = f'<{kind} id="r" {ENDS.format(*ends)} {attributes}/>'
    (made,) = network(folder, content, **kwargs).projections
    return made


def pairs(made: Projection) -> set[tuple[int, int]]:
    found = list(zip(made.pre_cells.tolist(), made.post_cells.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


def each(made: Projection, name: str) -> np.ndarray:
    return np.broadcast_to(getattr(made, name), made.size)


EVERY = {(pre, post) for pre in range(40) for post in range(30)}


def test_all_to_all_connects_every_pair_with_weights_between_the_bounds(tmp_path):
    made = projection(tmp_path, "allToAll", UNIFORM)
    assert pairs(made) == EVERY
    assert (made.delays == 1e-3).all()
    weights = each(made, "weights")
    assert weights.min() >= 0.5
    assert weights.max() < 2.0
    # The mean of n uniform numbers has the standard error width / sqrt(12 n): five of them.
    assert abs(weights.mean() - 1.25) < 5 * 1.5 / np.sqrt(12 * made.size)


def test_equal_bounds_give_one_weight_that_is_kept_as_one(tmp_path):
    made = projection(tmp_path, "allToAll", 'weightMin="2" weightMax="2" delay="0ms"')
    assert made.weights.tolist() == [2.0]
    assert made.delays.tolist() == [0.0]


def test_no_autapses_leaves_out_a_cell_itself_and_no_other(tmp_path):
    own = {(cell, cell) for cell in range(40)}
    every = {(pre, post) for pre in range(40) for post in range(40)}
    assert pairs(projection(tmp_path, "allToAllNoAutapses", UNIFORM, "PP")) == every - own
    assert pairs(projection(tmp_path, "allToAllNoAutapses", UNIFORM, "PQ")) == EVERY


def test_one_to_one_connects_equal_numbers(tmp_path):
    made = projection(tmp_path, "oneToOne", UNIFORM)
    assert pairs(made) == {(cell, cell) for cell in range(30)}


# Few connections are drawn by their gaps, many by a test of each pair.
@pytest.mark.parametrize("p", [0.1, 0.6])
@pytest.mark.parametrize("kind", ["fixedProbability", "fixedProbabilityNoAutapses"])
def test_a_probability_gives_a_binomial_number_of_connections(kind, p, tmp_path):
    made = projection(tmp_path, kind, f'probability="{p}" {UNIFORM}', "PP", n_pre=300, n_post=1)
    own = sum(pre == post for pre, post in pairs(made))
    n = 300 * 300 if kind == "fixedProbability" else 300 * 299
    # Binomial: mean n p, variance n p (1 - p). Five standard deviations.
    assert abs(made.size - p * n) < 5 * np.sqrt(n * p * (1 - p))
    assert (own > 0) == (kind == "fixedProbability")  # the chance of none is 0.9^300 < 1e-13
    # Degrees are binomial too. A standard deviation from 300 of them has a relative error of
    # 1 / sqrt(600) = 4 %: five of these.
    for cells in (made.pre_cells, made.post_cells):
        degrees = np.bincount(cells, minlength=300)
        assert degrees.std() == pytest.approx(np.sqrt(300 * p * (1 - p)), rel=0.2)
    assert each(made, "weights").min() >= 0.5
    assert abs(each(made, "weights").mean() - 1.25) < 5 * 1.5 / np.sqrt(12 * made.size)


@pytest.mark.parametrize(("probability", "size"), [("0", 0), ("1", 1200)])
def test_a_probability_of_0_connects_nothing_and_of_1_all(probability, size, tmp_path):
    made = projection(tmp_path, "fixedProbability", f'probability="{probability}" {UNIFORM}')
    assert made.size == size


# A small part of the cells is drawn, and repeated if need be; a large part chosen from all.
@pytest.mark.parametrize(("n", "degree"), [(600, 30), (200, 150)])
@pytest.mark.parametrize("kind", ["fixedInDegree", "fixedInDegreeNoAutapses"])
def test_a_fixed_in_degree_is_that_of_every_cell_from_different_cells(kind, n, degree, tmp_path):
    attributes = f'inDegree="{degree}" {UNIFORM}'
    made = projection(tmp_path, kind, attributes, "PP", n_pre=n, n_post=1)
    own = sum(pre == post for pre, post in pairs(made))
    assert (np.bincount(made.post_cells, minlength=n) == degree).all()
    # The chance of no autapse is (1 - degree / n)^n < 1e-13.
    assert (own > 0) == (kind == "fixedInDegree")
    # Every cell is chosen as often as another: out-degrees are binomial, with a relative error
    # of their standard deviation of 1 / sqrt(2 n) <= 5 %. Five of these.
    p = degree / n
    out_degrees = np.bincount(made.pre_cells, minlength=n)
    assert out_degrees.std() == pytest.approx(np.sqrt(n * p * (1 - p)), rel=0.25)


@pytest.mark.parametrize("degree", [0, 40])
def test_an_in_degree_of_nothing_and_of_all(degree, tmp_path):
    made = projection(tmp_path, "fixedInDegree", f'inDegree="{degree}" {UNIFORM}')
    assert made.size == degree * 30


def test_each_pair_of_cells_is_chosen_as_often_as_another():
    random = np.random.default_rng(0)
    chosen = distinct(30_000, 120, 2, lambda drawn: drawn % 2 == 0, random)
    assert chosen is not None
    assert (chosen % 2 == 0).all()
    assert (chosen[:, 0] < chosen[:, 1]).all()
    # Six classes of ten even numbers: 2 of 60 are of one class with 10 * 9 / (60 * 59), of two
    # with 2 * 10 * 10 / (60 * 59).
    counts = np.zeros((6, 6))
    np.add.at(counts, (chosen[:, 0] // 20, chosen[:, 1] // 20), 1)
    expected = np.where(np.eye(6), 90, 200) / (60 * 59) * 30_000
    upper = np.triu_indices(6)
    squares = (counts - expected)[upper] ** 2 / expected[upper]
    # Chi-squared with 20 degrees of freedom is above 52 with a probability of 1e-4.
    assert squares.sum() < 52


def test_normal_weights_have_their_mean_and_standard_deviation(tmp_path):
    made = projection(
        tmp_path, "allToAllNormal", 'weightMean="2" weightSd="0.5" delay="1ms"', "PP", n_pre=300
    )
    n = 300 * 300
    # Standard errors: sd / sqrt(n) of the mean, sd / sqrt(2 n) of the standard deviation.
    assert abs(made.weights.mean() - 2.0) < 5 * 0.5 / np.sqrt(n)
    assert abs(made.weights.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * n)


def test_delays_differ_between_connections(tmp_path):
    made = projection(
        tmp_path,
        "randomDelays",
        'probability="1" weightMin="1" weightMax="1" delayMin="1ms" delayMax="5ms"',
    )
    assert made.delays.min() >= 1e-3
    assert made.delays.max() < 5e-3
    assert abs(made.delays.mean() - 3e-3) < 5 * 4e-3 / np.sqrt(12 * 1200)


def test_the_size_of_a_block_changes_no_connection_of_a_rule_without_chance(tmp_path, monkeypatch):
    whole = projection(tmp_path, "oneToOne", 'weightMin="1" weightMax="1" delay="1ms"')
    monkeypatch.setattr(structure, "BLOCK", 7)
    parts = projection(tmp_path, "oneToOne", 'weightMin="1" weightMax="1" delay="1ms"')
    assert pairs(parts) == pairs(whole)
    in_degree = projection(tmp_path, "fixedInDegree", f'inDegree="7" {UNIFORM}')
    assert (np.bincount(in_degree.post_cells, minlength=30) == 7).all()
    assert pairs(projection(tmp_path, "allToAll", UNIFORM)) == EVERY


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("allToAll", UNIFORM),
        ("oneToOne", 'weightMin="1" weightMax="1" delay="1ms"'),
        ("fixedProbability", f'probability="0.3" {UNIFORM}'),
        ("fixedInDegreeNoAutapses", f'inDegree="7" {UNIFORM}'),
        (
            "randomDelays",
            'probability="0.5" weightMin="1" weightMax="2" delayMin="1ms" delayMax="5ms"',
        ),
    ],
)
def test_connections_that_are_not_kept_are_made_again_as_they_were(
    kind, attributes, tmp_path, monkeypatch
):
    kept = projection(tmp_path, kind, attributes)
    monkeypatch.setattr(rows, "KEPT", 10)
    again = projection(tmp_path, kind, attributes)
    assert again.size == kept.size
    for name in ("pre_cells", "post_cells", "weights", "delays"):
        for _ in range(2):
            np.testing.assert_array_equal(getattr(again, name), getattr(kept, name))
    np.testing.assert_array_equal(again.connections.reached(30), kept.connections.reached(30))
    few = np.arange(30) < 11
    (some, expected) = (item.connections.onto(few) for item in (again, kept))
    assert some.size == expected.size == (kept.post_cells < 11).sum()
    blocks = (join(item.blocks()) for item in (some, expected))
    np.testing.assert_array_equal(*(block.pre for block in blocks))


def test_connections_follow_from_the_seed_in_every_process(tmp_path):
    first = projection(tmp_path, "fixedProbability", f'probability="0.3" {UNIFORM}', seed=5)
    other = projection(tmp_path, "fixedProbability", f'probability="0.3" {UNIFORM}', seed=6)
    assert not np.array_equal(first.pre_cells, other.pre_cells)
    code = (
        "from izhi_models.lems.components import read_model\n"
        "from izhi_models.lems.simulation import lower_experiment\n"
        "from pathlib import Path\n"
        f"model = read_model(Path({str(tmp_path / 'rule.xml')!r}))\n"
        "(made,) = lower_experiment(model, 5).network.projections\n"
        "print(made.pre_cells.tolist(), made.weights.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{first.pre_cells.tolist()} {first.weights.tolist()}"


def test_a_rule_draws_what_it_draws_whatever_stands_before_it(tmp_path):
    rule = '<allToAll id="{}" ' + f"{ENDS.format('P', 'Q')} {UNIFORM}/>"
    alone = network(tmp_path, rule.format("b")).projections
    both = network(tmp_path, rule.format("a") + rule.format("b")).projections
    assert np.array_equal(alone[0].weights, both[1].weights)
    assert not np.array_equal(both[0].weights, both[1].weights)


def test_a_network_without_chance_has_no_seed(tmp_path):
    content = f'<allToAll id="r" {ENDS.format("P", "Q")} weightMin="1" weightMax="1" delay="0ms"/>'
    assert network(tmp_path, content).seed is None
    content = content.replace('weightMax="1"', 'weightMax="2"')
    assert network(tmp_path, content, seed=3).seed == 3


LOOPS = """<ForEach instances="{}pre" as="a"><ForEach instances="{}post" as="b">
<EventConnection from="a" to="b" receiver="{}synapse"/></ForEach></ForEach>"""
OWN = """<ComponentReference name="synapse" type="baseSynapse"/><Path name="pre"/>
<Path name="post"/>"""


def test_a_network_may_have_a_structure_of_its_own(tmp_path):
    types = (
        f'<ComponentType name="ruled" extends="network">{OWN}'
        f"<Structure>{LOOPS.format('', '', '')}</Structure></ComponentType>"
    )
    made = network(tmp_path, "", types, kind='ruled pre="P" post="Q" synapse="syn"', n_pre=3)
    assert pairs(made.projections[0]) == {(pre, post) for pre in range(3) for post in range(30)}
    assert not made.projections[0].has_weights


def test_a_rule_may_stand_in_a_list_that_a_network_declares_or_inside_another(tmp_path):
    types = (
        f'<ComponentType name="rule" extends="baseStandalone">{OWN}'
        f"<Structure>{LOOPS.format('', '', '')}</Structure></ComponentType>"
        '<ComponentType name="pattern" extends="baseStandalone">'
        f"<Structure>{LOOPS.format('../', '../', '../')}</Structure></ComponentType>"
        f'<ComponentType name="patterned" extends="baseStandalone">{OWN}'
        '<Child name="made" type="pattern"/></ComponentType>'
        '<ComponentType name="ruled" extends="network"><Children name="rules" type="rule"/>'
        '<Children name="patterns" type="patterned"/></ComponentType>'
    )
    content = (
        '<rule id="x" pre="P" post="Q" synapse="syn"/>'
        '<patterned id="y" pre="Q" post="P" synapse="syn"><made type="pattern"/></patterned>'
    )
    made = network(tmp_path, content, types, kind="ruled").projections
    found = {(item.id, item.pre, item.size) for item in made}
    assert found == {("x", "P", 1200), ("y/pattern", "Q", 1200)}


def test_an_input_is_attached_by_a_rule(tmp_path):
    types = """<ComponentType name="inputToAll" extends="baseStandalone">
<ComponentReference name="input" type="basePointCurrent"/><Path name="population"/>
<Structure><ForEach instances="population" as="a">
<EventConnection from="a" to="a" receiver="input"/></ForEach></Structure></ComponentType>
<ComponentType name="driven" extends="network"><Children name="drives" type="inputToAll"/>
</ComponentType>"""
    content = '<inputToAll id="d" input="pulse" population="Q"/>'
    made = network(tmp_path, content, types, kind="driven")
    assert [item.cell for item in made.populations["Q"].attached] == list(range(30))
    assert not made.populations["P"].attached


def test_a_cell_by_path_is_the_same_in_every_pass(tmp_path):
    types = f"""<ComponentType name="fan" extends="baseStandalone">{OWN}<Path name="hub"/>
<Structure><With instance="hub" as="h"/><ForEach instances="post" as="b">
<EventConnection from="h" to="b" receiver="synapse"/></ForEach></Structure></ComponentType>
<ComponentType name="fanned" extends="network"><Children name="fans" type="fan"/></ComponentType>"""
    content = '<fan id="f" pre="P" post="Q" hub="../P[7]" synapse="syn"/>'
    (made,) = network(tmp_path, content, types, kind="fanned").projections
    assert pairs(made) == {(7, post) for post in range(30)}


@pytest.mark.parametrize(
    ("kind", "attributes", "part"),
    [
        ("fixedProbability", f'probability="1.5" {UNIFORM}', "from 0 to 1, not 1.5"),
        ("fixedProbabilityNoAutapses", f'probability="-0.1" {UNIFORM}', "from 0 to 1, not -0.1"),
        ("fixedInDegree", f'inDegree="41" {UNIFORM}', "41 cells are to be chosen, out of 40"),
        ("fixedInDegreeNoAutapses", f'inDegree="40" {UNIFORM}', "40 cells are to be chosen, out"),
        ("fixedInDegree", f'inDegree="1.5" {UNIFORM}', "must be whole"),
        ("fixedInDegree", f'inDegree="-1" {UNIFORM}', "not negative"),
        ("allToAll", 'weightMin="1" weightMax="1" delay="-1ms"', "cannot be negative"),
    ],
)
def test_values_out_of_range_are_refused_at_their_attribute(kind, attributes, part, tmp_path):
    with pytest.raises(InputError, match=part) as caught:
        projection(tmp_path, kind, attributes, "PP")
    name = next(name for name in ("probability", "inDegree", "delay") if f'{name}="' in attributes)
    name = "delay" if kind == "allToAll" else name
    span = caught.value.diagnostics[0].span
    written = dict(item.split("=") for item in attributes.split())[name].strip('"')
    assert span.source.text[span.start : span.end] == written


def test_what_needs_more_memory_than_there_is_is_refused_before_it_is_made(tmp_path):
    with pytest.raises(InputError, match=r"the rule makes 1e\+12 connections, which needs .* GiB"):
        projection(tmp_path, "allToAll", UNIFORM, n_pre=10**5, n_post=10**7)


def test_a_rule_that_goes_on_to_make_too_many_is_refused_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(structure, "BLOCK", 1000)
    monkeypatch.setattr(structure, "available_bytes", lambda: 10**5)
    monkeypatch.setattr("izhi_models.memory.available_bytes", lambda: 10**5)
    with pytest.raises(InputError, match=r"the rule makes .* connections, which needs"):
        projection(
            tmp_path, "fixedProbabilityNoAutapses", f'probability="0.5" {UNIFORM}', "PP", n_pre=300
        )


def test_an_unknown_population_is_named_with_its_nearest(tmp_path):
    content = f'<allToAll id="r" {ENDS.format("P", "QQ")} {UNIFORM}/>'
    path = tmp_path / "bad.xml"
    path.write_text(
        FILE.format(
            rules=RULES,
            types="",
            content=content,
            n_pre=2,
            n_post=2,
            network="network",
            closed="network",
        )
    )
    with pytest.raises(InputError, match="no population has the id 'QQ'"):
        lower_experiment(read_model(path))


REFUSED = """<ComponentType name="odd" extends="baseStandalone">{own}<Text name="port"/>
<Structure><ForEach instances="pre" as="a"><ForEach instances="post" as="b">{inside}</ForEach>
</ForEach></Structure></ComponentType>
<ComponentType name="oddNet" extends="network"><Children name="odds" type="odd"/></ComponentType>"""


@pytest.mark.parametrize(
    ("inside", "error", "part"),
    [
        ('<EventConnection from="a" to="b"/>', InputError, "has no port for events"),
        (
            '<EventConnection from="a" to="b"><Assign property="weight" value="1"/>'
            "</EventConnection>",
            InputError,
            "no synapse whose property",
        ),
        (
            '<EventConnection from="a" to="b" receiver="synapse">'
            '<Assign property="tauDecay" value="1"/></EventConnection>',
            UnsupportedError,
            "a weight, and nothing else",
        ),
        (
            '<EventConnection from="a" to="b" receiver="synapse" sourcePort="port"/>',
            InputError,
            "no events on a port 'spik'",
        ),
        (
            '<EventConnection from="a" to="b" receiver="synapse">'
            '<Assign property="weight" value="1 / (a - 3)"/></EventConnection>',
            InputError,
            "not finite",
        ),
        (
            '<If test="a .eq. b" number="a">'
            '<EventConnection from="a" to="b" receiver="synapse"/></If>',
            UnsupportedError,
            "the same for all cells",
        ),
    ],
)
def test_what_a_rule_cannot_do_is_refused(inside, error, part, tmp_path):
    types = REFUSED.format(own=OWN, inside=inside)
    content = '<odd id="o" pre="P" post="Q" synapse="syn" port="spik"/>'
    with pytest.raises(error, match=part) as caught:
        network(tmp_path, content, types, kind="oddNet")
    assert caught.value.diagnostics[0].span is not None
