"""The time of a kernel by its constants, counted by hand, and which constants a GPU and a format take."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.kernel_costs import Cost, cost, reduce_cost, shipped
from quantroof.advisor.linear_time import Assumptions, Timer, Work
from quantroof.advisor.links import link_of
from quantroof.advisor.machine import Machine, Rate
from quantroof.advisor.node_costs import fitted_cost
from quantroof.advisor.timings import TimingTable
from tests.advisor.machines import H100

KERNEL = Cost(
    operation="linear", format="bf16", gpu="x", engine="x", fixed_us=4, memory=0.8, compute=0.5, rows=100
)


@pytest.mark.parametrize(
    ("by_memory", "by_compute", "rows", "microseconds"),
    [
        (80e-6, 1e-6, 1000, 4 + 80 / 0.8),  # memory: 80 us at the roof take 100
        (1e-6, 50e-6, 1000, 4 + 50 * 1.1 / 0.5),  # matrix units: 100 rows of 1000 more, at half of the rate
        (10e-6, 1e-6, 25, 4 + 12.5),  # 1 us x (1 + 100/25) / 0.5 = 10 us, less than 12.5
        (9e-6, 1e-6, 20, 4 + 12),  # ... and 1 us x (1 + 100/20) / 0.5 = 12 us, more than 11.25
    ],
)
def test_a_kernel_takes_its_fixed_time_and_the_larger_limit(
    by_memory: float, by_compute: float, rows: float, microseconds: float
) -> None:
    """t = fixed + max(bytes / share, operations (1 + rows / M) / share)."""
    assert KERNEL.seconds(by_memory, by_compute, rows) * 1e6 == pytest.approx(microseconds)


def test_engines_are_pooled_by_their_median() -> None:
    """The H100's bf16 constants are the medians of the rows of its three engines."""
    own = [r for r in shipped() if (r.operation, r.format, r.gpu) == ("linear", "bf16", "h100-sxm5-80gb")]
    pooled = cost("linear", "bf16", "h100-sxm5-80gb", (9, 0))

    assert len(own) == 3
    assert pooled is not None
    assert pooled.fixed_us == sorted(row.fixed_us for row in own)[1]
    assert pooled.points == sum(row.points for row in own)


@pytest.mark.parametrize(
    ("name", "gpu", "capability", "like"),
    [
        ("bf16", "h100-pcie-80gb", (9, 0), ("bf16", "h100-sxm5-80gb")),
        ("bf16", "rtx-4090", (8, 9), ("bf16", "l40s")),
        ("bf16", "rtx-a6000", (8, 6), ("bf16", "l40s")),
        ("bf16", "a100-pcie-80gb", (8, 0), ("bf16", "a100-sxm4-80gb")),
        ("fp16", "t4", (7, 5), ("bf16", "l40s")),
        ("bf16", "titan-v", (7, 0), ("bf16", "a100-sxm4-80gb")),
        ("bf16", "unread", (0, 0), ("bf16", "a100-sxm4-80gb")),  # below every other row
        ("bf16", "b300", (10, 3), ("bf16", "b200")),
        ("bf16", "gb200", (10, 0), ("bf16", "b200")),
        ("nf4-w4a16", "a100-sxm4-80gb", (8, 0), ("int8-w8a16", "a100-sxm4-80gb")),
        ("int4-w4a16-g64", "a100-sxm4-80gb", (8, 0), ("int4-w4a16", "a100-sxm4-80gb")),
        ("int8-w8a8", "h100-sxm5-80gb", (9, 0), ("int8-w8a8", "h200-sxm")),
        ("int4-w4a16", "h100-sxm5-80gb", (9, 0), ("int4-w4a16", "h200-sxm")),
        ("int8-w8a16", "b200", (10, 0), ("int8-w8a16", "h200-sxm")),
        ("int4-w4a16", "rtx-5090", (12, 0), ("int4-w4a16", "l40s")),
        ("bf16", "mi300x", None, ("bf16", "h100-sxm5-80gb")),
    ],
)
def test_what_no_table_has_takes_its_nearest_relative(
    name: str, gpu: str, capability: tuple[int, int] | None, like: tuple[str, str]
) -> None:
    """A board takes the rows of its generation, a format those of the kernel most like its own."""
    row = cost("linear", name, gpu, capability)

    assert row is not None
    assert row.gpu == like[1]
    assert row.format == like[0]


def test_efficiencies_are_shares() -> None:
    """No shipped kernel is faster than a roof, and none has a negative fixed time."""
    for row in shipped():
        assert row.fixed_us >= 0
        assert row.memory is None or 0 < row.memory <= 1.0
        assert row.compute is None or 0 < row.compute <= 1.0


