from dataclasses import replace

import pytest

from izhi_models.annarchy.program import (
    Equation,
    Neuron,
    Program,
    ProgramParameter,
    verify_program,
)
from izhi_models.errors import InternalError

NEURON = Neuron(
    symbol="pop_0",
    parameters=(ProgramParameter("a_1", is_global=False), ProgramParameter("b_2", is_global=True)),
    equations=(
        Equation("i_3", "i_3 = if t + dt >= 20.0: 15.0 else: 0.0", is_ode=False),
        Equation("v_4", "dv_4/dt = 0.04*v_4^2 + 5.0*v_4 + 140.0 - u_5 + i_3", is_ode=True),
        Equation("u_5", "du_5/dt = a_1*(b_2*v_4 - u_5)", is_ode=True, method="exponential"),
    ),
    spike="v_4 > 30.0 and not(i_3 < 1.5e-3)",
    reset=("v_4 = -50.0", "u_5 += ite(v_4 > 0.0, 2.0, 1.0)"),
    size=4,
)
PROGRAM = Program((NEURON,))


def with_equation(text: str) -> Program:
    equation = Equation("x_9", f"x_9 = {text}", is_ode=False)
    return Program((replace(NEURON, equations=(*NEURON.equations, equation)),))


def test_verify_program__generated_text__is_accepted():
    verify_program(PROGRAM)
    verify_program(with_equation("clip(Normal(0.0, b_2), -1.0, exp(v_4)) / 2.0"))


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
        ({"equations": (Equation("v_4", "dv_4/dt = 1.0", False),)}, "does not start with"),
        ({"equations": (Equation("v_4", "v_4 = 1.0", True),)}, "does not start with"),
        ({"equations": (Equation("v_4", "v_4 = 1.0", False, "euler"),)}, "unknown method 'euler'"),
        ({"reset": ("v_4",)}, "does not assign"),
        ({"reset": ("a_1 = 1.0",)}, "does not assign"),
        ({"reset": ("v_4 = 1.0; u_5 = 2.0",)}, "'; u_5 = 2.'"),
        ({"spike": None}, "a reset without a spike condition"),
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
        "  i_3 = if t + dt >= 20.0: 15.0 else: 0.0\n"
        "  dv_4/dt = 0.04*v_4^2 + 5.0*v_4 + 140.0 - u_5 + i_3\n"
        "  du_5/dt = a_1*(b_2*v_4 - u_5)  (exponential)\n"
        "  spike v_4 > 30.0 and not(i_3 < 1.5e-3)\n"
        "  reset v_4 = -50.0\n"
        "  reset u_5 += ite(v_4 > 0.0, 2.0, 1.0)\n"
    )
