"""The HTML report: one file, the same each time, whatever the run held."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from markupsafe import escape

from xaibench.reports.figures import page as drawn
from xaibench.reports.figures.style import styles
from xaibench.reports.html import html
from xaibench.reports.web.assets import assets

LONG = "m" * 80
SCRIPT = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """What a browser would see: the text, the tags, every address, the tags left open."""

    VOID = ("meta", "link", "img", "input")

    def __init__(self):
        super().__init__()
        self.text, self.tags, self.addresses, self.images, self.open = "", [], [], [], []
        self.inline = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.addresses += [found[name] for name in ("src", "href") if name in found]
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        if found.get("role") == "img":
            self.images.append(found)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def parsed(page):
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def page(run_page):
    return run_page


@pytest.fixture(scope="module")
def seen(page):
    return parsed(page)


def test_the_same_results_give_the_same_bytes(make):
    results = make(models=("cnn",), quality=(("one", 0.9), ("two", 0.1)), operators=("n",))
    assert html(results) == html(results)


def test_the_page_asks_nothing_of_the_network(seen):
    assert all(address.startswith(("data:", "#")) for address in seen.addresses)
    assert seen.tags.count("script") == len(assets().scripts)


def test_only_the_scripts_and_the_style_of_the_package_are_allowed(page, seen):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    written = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL)
    prints = {f"'sha256-{b64encode(sha256(each.encode()).digest()).decode()}'" for each in written}
    assert set(re.findall(r"'sha256-[^']+'", policy)) == prints
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; img-src data:; base-uri 'none'; form-action 'n")
    assert seen.inline == []


def test_the_scripts_stay_small_and_are_one_idea_a_file():
    scripts = [script.splitlines() for script in assets().scripts]
    assert len(scripts) >= 5
    assert sum(map(len, scripts)) < 400
    assert all(lines[0] == '"use strict";' for lines in scripts)


def test_no_two_places_of_the_page_have_one_name(page):
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names))


def test_headings_go_down_one_step_at_a_time(seen):
    levels = [int(tag[1]) for tag in seen.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_every_link_inside_the_page_has_its_place(page, seen):
    targets = {address[1:] for address in seen.addresses if address.startswith("#")}
    assert targets == targets & set(re.findall(r'id="([^"]+)"', page))


def test_no_absolute_path_is_shown(seen):
    assert "somebody" not in seen.text
    assert "broken.py: shapes (7,) and (4,) disagree" in seen.text
    assert "xaibench run demo.yaml" in seen.text


def test_nan_is_never_shown(seen):
    assert not re.search(r"\bnan\b", seen.text, re.IGNORECASE)
    assert "not applicable: the model has no attention" in seen.text


def test_every_figure_says_in_words_what_it_shows(page, seen):
    assert len(seen.images) > 20
    charts = [image for image in seen.images if image["class"] == "chart"]
    assert all(image["aria-label"] for image in seen.images if image not in charts)
    titled = re.findall(r'<svg [^>]*class="chart"[^>]*><title>[^<]+</title>', page)
    assert len(titled) == len(charts)


def test_every_section_is_there(page):
    for slug in (
        *("verdict", "leaderboard", "accuracy", "training", "selftest", "deletion"),
        *("controls", "operators", "localisation", "stability", "randomisation", "complexity"),
        *("agreement", "between", "unmeasured", "cost", "examples", "methods", "run", "reading"),
    ):
        assert f'<section id="{slug}"' in page
        assert slug == "verdict" or f'<a href="#{slug}">' in page


def test_the_command_to_run_it_again_names_the_plug_ins_of_the_run(make, page):
    assert ">xaibench run plan.yaml -o again</pre>" in page
    results = make(models=("cnn",), quality=(("deeplift", 0.9),))
    plugins = {"plugins": ["my methods.py", "mine.metrics"]}
    told = html(replace(results, environment=results.environment | plugins))["report.html"]
    command = "xaibench run plan.yaml -o again --plugin 'my methods.py' --plugin mine.metrics"
    assert f">{escape(command)}</pre>" in told


def test_the_page_stays_small(page):
    assert len(page) < 5_000_000


def test_names_are_shown_as_they_are_and_never_run(make):
    names = (SCRIPT, LONG, "a & b $x_1$", "_under")
    results = make(
        models=(SCRIPT, LONG),
        quality=tuple((name, 0.5) for name in names),
        classes=(SCRIPT, LONG),
        sequences=5,
        operators=("n",),
    )
    reader = parsed(html(results)["report.html"])
    assert reader.tags.count("script") == len(assets().scripts)
    for name in names:
        assert name in reader.text


def test_one_method_one_model_one_seed_no_motif_is_a_report(make):
    results = make(
        models=("cnn",),
        quality=(("deeplift", 0.9),),
        seeds=(0,),
        motifs=False,
        failures=False,
        operators=("n",),
    )
    reader = parsed(html(results)["report.html"])
    assert "One seed: nothing is known of retraining" in reader.text
    assert "1 model" in reader.text
    assert "known motif" not in reader.text.replace("(no known motif)", "").replace(
        "Shaded: the known motif", ""
    )


def test_a_run_without_controls_is_a_report(make):
    results = make(models=("cnn",), quality=(("one", 0.9),), operators=("n",), controls=False)
    reader = parsed(html(results)["report.html"])
    assert "Which method finds what the model uses?" in reader.text
    assert not any(
        word in reader.text for word in ("negated oracle", "Normalised,", "control maps")
    )


def test_of_too_many_curves_those_of_the_leaderboards_operator_are_whole(make):
    results = make(models=("cnn",), quality=(("one", 0.9),), operators=("n", "uniform", "window"))
    keys = results.curves[["order", "operator", "quantity"]].drop_duplicates()
    assert len(drawn.chosen(results, keys)) == len(keys)
    models = {f"cnn {k}": {} for k in range(9)}
    shown = drawn.chosen(replace(results, plan=results.plan | {"models": models}), keys)
    of_main = shown[shown["operator"] == "uniform"]
    assert set(of_main["quantity"]) == {"logit_difference", "probability", "accuracy"}
    assert set(shown[shown["operator"] != "uniform"]["quantity"]) == {"logit_difference"}


def test_a_long_reason_below_a_table_is_cut_and_whole_on_demand(make):
    results = make(models=("cnn",), quality=(("one", 0.9), ("attention", 0.2)), operators=("n",))
    long = "x" * 300 + "end"
    absent = results.estimates["reason"] != ""
    rows = results.estimates.assign(reason=results.estimates["reason"].mask(absent, long))
    page = html(replace(results, estimates=rows))["report.html"]
    assert f'<li title="{long}"><sup>a</sup> {"x" * 159}…</li>' in page
    assert long not in parsed(page).text


def test_twelve_methods_have_twelve_styles(make):
    methods = [f"method {k}" for k in range(12)]
    drawn = styles(methods)
    assert len({(drawn[m].colour, drawn[m].dashes) for m in methods}) == 12
