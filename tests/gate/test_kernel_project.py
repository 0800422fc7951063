"""The example project in an empty repository: from the wheel to a green and a red check in two commands."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEVICE = "sim:h100-sxm5-80gb"
_GIT = ("git", "-c", "user.email=a@b", "-c", "user.name=a")


def _run(folder: Path, *words: str | Path, code: int = 0) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def _installed(folder: Path) -> Path:
    """The `quantroof` of a new environment: the wheel of this tree with this interpreter's libraries."""
    source, wheels, venv = folder / "source", folder / "wheels", folder / "venv"
    shutil.copytree(ROOT / "quantroof", source / "quantroof", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    offline = ("--no-deps", "--no-index")
    _run(folder, *pip, "wheel", *offline, "--no-build-isolation", "-w", wheels, source)
    _run(folder, sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", venv)
    (packages,) = venv.glob("lib/python*/site-packages")
    # A venv of a venv has the site packages of neither: those of this interpreter come after its own.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (wheel,) = wheels.glob("*.whl")
    _run(folder, *pip, "--python", venv / "bin" / "python", "install", *offline, wheel)
    return venv / "bin" / "quantroof"


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.long
def test_the_example_goes_from_a_wheel_to_green_and_red_in_two_commands(tmp_path: Path) -> None:
    """Green on no change, then red on 10 %, within three minutes; the baseline is collected on the way."""
    before = _children_s()
    quantroof, project = _installed(tmp_path), tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "kernel-project", project)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one")):
        _run(project, *_GIT, *words)

    _run(project, quantroof, "gate", "init")
    policy = project / "gate.toml"
    policy.write_text(policy.read_text().replace("pairs = 10", "pairs = 8"))  # the fewest that can confirm
    green = _run(project, quantroof, "gate", "--device", DEVICE)
    _run(project, *_GIT, "add", "-A")
    _run(project, *_GIT, "commit", "-qm", "gate")
    kernels = project / "kernels.py"
    kernels.write_text(kernels.read_text().replace("BLOCK = 1024", "BLOCK = 128"))
    red = _run(project, quantroof, "gate", "--device", f"{DEVICE}+slow@0", code=1)

    assert "PASS: 2 same" in green
    assert "2 slower" in red
    assert _children_s() - before < 180, "one process after the other: on an idle machine about the clock"
