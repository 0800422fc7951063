"""Runs chosen tests on a changed file: in a child of a process that has imported and collected everything.

pytest collects the tests of a group once. Each mutant then costs a fork and the tests that reach its line: in
the child, functions of the changed file get their new code. A change outside functions, and one that the
forked tests did not notice, is tried again by a new pytest, which imports the changed file.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

SELECTION = "not alone and not gpu and not slow and not long"
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-m", SELECTION)


@dataclass
class Coverage:
    """Which tests reach which lines of the group's files, in the process of pytest."""

    tests: list[str]
    seconds: list[float]
    reached: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def of(self, file: str, lines: range) -> set[int]:
        """Tests that reach one of these lines."""
        return {test for line in lines for test in self.reached.get((file, line), ())}

    def of_file(self, file: str) -> set[int]:
        """Tests that reach any line of a file."""
        return {test for (name, _), tests in self.reached.items() if name == file for test in tests}

    def ordered(self, tests: set[int]) -> list[int]:
        """Modules that take least time first; a module's tests together, since they share fixtures."""
        modules: dict[str, float] = defaultdict(float)
        for test in tests:
            modules[self._module(test)] += self.seconds[test]
        return sorted(tests, key=lambda test: (modules[self._module(test)], self._module(test), test))

    def _module(self, test: int) -> str:
        return self.tests[test].partition("::")[0]


class _Recorder:
    """A tracer of the lines of some files, and a pytest plugin that says whose lines they are.

    What a fixture of a module or of the session runs is reached by every test of the module.
    """

    def __init__(self, files: dict[str, str], items: list[pytest.Item]) -> None:
        self._files = files
        self._own: list[set[tuple[str, int]]] = [set() for _ in items]
        self._shared: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._now: set[tuple[str, int]] = set()
        self.coverage = Coverage([item.nodeid for item in items], [0.0] * len(items))
        self._index = {item.nodeid: index for index, item in enumerate(items)}

    def start(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    def result(self) -> Coverage:
        """Lines to tests."""
        sys.settrace(None)
        reached: dict[tuple[str, int], set[int]] = defaultdict(set)
        for index, name in enumerate(self.coverage.tests):
            for line in self._own[index] | self._shared[name.partition("::")[0]]:
                reached[line].add(index)
        self.coverage.reached = dict(reached)
        return self.coverage

    def _call(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        name = self._files.get(frame.f_code.co_filename)
        if name is None:
            return None

        def line(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
            self._now.add((name, frame.f_lineno))
            return line

        self._now.add((name, frame.f_lineno))
        return line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now = self._own[self._index[item.nodeid]]
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Iterator[None]:
        before = self._now
        if fixturedef.scope != "function":
            self._now = self._shared[request.node.nodeid.partition("::")[0]]
        try:
            return (yield)
        finally:
            self._now = before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.coverage.seconds[self._index[report.nodeid]] += report.duration
        if report.failed:
            self.coverage.failed.append(report.nodeid)


class Server:
    """pytest's loop in place of its own: answers requests, each in a child."""

    def __init__(self, connection: Connection, tree: Path, files: list[str]) -> None:
        self._connection = connection
        self._files = {str(tree / file): file for file in files}
        self._tree = tree

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Serve until the other end closes."""
        importlib.invalidate_caches()
        while (request := self._connection.recv()) is not None:
            tests, file, limit_s = request
            begun = time.monotonic()
            pid = os.fork()
            if pid == 0:
                guarded(
                    partial(self._coverage, session) if tests is None else partial(_run, session, tests, file)
                )
            self._connection.send((waited(pid, limit_s), time.monotonic() - begun))
        return True

    def _coverage(self, session: pytest.Session) -> int:
        recorder = _Recorder(self._files, session.items)
        session.config.pluginmanager.register(recorder)
        recorder.start()
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        (self._tree / "coverage.pickle").write_bytes(pickle.dumps(recorder.result()))
        return 0


def guarded(work: Callable[[], int]) -> None:
    """Do the work of a child, and end it whatever happens."""
    code = 70
    try:
        os.setsid()
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        code = int(work())
    finally:
        os._exit(code)


class _Failures:
    """Whether a test has failed."""

    seen = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seen = self.seen or report.failed


def _run(session: pytest.Session, tests: list[int], file: Path) -> int:
    """Exit code 1 at the first test that fails with the file as it is now."""
    plant(file, functions(file.parent)[str(file)])
    failures = _Failures()
    session.config.pluginmanager.register(failures)
    items = [session.items[test] for test in tests]
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if failures.seen:
            return 1
    return 0


def functions(folder: Path) -> dict[str, list[FunctionType]]:
    """The functions of all imported files below a folder, by file."""
    found: dict[str, list[FunctionType]] = defaultdict(list)
    for one in gc.get_objects():  # by type(): isinstance asks the object, and some warn
        if type(one) is FunctionType and one.__code__.co_filename.startswith(f"{folder}/"):
            found[one.__code__.co_filename].append(one)
    return found


def plant(file: Path, known: list[FunctionType]) -> None:
    """Give the functions of an imported file the code that the file has now.

    A function is known by its qualified name and first line, so the lines must be the same.
    """
    table: dict[tuple[str, int], CodeType] = {}

    def collect(code: CodeType) -> None:
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                table[constant.co_qualname, constant.co_firstlineno] = constant
                collect(constant)

    collect(compile(file.read_bytes(), str(file), "exec", dont_inherit=True))
    for found in known:
        code = table.get((found.__code__.co_qualname, found.__code__.co_firstlineno))
        if code is not None and code.co_freevars == found.__code__.co_freevars:
            found.__code__ = code


def waited(pid: int, limit_s: float) -> int | None:
    """The exit code of a child that leads its session; None for one that was ended at its limit."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def enter(tree: Path) -> None:
    """Make this process one that works in a tree: silent, on one core, with the tree first on its path."""
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    os.chdir(tree)
    os.environ.update(PYTHONPATH=str(tree), OMP_NUM_THREADS="1")
    sys.path.insert(0, str(tree))


def serve_collected(connection: Connection, tree: Path, tests: list[str], files: list[str]) -> None:
    """A process that has the tests of a group collected; its end is an exit code of pytest on the pipe."""
    enter(tree)
    scratch = f"--basetemp={tree.parent / (tree.name + '-collected')}"
    code = pytest.main([*_OPTIONS, scratch, *tests], plugins=[Server(connection, tree, files)])
    connection.send((int(code), 0.0))


def serve_new(connection: Connection, tree: Path, libraries: list[str]) -> None:
    """A process that has the libraries imported; children of it collect and run the tests asked for."""
    enter(tree)
    for name in libraries:
        importlib.import_module(name)
    scratch = f"--basetemp={tree.parent / (tree.name + '-new')}"
    while (request := connection.recv()) is not None:
        names, _, limit_s = request
        pid = os.fork()
        if pid == 0:
            guarded(partial(pytest.main, [*_OPTIONS, scratch, *names]))
        begun = time.monotonic()
        connection.send((waited(pid, limit_s), time.monotonic() - begun))
