"""The page of each node inside the fleet's page: reached by a link, alone on the screen and on paper."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.types import Device
from quantroof.records.run import Host
from quantroof.reports.html.fleet_node_parts import QUANTITIES, _anchor, node_parts
from quantroof.reports.html.fleet_page import fleet_html
from tests.fleet.runs import Speed, node_run, stored
from tests.reports.conftest import Open

EVIL = '<img src=x onerror="window.owned=1">'
PLACES = {"pci": "0000:5d:00.0", "serial": "1650230012345", "slot": "SXM4", "vbios": "96.00.89.00.01"}


def fading(sweep: int) -> Speed:
    """GPU 2 of node-1 loses 5 % of compute with each sweep."""
    return lambda device, node: (1.0, 1 - 0.05 * sweep * ((node, device.index) == ("node-1", 2)))


def placed(device: Device) -> Device:
    """A device that reports where it is."""
    return msgspec.structs.replace(device, **PLACES)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Four nodes in three sweeps."""
    runs = [
        node_run(f"node-{n}", fading(s), started=f"2026-11-1{s}T09:00:00+00:00", seed=s, change=placed)
        for n in range(4)
        for s in range(3)
    ]
    now = datetime(2026, 11, 21, tzinfo=UTC)
    return analyze(gather(stored(tmp_path_factory.mktemp("fleet"), runs)), Policy(), now=now)


@pytest.mark.parametrize("width", [390, 1440])
def test_a_link_shows_a_node_alone(found: Analysis, tmp_path: Path, width: int, open_page: Open) -> None:
    """From the node's row to its page and back, without the script: verdict, identity, speeds, commands."""
    file = tmp_path / "fleet.html"
    file.write_text(fleet_html(found, [], {"node-1": {"rack": "r7"}}), encoding="utf-8")
    seen = open_page(file, width, script=False)
    page = seen.page
    all_cards = page.locator(".card:visible").count()
    page.click("tr.node th a:text-is('node-1')")
    text = page.inner_text("main")

    assert all_cards == 3
    assert page.locator(".card:visible, table:visible tr.node").count() == 0
    assert page.locator(".node-page:visible h2").all_inner_texts() == [
        page.locator("#node-node-1 h2").inner_text()
    ]
    for words in (*PLACES.values(), "GPU-00000001-2", "rack r7", "degraded", "against its own past"):
        assert words in text
    assert "scontrol update nodename=node-1 state=drain reason=" in text
    assert "measure it again after a reset" in text
    assert "NICs, storage" in text
    assert "2026-11-10 09:00" in text
    assert (seen.requests, seen.complaints, seen.overflow()) == ([], [], 0)
    page.emulate_media(media="print")
    assert page.locator(".card:visible").count() == 0
    assert page.locator(".node-page:visible").count() == 1
    page.emulate_media(media="screen")
    page.click(".node-page:visible .back a")
    assert page.locator(".node-page:visible").count() == 0
    assert page.locator("tr.node:visible").count() == 4


def test_the_tables_hold_percent_of_the_median(found: Analysis) -> None:
    """A GPU 10 % slow in compute: its matrix rates and compute-bound cases, and no other quantity."""
    part = next(part for part in node_parts(found.nodes(), {}) if part.name == "node-1")
    speeds, sweeps, identity = part.tables
    rows = {cells[0]: [float(cell) for cell in cells[1:]] for _, cells in speeds.rows}
    column = [text for _, text in speeds.headings].index("GPU 2") - 1
    slow = {name for name, values in rows.items() if values[column] < 95}

    assert slow == {name for name in rows if name.endswith(("compute", "matrix", "past"))}
    assert rows["bf16 compute"][column] == pytest.approx(90, abs=3)
    assert rows["read"][column] == pytest.approx(100, abs=2)
    assert [float(cells[1 + column]) for _, cells in sweeps.rows] == pytest.approx([100, 95, 90], abs=3)
    assert [state for state, _ in speeds.headings].count("degraded") == 1
    assert [state for state, _ in identity.rows].count("degraded") == 1
    assert part.evidence.startswith("SIMULATED: not a real board\nnode: node-1\n")
    assert part.evidence.count("\n- ") == len(found.bad[0].findings)
    assert "hottest" not in part.evidence


def test_a_node_without_a_finding_has_no_steps(found: Analysis) -> None:
    """Ok, no reason, no command, no text of a return; its GPUs stand there all the same."""
    part = next(part for part in node_parts(found.nodes(), {}) if part.name == "node-0")

    assert (part.state, part.reasons, part.actions, part.drain, part.evidence) == ("ok", (), (), (), "")
    assert len(part.tables[-1].rows) == 8


def test_names_with_the_same_letters_have_pages_of_their_own(tmp_path: Path, open_page: Open) -> None:
    """Markup in a name is text on the node's page, too; two names that make one id keep their own pages."""
    built = [
        node_run(f"node-{n}", gpus=4, change=lambda d: msgspec.structs.replace(d, slot=EVIL)) for n in (0, 1)
    ]
    for run, name in zip(built, (f"{EVIL}.", f"{EVIL}/"), strict=True):
        run.info = msgspec.structs.replace(run.info, host=Host(name=name))
    file = tmp_path / "evil.html"
    file.write_text(fleet_html(analyze(gather(stored(tmp_path, built)), Policy()), []), encoding="utf-8")
    page = open_page(file).page
    shown = []
    for link in page.locator("tr.node th a").all():
        link.click()
        shown.append(page.locator(".node-page:visible h2").inner_text().split(" ok")[0])
        page.click(".node-page:visible .back a")
    taken: Counter[str] = Counter()

    assert sorted(shown) == sorted([f"{EVIL}.", f"{EVIL}/"])
    assert page.locator("img").count() == 0
    assert page.evaluate("window.owned") is None
    assert [_anchor(name, taken) for name in ("a b", "a/b", "gpu-07")] == [
        "node-a-b", "node-a-b--2", "node-gpu-07"
    ]  # fmt: skip


def test_a_page_shows_a_bounded_number_of_quantities(found: Analysis) -> None:
    """What is left out is said, and where it is."""
    (name, gpus), *_ = found.nodes()
    for gpu in gpus:
        gpu.quantities.update({f"q{number}": 0.0 for number in range(QUANTITIES)})
    speeds = node_parts([(name, gpus)], {})[0].tables[0]

    assert len(speeds.rows) == 3 + QUANTITIES
    assert speeds.note.endswith(" more quantities are in fleet --json.")
