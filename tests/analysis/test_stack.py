"""Whether a compiler uses the silicon: re-found from the shipped tables, and judged on hand-made cells."""

from __future__ import annotations

import pytest

from quantroof.analysis.stack import StackVerdict, Tables, stack_findings, stack_verdicts
from quantroof.kernels.stack.cell import StackCell
from quantroof.kernels.stack.table import shipped, shipped_versions


def verdict(version: str, arch: str, name: str) -> StackVerdict:
    """The verdict that a version gets, beside every other shipped table."""
    others = [(v, shipped(v)) for v in shipped_versions()]
    cells = [c for c in shipped(version) if (c.arch, c.format) == (arch, name)]
    (one,) = stack_verdicts(Tables(version, cells, others))
    return one


@pytest.mark.parametrize("name", ["mxfp8-w8a8", "mxfp4-w4a4"])
def test_gb10_is_emulated_by_triton_3_7_and_cured_by_3_9(name: str) -> None:
    """The silicon multiplies the format, the older compiler unpacks it to 16 bits."""
    old = verdict("3.7.1", "sm_121a", name)
    assert (old.silicon, old.support, old.runs_as, old.cured_in) == (True, "emulated", ("16-bit",), "3.9.0")
    assert old.below_silicon
    assert verdict("3.9.0", "sm_121a", name).support == "native"


def test_nvfp4_on_gb10_does_not_compile_before_3_9() -> None:
    """A format that fails is below the silicon as well, with the compiler's reason."""
    old = verdict("3.7.1", "sm_121a", "nvfp4-w4a4")
    assert (old.support, old.cured_in, old.below_silicon) == ("fails", "3.9.0", True)
    assert old.error


@pytest.mark.parametrize("name", ["mxfp8-w8a8", "mxfp4-w4a4", "nvfp4-w4a4"])
def test_b200_needs_128_rows(name: str) -> None:
    """Fewer rows run as 16 bits in every version; with the weights as rows 16 columns are native."""
    now = verdict("3.9.0", "sm_100a", name)
    assert now.support == "partly native"
    assert now.native_tiles == ("128x128", "128x16 (weights as rows)")
    assert now.emulated_tiles == ("16x128", "64x128")
    (finding,) = stack_findings([now], "3.9.0")
    assert finding.code == "stack_partly_native"
    assert "weights as rows" in (finding.hint or "")


def test_w4a8_is_emulated_on_sm_120() -> None:
    """kind::mxf8f6f4 takes fp8 x fp4, and no version of the compiler uses it."""
    now = verdict("3.9.0", "sm_120a", "mxfp4-w4a8")
    assert (now.silicon, now.support, now.runs_as, now.cured_in) == (True, "emulated", ("16-bit",), None)


@pytest.mark.parametrize(
    ("arch", "older"), [("sm_103a", True), ("sm_107a", True), ("sm_100a", False), ("sm_110a", False)]
)
def test_int8_on_b300_and_rubin_has_the_older_path_only(arch: str, older: bool) -> None:
    """tcgen05 multiplies int8 on B200 and Thor, not on B300 and Rubin."""
    findings = stack_findings([verdict("3.9.0", arch, "int8-w8a8")], "3.9.0")
    assert ("stack_older_path" in [finding.code for finding in findings]) == older


def cells(**families: str | None) -> list[StackCell]:
    """Products of mxfp8 on sm_121a by tile, in what they multiply; None did not compile."""
    return [
        StackCell(arch="sm_121a", format="mxfp8-w8a8", tile=tile, error="boom")
        if family is None
        else StackCell(arch="sm_121a", format="mxfp8-w8a8", tile=tile, family=family, opcode="X")  # type: ignore[arg-type]
        for tile, family in families.items()
    ]


@pytest.mark.parametrize(
    ("families", "support", "below"),
    [
        ({"a": "fp8", "b": "fp8"}, "native", False),
        ({"a": "fp8", "b": "16-bit"}, "partly native", False),
        ({"a": "fp8", "b": None}, "partly native", False),
        ({"a": "16-bit", "b": "16-bit"}, "emulated", True),
        ({"a": "16-bit", "b": None}, "emulated", True),
        ({"a": None, "b": None}, "fails", True),
    ],
)
def test_support_follows_from_the_tiles(families: dict[str, str | None], support: str, below: bool) -> None:
    """One native tile suffices for partly native; a format without any is below its silicon."""
    (one,) = stack_verdicts(Tables("1.0.0", cells(**families)))
    assert (one.support, one.below_silicon) == (support, below)


@pytest.mark.parametrize(
    ("version", "cured_in"),
    [("1.0.0", "1.10.0"), ("1.10.0", None), ("2.0.0", None), ("1.9.0+git1", "1.10.0")],
)
def test_a_cure_is_the_first_newer_version_that_does_better(version: str, cured_in: str | None) -> None:
    """Versions are numbers: 1.10 is newer than 1.9. An older version that was better is not a cure."""
    emulated, native = cells(a="16-bit"), cells(a="fp8")
    others = [("1.2.0", emulated), ("1.10.0", native), ("1.11.0", native)]
    now = native if version in ("1.10.0", "2.0.0") else emulated
    (one,) = stack_verdicts(Tables(version, now, others))
    assert one.cured_in == cured_in


def test_more_native_tiles_are_better_within_one_support() -> None:
    """A newer version may cure some tiles of a format that has native ones already."""
    now, newer = cells(a="fp8", b="16-bit", c="16-bit"), cells(a="fp8", b="fp8", c="16-bit")
    (one,) = stack_verdicts(Tables("1.0.0", now, [("1.1.0", newer)]))
    assert one.cured_in == "1.1.0"
