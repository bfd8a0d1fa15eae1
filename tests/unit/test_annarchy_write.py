import ast
from dataclasses import replace

import pytest

from izhi_models.annarchy.program import (
    Equation,
    Neuron,
    Program,
    ProgramParameter,
    Projection,
    Synapse,
)
from izhi_models.annarchy.write import write_definitions
from izhi_models.errors import InternalError

NEURON = Neuron(
    symbol="pop_0",
    parameters=(ProgramParameter("a_1", is_global=False), ProgramParameter("b_2", is_global=True)),
    equations=(
        Equation("i_3", "i_3 = 2.0*b_2", is_ode=False),
        Equation("v_4", "dv_4/dt = a_1*(i_3 - v_4)", is_ode=True),
    ),
    spike="v_4 > 1.0",
    reset=("v_4 = 0.0",),
    size=4,
)


def calls(source: str, name: str) -> list[list[object]]:
    """Return the literal arguments of all calls of ann.NAME or net.NAME in a script."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == name:
            values = [*node.args, *(item.value for item in node.keywords)]
            found.append([ast.unparse(value).strip("'") for value in values])
    return found


def test_write_definitions__one_neuron__defines_all_of_it():
    source = write_definitions(Program((NEURON,)))
    assert calls(source, "Parameter") == [["0.0", "local"], ["0.0", "global"]]
    assert calls(source, "Variable") == [
        ["i_3 = 2.0*b_2"],
        ["dv_4/dt = a_1*(i_3 - v_4)"],
    ]
    (neuron,) = calls(source, "Neuron")
    assert neuron[2:] == ["v_4 > 1.0", "['v_4 = 0.0']"]
    (population,) = calls(source, "create")
    assert population[0] == "4"
    assert population[-1] == "pop_0"
    assert calls(source, "setup") == []


def test_write_definitions__float_and_threads__are_settings():
    source = write_definitions(Program((NEURON,), precision="float", threads=2))
    assert calls(source, "setup") == [["ann.float32", "2"]]


def test_write_definitions__cell_without_spikes__has_a_condition_that_is_false():
    source = write_definitions(Program((replace(NEURON, spike=None, reset=()),)))
    (neuron,) = calls(source, "Neuron")
    assert neuron[2] == "0.0 > 1.0"


def test_write_definitions__projections__define_all_of_them():
    listener = replace(NEURON, equations=(Equation("x_3", "x_3 = g_in_1", False),), spike=None)
    synapse = Synapse(
        parameters=(ProgramParameter("q_1", is_global=False),),
        equations=(Equation("x_2", "dx_2/dt = -x_2/q_1", is_ode=True),),
        pre_spike=("x_2 += 1.0", "g_target += w*x_2"),
        post_spike=("w = w + x_2",),
        psp="w*post.x_3",
    )
    program = Program(
        (NEURON, replace(listener, symbol="pop_1", reset=())),
        projections=(
            Projection("proj_0", 0, 1, "in_1"),
            Projection("proj_1", 1, 1, "in_1", synapse=synapse),
        ),
    )
    source = write_definitions(program)
    plain, own = calls(source, "connect")
    assert plain == ["pop_0", "pop_1", "in_1", "proj_0"]
    assert own[:3] + own[4:] == ["pop_1", "pop_1", "in_1", "proj_1"]
    (found,) = calls(source, "Synapse")
    assert found[2:] == [
        "['x_2 += 1.0', 'g_target += w*x_2']",
        "['w = w + x_2']",
        "w*post.x_3",
    ]
    assert "# ANNarchy adds to g_target first" in source


def test_write_definitions__foreign_text__is_refused():
    with pytest.raises(InternalError):
        write_definitions(Program((replace(NEURON, spike='v_4 > 1.0", reset=exit("'),)))
