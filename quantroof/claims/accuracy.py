"""Judges claims about bytes and accuracy: by the formats' arithmetic, the error lab's table, a study's file.

No torch here: what the lab says of its seeded distributions is kept in `format_errors.toml`, which
`scripts/format_errors` writes and a test holds against the lab.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache, partial
from importlib.resources import files

import numpy as np

from quantroof.analysis import studies
from quantroof.analysis.paired import paired_difference
from quantroof.claims.model import Claim, Evaluator, Judgement, judged, near, need, undecided
from quantroof.errors import UsageError, unknown_name
from quantroof.kernels.formats import Format, element, nf4_levels
from quantroof.records.quality import QualityResult, QualityStudy

_ROWS = _COLUMNS = 4096
_BLOCK, _BLOCKS = 64, 4096
_LAB = "quantroof quality formats"


def evaluators(study: QualityStudy | None) -> dict[str, Evaluator]:
    """The evaluator of every kind of this room; losses need a study."""
    return {
        "stored-bits": _stored_bits,
        "largest-value": _largest_value,
        "equal-mass": _equal_mass,
        "smaller-error": _smaller_error,
        "smaller-loss": partial(_smaller_loss, study),
        "outliers-cost": partial(_outliers_cost, study),
        "quicker-to-make": partial(_quicker, study),
    }


def _stored_bits(claim: Claim) -> Judgement:
    """`element` stores `value` bits a weight, scales included."""
    name = need(claim, "element", claim.element)
    bits = Format.parse(name).bits_per_element(_ROWS, _COLUMNS)
    return near(
        claim, bits, f"{name}: {bits:.4g} bits a weight of a {_ROWS} x {_COLUMNS} matrix, with scales"
    )


def _largest_value(claim: Claim) -> Judgement:
    """The largest finite magnitude that `element` is used with is `value`."""
    found = element(need(claim, "element", claim.element))
    return near(claim, found.max_value, f"{found.name}: largest magnitude {found.max_value:g}")


def _equal_mass(claim: Claim) -> Judgement:
    """Every level of NF4 is taken equally often by Gaussian blocks of 64, within the tolerance."""
    blocks = np.random.default_rng(0).standard_normal((_BLOCKS, _BLOCK))
    scaled = blocks / np.abs(blocks).max(axis=1, keepdims=True)
    levels = np.array(nf4_levels())
    taken = np.bincount(np.searchsorted((levels[1:] + levels[:-1]) / 2, scaled.ravel()), minlength=16)
    shares = taken / taken.sum()
    text = (
        f"the 16 levels of NF4 take {shares.min():.3f} to {shares.max():.3f} of a Gaussian, not {1 / 16:.4f}"
    )
    return judged(claim, bool(np.abs(shares * 16 - 1).max() <= claim.tolerance), f"{text} each, blocks of 64")


@lru_cache(maxsize=1)
def lab_errors() -> dict[str, dict[str, float]]:
    """Signal to noise (dB) by data, then format; of outlier data also `usual`, the other columns alone."""
    text = (files("quantroof.quality") / "format_errors.toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, float]] = tomllib.loads(text)["sqnr_db"]
    return table


def _smaller_error(claim: Claim) -> Judgement:
    """`element` has less squared error than `over` on the distribution `other`."""
    data, table = need(claim, "other", claim.other), lab_errors()
    if data not in table:
        raise unknown_name("distribution", data, list(table))
    names = need(claim, "element", claim.element), need(claim, "over", claim.over)
    for name in names:
        if name not in table[data]:
            raise unknown_name("format of the lab", name, list(table[data]))
    one, two = (table[data][name] for name in names)
    text = f"{data}: {names[0]} {one:.2f} dB, {names[1]} {two:.2f} dB signal to noise"
    return judged(claim, one > two, text, command=_LAB)


def _smaller_loss(study: QualityStudy | None, claim: Claim) -> Judgement:
    """Method `element` loses less than `over` on the variant `other`; open where the interval holds 0."""
    one_name, two_name = need(claim, "element", claim.element), need(claim, "over", claim.over)
    variant = need(claim, "other", claim.other)
    command = _command((one_name, two_name), variant)
    found = [_measured(study, variant, name) for name in (one_name, two_name)]
    if missing := [answer for answer in found if isinstance(answer, str)]:
        return undecided(claim, *dict.fromkeys(missing), command=command)
    one, two = (answer for answer in found if isinstance(answer, QualityResult))
    difference = paired_difference(two.window_losses, one.window_losses)
    text = (
        f"{_model(study)}, {variant}: {one_name} over {two_name} {difference.mean:+.4f}"
        f" +- {difference.half_width:.4f} nats, {difference.verdict}"
    )
    if difference.verdict == "undecided":
        return undecided(claim, text, command=command)
    return judged(claim, difference.verdict == "better", text, command=command)


def _outliers_cost(study: QualityStudy | None, claim: Claim) -> Judgement:
    """Method `element` loses more with outlier channels than without; open where the intervals overlap."""
    name = need(claim, "element", claim.element)
    command = _command((name,), "base,outliers")
    found = [_measured(study, variant, name) for variant in ("base", "outliers")]
    missing = [answer for answer in found if isinstance(answer, str)]
    if study is None or missing:
        return undecided(claim, *dict.fromkeys(missing), command=command)
    without, along = (studies.difference(study, r) for r in found if isinstance(r, QualityResult))
    if without is None or along is None:
        return undecided(claim, "the study has no unquantized model to compare with", command=command)
    text = (
        f"{_model(study)}, {name}: {without.mean:+.4f} +- {without.half_width:.4f} nats without outlier"
        f" channels, {along.mean:+.4f} +- {along.half_width:.4f} with them"
    )
    if along.low <= without.high and without.low <= along.high:
        return undecided(claim, text, command=command)
    return judged(claim, (along.mean > without.mean) == (claim.states is not False), text, command=command)


def _quicker(study: QualityStudy | None, claim: Claim) -> Judgement:
    """Method `element` is made at least `value` times as quickly as `over`, on the machine of the study."""
    names = need(claim, "element", claim.element), need(claim, "over", claim.over)
    command = _command(names, "base")
    found = [_measured(study, "base", name) for name in names]
    if missing := [answer for answer in found if isinstance(answer, str)]:
        return undecided(claim, *dict.fromkeys(missing), command=command)
    quick, slow = (answer.quantize_s for answer in found if isinstance(answer, QualityResult))
    if not quick or not slow:
        return undecided(claim, "the study does not say how long quantizing took", command=command)
    text = f"{_model(study)}: {names[0]} {quick:.1f} s, {names[1]} {slow:.1f} s"
    return judged(claim, slow / quick >= need(claim, "value", claim.value), text, command=command)


def _measured(study: QualityStudy | None, variant: str, method: str) -> QualityResult | str:
    """The result of a method, or why there is none."""
    if study is None:
        return "needs the model: a study of it, --study FILE"
    found = next((r for r in study.results if r.key == (variant, method, None)), None)
    if found is None or not found.window_losses:
        reason = "not in the study" if found is None else found.reason
        return f"{method} was not measured on {variant}: {reason}"
    return found


def _model(study: QualityStudy | None) -> str:
    if study is None:
        raise UsageError("a loss without a study")
    return study.header.model


def _command(methods: tuple[str, ...], variants: str) -> str:
    return f"quantroof quality study --methods {','.join(methods)} --variants {variants} --out STUDY"
