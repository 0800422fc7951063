"""A visit to a GPU against stand-ins: a step out of time loses its own rest only, and OUT.tgz is complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STEPS = ("machine", "doctor", "suite", "counters", "again", "gpu_tests", "summary")
# What tells the steps apart on the command line of python.
_WORDS = {
    "doctor": " doctor ",
    "suite": "/first --seconds",
    "counters": " profile ",
    "again": "/second ",
    "gpu_tests": " pytest ",
    "summary": "gpu_acceptance_summary",
}


def _stand_ins(folder: Path, sleeper: str = "none", *, limit_s: int = 1, counters: int = 0) -> dict[str, str]:
    """A python, an nvidia-smi and an ncu that answer at once, but sleep in one step; each step has `limit_s`.

    `counters` is the exit code of ncu, which the step of that name calls.
    """
    plan = "".join(f"{step}\\t{limit_s}\\ttest\\n" for step in STEPS)
    scripts = {
        "python": f"""case " $* " in
  *version_info*) echo True ;;
  *" -c "*) exit 0 ;;
  *gpu_acceptance_plan*) printf '{plan}' ;;
  *"{_WORDS.get(sleeper, "nothing sleeps")}"*) echo begun; sleep 60 ;;
  *gpu_acceptance_summary*|*gpu_bringup_summary*) echo 'VERDICT: everything is a page' ;;
  *" --timeline "*) echo timeline ;;
  *" profile "*) exec ncu ;;
  *) echo done ;;
esac""",
        "nvidia-smi": "echo begun; sleep 60" if sleeper == "machine" else "echo GPU 0",
        "ncu": f"echo counted; exit {counters}",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _command(folder: Path, script: str = "gpu_acceptance", *more: str) -> list[str]:
    path = ROOT / "scripts" / f"{script}.sh"
    return ["bash", str(path), str(folder / "out"), "--python", str(folder / "python"), *more]


def _rows(folder: Path) -> dict[str, str]:
    rows = (folder / "out" / "steps.tsv").read_text().splitlines()[1:]
    return {name: code for name, code, _ in (row.split("\t") for row in rows)}


def _packed(folder: Path) -> dict[str, str]:
    """The archive's files with their text; reading one to its end shows that it is complete."""
    with tarfile.open(folder / "out.tgz") as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name.removeprefix("out/"): file.read().decode() for name, file in files.items() if file}


@pytest.mark.parametrize("sleeper", ["none", *STEPS])
def test_a_step_out_of_time_loses_its_own_rest_only(tmp_path: Path, sleeper: str) -> None:
    """Every other step ends with 0, the archive holds every log, and the page ends in a verdict."""
    environment = _stand_ins(tmp_path, sleeper)
    command = _command(tmp_path)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    files = _packed(tmp_path)

    assert done.returncode == 0, done.stderr
    assert _rows(tmp_path) == {step: "124" if step == sleeper else "0" for step in STEPS}
    assert done.stdout.strip().splitlines()[-1].startswith("VERDICT: ")
    assert 0 <= done.stderr.find("gpu_tests") < done.stderr.find("== "), "the plan comes first"
    assert {f"{step}.log" for step in STEPS} | {"summary.md", "plan.tsv", "steps.tsv"} <= set(files)
    assert files["summary.md"] == done.stdout
    if sleeper not in ("none", "summary"):
        assert files[f"{sleeper}.out"] == "begun\n"
    if sleeper != "machine":
        assert files["machine.out"] == "GPU 0\n"
    if sleeper not in ("none", "summary", "counters"):
        assert files["counters.out"] == "counted\n"


def test_the_timeline_takes_the_place_of_counters_that_are_refused(tmp_path: Path) -> None:
    """ncu ends with an error at once; the timeline has the seconds that were planned for it."""
    environment = _stand_ins(tmp_path, counters=3)
    subprocess.run(_command(tmp_path), env=environment, capture_output=True, timeout=60, check=True)

    assert _rows(tmp_path) == dict.fromkeys(STEPS, "0") | {"counters": "3", "timeline": "0"}
    assert _packed(tmp_path)["timeline.out"] == "timeline\n"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_archive_stands_whatever_ends_the_script(tmp_path: Path, how: signal.Signals) -> None:
    """At the end of a visit it is stopped at once; nothing that it started runs on after SIGTERM."""
    environment = _stand_ins(tmp_path, "suite", limit_s=3)
    out = tmp_path / "out" / "suite.out"
    with subprocess.Popen(
        _command(tmp_path), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as visit:
        deadline_s = time.monotonic() + 30
        while not (out.is_file() and out.read_text()) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        started = time.monotonic()
        visit.send_signal(how)
        visit.wait(timeout=30)
    files = _packed(tmp_path)

    assert time.monotonic() - started < 2.5, "it waited for its step"
    assert {"machine.out", "doctor.out"} <= set(files)
    if how is signal.SIGTERM:
        assert files["suite.out"] == "begun\n"
        assert _rows(tmp_path)["suite"] == "interrupted"


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


_ENDLESS = """
import os, signal, time
def test_a(): assert 1 == 2
def endless():
    if "PYTEST_XDIST_WORKER" in os.environ: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
def test_b(): endless()
def test_c(): endless()
"""


@pytest.mark.parametrize("processes", [(), ("-p", "xdist.plugin", "-n", "2")], ids=["one process", "xdist"])
def test_pytest_prints_its_failures_when_its_time_is_up(tmp_path: Path, processes: tuple[str, ...]) -> None:
    """SIGTERM ends it as Ctrl-C does, also twice; and soon, if the tests in xdist's workers ignore it."""
    for name in ("conftest.py", "long_tests.txt"):
        (tmp_path / name).write_text((ROOT / "tests" / name).read_text())
    (tmp_path / "test_two.py").write_text(_ENDLESS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *processes, str(tmp_path)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)  # of the process that runs this test
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, start_new_session=True
    ) as tests:
        assert tests.stdout is not None
        while (seen := tests.stdout.read(1)) not in (b"F", b""):
            pass
        started = time.monotonic()
        tests.terminate()
        os.killpg(tests.pid, signal.SIGTERM)  # as `timeout` does: the process, then its group
        out, errors = tests.communicate(timeout=60)

    assert seen == b"F", errors
    assert time.monotonic() - started < 8, "xdist waits for 10 s"
    assert "FAILED test_two.py::test_a - assert 1 == 2" in out.decode()
