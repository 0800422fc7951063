"""`quantroof stack` with tables that were kept before, so that nothing is compiled."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from quantroof.cli.main import main
from quantroof.kernels.architectures import ARCHITECTURES
from quantroof.kernels.stack import table

pytest.importorskip("triton")
NEWEST = table.shipped_versions()[-1]


@pytest.fixture(autouse=True)
def kept_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that holds the shipped table as if this Triton had been asked already."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "quantroof" / "stack" / table._key()
    folder.mkdir(parents=True)
    for arch in ARCHITECTURES:
        lines = [msgspec.json.encode(c) for c in table.shipped(NEWEST) if c.arch == arch]
        (folder / f"{arch}.jsonl").write_bytes(b"\n".join(lines))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as exited:
        main(["stack", *arguments])
    captured = capsys.readouterr()
    return int(str(exited.value.code)), captured.out, captured.err


def test_a_gpu_below_its_silicon_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """GB10 multiplies fp8 x fp4 and this compiler unpacks it: the sentence names both, the exit code is 1."""
    code, out, _ = run(capsys, "--gpu", "gb10")
    assert code == 1
    (line,) = [text for text in out.splitlines() if text.startswith("warning")]
    assert "sm_121a mxfp4-w4a8: the silicon multiplies it" in line
    assert "runs it as 16-bit" in line


def test_a_gpu_whose_silicon_is_used_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    """An H100 has no unit for the block formats, so their emulation is not a finding."""
    code, out, _ = run(capsys, "--gpu", "NVIDIA H100 80GB HBM3")
    assert code == 0
    assert "warning" not in out
    assert "emulated as 16-bit" in out


def test_an_architecture_that_nobody_has_here_is_shown_and_exits_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is asked for by architecture is information about a GPU that may not be here."""
    code, out, _ = run(capsys, "--arch", "sm_121a")
    assert code == 0
    assert "warning: sm_121a mxfp4-w4a8" in out


def test_without_a_gpu_every_architecture_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """One table of formats and architectures, AMD's among them, and the caveat of int8 on B300."""
    code, out, _ = run(capsys)
    assert code == 0
    for arch in ARCHITECTURES:
        assert arch in out
    assert "note: sm_103a int8-w8a8: only mma.sync multiplies it there" in out


def test_json_has_versions_verdicts_and_findings(capsys: pytest.CaptureFixture[str]) -> None:
    """One document; a finding has its level, code, text and hint."""
    code, out, _ = run(capsys, "--gpu", "gb10", "--json")
    document = json.loads(out)
    assert (code, document["kind"]) == (1, "stack")
    assert document["versions"]["triton"] == table.triton_version()
    assert document["gpus"] == {"sm_121a": "NVIDIA GB10"}
    by_name = {verdict["format"]: verdict for verdict in document["verdicts"]}
    assert by_name["nvfp4-w4a4"]["support"] == "native"
    assert "stack_below_silicon" in [finding["code"] for finding in document["findings"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arch", "sm_12"], "unknown architecture 'sm_12'"),
        (["--gpu", "h1000"], "unknown GPU 'h1000'"),
        (["--gpu", "Tesla V100-SXM2-32GB"], "compute capability 7.0, which the tables lack"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit 2, what is wrong, and what would be possible."""
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
