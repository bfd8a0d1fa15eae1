"""The faults: what is put in place of what, in which file, and which rung must catch it."""

from __future__ import annotations

from dataclasses import dataclass

EQUATIONS, BUILD, LINKS, LOWER = (
    f"annarchy/{name}.py" for name in ("equations", "start", "links", "lower")
)
SYNAPSES, PRINTING = "annarchy/synapses.py", "annarchy/printing.py"
STORAGE, POPULATIONS, RANDOM = (
    f"annarchy/{name}" for name in ("connections.cpp", "populations.py", "random.hpp")
)
ROUNDING, QUEUES, CELLS = (
    "rounding.py",
    "annarchy/connections.hpp",
    "annarchy/population.hpp",
)
PROJECTIONS = "annarchy/projections.py"
AXIAL, SPREAD, STEP = "lems/axial.py", "lems/spread.py", "ir/step.py"
LISTED, TUNNELS, INPUTS = (f"lems/{name}.py" for name in ("connections", "tunnels", "network"))
HDF5, SETTINGS = "lems/hdf5.py", "lems/settings.py"
RECORDER, CHANCE, RULES = "annarchy/recorder.py", "lems/sampling.py", "lems/structure.py"
CASES = "lems/lower.py"
ATTACH, REGIMES, INTEGRATORS = "attach.py", "ir/passes/regimes.py", "ir/integrators.py"


@dataclass(frozen=True)
class Fault:
    """A fault.

    Parameters
    ----------
    name : str
    file : str
        In the package.
    old, new : str
        The text that occurs once, and what it becomes.
    rung : str
        Which must fail; ``diff`` for that command.
    model : str
        On which, see `tests.mutations.model.write_models`; that of the rung if empty.
    """

    name: str
    file: str
    old: str
    new: str
    rung: str = "equations"
    model: str = ""


