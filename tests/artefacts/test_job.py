"""Where plan and data meet: what a model that is trained needs of the data."""

import pytest

from xaibench.artefacts.job import Job, is_trained, prepare
from xaibench.errors import UsageError
from xaibench.plan.schema import read_plan

PLUGIN = """
def brought(model, splits):
    return []

def net(*, classes, length):
    raise NotImplementedError
"""
LABELLED = "sequence,label,split\nACGT,a,test\nGGCC,b,test\nTT,b,test\n"
NUMBERS = "sequence,y,split\n" + "ACGT,.5,train\nGGCC,2,train\nTT,1,test\n"


@pytest.fixture
def prepared(tmp_path):
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "w.pt").write_bytes(b"weights")

    def of(text, models="[cnn]", training="supervised", dataset=""):
        (tmp_path / "t.csv").write_text(text)
        plan = tmp_path / "plan.yaml"
        plan.write_text(
            f"dataset: {{name: file, path: t.csv{dataset}}}\nmodels: {models}\n"
            f"training: {training}\n"
        )
        plugins = (str(tmp_path / "plugin.py"),)
        return prepare(
            Job(read_plan(str(plan), plugins=plugins), str(plan), plugins, tmp_path / "run")
        )

    return of


REFUSED = {
    "no labels": (
        {"text": "sequence\nACGT\nGG\n", "dataset": ", test_fraction: 0.5"},
        r"models\.cnn: expected two classes or more to train it on, got none, no column 'label' "
        r"among 'sequence'; name the column of the classes by the option label .*, or give",
    ),
    "one class": (
        {"text": "sequence,label\nACGT,x\nGG,x\n", "dataset": ", test_fraction: 0.5"},
        r"got one, 'x' \(column 'label'\); .* option weights",
    ),
    "no train": (
        {"text": LABELLED},
        r"models\.cnn: expected sequences to train it on, got 3 to test on alone; .* split .*, or",
    ),
    "numbers for classes": (
        {"text": NUMBERS, "dataset": ", response: y"},
        "expected two classes or more for the training supervised, got a response; name a train",
    ),
    "one model of two": (
        {"text": LABELLED, "models": "{own: {use: net, weights: w.pt}, cnn: {}}"},
        r"models\.cnn: expected sequences to train it on",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_is_trained_needs_train_and_classes(prepared, case):
    given, message = REFUSED[case]
    with pytest.raises(UsageError, match=message) as caught:
        prepared(**given)
    assert "\n" not in str(caught.value)


def test_a_model_with_weights_needs_sequences_alone(prepared):
    own = "{own: {use: net, weights: w.pt}}"
    work = prepared("sequence\nACGT\nGG\n", models=own)
    assert not is_trained(work.plan, "own")
    assert len(work.chosen) == 2
    assert work.splits.validation is None
    assert work.splits.facts["train"] == (
        "none; base composition and Markov chains are those of test"
    )


def test_a_training_of_ones_own_may_learn_numbers(prepared):
    work = prepared(NUMBERS, training="brought", dataset=", response: y")
    assert is_trained(work.plan, "cnn")
    assert work.splits.train.responses is not None


def test_validation_that_nobody_needs_may_be_absent(prepared):
    rows = "sequence,label,split\nACGT,a,train\nGG,b,train\nTT,a,test\nCC,b,test\n"
    work = prepared(rows, models="{own: {use: net, weights: w.pt}}")
    assert work.splits.validation is None
    with pytest.raises(UsageError, match="two sequences of a class to cut"):
        prepared(rows)
