from contextlib import nullcontext

import numpy as np
import pytest
import torch
from elsewhere import Elsewhere

from xaibench.data.splitting import cut_validation
from xaibench.data.synthetic.planted import planted
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import UsageError
from xaibench.models import training
from xaibench.models.attngen import AttnGen
from xaibench.models.batches import Batch, Setting, batches_of_epoch
from xaibench.models.cnn import CNN
from xaibench.models.masking import Masking
from xaibench.models.training import supervised
from xaibench.nn.inference import logits
from xaibench.values import N, Splits

SIZES = {"classes": 2, "length": 40, "filters": (8,), "kernels": (19,)}


@pytest.fixture(scope="module")
def splits():
    whole = planted(data_seed=0, train=400, test=100, length=40)
    train, validation = cut_validation(whole.train, 0.2, 0)
    return Splits(train, whole.test, validation)


def trained(model, splits, *, seed=0, **options):
    torch.manual_seed(seed)
    network = model()
    told = []
    history = supervised(
        network,
        splits,
        seed=seed,
        progress=lambda epoch, epochs, row: told.append((epoch, epochs, row)),
        **{"epochs": 3, "batch_size": 32, **options},
    )
    return network, history, told


def cnn():
    return CNN(**SIZES)


def masked(architecture=AttnGen, **options):
    options = {"ratio": 0.5, "warm_up": 1, "ramp": 2, **options}
    return lambda: architecture(**SIZES, masking=Masking(**options))


def scorer():
    return AttnGen(**SIZES, attention_as="scorer")


def test_training_is_learning(splits):
    network, _, _ = trained(cnn, splits, epochs=15, learning_rate=0.02)
    right = logits(network, splits.test.codes).argmax(1) == splits.test.labels
    assert right.mean() > 0.85


