"""Masks read back from a history are those that the training made."""

import json

import numpy as np
import pytest
import torch

from xaibench.dna.encoding import to_codes, to_letters
from xaibench.models import batches, masks
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.masking import Masking
from xaibench.models.training import supervised
from xaibench.values import Sequences, Splits

OTHER = str.maketrans("ACGTN", "TGCAN")
LENGTH = 21


def letters(count):
    """Of 15 to 21 bases, no two alike; some begin with N, one reads the same on both strands."""
    generator = np.random.default_rng(0)
    found = []
    for row in range(count):
        word = "".join(generator.choice(list("ACGT"), size=generator.integers(15, LENGTH + 1)))
        found.append("NN" + word[2:] if row % 5 == 2 else word)
    found[3] = "ACGTACGTTTAAACGTACGT"
    assert len(set(found)) == count
    return found


@pytest.fixture(scope="module")
def splits():
    codes = to_codes(letters(150))
    labels = np.arange(150) % 2
    names = tuple(str(row) for row in range(150))
    every = Sequences(codes, labels, names, ("no", "yes"))
    train, validation = every.take(np.arange(117)), every.take(np.arange(117, 150))
    return Splits(train, validation, validation)


def trained(splits, masking, *, architecture=AttnGen, **options):
    torch.manual_seed(0)
    network = architecture(classes=2, length=LENGTH, filters=(5,), kernels=(7,), masking=masking)
    known = {"epochs": 4, "batch_size": 32, **options}
    return supervised(network, splits, seed=0, progress=lambda *_: None, **known)


def back(history):
    """As the card of kept weights has it."""
    return json.loads(json.dumps(history))


@pytest.fixture
def made(monkeypatch):
    """What was made of each batch: the epoch, the letters as shown to the policy, and the mask."""
    every = []

    def spy(*given, epoch, **named):
        masked = masking_itself(*given, epoch=epoch, **named)
        every.extend(zip([epoch] * len(masked), to_letters(given[2]), masked, strict=True))
        return masked

    masking_itself = batches.masked_positions
    monkeypatch.setattr(batches, "masked_positions", spy)
    return every


def by_hand(made, splits, epochs):
    """A slow twin with strings; a sequence is found by its letters, on either strand."""
    expected = np.zeros((epochs, len(splits.train), LENGTH), bool)
    own = letters(117)
    turned = [word.translate(OTHER)[::-1].rstrip("N") for word in own]
    of_turned = 0
    for epoch, word, masked in made:
        if word in own:
            row, places = own.index(word), range(len(word))
        else:
            row = turned.index(word)
            places = reversed(range(len(own[row])))
            of_turned += 1
        for place, hidden in zip(places, masked, strict=False):
            expected[epoch, row, place] = hidden
    return expected, of_turned / len(made)


ARMS = {
    "least attended": Masking(policy="low_attention", ratio=0.3, warm_up=1, ramp=2),
    "random": Masking(policy="random", ratio=0.3, warm_up=1, ramp=2, replacement="uniform"),
    "gradients": Masking(policy="alternate", ratio=0.3, warm_up=1, ramp=2),
}


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize("masking", ARMS.values(), ids=ARMS)
def test_the_mask_of_an_epoch_can_be_read_back(masking, both_strands, made, splits):
    history = trained(splits, masking, reverse_complement=both_strands)
    expected, of_turned = by_hand(made, splits, 4)
    # standard deviation of a share of one half of 288: 0.03
    assert of_turned == pytest.approx(0.5 * both_strands, abs=0.15)
    read = masks.read_masks(back(history), splits.train.codes)
    assert read.dtype == np.bool_
    palindrome = 3  # it reads the same on both strands: the twin cannot tell which was shown
    kept = [row for row in range(masks.RECORDED) if row != palindrome or not both_strands]
    assert (read[:, kept] == expected[:, kept]).all()
    assert not read[:, splits.train.codes[:100] > 3].any()
    # three batches of 32: of 117 sequences, 21 sit an epoch out
    asked = (read[1:].sum(axis=2) > 0).sum(axis=1)
    assert (asked < masks.RECORDED).all()
    assert (asked > 60).all()
    assert ["masks" in row for row in history] == [False, True, True, True]


def test_a_sequence_that_reads_the_same_on_both_strands_is_mapped_back_too(splits, monkeypatch):
    """What is hidden is the first base as shown: as it was or, turned, the last."""

    def first(masking, model, codes, labels, **named):
        return (codes < 4) & (np.arange(LENGTH) == 0)

    monkeypatch.setattr(batches, "masked_positions", first)
    history = trained(splits, ARMS["random"], reverse_complement=True, epochs=12)
    places = masks.read_masks(history, splits.train.codes)[:, 3].nonzero()[1]
    assert set(places) == {0, 19}


def test_fewer_sequences_than_are_recorded_are_all_recorded(splits):
    few = Splits(splits.train.take(np.arange(37)), splits.test, splits.validation)
    history = trained(few, ARMS["random"], architecture=CNN, batch_size=37)
    read = masks.read_masks(history, few.train.codes)
    assert read.shape == (4, 37, LENGTH)
    valid = (few.train.codes < 4).sum(axis=1)
    assert (read[3].sum(axis=1) == np.floor(0.3 * valid + 0.5)).all()


def test_a_history_without_masks_is_read_as_having_none():
    old = [{"epoch": 1, "mask_ratio": 0.0}, {"epoch": 2, "mask_ratio": 0.3}]
    codes = np.zeros((117, LENGTH), np.uint8)
    read = masks.read_masks(old, codes)
    assert read.shape == (2, 100, LENGTH)
    assert not read.any()
    assert masks.as_columns(read[0]) == {}


def test_masks_of_other_sequences_are_rejected(splits):
    history = trained(splits, ARMS["random"])
    message = "history: expected masks of 100 sequences of 12 nt, 200 bytes, got 300"
    with pytest.raises(ValueError, match=message):
        masks.read_masks(history, splits.train.codes[:, :12])
