"""The page of a history: what moved comes first, on one screen and on a phone."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest

from quantroof.cli.main import main
from quantroof.gate.change_points import ChangePoint
from quantroof.gate.history import Trend
from quantroof.reports.html.trend_page import trend_page
from tests.builders import write
from tests.reports.conftest import Open
from tests.runs import gpu_run, node_run


def test_mixed_folders_and_several_devices_are_grouped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """8 simulated GPUs and a measured one with a run each: the page names nine devices, without charts."""
    for i, built in enumerate((node_run(), gpu_run())):
        write(built, tmp_path / "runs" / str(i))
    plot = tmp_path / "trends.html"
    with pytest.raises(SystemExit) as ended:
        main(["history", str(tmp_path / "runs"), "--plot", str(plot), "--json"])
    shown = json.loads(capsys.readouterr().out)
    devices = {trend["device"] for trend in shown["trends"]}
    page = plot.read_text()

    assert not ended.value.code
    assert len(devices) == 9
    assert sum(name.startswith("SIMULATED") for name in devices) == 8
    assert all(html.escape(name) in page.partition("One run only")[2] for name in devices)
    assert "<figure>" not in page
    assert "<script" not in page


def _trend(scheme_case: str, *levels: float) -> Trend:
    """A case of the GPU whose times follow `levels`; a change point stands where they first differ from 1."""
    moved = next((i for i, level in enumerate(levels) if level != 1), None)
    changes = () if moved is None else (ChangePoint(moved, levels[moved] - 1, 1e-6),)
    count, values = len(levels), np.array(levels)
    dates = tuple(f"2026-11-{day + 1:02d}T08:30:00+00:00" for day in range(count))
    runs = tuple(f"run-{day}" for day in range(count))
    key = (scheme_case, "torch.linear")
    return Trend(
        "NVIDIA H200",
        "quick",
        "burst",
        key,
        True,
        runs,
        dates,
        (None,) * count,
        values,
        values * 1e4,
        changes,
    )


def test_what_moved_is_open_and_the_rest_is_folded(tmp_path: Path, open_page: Open) -> None:
    """On a phone the panel that moved is open and dated to the minute; the steady one is folded."""
    cases = [f"gemm/{name}/m1-n4096-k4096" for name in ("bf16-bf16-bf16", "int4.g128-bf16-bf16")]
    file = tmp_path / "trends.html"
    file.write_text(
        trend_page([_trend(cases[0], 1, 1, 1), _trend(cases[1], 1, 1, 1.08)], ()), encoding="utf-8"
    )
    seen = open_page(file, 390, script=False)

    assert seen.page.locator("figure:visible figcaption strong").all_inner_texts() == [
        "int4-w4a16, between the roofs"
    ]
    assert seen.page.locator(".moved").inner_text() == "2026-11-03 08:30: 1 case +8.0 %"
    assert seen.page.locator("summary").inner_text() == "1 group of cases without a change"
    assert seen.overflow() <= 0
    assert (seen.requests, seen.complaints) == ([], [])
