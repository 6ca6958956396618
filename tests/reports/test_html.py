"""The HTML report: one file, the same each time, whatever the run held."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import xaibench.reports.html as report
from xaibench.reports.figures import styles
from xaibench.reports.html import html

LONG = "m" * 80
SCRIPT = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """What a browser would see: the text, the tags, every address, the tags left open."""

    VOID = ("meta", "link", "img", "line")

    def __init__(self):
        super().__init__()
        self.text, self.tags, self.addresses, self.images, self.open = "", [], [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.addresses += [found[name] for name in ("src", "href") if name in found]
        if tag == "img":
            self.images.append(found)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def parsed(page):
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def page(run):
    return html(run)["report.html"]


@pytest.fixture(scope="module")
def seen(page):
    return parsed(page)


def test_the_same_results_give_the_same_bytes(make):
    results = make(models=("cnn",), quality=(("one", 0.9), ("two", 0.1)), operators=("n",))
    assert html(results) == html(results)


def test_the_page_asks_nothing_of_the_network(seen):
    assert all(address.startswith(("data:", "#")) for address in seen.addresses)
    assert "script" not in seen.tags


def test_every_link_inside_the_page_has_its_place(page, seen):
    targets = {address[1:] for address in seen.addresses if address.startswith("#")}
    assert targets == targets & set(re.findall(r'id="([^"]+)"', page))


def test_no_absolute_path_is_told(seen):
    assert "somebody" not in seen.text
    assert "broken.py: shapes (7,) and (4,) disagree" in seen.text
    assert "xaibench run demo.yaml" in seen.text


def test_nan_is_never_shown(seen):
    assert not re.search(r"\bnan\b", seen.text, re.IGNORECASE)
    assert "not applicable: the model has no attention" in seen.text


def test_every_figure_says_in_words_what_it_shows(seen):
    assert len(seen.images) > 20
    assert all(image["alt"] for image in seen.images)


def test_every_section_is_there(page):
    for slug in (
        *("verdict", "leaderboard", "accuracy", "training", "selftest", "deletion", "logos"),
        *("controls", "operators", "localisation", "stability", "randomisation", "complexity"),
        *("agreement", "between", "unmeasured", "cost", "run", "reading"),
    ):
        assert f'<section id="{slug}"' in page


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
    assert "script" not in reader.tags
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
    assert not any(word in reader.text for word in ("oracle", "Normalised", "Against controls"))


def test_forty_methods_with_long_names_are_a_report(make):
    quality = tuple((f"{LONG}{k}", k / 40) for k in range(40))
    results = make(models=("cnn",), quality=quality, operators=("n",), sequences=5, seeds=(1, 2))
    reader = parsed(html(results)["report.html"])
    assert all(name in reader.text for name, _ in quality)


def test_of_too_many_curves_those_of_the_leaderboards_operator_are_whole(make):
    results = make(models=("cnn",), quality=(("one", 0.9),), operators=("n", "uniform", "window"))
    keys = results.curves[["order", "operator", "quantity"]].drop_duplicates()
    assert len(report._drawn(results, keys)) == len(keys)
    models = {f"cnn {k}": {} for k in range(9)}
    shown = report._drawn(replace(results, plan=results.plan | {"models": models}), keys)
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


def test_a_browser_finds_no_fault(page, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium here to open the report")
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    folder = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [browser, *arguments, folder, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'id="reading"' in done.stdout
    assert "CONSOLE" not in done.stderr
