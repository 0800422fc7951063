"""A visit to a GPU against stand-ins: a step out of time loses its own rest only, and OUT.tgz is complete."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STEPS = ("doctor", "suite", "counters", "again", "gpu_tests", "summary")
# What tells the steps apart on the command line of python.
_WORDS = {
    "doctor": " doctor ",
    "suite": "/first --seconds",
    "counters": " profile ",
    "again": "/second ",
    "gpu_tests": " pytest ",
    "summary": "gpu_acceptance_summary",
}


def _stand_in(folder: Path, sleeper: str) -> Path:
    """A python that answers each step at once, but sleeps in one of them; its plan gives each step 1 s."""
    plan = "".join(f"{step}\\t1\\ttest\\n" for step in STEPS)
    python = folder / "python"
    python.write_text(
        f"""#!/bin/bash
case " $* " in
  *" -c "*) exit 0 ;;
  *gpu_acceptance_plan*) printf '{plan}' ;;
  *"{_WORDS.get(sleeper, "nothing sleeps")}"*) echo begun; sleep 60 ;;
  *gpu_acceptance_summary*) echo 'VERDICT: a page' ;;
  *) echo done ;;
esac
"""
    )
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("sleeper", ["none", *STEPS])
def test_a_step_out_of_time_loses_its_own_rest_only(tmp_path: Path, sleeper: str) -> None:
    """Every other step ends with 0, the archive holds every log, and the page ends in a verdict."""
    python = _stand_in(tmp_path, sleeper)
    command = [
        "bash",
        str(ROOT / "scripts" / "gpu_acceptance.sh"),
        str(tmp_path / "out"),
        "--python",
        str(python),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    rows = [line.split("\t") for line in (tmp_path / "out" / "steps.tsv").read_text().splitlines()[1:]]

    assert done.returncode == 0, done.stderr
    assert {row[0]: row[1] for row in rows} == {step: "124" if step == sleeper else "0" for step in STEPS}
    assert done.stdout.strip().splitlines()[-1].startswith("VERDICT: ")
    with tarfile.open(tmp_path / "out.tgz") as archive:
        names = set(archive.getnames())
    assert {f"out/{step}.log" for step in STEPS} | {"out/summary.md", "out/plan.tsv"} <= names
    if sleeper not in ("none", "summary"):
        assert (tmp_path / "out" / f"{sleeper}.out").read_text() == "begun\n"


def test_the_plan_of_an_h200_keeps_the_budget() -> None:
    """The script computes its own limits from kernels x seconds; exit code 1 if they exceed 250 s."""
    command = [sys.executable, str(ROOT / "scripts" / "gpu_acceptance_plan.py")]
    done = subprocess.run(
        [*command, str(ROOT / "scripts" / "acceptance.toml"), "sim:h200-sxm"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]

    assert done.returncode == 0, done.stderr
    assert tuple(row[0] for row in rows) == (*STEPS, "total")
    assert sum(int(row[1]) for row in rows[:-1]) == int(rows[-1][1]) <= 250


def test_pytest_prints_its_failures_when_its_time_is_up(tmp_path: Path) -> None:
    """SIGTERM ends it as Ctrl-C does: the failure before the endless test is on the screen."""
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_two.py").write_text(
        "import time\ndef test_a(): assert 1 == 2\ndef test_b(): time.sleep(60)\n"
    )
    command = ["timeout", "8", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)

    assert "FAILED test_two.py::test_a - assert 1 == 2" in done.stdout
