from dataclasses import replace

import pytest

from izhi_models.annarchy.program import (
    Equation,
    Neuron,
    Program,
    ProgramParameter,
    Projection,
    Synapse,
    verify_program,
)
from izhi_models.errors import InternalError

NEURON = Neuron(
    symbol="pop_0",
    parameters=(ProgramParameter("a_1", is_global=False), ProgramParameter("b_2", is_global=True)),
    equations=(
        Equation("i_3", "i_3 = ite(t + dt >= 20.0, 15.0, 0.0)", is_ode=False),
        Equation("v_4", "dv_4/dt = 0.04*v_4^2 + 5.0*v_4 + 140.0 - u_5 + i_3", is_ode=True),
        Equation("u_5", "du_5/dt = a_1*(b_2*v_4 - u_5)", is_ode=True),
    ),
    spike="v_4 > 30.0 and i_3 >= 1.5e-3",
    reset=("v_4 = -50.0", "u_5 += ite(v_4 > 0.0, 2.0, 1.0)"),
    size=4,
)
PROGRAM = Program((NEURON,))

HIDDEN = (replace(NEURON.equations[0], is_temporary=True), *NEURON.equations[1:])
LISTENER = replace(
    NEURON,
    symbol="pop_1",
    equations=(*NEURON.equations, Equation("x_6", "x_6 = 2.0*g_in_1", is_ode=False)),
)
SYNAPSE = Synapse(
    parameters=(ProgramParameter("q_1", is_global=True), ProgramParameter("q_2", is_global=False)),
    equations=(
        Equation("x_3", "dx_3/dt = -x_3/q_1", is_ode=True),
        Equation("y_4", "y_4 = x_3*pre.v_4", is_ode=False),
    ),
    variables=("l_5",),
    pre_spike=("x_3 += q_2*exp(l_5 - t)", "g_target += w*x_3", "l_5 = t"),
    post_spike=("w = ite(w + x_3 < post.a_1, w + x_3, post.a_1)",),
    psp="w*y_4*(pre.b_2 - post.v_4)",
)
PROJECTION = Projection("proj_0", 0, 1, "in_1", synapse=SYNAPSE)
PLAIN = Projection("proj_1", 1, 1, "in_1", weights="one")
CONNECTED = Program((NEURON, LISTENER), projections=(PROJECTION, PLAIN))


def with_projection(**change: object) -> Program:
    return replace(CONNECTED, projections=(replace(PROJECTION, **change), PLAIN))


def with_synapse(**change: object) -> Program:
    return with_projection(synapse=replace(SYNAPSE, **change))


def with_equation(text: str) -> Program:
    equation = Equation("x_9", f"x_9 = {text}", is_ode=False)
    return Program((replace(NEURON, equations=(*NEURON.equations, equation)),))


def test_verify_program__generated_text__is_accepted():
    verify_program(PROGRAM)
    verify_program(with_equation("heaviside(Normal(0.0, b_2)) - exp(v_4) / 2.0"))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "v_4.__class__",
        "v_4; exit(0)",
        "system(v_4)",
        "[v_4]",
        "v_4 # a comment",
        "v_4\nx_9 = 1.0",
        "V_m",
        "pop0",
        "0x10",
        "2abc",
        "'v_4'",
        'v_4"',
        "{v_4}",
        "v_4 @ a_1",
        "v_4 := 1.0",
        "v_4\\",
        "\u0430_1",
        "",
    ],
)
def test_verify_program__text_that_is_not_generated__is_refused(text):
    with pytest.raises(InternalError):
        verify_program(with_equation(text))
    with pytest.raises(InternalError):
        verify_program(Program((replace(NEURON, spike=text),)))
    with pytest.raises(InternalError):
        verify_program(Program((replace(NEURON, reset=(f"v_4 = {text}",)),)))


