"""What the replicates of a run are called."""

from dataclasses import replace

from xaibench.reports.format.replicates import BOTH, FILES, SEEDS, replicate_terms, shared_terms
from xaibench.reports.format.select import models_of, replicates_of_run
from xaibench.reports.tables.accuracy import accuracy
from xaibench.results.reading import Results


def given(run: Results, models: list[str]) -> Results:
    """The run, as if these models had come with their weights."""
    files = {model: ["fold0", "fold1"] for model in models}
    return replace(run, environment={**run.environment, "replicates": files})


def test_replicates_are_seeds_or_weight_files_or_both(run):
    models = models_of(run)
    assert len(models) > 1
    assert replicate_terms(given(run, [])) == SEEDS
    assert replicate_terms(given(run, models)) == FILES
    assert replicate_terms(given(run, models[:1])) == BOTH


def test_two_runs_of_different_kinds_have_the_words_of_both(run):
    assert shared_terms(run, run) == SEEDS
    assert shared_terms(run, given(run, models_of(run))) == BOTH


def test_replicates_are_called_by_the_files_of_every_model(run):
    one, other, *_ = models = models_of(run)
    assert replicates_of_run(given(run, []), [0, 2]) == ["0", "2"]
    assert replicates_of_run(given(run, models), [0, 1]) == ["fold0", "fold1"]
    assert replicates_of_run(given(run, [one]), [1, 2]) == ["fold1/seed 1", "2"]
    files = {one: ["fold0", "fold1"], other: ["best", "fold1", "last"]}
    both = replace(run, environment={**run.environment, "replicates": files})
    named = ["fold0/best", "fold1", "last"]
    trained = len(models) > 2
    assert [name.split("/seed")[0] for name in replicates_of_run(both, [0, 1, 2])] == named
    heads = [cell.text for cell in accuracy(both).heads]
    assert heads[2] == ("fold0/best/seed 0" if trained else "fold0/best")


def test_what_one_replicate_says_nothing_of():
    assert (SEEDS.others, FILES.others) == ("retraining", "other replicates")
