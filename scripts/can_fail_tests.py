"""Runs chosen tests, as they are or with a fault planted, in forks of a process that collected them."""

from __future__ import annotations

import gc
import importlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext
from pathlib import Path

import pytest
from can_fail_trace import SINK, SITECUSTOMIZE, TREE, Tracer
from mutants import Mutant
from mutation_tests import enter, functions, guarded, plant, waited

Place = tuple[str, int]
SHARED = "shared"


@dataclass
class Result:
    """What one test did: seconds, lines it reached, and the name of what it raised in its own body."""

    seconds: float = 0.0
    raised: str | None = None
    spoiled: bool = False
    """Its fixtures failed, or it was skipped."""
    reached: set[Place] = field(default_factory=set)


class _Report:
    """A pytest plugin that writes a line for each phase of each test, so that a killed child leaves some."""

    def __init__(self, items: list[pytest.Item], out: Path, tracer: Tracer | None) -> None:
        self._numbers = {item: index for index, item in enumerate(items)}
        self._out, self._tracer = out, tracer

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._sink(str(self._numbers[item]))
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        before = os.environ.get(SINK)
        self._sink(SHARED)
        try:
            return (yield)
        finally:
            self._sink(before.rpartition("-")[2] if before else SHARED)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report: pytest.TestReport = yield
        raised = call.excinfo.typename if call.excinfo is not None and report.failed else None
        row = (self._numbers[item], call.when, report.outcome, call.duration, raised)
        with self._out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return report

    def _sink(self, name: str) -> None:
        if self._tracer is not None:
            os.environ[SINK] = f"{self._out}-{name}"
            self._tracer.begin(os.environ[SINK])


class _Server:
    """pytest's loop in place of its own.

    The process that has collected answers `cold` requests: each child makes the fixtures of its module again.
    `open` forks a process that runs a module and keeps its fixtures; it answers `warm` requests, on a pipe of
    its own.
    """

    def __init__(self, cold: Connection, warm: Connection, tree: Path) -> None:
        self._cold, self._warm, self._tree = cold, warm, tree

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        importlib.invalidate_caches()
        gc.collect()
        self._functions = functions(self._tree)
        gc.freeze()  # a child then looks only at what it makes itself
        self._items = session.items
        self._cold.send(
            [(item.nodeid, "browser" in getattr(item, "fixturenames", ())) for item in session.items]
        )
        opened = None
        while (request := self._cold.recv()) is not None:
            if opened is not None:
                with suppress(ProcessLookupError):
                    os.killpg(opened, signal.SIGKILL)
                os.waitpid(opened, 0)
                opened = None
            if request[0] == "open":
                opened = self._child(partial(self._keep, *request[1:]))
            elif request[0] == "cold":
                self._cold.send(self._answered(*request[1:]))
        return True

    def _child(self, work: Callable[[], int]) -> int:
        pid = os.fork()
        if pid == 0:
            guarded(work)
        return pid

    def _answered(self, tests: list[int], planted: Path | None, out: Path, limit_s: float) -> int | None:
        return waited(self._child(partial(self._run, tests, planted, out)), limit_s)

    def _keep(self, tests: list[int], out: Path) -> int:
        """Run a module traced, then answer with children that find its fixtures made."""
        os.environ[TREE] = str(self._tree)
        tracer = Tracer(self._tree)
        report = _Report([self._items[test] for test in tests], out, tracer)
        self._items[0].config.pluginmanager.register(report)
        tracer.start()
        self._protocol([self._items[test] for test in tests])
        tracer.stop()
        self._items[0].config.pluginmanager.unregister(report)
        for name in (TREE, SINK):
            os.environ.pop(name, None)
        gc.freeze()
        self._warm.send(0)
        while True:  # until the other end closes
            self._warm.send(self._answered(*self._warm.recv()))

    def _run(self, tests: list[int], planted: Path | None, out: Path) -> int:
        if planted is not None:
            known = self._functions.get(str(planted)) or functions(self._tree).get(str(planted), [])
            plant(planted, known)
        items = [self._items[test] for test in tests]
        self._items[0].config.pluginmanager.register(_Report(items, out, None))
        self._protocol(items)
        return 0

    def _protocol(self, items: list[pytest.Item]) -> None:
        for item, following in zip(items, [*items[1:], items[0]], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _serve(
    cold: Connection, warm: Connection, others: tuple[Connection, ...], tree: Path, arguments: list[str]
) -> None:
    for connection in others:
        connection.close()
    enter(tree)
    site = tree.with_name(tree.name + "-site")
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE)
    os.environ["PYTHONPATH"] = f"{site}{os.pathsep}{tree}"
    sys.path.insert(1, str(tree / "scripts"))
    scratch = f"--basetemp={tree.with_name(tree.name + '-tests')}"
    server = _Server(cold, warm, tree)
    cold.send(int(pytest.main(["-q", "-p", "no:cacheprovider", scratch, *arguments], plugins=[server])))


