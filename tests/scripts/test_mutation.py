"""The job that plants faults: which ones it plants, and that the tests run on the planted code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
CODE = '''"""Text 5."""
LIMIT = 3

def within(values: tuple[int, ...] = (), least: int = 2) -> bool:
    """At least 2."""
    if len(values) >= LIMIT and not values[0]:
        return True
    return min(values, default=0) * least > 0.5
'''


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """The modules mutants and mutation_tests, imported from their folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    found = []
    for name in ("mutants", "mutation_tests"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        found.append(importlib.import_module(name))
    return found[0], found[1]


def test_each_decision_of_a_file_is_changed(scripts: tuple[ModuleType, ModuleType], tmp_path: Path) -> None:
    """Comparisons with a count get their boundary too; text and annotations are left alone."""
    (tmp_path / "x.py").write_text(CODE)
    found = [(m.line, m.old, m.new) for m in scripts[0].mutants(tmp_path, "x.py")]

    assert found == [
        (2, "3", "4"),
        (4, "2", "3"),
        (6, ">=", "<"),
        (6, ">=", ">"),
        (6, "and", "or"),
        (6, "not ", ""),
        (6, "0", "1"),
        (7, "True", "False"),
        (8, "min", "max"),
        (8, "0", "1"),
        (8, "*", "/"),
        (8, ">", "<="),
        (8, "0.5", "0.75"),
    ]


def test_a_mutant_is_tried_on_the_tests_of_its_statement(
    scripts: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    """A constant of the module has no statement of a function: every test of the file is tried."""
    (tmp_path / "x.py").write_text(CODE)
    places = {m.line: scripts[0].statement(CODE.encode(), m) for m in scripts[0].mutants(tmp_path, "x.py")}

    assert places[2] is None
    assert places[6] == range(6, 7)
    assert places[8] == range(8, 9)


def test_an_imported_function_gets_the_code_of_its_changed_file(
    scripts: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    """Also where another module holds the function: it is changed in place."""
    file = tmp_path / "planted.py"
    file.write_text(CODE)
    spec = importlib.util.spec_from_file_location("planted", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    within = module.within
    before = within((1,))
    file.write_text(CODE.replace("* least", "- least"))
    scripts[1].plant(file, [within])

    assert (before, within((1,))) == (True, False)


def test_tests_that_reach_a_line_come_in_the_order_of_their_modules_time(
    scripts: tuple[ModuleType, ModuleType],
) -> None:
    """A module's tests stay together, for they share fixtures; the module that takes least comes first."""
    coverage = scripts[1].Coverage(
        ["a::slow", "b::quick", "a::slower", "b::quicker"], [3.0, 1.0, 0.1, 1.0],
        {("x.py", 1): {0, 1}, ("x.py", 2): {2, 3}, ("y.py", 1): {1}},
    )  # fmt: skip

    assert coverage.of("x.py", range(2, 3)) == {2, 3}
    assert coverage.of_file("y.py") == {1}
    assert coverage.ordered({0, 1, 2, 3}) == [1, 3, 0, 2]
