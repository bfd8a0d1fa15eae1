"""Constants put where they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from izhi_models.expr import FALSE, Expr, Number, fold, substitute
from izhi_models.ir.dynamics import Dynamics
from izhi_models.ir.rewrite import map_expressions


def fold_constants(dynamics: Dynamics) -> Dynamics:
    """Substitute constants, compute what is known then, and drop conditions that never hold.

    A constant is part of the structure, so a literal in the code serves; derived variables that
    come out as a literal are constants too. Whole powers stay, since a back end multiplies.

    Parameters
    ----------
    dynamics : Dynamics
        Ordered, in the units in which it is to run.
    """
    known: dict[str, Expr] = {item.name: Number(item.value) for item in dynamics.constants}
    for derived in dynamics.derived:
        value = _folded(derived.value, known)
        if isinstance(value, Number):
            known[derived.name] = value
    folded = map_expressions(dynamics, lambda expr: _folded(expr, known))
    return replace(
        folded,
        constants=(),
        conditions=tuple(item for item in folded.conditions if item.test != FALSE),
    )


def _folded(expr: Expr, known: Mapping[str, Expr]) -> Expr:
    return fold(substitute(expr, known))
