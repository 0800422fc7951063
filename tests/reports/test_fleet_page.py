"""The fleet's page in a real browser: small whatever the fleet, escaped, filtered, without a request."""

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
from quantroof.reports.html.fleet_nodes import NODES, RACKS, drain, racks
from quantroof.reports.html.fleet_page import GPUS, fleet_html
from tests.builders import gpu_device
from tests.fleet.runs import Speed, node_run, stored
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
            GpuResult(
                unit, POPULATION, levels, {"memory": None}, {}, {}, 0, found if bad else (),
                quantities={f"quantity {number}": source.gauss(0, 0.01) for number in range(18)},
            )
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
    """Verdict, node, GPU, floor and missing node stand there without the script; nothing is loaded or
    overflows."""
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
    assert seen.page.locator(".cell.degraded").inner_text().startswith("D -")
    assert seen.page.locator("#filter").is_hidden()
    assert file.read_text(encoding="utf-8").count("<script") == 1


def test_names_of_a_run_are_text(tmp_path: Path, open_page: Open) -> None:
    """Markup in a node's or a device's name, or in a problem, is shown and never runs."""
    built = [node_run(f"node-{n}", change=lambda d: msgspec.structs.replace(d, name=EVIL)) for n in range(3)]
    for n, run in enumerate(built):
        run.info = msgspec.structs.replace(run.info, host=Host(name=f"{EVIL}{n}"))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    found = analyze(gather(stored(tmp_path, built)), Policy(), now=now)
    found.problems.append(EVIL)
    file = tmp_path / "evil.html"
    labels = {name: {"rack": EVIL, EVIL: EVIL} for name in (f"{EVIL}0", f"{EVIL}1", EVIL)}
    file.write_text(fleet_html(found, [EVIL], labels), encoding="utf-8")
    seen = open_page(file)
    seen.page.fill("#filter-words", EVIL)

    assert EVIL in seen.page.inner_text("body")
    assert EVIL in seen.page.inner_text(".rack h3")
    assert seen.page.locator("img").count() == 0
    assert seen.page.locator("script").count() == 1
    assert seen.page.evaluate("window.owned") is None
    assert seen.requests == []


def test_a_filter_shows_the_nodes_that_have_all_its_words(
    runs: list[str], tmp_path: Path, open_page: Open
) -> None:
    """By words of the name, the labels, the reason and the cells, and by state; racks without a match go."""
    file, labels = tmp_path / "fleet.html", tmp_path / "racks.csv"
    labels.write_text("node,rack\n" + "".join(f"node-{n},r{n // 3}\n" for n in range(7)))
    options = ["--labels", str(labels), "--expect", "node-6", "--html", str(file)]
    with pytest.raises(SystemExit):
        main(["fleet", *runs, *options])
    page = open_page(file).page

    def shown(words: str, state: str = "") -> tuple[list[str], list[str], str]:
        page.fill("#filter-words", words)
        page.select_option("#filter-state", state)
        nodes, found = page.locator("tr.node:visible th"), page.locator(".rack:visible h3")
        names = [text.split("\n")[0] for text in nodes.all_inner_texts()]
        return sorted(names), found.all_inner_texts(), page.inner_text("#filter-count")

    assert shown("")[2] == "6 of 6 nodes shown"
    assert shown("node-4") == (["node-4"], ["r1"], "1 of 6 nodes shown")
    assert shown("RACK r0")[0] == ["node-0", "node-1", "node-2"]
    assert shown("compute siblings")[0] == ["node-3"]
    assert shown("r1 nothing") == ([], [], "0 of 6 nodes shown")
    assert shown("", "failed degraded")[:2] == (["node-3"], ["r1"])
    assert shown("", "unknown silent")[:2] == ([], ["r2"])
    assert len(shown("", "ok")[0]) == 5


