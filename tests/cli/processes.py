"""`quantroof` in processes of its own, on a small suite on this CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FAULTY = ROOT / "tests" / "bench" / "faulty.py"
QUICKLY = ("--device", "cpu", "--no-ceilings", "--cache", "hot")


def tiny_suite(formats: str = "fp32 bf16 int4-w4a16", *, m: str = "1, 4", n: int = 512, k: int = 1024) -> str:
    """A suite of one shape that a CPU times in seconds."""
    quoted = ", ".join(f'"{name}"' for name in formats.split())
    return f"""
schema = "quantroof-suite/1"
name = "tiny"
[limits]
precision = 0.5
min_samples = 3
seconds_per_case = 0.05
[[sweep]]
shapes = [{{n = {n}, k = {k}}}]
m = [{m}]
formats = [{quoted}]
"""


SUITE = tiny_suite()


def command(*arguments: str | Path) -> list[str]:
    """The command line of a process of its own."""
    return [sys.executable, "-m", "quantroof", *map(str, arguments)]


def quantroof(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command where no GPU is visible."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def measure(suite: Path, out: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    """Measure a suite quickly."""
    return quantroof("run", "--suite", suite, *QUICKLY, "--out", out, *more)
