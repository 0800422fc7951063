#!/usr/bin/env python3
"""How many small faults the tests find: plants one at a time, runs the tests that reach it, prints a score.

A fault (mutant) that no test notices survives. scripts/mutation.toml names the groups: files, their tests,
and survivors that change nothing, each with its reason. All mutants are tried, or a sample drawn by a seed.

    scripts/mutation.py --out docs/measured/mutation.md
    scripts/mutation.py --group gate --sample 30 --seed 1 # some mutants of one group
    scripts/mutation.py --killed FILE ...                 # after new tests: tries the survivors again

Exit code 1 if a score is below --least, 2 for a group whose tests fail on the tree as it is, and where no PID
namespace can be made.
scripts/mutation_tests.py says how a mutant is made to cost little more than the tests that reach it.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.context import ForkContext
from pathlib import Path
from queue import Queue

import pytest
from mutants import Mutant, mutants, sampled, statement
from mutation_page import ROOT, Outcome, explained, page, report
from mutation_tests import Coverage, serve_collected, serve_new

_LIBRARIES = ("pytest", "numpy", "msgspec", "click", "rich.console", "psutil", "pandas", "jinja2")
_APART = "QUANTROOF_MUTATION_APART"
_SLACK_S, _TIMES = 10.0, 4.0
"""A mutant may take this many times as long as the tests do as they are; longer counts as noticed."""


@dataclass(frozen=True)
class Group:
    """Files that belong together, the tests that hold them, and libraries that these import."""

    name: str
    files: list[str]
    tests: list[str]
    libraries: list[str] = field(default_factory=list)


def _groups(config: dict[str, object], names: list[str]) -> list[Group]:
    tables = config["group"]
    assert isinstance(tables, list)
    known = [Group(**table) for table in tables]
    unknown = set(names) - {group.name for group in known}
    if unknown:
        sys.exit(f"no group {sorted(unknown)}; known: {', '.join(group.name for group in known)}")
    return [group for group in known if not names or group.name in names]


def copy_of_tree(target: Path) -> Path:
    """A repository with the files of the tree, changed ones too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "copy"]):  # some tests ask git
        identity = ["-c", "user.name=copy", "-c", "user.email=copy@localhost"]
        subprocess.run(["git", *identity, *command], cwd=target, check=True)
    return target


class Worker:
    """A copy of the tree and two processes to fork from: the tests collected, and the libraries only."""

    def __init__(self, folder: Path, group: Group) -> None:
        self.tree = copy_of_tree(folder)
        context = ForkContext()
        self._collected, theirs = context.Pipe()
        self._new, others = context.Pipe()
        self._processes = (
            context.Process(target=serve_collected, args=(theirs, self.tree, group.tests, group.files)),
            context.Process(target=serve_new, args=(others, self.tree, [*_LIBRARIES, *group.libraries])),
        )
        for process in self._processes:
            process.start()

    def coverage(self) -> Coverage | int:
        """Which tests reach which lines; an exit code where the tests cannot be collected."""
        self._collected.send((None, None, 1800.0))
        code, _ = self._collected.recv()
        if code != 0:
            return int(code or 70)
        found = pickle.loads((self.tree / "coverage.pickle").read_bytes())  # noqa: S301 - written by our child
        assert isinstance(found, Coverage)
        return found

    def judge(self, mutant: Mutant, coverage: Coverage) -> Outcome:
        """Plant the mutant, run the tests, take it out again."""
        file = self.tree / mutant.file
        source, kept = file.read_bytes(), file.stat()
        try:
            file.write_bytes(mutant.applied(source))
            return Outcome(mutant, self._noticed(mutant, source, coverage))
        finally:
            file.write_bytes(source)
            os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    def _noticed(self, mutant: Mutant, source: bytes, coverage: Coverage) -> bool:
        """First the tests that reach the statement, then the others that reach the file, then all."""
        place = statement(source, mutant)
        whole = coverage.of_file(mutant.file) or set(range(len(coverage.tests)))
        reach = coverage.of(mutant.file, place) if place else set()
        if place is None or not reach:
            everything = coverage.ordered(whole) + coverage.ordered(set(range(len(coverage.tests))) - whole)
            return self._new_run(everything, coverage)
        limit_s = _limit_s(reach, coverage)
        self._collected.send((coverage.ordered(reach), self.tree / mutant.file, limit_s))
        code, _ = self._collected.recv()
        return _fails(code) or self._new_run(
            coverage.ordered(reach) + coverage.ordered(whole - reach), coverage
        )

    def _new_run(self, tests: list[int], coverage: Coverage) -> bool:
        names = [coverage.tests[test] for test in tests]
        limit_s = _limit_s(set(tests), coverage)
        self._new.send((names, None, limit_s))
        code, _ = self._new.recv()
        if code == pytest.ExitCode.USAGE_ERROR:  # the mutant changes the names of examples
            self._new.send((list(dict.fromkeys(name.partition("::")[0] for name in names)), None, limit_s))
            code, _ = self._new.recv()
        return _fails(code)

    def end(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.join()


def _fails(code: int | None) -> bool:
    """Whether tests noticed: one failed, a file could not be imported, a signal, or no end in time."""
    if code is None or code < 0 or code in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED):
        return True
    if code != 0:
        raise RuntimeError(f"the tests ended with {code}")
    return False


