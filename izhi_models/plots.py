"""Pictures of results: the Displays that a file declares, rasters and traces.

Figures are matplotlib objects with their own canvas; pyplot and its global state are not used.
Source of Displays: LEMS for NeuroML 2, Simulation.xml: Display, Line.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain, cycle, islice
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from izhi_models.files import replacing
from izhi_models.places import resolve_output
from izhi_models.results import BLOCK_VALUES, Floats, Results, SpikeTrains, Trace
from izhi_models.simulation import Display, Line
from izhi_models.units import NONE, Dimension, display_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Told apart with every common colour vision. Source: Okabe and Ito (2008), Color Universal
# Design; darkest first, without yellow, which is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

DPI = 150
WIDTH_IN = 7.0  # two columns of a journal
TEXT_PT, TITLE_PT, LEGEND_PT = 9.0, 10.0, 8.0
GREY = "#444444"

# Enough for several points per pixel of the widest axes.
N_BINS = 2000
MAX_LEGEND = 40
MAX_ROW = 100  # characters, with those that a line of the legend takes
MAX_LINES_PER_PANEL = 20
MAX_PANELS = 20
MAX_BELOW = 4
MAX_BELOW_LABEL = 10  # characters, in the height of such a panel

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_TIME_UNITS = {1.0: "s", 1e-3: "ms", 1e-6: "µs", 60.0: "min", 3600.0: "h"}


def write_displays(
    displays: Iterable[Display], results: Results, directory: Path, prefix: str = ""
) -> tuple[Path, ...]:
    """Draw each display to ``<prefix><id>.png``.

    Parameters
    ----------
    displays : iterable of Display
    results : Results
    directory : Path
        Where; created if need be.
    prefix : str
        What the names begin with.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputError
        If a quantity was not recorded, or a file cannot be written.
    """
    written: list[Path] = []
    for display in displays:
        stem = prefix + (re.sub(r"[^\w-]+", "_", display.id).strip("_") or "display")
        path = resolve_output(directory, f"{stem}.png", span=display.span)
        number = 1
        while path in written:
            number += 1
            path = path.with_name(f"{stem}_{number}.png")
        save_figure(draw_display(display, results), path)
        written.append(path)
    return tuple(written)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Parameters
    ----------
    figure : Figure
    path : Path

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        # Without the name of the program: equal pictures are equal files.
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def draw_display(display: Display, results: Results) -> Figure:
    """Draw one display with the limits, scales and colours that it declares.

    Limits that are empty, or show no data, are replaced by those of the data. A colour that is
    missing, not hexadecimal, or invisible on white is replaced.

    Parameters
    ----------
    display : Display
    results : Results

    Raises
    ------
    InputError
        If a quantity was not recorded.
    """
    figure = _new_figure(3.2)
    axes = figure.add_subplot()
    traces = [results.trace_of_one(line.quantity) for line in display.lines]
    drawn = list(zip(display.lines, traces, strict=True))
    xlim = _in_order(display.xmin, display.xmax)
    if xlim and drawn and not any(_rows(trace, line.time_scale_s, xlim) for line, trace in drawn):
        xlim = None
    curves = []
    for line, trace in drawn:
        times, values = _thin(trace, line.time_scale_s, xlim)
        curves.append((times, values / line.scale))
    ylim = _value_limits(display, [y for _, y in curves])
    units = [_unit(line, trace) for line, trace in zip(display.lines, traces, strict=True)]
    shared_unit = units[0] if len(set(units)) == 1 else None
    spare = cycle(PALETTE)
    entries: list[tuple[str, str]] = []
    for line, unit, curve in zip(display.lines, units, curves, strict=True):
        color = line.color if _is_visible(line.color) else next(spare)
        axes.plot(*curve, color=color, **_stroke(len(curves)))
        entries.append((_with_unit(line.id, "" if shared_unit is not None else unit), color))
    axes.margins(x=0)
    axes.set_xlim(xlim)
    axes.set_ylim(ylim)
    scales = {line.time_scale_s for line in display.lines} or {display.time_scale_s}
    axes.set_xlabel(_time_label(scales))
    _set_text(axes.yaxis.label, _value_label(display.lines, shared_unit))
    _tidy(axes)
    title = figure.suptitle("")
    _set_text(title, fill(display.title or display.id, 80), TITLE_PT)
    _legend(figure, entries)
    return figure


def draw_traces(results: Results) -> Figure:
    """Draw all traces, one panel per quantity, in units for people.

    Of many neurons a part is drawn, evenly chosen.

    Parameters
    ----------
    results : Results
    """
    panels: dict[tuple[str, Dimension], list[Trace]] = defaultdict(list)
    for trace in results.traces:
        panels[trace.variable, trace.dimension].append(trace)
    shown = list(islice(panels.items(), MAX_PANELS))
    figure = _new_figure(0.8 + 1.5 * max(1, len(shown)))
    grid = figure.subplots(max(1, len(shown)), 1, sharex=True, squeeze=False)[:, 0]
    cells = {_cell_name(trace, index) for trace in results.traces for index in trace.indices}
    colors = _Colors()
    for axes, ((variable, dimension), traces) in zip(grid, shown, strict=False):
        _draw_panel(axes, traces, results, colors, by_cell=len(cells) <= len(PALETTE))
        name = variable if len(variable) <= 20 else f"…{variable[-19:]}"
        unit = display_unit(dimension)[0]
        _set_text(axes.yaxis.label, _with_unit(name, unit))
    for axes in grid:
        axes.margins(x=0)
        _tidy(axes)
    figure.align_ylabels(grid)
    grid[-1].set_xlabel(_time_label({_time_scale(results)}))
    if len(panels) > len(shown):
        figure.suptitle(f"{len(shown)} of {len(panels)} quantities", fontsize=TEXT_PT)
    _legend(figure, list(colors.items()))
    return figure


def draw_raster(results: Results, displays: Sequence[Display] = ()) -> Figure:
    """Draw the spikes of all populations, their rates below, and what displays show below that.

    Parameters
    ----------
    results : Results
    displays : sequence of Display
        Drawn over all the time that was simulated; of many the first.
    """
    below = displays[:MAX_BELOW]
    spikes_in, rate_in, display_in = 3.1, 1.1, 0.9
    figure = _new_figure(spikes_in + rate_in + display_in * len(below))
    ratios = (spikes_in, rate_in, *(display_in for _ in below))
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    scale = _time_scale(results)
    colors = _Colors()
    entries = _draw_spikes(panels[0], results, colors, spikes_in)
    _draw_rates(panels[1], results, colors)
    for axes, display in zip(panels[2:], below, strict=True):
        _draw_below(axes, display, results)
    end_s = results.start_s + (results.duration_s or results.dt_s)
    panels[0].set_xlim(results.start_s / scale, end_s / scale)
    panels[-1].set_xlabel(_time_label({scale}))
    for axes in panels:
        _tidy(axes)
    figure.align_ylabels(panels)
    _legend(figure, entries)
    return figure


def _draw_spikes(
    axes: Axes, results: Results, colors: _Colors, height_in: float
) -> list[tuple[str, str]]:
    """Draw a row for each neuron, and return the entries of the legend."""
    scale = _time_scale(results)
    n_neurons = sum(trains.n_neurons for trains in results.spikes.values())
    n_spikes = sum(trains.count for trains in results.spikes.values())
    marker = _marker(0.8 * height_in / max(1, n_neurons), n_spikes)
    entries: list[tuple[str, str]] = []
    offset = 0
    for population, trains in results.spikes.items():
        times, cells = _one_per_pixel(trains, results)
        x, y = times / scale, cells + float(offset)
        axes.plot(x, y, color=colors[population], **marker)
        entries.append((f"{population}: {trains.rate_hz:.3g} Hz", colors[population]))
        offset += trains.n_neurons
        if offset < n_neurons:
            axes.axhline(offset - 0.5, color="#cccccc", linewidth=0.5, zorder=0)
    axes.set_ylim(-0.5, max(n_neurons, 1) - 0.5)
    axes.locator_params(axis="y", integer=True)
    one = f"Neuron of {next(iter(results.spikes))}" if len(results.spikes) == 1 else "Neuron"
    _set_text(axes.yaxis.label, one)
    return entries


def _draw_below(axes: Axes, display: Display, results: Results) -> None:
    """Draw the lines of a display on the time axis of others."""
    spare = cycle(PALETTE)
    scale = _time_scale(results)
    curves, units = [], []
    for line in display.lines:
        trace = results.trace_of_one(line.quantity)
        x, values = _thin(trace, scale, None)
        curves.append(values / line.scale)
        units.append(_unit(line, trace))
        color = line.color if _is_visible(line.color) else next(spare)
        axes.plot(x, curves[-1], color=color, linewidth=0.8)
    axes.set_ylim(_value_limits(display, curves))
    shared = units[0] if len(set(units)) == 1 else None
    label = _value_label(display.lines, shared)
    short = label if len(label) <= MAX_BELOW_LABEL else _with_unit("", shared or "")
    _set_text(axes.yaxis.label, short)
    axes.text(0, 1, "", transform=axes.transAxes, va="bottom", fontsize=7, color=GREY)
    _set_text(axes.texts[-1], display.title or display.id, 7)


class _Colors(dict[str, str]):
    """The colour of each name, given in the order in which they are first asked for."""

    def __missing__(self, key: str) -> str:
        self[key] = PALETTE[len(self) % len(PALETTE)]
        return self[key]


def _draw_panel(
    axes: Axes, traces: Sequence[Trace], results: Results, colors: _Colors, *, by_cell: bool
) -> None:
    """Draw one quantity, coloured by neuron if there are few, else by population."""
    n_lines = sum(trace.indices.size for trace in traces)
    every = -(-n_lines // MAX_LINES_PER_PANEL)
    stroke = _stroke(n_lines)
    for trace in traces:
        scale = display_unit(trace.dimension)[1]
        for column in range(0, trace.indices.size, max(1, every)):
            x, y = _thin(trace.column(column), _time_scale(results), None)
            name = _cell_name(trace, trace.indices[column]) if by_cell else trace.population
            axes.plot(x, y / scale, color=colors[name], **stroke)


def _cell_name(trace: Trace, index: int) -> str:
    return f"{trace.population}[{index}]" if trace.population else "network"


def _draw_rates(axes: Axes, results: Results, colors: _Colors) -> None:
    """Draw the rate per neuron of each population, or of all when these are many."""
    scale = _time_scale(results)
    n_spikes = min((item.count for item in results.spikes.values() if item.count), default=0)
    n_wanted = float(np.clip(n_spikes / 5, 100, 250))  # five spikes in a bin tell a rate
    width_s = _round_up(max(results.duration_s / n_wanted, results.dt_s))
    n_bins = max(1, int(np.ceil(results.duration_s / width_s * (1 - 1e-9))))
    edges_s = results.start_s + np.arange(n_bins + 1) * width_s
    spikes = [item for item in results.spikes.items() if item[1].n_neurons]
    groups = {population: [trains] for population, trains in spikes}
    if len(groups) > len(PALETTE):
        groups = {"": [trains for _, trains in spikes]}
    for population, members in groups.items():
        counts = np.zeros(n_bins)
        for times, _ in chain.from_iterable(trains.blocks() for trains in members):
            counts += np.histogram(times, edges_s)[0]
        rate_hz = counts / (sum(trains.n_neurons for trains in members) * width_s)
        color = colors[population] if population else GREY
        axes.stairs(rate_hz, edges_s / scale, baseline=None, color=color, linewidth=0.9)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Rate (Hz)")
    note = f"bins of {width_s / scale:g} {_TIME_UNITS[scale]}"
    axes.text(1, 1, note, transform=axes.transAxes, ha="right", va="bottom", fontsize=7, color=GREY)


def _new_figure(height_in: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained", facecolor="white")


def _tidy(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color=GREY, linewidth=0.8)
    axes.tick_params(labelsize=TEXT_PT - 1, color=GREY, width=0.8, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(TEXT_PT)


def _set_text(text: Text, content: str, size: float = TEXT_PT) -> None:
    """Set a text from a file, in which a dollar is a dollar and no formula."""
    text.set(text=content, fontsize=size, parse_math=False)


def _legend(figure: Figure, entries: Sequence[tuple[str, str]]) -> None:
    """Put a legend of (label, colour) outside of the axes, where it hides no data.

    It is a row above the first axes if it fits, else columns beside all. Too long a legend to be
    read is left out, and so is one of a single entry.
    """
    from matplotlib.lines import Line2D

    if not 1 < len(entries) <= MAX_LEGEND:
        return
    handles = [Line2D([], [], color=color, linewidth=2) for _, color in entries]
    labels = [label for label, _ in entries]
    style: dict[str, Any] = {"frameon": False, "fontsize": LEGEND_PT, "handlelength": 1.2}
    if sum(len(label) + 6 for label in labels) <= MAX_ROW:
        style |= {"bbox_to_anchor": (0.5, 1.0), "ncols": len(labels)}
        legend = figure.axes[0].legend(handles, labels, loc="lower center", **style)
    else:
        rows = int(figure.get_figheight() * 72 / LEGEND_PT / 2)
        style |= {"ncols": -(-len(labels) // rows)}
        labels = [fill(label, 28) for label in labels]
        legend = figure.legend(handles, labels, loc="outside right upper", **style)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _stroke(n_lines: int) -> dict[str, Any]:
    """Return the width and transparency with which so many lines stay readable."""
    if n_lines <= len(PALETTE):
        return {"linewidth": 1.1, "alpha": 1.0}
    return {"linewidth": 0.8, "alpha": 0.7}


def _marker(row_in: float, n_spikes: int) -> dict[str, Any]:
    """Return the marker of a spike: a bar as high as its row, or a dot if rows are thin.

    A dot is larger where there are few.
    """
    row_pt = row_in * 72
    if row_pt > 3:
        size = min(0.8 * row_pt, 14)
        return {"linestyle": "", "marker": "|", "markersize": size, "markeredgewidth": 0.9}
    size = float(np.clip(1.5 * row_pt, 1.8 * max(1.0, (20_000 / (1 + n_spikes)) ** 0.25), 5.0))
    return {"linestyle": "", "marker": ".", "markersize": size, "markeredgewidth": 0}


def _one_per_pixel(
    trains: SpikeTrains, results: Results
) -> tuple[NDArray[np.float64], NDArray[np.integer[Any]]]:
    """Leave out spikes that would fall on one pixel with another."""
    if trains.count <= 20_000:
        return np.asarray(trains.times_s), np.asarray(trains.indices)
    n_rows = min(trains.n_neurons, N_BINS)
    taken = np.zeros((N_BINS, n_rows), dtype=np.bool_)
    kept = []
    for times, cells in trains.blocks():
        bins = ((times - results.start_s) / results.duration_s * N_BINS).astype(np.int64)
        columns = np.clip(bins, 0, N_BINS - 1)
        rows = cells.astype(np.int64) * n_rows // trains.n_neurons
        _, first = np.unique(columns * n_rows + rows, return_index=True)
        first = first[~taken[columns[first], rows[first]]]
        taken[columns[first], rows[first]] = True
        kept.append((times[first], cells[first]))
    return np.concatenate([item[0] for item in kept]), np.concatenate([item[1] for item in kept])


def _thin(
    trace: Trace, time_scale_s: float, xlim: tuple[float, float] | None
) -> tuple[NDArray[np.float64], Floats]:
    """Return what is visible of a curve: first, lowest and highest point of each bin.

    Bins are narrower than a pixel, so that the drawing is the same, spikes included. Times are
    in the scale, values in SI.
    """
    rows = range(trace.times.shape[0])
    if xlim is not None:
        visible = _rows(trace, time_scale_s, xlim)
        rows = rows[max(0, visible.start - 1) : visible.stop + 1]
    per_bin = len(rows) // N_BINS
    if per_bin < 4:
        return _read(trace, rows, time_scale_s)
    whole = N_BINS * per_bin
    step = max(1, BLOCK_VALUES // per_bin) * per_bin
    parts = []
    for start in range(0, whole, step):
        x, y = _read(trace, rows[start : min(start + step, whole)], time_scale_s)
        bins = y.reshape(-1, per_bin)
        first = np.arange(0, y.size, per_bin)
        picked = np.stack([first, first + bins.argmin(axis=1), first + bins.argmax(axis=1)], axis=1)
        keep = np.sort(picked, axis=1).ravel()
        parts.append((x[keep], y[keep]))
    parts.append(_read(trace, rows[whole:], time_scale_s))
    return np.concatenate([item[0] for item in parts]), np.concatenate([item[1] for item in parts])


def _read(
    trace: Trace, rows: range, time_scale_s: float
) -> tuple[NDArray[np.float64], NDArray[np.floating[Any]]]:
    part = slice(rows.start, rows.stop)
    return trace.times[part] / time_scale_s, np.ravel(trace.values[part])


def _rows(trace: Trace, time_scale_s: float, xlim: tuple[float, float]) -> range:
    """Return the rows within limits of time."""

    def scaled(time_s: float) -> float:
        return time_s / time_scale_s

    start = bisect_left(trace.times, xlim[0], key=scaled)
    return range(start, bisect_right(trace.times, xlim[1], lo=start, key=scaled))


def _value_limits(display: Display, curves: Sequence[Floats]) -> tuple[float, float] | None:
    """Return the declared limits if they show some of the curves, else None."""
    limits = _in_order(display.ymin, display.ymax)
    if limits is None or not curves:
        return limits
    low, high = limits
    return limits if any(np.any((y >= low) & (y <= high)) for y in curves) else None


def _in_order(low: float, high: float) -> tuple[float, float] | None:
    """Return declared limits, or None if they are no interval."""
    return (low, high) if np.isfinite(low) and np.isfinite(high) and low < high else None


def _unit(line: Line, trace: Trace) -> str:
    """Return the unit of a curve, worked out if its scale is a bare number."""
    if trace.dimension == NONE and line.scale == 1:
        return ""  # also where the file writes 1V, as files do for U of the Izhikevich cell
    if line.scale_unit or trace.dimension == NONE:
        return line.scale_unit
    symbol, scale = display_unit(trace.dimension)
    if np.isclose(line.scale, scale, rtol=1e-9):
        return symbol
    return trace.si_unit if line.scale == 1 else f"{line.scale:g} {trace.si_unit}"


def _value_label(lines: Sequence[Line], unit: str | None) -> str:
    """Return the label of the value axis: what the curves share."""
    names = {line.quantity.rpartition("/")[2] for line in lines}
    if len(lines) == 1:
        names = {lines[0].id}
    return _with_unit(names.pop() if len(names) == 1 else "", unit or "")


def _with_unit(name: str, unit: str) -> str:
    """Return ``name (unit)``, unless the name says so already."""
    if not unit or f"({unit})" in name:
        return name
    return f"{name} ({unit})" if name else unit


def _time_scale(results: Results) -> float:
    return 1.0 if results.duration_s >= 10 else 1e-3


def _time_label(scales: set[float]) -> str:
    if len(scales) != 1:
        return "Time"
    scale = next(iter(scales))
    return f"Time ({_TIME_UNITS.get(scale, f'{scale:g} s')})"


def _round_up(value: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is not below `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def _is_visible(color: str) -> bool:
    if not _HEX.fullmatch(color):
        return False
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    return min(bytes.fromhex(digits)) < 0xF0
