"""The documentation as a site: built with warnings as errors, whole, and without anything from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from quantroof import __all__ as public_names

pytest.importorskip("material", reason="the extra docs is not installed")
ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CI and `mkdocs build` build it, by a machine that reaches no network."""
    out = tmp_path_factory.mktemp("site")
    nowhere = "http://127.0.0.1:9"
    offline = {"http_proxy": nowhere, "https_proxy": nowhere, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return out


class _Links(HTMLParser):
    """What a page loads by itself, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a":
            self.links.append(values.get("href") or "")
        elif tag != "link" or values.get("rel") != "canonical":
            self.loaded += [value for name in ("src", "href", "srcset") if (value := values.get(name))]


def _pages(site: Path) -> dict[Path, _Links]:
    pages = {}
    for path in site.rglob("*.html"):
        if path.parent.name != "samples" and path.name != "404.html":
            pages[path] = _Links()
            pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def test_the_site_is_whole_and_loads_nothing_from_elsewhere(site: Path) -> None:
    """Links lead to files of the site or the repository; scripts, styles and images are the site's own."""
    broken, foreign = [], []
    for page, found in _pages(site).items():
        foreign += [url for url in found.loaded if re.match(r"(https?:)?//", url)]
        for link in found.links:
            where, _, _ = link.partition("#")
            ours = re.match(r"https://github.com/quantroof/quantroof/(?:blob|tree)/main/(.+)", where)
            if ours:
                broken += [] if (ROOT / ours[1]).exists() else [(page.name, link)]
            elif where and "://" not in where and not where.startswith("mailto:"):
                target = page.parent / where
                broken += [] if (target / "index.html").exists() or target.is_file() else [(str(page), link)]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))

    assert broken == []
    assert foreign == []
    assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]*|@import[^;]*", styles) == []


def test_the_reference_names_every_public_name_and_the_samples_open(site: Path) -> None:
    """Public Python names and commands of groups have headings; a report per kind of reader is there."""
    python = (site / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    commands = (site / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    samples = list((site / "samples").glob("*.html"))

    assert [name for name in public_names if f'id="qr{name.lower()}"' not in python] == []
    assert 'id="quantroof-gate-init"' in commands
    assert (
        len([page for page in samples if page.name != "index.html" and "SIMULATED" in page.read_text()]) == 3
    )
