"""A model of all that files list: what is read of it is compared with jNeuroML, and with itself."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

COMPONENTS = """<izhikevich2007Cell id="rs" C="100pF" v0="-60mV" k="0.7nS_per_mV" vr="-60mV"
  vt="-40mV" vpeak="35mV" a="0.03per_ms" b="-2nS" c="-50mV" d="100pA"/>
<iafRefCell id="iaf" leakReversal="-60mV" thresh="-50mV" reset="-65mV" C="0.1nF"
  leakConductance="10nS" refract="2ms"/>
<iafRefCell id="slow" extends="iaf" thresh="-52mV" reset="-64mV" refract="6ms"/>
<ionChannelHH id="pas" conductance="10pS"/>
<ionChannelHH id="k" conductance="10pS"><gateHHrates id="n" instances="4">
  <q10Settings type="q10ExpTemp" q10Factor="3" experimentalTemp="6.3 degC"/>
  <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
  <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>
</gateHHrates></ionChannelHH>
<pointCellCondBased id="hh" C="10pF" v0="-45mV" thresh="20mV">
  <channelPopulation id="leaks" ionChannel="pas" number="300" erev="-54.3mV"/>
  <channelPopulation id="kChans" ionChannel="k" number="3600" erev="-77mV"/>
</pointCellCondBased>
<spikeGenerator id="clock" period="3ms"/>
<expTwoSynapse id="ampa" tauRise="0.5ms" tauDecay="3ms" gbase="8nS" erev="0mV"/>
<expOneSynapse id="gaba" gbase="5nS" erev="-80mV" tauDecay="6ms"/>
<gapJunction id="gap" conductance="2nS"/>
<silentSynapse id="silent"/>
<linearGradedSynapse id="graded" conductance="3nS"/>
<pulseGenerator id="pulse" delay="2ms" duration="20ms" amplitude="150pA"/>
"""
CELLS = {"A": ("rs", 4), "B": ("iaf", 3), "L": ("slow", 2), "H": ("hh", 1), "S": ("clock", 3)}
# By list: pre, post, what they share, and the rows.
EVENTS: dict[str, tuple[str, str, str, list[tuple[int, int, float, float]]]] = {
    "sa": ("S", "A", "ampa", [(0, 1, 1.5, 0.5), (1, 2, 0.5, 1.0), (2, 3, 2.0, 2.0)]),
    "sb": ("S", "B", "ampa", [(0, 2, 1.0, 0.3), (2, 0, 2.5, 0.3), (1, 1, 1.25, 0.3)]),
    "ab": ("A", "B", "gaba", [(3, 0, 1.0, 1.5), (2, 1, 3.0, 0.5)]),
    "al": ("A", "L", "ampa", [(0, 0, 2.0, 0.7), (3, 1, 4.0, 0.4)]),
}
GAPS = [(0, 2, 1.0), (1, 3, 2.5)]
GRADED = [(1, 0, 1.0), (3, 2, 2.0)]
INPUTS = {"A": [(0, 1.0), (2, 0.75), (3, 2.0)], "B": [(1, 1.2)], "L": [(0, 1.5)], "S": []}

_LEMS = """<Lems><Target component="sim"/>
<Include file="Cells.xml"/><Include file="Networks.xml"/><Include file="Simulation.xml"/>
<Include file="Inputs.xml"/>
{body}
<Simulation id="sim" length="30ms" step="0.02ms" target="net">
<OutputFile id="o" fileName="v.dat">{columns}</OutputFile></Simulation></Lems>
"""
_QUANTITIES = (
    *(f"A/{n}/rs/v" for n in range(4)),
    *(f"B/{n}/iaf/v" for n in (2, 0)),
    "L/1/slow/v",
    "H/0/hh/v",
    "A/2/rs/synapses:ampa:0/g",
)


def write_xml(folder: Path, name: str = "reading.xml") -> Path:
    """Write the model as NeuroML in one LEMS file."""
    lines = [COMPONENTS, '<network id="net" type="networkWithTemperature" temperature="16 degC">']
    for population, (cell, size) in CELLS.items():
        lines.append(
            f'<population id="{population}" component="{cell}" type="populationList" size="{size}">'
        )
        lines += [
            f'<instance id="{n}"><location x="{n}" y="0" z="0"/></instance>' for n in range(size)
        ]
        lines.append("</population>")
    for number, (pre, post, synapse, rows) in EVENTS.items():
        lines.append(
            f'<projection id="{number}" presynapticPopulation="{pre}" '
            f'postsynapticPopulation="{post}" synapse="{synapse}">'
        )
        lines += [
            f'<connectionWD id="{n}" preCellId="{_path(pre, a)}" postCellId="{_path(post, b)}" '
            f'weight="{weight}" delay="{delay} ms"/>'
            for n, (a, b, weight, delay) in enumerate(rows)
        ]
        lines.append("</projection>")
    lines.append(
        '<electricalProjection id="gaps" presynapticPopulation="A" postsynapticPopulation="A">'
    )
    lines += [
        f'<electricalConnectionInstanceW id="{n}" preCell="{_path("A", a)}" '
        f'postCell="{_path("A", b)}" synapse="gap" weight="{weight}"/>'
        for n, (a, b, weight) in enumerate(GAPS)
    ]
    lines.append(
        "</electricalProjection>"
        '<continuousProjection id="analogue" presynapticPopulation="A" postsynapticPopulation="B">'
    )
    lines += [
        f'<continuousConnectionInstanceW id="{n}" preCell="{_path("A", a)}" '
        f'postCell="{_path("B", b)}" preComponent="silent" postComponent="graded" '
        f'weight="{weight}"/>'
        for n, (a, b, weight) in enumerate(GRADED)
    ]
    lines.append("</continuousProjection>")
    for population, inputs in INPUTS.items():
        if inputs:
            lines.append(
                f'<inputList id="to{population}" component="pulse" population="{population}">'
            )
            lines += [
                f'<inputW id="{n}" target="{_path(population, cell)}" destination="synapses" '
                f'weight="{weight}"/>'
                for n, (cell, weight) in enumerate(inputs)
            ]
            lines.append("</inputList>")
    lines.append("</network>")
    return _write(folder / name, "\n".join(lines))


def write_hdf5(folder: Path) -> Path:
    """Write the model with its network in NeuroML's HDF5 format, as libNeuroML names things."""
    with h5py.File(folder / "net.nml.h5", "w") as file:
        top = file.create_group("neuroml")
        top.attrs["id"] = "doc"
        group = top.create_group("network")
        group.attrs["id"], group.attrs["temperature"] = "net", "16 degC"
        for name, (cell, size) in CELLS.items():
            places = np.zeros((size, 4))
            places[:, 0] = places[:, 1] = np.arange(size)
            _table(group, f"population_{name}", name, places, ("id", "x", "y", "z"), component=cell)
        for name, (pre, post, synapse, rows) in EVENTS.items():
            _table(
                group,
                f"projection_{name}",
                name,
                np.array([(n, *row) for n, row in enumerate(rows)])[:, ::-1],
                ("delay", "weight", "post_cell_id", "pre_cell_id", "id"),
                type="projection",
                presynapticPopulation=pre,
                postsynapticPopulation=post,
                synapse=synapse,
            )
        for name, post, rows, words in (
            ("gaps", "A", GAPS, {"type": "electricalProjection", "synapse": "gap"}),
            (
                "analogue",
                "B",
                GRADED,
                {
                    "type": "continuousProjection",
                    "preComponent": "silent",
                    "postComponent": "graded",
                },
            ),
        ):
            _table(
                group,
                f"projection_{name}",
                name,
                np.array([(n, *row) for n, row in enumerate(rows)]),
                ("id", "pre_cell_id", "post_cell_id", "weight"),
                presynapticPopulation="A",
                postsynapticPopulation=post,
                **words,
            )
        for name, inputs in INPUTS.items():
            if inputs:
                _table(
                    group,
                    f"inputList_to{name}",
                    f"to{name}",
                    np.array([(n, *item) for n, item in enumerate(inputs)]),
                    ("id", "target_cell_id", "weight"),
                    component="pulse",
                    population=name,
                )
    include = f'{COMPONENTS}<Include file="net.nml.h5"/>'
    return _write(folder / "reading_hdf5.xml", include)


def _path(population: str, cell: int) -> str:
    return f"../{population}/{cell}/{CELLS[population][0]}"


def _write(path: Path, body: str) -> Path:
    columns = "".join(
        f'<OutputColumn id="c{n}" quantity="{quantity}"/>' for n, quantity in enumerate(_QUANTITIES)
    )
    path.write_text(_LEMS.format(body=body, columns=columns), encoding="utf-8")
    return path


def _table(
    parent: h5py.Group,
    name: str,
    identifier: str,
    rows: NDArray[np.float64],
    columns: tuple[str, ...],
    **words: str,
) -> None:
    group = parent.create_group(name)
    for key, text in {"id": identifier, **words}.items():
        group.attrs[key] = np.bytes_(text.encode("utf-8"))
    if "component" in words and "population" not in words:
        group.attrs["size"] = len(rows)
        group.attrs["type"] = np.bytes_(b"populationList")
    dataset = group.create_dataset(identifier, data=rows)
    for number, column in enumerate(columns):
        dataset.attrs[f"column_{number}"] = np.bytes_(column.encode("utf-8"))
