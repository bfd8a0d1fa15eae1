"""A state that counts the spikes of a cell is told from others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from izhi_models.expr import parse_expression
from izhi_models.ir.counting import counts_events
from izhi_models.ir.dynamics import Assignment, Dynamics, OnCondition, OnEvent, Rate, Variable
from izhi_models.units import NONE


def assign(state: str, value: str) -> Assignment:
    return Assignment(state, parse_expression(value))


SPIKE = OnCondition(
    parse_expression("v .gt. 1"), (assign("v", "0"), assign("n", "n + 1")), ("spike",)
)
CELL = Dynamics(
    "cell",
    states=(Variable("v", NONE), Variable("n", NONE)),
    conditions=(SPIKE,),
    out_ports=("spike",),
    exposures=(("count", "n"),),
)
SILENT = replace(SPIKE, events=())
OTHER = OnCondition(parse_expression("v .lt. 0"), (), ("spike",))


@pytest.mark.parametrize("name", ["n", "count"])
def test_state_raised_by_one_with_each_event_counts(name: str) -> None:
    assert counts_events(CELL, name)


@pytest.mark.parametrize(
    "cell",
    [
        replace(CELL, start=(assign("n", "3"),)),
        replace(CELL, rates=(Rate("n", parse_expression("1")),)),
        replace(CELL, on_events=(OnEvent("in", (assign("n", "0"),)),)),
        replace(CELL, conditions=(SILENT,)),
        replace(CELL, conditions=(SPIKE, OTHER)),
        replace(CELL, conditions=(SPIKE, SILENT)),
        replace(CELL, conditions=(replace(SPIKE, assignments=(assign("n", "n + 2"),)),)),
        replace(CELL, conditions=(replace(SPIKE, events=("part/spike",)),)),
    ],
)
def test_anything_else_does_not(cell: Dynamics) -> None:
    assert not counts_events(cell, "n")


def test_what_is_no_state_does_not() -> None:
    assert not counts_events(CELL, "other")
