"""The pages for readers name only what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quantroof.cli import main
from tests.test_imports import RANK

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# What a reader's own project would hold, or a run writes.
EXAMPLES = {"path/to/config.json", "kernels/linear/mylib_int8.py", "quantroof/kernels/linear/mylib_int8.py"}
ROOMS = tuple(RANK)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of a page is a file here."""
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    """A file named in backticks, by its path from the root or from the package, exists."""
    starts = "|".join(("quantroof", "scripts", "tests", "docs", *ROOMS))
    named = set(
        re.findall(rf"`((?:{starts})/[\w./-]+\.(?:py|toml|md|js|html|txt|jsonl|json))`", page.read_text())
    )
    missing = [
        name
        for name in named - EXAMPLES
        if not (ROOT / name).exists() and not (ROOT / "quantroof" / name).exists()
    ]

    assert missing == []


def test_nothing_installs_a_package_that_is_not_published() -> None:
    """No page or workflow installs quantroof by its bare name: that package would be somebody else's."""
    folders = (ROOT / "docs", ROOT / "templates", ROOT / "quantroof" / "gate")
    files = [
        p
        for folder in folders
        for p in folder.rglob("*")
        if p.suffix in {".md", ".py", ".sh", ".yml", ".yaml"}
    ]
    bare = re.compile(
        r"pip install (?!.*(?:--no-index|quantroof @ )).*(?<![\w/.$-])quantroof\b|default: quantroof$",
        re.MULTILINE,
    )
    wrong = [
        (p.name, hit[0])
        for p in [*PAGES, *files, ROOT / "action.yml"]
        for hit in bare.finditer(p.read_text())
    ]

    assert wrong == []


def test_the_page_of_commands_names_every_command() -> None:
    """A newcomer finds each command in the table."""
    modules = {path.stem.rstrip("_") for path in (Path(main.__file__).parent / "commands").glob("[a-z]*.py")}
    named = set(
        re.findall(r"`quantroof (?:--profiles FILE )?(\w+)", (ROOT / "docs" / "commands.md").read_text())
    )

    assert modules - named == set()
