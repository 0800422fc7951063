"""Measured times: exact, interpolated, from the nearest shape; the points themselves give the band."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.crossover import crossing, decompose
from quantroof.advisor.interpolation import KernelTime, Shape
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.model_lookup import model
from quantroof.advisor.step import decode_step
from quantroof.advisor.timings import UNTESTED_BAND, TimingTable, table_of
from quantroof.analysis.case_time import case_time
from quantroof.records.lines import Measurement
from tests.advisor.machines import H100
from tests.builders import gpu_device, measurement, state, unmeasured

SHAPE = (4096, 4096)


def _timed(m: int, seconds: float, spread: float = 0.01, power: float | None = None) -> KernelTime:
    return KernelTime(m, seconds, seconds * (1 - spread), seconds * (1 + spread), "kernel", power)


def _table(points: dict[int, float], shape: Shape = SHAPE, scheme: str = "bf16") -> TimingTable:
    return TimingTable({scheme: {shape: [_timed(m, seconds) for m, seconds in sorted(points.items())]}})


def _process(number: int, us: float, *, provider: str = "torch", power_w: float = 400.0) -> Measurement:
    """One process's line of the bf16 layer at M = 1: twenty samples within 0.1 %."""
    line = measurement(gpu_device(), "bf16", 1, SHAPE, us * 1e3, provider=provider, spread=0.001)
    read = msgspec.structs.replace(state(), power_w=power_w)
    return msgspec.structs.replace(line, process=number, state=read)


def test_a_kernels_time_is_that_of_all_its_processes() -> None:
    """Five processes at 10 to 14 us are 12 us within about [10, 14], exactly as the report says it."""
    lines = [_process(i, us, power_w=300.0 + us) for i, us in enumerate((12, 10, 14, 11, 13))]

    (timed,) = table_of(lines, "cuda:0").points["bf16"][SHAPE]

    reported = case_time(lines)
    assert reported is not None
    interval = reported.interval
    assert [timed.seconds, timed.low, timed.high] == pytest.approx(
        [ns / 1e9 for ns in (interval.median, interval.low, interval.high)]
    )
    assert [timed.seconds, timed.low, timed.high] == pytest.approx([12e-6, 10e-6, 14e-6], rel=0.02)
    assert timed.power_w == 312.0


def test_the_fastest_kernel_is_chosen_by_the_times_of_all_processes() -> None:
    """A kernel with the fastest process, 9 us, but 15 us in the middle loses to one at 12 us."""
    steady = [_process(i, us, provider="steady") for i, us in enumerate((11, 12, 13))]
    lucky = [_process(i, us, provider="lucky") for i, us in enumerate((9, 15, 16))]

    for lines in (steady + lucky, lucky + steady):
        (timed,) = table_of(lines, "cuda:0").points["bf16"][SHAPE]
        assert timed.kernel == "steady.bf16"
        assert timed.seconds == pytest.approx(12e-6, rel=2e-3)


@pytest.mark.parametrize(("cache", "points"), [("cold", 1), ("hot", 0)])
def test_only_cold_times_advise(cache: str, points: int) -> None:
    """A model's weights are read from memory: what was timed with weights in the cache is left out."""
    line = _process(0, 10)
    assert line.timing is not None
    timing = msgspec.structs.replace(line.timing, cache=cache)

    table = table_of([msgspec.structs.replace(line, timing=timing)], "cuda:0")

    assert len(table.points.get("bf16", {}).get(SHAPE, [])) == points


def test_a_process_that_failed_does_not_take_its_case_along() -> None:
    """The other processes' times count; another device's do not."""
    failed = unmeasured(gpu_device(), "bf16", 1, SHAPE, "failed", "killed")
    other = msgspec.structs.replace(_process(3, 5), device="cuda:1")

    (timed,) = table_of([failed, _process(1, 10), _process(2, 10), other], "cuda:0").points["bf16"][SHAPE]

    assert timed.seconds == pytest.approx(10e-6, rel=2e-3)


def test_measured_case_is_returned_as_it_was() -> None:
    """The very case with its interval, marked exact."""
    found = _table({1: 1e-5, 16: 2e-5}).predict("bf16", SHAPE, 16)

    assert found is not None
    assert found.exact
    assert (found.seconds, found.low, found.high) == (2e-5, 2e-5 * 0.99, 2e-5 * 1.01)


