"""What a network becomes in ANNarchy: which neurons, which parameters, which text."""

from __future__ import annotations

import re

import numpy as np
import pytest

import izhi_models
from izhi_models.annarchy.lower import Lowering
from izhi_models.annarchy.program import Neuron
from izhi_models.annarchy.write import write_definitions
from izhi_models.pipeline import show

CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
OTHER = CELL.replace('id="cell"', 'id="other"').replace('d="2"', 'd="8"')
PULSE = '<pulseGeneratorDL id="pulse" delay="5ms" duration="9ms" amplitude="10"/>'
STRONG = PULSE.replace('id="pulse"', 'id="strong"').replace('"10"', '"20"')
EVIL = """x"); __import__('os').system('touch marker'); ("""


def own(dynamics: str, declarations: str = "", values: str = "") -> str:
    """Return a ComponentType with a state v and a component of it."""
    return (
        f'<ComponentType name="own" extends="baseSpikingCell"><Exposure name="v" dimension="none"/>'
        f'{declarations}<Dynamics><StateVariable name="v" exposure="v" dimension="none"/>'
        f'{dynamics}</Dynamics></ComponentType><own id="cell" {values}/>'
    )


def lowered(path, *record: str, **options) -> Lowering:
    model = izhi_models.load(path)
    return model.lower(model.recordings(record), **options)


def texts(neuron: Neuron) -> list[str]:
    spike = [] if neuron.spike is None else [neuron.spike]
    return [*(item.text for item in neuron.equations), *spike, *neuron.reset]


def is_global(lowering: Lowering, name: str) -> bool:
    (group,) = lowering.groups
    symbol = group.symbols[name].symbol
    (found,) = (p for p in lowering.program.neurons[0].parameters if p.symbol == symbol)
    return found.is_global


def populations(*pairs: tuple[str, str]) -> str:
    return "".join(f'<population id="{name}" component="{of}" size="2"/>' for name, of in pairs)


def test_lower__populations_of_one_structure__become_one_neuron(write_model):
    path = write_model(CELL + OTHER, populations(("pop", "cell"), ("q", "other"), ("r", "cell")))
    lowering = lowered(path)
    (neuron,) = lowering.program.neurons
    (group,) = lowering.groups
    assert neuron.size == group.size == 6
    assert [group.first(name) for name in ("pop", "q", "r")] == [0, 2, 4]
    np.testing.assert_array_equal(group.value("d"), [2, 2, 8, 8, 2, 2])
    assert not is_global(lowering, "d")


def test_lower__twenty_cell_types__are_one_neuron(write_model):
    cells = [
        CELL.replace('id="cell"', f'id="c{n}"').replace("0.02", f"0.0{n + 10}") for n in range(20)
    ]
    path = write_model(
        "".join(cells), populations(*((f"p{n}" if n else "pop", f"c{n}") for n in range(20)))
    )
    assert len(lowered(path).program.neurons) == 1


def test_lower__structures_that_differ__become_neurons_in_the_order_of_results(write_model):
    iaf = '<iafTauCell id="iaf" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="9ms"/>'
    path = write_model(CELL + iaf, populations(("pop", "cell"), ("q", "iaf"), ("r", "cell")))
    lowering = lowered(path)
    assert [neuron.size for neuron in lowering.program.neurons] == [4, 2]
    assert lowering.order == ("pop", "q", "r")
    assert [lowering.group_of(name) for name in lowering.order] == [0, 1, 0]


def test_lower__cells_of_one_component__share_their_parameters(write_model):
    assert is_global(lowered(write_model()), "a")


def test_lower__per_cell__has_a_value_for_each(write_model):
    lowering = lowered(write_model(), per_cell=["pop/a"])
    assert not is_global(lowering, "a")
    assert is_global(lowering, "b")


def test_lower__two_populations_of_one_component__do_not_share(write_model):
    # One of them may get another value later.
    path = write_model(network=populations(("pop", "cell"), ("q", "cell")))
    assert not is_global(lowered(path), "a")


def test_lower__inputs_of_some_cells__are_parameters_of_all(write_model):
    network = (
        populations(("pop", "cell"))
        + '<explicitInput target="pop[1]" input="pulse"/>'
        + '<explicitInput target="pop[1]" input="strong"/>'
    )
    lowering = lowered(write_model(CELL + PULSE + STRONG, network))
    (group,) = lowering.groups
    amplitudes = sorted(name for name in group.symbols if name.endswith("/amplitude"))
    assert [group.value(name)[1] for name in amplitudes] == [10.0, 20.0]
    switches = [name for name in group.symbols if name.endswith("/present")]
    assert [list(group.value(name)) for name in switches] == [[0.0, 1.0]] * 2


