"""Which models a plan trains."""

import pytest

from xaibench.artefacts.trained_models import TrainedModel, replicates_of, trained_models
from xaibench.plan.schema import read_plan

PLAN = """
dataset: {name: planted, train: 160, test: 50, length: 60}
seeds: [5, 0, 3]
models:
  cnn: {}
  attngen: {seeds: 2}
attribution: [saliency]
metrics: [deletion]
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "tiny.yaml").write_text(PLAN)
    return read_plan(str(tmp_path / "tiny.yaml"))


def test_every_model_is_trained_under_the_first_of_the_seeds_that_it_asks_for(plan):
    assert list(trained_models(plan)) == [
        *(("cnn", 5), ("cnn", 0), ("cnn", 3)),
        *(("attngen", 5), ("attngen", 0)),
    ]


def test_the_replicates_of_a_model_are_its_own_in_the_order_of_the_seeds(plan):
    assert replicates_of(plan, "attngen") == [
        TrainedModel("attngen", 5),
        TrainedModel("attngen", 0),
    ]


def test_a_trained_model_is_printed_as_its_label_and_seed():
    assert str(TrainedModel("cnn", 3)) == "cnn, seed 3"