def test_between_two_batches_the_time_is_log_log() -> None:
    """Halfway in log M lies the geometric mean."""
    found = _table({1: 1e-5, 16: 4e-5}).predict("bf16", SHAPE, 4)

    assert found is not None
    assert not found.exact
    assert found.seconds == pytest.approx(2e-5)


def test_beyond_the_largest_batch_it_is_repeated() -> None:
    """4096 rows are two passes of the measured 2048."""
    found = _table({1: 1e-5, 2048: 1e-3}).predict("bf16", SHAPE, 4096)

    assert found is not None
    assert found.seconds == pytest.approx(2e-3)


@pytest.mark.parametrize(("shape", "factor"), [((8192, 4096), 2.0), ((4096, 2048), 0.5)])
def test_another_shape_scales_by_its_size(shape: Shape, factor: float) -> None:
    """Twice the weights take twice the time."""
    found = _table({1: 1e-5, 16: 4e-5}).predict("bf16", shape, 1)

    assert found is not None
    assert not found.exact
    assert found.seconds == pytest.approx(factor * 1e-5)


def test_nothing_near_is_not_guessed() -> None:
    """A shape five times larger, an unknown format, or a batch below the first are not predicted."""
    table = _table({8: 1e-5, 16: 4e-5})

    assert table.predict("bf16", (5 * 4096, 4096), 16) is None
    assert table.predict("fp16", SHAPE, 16) is None
    assert table.predict("bf16", SHAPE, 1) is None


def test_band_is_what_leaving_a_point_out_gets_wrong() -> None:
    """A perfect power law has no band; a kink shows up in it; too few points have the stated one."""
    straight = _table({m: 1e-6 * m for m in (1, 2, 4, 8, 16)})
    kinked = _table({1: 1e-5, 2: 1e-5, 4: 1e-5, 8: 4e-5, 16: 8e-5})

    assert straight.band("bf16") == pytest.approx(0, abs=1e-9)
    # M=4 left out lies at sqrt(10 x 40) = 20 us between its neighbors, twice what it took.
    assert kinked.band("bf16") == pytest.approx(1.0)
    assert _table({1: 1e-5, 2: 2e-5}).band("bf16") == UNTESTED_BAND


def _grid(seconds: Callable[[int, int], float]) -> TimingTable:
    shapes = {(n, k): [_timed(1, seconds(n, k))] for n in (1024, 4096, 16384) for k in (1024, 4096, 16384)}
    return TimingTable({"bf16": shapes})


def test_a_shape_between_others_is_interpolated_in_both_sizes() -> None:
    """2048 x 8192 lies halfway between four shapes in log N and log K: their geometric mean."""
    found = _grid(lambda n, k: n**0.5 * k * 1e-9).predict("bf16", (2048, 8192), 1)

    assert found is not None
    assert found.seconds == pytest.approx(2048**0.5 * 8192 * 1e-9)
    assert not found.exact


def test_a_shape_outside_of_the_grid_takes_the_nearest() -> None:
    """32768 x 4096 is twice 16384 x 4096, which is nearer than any shape of its own size."""
    found = _grid(lambda n, k: n * k * 1e-12).predict("bf16", (32768, 4096), 1)

    assert found is not None
    assert found.seconds == pytest.approx(32768 * 4096 * 1e-12)


def test_the_band_of_another_shape_leaves_shapes_out() -> None:
    """A grid whose middle row is twice as slow is predicted well in M, and badly without its shape."""
    slow = {
        (n, k): [_timed(m, m * n * k * 1e-12 * (2 if n == 4096 else 1)) for m in (1, 2, 4)]
        for n in (1024, 4096, 16384)
        for k in (1024, 4096, 16384)
    }
    table = TimingTable({"bf16": slow})

    assert table.band("bf16", other_shape=True) >= 0.5
    found = table.predict("bf16", (2048, 4096), 1)
    assert found is not None
    assert found.high / found.seconds == pytest.approx(1 + table.band("bf16", other_shape=True))


def test_measured_dip_is_kept_and_marked() -> None:
    """A batch that was measured faster than a smaller one stays so, and is told."""
    table = _table({1: 1e-5, 16: 3e-5, 32: 2e-5})

    found = table.predict("bf16", SHAPE, 32)

    assert found is not None
    assert found.seconds == 2e-5
    assert table.dips(("bf16",)) == (1, "bf16 4096x4096 takes 20 us at M=32, 30 us at M=16")


