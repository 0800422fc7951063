"""The roof guard on hand-made measurements: impossible, above, at the roof, and a raised ceiling."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from quantroof.analysis.guard import RoofGuard, physical_bandwidth, physical_rate
from quantroof.analysis.roofs import Roofs, measured_roofs
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import DeviceState, Measurement, Timing, parsed_case
from quantroof.records.run import Cache
from tests.builders import H100, ceilings, gpu_device

GEMV = "gemv/bf16-bf16-bf16/m1-n8192-k28672"
GEMM = "gemm/bf16-bf16-bf16/m4096-n8192-k8192"
ROOFS = Roofs("measured", {"read": 3.0e12}, {"bf16": 700e12})
H100_SXM = replace(gpu_device(), memory_bus_bits=5120, max_memory_clock_mhz=2619)


def _line(
    case: str, ns: float, *, cache: Cache = "cold", rotated: int = 1 << 30, mhz: float = 1830.0
) -> Measurement:
    parsed = parsed_case(case)
    timing = Timing(
        samples_ns=(ns,) * 10,
        calls_per_sample=8,
        cache=cache,
        method="cuda-graph",
        stopped_by="precision",
        copies=4,
        rotated_bytes=rotated,
    )
    return Measurement(
        device="cuda:0",
        case=case,
        kernel="triton.any",
        provider="triton",
        status="ok",
        flops=parsed.flops,
        bytes_moved=parsed.bytes_moved,
        timing=timing,
        state=DeviceState(sm_clock_mhz=mhz, sm_clock_source="device"),
    )


def _codes(line: Measurement, roofs: Roofs = ROOFS, device: Device = H100_SXM) -> list[str]:
    return [flag.code for flag in RoofGuard(roofs, device, H100).flags(line)]


def test_below_every_roof_there_is_no_flag() -> None:
    """A GEMV of 470 MB in 170 us reads 2.8 of 3.0 TB/s."""
    assert _codes(_line(GEMV, 170_000)) == []


def test_a_little_above_the_measured_roof_is_at_the_roof() -> None:
    """2 % above is what a ceiling and a case are known to, and still it is flagged."""
    assert _codes(_line(GEMV, 153_500)) == ["at_roof"]


def test_faster_than_the_memory_bus_is_impossible() -> None:
    """470 MB in 100 us would be 4.7 TB/s on a 3.35 TB/s bus."""
    flags = RoofGuard(ROOFS, H100_SXM, H100).flags(_line(GEMV, 100_000))

    assert [flag.code for flag in flags] == ["impossible", "above_roof"]
    assert "miscounted" in flags[0].text


@pytest.mark.parametrize(
    ("rotated", "words"),
    [
        (3 * (50 << 20) - 1, "only 157286399 bytes rotate through a cache of 52428800 bytes"),
        (3 * (50 << 20), "bytes miscounted, or a wrong bus width or clock"),
    ],
)
def test_a_rotation_under_three_caches_is_named_as_the_cause(rotated: int, words: str) -> None:
    """One byte less than three times the L2 can explain a read above the bus; three times it cannot."""
    flags = RoofGuard(ROOFS, H100_SXM, H100).flags(_line(GEMV, 100_000, rotated=rotated))

    assert words in flags[0].text


@pytest.mark.parametrize(("ns", "codes"), [(100_000, ["impossible", "above_roof"]), (153_500, ["at_roof"])])
def test_only_a_cold_measurement_has_a_memory_roof(ns: float, codes: list[str]) -> None:
    """Hot weights come from the cache: what is flagged when cold is as it should be when hot."""
    assert _codes(_line(GEMV, ns, cache="cold")) == codes
    assert _codes(_line(GEMV, ns, cache="hot")) == []


def test_a_hot_measurement_keeps_the_compute_roof() -> None:
    """No cache makes the matrix units faster: 1.2 PFLOP/s in bf16 is impossible hot as well."""
    ns = 2 * 4096 * 8192 * 8192 / 1.2e15 * 1e9

    assert _codes(_line(GEMM, ns, cache="hot")) == ["impossible", "above_roof"]


@pytest.mark.parametrize(("above", "code"), [(1.04, "at_roof"), (1.06, "above_roof")])
def test_five_percent_is_the_noise_of_a_roof(above: float, code: str) -> None:
    """4 % above the measured roof is at it, 6 % is above."""
    at_roof_ns = parsed_case(GEMV).bytes_moved / 3.0e12 * 1e9

    assert _codes(_line(GEMV, at_roof_ns / above)) == [code]


@pytest.mark.parametrize(("above", "impossible"), [(1.015, False), (1.025, True)])
def test_two_percent_is_the_slack_of_physics(above: float, impossible: bool) -> None:
    """1.5 % above the memory bus is how clocks are rounded, 2.5 % is impossible."""
    at_bus_ns = parsed_case(GEMV).bytes_moved / 3352.32e9 * 1e9

    assert ("impossible" in _codes(_line(GEMV, at_bus_ns / above))) is impossible


def test_the_instruction_peak_scales_with_the_held_clock() -> None:
    """950 TFLOP/s is possible at 1830 MHz and impossible at 1425."""
    ns = 2 * 4096 * 8192 * 8192 / 950e12 * 1e9
    roofs = Roofs("measured", {"read": 3.0e12}, {"bf16": 960e12})

    assert _codes(_line(GEMM, ns, mhz=1830.0), roofs) == []
    assert _codes(_line(GEMM, ns, mhz=1425.0), roofs) == ["impossible"]


def test_a_case_above_the_best_library_gemm_becomes_the_ceiling() -> None:
    """A finding, with the case as its source; a GEMV never raises the bandwidth."""
    known = ceilings(gpu_device(), 3.0e12, {"bf16": 700e12})
    before = measured_roofs("cuda:0", known)
    fast = _line(GEMM, 2 * 4096 * 8192 * 8192 / (before.matrix["bf16"] * 1.1) * 1e9)
    after = measured_roofs("cuda:0", known, [fast, _line(GEMV, 50_000)])

    assert after.matrix["bf16"] == pytest.approx(1.1 * before.matrix["bf16"])
    assert after.raised == {"bf16": f"{GEMM} triton.any"}
    assert after.bandwidth == before.bandwidth
    assert "raised_ceiling" in _codes(fast, after)


def test_physical_bandwidth_is_the_bus_or_the_datasheet_where_it_is_more() -> None:
    """2619 MHz x 2 x 5120 bit / 8 = 3352 GB/s on an H100; without a bus the datasheet's."""
    assert physical_bandwidth(H100_SXM, H100) == pytest.approx(3352.32e9)
    assert physical_bandwidth(gpu_device(), H100) == 3350e9
    assert physical_bandwidth(gpu_device(), None) is None


