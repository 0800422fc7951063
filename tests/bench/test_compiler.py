"""Compiling ahead: real compiler processes fill Triton's cache, and the next compilation finds it there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantroof.bench.plan import make_plan
from quantroof.bench.suite import parse
from quantroof.bench.workers.compiler import architecture, jobs_of
from quantroof.hwprofiles.types import Device
from quantroof.records.run import RunOptions
from tests.bench.conftest import tiny_plan

ROOT = Path(__file__).parent.parent.parent
H100 = Device(kind="cuda", index=0, name="NVIDIA H100 80GB HBM3", compute_capability="9.0", sm_count=132)
SUITE = """
schema = "quantroof-suite/1"
name = "one"
[[sweep]]
shapes = [{n = 4096, k = 4096}]
m = [1]
formats = ["int4-w4a16", "bf16"]
"""


def _jobs() -> list[tuple[str, str]]:
    run_options = RunOptions(formats=("int4-w4a16",), providers=("triton", "torch"))
    return jobs_of(make_plan(parse(SUITE, "one"), H100, run_options))


def test_jobs_are_the_kernels_that_have_device_code() -> None:
    """torch's kernels come compiled; ours are compiled."""
    jobs = _jobs()

    assert jobs
    assert all(name.startswith("triton.") for _, name in jobs)


@pytest.mark.parametrize(
    ("device", "arch"),
    [(H100, "sm_90a"), (Device(kind="cuda", index=0, name="Tesla T4", compute_capability="7.5"), None)],
)
def test_a_device_that_is_no_target_is_left_alone(device: Device, arch: str | None) -> None:
    """Its kernels are compiled when they are first called, or skipped."""
    assert architecture(device) == arch


def test_a_cpu_plan_compiles_nothing(cpu: Device) -> None:
    """There is no device code on a CPU."""
    assert jobs_of(tiny_plan(cpu)) == []


def test_compiled_ahead_is_found_in_the_cache(tmp_path: Path) -> None:
    """The second process finds everything: it adds no file to Triton's cache."""
    lines = "".join(f"{case} {name}\n" for case, name in _jobs())
    counts = []
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "quantroof.bench.workers.compiler", "sm_90a", "132"],
            input=lines,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TRITON_CACHE_DIR": str(tmp_path)},
            check=True,
            timeout=120,
        )
        counts.append(sum(1 for file in tmp_path.rglob("*") if file.is_file()))

    assert list(tmp_path.rglob("*.cubin"))
    assert counts[0] == counts[1] > 0
