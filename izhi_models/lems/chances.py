"""Probabilities in the expressions of rules: where they stand, and what is left without them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from izhi_models.expr import ONE, RANDOM, TRUE, Binary, Call, Compare, Expr, Logic, walk


def chances(expression: Expr, *, deep: bool = True) -> Iterator[Expr]:
    """Yield p of each ``random(1) .lt. p`` and ``H(p - random(1))``."""
    draw = Call(RANDOM, ONE)
    for node in walk(expression) if deep else (expression,):
        match node:
            case Compare("<" | "<=", left, chance) if left == draw:
                yield chance
            case Compare(">" | ">=", chance, right) if right == draw:
                yield chance
            case Call("H", Binary("-", chance, right)) if right == draw:
                yield chance


def operands(expression: Expr, op: str) -> list[Expr]:
    """Return what an operator joins, also inside of parentheses."""
    match expression:
        case Binary("*", left, right) if op == "*":
            return [*operands(left, op), *operands(right, op)]
        case Logic("and", left, right) if op == "and":
            return [*operands(left, op), *operands(right, op)]
        case _:
            return [expression]


def joined(parts: list[Expr], op: str) -> Expr:
    """Return the product of numbers, or the conjunction of conditions; of none what is neutral."""
    if op == "*":
        return functools.reduce(lambda left, right: Binary("*", left, right), parts or [ONE])
    return functools.reduce(lambda left, right: Logic("and", left, right), parts or [TRUE])
