#!/usr/bin/env python3
"""Which commits change machine code: `gate select` over each, and compiling everything for some.

scripts/gate_select.py [COMMITS] [CHECKED] [OUT]   default 40 10 docs/measured/gate-select.md

Three lists of commits, each compared with its parent: the last ones, the last that touch quantroof/kernels,
and half as many that touch the sources of machine code. For CHECKED of the third every case of both sides is
compiled without the cache, and the disassembled instructions and the launches are compared. What a commit
itself does not have, because the suite is planned by today's code, is not a case of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory

from quantroof.bench.plan import make_plan
from quantroof.bench.suite import load
from quantroof.errors import QuantroofError
from quantroof.gate import fingerprint_process
from quantroof.gate.changed import select
from quantroof.gate.sides import Side, base_of_revision
from quantroof.kernels.sass.batch import functions_of
from quantroof.kernels.sass.table import device_of
from quantroof.records.run import RunOptions

ARCH = "sm_90a"
SUITE = load(str(Path(__file__).with_suffix(".toml")))
KERNELS = "quantroof/kernels"
DEVICE = tuple(f":(glob){KERNELS}/**/{name}" for name in ("device/*.py", "*.cu", "*programs.py"))
_BY_SOURCE = ("source", "new")


# Kernels that declare one launch, as before 0740abb, get the list of launches that `select` asks for.
_ONE_LAUNCH = """
if "programs" not in vars(MachineCode):
    MachineCode.programs = lambda self, case, target: [self.program(case, target)]
"""


@dataclass(frozen=True)
class Answer:
    """`case kernel` pairs that a commit changes: by machine code or launch, as new or by source, or selected
    because a side cannot be compiled."""

    by_code: frozenset[str] = frozenset()
    by_source: frozenset[str] = frozenset()
    not_compared: frozenset[str] = frozenset()
    failed: str = ""

    @property
    def anything(self) -> bool:
        """Whether a case is selected."""
        return bool(self.by_code or self.by_source or self.not_compared)


def main() -> None:
    """All lists once, then the first two again with everything in the cache; then compile for some."""
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    checked = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    out = Path(sys.argv[3] if len(sys.argv) > 3 else "docs/measured/gate-select.md")
    device = _revisions(commits // 2, "--", *DEVICE)
    answers = _over(device, selected)
    lines = []
    for name, words in (("last", ()), (f"last that touch `{KERNELS}`", ("--", KERNELS))):
        revisions = _revisions(commits, *words)
        answers |= _over(revisions, selected)
        lines.append(_timed(name, revisions))
    some = sum(answers[one].anything for one in device)
    lines.append(f"- the {len(device)} last that touch the sources of machine code: {some} selected")
    brute = _over(sorted(device, key=lambda one: not answers[one].by_code)[:checked], compiled)
    out.write_text(_page(commits, checked, lines, answers, brute), encoding="utf-8")
    sys.stdout.write(f"{out}\n")


def _timed(name: str, revisions: list[str]) -> str:
    """How many commits of a list are selected, and how long it takes with everything in the cache."""
    start, cpu_start_s, load = time.monotonic(), _cpu_s(), os.getloadavg()[0]
    some = sum(one.anything for one in _over(revisions, selected).values())
    took = f"{time.monotonic() - start:.0f} s warm ({_cpu_s() - cpu_start_s:.0f} CPU s"
    loads = f"load {load:.0f} to {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores)"
    return f"- the {len(revisions)} {name}: {some} selected, {took}, {loads}"


def selected(base: Side, now: Side) -> Answer:
    """The answer of `gate select`."""
    found = [one for one in select(SUITE, (ARCH,), base, now).selected if now.sources.get(one.kernel)]
    kinds: dict[str, set[str]] = {"code": set(), "source": set(), "none": set()}
    for one in found:
        first = one.differs[0]
        kind = "none" if first.startswith("not comparable") else "source" if first in _BY_SOURCE else "code"
        kinds[kind].add(f"{one.case} {one.kernel}")
    return Answer(*(frozenset(kinds[kind]) for kind in ("code", "source", "none")))


def compiled(base: Side, now: Side) -> Answer:
    """Every case of both sides compiled: those whose launches or instructions differ."""
    before, after = _compiled(base), _compiled(now)
    both = [pair for pair in after if after[pair] is not None and before.get(pair) is not None]
    return Answer(frozenset(pair for pair in both if before[pair] != after[pair]))


def _compiled(side: Side) -> dict[str, str | None]:
    """Launches with their disassembled instructions by `case kernel`; None for what has none."""
    plan = make_plan(SUITE, device_of(ARCH), RunOptions(ceilings=False))
    pairs = [(one.case.id, kernel.name) for one in plan.cases for kernel in one.kernels]
    with TemporaryDirectory() as folder:
        request = {"arch": ARCH, "pairs": pairs, "calls": [], "out": folder, "tree": str(side.root)}
        done = subprocess.run(
            [side.python, "-P", fingerprint_process.__file__], cwd=side.root, env=side.environment,
            input=json.dumps(request), capture_output=True, text=True, check=True,
        )  # fmt: skip
        # One by one, because the addresses in a listing count from the start of the first.
        files = Path(folder).glob("*.cubin")
        texts = {file.name: repr(functions_of([file.read_bytes()], ARCH)) for file in files}
    rows = json.loads(done.stdout)["rows"]
    return {pair: _text(row.get("launches"), texts) for pair, row in rows.items()}


def _text(launches: list[dict[str, object]] | None, texts: dict[str, str]) -> str | None:
    """Launches as text, with the instructions in place of the file that holds them."""
    if not launches:
        return None
    return json.dumps([{**launch, "file": texts[str(launch["file"])]} for launch in launches], sort_keys=True)


class _Trees:
    """The sides that are open: a commit's parent is often the next one, and a side takes a second."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[ExitStack, Side]] = {}

    def keep(self, revisions: Sequence[str]) -> list[Side]:
        """The sides of these revisions; all others are closed."""
        for revision in self._open.keys() - set(revisions):
            self._open.pop(revision)[0].close()
        return [self._side(revision) for revision in revisions]

    def _side(self, revision: str) -> Side:
        if revision not in self._open:
            stack = ExitStack()
            side = stack.enter_context(base_of_revision(revision, ()))
            _declare_launches(side)
            self._open[revision] = stack, side
        return self._open[revision][1]


