"""What replaced tokens take, and passes of what changed alone."""

import numpy as np
import pytest
import torch

from xaibench.errors import NotApplicable
from xaibench.nn.inference import logits
from xaibench.nn.token_replacement import mask_tokens, require_tokens, token_logits
from xaibench.plugins.registry import Plugin
from xaibench.plugins.signatures import fits
from xaibench.protocols import operator, operator_facts
from xaibench.testing.toy_models import RunTokens, weighted

CODES = np.array([[0, 0, 1, 2, 2, 2], [0, 1, 2, 3, 0, 1], [3, 3, 3, 3, 3, 3]], np.uint8)


class Counted(RunTokens):
    """Counts the sequences of its passes."""

    passed = 0

    def forward(self, inputs, valid=None):
        self.passed += len(inputs)
        return super().forward(inputs, valid)


def by_reference(model, inputs):
    return mask_tokens(model, inputs, fill="reference")


def test_passes_are_of_the_sequences_whose_tokens_changed_and_steps_are_in_their_order():
    model = Counted().eval()
    intact = logits(model, CODES)
    model.passed = 0
    # nothing, the first run of the first two sequences, the same, the second run of the first
    sites = [[(0, 1), (1, 1)], [(0, 1), (1, 1)], [(0, 1), (0, 2), (1, 1)]]

    def taken(step, rows):
        mask = np.zeros((3, 8), bool)
        for row, site in [[], *sites][step]:
            mask[row, site] = True
        return mask[rows]

    got = token_logits(model, CODES, by_reference, taken, 4, intact)
    assert model.passed == 3
    mean = model.embed.weight[:-3].mean(0)
    for step, replaced in enumerate([[], *sites]):
        for row, codes in enumerate(CODES):
            inputs = model.encode(torch.from_numpy(codes[None])).detach().clone()
            for site in [site for own, site in replaced if own == row]:
                inputs[0, :, site] = mean.detach()
            np.testing.assert_allclose(got[step, row], model(inputs).detach()[0], atol=1e-5)
    assert np.abs(got[1, :2] - intact[:2]).min() > 1e-3


def test_a_token_that_the_model_has_not_is_not_applicable():
    inputs = torch.zeros(1, 3, 4)
    for fill, token in {"mask": "MASK", "unknown": "UNK"}.items():
        with pytest.raises(NotApplicable, match=rf"what its \[{token}\] is .* fill: reference"):
            mask_tokens(RunTokens(), inputs, fill=fill)
    with pytest.raises(NotApplicable, match=r"halves replaces tokens, and .* are nucleotides"):
        require_tokens(weighted(), "halves")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda model, inputs: inputs[:, 1:], r"expected inputs \(1, 3, 4\), got \(1, 2, 4\)"),
        (lambda model, inputs: None, "got NoneType"),
        (lambda model, inputs: inputs / 0, "expected finite inputs"),
    ],
)
def test_what_an_operator_of_tokens_gives_is_checked(given, message):
    model = RunTokens()
    with pytest.raises(ValueError, match=message):
        token_logits(model, CODES[:1, :3], given, lambda *_: None, 1, np.zeros((1, 2)))


def test_an_operator_says_that_it_is_of_tokens_and_is_of_no_other_kind():
    @operator(of_tokens=True)
    def halves(model, inputs):
        return inputs / 2

    assert operator_facts(halves).of_tokens
    assert not operator_facts(lambda codes, generator: codes).of_tokens
    kinds = [kind for kind in ("attribution", "operators", "metrics") if fits(of(kind, halves))]
    assert kinds == ["operators"]


def of(kind, function):
    return Plugin(kind, "halves", function, "halves")
