"""Letters as high as their scores, in SVG and in matplotlib."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from xaibench.reports.figures.glyphs import outline, stretched
from xaibench.reports.figures.letters import BASE, HIGH, WIDE, heights_of, logo
from xaibench.reports.figures.logo_files import draw_logo

NUMBER = re.compile(r"-?\d+")


def places(commands, start):
    """The points that relative commands visit, read slowly."""
    x, y = begun = start
    visited = [start]
    for command, text in re.findall(r"([mlhvcz])([^mlhvcz]*)", commands):
        numbers = [int(number) for number in NUMBER.findall(text)]
        if command == "z":
            x, y = begun
        elif command in "hv":
            x, y = (x + numbers[0], y) if command == "h" else (x, y + numbers[0])
        else:
            pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
            visited += [(x + across, y + down) for across, down in pairs]
            x, y = visited[-1]
            begun = (x, y) if command == "m" else begun
        visited.append((x, y))
    return np.array(visited)


@pytest.mark.parametrize("letter", list("ACGT"))
@pytest.mark.parametrize("height", [150, -90])
def test_a_letter_fills_its_box(letter, height):
    right, down, shape = stretched(letter, WIDE, height)
    x, y = places(shape, (right, down)).T
    # a curve may keep a little off the point that bends it, and C and G end before the edge
    assert x.min() == pytest.approx(0, abs=1)
    assert x.max() == pytest.approx(WIDE, abs=2)
    assert sorted((y.min(), y.max())) == sorted((min(0, -height), max(0, -height)))


@pytest.mark.parametrize("letter", list("ACGT"))
def test_stretched_points_are_those_of_the_outline(letter):
    right, down, shape = stretched(letter, 100, 100)
    told = places(shape, (right, down))
    for x, y in outline(letter)[0]:
        assert [round(100 * x), round(-100 * y)] in told.tolist()


def test_a_letter_too_low_to_read_is_a_bar():
    assert stretched("G", 36, 2) == (0, 0, "h36v-2h-36z")


def test_heights_are_shares_of_the_largest_known_score():
    heights = heights_of("ACGTN", np.array([2.0, -4.0, np.nan, 1.0, 99.0]))
    assert heights.tolist() == [0.5, -1.0, 0.0, 0.25, 0.0]


def test_a_map_of_zeros_draws_nothing():
    drawn = logo("ACG", heights_of("ACG", np.zeros(3)))
    assert (drawn.paths, drawn.width) == ({}, 3 * BASE)


def test_letters_stand_at_their_positions_above_or_below_the_axis():
    drawn = logo("TNT", np.array([1.0, 0.0, -0.25]))
    assert drawn.axis == 160  # 200 units for 1.25
    margin = (BASE - WIDE) // 2
    upright, hanging = drawn.paths["T"].split("M")[1:]
    assert upright.startswith(f"{margin} 0")  # T begins at its top
    assert hanging.startswith(f"{2 * BASE + margin} {HIGH}")


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
