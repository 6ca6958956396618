"""The methods paragraph cites what was used, and nothing else."""

from dataclasses import replace

from xaibench.reports.content.citations import BY_LRP_RULE, METHODS, METRICS, works
from xaibench.reports.content.methods_text import account, works_cited


def test_every_source_is_a_work_that_is_shown_in_full():
    cited = {
        work
        for table in (METHODS, METRICS, BY_LRP_RULE)
        for each in table.values()
        for work in each
    }
    assert cited <= set(works())
    keys = [work.key for work in works().values()]
    assert keys == sorted(set(keys))


def test_every_entry_of_the_references_has_all_that_its_kind_needs():
    venues = {"article": "journal", "inproceedings": "booktitle", "incollection": "booktitle"}
    for cited_as, work in works().items():
        kind = work.entry[1 : work.entry.index("{")]
        assert {"author", "title", "year", venues.get(kind, "eprint")} <= set(work.fields), cited_as
        assert work.entry.count("{") == work.entry.count("}")
        assert "{" not in work.reference


def test_a_work_is_cited_by_its_authors_and_year():
    assert works()["Serrano and Smith 2019"].reference == "Is attention interpretable? ACL (2019)."
    assert works()["Holm 1979"].key == "holm1979"
    assert works()["Bach et al. 2015"].fields["author"] == "Bach, Sebastian and others"


def test_methods_and_metrics_are_cited_by_what_is_behind_their_label(run):
    planned = {"mine": {"use": "deeplift"}, "noise": {"use": "random"}}
    plan = run.plan | {"attribution": planned, "metrics": {"auprc": {}, "holes": {"use": "road"}}}
    said = account(replace(run, plan=plan))
    assert "explained by mine (Shrikumar et al. 2017; Lundberg and Lee 2017) and noise." in said
    assert "measured by AUPRC (Davis and Goadrich 2006) and holes (Rong et al. 2022)." in said
    assert "Petsiuk" not in said


def test_lrp_is_cited_by_its_rule(run):
    rules = {"lrp": {}, "attnlrp": {"use": "lrp", "rule": "attnlrp"}, "cp": {"use": "lrp"}}
    rules["cp"]["rule"] = "cp_lrp"
    text = account(replace(run, plan=run.plan | {"attribution": rules}))
    assert "lrp (Bach et al. 2015; Montavon et al. 2019), attnlrp (Achtibat et al. 2024)" in text
    assert "cp (Ali et al. 2022)" in text


def test_what_was_done_is_shown_with_its_sizes_and_versions(run):
    said = account(run)
    assert said.startswith(
        "The models cnn, attngen and attention only were trained under 5 seeds each on 8,000 "
        "sequences and tested on 2,000 (Sequences from a Markov chain; positives carry one CTCF "
        "motif (JASPAR))."
    )
    assert "as the paired difference to 10 random orders" in said
    assert "for retraining on other sequences: seeds and sequences are crossed" in said
    assert "(Banerjee 1961)" in said
    assert "corrected over the methods of a model (Holm 1979)" in said
    assert said.endswith(
        "All was computed by xaibench 0.1.0 with PyTorch 2.13.0 (Paszke et al. 2019) and Captum "
        "0.9.0 (Kokhlikyan et al. 2020) under Python 3.11.7."
    )


def test_one_seed_claims_nothing_about_retraining(make):
    said = account(make(models=("cnn",), seeds=(0,), controls=False))
    assert "The model cnn was trained under one seed" in said
    assert "hold for these trained models" in said
    assert "Banerjee 1961" not in said
    assert "oracle" not in said


def explained(run, **plan):
    """What is said of a run that explained 3,000 sequences, with other parts of the plan."""
    data = run.environment["dataset"]
    sizes = data["sizes"] | {"explained": 3000}
    environment = run.environment | {"dataset": data | {"sizes": sizes}}
    return account(replace(run, plan=run.plan | plan, environment=environment))


