"""One task of a sweep started from Python: `quantroof run` in a separate process, resumed if it was cut off.

`python -m quantroof.fleet.launch.task ARGUMENTS` is that process: `quantroof ARGUMENTS`, killed when its
parent ends. An engine that kills a worker leaves the worker's children running; a run that went on would keep
its file locked against the next attempt. What it has written stays readable, and the next attempt resumes it.
"""

from __future__ import annotations

import os
import platform
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantroof.bench.workers.parent import die_with_parent
from quantroof.records.latest import FILE_NAME


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A finished run: its directory, the exit code of `quantroof run`, its node, and the GPUs that it could
    use."""

    directory: str
    exit_code: int
    node: str
    visible: str | None


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """The results of the tasks that ended, and a line for each task that did not."""

    results: list[TaskResult]
    lost: list[str]


def run_task(directory: str, options: Sequence[str], device: str, minutes: float) -> TaskResult:
    """Run or resume a task. RuntimeError where it ended without a complete run, so that the engine retries.

    Exit code 1 (a kernel failed) is a complete run; its records hold which kernel.
    """
    command = [sys.executable, "-P", "-m", "quantroof.fleet.launch.task", "run", "--quiet"]
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


def main() -> None:
    """Bind to the parent and run `quantroof` with the same arguments."""
    die_with_parent()
    sys.argv[0] = "quantroof"
    runpy.run_module("quantroof", run_name="__main__")


if __name__ == "__main__":
    main()
