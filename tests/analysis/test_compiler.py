"""The compiler of a run beside its formats: what it made of them, and the roof of what it emulates."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.analysis.answers import answers
from quantroof.analysis.compiler import compiler_of
from quantroof.analysis.device_results import device_results
from quantroof.analysis.points import Point
from quantroof.analysis.winner import doubts
from quantroof.records.directory import Run
from quantroof.reports.html.accuracy_section import accuracy_data
from quantroof.reports.text.markdown import markdown
from quantroof.reports.text.stack_lines import compiler_lines
from tests.builders import ceilings, gpu_device, info, measurement, run

SLOW_BF16, FAST_FP4 = 1e14, 4e14


def gb10(version: str | None, *, scheme: str = "mxfp4-w4a4", ns: float = 1.5e6) -> Run:
    """A GB10 with one format measured by two providers, and roofs of bf16 and MXFP4."""
    device = replace(gpu_device(name="NVIDIA GB10"), compute_capability="12.1", profile_id=None)
    versions = {"quantroof": "0.1.0"} | ({} if version is None else {"triton": version})
    header = replace(info([device], versions=versions), profiles={})
    lines = [
        measurement(device, scheme, 4096, (4096, 4096), ns, provider=provider)
        for provider in ("torch", "triton")
    ]
    return run(header, [*ceilings(device, 2.7e11, {"bf16": SLOW_BF16, "mxfp4": FAST_FP4}), *lines])


def by_provider(built: Run) -> dict[str, Point]:
    """The points of the one device by provider."""
    (results,) = device_results([built])
    return {point.measurement.provider: point for point in results.points}


def test_an_emulated_row_never_lies_under_a_native_roof() -> None:
    """Triton 3.7.1 unpacks MXFP4 on GB10: its row has the roof of bf16, the row of torch keeps its own."""
    points = by_provider(gb10("3.7.1"))
    assert points["triton"].roofs.arithmetic == "emulated"
    assert points["torch"].roofs.arithmetic == "native"
    roofs = {name: point.roofs.roof_ns or 0.0 for name, point in points.items()}
    assert roofs["triton"] / roofs["torch"] == pytest.approx(FAST_FP4 / SLOW_BF16, rel=0.02)


@pytest.mark.parametrize(
    ("version", "scheme", "element"),
    [
        ("3.7.1", "mxfp4-w4a4", "bf16"),
        ("3.9.0", "mxfp4-w4a4", "mxfp4"),  # native there
        ("3.9.0+git5", "mxfp4-w4a4", "mxfp4"),
        ("9.9.9", "mxfp4-w4a4", "mxfp4"),  # no table of it travels with quantroof
        (None, "mxfp4-w4a4", "mxfp4"),
        ("3.7.1", "mxfp4-w4a16", "bf16"),  # unpacked by design
        ("3.7.1", "int8-w8a8-static", "int8"),  # native there
    ],
)
def test_a_row_of_triton_has_the_element_that_its_compiler_multiplied(
    version: str | None, scheme: str, element: str
) -> None:
    """Only a known verdict changes what the formats say."""
    assert by_provider(gb10(version, scheme=scheme))["triton"].measurement.element == element


def test_the_guard_judges_an_emulated_row_by_the_roof_it_has() -> None:
    """Twice the rate of bf16: no emulation does that, and half of what the native unit reaches."""
    built = gb10("3.7.1", ns=2 * 4096**3 / (2 * SLOW_BF16) * 1e9)
    (device,) = built.info.devices
    flags = {line.provider: flag and flag.code for line, flag in doubts(built, device)}
    assert flags == {"torch": None, "triton": "impossible"}


def words(version: str, scheme: str) -> list[str]:
    """What the text outputs say below the format table."""
    built = gb10(version)
    return compiler_lines(compiler_of(built, built.info.devices[0]), [scheme])


def test_the_verdict_names_the_version_that_cures_it() -> None:
    """The sentence has the format, what it became, the version at fault and the one that cures it."""
    assert words("3.7.1", "mxfp4-w4a4") == [
        "mxfp4-w4a4: emulated as 16-bit by your triton 3.7.1: native from 3.9.0"
    ]
    assert words("3.7.1", "nvfp4-w4a4") == [
        "nvfp4-w4a4: does not compile with your triton 3.7.1: native from 3.9.0"
    ]
    assert words("3.9.0", "mxfp4-w4a4") == words("9.9.9", "mxfp4-w4a4") == []


def test_the_verdict_stands_beside_the_format_in_every_report() -> None:
    """Markdown and the page's format table have it; a run with a current compiler has no such row."""
    sentence = "emulated as 16-bit by your triton 3.7.1: native from 3.9.0"
    assert sentence in markdown(answers([gb10("3.7.1")])).replace("\\", "")
    assert rows_of(gb10("3.7.1"))["compiler"] == {"mxfp4-w4a4": [["", sentence]]}
    assert "compiler" not in rows_of(gb10("3.9.0"))


def rows_of(built: Run) -> dict[str, object]:
    """The rows above the page's format table, by name."""
    judged = answers([built])
    (device,) = accuracy_data(judged.devices, judged.choices, [])
    return {row["name"]: row["cells"] for row in device["errors"]}
