"""What a Simulation asks for: how long, which files, which pictures. Plain records.

Source: LEMS for NeuroML 2, Simulation.xml: Simulation, Display, Line, OutputFile, OutputColumn,
EventOutputFile, EventSelection.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

from izhi_models.errors import Span


@dataclass(frozen=True)
class Line:
    """One curve of a display.

    Parameters
    ----------
    id : str
        Its name in the legend.
    quantity : str
        LEMS path, such as ``pop[0]/v``.
    scale : float
        The SI value is divided by it. [SI]
    scale_unit : str
        Name of the scaled unit, ``mV`` for 1 mV or ``10 mV`` for ten; empty for a bare number.
    color : str
        Hexadecimal, ``#ee40FF``; empty if the file names none.
    time_scale_s : float
        Unit of the time axis for this curve. [s]
    """

    id: str
    quantity: str
    scale: float = 1.0
    scale_unit: str = ""
    color: str = ""
    time_scale_s: float = 1e-3


@dataclass(frozen=True)
class Display:
    """One picture.

    Parameters
    ----------
    id, title : str
    xmin, xmax : float
        Limits of the time axis. [time_scale_s]
    ymin, ymax : float
        Limits of the other axis, in the scale of the lines.
    time_scale_s : float
        Unit of the time axis. [s]
    lines : tuple of Line
    span : Span, optional
        Where it is declared.
    """

    id: str
    title: str
    xmin: float
    xmax: float
    ymin: float
    ymax: float
    time_scale_s: float
    lines: tuple[Line, ...]
    span: Span | None = field(default=None, compare=False, repr=False)

    def fitted(self, length_s: float, duration_s: float) -> Display:
        """Return it for a run that is shorter or longer than the file says.

        Its time axis ends with a shorter run, and with a longer one if it showed all of the run.

        Parameters
        ----------
        length_s : float
            What the file says. [s]
        duration_s : float
            Length of the run. [s]
        """
        end = duration_s / self.time_scale_s
        whole = length_s / self.time_scale_s * (1 - 1e-9)
        if self.xmax > end or (duration_s > length_s and self.xmax >= whole):
            return replace(self, xmax=end)
        return self


@dataclass(frozen=True)
class OutputFile:
    """A table of quantities over time.

    Parameters
    ----------
    id, file_name : str
    path : str
        Directory of the file; empty if the file names none.
    columns : tuple of (str, str)
        Id and quantity (LEMS path) of each column.
    span : Span, optional
        Where it is declared.
    """

    id: str
    file_name: str
    path: str
    columns: tuple[tuple[str, str], ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class EventOutputFile:
    """A list of events.

    Parameters
    ----------
    id, file_name : str
    path : str
        Directory of the file; empty if the file names none.
    format : str
        ``TIME_ID`` or ``ID_TIME``.
    selections : tuple of (str, str, str)
        Id, selected cell (LEMS path, ``pop[0]``) and event port of each source.
    span : Span, optional
        Where it is declared.
    """

    id: str
    file_name: str
    path: str
    format: str
    selections: tuple[tuple[str, str, str], ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Simulation:
    """A run of one component, and what to keep of it.

    Parameters
    ----------
    id : str
    length_s, step_s : float
        Simulated time and time step. [s]
    target : str
        Id of the component to run.
    seed : int or None
        None if the file gives none.
    displays : tuple of Display
    outputs : tuple of OutputFile
    event_outputs : tuple of EventOutputFile
    """

    id: str
    length_s: float
    step_s: float
    target: str
    seed: int | None = None
    displays: tuple[Display, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    event_outputs: tuple[EventOutputFile, ...] = ()


def without_quantities(plan: Simulation, lacking: Container[str]) -> Simulation:
    """Return a plan without the curves and columns of some quantities, and files of nothing else.

    Parameters
    ----------
    plan : Simulation
    lacking : container of str
        Paths.
    """
    displays = []
    for display in plan.displays:
        lines = tuple(item for item in display.lines if item.quantity not in lacking)
        if lines or not display.lines:
            displays.append(replace(display, lines=lines))
    outputs = []
    for output in plan.outputs:
        columns = tuple(item for item in output.columns if item[1] not in lacking)
        if columns or not output.columns:
            outputs.append(replace(output, columns=columns))
    return replace(plan, displays=tuple(displays), outputs=tuple(outputs))
