"""The current along a cell, from each compartment to its neighbours.

A compartment reads the products of conductance and potential of its neighbours, summed, as they
are at the start of a step. Its own part, conductance times its own potential, is part of its
equations, so that a method may relax it. Methods of second order need the sum in the middle of
the step: half a step ahead of the last two.

Source: Hines and Carnevale, Neural Computation 9, 1179 (1997), the cable equation in space;
Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, III.1, extrapolation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from izhi_models.errors import InternalError
from izhi_models.expr import TRUE, ZERO, Binary, Expr, Name, Number, substitute
from izhi_models.ir.dynamics import Assignment, Derived, Dynamics, OnCondition, Variable
from izhi_models.network import PEER, WEIGHT, Block, Listed, Projection
from izhi_models.units import CURRENT, NONE, VOLTAGE, Dimension

CONDUCTANCE = "axial/conductance"
INFLOW = "axial/inflow"
START = "axial/start"
_BEFORE = "axial@before"
_AHEAD = "axial@ahead"
AXIAL_READ = "v"  # of a neighbour
AXIAL_UNIT = "unit"  # of the weight of what carries the current to it
_S = Dimension(m=-1, l=-2, t=3, i=2)
_NANO = 1e-9


def with_inflow(cell: Dynamics) -> Dynamics:
    """Return the dynamics of a cell as a compartment, with the current from its neighbours.

    Parameters
    ----------
    cell : Dynamics
        That adds up the currents of its synapses in the rate of its potential.
    """
    gathered = {item.name for item in cell.gathers}
    sums = {
        item.name
        for item in cell.derived
        if isinstance(item.value, Name) and item.value.id in gathered
    }
    axial: Expr = Binary("-", Name(INFLOW), Binary("*", Name(CONDUCTANCE), Name(AXIAL_READ)))
    total: dict[str, Expr] = {name: Binary("+", Name(name), axial) for name in sums}
    rates = tuple(replace(item, value=substitute(item.value, total)) for item in cell.rates)
    if rates == cell.rates:
        raise InternalError(f"no rate of '{cell.name}' reads the currents of its synapses")
    ahead = Binary(
        "+",
        Name(INFLOW),
        Binary("*", Number(0.5), Binary("-", Name(INFLOW), Name(_BEFORE))),
    )
    return replace(
        cell,
        parameters=(
            *cell.parameters,
            Variable(CONDUCTANCE, _S),
            Variable(INFLOW, CURRENT),
            Variable(START, CURRENT),
        ),
        states=(*cell.states, Variable(_BEFORE, CURRENT)),
        derived=(*cell.derived, Derived(_AHEAD, CURRENT, ahead)),
        rates=rates,
        start=(*cell.start, Assignment(_BEFORE, Name(START))),
        conditions=(OnCondition(TRUE, (Assignment(_BEFORE, Name(INFLOW)),)), *cell.conditions),
        inflows=(*cell.inflows, (INFLOW, _AHEAD)),
    )


def with_neighbours(compartment: Dynamics, conductances: Mapping[str, float]) -> Dynamics:
    """Return the dynamics of a compartment that reads its neighbours at every moment.

    Parameters
    ----------
    compartment : Dynamics
        See `with_inflow`.
    conductances : mapping of str to float
        To each neighbour, by the name of the requirement that is its potential. [S]
    """
    steps = {_BEFORE, _AHEAD}
    total: Expr = ZERO
    for name, conductance in conductances.items():
        total = Binary("+", total, Binary("*", Number(conductance), Name(name)))
    return replace(
        compartment,
        parameters=tuple(
            item for item in compartment.parameters if item.name not in (INFLOW, START)
        ),
        requirements=(
            *compartment.requirements,
            *(Variable(name, VOLTAGE) for name in conductances),
        ),
        states=tuple(item for item in compartment.states if item.name not in steps),
        derived=(
            Derived(INFLOW, CURRENT, total),
            *(item for item in compartment.derived if item.name not in steps),
        ),
        start=tuple(item for item in compartment.start if item.state not in steps),
        conditions=tuple(
            item
            for item in compartment.conditions
            if steps.isdisjoint(one.state for one in item.assignments)
        ),
        inflows=(),
    )


_SYNAPSE = Dynamics(
    "axial",
    parameters=(Variable(WEIGHT, NONE), Variable(AXIAL_UNIT, _S)),
    requirements=(Variable(PEER + AXIAL_READ, VOLTAGE),),
    derived=(
        Derived(
            "inflow",
            CURRENT,
            Binary("*", Binary("*", Name(WEIGHT), Name(AXIAL_UNIT)), Name(PEER + AXIAL_READ)),
        ),
    ),
    exposures=(("inflow", "inflow"),),
)


def axial_projection(
    name: str,
    ends: Sequence[str],
    cells: Sequence[NDArray[np.int32]],
    conductances: NDArray[np.float64],
) -> Projection:
    """Return the connections that carry current from compartments to their neighbours.

    Parameters
    ----------
    name : str
    ends : (str, str)
        The populations that are read, and those into which the current flows.
    cells : (int32 array (n,), int32 array (n,))
    conductances : array (n,)
        [S]
    """
    return Projection(
        id=name,
        pre=ends[0],
        post=ends[1],
        synapse="axial",
        attachment="",
        dynamics=_SYNAPSE,
        values={WEIGHT: 1.0, AXIAL_UNIT: _NANO},
        connections=Listed(Block(cells[0], cells[1], conductances / _NANO, np.zeros(1))),
        is_continuous=True,
        own={INFLOW: "inflow"},
        reasons=("it carries the current along a cell",),
    )
