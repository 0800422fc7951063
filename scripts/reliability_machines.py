"""Machines unlike a developer's, for scripts/reliability.py: a small run, its answers and its page."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from reliability_tools import ROOT, SIMULATED, SUITE, quantroof

_NO_SHM = "mount -t tmpfs -o ro tmpfs /dev/shm"
_LATER = ("3.12", "3.13", "3.14")
_QUOTA = Path("/sys/fs/cgroup/cpu")


def machines(folder: Path, pythons: list[str]) -> list[tuple[str, str]]:
    """What each machine did."""
    tried = [_interpreter(folder / f"python-{index}", python) for index, python in enumerate(pythons)]
    german = folder / "locales"
    german.mkdir()
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    return [
        _row("spaces and unicode in every path", folder / "Läufe 測試 \U0001f600"),
        _row("HOME not writable", folder / "home", HOME="/proc/self/none"),
        _row(
            "shared memory (`/dev/shm`) read-only",
            folder / "shm",
            before=_mounted("mount -t tmpfs -o ro tmpfs /dev/shm"),
        ),
        _noexec(folder / "noexec"),
        _row("locale C, ASCII only", folder / "c", **plain),
        _row("locale POSIX, latin-1 terminal", folder / "posix", LC_ALL="POSIX", PYTHONIOENCODING="latin-1"),
        _german(folder / "de", german),
        _row("a terminal of 40 columns", folder / "narrow", COLUMNS="40"),
        _row("one core (taskset)", folder / "one", before=("taskset", "-c", "0")),
        _half_a_core(folder / "half"),
        *tried,
        *(
            (f"Python {version}", "not tried: no such interpreter was named by --python")
            for version in _LATER
            if not any(what.startswith(f"Python {version}") for what, _ in tried)
        ),
        *_wheels("aarch64"),
    ]


def _row(what: str, out: Path, *, before: tuple[str, ...] = (), python: str = sys.executable,
         device: str = "cpu", **environment: str) -> tuple[str, str]:  # fmt: skip
    out.mkdir(exist_ok=True)
    run, page = out / "run 1", out / "page.html"
    steps = (
        ("run", "--device", device, "--suite", SUITE, "--quiet", "--out", run),
        ("show", run),
        ("report", run, "--out", page),
    )
    ended = []
    for step in steps:
        last = quantroof(*step, before=before, python=python, **environment)
        ended.append(last)
        if last.code != 0:
            text = (last.error.strip().splitlines() or ["no word"])[-1][:160]
            verdict = "not tried" if "Operation not permitted" in last.error else "FAILED"
            return what, f"{verdict}: `{step[0]}` ended with {last.code}: `{text}`"
    widest = max(map(len, ended[1].out.splitlines()), default=0)
    size = page.stat().st_size / 1e3
    seconds = sum(step.seconds for step in ended)
    return what, f"run, show (at most {widest} columns) and page ({size:.0f} kB), {seconds:.0f} s"


def _mounted(mount: str) -> tuple[str, ...]:
    return ("unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh")


def _noexec(out: Path) -> tuple[str, str]:
    place = out / "tmp"
    place.mkdir(parents=True)
    before = _mounted(f"mount -t tmpfs -o noexec,mode=777 tmpfs {place}")
    return _row("TMPDIR on a file system without execution", out, before=before, TMPDIR=str(place))


def _german(out: Path, folder: Path) -> tuple[str, str]:
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")],
        check=False,
        capture_output=True,
    )
    what = "locale de_DE.UTF-8"
    if made.returncode != 0:
        return what, "not tried: localedef has no de_DE here"
    return _row(what, out, LOCPATH=str(folder), LC_ALL="de_DE.UTF-8", LANGUAGE="de")


def _half_a_core(out: Path) -> tuple[str, str]:
    what = "a CPU quota of half a core"
    group = _QUOTA / f"quantroof-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text("50000")
    except OSError as error:
        return what, f"not tried: {error.strerror}"
    try:
        before = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
        return _row(what, out, before=before)
    finally:
        group.rmdir()


def _interpreter(out: Path, python: str) -> tuple[str, str]:
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout.split("(")[0]
    if subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0:
        return _row(version.strip(), out, python=python)
    return _row(f"{version.strip()}, no torch: a simulated H100", out, python=python, device=SIMULATED[1])


def _wheels(machine: str) -> list[tuple[str, str]]:
    """Whether every dependency, and torch with Triton, has a wheel for another architecture, by pip's own
    resolution; torch's own dependencies, CUDA's libraries, are left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["store"]]
    return [
        (
            f"wheels of the dependencies and the store for {machine}, without torch",
            _resolved(machine, wanted),
        ),
        (f"wheels of torch and Triton for {machine}", _resolved(machine, ["--no-deps", "torch", "triton"])),
    ]


def _resolved(machine: str, wanted: list[str]) -> str:
    options = ["--dry-run", "--quiet", "--only-binary=:all:", "--target=none", "--ignore-installed"]
    found = []
    for version in ("3.11", *_LATER):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, f"--python-version={version}",
             f"--platform=manylinux_2_28_{machine}", f"--platform=manylinux2014_{machine}",
             f"--platform=manylinux_2_27_{machine}", *wanted],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        last = (done.stderr.strip().splitlines() or [""])[-1][:120]
        found.append(f"{version}: {'all resolved' if done.returncode == 0 else f'not resolved ({last})'}")
    return "; ".join(found)
