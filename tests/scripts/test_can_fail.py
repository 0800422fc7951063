"""The job that looks for a fault that each test notices: what it plants, what counts, and what it writes."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
CODE = '''"""Text."""

def told(count: int) -> str:
    """At least 2."""
    if count < 2:
        raise ValueError(f"only {count} of 2\\n")
    print("told")
    return (
        "Many"
    )
'''
TESTS = """
import pytest
from quantroof.told import told

@pytest.fixture(scope="module")
def many():
    return told(3)

def test_word(many):
    assert many == "Many"

def test_refusal():
    with pytest.raises(ValueError, match="only 1 of 2"):
        told(1)

def test_nothing():
    assert told

def test_once(been=[]):
    been.append(1)
    assert len(been) == 1
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, imported from its folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("can_fail")


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_words_results_and_statements_are_changed(script: ModuleType, tmp_path: Path) -> None:
    """Fields of a text and its escapes stay, and so does the number of lines; docstrings are left alone."""
    (tmp_path / "x.py").write_text(CODE)
    found = [
        (m.line, m.applied(CODE.encode()).decode().splitlines()[m.line - 1].strip())
        for m in script.coarse_mutants(tmp_path, "x.py")
    ]

    assert found == [
        (6, "pass"),
        (6, 'raise ValueError(f"ONLY {count} OF 3\\n")'),
        (7, "pass"),
        (7, 'print("TOLD")'),
        (8, "return None"),
        (9, '"mANY"'),
    ]
    assert all(
        m.applied(CODE.encode()).count(b"\n") == CODE.count("\n")
        for m in script.coarse_mutants(tmp_path, "x.py")
    )


def test_a_line_belongs_to_the_innermost_statement(script: ModuleType) -> None:
    """A fault in line 9 is planted for a test that reached line 8; line 1 is in no function."""
    lines = script.statements(CODE.encode())

    assert {line: lines.get(line) for line in (1, 5, 6, 9, 10)} == {1: None, 5: 5, 6: 6, 9: 8, 10: 8}


def test_faults_are_found_by_the_lines_that_a_test_runs(tmp_path: Path) -> None:
    """Each test has its lines, and the module those of its fixture, which are made again for a cold run only.

    A test that compares raises an AssertionError, one that misses an exception pytest's Failed, and one whose
    fixture fails says nothing about the test. One that fails when it runs a second time in a process does so
    without a fault.
    """
    tree = tmp_path / "tree"
    for name, text in (("quantroof/__init__.py", ""), ("quantroof/told.py", CODE), ("test_told.py", TESTS)):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "scripts").mkdir()
    (tree / "scripts" / "can_fail_trace.py").write_text((SCRIPTS / "can_fail_trace.py").read_text())
    code = f"""if True:
        import json, sys
        from pathlib import Path
        sys.path.insert(0, {str(SCRIPTS)!r})
        from can_fail_tests import Runner
        from coarse_mutants import coarse_mutants
        runner = Runner(Path({str(tree)!r}), ["-p", "no:hypothesispytest"])
        results, shared = runner.traced([0, 1, 2, 3], 60)
        word = coarse_mutants(runner.tree, "quantroof/told.py")[-1]
        refusal = coarse_mutants(runner.tree, "quantroof/told.py")[0]
        def tried(mutant, warm):
            found = runner.tried([0, 1, 2, 3], mutant, 60, warm=warm)
            return [found[test].raised if not found[test].spoiled else "spoiled" for test in (0, 1, 2, 3)]
        print(json.dumps([
            runner.tests, [sorted(results[test].reached) for test in (0, 1, 2, 3)], sorted(shared),
            tried(None, True), tried(word, True), tried(refusal, True), tried(word, False),
        ]))
        runner.end()"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    once = "AssertionError"
    tests, own, shared, nothing, word_warm, refusal, word_cold = json.loads(done.stdout)

    assert tests == [f"test_told.py::test_{name}" for name in ("word", "refusal", "nothing", "once")]
    assert own == [[], [["quantroof/told.py", line] for line in (5, 6)], [], []]
    assert {line for _, line in shared} >= {5, 7, 9}
    assert nothing == [None, None, None, once]
    assert word_warm == [None, None, None, once]
    assert word_cold == ["AssertionError", None, None, None]
    assert refusal == [None, "Failed", None, once]
    assert (tree / "quantroof" / "told.py").read_text() == CODE


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ({"old": "2\n", "new": "3"}, "1\n33"),
        ({"new": "x"}, "xx"),
        ({}, None),
    ],
)
def test_a_fault_by_hand_is_in_the_tree_for_a_while(
    script: ModuleType, tmp_path: Path, written: dict[str, str], held: str | None
) -> None:
    """A text that is replaced, a file that is written, one that is taken away."""
    file = tmp_path / "data.txt"
    file.write_text("1\n2\n")
    with _module("can_fail_by_hand").Fault("data.txt", [], times=2, **written).planted(tmp_path):
        inside = file.read_text() if file.exists() else None

    assert (inside, file.read_text()) == (held, "1\n2\n")


def test_every_fault_by_hand_has_its_place(script: ModuleType) -> None:
    """The text that it replaces stands once in its file, and its tests are there."""
    root = SCRIPTS.parent
    for fault in _module("can_fail_by_hand").faults():
        assert fault.place
        for test in fault.tests:
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}(" in (root / file).read_text(encoding="utf-8"), test


def test_more_is_kept_of_what_was_seen(script: ModuleType, tmp_path: Path) -> None:
    """An assertion takes the place of another exception, which takes that of nothing; never the reverse."""
    seen = script.Record(tmp_path / "seen.jsonl")
    for raised in (None, "TypeError", None, "AssertionError", "TypeError"):
        seen.add(script.Seen("tests/a/test_b.py::test_c[1]", raised))

    (row,) = script.Record(tmp_path / "seen.jsonl").seen.values()
    assert row.raised == "AssertionError"
    assert len((tmp_path / "seen.jsonl").read_text().splitlines()) == 3
    assert seen.failed() == {"tests/a/test_b.py::test_c"}


def test_the_page_counts_tests_and_examples(script: ModuleType) -> None:
    """A test counts by its best example; one of which none failed is listed with its reason."""
    rows = [
        script.Seen("tests/a/test_b.py::test_c[1]", "AssertionError"),
        script.Seen("tests/a/test_b.py::test_c[2]"),
        script.Seen("tests/a/test_b.py::test_d", "TypeError"),
        script.Seen("tests/test_e.py::test_f", note="skipped"),
    ]
    text = script.page(rows, "Others were not tried.")

    assert "| a | 2 | 1 | 1 | 0 | 3 | 2 |" in text
    assert "| . | 1 | 0 | 0 | 1 | 1 | 0 |" in text
    assert "| all | 3 | 1 | 1 | 1 | 4 | 2 |" in text
    assert "| tests/test_e.py::test_f | skipped |" in text
    assert text.count("tests/a/test_b.py") == 0
