"""Claims about formats and accuracy: judged by arithmetic, the lab's table and a study."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quantroof.claims.accuracy import SmallerError, lab_errors
from quantroof.claims.checklist import judge, shipped
from quantroof.claims.claim import ClaimResult, Evidence
from quantroof.claims.shipped_study import shipped_loss
from quantroof.errors import UsageError
from quantroof.records.quality import QualityStudy
from tests.quality.studies import study


def judged(evidence: QualityStudy | None) -> dict[str, ClaimResult]:
    """The lesson's claims about accuracy, by id."""
    results = judge(shipped(["accuracy.toml"]).claims, Evidence(study=evidence))
    return {result.claim.id: result for result in results}


def test_bits_and_errors_are_judged_without_a_study() -> None:
    """NF4 takes 4.5 bits, has unequal bins and not the least error; what needs a model says so and how."""
    found = judged(None)

    for wrong in ("nf4-half-a-byte", "nf4-optimal", "nf4-below-int4", "fp8-below-int8", "nf4-equal-mass"):
        assert found[wrong].outcome == "wrong"
    for right in ("group-overhead-small", "nf4-over-int4-heavy", "fp8-stabler", "e5m2-57344"):
        assert found[right].outcome == "holds"
    assert "0.017 to 0.092" in found["nf4-equal-mass"].evidence[0]
    assert found["threshold-direction"].outcome == "wrong"


def test_losses_are_judged_from_the_shipped_study() -> None:
    """Where the intervals of two methods do not overlap; the others need a study of the user's own."""
    found = judged(None)

    assert found["fp8-below-int8-outliers"].outcome == "holds"
    assert "docs/measured/quality.md" in found["fp8-below-int8-outliers"].evidence[0]
    assert found["awq-below-gptq"].outcome == "wrong"
    assert found["awq-quicker"].outcome == "wrong"
    left = found["fp8-below-int8-model"]
    assert left.outcome == "cannot tell here"
    assert "undecided, needs the model: --study FILE" in left.evidence[0]
    assert left.command is not None
    assert "--variants base" in left.command


def test_shipped_losses_are_those_of_the_page() -> None:
    """docs/measured/quality.md and the data file say the same of every method."""
    page = (Path(__file__).parents[2] / "docs" / "measured" / "quality.md").read_text(encoding="utf-8")
    pair = r" ([+-][\d.]+) ± ([\d.]+)[^|]*\|"
    rows = re.findall(rf"^\| ([a-z0-9-]+) \|{pair}{pair}", page, re.MULTILINE)

    assert len(rows) == 21
    for method, *figures in rows:
        base, outliers = shipped_loss("base", method), shipped_loss("outliers", method)
        assert base is not None
        assert outliers is not None
        shown = [base.loss, base.half_width, outliers.loss, outliers.half_width]
        assert shown == [float(figure) for figure in figures]


def test_losses_are_judged_from_a_study() -> None:
    """Equal losses decide nothing, and neither does a method that the study does not have."""
    found = judged(
        study(
            {
                ("outliers", "fp8"): 0.05,
                ("outliers", "w8a8-token"): 0.05,
            }
        )
    )

    assert found["fp8-below-int8-outliers"].outcome == "cannot tell here"
    assert "undecided" in found["fp8-below-int8-outliers"].evidence[0]
    assert found["smoothquant-works"].outcome == "cannot tell here"
    assert "not in the study" in found["smoothquant-works"].evidence[0]


def test_outliers_cost_where_both_variants_were_measured() -> None:
    """INT8 that loses ten times as much with outliers is told apart; FP8 that stays is left open."""
    losses = {(variant, "none"): 0.0 for variant in ("base", "outliers")}
    losses |= {("base", "w8a8-tensor"): 0.01, ("outliers", "w8a8-tensor"): 0.1}
    losses |= {("base", "fp8"): 0.001, ("outliers", "fp8"): 0.001}

    found = judged(study(losses))

    assert found["outliers-break-int8"].outcome == "holds"
    assert found["fp8-outliers-cost"].outcome == "cannot tell here"
    assert judged(study({k: v for k, v in losses.items() if k[1] != "none"}))[
        "outliers-break-int8"
    ].evidence == ("the study has no unquantized model to compare with",)


def test_time_to_quantize_is_judged_from_a_study() -> None:
    """AWQ seven times slower than GPTQ is not ten times quicker."""
    found = judged(study({("base", "gptq"): 0.0, ("base", "awq"): 0.0}, {"gptq": 11.0, "awq": 75.9}))

    assert found["awq-quicker"].outcome == "wrong"
    assert "awq 75.9 s, gptq 11.0 s" in found["awq-quicker"].evidence[0]


def test_shipped_table_is_what_the_lab_measures() -> None:
    """Every figure of format_errors.toml within 0.05 dB, for the lab has a seed; none is missing."""
    pytest.importorskip("torch")
    from quantroof.quality.lab.data import synthetic
    from quantroof.quality.lab.errors import format_errors

    table = lab_errors()
    for name in ("gaussian", "student-t5", "outlier-channels"):
        found = format_errors([synthetic(name)])
        assert table[name] == pytest.approx({e.format: e.sqnr_db for e in found}, abs=0.05)
        usual = {e.format: e.usual_sqnr_db for e in found if e.usual_sqnr_db}
        assert table.get(f"{name}-usual", {}) == pytest.approx(usual, abs=0.05)


def test_a_format_that_the_lab_does_not_know_is_refused() -> None:
    """In one line that names it."""
    claim = SmallerError(id="c", text="t", format="nf3", over="int4.g64", data="gaussian")
    with pytest.raises(UsageError, match="unknown format of the lab 'nf3'"):
        claim.judge(Evidence())
