"""The first visit to a new kind of GPU: two commands, an archive, one page that ends in a verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.bench.selftest.process import Answer
from quantroof.bench.selftest.run import counts, read_answers
from tests.builders import write
from tests.cli.processes import tiny_suite
from tests.runs import gpu_run

ROOT = Path(__file__).parent.parent.parent
SUITE = tiny_suite("fp32 int4-w4a16", m="1", n=64, k=256)


def _bring_up(folder: Path, python: Path, *more: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "gpu_bringup.sh"
    command = ["bash", str(script), str(folder / "out"), "--python", str(python), "--device", "cpu", *more]
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)


def _packed(folder: Path) -> set[str]:
    with tarfile.open(folder / "out.tgz") as archive:
        return {name.removeprefix("out/") for name in archive.getnames()}


def test_a_bring_up_of_this_cpu_works(tmp_path: Path) -> None:
    """For real: every check of the self-test and a run are right, and the archive has all of it."""
    (tmp_path / "tiny.toml").write_text(SUITE)
    done = _bring_up(tmp_path, Path(sys.executable), "--suite", str(tmp_path / "tiny.toml"))
    page = done.stdout.splitlines()
    groups = counts(read_answers(tmp_path / "out" / "selftest.jsonl"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert page[-1] == "VERDICT: everything that was tried works"
    assert len(page) <= 60
    assert groups["correct"][0] >= 30
    assert all(groups[group][0] for group in ("imports", "timers", "ceilings"))
    assert any(line.startswith("- matrix fp32 torch.linear: ") for line in page)
    assert {"selftest.jsonl", "machine.txt", "summary.md", "steps.tsv", "run/run.jsonl"} <= _packed(tmp_path)


@pytest.mark.parametrize("sleeper", ["doctor", "run"])
def test_a_step_out_of_time_does_not_end_the_visit(tmp_path: Path, sleeper: str) -> None:
    """Its own limit is part of the script; the page names the step, and the exit code is 1."""
    python = tmp_path / "python"
    answer = msgspec.json.encode(Answer(group="imports", check="import torch", ok=True)).decode()
    python.write_text(f"""#!/bin/bash
case " $* " in
  *" -c "*|*gpu_bringup_summary*) exec {sys.executable} "$@" ;;
  *" {sleeper} "*) echo begun; sleep 60 ;;
  *" doctor "*) echo '{answer}' >"{tmp_path}/out/selftest.jsonl" ;;
esac
""")
    python.chmod(0o755)
    done = _bring_up(tmp_path, python, "--seconds", "1")
    last = done.stdout.splitlines()[-1]

    assert done.returncode == 1
    assert last.startswith("VERDICT: ")
    assert ("undecided" if sleeper == "doctor" else "step run (124)") in last
    assert {"doctor.out", "run.out", "summary.md"} <= _packed(tmp_path)
    assert (tmp_path / "out" / f"{sleeper}.out").read_text() == "begun\n"


def _page(out: Path) -> list[str]:
    script = ROOT / "scripts" / "gpu_bringup_summary.py"
    done = subprocess.run(
        [sys.executable, "-P", str(script), str(out)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    return done.stdout.splitlines()


def test_the_page_has_at_most_sixty_lines_and_counts_what_it_leaves_out(tmp_path: Path) -> None:
    """A hundred failures are twenty lines and a number; what was seen is cut, and the verdict stays."""
    failed = [
        Answer(group="correct", check=f"k{i}", ok=False, error="Trace\nIndexError: x") for i in range(100)
    ]
    seen: dict[str, Any] = {"us": 30.87654321, "flags": []}
    right = [Answer(group="timers", check=f"t{i}", ok=True, seen=seen) for i in range(100)]
    lines = [json.dumps(msgspec.to_builtins(answer)) for answer in (*failed, *right)]
    (tmp_path / "selftest.jsonl").write_text("".join(f"{line}\n" for line in lines))
    write(gpu_run(), tmp_path / "run")
    page = _page(tmp_path)

    assert len(page) == 60
    assert page.count("- FAILED correct k0: IndexError: x") == 1
    assert "- and 80 more" in page
    assert '- t0: {"us": 30.88, "flags": []}' in page
    assert "more lines: see selftest.jsonl" in page[-2]
    assert page[-1].startswith("VERDICT: look at 100 failed checks in selftest.jsonl")


def test_without_a_self_test_the_verdict_is_undecided(tmp_path: Path) -> None:
    """Nothing was tried, so nothing is right."""
    assert _page(tmp_path)[-1] == "VERDICT: undecided, the self-test wrote nothing: see doctor.log"