MODELS = {
    "cnn": cnn,
    "attngen": masked(),
    "scorer": scorer,
    "random": masked(CNN, policy="random", replacement="uniform"),
    "saliency guided": masked(CNN, policy="low_gradient"),
    "alternate": masked(policy="alternate", shape="adaptive"),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(model, splits):
    (first, *_), (again, *_), (other, *_) = (
        trained(model, splits, seed=seed) for seed in (1, 1, 2)
    )
    weights = [network.classify.weight.detach() for network in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# The history


def test_the_history_has_one_row_per_epoch_and_progress_is_given_each(splits):
    _, history, told = trained(masked(), splits)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["steps"] for row in history] == [10, 20, 30]
    assert [row["mask_ratio"] for row in history] == [0.0, 0.25, 0.5]
    assert [(epoch, epochs) for epoch, epochs, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert all(row["seconds"] > 0 for row in history)
    # which epoch is kept, only the end tells, and masks are no numbers
    unsaid = {"kept", "masks"}
    assert all(told[at][2].keys() >= history[at].keys() - unsaid for at in (0, 1))
    assert all(
        told[at][2][name] == history[at][name] for at in (0, 1) for name in ("steps", "train_loss")
    )
    assert "masks" in history[2]
    assert not any("masks" in row for _, _, row in told)
    left = [row["seconds_left"] for _, _, row in told]
    assert left[0] == pytest.approx(2 * history[0]["seconds"])
    assert left[1] == pytest.approx((history[0]["seconds"] + history[1]["seconds"]) / 2)
    assert left[2] == 0


@pytest.mark.parametrize(("keep", "place"), [("last", 3), ("best_masked", None), ("best", None)])
def test_the_history_says_whose_weights_are_selected(splits, keep, place):
    model, history, _ = trained(masked(), splits, keep=keep, epochs=4)
    (kept,) = [at for at, row in enumerate(history) if row["kept"]]
    assert place in (None, kept)
    outputs = torch.from_numpy(logits(model, splits.validation.codes))
    labels = torch.from_numpy(splits.validation.labels)
    loss = torch.nn.functional.cross_entropy(outputs, labels).item()
    assert loss == pytest.approx(history[kept]["validation_loss"], abs=1e-6)


def test_the_share_that_is_masked_can_be_read_back(splits):
    _, history, _ = trained(masked(policy="random", ratio=0.3), splits)
    # 0.15 and 0.3 of 40 positions
    assert [row["masked"] for row in history] == pytest.approx([0, 6 / 40, 12 / 40])


def test_the_share_of_motifs_among_the_masked_can_be_read_back(splits):
    _, history, _ = trained(masked(policy="random"), splits, epochs=4)
    assert np.isnan(history[0]["masked_in_motif"])
    everywhere = splits.train.inside_motif.mean()
    for row in history[1:]:
        assert row["masked_in_motif"] == pytest.approx(everywhere, abs=0.03)
    without = Splits(
        training.Sequences(
            splits.train.codes, splits.train.labels, splits.train.names, splits.train.class_names
        ),
        splits.test,
        splits.validation,
    )
    _, history, _ = trained(masked(policy="random"), without)
    assert np.isnan([row["masked_in_motif"] for row in history]).all()


def test_train_loss_and_accuracy_are_of_what_the_model_was_shown(splits):
    """Half of the bases are gone, so it does worse than on whole sequences."""
    _, seeing, _ = trained(cnn, splits, epochs=15, learning_rate=0.02)
    blind = masked(CNN, policy="random", ratio=0.9, warm_up=0, ramp=1)
    _, history, _ = trained(blind, splits, epochs=15, learning_rate=0.02)
    assert seeing[-1]["train_accuracy"] > 0.9
    assert history[-1]["train_accuracy"] < 0.8
    assert history[-1]["train_loss"] > seeing[-1]["train_loss"]


def test_an_adaptive_ratio_is_that_of_the_losses_before(splits):
    masking = Masking(policy="random", ratio=0.4, warm_up=0, ramp=3, shape="adaptive")
    _, history, _ = trained(lambda: CNN(**SIZES, masking=masking), splits, epochs=6)
    ratios = [masking.ratio_at(epoch, history[:epoch]) for epoch in range(6)]
    assert [row["mask_ratio"] for row in history] == ratios
    assert len(set(ratios)) > 2


# What is kept


def losses(history):
    return [row["validation_loss"] for row in history]


def loss_of(network, splits):
    outputs = torch.from_numpy(logits(network, splits.validation.codes))
    labels = torch.from_numpy(splits.validation.labels)
    return torch.nn.functional.cross_entropy(outputs, labels).item()


def test_the_weights_selected_are_those_of_the_lowest_validation_loss(splits):
    network, history, _ = trained(cnn, splits, epochs=6, learning_rate=0.3)
    assert loss_of(network, splits) == pytest.approx(min(losses(history)), abs=1e-6)
    assert min(losses(history)) < losses(history)[-1], "the last was the best: this shows nothing"


def test_the_last_weights_are_selected_where_that_is_the_option(splits):
    network, history, _ = trained(cnn, splits, epochs=6, learning_rate=0.3, keep="last")
    assert loss_of(network, splits) == pytest.approx(losses(history)[-1], abs=1e-6)


def test_the_best_masked_are_those_of_the_epochs_with_the_whole_ratio(splits):
    model = masked(CNN, policy="random", ratio=0.9, warm_up=10, ramp=2)
    options = {"epochs": 13, "learning_rate": 0.02, "schedule": "constant"}
    network, history, _ = trained(model, splits, keep="best_masked", **options)
    assert [row["mask_ratio"] for row in history[9:]] == [0, 0.45, 0.9, 0.9]
    assert loss_of(network, splits) == pytest.approx(min(losses(history)[11:]), abs=1e-6)
    assert min(losses(history)) < min(losses(history)[11:]), "the best is one of them: no proof"


def test_training_stops_when_patience_is_at_an_end(splits):
    options = {"learning_rate": 0.3, "schedule": "constant"}
    _, whole, _ = trained(cnn, splits, epochs=12, **options)
    best = int(np.argmin(losses(whole)[:6]))
    _, stopped, _ = trained(cnn, splits, epochs=12, patience=2, **options)
    assert losses(stopped) == losses(whole)[: len(stopped)]
    assert len(stopped) < 12
    best = int(np.argmin(losses(stopped)))
    assert len(stopped) == best + 1 + 2


def test_patience_waits_for_the_ramp_where_the_best_masked_are_selected():
    rising = [(0.1, 0.0), (0.2, 0.1), (0.3, 0.2), (0.4, 0.3)]
    history = [{"validation_loss": loss, "mask_ratio": ratio} for loss, ratio in rising]
    assert training._out_of_patience(history, 2, "best")
    assert not training._out_of_patience(history, 2, "best_masked")
    assert training._out_of_patience([*history, *history[-1:] * 2], 2, "best_masked")
    assert not training._out_of_patience(history[:2], 2, "best")


def test_where_the_ratio_has_fallen_no_epoch_is_the_best_masked():
    rows = [(0.5, 0.1), (0.4, 0.2), (0.3, 0.1)]
    history = [{"validation_loss": loss, "mask_ratio": ratio} for loss, ratio in rows]
    assert [training._is_best(history[:end], "best_masked") for end in (1, 2, 3)] == [1, 1, 0]
    assert training._is_best(history, "best")


def test_the_rate_runs_through_one_cycle_or_stays(splits):
    rates = {"one_cycle": [], "constant": []}
    for schedule, seen in rates.items():
        optimiser, following = training._optimiser(cnn(), 20, 0.01, 0.0, schedule)
        for _ in range(20):
            seen.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            following.step()
    assert rates["constant"] == [0.01] * 20
    assert max(rates["one_cycle"]) == pytest.approx(0.01)
    assert int(np.argmax(rates["one_cycle"])) == 1
    assert rates["one_cycle"][-1] < 1e-6


# What a model is shown


def setting(**options):
    known = {"masking": Masking(), "seed": 0, "batch_size": 32, "both_strands": False}
    return Setting(**{**known, "in_bfloat16": False, "device": torch.device("cpu"), **options})


def test_masked_positions_are_those_the_intact_sequence_attends_to_least(splits):
    network = masked()().train()
    batch = next(batches_of_epoch(network, splits.train, 2, 0.25, setting()))
    assert (batch.masked.sum(axis=1) == 10).all()
    assert (batch.shown == np.where(batch.masked, N, batch.intact)).all()
    with torch.no_grad():
        inputs = network.encode(torch.from_numpy(batch.intact))
        weights = network.eval().attention(inputs).numpy()
    for row in range(5):
        hidden = batch.masked[row]
        assert weights[row, hidden].max() <= weights[row, ~hidden].min()


def test_an_epoch_repeated_repeats_its_masks_and_another_has_others(splits):
    network = masked()()
    first, again, other = (
        [batch.masked for batch in batches_of_epoch(network, splits.train, epoch, 0.25, setting())]
        for epoch in (2, 2, 3)
    )
    assert all((one == same).all() for one, same in zip(first, again, strict=True))
    assert (first[0] != other[0]).any()


def test_half_of_the_sequences_are_reverse_complemented_with_their_motifs(splits):
    plain, turned = (
        next(
            batches_of_epoch(None, splits.train, 0, 0.0, setting(both_strands=both, batch_size=320))
        )
        for both in (False, True)
    )
    assert (plain.labels == turned.labels).all()
    other = reverse_complement(plain.intact)
    is_other = (turned.intact == other).all(axis=1)
    assert ((turned.intact == plain.intact).all(axis=1) | is_other).all()
    # standard deviation of a share of one half of 320: 0.028
    assert abs(is_other.mean() - 0.5) < 0.15
    assert (turned.inside_motif[is_other] == plain.inside_motif[is_other, ::-1]).all()
    assert (turned.inside_motif[~is_other] == plain.inside_motif[~is_other]).all()


# The loss


def batch_of(splits):
    codes, labels = splits.train.codes[:6], splits.train.labels[:6]
    hidden = np.zeros(codes.shape, bool)
    hidden[:, ::3] = True
    rows, turned = np.arange(6), np.zeros(6, bool)
    return Batch(rows, turned, codes, np.where(hidden, np.uint8(N), codes), labels, hidden, None)


def parts_by_hand(network, batch):
    """Cross-entropy of the intact and of the masked sequences, and KL(intact || masked)."""
    log = [
        torch.log_softmax(network(network.encode(torch.from_numpy(codes))), 1)
        for codes in (batch.intact, batch.shown)
    ]
    labels = torch.from_numpy(batch.labels)
    crossed = [-each[torch.arange(6), labels].mean() for each in log]
    return *crossed, (log[0].exp() * (log[0] - log[1])).sum(1).mean()


@pytest.mark.parametrize("weights", [(0.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.3, 0.5, 2.0)])
def test_the_loss_is_the_weighted_sum_that_masking_says(splits, weights):
    intact, shown, consistency = weights
    masking = Masking(intact_loss=intact, masked_loss=shown, consistency_loss=consistency)
    network, batch = cnn().eval(), batch_of(splits)
    labels = torch.from_numpy(batch.labels)
    loss, _ = training._loss(network, batch, labels, setting(masking=masking))
    by_hand = sum(w * part for w, part in zip(weights, parts_by_hand(network, batch), strict=True))
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    unmasked, _ = training._loss(
        network, batch._replace(shown=None), labels, setting(masking=masking)
    )
    assert unmasked.item() == pytest.approx(parts_by_hand(network, batch)[0].item(), rel=1e-5)


def test_detached_the_intact_prediction_is_a_fixed_target(splits):
    gradients = []
    for detach in (False, True):
        masking = Masking(masked_loss=0.0, intact_loss=1e-9, consistency_loss=1.0, detach=detach)
        torch.manual_seed(0)
        network, batch = cnn().eval(), batch_of(splits)
        labels = torch.from_numpy(batch.labels)
        training._loss(network, batch, labels, setting(masking=masking))[0].backward()
        gradients.append(network.classify.weight.grad)
    assert not torch.allclose(gradients[0], gradients[1])

    log = [
        torch.log_softmax(network(network.encode(torch.from_numpy(codes))), 1)
        for codes in (batch.intact, batch.shown)
    ]
    network.zero_grad()
    (-(log[0].detach().exp() * log[1]).sum(1).mean()).backward()
    assert torch.allclose(gradients[1], network.classify.weight.grad, atol=1e-6)


def test_a_scorer_learns_where_to_look_while_the_classifier_learns_as_if_alone(splits):
    torch.manual_seed(0)
    alone = cnn()
    beside = AttnGen(**SIZES, attention_as="scorer", masking=Masking(policy="none"))
    beside.load_state_dict(alone.state_dict(), strict=False)
    looked = beside.energy[0].weight.detach().clone()
    for network in (alone, beside):
        torch.manual_seed(9)
        supervised(network, splits, seed=0, progress=lambda *_: None, epochs=2, batch_size=32)
    state = beside.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in alone.state_dict().items())
    assert not torch.equal(beside.energy[0].weight, looked)


# Where and in which precision


def test_in_bfloat16_weights_stay_in_float32_and_accuracy_is_within_a_fifth_of_a_point():
    """Enough to learn from that either reaches what the data allow, so that one seed can tell: on
    10,000 sequences, four seeds differed by 0.05 points at most. Of 400 the same seeds differ by
    0.6, in either direction: that is the noise of training, and shows nothing about precision."""
    whole = planted(data_seed=0, train=3000, test=10_000, length=40)
    train, validation = cut_validation(whole.train, 0.2, 0)
    splits = Splits(train, whole.test, validation)
    options = {"epochs": 6, "learning_rate": 0.02}
    exact, rough = (
        trained(cnn, splits, precision=precision, **options)[0]
        for precision in ("float32", "bfloat16")
    )
    assert all(p.dtype == torch.float32 for p in rough.parameters())
    assert all((p != p.bfloat16()).any() for p in rough.parameters())  # and use its digits
    assert not torch.equal(exact.classify.weight, rough.classify.weight)
    accuracies = [
        float((logits(network, whole.test.codes).argmax(1) == whole.test.labels).mean())
        for network in (exact, rough)
    ]
    assert accuracies[0] > 0.99
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.002)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_on_another_device_a_training_is_what_it_is_on_the_cpu(
    model, splits, tmp_path, monkeypatch
):
    """Also where it is cut. Its layers are the model's own, so those of the CPU must be too."""
    monkeypatch.setattr(training, "faster", nullcontext)
    _, here, _ = trained(model, splits, epochs=2, keep="last")
    there = {"epochs": 2, "keep": "last", "device": "cuda", "checkpoint": tmp_path}
    epoch, cut = training._epoch, []

    def once(*given):
        cut.append(given)
        if len(cut) == 2:
            raise KeyboardInterrupt
        return epoch(*given)

    monkeypatch.setattr(training, "_epoch", once)
    with Elsewhere():
        with pytest.raises(KeyboardInterrupt):
            trained(model, splits, **there)
        network, history, _ = trained(model, splits, **there)
    assert len(cut) == 3
    assert {type(tensor) for tensor in network.state_dict().values()} == {torch.Tensor}
    assert losses(history) == pytest.approx(losses(here), abs=1e-6)
    assert [row.get("masks") for row in history] == [row.get("masks") for row in here]
    assert loss_of(network, splits) == pytest.approx(losses(history)[1], abs=1e-6)


def test_a_device_that_this_machine_does_not_have_is_rejected(splits):
    with pytest.raises(UsageError, match="device: torch has no 'abacus' on this machine"):
        trained(cnn, splits, device="abacus")


def test_training_without_a_validation_split_is_rejected(splits):
    with pytest.raises(ValueError, match="expected a validation split, got None"):
        trained(cnn, Splits(splits.train, splits.test))


@pytest.mark.parametrize(("sequences", "batch_size"), [(7, 64), (20, 2), (22, 2)])
def test_few_sequences_still_train(splits, sequences, batch_size):
    few = Splits(splits.train.take(np.arange(sequences)), splits.test, splits.validation)
    _, history, _ = trained(cnn, few, epochs=1, batch_size=batch_size)
    assert np.isfinite(history[0]["train_loss"])
