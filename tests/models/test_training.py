import numpy as np
import pytest
import torch

from xaibench.data.generated.planted import planted
from xaibench.data.splitting import cut_validation
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.training import _masked, supervised
from xaibench.predict import logits
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
        progress=lambda epoch, epochs, row: told.append((epoch, epochs)),
        **{"epochs": 3, "batch_size": 32, **options},
    )
    return network, history, told


def cnn():
    return CNN(**SIZES)


def attngen():
    return AttnGen(**SIZES, mask_ratio=0.5, warm_up=1, ramp=2)


def test_training_is_learning(splits):
    network, _, _ = trained(cnn, splits, epochs=15, learning_rate=0.02)
    right = logits(network, splits.test.codes).argmax(1) == splits.test.labels
    assert right.mean() > 0.85


@pytest.mark.parametrize("model", [cnn, attngen])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(model, splits):
    (first, *_), (again, *_), (other, *_) = (
        trained(model, splits, seed=seed) for seed in (1, 1, 2)
    )
    weights = [network.classify.weight.detach() for network in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_history_has_a_row_an_epoch_and_progress_hears_of_each(splits):
    _, history, told = trained(attngen, splits)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["mask_ratio"] for row in history] == [0.0, 0.25, 0.5]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert all(row["seconds"] > 0 for row in history)


def test_the_weights_kept_are_those_of_the_lowest_validation_loss(splits):
    network, history, _ = trained(cnn, splits, epochs=6, learning_rate=0.3)
    outputs = torch.from_numpy(logits(network, splits.validation.codes))
    labels = torch.from_numpy(splits.validation.labels)
    loss = torch.nn.functional.cross_entropy(outputs, labels).item()
    losses = [row["validation_loss"] for row in history]
    assert loss == pytest.approx(min(losses), abs=1e-6)
    assert min(losses) < losses[-1], "the last epoch was the best: this test shows nothing"


def test_masked_positions_are_those_the_intact_sequence_attends_to_least(splits):
    network = attngen()
    network.train()
    codes = splits.train.codes[:5]
    masked = _masked(network, codes, 0.25, np.random.default_rng(0))
    assert ((masked == N).sum(axis=1) == 10).all()
    with torch.no_grad():
        weights = network.eval().attention(network.encode(torch.from_numpy(codes))).numpy()
    for row in range(5):
        hidden = masked[row] == N
        assert weights[row, hidden].max() <= weights[row, ~hidden].min()


def test_training_without_a_validation_split_is_refused(splits):
    with pytest.raises(ValueError, match="wanted a validation split, got None"):
        trained(cnn, Splits(splits.train, splits.test))


@pytest.mark.parametrize(("sequences", "batch_size"), [(7, 64), (20, 2), (22, 2)])
def test_few_sequences_still_train(splits, sequences, batch_size):
    few = Splits(splits.train.take(np.arange(sequences)), splits.test, splits.validation)
    _, history, _ = trained(cnn, few, epochs=1, batch_size=batch_size)
    assert np.isfinite(history[0]["train_loss"])
