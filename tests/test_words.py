"""The prose of pages, help texts, docstrings and messages: American spelling and plain constructions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOUNS = (
    "architecture|bit|block|board|box|byte|case|ceiling|cell|channel|chunk|clock|column|command|cycle|device|file"
    "|folder|format|GPU|group|kernel|lane|layer|line|mark|method|model|neighbor|node|object|page|panel|part|pass"
    "|path|pod|process|question|room|round|row|run|sample|scale|second|SM|stage|suite|tensor|test|thread|token"
    "|worker"
)
BRITISH = (
    r"\w*(?:quanti|normali|optimi|initiali|recogni|seriali|organi|summari|reali|synchroni|utili|minimi|maximi)s"
    r"(?:e|es|ed|ing|er|ers|ation|ations|able)|(?:mis|un)?(?:behaviour|colour|favour|honour|neighbour|labour)\w*"
    r"|analys(?:e|ed|ing)|centre\w*|centring|catalogue\w*|(?:un)?(?:label|model|cancel|signal|travel|level)l(?:ed|ing)"
    r"|grey|licence|artefact\w*|programme"
)
PATTERNS = {
    "write `per`": re.compile(rf"\b(?:an?|one)\s+(?:{NOUNS})\s+an?\s+(?:{NOUNS})\b", re.IGNORECASE),
    # "there is no server" states what is absent; "x is no floor" stands for "x is not a floor".
    "write `is not a`": re.compile(
        r"(?<![Tt]here\s)\b(?:is|are|was|were)\s+no\s+(?!(?:longer|more|one|other|such|less|later|better|worse)\b)[A-Za-z`]"
    ),
    "American spelling": re.compile(rf"\b(?:{BRITISH})\b", re.IGNORECASE),
}


# The words of others: what a source or a claim says.
_QUOTED = re.compile(r'^text = ".*"$', re.MULTILINE)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The prose of a file with its first line: each string of a module, any other file as a whole."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, _QUOTED.sub("", text)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _found(text: str) -> list[tuple[int, str, str]]:
    """Line, phrase and advice of every match."""
    return [
        (text[: match.start()].count("\n"), " ".join(match[0].split()), advice)
        for advice, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    ]


FOLDERS = ("bench", "hwprofiles", "kernels", "reports")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SUFFIXES = {".css", ".html", ".js", ".md", ".py", ".sh", ".toml"}
OTHERS = [
    path
    for name in (*FOLDERS, "quantroof", "scripts", "tests")
    for path in (ROOT / name).rglob("*")
    if path.suffix in SUFFIXES and path != Path(__file__)
]


@pytest.mark.parametrize("path", sorted([*PAGES, *OTHERS]), ids=lambda p: str(p.relative_to(ROOT)))
def test_prose_is_plain(path: Path) -> None:
    """No page, data file, script or string of a module holds one of the patterns."""
    wrong = [
        f"{path.relative_to(ROOT)}:{first + line}: {phrase!r}: {advice}"
        for first, text in _texts(path)
        for line, phrase, advice in _found(text)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("one file a command, a lane a GPU", ["one file a command", "a lane a GPU"]),
        ("one file per command; a file and a run; a row is a token", []),
        ("'x' is no floor, GPUs are\nno siblings", ["is no f", "are no s"]),
        ("what is no Figure", ["is no F"]),
        ("it is no longer there, and there is no server", []),
        ("a quantised, unlabelled colour behaves", ["quantised", "unlabelled", "colour"]),
        ("a quantized, unlabeled color; a raised, advised, precise promise", []),
    ],
)
def test_the_patterns_match_what_they_name(text: str, phrases: list[str]) -> None:
    """Each pattern has a phrase that it finds and one beside it that it leaves alone."""
    assert [phrase for _, phrase, _ in _found(text)] == phrases
