"""The plan of docs/language-models.md: a model that reads tokens beside a CNN, in one run."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from small_run import finished

from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.trained_models import TrainedModel

pytest.importorskip("tokenizers")

from small_tokenizer import write_tokenizer

from xaibench.models.dnabert2 import DNABert2
from xaibench.nn.inference import logits

PAGE = Path(__file__).parents[2] / "docs" / "language-models.md"

SIZES = {"width": 8, "layers": 2, "heads": 2, "hidden": 8}

SMALL = [
    *("dataset.train=60", "dataset.test=20", "dataset.length=40", "seeds=[0]", "sequences=3"),
    *("training={epochs: 1}", "operators=[n]", "fractions=[0, 0.5, 1]", "random_draws=2"),
    *(
        "controlled=2",
        "controls=[]",
        "reports=[markdown]",
        "models.cnn={filters: [4], kernels: [5]}",
    ),
    *(f"models.dnabert2.{name}={size}" for name, size in SIZES.items()),
    "models.given={use: dnabert2, tokenizer: tokenizer.json, weights: given.safetensors, "
    + ", ".join(f"{name}: {size}" for name, size in SIZES.items())
    + "}",
    "attribution.deeplift={}",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    (page,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    write_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(5)
    given = DNABert2(classes=2, tokenizer=folder / "tokenizer.json", **SIZES)
    for parameter in given.parameters():
        parameter.data += torch.randn(parameter.shape)
    save_file(given.state_dict(), folder / "given.safetensors")
    made, outcome = finished(folder / "run", text=page, changes=SMALL)
    assert outcome.failures == []
    return made


def test_what_does_not_apply_says_why_and_nothing_fails(work):
    results = pd.read_parquet(work.job.folder / "results.parquet")
    assert "failed" not in set(results["status"])
    refused = results[results["status"] == "not applicable"]
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


def test_what_falls_on_special_tokens_is_reported(work):
    cost = pd.read_csv(work.job.folder / "cost.csv").set_index(["model", "method"])["outside"]
    assert cost["cnn"].isna().all()
    assert cost["given"][["in_silico_mutagenesis", "occlusion"]].isna().all()
    assert cost["given", "integrated_gradients"] == 0
    assert cost["given", "input_x_gradient"] == cost["given", "by_broadcast"] > 0.01
    assert "On special tokens" in (work.job.folder / "report.md").read_text()


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
