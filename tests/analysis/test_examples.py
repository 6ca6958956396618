"""Which sequences become examples, and why: a rule, not a taste."""

import numpy as np

from xaibench.analysis.examples import MOST_EXAMPLES, Predictions, chosen_rows

LABELS = np.array([1, 0, 0, 1, 1, 0, 0, 1, 0])
CARRIES = np.array([0, 0, 0, 1, 1, 0, 0, 1, 0], bool)
NAMES = ("decoy", "CTCF")


def predictions(predicted, probability):
    return Predictions(np.array(predicted), np.array(probability, float))


SURE = [0.9, 0.8, 0.7, 0.95, 0.6, 0.99, 0.51, 0.8, 0.8]


def test_each_class_gives_its_first_those_with_a_motif_before_others():
    rows = chosen_rows(LABELS, NAMES, CARRIES, {"cnn": predictions(LABELS, SURE)})
    assert list(rows)[:2] == [3, 1]
    assert rows[3] == ["the first with a known motif of class CTCF"]
    assert rows[1] == ["the first of class decoy"]


def test_the_first_mistake_of_every_model_is_an_example():
    wrong, worse = LABELS.copy(), LABELS.copy()
    wrong[6], worse[[5, 8]] = 1, 1
    models = {"cnn": predictions(wrong, SURE), "gru": predictions(worse, SURE)}
    rows = chosen_rows(LABELS, NAMES, CARRIES, models)
    assert rows[6] == ["the first that cnn gets wrong", "the one cnn is least sure of"]
    assert rows[5] == ["the first that gru gets wrong", "the one cnn is most sure of"]
    assert 8 not in rows


def test_what_is_left_fills_up_those_with_a_motif_first():
    rows = chosen_rows(LABELS, NAMES, CARRIES, {"cnn": predictions(LABELS, SURE)})
    assert list(rows) == [3, 1, 6, 5, 4, 7]
    assert rows[4] == ["next in the order of the run"]


def test_a_model_without_predictions_gives_no_reason():
    assert list(chosen_rows(LABELS, NAMES, CARRIES, {})) == [3, 1, 4, 7, 0, 2]


def test_few_sequences_give_few_examples():
    rows = chosen_rows(LABELS[:2], NAMES, CARRIES[:2], {"cnn": predictions(LABELS[:2], SURE[:2])})
    assert sorted(rows) == [0, 1]


def test_many_models_give_no_more_than_the_most():
    models = {}
    for row in range(9):
        predicted = LABELS.copy()
        predicted[row] = 1 - predicted[row]
        models[f"m{row}"] = predictions(predicted, SURE)
    assert len(chosen_rows(LABELS, NAMES, CARRIES, models)) == MOST_EXAMPLES


def test_many_classes_give_four_examples_of_their_own():
    labels = np.arange(7)
    rows = chosen_rows(labels, tuple("abcdefg"), np.zeros(7, bool), {})
    assert sum("class" in reason for reasons in rows.values() for reason in reasons) == 4


def test_without_classes_the_extremes_of_the_output_are_examples():
    output = np.array([0.5, 3.0, -2.0, 1.0, 0.0, 0.1])
    model = Predictions(np.zeros(6, np.int64), np.full(6, np.nan), output)
    carries = np.array([False, False, False, True, False, False])
    rows = chosen_rows(np.zeros(6, np.int64), ("unlabelled",), carries, {"net": model})
    assert rows == {
        3: ["the first with a known motif"],
        2: ["the one net gives the smallest output"],
        1: ["the one net gives the largest output"],
        0: ["next in the order of the run"],
        4: ["next in the order of the run"],
        5: ["next in the order of the run"],
    }


def test_a_single_output_is_wrong_for_no_class_of_the_data():
    count = len(LABELS)
    output = np.arange(count, dtype=float)[::-1]
    single = Predictions(np.zeros(count, np.int64), np.full(count, np.nan), output)
    rows = chosen_rows(LABELS, NAMES, CARRIES, {"net": single})
    assert "the one net gives the smallest output" in rows[count - 1]
    assert "the one net gives the largest output" in rows[0]
    assert not any("sure" in why or "wrong" in why for each in rows.values() for why in each)
