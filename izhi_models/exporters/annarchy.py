"""Models as Python scripts for ANNarchy, which need neither this package nor the XML."""

from __future__ import annotations

from pathlib import Path

from izhi_models.annarchy.lower import lower_network
from izhi_models.annarchy.recorder import recorded_names
from izhi_models.annarchy.script import write_script
from izhi_models.exporters.request import Request


def write_annarchy(request: Request, path: Path) -> tuple[Path, ...]:
    """Write a model as a script for ANNarchy, and its long arrays into a file beside it.

    The spikes of the script are those of a run of this package in double precision, except where
    numbers are drawn at random.

    Parameters
    ----------
    request : Request
    path : Path
        The script, which ends in `.py`; the file beside it ends in `.npz`.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        The path does not end in `.py`, or a file cannot be written.
    UnsupportedError
        A cell sends events on more than one port.
    """
    lowering = lower_network(
        request.experiment.network,
        recorded_names(request.recordings),
        method=request.method,
        precision=request.precision,
    )
    return write_script(
        lowering,
        request.recordings,
        title=request.name,
        dt_s=request.dt_s,
        duration_s=request.duration_s,
        seed=request.seed,
    ).write(path)
