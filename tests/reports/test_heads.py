"""The page of attention heads: what is on it, that it asks nothing of the network, and its size."""

import re

import numpy as np
import pandas as pd
import pytest

from xaibench.heads.ablation import ablation_tests
from xaibench.heads.analysis import HeadTables
from xaibench.heads.changes import changes_between
from xaibench.heads.claims import head_claims
from xaibench.heads.options import RELEVANCE
from xaibench.reports.figures.heads import MOST_CURVES, head_panels
from xaibench.reports.heads import heads_page
from xaibench.reports.web.heads import MOST_HEADS

NOTHING = pd.DataFrame()
LAYERS, HEADS = 3, 5


def associations(tracks: int, *, layers: int = LAYERS, heads: int = HEADS, **about) -> pd.DataFrame:
    """Every other head follows the first track, more the larger its number."""
    rows = []
    for layer in range(layers):
        for head in range(heads):
            for track in range(tracks):
                follows = track == 0 and head % 2 == 0
                mean = 0.1 + 0.01 * (layer * heads + head) if follows else 0.01
                q = 1e-30 if follows else 0.6
                rows.append(
                    {
                        **{"model": "<b>mine", "state": "trained", "replicate": "0", **about},
                        **{"tokens": "positions", "layer": layer, "head": head},
                        **{"track": f"track{track}", "mean": mean},
                        **{"low": mean - 0.03, "high": mean + 0.03, "sequences": 40},
                        **{"p_shift": q, "p_exchange": q, "q_shift": q, "q_exchange": q},
                        **{"associated": follows, "reason": ""},
                    }
                )
    return pd.DataFrame(rows)


def example(layer: int, head: int) -> dict:
    return {
        **{"model": "<b>mine", "state": "trained", "replicate": "0", "layer": layer, "head": head},
        **{
            "track": "track0",
            "sequence": "seq7",
            "letters": "ACGT" * 60,
            "values": [0.0] * 200 + [1.0] * 39 + [None],
        },
        **{"starts": [0, 120], "ends": [120, 240], "scores": [0.1, 0.4]},
    }


def ablations() -> pd.DataFrame:
    rows = [{"track": "", "share": 0.0, "by": "", "set": "intact", "draw": 0, "heads": 0}]
    for share in (0.1, 0.3):
        about = {"track": "track0", "share": share, "by": "strength", "heads": 2}
        rows += [{**about, "set": name, "draw": 0} for name in ("chosen", "least associated")]
        rows += [{**about, "set": "random", "draw": draw} for draw in range(4)]
    table = pd.DataFrame(rows).assign(model="<b>mine", state="trained", replicate="0")
    value = 0.9 - table["share"] * (table["set"] == "chosen") - 0.01 * table["draw"]
    return table.assign(accuracy=value, auroc=value, logit_difference=np.nan)


def page_of(tables: HeadTables, sentences: dict[str, str] | None = None) -> str:
    (page,) = heads_page("demo", tables, head_claims(tables), sentences or {}).values()
    return page


@pytest.fixture(scope="module")
def page() -> str:
    examples = pd.DataFrame([example(2, 4), example(0, 0)])
    failures = ("cnn: no attention",)
    changes = changes_between(np.zeros((4, 1, 2, 1)), np.full((4, 1, 2, 1), np.nan), ["track0"])
    about = {"model": "<b>mine", "replicate": "0", "before": "random", "after": "trained"}
    tables = HeadTables(
        *(associations(3), ablations(), NOTHING, NOTHING, changes.assign(**about), examples),
        failures,
    )
    return page_of(
        tables, {"<b>mine, trained, 0: layer 2, head 4": "It likes <i>track0</i> (rho 0.24)"}
    )


def test_a_section_per_head_that_follows_a_track_and_a_row_per_head(page):
    names = re.findall(r"<summary>&lt;b&gt;mine, trained, 0: layer (\d), head (\d): ", page)
    assert names == [(layer, head) for layer in "210" for head in "420"]
    (table,) = re.findall(r"<summary>All heads</summary>(.*?)</details>", page, flags=re.DOTALL)
    assert table.count("<tr>") == 1 + LAYERS * HEADS


def test_an_example_shows_letters_track_and_scores(page):
    assert page.count('<svg class="logo"') == 2
    assert "seq7, positions 40 to 239" in page  # where the head attends most
    assert '<rect class="truth" x="6400" y="0" width="1560"' in page


def test_text_of_strangers_is_escaped_and_nothing_is_fetched(page):
    assert "<b>mine" not in page
    assert "It likes &lt;i&gt;track0&lt;/i&gt;" in page
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", page)
    assert " style=" not in page


def test_failures_and_claims_are_on_the_page(page):
    assert "cnn: no attention" in page
    assert page.count("not tested") >= 4
    assert "random to trained" in page


def test_curves_begin_at_the_intact_model_and_end_with_the_largest_share():
    panels = head_panels(associations(3), ablations())["ablation"]
    assert [each.title for each in panels] == [
        "Accuracy, heads by strength",
        "Auroc, heads by strength",
    ]
    (axes,) = panels[0].panels[0].figure.axes
    lines = [line for line in axes.artists + axes.lines if len(line.get_xdata()) == 3]
    assert axes.get_xlim() == pytest.approx((0.0, 0.3))
    ends = sorted(round(float(line.get_ydata()[-1]), 3) for line in lines)
    assert ends == [0.6, 0.885, 0.9]
    assert {round(float(line.get_ydata()[0]), 3) for line in lines} == {0.9}


def test_heads_by_relevance_are_none_that_follow_a_track():
    about = {"model": "<b>mine", "state": "trained"}
    by_track, by_relevance = (
        ablation_tests(ablations().assign(track=track)).assign(**about)
        for track in ("track0", RELEVANCE)
    )
    for tests, said in (
        (pd.concat([by_track, by_relevance]), "of the same layers in 0 of 2 comparisons"),
        (by_relevance, "What their loss does is not known: no track has a correlation."),
    ):
        tables = HeadTables(associations(1), ablations(), tests, NOTHING, NOTHING, NOTHING, ())
        assert said in page_of(tables)


def test_curves_that_the_page_has_no_room_for_are_named():
    tracks = [ablations().assign(track=f"track{number}") for number in range(MOST_CURVES // 2 + 1)]
    (group,) = head_panels(associations(3), pd.concat(tracks))["ablation"]
    assert group.note.endswith("Not drawn, but in ablations.csv: auroc, heads by strength.")


def test_states_are_drawn_side_by_side():
    states = [associations(2, state=name) for name in ("random", "pretrained", "trained")]
    tables = pd.concat(states, ignore_index=True)
    (group,) = head_panels(tables, NOTHING)["change"]
    assert "random, pretrained, trained" in group.panels[0].alt
    assert head_panels(associations(2), NOTHING)["change"] == []
    page = page_of(HeadTables(tables, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, ()))
    assert "mine, pretrained, 0: layer 0, head 0" in page


def test_a_page_of_many_heads_is_bounded():
    many = associations(2, layers=15, heads=16)
    examples = pd.DataFrame([example(layer, head) for layer in range(15) for head in range(16)])
    page = page_of(HeadTables(many, NOTHING, NOTHING, NOTHING, NOTHING, examples, ()))
    assert page.count('<svg class="logo"') == MOST_HEADS
    assert "20 more follow a track" in page
    assert len(page) < 5e6