def test_a_dip_counts_where_its_format_is_compared() -> None:
    """Another format's dip is not told; that of int4 in smaller groups is, where int4 is compared."""
    table = _table({1: 1e-5, 16: 3e-5, 32: 2e-5}, scheme="int4-w4a16-g64")

    assert table.dips(("bf16", "fp8-w8a8"))[0] == 0
    assert table.dips(("bf16", "int4-w4a16"))[0] == 1


def test_the_points_of_a_format_are_made_when_they_are_asked_for() -> None:
    """A table of two formats names both, has the points of each, and lacks a third."""
    device = gpu_device()
    lines = [measurement(device, name, 1, SHAPE, 1e4, spread=0.001) for name in ("bf16", "fp8-w8a8")]
    points = table_of(lines, device.id).points

    assert list(points) == ["bf16", "fp8-w8a8"]
    assert points["fp8-w8a8"][SHAPE][0].seconds == pytest.approx(1e-5, rel=0.01)
    assert "int4-w4a16" not in points
    assert points.get("int4-w4a16") is None


def test_noise_is_no_dip() -> None:
    """Intervals that overlap prove nothing."""
    assert _table({1: 1e-5, 2: 0.99e-5}).dips(("bf16",)) == (0, None)


def test_step_takes_the_measured_layers() -> None:
    """With its four layers and the head measured, only the attention of a model is modeled."""
    shapes = {
        (6144, 4096): 1e-5,
        (4096, 4096): 2e-5,
        (28672, 4096): 3e-5,
        (4096, 14336): 4e-5,
        (128256, 4096): 5e-4,
    }
    table = TimingTable(
        {"bf16": {shape: [_timed(1, seconds, power=700.0)] for shape, seconds in shapes.items()}}
    )

    step = decode_step(
        model("llama-3.1-8b"),
        choice("bf16"),
        kv_format("fp16"),
        batch=1,
        context=128,
        ways=1,
        timer=Timer(H100, table, Assumptions()),
    )

    linear = step.part("linear")
    assert linear.seconds == pytest.approx(32 * 1e-4 + 5e-4)
    assert linear.source == "measured"
    assert step.total.source == "modeled"
    assert step.joules == pytest.approx(700 * (32 * 1e-4 + 5e-4))


def test_efficiency_is_the_nodes_own_where_it_has_points() -> None:
    """A format that reached half of the memory roof here is modeled at half elsewhere."""
    moved = 4096 * 4096 * 2 + 2 * 2 * 4096
    table = _table({1: 2 * moved / H100.bandwidth.value})

    at = Timer(H100, table, Assumptions())

    assert at.cost("linear", "bf16").memory == pytest.approx(0.5)
    assert at.cost("linear", "bf16").fixed_us == 0
    assert at.cost("linear", "int8-w8a8").memory != pytest.approx(0.5)


def test_crossing_is_found_with_its_band() -> None:
    """int4 is twice as fast at M=1 and half as fast at M=16: it loses at M=4, give or take the noise."""
    base = [_timed(1, 2e-5, 0.1), _timed(16, 2e-5, 0.1)]
    other = [_timed(1, 1e-5, 0.1), _timed(16, 4e-5, 0.1)]

    found = crossing(base, other)

    assert found is not None
    assert found.batch == pytest.approx(4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 4 < found.high


def test_the_last_crossing_counts() -> None:
    """A layer that dips at M=2 and recovers loses for good only between M=4 and M=16."""
    base = [_timed(m, 2e-5) for m in (1, 2, 4, 16)]
    other = [_timed(1, 1e-5), _timed(2, 3e-5), _timed(4, 1e-5), _timed(16, 4e-5)]

    found = crossing(base, other)

    assert found is not None
    assert found.batch == pytest.approx(8)


@pytest.mark.parametrize("other", [{1: 1e-5, 16: 1e-5}, {1: 3e-5, 16: 4e-5}, {1: 1e-5}])
def test_curves_that_do_not_cross_have_no_crossing(other: dict[int, float]) -> None:
    """Always faster, always slower, or too few shared batches: no crossing is made up."""
    base = [_timed(1, 2e-5), _timed(16, 2e-5)]

    assert crossing(base, [_timed(m, seconds) for m, seconds in other.items()]) is None


def test_speed_up_is_bytes_times_rate() -> None:
    """3x from 4x fewer bytes means that they moved at 0.75 of the rate."""
    found = decompose(_timed(1, 3e-5), _timed(1, 1e-5), (400.0, 100.0), "memory")

    assert (found.total, found.work, found.rate) == pytest.approx((3.0, 4.0, 0.75))