@pytest.mark.parametrize("text", ["1/2", "v_4 / 2", "1 / v_4"])
def test_verify_program__division_of_integers__is_refused(text):
    with pytest.raises(InternalError, match="truncates"):
        verify_program(with_equation(text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": "cell"}, "not a generated name"),
        ({"size": 0}, "size 0"),
        ({"size": True}, "size True"),
        ({"parameters": (ProgramParameter("v_4", is_global=False),)}, "two quantities"),
        ({"parameters": (ProgramParameter("int", is_global=False),)}, "not a generated name"),
        ({"parameters": (ProgramParameter("g_1", is_global=False),)}, "not a generated name"),
        ({"equations": (Equation("v_4", "dv_4/dt = 1.0", False),)}, "does not start with"),
        ({"equations": (Equation("v_4", "v_4 = 1.0", True),)}, "does not start with"),
        ({"reset": ("v_4",)}, "does not assign"),
        ({"reset": ("a_1 = 1.0",)}, "does not assign"),
        ({"reset": ("v_4 = 1.0; u_5 = 2.0",)}, "'; u_5 = 2.'"),
        ({"spike": "Uniform(0.0, 1.0) > 0.5"}, "unknown name 'Uniform'"),
        ({"reset": ("v_4 = Uniform(0.0, 1.0)",)}, "unknown name 'Uniform'"),
        ({"spike": None}, "a reset without a spike condition"),
        ({"equations": (replace(NEURON.equations[1], is_temporary=True),)}, "an ODE for the temp"),
        ({"reset": ("v_4 = i_3",), "equations": HIDDEN}, "unknown name 'i_3'"),
        ({"equations": (*HIDDEN[1:], HIDDEN[0])}, "reads 'i_3' before it is set"),
    ],
)
def test_verify_program__inconsistent_neuron__is_refused(change, message):
    with pytest.raises(InternalError, match=message):
        verify_program(Program((replace(NEURON, **change),)))


@pytest.mark.parametrize(
    "program",
    [
        Program(()),
        Program((NEURON, NEURON)),
        Program((NEURON,), precision="half"),
        Program((NEURON,), threads=0),
    ],
)
def test_verify_program__inconsistent_program__is_refused(program):
    with pytest.raises(InternalError):
        verify_program(program)


def test_verify_program__projections__are_accepted():
    verify_program(CONNECTED)
    verify_program(with_synapse(psp=None))
    verify_program(with_synapse(pre_spike=()))


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "pre.__class__", "pre.v_4.real", "v_4", "post.z_9", "''"],
)
def test_verify_program__text_of_a_synapse_that_is_not_generated__is_refused(text):
    for change in (
        {"psp": text},
        {"pre_spike": (f"g_target += {text}",)},
        {"post_spike": (f"w = {text}",)},
        {"equations": (Equation("x_3", f"x_3 = {text}", False), SYNAPSE.equations[1])},
    ):
        with pytest.raises(InternalError):
            verify_program(with_synapse(**change))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (with_projection(symbol="proj"), "'proj' is not a generated name"),
        (with_projection(symbol="pop_1"), "two neurons or projections"),
        (with_projection(target="g_1"), "'g_1' is not a generated name"),
        (with_projection(target="exc"), "'exc' is not a generated name"),
        (with_projection(target="in_2"), "no equation reads 'g_in_2'"),
        (with_projection(post=0), "no equation reads 'g_in_1'"),
        (with_projection(pre=2), "no neurons 2 and 1"),
        (with_projection(pre=-1), "no neurons -1 and 1"),
        (with_projection(weights="two"), "unknown weights 'two'"),
        (with_projection(weights="one"), "'w = .*' does not assign"),
        (with_synapse(variables=("x_3",)), "two quantities of one name"),
        (with_synapse(variables=("w",)), "'w' is not a generated name"),
        (with_synapse(pre_spike=("g_target = w",)), "'g_target = w' does not assign"),
        (with_synapse(pre_spike=("g_target -= w",)), "'g_target -= w' does not assign"),
        (with_synapse(pre_spike=("q_2 = w",)), "'q_2 = w' does not assign"),
        (with_synapse(pre_spike=("pre.v_4 = w",)), "does not assign"),
        (with_synapse(post_spike=("g_target += w",)), "'g_target .*' does not assign"),
        (with_synapse(psp="g_target"), "unknown name 'g_target'"),
        (with_synapse(psp="w*Uniform(0.0, 1.0)"), "unknown name 'Uniform'"),
        (with_synapse(psp=None, pre_spike=("l_5 = t",)), "neither a psp nor 'g_target'"),
        (replace(CONNECTED, projections=()), "unknown name 'g_in_1'"),
        (
            replace(CONNECTED, neurons=(NEURON, replace(LISTENER, spike="g_in_1 > 1.0"))),
            "unknown name 'g_in_1'",
        ),
    ],
)
def test_verify_program__inconsistent_projection__is_refused(program, message):
    with pytest.raises(InternalError, match=message):
        verify_program(program)


