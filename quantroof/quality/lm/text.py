"""Text that ships with every CPython, in a training and a held-out part that share no paragraph.

The language reference of `pydoc_data.topics` and the docstrings of the standard library: about 2 MB of
English and code, under the PSF license. A paragraph that occurs twice is used once, or copies of training
text would be found in the held-out part.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from pydoc_data import topics

_CHUNK_CHARACTERS = 4096
_HELD_OUT_SHARE = 16  # one chunk in this many, by its hash
_LEAST_PARAGRAPH = 40  # shorter ones are headings and list items: dropping repeats would break the text
# Tests and vendored copies repeat what the modules say.
_LEFT_OUT = {
    "test",
    "tests",
    "site-packages",
    "dist-packages",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
}


@dataclass(frozen=True, slots=True)
class Texts:
    """Training and held-out text, each in chunks of about 4096 characters."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash of both parts: only models of the same text can be compared."""
        whole = sha256()
        for part in (self.train, self.held_out):
            for chunk in part:
                whole.update(chunk.encode())
            whole.update(b"\0")
        return whole.hexdigest()[:16]


def python_texts() -> Texts:
    """The text of this interpreter. Which part a chunk belongs to is decided by its hash alone."""
    train: list[str] = []
    held_out: list[str] = []
    for chunk in _chunks(_unrepeated(_documents())):
        to_hold_out = sha256(chunk.encode()).digest()[0] % _HELD_OUT_SHARE == 0
        (held_out if to_hold_out else train).append(chunk)
    return Texts(tuple(train), tuple(held_out))


def _documents() -> Iterator[str]:
    yield from (topics.topics[name] for name in sorted(topics.topics))
    root = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(root.rglob("*.py")):
        if _LEFT_OUT.isdisjoint(file.relative_to(root).parts):
            yield from _docstrings(file)


def _docstrings(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # a few files of the library are samples of broken code
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and len(text) > _LEAST_PARAGRAPH:
                yield text


def _unrepeated(documents: Iterable[str]) -> Iterator[str]:
    paragraphs: set[str] = set()
    for document in documents:
        unique = []
        for paragraph in document.split("\n\n"):
            key = " ".join(paragraph.split())
            if len(key) < _LEAST_PARAGRAPH or key not in paragraphs:
                unique.append(paragraph)
                paragraphs.add(key)
        if unique:
            yield "\n\n".join(unique) + "\n\n"


def _chunks(documents: Iterable[str]) -> Iterator[str]:
    pending, length = [], 0
    for document in documents:
        pending.append(document)
        length += len(document)
        if length >= _CHUNK_CHARACTERS:
            yield "".join(pending)
            pending, length = [], 0
    if pending:
        yield "".join(pending)


def interpreter() -> str:
    """Name of the text's source, for provenance."""
    return f"pydoc topics and standard library docstrings of CPython {sys.version.split()[0]}"
