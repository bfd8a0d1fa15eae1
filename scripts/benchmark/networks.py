"""Writes the networks of the benchmark: NeuroML for this package and EDEN, arrays for the others.

Connections are random, from a fixed seed, and the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

SCHEMA = "http://www.neuroml.org/schema/neuroml2"
N_DRIVES = 20  # different amplitudes of the current that drives the cells
LENGTH_MS = 1000.0


@dataclass(frozen=True)
class Iaf:
    """Cells of Vogels & Abbott (2005), as in Brette et al. (2007), J. Comput. Neurosci. 23:349.

    A fifth of them is inhibitory. Each has so many inputs from cells chosen at random, with
    weights evenly distributed between half and one and a half of the mean.
    """

    name: str
    n_cells: int
    n_inputs: int
    weight_exc: float  # mean [nS]
    weight_inh: float
    drive_ms: float  # a current of 0.1 to 0.6 nA, for so long
    step_ms: float = 0.1


COBA = Iaf("coba", 4000, 80, 6.0, 67.0, 50.0)
IAF_10K = Iaf("iaf10k", 10_000, 100, 4.8, 53.6, LENGTH_MS)

CELLS = """<expOneSynapse id="exc" gbase="1nS" erev="0mV" tauDecay="5ms"/>
<expOneSynapse id="inh" gbase="1nS" erev="-80mV" tauDecay="10ms"/>
<iafRefCell id="cell" leakReversal="-60mV" thresh="-50mV" reset="-60mV" C="200pF"
 leakConductance="10nS" refract="5ms"/>
