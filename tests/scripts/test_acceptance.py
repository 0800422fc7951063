"""scripts/acceptance with stand-ins for what it starts: which parts run, and what one that fails costs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "acceptance"


def _run(tree: Path, *arguments: str, fails: str = "none") -> tuple[int, list[str]]:
    """The exit code, and the command lines that were started, each by its last words."""
    for folder in ("scripts", "docs/measured", "bin"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tree / "scripts")
    log = tree / "log"
    for path in (tree / "bin" / "python3", tree / "scripts" / "prolog_simulation.sh"):
        path.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> {log}\ncase "$*" in *{fails}*) exit 7;; esac\n')
        path.chmod(0o755)
    variables = {**os.environ, "PATH": f"{tree / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(tree / "scripts" / "acceptance"), *arguments], env=variables, capture_output=True, check=False
    )
    return done.returncode, log.read_text().splitlines()


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        (("tests/test_fuzz.py", "-x"), ["python3 -m pytest -m slow -q tests/test_fuzz.py -x"]),
        (("reliability",), ["python3 scripts/reliability.py"]),
        (("select", "prolog"), ["python3 scripts/gate_select.py", "prolog_simulation.sh "]),
        (("can-fail",), ["python3 scripts/can_fail.py --out docs/measured/can_fail.md"]),
        (("select", "-x"), ["python3 scripts/gate_select.py", "python3 -m pytest -m slow -q -x"]),
    ],
)
def test_the_parts_that_are_named_run(tmp_path: Path, arguments: tuple[str, ...], started: list[str]) -> None:
    """In the order of the command line; anything else goes to pytest."""
    assert _run(tmp_path, *arguments) == (0, started)


def test_a_part_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    """Without a name all six run; the exit code is 1 if any failed, also one whose output is copied."""
    code, started = _run(tmp_path, fails="pytest")

    assert code == 1
    assert [line.split()[-1] if "pytest" in line else line.split()[0] for line in started[:2]] == [
        "-q", "prolog_simulation.sh"
    ]  # fmt: skip
    assert [line.split()[1] for line in started[2:]] == [
        "scripts/gate_select.py", "scripts/reliability.py", "scripts/mutation.py", "scripts/can_fail.py"
    ]  # fmt: skip