def test_json__projections__round_trip():
    text = CONNECTED.to_json()
    assert Program.from_json(text) == CONNECTED
    with pytest.raises(InternalError, match=r"unknown name 'pre\.system'"):
        Program.from_json(text.replace("pre.v_4", "pre.system"))


def test_to_text__projection__lists_its_definition():
    assert CONNECTED.to_text().split("\n\n", 3)[3] == (
        "projection proj_0 from neuron 0 to g_in_1 of neuron 1 (weights)\n"
        "  parameter q_1 (one)\n"
        "  parameter q_2 (per connection)\n"
        "  variable l_5\n"
        "  dx_3/dt = -x_3/q_1\n"
        "  y_4 = x_3*pre.v_4\n"
        "  pre_spike x_3 += q_2*exp(l_5 - t)\n"
        "  pre_spike g_target += w*x_3\n"
        "  pre_spike l_5 = t\n"
        "  post_spike w = ite(w + x_3 < post.a_1, w + x_3, post.a_1)\n"
        "  psp w*y_4*(pre.b_2 - post.v_4)\n"
        "\n"
        "projection proj_1 from neuron 1 to g_in_1 of neuron 1 (one weight)\n"
        "  pre_spike g_target += w\n"
    )


def test_verify_program__several_faults__reports_all():
    program = Program((replace(NEURON, symbol="cell", spike="v > w"),))
    with pytest.raises(InternalError) as caught:
        verify_program(program)
    assert [item.message for item in caught.value.diagnostics] == [
        "'cell': 'cell' is not a generated name",
        "'cell': unknown name 'v' in 'v > w'",
        "'cell': unknown name 'w' in 'v > w'",
    ]


def test_json__round_trip__is_the_same_program():
    program = Program((NEURON, replace(NEURON, symbol="pop_1", spike=None, reset=())), "float", 2)
    assert Program.from_json(program.to_json()) == program


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"neurons": [], "precision": "double"}', '{"neurons": [{}]}'],
)
def test_from_json__no_program__is_refused(text):
    with pytest.raises(InternalError):
        Program.from_json(text)


def test_from_json__text_that_is_not_generated__is_refused():
    with pytest.raises(InternalError, match="unknown name 'system'"):
        Program.from_json(PROGRAM.to_json().replace("exp", "system").replace("ite", "system"))


def test_to_structure__other_sizes__is_the_same_structure():
    larger = Program((replace(NEURON, size=1000),))
    assert larger.to_structure() == PROGRAM.to_structure()
    assert larger.to_structure() != replace(PROGRAM, precision="float").to_structure()


def test_to_text__whole_program__lists_every_definition():
    assert PROGRAM.to_text() == (
        "program (double, 1 thread)\n"
        "cells pop_0: 4\n"
        "\n"
        "neuron pop_0\n"
        "  parameter a_1 (per cell)\n"
        "  parameter b_2 (one)\n"
        "  i_3 = ite(t + dt >= 20.0, 15.0, 0.0)\n"
        "  dv_4/dt = 0.04*v_4^2 + 5.0*v_4 + 140.0 - u_5 + i_3\n"
        "  du_5/dt = a_1*(b_2*v_4 - u_5)\n"
        "  spike v_4 > 30.0 and i_3 >= 1.5e-3\n"
        "  reset v_4 = -50.0\n"
        "  reset u_5 += ite(v_4 > 0.0, 2.0, 1.0)\n"
    )
