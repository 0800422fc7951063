"""What a format costs beside its speed: studies read, trade-offs judged, shown in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from quantroof.analysis.answers import answers
from quantroof.analysis.speed import speed_ups
from quantroof.analysis.studies import losses, read_studies
from quantroof.analysis.tradeoff import Tradeoff, tradeoffs, views
from quantroof.cli.main import main
from quantroof.errors import UsageError
from quantroof.records.directory import Run
from quantroof.records.quality import QualityResult, QualityStudy, opened
from quantroof.reports.text.markdown import markdown
from tests.builders import LAYERS, gpu_device, info, measurement, run, write
from tests.reports.conftest import Open
from tests.reports.studies import RESULTS, header, result, written
from tests.reports.test_hostile import EVIL

TIMES: dict[str, float] = {
    "bf16": 40_000,
    "fp8-w8a8": 21_000,
    "int8-w8a8": 22_000,
    "int4-w4a16": 12_000,
    "nf4-w4a16": 30_000,
}
STUDY = QualityStudy(header(), RESULTS)


def timed(times: dict[str, float] = TIMES) -> Run:
    """One GPU with two layers at two batches."""
    device = gpu_device()
    lines = [
        measurement(device, scheme, m, layer, ns, seed=seed)
        for seed, (scheme, ns) in enumerate(times.items())
        for m in (1, 64)
        for layer in LAYERS[:2]
    ]
    return run(info([device]), lines)


def entries(study: QualityStudy | None) -> dict[str, Tradeoff]:
    """Trade-offs at M = 1 by label."""
    given = answers([timed()])
    (results, choices), *_ = given.timed
    view = views(results, choices, [study] if study else [])[0]
    return {row.cost.label: row for row in tradeoffs(choices, view)[0][1]}


def test_speed_up_is_of_the_sums_over_all_layers() -> None:
    """40 us over 12 us is 3.3, with an interval around it; bf16 over itself is 1."""
    (_, choices), *_ = answers([timed()]).timed
    (m, found), *_ = speed_ups(choices)

    assert m == 1
    assert found["int4-w4a16"].median == pytest.approx(40 / 12, rel=0.02)
    assert found["int4-w4a16"].low < found["int4-w4a16"].median < found["int4-w4a16"].high
    assert found["bf16"].low == found["bf16"].median == found["bf16"].high == 1


def test_what_is_better_in_one_and_no_worse_in_the_other_leaves_behind() -> None:
    """GPTQ beats rounding on the same kernels and int8, slower with more loss; fp8 and bf16 stay."""
    found = entries(STUDY)

    behind = {label: row.behind for label, row in found.items()}
    assert behind == {
        "int4-w4a16 (gptq)": None,
        "int4-w4a16 (w4a16-g128)": "int4-w4a16 (gptq)",
        "fp8-w8a8": None,
        "int8-w8a8": "int4-w4a16 (gptq)",
        "unquantized": None,
    }
    assert "nats" not in found["fp8-w8a8"].cost.words
    assert found["fp8-w8a8"].cost.words == "+0.0007 ± 0.0000, worse"


def test_without_a_study_the_cost_is_the_measured_format_error() -> None:
    """Every timed format has one, and the view is called so."""
    given = answers([timed()])
    (results, choices), *_ = given.timed
    (view,) = views(results, choices, [])

    assert (view.name, view.logarithmic) == ("format error", True)
    assert set(entries(None)) == set(TIMES)


@pytest.mark.parametrize(
    ("results", "complaint"),
    [
        ([RESULTS[0], result("fp8", 0.1, "fp8-w8a8", windows=9)], "other windows"),
        ([result("none", 0.0, None, windows=3)], "too few"),
        ([result("none", 1e300, None)], "beyond 100 nats"),
        ([result("none", 100.0, None)], "beyond 100 nats"),
    ],
)
def test_a_study_that_cannot_be_compared_is_refused(
    tmp_path: Path, results: list[QualityResult], complaint: str
) -> None:
    """Windows that do not pair, or an impossible loss: one line with the path."""
    with pytest.raises(UsageError, match=complaint) as refused:
        read_studies([written(tmp_path / "s.jsonl", results)])
    assert "s.jsonl" in str(refused.value)


def test_a_bad_model_is_not_a_broken_file(tmp_path: Path) -> None:
    """A loss of about 90 nats per token is read: it is bad, and possible."""
    (study,) = read_studies([written(tmp_path / "s.jsonl", [result("none", 80.0, None)])])

    assert max(study.results[0].window_losses) < 100


def test_a_sensitivity_scan_is_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--study` names what it got and what writes a study; exit code 2."""
    with opened(tmp_path / "s.jsonl", msgspec.structs.replace(header(), purpose="sensitivity"), resume=False):
        pass
    folder = write(timed(), tmp_path / "run")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder), "--study", str(tmp_path / "s.jsonl")])

    assert ended.value.code == 2
    assert "sensitivity scan" in capsys.readouterr().err


