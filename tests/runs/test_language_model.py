"""The plan of docs/language-models.md: a model that reads tokens beside a CNN, in one run."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import spearmanr
from small_run import finished

from xaibench.artefacts.artefact import Memory, arrays_of
from xaibench.artefacts.curve_keys import CurveKey
from xaibench.artefacts.curves import curve_spec
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.models import model_artefact
from xaibench.artefacts.oracle import Oracle, oracle_spec
from xaibench.artefacts.trained_models import TrainedModel

pytest.importorskip("tokenizers")

from small_tokenizer import write_tokenizer

from xaibench.models.dnabert2 import DNABert2
from xaibench.models.tokenizer import tokenised
from xaibench.nn.inference import logits
from xaibench.nn.sites import token_sites
from xaibench.results.schema import TOKEN_COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "language-models.md"

SIZES = {"width": 8, "layers": 2, "heads": 2, "hidden": 8}

SMALL = [
    *("dataset.train=60", "dataset.test=20", "dataset.length=40", "seeds=[0]", "sequences=3"),
    *(
        "training={epochs: 1}",
        "operators=[n, mask_tokens]",
        "fractions=[0, 0.5, 1]",
        "random_draws=2",
    ),
    *(
        "controlled=2",
        "controls=[]",
        "reports=[markdown]",
        "models.cnn={filters: [4], kernels: [5]}",
    ),
    *(f"models.dnabert2.{name}={size}" for name, size in SIZES.items()),
    "models.given={use: dnabert2, tokenizer: tokenizer.json, weights: given, "
    + ", ".join(f"{name}: {size}" for name, size in SIZES.items())
    + "}",
    "attribution.deeplift={}",
    *("models.dnabert2.longest=22", "models.dnabert2.too_long=truncate"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    page, *_ = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    write_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(5)
    given = DNABert2(classes=2, tokenizer=folder / "tokenizer.json", **SIZES)
    for parameter in given.parameters():
        parameter.data += torch.randn(parameter.shape)
    (folder / "given").mkdir()
    save_file(given.state_dict(), folder / "given" / "model.safetensors")
    made, outcome = finished(folder / "run", text=page, changes=SMALL)
    assert outcome.failures == []
    return made


def test_what_does_not_apply_says_why_and_nothing_fails(work):
    results = pd.read_parquet(work.job.folder / "results.parquet")
    assert "failed" not in set(results["status"])
    refused = results[results["status"] == "not applicable"]
    of_tokens = (refused["operator"] == "mask_tokens") & (refused["model"] == "cnn")
    refused = refused[~of_tokens]
    pairs = refused.groupby(["model", "method"], observed=True)["reason"].first()
    assert set(pairs.index) == {
        ("cnn", "attention_rollout"),
        ("dnabert2", "deeplift"),
        ("given", "deeplift"),
    }
    assert "have other tokens at other places" in pairs["given", "deeplift"]
    measured = results[(results["status"] == "ok") & (results["metric"] == "deletion_probability")]
    methods = measured.groupby("model", observed=True)["method"].unique().map(set)
    planned = set(work.plan.attribution)
    assert planned - methods["dnabert2"] == {"deeplift"}
    assert planned - methods["cnn"] == {"attention_rollout"}


def test_tokens_are_masked_beside_nucleotides_that_are_edited(work):
    results = pd.read_parquet(work.job.folder / "results.parquet")
    masked = results[results["operator"] == "mask_tokens"]
    on_cnn = masked[masked["model"] == "cnn"]
    assert set(on_cnn["status"]) == {"not applicable"}
    assert on_cnn["reason"].str.contains("what this model reads are nucleotides").any()
    for model in ("dnabert2", "given"):
        done = results[(results["model"] == model) & (results["status"] == "ok")]
        by_operator = done.groupby("operator", observed=True)["method"].unique().map(set)
        assert by_operator["mask_tokens"] == by_operator["n"] >= {"oracle", "random control"}
    tau = pd.read_csv(work.job.folder / "rankings.csv")
    assert {("n", "mask_tokens")} == set(zip(tau["operator"], tau["other"], strict=True))
    shifts = pd.read_csv(work.job.folder / "operators.csv")
    of_letters = shifts[shifts["quantity"] == "log_likelihood"]["operator"]
    assert set(of_letters) == {"n"}
    assert "mask_tokens" in set(shifts["operator"])
    report = (work.job.folder / "report.md").read_text()
    assert "[MASK] in place of whole tokens" in report.replace("`", "")


def logits_of_masked(model, row, masked):
    """Of one sequence with the identifiers of some of its tokens put to [MASK]."""
    ids, _ = tokenised(model.tokenizer, row[None])
    ids[0, masked] = model.tokenizer.library.token_to_id("[MASK]")
    embedded = model.bert.embeddings.word_embeddings(torch.from_numpy(ids))
    with torch.no_grad():
        return model(embedded.transpose(1, 2))[0].numpy()


def test_curves_of_masked_tokens_are_those_of_a_loop_over_identifiers(work):
    trained = TrainedModel("given", 0)
    model = Memory(work).value(model_artefact(work, trained))
    chosen = work.chosen
    maps = arrays_of(work, explained_spec(work, trained, "in_silico_mutagenesis"))["scores"]
    curve = CurveKey("in_silico_mutagenesis", "mask_tokens")
    got = arrays_of(work, curve_spec(work, trained, curve))["logits"][0]
    oracle = arrays_of(work, oracle_spec(work, trained, Oracle("mask_tokens", "predicted")))
    for row, codes in enumerate(chosen.codes):
        sites = token_sites(model, codes[None])
        inside = range(1, sites.counts[0] - 1)
        spans = {site: sites.spans[0, site] for site in inside}
        means = {site: maps[row, start:end].mean() for site, (start, end) in spans.items()}
        order, done = sorted(inside, key=lambda site: -means[site]), 0
        masked = []
        for site in order:  # half of the 40 nucleotides are the budget
            if done + np.ptp(spans[site]) / 2 <= 20:
                masked.append(site)
            done += np.ptp(spans[site])
        for step, each in enumerate(([], masked, order)):
            expected = logits_of_masked(model, codes, each)
            np.testing.assert_allclose(got[step, row], expected, atol=1e-5)
        if row < len(oracle["scores"]):
            intact = logits_of_masked(model, codes, [])
            sign = 1 if intact[1] > intact[0] else -1
            for site, (start, end) in spans.items():
                change = intact - logits_of_masked(model, codes, [site])
                lost = sign * (change[1] - change[0]) / (end - start)
                np.testing.assert_allclose(oracle["scores"][row, start:end], lost, atol=1e-5)
    assert np.abs(got[0] - got[1]).min() > 1e-3


def test_what_falls_on_special_tokens_and_is_not_read_is_reported(work):
    cost = pd.read_csv(work.job.folder / "cost.csv").set_index(["model", "method"])
    assert cost.loc["cnn", [*TOKEN_COLUMNS]].isna().all(axis=None)
    of_nucleotides = cost.loc["given"].loc[["in_silico_mutagenesis", "occlusion"]]
    assert of_nucleotides[[*TOKEN_COLUMNS][:4]].isna().all(axis=None)
    assert cost["outside"]["given", "integrated_gradients"] == 0
    gradient = cost.loc["given"].loc["input_x_gradient"]
    assert gradient["outside"] == cost["outside"]["given", "by_broadcast"] > 0.01
    marks = gradient[["outside_before", "outside_after"]]
    assert marks.sum() == pytest.approx(gradient["outside"])
    assert (marks > 0).all()
    assert gradient["on_unknown"] == 0
    # the longest of the sequences has more tokens than are read
    cut = cost.loc["dnabert2"]
    codes = work.chosen.codes
    spans = token_sites(
        Memory(work).value(model_artefact(work, TrainedModel("dnabert2", 0))), codes
    )
    unread = 1 - np.ptp(spans.spans, axis=2).sum(1) / codes.shape[1]
    assert 0 < cut["truncated"].iloc[0] == (unread > 0).mean()
    assert cut["unread"].to_numpy() == pytest.approx(np.full(len(cut), unread.mean()))
    assert (cost.loc["given"][["truncated", "unread"]] == 0).all(axis=None)
    report = (work.job.folder / "report.md").read_text()
    assert "Relevance on special tokens" in report
    assert "Nucleotides unread" in report


def test_labels_that_differ_in_the_rule_alone_are_compared_by_every_metric(work):
    estimates = pd.read_csv(work.job.folder / "estimates.csv")
    between = estimates[estimates["question"] == "between transfers"]
    assert set(between["model"]) == {"dnabert2", "given"}
    assert set(zip(between["method"], between["other"], strict=True)) == {
        ("input_x_gradient", "by_broadcast")
    }
    results = pd.read_parquet(work.job.folder / "results.parquet")
    own = results[(results["status"] == "ok") & (results["control"] == "")]
    for row in between[between["metric"] == "deletion_probability"].itertuples():
        cells = own[
            (own["model"] == row.model)
            & (own["metric"] == row.metric)
            & (own["operator"] == row.operator)
        ]
        means = cells.groupby("method", observed=True)["value"].mean()
        # lower is better
        assert row.mean == pytest.approx(means[row.other] - means[row.method], abs=1e-9)
    assert {"n", "mask_tokens"} <= set(between["operator"])
    report = (work.job.folder / "report.md").read_text()
    assert "how much the transfer from tokens to nucleotides matters" in report
    assert "by_broadcast (broadcast)" in report


def test_methods_are_compared_in_the_space_of_tokens_too(work):
    agreement = pd.read_csv(work.job.folder / "agreement.csv")
    of_tokens = agreement[agreement["measure"] == "spearman of tokens"]
    assert set(of_tokens["model"]) == {"dnabert2", "given"}
    pairs = of_tokens[of_tokens["model"] == "given"].set_index(["method", "other"])["mean"]
    # sums over tokens undo the equal split, and a broadcast one weighs them by their lengths
    trained = TrainedModel("given", 0)
    arrays = arrays_of(work, explained_spec(work, trained, "input_x_gradient"))
    broadcast = arrays_of(work, explained_spec(work, trained, "by_broadcast"))
    expected = []
    for row, spans in enumerate(arrays["spans"]):
        sums = [
            [each["scores"][row, start:end].sum() for start, end in spans if end > start]
            for each in (arrays, broadcast)
        ]
        expected.append(spearmanr(*sums).statistic)
    assert pairs["input_x_gradient", "by_broadcast"] == pytest.approx(np.mean(expected), abs=1e-6)


def test_the_rule_is_part_of_what_an_explanation_is_where_there_are_tokens(work):
    def spec(model, method):
        return explained_spec(work, TrainedModel(model, 0), method)

    assert spec("cnn", "by_broadcast") == spec("cnn", "input_x_gradient")
    assert "transfer" not in spec("dnabert2", "input_x_gradient")["method"]["options"]
    assert spec("dnabert2", "by_broadcast")["method"]["options"]["transfer"] == "broadcast"


def test_given_weights_are_those_of_the_file(work):
    predicted = pd.read_parquet(work.job.folder / "predictions.parquet")
    of_given = predicted[predicted["model"] == "given"][["logit_0", "logit_1"]].to_numpy()
    torch.manual_seed(5)
    file = Path(work.job.source).parent / "tokenizer.json"
    given = DNABert2(classes=2, tokenizer=file, **SIZES)
    for parameter in given.parameters():
        parameter.data += torch.randn(parameter.shape)
    expected = logits(given, work.splits.test.codes)
    np.testing.assert_allclose(of_given, expected, atol=1e-5)
    assert np.ptp(expected) > 0.1
