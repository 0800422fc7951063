#!/usr/bin/env python3
"""How many small faults the tests find: plants one at a time, runs the tests of its file, prints a score.

A fault (mutant) that no test notices survives. scripts/mutation.toml names the groups: files, their tests,
and survivors that change nothing, each with its reason. A sample of every group is drawn by a seed.

    scripts/mutation.py --sample 30 --out docs/measured/mutation.md
    scripts/mutation.py --group guard --sample 1000       # every mutant of one group

Each worker has a copy of the tree and forks from a process that has the libraries imported, so that a mutant
costs little more than its tests. Exit code 1 if a score is below --least, 2 for a group whose tests fail
on the tree as it is.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from queue import Queue

from mutants import Mutant, mutants, sampled

ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("pytest", "numpy", "msgspec", "click", "rich.console", "psutil", "pandas", "jinja2")
_SELECTION = "not alone and not gpu and not slow and not long"
_SLACK_S, _TIMES = 10.0, 4.0
"""A mutant may take this many times as long as the tests do as they are; longer counts as noticed."""


@dataclass(frozen=True)
class Group:
    """Files that belong together, the tests that hold them, and mutants that change nothing."""

    name: str
    files: list[str]
    tests: list[str]
    libraries: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    killed: bool


def _groups(config: dict[str, object], names: list[str]) -> list[Group]:
    tables = config["group"]
    assert isinstance(tables, list)
    known = [Group(**table) for table in tables]
    unknown = set(names) - {group.name for group in known}
    if unknown:
        sys.exit(f"no group {sorted(unknown)}; known: {', '.join(group.name for group in known)}")
    return [group for group in known if not names or group.name in names]


def _copy_of_tree(target: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def _child(tree: Path, tests: list[str]) -> None:
    """Run tests in a copy of the tree; the process ends with pytest's exit code."""
    os.setsid()
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    os.chdir(tree)
    os.environ.update(PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE="1")
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True
    import pytest

    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", _SELECTION, *tests])
    os._exit(int(code))


def _serve(connection: Connection, libraries: list[str]) -> None:
    """A process that has the libraries imported and forks one child per request."""
    for name in libraries:
        importlib.import_module(name)
    while True:
        tree, tests, limit_s = connection.recv()
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            try:
                _child(tree, tests)
            finally:
                os._exit(70)
        code = _waited(pid, limit_s)
        connection.send((code, time.monotonic() - begun))


def _waited(pid: int, limit_s: float) -> int | None:
    """The exit code of a child; None for one that was ended at its limit."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


class Worker:
    """One copy of the tree and one process to fork from."""

    def __init__(self, folder: Path, libraries: list[str]) -> None:
        self.tree = _copy_of_tree(folder)
        context = ForkContext()
        self._pipe, theirs = context.Pipe()
        self._process: ForkProcess = context.Process(target=_serve, args=(theirs, libraries), daemon=False)
        self._process.start()

    def run(self, tests: list[str], limit_s: float) -> tuple[int | None, float]:
        """Exit code (None at the limit) and seconds of the tests."""
        self._pipe.send((self.tree, tests, limit_s))
        code, seconds = self._pipe.recv()
        return code, seconds

    def judge(self, mutant: Mutant, tests: list[str], limit_s: float) -> Outcome:
        """Plant the mutant, run the tests, take it out again."""
        file = self.tree / mutant.file
        source = file.read_bytes()
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
        try:
            file.write_bytes(mutant.applied(source))
            code, _ = self.run(tests, limit_s)
        finally:
            file.write_bytes(source)
        return Outcome(mutant, code != 0)

    def end(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()


def _score(group: Group, sample: int, seed: int, jobs: int, folder: Path) -> list[Outcome]:
    """Judge a sample of a group's mutants on several workers."""
    pool = [mutant for file in group.files for mutant in mutants(ROOT, file)]
    drawn = list(sampled(pool, sample, seed))
    free: Queue[Worker] = Queue()
    workers = [Worker(folder / f"{group.name}-{i}", [*_LIBRARIES, *group.libraries]) for i in range(jobs)]
    for worker in workers:
        free.put(worker)
    code, seconds = workers[0].run(group.tests, 900)
    if code != 0:
        print(f"{group.name}: its tests end with {code} as the tree is", file=sys.stderr)
        sys.exit(2)
    print(f"{group.name}: {len(drawn)} of {len(pool)} mutants, {seconds:.1f} s of tests each", flush=True)

    def judged(mutant: Mutant) -> Outcome:
        worker = free.get()
        try:
            return worker.judge(mutant, group.tests, _SLACK_S + _TIMES * seconds)
        finally:
            free.put(worker)

    try:
        with ThreadPoolExecutor(jobs) as threads:
            return list(threads.map(judged, drawn))
    finally:
        for worker in workers:
            worker.end()


