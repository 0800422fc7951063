"""The report in a real Chromium without a network: what a reader sees and does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from quantroof.analysis.device_results import device_results
from quantroof.records.directory import Run
from quantroof.reports.exports.table import table
from tests.builders import gpu_device, info, measurement, run
from tests.reports.anchors import h200_run
from tests.reports.conftest import Open, Seen
from tests.runs import cpu_run, empty_run, failures_run, gpu_run, node_run, repeated, slower

Build = Callable[..., Path]


def _runs(kind: str) -> tuple[list[Run], Run | None]:
    if kind == "comparison":
        base = repeated(gpu_run())
        return [slower(base, 1.12, scheme="int4-w4a16", provider="triton")], base
    made: dict[str, Callable[[], Run]] = {
        "cpu": cpu_run, "node": node_run, "failures": failures_run, "empty": empty_run, "h200": h200_run,
        "simulated": lambda: gpu_run(simulated=True),
    }  # fmt: skip
    return [made[kind]()], None


KINDS = ("cpu", "node", "failures", "empty", "comparison", "h200", "simulated")


@pytest.fixture
def gpu(built: Build) -> Path:
    """A report of one GPU with 300 points."""
    return built("gpu", [gpu_run()])


@pytest.mark.parametrize("kind", KINDS)
def test_page_asks_for_nothing_complains_of_nothing_and_fits(
    kind: str, built: Build, open_page: Open
) -> None:
    """Every kind of report opens offline without a request, a console message or sideways scroll."""
    runs, baseline = _runs(kind)
    seen = open_page(built(kind, runs, baseline), 390)
    assert seen.overflow() <= 0
    seen.resize(1440)

    assert seen.overflow() <= 0
    assert seen.requests == []
    assert seen.complaints == []
    assert seen.page.locator("#failure").is_hidden()


LABELS = [
    f"#{chart} .{part}"
    for chart in ("summary-chart", "chart", "bandwidth", "state")
    for part in ("xtick", "ytick", "xtitle", "ytitle", "y2title", "y3title", "annotation-text")
] + [".roof"]


def _boxes(seen: Seen) -> list[tuple[str, float, float, float, float]]:
    found = seen.page.evaluate(
        """(labels) => [...document.querySelectorAll(labels)].map((label) => {
          const box = label.getBoundingClientRect();
          return [label.textContent, box.left, box.top, box.right, box.bottom];
        }).filter(([text]) => text)""",
        ", ".join(LABELS),
    )
    return [tuple(box) for box in found]


def _ground(seen: Seen) -> str:
    return str(seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def _overlapping(boxes: list[tuple[str, float, float, float, float]]) -> list[tuple[str, str]]:
    return [
        (a[0], b[0])
        for a, b in combinations(boxes, 2)
        if min(a[3], b[3]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[2], b[2]) > 1
    ]


@pytest.mark.parametrize(
    "view",
    [
        "",
        *(f"#tab=roofline{more}" for more in ("", "&roofs=measured,datasheet,held", "&y=share", "&show=all")),
    ],
)
def test_no_two_labels_overlap(view: str, gpu: Path, open_page: Open) -> None:
    """Roof names, ticks and axis titles keep clear of each other at both widths and in print."""
    seen = open_page(gpu, 1440, view)
    for width in (1440, 390):
        seen.resize(width)
        boxes = _boxes(seen)

        assert len(boxes) >= 8
        assert _overlapping(boxes) == []


def test_print_fits_the_paper_and_keeps_labels_apart(gpu: Path, open_page: Open) -> None:
    """On the 190 mm of an A4 page all tabs are drawn to fit, in light colors, without controls."""
    seen = open_page(gpu, 718, color_scheme="dark")
    seen.page.emulate_media(media="print", color_scheme="dark")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen.page.wait_for_selector("#bandwidth .xtick", state="attached")

    assert _overlapping(_boxes(seen)) == []
    assert seen.overflow() <= 0
    assert seen.page.locator("#filters").is_hidden()
    assert seen.page.locator(".colors").is_visible()
    assert seen.page.locator("#summary-chart").is_visible()
    assert seen.page.locator("#chart").is_hidden()  # the same picture
    assert seen.page.locator("#strip-chart").is_visible()
    assert _ground(seen) == "rgb(255, 255, 255)"
    seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert _ground(seen) != "rgb(255, 255, 255)"


def test_small_multiples_have_a_panel_a_device(built: Build, open_page: Open) -> None:
    """Eight GPUs side by side are eight panels whose labels keep clear of each other."""
    seen = open_page(built("node", [node_run()]), fragment="#tab=roofline&dev=grid")

    assert seen.page.locator("#chart .annotation-text").count() == 8
    assert _overlapping(_boxes(seen)) == []


def test_chips_change_the_count_and_the_hash_restores_the_view(gpu: Path, open_page: Open) -> None:
    """Switching a format off hides its 30 points, and the address brings the same view back."""
    seen = open_page(gpu, fragment="#tab=roofline&show=all&static=1")
    shown = seen.page.locator("#shown")
    assert shown.text_content() == "300 of 300 points shown"

    seen.page.get_by_role("button", name="fp32", exact=True).click()
    assert shown.text_content() == "270 of 300 points shown"
    seen.page.get_by_role("button", name="% of measured roof").click()
    address = seen.page.evaluate("location.hash")
    again = open_page(gpu, fragment=address)

    assert again.page.locator("#shown").text_content() == "270 of 300 points shown"
    assert again.page.locator("#chart .ytitle").text_content() == "share of the measured roof"


def test_controls_work_by_keyboard_and_keep_the_focus(gpu: Path, open_page: Open) -> None:
    """A chip is reached and pressed by keys, and still has the focus after the page redrew it."""
    seen = open_page(gpu, fragment="#tab=roofline&show=all&static=1")
    seen.page.get_by_role("button", name="tf32", exact=True).focus()
    seen.page.keyboard.press("Space")

    assert seen.page.locator("#shown").text_content() == "270 of 300 points shown"
    assert seen.page.evaluate("document.activeElement.textContent") == "tf32"
    seen.page.keyboard.press("Space")
    assert seen.page.locator("#shown").text_content() == "300 of 300 points shown"


@pytest.mark.parametrize("width", [1440, 390])
def test_hover_names_the_point_and_a_click_opens_its_record(width: int, gpu: Path, open_page: Open) -> None:
    """Hovering a mark shows its kernel; a click opens the record with the command that repeats it."""
    seen = open_page(gpu, width, "#tab=roofline&show=all")
    mark = seen.page.locator("#chart .points path").nth(40)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    assert box is not None
    center = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.page.mouse.move(center[0] - 1, center[1])
    seen.page.mouse.move(*center)
    seen.page.wait_for_selector("#chart .hovertext")
    assert "of the measured roof" in seen.page.locator("#chart .hovertext").first.inner_html()

    seen.page.mouse.click(*center)
    seen.page.wait_for_selector("#record[open]")
    facts = seen.page.locator("#record").inner_text()

    assert "quantroof run --case gem" in facts
    assert "--device cuda:0 --provider" in facts
    assert seen.overflow() <= 0
    seen.page.keyboard.press("Escape")
    seen.page.wait_for_url(lambda url: "rec=" not in url)  # the dialog's close event comes later
    assert seen.page.locator("#record[open]").count() == 0


def _download(seen: Seen, button: str) -> str:
    with seen.page.expect_download() as event:
        seen.page.locator(button).click()
    return Path(event.value.path()).read_text(encoding="utf-8")


def test_csv_download_equals_the_records(built: Build, open_page: Open) -> None:
    """The CSV holds every record, its times rounded to the six digits that the page promises."""
    run = failures_run()
    seen = open_page(built("failures", [run]), fragment="#tab=data")
    rows = list(csv.DictReader(io.StringIO(_download(seen, "#csv"))))
    expected = table(device_results([run])).to_dict("records")

    assert len(rows) == len(run.measurements)
    for row, record in zip(rows, expected, strict=True):
        for name in ("device", "scheme", "kernel", "provider", "status", "case", "flags"):
            assert row[name] == record[name]
        assert [int(row[name]) for name in ("m", "n", "k", "flops", "bytes")] == [
            record[name] for name in ("m", "n", "k", "flops", "bytes")
        ]
        assert row["reason"] == (record["reason"] or "")
        for name in ("median_ns", "low_ns", "high_ns"):
            kept = "" if record[name] != record[name] or record[name] is None else f"{record[name]:.6g}"
            assert (row[name] and f"{float(row[name]):.6g}") == kept


def test_json_download_holds_what_the_filter_shows(gpu: Path, open_page: Open) -> None:
    """Words in the filter narrow the table, the count and the download alike."""
    seen = open_page(gpu, fragment="#tab=data")
    seen.page.locator("#points-filter").fill("int4 triton m=8")
    rows = json.loads(_download(seen, "#json"))

    assert seen.page.locator("#points-count").inner_text() == "3 of 300 records"
    assert {(row["scheme"], row["provider"], row["m"]) for row in rows} == {("int4-w4a16", "triton", 8)}
    assert seen.page.locator("#points-table tbody tr").count() == 3


def test_table_sorts_by_a_column_both_ways(gpu: Path, open_page: Open) -> None:
    """The first press sorts ascending, the second descending."""
    seen = open_page(gpu, fragment="#tab=data")
    head = seen.page.locator("#points-table").get_by_role("button", name="M", exact=True)
    head.click()
    first = seen.page.locator("#points-table tbody tr").first.locator("td").nth(1)
    assert first.inner_text() == "1"

    seen.page.locator("#points-table").get_by_role("button", name="M ▲").click()

    assert first.inner_text() == "4096"


def test_slower_cases_come_first_and_verdict_chips_filter(built: Build, open_page: Open) -> None:
    """Fifteen slowdowns are listed with base, now and cause; the chip `same` adds the others."""
    runs, baseline = _runs("comparison")
    seen = open_page(built("comparison", runs, baseline), fragment="#tab=changes")
    rows = seen.page.locator("#changes-table tbody tr")

    assert rows.count() == 15
    assert "registers 168 -> 204" in rows.first.inner_text()
    assert seen.page.locator("#changes-table svg.samples").count() == 15
    seen.page.get_by_role("button", name="same 285").click()
    assert rows.count() == 40


def test_badge_says_how_a_format_is_computed_there(built: Build, open_page: Open) -> None:
    """Hopper multiplies fp8 natively (wgmma), int4 weights are unpacked, fp32 has no matrix path to name."""
    device = gpu_device()
    timed = (("fp32", 40_000), ("fp8-w8a8", 9_000), ("int4-w4a16", 6_000))
    lines = [measurement(device, scheme, 8, (4096, 4096), ns) for scheme, ns in timed]
    seen = open_page(built("badges", [run(info([device]), lines)]), fragment="#tab=formats")
    notes = seen.page.locator("#formats-table tbody th small")

    assert notes.all_inner_texts() == ["", "native", "unpack"]


def test_record_says_what_its_interval_is_made_of(built: Build, open_page: Open) -> None:
    """Three processes of one case are one point whose interval is one of processes."""
    device = gpu_device()
    lines = [measurement(device, "bf16", 8, (4096, 4096), 12_000 + 100 * i, seed=i) for i in range(3)]
    seen = open_page(
        built("processes", [run(info([device]), lines)]), fragment="#tab=roofline&show=all&rec=0"
    )

    assert seen.page.locator("#shown").text_content() == "1 of 1 points shown"
    assert "of 3 processes" in seen.page.locator("#record").inner_text()


def test_page_is_readable_without_javascript(gpu: Path, open_page: Open) -> None:
    """Answers, set-up and method are plain HTML."""
    seen = open_page(gpu, script=False)
    body = seen.page.locator("main").inner_text()

    assert "int4-w4a16 wins to M = 64, fp8-w8a8 from 512" in body
    assert "Charts and tables need JavaScript" in body


def test_dark_page_has_a_dark_ground_and_no_complaint(gpu: Path, open_page: Open) -> None:
    """The reader's dark theme reaches ground, ink and marks."""
    seen = open_page(gpu, color_scheme="dark")

    assert _ground(seen) == "rgb(20, 23, 28)"
    assert seen.complaints == []
