"""Sequences as people have them."""

import numpy as np
import pandas as pd
import pytest
import torch

from xaibench.api.inputs import as_sequences
from xaibench.errors import UsageError

CODES = np.array([[0, 1, 2, 3, 3], [3, 4, 0, 0, 4], [2, 2, 1, 0, 1]], np.uint8)
LETTERS = ["ACGTT", "TNAAN", "GGCAC"]
ONE_HOT = np.eye(5, dtype=np.float32)[CODES][:, :, :4]  # (3, 5, 4)


@pytest.mark.parametrize(
    "given",
    [
        LETTERS,
        tuple(LETTERS),
        np.array(LETTERS),
        pd.Series(LETTERS),
        pd.DataFrame({"sequence": LETTERS}),
        CODES,
        CODES.astype(np.int64),
        CODES.tolist(),
        torch.from_numpy(CODES),
        ONE_HOT,
        ONE_HOT.transpose(0, 2, 1),
        ONE_HOT.astype(bool),
        ONE_HOT.transpose(0, 2, 1)[:, :, None],
        torch.from_numpy(ONE_HOT).requires_grad_(),
        list(torch.from_numpy(ONE_HOT)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_all_of_these_are_the_same_sequences(given):
    np.testing.assert_array_equal(as_sequences(given).codes, CODES)


def test_a_single_string_is_one_sequence():
    np.testing.assert_array_equal(as_sequences("acgtt").codes, CODES[:1])


def test_channels_are_in_the_order_of_the_alphabet():
    order = ["ACGT".index(letter) for letter in "TGCA"]
    np.testing.assert_array_equal(as_sequences(ONE_HOT[..., order], alphabet="TGCA").codes, CODES)


def test_a_quarter_of_each_base_is_n():
    soft = np.where(ONE_HOT.sum(2, keepdims=True) == 0, 0.25, ONE_HOT)
    np.testing.assert_array_equal(as_sequences(soft).codes, CODES)


def test_four_positions_are_read_in_the_layout_that_is_named():
    square = np.eye(4)[[0, 1, 1, 3]][None]  # (1, position, base)
    assert as_sequences(square, layout="NL4").codes.tolist() == [[0, 1, 1, 3]]
    assert as_sequences(square.transpose(0, 2, 1)).codes.tolist() == [[0, 1, 1, 3]]


def test_a_table_may_hold_names_and_labels():
    table = pd.DataFrame({"sequence": LETTERS, "name": list("abc"), "label": ["no", "up", "no"]})
    given = as_sequences(table)
    assert given.names == ("a", "b", "c")
    assert (given.class_names, given.labels.tolist()) == (("no", "up"), [0, 1, 0])


def test_labels_by_number_are_outputs_of_the_model():
    given = as_sequences(LETTERS, labels=torch.tensor([2, 0, 2]))
    assert (given.class_names, given.labels.tolist()) == (("0", "1", "2"), [2, 0, 2])


def test_whole_floats_are_classes_and_fractions_are_measured():
    assert as_sequences(LETTERS, labels=[1.0, 0.0, 1.0]).labels.tolist() == [1, 0, 1]
    measured = as_sequences(LETTERS, labels=torch.tensor([0.5, 1.0, -2.0]))
    assert (measured.responses.tolist(), measured.has_classes) == ([0.5, 1.0, -2.0], False)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["ACG", "AXG"], {}, "got 'X' at position 1"),
        (np.full((2, 3), 7), {}, "expected codes 0 to 4 .* got 7 to 7"),
        (np.ones((2, 3)), {}, "expected letters, codes"),
        (np.ones((2, 5, 6)), {}, r"got an array \(2, 5, 6\)"),
        (np.eye(4)[[[0, 1]]] * 0.7, {}, r"got \[0.7, 0.0, 0.0, 0.0\] in row 0 at position 0"),
        (pd.DataFrame({"dna": LETTERS}), {}, "expected a column 'sequence', got dna"),
        ([[0, 1], [2]], {}, "got rows of other lengths"),
        ([], {}, "expected one or more"),
        (LETTERS, {"labels": [0, 1]}, r"labels: expected 3, one per sequence, got \(2,\)"),
        (LETTERS, {"labels": [0.5, 1, np.nan]}, "labels: expected numbers, got NaN"),
        (LETTERS, {"labels": [0, 1, -1]}, "expected classes from 0 on, got -1"),
    ],
)
def test_anything_else_is_one_line(given, options, message):
    with pytest.raises(UsageError, match=message):
        as_sequences(given, **options)
