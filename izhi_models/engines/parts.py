"""The parts of a network whose cells are one compartment each."""

from __future__ import annotations

from izhi_models.exporters.request import Request
from izhi_models.network import Parts


def parts_of(request: Request) -> Parts | None:
    """Return what the network was made of, or None if it has cells of several compartments.

    Parameters
    ----------
    request : Request
    """
    parts = request.experiment.network.parts
    if parts is None or any(item.compartments for item in parts.populations.values()):
        return None
    return parts