def test_models_of_other_numbers_of_seeds_are_stated_to_have_them(run):
    few = run.records[(run.records["model"] != "cnn") | (run.records["seed"] < 3)]
    said = account(replace(run, records=few))
    assert "were trained under 3 to 5 seeds on 8,000" in said
    assert "with one seed" not in said
    single = run.records[(run.records["model"] != "cnn") | (run.records["seed"] < 1)]
    said = account(replace(run, records=single))
    assert "1 to 5 seeds on" in said
    assert "of a model with one seed they hold for that model" in said


def test_what_looks_at_fewer_sequences_is_stated_to(run):
    every = explained(run)
    assert "of 3,000 test sequences was explained" in every
    assert "at most" not in every
    assert "that all explained" not in every
    methods = {"deeplift": {"sequences": 300}, "saliency": {}, "random": {"sequences": 9000}}
    models = {"cnn": {"sequences": 0}, "attngen": {"sequences": None}, "attention only": {}}
    said = explained(run, attribution=methods, models=models)
    assert "of 300 to 3,000 test sequences was explained by" in said
    assert "Nothing was explained of cnn." in said
    assert "bases, over the sequences that all explained." in said
    model = explained(run, models={"cnn": {"sequences": 70}, "attngen": {"sequences": 70}})
    assert "of 70 test sequences was explained" in model
    metrics = {"auprc": {"sequences": 50}, "gini": {}, "entropy": {"sequences": 4000}}
    operators = {"n": {"use": "n"}, "uniform": {"sequences": 200}, "window": {"sequences": 100}}
    said = explained(run, metrics=metrics, operators=operators)
    assert ", each on at most 50 to 3,000 sequences; bases were replaced in" in said
    assert "in at most 200 under uniform and at most 100 under window." in said


def test_groups_that_are_resampled_whole_are_stated_to_be(run, make):
    groups = {"clusters": {"explained": 9, "test": 12}}
    said = account(replace(run, environment=run.environment | groups))
    assert "seeds and whole groups of sequences are crossed" in said
    assert "(Bell and McCaffrey 2002)" in said
    assert "are of 9 groups" in said
    one = make(models=("cnn",), seeds=(0,))
    said = account(replace(one, environment=one.environment | groups))
    assert "of t over whole groups of sequences, widened for skewness" in said
    assert "group" not in account(one)


def test_the_self_test_is_shown_with_all_its_checks(run):
    assert "or put the blurred oracle above the oracle." in account(run)


def test_gradients_and_shuffles_are_cited_where_they_were_used(run):
    def said(*methods):
        plan = run.plan | {"attribution": {name: {} for name in methods}}
        return account(replace(run, plan=plan))

    assert "Majdandzic" in said("saliency")
    assert "Majdandzic" not in said("deeplift")
    assert "Altschul" in said("deeplift")
    assert "Altschul" not in said("saliency")


def test_a_run_that_shows_nothing_has_a_paragraph_all_the_same(run):
    bare = replace(run, plan=run.plan | {"attribution": {}, "metrics": {}}, environment={})
    assert account(bare).startswith("The models cnn, attngen and attention only were trained")
    assert "computed by" not in account(bare)


def test_only_works_that_the_text_cites_are_listed():
    table = works_cited("after Holm 1979 and Welch 1947 and Petsiuk et al. 2018")
    assert [row[0].text for row in table.rows] == ["Holm 1979", "Petsiuk et al. 2018"]
    assert works_cited("nothing") is None


def test_models_that_came_with_their_weights_were_trained_elsewhere(run):
    files = {"attngen": ["fold0", "fold1"]}
    said = account(replace(run, environment=run.environment | {"replicates": files}))
    assert said.startswith(
        "The models cnn and attention only were trained under 5 seeds each on 8,000 sequences and "
        "tested on 2,000 (Sequences from a Markov chain; positives carry one CTCF motif (JASPAR)). "
        "The model attngen was trained elsewhere, in 2 replicates, and applied to 2,000 sequences."
    )
