"""Figures are the same bytes each time, say what they show, and lay no word on another."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.text import Text

from xaibench.reports.figures.canvas import Axis, canvas, limits_of, spaced
from xaibench.reports.figures.curves import curve_panels
from xaibench.reports.figures.files import figures as figure_files
from xaibench.reports.figures.files import named_panels
from xaibench.reports.figures.forest import gap_panels
from xaibench.reports.figures.heat import agreement_panels, score_panels
from xaibench.reports.figures.operators import operator_panels
from xaibench.reports.figures.page import drawn
from xaibench.reports.figures.pareto import cost_panels
from xaibench.reports.figures.ranks import groups, rank_panels
from xaibench.reports.figures.training import training_panels
from xaibench.reports.web.examples import examples_shown

LONG = "a_method_whose_name_goes_on_and_on_and_on_until_it_has_eighty_letters_in_it_all_"
MOST = "most relevant first"


def panels_of(results):
    found = [*gap_panels(results), *cost_panels(results), *operator_panels(results)]
    found += [*rank_panels(results), *score_panels(results), *agreement_panels(results)]
    for order in (MOST, "least relevant first"):
        found += curve_panels(results, "n", "logit_difference", order)
    return found + [panel for panels in training_panels(results).values() for panel in panels]


def texts_of(panel):
    """Every text of a figure and its box in pixels, from the top and left."""
    with matplotlib.rc_context(), canvas(1, 1):
        renderer = FigureCanvasAgg(panel.figure).get_renderer()
        panel.figure.draw(renderer)
        shown = [one for one in panel.figure.findobj(Text) if one.get_visible() and one.get_text()]
        return [(one.get_text(), one.get_window_extent(renderer)) for one in shown]


def overlapping(boxes):
    """Pairs of named boxes that share a point, all compared at once: a heat map has hundreds."""
    corners = np.array([box.get_points() for _, box in boxes]).reshape(-1, 2, 2)
    low, high = corners.min(axis=1), corners.max(axis=1)
    shared = ((low <= high[:, None]) & (low[:, None] <= high)).all(axis=2)
    pairs = np.argwhere(np.triu(shared, k=1))
    return [(boxes[one][0], boxes[other][0]) for one, other in pairs]


def rising(panel):
    """The texts of a figure that are neither level nor upright."""
    return {one.get_text() for one in panel.figure.findobj(Text) if one.get_rotation() % 90}


def test_a_panel_is_the_same_each_time(run):
    first, second = (gap_panels(run)[0] for _ in range(2))
    assert first.markup == second.markup == first.markup
    assert first.files == second.files


def test_drawing_leaves_the_settings_of_matplotlib(run):
    before = dict(matplotlib.rcParams)
    panel = gap_panels(run)[0]
    assert panel.markup
    assert panel.files
    assert dict(matplotlib.rcParams) == before


def test_every_model_has_its_curves(run):
    panels = curve_panels(run, "uniform", "probability", "least relevant first")
    assert [panel.title for panel in panels] == ["cnn", "attngen", "attention only"]
    assert "random control" in panels[0].alt
    assert "attention," not in panels[0].alt


def test_the_axis_of_curves_holds_their_bands(run):
    wide = run.curves.assign(low=run.curves["mean"] - 40, high=run.curves["mean"] + 60)
    (panel, *_) = curve_panels(replace(run, curves=wide), "uniform", "probability", MOST)
    (axes,) = panel.figure.axes
    bands = [patch for patch in axes.patches if isinstance(patch, Polygon)]
    low, high = axes.get_ylim()
    assert len(bands) == 6
    for band in bands:
        _, y = band.get_xy().T
        assert low < y.min() < y.max() < high
        assert y.max() - y.min() > 100  # as high as it is, not cut to the curves


def test_curves_are_named_from_the_highest_down(run):
    (panel, *_) = curve_panels(run, "uniform", "probability", MOST)
    beside = [(box.y1, text) for text, box in texts_of(panel) if box.x0 > panel.figure.bbox.x1 / 2]
    names = [text for _, text in sorted(beside, reverse=True) if not text[0].isdigit()]
    assert set(names[:2]) == {"random", "random control"}  # as good as each other
    assert names[2:] == ["saliency", "input_x_gradient", "integrated_gradients", "deeplift"]


def test_a_quantity_that_is_always_0_is_not_drawn(make):
    assert set(training_panels(make(models=("cnn",)))) == {"Loss", "Accuracy"}


def test_a_training_has_a_line_per_seed_and_their_mean(make):
    (panel,) = training_panels(make(models=("cnn",), seeds=(0, 3, 7)))["Accuracy"]
    widths = [line.get_linewidth() for line in panel.figure.axes[0].lines]
    assert sorted(widths) == [0.7] * 3 + [1.8]


def test_a_panel_of_the_page_is_small(run):
    (panel, *_) = curve_panels(run, "uniform", "probability", MOST)
    assert len(panel.markup) < 8_000


@pytest.mark.parametrize("methods", [1, 6, 40])
def test_no_word_of_a_figure_is_on_another_or_outside(make, methods):
    quality = tuple((f"{k}{LONG}", k / methods) for k in range(methods))
    results = make(models=("cnn",), quality=quality, operators=("n",), seeds=(0,), sequences=5)
    for panel in panels_of(results):
        texts = texts_of(panel)
        assert texts
        for text, box in texts:
            assert min(box.x0, box.y0) > -1.5, (panel.alt, text)
            assert box.x1 < panel.figure.bbox.x1 + 1.5, (panel.alt, text)
            assert box.y1 < panel.figure.bbox.y1 + 1.5, (panel.alt, text)
        # the boxes of names that rise side by side overlap, and the names do not
        rise = rising(panel)
        level = [(one, box.padded(-1.5)) for one, box in texts if one not in rise]
        assert overlapping(level) == [], panel.alt


def test_a_name_of_a_figure_is_never_markup(make):
    quality = (("<b>", 0.5), ("a & b", 0.2), ("$x^2$", 0.1))
    results = make(models=("<script>",), quality=quality, operators=("n",))
    pages = [panel.markup for panel in panels_of(results)]
    assert not any("<script" in page or "<b>" in page for page in pages)
    assert any("$x^2$" in page for page in pages)


def test_letters_that_no_font_has_are_drawn_without_a_warning(make):
    results = make(models=("模型",), quality=(("方法", 0.5), ("two\nlines", 0.2)), operators=("n",))
    assert all(panel.markup for panel in panels_of(results))
    assert gap_panels(results)[0].files


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (-3.2, 11, "0 5 10"),
        (0.03, 0.0312, "0.03000 0.03025 0.03050 0.03075 0.03100"),
        (1e5, 1.00002e5, "100000.0 100000.5 100001.0 100001.5 100002.0"),
    ],
)
def test_ticks_are_round_and_distinct(low, high, numbers):
    assert Axis("", (low, high)).ticks[1] == numbers.split()


def test_whole_numbers_have_no_ticks_between():
    assert Axis("epoch", (1, 4), whole=True).ticks[1] == ["1", "2", "3", "4"]


def test_counts_are_marked_at_0_and_at_powers_of_ten():
    assert Axis("", (-0.3, 2500), counts=True).ticks[1] == ["0", "1", "10", "100", "1,000"]


@pytest.mark.parametrize("values", [[], [np.nan], [2.0], [0.0, 0.0]])
def test_an_axis_has_two_ends_whatever_is_known(values):
    low, high = limits_of(values)
    assert low < high


def test_names_move_no_further_than_they_must():
    assert spaced([50, 51, 52, 90], (0, 100), 10) == [50, 60, 70, 90]
    assert spaced([95, 97, 99], (0, 100), 10) == [80, 90, 100]
    assert spaced([1, 1, 1], (0, 10), 20) == [0, 5, 10]


def ranks(run):
    rows = [
        ("cnn", "deletion_logit_difference", "uniform", name, rank, 0.8, 1e-4, 23, 0.5, "")
        for name, rank in (("saliency", 2.9), ("deeplift", 1.4), ("input_x_gradient", 1.9))
    ]
    return replace(run, ranks=type(run.ranks)(rows, columns=list(run.ranks)))


def test_ranks_are_drawn_with_the_critical_difference(run):
    (panel,) = rank_panels(ranks(run))
    said = "critical difference 0.80: deeplift 1.40, input_x_gradient 1.90, saliency 2.90"
    assert panel.alt.endswith(said)
    thick = [line for line in panel.figure.axes[0].lines if line.get_linewidth() == 3.2]
    assert len(thick) == 1  # joins the first two


def test_groups_of_ranks_are_the_longest_within_the_critical_difference():
    assert groups(np.array([1.0, 1.4, 1.8, 2.2, 4.0]), 1.0) == [(0, 2), (1, 3)]
    assert groups(np.array([1.0, 1.4, 1.8]), 0.1) == []
    assert groups(np.array([1.0, 1.4, 1.8]), 9.0) == [(0, 2)]


def test_a_run_without_ranks_has_no_figure_of_them(run):
    assert rank_panels(replace(run, ranks=run.ranks.iloc[:0])) == []


@pytest.fixture(scope="module")
def files(run):
    few = {"models": {"cnn": {}}, "attribution": {"deeplift": {}, "saliency": {}}}
    own = {
        name: (table := getattr(run, name))[table["model"].isin(["cnn", ""])]
        for name in ("estimates", "curves", "training", "cost", "operators", "records")
    }
    curves = own["curves"]
    own["curves"] = curves[(curves["operator"] == "n") & (curves["quantity"] != "accuracy")]
    return figure_files(replace(run, plan=run.plan | few, examples=run.examples[:1], **own))


@pytest.fixture(scope="module")
def with_curves(run):
    """A run of one example, which has curves of its own."""
    curves = {
        "operator": "n",
        "fractions": [0.0, 0.5, 1.0],
        "methods": {"deeplift": [4.0, -1.0, 0.0]},
        "random": {},
    }
    return replace(run, examples=[{**run.examples[0], "curves": {"cnn": curves}}])


@pytest.fixture(scope="module")
def page(with_curves):
    return drawn(with_curves)


@pytest.fixture(scope="module")
def filed(with_curves):
    return list(named_panels(with_curves))


def test_the_page_says_for_which_models_a_figure_is_not_drawn(page):
    notes = {group.title: group.note for group in page["leaderboard"]}
    assert notes["Sequence by sequence"].startswith(
        "Not drawn for cnn, attngen and attention only:"
    )
    assert "Not drawn" not in notes["Every metric on one scale"]


def test_every_figure_is_a_file_of_every_kind(files):
    names = {name.rpartition(".")[0] for name in files} - {"figures/captions"}
    assert {f"{name}.{kind}" for name in names for kind in ("svg", "pdf", "png")} < set(files)
    for group in ("gaps", "deletion", "insertion", "training", "operators", "cost", "logos"):
        assert any(name.startswith(f"figures/{group}_") for name in names), group


def test_every_figure_of_the_page_is_a_file(with_curves, page, filed):
    of_page = {panel.alt for groups in page.values() for each in groups for panel in each.panels}
    of_files = {panel.alt for _, panel in filed}
    assert len(of_page) > 20
    assert of_page <= of_files
    assert any("Probability of cnn" in alt for alt in of_files)
    (view, *_) = examples_shown(with_curves)[0].views
    (own,) = [panel for name, panel in filed if name == "example_1_1_cnn"]
    assert own.markup == view.curve


def test_no_two_figures_share_a_file(filed):
    names = [name for name, _ in filed]
    assert len(set(names)) == len(names)


def test_files_of_figures_are_what_their_names_say(files):
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for name, file in files.items():
        kind = name.rpartition(".")[2]
        if kind in begins:
            assert file.startswith(begins[kind])
        if kind == "svg":
            assert b"<text" in file  # that an editor can change
            assert b"<image" not in file
            assert b"<dc:date>" not in file


def test_every_file_of_a_figure_has_its_caption(files):
    captions = files["figures/captions.md"]
    assert all(f"`{name[8:-4]}`" in captions for name in files if name.endswith(".svg"))


def test_what_is_not_known_is_not_drawn(run):
    rows = run.curves.copy()
    gone = (rows["method"] == "deeplift") & (rows["fraction"] > 0.3)
    rows.loc[gone, ["mean", "low", "high"]] = np.nan
    (panel, *_) = curve_panels(replace(run, curves=rows), "uniform", "probability", MOST)
    lines = [line for line in panel.figure.axes[0].lines if isinstance(line, Line2D)]
    lengths = [len(line.get_xdata()) for line in lines]
    assert min(lengths) < max(lengths)
    assert "nan" not in panel.markup
