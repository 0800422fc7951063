"""Faults written by hand, for tests of data, pages and documents: edits and the tests that must fail.

scripts/can_fail.toml lists them. Each is planted in a copy of the tree, and a new pytest runs its tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutation_page import ROOT

FAULTS = ROOT / "scripts" / "can_fail.toml"
_PLUGIN = """import json, os
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and call.when == "call":
        with open(os.environ["CAN_FAIL_RAISED"], "a") as file:
            file.write(json.dumps((item.nodeid, call.excinfo.typename)) + "\\n")
    return report
"""


@dataclass(frozen=True)
class Fault:
    """Replace `old`, found once in a file, by `times` times `new`; `tests` are ids, with or without example.

    A new file has no `old`, and a file that is taken away has neither.
    """

    file: str
    tests: list[str]
    old: str | None = None
    new: str | None = None
    times: int = 1

    @property
    def place(self) -> str:
        """`file:line` in the tree as it is; ValueError where the text is not there once."""
        if self.old is None:
            return self.file
        text = (ROOT / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times {self.old!r}, not once")
        return f"{self.file}:{text[: text.index(self.old)].count(chr(10)) + 1}"

    @contextmanager
    def planted(self, tree: Path) -> Iterator[None]:
        """The fault is in the tree for a while."""
        file = tree / self.file
        kept = file.read_bytes() if file.exists() else None
        if self.new is None and self.old is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            text = (kept or b"").decode()
            new = (self.new or "") * self.times
            file.write_text(new if self.old is None else text.replace(self.old, new), encoding="utf-8")
        try:
            yield
        finally:
            if kept is None:
                file.unlink()
            else:
                file.write_bytes(kept)


def faults() -> list[Fault]:
    """All that are written down."""
    return [Fault(**row) for row in tomllib.loads(FAULTS.read_text(encoding="utf-8"))["fault"]]


def raised(tree: Path, fault: Fault, tests: list[str]) -> Iterator[tuple[str, str]]:
    """Which of the tests raised in their own body with the fault planted, and what they raised."""
    out = tree.with_name("raised")
    (tree.parent / "can_fail_plugin.py").write_text(_PLUGIN)
    out.unlink(missing_ok=True)
    variables = {
        **os.environ,
        "PYTHONPATH": f"{tree}{os.pathsep}{tree.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CAN_FAIL_RAISED": str(out),
    }
    with fault.planted(tree):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "can_fail_plugin", "-p", "no:cacheprovider"]
        subprocess.run([*command, *tests], cwd=tree, env=variables, capture_output=True, check=False)
    for line in out.read_text().splitlines() if out.exists() else ():
        test, name = json.loads(line)
        yield test, name
