"""Models that have tokens, and batches of one number of them; `RunTokens` has a known answer."""

import numpy as np
import pytest
import torch

from xaibench.api.checking import check_model
from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import input_x_gradient, saliency, smooth_grad
from xaibench.attribution.integrated import integrated_gradients
from xaibench.attribution.perturbation import in_silico_mutagenesis, occlusion
from xaibench.attribution.prior import position_prior
from xaibench.attribution.random import random
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import ModelError, NotApplicable
from xaibench.explanation.method_call import explain, on_both_strands
from xaibench.nn.checks.steadiness import steady
from xaibench.nn.inference import forward_codes, logits
from xaibench.nn.sites import buckets, commonest, token_sites
from xaibench.protocols import method
from xaibench.testing.toy_models import RunTokens, weighted
from xaibench.values import TokenSites

MODEL = RunTokens()
LENGTH = 23
DEFAULTS = {"options": {}, "seed": 0, "component": "attribution"}


def sequences(count: int = 9) -> np.ndarray:
    """With runs of several lengths, N inside, and padding."""
    draw = np.random.default_rng(1)
    codes = np.repeat(draw.integers(0, 5, (count, LENGTH)), 2, axis=1)[:, :LENGTH].astype(np.uint8)
    codes[:, ::3] = draw.integers(0, 4, codes[:, ::3].shape)
    codes[2, 17:] = 4
    return codes


CODES = sequences()
TARGETS = (np.arange(len(CODES)) % 2).astype(np.int64)


def alone(codes: np.ndarray) -> torch.Tensor:
    """Logits of each sequence by itself."""
    with torch.no_grad():
        return torch.cat([MODEL(MODEL.encode(torch.from_numpy(row[None].copy()))) for row in codes])


