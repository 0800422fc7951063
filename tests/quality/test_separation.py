"""The study on the usable model: every method separates as its paper says. Minutes, so marked slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.analysis import studies
from quantroof.cli.main import main
from quantroof.quality.methods import METHODS
from quantroof.records.quality import QualityStudy, read_study
from tests.quality.extras import needs


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> QualityStudy:
    """All methods on both variants of the model that this machine has, or trains now."""
    needs("llmcompressor")
    needs("bitsandbytes")
    out: Path = tmp_path_factory.mktemp("study") / "study.jsonl"
    with pytest.raises(SystemExit) as ended:
        main(["quality", "study", "--train", "--out", str(out)])
    assert ended.value.code == 0
    return read_study(out)


def _loss(study: QualityStudy, variant: str, method: str) -> float:
    """Mean loss over the unquantized variant, nats a token."""
    result = next(r for r in study.results if r.key == (variant, method, None))
    difference = studies.difference(study, result)
    assert difference is not None
    return difference.mean


@pytest.mark.slow
def test_methods_separate_as_published(study: QualityStudy) -> None:
    """SmoothQuant cancels outliers, GPTQ and AWQ beat rounding where there are some, fp8 is indifferent.

    LLM.int8() loses more the higher its threshold; outliers alone cost an unquantized model nothing.
    """
    losses = {name: _loss(study, "outliers", f"llm-int8-{name}") for name in ("6", "60", "off")}
    unquantized = {r.variant: r.loss for r in study.results if r.method == "none"}

    assert abs((unquantized["outliers"] or 0) - (unquantized["base"] or 0)) < 1e-4
    assert _loss(study, "outliers", "w8a8-tensor") > 0.1
    assert abs(_loss(study, "outliers", "smoothquant-tensor") - _loss(study, "base", "w8a8-tensor")) < 0.02
    for variant in ("base", "outliers"):
        assert _loss(study, variant, "gptq") < _loss(study, variant, "w4a16-g128")
    assert _loss(study, "outliers", "awq") < _loss(study, "outliers", "w4a16-g128-asym")
    assert abs(_loss(study, "outliers", "fp8") - _loss(study, "base", "fp8")) < 0.002
    assert losses["6"] < losses["60"] < losses["off"]


@pytest.mark.slow
def test_every_method_was_measured_on_both_variants(study: QualityStudy) -> None:
    """Every method has a line on both variants, and here none lacks anything: all were measured."""
    assert len(study.results) == len({r.key for r in study.results}) == 2 * len(METHODS)
    assert {r.reason for r in study.results} == {None}
