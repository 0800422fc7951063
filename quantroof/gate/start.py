"""Start `quantroof` on one side of a comparison: its interpreter, its folder, its code first on the path."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable

from quantroof.errors import EnvironmentMissing, ExitCode
from quantroof.gate.sides import Side

Start = Callable[[Side, list[str]], None]
"""Runs `quantroof` with some words on a side; EnvironmentMissing where it did not measure."""


def start_process(side: Side, words: list[str]) -> None:
    """In a process of its own, in the side's folder."""
    with tempfile.TemporaryDirectory() as neutral:  # a side without a folder must not import from ours
        done = subprocess.run(
            [side.python, "-P", "-m", "quantroof", *words],
            cwd=side.root if side.root.is_dir() else neutral,
            env=side.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (ExitCode.OK, ExitCode.FINDING, ExitCode.UNDECIDED):
        message = done.stderr.strip().splitlines()
        what = f"it could not be measured: {message[-1] if message else f'exit code {done.returncode}'}"
        raise EnvironmentMissing(what, where=side.name)
