"""Which nodes are meant, and which of them never answered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from quantroof.errors import UsageError


def read_nodes(text: str) -> list[str]:
    """Node names from a file, one a line, or from `node-1,node-2` itself; each once, in order."""
    path = Path(text)
    if path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot be read: {error}", where=text) from None
    else:
        lines = text.split(",")
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def silent_nodes(expected: Iterable[str], answered: Iterable[str]) -> list[str]:
    """Expected nodes without any run. A short name stands for its full one: `n1` for `n1.site.org`."""
    known = set(answered) | {name.partition(".")[0] for name in answered}
    return [name for name in expected if name not in known and name.partition(".")[0] not in known]
