import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from explained import explanations, in_blocks, places

from xaibench.export.values import Explanations
from xaibench.reports.explained import LONGEST_LOGO, logos, page


def long_explanations(length: int) -> Explanations:
    """Random letters, and one large score at the last position."""
    block = explanations().take(np.array([0]))
    codes = np.random.default_rng(0).integers(0, 4, (1, length)).astype(np.uint8)
    scores = np.full((1, length), 0.01, np.float32)
    scores[0, -1] = 9
    return replace(
        block,
        sequences=replace(block.sequences, codes=codes),
        scores=scores,
        hypothetical=None,
    )


def test_each_of_the_first_sequences_has_a_logo_as_svg_and_png(tmp_path):
    written = logos(in_blocks(explanations(), 2), tmp_path, most=2)
    names = [path.name for path in written.files]
    assert names == [
        f"{name}.{kind}" for name in ("001-peak-0", "002-peak-1") for kind in ("svg", "png")
    ]
    assert written.files[1].read_bytes().startswith(b"\x89PNG")
    root = ElementTree.parse(written.files[0]).getroot()
    assert root.tag.endswith("svg")
    assert "peak 0: positive, predicted positive" in written.files[0].read_text()
    assert written.notes == ("the first 2 of 3 sequences are drawn",)


def test_the_page_has_a_logo_and_the_facts_of_every_sequence(tmp_path):
    where = places([10, 20, 30], [1, -1, 1], [7, 5, 7])
    (path,) = page(in_blocks(explanations(where), 2), tmp_path).files
    text = path.read_text()
    assert text.count('<svg class="logo"') == 3
    assert "2. peak 1" in text
    assert (
        "target negative; predicted negative; output 3; chr1:20-25(-); positions 0 to 4 of 5"
        in text
    )
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert "default-src 'none'" in text


def test_a_name_is_text_on_the_page_and_no_markup(tmp_path):
    block = explanations().take(np.array([0]))
    named = replace(block, sequences=replace(block.sequences, names=("<b>../x\x1b[2J</b>",)))
    text = page([named], tmp_path).files[0].read_text()
    assert "&lt;b&gt;../x\\x1b[2J&lt;/b&gt;" in text
    assert logos([named], tmp_path).files[0].name == "001-b-x-x1b-2J-b.svg"


def test_of_a_long_sequence_the_positions_with_the_largest_scores_are_drawn(tmp_path):
    length = LONGEST_LOGO + 50
    text = page([long_explanations(length)], tmp_path).files[0].read_text()
    assert f"positions 50 to {length - 1} of {length}; the highest letter is 9" in text
    assert logos([long_explanations(length)], tmp_path).files


@pytest.mark.parametrize("write", [logos, page])
def test_scores_of_zero_and_sequences_without_a_base_are_drawn_too(tmp_path, write):
    block = explanations()
    nothing = replace(block.sequences, codes=np.full_like(block.sequences.codes, 4))
    for other in (replace(block, scores=0 * block.scores), replace(block, sequences=nothing)):
        assert write([other], tmp_path).files
