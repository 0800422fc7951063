"""A real Chromium, offline, that notes every request and every complaint of a page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from quantroof.records.directory import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass
class Seen:
    """A page with what it asked the network for and what it complained about."""

    page: Page
    file: Path
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def resize(self, width: int) -> None:
        """Change the width of the window and wait until the charts are drawn again (plotly waits 100 ms)."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_timeout(300)


Open = Callable[..., Seen]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests; skipped where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`built(name, runs, baseline=None, ...)` writes a report once and returns its file."""
    from quantroof.analysis.answers import answers
    from quantroof.reports.html.page import html

    folder = tmp_path_factory.mktemp("reports")

    def build(name: str, runs: list[Run], baseline: Run | None = None, **options: Any) -> Path:
        file = folder / f"{name}.html"
        if not file.exists():
            file.write_text(html(answers(runs, baseline), **options), encoding="utf-8")
        return file

    return build


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """`open_page(file, width=1440, fragment="")` opens a report offline and waits until it is drawn."""
    with ExitStack() as contexts:

        def opened(
            file: Path, width: int = 1440, fragment: str = "", *, script: bool = True, **options: Any
        ) -> Seen:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, offline=True, java_script_enabled=script, **options
            )
            contexts.callback(context.close)
            page = context.new_page()
            seen = Seen(page, file)
            page.on("request", lambda request: seen.requests.append(request.url))
            page.on("console", lambda message: seen.complaints.append(message.text))
            page.on("pageerror", lambda error: seen.complaints.append(str(error)))
            page.goto(file.as_uri() + fragment)
            if script:
                page.wait_for_selector("html[data-ready]")
            seen.requests.remove(file.as_uri())
            return seen

        yield opened
