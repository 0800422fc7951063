"""What a case needs: each part once, counted by hand; a missing part would let a case exhaust the host."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.bench.memory import need_bytes, shortage
from quantroof.bench.settings import Settings
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import CallCase, Case
from quantroof.kernels.schemes import SCHEMES
from tests.builders import cpu_device, gpu_device

SMALL = replace(cpu_device(), llc_bytes=100)
CACHE_LESS = replace(cpu_device(), llc_bytes=None)


@pytest.mark.parametrize(
    ("device", "rotation"),
    [(CACHE_LESS, 2 * 5 * 7 * 2), (SMALL, 300), (replace(SMALL, llc_bytes=10), 2 * 5 * 7 * 2)],
    ids=["no cache", "larger cache", "smaller cache"],
)
def test_a_product_needs_sources_reference_and_rotation(device: object, rotation: int) -> None:
    """fp32 x and w; fp64 w and x twice and y three times; two copies of w or three caches, the larger."""
    m, n, k = 3, 5, 7
    weights, activations, outputs = n * k, m * k, m * n
    case = Case.linear(SCHEMES["bf16"], m, n, k)

    assert need_bytes(case, device) == (  # type: ignore[arg-type]
        4 * (weights + activations) + 8 * (2 * weights + 2 * activations + 3 * outputs) + rotation
    )


@pytest.mark.parametrize(("device", "rotation"), [(CACHE_LESS, 200), (SMALL, 300)])
def test_a_call_needs_its_bytes_twice_and_two_references(device: object, rotation: int) -> None:
    """Arguments and outputs, both in fp64 (8 bytes per byte at most), and the rotation."""
    case = CallCase.of("softmax", "fp32", (("M", 5), ("N", 5)), flops=10, bytes_moved=100)

    assert need_bytes(case, device) == 18 * 100 + rotation  # type: ignore[arg-type]


@pytest.mark.parametrize("device", [cpu_device(), gpu_device()], ids=["cpu", "gpu"])
def test_a_case_may_take_four_fifths_of_what_there_is(device: Device) -> None:
    """The libraries need room for their own workspaces: a case that needs 81 of 100 bytes is skipped."""
    case = CallCase.of("f", "fp32", (("M", 5),), flops=0, bytes_moved=100)
    need = need_bytes(case, replace(device, llc_bytes=None))
    enough, short = (
        replace(device, memory_bytes=round(need / share), llc_bytes=None) for share in (0.79, 0.81)
    )

    assert shortage(case, enough) is None
    assert (
        shortage(case, short)
        == f"needs {need} bytes of memory, {int(round(need / 0.81) * 0.8)} are available"
    )


def test_sustained_ends_by_time_not_by_samples() -> None:
    """A million samples of a millisecond are a quarter of an hour: the wall comes first."""
    rule = Settings(
        precision=0.01, min_samples=10, max_samples=50, seconds_per_case=1.0, mode="sustained"
    ).rule()

    assert (rule.precision, rule.max_samples, rule.seconds) == (None, 1_000_000, 3.0)
