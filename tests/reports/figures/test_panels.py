"""Figures are the same bytes each time, say what they show, and lay no word on another."""

from dataclasses import replace
from itertools import combinations

import matplotlib
import numpy as np
import pytest

from xaibench.reports.figures import panels
from xaibench.reports.figures.chart import Axis, Line, Mark, Name, chart, spread, ticks
from xaibench.reports.figures.files import figures as figure_files
from xaibench.reports.figures.files import named
from xaibench.reports.figures.further import operator_panels, rank_panels
from xaibench.reports.figures.mpl import printed
from xaibench.reports.figures.page import drawn
from xaibench.reports.figures.scatter import cost_panels
from xaibench.reports.figures.shapes import Area
from xaibench.reports.figures.style import styles
from xaibench.reports.figures.svg import path
from xaibench.reports.web.examples import examples_shown

LONG = "a_method_whose_name_goes_on_and_on_and_on_until_it_has_eighty_letters_in_it_all_"


def panels_of(results):
    found = [*panels.gap_panels(results), *cost_panels(results), *operator_panels(results)]
    for order in ("most relevant first", "least relevant first"):
        found += panels.curve_panels(results, "n", "logit_difference", order)
    return found + [panel for drawn in panels.training_panels(results).values() for panel in drawn]


def test_a_panel_is_the_same_each_time(run):
    first, second = (panels.gap_panels(run)[0] for _ in range(2))
    assert first.svg == second.svg
    assert printed(first.drawing) == printed(second.drawing)


def test_drawing_leaves_the_settings_of_matplotlib(run):
    before = dict(matplotlib.rcParams)
    printed(panels.gap_panels(run)[0].drawing)
    assert dict(matplotlib.rcParams) == before


def test_every_model_has_its_curves(run):
    drawn = panels.curve_panels(run, "uniform", "probability", "least relevant first")
    assert [panel.title for panel in drawn] == ["cnn", "attngen", "attention only"]
    assert "random control" in drawn[0].alt
    assert "attention," not in drawn[0].alt


def test_the_axis_of_curves_holds_their_bands(run):
    wide = run.curves.assign(low=run.curves["mean"] - 40, high=run.curves["mean"] + 60)
    (panel, *_) = panels.curve_panels(
        replace(run, curves=wide), "uniform", "probability", "most relevant first"
    )
    bands = [shape for shape in panel.drawing.shapes if isinstance(shape, Area)]
    assert len(bands) == 6
    for band in bands:
        heights = [down for _, down in band.points]
        assert max(heights) < panel.drawing.height - 40
        assert min(heights) > 10
        assert max(heights) - min(heights) > 150  # as high as it is, not cut to the curves


def test_curves_are_named_from_the_highest_down(run):
    (panel, *_) = panels.curve_panels(run, "uniform", "probability", "most relevant first")
    names = [words.text for words in panel.drawing.words if words.anchor == "start"]
    assert set(names[:2]) == {"random", "random control"}  # as good as each other
    assert names[2:] == ["saliency", "input_x_gradient", "integrated_gradients", "deeplift"]


def test_a_quantity_that_is_always_0_is_not_drawn(make):
    results = make(models=("cnn",))
    assert set(panels.training_panels(results)) == {"Loss", "Accuracy"}


def test_a_panel_of_the_page_is_small(run):
    (panel, *_) = panels.curve_panels(run, "uniform", "probability", "most relevant first")
    assert len(panel.markup) < 10_000


@pytest.mark.parametrize("methods", [1, 6, 40])
def test_no_word_of_a_figure_lies_on_another_or_outside(make, methods):
    quality = tuple((f"{k}{LONG}", k / methods) for k in range(methods))
    results = make(models=("cnn",), quality=quality, operators=("n",), seeds=(0,), sequences=5)
    for panel in panels_of(results):
        boxes = [words.box for words in panel.drawing.words]
        for left, top, right, bottom in boxes:
            assert left >= 0 <= top
            assert right <= panel.drawing.width + 1
            assert bottom <= panel.drawing.height
        for one, other in combinations(boxes, 2):
            apart = one[2] <= other[0] or other[2] <= one[0]
            assert apart or one[3] <= other[1] or other[3] <= one[1], (panel.title, one, other)


def test_a_name_of_a_figure_is_never_markup(make):
    results = make(models=("<script>",), quality=(("<b>", 0.5), ("a & b", 0.2)), operators=("n",))
    for panel in panels_of(results):
        assert "<script" not in panel.svg
        assert "<b>" not in panel.svg


def test_the_ends_of_an_axis_are_the_ends_of_its_frame():
    style = styles(["one"])["one"]
    line = Line(np.array([0.0, 1.0]), np.array([2.0, 7.0]), style)
    drawing = chart(Axis("x", (0, 1)), Axis("y", (2, 7)), [line], width=300, height=200)
    (points,) = (shape.points for shape in drawing.shapes if getattr(shape, "colour", "") == "m0")
    assert points[0][1] == 160  # the bottom, 40 pixels of numbers and label below it
    assert points[1] == (288, 10)


def test_what_is_not_known_is_not_drawn():
    style = styles(["one"])["one"]
    line = Line(np.array([0.0, 0.5, 1.0]), np.array([1.0, np.nan, 3.0]), style)
    drawing = chart(Axis("x", (0, 1)), Axis("y", (0, 4)), [line])
    (points,) = (shape.points for shape in drawing.shapes if getattr(shape, "colour", "") == "m0")
    assert len(points) == 2


