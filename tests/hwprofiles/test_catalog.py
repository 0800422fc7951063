"""The catalog: every number sourced, names exact, malformed files refused."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.profile_file import read_profiles
from quantroof.hwprofiles.types import HardwareProfile
from tests.hwprofiles.boards import gpu

PROFILES = catalog.profiles()

GOOD = """
vendor = "NVIDIA"
architecture = "Test"
[sources]
sheet = { basis = "vendor", text = "a datasheet" }
[profile.one]
names = ["NVIDIA One"]
compute_capability = "9.0"
rate_class = "full"
source = "sheet"
sm_count = 10
boost_mhz = 1000
memory_gb = 8
memory_type = "HBM"
bandwidth_gbps = 100
sparse_factor = 2
[profile.one.matrix]
bf16.fp32 = 10
"""


def test_the_catalog_holds_82_nvidia_and_7_amd_devices() -> None:
    """Nothing was lost on the way into the files."""
    vendors = [p.vendor for p in PROFILES.values()]
    assert (vendors.count("NVIDIA"), vendors.count("AMD")) == (82, 7)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_every_number_says_where_it_comes_from(profile: HardwareProfile) -> None:
    """Fields and peaks carry a source, a peak the clock it holds at where the vendor rates one."""
    numbers = ("sm_count", "boost_mhz", "tensor_mhz", "memory_gb", "memory_bus_bits", "l2_mb", "tdp_w")
    for field in numbers:
        assert (getattr(profile, field) is None) == (field not in profile.sources), field
    assert profile.bandwidth_gbps.source
    assert all(peak.source for peak in profile.peaks)
    keys = [peak.key for peak in profile.peaks]
    assert len(keys) == len(set(keys))


def test_h100_is_rated_at_two_clocks() -> None:
    """989.4 TFLOP/s bf16 holds at 1830 MHz, fp32 at 1980 MHz."""
    h100 = catalog.profile("h100-sxm5-80gb")
    bf16, fp32 = h100.peak("bf16"), h100.peak("fp32")
    assert bf16 is not None
    assert fp32 is not None
    assert (bf16.tflops, bf16.clock_mhz) == (989.4, 1830)
    assert (fp32.tflops, fp32.clock_mhz, fp32.unit) == (66.9, 1980, "vector")
    assert h100.bandwidth_bytes_per_s == 3350e9


def test_geforce_rates_differ_by_accumulator() -> None:
    """An RTX 4090 does twice the fp8 rate when it accumulates in fp16, and libraries do not."""
    rtx = catalog.profile("rtx-4090")
    assert [rtx.peak("fp8_e4m3", acc) is not None for acc in ("fp32", "fp16")] == [True, True]
    library, fast = rtx.peak("fp8_e4m3"), rtx.peak("fp8_e4m3", "fp16")
    assert library is not None
    assert fast is not None
    assert (library.tflops, fast.tflops) == (330.3, 660.6)


@pytest.mark.parametrize(
    ("name", "profile_id"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"),
        ("NVIDIA H200", "h200-sxm"),
        ("NVIDIA H200 NVL", "h200-nvl"),
        ("NVIDIA GH200 480GB", "gh200-96gb"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", "l40"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA A10G", "a10g"),
        ("NVIDIA A10", "a10"),
        ("A100-SXM4-80GB", "a100-sxm4-80gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb"),
        ("nvidia geforce rtx 3090", "rtx-3090"),
        ("Tesla T4", "t4"),
        ("NVIDIA B200", "b200"),
    ],
)
def test_names_match_exactly(name: str, profile_id: str) -> None:
    """No name is taken for a longer or shorter one."""
    found = catalog.match(gpu(name=name, sm_count=None, memory_bytes=None))
    assert found is not None
    assert found.id == profile_id


@pytest.mark.parametrize("name", ["NVIDIA H1000", "H200 SXM1", "NVIDIA A100", "Xeon", "", "NVIDIA L40S X"])
def test_an_unknown_name_matches_nothing(name: str) -> None:
    """A device that nobody listed has no profile, rather than a neighbor's."""
    assert catalog.match(gpu(name=name)) is None


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("RTX 4090", ["rtx-4090"]),
        ("rtx4090", ["rtx-4090"]),
        ("4090", ["rtx-4090", "rtx-4090-d"]),
        ("H100 SXM", ["h100-sxm5-80gb"]),
        ("A100-80GB", ["a100-sxm4-80gb", "a100-pcie-80gb"]),
        ("H100 80GB", ["h100-sxm5-80gb", "h100-pcie"]),
        ("a10", ["a10"]),
        ("H1", []),
        ("NVIDIA", []),
    ],
)
def test_a_typed_name_means_every_board_that_it_describes(typed: str, expected: list[str]) -> None:
    """Words without separators, parts of an id and memory sizes; half a word or a vendor alone means none."""
    assert [p.id for p in catalog.named(typed)] == expected


@pytest.mark.parametrize(
    ("sms", "gib", "expected"),
    [
        (68, 10, "rtx-3080-10gb"),
        (70, 12, "rtx-3080-12gb"),
        (None, 10, "rtx-3080-10gb"),
        (None, 12, "rtx-3080-12gb"),
        (70, None, "rtx-3080-12gb"),
        (68, 12, None),
        (None, None, None),
    ],
)
def test_two_cards_of_one_name_are_told_apart(sms: int | None, gib: int | None, expected: str | None) -> None:
    """SM count and memory decide between the two RTX 3080; a contradiction or silence decides nothing."""
    memory = None if gib is None else gib << 30
    found = catalog.match(gpu(name="NVIDIA GeForce RTX 3080", sm_count=sms, memory_bytes=memory))
    assert (found.id if found else None) == expected