FAULTS = (
    Fault("time is that of the start of the step", EQUATIONS, 'return "(t + dt)"', 'return "t"'),
    Fault("a sign is lost", EQUATIONS, 'return f"(-{_print(operand', 'return f"({_print(operand'),
    Fault("minus becomes plus", EQUATIONS, '"-": " - "', '"-": " + "'),
    Fault("division becomes product", EQUATIONS, '"/": "/"', '"/": "*"'),
    Fault("an exponent is one higher", EQUATIONS, "^{int(exponent)}", "^{int(exponent) + 1}"),
    Fault(
        "parentheses are lost",
        EQUATIONS,
        'return f"({text})" if outer > level else text',
        "return text",
    ),
    Fault(
        "a - (b - c) loses its parentheses",
        EQUATIONS,
        'if op == "^" else (level, level + 1)',
        'if op == "^" else (level, level)',
    ),
    Fault(
        "the branches of a choice are exchanged",
        EQUATIONS,
        "for item in (condition, then, otherwise)]",
        "for item in (condition, otherwise, then)]",
    ),
    Fault("a logarithm becomes its inverse", EQUATIONS, '"ln": "log"', '"ln": "exp"'),
    Fault("no reset", EQUATIONS, "reset_texts = self._reset(reset)", "reset_texts = ()"),
    Fault(
        "only the first assignment of a reset",
        EQUATIONS,
        "for item in block.assignments\n        )",
        "for item in block.assignments[:1]\n        )",
    ),
    Fault(
        "events arrive after what is derived",
        EQUATIONS,
        "        self._arrive(touched)\n        for definition in self.step.definitions:\n"
        "            self._define(definition)\n",
        "        for definition in self.step.definitions:\n"
        "            self._define(definition)\n        self._arrive(touched)\n",
    ),
    Fault(
        "states advance one after the other",
        EQUATIONS,
        'f"d{symbol}/dt = {self._rate(rate)}", is_ode=True',
        'f"{symbol} = {symbol} + dt*({self._rate(rate)})", is_ode=False',
    ),
    Fault(
        "conditions of a block are inverted",
        EQUATIONS,
        'f"ite({self._text(block.test)}, 1.0, 0.0)")\n        for',
        'f"ite({self._text(block.test)}, 0.0, 1.0)")\n        for',
    ),
    Fault(
        "what a block assigns is not seen by the next",
        EQUATIONS,
        "            self.current[item.state] = symbol\n        return flag",
        "        return flag",
    ),
    Fault(
        "what has arrived is not seen by what follows",
        EQUATIONS,
        "            self._assign(symbol, text)\n            self.current[item.state] = symbol\n",
        "            self._assign(symbol, text)\n",
    ),
    Fault(
        "values of single cells are not scaled",
        BUILD,
        "return to_simulation_array(values, symbol.dimension)",
        "return values",
    ),
    Fault(
        "values of all cells are not scaled",
        BUILD,
        "return to_simulation(float(values[0]), symbol.dimension)",
        "return float(values[0])",
    ),
    Fault(
        "cells share the first one's value",
        BUILD,
        "np.all(values == values[0])",
        "True",
    ),
    Fault("delays are cut", ROUNDING, "np.rint(steps, out=steps)", "np.floor(steps, out=steps)"),
    Fault(
        "delays are a step longer",
        ROUNDING,
        "return steps.astype(np.int32)",
        "return (steps + 1.0).astype(np.int32)",
    ),
    Fault(
        "no delay acts in the next step", ROUNDING, "np.maximum(steps, 1.0", "np.maximum(steps, 2.0"
    ),
    Fault(
        "weights are dropped",
        LINKS,
        "block.weights if self.is_weighted else np.ones(1)",
        "np.ones(1)",
    ),
    Fault(
        "presynaptic cells are counted from 0",
        LINKS,
        "_moved(block.pre, self.first_pre)",
        "_moved(block.pre, 0)",
    ),
    Fault(
        "postsynaptic cells are counted from 0",
        LINKS,
        "_moved(block.post, self.first_post)",
        "_moved(block.post, 0)",
    ),
    Fault(
        "all components of a synapse have the first one's values",
        LINKS,
        "for values in components.values()])[owners]",
        "for values in components.values()])[owners * 0]",
    ),
    Fault(
        "a gap junction reads its own cell twice",
        LINKS,
        "{'pre' if is_peer else 'post'}",
        "{'post' if is_peer else 'post'}",
    ),
    Fault(
        "merged populations lie on each other",
        LOWER,
        "sum(other.size for other in populations[:place])",
        "0",
    ),
    Fault(
        "an input is lost",
        ATTACH,
        "for rank in range(int(ranks.max()) + 1):",
        "for rank in range(1):",
    ),
    Fault(
        "inputs take the first one's values",
        ATTACH,
        "array[part.cells] = part.value(name)",
        "array[part.cells] = first",
    ),
    Fault(
        "cells without an input get it",
        ATTACH,
        "Attached(attachment, source.dynamics, place, switch)",
        "Attached(attachment, source.dynamics, place)",
    ),
    Fault(
        "synapses take the first one's values",
        ATTACH,
        "float(values[own[0]]) if is_uniform else values[own]",
        "float(values[0])",
    ),
    Fault(
        "synapses share a slot", ATTACH, "used[chosen, cells] = True", "used[chosen, cells] = False"
    ),
    Fault(
        "what an event does is done in the wrong order",
        SYNAPSES,
        "for name in ordered)",
        "for name in reversed(ordered))",
    ),
    Fault(
        "a synapse shows the wrong quantity",
        SYNAPSES,
        "psp=total if",
        'psp=f"2.0*({total})" if',
    ),
    Fault(
        "an event of a plastic synapse counts twice",
        SYNAPSES,
        'f"g_target += {total}"',
        'f"g_target += 2.0*({total})"',
    ),
    Fault("powers are lost", PRINTING, 'f"whole_power<{text}>({base})"', 'f"({base})"'),
    Fault(
        "choices are exchanged in C++",
        PRINTING,
        "{condition} ? {then} : {otherwise}",
        "{condition} ? {otherwise} : {then}",
    ),
    Fault(
        "a sign is lost in C++",
        PRINTING,
        'return f"-{self.expression(_SIGN_LEVEL)}"',
        "return self.expression(_SIGN_LEVEL)",
    ),
    Fault("the time is a step ahead in C++", PRINTING, "double(t)*dt", "double(t + 1)*dt"),
    Fault("and becomes or", PRINTING, '"and": "&&"', '"and": "||"'),
    Fault(
        "half a step of Euler",
        INTEGRATORS,
        'Binary("+", Name(state), move)',
        'Binary("+", Name(state), Binary("*", HALF, move))',
        "trajectory",
    ),
    Fault(
        "relaxation by a wrong series",
        INTEGRATORS,
        'Binary("-", Call("exp", exponent), ONE)',
        'Binary("+", Call("exp", exponent), ONE)',
        "trajectory",
    ),
    Fault(
        "a regime is entered without its entry",
        REGIMES,
        "return (*regime.on_entry, Assignment(self.state, self.numbers[target]))",
        "return (Assignment(self.state, self.numbers[target]),)",
        "reference",
    ),
    Fault(
        "parameters of merged populations are exchanged",
        LOWER,
        "values = [item.values[name] for item in self.populations]",
        "values = [item.values[name] for item in reversed(self.populations)]",
    ),
    Fault(
        "delays are lost where they are stored",
        STORAGE,
        "delay_of[place] = uint16_t(delay)",
        "delay_of[place] = uint16_t(1)",
    ),
    Fault(
        "connections end at the cell before",
        STORAGE,
        "post_of[place] = int(post);",
        "post_of[place] = post > 0 ? int(post) - 1 : 0;",
    ),
    Fault(
        "cells of different parameters are taken for equal",
        POPULATIONS,
        "is_uniform &= {0}.prepare();",
        "is_uniform |= {0}.prepare() || true;",
    ),
    Fault(
        "a state is not written back",
        POPULATIONS,
        '_WRITES = {"Values": "{0}_block[i] = {0};"}',
        '_WRITES = {"Values": "{0}_block[i] = i % 2 ? {0} : {0}_block[i];"}',
    ),
    Fault(
        "gates are used at the end of the step, not half way",
        INTEGRATORS,
        "for name in slopes}, HALF)",
        "for name in slopes}, ONE)",
        "trajectory",
    ),
    Fault(
        "v goes to the end of the step for the gates",
        INTEGRATORS,
        'move = Binary("*", _part_of_step(HALF), rate)',
        'move = Binary("*", _part_of_step(ONE), rate)',
        "trajectory",
    ),
    Fault(
        "rows are recorded a step late",
        RECORDER,
        "rows = [_rows(first + 1, first + n_steps, period) for period in self._axes]",
        "rows = [_rows(first + 2, first + n_steps + 1, period) for period in self._axes]",
        "trajectory",
    ),
    Fault(
        "what is recorded is not scaled back",
        RECORDER,
        "from_simulation(trace.values, self._symbols[source].dimension)",
        "trace.values",
        "trajectory",
    ),
    Fault(
        "the cases of a variable are exchanged",
        CASES,
        'Select(self._expression(case, "condition"), result, value)',
        'Select(self._expression(case, "condition"), value, result)',
        "reference",
    ),
    Fault(
        "random numbers do not reach their upper end",
        RANDOM,
        "width(high - low)",
        "width(T(0.9) * (high - low))",
        "invariants",
    ),
    Fault(
        "cells start alike",
        BUILD,
        "return initial_values(group.dynamics, values, group.size, seed % 2**63 + number)",
        "return initial_values(group.dynamics, values, group.size, 7)",
        "invariants",
    ),
    Fault(
        "one connection too many in ten",
        CHANCE,
        "gaps = random.geometric(chance, ",
        "gaps = random.geometric(1.1 * chance, ",
        "invariants",
    ),
    Fault(
        "the first cells are chosen",
        CHANCE,
        "drawn = random.integers(n, size",
        "drawn = random.integers(n // 2, size",
        "invariants",
    ),
    Fault(
        "the first cells of a group are chosen",
        CHANCE,
        "keys = random.random(groups.size)",
        "keys = np.arange(groups.size) / groups.size",
        "invariants",
    ),
    Fault(
        "a loop that is thinned keeps the chance in its condition",
        RULES,
        "rest = [*parts[:number], *parts[number + 1 :]]",
        "rest = parts",
        "invariants",
    ),
    # Connections, where they are stored and while they wait
    Fault(
        "the last connection of a row is lost",
        QUEUES,
        "stop = row[pre + 1];",
        "stop = row[pre + 1] - 1;",
    ),
    Fault(
        "waiting events come a step late",
        QUEUES,
        "arriving(part, delay).push_back",
        "arriving(part, delay + 1).push_back",
    ),
    Fault(
        "a row waits as long as its first",
        QUEUES,
        "delay_of[size_t(end)] == delay) ++end;",
        "delay_of[size_t(end)] == delay_of[size_t(end)]) ++end;",
    ),
    Fault(
        "a matrix of weights is exchanged",
        STORAGE,
        "return size_t(cell);",
        "return size_t((cell + 1) % n_cells);",
    ),
    Fault(
        "weights are single numbers",
        STORAGE,
        "(*array)[place] = values.number(i);",
        "(*array)[place] = real(float(values.number(i)));",
    ),
    Fault(
        "all connections have the first one's weight",
        QUEUES,
        "sums[post[i]] += weights[i];",
        "sums[post[i]] += weights[0];",
    ),
    Fault(
        "the last cell of a block sends nothing",
        CELLS,
        "list.push_back(begin + i);",
        "if (i + 1 < n) list.push_back(begin + i);",
    ),
    Fault(
        "parameters of cells are shifted by one",
        BUILD,
        "return to_simulation_array(values, symbol.dimension)",
        "return to_simulation_array(np.roll(values, 1), symbol.dimension)",
    ),
    Fault(
        "what follows from parameters is the first cell's",
        BUILD,
        "return values if n > 1 else float(values[0])",
        "return float(values[0])",
    ),
    # Compartments
    Fault(
        "only the last neighbour's current flows in",
        PROJECTIONS,
        """g_{self.item.target}%(post_index)s += {value};""",
        """g_{self.item.target}%(post_index)s = {value};""",
        "equations",
        "cable",
    ),
    Fault(
        "the current along a cell is doubled",
        LINKS,
        "for name, what in _added_by_each(projection):",
        "for name, what in (*_added_by_each(projection), *_added_by_each(projection)):",
        "equations",
        "cable",
    ),
    Fault(
        "the current along a cell is that at the start",
        STEP,
        "running = with_inflows_ahead(running)",
        "running = map_expressions(running, fold)",
        "trajectory",
        "cable",
    ),
    Fault(
        "the current along a cell is looked ahead by a step",
        AXIAL,
        'Binary("*", Number(0.5), Binary("-", Name(INFLOW), Name(_BEFORE))),',
        'Binary("*", Number(1.0), Binary("-", Name(INFLOW), Name(_BEFORE))),',
        "trajectory",
        "cable",
    ),
    Fault(
        "the current along a cell flows one way",
        SPREAD,
        "divided.pairs[:, ::-1]])",
        "divided.pairs])",
        "equations",
        "cable",
    ),
    Fault(
        "connections end on other segments",
        "lems/targets.py",
        "compartments.place(int(segment), at) for",
        "compartments.place(0, at) for",
        "equations",
        "cable",
    ),
    Fault(
        "all compartments are as large as the first",
        "lems/compartments.py",
        "diameter = compartment.area / (math.pi * compartment.length)",
        "diameter = self.compartments[0].area / (math.pi * compartment.length)",
        "equations",
        "cable",
    ),
    # What is read of a file
    Fault(
        "ends of connections are exchanged",
        LISTED,
        "group.pre.array(),\n                group.post.array(),",
        "group.post.array(),\n                group.pre.array(),",
        "reference",
        "reading",
    ),
    Fault(
        "rows have the delay of the first",
        LISTED,
        'group.delays.add(connection, "delay",',
        'group.delays.add(connection, "none",',
        "reference",
        "reading",
    ),
    Fault(
        "rows have the weight of the first",
        LISTED,
        'group.weights.add(connection, "weight",',
        'group.weights.add(connection, "none",',
        "reference",
        "reading",
    ),
    Fault(
        "weights of gap junctions are dropped",
        TUNNELS,
        'group.weights.add(connection, "weight", connection.values.get("weight", 1.0))',
        'group.weights.add(connection, "none", 1.0)',
        "reference",
        "reading",
    ),
    Fault(
        "a synapse reads its own cell",
        TUNNELS,
        "Block(group.read.array(), group.cells.array(),",
        "Block(group.cells.array(), group.cells.array(),",
        "reference",
        "reading",
    ),
    Fault(
        "weights of inputs are dropped",
        INPUTS,
        '{"weight": factors} if',
        "{} if",
        "reference",
        "reading",
    ),
    Fault(
        "the temperature is not that of the network",
        INPUTS,
        "network.values[item.name])\n",
        "10.0 + network.values[item.name])\n",
        "reference",
        "reading",
    ),
    Fault(
        "recorded cells are counted from 0",
        RECORDER,
        "cells = first + np.array(item.cells, dtype=np.intp)",
        "cells = np.array(item.cells, dtype=np.intp)",
        "equations",
        "reading",
    ),
    Fault(
        "columns of what is recorded are exchanged",
        RECORDER,
        "tables[share.source][:, places]",
        "tables[share.source][:, places[::-1]]",
        "equations",
        "reading",
    ),
    Fault(
        "spikes are told a step early",
        RECORDER,
        "self._times(item.steps + 1)",
        "self._times(item.steps)",
        "equations",
        "reading",
    ),
    Fault(
        "spikes of merged populations are told of the first",
        RECORDER,
        "firsts = [group.first(item.id) for item in group.populations]",
        "firsts = [0 for item in group.populations]",
        "equations",
        "reading",
    ),
    # Chance
    Fault(
        "all populations draw the same numbers",
        CELLS,
        "Generator(seed ^ (uint64_t(population) << 32)).next()",
        "Generator(seed).next()",
        "invariants",
    ),
    Fault(
        "all populations start alike",
        BUILD,
        "return initial_values(group.dynamics, values, group.size, seed % 2**63 + number)",
        "return initial_values(group.dynamics, values, group.size, seed % 2**63)",
        "invariants",
    ),
    # Formats and settings
    Fault(
        "HDF5: columns of weights and delays are exchanged",
        HDF5,
        '_Column("weight", "weight"), _Column("delay", "delay", "{} ms")',
        '_Column("delay", "weight"), _Column("weight", "delay", "{} ms")',
        "diff",
        "hdf5",
    ),
    Fault(
        "HDF5: the last rows are lost",
        HDF5,
        "size = dataset.shape[0]",
        "size = max(1, dataset.shape[0] - 1)",
        "diff",
        "hdf5",
    ),
    Fault(
        "HDF5: numbers in order of the file stand for columns",
        HDF5,
        "{places[item.name]: item for item in read}",
        "{number: item for number, item in enumerate(read)}",
        "diff",
        "hdf5",
    ),
    Fault(
        "a setting is written, and not taken",
        SETTINGS,
        "item.component.values[declaration.name] = number",
        "item.component.values.setdefault(declaration.name, number)",
        "diff",
        "set",
    ),
    Fault(
        "a setting does not reach what extends it",
        SETTINGS,
        "for item in (place, *_made_from(places, place, declaration.name)):",
        "for item in (place,):",
        "diff",
        "set",
    ),
    Fault(
        "exports exchange the ends of connections",
        "exporters/expansion.py",
        '"preCellId": block.pre,\n                    "postCellId": block.post,',
        '"preCellId": block.post,\n                    "postCellId": block.pre,',
        "diff",
        "export",
    ),
    Fault(
        "exports lose weights",
        "exporters/expansion.py",
        'columns["weight"] = block.weights',
        'columns["weight"] = np.ones(block.pre.size)',
        "diff",
        "export",
    ),
    Fault(
        "exports exchange columns of HDF5",
        "exporters/neuroml_hdf5.py",
        "table[:, number] = column",
        "table[:, -number] = column",
        "diff",
        "export_hdf5",
    ),
)
