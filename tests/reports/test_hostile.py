"""A run file from anywhere: its text is never markup, and what is not a run is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.analysis.answers import answers
from quantroof.cli.main import main
from quantroof.records.directory import Run
from quantroof.records.lines import AnyRecord, DeviceState, Flag
from quantroof.records.run import Host, RunOptions
from quantroof.reports.text.markdown import markdown
from quantroof.reports.text.md import text
from tests.builders import (
    LAYERS,
    ceilings,
    gpu_device,
    info,
    measurement,
    run,
    unmeasured,
    write,
)
from tests.reports.conftest import Open
from tests.runs import GPU_BANDWIDTH, GPU_RATES

EVIL = "</script><script>window.owned=1</script><img src=x onerror='window.owned=2'>\"'&{{7*7}}<b>"


def hostile_run() -> Run:
    """Every free text of a run is an attack."""
    device = msgspec.structs.replace(gpu_device(name=EVIL), driver=EVIL, uuid=EVIL, mig=EVIL)
    lines: list[AnyRecord] = [
        *ceilings(device, GPU_BANDWIDTH, GPU_RATES),
        measurement(
            device, "bf16", 1, LAYERS[0], 12_000, provider=EVIL, config={EVIL: EVIL},
            flags=(Flag(code=EVIL, text=EVIL),), state=DeviceState(sm_clock_mhz=1755.0, reasons=4),
        ),
        measurement(device, "int4-w4a16", 8, LAYERS[0], 8_000, provider=EVIL),
        unmeasured(device, "fp16", 8, LAYERS[0], "failed", EVIL, provider=EVIL),
    ]  # fmt: skip
    header = info([device], run_id=EVIL, versions={EVIL: EVIL})
    header = msgspec.structs.replace(
        header,
        suite=EVIL,
        git=EVIL,
        command=(EVIL,),
        host=Host(name=EVIL, system=EVIL, machine=EVIL),
        options=RunOptions(suite=EVIL, devices=(EVIL,), formats=(EVIL,), kernels=(EVIL,)),
    )
    return run(header, lines)


def test_no_text_of_a_run_becomes_a_script_or_an_element(built: Callable[..., Path], open_page: Open) -> None:
    """Opened, hovered, clicked and compared, the page runs nothing and builds no element from data."""
    base = hostile_run()
    file = built("hostile", [base], base)
    for fragment in (
        "",
        "#tab=roofline&dev=grid&show=all",
        "#tab=data&q=%3Cscript%3E",
        "#tab=roofline&show=all&rec=0",
    ):
        seen = open_page(file, fragment=fragment)
        if "rec" not in fragment and "data" not in fragment:
            seen.page.locator(".panel:not([hidden]) .points path").first.hover(force=True)
        seen.page.wait_for_timeout(150)

        assert seen.page.evaluate("window.owned") is None
        assert seen.page.locator("img").count() == 0
        assert seen.page.locator("body b").count() == 0
        assert seen.complaints == []
        assert seen.requests == []
        assert seen.overflow() <= 0
    assert EVIL in seen.page.locator("#record").inner_text()


def test_policy_stops_a_script_that_escaped_all_the_same(
    built: Callable[..., Path], open_page: Open, tmp_path: Path
) -> None:
    """Second wall: a script planted into the finished file is refused by its content policy."""
    page = built("hostile", [hostile_run()], hostile_run()).read_text(encoding="utf-8")
    planted = tmp_path / "planted.html"
    planted.write_text(
        page.replace("<noscript>", "<script>window.owned=3</script><noscript>", 1), encoding="utf-8"
    )
    seen = open_page(planted)

    assert seen.page.evaluate("window.owned") is None
    assert any("Content Security Policy" in complaint for complaint in seen.complaints)


def test_markdown_leaves_no_markup_from_data() -> None:
    """No raw HTML, link, image, mention or table border survives from a name."""
    summary = markdown(answers([hostile_run()], hostile_run()))

    assert "<" not in summary
    assert text("[x](http://a) ![i](b) |@user `c` *d*\n# e") == (
        r"\[x\]\(http://a\) \!\[i\]\(b\) \|&#64;user \`c\` \*d\* \# e"
    )


@pytest.mark.parametrize(
    "command", ["show {}", "fleet {}", "history {}", "advise --model llama-3.1-8b --run {}"]
)
def test_terminal_reads_no_markup_and_no_control_codes(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`[bold]` in a name stays text, and an escape sequence does not reach the terminal."""
    device = gpu_device(name="[bold red]H100[/] \x1b[2J\x07\u202e")
    folder = write(run(info([device]), [measurement(device, "bf16", 1, LAYERS[0], 1e4)]), tmp_path / "run")
    with pytest.raises(SystemExit):
        main(command.format(folder).split())
    shown = "".join(capsys.readouterr())

    assert "[bold red]H100[/]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown, "it turns the rest of the line around"


def _broken(change: Callable[[dict[str, Any]], object], tmp_path: Path) -> Path:
    """A run file whose measurement line was changed."""
    device = gpu_device()
    folder = write(run(info([device]), [measurement(device, "bf16", 1, LAYERS[0], 1e4)]), tmp_path / "run")
    lines = (folder / "run.jsonl").read_text().splitlines()
    line = json.loads(lines[1])
    change(line)
    lines[1] = json.dumps(line)
    (folder / "run.jsonl").write_text("\n".join(lines) + "\n")
    return folder


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "NaN": (lambda m: m["timing"].update(samples_ns=[float("nan")]), "line 2 is broken"),
    "infinity": (lambda m: m["timing"].update(samples_ns=[float("inf")]), "line 2 is broken"),
    "negative sample": (lambda m: m["timing"].update(samples_ns=[-1.0]), "line 2 is broken"),
    "no samples": (lambda m: m["timing"].update(samples_ns=[]), "line 2 is broken"),
    "a missing field": (lambda m: m.pop("flops"), "line 2 is broken"),
    "no timing": (lambda m: m.pop("timing"), "line 2 is broken"),
    "no bytes": (lambda m: m.update(bytes_moved=0), "has no operations or no bytes"),
    "an unlisted device": (lambda m: m.update(device="cuda:7"), "names device 'cuda:7'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_broken_run_is_refused_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not a number or not a record ends with exit code 2 and one line that names file and line."""
    change, expected = CHANGES[name]
    folder = _broken(change, tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder)])
    told = capsys.readouterr()

    assert ended.value.code == 2
    assert expected in told.err
    assert "run.jsonl" in told.err
    assert told.err.count("\n") == 1
    assert not (folder / "report.html").exists()


def test_later_schema_is_refused_with_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of a later version says which version it needs."""
    folder = write(run(info([gpu_device()]), []), tmp_path / "run")
    file = folder / "run.jsonl"
    file.write_text(file.read_text().replace("quantroof-run/1", "quantroof-run/9"))
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder)])

    assert ended.value.code == 2
    assert "quantroof-run/9" in capsys.readouterr().err
