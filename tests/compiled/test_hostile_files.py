"""Nothing that stands in a file is executed, and any name is a name."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import izhi_models
from izhi_models.annarchy.program import verify_program
from izhi_models.cli import commands
from izhi_models.ir.evaluate import Interpreter

# Words of ANNarchy, C++, libc, sympy and Python, and the symbols that this package generates.
NAMES = re.findall(
    r"\w+",
    """
    pop0 PopStruct0 proj0 _active active spike spiked record targets ranks rng size refractory
    reset update init_population max_delay attributes g_exc g_target pre post psp Uniform Normal
    Parameter Variable ite clip pos neg modulo power dtype t_ dt i j
    int long short char float double bool auto register default new delete this template class
    asm volatile namespace operator true NULL errno EOF stdin assert INFINITY NAN M_PI
    printf system main std
    E I S N Q C O pi oo zoo beta gamma zeta Lambda lambda Symbol exp2 Max
    def None True import self print eval exec os
    p_1 s_1 s_2 d_3 n_4 f_5 u_6 c_7 neuron_0 v_1
    """,
)
MARKER = "executed"
PYTHON = f"""'); __import__('pathlib').Path('{MARKER}').touch(); ('"""
CPP = f"""}}; static int x = system("touch {MARKER}"); void f() {{"""
SHELL = f"$(touch {MARKER})`touch {MARKER}`; touch {MARKER} #"
TEXTS = {
    "python": PYTHON,
    "c++": CPP,
    "shell": SHELL,
    "line break": f"x\ntouch {MARKER}\n#include <x>",
    "comment": "*/ // /* #define dt 0",
    "format": "%s%n{0}{__class__}\\",
}
CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'


@pytest.fixture(autouse=True)
def nothing_is_executed(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert list(Path(tmp_path).rglob(MARKER)) == []


def izhi(*arguments: object) -> Result:
    """Run the command; a traceback fails the test."""
    result = CliRunner().invoke(commands, [str(item) for item in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def compare_with_interpreter(model: izhi_models.Model, names: list[str], n_steps: int) -> None:
    run = model.compile(record=[f"pop/{name}" for name in names])
    verify_program(run.simulator.lowering.program)
    results = run.simulate()
    population = model.network.populations["pop"]
    oracle = Interpreter(population.dynamics, population.values, population.size, results.dt_s)
    expected = oracle.run(n_steps, record=names).traces
    for name in names:
        # Units are scaled by powers of ten, and sums rounded in another order.
        found = results.si(f"pop/{name}")
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert any(np.ptp(expected[name]) > 0 for name in names)


def test_names__of_states__are_ordinary_names(write_model):
    states = "".join(
        f'<StateVariable name="{name}" dimension="none" exposure="{name}"/>'
        f'<TimeDerivative variable="{name}" value="rate * ({number + 1} - {name})"/>'
        for number, name in enumerate(NAMES)
    )
    exposures = "".join(f'<Exposure name="{name}" dimension="none"/>' for name in NAMES)
    own = (
        f'<ComponentType name="own" extends="baseCell">{exposures}'
        '<Parameter name="rate" dimension="per_time"/>'
        f'<Dynamics>{states}</Dynamics></ComponentType><own id="cell" rate="0.5per_ms"/>'
    )
    path = write_model(own, simulation='length="4ms" step="0.1ms" target="net"', outputs="")
    compare_with_interpreter(izhi_models.load(path), NAMES, 40)


def test_names__of_everything_else__are_ordinary_names(write_model):
    """The same words as parameters, constants, derived variables, regimes, ports and ids."""
    words = iter(NAMES)
    parameters = [next(words) for _ in range(20)]
    constants = [next(words) for _ in range(20)]
    derived = [next(words) for _ in range(40)]
    regime, other, port, kind, population = (next(words) for _ in range(5))
    chained = "".join(
        f'<DerivedVariable name="{name}" dimension="none" exposure="{name}" '
        f'value="v * {parameters[number % 20]} + {constants[number % 20]} + '
        f'{derived[number - 1] if number else "1"}"/>'
        for number, name in enumerate(derived)
    )
    own = (
        f'<ComponentType name="{kind}" extends="baseCell">'
        + '<Exposure name="v" dimension="none"/><Parameter name="rate" dimension="per_time"/>'
        + "".join(f'<Parameter name="{name}" dimension="none"/>' for name in parameters)
        + "".join(
            f'<Constant name="{name}" dimension="none" value="0.{number + 1}"/>'
            for number, name in enumerate(constants)
        )
        + "".join(f'<Exposure name="{name}" dimension="none"/>' for name in derived)
        + f'<EventPort name="{port}" direction="out"/><Dynamics>'
        + f'<StateVariable name="v" dimension="none" exposure="v"/>{chained}'
        + f'<Regime name="{regime}" initial="true">'
        + f'<TimeDerivative variable="v" value="rate * (3 - v) + 0 * rate * {derived[-1]}"/>'
        + f'<OnCondition test="v .gt. 2"><EventOut port="{port}"/><Transition regime="{other}"/>'
        + f'</OnCondition></Regime><Regime name="{other}"><OnEntry>'
        + '<StateAssignment variable="v" value="1"/></OnEntry>'
        + '<TimeDerivative variable="v" value="rate * (1 - v)"/></Regime></Dynamics>'
        + f'</ComponentType><Component id="{kind}" type="{kind}" rate="0.5per_ms" '
        + " ".join(f'{name}="1.{number}"' for number, name in enumerate(parameters))
        + "/>"
    )
    network = f'<population id="{population}" component="{kind}" size="2"/>'
    network += f'<population id="pop" component="{kind}" size="1"/>'
    path = write_model(own, network, 'length="4ms" step="0.1ms" target="net"', outputs="")
    model = izhi_models.load(path)
    compare_with_interpreter(model, ["v", *derived], 40)
    results = model.compile().simulate()
    assert results.spikes[population].count == 2


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_texts__in_ids_titles_and_notes__are_shown_and_no_more(write_model, text):
    code = escape(text, quote=True).replace("\n", "&#10;")
    outputs = (
        f'<Display id="{code}" title="{code}" timeScale="1ms" xmin="0" xmax="2" ymin="0" ymax="9">'
        f'<Line id="{code}" quantity="pop[0]/v" scale="1mV" timeScale="1ms" color="{code}"/>'
        '</Display><OutputFile id="o" fileName="o.dat">'
        f'<OutputColumn id="{code}" quantity="pop[0]/v"/></OutputFile>'
        f'<EventOutputFile id="{code}" fileName="o.spikes" format="ID_TIME">'
        f'<EventSelection id="{code}" select="pop[0]" eventPort="spike"/></EventOutputFile>'
    )
    noted = CELL.replace("/>", f'><notes>{code}</notes><property tag="{code}" value="{code}"/>')
    path = write_model(f"{noted}</izhikevichCell>", outputs=outputs)
    result = izhi("run", path, "--out", "out")
    assert result.exit_code == 0, result.output
    assert {item.parent for item in Path().rglob("*") if item.is_file()} == {Path("out")}
    assert len(list(Path("out").glob("*.png"))) == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_texts__as_names_of_declarations__never_reach_the_program(write_model, text):
    code = escape(text, quote=True).replace("\n", "&#10;")
    own = (
        f'<ComponentType name="{code}" extends="baseSpikingCell" description="{code}">'
        f'<Constant name="{code}c" dimension="none" value="1"/>'
        '<Exposure name="v" dimension="none"/>'
        f'<Exposure name="{code}e" dimension="none"/><Text name="{code}x"/><Dynamics>'
        '<StateVariable name="v" dimension="none" exposure="v"/>'
        f'<StateVariable name="{code}" dimension="none" exposure="{code}e"/>'
        f'<OnCondition test="v .lt. 3"><StateAssignment variable="{code}" value="v"/>'
        '<StateAssignment variable="v" value="v + 1"/><EventOut port="spike"/></OnCondition>'
        f'</Dynamics></ComponentType><Component id="{code}" type="{code}"/>'
    )
    path = write_model(own, f'<population id="{code}" component="{code}" size="1"/>', outputs="")
    run = izhi_models.load(path).compile()
    verify_program(run.simulator.lowering.program)
    assert MARKER not in run.simulator.lowering.program.to_text()
    assert run.simulate().spikes[text].count > 0


EXPRESSIONS = (
    f"__import__('os').system('touch {MARKER}')",
    f'system("touch {MARKER}")',
    "v; exit(1)",
    "v } { v",
    "v // comment",
    "v /* comment */",
    "v #define",
    "lambda: v",
    "[v]",
    "v if v else v",
    "v := 1",
    "open('x')",
    "exp(v).real",
    "os.system",
    "v ** 2",
    "'v'",
    '"v"',
    "v\\",
    "p_1",
    "ite(v, v, v)",
    "Uniform(0, 1)",
    "v@before",
    "@dt",
    "dt",
    "",
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("place", ["value", "rate", "test", "assignment", "case", "start"])
def test_expressions__that_are_no_lems__are_refused_with_their_place(
    write_model, expression, place
):
    code = escape(expression, quote=True)
    state = '<StateVariable name="v" dimension="none" exposure="v"/>'
    assign = '<StateAssignment variable="v" value="{}"/>'
    dynamics = {
        "value": f'{state}<DerivedVariable name="w" dimension="none" value="{code}"/>',
        "rate": f'{state}<TimeDerivative variable="v" value="{code}"/>',
        "test": f'{state}<OnCondition test="{code}">{assign.format("1")}</OnCondition>',
        "assignment": f'{state}<OnCondition test="v .gt. 1">{assign.format(code)}</OnCondition>',
        "case": f'{state}<ConditionalDerivedVariable name="w" dimension="none">'
        f'<Case condition="{code}" value="1"/></ConditionalDerivedVariable>',
        "start": f"{state}<OnStart>{assign.format(code)}</OnStart>",
    }[place]
    own = (
        '<ComponentType name="own" extends="baseCell"><Exposure name="v" dimension="none"/>'
        f'<Dynamics>\n{dynamics}\n</Dynamics></ComponentType><own id="cell"/>'
    )
    path = write_model(own)
    result = izhi("run", path, "--out", "out")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{path}:4:")
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["a b;touch executed;'\".xml", "$(touch executed).xml", "-h.xml"])
def test_files__with_hostile_names__are_run(write_model, name):
    path = write_model(name=f"models/{name}")
    result = izhi("run", "--no-plot", "--", path)
    assert result.exit_code == 0, result.output
    assert (Path("results") / name.split(".")[0] / "v.dat").exists()
