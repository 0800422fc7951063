"""`quantroof hardware` as people run it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from quantroof.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as exited:
        main(["hardware", *arguments])
    captured = capsys.readouterr()
    return int(str(exited.value.code)), captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The JSON a command prints."""
    _, out, _ = run(capsys, *arguments, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


def test_show_says_what_an_h100_can_do_and_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    """989.4 TFLOP/s bf16 at 1830 MHz, 3350 GB/s, the ridge point, and numbered sources."""
    code, out, _ = run(capsys, "show", "NVIDIA H100 80GB HBM3")
    assert code == 0
    (line,) = [text for text in out.splitlines() if text.strip().startswith("bf16 matrix")]
    for part in ("989.4 TFLOP/s", "1830 MHz", "295 op/byte"):
        assert part in line
    assert "3350 GB/s" in out
    (number,) = re.findall(r"\[(\d+)\]", line)
    assert re.search(rf"^\[{number}\] .*whitepaper", out, re.MULTILINE)


def test_show_tells_what_every_path_makes_of_a_format(capsys: pytest.CaptureFixture[str]) -> None:
    """One column per path: fp8 on Hopper is native by wgmma, int4 by none, tcgen05 does not assemble."""
    _, out, _ = run(capsys, "show", "h200-sxm")
    (fp8, int4) = [
        text.split("  ")
        for text in out.splitlines()
        if re.match(r"\s*(fp8_e4m3 +fp32|int4) +.*(native|emulated): ", text)
    ]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in (fp8, int4)]
    assert cells[0][2:] == [
        "emulated: HMMA.16816.F32",
        "native: QGMMA.64x8x32.F32.E4M3.E4M3",
        "does not assemble",
    ]
    assert cells[1][2:] == ["emulated: IMMA.16832.S8.S8", "does not assemble", "does not assemble"]


def test_measured_rates_are_a_witness(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A run's ceilings stand beside the profile, and in the audit beside catalog and machine code."""
    from msgspec.structs import replace

    from quantroof.records.directory import RunWriter
    from tests.runs import gpu_run

    built = gpu_run()
    devices = tuple(replace(d, profile_id="h100-sxm5-80gb") for d in built.info.devices)
    with RunWriter.create(tmp_path / "run", replace(built.info, devices=devices)) as writer:
        for line in built.ceilings:
            writer.write(line)
    shown = document(capsys, "show", "h100-sxm5-80gb", "--run", str(tmp_path / "run"))["profiles"][0]
    assert shown["measured"]["device"] == "cuda:0"
    results = document(capsys, "audit", "--run", str(tmp_path / "run"))["results"]
    (fp8,) = [result for result in results if result["claim"]["id"] == "support/fp8_e4m3/h100-sxm5-80gb"]
    assert any(text.startswith("measured: ") and text.endswith("x fp16") for text in fp8["evidence"])


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("NVIDIA GH200 480GB", ["gh200-96gb"]),
        ("NVIDIA L40S", ["l40s"]),
        ("NVIDIA A10G", ["a10g"]),
        ("NVIDIA GeForce RTX 3080", ["rtx-3080-10gb", "rtx-3080-12gb"]),
        ("h200-sxm", ["h200-sxm"]),
    ],
)
def test_show_finds_exactly_the_card_that_is_named(
    capsys: pytest.CaptureFixture[str], name: str, ids: list[str]
) -> None:
    """A shared name shows every card that has it, any other one."""
    shown = document(capsys, "show", name)["profiles"]
    assert [entry["profile"]["id"] for entry in shown] == ids


def test_show_of_an_unknown_card_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the nearest names."""
    code, _, err = run(capsys, "show", "h200-smx")
    assert code == 2
    assert "h200-sxm" in err


def test_list_holds_every_profile(capsys: pytest.CaptureFixture[str]) -> None:
    """Every board of the catalog, and a table for people."""
    assert len(document(capsys, "list")["profiles"]) == 89
    _, out, _ = run(capsys, "list")
    assert "NVIDIA GeForce RTX 5090" in out


def test_derive_marks_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Peaks with the formula that gave them, bandwidth by bus and data rate."""
    card = ("--compute-capability", "8.9", "--sms", "46", "--clock-mhz", "2475", "--rate-class", "geforce")
    code, out, _ = run(capsys, "derive", *card, "--memory-gbps-per-pin", "21", "--bus-bits", "192")
    assert code == 0
    assert "matrix bf16, fp32: 58.29 TFLOP/s  derived: 46 SM x 512 operations x 2475 MHz" in out
    assert "bandwidth: 504 GB/s" in out


def test_derive_names_the_options_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is assumed for an SM count."""
    code, _, err = run(capsys, "derive", "--compute-capability", "8.9", "--clock-mhz", "2000")
    assert code == 2
    assert "needs --sms" in err


def test_audit_reports_wrong_claims_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped claims hold thirteen wrong ones, each printed with evidence."""
    found = document(capsys, "audit")
    assert (found["wrong"], found["cannot_tell"]) == (13, 3)
    code, out, _ = run(capsys, "audit")
    assert code == 1
    assert "INT4 on H100 SXM5: native" in out
    assert "IMMA.16832.S8.S8" in out


def test_audit_of_true_claims_is_content(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file of one's own, exit code 0."""
    file = tmp_path / "mine.toml"
    claim = 'id = "a"\ntext = "H200 has 4.8 TB/s"\nkind = "bandwidth"\nprofile = "h200-sxm"\nvalue = 4800\n'
    file.write_text(f'title = "mine"\n[[claim]]\n{claim}')
    code, out, _ = run(capsys, "audit", str(file))
    assert code == 0
    assert "1 claims: 0 false" in out


@pytest.mark.parametrize(
    ("gpu", "sentence"),
    [
        ("b300", "note: int8 is multiplied by mma.sync alone on sm_103a"),
        ("mi355x", "gfx950 multiplies fp16, bf16, int8, fp8_e4m3"),
        ("v100-sxm2-16gb", "machine code of compute capability 7.0 was not read"),
    ],
)
def test_show_says_what_a_reader_of_the_table_would_miss(
    capsys: pytest.CaptureFixture[str], gpu: str, sentence: str
) -> None:
    """A format that only the older path has, a GPU of AMD, and a GPU that the table lacks."""
    code, out, _ = run(capsys, "show", gpu)
    assert code == 0
    assert sentence in out


def test_show_has_no_such_note_where_the_fast_path_has_every_format(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """B200's tcgen05 multiplies int8 as well."""
    _, out, _ = run(capsys, "show", "b200")
    assert "mma.sync alone" not in out
