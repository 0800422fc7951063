"""One scale on every surface: the same word and exit code wherever the same evidence is judged."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from quantroof.analysis.run_verdict import run_verdict
from quantroof.analysis.verdicts import BY_ITSELF, CHANGES, STATES, Verdict, exit_code, gravest
from quantroof.errors import ExitCode
from quantroof.records.directory import Run, read_run
from quantroof.records.lines import Measurement
from tests.analysis.test_trust import BUSY, busy_run
from tests.builders import run as built_run
from tests.builders import write
from tests.commands import call, call_json
from tests.runs import cpu_run, gpu_run, repeated

NODE = "sim:h100-sxm5-80gb*8"
LONE = "sim:h100-sxm5-80gb"
SYMBOLS = {"ok": "✓", "degraded": "✗", "unknown": "?"}
TAG = re.compile("<[^>]+>")


def _json_of(file: Path, *arguments: str | Path) -> tuple[int, Any]:
    code = call(*arguments, "--out", file)
    return code, json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("device", "state", "code"),
    [
        (LONE, "ok", 0),
        (f"{NODE}+memory@3", "degraded", 1),
        (NODE, "ok", 0),
        (f"{NODE}+busy@3", "unknown", 4),
        pytest.param(f"{NODE}+fading@3", "degraded", 1, marks=pytest.mark.long),
        ("cpu", "unknown", 4),
    ],
    ids=["lone", "one slow", "alike", "one busy", "one fading", "cpu"],
)
def test_every_surface_has_the_same_word(
    device: str,
    state: str,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Burn-in, fleet, show, Markdown, page and JSON agree: a lone GPU, a slow or a busy one of 8, a CPU."""
    monkeypatch.delenv("CI", raising=False)  # where it is set, a disturbed run is accepted
    run = tmp_path / "run"
    if device == "cpu":
        write(cpu_run(), run)
    else:
        burned, document = call_json(
            capsys, "doctor", "--burn-in", "--device", device, "--out", tmp_path / "b", "--quiet"
        )
        assert (burned, document["verdict"]) == (code, state)
        assert call("run", "--suite", "node", "--device", device, "--out", run, "--quiet") == code
    judged, fleet = call_json(capsys, "fleet", run)
    _, shown = call_json(capsys, "show", run)
    markdown, page = tmp_path / "r.md", tmp_path / "r.html"
    assert call("report", run, "--format", "md", "--out", markdown) == 0
    assert call("report", run, "--plotlyjs", "beside", "--out", page) == 0
    words = f"ok ({BY_ITSELF})" if device == LONE else state

    assert (judged, fleet["verdict"]) == (code, state)
    assert shown["verdict"] == state
    assert shown["answers"][0]["verdict"] == words
    assert f"## Is it healthy? {SYMBOLS[state]} {words}" in _plain(markdown)
    assert f"{SYMBOLS[state]} {words}\n" in TAG.sub("", page.read_text(encoding="utf-8"))


def _plain(file: Path) -> str:
    return file.read_text(encoding="utf-8").replace("\\", "")


def test_a_cpu_alone_measures_well_and_has_no_reference(tmp_path: Path) -> None:
    """Its run is ok, for nothing disturbed it; whether the device is sound stays unknown."""
    run = read_run(write(cpu_run(), tmp_path / "run"))

    assert run_verdict(run) == Verdict("ok")
    assert run_verdict(busy_run()) == Verdict("unknown", BUSY)


