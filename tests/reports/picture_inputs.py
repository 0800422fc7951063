"""What the pictures of docs/images are made from, as SHA-256 hashes beside them (`scripts/pictures`)."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
IMAGES = ROOT / "docs" / "images"
MANIFEST = IMAGES / "SHA256SUMS"
DATA = (
    "tests/data/h200_ceilings_and_timers.jsonl",
    "tests/reports/anchors.py",
    "tests/runs.py",
    "tests/builders.py",
)
# Pages of other commands, which no picture shows.
ELSEWHERE = ("fleet", "node", "trend")


def inputs() -> list[Path]:
    """The committed data, the files that draw the page, the script, and the pictures themselves."""
    drawing = (ROOT / "quantroof" / "reports" / "html").rglob("*")
    suffixes = {".py", ".css", ".js", ".html"}
    pages = [path for path in drawing if path.suffix in suffixes and not path.name.startswith(ELSEWHERE)]
    data = [ROOT / name for name in (*DATA, "scripts/pictures")]
    return sorted([*data, *pages, *IMAGES.glob("*.png")])


def manifest() -> str:
    """One line per input as `sha256sum` writes it, with paths from the root of the repository."""
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT).as_posix()}\n"
        for path in inputs()
    )
    return "".join(lines)
