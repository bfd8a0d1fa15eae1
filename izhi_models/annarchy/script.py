"""A lowered network as a Python script that needs only ANNarchy and NumPy.

The script runs what `izhi run` runs: the same neurons, values, connections and recordings, by
ANNarchy's own code. Short arrays are written in the script, long ones into a file beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.build import annarchy_folder
from izhi_models.annarchy.equations import Symbol
from izhi_models.annarchy.links import Link
from izhi_models.annarchy.lower import Group, Lowering
from izhi_models.annarchy.names import Identifiers
from izhi_models.annarchy.plain import Plain, Vocabulary, to_plain
from izhi_models.annarchy.program import WEIGHT
from izhi_models.annarchy.recorder import Recording
from izhi_models.annarchy.start import member_values, start_of, states_from_cells
from izhi_models.annarchy.texts import number_text, words
from izhi_models.annarchy.write import Place, Wording, write_parts
from izhi_models.rounding import in_steps
from izhi_models.scripts import Script
from izhi_models.units import TIME, simulation_unit, to_simulation

# The arithmetic of the equations as written, without contraction to fused operations.
FLAGS = "-O3 -march=native -ffp-contract=off"

_LONGEST_LIST = 12
_OWN_NAMES = (
    "ann", "arrays", "connect", "connections", "data", "files", "name", "net", "np", "path",
    "populations", "recorded", "results", "sys", "times", "traces", "trains",
    "DT", "DURATION", "PARADIGM", "FLAGS",
)  # fmt: skip


@dataclass
class _Names:
    """The identifiers of one script, and what is said about them."""

    top: dict[str, str] = field(default_factory=dict)
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    comments: dict[Place, str] = field(default_factory=dict)
    populations: dict[str, str] = field(default_factory=dict)

    def wording(self, values: Mapping[Place, float | NDArray[np.float64]]) -> Wording:
        """Return the names with all single values."""
        members = {
            (owner, symbol): name
            for owner, vocabulary in self.vocabularies.items()
            for symbol, name in vocabulary.names.items()
        }
        scalars = {place: value for place, value in values.items() if isinstance(value, float)}
        return Wording(self.top, members, self.comments, scalars)


def write_script(
    lowering: Lowering,
    recordings: Sequence[Recording],
    *,
    title: str,
    dt_s: float,
    duration_s: float,
    seed: int,
) -> Script:
    """Write a lowered network as a script.

    Parameters
    ----------
    lowering : Lowering
    recordings : sequence of Recording
        Quantities to record besides the spikes.
    title : str
        What the script says it is.
    dt_s, duration_s : float
        [s]
    seed : int

    Returns
    -------
    Script
    """
    names = _names(lowering)
    plain = to_plain(lowering.program, names.vocabularies)
    values = _start_values(lowering, plain, seed)
    wording = names.wording(values)
    store = _Store()
    body = [
        *_populations(lowering, plain, wording, names.populations),
        *_connections(lowering, wording, dt_s, store),
        *_monitors(lowering, recordings, wording),
        "net.compile(",
        '    directory=f"build_{path.stem}",',
        '    **({"compiler_flags": FLAGS} if PARADIGM == "openmp" else {}),',
        ")",
        *_arrays(lowering, wording, values, store),
        "",
        "net.simulate(DURATION - DT / 2)  # ANNarchy rounds up to whole steps",
        "",
        "# A step k leads to the time (k + 1) * DT; spikes and rows are those after each step.",
        *_RESULTS,
    ]
    head = [
        *_docstring(title, plain),
        *_head(lowering, dt_s, duration_s, seed, reads_file=bool(store.arrays)),
    ]
    return Script("\n".join([*head, *body]) + "\n", store.arrays)


class _Store:
    """Decides which arrays are written out."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def text(self, name: str, values: NDArray[Any]) -> str:
        """Return the text of an array in the script."""
        if values.size and np.all(values == values[0]) and values.size > _LONGEST_LIST:
            return f"np.full({values.size}, {number_text(values[0].item())})"
        if values.size <= _LONGEST_LIST:
            listed = ", ".join(number_text(value) for value in values.tolist())
            return f"np.array([{listed}])"
        self.arrays[name] = values
        return f'arrays["{name}"]'


