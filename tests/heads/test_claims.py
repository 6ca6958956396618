"""The paper's claims about heads, by rules that were fixed beforehand."""

import numpy as np
import pandas as pd
import pytest

from xaibench.heads.analysis import HeadTables
from xaibench.heads.claims import (
    ASSOCIATED,
    CONTEXT_MATTERS,
    MATTER_MORE,
    SHIFTED,
    TOKENS_MATTER,
    head_claims,
)

NOTHING = pd.DataFrame()


def rows_of(replicate: str, means: list[float], **about: str) -> list[dict]:
    """Of a model with a layer of these heads and one track; associated beyond 0.1."""
    coordinates = {"model": "mine", "state": "trained", "replicate": replicate, "layer": 0}
    return [
        {
            **coordinates,
            **{"tokens": "positions", **about},
            **{"head": head, "track": "gc", "mean": mean, "low": mean - 0.02, "high": mean + 0.02},
            "associated": abs(mean) > 0.1,
        }
        for head, mean in enumerate(means)
    ]


def claims_of(
    rows: list[dict], ablations: pd.DataFrame = NOTHING, changes: pd.DataFrame = NOTHING
) -> pd.DataFrame:
    tables = HeadTables(pd.DataFrame(rows), ablations, NOTHING, NOTHING, changes, NOTHING, ())
    return head_claims(tables).set_index("claim")


def test_what_there_is_no_table_for_is_not_tested_and_says_how_to_have_it():
    claims = claims_of(rows_of("0", [0.3, 0.0, 0.2]))
    assert set(claims["verdict"]) == {"not tested"}
    assert "--ablate 5" in claims.loc[MATTER_MORE[0], "caveat"]
    assert len(claims) == 5


def test_no_head_is_no_claim():
    assert not len(
        head_claims(HeadTables(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, ()))
    )


@pytest.mark.parametrize(
    ("random", "verdict"),
    [
        ([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0]], "holds"),
        ([[0.2, 0.3, 0.2, 0.2], [0.2, 0.2, 0.2, 0.0], [0.2, 0.3, 0.2, 0.2]], "does not hold"),
        ([[0.2, 0.0, 0.2, 0.0], [0.2, 0.2, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0]], "cannot be told"),
    ],
)
def test_association_is_learnt_where_random_weights_have_less(random, verdict):
    rows = rows_of("0", [0.3, 0.2, 0.0, 0.0], state="pretrained")  # one file for all seeds
    for seed, means in enumerate(random):
        rows += rows_of(str(seed), means, state="random")
    row = claims_of(rows).loc[ASSOCIATED[0]]
    assert row["verdict"].startswith(verdict)
    expected = 0.5 - np.mean([np.mean(np.abs(each) > 0.1 * np.ones(4)) for each in random])
    assert row["mean"] == pytest.approx(expected)
    assert row["seeds"] == 3
    assert "0.50 pre-trained" in row["caveat"]


def changed(shares: list[float], before: str, after: str) -> pd.DataFrame:
    """Of ten heads, so many in each replicate; position, which does not count, changed wholly."""
    rows = [
        {"model": "mine", "replicate": str(seed), "before": before, "after": after, "track": track}
        | {"layer": 0, "head": head, "changed": track == "position" or head < 10 * share}
        for seed, share in enumerate(shares)
        for track in ("gc", "position")
        for head in range(10)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("after", "claim"),
    [("trained", SHIFTED[0]), ("trained, shuffled around gc", CONTEXT_MATTERS[0])],
)
@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([0.6, 0.6, 0.8], "holds"),
        ([0.1, 0.0, 0.2], "cannot be told"),
        ([0.0, 0.0, 0.0], "cannot be told"),
    ],
)
def test_a_shift_is_more_than_the_false_discovery_rate(after, claim, shares, verdict):
    before = "pretrained" if after == "trained" else "trained"
    others = changed([0.9, 0.9, 0.8], "random", "pretrained")
    changes = pd.concat([changed(shares, before, after), others])
    row = claims_of(rows_of("0", [0.3]), changes=changes).loc[claim]
    assert row["verdict"].startswith(verdict)
    assert row["mean"] == pytest.approx(np.mean(shares) - 0.05)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [([0.1, 0.12, 0.11], "holds"), ([0.4, 0.42, 0.41], "does not hold"), ([0.1, 0.4, 0.5], "cann")],
)
def test_tokens_matter_where_the_strongest_head_differs_by_a_tenth(other, verdict):
    rows = []
    for seed, strongest in enumerate(other):
        rows += rows_of(str(seed), [0.0, -0.41 - 0.01 * seed])
        rows += rows_of(
            str(seed), [strongest, 0.0, 0.0], model="pairs", tokens="of several lengths"
        )
    row = claims_of(rows).loc[TOKENS_MATTER[0]]
    assert row["verdict"].startswith(verdict)
    expected = np.mean([0.41, 0.42, 0.43]) - np.mean(other)
    assert abs(row["mean"]) == pytest.approx(abs(expected))


def ablated(chosen: list[float], random: float) -> pd.DataFrame:
    """Two tracks alike, a position that is no biology, and two draws."""
    about = {"model": "mine", "state": "trained", "share": 0.05, "by": "strength", "heads": 2}
    rows = []
    for replicate, value in enumerate(chosen):
        for track in ("gc", "cpg", "position"):
            reached = 0.0 if track == "position" else value
            for which, each in (("chosen", reached), ("random", random), ("random", random + 0.02)):
                coordinates = {"replicate": str(replicate), "track": track, "set": which}
                rows.append({**about, **coordinates, "accuracy": each, "logit_difference": 0.0})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("chosen", "verdict"),
    [
        ([0.7, 0.72, 0.71], "holds"),
        ([0.95, 0.96, 0.94], "does not hold"),
        ([0.7, 0.9, 0.95], "cannot be told"),
        ([0.7], "cannot be told"),
    ],
)
def test_associated_heads_matter_more_where_random_ones_are_lost_with_less(chosen, verdict):
    claims = claims_of(rows_of("0", [0.3]), ablated(chosen, 0.89)).loc[MATTER_MORE[0]]
    row = claims.iloc[0]
    assert row["verdict"].startswith(verdict)
    assert row["mean"] == pytest.approx(0.9 - np.mean(chosen))
    assert row["seeds"] == len(chosen)
    assert row["caveat"].startswith("mean over 2 tracks")
    assert claims.iloc[1]["mean"] == 0


def test_a_model_outside_of_runs_is_judged_as_it_is_built():
    changes = changed([0.6, 0.6, 0.8], "as built", "as built, shuffled around gc")
    ablations = ablated([0.7, 0.72, 0.71], 0.89).assign(state="as built")
    claims = claims_of(rows_of("0", [0.3], state="as built"), ablations, changes)
    assert claims.loc[CONTEXT_MATTERS[0], "verdict"] == "holds"
    assert claims.loc[MATTER_MORE[0], "verdict"].tolist()[0] == "holds"
