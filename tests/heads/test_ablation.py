"""Models without some of their heads, and whether it hurts."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_tokenizer import write_tokenizer

from xaibench.errors import NotApplicable
from xaibench.heads.ablation import (
    ablation_tests,
    ablations,
    head_sets,
    relevance_against_association,
)
from xaibench.heads.options import RELEVANCE
from xaibench.models.cnn import CNN
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.transformer import Transformer
from xaibench.nn.heads import AttentionHead, head_means, without_heads
from xaibench.nn.inference import logits
from xaibench.values import Sequences

HEADS = 3


@pytest.fixture(params=["transformer", "dnabert2"])
def model(request, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "transformer":
            made = Transformer(classes=2, length=30, width=12, kernel=5, heads=HEADS, hidden=8)
        else:
            made = DNABert2(
                classes=2,
                tokenizer=write_tokenizer(tmp_path / "tokenizer.json"),
                width=12,
                layers=2,
                heads=HEADS,
                hidden=8,
            )
            for weights in made.parameters():
                weights.data += 0.2 * torch.randn_like(weights)
    return made.eval()


@pytest.fixture(scope="module")
def sequences():
    codes = np.random.default_rng(0).integers(0, 4, (24, 30)).astype(np.uint8)
    return Sequences(codes, np.arange(24) % 2, tuple(map(str, range(24))), ("a", "b"))


def test_a_lost_head_is_its_columns_of_the_output_projection(model, sequences):
    intact = logits(model, sequences.codes)
    with without_heads(model, [AttentionHead(0, 1), AttentionHead(1, 2)], count=HEADS):
        lost = logits(model, sequences.codes)
    state = {name: each.clone() for name, each in model.state_dict().items()}
    np.testing.assert_array_equal(logits(model, sequences.codes), intact)
    for layer, head in ((0, 1), (1, 2)):
        columns = slice(4 * head, 4 * head + 4)
        model.output_projections()[layer].weight.data[:, columns] = 0
    np.testing.assert_allclose(logits(model, sequences.codes), lost, atol=1e-6)
    assert np.abs(lost - intact).max() > 1e-3
    model.load_state_dict(state)
    np.testing.assert_array_equal(logits(model, sequences.codes), intact)


def test_the_mean_of_a_head_is_over_all_sites_but_padding(model, sequences):
    seen = []
    handle = model.output_projections()[0].register_forward_pre_hook(
        lambda module, arguments: seen.append(arguments[0].detach())
    )
    logits(model, sequences.codes)
    handle.remove()
    expected = torch.cat([each.flatten(0, 1) for each in seen]).mean(0)
    means = head_means(model, sequences.codes)
    torch.testing.assert_close(means[0], expected, atol=1e-6, rtol=1e-5)
    assert not any(module._forward_pre_hooks for module in model.modules())
    given = []
    with without_heads(model, [AttentionHead(0, 2)], count=HEADS, means=means):
        handle = model.output_projections()[0].register_forward_pre_hook(
            lambda module, arguments: given.append(arguments[0])
        )
        logits(model, sequences.codes)
        handle.remove()
    torch.testing.assert_close(given[0][..., 8:], means[0][8:].expand_as(given[0][..., 8:]))
    torch.testing.assert_close(given[0][..., :8], seen[0][..., :8])


def test_a_model_that_does_not_say_its_heads_is_not_ablated():
    with (
        pytest.raises(NotApplicable, match="output_projections"),
        without_heads(CNN(classes=2, length=30), [AttentionHead(0, 0)], count=1),
    ):
        pass


def test_controls_have_as_many_heads_in_each_layer():
    strength = np.array([[0.5, -0.9, 0.1, 0.0], [0.2, 0.3, np.nan, -0.1], [0.0, 0.0, 0.0, 0.6]])
    sets = list(head_sets(strength, 0.25, draws=30))
    chosen = {each.by: each.heads for each in sets if each.which == "chosen"}
    assert chosen == {
        "strength": ((0, 1), (2, 3), (0, 0)),
        "positive": ((2, 3), (0, 0), (1, 1)),
        # two are negative, and three would be taken
    }
    for each in sets:
        layers = np.bincount([head.layer for head in each.heads], minlength=3)
        own = np.bincount([head.layer for head in chosen[each.by]], minlength=3)
        assert layers.tolist() == own.tolist()
        assert len(set(each.heads)) == 3
    least = next(each for each in sets if each.which == "least associated")
    assert set(least.heads) == {(0, 3), (0, 2), (2, 0)}
    random = {frozenset(each.heads) for each in sets if each.which == "random"}
    assert len(random) > 10
    assert any(set(heads) & set(chosen["strength"]) for heads in random)
    assert [each.heads for each in head_sets(strength, 0.25, draws=30)] == [
        each.heads for each in sets
    ]


def test_a_row_per_set_and_what_is_measured_without_it(sequences):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = Transformer(classes=2, length=30, width=12, kernel=5, heads=HEADS, hidden=8).eval()
    strength = {"gc": np.array([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4]])}
    table = ablations(made, sequences, strength, [0.17], draws=20)
    outputs = logits(made, sequences.codes)
    assert table.iloc[0]["set"] == "intact"
    assert table.iloc[0]["accuracy"] == (outputs.argmax(1) == sequences.labels).mean()
    assert table["set"].value_counts().to_dict() == {
        "random": 60,
        "chosen": 3,
        "least associated": 3,
        "intact": 1,
    }
    row = table[(table["set"] == "chosen") & (table["by"] == "negative")].iloc[0]
    with without_heads(made, [AttentionHead(1, 2)], count=HEADS):
        lost = logits(made, sequences.codes)
    own = lost[np.arange(24), sequences.labels] - lost[np.arange(24), 1 - sequences.labels]
    assert row["logit_difference"] == pytest.approx(own.mean(), rel=1e-5)


def rows_of(track, replicate, chosen, least, random):
    """What a table of ablations holds of one model; ``logit_difference`` is ten times the rest."""
    sets = (("chosen", [chosen]), ("least associated", [least]), ("random", random))
    return [
        {
            **{"track": track, "share": 0.1, "by": "strength", "replicate": replicate},
            **{"set": which, "draw": draw, "heads": 2},
            **{"accuracy": value, "auroc": value, "logit_difference": 10 * value},
        }
        for which, values in (*sets, ("intact", [1.0]))
        for draw, value in enumerate(values)
    ]


def test_comparisons_by_hand():
    table = ablation_tests(
        pd.DataFrame(
            rows_of("gc", "0", 0.6, 0.8, [0.7, 0.9, 0.5, 0.7])
            + rows_of("gc", "1", 0.5, 0.9, [0.8, 0.8, 0.8, 0.8])
        )
    )
    row = table[table["measure"] == "accuracy"].iloc[0]
    assert row["difference"] == pytest.approx((-0.1 - 0.3) / 2)
    assert row["p"] == pytest.approx(0.2951672)  # t = -2 with one degree of freedom
    assert row["q"] == pytest.approx(0.2951672)  # all three measures have the same p
    assert row["p_random"] == pytest.approx(2 / 5)  # of the first, one random set loses more
    assert (row["chosen"], row["random"]) == pytest.approx((0.55, 0.75))
    assert row["replicates"] == 2


def test_heads_by_relevance_against_heads_by_association_by_hand():
    measured = [
        *rows_of("gc", "0", 0.6, 0.8, [0.7, 0.9]),
        *rows_of("gc", "1", 0.5, 0.9, [0.6, 0.8]),
        *rows_of(RELEVANCE, "0", 0.5, 0.8, [0.9, 0.9]),
        *rows_of(RELEVANCE, "1", 0.2, 0.9, [0.7, 0.7]),
    ]
    table = relevance_against_association(pd.DataFrame(measured))
    assert len(table) == 6  # three measures, with and without what random sets reach
    for measure, scale in (("accuracy", 1), ("logit_difference", 10)):
        rows = table[table["measure"] == measure].set_index("minus")
        plain, controlled = rows.loc["nothing"], rows.loc["random"]
        assert plain["difference"] == pytest.approx(scale * (-0.1 - 0.3) / 2)
        assert plain["p"] == pytest.approx(0.2951672)
        assert (controlled["relevance"], controlled["association"]) == pytest.approx(
            (scale * 0.35, scale * 0.55)
        )
        # beyond random: -0.4 and -0.5 against -0.2 and -0.2
        assert controlled["difference"] == pytest.approx(scale * -0.25)
        assert controlled["low"] == pytest.approx(scale * (-0.25 - 12.7062047 * 0.05))
        assert (plain["replicates"], plain["q"]) == (2, pytest.approx(0.2951672))
    assert not len(relevance_against_association(pd.DataFrame(measured[:10])))
