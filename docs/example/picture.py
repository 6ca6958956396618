"""The top of the demo's report as report.png, beside this file: ``xaibench run demo``,
its report.html copied here, then ``python docs/example/picture.py``."""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome")

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=next(filter(None, map(shutil.which, NAMES)), None), args=["--no-sandbox"]
    )
    page = browser.new_page(viewport={"width": 1280, "height": 333}, color_scheme="light")
    page.goto((FOLDER / "report.html").as_uri())
    page.screenshot(path=FOLDER / "report.png")
    browser.close()
