"""Letters as high as their scores, in SVG and in matplotlib, from the same glyphs."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from xaibench.reports.figures.logo import BASE, HIGH, WIDE, glyph, heights_of, logo, stretched
from xaibench.reports.figures.logo_files import draw_logo

NUMBER = re.compile(r"-?\d+")


def places(commands, start):
    """The points that relative commands visit, read slowly."""
    x, y = begun = start
    visited = [start]
    for command, text in re.findall(r"([mlhvz])([^mlhvz]*)", commands):
        numbers = [int(number) for number in NUMBER.findall(text)]
        if command == "z":
            x, y = begun
        elif command in "hv":
            x, y = (x + numbers[0], y) if command == "h" else (x, y + numbers[0])
        else:
            across, down = numbers
            x, y = x + across, y + down
            begun = (x, y) if command == "m" else begun
        visited.append((x, y))
    return np.array(visited)


@pytest.mark.parametrize("letter", list("ACGT"))
def test_a_glyph_fills_the_unit_box(letter):
    box = glyph(letter).get_extents()
    assert box.extents == pytest.approx((0, 0, 1, 1))


@pytest.mark.parametrize("letter", list("ACGT"))
@pytest.mark.parametrize("height", [150, -90])
def test_a_letter_fills_its_box(letter, height):
    right, down, shape = stretched(letter, WIDE, height)
    x, y = places(shape, (right, down)).T
    assert (x.min(), x.max()) == (0, WIDE)
    assert sorted((y.min(), y.max())) == sorted((min(0, -height), max(0, -height)))


@pytest.mark.parametrize("letter", list("ACGT"))
def test_a_letter_of_the_page_has_the_area_of_its_glyph(letter):
    right, down, shape = stretched(letter, 1000, 1000)
    parts = []
    for part in shape.split("z")[:-1]:
        visited = places(part, (right, down))
        right, down = visited[1 if part.startswith("m") else 0]
        parts.append(visited[1:] if part.startswith("m") else visited)
    area = abs(sum(signed_area(part) for part in parts)) / 1000**2
    fine = abs(sum(signed_area(part) for part in glyph(letter).to_polygons(width=0, height=0)))
    assert area == pytest.approx(fine, rel=0.06)  # corners in place of curves


def signed_area(points):
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def test_a_letter_too_low_to_read_is_a_bar():
    assert stretched("G", 36, 2) == (0, 0, "h36v-2h-36z")


def test_heights_are_shares_of_the_largest_known_score():
    heights = heights_of("ACGTN", np.array([2.0, -4.0, np.nan, 1.0, 99.0]))
    assert heights.tolist() == [0.5, -1.0, 0.0, 0.25, 0.0]


def test_a_map_of_zeros_draws_nothing():
    drawn = logo("ACG", heights_of("ACG", np.zeros(3)))
    assert (drawn.paths, drawn.width) == ({}, 3 * BASE)


def test_letters_are_at_their_positions_above_or_below_the_axis():
    drawn = logo("TNT", np.array([1.0, 0.0, -0.25]))
    assert drawn.axis == 160  # 200 units for 1.25
    margin = (BASE - WIDE) // 2
    boxes = []
    for part in drawn.paths["T"].split("M")[1:]:
        start, commands = re.fullmatch(r"(\d+ \d+)(.*)", part).groups()
        x, y = places(commands, tuple(map(int, start.split()))).T
        boxes.append((x.min(), y.min(), y.max()))
    assert boxes == [(margin, 0, 160), (2 * BASE + margin, 160, HIGH)]


def test_one_path_holds_all_instances_of_a_letter():
    drawn = logo("ACGTACGT", np.ones(8))
    assert {letter: path.count("M") for letter, path in drawn.paths.items()} == dict.fromkeys(
        "ACGT", 2
    )


def test_matplotlib_draws_the_same_letters():
    axes = Figure().add_subplot()
    draw_logo(axes, "ATNA", np.array([1.0, -0.5, 0.0, 0.25]), start=70)
    boxes = [patch.get_path().get_extents() for patch in axes.patches]
    assert [tuple(box.intervaly) for box in boxes] == [(0, 1), (-0.5, 0)]
    assert boxes[0].x0 == pytest.approx(70 - 0.5 * WIDE / BASE)
    assert boxes[0].x1 == pytest.approx(73 + 0.5 * WIDE / BASE)


def test_matplotlib_says_where_there_is_nothing_to_draw():
    axes = Figure().add_subplot()
    draw_logo(axes, "ACG", np.zeros(3))
    assert [text.get_text() for text in axes.texts] == ["all scores are zero"]
