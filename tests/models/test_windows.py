"""Sequences longer than a model takes, beside a loop over the stretches that its windows read."""

import numpy as np
import pytest
import torch

pytest.importorskip("tokenizers")
pytest.importorskip("transformers")

from small_networks import shaken
from small_tokenizer import write_tokenizer

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import input_x_gradient
from xaibench.attribution.integrated import integrated_gradients
from xaibench.attribution.lrp import lrp
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.method_call import explain
from xaibench.heads.relevance import relevance_of_heads
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.families import dnabert, mistral_dna
from xaibench.models.tokenizer import read_tokenizer
from xaibench.models.windows import window_starts
from xaibench.nn.inference import logits
from xaibench.nn.sites import token_sites

SIZES = {"width": 12, "layers": 2, "heads": 3, "hidden": 10}
LONGEST = 9
LENGTH = 31
CODES = np.random.default_rng(0).integers(4, size=(5, LENGTH)).astype(np.uint8)
CODES[4, 8:] = 4  # a single window
TARGETS = np.array([0, 1, 1, 0, 1])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def made(name, file, **options):
    options = {"longest": LONGEST, "too_long": "window", **SIZES, **options}
    if name == "dnabert2":
        return DNABert2(classes=2, tokenizer=file, **options)
    if name == "dnabert":
        return dnabert(classes=2, kmer=3, **options)
    return mistral_dna(classes=2, tokenizer=file, experts=3, **options)


@pytest.fixture(scope="module", params=["dnabert2", "dnabert", "mistral_dna"])
def model(request, file):
    return shaken(made(request.param, file))


def stretches(model, row):
    """``start, end`` of the nucleotides of each window of a sequence ``(1, L)``."""
    sites, tokenizer = token_sites(model, row), model.tokenizer
    count, around = int(sites.counts[0]), tokenizer.before + tokenizer.after
    spans = sites.spans[0, tokenizer.before : count - tokenizer.after]
    room = min(LONGEST - around, len(spans))
    starts = window_starts(len(spans), room)
    return [(spans[start, 0], spans[start + room - 1, 1]) for start in starts]


def test_windows_overlap_by_half_and_reach_both_ends():
    assert window_starts(5, 5) == [0]
    assert window_starts(6, 5) == [0, 1]
    assert window_starts(3, 1) == [0, 1, 2]
    for tokens in range(8, 30):
        starts = window_starts(tokens, 7)
        assert starts[0] == 0
        assert starts[-1] + 7 == tokens
        assert set(np.diff(starts)) <= {1, 2, 3}


def test_logits_are_the_mean_over_the_stretches_that_windows_read(model):
    expected = []
    for row in CODES:
        parts = [row[None, start:end] for start, end in stretches(model, row[None])]
        expected.append(np.mean([logits(model, part)[0] for part in parts], axis=0))
    assert len(stretches(model, CODES[:1])) > 2
    np.testing.assert_allclose(logits(model, CODES), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).min() > 0.02


def test_padding_of_a_mixed_batch_changes_no_logit(model):
    sites = token_sites(model, CODES)
    with torch.no_grad():
        together = model(model.encode(torch.from_numpy(CODES)), torch.from_numpy(sites.valid))
    np.testing.assert_allclose(together.numpy(), logits(model, CODES), atol=1e-5)


def explained(method, model, codes, targets, **options):
    given = {"references": codes[:, None], "options": options, "seed": 0, "component": "test"}
    return explain(method, model, codes, targets, **given)


@pytest.mark.parametrize(
    ("method", "options"), [(input_x_gradient, {}), (lrp, {"rule": "attnlrp"})]
)
def test_a_nucleotide_has_its_contributions_to_all_windows_over_their_number(
    model, method, options
):
    scores = explained(method, model, CODES, TARGETS, **options).scores
    expected = np.zeros(CODES.shape)
    for row, codes in enumerate(CODES):
        windows, target = stretches(model, codes[None]), TARGETS[row : row + 1]
        for start, end in windows:
            own = explained(method, model, codes[None, start:end], target, **options).scores[0]
            expected[row, start:end] += own / len(windows)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())
    assert (np.abs(scores[:4]).max(axis=1) > 0).all()


@pytest.mark.parametrize(
    ("method", "options"), [(integrated_gradients, {}), (deeplift, {"reference": "uniform"})]
)
def test_contributions_sum_to_the_change_of_the_mean(file, method, options):
    model = shaken(made("dnabert2", file))
    assert explained(method, model, CODES, TARGETS, **options).completeness_error < 1e-2


def test_no_attention_is_of_the_whole_of_a_long_sequence(model):
    inputs = model.encode(torch.from_numpy(CODES[:2]))
    for asked in (model.attentions, model.values):
        with pytest.raises(NotApplicable, match=r"are read in windows of 9, and no attention"):
            asked(inputs)
    with pytest.raises(NotApplicable, match=r"passes a sequence in parts, as in windows"):
        relevance_of_heads(model, CODES, heads=3)
    assert model.attentions(model.encode(torch.from_numpy(CODES[4:]))).shape[:3] == (1, 2, 3)


def test_a_window_has_room_for_a_token(file):
    with pytest.raises(UsageError, match=r"longest: expected more than 2 tokens, got 2"):
        read_tokenizer(file, longest=2)
