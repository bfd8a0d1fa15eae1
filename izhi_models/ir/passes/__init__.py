"""Passes: each takes a `Dynamics` and returns an equal one that is simpler for what follows.

`fill_limits`, `regimes_to_states` and `settle_assigned_states` work on parts, before they are
composed. Between `compose`, which makes one flat dynamics, and `make_step` the others run in this
order: `order_derived`, `exact_times`, `rescale` (in `dimensions`), `fold_constants`, `drop_unused`.
"""

from izhi_models.ir.passes.constants import fold_constants
from izhi_models.ir.passes.limits import fill_limits
from izhi_models.ir.passes.order import order_derived
from izhi_models.ir.passes.regimes import regimes_to_states
from izhi_models.ir.passes.settle import settle_assigned_states
from izhi_models.ir.passes.times import TIME_TOLERANCE, exact_times
from izhi_models.ir.passes.unused import drop_unused

__all__ = [
    "TIME_TOLERANCE",
    "drop_unused",
    "exact_times",
    "fill_limits",
    "fold_constants",
    "order_derived",
    "regimes_to_states",
    "settle_assigned_states",
]
