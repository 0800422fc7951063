"""Commands of quantroof in processes of their own, for scripts/reliability.py."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data" / "first_format"
SUITE = DATA / "tiny.toml"
SIMULATED = ("--device", "sim:h100-sxm5-80gb*2", "--suite", str(SUITE), "--processes", "3", "--quiet")
Row = tuple[str, str]
"""What was tried, and what happened."""


@dataclass(frozen=True)
class Ended:
    """How a command ended; megabytes are its largest resident memory, children included."""

    code: int
    out: str
    error: str
    seconds: float
    megabytes: float
    cpu_s: float


def command(*arguments: str | Path, python: str = sys.executable) -> list[str]:
    """The command line."""
    return [python, "-m", "quantroof", *map(str, arguments)]


def quantroof(
    *arguments: str | Path, before: tuple[str, ...] = (), python: str = sys.executable, **environment: str
) -> Ended:
    """Run a command to its end, behind a prefix, with variables on top of the environment."""
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CI": "1",
        "OMP_WAIT_POLICY": "passive",
        **environment,
    }
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        process = subprocess.Popen(
            [*before, *command(*arguments, python=python)], cwd=ROOT, env=variables, stdout=out, stderr=error,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        texts = []
        for stream in (out, error):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    code = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Ended(code, *texts, time.monotonic() - begun, usage.ru_maxrss / 1e3, cpu_s)


def one_line(error: str) -> bool:
    """Whether a refusal has one line of error and no traceback."""
    lines = error.splitlines()
    return "Traceback" not in error and sum(line.startswith("error") for line in lines) == 1
