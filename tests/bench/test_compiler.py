"""Compiling ahead: real compiler processes fill Triton's cache, and the next compilation finds it there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
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


def test_a_compiler_ends_with_the_run_that_started_it() -> None:
    """Also where the run is killed: it must not take the cores of the next measurement."""
    compiler = [sys.executable, "-m", "quantroof.bench.workers.compiler", "sm_90a", "132"]
    run = f"import subprocess, time; print(subprocess.Popen({compiler}).pid, flush=True); time.sleep(60)"
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", run], stdin=pipe, stdout=pipe, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        maps = Path(f"/proc/{child.pid}/maps")
        deadline_s = time.monotonic() + 60
        while "_ctypes" not in maps.read_text() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        time.sleep(0.5)  # from ctypes to the call of prctl
        assert child.status() == "sleeping", "it waits for its jobs, which never end"
        parent.kill()
        _, alive = psutil.wait_procs([child], timeout=10)

    assert not alive
