"""Mutants that change what a test can see: wording, what a function returns, a statement that is left out.

They go with those of mutants.py where the question is not whether the tests are complete, but whether a test
can fail at all. Each keeps the number of lines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mutants import Mutant, line_starts, span

_WORDS = re.compile(r"\\.|\{[^{}]*\}|[A-Za-z0-9]")


def coarse_mutants(root: Path, file: str) -> list[Mutant]:
    """All of a file, in its order."""
    text = (root / file).read_text(encoding="utf-8")
    source = text.encode()
    starts = line_starts(source)
    found = []
    for node, new in _changes(ast.parse(text), source, starts):
        offset, end = span(node, starts)
        old = source[offset:end].decode()
        if old != new:
            padded = new + "\n" * (old.count("\n") - new.count("\n"))
            found.append(Mutant(file, source[:offset].count(b"\n") + 1, offset, old, padded))
    return sorted(found, key=lambda mutant: mutant.offset)


def _changes(tree: ast.Module, source: bytes, starts: list[int]) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }  # of functions, and of constants
    pieces = {
        id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in ast.walk(node)
        if piece is not node
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node, "return None"
        elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            yield node, "pass"
        elif id(node) in docstrings or id(node) in pieces:
            continue
        elif isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            offset, end = span(node, starts)
            yield node, _other_words(source[offset:end].decode())


def _other_words(literal: str) -> str:
    """The same literal with letters in the other case and other digits; fields and escapes stay."""
    prefix = re.match(r"[A-Za-z]*", literal)
    assert prefix is not None

    def other(match: re.Match[str]) -> str:
        found = match[0]
        if len(found) > 1:
            return found
        return str((int(found) + 1) % 10) if found.isdigit() else found.swapcase()

    return prefix[0] + _WORDS.sub(other, literal[prefix.end() :])