def test_an_all_reduce_costs_what_its_kind_of_link_was_measured_to_cost() -> None:
    """8192 x 2 bytes over 8 H100: fixed time, and 2 x 7/8 of the bytes at a share of 450 GB/s."""
    machine = msgspec.structs.replace(H100, link=link_of("h100-sxm5-80gb"))
    row = reduce_cost("NVLink 4", 8)
    assert row is not None
    assert row.memory is not None

    took = Timer(machine, TimingTable(), Assumptions()).all_reduce(16384, 8)

    wire = 2 * 7 / 8 * 16384 / 450e9
    assert took.seconds == pytest.approx(row.fixed_us * 1e-6 + wire / row.memory)
    assert took.floor == pytest.approx(wire)
    assert 3e-6 < took.seconds < 8e-6  # measured in graphs: 3.5 to 5.4 us


@pytest.mark.parametrize(("ways", "table"), [(2, 2), (3, 4), (4, 4), (8, 8), (16, 8)])
def test_gpu_counts_between_those_of_the_tables_take_the_larger(ways: int, table: int) -> None:
    """Three GPUs cost what four do; sixteen what eight do."""
    row = reduce_cost("PCIe 4.0 x16", ways)

    assert row is not None
    assert row.ways == table


def test_a_link_that_the_node_measured_is_not_replaced() -> None:
    """A measured or stated link keeps its own latency and rate."""
    took = Timer(H100, TimingTable(), Assumptions()).all_reduce(3e6, 2)

    assert took.seconds == pytest.approx(10e-6 + 3e6 / 300e9)


def test_stated_efficiencies_replace_the_fitted_ones() -> None:
    """One stated share keeps the fixed time; with both stated the model is a plain roofline."""
    work = Work(1.0, 3350e9 * 1e-3, "bf16")  # 1 ms at the roof

    one = Timer(H100, TimingTable(), Assumptions(memory_efficiency=0.5))
    both = Timer(H100, TimingTable(), Assumptions(memory_efficiency=0.5, compute_efficiency=0.5))

    assert one.modeled("linear", "bf16", work).seconds == pytest.approx(
        2e-3 + one.cost("linear", "bf16").fixed_us * 1e-6
    )
    assert both.modeled("linear", "bf16", work).seconds == pytest.approx(2e-3)


def _points(machine: Machine, fixed: float, share: float) -> dict[tuple[int, int], list[KernelTime]]:
    """Times of bf16 layers at M = 1 that lie on a line over their bytes."""
    points = {}
    for n, k in ((4096, 4096), (8192, 4096), (8192, 8192), (28672, 8192)):
        seconds = fixed + 2 * (n * k + n + k) / machine.bandwidth.value / share
        points[n, k] = [KernelTime(1, seconds, seconds, seconds, "k")]
    return points


def test_the_nodes_points_give_fixed_time_and_share() -> None:
    """Four layers on the line t = 5 us + roof / 0.7 are described by these two constants."""
    row = fitted_cost("bf16", _points(H100, 5e-6, 0.7), H100)

    assert row is not None
    assert row.fixed_us == pytest.approx(5.0)
    assert row.memory == pytest.approx(0.7)


def test_too_few_points_give_their_median_share() -> None:
    """One point decides no line: its share of the roof is taken, and no fixed time."""
    points = dict(list(_points(H100, 5e-6, 0.7).items())[:1])
    ((n, k), (only,)) = points.popitem()
    row = fitted_cost("bf16", {(n, k): [only]}, H100)

    assert row is not None
    assert row.fixed_us == 0
    assert row.memory == pytest.approx(2 * (n * k + n + k) / H100.bandwidth.value / only.seconds)


def test_shapes_that_no_group_divides_do_not_stop_an_answer() -> None:
    """A measured K of 32 says nothing about groups of 128, and is left out."""
    timed = [KernelTime(1, 1e-5, 1e-5, 1e-5, "k")]

    assert fitted_cost("int4-w4a16", {(4096, 32): timed}, H100) is None


def test_a_measured_ceiling_is_not_discounted_twice() -> None:
    """Fitted shares refer to the datasheet; a read measured at 0.87 of it already holds that loss."""
    measured = msgspec.structs.replace(
        H100, bandwidth=Rate(value=0.87 * H100.bandwidth.value, basis="measured")
    )
    work = Work(1.0, 1e9, "bf16")

    by_sheet, by_ceiling = (
        Timer(machine, TimingTable(), Assumptions()).modeled("linear", "bf16", work)
        for machine in (H100, measured)
    )

    assert by_ceiling.seconds == pytest.approx(by_sheet.seconds)


def test_a_cpu_takes_no_constants_of_a_gpu() -> None:
    """Without own points: 0.8 of the bandwidth and 0.7 of the matrix rate, without a fixed time."""
    cpu = msgspec.structs.replace(H100, is_gpu=False, capability=None)
    at = Timer(cpu, TimingTable(), Assumptions())

    assert at.modeled("linear", "bf16", Work(1.0, 3350e9, "bf16")).seconds == pytest.approx(1 / 0.8)
    assert at.short_kernels(4, 0.0).seconds == 0