def test_many_names_make_a_chart_higher():
    style = styles(["one"])["one"]
    names = [Name(f"method {k}", style) for k in range(40)]
    assert chart(Axis("x", (0, 1)), Axis("y", (0, 1)), [], names).height > 40 * 13


def test_a_logarithmic_axis_shows_0_and_1_apart():
    x = Axis("forwards", (-0.3, 1000), logarithmic=True)
    places = x.place(np.array([0, 1, 10, 100, 1000]))
    assert np.all(np.diff(places) > 0.05)
    assert np.diff(places)[1:] == pytest.approx(places[2] - places[1])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (-3.2, 11, "\N{MINUS SIGN}2.5 0.0 2.5 5.0 7.5 10.0"),
        (0, 7, "0 2 4 6"),
        (0.03, 0.0312, "0.0300 0.0302 0.0304 0.0306 0.0308 0.0310 0.0312"),
    ],
)
def test_ticks_are_round_and_told_apart(low, high, said):
    assert " ".join(ticks(low, high).values()) == said


def test_whole_numbers_have_no_ticks_between():
    assert list(ticks(1, 4, least=1).values()) == ["1", "2", "3", "4"]


def test_names_move_no_further_than_they_must():
    assert spread([50, 51, 52, 90], (0, 100), 10) == [50, 60, 70, 90]
    assert spread([95, 97, 99], (0, 100), 10) == [80, 90, 100]
    assert spread([1, 1, 1], (0, 10), 20) == [0, 5, 10]


def test_marks_are_named_where_they_stand():
    style = styles(["one"])["one"]
    marks = [Mark(0.5, y, style, name=f"at {y}") for y in (0.2, 0.9)]
    drawing = chart(Axis("x", (0, 1)), Axis("y", (0, 1)), marks)
    down = {words.text: words.at[1] for words in drawing.words}
    assert down["at 0.9"] < down["at 0.2"]


def test_a_path_has_no_more_digits_than_it_needs():
    assert path(((0.0, 0.0), (0.5, -0.5), (10.5, -0.5))) == "M0 0l.5-.5 10 0"


def ranks(run):
    rows = [
        ("cnn", "deletion_logit_difference", "uniform", name, rank, 0.8, 1e-4, 23, 0.5, "")
        for name, rank in (("deeplift", 1.4), ("saliency", 2.9))
    ]
    return replace(run, ranks=type(run.ranks)(rows, columns=list(run.ranks)))


def test_ranks_are_drawn_with_half_the_critical_difference(run):
    (panel,) = rank_panels(ranks(run))
    assert panel.alt.endswith("critical difference 0.80: deeplift 1.40, saliency 2.90")


def test_a_run_without_ranks_has_no_figure_of_them(run):
    assert rank_panels(replace(run, ranks=run.ranks.iloc[:0])) == []


@pytest.fixture(scope="module")
def files(run):
    few = {"models": {"cnn": {}}, "attribution": {"deeplift": {}, "saliency": {}}}
    own = {
        name: (table := getattr(run, name))[table["model"].isin(["cnn", ""])]
        for name in ("estimates", "curves", "training", "cost", "operators", "records")
    }
    return figure_files(replace(run, plan=run.plan | few, examples=run.examples[:1], **own))


def test_every_figure_is_there_as_svg_and_as_png(files):
    names = {name.rpartition(".")[0] for name in files} - {"figures/captions"}
    assert {f"{name}.{kind}" for name in names for kind in ("svg", "png")} < set(files)
    for group in ("gaps", "deletion", "insertion", "training", "operators", "cost", "logos"):
        assert any(name.startswith(f"figures/{group}_") for name in names), group


def test_every_figure_of_the_page_is_a_file(run):
    curves = {
        "operator": "n",
        "fractions": [0.0, 0.5, 1.0],
        "methods": {"deeplift": [4.0, -1.0, 0.0]},
        "random": {},
    }
    example = {**run.examples[0], "curves": {"cnn": curves}}
    results = replace(run, examples=[example])
    filed = {panel.alt for _, panel in named(results)}
    page = {
        panel.alt for groups in drawn(results).values() for each in groups for panel in each.panels
    }
    assert len(page) > 20
    assert page <= filed
    assert any("probability of cnn" in alt for alt in filed)
    (view, *_) = examples_shown(results)[0].views
    (own,) = [panel for name, panel in named(results) if name == "example_1_1_cnn"]
    assert own.markup == view.curve


def test_no_two_figures_share_a_file(run):
    names = [name for name, _ in named(run)]
    assert len(set(names)) == len(names)


def test_files_of_figures_are_what_their_names_say(files):
    for name, file in files.items():
        if name.endswith(".png"):
            assert file.startswith(b"\x89PNG")
        elif name.endswith(".svg"):
            assert b"<svg" in file
            assert b"<dc:date>" not in file
            assert b"<text" not in file  # outlines, which need no font


def test_every_file_of_a_figure_has_its_caption(files):
    captions = files["figures/captions.md"]
    assert all(f"`{name[8:-4]}`" in captions for name in files if name.endswith(".svg"))
