"""The roofs of a device: the best ceiling of each name, the share of a roof, and conversions."""

from __future__ import annotations

from typing import TypeVar

import pytest
from msgspec.structs import replace

from quantroof.analysis.guard import RoofGuard
from quantroof.analysis.points import arithmetic, case_roofs
from quantroof.analysis.roofs import Roofs, best_roof_shares, ceiling_rate, datasheet_roofs, measured_roofs
from quantroof.hwprofiles.catalog import profile
from quantroof.records.lines import Ceiling, Measurement, parsed_case
from tests.builders import H100, ceilings, gpu_device, measurement

ROOFS = Roofs("measured", {"read": 3.0e12}, {"bf16": 700e12})
LAYER = (4096, 4096)
Line = TypeVar("Line", Ceiling, Measurement)


def _timed(line: Line, ns: float) -> Line:
    assert line.timing is not None
    return replace(line, timing=replace(line.timing, samples_ns=(ns,) * 9))


@pytest.mark.parametrize("rates", [(600e12, 700e12), (700e12, 600e12)])
def test_the_best_of_several_ceilings_counts_in_any_order(rates: tuple[float, float]) -> None:
    """Two matrix ceilings of bf16: the roof is the faster one, whichever came last."""
    device = gpu_device()
    lines = [line for rate in rates for line in ceilings(device, 3e12, {"bf16": rate})]

    assert measured_roofs(device.id, lines).matrix["bf16"] == pytest.approx(700e12, rel=0.02)


@pytest.mark.parametrize(
    "case",
    ["act_quant/none-bf16-fp8_e4m3.token/m64-n4096-k4096", "dequantize/int4.g128-bf16-bf16/m1-n4096-k4096"],
)
def test_conversions_are_bound_by_memory_alone(case: str) -> None:
    """A conversion multiplies nothing: without any matrix rate it has a roof, and it is the memory's."""
    roofs = Roofs("measured", {"read": 3.0e12}, {})

    assert roofs.bound(parsed_case(case)) == "memory"
    assert roofs.seconds(parsed_case(case)) == parsed_case(case).bytes_moved / 3.0e12


def test_the_best_kernel_of_a_case_gives_its_share_by_all_its_processes() -> None:
    """Kernel b is faster in the middle of its three processes, though one of a's was the fastest of all."""
    device = gpu_device()
    times = {"a": (11_000, 20_000, 20_000), "b": (12_500, 12_500, 90_000)}
    lines = [
        replace(measurement(device, "bf16", 1, LAYER, ns, provider=name, spread=0.0), process=process)
        for name, own in times.items()
        for process, ns in enumerate(own)
    ]
    roof_ns = lines[0].bytes_moved / 3.0e12 * 1e9

    for order in (lines, lines[::-1]):
        ((kernel, share),) = best_roof_shares(order, ROOFS).values()
        assert kernel == "b.bf16"
        assert share == pytest.approx(roof_ns / 12_500)


def test_a_case_without_a_roof_or_a_time_has_no_share() -> None:
    """An element whose matrix rate was not measured is left out."""
    line = measurement(gpu_device(), "bf16", 1, LAYER, 12_500)

    assert best_roof_shares([line], Roofs("measured", {"read": 3e12}, {})) == {}


