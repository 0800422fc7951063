#!/usr/bin/env python3
"""Which of the last commits change machine code: `gate select` over each, and compiling everything.

scripts/gate_select.py [COMMITS] [CHECKED] [OUT]  (default 40, 10, docs/measured/gate-select.md; no GPU)
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from quantroof.bench.suite import load
from quantroof.errors import QuantroofError
from quantroof.gate.changed import Selection, select
from quantroof.gate.sides import base_of_revision

ARCH = "sm_90a"
SUITE = "quick"


def main() -> None:
    """Select over all commits twice, then compile everything for those that touch kernels."""
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    checked = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    out = Path(sys.argv[3] if len(sys.argv) > 3 else "docs/measured/gate-select.md")
    revisions = _git("rev-list", f"--max-count={commits}", "HEAD").split()
    _over(revisions)
    start = time.monotonic()
    found = _over(revisions)
    warm_s = time.monotonic() - start
    order = sorted(revisions, key=lambda one: (_touches_kernels(one), one in found and bool(found[one])))
    agree, rows = 0, []
    for revision in order[-checked:] if checked else []:
        brute = _selected(revision, fresh=True)
        agree += brute == found[revision]
        rows.append(f"| {revision[:9]} | {_words(found[revision])} | {_words(brute)} |")
    changed = [one for one in revisions if found[one] and found[one] != ["not comparable"]]
    head = _git("describe", "--always")
    lines = [
        "# Which commits change machine code",
        "",
        f"`scripts/gate_select.py {commits} {checked}` at commit {head}: suite `{SUITE}`, {ARCH}.",
        "",
        f"{len(changed)} of {commits} commits change the machine code, launch or source of a kernel. All",
        f"took {warm_s:.0f} s warm. {agree} of {len(rows)} agree with compiling every case of both sides.",
        "",
        "| commit | selected | compiling everything |",
        "|---|---|---|",
        *rows,
    ]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{out}\n")


def _over(revisions: list[str]) -> dict[str, list[str]]:
    return {revision: _selected(revision) for revision in revisions}


def _selected(revision: str, *, fresh: bool = False) -> list[str]:
    """`case kernel` lines of one commit, compared with its first parent."""
    try:
        with base_of_revision(f"{revision}^", ()) as base, base_of_revision(revision, ()) as ours:
            selection: Selection = select(load(SUITE), (ARCH,), base, ours, fresh=fresh)
    except QuantroofError as error:
        sys.stderr.write(f"{revision[:9]}: {error}\n")
        return ["not comparable"]
    return selection.lines()


def _touches_kernels(revision: str) -> bool:
    return bool(_git("diff-tree", "--no-commit-id", "--name-only", "-r", revision, "--", "quantroof/kernels"))


def _words(lines: list[str]) -> str:
    kernels = sorted({line.split()[-1] for line in lines})
    return f"{len(lines)} cases: {', '.join(kernels)}" if lines else "nothing"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
