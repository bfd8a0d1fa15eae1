"""Connections and inputs made by rules: the Structure of a ComponentType, executed on arrays.

Source: LEMS, elements Structure, ForEach, With, If, EventConnection and Assign. Loops run over all
their cells at once, in blocks of bounded size. In an expression the name of a loop is the number
of the cell in its population, and the name of an attribute that leads to a population is the
number of that population in the network, so that ``a .neq. b`` tells cells of one population
apart. ``random`` draws anew for each connection or test. A connection whose weight is 0 is left
out where that is proved to change nothing.

The reference interpreter ignores ``If`` with all that it holds, and the delay of an
EventConnection unless that is the name of a parameter; its expressions do not know the loops.
``number`` of ``If`` is a word of this package: of the instances of the loop around it for which
the test holds, so many are taken at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import (
    Diagnostic,
    InputError,
    Span,
    UnsupportedError,
    noted,
    raise_if_errors,
    suggest,
)
from izhi_models.expr import (
    Expr,
    Number,
    fold,
    is_random,
    names,
    parse_expression,
    substitute,
)
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.evaluate import evaluate_array, evaluate_truth
from izhi_models.lems.chances import chances, joined, operands
from izhi_models.lems.components import Component, Model
from izhi_models.lems.elements import Element
from izhi_models.lems.lower import Lowered, lower_part, parameter_values
from izhi_models.lems.rows import Rows, Sink, is_silent_at_zero, receives, to_input, to_projection
from izhi_models.lems.rules import below, loops_around
from izhi_models.lems.sampling import SPARSE, bernoulli, distinct, per_group
from izhi_models.lems.targets import attachment_of, check_gathered, find_cell, sent_ports
from izhi_models.memory import available_bytes, shortage
from izhi_models.network import WEIGHT, Block, Input, Population, Projection

BLOCK = 2**18  # cells of the innermost loop that are held at a time
_BYTES = 4 + 8 + 4  # of a connection in the compiled code: its cell, weight and number
_TELLING = 0.1  # the part of memory from which on what a rule makes tells what it will make

Populations = Mapping[str, Population]


@dataclass
class Made:
    """What the rules of a network made.

    Parameters
    ----------
    projections : list of Projection
    inputs : list of Input
    drawn : bool
        True if random numbers had a part in it.
    """

    projections: list[Projection] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    drawn: bool = False


def lower_rules(
    model: Model,
    rules: Iterable[Component],
    populations: Populations,
    seed: int,
    *,
    is_plain: bool = False,
) -> Made:
    """Execute the rules of a network.

    Parameters
    ----------
    model : Model
    rules : iterable of Component
        As `find_rules` of `lems.rules` returns them.
    populations : mapping of str to Population
        With the cells' own dynamics.
    seed : int
        Of all that the rules draw. What a rule draws depends on this and on its id only.
    is_plain : bool
        Whether to try all cells of a loop, as the rule says, even where a choice at random would
        leave most of them out: slow, and of the same distribution, so that one tells of the other.

    Raises
    ------
    InputError
        If a name in a rule leads nowhere, a value is out of range, or there are more connections
        than memory can hold.
    UnsupportedError
        If a rule has what cannot be run.
    """
    made = Made()
    faults: list[Diagnostic] = []
    for component in rules:
        rule = _Rule(model, component, populations, seed, is_plain)
        with noted(faults):
            rule.execute(made)
    raise_if_errors(faults)
    return made


class _Rule:
    """Executes the Structure of one component."""

    def __init__(
        self,
        model: Model,
        component: Component,
        populations: Populations,
        seed: int,
        is_plain: bool = False,
    ) -> None:
        self.model = model
        self.component = component
        self.populations = populations
        self.seed = seed
        self.is_plain = is_plain
        self.name = _name(component)
        self.random = np.random.default_rng([seed % 2**64, *self.name.encode()])
        self.numbers = parameter_values(model, component)
        self.sinks: dict[Element, Sink] = {}
        self.visited: dict[Element, float] = {}
        self.odds: dict[Element, float] = {}
        self.rewritten: dict[tuple[Element, str], Expr] = {}
        self.drawn = False

    def execute(self, made: Made) -> None:
        """Do all that the Structure says, and add it to what was made."""
        for element, block in self._connections():
            sink = self.sinks[element]
            sink.add(block)
            if sink.loop is not None:
                self._check_memory(sink.count * sink.bound / self.visited[sink.loop], sink.count)
        for number, (element, sink) in enumerate(self.sinks.items()):
            name = f"{self.name}[{number}]" if len(self.sinks) > 1 else self.name
            if sink.sends:
                draw = partial(self._again, element)
                made.projections.append(to_projection(name, sink, self.component.span, draw))
            elif sink.count:
                made.inputs.append(to_input(sink))
        made.drawn |= self.drawn

    def _again(self, connection: Element) -> Iterator[Block]:
        """Yield the connections of one EventConnection, the same each time."""
        rule = _Rule(self.model, self.component, self.populations, self.seed, self.is_plain)
        return (block for element, block in rule._connections() if element is connection)

    def _connections(self) -> Iterator[tuple[Element, Block]]:
        """Yield all connections, with the EventConnection that makes them. To be called once."""
        for structure in _structures(self.component):
            yield from self._run(structure, Rows())

    def _run(self, block: Element, rows: Rows) -> Iterator[tuple[Element, Block]]:
        for element in block.children:
            match element.tag:
                case "ForEach":
                    for left, part in self._each(element, rows):
                        yield from self._run(left, part)
                case "If":
                    yield from self._run(element, self._chosen(element, rows))
                case "With":
                    rows = self._with(element, rows)
                case "EventConnection":
                    yield element, self._connect(element, rows)
                case _:
                    raise UnsupportedError(
                        Diagnostic(f"<{element.tag}> in a rule cannot be run", element.span)
                    )

    # Loops

    def _each(self, element: Element, rows: Rows) -> Iterator[tuple[Element, Rows]]:
        """Yield the rows with each cell of a population, as many at a time as a block holds.

        With them comes the block that is left to do for them. Cells that a choice at random would
        leave out are not tried, if they are many.
        """
        population = self._population(element)
        name = element.get("as") or ""
        chance = self._thin(element, rows, name, population)
        choice = _choice(element)
        count = self._number(choice) if choice is not None else 0
        share = min(1.0, 2.0 * count / population.size) if choice is not None else chance
        for part in rows.blocks(BLOCK / max(1.0, population.size * share)):
            pairs = part.n * population.size
            self.visited[element] = self.visited.get(element, 0.0) + pairs
            picked = self._picked(choice, count, part, name, population) if choice else None
            if choice is not None and picked is not None:
                yield choice, picked
            elif chance < 1.0:
                places = bernoulli(pairs, chance, self.random)
                outer, inner = np.divmod(places, population.size)
                yield element, part.pick(name, population, outer, inner.astype(np.int32))
            else:
                # What chooses a number of cells must see all of them at once.
                most = population.size if _takes_number(element) else BLOCK
                for block in part.blocks(BLOCK / population.size):
                    for first in range(0, population.size, most):
                        last = min(first + most, population.size)
                        yield element, block.times(name, population, first, last)

    def _thin(self, element: Element, rows: Rows, name: str, population: Population) -> float:
        """Return the probability with which a loop needs a cell, and take it out of its block."""
        if self.is_plain or len(element.children) != 1 or _takes_number(element):
            return 1.0
        if element not in self.odds:
            (child,) = element.children
            self.odds[element] = 1.0
            if child.tag == "If":
                self._thin_by(element, child, "test", "and")
            elif child.tag == "EventConnection":
                known = {key: item for key, (item, _) in rows.cells.items()} | {name: population}
                ends = [known.get(child.get(end) or "") for end in ("from", "to")]
                assigns = list(child.find("Assign"))
                if assigns and ends[0] is not None and ends[1] is not None:
                    self.sinks[child] = self._sink(child, ends[0], ends[1])
                    if self.sinks[child].drops:
                        self._thin_by(element, assigns[0], "value", "*")
        return self.odds[element]

    def _thin_by(self, loop: Element, element: Element, attribute: str, op: str) -> None:
        """Take a probability out of an expression that joins it to the rest by an operator."""
        whole = self._expression(element, attribute)
        parts = operands(whole, op)
        for number, part in enumerate(parts):
            match next(chances(part, deep=False), None):
                case Number(chance) if 0.0 < chance <= SPARSE:
                    rest = [*parts[:number], *parts[number + 1 :]]
                    self.odds[loop] = chance
                    self.rewritten[element, attribute] = joined(rest, op)
                    return

    def _picked(
        self, choice: Element, count: int, rows: Rows, name: str, population: Population
    ) -> Rows | None:
        """Return what an If with `number` chooses, or None if all cells had better be tried."""
        test = self._expression(choice, "test")
        if self.is_plain or count == 0 or is_random(test):
            return None
        outer = np.arange(rows.n)

        def accept(drawn: NDArray[np.int32]) -> NDArray[np.bool_]:
            every = rows.pick(name, population, np.repeat(outer, drawn.shape[1]), drawn.ravel())
            return evaluate_truth(test, _scope(every), every.n, self.random).reshape(drawn.shape)

        self.drawn = True
        chosen = distinct(rows.n, population.size, count, accept, self.random)
        if chosen is None:
            return None
        return rows.pick(name, population, np.repeat(outer, count), chosen.ravel())

    def _population(self, element: Element) -> Population:
        """Return the population to which the attribute leads that `instances` names."""
        owner, name = _climb(self.component, element.get("instances") or "")
        text = owner.texts.get(name)
        if text is None:
            raise InputError(
                Diagnostic(
                    f"'{name}' is no attribute that names a population",
                    element.attribute_span("instances"),
                    suggest(name, owner.texts),
                )
            )
        found = self.populations.get(text.removeprefix("../"))
        if found is None:
            raise InputError(
                Diagnostic(
                    f"no population has the id '{text}'",
                    owner.element.attribute_span(name),
                    suggest(text, self.populations),
                )
            )
        self.numbers[name] = float(list(self.populations).index(found.id))
        return found

    def _with(self, element: Element, rows: Rows) -> Rows:
        attribute = element.get("instance") or ""
        if attribute not in self.component.texts:
            raise UnsupportedError(
                Diagnostic(
                    "in a rule this must be an attribute that holds the path of a cell",
                    element.attribute_span("instance"),
                )
            )
        population, cell = find_cell(self.component, attribute, dict(self.populations))
        return rows.bind(element.get("as") or "", population, cell)

    # Choices

    def _chosen(self, element: Element, rows: Rows) -> Rows:
        test = self._expression(element, "test")
        chosen = evaluate_truth(test, _scope(rows), rows.n, self.random)
        rows = rows.take(chosen)
        return rows if element.get("number") is None else self._sampled(element, rows)

    def _sampled(self, element: Element, rows: Rows) -> Rows:
        """Return so many rows of each group, chosen at random, in their order."""
        count = self._number(element)
        if rows.group is None:
            raise UnsupportedError(
                Diagnostic("'number' needs a ForEach around it", element.attribute_span("number"))
            )
        sizes = np.bincount(rows.group, minlength=rows.groups)
        if sizes.min(initial=count) < count:
            raise InputError(
                Diagnostic(
                    f"{count} cells are to be chosen, out of {sizes.min()}",
                    self._cause(element, "number"),
                )
            )
        self.drawn = True
        if not count:
            return rows.take(slice(0, 0))
        if self.is_plain:
            groups = (np.flatnonzero(rows.group == item) for item in range(rows.groups))
            places = [self.random.choice(own, count, replace=False) for own in groups]
            return rows.take(np.sort(np.concatenate(places)))
        return rows.take(per_group(rows.group, count, self.random))

    def _number(self, element: Element) -> int:
        """Return how many cells an If chooses."""
        number = self._expression(element, "number")
        if not isinstance(number, Number):
            raise UnsupportedError(
                Diagnostic(
                    "'number' must be the same for all cells", element.attribute_span("number")
                )
            )
        if number.value < 0.0 or number.value % 1.0:
            raise InputError(
                Diagnostic(
                    f"{number.value:g} is no number of cells: it must be whole, and not negative",
                    self._cause(element, "number"),
                )
            )
        return int(number.value)

    # Connections

    def _connect(self, element: Element, rows: Rows) -> Block:
        pre, sources = self._end(element, "from", rows)
        post, cells = self._end(element, "to", rows)
        if element not in self.sinks:
            self.sinks[element] = self._sink(element, pre, post)
        sink = self.sinks[element]
        weights, delays = self._weights(element, rows), self._delays(element, rows)
        if sink.drops and not weights.all():
            kept = np.broadcast_to(weights != 0.0, cells.shape)
            sources, cells = sources[kept], cells[kept]
            weights = weights[kept] if weights.size == kept.size else weights
            delays = delays[kept] if delays.size == kept.size else delays
        return Block(sources, cells, weights, delays)

    def _end(
        self, element: Element, attribute: str, rows: Rows
    ) -> tuple[Population, NDArray[np.int32]]:
        name = element.get(attribute) or ""
        if name not in rows.cells:
            raise InputError(
                Diagnostic(
                    f"nothing is known as '{name}' here",
                    element.attribute_span(attribute),
                    suggest(name, rows.cells),
                )
            )
        return rows.cells[name]

    def _sink(self, element: Element, pre: Population, post: Population) -> Sink:
        if element.get("receiver") is None:
            return self._direct_sink(element, pre, post)
        receiver = self._receiver(element)
        lowered = lower_part(self.model, receiver)
        container = element.get("receiverContainer") or "destination"
        attachment = attachment_of(self.component, post, container)
        check_gathered(self.component, receiver, post, attachment)
        if receives(lowered):
            self._check_source(element, pre)
        gathered = frozenset(
            item.exposure for item in post.dynamics.gathers if item.attachment == attachment
        )
        has_weights = any(element.find("Assign"))
        drops = has_weights and is_silent_at_zero(lowered, gathered)
        loop, bound = self._bound(element, drops=drops)
        return Sink(pre, post, receiver.id, lowered, attachment, has_weights, drops, loop, bound)

    def _direct_sink(self, element: Element, pre: Population, post: Population) -> Sink:
        """Return what gathers events that go to the cells themselves."""
        self._check_source(element, pre)
        for assign in element.find("Assign"):
            raise InputError(
                Diagnostic(
                    "there is no synapse whose property this could be",
                    assign.span,
                    ("name one: receiver",),
                )
            )
        port = self._port(element, post)
        loop, bound = self._bound(element, drops=False)
        nothing = Lowered(Dynamics(""))
        return Sink(pre, post, "", nothing, "", False, False, loop, bound, port)

    def _port(self, element: Element, post: Population) -> str:
        """Return the port of a cell at which events arrive: the one it has, or the one named."""
        attribute = element.get("targetPort") or ""
        named = self.component.texts.get(attribute)
        ports = [port for port in post.dynamics.in_ports if "/" not in port]
        if named in ports or (named is None and len(ports) == 1):
            return named or ports[0]
        if named is None and ports:
            message = f"'{post.component}' has several ports for events: {', '.join(ports)}"
            hint: tuple[str, ...] = ("name one: targetPort",)
        else:
            wanted = f"port '{named}'" if named else "port"
            message = f"'{post.component}', a {post.dynamics.name}, has no {wanted} for events"
            hint = suggest(named or "", ports)
        span = self.component.element.attribute_span(attribute) if named else element.span
        raise InputError(Diagnostic(message, span, hint))

    def _bound(self, element: Element, *, drops: bool) -> tuple[Element | None, float]:
        """Return the innermost loop around an element, and how often it can be done."""
        loops = [
            loop
            for structure in _structures(self.component)
            for loop in loops_around(structure, element)
        ]
        bound = float(np.prod([float(self._population(loop).size) for loop in loops]))
        chooses = any(item.tag == "If" for loop in loops for item in below(loop))
        if not drops and not chooses:
            self._check_memory(bound, bound)
        return loops[-1] if loops else None, bound

    def _receiver(self, element: Element) -> Component:
        owner, name = _climb(self.component, element.get("receiver") or "")
        if name not in owner.type.references and name not in owner.type.links:
            raise InputError(
                Diagnostic(
                    f"'{name}' is no reference to a component",
                    element.attribute_span("receiver"),
                    suggest(name, owner.type.references),
                )
            )
        return self.model.reference(owner, name)

    def _check_source(self, element: Element, pre: Population) -> None:
        sent = sent_ports(pre.dynamics)
        if not sent:
            raise InputError(
                Diagnostic(
                    f"'{pre.component}', a {pre.dynamics.name}, sends no events",
                    self.component.span,
                    ("its ComponentType has no EventOut",),
                )
            )
        attribute = element.get("sourcePort") or ""
        port = self.component.texts.get(attribute)
        if port is not None and port not in sent:
            raise InputError(
                Diagnostic(
                    f"'{pre.component}' sends no events on a port '{port}'",
                    self.component.element.attribute_span(attribute),
                    suggest(port, sent),
                )
            )

    def _weights(self, element: Element, rows: Rows) -> NDArray[np.float64]:
        for assign in element.find("Assign"):
            if assign.get("property") != WEIGHT:
                raise UnsupportedError(
                    Diagnostic(
                        "a rule can give each connection a weight, and nothing else",
                        assign.attribute_span("property"),
                    )
                )
            return self._values(assign, "value", rows)
        return np.ones(1)

    def _delays(self, element: Element, rows: Rows) -> NDArray[np.float64]:
        if element.get("delay") is None:
            return np.zeros(1)
        delays = self._values(element, "delay", rows)
        if delays.min(initial=0.0) < 0.0:
            raise InputError(
                Diagnostic("a delay cannot be negative", self._cause(element, "delay"))
            )
        return delays

    def _check_memory(self, expected: float, certain: float) -> None:
        """Refuse what cannot fit, or will not if the rule goes on as it began."""
        lacking = shortage(certain * _BYTES)
        if lacking is None and certain * _BYTES > _TELLING * available_bytes():
            lacking = shortage(expected * _BYTES)
        if lacking is not None:
            raise InputError(
                Diagnostic(
                    f"the rule makes {expected:.3g} connections, which {lacking}",
                    self.component.span,
                )
            )

    # Expressions

    def _values(self, element: Element, attribute: str, rows: Rows) -> NDArray[np.float64]:
        """Return a number for each row, or a single one for all if it cannot differ."""
        expression = self._expression(element, attribute)
        n = 1 if isinstance(expression, Number) else rows.n
        values = evaluate_array(expression, _scope(rows), n, self.random)
        if not np.isfinite(values).all():
            raise InputError(Diagnostic("the value is not finite", self._cause(element, attribute)))
        return values

    def _expression(self, element: Element, attribute: str) -> Expr:
        """Return an expression with the numbers of the component put in."""
        if (element, attribute) in self.rewritten:
            return self.rewritten[element, attribute]
        written = parse_expression(element.get(attribute) or "")
        for chance in chances(written):
            match self._filled(chance):
                case Number(value) if not 0.0 <= value <= 1.0:
                    raise InputError(
                        Diagnostic(
                            f"a probability is a number from 0 to 1, not {value:g}",
                            self._cause(element, attribute, chance),
                        )
                    )
        whole = self._filled(written)
        self.drawn |= is_random(whole)
        return whole

    def _filled(self, expression: Expr) -> Expr:
        known = {name: Number(value) for name, value in self.numbers.items()}
        return fold(substitute(expression, known))

    def _cause(self, element: Element, attribute: str, part: Expr | None = None) -> Span:
        """Return the place of the one attribute of the component that an expression reads."""
        read = names(part or parse_expression(element.get(attribute) or ""))
        given = [name for name in self.component.element.attributes if name in read]
        if len(given) == 1:
            return self.component.element.attribute_span(given[0])
        return element.attribute_span(attribute)


def _structures(component: Component) -> list[Element]:
    return [component.type.structure] if component.type.structure else []


def _name(component: Component) -> str:
    """Return the id of a rule, after those of what it stands in, below the network."""
    steps: list[str] = []
    item: Component | None = component
    while item is not None and (item.parent is not None or not steps):
        steps.append(item.id or item.type.name)
        item = item.parent
    return "/".join(reversed(steps))


def _climb(component: Component, path: str) -> tuple[Component, str]:
    """Return the component to which ``../`` lead, and the rest of a path."""
    while path.startswith("../") and component.parent is not None:
        component, path = component.parent, path[3:]
    return component, path


def _choice(loop: Element) -> Element | None:
    """Return the If with `number` that is all that a loop holds, or None."""
    first = loop.children[0] if len(loop.children) == 1 else None
    return first if first is not None and first.tag == "If" and first.get("number") else None


def _takes_number(loop: Element) -> bool:
    return any(item.tag == "If" and "number" in item.attributes for item in below(loop))


def _scope(rows: Rows) -> dict[str, NDArray[np.float64]]:
    return {name: cells.astype(np.float64) for name, (_, cells) in rows.cells.items()}
