"""Which tests a selection holds: long and slow ones only where they are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import listed_as_long

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("expression", "has_long"), [("not gpu", False), ("(not gpu) and (long or not long)", True)]
)
def test_long_tests_are_collected_where_the_expression_names_them(expression: str, has_long: bool) -> None:
    """./run_tests.sh leaves them out, ./run_tests.sh --all and CI do not; slow ones stay out of both."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", expression]
    files = ["tests/bench/test_exploits.py", "tests/cli/test_interrupted_run.py"]
    listed = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert "test_no_exploit_is_accepted[plants]" in listed
    assert ("test_no_exploit_is_accepted[process]" in listed) == has_long
    assert "[49]" not in listed


@pytest.mark.long
def test_the_list_of_long_tests_names_tests_that_exist() -> None:
    """A test or an example that was renamed would silently come back into the quick suite."""
    listed = listed_as_long()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "long or not long"]
    files = sorted({line.partition("::")[0] for line in listed})
    shown = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    collected = set(shown.splitlines())

    assert set(listed) - collected - {line.partition("[")[0] for line in collected} == set()
