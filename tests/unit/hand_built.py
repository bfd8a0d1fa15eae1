"""Dynamics written by hand from the texts of equations, with no reader in between."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from izhi_models.expr import Expr, Name, Select, names, parse_expression, rename
from izhi_models.ir.dynamics import (
    Assignment,
    Attachment,
    Constant,
    Derived,
    Dynamics,
    Gather,
    OnCondition,
    OnEvent,
    Rate,
    Regime,
    Variable,
)
from izhi_models.units import CURRENT, NONE, PER_TIME, TIME, VOLTAGE, Dimension

CONDUCTANCE = CURRENT.over(VOLTAGE)
CAPACITANCE = CONDUCTANCE.times(TIME)
RESISTANCE = VOLTAGE.over(CURRENT)

Names = Mapping[str, Dimension]
NO_NAMES: Names = MappingProxyType({})
NOTHING: Mapping[str, Any] = MappingProxyType({})
Texts = Iterable[tuple[str, str]]


def read(text: str) -> Expr:
    """Parse LEMS text, in which part__x stands for the name part/x of a part's variable."""
    expr = parse_expression(text)
    return rename(expr, {name: name.replace("__", "/") for name in names(expr) if "__" in name})


def when(
    test: str, *assignments: tuple[str, str], sends: tuple[str, ...] = (), to: str | None = None
) -> OnCondition:
    return OnCondition(read(test), assign(assignments), sends, to)


def on(
    port: str, *assignments: tuple[str, str], sends: tuple[str, ...] = (), to: str | None = None
) -> OnEvent:
    return OnEvent(port, assign(assignments), sends, to)


def assign(texts: Texts) -> tuple[Assignment, ...]:
    return tuple(Assignment(state, read(text)) for state, text in texts)


def rates(texts: Texts) -> tuple[Rate, ...]:
    return tuple(Rate(state, read(text)) for state, text in texts)


def variables(names: Names) -> tuple[Variable, ...]:
    return tuple(Variable(name, dimension) for name, dimension in names.items())


def regime(
    name: str,
    *conditions: OnCondition,
    rate: Texts = (),
    entry: Texts = (),
    initial: bool = False,
    on_events: tuple[OnEvent, ...] = (),
) -> Regime:
    return Regime(name, initial, rates(rate), assign(entry), conditions, on_events)


def build(
    name: str = "thing",
    *,
    parameters: Names = NO_NAMES,
    requirements: Names = NO_NAMES,
    constants: Mapping[str, tuple[Dimension, float]] = NOTHING,
    states: Names = NO_NAMES,
    derived: Mapping[str, tuple[Dimension, str | Expr]] = NOTHING,
    rate: Texts = (),
    start: Texts = (),
    conditions: Iterable[OnCondition] = (),
    on_events: Iterable[OnEvent] = (),
    regimes: Iterable[Regime] = (),
    exposures: Iterable[str] = (),
    out_ports: tuple[str, ...] = (),
    gathers: Iterable[Gather] = (),
) -> Dynamics:
    events = tuple(on_events)
    lists = dict.fromkeys(item.attachment for item in gathers)
    return Dynamics(
        name,
        parameters=variables(parameters),
        requirements=variables(requirements),
        constants=tuple(Constant(key, *value) for key, value in constants.items()),
        states=variables(states),
        derived=tuple(
            Derived(key, dimension, read(value) if isinstance(value, str) else value)
            for key, (dimension, value) in derived.items()
        ),
        rates=rates(rate),
        start=assign(start),
        conditions=tuple(conditions),
        on_events=events,
        regimes=tuple(regimes),
        in_ports=tuple(dict.fromkeys(item.port for item in events)),
        out_ports=out_ports,
        exposures=tuple((item, item) for item in exposures),
        attachments=tuple(Attachment(item) for item in lists),
        gathers=tuple(gathers),
    )


def choose(test: str, then: str, otherwise: str) -> Select:
    return Select(*(read(item) for item in (test, then, otherwise)))


def summed(name: str, exposure: str, dimension: Dimension) -> Gather:
    return Gather(f"{name}[*]/{exposure}", name, exposure, "add", dimension)


