"""The command as a user meets it, as far as nothing has to be compiled."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from izhi_models.cli import commands

CELL = '<izhikevichCell id="cell" v0="-70mV" thresh="30mV" a="0.02" b="0.2" c="-50" d="2"/>'
POPULATION = '<population id="pop" component="cell" size="2"/>'
PULSE = '<pulseGeneratorDL id="pulse" delay="5ms" duration="9ms" amplitude="10"/>'
TYPE = '<ComponentType name="own" extends="baseCell">{}</ComponentType><own id="cell" {}/>'
STATE = '<StateVariable name="v" dimension="none" exposure="v"/>'
TIME_STATE = STATE.replace("v", "t", 2)
TEMPERATURE = '<Requirement name="temperature" dimension="temperature"/>'
EXPOSED = '<Exposure name="v" dimension="none"/>'
TIME = EXPOSED.replace("v", "t")


def izhi(*arguments: object) -> Result:
    """Run the command; a traceback fails the test."""
    result = CliRunner().invoke(commands, [str(item) for item in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    return result


def refused(path: Path, *options: str, out: Path | None = None) -> Result:
    """Run a file that cannot be run, and see that it leaves nothing behind."""
    out = out or path.parent / "out"
    before = sorted(path.parent.rglob("*"))
    result = izhi("run", path, "--out", out, *options)
    assert result.stdout == ""
    assert sorted(path.parent.rglob("*")) == before
    return result


def column(path: str) -> str:
    return (
        f'<OutputFile id="o" fileName="o.dat"><OutputColumn id="c" quantity="{path}"/></OutputFile>'
    )


def display(scales: str) -> str:
    return (
        '<Display id="picture" title="v" timeScale="1ms" xmin="0" xmax="9" ymin="-80" ymax="40">'
        f'<Line id="v" quantity="pop[0]/v" {scales} color="#000000"/></Display>'
    )


def selection(path: str, port: str = "spike") -> str:
    return (
        '<EventOutputFile id="o" fileName="o.dat" format="TIME_ID">'
        f'<EventSelection id="0" select="{path}" eventPort="{port}"/></EventOutputFile>'
    )


def pulse_at(target: str) -> str:
    return f'{POPULATION}<explicitInput target="{target}" input="pulse"/>'


def inputs(population: str, target: str, destination: str = "synapses") -> str:
    return (
        f'{POPULATION}<inputList id="list" component="pulse" population="{population}">'
        f'<input id="0" target="{target}" destination="{destination}"/></inputList>'
    )


BAD_FILES = {
    # Components, line 3
    "type": ({"components": CELL + '<izhikevichCel id="x"/>'}, 3, "unknown ComponentType"),
    "attribute missing": ({"components": CELL.replace('a="0.02"', "")}, 3, "lacks 'a'"),
    "unit": ({"components": CELL.replace("-70mV", "-70mW")}, 3, "unknown unit 'mW'"),
    "dimension": ({"components": CELL.replace("-70mV", "-70ms")}, 3, "needs the dimension voltage"),
    "not a number": ({"components": CELL.replace("0.02", "NaN")}, 3, "'NaN' is no quantity"),
    "infinite": ({"components": CELL.replace("0.02", "1e999")}, 3, "beyond what a number can"),
    "id twice": ({"components": CELL + CELL}, 3, "the id 'cell' is used twice"),
    "name of the time": (
        {"components": TYPE.format(f"{TIME}<Dynamics>{TIME_STATE}</Dynamics>", "")},
        3,
        "'t' has a meaning of its own",
    ),
    "time as parameter": (
        {
            "components": TYPE.format(
                f'<Parameter name="t" dimension="none"/>{EXPOSED}<Dynamics>{STATE}</Dynamics>',
                't="1"',
            )
        },
        3,
        "'t' has a meaning of its own",
    ),
    # Network, line 5
    "component": ({"network": POPULATION.replace("cell", "cel")}, 5, "no component has the id"),
    "size 0": (
        {"network": POPULATION.replace("2", "0")},
        5,
        "'size' is '0', expected a whole number",
    ),
    "size 1.5": (
        {"network": POPULATION.replace("2", "1.5")},
        5,
        "'size' is '1.5', expected a whole number",
    ),
    "size text": ({"network": POPULATION.replace("2", "two")}, 5, "'two' is no quantity"),
    "target out of range": ({"network": pulse_at("pop[2]")}, 5, "there is no cell 2"),
    "target population": ({"network": pulse_at("pap[0]")}, 5, "no population has the id 'pap'"),
    "target not a cell": ({"network": pulse_at("pop")}, 5, "'pop' is no path of a cell"),
    "target component": ({"network": pulse_at("pop/0/iaf")}, 5, "are 'cell', not 'iaf'"),
    "list of nobody": ({"network": inputs("pap", "../pop[0]")}, 5, "no population has the id"),
    "list of another": (
        {"network": '<population id="q" component="cell" size="1"/>' + inputs("q", "../pop[0]")},
        5,
        "'pop' is not 'q'",
    ),
    "destination": ({"network": inputs("pop", "pop[0]", "spines")}, 5, "no attachments 'spines'"),
    "input not added up": (
        {
            "components": CELL + PULSE.replace("DL", "").replace('"10"', '"1nA"'),
            "network": pulse_at("pop[0]"),
        },
        5,
        "adds up 'I'",
    ),
    "cell without attachments": (
        {
            "components": PULSE
            + '<iafTauCell id="cell" leakReversal="-50mV" thresh="-55mV" reset="-70mV" tau="9ms"/>',
            "network": pulse_at("pop[0]"),
        },
        5,
        "takes no inputs",
    ),
    "no population": ({"network": ""}, 4, "'net' has no population"),
    "requirement": (
        {
            "components": TYPE.format(
                f"{TEMPERATURE}{EXPOSED}<Dynamics>{STATE}"
                '<OnCondition test="temperature .gt. temperature"/></Dynamics>',
                "",
            )
        },
        5,
        "nothing provides the 'temperature' that 'cell' requires",
    ),
    # Simulation, line 6
    "step zero": (
        {"simulation": 'length="20ms" step="0ms" target="net"'},
        6,
        "'step' is '0ms', expected",
    ),
    "step negative": (
        {"simulation": 'length="2ms" step="-1ms" target="net"'},
        6,
        "'step' is '-1ms', expected",
    ),
    "length zero": (
        {"simulation": 'length="0ms" step="1ms" target="net"'},
        6,
        "'length' is '0ms', expected",
    ),
    "length missing": ({"simulation": 'step="1ms" target="net"'}, 6, "lacks 'length'"),
    "length no number": ({"simulation": 'length="x" step="1ms" target="net"'}, 6, "no quantity"),
    "step no time": ({"simulation": 'length="2ms" step="1" target="net"'}, 6, "dimension time"),
    "seed": (
        {"simulation": 'length="2ms" step="1ms" target="net" seed="x"'},
        6,
        "'seed' is 'x', expected",
    ),
    "target unknown": ({"simulation": 'length="2ms" step="1ms" target="nat"'}, 6, "no component"),
    # Outputs, line 7
    **{
        f"path {path!r}": ({"outputs": column(path)}, 7, message)
        for path, message in {
            "": "lacks 'quantity'",
            "pop": "'pop' names no cell",
            "pop/v": "'pop/v' names no cell",
            "pop[0]": "'pop[0]' names a cell, not a quantity",
            "pop[2]/v": "there is no cell 2",
            "pop[-1]/v": "no population has the id 'pop[-1]'",
            "pop[99999999999999999999]/v": "there is no cell 99999999999999999999",
            "pop[0]/w": "has no variable 'w'",
            "pop[0]//v": "has no part ''",
            "pop[0]/v/": "has no part 'v'",
            "pop[0]/synapses[0]/I": "has no part 'synapses[0]'",
            "../pop[0]/v": "no population has the id '..'",
            "pop/0/v": "does not name the component of the cell",
            "pop/0/iaf/v": "does not name the component of the cell",
            "pop/2/cell/v": "there is no cell 2",
            "net/pop[0]/v": "no population has the id 'net'",
            "pop[0]/__import__('os')": "has no variable",
        }.items()
    },
    "scale zero": ({"outputs": display('scale="0mV" timeScale="1ms"')}, 7, "'scale' is 0"),
    "time scale zero": ({"outputs": display('scale="1mV" timeScale="0s"')}, 7, "'timeScale' is"),
    "picture": (
        {
            "outputs": display('scale="1mV" timeScale="1ms"')
            + column("pop[0]/v").replace("o.dat", "picture.png")
        },
        7,
        "'picture.png' is taken",
    ),
    "selected cell": ({"outputs": selection("pop[2]")}, 7, "there is no cell 2"),
    "selected quantity": ({"outputs": selection("pop[0]/v")}, 7, "is no path of a cell"),
    "selected port": ({"outputs": selection("pop[0]", "spik")}, 7, "no events on a port 'spik'"),
    "event format": (
        {"outputs": selection("pop[0]").replace("TIME_ID", "CSV")},
        7,
        "'format' is 'CSV', expected",
    ),
    **{
        f"file name {name!r}": ({"outputs": column("pop[0]/v").replace("o.dat", name)}, 7, message)
        for name, message in {
            "../o.dat": "is outside of",
            "a/../../o.dat": "is outside of",
            "/tmp/o.dat": "is absolute",
            ".o": "is hidden",
            "a\\b": "has a backslash",
            "results.h5": "is taken",
            "run.json": "is taken",
            "traces.png": "is taken",
            "": "lacks 'fileName'",
        }.items()
    },
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_run__bad_file__names_the_place_and_writes_nothing(write_model, case):
    parts, line, message = BAD_FILES[case]
    if "network" in parts:
        parts = {"components": CELL + PULSE, **parts}
    path = write_model(**parts)
    result = refused(path)
    assert result.exit_code == 2
    first = result.stderr.splitlines()[0]
    assert re.match(rf"{re.escape(str(path))}:{line}:\d+: error: ", first)
    assert message in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "model.xml:1:1: error: not well-formed XML"),
        ("<foo/>", "model.xml:1:1: error: root element <foo>, expected <Lems> or <neuroml>"),
        ('<Lems><Include file="model.xml"/></Lems>', "circular include: "),
        (
            '<Lems><Include file="nowhere.xml"/></Lems>',
            "model.xml:1:22: error: included file not found: 'nowhere.xml'",
        ),
        ('<Lems><Include file="Cells.xml"/></Lems>', "there is nothing to run"),
    ],
)
def test_run__file_that_is_no_model__is_refused(tmp_path, content, message):
    path = tmp_path / "model.xml"
    path.write_text(content, encoding="utf-8")
    result = refused(path)
    assert result.exit_code == 2
    assert message in result.stderr


def test_run__several_faults__are_shown_together(write_model):
    path = write_model(CELL.replace("-70mV", "1ms").replace("30mV", "2pA"))
    result = refused(path)
    assert "model.xml:3:31: error: 'v0'" in result.stderr
    assert "model.xml:3:44: error: 'thresh'" in result.stderr


def test_run__population_beyond_memory__says_what_it_would_need(write_model):
    result = refused(write_model(network=POPULATION.replace("2", "1000000000")))
    assert result.exit_code == 2
    pattern = r"of 1e\+09 cells needs ([\d.]+) GiB of memory, and there are ([\d.]+)"
    match = re.search(pattern, result.stderr)
    assert match is not None
    # 2 states alone, of 8 bytes.
    assert float(match[1]) > 2 * 8 * 1e9 / 2**30
    assert float(match[1]) > float(match[2])


def test_run__two_event_ports__is_unsupported_with_its_place(write_model):
    ports = '<EventPort name="a" direction="out"/><EventPort name="b" direction="out"/>'
    sends = "".join(
        f'<OnCondition test="v .gt. {n}"><EventOut port="{port}"/></OnCondition>'
        for n, port in enumerate("ab")
    )
    path = write_model(TYPE.format(f"{EXPOSED}{ports}<Dynamics>{STATE}{sends}</Dynamics>", ""))
    result = refused(path)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"{path}:5:")
    assert "several ports (a, b)" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--duration", "0ms"], "the duration must be greater than zero"),
        (["--duration", "-5ms"], "the duration must be greater than zero"),
        (["--duration", "soon"], "'soon' is no quantity"),
        (["--duration", "5"], "'5' is no time"),
        (["--duration", "5mV"], "'5mV' is no time"),
        (["--dt", "0ms"], "the step must be greater than zero"),
        (["--dt", "-1ms"], "the step must be greater than zero"),
        (["--dt", "small"], "'small' is no quantity"),
        (["--record", "pop/w"], "has no variable 'w'"),
        (["--record", "nobody/v"], "no population has the id 'nobody'"),
        (["--record", "pop[2]/v"], "there is no cell 2"),
        (["--method", "rk5"], "'rk5' is not one of"),
        (["--precision", "half"], "'half' is not one of"),
        (["--threads", "0"], "0 is not in the range"),
        (["--seed", "1.5"], "'1.5' is not a valid integer"),
        (["--such"], "No such option"),
    ],
)
def test_run__bad_option__is_refused(write_model, options, message):
    result = refused(write_model(), *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_run__network_without_simulation__asks_for_a_duration(write_model):
    result = refused(write_model(simulation=None))
    assert result.exit_code == 2
    assert "declares no Simulation" in result.stderr
    assert "--duration" in result.stderr


def test_run__out_is_a_file__is_refused_before_anything_is_compiled(write_model, tmp_path):
    path = write_model()
    for out in (path, path / "below"):
        result = refused(path, out=out)
        assert result.exit_code == 2
        assert f"'{path}' is a file" in result.stderr


def test_run__unknown_name__offers_the_nearest(tmp_path):
    result = izhi("run", "izhikevich2003_RX", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no such file, and no model of this name: izhikevich2003_RX" in result.stderr
    assert "izhikevich2003_RS" in result.stderr
    assert izhi("run", tmp_path).stderr == f"error: {tmp_path} is a directory, not a file\n"


def test_run__two_files_of_one_name__would_write_to_one_folder(write_model, tmp_path):
    first, second = write_model(), write_model(name="sub/model.xml")
    result = izhi("run", first, second, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "several files would write to" in result.stderr
    assert not (tmp_path / "out").exists()


def test_run__faults_as_json__are_the_whole_output(write_model, tmp_path):
    path = write_model(CELL.replace("-70mV", "-70ms"))
    for arguments in (["--format", "json"], ["--format=json"]):
        result = izhi("run", *arguments, path, "--out", tmp_path / "out")
        assert result.exit_code == 2
        (fault,) = json.loads(result.stdout)
        assert fault["severity"] == "error"
        assert (fault["file"], fault["line"], fault["column"]) == (str(path), 3, 31)
        assert "voltage" in fault["message"]
        assert result.stderr == ""


def test_validate__valid_and_invalid__says_so_by_text_and_code(write_model):
    good, bad = write_model(name="good.xml"), write_model(CELL.replace("30mV", "3ms"))
    result = izhi("validate", good)
    assert (result.exit_code, result.stdout) == (0, f"{good}: valid\n")
    result = izhi("validate", good, bad)
    assert result.exit_code == 2
    assert f"{good}: valid" in result.stdout
    assert f"{bad}:3:46: error: 'thresh'" in result.stderr
    assert f"{bad}: valid" not in result.output
    assert [
        item["line"] for item in json.loads(izhi("validate", bad, "--format", "json").stdout)
    ] == [3]


def test_list__every_model__can_be_shown_by_its_name():
    lines = izhi("list").stdout.splitlines()
    kinds = [line for line in lines if line.endswith("/")]
    assert {"cells/", "simulations/"} <= set(kinds)
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    for kind in ("RS", "IB", "CH", "FS", "LTS", "TC", "RZ"):
        assert names.count(f"izhikevich2003_{kind}") == 2  # the cell, and what shows it
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines if line.startswith("  "))
    assert izhi("show", "izhikevich2003").exit_code == 0


def test_show__model__has_equations_units_and_values(write_model):
    text = izhi("show", write_model()).stdout
    assert "population pop: 2 cells of cell, izhikevichCell" in text
    assert "v0 = -70 mV" in text
    assert "v [mV]" in text
    assert "d v/dt = " in text
    assert "when v > thresh" in text


def test_show__program__is_an_annarchy_script_without_names_of_the_model(write_model):
    text = izhi("show", write_model(), "--dump", "program").stdout
    compile(text, "program", "exec")
    assert "import ANNarchy" in text
    for name in ("pop", "cell", "thresh", "izhikevich"):
        assert name not in text


def test_help__of_the_command_and_run__names_what_there_is():
    text = izhi("--help").stdout
    assert all(name in text for name in ("run", "validate", "show", "list"))
    text = izhi("run", "--help").stdout
    options = ("out", "duration", "dt", "seed", "threads", "precision", "method", "record")
    for option in (*options, "no-plot", "quiet", "format"):
        assert f"--{option}" in text


def test_run__several_processes__need_an_engine_for_them(write_model):
    result = refused(write_model(), "--mpi", "2")
    assert result.exit_code == 2
    assert "--engine neuron shares a network among processes" in result.stderr


def test_run__what_only_the_compiled_code_can_do__is_refused_elsewhere(write_model):
    result = refused(write_model(), "--engine", "jneuroml", "--precision", "float")
    assert result.exit_code == 2
    assert "--precision is for the engine 'annarchy' only" in result.stderr
