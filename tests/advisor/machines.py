"""GPUs by the figures that the tests count with, so that a corrected catalog cannot move a golden number."""

from __future__ import annotations

from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.links import Link
from quantroof.advisor.machine import Machine, Rate
from quantroof.advisor.timings import TimingTable

NVLINK3 = Link(kind="NVLink 3", bytes_per_s=300e9, source="A100 datasheet")
AT_THE_ROOF = Assumptions(memory_efficiency=1.0, compute_efficiency=1.0)


def gpu(
    name: str, memory_gb: float, bandwidth_gbps: float, capability: tuple[int, int], **tflops: float
) -> Machine:
    """A machine by datasheet, with a 300 GB/s link."""
    return Machine(
        id=name,
        name=name,
        memory_bytes=memory_gb * 1e9,
        bandwidth=Rate(value=bandwidth_gbps * 1e9, basis="datasheet"),
        matrix={element: Rate(value=value * 1e12, basis="datasheet") for element, value in tflops.items()},
        capability=capability,
        link=NVLINK3,
    )


# The lesson rounds the A100's 2039 GB/s to 2 TB/s.
A100 = gpu("a100-sxm4-80gb", 80, 2000, (8, 0), fp32=19.5, fp16=312, bf16=312, int8=624)
H100 = gpu("h100-sxm5-80gb", 80, 3350, (9, 0), fp32=66.9, fp16=989.4, bf16=989.4, int8=1979, fp8_e4m3=1979)
H200 = gpu("h200-sxm", 141, 4800, (9, 0), fp32=66.9, fp16=989.4, bf16=989.4, int8=1979, fp8_e4m3=1979)


def timer(machine: Machine, assumptions: Assumptions = AT_THE_ROOF) -> Timer:
    """A timer without measurements, at the roof unless told otherwise."""
    return Timer(machine, TimingTable(), assumptions)
