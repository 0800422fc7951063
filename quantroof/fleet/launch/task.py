"""One task of a sweep where Python starts it: `quantroof run` in a process of its own, resumed if cut off."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantroof.records.directory import FILE_NAME


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The run directory, the exit code of `quantroof run`, on which node, and which GPUs the task saw."""

    directory: str
    exit_code: int
    node: str
    visible: str | None


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What came back, and a line for each task that did not."""

    results: list[TaskResult]
    lost: list[str]


def run_task(directory: str, options: Sequence[str], device: str, minutes: float) -> TaskResult:
    """Run or resume a task. RuntimeError where it ended without a whole run, so that the engine retries.

    Exit code 1 (a kernel failed) is a whole run; the record says which.
    """
    command = [sys.executable, "-m", "quantroof.fleet.launch.child", "run", "--quiet"]
    if (Path(directory) / FILE_NAME).exists():
        command += ["--resume", directory]
    else:
        command += ["--device", device, "--out", directory, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=minutes * 60, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{directory}: not done after {minutes:g} minutes") from None
    if done.returncode not in (0, 1):
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"{directory}: exit code {done.returncode}: {last[0]}")
    return TaskResult(directory, done.returncode, platform.node(), os.environ.get("CUDA_VISIBLE_DEVICES"))
