import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

from izhi_models.errors import InputError
from izhi_models.plots import (
    PALETTE,
    draw_display,
    draw_raster,
    draw_traces,
    save_figure,
    write_displays,
)
from izhi_models.results import Results, SpikeTrains, Trace
from izhi_models.simulation import Display, Line
from izhi_models.units import CURRENT, NONE, VOLTAGE

N = 40001
TIMES = np.arange(N) * 25e-6  # 1 s
INPUT = np.where(TIMES > 0.5, 10e-12, 0.0)[:, None]


def volts() -> np.ndarray:
    """Two cells at rest, each with one spike that lasts a single sample."""
    values = np.full((N, 2), -0.07)
    values[12345, 0] = 0.03
    values[20000, 1] = 0.04
    return values


@pytest.fixture
def results() -> Results:
    traces = [
        Trace("pop", "v", VOLTAGE, np.array([0, 1]), TIMES, volts()),
        Trace("pop", "i0/i", CURRENT, np.array([0]), TIMES, INPUT),
        Trace("pop", "V", NONE, np.array([0]), TIMES, INPUT * 1e12),
    ]
    return Results(1.0, 25e-6, {}, traces)


def line(identifier="a", quantity="pop[0]/v", scale=1e-3, unit="mV", color="", time_scale=1e-3):
    return Line(identifier, quantity, scale, unit, color, time_scale)


def display(*lines: Line, x=(0.0, 1000.0), y=(-80.0, 50.0), title="Title") -> Display:
    return Display("d1", title, *x, *y, 1e-3, lines)


def axes_of(*lines: Line, results: Results, **options):
    return draw_display(display(*lines, **options), results).axes[0]


# Displays


def test_display_has_the_declared_limits_scales_and_colours(results):
    axes = axes_of(line(color="#ee40FF"), results=results, x=(-20, 620), y=(-90, 40))
    assert axes.get_xlim() == (-20, 620)
    assert axes.get_ylim() == (-90, 40)
    curve = axes.lines[0]
    assert to_hex(curve.get_color()) == "#ee40ff"
    assert curve.get_ydata().min() == pytest.approx(-70)
    assert axes.get_xlabel() == "Time (ms)"
    assert axes.get_ylabel() == "a (mV)"


def test_no_spike_is_lost_though_few_points_are_drawn(results):
    axes = axes_of(line(), line("b", "pop[1]/v"), results=results)
    for curve, height, time_ms in zip(axes.lines, (30, 40), (308.625, 500), strict=True):
        x, y = curve.get_data()
        assert len(x) < 10_000
        assert y.max() == pytest.approx(height)
        assert x[y.argmax()] == pytest.approx(time_ms)
        assert (x[0], x[-1]) == (0, pytest.approx(1000))
        assert np.all(np.diff(x) >= 0)


def test_part_of_a_long_trace_is_drawn_with_all_its_points(results):
    axes = axes_of(line(), results=results, x=(300, 310))
    x = axes.lines[0].get_xdata()
    inside = x[(x >= 300) & (x <= 310)]
    assert inside.size == 401  # 10 ms / 25 us, both ends
    # One point beyond each limit, so that the curve leaves the axes.
    assert (x[0], x[-1]) == (pytest.approx(299.975), pytest.approx(310.025))


def test_short_trace_is_drawn_as_it_is():
    trace = Trace("pop", "v", VOLTAGE, np.array([0]), TIMES[:7999], volts()[:7999, :1])
    axes = axes_of(line(), results=Results(0.2, 25e-6, traces=[trace]))
    assert axes.lines[0].get_xdata().size == 7999


@pytest.mark.parametrize(
    ("x", "duration_s", "shown"),
    [
        ((0.0, 1000.0), 0.2, (0.0, 200.0)),  # a shorter run
        ((0.0, 100.0), 0.2, (0.0, 100.0)),
        ((0.0, 1000.0), 3.0, (0.0, 3000.0)),  # a longer one, all of which was to be seen
        ((0.0, 1200.0), 3.0, (0.0, 3000.0)),
        ((500.0, 900.0), 3.0, (500.0, 900.0)),
    ],
)
def test_time_axis_follows_a_run_of_another_length(x, duration_s, shown):
    fitted = display(line(), x=x).fitted(1.0, duration_s)
    assert (fitted.xmin, fitted.xmax) == pytest.approx(shown)