def test_a_method_that_was_skipped_says_why() -> None:
    """Its reason stands where the loss would."""
    skipped = QualityResult(
        variant="base", method="awq", weights="0", status="skipped", reason="needs an accelerator"
    )
    (loss,) = (x for x in losses(QualityStudy(header(), [*RESULTS, skipped]), "base") if not x.difference)

    assert loss.words == "skipped: needs an accelerator"


def test_page_lays_losses_beside_speeds(built: Callable[..., Path], open_page: Open, tmp_path: Path) -> None:
    """Format table, picture and study agree, offline, without a complaint, on a desk and on a phone."""
    studies = read_studies([written(tmp_path / "s.jsonl", RESULTS)])
    file = built("with-study", [timed()], studies=studies)
    for width in (1440, 390):
        seen = open_page(file, width=width, fragment="#tab=formats")
        page = seen.page
        row = page.locator("#formats-table").inner_text()

        assert "loss, base" in row
        assert "gptq\n+0.0030 ± " in row
        assert "w4a16-g128\n+0.0100 ± " in row
        assert "format error" in page.locator("#formats-table").inner_text()
        assert page.locator("#tradeoff .scatterlayer .points path").count() == 5
        assert "behind int4-w4a16 (gptq)" in page.locator("#tradeoff-table").inner_text()
        assert "Without such a cost: nf4-w4a16" in page.locator("#tradeoff-note").inner_text()
        assert "weights 0123456789abcdef; 16 windows" in page.locator("#section-accuracy").inner_text()
        page.get_by_role("button", name="format error").click()
        assert "nf4-w4a16" in page.locator("#tradeoff-table").inner_text()
        page.locator("#tradeoff-views").get_by_role("button", name="64", exact=True).click()
        assert "M = 64" in page.locator("#tradeoff-note").inner_text()
        assert seen.complaints == []
        assert seen.requests == []
        assert seen.overflow() <= 0


def test_page_without_study_or_error_says_what_to_run(built: Callable[..., Path], open_page: Open) -> None:
    """No empty chart: one sentence with the two commands."""
    bare = timed({"bf16": 1e4, "int4-w4a16": 5e3})
    bare.measurements[:] = [msgspec.structs.replace(m, accuracy=None) for m in bare.measurements]
    seen = open_page(built("bare", [bare]), fragment="#tab=formats")

    assert seen.page.locator("#tradeoff").count() == 0
    assert "quantroof report RUN --study STUDY" in seen.page.locator("#section-accuracy").inner_text()
    assert seen.complaints == []


def test_text_of_a_study_is_never_markup(built: Callable[..., Path], open_page: Open, tmp_path: Path) -> None:
    """Model, method, reason and scheme of a hostile study stay text on the page and in Markdown."""
    evil = QualityResult(
        variant=EVIL, method=EVIL, weights="0", status="failed", reason=EVIL, scheme="int4-w4a16"
    )
    own = [result(EVIL, 0.02, "int4-w4a16"), result(EVIL + "2", 0.03, "int4-w4a16"), evil]
    studies = read_studies([written(tmp_path / "s.jsonl", [RESULTS[0], *own], model=EVIL)])
    seen = open_page(built("hostile-study", [timed()], studies=studies), fragment="#tab=formats")
    seen.page.locator("#tradeoff .points path").first.hover(force=True)
    hover = seen.page.locator("#tradeoff .hoverlayer .hovertext").first
    seen.page.wait_for_timeout(150)

    assert EVIL in (hover.text_content() or "")
    assert seen.page.evaluate("window.owned") is None
    assert seen.page.locator("img").count() == 0
    assert seen.page.locator("#section-accuracy b, #formats-table b").count() == 0
    assert EVIL in seen.page.locator("#section-accuracy").inner_text()
    assert seen.complaints == []
    assert "<" not in markdown(answers([timed()]), studies)


def test_markdown_holds_the_losses(tmp_path: Path) -> None:
    """A row per method with its interval, and the model in the title."""
    studies = read_studies([written(tmp_path / "s.jsonl", RESULTS)])

    text = markdown(answers([timed()]), studies)

    assert "## What small model loses" in text
    assert "| gptq | " in text
    assert "+0.0030 ± 0.0002, worse | int4-w4a16 |" in text
