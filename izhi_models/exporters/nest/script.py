"""A plan as a Python script for NEST."""

from __future__ import annotations

import itertools
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.annarchy.recorder import Recording
from izhi_models.errors import Diagnostic, UnsupportedError
from izhi_models.exporters.brian2.layout import braces
from izhi_models.exporters.brian2.paths import Paths, one_line
from izhi_models.exporters.nest.equations import Floats
from izhi_models.exporters.nest.layout import (
    ADAPTIVE_UNITS,
    CONNECT,
    GATHERED,
    OWN_NAMES,
    RESULTS,
    TRAINS,
    UNITS,
)
from izhi_models.exporters.nest.models import EULER, Choice
from izhi_models.exporters.nest.plan import Nodes, Plan, Planned, Showered, Wired, make_plan
from izhi_models.exporters.nest.sources import Piece, Train, Wave, starts_at
from izhi_models.exporters.request import Request
from izhi_models.network import Input
from izhi_models.scripts import Script

_LONGEST_LIST = 12
_FEW = 4  # pieces of a current that have a generator each
_TICS = (1_000, 10_000, 100_000, 1_000_000)


def write_script(request: Request) -> Script:
    """Write a network as a script.

    Parameters
    ----------
    request : Request

    Raises
    ------
    UnsupportedError
        If NEST has no model for a part of it, or not its step.
    """
    return _Writer(request, make_plan(request)).script()


def _number(value: float) -> str:
    """Return a number with the digits that mean something: the rest is rounding."""
    return repr(float(f"{value:.12g}") + 0.0)


def _quoted(text: str) -> str:
    """Return text as a literal, which is the same text for Python whatever is in it."""
    return f'"{text}"' if one_line(text) == text else ascii(text)


def _family(name: str) -> set[str]:
    """Return an identifier with those that are made from it."""
    return {name, *(f"{name}_{end}" for end in ("values", "cells", "train"))}


