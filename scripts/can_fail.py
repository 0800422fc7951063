#!/usr/bin/env python3
"""Which tests can fail: runs each with faults planted in the lines that it reaches, until one makes it fail.

    scripts/can_fail.py --out docs/measured/can_fail.md        # all modules: hours
    scripts/can_fail.py tests/gate/test_judge.py               # some modules
    scripts/can_fail.py --seen FILE ...                        # goes on where a run was ended

A test has been seen to fail if it raised in its own body (not in a fixture) with a fault planted that is not
there in the tree; by an assertion, or by another exception. Exit code 1 if one was not, 2 where no PID
namespace can be made. Faults that scripts/can_fail.toml lists come first. Tests that need a GPU or minutes
are left out; of those that are long or run alone, one example is enough.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import Queue
from random import Random

from can_fail_by_hand import Fault, faults, raised
from can_fail_page import page
from can_fail_record import ASSERTIONS, BY_HAND, Record, Seen
from can_fail_tests import Place, Result, Runner
from coarse_mutants import coarse_mutants
from mutants import Mutant, mutants, statements
from mutation import copy_of_tree, start_apart
from mutation_page import ROOT
from mutation_tests import SELECTION

_TRIES, _FEWER_TRIES, _SECONDS_PER_TEST, _SECONDS_PER_RUN = 40, 15, 45.0, 5.0
"""Fewer for an example of a test of which another was seen to fail, and where fixtures are made each time."""
_REST = "(alone or long) and not (gpu or slow)"
_LEFT_OUT = "Tests that need a GPU, and those that take minutes each, were not tried."
_SLACK_S, _TIMES = 20.0, 6.0
"""A run with a fault may take so many times as long as without; longer says nothing about a test."""


@cache
def _faults(tree: Path, file: str) -> dict[int, list[Mutant]]:
    """Faults of a file by the first line of their statement, those outside functions left out."""
    lines = statements((tree / file).read_bytes())
    found: dict[int, list[Mutant]] = defaultdict(list)
    for mutant in (*mutants(tree, file), *coarse_mutants(tree, file)):
        if mutant.line in lines:
            found[lines[mutant.line]].append(mutant)
    return found


class Module:
    """The tests of one module and the search for a fault that each notices."""

    def __init__(self, runner: Runner, tests: list[int], seed: int) -> None:
        self._runner, self._tests, self._random = runner, tests, Random(seed)
        self._known: dict[int, Result] = {}
        self._shared: set[Place] = set()
        self._lines: dict[int, set[Place]] = {}
        self._reach: dict[Place, set[int]] = {}

    def judged(self) -> Iterator[Seen]:
        """Each test once: as soon as it is seen to fail, or when its tries are used up.

        First with faults in the lines that tests run themselves, then in those of the fixtures they share.
        """
        self._known, self._shared = self._runner.traced(self._tests, 900.0)
        names = self._runner.tests
        unable = {test: self._unable(test) for test in self._tests}
        yield from (Seen(names[test], note=note) for test, note in unable.items() if note)
        self._open = {test for test in self._tests if not unable[test]}
        self._weak: dict[int, Seen] = {}
        self._failed: set[str] = set()
        warm = not self._runner.with_browser & set(self._tests)
        steady = self._steady() if warm else self._open
        yield from self._searched({test: self._known[test].reached for test in steady}, warm=warm)
        own = {test: self._known[test].reached for test in self._never() - steady}
        yield from self._searched(own, warm=False)
        yield from self._searched(dict.fromkeys(self._never(), self._shared), warm=False)
        for test in sorted(self._open):
            yield self._weak.get(test, Seen(names[test]))

    def _searched(self, lines: dict[int, set[Place]], *, warm: bool) -> Iterator[Seen]:
        self._lines, self._warm = lines, warm
        self._reach = defaultdict(set)
        for test, places in lines.items():
            for place in places:
                self._reach[place].add(test)
        for test in sorted(lines):
            if test in self._open:
                yield from self._search(test)

    def _steady(self) -> set[int]:
        """Tests that pass again, without a fault, where the module has run: a failure is then the fault's."""
        seconds = sum(self._known[test].seconds for test in self._open)
        again = self._runner.tried(sorted(self._open), None, _SLACK_S + _TIMES * seconds, warm=True)
        return {test for test, result in again.items() if result.raised is None and not result.spoiled}

    def _never(self) -> set[int]:
        """Tests of which no example was seen to fail."""
        return {test for test in self._open if self._function(test) not in self._failed}

    def _unable(self, test: int) -> str:
        result = self._known.get(test)
        if result is None:
            return "did not end while its lines were recorded"
        if result.raised or result.spoiled:
            return f"skipped, or fails while its lines are recorded ({result.raised})"
        return "" if result.reached or self._shared else "runs no line of the package or the scripts"

    def _search(self, test: int) -> Iterator[Seen]:
        ends = time.monotonic() + _SECONDS_PER_TEST
        tries = 0
        most = _TRIES if self._warm and self._function(test) not in self._failed else _FEWER_TRIES
        for mutant, reach in self._candidates(test):
            if tries >= most or time.monotonic() > ends:
                break
            tries += 1
            for found, result in self._try(test, mutant, reach).items():
                if result.raised is None or result.spoiled or found not in self._open:
                    continue
                was, became = mutant.shown((self._runner.tree / mutant.file).read_bytes())
                place = f"{mutant.file}:{mutant.line}"
                row = Seen(self._runner.tests[found], result.raised, place, was, became)
                if result.raised in ASSERTIONS:
                    self._open.discard(found)
                    self._failed.add(self._function(found))
                    yield row
                else:
                    self._weak.setdefault(found, row)
            if test not in self._open:
                return

    def _candidates(self, test: int) -> Iterator[tuple[Mutant, set[int]]]:
        """Faults a test reaches: one of each statement in turn, what few tests reach first."""
        folder = self._runner.tests[test].split("/")[1]
        ranked = sorted(
            self._lines[test],
            key=lambda place: (
                len(self._functions(self._reach[place])) * (1 if f"/{folder}/" in place[0] else 2),
                self._random.random(),
            ),
        )
        pools = []
        for file, line in ranked:
            pool = _faults(self._runner.tree, file).get(line, [])
            if pool:
                pools.append((self._random.sample(pool, len(pool)), self._reach[file, line]))
        for turn in range(3):
            yield from ((pool[turn], reach) for pool, reach in pools if turn < len(pool))

    def _functions(self, tests: set[int]) -> set[str]:
        return {self._function(test) for test in tests}

    def _function(self, test: int) -> str:
        return self._runner.tests[test].partition("[")[0]

    def _try(self, test: int, mutant: Mutant, reach: set[int]) -> dict[int, Result]:
        """Run a test with a fault, and with it others that wait and reach the same line."""
        chosen, seconds = [test], self._known[test].seconds
        limit_s = max(_SECONDS_PER_RUN, seconds)
        for other in sorted(reach & self._open - {test}, key=lambda t: self._known[t].seconds):
            seconds += self._known[other].seconds + 0.005
            if seconds > limit_s:
                break
            chosen.append(other)
        return self._runner.tried(sorted(chosen), mutant, _SLACK_S + _TIMES * seconds, warm=self._warm)


