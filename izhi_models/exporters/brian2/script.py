"""A whole network as a Python script for Brian2."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.lower import Group, kinds_of
from izhi_models.annarchy.recorder import Recording, recorded_inside, recorded_names
from izhi_models.exporters.brian2.cells import (
    METHODS,
    Cells,
    Event,
    events,
    held_lines,
    make_cells,
    model_lines,
    namespace_lines,
)
from izhi_models.exporters.brian2.layout import (
    CLASSES,
    FUNCTIONS,
    RESULTS,
    block_of,
    braces,
    imports,
)
from izhi_models.exporters.brian2.links import (
    WEIGHT_LINE,
    Link,
    Written,
    find_links,
    write_arrivals,
    write_own,
)
from izhi_models.exporters.brian2.monitors import Column, Variable, monitor_lines
from izhi_models.exporters.brian2.paths import Paths, one_line
from izhi_models.exporters.brian2.words import Identifiers, base_unit, quantities, quantity
from izhi_models.exporters.request import Request
from izhi_models.ir.linearity import Coupling
from izhi_models.network import PEER, Block, Connection, Network
from izhi_models.rounding import in_steps
from izhi_models.scripts import Script
from izhi_models.units import NONE, TIME, Dimension

_LONGEST_LIST = 12
_OWN_NAMES = (
    *CLASSES, "DT", "DURATION", "Path", "arrays", "cells", "chosen", "first", "float", "found",
    "columns", "group", "int", "len", "monitor", "name", "np", "path", "period", "populations",
    "print", "results", "rk4", "size", "spikes", "sum", "sys", "traces", "variable", "where",
    "word_substitute",
)  # fmt: skip


@dataclass
class _Store:
    """Decides which arrays are written out. Those in the file are SI."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def values(self, name: str, values: NDArray[np.float64], dimension: Dimension) -> str:
        """Return the text of quantities."""
        if values.size <= _LONGEST_LIST:
            return quantities(values, dimension)
        unit = base_unit(dimension)
        text = self._stored(name, values)
        return text if unit == "1" else f"{text}{unit[1:] if unit[0] == '1' else f'*{unit}'}"

    def numbers(self, name: str, values: NDArray[Any]) -> str:
        """Return the text of bare numbers."""
        return repr(values.tolist()) if values.size <= _LONGEST_LIST else self._stored(name, values)

    def _stored(self, name: str, values: NDArray[Any]) -> str:
        self.arrays[name] = values
        return f'arrays["{name}"]'


def write_script(request: Request) -> Script:
    """Write a network as a script.

    Parameters
    ----------
    request : Request

    Raises
    ------
    UnsupportedError
        If Brian2 cannot express the network.
    """
    return _Writer(request).script()


