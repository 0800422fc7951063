"""A newcomer types what README and docs print: each line runs, or its block says why it is not run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"(?P<why><!-- not run: [^>]+ -->\n)?^```\w*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_TYPED = re.compile(r"(?:quantroof|bin/quantroof|\./|python |pip |pytest |scripts/)")
_EXIT = re.compile(r"exit code (\d+)")
_SHOWN = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MACHINE = {"quantroof doctor": {0, 1}}
"""What exits with another code on a busy machine."""


def command_lines(page: Path) -> list[tuple[str, int]]:
    """The commands of a page that are not marked, each with the exit code that its comment promises."""
    lines = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        for line in block["text"].splitlines():
            if block["why"] is None and _TYPED.match(line):
                command, _, comment = line.partition("  #")
                promised = _EXIT.search(comment)
                lines.append((command.strip(), int(promised[1]) if promised else 0))
    return lines


def shown_lines(page: Path) -> set[str]:
    """The output that a page prints, by line with single spaces, without lines that name the machine."""
    text = _BLOCK.sub(lambda block: "" if _TYPED.match(block["text"]) else block[0], page.read_text("utf-8"))
    lines = {" ".join(line.split()) for block in _SHOWN.findall(text) for line in block.splitlines()}
    return {line for line in lines if line and not line.startswith("node ")}


def test_the_readme_has_commands_that_run() -> None:
    """The first page shows at least six lines that anybody can type; a block without a mark counts."""
    assert len(command_lines(ROOT / "README.md")) >= 6


@pytest.mark.long
@pytest.mark.parametrize("page", [p for p in PAGES if command_lines(p)], ids=lambda p: p.stem)
def test_the_commands_of_a_page_run_as_printed(page: Path, tmp_path: Path) -> None:
    """In an empty folder with an empty home, in the order of the page, each with its promised exit code."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "CI": "1"}
    wrong, printed = [], set[str]()
    for command, promised in command_lines(page):
        program, *arguments = shlex.split(command)
        assert program == "quantroof", f"{command}: only quantroof is run here; mark the block"
        done = subprocess.run(
            [sys.executable, "-m", "quantroof", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode not in MACHINE.get(command, {promised}) or "Traceback" in done.stderr:
            wrong.append((command, done.returncode, done.stderr[-300:]))
        printed |= {" ".join(line.split()) for line in done.stdout.splitlines()}

    assert wrong == []
    if page.name == "README.md":
        stale = {line for line in shown_lines(page) if not any(line in one for one in printed)}
        assert stale == set(), "the README shows output that its commands do not print"
