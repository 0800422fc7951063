"""`quantroof report`, `show` and `export` as a person or a script calls them."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quantroof.analysis.device_results import device_results
from quantroof.cli.main import main
from quantroof.cli.output import echo_rich
from quantroof.reports.text.table import table, titled
from tests.builders import write
from tests.reports.conftest import CHROMIUM, Open
from tests.runs import cpu_run, failures_run, gpu_run, node_run, repeated, slower


@pytest.fixture
def failures(tmp_path: Path) -> Path:
    """A stored run with every kind of failure."""
    return write(failures_run(), tmp_path / "failures")


def _call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_report_goes_beside_the_run_and_prints_its_path(
    failures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --out the page is report.html in the run's directory."""
    assert _call("report", failures) == 0
    assert capsys.readouterr().out.strip() == str(failures / "report.html")
    assert (failures / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_page_says_simulated_wherever_a_reader_looks(tmp_path: Path) -> None:
    """HTML, Markdown, terminal data and exports of a simulated run all say so."""
    folder = write(gpu_run(simulated=True), tmp_path / "sim")
    for form in ("html", "md"):
        assert _call("report", folder, "--format", form) == 0
        assert "SIMULATED" in (folder / f"report.{form}").read_text(encoding="utf-8")
    for form in ("csv", "json", "pytest-benchmark", "google-benchmark", "pytorch-benchmark"):
        assert _call("export", folder, "--to", form, "--out", tmp_path / form) == 0
        assert "simulated" in (tmp_path / form).read_text(encoding="utf-8")


def test_library_beside_is_one_file_and_the_page_still_opens(tmp_path: Path, open_page: Open) -> None:
    """--plotlyjs beside writes plotly.js once; the page is small and draws without a network."""
    folder = write(gpu_run(), tmp_path / "gpu")
    page = tmp_path / "site" / "one.html"
    assert _call("report", folder, "--out", page, "--plotlyjs", "beside") == 0
    library = [file for file in page.parent.iterdir() if file.suffix == ".js"]

    assert len(library) == 1
    assert page.stat().st_size < 200_000
    seen = open_page(page)
    assert seen.requests == [library[0].as_uri()]
    assert seen.complaints == []
    assert seen.page.locator("#summary-chart .points path").count() > 30


def test_readers_get_their_section_first(tmp_path: Path) -> None:
    """The page opens with the reader's tab: the summary, the formats, or what got slower."""
    base = write(repeated(gpu_run()), tmp_path / "base")
    later = slower(repeated(gpu_run()), 1.12, scheme="bf16", provider="torch")
    now = write(later, tmp_path / "now")
    first = {}
    for reader in ("health", "formats", "ci"):
        out = tmp_path / f"{reader}.html"
        assert _call("report", now, "--before", base, "--reader", reader, "--out", out) == 0
        block = re.search(r'id="data">([^<]*)<', out.read_text(encoding="utf-8"))
        assert block is not None
        data = json.loads(gzip.decompress(base64.b64decode(block[1])))["data"]
        first[reader] = data["preset"]["tab"]

    assert first == {"health": "summary", "formats": "formats", "ci": "changes"}


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_png_is_a_picture_of_the_page(failures: Path) -> None:
    """--png leaves a PNG of some size beside the page."""
    assert _call("report", failures, "--png") == 0
    picture = (failures / "report.png").read_bytes()

    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000


def test_png_without_a_browser_is_one_line(
    failures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, with what to install; the page is there all the same."""
    monkeypatch.setenv("PATH", "")

    assert _call("report", failures, "--png") == 3
    assert "needs chromium" in capsys.readouterr().err
    assert (failures / "report.html").exists()


def test_several_runs_stand_in_one_report(tmp_path: Path) -> None:
    """Devices of two runs are told apart by the run's name."""
    folders = [write(gpu_run(run_id=name), tmp_path / name) for name in ("node-a", "node-b")]
    out = tmp_path / "both.html"

    assert _call("report", *folders, "--out", out) == 0
    page = out.read_text(encoding="utf-8")
    assert "node-a cuda:0" in page
    assert "node-b cuda:0" in page


def test_markdown_has_the_answers_and_the_slower_cases(tmp_path: Path) -> None:
    """The summary for a ticket: three answers, a table of what got slower, a format table."""
    base = write(repeated(gpu_run()), tmp_path / "base")
    now = write(slower(repeated(gpu_run()), 1.12, scheme="bf16", provider="torch"), tmp_path / "now")
    assert _call("report", now, "--before", base, "--to", "md", "--out", tmp_path / "s.md") == 0
    summary = (tmp_path / "s.md").read_text(encoding="utf-8")

    assert "## What got slower? ✗ 15 slower" in summary
    assert summary.count("**slower**") == 15
    assert "| M | winner | fp32 | tf32 |" in summary


def test_show_prints_one_table_for_gpus_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A node of 8 GPUs of one model has one line and one table; a line says where the others are."""
    assert _call("show", write(node_run(), tmp_path / "node")) == 0
    told = capsys.readouterr().out

    assert told.count("(* winner, = ties)") == 1
    assert "8 x NVIDIA H100 80GB HBM3  27 of 27 cases timed on each" in told
    assert "7 more of this model" in told


def test_show_prints_answers_and_gaps(failures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary names verdicts and every reason; --failed lists the cases."""
    assert _call("show", failures) == 0
    told = capsys.readouterr().out
    assert "\nIs it healthy? ✗ degraded\n" in told
    assert "the worker was killed by signal 9" in told

    assert _call("show", failures, "--failed") == 0
    assert "\n  int8-w8a8, M 1, 4096x4096, torch.int8-w8a8\n" in capsys.readouterr().out


def test_a_title_stays_on_one_line_above_a_narrow_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A title longer than its table is not folded to the table's width."""
    echo_rich([titled("sim:h100-sxm5-80gb, N 4096 x K 4096", table(("M", "bf16"), [("1", "13 µs")]))])

    assert capsys.readouterr().out.splitlines()[0] == "sim:h100-sxm5-80gb, N 4096 x K 4096"


def test_show_json_is_one_document(failures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every measurement is in it, absent values as null."""
    assert _call("show", failures, "--json") == 0
    document = json.loads(capsys.readouterr().out)

    assert (document["kind"], document["schema_version"]) == ("show", 1)
    assert len(document["measurements"]) == 7
    assert len(document["not_measured"]) == 5
    assert [a["verdict"] for a in document["answers"]] == [
        "degraded",
        "int4-w4a16",  # bf16 at M = 64 lies far above its roof
        "no baseline",
    ]


def _exported(form: str, folder: Path) -> Any:
    out = folder / f"out.{form}"
    assert _call("export", folder, "--to", form, "--out", out) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def test_json_export_keeps_every_sample(tmp_path: Path) -> None:
    """The records come back whole, with derived values beside them."""
    run = cpu_run()
    document = _exported("json", write(run, tmp_path / "run"))
    first = run.measurements[0]
    assert first.timing is not None

    assert len(document["measurements"]) == len(run.measurements)
    assert document["measurements"][0]["record"]["timing"]["samples_ns"] == list(first.timing.samples_ns)
    assert document["measurements"][0]["derived"]["scheme"] == "fp32"


def test_csv_export_has_all_digits(tmp_path: Path) -> None:
    """The median in the file is the median of the record, not a rounded one."""
    run = cpu_run()
    out = tmp_path / "out.csv"
    assert _call("export", write(run, tmp_path / "run"), "--to", "csv", "--out", out) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    point = device_results([run])[0].points[0]
    assert point.time is not None

    assert float(rows[0]["median_ns"]) == point.time.median
    assert len(rows) == len(run.measurements)


def test_pytest_benchmark_reads_our_export(tmp_path: Path) -> None:
    """pytest-benchmark's own compare prints one table per case from the file."""
    run = cpu_run()
    folder = write(run, tmp_path / "run")
    out = tmp_path / "out.json"
    assert _call("export", folder, "--to", "pytest-benchmark", "--out", out) == 0
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(out), "--columns=median,rounds"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)

    assert "torch.int4-w4a16[cpu:0/gemv/int4.g128-bf16-bf16/m1-n4096-k4096]" in told.stdout
    assert json.loads(out.read_text())["machine_info"]["node"] == run.info.host.name == "node-17"


def test_parquet_holds_the_table(tmp_path: Path) -> None:
    """Read back by DuckDB, the columns have types and absent values are null."""
    duckdb = pytest.importorskip("duckdb", reason="the store extra is not installed")
    out = tmp_path / "out.parquet"
    assert _call("export", write(failures_run(), tmp_path / "run"), "--to", "parquet", "--out", out) == 0
    rows = duckdb.sql(f"select count(*), count(median_ns), max(m) from '{out}'").fetchall()

    assert rows == [(7, 3, 4096)]


def test_parquet_without_duckdb_is_one_line(
    failures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3 with the extra to install."""
    monkeypatch.setitem(sys.modules, "duckdb", None)

    assert _call("export", failures, "--to", "parquet", "--out", failures / "x.parquet") == 3
    assert "pip install 'duckdb>=1.1'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (("report", "{run}"), "<!doctype html>"),
        (("report", "{run}", "--to", "md"), "#"),
        (("export", "{run}", "--to", "csv"), "run,device,"),
        (("export", "{run}", "--to", "json"), "{"),
    ],
)
def test_a_dash_is_standard_output(
    arguments: tuple[str, ...], start: str, failures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The document alone is printed, so that it can be piped; no file of that name appears."""
    assert _call(*(argument.format(run=failures) for argument in arguments), "--out", "-") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(start)
    assert not printed.rstrip().endswith("\n-")
    assert not Path("-").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("report", "{run}", "--out", "-", "--png"), 2, "standard output takes one file"),
        (("report", "{run}", "--out", "-", "--plotlyjs", "beside"), 2, "standard output takes one file"),
        (("report", "{run}", "--out", "/proc/nowhere/x.html"), 3, "/proc/nowhere/x.html: cannot be written"),
        (("report", "{run}", "--out", "{run}"), 2, "is a directory"),
        (("report", "{run}/none"), 2, "no run.jsonl here"),
        (("export", "{run}", "--to", "csv", "--out", "{run}"), 2, "is a directory"),
        (("export", "{run}", "--to", "xml", "--out", "x"), 2, "'xml' is not one of"),
    ],
)
def test_wrong_requests_end_in_one_clear_line(
    arguments: tuple[str, ...], code: int, told: str, failures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What, where, and the exit code of the kind of mistake."""
    assert _call(*(argument.format(run=failures) for argument in arguments)) == code
    assert told in capsys.readouterr().err