class _Writer:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.network: Network = request.experiment.network
        self.store = _Store()
        self.top = Identifiers(_OWN_NAMES)
        self.groups = [
            Group(tuple(populations), dynamics, {})
            for dynamics, populations in kinds_of(self.network).items()
        ]
        self.number_of = {
            item.id: number
            for number, group in enumerate(self.groups)
            for item in group.populations
        }
        self.links = find_links(self.network, self.number_of)
        self.cells = [self._cells(number) for number in range(len(self.groups))]
        self.populations = {
            item.id: item.id if re.fullmatch(r"\w+", item.id, re.ASCII) else self.top.make(item.id)
            for group in self.groups
            for item in group.populations
        }

    def script(self) -> Script:
        """Return the whole script."""
        body = []
        for cells in self.cells:
            body += ["", *self._group(cells)]
        for link in self.links:
            body += ["", *self._synapses(link)]
        body += ["", *self._monitors(), "", "run(DURATION)", "", *RESULTS]
        functions = set().union(*(item.functions for item in self.cells), self.own_functions)
        functions |= {item.method for item in self.cells} & FUNCTIONS.keys()
        body = [
            *self._settings(),
            *(line for name in sorted(functions) for line in FUNCTIONS[name]),
            *body,
        ]
        text = "\n".join(body)
        return Script(
            "\n".join([*self._docstring(), *imports(text), "", text]) + "\n", self.store.arrays
        )

    own_functions: frozenset[str] = frozenset()

    # Groups

    def _cells(self, number: int) -> Cells:
        group = self.groups[number]
        populations = group.populations
        only = populations[0].id if len(populations) == 1 else group.dynamics.name
        kept = recorded_names(self.request.recordings)
        arriving: set[str] = set()
        sums: dict[str, list[str]] = {}
        read: set[str] = set()
        for link in self.links:
            for item in link.members:
                if link.post == number:
                    arriving |= {arrival.name for arrival in item.arrivals}
                    for name in item.own if link.own else ():
                        parts = sums.setdefault(name, [])
                        if link.part_of(name) not in parts:
                            parts.append(link.part_of(name))
                for requirement in item.dynamics.requirements if link.own else ():
                    is_peer = requirement.name.startswith(PEER)
                    if number == (link.pre if is_peer else link.post):
                        read.add(requirement.name.removeprefix(PEER))
        return make_cells(
            self.top.make(only),
            number,
            group,
            Paths(self.request.experiment.model, populations),
            method=_method(self.request.method, group),
            seed=self.request.seed,
            kept=frozenset(name for item in populations for name in kept.get(item.id, ())),
            arrivals=frozenset(arriving),
            sums=sums,
            read=frozenset(read),
        )

    def _group(self, cells: Cells) -> Iterator[str]:
        name = cells.identifier
        yield from _about(cells)
        names = namespace_lines(cells)
        yield from braces(f"{name}_values", names)
        yield f'{name}_equations = """'
        yield from model_lines(cells)
        yield '"""'
        before, spike, after = events(cells)
        yield f"{name} = NeuronGroup("
        yield f"    {cells.size},"
        yield f"    {name}_equations,"
        if spike is not None:
            yield f'    threshold="{spike.test}",'
            yield f"    reset={block_of(spike.code, 8)},"
        if before or after:
            yield "    events={"
            yield from (f'        "{item.name}": "{item.test}",' for item in (*before, *after))
            yield "    },"
        method = cells.method if cells.method in FUNCTIONS else f'"{cells.method}"'
        yield f"    method={method},"
        functions = "".join(f', "{item}": {item}' for item in sorted(cells.functions))
        yield (
            f"    namespace={{**{name}_values{functions}}},"
            if functions
            else (f"    namespace={name}_values,")
        )
        yield f'    name="{name}",'
        yield ")"
        yield from _scheduled(name, before, "before_thresholds")
        yield from _scheduled(name, after, "after_resets")
        if held := held_lines(cells):
            yield f'{name}.run_regularly({block_of(held, 4)}, when="before_groups")'
        yield from self._values(cells)

    def _values(self, cells: Cells) -> Iterator[str]:
        """Yield what sets parameters of each cell, and initial values."""
        dimensions = cells.equations.dimensions
        given = {name: cells.equations.values[name] for name in sorted(cells.each)}
        given |= {item.name: cells.start[item.name] for item in cells.equations.states}
        for name, value in given.items():
            place = f"{cells.identifier}.{cells.names[name]}"
            if isinstance(value, np.ndarray):
                text = self.store.values(place.replace(".", "_"), value, dimensions[name])
            elif value == 0.0:
                continue
            else:
                text = quantity(value, dimensions[name])
            yield f"{place} = {text}"

    # Synapses

    def _synapses(self, link: Link) -> Iterator[str]:
        pre, post = self.cells[link.pre], self.cells[link.post]
        inside = recorded_inside(self.request.recordings)
        members = {id(member) for member in link.members}
        names = frozenset(
            name
            for number, projection in enumerate(self.network.projections)
            if id(projection) in members
            for name in inside.get(number, ())
        )
        found = write_own(link, pre, post, names) if link.own else write_arrivals(link, post)
        if link.own and not (found.sums or found.on_pre):
            return
        self.own_functions = self.own_functions | found.functions
        item = link.members[0]
        synapses = {member.synapse or "events" for member in link.members}
        name = self.top.make(item.id if len(link.members) == 1 and item.id else min(synapses))
        ends = dict.fromkeys(f"{member.pre} to {member.post}" for member in link.members)
        shown = ", ".join(list(ends)[:4]) + (", ..." if len(ends) > 4 else "")
        size = sum(member.size for member in link.members)
        count = f"{size} connection" + ("s" if size > 1 else "")
        yield f"# {one_line(', '.join(sorted(synapses)))}: {count}, {one_line(shown)}"
        yield f"{name} = Synapses("
        yield f"    {pre.identifier},"
        yield f"    {post.identifier},"
        if found.model:
            yield f"    {block_of(found.model, 8)},"
        if found.on_pre:
            yield f"    on_pre={block_of(found.on_pre, 8)},"
        if found.moves:
            yield '    method="euler",'
        yield "    namespace={" + ("" if found.namespace else "},")
        if found.namespace:
            yield from (f"        {line}" for line in found.namespace)
            yield "    },"
        yield f'    name="{name}",'
        yield ")"
        yield from self._connections(link, found, name, pre, post)

    def _connections(
        self, link: Link, found: Written, name: str, pre: Cells, post: Cells
    ) -> Iterator[str]:
        firsts = {
            item.id: group.first(item.id) for group in self.groups for item in group.populations
        }
        block = link.whole(firsts)
        order = np.lexsort((block.post, block.pre))
        block = block.take(order)
        link.ranks = np.argsort(order)
        link.recorded = {
            variable: Variable(name, block.pre.size, *there)
            for variable, there in found.variables.items()
        }
        yield f"{name}.connect({self._which(block, name, pre.size, post.size)})"
        if WEIGHT_LINE in found.model:
            weights = block.weights
            same = weights.size == 1 or bool(np.all(weights == weights[0]))
            text = (
                quantity(float(weights[0]), NONE)
                if same
                else self.store.numbers(f"{name}_weights", weights)
            )
            yield f"{name}.weight = {text}"
        if found.on_pre:
            yield from self._delays(block, name)
        yield from (f"{name}.{state} = {value}" for state, value in found.start.items())
        for target in found.sums:
            yield f'{name}.summed_updaters["{target}"].when = "before_groups"'
            yield f'{name}.summed_updaters["{target}"].order = -1'
        if found.seen:
            yield f'{name}.run_regularly({block_of(found.seen, 4)}, when="before_groups")'
        if found.moves:
            yield f'{name}.state_updater.when = "after_resets"  # once the cells have advanced'
        if found.held:
            yield f'{name}.run_regularly({block_of(found.held, 4)}, when="after_resets", order=-1)'
        if found.after:
            yield f'{name}.run_regularly({block_of(found.after, 4)}, when="after_resets", order=1)'

    def _which(self, block: Block, name: str, n_pre: int, n_post: int) -> str:
        """Return which cells are connected, as arguments of `connect`."""
        size = block.pre.size
        if _is_complete(block, n_pre, n_post):
            return ""
        counted = np.arange(size)
        if (
            size == n_pre == n_post
            and np.array_equal(block.pre, counted)
            and np.array_equal(block.post, counted)
        ):
            return 'j="i"'
        pre = self.store.numbers(f"{name}_pre", block.pre)
        return f"i={pre}, j={self.store.numbers(f'{name}_post', block.post)}"

    def _delays(self, block: Block, name: str) -> Iterator[str]:
        """Yield the delays without the step that passes anyway."""
        dt_s = self.request.dt_s
        later = np.asarray((in_steps(block.delays, dt_s) - 1) * dt_s, dtype=np.float64)
        if later.size == 1 or np.all(later == later[0]):
            if later[0] > 0.0:
                text = quantity(float(f"{later[0]:.12g}"), TIME)
                yield f"{name}.delay = {text}  # after the step that passes anyway"
        else:
            text = self.store.values(f"{name}_delays", later, TIME)
            yield f"{name}.delay = {text}  # after the step that passes anyway"

    # Recording

    def _monitors(self) -> Iterator[str]:
        yield "# Recorded are states at the end of a step, and what follows from them at its start."
        for cells in self.cells:
            if cells.sends:
                yield f"{cells.identifier}_spikes = SpikeMonitor({cells.identifier})"
        monitors, traces = monitor_lines(self._columns(), self.store.numbers)
        yield from monitors
        yield "# Where the populations of the model are: monitor, first cell, number of cells."
        places = []
        for group, cells in zip(self.groups, self.cells, strict=True):
            for item in group.populations:
                if cells.sends and not item.part_of:
                    name = self.populations[item.id]
                    note = "" if name == item.id else f"  # {one_line(item.id)}"
                    first = group.first(item.id)
                    places.append(
                        f'"{name}": ({cells.identifier}_spikes, {first}, {item.size}),{note}'
                    )
        yield from braces("populations", places)
        yield "# Traces of the model: monitor, variable, cells there, period in steps, cells here."
        yield from braces("traces", traces, ("[", "]"))

    def _columns(self) -> Iterator[Column]:
        """Yield what is recorded, but for what never changes."""
        for item in self.request.recordings:
            number = self.number_of[item.population]
            cells, first = self.cells[number], self.groups[number].first(item.population)
            states = {state.name for state in cells.equations.states}
            label = _label(item, self.populations)
            for cell, variable, connection in item.columns():
                if connection is not None:
                    link, offset = self._link_of(connection)
                    if variable in link.recorded:
                        place = int(link.ranks[offset])
                        yield Column(label, item.period, cell, link.recorded[variable], place)
                    continue
                name = cells.now(variable)
                if name in cells.variables and name not in cells.each:
                    found = Variable(
                        cells.identifier, cells.size, cells.names[name], name in states
                    )
                    yield Column(label, item.period, cell, found, first + cell)

    def _link_of(self, connection: Connection) -> tuple[Link, int]:
        """Return the synapses that hold a connection, and its number before they are sorted."""
        projection = self.network.projections[connection.projection]
        link = next(
            link for link in self.links if link.own and any(m is projection for m in link.members)
        )
        before = itertools.takewhile(lambda item: item is not projection, link.members)
        return link, sum(item.size for item in before) + connection.number

    # The head

    def _docstring(self) -> Iterator[str]:
        methods = dict.fromkeys(cells.method for cells in self.cells)
        yield f'"""{one_line(self.request.name)}, as a Brian2 script.'
        yield ""
        told = "; ".join(
            _NUMERICS[method]
            + (
                " in " + ", ".join(item.identifier for item in self.cells if item.method == method)
                if len(methods) > 1
                else ""
            )
            for method in methods
        )
        yield from wrap(f"States advance by {told}. {_ORDER}", 98)
        yield ""
        yield "    python FILE.py [numpy|cython]"
        yield ""
        yield "prints the number of spikes of each population and saves all that is recorded in"
        yield "FILE_results.npz, in SI units: NAME.steps is the number of the step at whose end a"
        yield "spike is sent, the first being 1, and NAME.cells the cell."
        yield '"""'
        yield ""

    def _settings(self) -> Iterator[str]:
        request = self.request
        yield f"DT = {quantity(request.dt_s, TIME)}  # step"
        yield f"DURATION = {quantity(request.duration_s, TIME)}"
        yield ""
        yield "path = Path(__file__)"
        if self.store.arrays:
            yield 'arrays = np.load(path.with_suffix(".npz"))  # in SI units'
        yield 'prefs.codegen.target = sys.argv[1] if len(sys.argv) > 1 else "auto"'
        if request.precision == "float":
            yield "prefs.core.default_float_dtype = np.float32"
        yield "defaultclock.dt = DT"
        yield f"seed({request.seed % 2**32})"
        yield "# Spikes of the step before arrive first."
        slots = '"start", "synapses", "groups", "thresholds", "resets", "end"'
        yield f"magic_network.schedule = [{slots}]"