def _gemm_at(flops_per_s: float, **rest: Any) -> Measurement:
    return _line(GEMM, parsed_case(GEMM).flops / flops_per_s * 1e9, **rest)


@pytest.mark.parametrize(("above", "impossible"), [(1.015, False), (1.025, True)])
def test_two_percent_is_the_slack_of_the_instruction_peak_as_well(above: float, impossible: bool) -> None:
    """989.4 TFLOP/s at 1830 MHz: 1.5 % more is a rounded clock, 2.5 % more is impossible."""
    roofs = Roofs("measured", {"read": 3.0e12}, {"bf16": 1100e12})

    assert ("impossible" in _codes(_gemm_at(989.4e12 * above), roofs)) is impossible


def test_an_impossible_time_says_how_far_it_is_above() -> None:
    """470 MB in 100 us are 140 % of a 3352 GB/s bus; 1200 TFLOP/s are 121 % of 989.4."""
    guard = RoofGuard(ROOFS, H100_SXM, H100)

    assert guard.flags(_line(GEMV, 100_000))[0].text.startswith("140% of what the memory bus can carry")
    assert guard.flags(_gemm_at(1.2e15))[0].text.startswith("121% of the instruction peak")


@pytest.mark.parametrize("order", [1, -1])
def test_the_fastest_accumulator_of_an_element_is_its_peak(order: int) -> None:
    """fp16 with fp32 sums at 500 and with fp16 sums at 1000 TFLOP/s: the instruction allows 1000."""
    slow, fast = (
        replace(H100.peaks[0], element="fp16", tflops=tflops, clock_mhz=1000.0) for tflops in (500, 1e3)
    )
    profile = replace(H100, peaks=(slow, fast)[::order])

    assert physical_rate("fp16", 1000.0, profile) == pytest.approx(1000e12)
    assert physical_rate("fp16", 900.0, profile) == pytest.approx(900e12)


@pytest.mark.parametrize(("above", "codes"), [(1.15, ["above_roof"]), (1.25, ["impossible", "above_roof"])])
def test_a_hot_case_far_above_every_bound_is_impossible_without_a_datasheet(
    above: float, codes: list[str]
) -> None:
    """The run's own ceiling is all that is known: 15 % above it may be, 25 % may not."""
    flags = RoofGuard(ROOFS, H100_SXM, None).flags(_gemm_at(700e12 * above, cache="hot"))

    assert [flag.code for flag in flags] == codes
    assert "impossible" not in codes or flags[0].text.startswith("1.25 times every bound of this device")


def test_a_case_beyond_one_bound_only_is_not_impossible() -> None:
    """Three times a read ceiling that was measured badly, and 90 % of the datasheet."""
    slow = Roofs("measured", {"read": 1.0e12}, {"bf16": 700e12})

    assert _codes(_line(GEMV, parsed_case(GEMV).bytes_moved / 3.0e12 * 1e9), slow) == ["above_roof"]


def test_a_case_that_just_reaches_its_roof_has_no_flag() -> None:
    """100 % of the measured roof is what it allows."""
    seconds = ROOFS.seconds(parsed_case(GEMV))
    assert seconds is not None

    assert _codes(_line(GEMV, seconds * 1e9)) == []


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (GEMV, "bytes miscounted, or a wrong bus width or clock, or the device was slower when the ceiling"),
        (GEMM, "the clock rose after the ceiling was measured"),
    ],
)
def test_each_roof_has_its_own_cause(case: str, words: str) -> None:
    """A read above the memory roof may be miscounted; a product above the compute roof has a faster clock."""
    seconds = ROOFS.seconds(parsed_case(case))
    assert seconds is not None
    (flag,) = RoofGuard(ROOFS, H100_SXM, H100).flags(_line(case, seconds * 1e9 / 1.08))

    assert flag.text.startswith("108% of the measured")
    assert words in flag.text
