"""The page in a browser: what a reader clicks, and what it must never do."""

import re
import shutil

import pytest

from xaibench.reports.html import html

browsing = pytest.importorskip("playwright.sync_api")

NAMES = ("chromium", "chromium-browser", "google-chrome")
SHOWN = "#standings tbody tr:not([hidden])"


@pytest.fixture(scope="module")
def chromium():
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here to open the report in")
    with browsing.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(run)["report.html"], encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(chromium, address):
    """``visit(width=..., ...)``: the page; in the end it must not have complained, nor asked for
    anything but itself."""
    heard, asked, contexts = [], [], []

    def opened(*, width=1280, height=800, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert heard == []
    assert set(asked) <= {address, "data:,"}


def column(page, head):
    """What the lines that are shown say in a column."""
    heads = page.locator("#standings thead th").all_inner_texts()
    place = heads.index(head)
    return page.eval_on_selector_all(
        SHOWN, f"rows => rows.map(row => row.cells[{place}].innerText)"
    )


def numbers(texts):
    return [float(text.split()[0].replace("\u2212", "-")) for text in texts]


def sort_of(page, head):
    return page.locator("#standings thead th", has_text=head).get_attribute("aria-sort")


def test_a_click_on_a_head_sorts_and_another_turns_it_round(visit):
    page = visit()
    button = page.get_by_role("button", name="Normalised", exact=True).first
    button.click()
    assert sort_of(page, "Normalised") == "descending"
    *known, last = column(page, "Normalised")
    assert last == "\N{EN DASH}"
    assert numbers(known) == sorted(numbers(known), reverse=True)
    assert numbers(known) != numbers(reversed(known))
    button.click()
    assert sort_of(page, "Normalised") == "ascending"
    *turned, last = column(page, "Normalised")
    assert last == "\N{EN DASH}"
    assert numbers(turned) == sorted(numbers(known))


def test_one_column_at_a_time_is_the_sorted_one(visit):
    page = visit()
    page.get_by_role("button", name="Normalised", exact=True).first.click()
    page.get_by_role("button", name="Rank", exact=True).click()
    assert sort_of(page, "Normalised") is None
    assert sort_of(page, "Rank") == "ascending"
    assert numbers(column(page, "Rank")[:3]) == [1, 1, 1]


def test_the_keyboard_sorts_too(visit):
    page = visit()
    page.get_by_role("button", name="Method", exact=True).first.focus()
    page.keyboard.press("Enter")
    first = [text.split("\n")[0] for text in column(page, "Method")]
    assert first == sorted(first)
    page.keyboard.press("Space")
    assert [text.split("\n")[0] for text in column(page, "Method")] == sorted(first, reverse=True)


def test_filters_leave_what_they_say_and_count_it(visit):
    page = visit()
    count = page.locator("#standings output")
    assert count.inner_text() == "18 of 18 shown"
    page.locator("#standings [name=method]").fill("GRAD")
    assert {text.split("\n")[0] for text in column(page, "Method")} == {
        "integrated_gradients",
        "input_x_gradient",
    }
    assert count.inner_text() == "6 of 18 shown"
    page.locator("#standings [name=model]").select_option(label="attngen")
    assert set(column(page, "Model")) == {"attngen"}
    assert count.inner_text() == "2 of 18 shown"
    page.locator("#standings [name=method]").fill("")
    page.locator("#standings [name=ahead]").check()
    assert "random" not in {text.split("\n")[0] for text in column(page, "Method")}
    assert count.inner_text() == "5 of 18 shown"
    assert count.get_attribute("aria-live") == "polite"


def test_a_model_is_found_in_every_pair_that_it_is_in(visit):
    page = visit()
    page.locator("#pairs [name=model]").select_option(label="attngen")
    rows = "#pairs tbody tr:not([hidden])"
    pairs = page.eval_on_selector_all(rows, "rows => rows.map(row => row.cells[0].innerText)")
    assert set(pairs) == {"cnn \u2212 attngen", "attngen \u2212 attention only"}


def test_the_example_browser_shows_one_example_under_one_model(visit):
    page = visit()
    views = page.locator(".examples .view:visible")
    assert views.count() == 1
    before = views.inner_text()
    page.get_by_role("button", name="The next example").click()
    assert views.count() == 1
    second = views.inner_text()
    assert second != before
    page.locator(".examples [name=model]").select_option(label="attngen")
    assert views.count() == 1
    assert "attngen" in views.inner_text()


BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def test_the_page_is_dark_where_the_system_is_and_a_button_turns_it(visit):
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    drawn = "getComputedStyle(document.querySelector('.chart .words')).fill"
    paper, night = light.evaluate(BACKGROUND), dark.evaluate(BACKGROUND)
    ink, chalk = light.evaluate(drawn), dark.evaluate(drawn)
    assert ink != chalk
    assert (paper, night) == ("rgb(255, 255, 255)", "rgb(20, 24, 28)")
    button = light.get_by_role("button", name="Dark page")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert (light.evaluate(BACKGROUND), light.evaluate(drawn)) == (night, chalk)
    light.reload()
    assert light.evaluate(BACKGROUND) == night
    dark.get_by_role("button", name="Dark page").click()
    assert dark.evaluate(BACKGROUND) == paper


def luminance(colour):
    """Of ``rgb(...)``, as WCAG 2.2 defines it."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


TEXTS = """() => [".lead", ".facts", "thead th", "td", ".contents a", "summary", "dd", "h2",
  "button", ".verdicts li", "a[aria-current]", ".small", "small", "output", "pre", "figcaption",
].map(name => {
    const found = document.querySelector(name);
    let behind = found;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)")
      behind = behind.parentElement;
    return [name, getComputedStyle(found).color, getComputedStyle(behind).backgroundColor];
  })"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(visit, scheme):
    for name, ink, paper in visit(color_scheme=scheme).evaluate(TEXTS):
        darker, lighter = sorted((luminance(ink), luminance(paper)))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


