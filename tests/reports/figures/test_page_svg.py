"""A figure in the page: small, without styles or identifiers of its own, its text text."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from xaibench.reports.figures.canvas import (
    Margins,
    add_axes,
    canvas,
    draw_band,
    draw_dot,
    draw_line,
    write,
)
from xaibench.reports.figures.page_svg import commands, page_svg
from xaibench.reports.figures.style import COLOURS, Style

SVG = "{http://www.w3.org/2000/svg}"


def figure_of(draw):
    """A figure of 200 x 100 pixels whose axes, from 0 to 1 both, are as large as it."""
    with canvas(200, 100) as figure:
        axes = add_axes(figure, Margins(0, 0, 0, 0))
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        draw(axes, figure)
    return figure


def elements(figure, tag):
    return ElementTree.fromstring(page_svg(figure, "what it is")).findall(f"{SVG}{tag}")


def test_a_line_has_the_class_of_its_colour_and_its_dashes():
    style = Style(COLOURS[2], "5 2", 2)
    x, y = np.array([0.0, 0.5, 1.0]), np.array([0.0, 1.0, 0.5])
    (line,) = elements(figure_of(lambda axes, _: draw_line(axes, x, y, style)), "path")
    assert line.get("class") == "line m2"
    assert line.get("d") == "M0 100l100-100 100 50"
    assert line.get("stroke-dasharray") == "5 2"
    assert line.get("stroke-width") == "1.6"


def test_a_band_is_an_area_as_opaque_as_its_interval():
    ends = np.array([0.0, 1.0])
    figure = figure_of(lambda axes, _: draw_band(axes, ends, ends / 2, ends, COLOURS[0], 0.25))
    (band,) = elements(figure, "path")
    assert (band.get("class"), band.get("opacity")) == ("area m0", "0.25")


def test_a_dot_is_round_and_as_wide_as_it_was_drawn():
    figure = figure_of(lambda axes, _: draw_dot(axes, 0.5, 0.25, COLOURS[1]))
    (dot,) = elements(figure, "path")
    assert (dot.get("class"), dot.get("d"), dot.get("stroke-width")) == (
        "dot m1",
        "M100 75h0",
        "7.2",
    )


def test_a_hollow_dot_is_a_ring():
    figure = figure_of(lambda axes, _: draw_dot(axes, 0.5, 0.25, COLOURS[1], hollow=True))
    (ring,) = elements(figure, "circle")
    assert [ring.get(name) for name in ("class", "cx", "cy", "r")] == ["ring m1", "100", "75", "3"]


@pytest.mark.parametrize(
    ("side", "anchor"), [("left", None), ("center", "middle"), ("right", "end")]
)
def test_text_stays_text_and_grows_from_the_side_that_it_is_aligned_by(side, anchor):
    def draw(_, figure):
        write(figure, (60, 40), "a < b & c", ha=side)

    (text,) = elements(figure_of(draw), "text")
    assert (text.text, text.get("text-anchor"), text.get("x")) == ("a < b & c", anchor, "60")
    assert 60 < float(text.get("y")) < 68  # the baseline is below the middle


def test_text_that_is_read_upwards_is_turned_about_its_anchor():
    def draw(_, figure):
        write(figure, (60, 40), "upwards", ha="center", rotation=90, rotation_mode="anchor")

    (text,) = elements(figure_of(draw), "text")
    assert text.get("transform") == "rotate(-90 64.2 60)"
    assert (text.get("y"), text.get("text-anchor")) == ("60", "middle")


def test_it_says_what_it_is_and_what_it_shows():
    page = page_svg(figure_of(lambda *_: None), "Gap of <b>", "one & two")
    root = ElementTree.fromstring(page)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Gap of <b>"
    assert root.find(f"{SVG}desc").text == "one & two"


def test_it_has_no_styles_identifiers_or_links_of_its_own():
    ends = np.array([0.0, 1.0])
    page = page_svg(figure_of(lambda axes, _: draw_line(axes, ends, ends, Style(COLOURS[0]))), "x")
    assert not re.search(r'\s(id|style|href|clip-path|xlink:\w+)="', page)


def test_lines_that_look_alike_are_one_path():
    def draw(axes, _):
        for height in (0.2, 0.4):
            draw_line(axes, np.array([0.0, 1.0]), np.full(2, height), Style(COLOURS[0]))

    (path,) = elements(figure_of(draw), "path")
    assert path.get("d") == "M0 80l200 0M0 60l200 0"


def test_a_colour_that_the_style_sheet_has_not_is_rejected():
    ends = np.array([0.0, 1.0])
    figure = figure_of(lambda axes, _: draw_line(axes, ends, ends, Style("#123456")))
    with pytest.raises(ValueError, match="expected a colour of the palette, got #123456"):
        page_svg(figure, "x")


def test_an_image_is_rejected():
    figure = figure_of(lambda axes, _: axes.imshow(np.ones((2, 2))))
    with pytest.raises(ValueError, match="vector graphics: got an image"):
        page_svg(figure, "x")


def test_a_path_has_no_more_digits_than_it_needs():
    path = Path([(0.0, 0.0), (0.5, -0.5), (10.5, -0.5)])
    assert commands(path, Affine2D()) == "M0 0l.5-.5 10 0"


def test_curves_and_closed_outlines_are_written_as_such():
    vertices = [(0, 0), (1, 1), (2, 0), (3, 0), (4, 1), (5, 0), (0, 0)]
    codes = [1, 3, 3, 4, 4, 4, 79]
    assert commands(Path(vertices, codes), Affine2D()) == "M0 0q1 1 2 0c1 0 2 1 3 0z"
