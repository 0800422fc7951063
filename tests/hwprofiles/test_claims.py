"""Claims held against catalog, machine code and rates."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.claims import hardware, model
from quantroof.claims.model import Claim, Judgement
from quantroof.errors import UsageError

LESSON = Path(hardware.__file__).with_name("hardware.toml")
JUDGED = {j.claim.id: j for j in model.judge_all(model.read_claims(LESSON), hardware.evaluators())}

WRONG_CELLS = {
    "support/fp8_e4m3/l40s",
    "support/fp8_e4m3/rtx-4090",
    "support/int4/h100-sxm5-80gb",
    "support/int4/a10g",
    "support/int4/rtx-3090",
    "support/bf16/rtx-3090",
}


def judge(**terms: object) -> Judgement:
    """One claim judged without measurements."""
    claim = Claim(id="c", text="t", **terms)  # type: ignore[arg-type]
    (judgement,) = model.judge_all([claim], hardware.evaluators())
    return judgement


def test_exactly_the_six_wrong_cells_of_the_matrix_are_found() -> None:
    """The other thirty hold."""
    cells = {i: j for i, j in JUDGED.items() if i.startswith("support/")}
    assert len(cells) == 36
    assert {i for i, j in cells.items() if j.outcome == "wrong"} == WRONG_CELLS
    assert {j.outcome for j in cells.values()} == {"holds", "wrong"}


@pytest.mark.parametrize("claim_id", sorted(WRONG_CELLS))
def test_every_wrong_cell_has_catalog_and_machine_code_for_evidence(claim_id: str) -> None:
    """Both witnesses, the catalog's with its source."""
    catalog_text, code_text = JUDGED[claim_id].evidence
    assert catalog_text.startswith("catalog ")
    assert code_text.startswith("machine code of sm_")
    if "h100" not in claim_id:
        assert any(basis in catalog_text for basis in ("vendor", "transcribed", "recalled"))


def test_numbers_of_the_lesson_are_judged() -> None:
    """Peaks, ratios and bandwidths hold; memory, FP8 and INT8 availability, INT4 on Hopper do not."""
    wrong = {i for i, j in JUDGED.items() if j.outcome == "wrong"} - WRONG_CELLS
    assert {i for i in wrong if JUDGED[i].claim.kind != "documented"} == {
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
        assert JUDGED[holds].outcome == "holds"


def test_what_no_evaluator_knows_cannot_be_told_here() -> None:
    """A kind of another room, or of none, is named and left open."""
    judged = judge(kind="measured-speedup", profile="a10g")
    assert judged.outcome == "cannot tell here"
    assert "measured-speedup" in judged.evidence[0]


def test_a_recorded_claim_needs_its_reason_and_its_document() -> None:
    """What a document settles names it, what is open names what it needs; without them it is refused."""
    told = judge(kind="documented", outcome="wrong", reason="it does not", source="a manual")
    assert (told.outcome, told.evidence) == ("wrong", ("it does not", "by document: a manual"))
    left = judge(kind="open", needs="a GPU", reason="nobody timed it")
    assert (left.outcome, left.evidence) == ("cannot tell here", ("needs a GPU: nobody timed it",))
    for terms in ({"outcome": "wrong", "reason": "r"}, {"source": "s", "reason": "r"}):
        with pytest.raises(UsageError, match="needs"):
            judge(kind="documented", **terms)
    with pytest.raises(UsageError, match="needs 'needs'"):
        judge(kind="open", reason="r")


@pytest.mark.parametrize(("value", "outcome"), [(989, "holds"), (1979, "wrong"), (900, "wrong")])
def test_a_peak_is_held_to_one_percent(value: float, outcome: str) -> None:
    """The sparse figure passed off as dense is wrong, and so is a guess."""
    judged = judge(kind="peak", profile="h100-sxm5-80gb", element="bf16", value=value)
    assert judged.outcome == outcome


def test_witnesses_that_disagree_decide_nothing() -> None:
    """A measured rate against catalog and machine code leaves the claim open, with all three sentences."""
    claim = Claim(id="c", text="t", kind="support", profile="rtx-3090", element="int4", states=True)
    slow = {"rtx-3090": {"int4": 30e12, "int8": 284e12}}
    (judged,) = model.judge_all([claim], hardware.evaluators(slow))
    assert judged.outcome == "cannot tell here"
    assert len(judged.evidence) == 3
    fast = {"rtx-3090": {"int4": 500e12, "int8": 284e12}}
    (judged,) = model.judge_all([claim], hardware.evaluators(fast))
    assert judged.outcome == "holds"
    assert "1.76 x int8" in judged.evidence[2]


def test_a_claim_on_an_unrated_card_cannot_be_told() -> None:
    """No rate in the catalog and no machine code for the capability is no answer."""
    assert judge(kind="support", profile="mi250x", element="int4", states=True).outcome == "cannot tell here"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[claim]]\nid = "a"\ntext = "t"\nkind = "peak"\n', "title"),
        ('title = "t"\n[[claim]]\nid = "a"\nkind = "peak"\n', "text"),
        ('title = "t"\n[[claim]]\nid = "a"\ntext = "t"\nkind = "k"\ncolour = 1\n', "colour"),
        ('title = "t"\n' + '[[claim]]\nid = "a"\ntext = "t"\nkind = "k"\n' * 2, "two claims have the id 'a'"),
        ("title = ", "not a claims file"),
    ],
)
def test_a_malformed_claims_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """One line that names the file and what is wrong."""
    file = tmp_path / "claims.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        model.read_claims(file)


def test_a_matrix_row_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    """A cell too few would shift every answer behind it."""
    file = tmp_path / "claims.toml"
    file.write_text(LESSON.read_text().replace("true, true, true, true, true, false]", "true, true]", 1))
    with pytest.raises(UsageError, match="row 'BF16' has 2 cells for 6 columns"):
        model.read_claims(file)


def test_a_claim_that_lacks_its_terms_is_refused() -> None:
    """The evaluator says which key it needs."""
    with pytest.raises(UsageError, match="needs 'value'"):
        judge(kind="bandwidth", profile="l4")