def of_tokens(codes: np.ndarray, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each sequence its spans, and the known scores of its tokens."""
    weights = MODEL.classify.weight
    known = []
    for row, target in zip(codes, targets, strict=True):
        one = torch.from_numpy(row[None].copy())
        toward = weights[target] - weights[1 - target]
        scores = torch.einsum("d,ds->s", toward, MODEL.encode(one)[0])
        known.append((MODEL.token_sites(one).spans[0], scores.detach().numpy()))
    return known


def test_the_sequences_have_different_numbers_of_sites():
    assert len(set(token_sites(MODEL, CODES).counts)) > 2


def test_a_batch_never_mixes_numbers_of_sites():
    seen = []

    class Watched(RunTokens):
        def forward(self, inputs, valid=None):
            seen.append((len(inputs), inputs.shape[2]))
            return super().forward(inputs, valid)

    expected = alone(CODES).numpy()
    np.testing.assert_allclose(logits(Watched(), CODES), expected, atol=1e-5)
    np.testing.assert_allclose(logits(Watched(), CODES, rows=2), expected, atol=1e-5)
    counts = sorted(token_sites(MODEL, CODES).counts)
    assert sorted(size for rows, size in seen for _ in range(rows)) == sorted(2 * counts)
    torch.testing.assert_close(forward_codes(MODEL, CODES).detach(), torch.from_numpy(expected))


def test_sequences_are_cut_where_their_number_of_sites_changes_and_put_back():
    by_sites = buckets(MODEL, CODES)
    counts = by_sites.sorted(token_sites(MODEL, CODES).counts)
    for rows in (1, 2, 20):
        batches = list(by_sites.batches(slice(1, len(CODES)), rows))
        assert [row for each in batches for row in range(len(CODES))[each]] == list(range(1, 9))
        assert all(len(set(counts[each])) == 1 and len(counts[each]) <= rows for each in batches)
    np.testing.assert_array_equal(by_sites.restored(by_sites.sorted(CODES)), CODES)
    rows = commonest(MODEL, CODES)
    values, times = np.unique(token_sites(MODEL, CODES).counts, return_counts=True)
    assert len(rows) == times.max()
    assert set(token_sites(MODEL, CODES[rows]).counts) == {values[times.argmax()]}


def test_of_nucleotides_the_very_arrays_go_through():
    by_sites = buckets(weighted(), CODES)
    assert by_sites.sorted(CODES) is CODES
    assert by_sites.restored(CODES) is CODES
    assert list(by_sites.batches(slice(0, 9), 4)) == [slice(0, 4), slice(4, 8), slice(8, 9)]


@pytest.mark.parametrize("transfer", ["equal", "broadcast"])
@pytest.mark.parametrize("together", [1, 3, 64])
def test_gradient_x_input_of_tokens_is_known_and_reaches_nucleotides(transfer, together):
    explained = explain(
        input_x_gradient, MODEL, CODES, TARGETS, transfer=transfer, batch_size=together, **DEFAULTS
    )
    expected, outside = np.zeros(CODES.shape), []
    has_n = [(row[: np.flatnonzero(row < 4)[-1]] == 4).any() for row in CODES]
    for row, (spans, scores) in enumerate(of_tokens(CODES, TARGETS)):
        for (start, end), score in zip(spans, scores, strict=True):
            expected[row, start:end] = score / max(1, end - start if transfer == "equal" else 1)
        outside.append(np.abs(scores[[0, -1]]).sum() / np.abs(scores).sum())
    np.testing.assert_allclose(explained.scores, expected, atol=1e-5)
    shares = explained.token_shares
    np.testing.assert_allclose(shares["outside"], outside, rtol=1e-4)
    np.testing.assert_allclose(shares["before"] + shares["after"], outside, rtol=1e-4)
    assert np.array_equal(shares["on_unknown"] > 0, has_n)
    assert not shares["unread"].any()
    assert explained.hypothetical is None
    assert explained.scores.dtype == np.float32


def test_integrated_gradients_sum_to_the_change_from_the_mean_token():
    explained = explain(integrated_gradients, MODEL, CODES, TARGETS, **DEFAULTS)
    mean = MODEL.embed.weight[:-3].mean(0)
    for row, (spans, scores) in enumerate(of_tokens(CODES, TARGETS)):
        weights = MODEL.classify.weight
        toward = weights[TARGETS[row]] - weights[1 - TARGETS[row]]
        inside = spans[:, 0] < spans[:, 1]
        expected = (scores - float((toward @ mean).detach()))[inside].sum()
        assert explained.scores[row].sum() == pytest.approx(expected, abs=1e-4)
    assert explained.completeness_error < 1e-5
    assert np.allclose(explained.token_shares["outside"], 0)


def test_in_proportion_to_mutagenesis_the_sum_of_each_token_is_kept():
    made = explain(input_x_gradient, MODEL, CODES, TARGETS, transfer="proportional", **DEFAULTS)
    beside = explain(in_silico_mutagenesis, MODEL, CODES, TARGETS, **DEFAULTS)
    sizes = np.abs(beside.scores)
    for row, (spans, scores) in enumerate(of_tokens(CODES, TARGETS)):
        for (start, end), score in zip(spans, scores, strict=True):
            own = sizes[row, start:end]
            share = own / own.sum() if own.sum() else 1 / max(1, end - start)
            np.testing.assert_allclose(made.scores[row, start:end], score * share, atol=1e-5)
    assert made.forwards == len(CODES) + beside.forwards
    alone = explain(input_x_gradient, MODEL, CODES, TARGETS, transfer="equal", **DEFAULTS)
    assert not np.allclose(made.scores, alone.scores)
    # what scores nucleotides has no use for it
    same = explain(
        in_silico_mutagenesis, MODEL, CODES, TARGETS, transfer="proportional", **DEFAULTS
    )
    assert same.forwards == beside.forwards


def test_in_proportion_to_mutagenesis_of_the_class_that_a_single_pass_predicts():
    targets = logits(MODEL, CODES).argmax(1)
    given = {**DEFAULTS, "transfer": "proportional"}
    predicted = explain(input_x_gradient, MODEL, CODES, None, **given)
    named = explain(input_x_gradient, MODEL, CODES, targets, **given)
    np.testing.assert_allclose(predicted.scores, named.scores, atol=1e-6)


@pytest.mark.parametrize("reference", ["uniform", "zero"])
def test_deeplift_from_a_reference_is_integrated_gradients_where_all_is_linear(reference):
    given = {**DEFAULTS, "options": {"reference": reference}}
    references = np.repeat(CODES[:, None], 2, axis=1)
    explained = explain(deeplift, MODEL, CODES, TARGETS, references=references, **given)
    expected = explain(integrated_gradients, MODEL, CODES, TARGETS, **given)
    np.testing.assert_allclose(explained.scores, expected.scores, atol=1e-5)
    assert explained.completeness_error < 1e-5
    assert explained.hypothetical is None


def test_mutagenesis_edits_nucleotides_and_tokenises_again():
    explained = explain(in_silico_mutagenesis, MODEL, CODES[:2], TARGETS[:2], **DEFAULTS)
    bases = explained.hypothetical
    for row, position in np.argwhere(CODES[:2] < 4):
        drops = []
        for base in range(4):
            edited = CODES[row].copy()
            edited[position] = base
            change = (alone(edited[None]) - alone(CODES[row][None]))[0]
            drops.append(float(change[TARGETS[row]] - change[1 - TARGETS[row]]))
        expected = np.array(drops) - np.mean(drops)
        np.testing.assert_allclose(bases[row, :, position], expected, atol=1e-5)
        observed = expected[CODES[row, position]]
        assert explained.scores[row, position] == pytest.approx(observed, abs=1e-5)
    assert not explained.scores[CODES[:2] == 4].any()
    assert explained.token_shares.keys() == {"unread"}


def test_occlusion_writes_n_and_tokenises_again():
    options = {"window": 3, "fill": "zero"}
    known = CODES[:1, :7].copy()
    known[known == 4] = 1
    explained = explain(occlusion, MODEL, known, TARGETS[:1], **{**DEFAULTS, "options": options})
    shares = np.zeros((5, 7))
    for start in range(5):
        edited = known.copy()
        edited[0, start : start + 3] = 4
        change = (alone(known) - alone(edited))[0]
        shares[start, start : start + 3] = float(change[0] - change[1]) / 3
    expected = shares.sum(0) / (shares != 0).sum(0)
    np.testing.assert_allclose(explained.scores[0], expected, atol=1e-5)


def test_there_are_no_tokens_of_a_fourth_of_every_base():
    with pytest.raises(NotApplicable, match="fill: zero"):
        explain(occlusion, MODEL, CODES, TARGETS, **DEFAULTS)


@pytest.mark.parametrize("each", [saliency, smooth_grad, random, position_prior])
def test_a_method_sees_sites_and_scores_are_of_nucleotides(each):
    explained = explain(each, MODEL, CODES, TARGETS, **DEFAULTS)
    assert explained.scores.shape == CODES.shape
    assert ("outside" in explained.token_shares) == (each is not position_prior)


def test_methods_that_compare_with_other_sequences_do_not_apply_to_tokens():
    def compares(model, inputs, target, *, references):
        return inputs

    references = np.repeat(CODES[:, None], 2, axis=1)
    with pytest.raises(NotApplicable, match="compares compares with other sequences"):
        explain(compares, MODEL, CODES, TARGETS, references=references, **DEFAULTS)
    with pytest.raises(NotApplicable, match=r"shuffled sequences have other tokens .* uniform"):
        explain(deeplift, MODEL, CODES, TARGETS, references=references, **DEFAULTS)


def test_scores_of_nucleotides_from_a_method_that_says_nothing_are_refused():
    def nucleotides(model, inputs, target, *, codes):
        return codes.float()

    with pytest.raises(ValueError, match=r"expected scores \(1, \d+\)"):
        explain(nucleotides, MODEL, CODES[:1], TARGETS[:1], **DEFAULTS)
    said = method(of_nucleotides=True)(nucleotides)
    explained = explain(said, MODEL, CODES[:1], TARGETS[:1], **DEFAULTS)
    assert np.array_equal(explained.scores, CODES[:1])


def test_on_both_strands_the_share_outside_is_the_mean():
    def on_one(codes, references):
        return explain(input_x_gradient, MODEL, codes, TARGETS, **DEFAULTS)

    both = on_both_strands(on_one, CODES, None)
    one = on_one(CODES, None).token_shares["outside"]
    other = on_one(reverse_complement(CODES), None).token_shares["outside"]
    np.testing.assert_allclose(both.token_shares["outside"], (one + other) / 2)
    assert not np.allclose(both.token_shares["outside"], one)


def test_a_model_with_tokens_is_steady_and_one_that_looks_at_its_batch_is_not():
    assert steady(MODEL, CODES[:8], classes=2).logits.shape == (8, 2)

    class Normalised(RunTokens):
        def forward(self, inputs, valid=None):
            return super().forward(inputs - inputs.mean(0), valid)

    with pytest.raises(ModelError, match="depends on what else is in the batch"):
        steady(Normalised(), CODES[:8], classes=2)


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (None, "token_sites: expected a TokenSites of 9 sequences, got NoneType"),
        (TokenSites(np.zeros((2, 3, 2), np.int64), np.ones((2, 3), bool)), "of 9 sequences"),
        (TokenSites(np.full((9, 3, 2), 24), np.ones((9, 3), bool)), "spans that end by 23"),
    ],
)
def test_sites_that_do_not_fit_are_refused(sites, message):
    class Wrong(RunTokens):
        def token_sites(self, codes):
            return sites

    with pytest.raises(ModelError, match=message):
        logits(Wrong(), CODES)


def test_an_error_of_a_tokenizer_names_where_it_was_raised():
    class Broken(RunTokens):
        def token_sites(self, codes):
            raise KeyError("no such token")

    with pytest.raises(ModelError, match=r"no such token.*raised by token_sites"):
        logits(Broken(), CODES)


def test_inputs_of_another_number_of_sites_are_refused():
    class Short(RunTokens):
        def encode(self, codes):
            return super().encode(codes)[:, :, 1:]

    with pytest.raises(ModelError, match=r"expected inputs \(N, channels, \d+\)"):
        steady(Short(), CODES[:8], classes=2)


def test_check_model_asks_a_model_with_tokens_the_same():
    page = str(check_model(MODEL, CODES))
    assert "PROBLEM" not in page, page
    assert "occlude by N" in page