@pytest.mark.parametrize("x", [(0, 0), (5, -5), (2000, 3000), (float("nan"), 1), (0, float("inf"))])
def test_useless_limits_of_time_become_those_of_the_data(results, x):
    assert axes_of(line(), results=results, x=x).get_xlim() == (0, pytest.approx(1000))


@pytest.mark.parametrize("y", [(0, 0), (1, -1), (100, 200)])
def test_useless_limits_of_value_become_those_of_the_data(results, y):
    low, high = axes_of(line(), results=results, y=y).get_ylim()
    assert -80 < low < -70
    assert 30 < high < 40


@pytest.mark.parametrize("color", ["", "#3ff9999", "red", "ee40ff", "#ffffff", "#fff", "#12345g"])
def test_missing_invalid_or_invisible_colour_is_replaced(results, color):
    axes = axes_of(line(color=color), line("b", "pop[1]/v"), results=results)
    assert [to_hex(item.get_color()).upper() for item in axes.lines] == list(PALETTE[:2])


def test_short_hexadecimal_colour(results):
    axes = axes_of(line(color="#0f8"), results=results)
    assert to_hex(axes.lines[0].get_color()) == "#00ff88"


def test_shared_quantity_and_unit_are_on_the_axis(results):
    axes = axes_of(line(), line("b", "pop[1]/v"), results=results)
    assert axes.get_ylabel() == "v (mV)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_unlike_units_are_in_the_legend(results):
    current = line("clamp (pA)", "pop[0]/i0/i", 1e-12, "pA")
    axes = axes_of(line("v0"), current, results=results)
    assert axes.get_ylabel() == ""
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["v0 (mV)", "clamp (pA)"]


@pytest.mark.parametrize(
    ("scale", "unit", "label"),
    [
        (1.0, "", "a (V)"),
        (0.001, "", "a (mV)"),
        (0.01, "", "a (0.01 V)"),
        (0.01, "10 mV", "a (10 mV)"),
    ],
)
def test_unit_of_a_bare_scale_is_worked_out(results, scale, unit, label):
    axes = axes_of(line(scale=scale, unit=unit), results=results)
    assert axes.get_ylabel() == label
    assert axes.lines[0].get_ydata().min() == pytest.approx(-0.07 / scale)


def test_unit_is_not_mistaken_for_a_name(results):
    assert axes_of(line("V", scale=1.0, unit="V"), results=results).get_ylabel() == "V (V)"
    assert axes_of(line("v (mV)"), results=results).get_ylabel() == "v (mV)"


def test_quantity_without_a_dimension_has_no_unit(results):
    for unit in ("", "mV"):
        axes = axes_of(line("V", "pop[0]/V", 1.0, unit), results=results)
        assert axes.get_ylabel() == "V"


@pytest.mark.parametrize(
    ("scales", "label"),
    [((1.0,), "Time (s)"), ((1e-3, 1.0), "Time"), ((1e-6,), "Time (µs)"), ((0.5,), "Time (0.5 s)")],
)
def test_time_axis_names_the_scale_of_the_lines(results, scales, label):
    lines = [line(time_scale=scale) for scale in scales]
    axes = axes_of(*lines, results=results, x=(0, 0))
    assert axes.get_xlabel() == label
    assert axes.lines[0].get_xdata().max() == pytest.approx(1 / scales[0])


def test_text_of_a_file_is_no_formula(results, tmp_path):
    lines = [line("$\\frac{$"), line("_hidden", "pop[1]/v")]
    figure = draw_display(display(*lines, title="50$ and \\alpha^{"), results)
    save_figure(figure, tmp_path / "x.png")
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["$\\frac{$", "_hidden"]


def test_long_legend_stands_beside_the_axes(results):
    lines = [line(f"a cell with quite a long name, number {i}") for i in range(8)]
    figure = draw_display(display(*lines), results)
    figure.draw_without_rendering()
    axes = figure.axes[0].get_window_extent()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 > axes.x1
    assert legend.x1 <= figure.bbox.x1
    assert len(figure.legends[0].get_texts()) == 8