_NUMERICS = {
    "euler": "forward Euler (Brian2's 'euler')",
    "exponential_euler": "exponential Euler (Brian2's 'exponential_euler')",
    "rk2": "the midpoint method (Brian2's 'rk2')",
    "rk4": "the classical Runge-Kutta method",
}
_ORDER = (
    "A step first delivers spikes, then advances all states, then tests conditions on the new "
    "states and resets. A step leads from t to t + dt: an input that is on at t + dt acts in it."
)


def _is_complete(block: Block, n_pre: int, n_post: int) -> bool:
    """Return whether connections in order lead once from each cell to each."""
    return (
        block.pre.size == n_pre * n_post > 1
        and np.array_equal(block.pre, np.repeat(np.arange(n_pre), n_post))
        and np.array_equal(block.post, np.tile(np.arange(n_post), n_pre))
    )


def _method(method: str, group: Group) -> str:
    """Return the method of Brian2 for a method of ours."""
    if method == "auto":
        relaxes = group.dynamics.inflows or Coupling(group.dynamics).has_gates
        method = "exponential_midpoint" if relaxes else "euler"
    return METHODS[method]


def _about(cells: Cells) -> Iterator[str]:
    """Yield what the group is, in comments."""
    for item in cells.group.populations[:8]:
        count = f"{item.size} cell" + ("s" if item.size > 1 else "")
        kind = cells.group.dynamics.name
        component = kind if item.component == kind else f"{item.component}, {kind}"
        yield one_line(f"# {item.id}: {count} of {component}")
    if len(cells.group.populations) > 8:
        yield f"# and {len(cells.group.populations) - 8} populations more"
    if notes := cells.paths.notes():
        yield from (f"# {line}" for line in wrap(one_line(notes), 96))


def _label(item: Recording, populations: Mapping[str, str]) -> str:
    path = item.name if item.is_whole else f"{populations[item.population]}/{item.name}"
    return one_line(path)


def _scheduled(name: str, items: Sequence[Event], when: str) -> Iterator[str]:
    """Yield the order in which conditions are tested and what they do is done."""
    for number, item in enumerate(items):
        yield f'{name}.set_event_schedule("{item.name}", when="{when}", order={2 * number})'
        code = block_of(item.code, 4)
        order = f'when="{when}", order={2 * number + 1}'
        yield f'{name}.run_on_event("{item.name}", {code}, {order})'
