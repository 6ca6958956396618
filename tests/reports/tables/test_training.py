from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xaibench.reports.tables.training import converged, masked

ACCURACIES = {0: [0.90, 0.95, 0.96, 0.97, 0.98, 1.0], 1: [0.80, 0.90, 0.94, 0.95, 0.99, 0.98]}


def history(model, accuracies=ACCURACIES, hidden=0.0, inside=np.nan):
    return pd.DataFrame(
        [
            {
                **{"model": model, "seed": seed, "epoch": epoch, "steps": 7 * epoch},
                **{"validation_accuracy": accuracy, "masked": hidden, "masked_in_motif": inside},
            }
            for seed, values in accuracies.items()
            for epoch, accuracy in enumerate(values, start=1)
        ]
    )


@pytest.fixture
def trained(run):
    def made(*histories):
        plan = {**run.plan, "models": {part["model"].iloc[0]: {} for part in histories}}
        return replace(run, plan=plan, training=pd.concat(histories))

    return made


def row_of(table, model):
    return next([cell.text for cell in row] for row in table.rows if row[0].text == model)


def test_a_row_a_model_shows_when_its_seeds_got_there(trained):
    _, to_95, to_99, _, spread, between, seeds = row_of(converged(trained(history("a"))), "a")
    assert to_95.startswith("3.0 [")  # epochs 2 and 4
    assert to_95.endswith("], 21")  # of 7 steps each
    assert to_99.startswith("5.5 [")  # epochs 6 and 5
    expected = np.mean([np.std(each[3:], ddof=1) for each in ACCURACIES.values()])
    assert spread.startswith(f"{expected:.4f} [")
    assert between == f"{np.std([1.0, 0.98], ddof=1):.4f}"
    assert seeds == "2"


def test_a_seed_that_never_gets_there_is_counted(trained):
    late = {0: [0.90, 0.94], 1: [0.91, 0.96]}
    _, to_95, *_ = row_of(converged(trained(history("a", late))), "a")
    assert to_95 == "2.0, 14 (not 1 of 2)"


def test_what_was_masked_is_beside_what_of_it_was_motif(trained):
    two = trained(history("a"), history("b", hidden=0.15, inside=0.05))
    table = masked(two)
    assert [row[0].text for row in table.rows] == ["b"]
    assert row_of(table, "b")[1:] == ["0.150", "0.0500 [0.0500, 0.0500]"]


def test_what_of_all_positions_is_motif_is_above(trained):
    one = trained(history("a", hidden=0.15, inside=0.05))
    assert "of all positions" not in masked(one).caption
    dataset = {**one.environment["dataset"], "inside_motif": 0.0951}
    known = replace(one, environment={**one.environment, "dataset": dataset})
    assert masked(known).caption.endswith("of all positions 0.0951 are inside motifs")


def test_nothing_masked_and_nothing_trained_are_no_tables(trained, run):
    assert masked(trained(history("a"))) is None
    assert converged(replace(run, training=run.training.iloc[:0])) is None


def test_intervals_are_by_t_over_seeds(trained):
    seen = {seed: [value] * 6 for seed, value in enumerate([0.2, 0.4, 0.9])}
    one = history("a", hidden=0.15)
    one = pd.concat(
        [one[one["seed"] == 0].assign(seed=s, masked_in_motif=v[0]) for s, v in seen.items()]
    )
    low, high = stats.ttest_1samp([0.2, 0.4, 0.9], 0).confidence_interval(0.95)
    assert row_of(masked(trained(one)), "a")[2] == f"0.5000 [\u2212{-low:.4f}, {high:.4f}]"
