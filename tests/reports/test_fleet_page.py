"""The fleet's page in a real browser: small whatever the fleet, escaped, without a script or a request."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from quantroof.cli.main import main
from quantroof.finding import Finding
from quantroof.fleet.analysis import Analysis, GpuResult, PopulationSummary, analyze
from quantroof.fleet.collection import Population, Unit
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.types import Device
from quantroof.records.run import Host
from quantroof.reports.html.fleet_page import GPUS, NODES, fleet_html
from tests.builders import gpu_device
from tests.fleet.runs import node_run, stored
from tests.reports.conftest import Open

EVIL = '<img src=x onerror="window.owned=1"><script>window.owned=2</script>'
POPULATION = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", simulated=True)


def planted(device: Device, node: str) -> tuple[float, float]:
    """One GPU slow in compute."""
    return (1.0, 0.90) if (node, device.index) == ("node-3", 5) else (1.0, 1.0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Six nodes as files."""
    return stored(tmp_path_factory.mktemp("fleet"), [node_run(f"node-{n}", planted) for n in range(6)])


def large(gpus: int) -> Analysis:
    """A fleet as its analysis, every twentieth GPU degraded."""
    source = random.Random(7)
    judged = []
    for number in range(gpus):
        bad = number % 20 == 0
        level = 0.08 if bad else source.gauss(0, 0.015)
        device = msgspec.structs.replace(gpu_device(number % 8), uuid=f"GPU-{number}")
        unit = Unit(
            f"run-{number // 8}", "2026-11-20T09:00:00+00:00", f"node-{number // 8}", device, POPULATION
        )
        found = (Finding("degraded", "compute_floor", "compute at 92 % of the siblings' median"),)
        levels: dict[str, float | None] = {"memory": source.gauss(0, 0.005), "compute": level}
        judged.append(
            GpuResult(unit, POPULATION, levels, {"memory": None}, {}, {}, 0, found if bad else ())
        )  # fmt: skip
    judged.sort(key=lambda gpu: (not gpu.findings, -gpu.worst))
    shares = {"memory": 0.006, "compute": 0.016}
    floor = {"memory": 0.95, "compute": 0.94}
    summary = PopulationSummary(POPULATION, gpus, 42, True, shares, floor, shares, ())
    return Analysis(judged, [summary], [], [], Policy())


@pytest.mark.parametrize("width", [390, 1440])
def test_the_command_writes_a_page_that_opens(
    runs: list[str], tmp_path: Path, width: int, open_page: Open
) -> None:
    """Verdict, node, GPU, floor and missing node stand there; nothing is loaded, runs or overflows."""
    file = tmp_path / "deep" / "fleet.html"
    with pytest.raises(SystemExit) as ended:
        main(["fleet", *runs, "--expect", "node-0,node-77", "--html", str(file)])
    seen = open_page(file, width, script=False)
    text = seen.page.inner_text("body")

    assert ended.value.code == 1
    for words in ("SIMULATED", "1 of 48", "node-3 cuda:5", "node-77", "floor of 95.0 %", "Policy"):
        assert words in text
    assert seen.page.locator("svg .bar").count() > 10
    assert seen.page.locator(".cell.degraded").count() == 1
    assert seen.page.locator("svg .mark").count() == 2
    assert (seen.requests, seen.complaints, seen.overflow()) == ([], [], 0)
    assert "<script" not in file.read_text(encoding="utf-8")


def test_names_of_a_run_are_text(tmp_path: Path, open_page: Open) -> None:
    """Markup in a node's or a device's name, or in a problem, is shown and never runs."""
    built = [node_run(f"node-{n}", change=lambda d: msgspec.structs.replace(d, name=EVIL)) for n in range(3)]
    for n, run in enumerate(built):
        run.info = msgspec.structs.replace(run.info, host=Host(name=f"{EVIL}{n}"))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    found = analyze(gather(stored(tmp_path, built)), Policy(), now=now)
    found.problems.append(EVIL)
    file = tmp_path / "evil.html"
    file.write_text(fleet_html(found, [EVIL]), encoding="utf-8")
    seen = open_page(file, script=False)

    assert EVIL in seen.page.inner_text("body")
    assert seen.page.locator("img, script").count() == 0
    assert seen.requests == []


def test_ten_thousand_gpus_still_open(tmp_path: Path, open_page: Open) -> None:
    """The page is bounded, says what it leaves out, and draws every GPU in the histograms."""
    found = large(10_000)
    file = tmp_path / "large.html"
    file.write_text(fleet_html(found, []), encoding="utf-8")
    seen = open_page(file, script=False)
    text = seen.page.inner_text("body")
    bars = [int(words.split()[0]) for words in seen.page.locator("svg .bar title").all_text_contents()]

    assert file.stat().st_size < 500_000
    assert sum(bars) == 2 * 10_000
    assert f"{NODES} of 1250 nodes are shown" in text
    assert f"The worst {GPUS} of 500 are shown" in text
    assert "200 bad GPUs have no mark of their own" in text


def test_a_lone_gpu_gets_a_page_too(tmp_path: Path) -> None:
    """Ok by itself, and nothing to draw."""
    page = fleet_html(analyze(gather(stored(tmp_path, [node_run("node-0", gpus=1)])), Policy()), [])

    assert "no siblings" in page
    assert "Nothing to draw" in page
