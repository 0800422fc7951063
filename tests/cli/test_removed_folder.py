"""A shell in a folder that was removed: the first line says so, whatever the command is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.processes import ROOT


def test_a_removed_working_directory_is_named(tmp_path: Path) -> None:
    """torch fails there with an error about a library, and doctor advised to install another torch."""
    script = f'cd "{tmp_path}" && rmdir "{tmp_path}" && exec "{sys.executable}" -P -m quantroof doctor'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "error: the working directory cannot be used: No such file or directory (cd to one that exists)\n"
    )
