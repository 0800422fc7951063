"""Claims about bytes and accuracy, judged by the formats' arithmetic, the error lab's table and a study.

The lab needs torch and this room does not: `quality/format_errors.toml` holds what the lab measures on its
seeded distributions. `scripts/format_errors` writes it, and a test compares it with the lab.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files

import numpy as np

from quantroof.analysis import studies
from quantroof.analysis.paired import paired_difference
from quantroof.claims.claim import Claim, ClaimResult, Evidence, NumberClaim
from quantroof.claims.shipped_study import ORIGIN, order, shipped_loss
from quantroof.errors import unknown_name
from quantroof.kernels.formats import Format, element, nf4_levels
from quantroof.records.quality import QualityResult, QualityStudy

_ROWS = _COLUMNS = 4096
_BLOCK, _BLOCKS = 64, 4096
_LAB = "quantroof quality formats"
_NEEDS_STUDY = "needs the model: a study of it, --study FILE"


class StoredBits(NumberClaim, frozen=True, kw_only=True, tag="stored-bits"):
    """`format` stores `value` bits per weight, scales included."""

    format: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the format's arithmetic on a 4096 x 4096 matrix."""
        bits = Format.parse(self.format).bits_per_element(_ROWS, _COLUMNS)
        text = f"{self.format}: {bits:.4g} bits per weight of a {_ROWS} x {_COLUMNS} matrix, with scales"
        return self.near(bits, text)


class LargestValue(NumberClaim, frozen=True, kw_only=True, tag="largest-value"):
    """The largest finite magnitude that `element` is used with is `value`."""

    element: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the element's definition."""
        number = element(self.element)
        text = f"{number.name}: largest magnitude {number.max_value:g}"
        if number.kind == "int":
            low = -(number.max_value + 1)
            text = f"{number.name}: {low:g} to {number.max_value:g} in two's complement"
            text += f"; symmetric codes use -{number.max_value:g} to {number.max_value:g}"
        return self.near(number.max_value, text)


class EqualMass(Claim, frozen=True, kw_only=True, tag="equal-mass"):
    """Gaussian blocks of 64 take every level of NF4 equally often, within the relative tolerance."""

    tolerance: float = 0.01

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the nearest levels of seeded blocks."""
        blocks = np.random.default_rng(0).standard_normal((_BLOCKS, _BLOCK))
        scaled = blocks / np.abs(blocks).max(axis=1, keepdims=True)
        levels = np.array(nf4_levels())
        counts = np.bincount(np.searchsorted((levels[1:] + levels[:-1]) / 2, scaled.ravel()), minlength=16)
        shares = counts / counts.sum()
        text = (
            f"the 16 levels of NF4 take {shares.min():.3f} to {shares.max():.3f} of a Gaussian,"
            f" not {1 / 16:.4f} each, blocks of 64"
        )
        return self.decided(bool(np.abs(shares * 16 - 1).max() <= self.tolerance), text)


class SmallerError(Claim, frozen=True, kw_only=True, tag="smaller-error"):
    """`format` has less squared error than `over` on the lab's distribution `data`."""

    format: str
    over: str
    data: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the lab's table."""
        table = lab_errors()
        if self.data not in table:
            raise unknown_name("distribution", self.data, list(table))
        errors = table[self.data]
        for name in (self.format, self.over):
            if name not in errors:
                raise unknown_name("format of the lab", name, list(errors))
        one, two = errors[self.format], errors[self.over]
        text = f"{self.data}: {self.format} {one:.2f} dB, {self.over} {two:.2f} dB signal to noise"
        return self.decided(one > two, text, command=_LAB)


class SmallerLoss(Claim, frozen=True, kw_only=True, tag="smaller-loss"):
    """`method` loses less than `over` on the `variant` of the study's model."""

    method: str
    over: str
    variant: str

    def judge(self, evidence: Evidence) -> ClaimResult:
        """By a paired difference; undecided where its interval holds 0."""
        names = self.method, self.over
        command = _command(names, self.variant)
        if evidence.study is None:
            return self._shipped(command)
        results, reasons = _results(evidence.study, [(self.variant, name) for name in names])
        if evidence.study is None or reasons:
            return self.undecided(*reasons, command=command)
        one, two = results
        difference = paired_difference(two.window_losses, one.window_losses)
        text = (
            f"{evidence.study.header.model}, {self.variant}: {self.method} over {self.over}"
            f" {difference.mean:+.4f} +- {difference.half_width:.4f} nats, {difference.verdict}"
        )
        if difference.verdict == "undecided":
            return self.undecided(text, command=command)
        return self.decided(difference.verdict == "better", text, command=command)

    def _shipped(self, command: str) -> ClaimResult:
        """By the shipped losses, where their intervals do not overlap."""
        one, two = (shipped_loss(self.variant, name) for name in (self.method, self.over))
        if one is None or two is None:
            return self.undecided(_NEEDS_STUDY, command=command)
        text = f"{ORIGIN}, {self.variant}: {self.method} {one.words}, {self.over} {two.words} nats"
        less = order(one, two)
        if less == "undecided":
            return self.undecided(f"{text}: undecided, needs the model: --study FILE", command=command)
        return self.decided(less == "less", text, command=command)