def _start_values(
    lowering: Lowering, plain: Plain, seed: int
) -> dict[Place, float | NDArray[np.float64]]:
    values: dict[Place, float | NDArray[np.float64]] = dict(plain.numbers)
    starts: list[dict[str, NDArray[np.float64]]] = []
    for number, (group, neuron) in enumerate(
        zip(lowering.groups, lowering.program.neurons, strict=True)
    ):
        starts.append(start_of(group, number, seed))
        start = member_values(group, starts[-1])
        given = {item.symbol for item in neuron.parameters} | _read_by_synapses(lowering, number)
        given |= {
            group.symbols[item.name].symbol
            for item in group.dynamics.states
            if item.name in group.symbols
        }
        values.update({(neuron.symbol, name): start[name] for name in start if name in given})
    for link in lowering.links:
        owner = link.definition.symbol
        begun = {**link.values, **states_from_cells(link, lowering.groups, starts)}
        values.update({(owner, symbol): value for symbol, value in begun.items()})
    return values


def _read_by_synapses(lowering: Lowering, number: int) -> set[str]:
    """Return the symbols of a neuron that synapses read, which they do before its first step."""
    read: set[str] = set()
    for projection in lowering.program.projections:
        synapse = projection.synapse
        if synapse is None:
            continue
        texts = [item.text for item in synapse.equations] + [*synapse.pre_spike, synapse.psp or ""]
        found = {word for text in texts for word in words(text)}
        for end, neuron in (("pre.", projection.pre), ("post.", projection.post)):
            if neuron == number:
                read |= {word.removeprefix(end) for word in found if word.startswith(end)}
    return read


# Names


def _names(lowering: Lowering) -> _Names:
    package = annarchy_folder()
    top = Identifiers(package, _OWN_NAMES)
    names = _Names()
    for group, neuron in zip(lowering.groups, lowering.program.neurons, strict=True):
        only = group.populations[0].id if len(group.populations) == 1 else group.dynamics.name
        names.top[neuron.symbol] = top.make(only)
        inside = Identifiers(package, neuron.symbols)
        found = names.vocabularies[neuron.symbol] = Vocabulary(make=inside.make)
        paths = _Paths(group)
        for path, quantity in group.symbols.items():
            if quantity.symbol not in found.names:
                found.names[quantity.symbol] = inside.make(paths.shortest(path))
                place = (neuron.symbol, quantity.symbol)
                names.comments[place] = _comment(paths.readable(path), quantity)
    for link in lowering.links:
        pre, post = (
            lowering.program.neurons[number].symbol
            for number in (link.definition.pre, link.definition.post)
        )
        owner = link.definition.symbol
        names.top[owner] = top.make(f"{names.top[pre]}_to_{names.top[post]}")
        ends = {
            f"{end}.{symbol}": f"{end}.{name}"
            for end, neuron_symbol in (("pre", pre), ("post", post))
            for symbol, name in names.vocabularies[neuron_symbol].names.items()
        }
        names.vocabularies[owner] = Vocabulary(ends)
    plain_id = re.compile(r"\w+", re.ASCII)
    names.populations = {
        item: item if plain_id.fullmatch(item) else top.make(item) for item in lowering.order
    }
    return names


class _Paths:
    """Names in the dynamics of a group, with ids in place of numbers."""

    def __init__(self, group: Group) -> None:
        ids: dict[str, set[str]] = {}
        for population in group.populations:
            for item in population.attached:
                ids.setdefault(item.place, set()).add(item.id)
            for component, places in population.synapses.items():
                for place in places:
                    ids.setdefault(place, set()).add(component)
        self._places = {place: min(found) for place, found in ids.items() if len(found) == 1}
        self._all = [self.readable(name) for name in group.symbols]

    def readable(self, name: str) -> str:
        """Return a name with the id of what is attached."""
        place, slash, rest = name.partition("/")
        return f"{self._places.get(place, place)}{slash}{rest}"

    def shortest(self, name: str) -> str:
        """Return the shortest end of a name that no other has."""
        parts = self.readable(name).split("/")
        for count in range(1, len(parts)):
            end = "/".join(parts[-count:])
            if sum(f"/{item}".endswith(f"/{end}") for item in self._all) == 1:
                return end
        return "/".join(parts)


def _comment(name: str, quantity: Symbol) -> str:
    unit = simulation_unit(quantity.dimension)
    return f"{_one_line(name)} [{unit}]" if unit else _one_line(name)


def _one_line(text: str) -> str:
    """Return text that cannot end a comment or a docstring."""
    return re.sub(r"[^ -~]|[\"\\]", "?", text)


# Parts of the script