def _explained(config: dict[str, object]) -> dict[tuple[str, str, str], str]:
    rows = config.get("equivalent", [])
    assert isinstance(rows, list)
    return {(row["file"], row["was"], row["became"]): row["reason"] for row in rows}


def _report(group: Group, outcomes: list[Outcome], reasons: dict[tuple[str, str, str], str]) -> Score:
    survivors, equivalent = [], []
    for outcome in outcomes:
        if outcome.killed:
            continue
        mutant = outcome.mutant
        was, became = mutant.shown((ROOT / mutant.file).read_bytes())
        reason = reasons.get((mutant.file, was, became))
        row = f"| {mutant.file}:{mutant.line} | {_code(was)} | {_code(became)} |"
        (survivors if reason is None else equivalent).append(row + (f" {reason} |" if reason else " |"))
    return Score(group.name, len(outcomes), survivors, equivalent)


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"


@dataclass(frozen=True)
class Score:
    """The mutants of one group: how many, and rows of those that survived."""

    name: str
    mutants: int
    survivors: list[str]
    equivalent: list[str]

    @property
    def killed(self) -> float:
        """Share of the mutants that change something and were noticed."""
        counted = self.mutants - len(self.equivalent)
        return 1.0 if not counted else 1 - len(self.survivors) / counted


def _page(scores: list[Score], sample: int, seed: int) -> str:
    rows = "\n".join(
        f"| {s.name} | {s.mutants} | {len(s.equivalent)} | {len(s.survivors)} | {s.killed:.1%} |"
        for s in scores
    )
    survivors = "\n".join(row for s in scores for row in s.survivors) or "| none | | |"
    equivalent = "\n".join(row for s in scores for row in s.equivalent) or "| none | | | |"
    return f"""# Mutation score

Made by `scripts/mutation.py --sample {sample} --seed {seed}`. A mutant is one changed comparison,
constant, operator or condition. It is killed if a test of its group fails. The quick tests run, without those
that measure time or need a GPU.

| group | mutants drawn | change nothing | survive | killed of the rest |
|---|---|---|---|---|
{rows}

## Survivors

| place | was | became |
|---|---|---|
{survivors}

## Mutants that change nothing

| place | was | became | why no test can fail |
|---|---|---|---|
{equivalent}
"""


def main() -> int:
    """Score the groups, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--group", action="append", default=[], help="a group of scripts/mutation.toml")
    parser.add_argument("--sample", type=int, default=30, help="mutants per group (default 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=0.0, help="exit code 1 below this share")
    parser.add_argument("--out", type=Path, help="write the page here")
    options = parser.parse_args()
    config = tomllib.loads((ROOT / "scripts" / "mutation.toml").read_text(encoding="utf-8"))
    reasons, scores = _explained(config), []
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for group in _groups(config, options.group):
            outcomes = _score(group, options.sample, options.seed, options.jobs, Path(folder))
            scores.append(_report(group, outcomes, reasons))
            done = scores[-1]
            print(f"{done.name}: {done.killed:.1%} of {done.mutants - len(done.equivalent)}", *done.survivors,
                  sep="\n", flush=True)  # fmt: skip
    if options.out:
        options.out.write_text(_page(scores, options.sample, options.seed), encoding="utf-8")
    return int(any(score.killed < options.least for score in scores))


if __name__ == "__main__":
    sys.exit(main())