@pytest.mark.parametrize("width", [320, 400, 760, 1280])
def test_the_page_never_scrolls_sideways(visit, width):
    page = visit(width=width)
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width


def test_on_paper_everything_is_open_and_nothing_is_to_be_clicked(visit):
    page = visit(color_scheme="dark")
    hidden = page.locator("details:not([open]) .table td").first
    assert not hidden.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert hidden.is_visible()
    for name in (".contents", "#theme", ".controls", ".pick"):
        assert not page.locator(name).first.is_visible()
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 3


def test_the_contents_tell_where_the_reader_is(visit):
    page = visit()
    here = page.locator(".contents [aria-current]")
    assert here.all_inner_texts() == ["Verdict"]
    page.locator("#stability").evaluate("section => section.scrollIntoView({behavior: 'instant'})")
    page.wait_for_selector(".contents [aria-current][href='#stability']")
    page.evaluate("scrollTo({top: document.documentElement.scrollHeight, behavior: 'instant'})")
    page.wait_for_selector(".contents [aria-current][href='#reading']")


def test_without_scripts_everything_is_there_and_nothing_pretends_to_work(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("#standings tbody tr").count() == 18
    assert page.locator("#standings tbody tr").last.is_visible()
    assert page.locator("thead button").count() == 0
    for name in ("#theme", ".controls", ".pick"):
        assert not page.locator(name).first.is_visible()
    page.locator("#leaderboard details.table summary").first.click()
    assert page.locator("#leaderboard details.table td").first.is_visible()


def test_the_keyboard_reaches_the_verdict_first(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.hash") == "#verdict"
    assert page.locator(".skip").is_visible()


def test_nothing_runs_that_the_page_did_not_bring(chromium, address):
    page = chromium.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(address)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert "Content Security Policy" in " ".join(refused)
    page.close()