class OutliersCost(Claim, frozen=True, kw_only=True, tag="outliers-cost"):
    """`method` loses more with outlier channels than without them, or does not, as `states` says."""

    method: str
    states: bool = True

    def judge(self, evidence: Evidence) -> ClaimResult:
        """By both variants of the study's model; undecided where the intervals overlap."""
        command = _command((self.method,), "base,outliers")
        if evidence.study is None:
            return self._shipped(command)
        results, reasons = _results(
            evidence.study, [(variant, self.method) for variant in ("base", "outliers")]
        )
        if evidence.study is None or reasons:
            return self.undecided(*reasons, command=command)
        without, along = (studies.difference(evidence.study, result) for result in results)
        if without is None or along is None:
            return self.undecided("the study has no unquantized model to compare with", command=command)
        text = (
            f"{evidence.study.header.model}, {self.method}: {without.mean:+.4f} +- {without.half_width:.4f}"
            f" nats without outlier channels, {along.mean:+.4f} +- {along.half_width:.4f} with them"
        )
        if along.low <= without.high and without.low <= along.high:
            return self.undecided(text, command=command)
        return self.decided((along.mean > without.mean) == self.states, text, command=command)

    def _shipped(self, command: str) -> ClaimResult:
        """By the shipped losses of both variants."""
        without, along = (shipped_loss(variant, self.method) for variant in ("base", "outliers"))
        if without is None or along is None:
            return self.undecided(_NEEDS_STUDY, command=command)
        text = f"{ORIGIN}, {self.method}: {without.words} nats without outlier channels, {along.words} with"
        more = order(along, without)
        if more == "undecided":
            return self.undecided(f"{text}: undecided, needs the model: --study FILE", command=command)
        return self.decided((more == "more") == self.states, text, command=command)


class QuickerToMake(Claim, frozen=True, kw_only=True, tag="quicker-to-make"):
    """`method` quantizes at least `value` times as fast as `over`, on the machine of the study."""

    method: str
    over: str
    value: float

    def judge(self, evidence: Evidence) -> ClaimResult:
        """By the times that the study recorded."""
        names = self.method, self.over
        command = _command(names, "base")
        if evidence.study is None:
            return self._shipped(command)
        results, reasons = _results(evidence.study, [("base", name) for name in names])
        if evidence.study is None or reasons:
            return self.undecided(*reasons, command=command)
        fast, slow = (result.quantize_s for result in results)
        if not fast or not slow:
            return self.undecided("the study does not say how long quantizing took", command=command)
        text = f"{evidence.study.header.model}: {self.method} {fast:.1f} s, {self.over} {slow:.1f} s"
        return self.decided(slow / fast >= self.value, text, command=command)

    def _shipped(self, command: str) -> ClaimResult:
        """By the seconds of the shipped study."""
        fast, slow = (shipped_loss("base", name) for name in (self.method, self.over))
        if fast is None or slow is None or not fast.seconds or not slow.seconds:
            return self.undecided(_NEEDS_STUDY, command=command)
        text = f"{ORIGIN}: {self.method} {fast.seconds:.1f} s, {self.over} {slow.seconds:.1f} s"
        return self.decided(slow.seconds / fast.seconds >= self.value, text, command=command)


AccuracyClaim = (
    StoredBits | LargestValue | EqualMass | SmallerError | SmallerLoss | OutliersCost | QuickerToMake
)


@lru_cache(maxsize=1)
def lab_errors() -> dict[str, dict[str, float]]:
    """Signal to noise (dB) by data, then format; `outlier-channels-usual` is of the other columns alone."""
    text = (files("quantroof.quality") / "format_errors.toml").read_text(encoding="utf-8")
    table: dict[str, dict[str, float]] = tomllib.loads(text)["sqnr_db"]
    return table


def _results(
    study: QualityStudy | None, keys: list[tuple[str, str]]
) -> tuple[list[QualityResult], list[str]]:
    """The results of (variant, method), in order; and the reasons why some are not there."""
    if study is None:
        return [], [_NEEDS_STUDY]
    results, reasons = [], []
    for variant, method in keys:
        result = next((r for r in study.results if r.key == (variant, method, None)), None)
        if result is None or not result.window_losses:
            reason = "not in the study" if result is None else result.reason
            reasons.append(f"{method} was not measured on {variant}: {reason}")
        else:
            results.append(result)
    return results, reasons


def _command(methods: tuple[str, ...], variants: str) -> str:
    return f"quantroof quality study --methods {','.join(methods)} --variants {variants} --out STUDY"