"""


def write_iaf(network: Iaf, folder: Path) -> Path:
    """Write NAME.npz, NAME.net.nml and NAME.xml; return the path of the last."""
    arrays = _connections(network)
    np.savez(
        folder / f"{network.name}.npz",
        **arrays,
        n_cells=network.n_cells,
        step_ms=network.step_ms,
        drive_ms=network.drive_ms,
    )
    n_exc = network.n_cells * 4 // 5
    ranges = {"exc": range(n_exc), "inh": range(n_exc, network.n_cells)}
    with (folder / f"{network.name}.net.nml").open("w", encoding="ascii") as file:
        file.write(f'<neuroml xmlns="{SCHEMA}" id="{network.name}">\n{CELLS}')
        for number, amplitude in enumerate(_amplitudes()):
            file.write(
                f'<pulseGenerator id="drive{number}" delay="0ms" amplitude="{amplitude:g}nA" '
                f'duration="{network.drive_ms:g}ms"/>\n'
            )
        file.write('<network id="net">\n')
        for name, cells in ranges.items():
            file.write(f'<population id="{name}s" component="cell" size="{len(cells)}"/>\n')
        for source in ranges:
            for target in ranges:
                _write_projection(file, source, target, n_exc, arrays)
        for name, cells in ranges.items():
            _write_inputs(file, name, cells)
        file.write("</network>\n</neuroml>\n")
    path = folder / f"{network.name}.xml"
    _write_simulation(path, network, ranges)
    return path


def _amplitudes() -> np.ndarray:
    return np.round(np.linspace(0.1, 0.6, N_DRIVES), 4)


def _connections(network: Iaf) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    post = np.repeat(np.arange(network.n_cells, dtype=np.int32), network.n_inputs)
    pre = random.integers(0, network.n_cells, post.size, dtype=np.int32)
    mean = np.where(pre < network.n_cells * 4 // 5, network.weight_exc, network.weight_inh)
    return {
        "pre": pre,
        "post": post,
        "weight": np.round(mean * random.uniform(0.5, 1.5, post.size), 4),
        "drive": _amplitudes()[np.arange(network.n_cells) % N_DRIVES],
    }


def _write_projection(
    file: TextIO, source: str, target: str, n_exc: int, arrays: dict[str, np.ndarray]
) -> None:
    pre, post = arrays["pre"], arrays["post"]
    chosen = ((pre < n_exc) == (source == "exc")) & ((post < n_exc) == (target == "exc"))
    ends = (pre[chosen] - n_exc * (source == "inh"), post[chosen] - n_exc * (target == "inh"))
    file.write(
        f'<projection id="{source}_{target}" presynapticPopulation="{source}s" '
        f'postsynapticPopulation="{target}s" synapse="{source}">\n'
    )
    rows = zip(*(item.tolist() for item in ends), arrays["weight"][chosen].tolist(), strict=True)
    file.writelines(
        f'<connectionWD id="{i}" preCellId="../{source}s[{a}]" postCellId="../{target}s[{b}]" '
        f'weight="{w}" delay="1ms"/>\n'
        for i, (a, b, w) in enumerate(rows)
    )
    file.write("</projection>\n")


def _write_inputs(file: TextIO, name: str, cells: range) -> None:
    for number in range(N_DRIVES):
        file.write(
            f'<inputList id="{name}{number}" population="{name}s" component="drive{number}">\n'
        )
        places = (cell - cells.start for cell in cells if cell % N_DRIVES == number)
        file.writelines(
            f'<input id="{i}" target="../{name}s[{place}]" destination="synapses"/>\n'
            for i, place in enumerate(places)
        )
        file.write("</inputList>\n")


def _write_simulation(path: Path, network: Iaf, ranges: dict[str, range]) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write('<Lems>\n<Target component="sim"/>\n')
        for name in ("Cells.xml", "Networks.xml", "Simulation.xml", f"{network.name}.net.nml"):
            file.write(f'<Include file="{name}"/>\n')
        file.write(
            f'<Simulation id="sim" length="{LENGTH_MS:g}ms" step="{network.step_ms:g}ms" '
            f'target="net">\n'
            f'<EventOutputFile id="out" fileName="{network.name}.spikes" format="ID_TIME">\n'
        )
        for name, cells in ranges.items():
            file.writelines(
                f'<EventSelection id="{cell}" select="{name}s[{cell - cells.start}]" '
                f'eventPort="spike"/>\n'
                for cell in cells
            )
        file.write("</EventOutputFile>\n</Simulation>\n</Lems>\n")


def write_izhikevich(n_cells: int, n_inputs: int, types: Path, folder: Path) -> Path:
    """Write Izhikevich cells with noise, each with so many inputs, by rules; return the path."""
    path = folder / f"izhikevich{n_cells}x{n_inputs}.xml"
    n_exc = n_cells * 4 // 5
    parts = {"E": ("excitatory", n_exc), "I": ("inhibitory", n_cells - n_exc)}
    cells = {
        "excitatory": 'a0="0.02" ar="0" b0="0.2" br="0" c0="-65" cr="15" d0="8" dr="-6" noise="5"',
        "inhibitory": 'a0="0.02" ar="0.08" b0="0.25" br="-0.05" c0="-65" cr="0" d0="2" dr="0" '
        'noise="2"',
    }
    # As in the network of Izhikevich (2003), where a cell has 1000 inputs.
    weights = {"E": (0.0, 500.0 / n_inputs), "I": (-1000.0 / n_inputs, 0.0)}
    with path.open("w", encoding="ascii") as file:
        file.write('<Lems>\n<Target component="sim"/>\n')
        for name in ("Cells.xml", "Networks.xml", "Simulation.xml"):
            file.write(f'<Include file="{name}"/>\n')
        for name in ("connection_rules.types.xml", "izhikevich2003_network.types.xml"):
            file.write(f'<Include file="{types / name}"/>\n')
        for name, values in cells.items():
            file.write(
                f'<heterogeneousIzhikevichCell id="{name}" {values} v0="-65mV" thresh="30mV"/>\n'
            )
        file.write('<pulseSynapse id="pulse" tau="1ms"/>\n<network id="net">\n')
        for name, (component, size) in parts.items():
            file.write(f'<population id="{name}" component="{component}" size="{size}"/>\n')
        for source, (low, high) in weights.items():
            for target in parts:
                inputs = n_inputs * (4 if source == "E" else 1) // 5
                file.write(
                    f'<fixedInDegree id="{source}{target}" presynapticPopulation="{source}" '
                    f'postsynapticPopulation="{target}" synapse="pulse" inDegree="{inputs}" '
                    f'weightMin="{low:g}" weightMax="{high:g}" delay="1ms"/>\n'
                )
        file.write("</network>\n")
        file.write(f'<Simulation id="sim" length="{LENGTH_MS:g}ms" step="1ms" target="net"/>\n')
        file.write("</Lems>\n")
    return path


def write_connectome(folder: Path, *, is_split: bool) -> Path:
    """Write 300 cells with 6000 connections of 12 synapses; return the path.

    Split, every cell is a population and every connection a projection; else there are 3 and 12.
    """
    path = folder / f"connectome_{'split' if is_split else 'joined'}.xml"
    random = np.random.default_rng(2)
    kind = random.integers(0, 12, 6000)  # decides between which of three groups, too
    pre = kind % 3 * 100 + random.integers(0, 100, 6000)
    post = kind // 3 % 3 * 100 + random.integers(0, 100, 6000)
    size = 1 if is_split else 100
    with path.open("w", encoding="ascii") as file:
        file.write('<Lems>\n<Target component="sim"/>\n')
        for name in ("Cells.xml", "Networks.xml", "Simulation.xml"):
            file.write(f'<Include file="{name}"/>\n')
        for number in range(12):
            kind_of_decay = (
                f'<expOneSynapse tauDecay="{number + 2}ms"'
                if number % 2
                else f'<expTwoSynapse tauRise="1ms" tauDecay="{number + 2}ms"'
            )
            erev = -80 + 20 * (number % 5)
            file.write(f'{kind_of_decay} id="s{number}" gbase="0.1nS" erev="{erev}mV"/>\n')
        file.write('<iafRefCell id="cell" leakReversal="-49mV" thresh="-50mV" reset="-60mV" ')
        file.write('C="200pF" leakConductance="10nS" refract="5ms"/>\n<network id="net">\n')
        file.writelines(
            f'<population id="p{number}" component="cell" size="{size}"/>\n'
            for number in range(300 // size)
        )
        groups: dict[tuple[int, int, int, int], list[tuple[int, int]]] = {}
        rows = zip(pre.tolist(), post.tolist(), kind.tolist(), strict=True)
        for number, (a, b, k) in enumerate(rows):
            own = number if is_split else 0  # projections of their own
            groups.setdefault((a // size, b // size, k, own), []).append((a % size, b % size))
        for number, ((a, b, k, _), ends) in enumerate(groups.items()):
            file.write(
                f'<projection id="c{number}" presynapticPopulation="p{a}" '
                f'postsynapticPopulation="p{b}" synapse="s{k}">\n'
            )
            file.writelines(
                f'<connectionWD id="{i}" preCellId="../p{a}[{x}]" postCellId="../p{b}[{y}]" '
                'weight="1" delay="1ms"/>\n'
                for i, (x, y) in enumerate(ends)
            )
            file.write("</projection>\n")
        file.write("</network>\n")
        file.write(f'<Simulation id="sim" length="{LENGTH_MS:g}ms" step="0.1ms" target="net"/>\n')
        file.write("</Lems>\n")
    return path


def write_populations(count: int, folder: Path) -> Path:
    """Write so many populations of one structure; return the path."""
    path = folder / f"populations{count}.xml"
    names = range(count)
    body = [
        '<Lems>\n<Target component="sim"/>',
        *(f'<Include file="{name}.xml"/>' for name in ("Cells", "Networks", "Simulation")),
        *(
            f'<izhikevichCell id="c{i}" v0="-65mV" thresh="30mV" a="{0.02 + i * 1e-4:g}" b="0.2" '
            'c="-65" d="8"/>'
            for i in names
        ),
        '<network id="net">',
        *(f'<population id="p{i}" component="c{i}" size="1"/>' for i in names),
        "</network>",
        f'<Simulation id="sim" length="{LENGTH_MS:g}ms" step="0.1ms" target="net"/>',
        "</Lems>",
    ]
    path.write_text("\n".join(body) + "\n", encoding="ascii")
    return path


HH = """<neuroml xmlns="{schema}" id="hh">
<ionChannelHH id="leak" conductance="10pS"/>
<ionChannelHH id="na" conductance="10pS" species="na">
<gateHHrates id="m" instances="3">
<forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
<reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/></gateHHrates>
<gateHHrates id="h" instances="1">
<forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
<reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/></gateHHrates>
</ionChannelHH>
<ionChannelHH id="k" conductance="10pS" species="k">
<gateHHrates id="n" instances="4">
<forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
<reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/></gateHHrates>
</ionChannelHH>
<cell id="hhcell"><morphology id="shape"><segment id="0" name="soma">
<proximal x="0" y="0" z="0" diameter="17.84"/><distal x="0" y="0" z="0" diameter="17.84"/>
</segment></morphology>
<biophysicalProperties id="bio"><membraneProperties>
<channelDensity id="leaks" ionChannel="leak" condDensity="3 S_per_m2" erev="-54.3mV" ion="non_specific"/>
<channelDensity id="nas" ionChannel="na" condDensity="120 mS_per_cm2" erev="50mV" ion="na"/>
<channelDensity id="ks" ionChannel="k" condDensity="360 S_per_m2" erev="-77mV" ion="k"/>
<spikeThresh value="-20mV"/><specificCapacitance value="1.0 uF_per_cm2"/>
<initMembPotential value="-65mV"/></membraneProperties>
<intracellularProperties><resistivity value="0.03 kohm_cm"/></intracellularProperties>
</biophysicalProperties></cell>
<pulseGenerator id="pulse" delay="10ms" duration="100s" amplitude="0.08nA"/>
<network id="net"><population id="cells" component="hhcell" size="1"/>
<explicitInput target="cells[0]" input="pulse"/></network></neuroml>
"""  # noqa: E501


def write_hh(folder: Path) -> Path:
    """Write the cell of Hodgkin & Huxley (1952) as `<cell>`, for 1 s at 0.001 ms."""
    (folder / "hh.net.nml").write_text(HH.format(schema=SCHEMA), encoding="ascii")
    path = folder / "hh.xml"
    path.write_text(
        '<Lems>\n<Target component="sim"/>\n<Include file="Cells.xml"/>\n'
        '<Include file="Networks.xml"/>\n<Include file="Simulation.xml"/>\n'
        '<Include file="hh.net.nml"/>\n'
        f'<Simulation id="sim" length="{LENGTH_MS:g}ms" step="0.001ms" target="net">\n'
        '<EventOutputFile id="out" fileName="hh.spikes" format="ID_TIME">\n'
        '<EventSelection id="0" select="cells[0]" eventPort="spike"/>\n'
        "</EventOutputFile>\n</Simulation>\n</Lems>\n",
        encoding="ascii",
    )
    return path
