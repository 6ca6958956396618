"""The methods paragraph cites what was used, and nothing else."""

from dataclasses import replace

from xaibench.reports.account import account, works
from xaibench.reports.citations import METHODS, METRICS, WORKS


def test_every_source_is_a_work_that_is_told_in_full():
    cited = {work for table in (METHODS, METRICS) for each in table.values() for work in each}
    assert cited <= set(WORKS)
    assert list(WORKS) == sorted(WORKS)


def test_methods_and_metrics_are_cited_by_what_is_behind_their_label(run):
    planned = {"mine": {"use": "deeplift"}, "noise": {"use": "random"}}
    plan = run.plan | {"attribution": planned, "metrics": {"auprc": {}, "holes": {"use": "road"}}}
    said = account(replace(run, plan=plan))
    assert "explained by mine (Shrikumar et al. 2017; Lundberg and Lee 2017) and noise." in said
    assert "measured by AUPRC (Davis and Goadrich 2006) and holes (Rong et al. 2022)." in said
    assert "Petsiuk" not in said


def test_what_was_done_is_told_with_its_sizes_and_versions(run):
    said = account(run)
    assert said.startswith(
        "The models cnn, attngen and attention only were trained under 5 seeds each on 8,000 "
        "sequences and tested on 2,000 (Sequences from a Markov chain; positives carry one CTCF "
        "motif (JASPAR))."
    )
    assert "as the paired difference to 10 random orders" in said
    assert "(Owen 2007)" in said
    assert "corrected over the methods of a model (Holm 1979)" in said
    assert said.endswith(
        "All was computed by xaibench 0.1.0 with PyTorch 2.13.0 (Paszke et al. 2019) and Captum "
        "0.9.0 (Kokhlikyan et al. 2020) under Python 3.11.7."
    )


def test_one_seed_claims_nothing_about_retraining(make):
    said = account(make(models=("cnn",), seeds=(0,), controls=False))
    assert "The model cnn was trained under one seed" in said
    assert "hold for these trained models" in said
    assert "Owen 2007" not in said
    assert "oracle" not in said


def test_gradients_and_shuffles_are_cited_where_they_were_used(run):
    def said(*methods):
        plan = run.plan | {"attribution": {name: {} for name in methods}}
        return account(replace(run, plan=plan))

    assert "Majdandzic" in said("saliency")
    assert "Majdandzic" not in said("deeplift")
    assert "Altschul" in said("deeplift")
    assert "Altschul" not in said("saliency")


def test_a_run_that_tells_nothing_has_a_paragraph_all_the_same(run):
    bare = replace(run, plan=run.plan | {"attribution": {}, "metrics": {}}, environment={})
    assert account(bare).startswith("The models cnn, attngen and attention only were trained")
    assert "computed by" not in account(bare)


def test_only_works_that_the_text_cites_are_listed():
    table = works("after Holm 1979 and Owen 2007")
    assert [row[0].text for row in table.rows] == ["Holm 1979", "Owen 2007"]
    assert table.rows[1][1].text == "The pigeonhole bootstrap. Annals of Applied Statistics (2007)."
    assert works("nothing") is None
