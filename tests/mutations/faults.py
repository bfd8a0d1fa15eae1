"""The faults: what is put in place of what, in which file, and which rung must catch it."""

from __future__ import annotations

from dataclasses import dataclass

EQUATIONS, BUILD, LINKS, LOWER = (
    f"annarchy/{name}.py" for name in ("equations", "start", "links", "lower")
)
SYNAPSES, PRINTING = "annarchy/synapses.py", "annarchy/printing.py"
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
    Fault("delays are cut", LINKS, "np.rint(steps, out=steps)", "np.floor(steps, out=steps)"),
    Fault(
        "delays are a step longer",
        LINKS,
        "return steps.astype(np.int32)",
        "return (steps + 1.0).astype(np.int32)",
    ),
    Fault(
        "no delay acts in the next step", LINKS, "np.maximum(steps, 1.0", "np.maximum(steps, 2.0"
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
        "psp=reader.text(Name(variable))",
        'psp=f"2.0*({reader.text(Name(variable))})"',
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
)
