"""The page in a browser: what a reader clicks, and what it must never do."""

import re
import shutil
from dataclasses import replace

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
def address(run_page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(run_page, encoding="utf-8")
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
    button = light.locator("#theme")
    assert button.inner_text() == "Dark page"
    button.click()
    assert button.inner_text() == "Light page"
    assert (light.evaluate(BACKGROUND), light.evaluate(drawn)) == (night, chalk)
    light.reload()
    assert light.evaluate(BACKGROUND) == night
    dark.get_by_role("button", name="Light page").click()
    assert dark.evaluate(BACKGROUND) == paper
    assert dark.locator("#theme").inner_text() == "Dark page"


def test_the_button_follows_the_system_until_it_is_used(visit):
    page = visit(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    page.locator("#theme", has_text="Light page").wait_for()


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


def zoomed(page, times=4):
    for _ in range(times):
        page.get_by_role("button", name="Wider letters").click()
    return page.locator(".view:visible")


WIDTHS = """() => [...document.querySelectorAll(".ruler, .logo")].filter(one => one.clientWidth)
  .map(one => [one.getBoundingClientRect(), one.closest(".view").getBoundingClientRect()])
  .map(([own, view]) => [own.left - view.left, own.right - view.right])"""


def test_on_paper_the_whole_sequence_stands_however_it_was_zoomed(visit):
    page = visit()
    view = zoomed(page)
    assert view.locator(".whole").is_hidden()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    assert view.locator(".told").inner_text().count("all 97 positions") == 1
    assert view.locator(".part").is_hidden()
    widths = page.evaluate(WIDTHS)
    assert len(widths) > 5
    assert all(abs(left) < 1 and abs(right) < 1 for left, right in widths)
    maps = view.locator(".maps")
    assert maps.evaluate("one => getComputedStyle(one).overflowX") == "visible"
    assert page.locator(".example > summary:visible").inner_text().startswith("test_0, class CTCF")


def test_on_paper_an_example_may_go_on_on_the_next_page(visit):
    page = visit()
    page.emulate_media(media="print")
    broken = "one => getComputedStyle(one).breakInside"
    assert page.locator(".view:visible").evaluate(broken) == "auto"
    assert page.locator(".view:visible .map").first.evaluate(broken) == "avoid"


def test_the_positions_that_are_to_be_seen_are_told(visit):
    page = visit()
    told = page.locator(".view:visible .told")
    assert "all 97 positions" in told.inner_text()
    view = zoomed(page)
    maps = view.locator(".maps")
    maps.evaluate("one => (one.scrollLeft = 0)")
    page.locator(".part:not([hidden])", has_text=re.compile("^\\s*positions 0 to")).wait_for()
    start, end = maps.evaluate(
        "one => [0, one.clientWidth / one.querySelector('.ruler').clientWidth]"
    )
    assert f"positions {start} to {round(97 * end - 0.5)} of 97" in told.inner_text()
    page.get_by_role("button", name="Whole sequence").click()
    assert "all 97 positions" in told.inner_text()
    assert view.locator(".part").is_hidden()


def test_without_a_motif_zoom_goes_to_the_largest_scores(chromium, run, tmp_path):
    scores = {"cnn": {"deeplift": [0.0] * 10 + [-3.0, 2.0, 1.0] + [0.0] * 84}}
    example = {**run.examples[0], "motif": [], "scores": scores}
    path = tmp_path / "report.html"
    path.write_text(html(replace(run, examples=[example]))["report.html"], encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    said = zoomed(page, 6).locator(".part").inner_text()
    first, last = map(int, re.findall(r"\d+", said)[:2])
    assert first <= 10 <= 12 <= last < 60
    page.close()


SCROLLING = """() => [...document.querySelectorAll(".scroll")]
  .filter(one => one.scrollWidth > one.clientWidth + 1)"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_table_that_is_cut_off_shows_it_and_is_reached_by_keyboard(visit, width, scheme):
    page = visit(width=width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    told = page.evaluate(
        f"""({SCROLLING})().map(one => [
          getComputedStyle(one).backgroundAttachment, one.tabIndex,
          one.ariaLabel || document.getElementById(one.getAttribute("aria-labelledby")).innerText,
        ])"""
    )
    assert told
    for attachment, focus, label in told:
        assert attachment == "local, local, scroll, scroll"
        assert focus == 0
        assert label


def test_the_names_stay_while_a_table_is_scrolled(visit):
    page = visit(width=400)
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    apart = page.evaluate(
        f"""({SCROLLING})().filter(one => one.scrollWidth > one.clientWidth + 100).flatMap(one => {{
          one.scrollLeft = 100;
          return [...one.querySelectorAll("tbody th, thead th.pinned, .table th:first-child")]
            .filter(head => head.offsetParent)
            .map(head => head.getBoundingClientRect().left - one.getBoundingClientRect().left);
        }})"""
    )
    assert len(apart) > 30
    assert all(abs(left) < 1 for left in apart)


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