def test_lower__other_values__give_the_same_program(write_model):
    inputs = populations(("pop", "cell")) + '<explicitInput target="pop[0]" input="pulse"/>'
    first = lowered(write_model(CELL + PULSE, inputs))
    changed = re.sub(r'(v0|thresh|a|b|c|d)="(-?)\d', r'\1="\g<2>7', CELL) + STRONG
    second = lowered(write_model(changed, inputs.replace("pulse", "strong")))
    more = lowered(write_model(CELL + PULSE, inputs.replace('size="2"', 'size="5"')))
    assert changed != CELL + PULSE
    assert first.program == second.program
    assert first.program.to_structure() == more.program.to_structure()


def test_lower__network_with_temperature__gives_it_to_the_cells(write_model):
    declared = (
        '<Requirement name="temperature" dimension="temperature"/>'
        '<Parameter name="k" dimension="none"/><Parameter name="T" dimension="temperature"/>'
    )
    dynamics = '<DerivedVariable name="q" dimension="none" value="k * temperature / T"/>'
    dynamics += (
        '<OnCondition test="v .lt. q"><StateAssignment variable="v" value="q"/></OnCondition>'
    )
    path = write_model(own(dynamics, declared, 'k="1" T="300K"'))
    text = path.read_text(encoding="utf-8")
    warm = '<network id="net" type="networkWithTemperature" temperature="32degC">'
    path.write_text(text.replace('<network id="net">', warm), encoding="utf-8")
    (group,) = lowered(path).groups
    np.testing.assert_allclose(group.value("temperature"), 273.15 + 32)


def test_lower__condition_that_spikes_last__is_the_reset_of_annarchy(write_model):
    (neuron,) = lowered(write_model()).program.neurons
    assert neuron.spike is not None
    assert [text.split(" = ")[0] for text in neuron.reset] == [
        item.symbol for item in neuron.equations if item.is_ode
    ]


def test_lower__condition_after_the_one_that_spikes__is_still_done_after_it(write_model):
    dynamics = (
        '<OnCondition test="v .gt. 1"><StateAssignment variable="v" value="5"/>'
        '<EventOut port="spike"/></OnCondition>'
        '<OnCondition test="v .gt. 4"><StateAssignment variable="v" value="v - 3"/></OnCondition>'
    )
    (neuron,) = lowered(write_model(own(dynamics))).program.neurons
    assert neuron.reset == ()
    flags = [item for item in neuron.equations if item.symbol.startswith("f_")]
    assert len(flags) == 2
    assert neuron.spike == f"({flags[0].symbol} > 0.5)"


def test_lower__cell_that_sends_nothing__never_spikes(write_model):
    (neuron,) = lowered(write_model(own(""))).program.neurons
    assert neuron.spike is None


def test_lower__what_nobody_reads__is_not_computed_unless_recorded(write_model):
    dynamics = '<DerivedVariable name="w" dimension="none" exposure="w" value="sin(v)"/>'
    path = write_model(own(dynamics, '<Exposure name="w" dimension="none"/>'))
    assert "sin" not in " ".join(texts(lowered(path).program.neurons[0]))
    assert "sin" in " ".join(texts(lowered(path, "pop/w").program.neurons[0]))


# Cells that send nothing, with a synapse that is summed and one of each connection.
DEAF = """<ComponentType name="deafCell" extends="baseCellMembPot">
<Parameter name="C" dimension="capacitance"/>
<Attachments name="synapses" type="basePointCurrent"/>
<Dynamics><StateVariable name="v" exposure="v" dimension="voltage"/>
<DerivedVariable name="i" dimension="current" select="synapses[*]/i" reduce="add"/>
<TimeDerivative variable="v" value="i / C"/></Dynamics></ComponentType>
<ComponentType name="tiringSynapse" extends="baseCurrentBasedSynapse">
<Parameter name="step" dimension="current"/>
<Dynamics><StateVariable name="left" dimension="none"/>
<StateVariable name="i" exposure="i" dimension="current"/>
<OnStart><StateAssignment variable="left" value="1"/></OnStart>
<OnEvent port="in"><StateAssignment variable="i" value="i + left * step"/>
<StateAssignment variable="left" value="left / 2"/></OnEvent></Dynamics></ComponentType>
<deafCell id="cell" C="1pF"/><spikeGenerator id="clock" period="8ms"/>
<alphaCurrentSynapse id="summed" tau="2ms" ibase="1nA"/><tiringSynapse id="own" step="1nA"/>
""".replace("\n", " ")
DEAF_NETWORK = """<population id="pop" component="cell" size="2"/>
<population id="clocks" component="clock" size="1"/>
<synapticConnection from="clocks[0]" to="pop[0]" synapse="summed" destination="synapses"/>
<synapticConnection from="clocks[0]" to="pop[1]" synapse="own" destination="synapses"/>
""".replace("\n", " ")


