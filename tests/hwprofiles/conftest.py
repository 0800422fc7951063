"""The fake NVML, compiled once, and what runs against it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_SOURCE = Path(__file__).parent / "fake_nvml.c"
_DETECT = (
    "import msgspec, sys; from quantroof.hwprofiles.detect import detect; "
    "sys.stdout.buffer.write(msgspec.json.encode(detect()))"
)

Detect = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def fake_nvml(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """Folders that hold a libnvidia-ml.so.1, of today or of an old driver."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to build the fake NVML with")
    folders: dict[bool, Path] = {}

    def build(old: bool) -> Path:
        if old not in folders:
            folder = tmp_path_factory.mktemp("nvml")
            options = ["-Wall", "-Werror", "-shared", "-fPIC", *(["-DOLD"] if old else [])]
            library = str(folder / "libnvidia-ml.so.1")
            subprocess.run(["gcc", *options, "-o", library, str(_SOURCE)], check=True)
            folders[old] = folder
        return folders[old]

    return build


@pytest.fixture
def environment_of(fake_nvml: Callable[[bool], Path]) -> Callable[..., dict[str, str]]:
    """Variables of a process that finds the fake NVML, with FAKE_* and others by name."""

    def build(*, old: bool = False, **variables: Any) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_")}
        chosen = {key: str(value) for key, value in variables.items()}
        return {**inherited, "LD_LIBRARY_PATH": str(fake_nvml(old)), **chosen}

    return build


@pytest.fixture
def detect_in_process(environment_of: Callable[..., dict[str, str]]) -> Detect:
    """`detect()` in a real process against the fake NVML, as plain data."""

    def run(*, old: bool = False, **variables: Any) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", _DETECT],
            env=environment_of(old=old, **variables),
            capture_output=True,
            check=True,
            timeout=60,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run
