"""Every Markdown output, rendered: a hostile name from a file arrives as text and as nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt

from quantroof.analysis.answers import answers
from quantroof.analysis.studies import read_studies
from quantroof.cli.main import main
from quantroof.errors import ExitCode
from quantroof.gate.check import Report
from quantroof.gate.verdicts import CaseVerdict
from quantroof.records.directory import Run
from quantroof.records.lines import AnyRecord
from quantroof.reports.text import md
from quantroof.reports.text.gate_markdown import markdown as gate_markdown
from quantroof.reports.text.markdown import markdown as report_markdown
from tests.builders import LAYERS, ceilings, gpu_device, info, measurement, run, write
from tests.reports.studies import RESULTS, written
from tests.runs import GPU_BANDWIDTH, GPU_RATES

EVIL = "<img src=x onerror=alert(1)> [x](javascript:alert(2)) ![y](http://z) **b** a|b `c` <http://d>"


def hostile_run() -> Run:
    """A run on a device with a hostile name."""
    device = msgspec.structs.replace(gpu_device(), name=EVIL)
    lines: list[AnyRecord] = [
        *ceilings(device, GPU_BANDWIDTH, GPU_RATES),
        measurement(device, "bf16", 1, LAYERS[0], 12_000),
        measurement(device, "int4-w4a16", 1, LAYERS[0], 8_000),
    ]
    return run(info([device]), lines)


def of_report(_folder: Path, _out: Callable[[], str]) -> str:
    """`report --to md`."""
    return report_markdown(answers([hostile_run()]))


def of_study(folder: Path, _out: Callable[[], str]) -> str:
    """The losses of a study in it."""
    study = read_studies([written(folder / "study.jsonl", RESULTS, model=EVIL)])
    return report_markdown(answers([hostile_run()]), study)


def of_gate(_folder: Path, _out: Callable[[], str]) -> str:
    """`gate check --markdown`, and the step summary."""
    case = CaseVerdict(case=EVIL, kernel=EVIL, verdict="slower", reason=EVIL)
    return gate_markdown(
        Report(
            run="r", device=EVIL, suite=EVIL, baseline=EVIL, simulated=False, exit_code=ExitCode.FINDING,
            environment=(), cases=(case,), remarks=(EVIL,),
        )
    )  # fmt: skip


def of_advice(folder: Path, out: Callable[[], str]) -> str:
    """`advise --markdown`, with its formulas and the command to serve."""
    path = write(hostile_run(), folder / "run")
    with pytest.raises(SystemExit):
        main(
            [
                "advise",
                "--model",
                "llama-3.1-8b",
                "--run",
                str(path),
                "--markdown",
                "--explain",
                "--emit",
                "vllm",
            ]
        )
    return out()


@pytest.mark.parametrize("document", [of_report, of_study, of_gate, of_advice])
def test_a_hostile_name_is_text_in_every_markdown_output(
    document: Callable[[Path, Callable[[], str]], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No element, link, image or emphasis comes from it, no table gains a cell, and its text is complete."""
    text = document(tmp_path, lambda: capsys.readouterr().out)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    own = re.sub(r"</?(details|summary)>", "", page)

    assert EVIL.replace("`", "").split()[0] in unescape(own)
    assert EVIL in unescape(re.sub(r"<[^>]*>", "", own))
    assert re.search(r"<(img|a|script|code)\b(?! class)", own.replace("<pre><code>", "")) is None
    assert "<strong>b" not in own
    for table in re.findall(r"<table>.*?</table>", own, flags=re.DOTALL):
        rows = [row.count("<td") + row.count("<th ") + row.count("<th>") for row in table.split("<tr>")[1:]]
        assert set(rows) == {rows[0]}


def test_code_cannot_be_left_from_within() -> None:
    """A fence is longer than any run of backticks in the code."""
    page = MarkdownIt("commonmark").render(md.code("a ```\n# b\n````\n<i>"))

    assert page == "<pre><code>a ```\n# b\n````\n&lt;i&gt;\n</code></pre>\n"


def test_markdown_is_not_escaped_twice() -> None:
    """A bold cell stays bold in a table, its text escaped once."""
    assert md.table(["a|b"], [[md.bold("*c*")]]) == "| a\\|b |\n| --- |\n| **\\*c\\*** |"
