"""What a case needs: each part once, counted by hand; a missing part would let a case exhaust the host."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.bench.memory import need_bytes
from quantroof.bench.settings import Settings
from quantroof.kernels.cases import CallCase, Case
from quantroof.kernels.schemes import SCHEMES
from tests.builders import cpu_device

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


def test_a_call_of_a_byte_needs_no_rotation_without_a_cache() -> None:
    """18 times its byte, and two copies of it."""
    case = CallCase.of("softmax", "fp32", (("M", 1),), flops=1, bytes_moved=1)

    assert need_bytes(case, CACHE_LESS) == 20


def test_sustained_ends_by_time_not_by_samples() -> None:
    """A million samples of a millisecond are a quarter of an hour: the wall comes first."""
    rule = Settings(
        precision=0.01, min_samples=10, max_samples=50, seconds_per_case=1.0, mode="sustained"
    ).rule()

    assert (rule.precision, rule.max_samples, rule.seconds) == (None, 1_000_000, 3.0)
