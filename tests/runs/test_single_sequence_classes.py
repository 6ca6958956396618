"""Every metric with every control where some classes have one explained sequence: nothing fails."""

import numpy as np
import pandas as pd
import pytest

from xaibench.artefacts.job import Job
from xaibench.explanation.controls import CONTROLS
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, run

PLAN = """
dataset: {name: file, path: data.csv, site_start: start, site_width: 8, site_class: a}
seeds: [0, 3]
target: label
training: {epochs: 1, batch_size: 32}
models: {cnn: {filters: [5], kernels: [7]}}
attribution: [input_x_gradient]
sequences: 30
controlled: 30
fractions: [0, 0.25, 0.5, 1]
random_draws: 2
reports: [markdown]
operators: [uniform]
metrics:
  deletion: {}
  insertion: {}
  aopc: {}
  road: {}
  substitution_agreement: {}
  fewer: {use: substitution_agreement, sequences: 6}
  infidelity: {draws: 3, fractions: [0.25, 0.5]}
  sensitivity_n: {draws: 3, fractions: [0.25, 0.5]}
  auprc: {}
  relevance_mass: {}
  pointing_game: {}
  rule_satisfaction: {}
  seed_agreement: {}
  seed_overlap: {}
  substitution_sensitivity: {draws: 2, of: 2}
  lipschitz: {draws: 2, of: 2}
  reverse_complement_consistency: {}
  shift_consistency: {offset: 3}
  cascading_randomisation: {draws: 1}
  random_label_similarity: {}
  gini: {}
"""

EFFECTS = ("substitution_agreement", "fewer", "infidelity", "sensitivity_n")


def table(explained: dict[str, int], generator: np.random.Generator) -> pd.DataFrame:
    """Sequences of 30 bases with so many of each class in test, and ten more to learn from."""
    rows = []
    for label, count in explained.items():
        for place in range(count + 10):
            split = "test" if place < count else "train"
            letters = "".join(generator.choice(list("ACGT"), 30))
            rows.append((letters, label, split, int(generator.integers(0, 22))))
    return pd.DataFrame(rows, columns=["sequence", "label", "split", "start"])


def records_of(folder, explained):
    table(explained, np.random.default_rng(5)).to_csv(folder / "data.csv", index=False)
    (folder / "plan.yaml").write_text(PLAN)
    plan = read_plan(str(folder / "plan.yaml"))
    work = begin(Job(plan, str(folder / "plan.yaml"), (), folder / "run"))
    outcome = run(work, jobs=0, threads=1, command="xaibench run plan.yaml")
    return work, outcome, pd.read_parquet(folder / "run" / "results.parquet")


@pytest.mark.parametrize(
    "explained",
    [{"a": 5, "b": 1}, {"a": 4, "b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1}],
    ids=["one class", "two of three", "all"],
)
def test_a_class_of_one_sequence_fails_no_metric_of_any_control(tmp_path, explained):
    work, outcome, records = records_of(tmp_path, explained)
    assert outcome.failures == []
    single = {
        name
        for name, label in zip(work.chosen.names, work.chosen.labels, strict=True)
        if explained[work.chosen.class_names[label]] == 1
    }
    measured = records[(records.method == "input_x_gradient") & records.metric.isin(EFFECTS)]
    assert set(measured.control) == {"", *CONTROLS}
    for (metric, control), rows in measured.groupby(["metric", "control"], observed=True):
        lacking = single if control in ("another sequence", "mean map") else set()
        if len(lacking) == len(work.chosen):
            assert set(rows.status) == {"not applicable"}, (metric, control)
            continue
        has_map = ~rows.sequence.isin(lacking)
        assert rows[~has_map].value.isna().all(), (metric, control)
        assert rows[has_map].value.notna().any(), (metric, control)
