"""The claims about AttnLRP: on numbers whose answers are known, and through one tiny run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("tokenizers")

from token_run import token_run

from xaibench.analysis.claims import attnlrp
from xaibench.analysis.claims.finding import FAILS, HOLDS, UNDECIDED
from xaibench.analysis.claims.language_arms import LanguageArms, language_arms
from xaibench.analysis.model_agreement import Similarities
from xaibench.results.reading import read_results
from xaibench.results.schema import Question, columns_of


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return token_run(tmp_path_factory)


@pytest.fixture(scope="module")
def claims(work):
    return read_results(work.job.folder).claims


def test_arms_are_told_by_what_models_and_methods_are(work):
    others = ("by epsilon", "attention_x_gradient", "input_x_gradient")
    assert language_arms(work) == LanguageArms(
        *("reader", "plain", "by operation", "by epsilon", others, "from random weights")
    )


def with_models(work, **models):
    plan = work.plan.model_copy(update={"models": models})
    return replace(work, job=replace(work.job, plan=plan))


@pytest.mark.parametrize(
    ("options", "began"),
    [
        ({"pretrained": "a/b.safetensors"}, "from b.safetensors"),
        ({"weights": "a/b.pt"}, "with its weights"),
    ],
)
def test_where_a_language_model_began_is_said(work, options, began):
    reader = work.plan.models["reader"]
    changed = reader.model_copy(update={"options": {**reader.options, **options}})
    assert language_arms(with_models(work, reader=changed)).began == began


def test_every_claim_has_a_row_with_its_rule_or_a_reason(claims):
    assert list(claims.columns) == columns_of("claims")
    measured = claims["seeds"] > 0
    assert ((claims["rule"] != "") == measured).all()
    assert claims["caveat"].str.contains("reader began from random weights; accuracy: plain").all()
    assert claims["caveat"].str.contains("composition alone reaches").all()
    assert claims["caveat"].str.contains("reader is not above that").all()
    for claim in (attnlrp.RELIABLE, attnlrp.KNOWN, attnlrp.LIKE_A_CNN):
        assert (claims["claim"] == claim[0]).any()
        assert claims["claim"].str.startswith(claim[0]).sum() > 1
    others = claims.loc[claims["claim"].str.contains("than other methods"), "quantity"]
    # LRP by epsilon is not defined for attention
    assert others.str.extract(r", (\w+) minus AttnLRP")[0].tolist() == [
        *("attention_x_gradient", "input_x_gradient")
    ]


def test_a_plan_without_a_language_model_says_so(work):
    alone = with_models(work, plain=work.plan.models["plain"])
    (found,) = attnlrp.attnlrp_findings(alone, pd.DataFrame())
    assert found.caveat == "the plan has no model that reads tokens"
    assert found.verdict == UNDECIDED


def test_a_plan_without_attnlrp_says_so(work):
    methods = {"by epsilon": work.plan.attribution["by epsilon"]}
    plan = work.plan.model_copy(update={"attribution": methods})
    (found,) = attnlrp.attnlrp_findings(
        replace(work, job=replace(work.job, plan=plan)), pd.DataFrame()
    )
    assert found.caveat == "the plan has no method lrp with rule: attnlrp"


ARMS = LanguageArms("reader", "plain", "attnlrp", "lrp", ("attention",), "from random weights")


def estimated(question, low, high, **where):
    blank = dict.fromkeys(columns_of("estimates"), "")
    numbers = {"mean": (low + high) / 2, "low": low, "high": high, "p": 0.01}
    row = {**blank, "question": question, "model": "reader", "method": "attnlrp", **numbers}
    return pd.DataFrame([{**row, "seeds": 3, "sequences": 50, **where}])


def test_another_method_that_deletes_slower_speaks_for_attnlrp():
    """The estimates have what attention is above AttnLRP: here it is below."""
    row = {"other": "attnlrp", "method": "attention", "metric": "deletion_logit_difference"}
    against = estimated(Question.AGAINST_REFERENCE, -0.4, -0.2, operator="uniform", **row)
    deletion = {"metric": "deletion_logit_difference", "operator": "uniform"}
    (found,) = attnlrp._against_other_methods(against, ARMS, deletion)
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, 0.2, 0.4))
    assert found.verdict == HOLDS
    assert found.quantity.endswith("attention minus AttnLRP")


def test_without_a_reference_other_methods_are_not_compared():
    absent = estimated(Question.VALUE, 0, 1)
    deletion = {"metric": "deletion_logit_difference", "operator": "uniform"}
    (found,) = attnlrp._against_other_methods(absent, ARMS, deletion)
    assert found.caveat == "expected reference: attnlrp in the plan"


@pytest.mark.parametrize("first", ["reader", "plain"])
@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.05, 0.09, HOLDS), (0.12, 0.2, FAILS), (-0.3, -0.11, FAILS), (-0.2, 0.05, UNDECIDED)],
)
def test_two_models_are_as_good_as_alike_within_the_margin(first, low, high, verdict):
    other = {"reader": "plain", "plain": "reader"}[first]
    sign = 1 if first == "reader" else -1
    low, high = sorted((sign * low, sign * high))
    rows = estimated(Question.BETWEEN_MODELS, low, high, model=first, other=other, metric="gini")
    found = attnlrp._as_much(ARMS, rows, "Gini index")
    assert found.verdict == verdict
    assert found.mean == pytest.approx(sign * (low + high) / 2)
    assert np.isnan(found.p)


def similar(monkeypatch, work, same, another=0.1, seeds=0.8):
    noise = np.random.default_rng(0).normal(0, 0.01, (5, 2, 8))
    levels = np.array([same, another, 0, seeds, seeds])[:, None, None]
    measured = Similarities(*(levels + noise))
    monkeypatch.setattr(attnlrp, "similarities", lambda *_: measured)
    return list(attnlrp._alike(work, ARMS))[:3]


def test_maps_as_alike_as_those_of_two_trainings_reach_the_ceiling(work, monkeypatch):
    found = similar(monkeypatch, work, 0.8)
    assert [each.mean for each in found] == pytest.approx([0.8, 0.7, 1], abs=0.03)
    assert [each.verdict for each in found] == [HOLDS] * 3


def test_maps_that_are_less_than_half_as_alike_do_not(work, monkeypatch):
    found = similar(monkeypatch, work, 0.2, another=0.3)
    assert [each.verdict for each in found] == [HOLDS, FAILS, FAILS]
    assert found[2].mean == pytest.approx(0.25, abs=0.03)


def test_trainings_that_are_as_unlike_as_random_maps_are_no_ceiling(work, monkeypatch):
    found = similar(monkeypatch, work, 0.2, seeds=0)[2]
    assert (found.verdict, np.isnan(found.mean)) == (UNDECIDED, True)
    assert "two trainings of one model minus random" in found.caveat