def _docstring(title: str, plain: Plain) -> list[str]:
    lines = [
        f'"""{_one_line(title)}, as an ANNarchy script.',
        "",
        "Times are in ms, voltages in mV, currents in pA, conductances in nS, capacitances in pF.",
        "",
        "    python FILE.py [openmp|cuda]",
        "",
        "prints the number of spikes of each population and saves all that is recorded in",
        "FILE_results.npz.",
    ]
    if any("Uniform" in item.text for neuron in plain.program.neurons for item in neuron.equations):
        lines += [
            "",
            "Numbers drawn at random are those of ANNarchy's own generator.",
        ]
    return [*lines, '"""', ""]


def _head(
    lowering: Lowering, dt_s: float, duration_s: float, seed: int, *, reads_file: bool
) -> list[str]:
    program = lowering.program
    settings = ["paradigm=PARADIGM"]
    if program.precision == "float":
        settings.append("dtype=ann.float32")
    if program.threads > 1:
        settings.append(f"num_threads={program.threads}")
    return [
        "import sys",
        "from pathlib import Path",
        "",
        'PARADIGM = sys.argv[1] if len(sys.argv) > 1 else "openmp"',
        "sys.argv = sys.argv[:1]  # ANNarchy reads the command line too",
        "",
        "import ANNarchy as ann",
        "import numpy as np",
        "",
        f"DT = {to_simulation(dt_s, TIME)!r}  # step [ms]",
        f"DURATION = {to_simulation(duration_s, TIME)!r}  # [ms]",
        f'FLAGS = "{FLAGS}"',
        "",
        "path = Path(__file__)",
        *(['arrays = np.load(path.with_suffix(".npz"))'] if reads_file else []),
        "",
        f"net = ann.Network(dt=DT, seed={seed % 2**32})",
        f"net.config({', '.join(settings)})",
        "",
    ]


def _populations(
    lowering: Lowering, plain: Plain, wording: Wording, names: Mapping[str, str]
) -> list[str]:
    lines = [*write_parts(plain.program, wording), ""]
    lines += ["# Where the populations of the model are: population, first cell, number of cells."]
    lines += ["populations = {"]
    for group, neuron in zip(lowering.groups, lowering.program.neurons, strict=True):
        owner = wording.name(neuron.symbol)
        for item in group.populations:
            found = names[item.id]
            note = "" if found == item.id else f"  # {_one_line(item.id)}"
            lines.append(f'    "{found}": ({owner}, {group.first(item.id)}, {item.size}),{note}')
    return [*lines, "}", ""]


CONNECT = '''

def connections(pre, post, dt, pre_cells, post_cells, weights, steps):
    """Return connections, given one by one, in the lists that ANNarchy stores."""
    found = ann.LILConnectivity(dt=dt)
    order, starts = in_lists(pre_cells, post_cells)
    same = np.all(steps == steps[0])
    for members in np.split(order, starts):
        delays = steps[members[:1] if same else members] * dt
        found.push_back(post_cells[members[0]], pre_cells[members], weights[members], delays)
    return found


def in_lists(pre_cells, post_cells):
    """Return the order of connections in these lists, and where each but the first starts."""
    order = np.lexsort((pre_cells, post_cells))
    return order, np.flatnonzero(np.diff(post_cells[order])) + 1


def connect(projection, pre_cells, post_cells, weights, steps):
    """Connect cells one by one; a spike arrives `steps` time steps later.

    Returns what puts values of the connections into ANNarchy's lists.
    """
    projection.from_function(
        connections, pre_cells=pre_cells, post_cells=post_cells, weights=weights, steps=steps
    )
    # `from_function` takes numbers of steps for times, and divides by DT.
    projection.max_delay = int(steps.max())
    if projection.uniform_delay != -1:
        projection.uniform_delay = projection.max_delay
    order, starts = in_lists(pre_cells, post_cells)
    return lambda values: [part.tolist() for part in np.split(values[order], starts)]


'''.splitlines()


