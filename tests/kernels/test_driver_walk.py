"""Every Triton kernel is launched up to a stand-in for the driver: arguments, tensor maps, shared memory.

The stand-in is built by the C compiler of this machine; Triton's launcher needs one, too. See driver/walk.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "driver"
ROOT = Path(__file__).parent.parent.parent
COMPILER = shutil.which(os.environ.get("CC", "cc"))
_LAUNCHES = {
    "device clock": 2,
    "triton.quant+fp8": 2,
    "triton.quant+int8": 2,
    "triton.quant+grouped": 2,
    "triton.quant+grouped_masked": 2,
    "triton.attention": 2,
}
"""Two: one quantizes the activations, or joins the parts of a split cache. One launch everywhere else."""
_LEAST_CHECKS = 80
_PLANTS = {"triton.int4": "argument", "triton.bf16": "box", "triton.act_quant": "compilation"}

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler: the stand-in driver cannot be built")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stand-in libcuda.so.1."""
    import triton

    folder = tmp_path_factory.mktemp("driver")
    include = Path(triton.__file__).parent / "backends" / "nvidia" / "include"
    command = [str(COMPILER), "-shared", "-fPIC", "-Wall", "-Werror", f"-I{include}", str(HERE / "libcuda.c")]
    library = folder / "libcuda.so.1"
    subprocess.run([*command, "-o", str(library), "-Wl,-soname,libcuda.so.1"], check=True, timeout=60)
    return folder


def _walk(driver: Path, *arguments: str) -> list[dict[str, Any]]:
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(driver),
        "TRITON_LIBCUDA_PATH": str(driver),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(HERE / "walk.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _wrong(check: dict[str, Any]) -> bool:
    expected = _LAUNCHES.get(check["check"], _LAUNCHES.get(check["check"].partition(" ")[0], 1))
    clean = not any(check.get(key) for key in ("error", "compiled_again", "refused", "foreign_stream"))
    return not clean or check["launches"] != expected


def test_every_kernel_reaches_the_driver_as_it_was_compiled_ahead(driver: Path) -> None:
    """At M = 1, 7, 128, 300, 2048: nothing refused or compiled twice, our stream, launches as expected."""
    checks = _walk(driver)

    assert [check for check in checks if _wrong(check)] == []
    assert len(checks) >= _LEAST_CHECKS


@pytest.fixture(scope="module")
def planted(driver: Path) -> list[dict[str, Any]]:
    """The checks of three kernels, each with another fault."""
    return _walk(driver, *(f"{kernel}={fault}" for kernel, fault in _PLANTS.items()))


@pytest.mark.parametrize("kernel", _PLANTS)
def test_a_planted_fault_is_seen(planted: list[dict[str, Any]], kernel: str) -> None:
    """A wrong argument, a tensor map wider than the hardware takes, and a launch that compiles again."""
    checks = [check for check in planted if check["check"].startswith(f"{kernel} ")]
    key = "compiled_again" if _PLANTS[kernel] == "compilation" else "error"

    assert checks
    assert any(_wrong(check) and check.get(key) for check in checks)
