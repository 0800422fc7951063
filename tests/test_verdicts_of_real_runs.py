"""Verdicts of runs made for real: beside two busy processes, on an idle machine, and a burn-in of a CPU."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.cli.processes import tiny_suite
from tests.commands import call, call_json

pytestmark = pytest.mark.alone


def _tiny(folder: Path, limits: Mapping[str, str] = MappingProxyType({})) -> tuple[str | Path, ...]:
    """The command that measures a tiny suite on this CPU, with other `limits` by the line they replace."""
    suite = folder / "tiny.toml"
    text = tiny_suite("fp32 bf16")
    for line, other in limits.items():
        assert line in text
        text = text.replace(line, other)
    suite.write_text(text)
    return ("run", "--device", "cpu", "--suite", suite, "--no-ceilings", "--quiet")


def test_a_run_beside_two_busy_processes_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made for real: refused without --anyway, then measured, marked, and without a tick on any surface."""
    monkeypatch.delenv("CI", raising=False)
    busy = tmp_path / "busy"
    measure = (*_tiny(tmp_path), "--out", busy)
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        time.sleep(0.5)
        refused = call(*measure)
        refusal = capsys.readouterr().err
        measured = call(*measure, "--anyway")
        last = capsys.readouterr().err.splitlines()[-1]
    finally:
        for process in load:
            process.kill()
            process.wait()

    assert (refused, measured) == (3, 0)
    assert "--anyway" in refusal
    assert last.startswith("unknown: ")
    assert "other processes kept" in last
    assert last.endswith("; do not use")
    assert call("show", busy) == 0
    assert call("report", busy, "--format", "md", "--out", "-") == 0
    assert call("compare", busy, busy) == 4
    assert "✓" not in capsys.readouterr().out


@pytest.mark.long
def test_a_run_on_an_idle_machine_keeps_its_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other half, made for real: not refused, not marked, and a winner with a tick on every surface."""
    monkeypatch.delenv("CI", raising=False)
    idle = tmp_path / "idle"
    for attempt in range(_ATTEMPTS):
        out = idle / str(attempt)
        code, last = call(*_tiny(tmp_path, _STEADY), "--out", out), capsys.readouterr().err.splitlines()[-1]
        if any(word in last for word in _BUSY):
            time.sleep(2)
            continue
        compared, comparison = call_json(capsys, "compare", out, out)
        if comparison["verdict"] != "undecided":
            break
    else:
        pytest.skip(f"this machine was busy, or its times spread too much, in {_ATTEMPTS} attempts")

    assert (code, last.startswith("ok: ")) == (0, True), last
    assert (compared, comparison["verdict"]) == (0, "same")
    assert call("show", out) == 0
    assert call("report", out, "--format", "md", "--out", "-") == 0
    assert capsys.readouterr().out.count("✓") >= 2


_ATTEMPTS = 8
"""Of four measurements one beside another process marks the run, and a shared host has such moments."""

_BUSY = ("other processes kept", "other processes keep", "the intervals are", "not fit")
"""A run that was marked, one that was refused at its start, one whose times spread, and a useless machine."""

_STEADY = {"precision = 0.5": "precision = 0.02", "seconds_per_case = 0.05": "seconds_per_case = 1"}
"""Limits at which intervals are narrow enough for `same`; the suite's own stop at half of the median."""


@pytest.mark.long
def test_a_burn_in_of_a_cpu_alone_has_the_word_of_its_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`unknown` and exit code 4 in the burn-in, and in `fleet` and `show` of what it measured."""
    node = tmp_path / "node"
    burned, document = call_json(capsys, "doctor", "--burn-in", "--device", "cpu", "--out", node, "--quiet")
    judged, fleet = call_json(capsys, "fleet", node)

    assert (burned, document["verdict"]) == (4, "unknown")
    assert (judged, fleet["verdict"]) == (4, "unknown")
    assert len(document["runs"]) == 2
    for directory in document["runs"]:
        _, shown = call_json(capsys, "show", directory)
        assert shown["verdict"] == "unknown"