def test_bad_nodes_have_commands_and_their_racks(runs: list[str]) -> None:
    """One line per bad node for Slurm and for Kubernetes; racks hold all of their nodes, silent ones too, in
    the order of their numbers."""
    found = analyze(gather(runs), Policy())
    labels = {f"node-{n}": {"rack": "r2" if n < 4 else "r10"} for n in (*range(6), 12)}
    commands, inside = drain(found), racks(found, ["node-12"], labels)

    assert commands is not None
    assert commands.slurm.startswith(
        "scontrol update nodename=node-3 state=drain reason='quantroof SIMULATED"
    )
    assert "GPU 5 " in commands.slurm
    assert commands.kubernetes == "kubectl cordon node-3"
    assert [(rack.name, rack.bad) for rack in inside] == [("r2", 1), ("r10", 0)]
    assert [(n.name, n.state) for n in inside[1].nodes] == [
        ("node-4", "ok"), ("node-5", "ok"), ("node-12", "silent")
    ]  # fmt: skip
    assert racks(found, [], {}) == []
    assert drain(analyze(gather(runs[:2]), Policy())) is None


def test_a_bad_gpu_is_drawn_over_the_sweeps(tmp_path: Path, open_page: Open) -> None:
    """Three sweeps of a GPU that loses 4 % each time: one chart, two lines, compute falls by 8 %."""

    def fading(sweep: int) -> Speed:
        return lambda device, node: (1.0, 1 - 0.04 * sweep * ((node, device.index) == ("node-1", 2)))

    built = [
        node_run(f"node-{n}", fading(sweep), started=f"2026-11-1{sweep}T09:00:00+00:00", seed=sweep)
        for n in range(4)
        for sweep in range(3)
    ]
    found = analyze(gather(stored(tmp_path, built)), Policy(), now=datetime(2026, 11, 21, tzinfo=UTC))
    (bad,) = found.bad
    levels = [sweep.level["compute"] or 0.0 for sweep in bad.sweeps]
    file = tmp_path / "fleet.html"
    file.write_text(fleet_html(found, []), encoding="utf-8")
    chart = open_page(file).page.locator("#section-trends figure")

    assert [sweep.started_at[:10] for sweep in bad.sweeps] == ["2026-11-10", "2026-11-11", "2026-11-12"]
    assert levels[1] - levels[0] == pytest.approx(0.041, abs=0.004)
    assert levels[2] - levels[0] == pytest.approx(0.083, abs=0.004)
    assert abs((bad.sweeps[0].level["memory"] or 0) - (bad.sweeps[2].level["memory"] or 0)) < 0.004
    assert levels[2] == pytest.approx(bad.level["compute"])
    assert chart.count() == 1
    assert chart.locator("polyline").count() == 2
    assert "2026-11-10" in chart.inner_text()
    places = [
        float(point.split(",")[1])
        for point in (chart.locator(".compute").first.get_attribute("points") or "").split()
    ]
    assert places == sorted(places)
    assert len(places) == 3


def test_ten_thousand_gpus_still_open(tmp_path: Path, open_page: Open) -> None:
    """The page is bounded, says what it leaves out, and draws every GPU in the histograms."""
    found = large(10_000)
    file = tmp_path / "large.html"
    labels = {f"node-{n}": {"rack": f"r{n // 8:03d}"} for n in range(1250)}
    file.write_text(fleet_html(found, [], labels), encoding="utf-8")
    seen = open_page(file, script=False)
    text = seen.page.inner_text("body")
    bars = [int(words.split()[0]) for words in seen.page.locator("svg .bar title").all_text_contents()]

    assert file.stat().st_size < 1_500_000
    assert sum(bars) == 2 * 10_000
    assert f"{NODES} of 1250 nodes are shown" in text
    assert f"The worst {GPUS} of 500 are shown" in text
    assert "200 bad GPUs have no mark of their own" in text
    assert f"{RACKS} of 157 racks are shown" in text


def test_a_lone_gpu_gets_a_page_too(tmp_path: Path) -> None:
    """Ok by itself, and nothing to draw."""
    page = fleet_html(analyze(gather(stored(tmp_path, [node_run("node-0", gpus=1)])), Policy()), [])

    assert "no siblings" in page
    assert "Nothing to draw" in page
