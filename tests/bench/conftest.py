"""A small CPU and a quick suite, for tests that run real worker processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.bench.plan import DevicePlan, make_plan
from quantroof.bench.suite import parse
from quantroof.hwprofiles.types import CpuInfo, Device
from quantroof.records.run import RunOptions

FAULTY = Path(__file__).parent / "faulty.py"

SUITE = """
schema = "quantroof-suite/1"
name = "tiny"
[limits]
precision = 0.5
min_samples = 3
seconds_per_case = 0.1
[[sweep]]
shapes = [{n = 64, k = 256}]
m = [1, 4]
formats = ["fp32", "int4-w4a16"]
"""


@pytest.fixture(scope="session")
def cpu() -> Device:
    """A CPU with a small cache, so that rotation is quick."""
    info = CpuInfo(model="test CPU", physical_cores=1, usable_cores=1)
    return Device(kind="cpu", index=0, name="test CPU", llc_bytes=1 << 20, memory_bytes=4 << 30, cpu=info)


def tiny_plan(device: Device, *faulty: str, timeout_s: float = 30.0, ceilings: bool = False) -> DevicePlan:
    """The plan of a gemv and a gemm in fp32 and int4, with faulty kernels by name beside torch's."""
    run_options = RunOptions(
        kernels=tuple(f"{FAULTY}:{name}" for name in faulty),
        providers=("torch",),
        case_timeout_s=timeout_s,
        ceilings=ceilings,
    )
    return make_plan(parse(SUITE, "tiny.toml"), device, run_options)
