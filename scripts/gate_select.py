#!/usr/bin/env python3
"""Which of the last commits change machine code: `gate select` over each, and compiling everything.

scripts/gate_select.py [COMMITS] [CHECKED] [OUT] [OLDER...]   default 40 10 docs/measured/gate-select.md

For CHECKED commits every case is compiled: the ones named as OLDER, then those that change machine code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from quantroof.bench.suite import Suite, load
from quantroof.errors import QuantroofError
from quantroof.gate.changed import select
from quantroof.gate.sides import Side, base_of_revision

ARCH = "sm_90a"
SUITE = "quick"
NOT_COMPARABLE = ["not comparable"]


def main() -> None:
    """Select over all commits twice, then compile everything for some."""
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    checked = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    out = Path(sys.argv[3] if len(sys.argv) > 3 else "docs/measured/gate-select.md")
    revisions = _git("rev-list", "--first-parent", f"--max-count={commits + 1}", "HEAD").split()
    _over(revisions)
    start, cpu_start_s = time.monotonic(), _cpu_s()
    selected = _over(revisions)
    warm_s, cpu_s = time.monotonic() - start, _cpu_s() - cpu_start_s
    touching = [one for one in selected if _touches_kernels(one)]
    older = sys.argv[4:]
    changed = [one for one, lines in selected.items() if lines and lines != NOT_COMPARABLE]
    agree, rows = 0, []
    for revision in older:
        selected |= _over([revision, f"{revision}^"])
    for revision in [*older, *dict.fromkeys((*changed, *touching, *selected))][:checked]:
        brute = _over([revision, f"{revision}^"], fresh=True)[revision]
        agree += brute == selected[revision]
        rows.append(f"| {revision[:9]} | {_words(selected[revision])} | {_words(brute)} |")
    head = _git("describe", "--always")
    lines = [
        "# Which commits change machine code",
        "",
        f"`scripts/gate_select.py {commits} {checked}` at commit {head}: suite `{SUITE}`, {ARCH}.",
        "",
        f"{len(changed)} of {commits} commits change the machine code, launch or source of a kernel;",
        f"{len(touching)} touch `quantroof/kernels`. All took {warm_s:.0f} s warm ({cpu_s:.0f} CPU s).",
        f"{agree} of the {len(rows)} below agree with compiling every case of both sides.",
        "",
        "| commit | selected | compiling everything |",
        "|---|---|---|",
        *rows,
    ]
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{out}\n")


def _over(revisions: list[str], *, fresh: bool = False) -> dict[str, list[str]]:
    """`case kernel` lines of every revision but the last, each compared with the one that follows."""
    lines: dict[str, list[str]] = {}
    suite = load(SUITE)
    with ExitStack() as stack:
        trees = stack.enter_context(ExitStack())
        now = _side(trees, revisions[0])
        for revision, parent in pairwise(revisions):
            following = stack.enter_context(ExitStack())
            base = _side(following, parent)
            lines[revision] = _lines(suite, base, now, fresh=fresh) if base and now else NOT_COMPARABLE
            sys.stderr.write(f"{revision[:9]} {_words(lines[revision])}\n")
            trees.close()
            trees, now = following, base
    return lines


def _side(trees: ExitStack, revision: str) -> Side | None:
    try:
        return trees.enter_context(base_of_revision(revision, ()))
    except QuantroofError as error:
        sys.stderr.write(f"{revision[:9]}: {error}\n")
        return None


def _lines(suite: Suite, base: Side, ours: Side, *, fresh: bool) -> list[str]:
    try:
        return select(suite, (ARCH,), base, ours, fresh=fresh).lines()
    except QuantroofError as error:
        sys.stderr.write(f"{ours.name}: {error}\n")
        return NOT_COMPARABLE


def _cpu_s() -> float:
    """CPU time of this process and of those that it waited for."""
    return sum(os.times()[:4])


def _touches_kernels(revision: str) -> bool:
    return bool(_git("diff-tree", "--no-commit-id", "--name-only", "-r", revision, "--", "quantroof/kernels"))


def _words(lines: list[str]) -> str:
    kernels = sorted({line.split()[-1] for line in lines})
    return f"{len(lines)} cases: {', '.join(kernels)}" if lines else "nothing"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
