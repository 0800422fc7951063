"""Claims held against catalog, machine code and rates."""

from __future__ import annotations

import pytest

from quantroof.claims.checklist import HARDWARE, judge, shipped
from quantroof.claims.claim import Evidence
from quantroof.claims.hardware import PeakRate, Support
from quantroof.claims.recorded import Documented, Open

RESULTS = {result.claim.id: result for result in judge(shipped([HARDWARE]).claims, Evidence())}

WRONG_CELLS = {
    "support/fp8_e4m3/l40s",
    "support/fp8_e4m3/rtx-4090",
    "support/int4/h100-sxm5-80gb",
    "support/int4/a10g",
    "support/int4/rtx-3090",
    "support/bf16/rtx-3090",
}


def test_exactly_the_six_wrong_cells_of_the_matrix_are_found() -> None:
    """The other thirty hold."""
    cells = {i: j for i, j in RESULTS.items() if i.startswith("support/")}
    assert len(cells) == 36
    assert {i for i, j in cells.items() if j.outcome == "wrong"} == WRONG_CELLS
    assert {j.outcome for j in cells.values()} == {"holds", "wrong"}


@pytest.mark.parametrize("claim_id", sorted(WRONG_CELLS))
def test_every_wrong_cell_has_catalog_and_machine_code_for_evidence(claim_id: str) -> None:
    """Both witnesses, the catalog's with its source."""
    catalog_text, code_text = RESULTS[claim_id].evidence
    assert catalog_text.startswith("catalog ")
    assert code_text.startswith("machine code of sm_")
    if "h100" not in claim_id:
        assert any(basis in catalog_text for basis in ("vendor", "transcribed", "derived", "unverified"))


def test_numbers_of_the_lesson_are_judged() -> None:
    """Peaks, ratios and bandwidths hold; memory, FP8 and INT8 availability, INT4 on Hopper do not."""
    wrong = {i for i, j in RESULTS.items() if j.outcome == "wrong"} - WRONG_CELLS
    assert {i for i in wrong if not isinstance(RESULTS[i].claim, Documented)} == {
        "fp8-only-hopper",
        "int8-everywhere",
        "largest-memory",
        "h100-int4",
        "h100-int4-more",
    }
    for holds in (
        "h100-fp8-sparse",
        "a100-int8-dense",
        "h100-over-a100-bandwidth",
        "h100-fp8-over-a100-int8",
    ):
        assert RESULTS[holds].outcome == "holds"


def test_a_recorded_claim_has_its_recorded_outcome() -> None:
    """What a document settles names the document; what is open names what it needs."""
    settled = Documented(
        id="c", text="t", outcome="wrong", reason="it does not", source="a manual", command="see it"
    ).judge(Evidence())
    assert (settled.outcome, settled.command) == ("wrong", "see it")
    assert settled.evidence == ("it does not", "by document: a manual")
    left = Open(id="c", text="t", needs="a GPU", reason="nobody timed it").judge(Evidence())
    assert (left.outcome, left.evidence) == ("cannot tell here", ("needs a GPU: nobody timed it",))


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(989, "holds"), (989.4 * 1.009, "holds"), (989.4 * 1.011, "wrong"), (1979, "wrong"), (900, "wrong")],
)
def test_a_peak_is_held_to_one_percent(value: float, outcome: str) -> None:
    """The sparse figure passed off as dense is wrong, and so is a guess."""
    claim = PeakRate(id="c", text="t", profile="h100-sxm5-80gb", element="bf16", value=value)

    assert claim.judge(Evidence()).outcome == outcome


def test_witnesses_that_disagree_decide_nothing() -> None:
    """A measured rate against catalog and machine code leaves the claim open, with all three sentences."""
    claim = Support(id="c", text="t", profile="rtx-3090", element="int4", states=True)

    slow = claim.judge(Evidence({"rtx-3090": {"int4": 30e12, "int8": 284e12}}))
    fast = claim.judge(Evidence({"rtx-3090": {"int4": 500e12, "int8": 284e12}}))

    assert slow.outcome == "cannot tell here"
    assert len(slow.evidence) == 3
    assert fast.outcome == "holds"
    assert "1.76 x int8" in fast.evidence[2]


def test_a_claim_on_an_unrated_card_cannot_be_told() -> None:
    """No rate in the catalog and no machine code for the capability is not an answer."""
    claim = Support(id="c", text="t", profile="mi250x", element="int4", states=True)

    assert claim.judge(Evidence()).outcome == "cannot tell here"
