"""A browser for tests of the report: Debian's chromium driven by Playwright, pages opened from files, no server.

`conftest` makes the fixtures known. Without a browser the tests are skipped; with COVIDQU_BROWSER=required they fail.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = f"no browser: none of {', '.join(NAMES)} is on the path (Debian: apt-get install chromium)"
OFFLINE = ("file:", "data:", "blob:")
AXE = {"preload": False, "resultTypes": ["violations"]}  # a page opened as a file may not read its styles again
Open = Callable[..., Page]


def installed() -> str | None:
    """Path of an installed browser; one that Playwright downloaded does not count."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a module: while Playwright runs, Snakemake's API cannot, nor a second Playwright."""
    program = installed()
    if program is None:
        required = os.environ.get("COVIDQU_BROWSER") == "required"
        (pytest.fail if required else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """`opened(path, fragment="", width=1280, height=900, dark=False)` -> the page, loaded from its file.

    The test fails at its end if any of its pages wrote an error to the console, raised one, asked for a file that is
    not there, or asked for anything that is no local file.
    """
    contexts, faults = [], []

    def show(path: Path, fragment: str = "", width: int = 1280, height: int = 900, *, dark: bool = False) -> Page:
        viewport: Any = {"width": width, "height": height}
        context = chromium.new_context(viewport=viewport, color_scheme="dark" if dark else "light")
        contexts.append(context)
        page = context.new_page()
        watch(page, faults)
        page.goto(path.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        return page

    yield show
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)


def watch(page: Page, faults: list[str]) -> None:
    """Collect what goes wrong in a page, in words."""
    page.on("console", lambda message: faults.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: faults.append(f"not loaded: {request.url} ({request.failure})"))
    page.on("request", lambda r: None if r.url.startswith(OFFLINE) else faults.append(f"not local: {r.url}"))


def scrolls_sideways(page: Page) -> bool:
    """Whether the page as a whole is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def inaccessible(page: Page) -> list[str]:
    """What axe finds serious or critical in a page as it stands: the rule, and the first places."""
    found = Axe().run(page, options=AXE).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [f"{fault['id']}: {[node['html'][:200] for node in fault['nodes'][:3]]}" for fault in serious]
