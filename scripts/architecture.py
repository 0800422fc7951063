#!/usr/bin/env python3
"""Write the file tables of ARCHITECTURE.md: file, what it owns (its docstring), who imports it.

Usage: scripts/architecture.py [--check]
  --check   change nothing; exit 1 where the tables differ from the code
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "quantroof"
PAGE = ROOT / "ARCHITECTURE.md"
ROOMS = (
    "hwprofiles", "kernels", "records", "analysis", "bench", "gate", "advisor", "quality", "fleet", "claims",
    "reports", "api", "cli",
)  # fmt: skip
_BLOCK = re.compile(r"(<!-- files of (?P<room>\w+) -->\n).*?(<!-- end of files -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Rewrite the page, or compare it with the code."""
    page = PAGE.read_text(encoding="utf-8")
    made = updated(page)
    if "--check" in arguments:
        return int(made != page)
    PAGE.write_text(made, encoding="utf-8")
    return 0


def updated(page: str) -> str:
    """The page with every table made again."""
    importers = _importers()
    return _BLOCK.sub(lambda block: block[1] + _table(block["room"], importers) + block[3], page)


def _table(room: str, importers: dict[str, set[str]]) -> str:
    folder = PACKAGE / room
    files = [p for p in sorted(folder.rglob("*.py")) if p.name != "__init__.py"]
    files.sort(key=lambda p: (len(p.relative_to(folder).parts) > 1, p))
    rows = ["| file | owns | imported by |", "|---|---|---|"]
    for path in files:
        rooms = importers[_module(path)]
        users = ", ".join(name for name in (*ROOMS, "pytest_fixtures") if name in rooms)
        rows.append(f"| `{path.relative_to(PACKAGE)}` | {_first_sentence(path)} | {users or '-'} |")
    return "\n".join(rows) + "\n"


def _first_sentence(path: Path) -> str:
    """The first line of the docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).rstrip(".").replace("|", "\\|")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _importers() -> dict[str, set[str]]:
    """Rooms that import each module, the module's own room included."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.name].add(room)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found[node.module].add(room)
                for alias in node.names:
                    found[f"{node.module}.{alias.name}"].add(room)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
