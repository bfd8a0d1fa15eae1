"""Scripts for NEST, as far as it need not run, and what has no script."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import izhi_models
from izhi_models.errors import InputError, UnsupportedError
from tests.conftest import WriteModel

# Components of core types, each of which NEST lacks something for.
CELLS = """<iafRefCell id="leaky" leakReversal="-65mV" thresh="-50mV" reset="-70mV" C="0.2nF"
  leakConductance="0.01uS" refract="2ms"/>
<adExIaFCell id="adex" C="200pF" gL="12nS" EL="-70mV" reset="-58mV" VT="-50mV" thresh="-30mV"
  delT="2mV" tauw="300ms" refract="0ms" a="2nS" b="60pA"/>
<spikeGenerator id="clock" period="8ms"/>
<expOneSynapse id="exp" gbase="6nS" erev="0mV" tauDecay="5ms"/>
<expTwoSynapse id="beta" gbase="6nS" erev="0mV" tauRise="1ms" tauDecay="5ms"/>
<alphaCurrentSynapse id="current" ibase="50pA" tau="2ms"/>
<gapJunction id="gap" conductance="4nS"/>
<blockingPlasticSynapse id="nmda" gbase="4nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">
  <voltageConcDepBlockMechanism id="m" species="mg" blockConcentration="1.2mM"
    scalingConc="1.92mM" scalingVolt="16mV"/></blockingPlasticSynapse>"""
_TO_POP = (
    '<population id="pop" component="leaky" size="1"/><population id="s" component="clock" '
    'size="1"/><synapticConnection from="s[0]" to="pop[0]" synapse="syn" destination="synapses"/>'
)


def _plastic(mechanism: str) -> str:
    return (
        '<blockingPlasticSynapse id="syn" gbase="4nS" erev="0mV" tauRise="0.5ms" tauDecay="6ms">'
        f"{mechanism}</blockingPlasticSynapse>"
    )


def _adaptive(rate: str, jump: str, more: str = "0 * pA") -> str:
    """Return a leaky cell with an adaptation w, and a current besides."""
    return (
        '<ComponentType name="adaptive" extends="baseCellMembPot"><Constant name="ms" '
        'dimension="time" value="1ms"/><Constant name="mV" dimension="voltage" value="1mV"/>'
        '<Constant name="nS" dimension="conductance" value="1nS"/><Constant name="pA" '
        'dimension="current" value="1pA"/><Constant name="pF" dimension="capacitance" '
        'value="1pF"/><Attachments name="synapses" type="basePointCurrent"/><Dynamics>'
        '<StateVariable name="v" dimension="voltage" exposure="v"/>'
        '<StateVariable name="w" dimension="current"/>'
        '<DerivedVariable name="i" dimension="current" select="synapses[*]/i" reduce="add"/>'
        '<TimeDerivative variable="v" '
        f'value="(10 * nS * (-65 * mV - v) - w + i + {more}) / (200 * pF)"/>'
        f'<TimeDerivative variable="w" value="{rate}"/><OnCondition test="v .gt. -50 * mV">'
        f'<StateAssignment variable="v" value="-70 * mV"/><StateAssignment variable="w" '
        f'value="{jump}"/><EventOut port="spike"/></OnCondition></Dynamics></ComponentType>'
        '<adaptive id="cell"/>'
    )


_TIRED = (
    '<ComponentType name="tired" extends="basePlasticityMechanism"><Parameter '
    'name="initReleaseProb" dimension="none"/><Parameter name="tauRec" dimension="time"/>'
    '<Dynamics><StateVariable name="R" dimension="none"/><DerivedVariable '
    'name="plasticityFactor" exposure="plasticityFactor" dimension="none" '
    'value="R * initReleaseProb"/><TimeDerivative variable="R" value="(1 - R) / tauRec"/>'
    '<OnStart><StateAssignment variable="R" value="0.3"/></OnStart><OnEvent port="in">'
    '<StateAssignment variable="R" value="R * (1 - initReleaseProb)"/></OnEvent></Dynamics>'
    '<Structure><With instance="parent" as="a"/><With instance="this" as="b"/>'
    '<EventConnection from="a" to="b"/></Structure></ComponentType>'
)
REFUSED = {
    "oscillator": (
        '<fitzHughNagumoCell id="cell" I="0.8"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(fitzHughNagumoCell\): it sends no spikes, and the rate of 'V' is neither",
    ),
    "many_states": (
        '<hindmarshRose1984Cell id="cell" C="28.57142857pF" a="1.0" b="3.0" c="-3.0" d="5.0" '
        'I="5.0" s="4.0" x1="-1.3" r="0.002" x0="-1.1" y0="-9" z0="1.0" v_scaling="35.71428mV"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(hindmarshRose1984Cell\): it has 3 states \('v', 'y', ...\), and cells of NEST",
    ),
    "no_reset": (
        '<ComponentType name="passive" extends="baseCellMembPot"><Parameter name="tau" '
        'dimension="time"/><Parameter name="top" dimension="voltage"/>'
        '<Constant name="MOhm" dimension="resistance" value="1Mohm"/>'
        '<Attachments name="synapses" type="basePointCurrent"/><Dynamics>'
        '<StateVariable name="v" dimension="voltage" exposure="v"/>'
        '<StateVariable name="up" dimension="none"/>'
        '<DerivedVariable name="i" dimension="current" select="synapses[*]/i" reduce="add"/>'
        '<TimeDerivative variable="v" value="(i * MOhm - v) / tau"/>'
        '<OnCondition test="v .gt. top .and. up .lt. 0.5"><StateAssignment variable="up" '
        'value="1"/><EventOut port="spike"/></OnCondition>'
        '<OnCondition test="v .lt. top"><StateAssignment variable="up" value="0"/></OnCondition>'
        '</Dynamics></ComponentType><passive id="cell" tau="5ms" top="10mV"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(passive\): its spikes follow other rules than a threshold and a reset: "
        r"conditions set 'up'",
    ),
    "block": (
        "",
        '<population id="pop" component="leaky" size="1"/><population id="s" component="clock" '
        'size="1"/><synapticConnection from="s[0]" to="pop[0]" synapse="nmda" '
        'destination="synapses"/>',
        r"'nmda' \(blockingPlasticSynapse\): its current is no straight line over 'v'",
    ),
    "currents_beside_conductances": (
        "",
        '<population id="pop" component="leaky" size="1"/><population id="s" component="clock" '
        'size="1"/><synapticConnection from="s[0]" to="pop[0]" synapse="exp" '
        'destination="synapses"/><synapticConnection from="s[0]" to="pop[0]" synapse="current" '
        'destination="synapses"/>',
        r"'leaky' \(iafRefCell\): no model of NEST has currents and conductances together: exp "
        r"conductance of 5 ms, alpha current of 2 ms; it gets exp, current",
    ),
    "shapes": (
        "",
        '<population id="pop" component="adex" size="1"/><population id="s" component="clock" '
        'size="1"/><synapticConnection from="s[0]" to="pop[0]" synapse="exp" '
        'destination="synapses"/><synapticConnection from="s[0]" to="pop[0]" synapse="beta" '
        'destination="synapses"/>',
        r"'adex' \(adExIaFCell\): NEST's adaptive exponential cells have at most two conductances",
    ),
    "gap_junction": (
        "",
        '<population id="pop" component="leaky" size="2"/>'
        '<electricalProjection id="g" presynapticPopulation="pop" postsynapticPopulation="pop">'
        '<electricalConnection id="0" preCell="0" postCell="1" synapse="gap"/>'
        "</electricalProjection>",
        r"'gap' \(gapJunction\): it acts all the time",
    ),
    "conductance_on_the_map": (
        '<izhikevich2007Cell id="cell" v0="-60mV" C="100pF" k="0.7nS_per_mV" vr="-60mV" '
        'vt="-40mV" vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" d="100pA"/>',
        '<population id="pop" component="cell" size="1"/><population id="s" component="clock" '
        'size="1"/><synapticConnection from="s[0]" to="pop[0]" synapse="exp" '
        'destination="synapses"/>',
        r"'cell' \(izhikevich2007Cell\): NEST's cells of Izhikevich \(2003\) have no exp "
        r"conductance of 5 ms: events move V at once; it gets exp",
    ),
    "random_source": (
        '<spikeGeneratorRandom id="cell" minISI="2ms" maxISI="8ms"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(spikeGeneratorRandom\): it draws random numbers, and is none of NeuroML's "
        r"Poisson sources",
    ),
    "voltage_clamp": (
        '<voltageClamp id="clamp" delay="5ms" duration="9ms" targetVoltage="-60mV" '
        'simpleSeriesResistance="1ohm"/>',
        '<population id="pop" component="leaky" size="1"/>'
        '<explicitInput target="pop[0]" input="clamp"/>',
        r"'clamp' \(voltageClamp\): it depends on 'v' of the cell",
    ),
    "negative_conductance": (
        "",
        '<population id="pop" component="leaky" size="1"/><population id="s" component="clock" '
        'size="1"/><projection id="p" presynapticPopulation="s" postsynapticPopulation="pop" '
        'synapse="exp"><connectionWD id="0" preCellId="../s[0]" postCellId="../pop[0]" '
        'weight="-1" delay="2ms"/></projection>',
        r"'exp' \(expOneSynapse\): a conductance below 0",
    ),
    "rate_of_time": (
        '<ComponentType name="drifting" extends="baseCellMembPot"><Parameter name="tau" '
        'dimension="time"/><Constant name="mV" dimension="voltage" value="1mV"/>'
        '<Constant name="MOhm" dimension="resistance" value="1Mohm"/>'
        '<Attachments name="synapses" type="basePointCurrent"/><Dynamics>'
        '<StateVariable name="v" dimension="voltage" exposure="v"/>'
        '<DerivedVariable name="i" dimension="current" select="synapses[*]/i" reduce="add"/>'
        '<TimeDerivative variable="v" value="(mV * t / tau - v + i * MOhm) / tau"/>'
        '<OnCondition test="v .gt. mV"><StateAssignment variable="v" value="0 * mV"/>'
        '<EventOut port="spike"/></OnCondition></Dynamics></ComponentType>'
        '<drifting id="cell" tau="5ms"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(drifting\): the rate of 'v' depends on 't'",
    ),
    "rate_of_what_arrives": (
        _adaptive("(i - w) / (50 * ms)", "w + 5 * pA"),
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(adaptive\): the rate of 'v', with w besides is none of",
    ),
    "step_of_a_large_current": (
        _adaptive("-w / (50 * ms)", "w + 5 * pA", "pA * H((i - 900 * pA) / pA)"),
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(adaptive\): the rate of 'v', with w besides is none of",
    ),
    "random_jump": (
        _adaptive("-w / (50 * ms)", "w + pA * random(5)"),
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(adaptive\): it draws random numbers",
    ),
    "event_of_the_time": (
        '<ComponentType name="fading" extends="baseConductanceBasedSynapse"><Parameter name="tau" '
        'dimension="time"/><Dynamics>'
        '<StateVariable name="g" dimension="conductance" exposure="g"/>'
        '<DerivedVariable name="i" exposure="i" dimension="current" value="g * (erev - v)"/>'
        '<TimeDerivative variable="g" value="-g / tau"/><OnEvent port="in">'
        '<StateAssignment variable="g" value="g + gbase * exp(-t / tau)"/></OnEvent>'
        '</Dynamics></ComponentType><fading id="syn" gbase="1nS" erev="0mV" tau="5ms"/>',
        _TO_POP,
        r"'syn' \(fading\): what an event does depends on the time",
    ),
    "rise_as_slow_as_the_decay": (
        '<expTwoSynapse id="syn" gbase="1nS" erev="0mV" tauRise="5ms" tauDecay="5ms"/>',
        _TO_POP,
        r"'syn' \(expTwoSynapse\): what an event does is not finite, as for a rise",
    ),
    "recovery_at_once": (
        _plastic('<tsodyksMarkramDepMechanism id="m" initReleaseProb="0.5" tauRec="0ms"/>'),
        _TO_POP,
        r"'syn' \(blockingPlasticSynapse\): its plasticity has a time constant that is not above",
    ),
    "facilitation_of_no_time": (
        _plastic(
            '<tsodyksMarkramDepFacMechanism id="m" initReleaseProb="0.5" tauRec="9ms" '
            'tauFac="0ms"/>'
        ),
        _TO_POP,
        r"'syn' \(blockingPlasticSynapse\): its plasticity has a time constant that is not above",
    ),
    "depressed_from_the_start": (
        _TIRED + _plastic('<tired id="m" initReleaseProb="0.5" tauRec="50ms"/>'),
        _TO_POP,
        r"'syn' \(blockingPlasticSynapse\): its plasticity is not that of Tsodyks",
    ),
    "plasticity_that_no_event_reaches": (
        _TIRED.replace('value="0.3"', 'value="1"').split("<Structure>")[0]
        + "</ComponentType>"
        + _plastic('<tired id="m" initReleaseProb="0.5" tauRec="50ms"/>'),
        _TO_POP,
        r"'syn' \(blockingPlasticSynapse\): its plasticity is not that of Tsodyks",
    ),
    "steep_upstroke": (
        '<adExIaFCell id="cell" C="200pF" gL="12nS" EL="-70mV" reset="-58mV" VT="-50mV" '
        'thresh="-30mV" delT="0.05mV" tauw="300ms" refract="0ms" a="2nS" b="60pA"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(adExIaFCell\): its upstroke is so steep that its parameters",
    ),
    "rate_beyond_the_dead_time": (
        '<spikeGeneratorRefPoisson id="cell" averageRate="100Hz" minimumISI="10ms"/>',
        '<population id="pop" component="cell" size="1"/>',
        r"'cell' \(spikeGeneratorRefPoisson\): its mean interval is not longer than its shortest",
    ),
}
LEAKY = """<ComponentType name="mine" extends="baseCellMembPot">
  <Parameter name="rise" dimension="per_time"/><Parameter name="top" dimension="voltage"/>
  <Parameter name="low" dimension="voltage"/><Parameter name="size" dimension="capacitance"/>
  <Attachments name="synapses" type="basePointCurrent"/>
  <Dynamics><StateVariable name="v" dimension="voltage" exposure="v"/>
    <DerivedVariable name="input" dimension="current" select="synapses[*]/i" reduce="add"/>
    <TimeDerivative variable="v" value="input / size - rise * v + rise * low / 2"/>
    <OnStart><StateAssignment variable="v" value="low"/></OnStart>
    <OnCondition test="2 * v .gt. top + v"><EventOut port="spike"/>
      <StateAssignment variable="v" value="low"/></OnCondition></Dynamics></ComponentType>
  <mine id="cell" rise="0.05per_ms" top="-50mV" low="-80mV" size="200pF"/>"""


@pytest.mark.parametrize("name", REFUSED)
def test_export__what_nest_has_no_model_for__is_refused_by_name(
    tmp_path: Path, write_model: WriteModel, name: str
):
    own, network, message = REFUSED[name]
    path = write_model(CELLS + own, network, outputs="")
    with pytest.raises(UnsupportedError, match="NEST has no built-in model for " + message) as told:
        izhi_models.export(path, "nest", tmp_path / "m.py")
    (diagnostic,) = told.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.source.path == path
    assert "Brian2 takes any equations: --to brian2" in diagnostic.notes
    assert not (tmp_path / "m.py").exists()


def test_export__all_that_is_refused__is_told_at_once(tmp_path: Path, write_model: WriteModel):
    network = REFUSED["block"][1] + '<population id="fn" component="cell" size="1"/>'
    path = write_model(CELLS + REFUSED["oscillator"][0], network, outputs="")
    with pytest.raises(UnsupportedError) as told:
        izhi_models.export(path, "nest", tmp_path / "m.py")
    assert [item.message.split("'")[1] for item in told.value.diagnostics] == ["cell", "nmda"]


CABLE = """<cell id="cell"><morphology id="shape">
  <segment id="0"><proximal x="0" y="0" z="0" diameter="2"/>
    <distal x="10" y="0" z="0" diameter="2"/></segment>
  <segmentGroup id="cable"><property tag="numberInternalDivisions" value="2"/>
    <member segment="0"/></segmentGroup></morphology>
  <biophysicalProperties id="properties"><membraneProperties>
    <channelDensity id="leak" ionChannel="pas" condDensity="3 S_per_m2" erev="-70mV"
      ion="non_specific"/><spikeThresh value="0mV"/>
    <specificCapacitance value="1.0 uF_per_cm2"/><initMembPotential value="-70mV"/>
  </membraneProperties><intracellularProperties><resistivity value="100 ohm_cm"/>
  </intracellularProperties></biophysicalProperties></cell>
  <ionChannelHH id="pas" conductance="10pS"/>"""


def test_export__compartments__are_refused(tmp_path: Path, write_model: WriteModel):
    path = write_model(CABLE)
    with pytest.raises(UnsupportedError, match="model for 'cell': it has 2 compartments"):
        izhi_models.export(path, "nest", tmp_path / "m.py")


def test_export__nest__imports_only_nest_and_numpy(tmp_path: Path, write_model: WriteModel):
    (path,) = izhi_models.export(write_model(), "nest", tmp_path / "m.py")
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {item.name for node in nodes if isinstance(node, ast.Import) for item in node.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert modules == {"sys", "pathlib", "numpy", "nest"}


def test_export__nest__has_parameters_with_units(tmp_path: Path, write_model: WriteModel):
    (path,) = izhi_models.export(write_model(), "nest", tmp_path / "m.py")
    text = path.read_text()
    assert 'pop = nest.Create("izhikevich", 2, pop_values)\n' in text
    assert '    "V_th": 30.0,  # mV\n' in text
    assert '    "U_m": -14.0,\n' in text
    assert "DT = 0.1  # step [ms]\nDURATION = 20.0  # [ms]\n" in text
    assert "izhikevich advances by forward Euler." in text


def test_export__type_of_a_user__is_told_by_its_equations(tmp_path: Path, write_model: WriteModel):
    """A leaky cell in other words: 20 ms, 10 nS, resting at -40 mV."""
    (path,) = izhi_models.export(write_model(LEAKY), "nest", tmp_path / "m.py")
    text = path.read_text()
    assert 'nest.Create("iaf_psc_exp", 2, pop_values)' in text
    for line in ('"C_m": 200.0,', '"tau_m": 20.0,', '"E_L": -40.0,', '"V_th": -50.0,',
                 '"V_reset": -80.0,', '"t_ref": 0.0,', '"V_m": -80.0,'):  # fmt: skip
        assert line in text


def test_export__currents_and_delays__begin_earlier_by_what_nest_takes(
    tmp_path: Path, write_model: WriteModel
):
    inputs = (
        '<pulseGenerator id="pulse" delay="5ms" duration="3ms" amplitude="0.1nA"/>'
        '<pulseGenerator id="first" delay="0ms" duration="3ms" amplitude="0.1nA"/>'
    )
    network = (
        '<population id="pop" component="leaky" size="1"/><population id="s" component="clock" '
        'size="1"/><explicitInput target="pop[0]" input="pulse"/>'
        '<explicitInput target="pop[0]" input="first"/>'
        '<projection id="p" presynapticPopulation="s" postsynapticPopulation="pop" synapse="exp">'
        '<connectionWD id="0" preCellId="../s[0]" postCellId="../pop[0]" weight="1" delay="2ms"/>'
        "</projection>"
    )
    (path,) = izhi_models.export(write_model(CELLS + inputs, network), "nest", tmp_path / "m.py")
    text = path.read_text()
    assert '{"amplitude": 100.0, "start": 4.8, "stop": 7.8})' in text
    # A current that is there from the start is one of the cell, until another takes it away.
    assert '    "I_e": 100.0,  # pA\n' in text
    assert '{"amplitude": -100.0, "start": 2.8})' in text
    assert 'connect(nodes["s"], nodes["pop"], 6.0, 1.9)' in text
    assert "one step later" not in text


def test_export__delay_of_a_step__is_told_to_be_late(tmp_path: Path, write_model: WriteModel):
    network = (
        '<population id="pop" component="leaky" size="1"/><population id="s" component="clock" '
        'size="1"/><synapticConnection from="s[0]" to="pop[0]" synapse="exp" '
        'destination="synapses"/>'
    )
    (path,) = izhi_models.export(write_model(CELLS, network), "nest", tmp_path / "m.py")
    text = path.read_text()
    assert 'connect(nodes["s"], nodes["pop"], 6.0, 0.1)' in text
    assert "one step later than in the model" in " ".join(text.split())


def test_export__what_nest_does_not_show__is_said(tmp_path: Path, write_model: WriteModel):
    network = '<population id="pop" component="leaky" size="1"/>'
    outputs = (
        '<OutputFile id="out" fileName="v.dat"><OutputColumn id="v" quantity="pop[0]/v"/>'
        '<OutputColumn id="i" quantity="pop[0]/iMemb"/></OutputFile>'
    )
    path = write_model(CELLS, network, outputs=outputs)
    (script,) = izhi_models.export(path, "nest", tmp_path / "m.py")
    text = script.read_text()
    assert '("pop/v", "pop", "V_m", [0], 1, 0.001, 0.0),' in text
    assert "# Not recorded, since NEST does not show it: pop/iMemb" in text


def test_export__step_that_nest_cannot_count__is_refused(tmp_path: Path, write_model: WriteModel):
    izhi_models.export(write_model(), "nest", tmp_path / "m.py", dt="0.0125 ms")
    assert "nest.set(tics_per_ms=10000, resolution=DT)" in (tmp_path / "m.py").read_text()
    with pytest.raises(UnsupportedError, match=r"cannot make a step of 0\.0333333 ms"):
        izhi_models.export(write_model(), "nest", tmp_path / "n.py", dt=1e-4 / 3)


def test_export__words_of_the_script__are_no_names_of_populations(
    tmp_path: Path, write_model: WriteModel
):
    network = "".join(
        f'<population id="{name}" component="cell" size="1"/>'
        for name in ("nest", "lambda", "nodes", "print")
    )
    path = write_model(network=network, outputs="")
    (script,) = izhi_models.export(path, "nest", tmp_path / "m.py")
    tree = ast.parse(script.read_text())
    stored = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert {"nest_2", "lambda_2", "nodes_2", "print_2"} <= stored
    assert not {"nest", "print"} & stored


def test_export__names_that_resemble_each_other__are_not_mixed_up(
    tmp_path: Path, write_model: WriteModel
):
    """Whatever is in a name, what is written in the script reads as that name alone."""
    ids = ("a-b", "a_b", "\u00e4", "x", "E", "e")
    network = "".join(f'<population id="{name}" component="cell" size="1"/>' for name in ids)
    (script,) = izhi_models.export(write_model(network=network, outputs=""), "nest",
                                   tmp_path / "m.py")  # fmt: skip
    tables = {
        node.targets[0].id: [ast.literal_eval(key) for key in node.value.keys if key]
        for node in ast.parse(script.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Dict)
    }
    assert tables["nodes"] == tables["spikes"] == list(ids)


def test_export__quotes_in_the_name_of_an_input__stay_in_a_string(
    tmp_path: Path, write_model: WriteModel
):
    pulse = '<pulseGenerator id="p&quot;]; q\\" delay="5ms" duration="3ms" amplitude="0.1nA"/>'
    network = (
        '<population id="pop" component="leaky" size="40"/>'
        '<inputList id="list" component="p&quot;]; q\\" population="pop">'
        + "".join(
            f'<inputW id="{k}" target="../pop[{k}]" destination="synapses" weight="{k}"/>'
            for k in range(1, 30)
        )
        + "</inputList>"
    )
    path = write_model(CELLS + pulse, network, outputs="")
    izhi_models.export(path, "nest", tmp_path / "m.py")
    with np.load(tmp_path / "m.npz") as arrays:
        keys = set(arrays)
    read = {
        node.slice.value
        for node in ast.walk(ast.parse((tmp_path / "m.py").read_text()))
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == "arrays"
        and isinstance(node.slice, ast.Constant)
    }
    assert read == keys
    assert any('"' in key for key in keys)


def test_export__random_train_between_steps__begins_and_ends_with_steps(
    tmp_path: Path, write_model: WriteModel
):
    """NEST takes no other times: those of the first steps at or after them."""
    source = (
        '<transientPoissonFiringSynapse id="rain" averageRate="500Hz" delay="10.05ms" '
        'duration="33.3ms" synapse="exp" spikeTarget="./exp"/>'
    )
    network = (
        '<population id="pop" component="leaky" size="1"/>'
        '<explicitInput target="pop[0]" input="rain"/>'
    )
    path = write_model(CELLS + source, network, outputs="")
    (script,) = izhi_models.export(path, "nest", tmp_path / "m.py", dt="0.1 ms")
    assert '{"rate": 500.0, "start": 10.1, "stop": 43.4})' in script.read_text()


def test_export__one_input_at_two_populations__keeps_both_sets_of_cells(
    tmp_path: Path, write_model: WriteModel
):
    inputs = '<pulseGenerator id="pulse" delay="5ms" duration="3ms" amplitude="0.1nA"/>'
    lists = "".join(
        f'<inputList id="{pop}_in" component="pulse" population="{pop}">'
        + "".join(
            f'<input id="{k}" target="../{pop}[{cell}]" destination="synapses"/>'
            for k, cell in enumerate(cells)
        )
        + "</inputList>"
        for pop, cells in (("a", range(0, 40, 2)), ("b", range(20)))
    )
    network = "".join(f'<population id="{p}" component="leaky" size="40"/>' for p in "ab") + lists
    path = write_model(CELLS + inputs, network, outputs="")
    izhi_models.export(path, "nest", tmp_path / "m.py")
    text = (tmp_path / "m.py").read_text()
    with np.load(tmp_path / "m.npz") as arrays:
        for population, cells in (("a", range(0, 40, 2)), ("b", range(20))):
            (key,) = re.findall(rf'nodes\["{population}"\]\[arrays\["(\w+)"\]\]', text)
            assert arrays[key].tolist() == list(cells)


def test_export__name_without_py__is_refused(tmp_path: Path, write_model: WriteModel):
    with pytest.raises(InputError, match="no name of a script"):
        izhi_models.export(write_model(), "nest", tmp_path / "m.txt")
