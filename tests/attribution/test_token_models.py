"""Every installed method on every model of tokens: it runs, or says why it does not apply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from small_networks import shaken
from small_tokenizer import write_tokenizer

from xaibench.dna.encoding import to_codes
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import explain
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.families import dnabert, mistral_dna, nucleotide_transformer
from xaibench.plugins.registry import available, load

CODES = to_codes(["ACGTTTTGCACC", "TTTTGCAC"])
TARGETS = np.array([0, 1])
REFERENCES = np.random.default_rng(0).integers(0, 4, (2, 3, 12)).astype(np.uint8)
SIZES = {"width": 12, "layers": 1, "heads": 3, "hidden": 10}

SHUFFLES = r"(shuffled|other) sequences.* other tokens at other places"
JUMPS = "jumps .each token goes to 2 of 3 experts"
REASONS = {
    "attention": "the model has no attention",
    "deeplift": f"{SHUFFLES}|{JUMPS}",
    "expected_integrated_gradients": SHUFFLES,
    "grad_cam": "the model has no Conv1d; name a layer",
    "gradient_shap": SHUFFLES,
    "lrp": r"or take rule: attnlrp or cp_lrp|promises contributions",
    "occlusion": "fill: zero",
}
"""Why a method does not apply with the options that it has by default."""

OPTIONS: dict[str, dict[str, Any]] = {
    "deeplift, uniform": {"reference": "uniform"},
    "lrp, attnlrp": {"rule": "attnlrp"},
    "lrp, cp_lrp": {"rule": "cp_lrp"},
    "occlusion, zero": {"fill": "zero"},
    "integrated_gradients": {"steps": 24},
}
JUMPING = {("deeplift, uniform", "mistral_dna"), ("integrated_gradients", "mistral_dna")}

METHODS = sorted(
    {
        *(name for name, point in available("attribution").items() if "xaibench." in point.value),
        *OPTIONS,
        *("captum.attr:Saliency", "captum.attr:IntegratedGradients"),
    }
    - {"scores"}  # made elsewhere
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tokenizer = write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    torch.manual_seed(0)
    made = {
        "dnabert2": DNABert2(classes=2, tokenizer=tokenizer, **SIZES),
        "dnabert": dnabert(classes=2, kmer=3, **SIZES),
        "first": nucleotide_transformer(classes=2, kmer=3, rotary=False, **SIZES),
        "second": nucleotide_transformer(classes=2, kmer=3, **SIZES),
        "mistral_dna": mistral_dna(classes=2, tokenizer=tokenizer, experts=3, **SIZES),
    }
    return {name: shaken(model) for name, model in made.items()}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_runs_on_models_of_tokens_or_says_why_it_does_not(
    method: str, models: dict[str, Any]
) -> None:
    call = load("attribution", method.partition(",")[0]).call
    options = OPTIONS.get(method, {})
    for name, model in models.items():

        def explained(model: Any = model) -> Any:
            asked = {"options": options, "seed": 0, "component": "attribution"}
            return explain(call, model, CODES, TARGETS, references=REFERENCES, **asked)

        if method in REASONS or (method, name) in JUMPING:
            with pytest.raises(NotApplicable, match=REASONS.get(method, JUMPS)):
                explained()
            continue
        scores = explained().scores
        assert scores.shape == CODES.shape
        assert np.isfinite(scores).all()
        assert not scores[1, 8:].any()
        assert np.ptp(scores[0]) > 0