def test_silence_decides_nothing_where_one_of_two_cards_is_listed() -> None:
    """A 4060 Ti with 8 GB is not in the catalog, and one that reports no memory may be that."""
    name = "NVIDIA GeForce RTX 4060 Ti"

    assert catalog.match(gpu(name=name, memory_bytes=16 << 30)) is catalog.profile("rtx-4060-ti-16gb")
    assert catalog.match(gpu(name=name, memory_bytes=None)) is None


@pytest.mark.parametrize(
    ("profile_id", "element", "unit"),
    [("a100-sxm4-80gb", "fp64", "matrix"), ("a100-sxm4-80gb", "fp32", "vector")],
)
def test_the_matrix_units_are_the_peak_where_they_have_the_format(
    profile_id: str, element: str, unit: str
) -> None:
    """The A100 multiplies fp64 on both units; fp32 exists on its vector units only."""
    peak = catalog.profile(profile_id).peak(element)

    assert peak is not None
    assert peak.unit == unit


def test_a_mig_slice_is_scaled() -> None:
    """Peaks follow the slice's SMs, bandwidth its eighths of the memory, and the profile says so."""
    whole = catalog.profile("h100-sxm5-80gb")
    slice_ = gpu(name="NVIDIA H100 80GB HBM3 MIG 1g.10gb", mig="1g.10gb", sm_count=16, memory_bytes=10 << 30)
    found = catalog.match(slice_)
    assert found is not None
    assert found.origin == "mig-slice"
    assert found.bandwidth_gbps.value == pytest.approx(whole.bandwidth_gbps.value / 8)
    bf16 = found.peak("bf16")
    assert bf16 is not None
    assert bf16.tflops == pytest.approx(989.4 * 16 / 132)
    assert "16 of 132 SMs, 1/8 of the memory" in found.assumptions[0]
    assert found.sources["sm_count"].startswith("scaled to MIG 1g.10gb")
    assert "tdp_w" not in found.sources


def test_a_well_formed_file_is_read() -> None:
    """The file that the refusals below change is itself fine."""
    (profile,) = read_profiles(GOOD, "good.toml")
    assert profile.sources["sm_count"] == "a datasheet (vendor)"
    assert profile.peaks[0].sparse_tflops == 20


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('source = "sheet"\n', "", "one.sm_count: no source"),
        ("bf16.fp32 = 10", "bf16.fp32 = -10", "one.matrix.bf16.fp32: -10 is not a positive number"),
        ("bandwidth_gbps = 100", "bandwidth_gbps = 0", "one.bandwidth_gbps: 0 is not a positive number"),
        ("bandwidth_gbps = 100\n", "", "bandwidth_gbps"),
        ("bf16.fp32 = 10", "bf17.fp32 = 10", "one.matrix.bf17: unknown element type 'bf17'"),
        ("bf16.fp32 = 10", "bf16.fp99 = 10", "one.matrix.bf16.fp99: unknown accumulator 'fp99'"),
        ("sparse_factor = 2", "sparse_factor = 4", "one.matrix.bf16.fp32: sparse 40 is more than twice"),
        (
            "bf16.fp32 = 10",
            "bf16.fp32 = { value = 10, sparse = 21 }",
            "sparse 21 is more than twice dense",
        ),
        ("bf16.fp32 = 10", 'bf16.fp32 = { value = 10, source = "shet" }', "unknown source 'shet'"),
        ('rate_class = "full"', 'rate_class = "fast"', "rate_class"),
        ("sm_count = 10", "sm_count = 10.5", "sm_count"),
        ("sm_count = 10", 'sm_count = "ten"', "sm_count"),
        ("sm_count = 10", "sm_cuont = 10", "sm_cuont"),
        ("vendor =", "vendor", "not TOML"),
        ('basis = "vendor"', 'basis = "hearsay"', "basis"),
        ("boost_mhz = 1000", "boost_mhz = inf", "one.boost_mhz: needs a finite number"),
        ("boost_mhz = 1000", "boost_mhz = nan", "one.boost_mhz: needs a finite number"),
    ],
)
def test_a_malformed_profile_is_refused_with_file_key_and_reason(old: str, new: str, complaint: str) -> None:
    """One line that says which file, which key, and what is wrong."""
    assert old in GOOD
    with pytest.raises(UsageError) as refused:
        read_profiles(GOOD.replace(old, new, 1), "bad.toml")
    assert str(refused.value).startswith("bad.toml")
    assert re.search(re.escape(complaint), str(refused.value))


def test_a_shared_name_needs_discriminators() -> None:
    """Two profiles of one name are refused unless both say how to tell them apart."""
    second = GOOD.partition("[profile.one]")[2].replace("profile.one", "profile.two")
    both = read_profiles(GOOD + "[profile.two]" + second, "bad.toml")
    with pytest.raises(UsageError, match="one and two share the name 'one' without a discriminator"):
        catalog.check_names(both)


def test_every_data_file_is_read() -> None:
    """No file of the folder is left out."""
    stems = {entry.name for entry in (files("quantroof.hwprofiles") / "profiles").iterdir()}
    assert all(name.endswith(".toml") for name in stems)
    assert len(stems) == 10