# Cells, inputs and synapses as NeuroML 2 defines them.


def izhikevich() -> Dynamics:
    gather = summed("synapses", "I", NONE)
    cell = build(
        "izhikevichCell",
        parameters={"v0": VOLTAGE, "thresh": VOLTAGE} | dict.fromkeys("abcd", NONE),
        constants={"MSEC": (TIME, 1e-3), "MVOLT": (VOLTAGE, 1e-3)},
        states={"v": VOLTAGE, "U": NONE},
        rate=[
            ("v", "(0.04 * v^2 / MVOLT + 5 * v + (140.0 - U + ISyn) * MVOLT)/MSEC"),
            ("U", "a * (b * v / MVOLT - U) / MSEC"),
        ],
        start=[("v", "v0"), ("U", "v0 * b / MVOLT")],
        conditions=[when("v .gt. thresh", ("v", "c * MVOLT"), ("U", "U + d"), sends=("spike",))],
        exposures=("v", "U"),
        out_ports=("spike",),
        gathers=[gather],
    )
    return with_alias(cell, "ISyn", gather)


def with_alias(dynamics: Dynamics, name: str, gather: Gather) -> Dynamics:
    alias = Derived(name, gather.dimension, Name(gather.name))
    return replace(dynamics, derived=(alias, *dynamics.derived))


def iaf_tau() -> Dynamics:
    return build(
        "iafTauCell",
        parameters=dict.fromkeys(("leakReversal", "thresh", "reset"), VOLTAGE) | {"tau": TIME},
        states={"v": VOLTAGE},
        rate=[("v", "(leakReversal - v) / tau")],
        start=[("v", "leakReversal")],
        conditions=[when("v .gt. thresh", ("v", "reset"), sends=("spike",))],
        exposures=("v",),
        out_ports=("spike",),
    )


def iaf_tau_ref() -> Dynamics:
    return build(
        "iafTauRefCell",
        parameters=dict.fromkeys(("leakReversal", "thresh", "reset"), VOLTAGE)
        | {"tau": TIME, "refract": TIME},
        states={"v": VOLTAGE, "lastSpikeTime": TIME},
        start=[("v", "reset")],
        regimes=[
            regime(
                "refractory",
                when("t .gt. lastSpikeTime + refract", to="integrating"),
                entry=[("lastSpikeTime", "t"), ("v", "reset")],
            ),
            regime(
                "integrating",
                when("v .gt. thresh", sends=("spike",), to="refractory"),
                rate=[("v", "(leakReversal - v) / tau")],
                initial=True,
            ),
        ],
        exposures=("v",),
        out_ports=("spike",),
    )


def passive() -> Dynamics:
    """Return a membrane that only leaks: C dv/dt = g (E - v) + what is attached."""
    gather = summed("synapses", "i", CURRENT)
    cell = build(
        "leak",
        parameters={"C": CAPACITANCE, "g": CONDUCTANCE, "E": VOLTAGE},
        states={"v": VOLTAGE},
        derived={"iMemb": (CURRENT, "g * (E - v) + iSyn")},
        rate=[("v", "iMemb / C")],
        start=[("v", "E")],
        exposures=("v",),
        gathers=[gather],
    )
    return with_alias(cell, "iSyn", gather)


PASSIVE = {"C": 1e-10, "g": 1e-8, "E": -0.07}
TIMED = {"delay": TIME, "duration": TIME, "weight": NONE}


def timed(
    name: str,
    i: str,
    dimension: Dimension,
    *conditions: OnCondition,
    start: Texts = (),
    **more: Dimension,
) -> Dynamics:
    return build(
        name,
        parameters=TIMED | {k: d for k, d in more.items() if k != "v"},
        requirements={k: d for k, d in more.items() if k == "v"},
        states={i: dimension},
        start=start,
        conditions=conditions,
        on_events=[on("in")],
        exposures=(i,),
    )


def pulse(i: str = "i", dimension: Dimension = CURRENT) -> Dynamics:
    return timed(
        "pulseGenerator",
        i,
        dimension,
        when("t .lt. delay", (i, "0")),
        when("t .geq. delay .and. t .lt. duration + delay", (i, "weight * amplitude")),
        when("t .geq. duration + delay", (i, "0")),
        amplitude=dimension,
    )


