"""One colour for a method everywhere, the same in the style sheet and in files."""

import re
from importlib.resources import files

from xaibench.explanation.controls import RANDOM
from xaibench.reports.figures.style import COLOURS, LETTER_COLOURS, PAINT, styles
from xaibench.reports.format.select import methods_of


def declared():
    """Class -> (light, dark), as the page has them."""
    text = files("xaibench.reports").joinpath("static/figures.css").read_text("utf-8")
    found = re.findall(r"\.(\w+) \{ --own: light-dark\((#\w+), (#\w+)\); \}", text)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour):
    """Relative luminance after WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_a_method_keeps_its_style_by_its_place_in_the_plan(run):
    chosen = styles(methods_of(run))
    assert chosen["deeplift"].colour == COLOURS[0]
    assert chosen[RANDOM].name == "plain"


def test_forty_methods_have_forty_styles():
    chosen = styles([f"method {k}" for k in range(40)])
    assert len({(own.colour, own.dashes) for own in chosen.values()}) == 41


def test_the_style_sheet_and_the_files_have_the_same_colours():
    assert {name: light for name, (light, _) in declared().items()} == PAINT | LETTER_COLOURS


def test_a_letter_of_a_logo_is_as_dark_as_the_method_of_its_colour():
    paint = {
        light: dark for name, (light, dark) in declared().items() if name not in LETTER_COLOURS
    }
    for letter, light in LETTER_COLOURS.items():
        assert declared()[letter][1] == paint.get(light, declared()[letter][1])


def test_dark_colours_stand_out_from_a_dark_page():
    dark = [dark for name, (_, dark) in declared().items() if name not in ("hair", "truth")]
    assert all(contrast(colour, "#14181c") > 4.5 for colour in dark)


def test_words_stand_out_from_their_page():
    for name in ("ink", "plain"):
        light, dark = declared()[name]
        assert contrast(light, "#ffffff") > 4.5 < contrast(dark, "#14181c")
