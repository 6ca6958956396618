from pathlib import Path
from typing import get_args

import pytest
import yaml

from xaibench.analysis.claims import CLAIMS
from xaibench.errors import UsageError
from xaibench.plan.listing import described_plugins
from xaibench.plan.paths import locate, presets
from xaibench.plan.schema import (
    FRACTIONS,
    GRIDS,
    Plan,
    dump,
    read_any,
    read_back,
    read_mapping,
    read_plan,
)

SMALL = """
dataset: {name: planted, train: 100}
models: [cnn]
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="plan.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_a_list_and_a_mapping_mean_the_same(written):
    listed = read_plan(written("dataset: planted\nmodels: [cnn, attngen]\n"))
    mapped = read_plan(
        written("dataset: {name: planted}\nmodels: {cnn: {}, attngen: }\n", "b.yaml")
    )
    assert listed == mapped


def test_a_label_may_use_another_plugin(written):
    text = SMALL + "attribution: {mine: {use: 'captum.attr:GuidedBackprop'}, saliency: {}}\n"
    plan = read_plan(written(text))
    assert plan.attribution["mine"].use == "captum.attr:GuidedBackprop"
    assert list(plan.attribution) == ["mine", "saliency"]


def test_the_resolved_plan_holds_every_default_and_reads_back(written):
    plan = read_plan(written(SMALL))
    again = read_plan(written(dump(plan), "again.yaml"))
    assert again == plan
    assert yaml.safe_load(dump(plan))["models"]["cnn"]["kernels"] == [11, 7, 5]
    assert plan.fractions == FRACTIONS


def test_extends_lays_a_plan_over_another(written):
    below = written("dataset: planted\nmodels: [cnn]\nseeds: [3, 4]\n", "below.yaml")
    plan = read_plan(written("extends: below.yaml\nmodels: [attngen]\n"))
    assert (list(plan.models), plan.seeds) == (["attngen"], (3, 4))
    assert read_plan(below).seeds == (3, 4)
    assert list(read_plan(written("extends: demo\nmodels: [cnn]\n")).models) == ["cnn"]


def test_set_reaches_every_key(written):
    changes = (
        "models.attngen.masking.ratio=0.3",
        "dataset.train=50",
        "seeds=[7]",
        "attribution.integrated_gradients.steps=9",
        "training.epochs=2",
    )
    plan = read_plan(written(SMALL), changes=changes)
    assert list(plan.models) == ["cnn", "attngen"]
    assert plan.models["attngen"].options["masking"]["ratio"] == 0.3
    assert plan.dataset.options["train"] == 50
    assert plan.seeds == (7,)
    assert plan.attribution["integrated_gradients"].options["steps"] == 9
    assert len(plan.attribution) > 1
    assert plan.training.options["epochs"] == 2


def test_limit_caps_and_never_raises_the_number_of_sequences(written):
    assert read_plan(written(SMALL), limit=7).sequences == 7
    assert read_plan(written(SMALL + "sequences: 5\n"), limit=7).sequences == 5


SIZES = ("quick", "standard", "thorough")
SERIES = "datasets: {one: planted, other: {name: composition, train: 90}}\nmodels: [cnn]\n"


def each_of(plan):
    return [plan] if isinstance(plan, Plan) else list(plan.values())


@pytest.mark.parametrize("preset", presets())
def test_every_preset_has_seeds_enough_for_intervals(preset):
    source = f"demo+{preset}" if preset in SIZES else preset
    given = {"attnlrp": (f"models.dnabert2.tokenizer={__file__}",)}
    plans = each_of(read_any(source, changes=given.get(preset, ())))
    assert all(len(plan.seeds) >= 3 for plan in plans)


def test_a_preset_that_needs_a_file_says_what_to_give():
    expected = "models.dnabert2.tokenizer: field required: a tokenizer.json, or a folder that hol"
    with pytest.raises(UsageError, match=expected):
        read_plan("attnlrp")


@pytest.mark.parametrize("preset", presets())
def test_every_preset_begins_with_a_sentence_about_it(preset):
    line = described_plugins("presets")[preset]
    assert len(line.split()) > 6
    assert line.endswith(".")


def test_sizes_differ_in_how_much_and_not_in_what(written):
    sizes = [read_plan(written(f"extends: [demo, {size}]\n")) for size in SIZES]
    for counted in ("seeds", "metrics", "operators"):
        counts = [len(getattr(plan, counted)) for plan in sizes]
        assert counts == sorted({*counts}), counted
    for count in ("sequences", "controlled", "random_draws"):
        counts = [getattr(plan, count) for plan in sizes]
        assert counts == sorted({*counts}), count
    epochs = [plan.training.options["epochs"] for plan in sizes]
    assert epochs == sorted({*epochs})
    for same in ("dataset", "models", "attribution", "target"):
        assert getattr(sizes[0], same) == getattr(sizes[2], same), same


def test_a_plan_lies_over_the_size_that_it_extends(written):
    plan = read_plan(written(SMALL + "extends: quick\nsequences: 7\n"))
    assert (plan.sequences, plan.random_draws) == (7, 5)
    assert list(plan.metrics) == ["deletion", "auprc", "seed_agreement"]
    assert plan.dataset.options["train"] == 100


def test_of_several_plans_extended_the_later_wins(written):
    written("dataset: planted\nseeds: [1]\nsequences: 5\nmodels: [cnn]\n", "one.yaml")
    written("seeds: [2]\nmodels: {attngen: {}}\n", "other.yaml")
    plan = read_plan(written("extends: [one.yaml, other.yaml]\n"))
    assert (plan.seeds, plan.sequences, list(plan.models)) == ((2,), 5, ["attngen"])
    plan = read_plan(written("extends: [other.yaml, one.yaml]\nseeds: [3]\n"))
    assert (plan.seeds, list(plan.models)) == ((3,), ["cnn"])


def test_a_plus_on_the_command_line_lays_plans_over_each_other(written, tmp_path, monkeypatch):
    by_file = read_plan(written("extends: [demo, quick]\n"))
    assert read_plan("demo+quick") == by_file
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.csv").touch()
    text = "dataset: {name: file, path: a.csv}\nmodels: [cnn]\n"
    written(text, "own/mine.yaml")
    plan = read_plan("own/mine.yaml+quick")
    assert (plan.dataset.options["path"], plan.sequences) == ("own/a.csv", 60)
    assert read_plan("quick+own/mine.yaml") == plan
    written(SMALL + "sequences: 3\n", "a+b.yaml")
    assert read_plan("a+b.yaml").sequences == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("demo+thorugh", "no plan or preset 'thorugh'; did you mean 'thorough'?"),
        ("demo+", "no plan or preset .*; known: .*demo"),
        ("quick", r"^quick: says how much, not of what: .* planted\+quick, or extends: quick"),
        ("quick+thorough", r"says how much, not of what"),
    ],
)
def test_a_bad_sum_is_one_line(source, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_plan(source)
    assert "\n" not in str(caught.value)


def test_a_series_is_a_plan_for_each_dataset(written):
    plans = read_any(written(SERIES), limit=9)
    assert list(plans) == ["one", "other"]
    assert [plan.dataset.use for plan in plans.values()] == ["planted", "composition"]
    assert plans["other"].dataset.options["train"] == 90
    assert {plan.sequences for plan in plans.values()} == {9}
    alone = written("dataset: {name: composition, train: 90}\nmodels: [cnn]\n", "alone.yaml")
    assert read_plan(alone, limit=9) == plans["other"]
    again = read_plan(written(dump(plans["other"]), "again.yaml"))
    assert again == plans["other"]


def test_datasets_may_be_a_list_of_names(written):
    plans = read_any(written("datasets: [composition, planted]\nmodels: [cnn]\n"))
    assert list(plans) == ["composition", "planted"]


def test_set_reaches_a_dataset_of_a_series(written):
    series = written(SERIES)
    plans = read_any(series, changes=("datasets.one.train=70", "datasets.third=planted"))
    assert [plan.dataset.options["train"] for plan in plans.values()] == [70, 90, 8000]
    with pytest.raises(
        UsageError, match=r"datasets\.one: unknown key 'trian'; did you mean 'train'"
    ):
        read_any(series, changes=("datasets.one.trian=7",))


def test_a_dataset_of_ones_own_takes_the_place_of_a_series(written):
    written(SERIES, "series.yaml")
    own = read_plan(written("extends: series.yaml\ndataset: planted\n"))
    assert own.dataset.use == "planted"
    written("extends: series.yaml\ndatasets: {mine: composition}\n", "over.yaml")
    assert list(read_any(str(written("extends: over.yaml\n")))) == ["mine"]


def test_files_of_a_series_move_with_it_and_need_not_be_there(below):
    (below / "base" / "series.yaml").write_text(
        "datasets: {there: {name: file, path: own.csv}, not: {name: file, path: no.csv}}\n"
        "models: [cnn]\n"
    )
    (below / "plans" / "over.yaml").write_text("extends: ../base/series.yaml\n")
    plans = read_any("plans/over.yaml")
    paths = [plan.dataset.options["path"] for plan in plans.values()]
    assert paths == ["../base/own.csv", "no.csv"]


def test_a_plan_of_several_datasets_is_no_plan_of_one(written):
    with pytest.raises(UsageError, match="expected a plan of one dataset, got one of one, other"):
        read_plan(written(SERIES))


def test_a_resolved_plan_is_read_back_with_the_files_of_its_source(below):
    plan = read_plan("plans/over.yaml")
    (below / "runs" / "plan.yaml").write_text(dump(plan))
    assert read_back("runs/plan.yaml", source="plans/over.yaml", plugins=()) == plan
    (below / "base" / "own.csv").unlink()
    with pytest.raises(UsageError, match="no file"):
        read_back("runs/plan.yaml", source="plans/over.yaml", plugins=())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping of keys, got NoneType"),
        ("[1, 2]", "expected a mapping of keys, got list"),
        ("a: [", "is no YAML"),
        (SMALL + "models: [attngen]\n", r"\{'models'\} twice"),
        (
            SMALL + "atribution: [saliency]\n",
            "unknown key 'atribution'; did you mean 'attribution'",
        ),
        ("models: [cnn]\n", "dataset: field required"),
        ("dataset: planted\n", "models: field required"),
        (SMALL + "seeds: 3\n", "seeds: .*valid (array|tuple), got 3"),
        (SMALL + "seeds: [1, 1]\n", r"seeds: expected different seeds, got \[1, 1\]"),
        (SMALL + "seeds: []\n", "seeds: .*at least 1 item"),
        (SMALL + "sequences: many\n", "sequences: .*valid integer, got 'many'"),
        (SMALL + "target: best\n", "target: .*'predicted' or 'label', got 'best'"),
        (SMALL + "fractions: [0, 0.5]\n", "fractions: expected rising fractions from 0 to 1"),
        (SMALL + "attribution: saliency\n", "attribution: expected a list of names or a mapping"),
        (SMALL + "attribution: [salency]\n", "no attribution named 'salency'; did you mean 'sali"),
        (SMALL + "attribution: {deeplift: 3}\n", r"attribution\.deeplift: expected options, got 3"),
        (SMALL + "operators: []\n", "operators: .*at least 1 item"),
        (
            "dataset: planted\nmodels: {attngen: {masking: {ratio: 1.5}}}\n",
            r"models\.attngen\.masking\.ratio: input should be less than 1, got 1.5",
        ),
        (
            SMALL + "metrics: {deletion: {sequences: 0}}\n",
            r"metrics\.deletion\.sequences: .*greater than or equal to 1, got 0",
        ),
        ("dataset: {name: file, path: no.csv}\nmodels: [cnn]\n", "no file 'no.csv'"),
        ("dataset: {path: no.csv}\nmodels: [cnn]\n", "dataset: expected name: NAME"),
        (SMALL + "extends: 3\n", "extends: expected a preset or file, or a list of them, got 3"),
        (
            SMALL + "extends: [demo, 3]\n",
            r"extends: expected a preset or file, .* got \['demo', 3\]",
        ),
        (SMALL + "datasets: [planted]\n", "expected dataset or datasets, got both"),
        ("datasets: []\nmodels: [cnn]\n", r"datasets: expected labels and their .*, got \[\]"),
        ("datasets: {}\nmodels: [cnn]\n", r"datasets: expected labels and their .*, got \{\}"),
        ("datasets: planted\nmodels: [cnn]\n", "datasets: expected labels and .*, got 'planted'"),
        ("datasets: [planted, planted]\nmodels: [cnn]\n", "datasets: expected different names"),
        ("datasets: {a/b: planted}\nmodels: [cnn]\n", "labels that can name folders, got 'a/b'"),
        ("datasets: {..: planted}\nmodels: [cnn]\n", r"labels that can name .*, got '\.\.'"),
        ("datasets: {a: 3}\nmodels: [cnn]\n", r"datasets\.a: expected options, got 3"),
        ("datasets: {a: {train: 3}}\nmodels: [cnn]\n", r"datasets\.a: expected name: NAME"),
    ],
)
def test_a_bad_plan_is_one_line(written, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_plan(written(text))
    assert "\n" not in str(caught.value)


NAMES = ["yes", "no", "on", "OFF", "1e3", "0x10", "0o17", "010", "1:30", "2026-01-31", "y", "="]
NAMES += ["1_000", "1_0.5", "1e-3"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("1e-3", 0.001), ("1E-3", 0.001), ("5e-4", 0.0005), ("1_000e-6", 0.001), ("1.5e-3", 0.0015)],
)
def test_numbers_of_yaml_1_2_are_read_where_one_is_wanted(written, word, expected):
    plan = read_plan(
        written(SMALL), changes=(f"training.learning_rate={word}", "training.epochs=1e1")
    )
    assert plan.training.options["learning_rate"] == expected
    assert plan.training.options["epochs"] == 10
    assert read_plan(written(SMALL), changes=("sequences=1_000",)).sequences == 1000


@pytest.mark.parametrize("word", ["1e-3x", "'0.1'", "e-3", "1e", "1__0", "1e999", "0x10", "_1"])
def test_words_that_are_no_numbers_are_refused_where_one_is_wanted(written, word):
    with pytest.raises(UsageError, match="learning_rate: input should be a valid number"):
        read_plan(written(SMALL), changes=(f"training.learning_rate={word}",))


@pytest.mark.parametrize("name", NAMES)
def test_a_word_that_is_a_value_in_yaml_stays_a_name(written, name):
    labels = written(f"dataset: planted\nmodels: {{{name}: {{use: cnn}}}}\n")
    assert [*read_plan(labels).models] == [name]
    sites = f"{{name: file, path: ., site_start: a, site_width: 2, site_class: {name}}}"
    plan = read_plan(written(f"dataset: {sites}\nmodels: [cnn]\n"))
    assert plan.dataset.options["site_class"] == name
    columns = read_plan(
        written(f"dataset: {{name: file, path: ., label: {name}, group: 7}}\nmodels: [cnn]\n")
    )
    assert (columns.dataset.options["label"], columns.dataset.options["group"]) == (name, "7")
    truth = f"dataset.truth={{motifs: {{{name}: {name}}}}}"
    changed = read_plan(written(SMALL), changes=(truth,))
    assert changed.dataset.options["truth"]["motifs"] == {name: name}
    again = read_plan(written(dump(changed), "again.yaml"))
    assert again.dataset == changed.dataset


@pytest.mark.parametrize(("word", "expected"), [("yes", True), ("Off", False), ("true", True)])
def test_words_for_truth_values_are_read_where_one_is_wanted(written, word, expected):
    text = f"clusters: {word}\ndataset: {{name: planted, deduplicated: {word}}}\nmodels: [cnn]\n"
    plan = read_plan(written(text))
    assert plan.clusters is expected
    assert plan.dataset.options["deduplicated"] is expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seeds", "expected key=value"),
        ("=3", "expected key=value"),
        ("sequences.a=3", "holds 9, no keys"),
        ("seeds=[", "the value is no YAML"),
        ("clusters=ja", "clusters: input should be a valid boolean, got 'ja'"),
        (
            "dataset.truth={motifs: {CTCF: null}}",
            r"motifs\.CTCF: expected a name, got null; a name may be put in quotes",
        ),
        ("models=3", "models: expected a list of names or a mapping, got 3"),
        ("extends=demo", "--set extends=demo: expected 'extends' in the plan itself"),
    ],
)
def test_a_bad_change_is_one_line(written, change, message):
    with pytest.raises(UsageError, match=message):
        read_plan(written(SMALL + "sequences: 9\n"), changes=(change,))


def test_an_unknown_preset_suggests_the_nearest():
    with pytest.raises(UsageError, match="no plan or preset 'dem'; did you mean 'demo'"):
        read_plan("dem")


def test_a_plan_that_is_no_text_is_one_line(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(str(path))


def test_a_relative_path_is_looked_up_beside_the_plan_then_among_the_data(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").touch()
    source = str(tmp_path / "plan.yaml")
    monkeypatch.chdir(data.parent)
    monkeypatch.delenv("XAIBENCH_DATA", raising=False)
    with pytest.raises(UsageError, match=r"no file 'a.csv' .*XAIBENCH_DATA is not set"):
        locate("a.csv", source)
    monkeypatch.setenv("XAIBENCH_DATA", str(data))
    assert locate("a.csv", source) == data / "a.csv"
    (tmp_path / "a.csv").touch()
    assert locate("a.csv", source) == tmp_path / "a.csv"


OWN = "dataset: {name: file, path: own.csv}\nmodels: [cnn]\n"


@pytest.fixture
def below(tmp_path, monkeypatch):
    """A plan in ``base/`` with its file beside it; the current folder is the one above."""
    monkeypatch.delenv("XAIBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    for folder in ("base", "plans", "runs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "base" / "own.csv").touch()
    (tmp_path / "base" / "plan.yaml").write_text(OWN)
    (tmp_path / "plans" / "over.yaml").write_text("extends: ../base/plan.yaml\nseeds: [5]\n")
    return tmp_path


def test_a_path_is_looked_up_beside_the_plan_that_wrote_it(below):
    (below / "plans" / "own.csv").touch()
    plan = read_plan("plans/over.yaml")
    assert plan.dataset.options["path"] == "../base/own.csv"
    assert locate(plan.dataset.options["path"], "plans/over.yaml").samefile("base/own.csv")
    text = "extends: plan.yaml\n" + OWN
    (below / "base" / "again.yaml").write_text(text)
    assert read_plan("base/again.yaml").dataset.options["path"] == "own.csv"
    (below / "plans" / "third.yaml").write_text("extends: over.yaml\n")
    assert read_plan("plans/third.yaml").dataset.options["path"] == "../base/own.csv"


def test_a_path_among_the_data_stays_as_it_was_written(below, monkeypatch):
    (below / "base" / "own.csv").rename(below / "runs" / "own.csv")
    monkeypatch.setenv("XAIBENCH_DATA", str(below / "runs"))
    assert read_plan("plans/over.yaml").dataset.options["path"] == "own.csv"


@pytest.mark.parametrize(("folder", "source"), [("base", "plan.yaml"), ("plans", "over.yaml")])
def test_the_resolved_plan_runs_from_where_the_run_began(below, monkeypatch, folder, source):
    monkeypatch.chdir(below / folder)
    plan = read_plan(source)
    (below / "runs" / "plan.yaml").write_text(dump(plan))
    assert read_plan("../runs/plan.yaml") == plan
    assert str(below) not in dump(plan)


def test_plans_that_extend_each_other_are_refused(written, tmp_path):
    first = written("extends: second.yaml\n", "first.yaml")
    written("extends: first.yaml\n", "second.yaml")
    with pytest.raises(UsageError, match=r"extends: expected an end, got .*first.* -> .*second"):
        read_plan(first)


def test_plans_that_extend_each_other_across_folders_are_refused(below):
    (below / "base" / "plan.yaml").write_text("extends: ../plans/over.yaml\n")
    with pytest.raises(
        UsageError, match=r"extends: expected an end, got plans/over.yaml -> .*base"
    ):
        read_plan("plans/over.yaml")


def test_what_is_merged_may_be_written_over(written):
    text = (
        "dataset: planted\n"
        "models:\n"
        "  cnn: &size {filters: [5, 6, 7], dropout: 0.1}\n"
        "  attngen: {<<: *size, dropout: 0.2}\n"
    )
    options = read_plan(written(text)).models["attngen"].options
    assert (options["filters"], options["dropout"]) == ([5, 6, 7], 0.2)


def test_yaml_may_merge_mappings(written):
    text = SMALL.replace("[cnn]", "{cnn: &size {filters: [5, 6, 7]}, attngen: {<<: *size}}")
    assert read_plan(written(text)).models["attngen"].options["filters"] == [5, 6, 7]


def test_a_grid_of_fractions_has_a_name(written):
    for name, points in (("linear", 21), ("log", 17)):
        plan = read_plan(written(SMALL + f"fractions: {name}\n"))
        assert plan.fractions == GRIDS[name]
        assert len(plan.fractions) == points
    assert [1 - share for share in reversed(GRIDS["log"])] == pytest.approx(GRIDS["log"])
    with pytest.raises(UsageError, match="fractions: expected a list, or one of linear, log"):
        read_plan(written(SMALL + "fractions: square\n"))


def test_an_unknown_control_is_one_line(written):
    assert read_plan(written(SMALL + "controls: [rotated]\n")).controls == ("rotated",)
    with pytest.raises(UsageError, match=r"controls\.0: unknown control; did you mean 'rotated'"):
        read_plan(written(SMALL + "controls: [rotatet]\n"))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            "attribution: {oracle: {use: saliency}}",
            "attribution: expected another label than 'oracle'",
        ),
        ("attribution: {random control: {use: random}}", "another label than 'random control'"),
        ("metrics: {accuracy: {use: gini}}", "metrics: expected another label than 'accuracy'"),
        (
            "metrics: {deletion: {}, deletion_accuracy: {use: gini}}",
            "metrics.deletion_accuracy: expected another label, 'deletion' has records so named",
        ),
    ],
)
def test_a_label_that_records_use_themselves_is_refused(written, section, message):
    with pytest.raises(UsageError, match=message):
        read_plan(written(SMALL + section + "\n"))


PAGE = (Path(__file__).parents[2] / "docs" / "plans.md").read_text()


def test_every_preset_stands_on_the_page():
    assert [name for name in presets() if f"`{name}`" not in PAGE] == []


def test_a_plan_knows_the_papers_whose_claims_are_known():
    known, nothing = get_args(Plan.model_fields["claims"].annotation)
    assert set(get_args(known)) == set(CLAIMS)
    assert nothing is type(None)


def test_a_mapping_is_read_as_the_same_plan_in_a_file(written):
    mapping = {
        "extends": "quick",
        "dataset": {"name": "planted", "length": 40},
        "seeds": (4, 7),
        "models": ["cnn"],
        "metrics": {"deletion": None, "top_k": {"k": 3}},
    }
    text = yaml.safe_dump({**mapping, "seeds": [4, 7]})
    changes = ("data_seed=3",)
    expected = read_any(str(written(text)), changes=changes, limit=9)
    assert read_mapping(mapping, changes=changes, limit=9) == expected
    with pytest.raises(UsageError, match="unknown key 'lenght'; did you mean 'length'"):
        read_mapping({**mapping, "dataset": {"name": "planted", "lenght": 40}})


def test_paths_of_a_mapping_are_relative_to_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "peaks.csv").touch()
    mapping = {"dataset": {"name": "file", "path": Path("peaks.csv")}, "models": ["cnn"]}
    monkeypatch.chdir(tmp_path)
    assert read_mapping(mapping).dataset.options["path"] == "peaks.csv"
    monkeypatch.chdir("/")
    with pytest.raises(UsageError, match=r"no file 'peaks.csv'"):
        read_mapping(mapping)
