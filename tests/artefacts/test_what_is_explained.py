"""Artefacts of three classes and more name what is explained; those of two are as they were."""

from pathlib import Path

import numpy as np
import pytest
from small_run import work_of

from xaibench.analysis.description import description
from xaibench.artefacts.effects import effects_keys, effects_spec
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.models import model_spec
from xaibench.artefacts.oracle import oracle_spec, oracles
from xaibench.artefacts.retraining import retrained_spec, retrainings
from xaibench.artefacts.trained_models import TrainedModel

PLAN = """
dataset: {{name: file, path: {path}}}
seeds: [0]
training: {{epochs: 1}}
models: {{cnn: {{filters: [4], kernels: [7]}}}}
attribution: [saliency, random]
sequences: 6
metrics: {{deletion: {{}}, substitution_agreement: {{}}, roar: {{}}}}
operators: [uniform]
"""


def table(path: Path, classes: int) -> Path:
    generator = np.random.default_rng(0)
    rows = [
        f"{''.join(generator.choice(list('ACGT'), 40))},{'abcde'[place % classes]},"
        f"{'test' if place % 7 == 3 else 'train'}"
        for place in range(120)
    ]
    path.write_text("\n".join(["sequence,label,split", *rows]))
    return path


@pytest.mark.parametrize(("classes", "named"), [(2, False), (3, True), (5, True)])
def test_specs_name_what_is_explained_of_three_classes_and_more(tmp_path, classes, named):
    path = table(tmp_path / "data.csv", classes)
    work = work_of(tmp_path / "run", text=PLAN.format(path=path))
    (oracle, *_), (effects, *_) = oracles(work), effects_keys(work)
    removed = [each for each in retrainings(work) if each.fraction]
    specs = [
        explained_spec(work, TrainedModel("cnn", 0), "saliency"),
        oracle_spec(work, TrainedModel("cnn", 0), oracle),
        effects_spec(work, TrainedModel("cnn", 0), effects),
        retrained_spec(work, TrainedModel("cnn", 0), "saliency", removed[0]),
    ]
    assert [spec.get("explained") for spec in specs] == [
        "the logit minus the mean of the other logits" if named else None
    ] * len(specs)
    assert "explained" not in model_spec(work, TrainedModel("cnn", 0))
    assert "explained" not in retrained_spec(
        work, TrainedModel("cnn", 0), "random control", removed[0]
    )
    assert ("explained" in description(work)) == named
