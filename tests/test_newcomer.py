"""A newcomer types what README and docs print: each line runs, or its block says what it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_TYPED = re.compile(r"(?:quantroof|bin/quantroof|\./|python |pip |pytest |scripts/)")
_EXIT = re.compile(r"exit code (\d+)")
_SHOWN = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"needs (?:a GPU|a network|root|a cluster|the package )")
MACHINE = {"quantroof doctor": {0, 1}}
"""What exits with another code on a busy machine."""


def blocks(page: Path) -> list[re.Match[str]]:
    """The blocks that hold commands: of a shell, or without a language and starting with a command."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [b for b in found if b["kind"] == "bash" or (not b["kind"] and _TYPED.match(b["text"]))]


def command_lines(page: Path) -> list[tuple[str, int]]:
    """The commands of a page that are not marked, each with the exit code that its comment promises."""
    lines = []
    for block in blocks(page):
        for line in block["text"].replace("\\\n", " ").splitlines():
            if block["why"] is None and line.strip():
                command, _, comment = line.partition("  #")
                promised = _EXIT.search(comment)
                lines.append((command.strip(), int(promised[1]) if promised else 0))
    return lines


def shown_lines(page: Path) -> set[str]:
    """The output that a page prints, by line with single spaces, without the name of the machine."""
    text = _BLOCK.sub(lambda block: "" if _TYPED.match(block["text"]) else block[0], page.read_text("utf-8"))
    lines = {" ".join(line.split()) for block in _SHOWN.findall(text) for line in block.splitlines()}
    return {line.partition(": ")[2] if line.startswith("node ") else line for line in lines if line}


def checkout(folder: Path) -> dict[str, str]:
    """The files that pages name, below an empty folder, and the environment of a user with an empty home."""
    for name in ("examples", "tests", "quantroof"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "home").mkdir()
    (folder / "bin").mkdir()
    launcher = folder / "bin" / "quantroof"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m quantroof "$@"\n')
    launcher.chmod(0o755)
    author = {
        f"GIT_{who}_{what}": "newcomer" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    path = f"{launcher.parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder / "home"), "CI": "1", **author}


def test_the_readme_has_commands_that_run() -> None:
    """The first page shows at least six lines that anybody can type; a block without a mark counts."""
    assert len(command_lines(ROOT / "README.md")) >= 6


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_block_that_is_not_run_says_what_it_needs(page: Path) -> None:
    """Only what this machine cannot have is an excuse: a GPU, a network, root, a cluster or a package."""
    reasons = [block["why"] for block in blocks(page) if block["why"] is not None]

    assert [reason for reason in reasons if not _NEEDS.match(reason)] == []


@pytest.mark.long
@pytest.mark.parametrize("page", [p for p in PAGES if command_lines(p)], ids=lambda p: p.stem)
def test_the_commands_of_a_page_run_as_printed(page: Path, tmp_path: Path) -> None:
    """In one shell, an empty folder and an empty home, in their order, with the promised exit codes."""
    environment = checkout(tmp_path)
    lines = command_lines(page)
    script = [
        f"{{ {command}\n}} >{tmp_path}/out.{i} 2>{tmp_path}/err.{i}; echo $?"
        for i, (command, _) in enumerate(lines)
    ]
    ended = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=600,
    )  # fmt: skip
    wrong, printed = [], set[str]()
    for i, ((command, promised), code) in enumerate(zip(lines, ended.stdout.split(), strict=True)):
        errors = (tmp_path / f"err.{i}").read_text("utf-8")
        if int(code) not in MACHINE.get(command, {promised}) or "Traceback" in errors:
            wrong.append((command, code, errors[-300:]))
        printed |= {
            " ".join(line.split()) for line in (tmp_path / f"out.{i}").read_text("utf-8").splitlines()
        }

    assert wrong == []
    if page.name == "README.md":
        stale = {line for line in shown_lines(page) if not any(line in one for one in printed)}
        assert stale == set(), "the README shows output that its commands do not print"