def _modules(tests: list[str], left_out: set[str]) -> dict[str, list[int]]:
    """Tests by module, without those whose name, with or without its example, is left out."""
    found: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(tests):
        if not left_out & {name, name.partition("[")[0]}:
            found[name.partition("::")[0]].append(index)
    return found


def _quick_first(modules: dict[str, list[int]], with_browser: set[int]) -> list[str]:
    """The modules that take longest are the first of the tests; a browser is started for each fault."""
    backwards = list(modules)
    backwards.reverse()
    return sorted(backwards, key=lambda name: bool(with_browser & set(modules[name])))


def _plant_by_hand(options: argparse.Namespace, record: Record, folder: Path) -> None:
    """Faults of the list whose tests were not seen to fail before; a line for each that does not now."""
    trees: Queue[Path] = Queue()
    for number in range(options.jobs):
        trees.put(copy_of_tree(folder / str(number) / "tree"))

    def plant(fault: Fault) -> None:
        wanted = [t for t in fault.tests if not record.has(t) and t.startswith(tuple(options.modules))]
        if not wanted:
            return
        tree = trees.get()
        try:
            found = dict(raised(tree, fault, wanted))
        finally:
            trees.put(tree)
        for test, name in found.items():
            record.add(Seen(test, name, fault.place, fault.old or "", fault.new or "", BY_HAND))
        for test in wanted:
            if not record.has(test):
                print(f"{test} does not fail where {fault.place} reads {fault.new!r}", flush=True)

    with ThreadPoolExecutor(options.jobs) as threads:
        list(threads.map(plant, faults()))


def _judge(options: argparse.Namespace, record: Record, folder: Path, marks: str, left_out: set[str]) -> None:
    runners = [
        Runner(copy_of_tree(folder / f"tree-{i}"), ["-m", marks, *options.modules])
        for i in range(options.jobs)
    ]
    modules = _modules(runners[0].tests, left_out)
    free: Queue[Runner] = Queue()
    for runner in runners:
        free.put(runner)

    def judge(name: str) -> None:
        runner, begun, count = free.get(), time.monotonic(), 0
        try:
            for row in Module(runner, modules[name], options.seed).judged():
                record.add(row)
                count += row.raised is not None
        finally:
            free.put(runner)
        print(f"{name}: {count} of {len(modules[name])} in {time.monotonic() - begun:.0f} s", flush=True)

    try:
        with ThreadPoolExecutor(options.jobs) as threads:
            list(threads.map(judge, _quick_first(modules, runners[0].with_browser)))
    finally:
        for runner in runners:
            runner.end()


def main() -> int:
    """Judge the tests, print those that were not seen to fail, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("modules", nargs="*", default=["tests"], help="files or folders of tests")
    parser.add_argument("--seed", type=int, default=0, help="draws the order of the faults")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="copies of the tree that work")
    parser.add_argument("--seen", type=Path, help="file of what was seen before, read and written")
    parser.add_argument("--out", type=Path, help="write the page here")
    options = parser.parse_args()
    for name in options.modules:
        if not (ROOT / name).exists():
            parser.error(f"{name}: no such file or folder below {ROOT}")
    start_apart()
    record = Record(options.seen)
    with tempfile.TemporaryDirectory(prefix="can-fail-") as folder:
        _plant_by_hand(options, record, Path(folder) / "by-hand")
        _judge(options, record, Path(folder) / "quick", SELECTION, set(record.seen))
        _judge(options, record, Path(folder) / "rest", _REST, set(record.seen) | record.failed())
    missing = {row.function for row in record.seen.values()} - record.failed()
    for test in sorted(missing):
        print(f"never failed: {test}")
    if options.out:
        options.out.write_text(page(record.seen.values(), _LEFT_OUT), encoding="utf-8")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