def sine() -> Dynamics:
    return timed(
        "sineGenerator",
        "i",
        CURRENT,
        when("t .lt. delay", ("i", "0")),
        when(
            "t .geq. delay .and. t .lt. duration+delay",
            ("i", "weight * amplitude * sin(phase + (2 * 3.14159265 * (t-delay)/period) )"),
        ),
        when("t .geq. duration+delay", ("i", "0")),
        amplitude=CURRENT,
        phase=NONE,
        period=TIME,
    )


def ramp() -> Dynamics:
    inside = "weight * (first + (last - first) * (t - delay) / (duration))"
    return timed(
        "rampGenerator",
        "i",
        CURRENT,
        when("t .lt. delay", ("i", "weight * base")),
        when("t .geq. delay .and. t .lt. duration+delay", ("i", inside)),
        when("t .geq. duration+delay", ("i", "weight * base")),
        start=[("i", "base")],
        first=CURRENT,
        last=CURRENT,
        base=CURRENT,
    )


def voltage_clamp() -> Dynamics:
    return timed(
        "voltageClamp",
        "i",
        CURRENT,
        when("t .lt. delay", ("i", "0")),
        when("t .geq. delay", ("i", "weight * (target - v) / resistance")),
        when("t .gt. duration + delay", ("i", "0")),
        target=VOLTAGE,
        resistance=RESISTANCE,
        v=VOLTAGE,
    )


def voltage_clamp_triple() -> Dynamics:
    return timed(
        "voltageClampTriple",
        "i",
        CURRENT,
        when("active .eq. 1 .and. t .lt. delay", ("i", "(first - v) / resistance")),
        when("active .eq. 1 .and. t .geq. delay", ("i", "(second - v) / resistance")),
        when("active .eq. 1 .and. t .gt. duration + delay", ("i", "(third - v) / resistance")),
        active=NONE,
        first=VOLTAGE,
        second=VOLTAGE,
        third=VOLTAGE,
        resistance=RESISTANCE,
        v=VOLTAGE,
    )


def spike_generator() -> Dynamics:
    return build(
        "spikeGenerator",
        parameters={"period": TIME},
        constants={"SMALL_TIME": (TIME, 1e-12)},
        states={"tsince": TIME, "tnext": TIME},
        rate=[("tsince", "1"), ("tnext", "0")],
        start=[("tsince", "0"), ("tnext", "period")],
        conditions=[
            when(
                "tnext - t .lt. SMALL_TIME",
                ("tsince", "0"),
                ("tnext", "tnext+period"),
                sends=("spike",),
            )
        ],
        exposures=("tsince", "tnext"),
        out_ports=("spike",),
    )


def exp_synapse() -> Dynamics:
    return build(
        "expOneSynapse",
        parameters={"tauDecay": TIME, "gbase": CONDUCTANCE, "erev": VOLTAGE, "weight": NONE},
        requirements={"v": VOLTAGE},
        states={"g": CONDUCTANCE},
        derived={"i": (CURRENT, "g * (erev - v)")},
        rate=[("g", "-g / tauDecay")],
        on_events=[on("in", ("g", "g + (weight * gbase)"))],
        exposures=("i", "g"),
    )


def gate() -> Dynamics:
    """Return a gate that relaxes to inf(v) with the time constant tau(v)."""
    return build(
        "gate",
        parameters={"rate": PER_TIME, "midpoint": VOLTAGE, "scale": VOLTAGE},
        requirements={"v": VOLTAGE},
        states={"q": NONE},
        derived={
            "inf": (NONE, "alpha / (alpha + beta)"),
            "tau": (TIME, "1 / (alpha + beta)"),
            "alpha": (PER_TIME, "rate * exp((v - midpoint) / scale)"),
            "beta": (PER_TIME, "rate * exp((midpoint - v) / scale)"),
        },
        rate=[("q", "(inf - q) / tau")],
        start=[("q", "inf")],
        exposures=("q",),
    )
