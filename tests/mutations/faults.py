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
RECORDER, CHANCE, RULES = "annarchy/recorder.py", "lems/sampling.py", "lems/structure.py"
CASES = "lems/lower.py"
ROUNDING = "rounding.py"
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
        Which must fail.
    """

    name: str
    file: str
    old: str
    new: str
    rung: str = "equations"


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
)
