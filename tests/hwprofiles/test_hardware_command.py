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
    (line,) = [text for text in out.splitlines() if text.strip().startswith("bf16")]
    for part in ("989.4 TFLOP/s", "1830 MHz", "295 op/byte", "wgmma"):
        assert part in line
    assert "3350 GB/s" in out
    (number,) = re.findall(r"\[(\d+)\]", line)
    assert re.search(rf"^\[{number}\] .*whitepaper", out, re.MULTILINE)


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
    """53 rows, and a table for people."""
    assert len(document(capsys, "list")["profiles"]) == 53
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
    assert "--sms missing" in err


def test_audit_reports_wrong_claims_by_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped claims hold nine wrong ones, each printed with evidence."""
    found = document(capsys, "audit")
    assert (found["wrong"], found["cannot_tell"]) == (9, 2)
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
    assert "1 claims: 0 wrong" in out