def test_nothing_overlaps_or_leaves_the_picture(results):
    figure = draw_display(display(line(), line("b", "pop[1]/v"), title="word " * 30), results)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    legend = axes.get_legend().get_window_extent()
    title = figure.texts[0].get_window_extent()
    assert axes.get_window_extent().y1 <= legend.y0
    assert legend.y1 <= title.y0
    assert title.y1 <= figure.bbox.y1
    assert axes.xaxis.label.get_window_extent().y0 >= 0
    assert axes.yaxis.label.get_window_extent().x0 >= 0


def test_display_without_lines_is_empty(results):
    axes = axes_of(results=results)
    assert axes.get_xlim() == (0, 1000)
    assert not axes.lines


def test_unknown_quantity_is_refused(results):
    with pytest.raises(InputError, match="'pop\\[0\\]/w' was not recorded"):
        draw_display(display(line(quantity="pop[0]/w")), results)


# Files


def test_displays_are_written_by_their_ids(results, tmp_path):
    named = [
        Display(name, "t", 0, 1000, -80, 50, 1e-3, (line(),))
        for name in ("d1", "../up", "d1", ".x", "///")
    ]
    written = write_displays(named, results, tmp_path / "out", "net_")
    names = ["net_d1.png", "net_up.png", "net_d1_2.png", "net_x.png", "net_display.png"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    pixels = imread(written[0])
    assert pixels.shape[:2] == (480, 1050)  # 7 in by 3.2 in at 150 dots per inch
    assert pixels[0, 0, :3].tolist() == [1, 1, 1]


def test_equal_pictures_are_equal_files(results, tmp_path):
    for name in ("a.png", "b.png"):
        save_figure(draw_display(display(line()), results), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_refused_picture_leaves_nothing(results, tmp_path):
    (tmp_path / "d.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        save_figure(draw_display(display(line()), results), tmp_path / "d.png")
    assert [path.name for path in tmp_path.iterdir()] == ["d.png"]


def test_pyplot_is_not_used():
    code = (
        "import sys; from izhi_models import plots; from izhi_models.results import Results;"
        "plots.draw_raster(Results(1.0, 1e-3)); plots.draw_traces(Results(1.0, 1e-3));"
        "print('matplotlib.figure' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


# Rasters


def regular(rate_hz: float, n_neurons: int, duration_s: float) -> SpikeTrains:
    """All neurons fire at the same times, halfway through each period."""
    once = (np.arange(round(rate_hz * duration_s)) + 0.5) / rate_hz
    indices = np.tile(np.arange(n_neurons), once.size)
    return SpikeTrains(np.repeat(once, n_neurons), indices, n_neurons, duration_s)


def test_raster_stacks_populations_and_shows_their_rates():
    spikes = {"slow": regular(100, 3, 1.0), "fast": regular(200, 2, 1.0)}
    raster, rates = draw_raster(Results(1.0, 1e-3, spikes)).axes
    slow, fast = (item for item in raster.lines if item.get_marker() != "None")
    assert set(slow.get_ydata()) == {0, 1, 2}
    assert set(fast.get_ydata()) == {3, 4}
    assert slow.get_xdata()[[0, 3]] == pytest.approx([5, 15])
    assert raster.get_ylim() == (-0.5, 4.5)
    # Bins of 10 ms hold exactly one spike per neuron at 100 Hz and two at 200 Hz.
    for stairs, rate in zip(rates.patches, (100, 200), strict=True):
        assert stairs.get_data().values == pytest.approx(np.full(100, rate))
    assert rates.get_xlim() == (0, 1000)
    names = [text.get_text() for text in raster.get_legend().get_texts()]
    assert names == ["slow: 100 Hz", "fast: 200 Hz"]
    colors = [to_hex(item.get_color()) for item in (slow, fast)]
    assert [to_hex(item.get_edgecolor()) for item in rates.patches] == colors


def test_raster_has_the_displays_of_a_file_below_it(results):
    spikes = {"pop": regular(10.0, 2, 1.0)}
    shown = Results(1.0, 25e-6, spikes, results.traces)
    first = display(line(color="#ee40FF"), x=(0, 100), title="One cell")
    second = display(line("a name that is too long", "pop[1]/v"), line("b", "pop[0]/V", 1, ""))
    raster, _, upper, lower = draw_raster(shown, [first, second]).axes
    for axes in (raster, upper, lower):
        assert axes.get_xlim() == (0.0, 1000.0)
    x, y = upper.lines[0].get_data()
    assert to_hex(upper.lines[0].get_color()) == "#ee40ff"
    assert (x[y.argmax()], y.max()) == (pytest.approx(308.625), pytest.approx(30.0))
    assert upper.get_ylim() == (-80.0, 50.0)
    assert upper.get_ylabel() == "a (mV)"
    assert [text.get_text() for text in upper.texts] == ["One cell"]
    assert len(lower.lines) == 2
    assert lower.get_xlabel() == "Time (ms)"


def test_bins_of_rates_are_narrow_where_there_are_many_spikes():
    for rate_hz, width_ms in ((1.0, 10.0), (100.0, 5.0)):
        _, rates = draw_raster(Results(1.0, 1e-4, {"pop": regular(rate_hz, 20, 1.0)})).axes
        edges = rates.patches[0].get_data().edges
        assert np.diff(edges) == pytest.approx(width_ms)


def test_rates_of_many_populations_are_drawn_as_one():
    spikes = {f"p{i}": regular(100, 1, 1.0) for i in range(50)}
    _, rates = draw_raster(Results(1.0, 1e-3, spikes)).axes
    assert len(rates.patches) == 1
    assert rates.patches[0].get_data().values == pytest.approx(np.full(100, 100))


def test_raster_of_a_continued_simulation_begins_at_its_start():
    later = regular(100, 1, 1.0)
    later = SpikeTrains(later.times_s + 5, later.indices, 1, 1.0)
    _, rates = draw_raster(Results(1.0, 1e-3, {"pop": later}, start_s=5.0)).axes
    assert rates.get_xlim() == (5000, 6000)
    assert rates.patches[0].get_data().values == pytest.approx(np.full(100, 100))


def test_many_spikes_are_drawn_once_per_pixel():
    rng = np.random.default_rng(1)
    trains = SpikeTrains(np.sort(rng.uniform(0, 20, 10**6)), rng.integers(0, 50, 10**6), 50, 20.0)
    raster, _ = draw_raster(Results(20.0, 1e-3, {"pop": trains})).axes
    x, y = raster.lines[0].get_data()
    assert x.size < 110_000  # 50 rows of 2000 places
    assert set(y) == set(range(50))
    assert raster.get_ylabel() == "Neuron of pop"
    assert (x.min(), x.max()) == (pytest.approx(0, abs=0.01), pytest.approx(20, abs=0.01))


@pytest.mark.parametrize("duration", [0.0, 1.0])
def test_raster_without_spikes_is_drawn(tmp_path, duration):
    silent = {"pop": SpikeTrains(np.empty(0), np.empty(0, int), 3, duration)}
    for spikes in ({}, silent):
        save_figure(draw_raster(Results(duration, 1e-3, spikes)), tmp_path / "r.png")
        assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


# Traces


def test_traces_have_a_panel_per_quantity(results):
    panels = draw_traces(results).axes
    assert [axes.get_ylabel() for axes in panels] == ["v (mV)", "i0/i (pA)", "V"]
    assert [len(axes.lines) for axes in panels] == [2, 1, 1]
    assert panels[-1].get_xlabel() == "Time (ms)"
    # One cell has one colour in all panels.
    assert panels[0].lines[0].get_color() == panels[1].lines[0].get_color()


def test_traces_of_many_cells_are_a_part_coloured_by_population():
    values = np.zeros((10, 500))
    traces = [
        Trace(name, "v", VOLTAGE, np.arange(500), TIMES[:10], values) for name in ("exc", "inh")
    ]
    figure = draw_traces(Results(0.1, 1e-3, traces=traces))
    (axes,) = figure.axes
    assert 10 <= len(axes.lines) <= 30
    assert len({item.get_color() for item in axes.lines}) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["exc", "inh"]


def test_traces_of_too_many_quantities_say_so():
    traces = [
        Trace("p", f"x{i}", NONE, np.array([0]), TIMES[:3], np.zeros((3, 1))) for i in range(60)
    ]
    figure = draw_traces(Results(1.0, 1e-3, traces=traces))
    assert len(figure.axes) == 20
    assert figure.get_suptitle() == "20 of 60 quantities"


def test_no_traces_are_drawn(tmp_path):
    save_figure(draw_traces(Results(0.0, 1e-3)), tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