def _limit_s(tests: set[int], coverage: Coverage) -> float:
    return _SLACK_S + _TIMES * sum(coverage.seconds[test] for test in tests)


class Killed:
    """Mutants that a test noticed before, in a file: group, place, and the line before and after."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        known = json.loads(file.read_text()) if file is not None and file.exists() else []
        self._known = {tuple(row) for row in known}

    def __contains__(self, key: tuple[str, ...]) -> bool:
        return key in self._known

    def add(self, keys: list[tuple[str, ...]]) -> None:
        """Remember more of them."""
        self._known |= set(keys)
        if self._file is not None:
            self._file.write_text(json.dumps(sorted(self._known), indent=0))


def _key(group: Group, mutant: Mutant) -> tuple[str, ...]:
    return (group.name, mutant.file, str(mutant.line), *mutant.shown((ROOT / mutant.file).read_bytes()))


def _score(group: Group, options: argparse.Namespace, folder: Path, killed: Killed) -> list[Outcome]:
    """Judge a sample of a group's mutants on several workers."""
    pool = [mutant for file in group.files for mutant in mutants(ROOT, file)]
    drawn = list(sampled(pool, options.sample, options.seed))
    left = [mutant for mutant in drawn if _key(group, mutant) not in killed]
    done = [Outcome(mutant, killed=True) for mutant in drawn if mutant not in left]
    if options.page:
        return done + [Outcome(mutant, killed=False) for mutant in left]
    judged = _judged(group, left, options.jobs, folder) if left else []
    killed.add([_key(group, outcome.mutant) for outcome in judged if outcome.killed])
    return done + judged


def _judged(group: Group, left: list[Mutant], jobs: int, folder: Path) -> list[Outcome]:
    workers = [Worker(folder / f"{group.name.replace(' ', '-')}-{i}", group) for i in range(jobs)]
    try:
        return _shared_out(group, left, workers)
    finally:
        for worker in workers:
            worker.end()


def _shared_out(group: Group, left: list[Mutant], workers: list[Worker]) -> list[Outcome]:
    coverage = workers[0].coverage()
    failed = [f"exit code {coverage}"] if isinstance(coverage, int) else coverage.failed
    if failed or isinstance(coverage, int):
        print(f"{group.name}: its tests fail as the tree is: {', '.join(failed)}", file=sys.stderr)
        sys.exit(2)
    print(f"{group.name}: {len(left)} mutants, {len(coverage.tests)} tests of "
          f"{sum(coverage.seconds):.1f} s", flush=True)  # fmt: skip
    free: Queue[Worker] = Queue()
    for worker in workers:
        free.put(worker)

    def judged(mutant: Mutant) -> Outcome:
        worker = free.get()
        try:
            return worker.judge(mutant, coverage)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as threads:
        return list(threads.map(judged, left))


def start_apart() -> None:
    """Start this script again in a PID namespace of its own, where it is not in one.

    Some mutants are faults in code that ends processes: there they reach none but those of this script.
    """
    if os.environ.pop(_APART, None):
        return
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
    able = shutil.which("unshare") and subprocess.run([*apart, "true"], check=False, capture_output=True)
    if not able or able.returncode:
        print("no PID namespace can be made here (unshare --user --pid): a mutant of code that ends\n"
              "processes might end any of yours; nothing was tried", file=sys.stderr)  # fmt: skip
        sys.exit(2)
    os.execvpe(apart[0], [*apart, sys.executable, *sys.argv], {**os.environ, _APART: "1"})  # noqa: S606


def main() -> int:
    """Score the groups, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--group", action="append", default=[], help="a group of scripts/mutation.toml")
    parser.add_argument("--sample", type=int, help="mutants per group (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--least", type=float, default=0.0, help="exit code 1 below this share")
    parser.add_argument("--killed", type=Path, help="file of the mutants that were killed, read and written")
    parser.add_argument(
        "--page", action="store_true", help="only write the page of --killed, and try nothing"
    )
    parser.add_argument("--out", type=Path, help="write the page here")
    options = parser.parse_args()
    if not options.page:
        start_apart()
    config = tomllib.loads((ROOT / "scripts" / "mutation.toml").read_text(encoding="utf-8"))
    reasons, scores, killed = explained(config), [], Killed(options.killed)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        for group in _groups(config, options.group):
            outcomes = _score(group, options, Path(folder), killed)
            scores.append(report(group.name, outcomes, reasons))
            done = scores[-1]
            print(f"{done.name}: {done.killed:.1%} of {done.mutants - len(done.equivalent)}", *done.survivors,
                  sep="\n", flush=True)  # fmt: skip
            if options.out:
                options.out.write_text(page(scores, options.sample, options.seed, _TIMES), encoding="utf-8")
    return int(any(score.killed < options.least for score in scores))


if __name__ == "__main__":
    sys.exit(main())