class Runner:
    """A copy of the tree with its tests collected."""

    def __init__(self, tree: Path, arguments: list[str]) -> None:
        self.tree = tree
        self._arguments = arguments
        self._out = tree.with_name(tree.name + "-results")
        self._start()

    def _start(self) -> None:
        """Collect the tests; again where a fault has ended the process that had them."""
        context = ForkContext()
        self._cold, theirs = context.Pipe()
        self._warm, others = context.Pipe()
        ours = (self._cold, self._warm)  # closed there, so that every process sees the end of this one
        arguments = (theirs, others, ours, self.tree, self._arguments)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        others.close()
        answer = self._cold.recv()
        if isinstance(answer, int):
            raise SystemExit(f"the tests cannot be collected: exit code {answer} of pytest")
        self.tests = [name for name, _ in answer]
        self.with_browser = {number for number, (_, browser) in enumerate(answer) if browser}
        """Tests whose fixture is a connection that forks cannot share."""
        self._kept = False

    def traced(self, tests: list[int], limit_s: float) -> tuple[dict[int, Result], set[Place]]:
        """Run a module's tests as the tree is: their lines, and those of the fixtures that they share."""
        out = self._new_out()
        while self._warm.poll(0):
            self._warm.recv()
        self._cold.send(("open", tests, out))
        try:
            self._kept = self._warm.poll(limit_s) and self._warm.recv() == 0
        except (EOFError, ConnectionError):
            self._start_again()
        results = _read(out, tests)
        for index, test in enumerate(tests):
            if test in results:
                results[test].reached = _reached(out.with_name(f"{out.name}-{index}"))
        return results, _reached(out.with_name(f"{out.name}-{SHARED}"))

    def tried(
        self, tests: list[int], mutant: Mutant | None, limit_s: float, *, warm: bool
    ) -> dict[int, Result]:
        """Run tests with a fault in the tree, or without; `warm` keeps the fixtures that were made before."""
        out, ended = self._new_out(), False
        with self._planted(mutant) as file:
            try:
                if warm:
                    self._ask_warm(tests, file, out, limit_s)
                else:
                    self._kept = False
                    self._cold.send(("cold", tests, file, out, limit_s))
                    self._cold.recv()
            except (EOFError, ConnectionError):
                ended = True
        if ended:
            self._start_again()
        return _read(out, tests)

    @contextmanager
    def _planted(self, mutant: Mutant | None) -> Iterator[Path | None]:
        if mutant is None:
            yield None
            return
        file = self.tree / mutant.file
        source, kept = file.read_bytes(), file.stat()
        file.write_bytes(mutant.applied(source))
        try:
            yield file
        finally:
            file.write_bytes(source)
            os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    def _ask_warm(self, tests: list[int], file: Path | None, out: Path, limit_s: float) -> None:
        if self._kept:
            self._warm.send((tests, file, out, limit_s))
            self._kept = self._warm.poll(limit_s + 30)
        if self._kept:
            self._warm.recv()

    def _new_out(self) -> Path:
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir()
        return self._out / "reports"

    def _start_again(self) -> None:
        self.end()
        self._start()

    def end(self) -> None:
        """End the processes."""
        self._cold.close()
        self._warm.close()
        self._process.kill()
        self._process.join()


def _read(out: Path, tests: list[int]) -> dict[int, Result]:
    results: dict[int, Result] = {}
    for line in out.read_text().splitlines() if out.exists() else ():
        index, when, outcome, seconds, raised = json.loads(line)
        result = results.setdefault(tests[index], Result())
        result.seconds += seconds
        result.spoiled |= outcome == "skipped" or (outcome == "failed" and when != "call")
        result.raised = raised if when == "call" else result.raised
    return results


def _reached(sink: Path) -> set[Place]:
    return {_place(row) for row in sink.read_text().splitlines()} if sink.exists() else set()


def _place(row: str) -> Place:
    name, _, line = row.rpartition(":")
    return name, int(line)