def _connections(lowering: Lowering, wording: Wording, dt_s: float, store: _Store) -> list[str]:
    if not lowering.links:
        return []
    lines = [*CONNECT]
    for link in lowering.links:
        name = wording.name(link.definition.symbol)
        if link.size == 0:
            continue
        columns = _columns(link, dt_s)
        lines += [f"{name}_lists = connect(", f"    {name},"]
        for kind, values in columns.items():
            lines.append(f"    {store.text(f'{name}_{kind}', values)},  # {kind}")
        lines += [")"]
    pre = {link.definition.pre for link in lowering.links if link.size}
    for number in sorted(pre):
        owner = wording.name(lowering.program.neurons[number].symbol)
        longest = max(
            int(in_steps(block.delays, dt_s).max())
            for link in lowering.links
            if link.definition.pre == number
            for block in link.blocks()
        )
        lines.append(f"{owner}.max_delay = {longest}")
    return [*lines, ""]


def _columns(link: Link, dt_s: float) -> dict[str, NDArray[Any]]:
    whole = link.whole()
    return {
        "pre": whole.pre,
        "post": whole.post,
        "weights": np.array(np.broadcast_to(whole.weights, link.size)),
        "steps": np.array(np.broadcast_to(in_steps(whole.delays, dt_s), link.size)),
    }


def _monitors(lowering: Lowering, recordings: Iterable[Recording], wording: Wording) -> list[str]:
    wanted: dict[tuple[int, str, int], set[int]] = {}
    left_out: list[str] = []
    for item in recordings:
        number = lowering.group_of(item.population)
        group = lowering.groups[number]
        first = group.first(item.population)
        for cell, variable, connection in item.columns():
            if connection is not None:
                path = f"{item.population}[{cell}]/{item.name}"
                left_out.append(f"#   {path!a}")  # on one line, whatever it has
                continue
            quantity = group.symbols[variable]
            if not quantity.is_parameter:
                key = (number, quantity.symbol, item.period)
                wanted.setdefault(key, set()).add(first + cell)
    lines = ["# What is recorded: monitor, variable, and the cells of its columns.", "traces = {"]
    for (number, symbol, period), cells in wanted.items():
        neuron = lowering.program.neurons[number]
        owner = wording.name(neuron.symbol)
        name = wording.member(neuron.symbol, symbol)
        everything = len(cells) == neuron.size
        view = owner if everything else f"{owner}[{sorted(cells)!r}]"
        shown = f"range({neuron.size})" if everything else repr(sorted(cells))
        options, label = "", f"{owner}.{name}"
        if period > 1:
            # ANNarchy rounds down to whole steps.
            options = f", period={period + 0.5} * DT, period_offset={period - 0.5} * DT"
            label += f".{period}"
        monitor = f'net.monitor({view}, "{name}"{options})'
        lines.append(f'    "{label}": ({monitor}, "{name}", {shown}),')
    lines += ["}", "trains = {"]
    for neuron in lowering.program.neurons:
        if neuron.spike is not None:
            owner = wording.name(neuron.symbol)
            lines.append(f'    {owner}.name: net.monitor({owner}, "spike"),')
    if left_out:
        left_out.insert(0, "# Not recorded, as it is in the synapse of a single connection:")
    return [*lines, "}", *left_out, ""]


def _arrays(
    lowering: Lowering,
    wording: Wording,
    values: dict[Place, float | NDArray[np.float64]],
    store: _Store,
) -> list[str]:
    """Return the lines that set what differs from cell to cell, and the states of synapses."""
    links = {link.definition.symbol: link for link in lowering.links}
    lines = []
    for (owner, symbol), value in values.items():
        name = f"{wording.name(owner)}.{wording.member(owner, symbol)}"
        if isinstance(value, np.ndarray):
            text = store.text(name.replace(".", "_"), value)
            if owner in links:
                text = f"{wording.name(owner)}_lists({text})"
            lines.append(f"{name} = {text}")
        elif owner in links and links[owner].size and symbol != WEIGHT:
            lines.append(f"{name} = {number_text(value)}")
    return lines


_RESULTS = """\
results = {}
for name, (population, first, size) in populations.items():
    if population.name not in trains:
        continue
    recorded = trains[population.name].get("spike", keep=True)
    times = [
        (step + 1, cell - first)
        for cell in range(first, first + size)
        for step in recorded.get(cell, [])
    ]
    results[f"{name}.steps"] = np.array([step for step, _ in sorted(times)], dtype=int)
    results[f"{name}.cells"] = np.array([cell for _, cell in sorted(times)], dtype=int)
    print(f"{name}: {len(times)} spikes")
for name, (monitor, variable, cells) in traces.items():
    results[name] = monitor.get(variable)
    results[f"{name}.cells"] = np.array(cells)
np.savez_compressed(path.with_name(f"{path.stem}_results.npz"), **results)""".splitlines()
