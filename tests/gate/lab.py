"""Small git repositories in which a kernel gets slower, and the real commands that must notice.

`SimulatedLab` holds a copy of the package whose simulated device becomes slower; `CpuLab` holds a kernel of
its own that does extra work on the real CPU. Both have a commit to compare with and a changed working tree.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_GIT = ("git", "-c", "user.name=lab", "-c", "user.email=lab@example.org", "-c", "init.defaultBranch=main")
# A shared host is never quiet: that its anchors hold still is what counts in a lab.
_POLICY = """
schema = "quantroof-gate/1"
[environment]
foreign_load_share = 1.0
"""
_KERNEL = """
from quantroof.kernels.kernel import Kernel, Prepared

EXTRA = 0.0  # extra work as a share of the whole
VARIANT = 0  # changes the source and nothing else


def build(problem):
    import torch

    x = problem.arriving
    more, rows = int(EXTRA), round(EXTRA % 1 * problem.case.n)

    def call(w):
        for _ in range(more):
            torch.nn.functional.linear(x, w)
        if rows:
            torch.nn.functional.linear(x, w[:rows])
        return torch.nn.functional.linear(x, w)

    return Prepared((problem.weight.codes,), call)


LAB = Kernel("lab.linear", "lab", ("fp32",), build)
"""
_SUITE = """
schema = "quantroof-suite/1"
name = "lab"
[limits]
precision = 0.01
min_samples = 5
seconds_per_case = {seconds}
[[sweep]]
shapes = {shapes}
m = {batches}
formats = ["{format}"]
"""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its JSON document."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Lab(ABC):
    """A repository, and a folder beside it for what the commands write."""

    device = "cpu"
    options: tuple[str, ...] = ()
    judging: tuple[str | Path, ...] = ()
    """Options of every command that judges."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.work = folder / "repository", folder / "work"
        for path in (self.repository, self.work):
            path.mkdir(parents=True)
        self.suite = self.work / "lab.toml"
        self.baseline = self.work / "baseline.json"

    @abstractmethod
    def slow_down(self, share: float) -> None:
        """Change the working tree so that the kernel takes `share` longer; 0 changes its source alone."""

    def commit(self) -> None:
        """Commit the working tree."""
        for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "base")):
            subprocess.run([*_GIT, *arguments], cwd=self.repository, check=True)

    def quantroof(self, *arguments: str | Path) -> Done:
        """Run a command in the repository."""
        done = subprocess.run(
            [sys.executable, "-m", "quantroof", *map(str, arguments)],
            cwd=self.repository,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def calibrate(self, runs: int, *more: str | Path) -> Done:
        """Learn the baseline."""
        return self.quantroof(
            "gate", "calibrate", "--suite", self.suite, "--device", self.device, "--runs", str(runs),
            *self.options, "--out", self.work / "calibration", "--baseline", self.baseline, "--json",
            *self.judging, *more,
        )  # fmt: skip

    def measure(self, name: str, seed: int, processes: int = 5) -> Path:
        """Collect one run."""
        out = self.work / name
        done = self.quantroof(
            "run", "--suite", self.suite, "--device", self.device, "--processes", str(processes), "--anchors",
            "--no-ceilings", "--seed", str(seed), "--out", out, "--quiet", *self.options,
        )  # fmt: skip
        assert done.code == 0, done.err
        return out

    def check(self, run: Path, *more: str | Path) -> Done:
        """Judge a run."""
        return self.quantroof(
            "gate", "check", run, "--baseline", self.baseline, "--json", *self.judging, *more
        )


class SimulatedLab(Lab):
    """A copy of the package; slowing it down makes its simulated memory slower."""

    device = "sim:h100-sxm5-80gb"
    options = ("--provider", "torch")

    def __init__(self, folder: Path, batches: tuple[int, ...] = (1,)) -> None:
        super().__init__(folder)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "quantroof", self.repository / "quantroof", ignore=ignore)
        shapes = "[{n = 8192, k = 8192}]"
        self.suite.write_text(_SUITE.format(seconds=0.1, shapes=shapes, batches=list(batches), format="bf16"))
        self.commit()

    def slow_down(self, share: float) -> None:
        """Let memory-bound cases take `share` longer, and change the source of torch's dense kernel."""
        slower = f"memory: float = {0.90 / (1 + share)!r}"
        self._edit("bench/simulated/device.py", r"memory: float = [\d.e-]+", slower)
        self.touch()

    def touch(self) -> None:
        """Change the kernel's source without changing what it does."""
        kernel = self.repository / "quantroof" / "kernels" / "linear" / "torch_dense.py"
        kernel.write_text(kernel.read_text() + "\nVARIANT = 1\n")

    def _edit(self, name: str, pattern: str, new: str) -> None:
        path = self.repository / "quantroof" / name
        text, count = re.subn(pattern, new, path.read_text())
        assert count == 1, f"{name} has {count} of {pattern}"
        path.write_text(text)


class CpuLab(Lab):
    """A kernel of one's own on the real CPU; slowing it down gives it more to compute."""

    def __init__(self, folder: Path, shapes: tuple[tuple[int, int], ...], batches: tuple[int, ...]) -> None:
        super().__init__(folder)
        self.kernel = self.repository / "kernel.py"
        self.kernel.write_text(_KERNEL)
        self.options = ("--kernel", f"{self.kernel}:LAB", "--provider", "lab")
        listed = ", ".join(f"{{n = {n}, k = {k}}}" for n, k in shapes)
        text = _SUITE.format(seconds=0.3, shapes=f"[{listed}]", batches=list(batches), format="fp32")
        self.suite.write_text(text)
        policy = self.work / "gate.toml"
        policy.write_text(_POLICY)
        self.judging = ("--policy", policy)
        self.commit()

    def slow_down(self, share: float) -> None:
        """Let the kernel compute `share` more; 0 changes its source and nothing else."""
        text = _KERNEL.replace("EXTRA = 0.0", f"EXTRA = {share!r}").replace("VARIANT = 0", "VARIANT = 1")
        self.kernel.write_text(text)

    def quantroof(self, *arguments: str | Path) -> Done:
        """Run the command of this checkout in the repository."""
        code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from quantroof.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, str(ROOT), *map(str, arguments)],
            cwd=self.repository,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)