@dataclass
class _Store:
    """Decides which arrays are written out."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def text(self, name: str, values: NDArray[Any], *, is_list: bool = False) -> str:
        """Return the text of an array, or of the one number that all its elements are."""
        if not is_list and values.size and np.all(values == values[0]):
            return self._one(values[0])
        if values.size <= _LONGEST_LIST:
            return f"[{', '.join(self._one(item) for item in values)}]"
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        key = next(item for item in names if item not in self.arrays)
        self.arrays[key] = values
        return f"arrays[{_quoted(key)}]"

    def _one(self, value: Any) -> str:
        if isinstance(value, np.bool_):
            return str(bool(value))
        return _number(float(value)) if isinstance(value, np.floating) else str(int(value))


def _drive(planned: Planned, nodes: Nodes) -> Floats:
    """Return the constant current of cells: their own, and that of inputs, in pA."""
    own = np.asarray(nodes.choice.parameters.get("I_e", planned.drive * 0.0))
    return (own + planned.drive)[nodes.cells]


class _Writer:
    def __init__(self, request: Request, plan: Plan) -> None:
        self.request = request
        self.plan = plan
        self.store = _Store()
        self.dt_ms = float(f"{request.dt_s * 1e3:.12g}")
        self.taken = set(OWN_NAMES)
        self.names = {item: self._make(item) for item in plan.populations}
        self.n_steps = round(request.duration_s / request.dt_s)
        self.blocks: dict[str, list[str]] = {}
        self.unrecorded: list[str] = []

    def _make(self, name: str) -> str:
        """Return a new identifier that resembles a name."""
        text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60].strip("_")
        if not text[:1].isalpha():
            text = f"x{text}"
        numbered = (f"{text}_{number}" for number in itertools.count(2))
        found = next(
            item
            for item in itertools.chain([text], numbered)
            if not keyword.iskeyword(item) and not self.taken & _family(item)
        )
        self.taken |= _family(found)
        return found

    def script(self) -> Script:
        """Return the whole script."""
        body: list[str] = []
        for planned in self.plan.populations.values():
            body += ["", *self._population(planned)]
        body += ["", *self._nodes()]
        for name, planned in self.plan.populations.items():
            if planned.cell is not None and planned.cell.noise is not None:
                body += ["", *self._noise(name, planned.cell.noise)]
        for item, wave, gains in self.plan.currents:
            body += ["", *self._current(item, wave, gains)]
        for shower in self.plan.showers:
            body += ["", *self._shower(shower)]
        for wired in self.plan.wired:
            body += ["", *self._wired(wired)]
        body += ["", *self._records()]
        helpers = []
        text = "\n".join(body)
        for word, lines in (("gathered(", GATHERED), ("connect(", CONNECT), ("trains(", TRAINS)):
            if re.search(rf"(?<![\w.]){re.escape(word)}", text):
                helpers += lines
        lines = [*self._docstring(), *self._head(helpers), *body, *self._simulate(), *RESULTS]
        return Script("\n".join(lines) + "\n", self.store.arrays)

    def _ms(self, steps: int) -> str:
        return _number(steps * self.dt_ms)

    # Cells

    def _population(self, planned: Planned) -> Iterator[str]:
        item = planned.population
        count = f"{item.size} cell" + ("s" if item.size > 1 else "")
        kind = item.dynamics.name
        component = kind if item.component == kind else f"{item.component}, {kind}"
        yield one_line(f"# {item.id}: {count} of {component}")
        if notes := Paths(self.request.experiment.model, [item]).notes():
            yield from (f"# {line}" for line in wrap(one_line(notes), 96))
        name = self.names[item.id]
        self.blocks[item.id] = [name]
        if isinstance(planned.train, Train):
            yield from self._random(name, item.size, planned.train)
        elif planned.train is not None:
            repeats = any(
                wired.plasticity is not None and wired.pre == item.id for wired in self.plan.wired
            )
            yield from self._spikes(name, planned.train, repeats=repeats)
        for number, nodes in enumerate(planned.nodes):
            own = name
            if number:
                own = self._make(f"{item.id}_{number + 1}")
                self.blocks[item.id].append(own)
            yield from self._cells(own, nodes.choice, nodes.cells, _drive(planned, nodes))
            if len(planned.nodes) > 1:
                cells = self.store.text(f"{own}_cells", nodes.cells, is_list=True)
                yield f"{own}_cells = {cells}  # which of {one_line(item.id)} these are"

    def _cells(
        self, name: str, choice: Choice, cells: NDArray[np.intp], drive: Floats
    ) -> Iterator[str]:
        parameters: dict[str, Floats | list[float]] = dict(choice.parameters)
        parameters.pop("I_e", None)
        if np.any(drive):
            parameters["I_e"] = np.zeros(int(cells.max()) + 1)
            np.asarray(parameters["I_e"])[cells] = drive
        lines = []
        for key, value in parameters.items():
            if isinstance(value, list):
                text = f"[{', '.join(_number(item) for item in value)}]"
            else:
                text = self.store.text(f"{name}_{key}", value[cells])
            units = {**UNITS, **ADAPTIVE_UNITS} if choice.model.startswith("aeif") else UNITS
            unit = units.get(key, "")
            lines.append(f'"{key}": {text},' + (f"  # {unit}" if unit else ""))
        yield from braces(f"{name}_values", lines)
        yield f'{name} = nest.Create("{choice.model}", {cells.size}, {name}_values)'

    def _random(self, name: str, size: int, train: Train) -> Iterator[str]:
        """Yield cells that repeat trains of their own: what they send can be recorded."""
        yield f'{name} = nest.Create("parrot_neuron", {size})'
        yield f'{name}_train = nest.Create("{train.model}", 1, {self._train(train)})'
        yield f'nest.Connect({name}_train, {name}, "all_to_all", {{"delay": DT}})'

    def _train(self, train: Train) -> str:
        inner = ", ".join(f'"{key}": {_number(value)}' for key, value in train.parameters.items())
        return f"{{{inner}}}"

    def _spikes(self, name: str, steps: list[NDArray[np.int64]], *, repeats: bool) -> Iterator[str]:
        yield "# The steps at whose end it sends, computed from its equations."
        owner = f"{name}_train" if repeats else name
        if repeats:
            yield "# NEST's generators have one kind of synapse only, so cells repeat their spikes,"
            yield "# which takes a step."
            steps = [np.maximum(item - 1, 1) for item in steps]
        if all(np.array_equal(item, steps[0]) for item in steps):
            listed = self.store.text(f"{name}_steps", steps[0], is_list=True)
            times = f'{{"spike_times": np.multiply({listed}, DT)}}'
        else:
            flat = self.store.text(f"{name}_steps", np.concatenate(steps), is_list=True)
            ends = np.cumsum([item.size for item in steps])[:-1]
            times = f"trains({flat}, {self.store.text(f'{name}_ends', ends, is_list=True)})"
        yield f'{owner} = nest.Create("spike_generator", {len(steps)}, {times})'
        if repeats:
            yield f'{name} = nest.Create("parrot_neuron", {len(steps)})'
            yield f'nest.Connect({owner}, {name}, "one_to_one", {{"delay": DT}})'

    def _nodes(self) -> Iterator[str]:
        yield "# The nodes that the cells of each population are."
        items = []
        for item, blocks in self.blocks.items():
            label = _quoted(item)
            if len(blocks) == 1:
                items.append(f"{label}: np.array({blocks[0]}.tolist()),")
                continue
            items.append(f"{label}: gathered(")
            items += [f"    ({block}, {block}_cells)," for block in blocks]
            items.append("),")
        yield from braces("nodes", items)

    # What drives them

    def _noise(self, population: str, deviations: Floats) -> Iterator[str]:
        name = self._make(f"{population}_noise")
        yield f"# Drawn anew in each ms, for each cell of {one_line(population)}."
        yield f'{name} = nest.Create("noise_generator", 1, {{"std": 1.0, "dt": 1.0}})'
        weights = self.store.text(f"{name}_weights", deviations)
        yield f"connect({name}.global_id, {self._chosen(population, None)}, {weights}, DT)"

    def _chosen(self, population: str, cells: NDArray[Any] | None, name: str = "") -> str:
        """Return the text of the nodes of some cells, or of all."""
        found = f"nodes[{_quoted(population)}]"
        size = self.plan.populations[population].population.size
        if cells is None or np.array_equal(cells, np.arange(size)):
            return found
        return f"{found}[{self.store.text(name, cells, is_list=True)}]"

    def _current(self, item: Input, wave: Wave, gains: Floats) -> Iterator[str]:
        gain = float(gains[0])
        count = f"{wave.cells.size} cell" + ("s" if wave.cells.size > 1 else "")
        yield one_line(f"# {item.id}: {count} of {item.population}")
        base, *rest = wave.pieces
        if base.value:
            amount = _number(base.value * gain)
            yield f"# Before it changes, it is part of I_e of the cells: {amount} pA."
        changed = [piece for piece in rest if piece.value != base.value]
        early: list[Piece] = changed
        if len(changed) > _FEW:
            early = [piece for piece in rest if piece.first == 1]
        made = [
            (f"{item.id}_{number}" if number > 1 else item.id, *self._constant(piece, base, gain))
            for number, piece in enumerate(early, 1)
        ]
        if len(changed) > _FEW:
            made.append((f"{item.id}_steps", *self._varying(item.id, rest, base, gain)))
        cells = self._chosen(item.population, wave.cells, f"{item.id}_cells")
        weights = self.store.text(f"{item.id}_weights", gains / gain)
        for wanted, model, parameters in made:
            name = self._make(wanted)
            yield f'{name} = nest.Create("{model}", 1, {parameters})'
            yield f"connect({name}.global_id, {cells}, {weights}, DT)"

    def _constant(self, piece: Piece, base: Piece, gain: float) -> tuple[str, str]:
        """Return the model and the parameters of a generator of a constant current."""
        inner = f'"amplitude": {_number((piece.value - base.value) * gain)}'
        inner += f', "start": {self._ms(starts_at(piece.first))}'
        if piece.end < self.n_steps:
            inner += f', "stop": {self._ms(starts_at(piece.end))}'
        return "dc_generator", f"{{{inner}}}"

    def _varying(self, id_: str, rest: list[Piece], base: Piece, gain: float) -> tuple[str, str]:
        late = [piece for piece in rest if piece.first > 1]
        steps = np.array([starts_at(piece.first) for piece in late])
        values = np.array([(piece.value - base.value) * gain for piece in late])
        times = f"np.multiply({self.store.text(f'{id_}_starts', steps, is_list=True)}, DT)"
        found = self.store.text(f"{id_}_values", values, is_list=True)
        return (
            "step_current_generator",
            f'{{"amplitude_times": {times}, "amplitude_values": {found}}}',
        )

    def _shower(self, item: Showered) -> Iterator[str]:
        name = self._make(item.id)
        count = f"{item.cells.size} cell" + ("s" if item.cells.size > 1 else "")
        yield one_line(f"# {item.id}: {count} of {item.population}")
        sender = f"{name}.global_id"
        if isinstance(item.train, Train):
            train = self._train(item.train)
            yield f'{name} = nest.Create("{item.train.model}", 1, {train})'
            if len(item.links) > 1:
                yield f'{name}_cells = nest.Create("parrot_neuron", {item.cells.size})'
                yield f'nest.Connect({name}, {name}_cells, "all_to_all", {{"delay": DT}})'
                sender = f"{name}_cells.tolist()"
        else:
            steps = self.store.text(f"{name}_steps", np.maximum(item.train - 1, 1), is_list=True)
            times = f'{{"spike_times": np.multiply({steps}, DT)}}'
            yield f'{name} = nest.Create("spike_generator", 1, {times})'
        cells = self._chosen(item.population, item.cells, f"{name}_targets")
        for number, (weights, receptors) in enumerate(item.links, 1):
            text = self.store.text(f"{name}_weights_{number}", weights)
            receptor = self._receptor(f"{name}_receptors_{number}", receptors)
            yield f"connect({sender}, {cells}, {text}, DT{receptor})"

    def _receptor(self, name: str, receptors: NDArray[np.int32]) -> str:
        return f", receptor_type={self.store.text(name, receptors)}" if receptors.any() else ""

    def _wired(self, item: Wired) -> Iterator[str]:
        count = f"{item.weights.size} connection" + ("s" if item.weights.size > 1 else "")
        yield one_line(f"# {item.synapse}: {count}, {item.pre} to {item.post}")
        name = self._make(item.id)
        pre = self._chosen(item.pre, item.pre_cells, f"{name}_pre")
        post = self._chosen(item.post, item.post_cells, f"{name}_post")
        weights = self.store.text(f"{name}_weights", item.weights)
        if np.all(item.delays == item.delays[0]):
            delays = self._ms(int(item.delays[0]))
        else:
            delays = f"np.multiply({self.store.text(f'{name}_delays', item.delays)}, DT)"
        more = self._receptor(f"{name}_receptors", item.receptors)
        if item.plasticity is not None:
            release = _number(item.plasticity.release)
            more += (
                f', model="tsodyks2_synapse", U={release}, u={release}, x=1.0, '
                f"tau_rec={_number(item.plasticity.recovery_ms)}, "
                f"tau_fac={_number(item.plasticity.facilitation_ms)}"
            )
        yield f"connect({pre}, {post}, {weights}, {delays}{more})"

    # Recording

    def _records(self) -> Iterator[str]:
        sending = [item for item, planned in self.plan.populations.items() if planned.sends]
        new = 'nest.Create("spike_recorder"),'
        yield from braces("spikes", [f"{_quoted(item)}: {new}" for item in sending])
        yield "for name, recorder in spikes.items():"
        yield "    cells = nest.NodeCollection(np.sort(nodes[name]))"
        yield '    nest.Connect(cells, recorder, "all_to_all", {"delay": DT})'
        yield "# Name, population, what NEST records, cells, period in steps, and by what it is"
        yield "# multiplied and raised to be SI."
        items = [line for item in self.request.recordings for line in self._recording(item)]
        yield from braces("traces", items, ("[", "]"))
        yield "monitors = []"
        yield "for _, population, variable, cells, period, _, _ in traces:"
        yield '    record = {"record_from": [variable], "interval": period * DT}'
        yield '    monitors.append(nest.Create("multimeter", 1, record))'
        yield "    found = nest.NodeCollection(np.unique(nodes[population][cells]))"
        yield '    nest.Connect(monitors[-1], found, "all_to_all", {"delay": DT})'
        if self.unrecorded:
            yield "# Not recorded, since NEST does not show it: " + self.unrecorded[0]
            yield from (f"# {item}" for item in self.unrecorded[1:])
        yield ""

    def _simulate(self) -> Iterator[str]:
        """Yield what advances the network, and changes currents where generators cannot."""
        begin: list[str] = []
        end: list[str] = []
        for item, planned in self.plan.populations.items():
            if not np.any(planned.second):
                continue
            for name, nodes in zip(self.blocks[item], planned.nodes, strict=True):
                drive = _drive(planned, nodes)
                for lines, values in (
                    (begin, drive + planned.second[nodes.cells]),
                    (end, drive),
                ):
                    text = self.store.text(f"{name}_I_e", values)
                    lines.append(f"{name}.I_e = {text}")
        if begin:
            yield "# Generators act from the third step on."
            yield "nest.Simulate(DT)"
            yield from begin
            yield "nest.Simulate(DT)"
            yield from end
            yield "nest.Simulate(DURATION)  # recorders are told a step later"
        else:
            yield "nest.Simulate(DURATION + 2 * DT)  # recorders are told a step later"

    def _recording(self, item: Recording) -> Iterator[str]:
        planned = self.plan.populations.get(item.population)
        states = planned.population.dynamics if planned is not None else None
        traces = planned.cell.traces if planned is not None and planned.cell is not None else {}
        label = item.name if item.is_whole else f"{item.population}/{item.name}"
        found: dict[str, list[int]] = {}
        for number, variable, connection in item.columns():
            known = states.exposed(variable) if states is not None and connection is None else None
            if known not in traces:
                if one_line(label) not in self.unrecorded:
                    self.unrecorded.append(one_line(label))
                continue
            found.setdefault(str(known), []).append(number)
        for variable, chosen in found.items():
            trace = traces[variable]
            cells = np.array(chosen)
            place = self.store.text(f"{label}_cells", cells, is_list=True)
            factor = self.store.text(f"{label}_factor", trace.factor[cells])
            offset = self.store.text(f"{label}_offset", trace.offset[cells])
            yield (
                f'({_quoted(label)}, {_quoted(item.population)}, "{trace.recordable}", {place}, '
                f"{item.period}, {factor}, {offset}),"
            )

    # The head

    def _docstring(self) -> Iterator[str]:
        yield f'"""{one_line(self.request.name)}, as a script for NEST.'
        yield ""
        models: dict[str, dict[str, None]] = {}
        for planned in self.plan.populations.values():
            for nodes in planned.nodes:
                models.setdefault(nodes.choice.numerics, {})[nodes.choice.model] = None
        for numerics, names in models.items():
            verb = "advance" if len(names) > 1 else "advances"
            yield from wrap(f"{', '.join(names)} {verb} {numerics}.", 98)
        yield from wrap(_TIMING, 98)
        if any(nodes.choice.numerics != EULER for p in self.plan.populations.values()
               for nodes in p.nodes):  # fmt: skip
            yield from wrap(_FINER, 98)
        if self.plan.is_late:
            yield from wrap(_LATE, 98)
        yield from wrap("Random numbers are NEST's own.", 98)
        yield ""
        yield "    python FILE.py [THREADS]"
        yield ""
        yield "prints the number of spikes of each population and saves all that is recorded in"
        yield "FILE_results.npz, in SI units: NAME.steps is the number of the step at whose end a"
        yield "spike is sent, the first being 1, and NAME.cells the cell."
        yield '"""'
        yield ""

    def _head(self, helpers: list[str]) -> Iterator[str]:
        yield "import sys"
        yield "from pathlib import Path"
        yield ""
        yield "import nest"
        yield "import numpy as np"
        yield ""
        yield f"DT = {_number(self.dt_ms)}  # step [ms]"
        yield f"DURATION = {self._ms(self.n_steps)}  # [ms]"
        yield ""
        yield "path = Path(__file__)"
        if self.store.arrays:
            yield 'arrays = np.load(path.with_suffix(".npz"))'
        yield "nest.verbosity = nest.VerbosityLevel.ERROR"
        yield "nest.ResetKernel()"
        tics = next((item for item in _TICS if self._is_whole(item)), None)
        if tics is None:
            message = f"NEST cannot make a step of {self.dt_ms:g} ms: it counts in whole ns"
            hint = "give another step, --dt"
            raise UnsupportedError(Diagnostic(message, notes=(hint,)))
        if tics > _TICS[0]:
            yield f"nest.set(tics_per_ms={tics}, resolution=DT)"
        else:
            yield "nest.resolution = DT"
        yield "nest.local_num_threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1"
        yield f"nest.rng_seed = {self.request.seed % (2**32 - 1) or 1}"
        yield from helpers
        if helpers:
            yield ""

    def _is_whole(self, tics: int) -> bool:
        return abs(self.dt_ms * tics - round(self.dt_ms * tics)) < 1e-9


_TIMING = (
    "A spike is sent at the end of a step and acts after its delay. In the model, it acts at the "
    "start of the step that ends then; so delays are one step shorter here, and currents start "
    "two steps earlier, which is how long they take to act."
)
_FINER = (
    "The model takes steps of forward Euler or Runge-Kutta, so that times of spikes differ as "
    "much as these do from the solution."
)
_LATE = "Delays of one step or less are one step here, and act one step later than in the model."
