"""Formulas against the published numbers of the catalog."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog, derive, native
from quantroof.hwprofiles.compute import not_nvidia
from quantroof.hwprofiles.types import HardwareProfile, Peak
from tests.hwprofiles.boards import gpu

TOLERANCE = 0.01

# Published numbers that the formulas miss by more, each with the reason.
EXCEPTIONS = {
    ("l40s", "matrix.fp16.fp32"): "the datasheet's 362.05 is not half of its own fp8 733",
    ("l40s", "matrix.bf16.fp32"): "the datasheet's 362.05 is not half of its own fp8 733",
    ("b300", "matrix.fp4.fp32"): "'14 dense' is rounded up from 6 x bf16 = 13.5 PFLOP/s",
    ("b300", "matrix.int8.int32"): "0.1535 POP/s: the cut rate is not a power of two at this clock",
    ("gb300", "matrix.int8.int32"): "0.165 POP/s is rounded, and the rate fitted",
}
NO_RULE = ("special", "unknown", "amd")


@pytest.mark.parametrize(
    ("capability", "known"),
    [((9, 0), True), ((9, 4), False), ((9, 5), False), ((8, 7), True), ((8, 10), False), ((12, 1), True),
     ((12, 3), True), ((13, 0), True)],
)  # fmt: skip
def test_a_capability_is_nvidias_or_newer_than_all_we_know(capability: tuple[int, int], known: bool) -> None:
    """A gap in NVIDIA's numbers decides no architecture; a number past the newest may be the next GPU."""
    assert (not_nvidia(capability) is None) == known


def test_every_catalog_gpu_of_nvidia_has_a_known_capability() -> None:
    """The list of capabilities and the catalog agree, and so does the table of native formats."""
    listed = [p.compute_capability for p in catalog.profiles().values() if p.vendor == "NVIDIA"]
    for text in (*listed, *native.covered()):
        major, minor = text.split(".")
        assert not_nvidia((int(major), int(minor))) is None


def comparisons() -> Iterator[tuple[HardwareProfile, Peak, float]]:
    """Every catalog peak that a formula reaches, with the derived TFLOP/s."""
    for profile in catalog.profiles().values():
        boost = profile.boost_mhz
        if profile.rate_class in NO_RULE:
            continue
        tensor = profile.tensor_mhz or boost
        if tensor is None:
            continue
        derived = derive.peaks(
            profile.compute_capability, profile.sm_count, boost or tensor, tensor, profile.rate_class
        )
        by_key = {peak.key: peak for peak in derived}
        for peak in profile.peaks:
            if peak.clock_mhz is not None and peak.key in by_key:
                yield profile, peak, by_key[peak.key].tflops


ALL = list(comparisons())


def test_the_comparison_covers_the_catalog() -> None:
    """Most peaks are reached, and enough of them were published rather than derived themselves."""
    published = [peak for _, peak, _ in ALL if peak.basis in ("vendor", "transcribed")]
    assert len(ALL) >= 400
    assert len(published) >= 250


def test_derived_peaks_are_within_one_percent_of_the_catalog() -> None:
    """All but the named exceptions; an exception that no longer is one must leave the list."""
    missed = {(p.id, k.key) for p, k, value in ALL if abs(value / k.tflops - 1) > TOLERANCE}
    assert missed == set(EXCEPTIONS)


def test_derived_bandwidth_is_within_one_percent_of_the_catalog() -> None:
    """Data rate x bus width gives every published bandwidth that has both."""
    compared = 0
    for profile in catalog.profiles().values():
        if profile.memory_gbps_per_pin is None or profile.memory_bus_bits is None:
            continue
        derived = derive.bandwidth_gbps(profile.memory_gbps_per_pin, profile.memory_bus_bits)
        assert derived == pytest.approx(profile.bandwidth_gbps.value, rel=TOLERANCE), profile.id
        compared += 1
    assert compared >= 40


def test_an_unlisted_geforce_is_derived_with_its_assumptions() -> None:
    """Rated clock, halved fp32 accumulation, bandwidth of the bus; everything marked derived."""
    card = gpu(
        name="NVIDIA GeForce RTX 4070 of another name",
        compute_capability="8.9",
        sm_count=46,
        rated_sm_clock_mhz=2475,
        max_sm_clock_mhz=3105,
        memory_bus_bits=192,
        max_memory_clock_mhz=10501,
    )
    assert catalog.match(card) is None
    profile = derive.profile(card)
    assert profile.origin == "derived"
    assert profile.rate_class == "geforce"
    assert profile.bandwidth_gbps.value == pytest.approx(504, rel=0.001)  # NVIDIA's page: 504 GB/s
    bf16, fp16 = profile.peak("bf16"), profile.peak("fp16", "fp16")
    assert bf16 is not None
    assert fp16 is not None
    assert bf16.tflops == pytest.approx(58.3, rel=0.01)
    assert fp16.tflops == pytest.approx(2 * bf16.tflops)
    assert all(peak.basis == "derived" for peak in profile.peaks)
    assert any("2475 MHz is the rated clock" in text for text in profile.assumptions)


def test_a_clock_that_is_only_the_highest_is_said_to_be() -> None:
    """NVML's maximum stands in for the rated clock, with a sentence about it."""
    profile = derive.profile(gpu(name="NVIDIA Something New"))
    assert any("the rated one is not known" in text for text in profile.assumptions)


def test_a_derived_h100_agrees_with_the_catalog() -> None:
    """From what a driver and CUDA report of an H100, its catalog figures follow within the tensor clock."""
    profile = derive.profile(gpu(rated_sm_clock_mhz=1980))
    listed = catalog.profile("h100-sxm5-80gb")
    assert profile.bandwidth_gbps.value == pytest.approx(listed.bandwidth_gbps.value, rel=0.01)
    derived, published = profile.peak("bf16"), listed.peak("bf16")
    assert derived is not None
    assert published is not None
    assert derived.tflops / published.tflops == pytest.approx(1980 / 1830, rel=0.001)


@pytest.mark.parametrize("field", ["sm_count", "memory_bytes", "memory_bus_bits", "compute_capability"])
def test_what_a_device_does_not_report_is_named(field: str) -> None:
    """Nothing is guessed: the refusal says what is missing."""
    with pytest.raises(UsageError, match="does not report its"):
        derive.profile(gpu(**{field: None}))


def test_classes_and_capabilities_without_a_rule_are_refused() -> None:
    """H20-like parts and unknown generations are not derived."""
    with pytest.raises(UsageError, match="follows no rule"):
        derive.peaks("9.0", 78, 1980, 1980, "special")
    with pytest.raises(UsageError, match=r"compute capability 13\.0"):
        derive.peaks("13.0", 78, 1980, 1980, "full")
