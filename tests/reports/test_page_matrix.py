"""The page at every width and theme: verdicts and chart above the fold, no overflow, overlap or barrier."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from quantroof.advisor.usual import usual_advice
from quantroof.cli.main import main
from quantroof.records.directory import Run, read_run
from quantroof.records.lines import Flag
from quantroof.reports.html.page import TABS
from tests.builders import run
from tests.reports.conftest import Open, Seen
from tests.runs import cpu_run, gpu_run, node_run, repeated, slower

Build = Callable[..., Path]
LABELS = ".labels .roof, .xtick, .ytick, .xtitle, .ytitle, .annotation-text"


def disturbed_run() -> Run:
    """A CPU run beside which other processes kept the cores busy."""
    built = cpu_run()
    flag = Flag(code="foreign_load", text="other processes kept 1.5 cores busy")
    lines = [msgspec.structs.replace(m, flags=(flag,)) if m.timing else m for m in built.measurements]
    return run(built.info, [*built.ceilings, *lines])


def _page(kind: str, built: Build) -> Path:
    base = repeated(gpu_run()) if kind == "comparison" else None
    makers: dict[str, Callable[[], Run]] = {
        "cpu": cpu_run, "gpu": lambda: gpu_run(simulated=True), "node": node_run, "disturbed": disturbed_run,
    }  # fmt: skip
    now = slower(base, 1.12, scheme="int4-w4a16", provider="triton") if base else makers[kind]()
    return built(f"matrix-{kind}", [now], base, advice=usual_advice(now))


def _violations(seen: Seen) -> list[str]:
    """What axe-core finds, one line per rule; the package is in the extra `test`."""
    package = pytest.importorskip("axe_playwright_python")
    script = resources.files(package).joinpath("axe.min.js").read_text(encoding="utf-8")
    if not seen.page.evaluate("'axe' in window"):
        seen.page.evaluate(script)
    result = seen.page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:120]}" for rule in result["violations"]]


def _overlaps(seen: Seen, labels: str = LABELS, share: int = 1) -> list[str]:
    """Pairs of visible labels whose boxes share more than so many pixels in both directions."""
    pairs = seen.page.evaluate(
        """([labels, share]) => {
          const found = [...document.querySelectorAll(labels)];
          const boxes = found.map((label) => [label.textContent, label.getBoundingClientRect()]);
          const shown = boxes.filter(([text, box]) => text && box.width);
          const pairs = [];
          shown.forEach(([a, p], i) => shown.slice(i + 1).forEach(([b, q]) => {
            if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > share
                && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > share) pairs.push(`${a} | ${b}`);
          }));
          return pairs;
        }""",
        [labels, share],
    )
    return [str(pair) for pair in pairs]


def _open_tab(seen: Seen, tab: str) -> None:
    seen.page.locator(f".tabs [data-tab={tab}]").click()
    seen.page.wait_for_selector(f"#section-{tab}:not([hidden])")
    seen.page.wait_for_timeout(150)


def test_the_first_screen_answers_and_draws(built: Build, open_page: Open) -> None:
    """Of 8 GPUs with a slow one, cards and batch paths are above the fold; the mode bar saves and resets."""
    seen = open_page(_page("node", built))
    bottoms = [
        seen.page.locator(place).bounding_box()
        for place in (".card .verdict >> nth=2", "#summary-chart .xtitle")
    ]

    assert all(box is not None and box["y"] + box["height"] <= 900 for box in bottoms)
    assert "-8.1 %" in seen.page.locator(".squares .degraded").inner_text()
    assert seen.page.locator("#summary-labels .path").count() == 3
    titles = seen.page.locator("#summary-chart .modebar-btn")
    assert [titles.nth(i).get_attribute("data-title") for i in range(titles.count())] == [
        "Download plot as a PNG",
        "Reset views",
    ]
    assert _overlaps(seen) == []
    assert (seen.requests, seen.complaints) == ([], [])


VIEWS: tuple[tuple[int, Literal["light", "dark"], bool], ...] = (
    (1440, "dark", True),
    (1920, "light", False),
    (390, "light", True),
)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["cpu", "gpu", "node", "comparison", "disturbed"])
def test_every_tab_is_readable(kind: str, built: Build, open_page: Open) -> None:
    """At each width and theme no tab scrolls sideways, no two labels overlap, and axe-core finds nothing."""
    seen = open_page(_page(kind, built))
    findings = []
    for width, theme, rules in VIEWS:
        seen.page.emulate_media(color_scheme=theme)
        seen.resize(width)
        for tab in TABS:
            _open_tab(seen, tab)
            problems = _overlaps(seen) + (_violations(seen) if rules else [])
            if seen.overflow() > 0:
                problems.append(f"{seen.overflow()} pixels too wide")
            findings += [f"{tab} at {width} {theme}: {problem}" for problem in problems]

    assert findings == []
    assert (seen.requests, seen.complaints) == ([], [])


@pytest.mark.long
def test_names_of_simulated_devices_fit(built: Build, open_page: Open, tmp_path: Path) -> None:
    """Names such as sim:h100-sxm5-80gb#3 leave the chart free; on a phone no tab scrolls sideways, and a name
    takes at most four lines of a table."""
    words = [
        "run",
        "--suite",
        "quick",
        "--device",
        "sim:h100-sxm5-80gb*8+memory@3",
        "--out",
        str(tmp_path / "run"),
    ]
    with pytest.raises(SystemExit):
        main(words)
    seen = open_page(built("long-names", [read_run(tmp_path / "run")]))
    assert seen.page.locator(".squares strong").all_inner_texts() == [f"#{index}" for index in range(8)]
    card, chart = (seen.page.locator(place).bounding_box() for place in (".card >> nth=0", "#summary-chart"))
    assert card is not None
    assert chart is not None
    assert card["x"] + card["width"] <= chart["x"]
    assert seen.page.locator("#summary-labels .batch").count() >= 8
    assert _overlaps(seen, "#summary-labels .batch", -3) == []  # numbers that touch read as one

    seen.resize(390)
    wide, tall = {}, {}
    for tab in TABS:
        _open_tab(seen, tab)
        wide[tab] = seen.overflow()
        heads = seen.page.locator(f"#section-{tab} tbody th:visible")
        tall[tab] = max((box["height"] for head in heads.all() if (box := head.bounding_box())), default=0)
    assert max(wide.values()) <= 0, wide
    assert max(tall.values()) <= 4 * 20 + 8, tall


@pytest.mark.long
def test_eight_gpus_print_on_six_pages(built: Build, open_page: Open) -> None:
    """The printed page has a legend of colors and ends within six pages of A4."""
    seen = open_page(_page("node", built))
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    seen.page.wait_for_selector("#bandwidth .xtick", state="attached")
    paper = seen.page.pdf(format="A4")

    assert 1 <= paper.count(b"/Type /Page\n") <= 6