def test_lower__connections_to_cells_that_nobody_sees__are_left_out_unless_recorded(write_model):
    path = write_model(DEAF, DEAF_NETWORK, outputs="")
    model = izhi_models.load(path)
    unseen, seen = model.lower([]).program, lowered(path, "pop[0]/v").program
    assert [item.symbol for item in unseen.projections] == []
    assert [item.symbol for item in seen.projections] == ["own_0", "sum_0"]
    assert [item.equations for item in unseen.neurons if item.size == 2] == [()]
    assert "0 projections for 2 projections\n    because no cell sends, and" in show(path)
    assert "2 projections for 2 projections\n" in show(write_model(DEAF, DEAF_NETWORK))


def test_lower__parameter_of_the_start_alone__is_no_part_of_the_program(write_model):
    path = write_model(CELL, populations(("pop", "cell")))
    assert "v0" not in lowered(path).groups[0].symbols
    assert len(lowered(path).program.neurons[0].parameters) == 5  # a, b, c, d, thresh


def test_lower__state_that_never_moves__is_a_parameter(write_model):
    state = '<StateVariable name="w" dimension="none"/>'
    start = '<OnStart><StateAssignment variable="w" value="3"/></OnStart>'
    grow = (
        '<OnCondition test="v .lt. w"><StateAssignment variable="v" value="v + w"/></OnCondition>'
    )
    lowering = lowered(write_model(own(state + start + grow)))
    assert lowering.groups[0].symbols["w"].is_parameter
    assert not lowering.groups[0].symbols["v"].is_parameter


def test_lower__draws__are_numbers_apart(write_model):
    draw = (
        '<OnCondition test="v .lt. 9"><StateAssignment variable="v" value="random(1) - random(1)"/>'
        "</OnCondition>"
    )
    (neuron,) = lowered(write_model(own(draw))).program.neurons
    drawn = [item.symbol for item in neuron.equations if "Uniform" in item.text]
    assert len(drawn) == 2
    assert any(all(symbol in text for symbol in drawn) for text in texts(neuron))


@pytest.mark.parametrize("precision", ["double", "float"])
def test_lower__numbers_that_cannot_be_written__are_parameters(write_model, precision):
    grow = (
        '<OnCondition test="v .lt. 1e308 * 10"><StateAssignment variable="v" value="v + 1e-9"/>'
        "</OnCondition>"
    )
    lowering = lowered(write_model(own(grow)), precision=precision)
    values = set(lowering.groups[0].literals.values())
    assert np.inf in values
    assert (1e-9 in values) == (precision == "float")  # where ANNarchy writes 1e-9f
    assert "inf" not in " ".join(texts(lowering.program.neurons[0]))


def words_of(lowering: Lowering) -> set[str]:
    lines = " ".join(text for neuron in lowering.program.neurons for text in texts(neuron))
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"\d\.?\d*e[-+]?\d+", "", lines)))


# Symbols of sympy, which reads ANNarchy's equations; words of Python, of C++ and of ANNarchy.
COLLIDING = re.findall(
    r"\w+",
    """
    E I S N Q C O pi beta gamma zeta lambda Lambda oo nan exp sin Symbol class def None True
    import self int double bool default new register auto errno EOF NULL std printf main
    this pop0 PopStruct0 spike spiked record targets size i t_ dt g_exc active rng ranks
    Uniform Normal ite clip pos neg power modulo refractory max_delay
    """,
)


def test_lower__names_that_collide__appear_nowhere(write_model):
    names = [name for name in COLLIDING if name not in ("exp", "sin")]
    dynamics = "".join(
        f'<StateVariable name="{name}" dimension="none"/>'
        f'<TimeDerivative variable="{name}" value="rate * (v - {name})"/>'
        for name in names
    )
    total = " + ".join(names)
    dynamics += f'<TimeDerivative variable="v" value="rate * (1 - v + {total})"/>'
    rate = '<Parameter name="rate" dimension="per_time"/>'
    lowering = lowered(write_model(own(dynamics, rate, 'rate="1per_ms"')))
    assert set(names) <= lowering.groups[0].symbols.keys()
    generated = re.compile(r"d?[a-z]_\d+")
    assert {word for word in words_of(lowering) if not generated.fullmatch(word)} <= {"dt"}


def test_lower__hostile_texts__do_not_reach_the_program(write_model):
    escaped = EVIL.replace('"', "&quot;")
    state = f'<StateVariable name="{escaped}" dimension="none"/>'
    path = write_model(own(state), populations((escaped, "cell"), ("pop", "cell")))
    text = write_definitions(lowered(path, f"{EVIL}/v").program)
    compile(text, "program", "exec")
    for word in ("import os", "__import__", "system", "marker", "own", "cell"):
        assert word not in text