def _over(revisions: Iterable[str], answer: Callable[[Side, Side], Answer]) -> dict[str, Answer]:
    """The answer for every revision and its parent."""
    answers = {}
    trees = _Trees()
    try:
        for revision in dict.fromkeys(revisions):
            try:
                base, now = trees.keep((_git("rev-parse", f"{revision}^"), revision))
                answers[revision] = answer(base, now)
            except (QuantroofError, subprocess.CalledProcessError) as error:
                answers[revision] = Answer(failed=str(error))
            sys.stderr.write(f"{answer.__name__} {revision[:9]} {_words(answers[revision])}\n")
    finally:
        trees.keep(())
    return answers


def _declare_launches(side: Side) -> None:
    file = side.package / "kernels" / "program.py"
    if file.is_file() and "class MachineCode" in (text := file.read_text()) and "def programs" not in text:
        file.write_text(text + _ONE_LAUNCH)


def _page(
    commits: int, checked: int, lists: Sequence[str], answers: dict[str, Answer], brute: dict[str, Answer]
) -> str:
    agree = [one for one in brute if brute[one].by_code == answers[one].by_code and not brute[one].failed]
    rows = [
        f"| {one[:9]} | {_words(answers[one])} | {_words(brute[one]) if one in brute else '-'} |"
        for one in answers
        if answers[one].anything or answers[one].failed or one in brute
    ]
    lines = [
        "# Which commits change machine code",
        "",
        f"`scripts/gate_select.py {commits} {checked}` at commit {_git('describe', '--always')}: every",
        f"commit is compared with its parent by `gate select`, {ARCH}, in the cases of",
        f"`scripts/gate_select.toml`, which reach every kernel that declares its programs. {date.today()},",
        f"Python {python_version()}, Triton {version('triton')}. What cannot be compiled on one side is",
        "selected, and not compared.",
        "",
        *lists,
        "",
        f"Of {len(brute)} commits every case of both sides was compiled without the cache, and the",
        f"disassembled instructions and launches were compared: {len(agree)} of {len(brute)} give the same",
        "cases. New kernels, and those without machine code, are compared by their source, which compiling",
        "cannot check.",
        "",
        "Every commit of these lists that is not below changes nothing.",
        "",
        "| commit | selected | compiling everything |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _words(answer: Answer) -> str:
    if answer.failed:
        return f"not comparable: {answer.failed}"
    parts = [
        (answer.by_code, "by machine code or launch"),
        (answer.by_source, "new or by source"),
        (answer.not_compared, "not comparable"),
    ]
    words = [f"{len(pairs)} {how}: {_kernels(pairs)}" for pairs, how in parts if pairs]
    return "; ".join(words) or "nothing"


def _kernels(pairs: Iterable[str]) -> str:
    return ", ".join(sorted({pair.split()[-1] for pair in pairs}))


def _revisions(number: int, *words: str) -> list[str]:
    return _git("rev-list", "--first-parent", f"--max-count={number}", "HEAD", *words).split()


def _cpu_s() -> float:
    """CPU time of this process and of those that it waited for."""
    return sum(os.times()[:4])


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
