"""Judges claims about bytes and accuracy: by the formats' arithmetic, by the error lab, by a study's file."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from quantroof.errors import UsageError
from quantroof.hwprofiles.claims.model import Claim, Evaluator, Judgement, Outcome
from quantroof.kernels.formats import Format
from quantroof.records.paired import paired_difference
from quantroof.records.quality import QualityResult, QualityStudy

T = TypeVar("T")
_ROWS = _COLUMNS = 4096


def evaluators(study: QualityStudy | None) -> dict[str, Evaluator]:
    """The evaluator of every kind of this room; losses need a study."""
    return {
        "stored-bits": _stored_bits,
        "smaller-error": _smaller_error,
        "smaller-loss": partial(_smaller_loss, study),
    }


def _stored_bits(claim: Claim) -> Judgement:
    """`element` stores `value` bits a weight, scales included."""
    name, said = _need(claim, "element", claim.element), _need(claim, "value", claim.value)
    bits = Format.parse(name).bits_per_element(_ROWS, _COLUMNS)
    text = f"{name}: {bits:.4g} bits a weight of a {_ROWS} x {_COLUMNS} matrix, scales included"
    return _judged(claim, abs(bits / said - 1) <= claim.tolerance, text)


def _smaller_error(claim: Claim) -> Judgement:
    """`element` has less squared error than `over` on the distribution `other`."""
    from quantroof.quality.lab.data import synthetic
    from quantroof.quality.lab.errors import format_errors

    names = (_need(claim, "element", claim.element), _need(claim, "over", claim.over))
    data = synthetic(_need(claim, "other", claim.other))
    one, two = format_errors([data], names)
    text = f"{data.name}: {one.format} {one.sqnr_db or 0:.2f} dB, {two.format} {two.sqnr_db or 0:.2f} dB"
    return _judged(claim, (one.sqnr_db or 0) > (two.sqnr_db or 0), text)


def _smaller_loss(study: QualityStudy | None, claim: Claim) -> Judgement:
    """Method `element` loses less than `over` on the variant `other`; open where the interval holds 0."""
    one_name, two_name = _need(claim, "element", claim.element), _need(claim, "over", claim.over)
    variant = _need(claim, "other", claim.other)
    command = f"quantroof quality study --methods {one_name},{two_name} --variants {variant} --out FILE"
    if study is None:
        return Judgement(claim=claim, outcome="cannot tell here", evidence=(f"needs a study: {command}",))
    one, two = _find(study, variant, one_name), _find(study, variant, two_name)
    for name, found in ((one_name, one), (two_name, two)):
        if found is None or not found.window_losses:
            reason = command if found is None else found.reason
            text = f"{name} was not measured on {variant}: {reason}"
            return Judgement(claim=claim, outcome="cannot tell here", evidence=(text,))
    assert one is not None
    assert two is not None
    difference = paired_difference(two.window_losses, one.window_losses)
    text = (
        f"{study.header.model}, {variant}: {one_name} over {two_name} {difference.mean:+.4f}"
        f" +- {difference.half_width:.4f} nats, {difference.verdict}"
    )
    if difference.verdict == "undecided":
        return Judgement(claim=claim, outcome="cannot tell here", evidence=(text,))
    return _judged(claim, difference.verdict == "better", text)


def _find(study: QualityStudy, variant: str, method: str) -> QualityResult | None:
    return next((r for r in study.results if r.key == (variant, method, None)), None)


def _judged(claim: Claim, holds: bool, text: str) -> Judgement:
    outcome: Outcome = "holds" if holds else "wrong"
    return Judgement(claim=claim, outcome=outcome, evidence=(text,))


def _need(claim: Claim, key: str, value: T | None) -> T:
    if value is None:
        raise UsageError(f"a claim of kind '{claim.kind}' needs '{key}'", where=claim.id)
    return value
