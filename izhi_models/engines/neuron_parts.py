"""What jNeuroML's script for NEURON says of a small model: its cells, and what is recorded.

Each population stands in a block of lines that follow a few patterns. A line that follows none is
an error here, since what it does would be missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from izhi_models.errors import RunError

_HEADING = re.compile(r"# #{5,}\s+(?P<kind>[^:]+): (?P<name>.*)")
_NUMBER = r"(?P<value>[-+.\deE]+)"
_SECTION = re.compile(
    rf"h\.(?P<name>\w+)\[i\](?P<what>\(0\.5\)\.cm|\.L|\(0\.5\)\.diam) = {_NUMBER}\s*(#.*)?"
)
_SIZES = {"(0.5).cm": "capacitance", ".L": "length", "(0.5).diam": "diameter"}
_MECHANISM = re.compile(r'h\(" \w+\[%i\]  \{ \w+\[%i\] = new (?P<name>\w+)\(0\.5\) \} "%\(i,i\)\)')
_VALUE = re.compile(rf"h\.m_\w+\[i\]\.(?P<name>\w+) = {_NUMBER}\s*(#.*)?")
_FILE = re.compile(r'h\.load_file\("(?P<name>\w+\.hoc)"\)')
_TEMPLATE = re.compile(r'h\("\w+\[%i\] = new (?P<name>\w+)\(\)"%i\)')
_ION = re.compile(rf'h\("(?P<name>\w+_ion) = {_NUMBER}"\)')
_ROOT = re.compile(r'h\("access \w+\[%i\]\.(?P<name>\w+)"%i\)')
# What names things, counts, or is done for every template alike.
_PLAIN = re.compile(
    r"print\(.*\)|#.*|'''|Population .*|whose dynamics .*|a_\w+ = \[\]|for i in range\(.*\):"
    r"|h\(\"? ?\{ ?n_\w+ = \d+ ?\} ?\"?\)|h\(\" create \w+\[\d+\]\"\)|h\.pop_section\(\)"
    r"|h\(\" ?objectvar \w+\[\w+\] ?\"\)|h\.\w+\[i\]\.push\(\)|self\.next_global_id\+=1"
    r"|h\(\"objref fih_\w+\"\)|h\(\"proc initialise(V|Ions)_\w+\(\) \{ .* \}\"\)"
    r"|h\('\{fih_\w+ = new FInitializeHandler\([01], \"\w+\(\)\"\)\}'\)"
)
_SPIKES = re.compile(r"netConnSpike_\w+ = new NetCon\((?P<source>[^,]+), nil")
_RECORD = re.compile(r"\{ (?P<vector>v_c\d+_\w+)\.record\(&(?P<what>[^)]+(\(0\.5\))?)\) \}")
_FACTOR = re.compile(
    r"py_(?P<vector>v_c\d+_\w+) = \[ float\(x\s*((?P<sign>[*/])\s*(?P<value>[\d.eE+-]+))?\s*\)"
)
_CELSIUS = re.compile(r"h\.celsius = (?P<kelvin>[\d.]+) - 273\.15")


@dataclass(frozen=True)
class Cells:
    """The cells of a population.

    Parameters
    ----------
    cell : dict
        What makes one.
    sends : {'events', 'crossings', ''}
        Whether its mechanism sends them, or they are seen in its voltage.
    """

    cell: dict[str, Any]
    sends: str = ""


@dataclass(frozen=True)
class Recorded:
    """A quantity of one cell.

    Parameters
    ----------
    of : {'section', 'mechanism'}
    name : str
    factor : float
        To SI.
    """

    of: str
    name: str
    factor: float


@dataclass(frozen=True)
class NeuronParts:
    """A small model.

    Parameters
    ----------
    populations : dict of str to Cells
    recorded : list of Recorded
    celsius : float, optional
    ions : dict of str to float
        Concentrations that all cells have. [mM]
    """

    populations: dict[str, Cells]
    recorded: list[Recorded]
    celsius: float | None = None
    ions: dict[str, float] = field(default_factory=dict)


def read_parts(script: str) -> NeuronParts:
    """Return what a script of jNeuroML says.

    Parameters
    ----------
    script : str

    Raises
    ------
    RunError
        If it has a line that is not understood.
    """
    sending = dict(_sending(script))
    populations = {}
    for kind, name, lines in _blocks(script):
        if kind == "Population":
            cell = _cell(name, lines)
            owners = f"m_{cell.get('mechanism')}_{name}", f"a_{name}", name
            sends = next((sending[item] for item in owners if item in sending), "")
            populations[name] = Cells(cell, sends)
    found = _CELSIUS.search(script)
    celsius = float(found["kelvin"]) - 273.15 if found else None
    ions = {item["name"]: float(item["value"]) for item in _ION.finditer(script)}
    return NeuronParts(populations, list(_recorded(script)), celsius, ions)


def _blocks(script: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the kind, the name and the lines of what follows a heading."""
    kind, name = "", ""
    lines: list[str] = []
    for line in script.splitlines():
        heading = _HEADING.match(line.strip())
        if heading or line.strip().startswith("trec = "):
            yield kind, name, lines
            kind, name, lines = (heading["kind"], heading["name"], []) if heading else ("", "", [])
        elif line.strip():
            lines.append(line.strip())


def _cell(name: str, lines: list[str]) -> dict[str, Any]:
    cell: dict[str, Any] = {}
    values: dict[str, float] = {}
    for line in lines:
        if (found := _SECTION.fullmatch(line)) and found["name"] == name:
            cell[_SIZES[found["what"]]] = float(found["value"])
        elif found := _VALUE.fullmatch(line):
            values[found["name"]] = float(found["value"])
        elif found := _MECHANISM.fullmatch(line):
            cell |= {"mechanism": found["name"], "values": values}
        elif found := _FILE.fullmatch(line):
            cell["file"] = found["name"]
        elif found := _TEMPLATE.fullmatch(line):
            cell["template"] = found["name"]
        elif found := _ROOT.fullmatch(line):
            cell["root"] = found["name"]
        elif not (_PLAIN.fullmatch(line) or _ION.fullmatch(line)):
            raise RunError(f"jNeuroML wrote what is not understood: {line}")
    return cell


def _sending(script: str) -> Iterator[tuple[str, str]]:
    """Yield whose spikes are recorded, and how these are found."""
    for line in script.splitlines():
        found = _SPIKES.search(line)
        if found is None:
            continue
        is_mechanism = found["source"].startswith("m_")
        owner = found["source"] if is_mechanism else line.split("h('", 1)[1].strip()
        yield owner.split("[")[0], "events" if is_mechanism else "crossings"


def _recorded(script: str) -> Iterator[Recorded]:
    factors = {}
    for found in _FACTOR.finditer(script):
        value = float(found["value"] or 1.0)
        factors[found["vector"]] = 1.0 / value if found["sign"] == "/" else value
    for found in _RECORD.finditer(script):
        what = found["what"]
        place, _, name = what.removesuffix("(0.5)").rpartition(".")
        of = "mechanism" if place.startswith("m_") and not what.endswith("(0.5)") else "section"
        yield Recorded(of, name, factors[found["vector"]])