def test_an_idle_run_keeps_its_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same machine without load: a winner, a tick and advice on every surface, and no amber sentence."""
    quiet = write(cpu_run(), tmp_path / "quiet")
    assert call("show", quiet) == 0
    shown = capsys.readouterr().out
    assert call("report", quiet, "--format", "md", "--out", tmp_path / "r.md") == 0
    assert call("report", quiet, "--plotlyjs", "beside", "--out", tmp_path / "r.html") == 0
    advised, advice = call_json(capsys, "advise", "--model", "llama-3.2-1b", "--run", quiet)
    compared, comparison = call_json(capsys, "compare", quiet, quiet)
    _, document = call_json(capsys, "show", quiet)
    _, exported = _json_of(tmp_path / "x.json", "export", quiet, "--to", "json")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    texts = (shown, _plain(tmp_path / "r.md"), page)

    assert (advised, compared, comparison["verdict"]) == (0, 0, "same")
    assert advice["unusable"] is None
    assert advice["frontier"] or advice["best"]
    assert all("✓" in text and "do not use" not in text for text in texts)
    assert 'class="card good"' in page
    assert 'class="untrusted">' not in page
    assert document["answers"][1]["tone"] == "good"
    assert exported["trust"]["cpu:0"]["usable"]


def test_a_disturbed_run_has_no_green_tick_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Page, terminal, Markdown, JSON, compare, fleet, export and advice: one reason in amber, no tick."""
    quiet, busy = write(cpu_run(), tmp_path / "quiet"), write(busy_run(), tmp_path / "busy")
    judged, fleet = call_json(capsys, "fleet", busy)
    assert (judged, fleet["verdict"]) == (4, "unknown")
    assert call("fleet", busy) == 4
    assert "unknown: other processes used it in 27 of " in capsys.readouterr().out
    _, exported = _json_of(tmp_path / "x.json", "export", busy, "--to", "json")
    assert exported["trust"]["cpu:0"]["words"] == BUSY
    capsys.readouterr()
    assert call("show", busy, "--before", quiet) == 0
    shown = capsys.readouterr().out
    assert call("report", busy, "--format", "md", "--out", tmp_path / "r.md") == 0
    assert call("report", busy, "--plotlyjs", "beside", "--out", tmp_path / "r.html") == 0
    capsys.readouterr()
    advised = call("advise", "--model", "llama-3.2-1b", "--run", busy)
    advice = capsys.readouterr()
    compared = call("compare", quiet, busy)
    comparison = capsys.readouterr().out
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    texts = (shown, _plain(tmp_path / "r.md"), page, advice.out, comparison)

    assert (advised, compared) == (4, 4)
    assert all(BUSY in text for text in texts)
    assert not any("✓" in text for text in texts)
    assert "meets" not in advice.out
    assert 'class="card good"' not in page
    assert 'class="card unsure"' in page
    assert 'class="untrusted">' in page
    assert comparison.splitlines()[0] == f"not comparable: the new run is disturbed: {BUSY}"
    assert len(comparison.splitlines()) == 2
    refused, recommended = call_json(capsys, "advise", "--model", "llama-3.2-1b", "--run", busy)
    assert (refused, recommended["best"]) == (4, None)
    _, document = call_json(capsys, "show", busy)
    assert {answer["tone"] for answer in document["answers"]} <= {"unsure", "none"}
    assert not document["runs"][0]["trust"]["cpu:0"]["usable"]


def _sustained(run: Run) -> Run:
    options = replace(run.info.options, mode="sustained")
    return built_run(replace(run.info, options=options), [*run.ceilings, *run.measurements])


def _simulated(run: Run) -> Run:
    return built_run(replace(run.info, simulated=True), [*run.ceilings, *run.measurements])


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (_sustained(cpu_run()), "modes never mix"),
        (cpu_run("Another CPU"), "cpu:0 is Another CPU now"),
        (gpu_run(), "no device in common"),
        (_simulated(cpu_run()), "a simulated run never compares"),
        (busy_run(), "the new run is disturbed"),
    ],
    ids=["mode", "model", "device", "simulated", "loaded"],
)
def test_runs_that_must_not_be_compared_exit_4(
    later: Run, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another mode, model, device or kind, and a loaded run: one reason, and no verdict for any case."""
    base, now = write(cpu_run(), tmp_path / "base"), write(later, tmp_path / "now")
    capsys.readouterr()

    assert call("compare", base, now) == 4
    printed = capsys.readouterr()
    assert words in printed.out + printed.err
    assert "slower" not in printed.out


@pytest.mark.parametrize(("processes", "code", "word"), [(2, 4, "undecided"), (3, 1, "slower")])
def test_two_processes_a_side_only_differ(
    processes: int, code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """20 % more time: `differs` from two processes in compare, Markdown and page, `slower` from three."""
    base = repeated(cpu_run(), processes)
    slow = built_run(base.info, [*base.ceilings, *(_longer(m, 1.2) for m in base.measurements)])
    before, after = write(base, tmp_path / "base"), write(slow, tmp_path / "now")
    compared, document = call_json(capsys, "compare", before, after)
    report = ("report", after, "--before", before)
    assert call(*report, "--format", "md", "--out", tmp_path / "r.md") == 0
    markdown = _plain(tmp_path / "r.md")

    assert (compared, document["verdict"]) == (code, word)
    assert ("differ, " in document["summary"]) is (word == "undecided")
    assert ("✗" in markdown.partition("## What got slower?")[2].split("\n")[0]) is (word == "slower")


def _longer(line: Measurement, factor: float) -> Measurement:
    if line.timing is None:
        return line
    samples = tuple(sample * factor for sample in line.timing.samples_ns)
    return replace(line, timing=replace(line.timing, samples_ns=samples))


def test_the_scales_have_an_order_and_exit_codes() -> None:
    """Every word has a code, and the gravest state is the first of several."""
    codes = {word: exit_code(word) for word in (*STATES, *CHANGES)}

    assert {word for word, code in codes.items() if code is ExitCode.OK} == {"ok", "new", "faster", "same"}
    assert {word for word, code in codes.items() if code is ExitCode.UNDECIDED} == {
        "unknown", "undecided", "not comparable",
    }  # fmt: skip
    assert gravest(["ok", "unknown", "degraded"]) == "degraded"
    assert gravest([]) == "unknown"