def test_an_emulated_row_never_lies_under_a_native_roof() -> None:
    """A kernel that multiplies mxfp4 in bf16 has bf16's roof; without one it has none, and raises none."""
    device = gpu_device(name="NVIDIA B200")
    roofs = Roofs("measured", {"read": 3.0e12}, {"bf16": 700e12, "mxfp4": 2800e12})
    native = measurement(device, "mxfp4-w4a4", 4096, LAYER, 200_000)
    emulated = replace(native, computes="bf16", kernel="torch.quant+dequant+linear")
    case = native.parsed_case

    def of(computes: str | None, within: Roofs = roofs) -> float | None:
        return case_roofs(case, within, None, None, "10.0", computes).roof_ns

    assert of(None) == pytest.approx(case.flops / 2800e12 * 1e9)
    assert of("bf16") == pytest.approx(case.flops / 700e12 * 1e9)
    assert of("bf16", Roofs("measured", {"read": 3.0e12}, {"mxfp4": 2800e12})) is None
    assert (native.element, emulated.element) == ("mxfp4", "bf16")
    assert arithmetic(case, "10.0", "bf16") == "emulated"
    assert arithmetic(case, "10.0") == "native"
    share = {k: best_roof_shares([line], roofs)[case.id][1] for k, line in ((1, native), (4, emulated))}
    assert share[4] == pytest.approx(4 * share[1])
    quick = replace(emulated, timing=measurement(device, "mxfp4-w4a4", 4096, LAYER, 100_000).timing)
    assert [flag.code for flag in RoofGuard(roofs, device, None).flags(quick)] == ["impossible", "above_roof"]
    assert RoofGuard(roofs, device, None).flags(replace(quick, computes=None)) == ()


def test_a_datasheets_fp4_is_the_roof_of_both_fp4_formats() -> None:
    """And MXFP8 has fp8's rate where fp4 is native; before Blackwell none of the three has a roof."""
    new, old = (datasheet_roofs(profile(name)).matrix for name in ("b200", "h100-sxm5-80gb"))

    assert new["mxfp4"] == new["nvfp4"] == new["fp4"]
    assert new["mxfp8"] == new["fp8_e4m3"]
    assert not {"mxfp4", "nvfp4", "mxfp8"} & old.keys()


def test_a_rate_counts_only_if_it_was_measured_here() -> None:
    """2^22 bytes in 2 us are 2.1 TB/s; an imported time, no time or no count of bytes gives none."""
    read = ceilings(gpu_device(), 3e12, {})[0]
    timed = _timed(read, 2000.0)

    assert ceiling_rate(timed) == pytest.approx(2**22 / 2e-6)
    assert ceiling_rate(replace(timed, status="simulated")) == pytest.approx(2**22 / 2e-6)
    assert ceiling_rate(replace(timed, status="imported")) is None
    assert ceiling_rate(replace(timed, status="failed", reason="out of memory", timing=None)) is None
    assert ceiling_rate(replace(timed, bytes_moved=None)) is None


@pytest.mark.parametrize(("elements", "mxfp8"), [(("fp4",), True), ((), False)])
def test_mxfp8_runs_at_the_rate_of_fp8_where_fp4_is_native(elements: tuple[str, ...], *, mxfp8: bool) -> None:
    """A profile that gives fp4 and fp8 alone: 1978.9 TFLOP/s for mxfp8; without fp4 there is none."""
    added = tuple(replace(H100.peaks[0], element=name, tflops=4000) for name in elements)
    matrix = datasheet_roofs(replace(H100, peaks=(*H100.peaks, *added))).matrix

    assert matrix.get("mxfp8") == (pytest.approx(1978.9e12) if mxfp8 else None)


@pytest.mark.parametrize(
    ("above", "sheet", "raised"),
    [(0.99, False, False), (1.19, False, True), (1.21, False, False), (1.4, True, True), (1.42, True, False)],
)
def test_a_ceiling_rises_by_a_fifth_or_to_the_datasheet(above: float, *, sheet: bool, raised: bool) -> None:
    """From 700 TFLOP/s: to 840 without a datasheet, to its 989.4 (1.413 times) with one; else it stays."""
    device = gpu_device()
    gemm = ceilings(device, 3e12, {"bf16": 700e12})[-1]
    assert gemm.flops is not None
    known = [_timed(gemm, gemm.flops / 700e12 * 1e9)]
    line = measurement(device, "bf16", 4096, LAYER, 1.0)
    fast = _timed(line, line.flops / (700e12 * above) * 1e9)
    after = measured_roofs(device.id, known, [fast], H100 if sheet else None)

    assert after.matrix["bf16"] == pytest.approx(700e12 * (above if raised else 1))
    assert after.raised == ({"bf16": f"{line.case} {line.kernel}"} if raised else {})
    assert after.library().matrix["bf16"] == pytest.approx(700e12)
